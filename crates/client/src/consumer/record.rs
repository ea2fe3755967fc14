//! What a consumer gives to its caller.

use std::sync::Arc;

use bytes::Bytes;
use ottla_protocol::record_batch::TimestampType;

use crate::TopicPartition;

/// A record read from a topic. Keys and values of uncompressed batches share the memory of the response they came in.
#[derive(Debug, Clone)]
pub struct ConsumerRecord {
    /// Topic.
    pub topic: Arc<str>,
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// Epoch of the leader that appended it; -1 in batches older than KIP-101.
    pub leader_epoch: i32,
    /// Milliseconds since the Unix epoch; -1 when there is none.
    pub timestamp_ms: i64,
    /// Who set the timestamp.
    pub timestamp_type: TimestampType,
    /// Key.
    pub key: Option<Bytes>,
    /// Value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// Headers in order; keys are bytes, for Kafka does not check that they are text.
    pub headers: Vec<(Bytes, Option<Bytes>)>,
}

impl ConsumerRecord {
    /// Its partition.
    #[must_use]
    pub fn topic_partition(&self) -> TopicPartition {
        TopicPartition { topic: Arc::clone(&self.topic), partition: self.partition }
    }
}

/// An offset to commit or committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetAndMetadata {
    /// The next offset to read.
    pub offset: i64,
    /// Epoch of the last record read; -1 when unknown.
    pub leader_epoch: i32,
    /// The committer's note.
    pub metadata: String,
}

impl OffsetAndMetadata {
    /// An offset without a note.
    #[must_use]
    pub fn new(offset: i64) -> Self {
        Self { offset, leader_epoch: -1, metadata: String::new() }
    }
}
