//! What a producer takes and what it gives back.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;

use super::batch::OutcomeReceiver;
use crate::error::Error;

/// A record to be written. It borrows: `send` copies it straight into its batch.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProducerRecord<'a> {
    /// Topic.
    pub topic: &'a str,
    /// Partition; chosen by the key, or by the producer, when there is none.
    pub partition: Option<i32>,
    /// Key.
    pub key: Option<&'a [u8]>,
    /// Value; `None` is a tombstone on a compacted topic.
    pub value: Option<&'a [u8]>,
    /// Headers in order; a key may occur twice.
    pub headers: &'a [(&'a str, Option<&'a [u8]>)],
    /// Milliseconds since the Unix epoch; now when there is none.
    pub timestamp_ms: Option<i64>,
}

impl<'a> ProducerRecord<'a> {
    /// A record with a value and nothing else.
    #[must_use]
    pub fn new(topic: &'a str, value: &'a [u8]) -> Self {
        Self { topic, value: Some(value), ..Self::default() }
    }

    /// Sets the key.
    #[must_use]
    pub fn with_key(mut self, key: &'a [u8]) -> Self {
        self.key = Some(key);
        self
    }

    /// Sets the partition.
    #[must_use]
    pub fn with_partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    /// Sets the headers.
    #[must_use]
    pub fn with_headers(mut self, headers: &'a [(&'a str, Option<&'a [u8]>)]) -> Self {
        self.headers = headers;
        self
    }

    /// Sets the timestamp, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn with_timestamp_ms(mut self, timestamp_ms: i64) -> Self {
        self.timestamp_ms = Some(timestamp_ms);
        self
    }

    /// The most bytes it can take in a batch, the batch's own header aside.
    pub(super) fn size_at_most(&self) -> usize {
        // Lengths and deltas are varints of at most ten bytes.
        const PER_RECORD: usize = 36;
        const PER_HEADER: usize = 10;
        let len = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
        let headers: usize = self.headers.iter().map(|(k, v)| PER_HEADER + k.len() + len(*v)).sum();
        PER_RECORD + len(self.key) + len(self.value) + headers
    }
}

/// Where a record was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordMetadata {
    /// Topic.
    pub topic: Arc<str>,
    /// Partition.
    pub partition: i32,
    /// Offset; -1 when nobody told: with acks=0, or when the broker knows that it is written and has forgotten where.
    pub offset: i64,
    /// The record's time: the broker's if the topic uses LogAppendTime.
    pub timestamp_ms: i64,
}

/// A record that is on its way. Await it for the outcome, or drop it; the record is sent all the same.
#[derive(Debug)]
#[must_use = "a delivery tells whether the record was written"]
pub struct Delivery {
    pub(super) topic: Arc<str>,
    pub(super) partition: i32,
    pub(super) index: i32,
    pub(super) timestamp_ms: i64,
    pub(super) outcome: OutcomeReceiver,
}

impl Delivery {
    /// The partition that was chosen.
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.partition
    }

    /// Waits for the broker's answer, at most `delivery.timeout.ms` since `send`.
    ///
    /// # Errors
    /// When the record was not written, or nobody knows whether it was.
    pub async fn wait(mut self) -> Result<RecordMetadata, Error> {
        let outcome = self.outcome.wait_for(Option::is_some).await.map_err(|_| Error::Closed)?.clone();
        let acknowledged = outcome.ok_or(Error::Closed)??;
        let known = acknowledged.base_offset >= 0;
        Ok(RecordMetadata {
            topic: self.topic,
            partition: self.partition,
            offset: if known { acknowledged.base_offset + i64::from(self.index) } else { -1 },
            timestamp_ms: match acknowledged.log_append_time_ms {
                -1 => self.timestamp_ms,
                broker_time => broker_time,
            },
        })
    }
}

impl IntoFuture for Delivery {
    type Output = Result<RecordMetadata, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.wait())
    }
}
