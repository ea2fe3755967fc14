//! Makes batches: for producers, coordinators, the quorum, and compaction, which keeps offsets as they were.

use super::{
    CONTROL_BIT, DELETE_HORIZON_BIT, HEADER_BYTES, LOG_OVERHEAD, MAGIC, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE,
    NO_TIMESTAMP, TIMESTAMP_TYPE_BIT, TRANSACTIONAL_BIT, TimestampType, renew_crc,
};
use crate::compression::{Compression, CompressionError, compress};
use crate::varint;

/// What a batch is besides its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchOptions {
    /// Offset of the first record; 0 from a producer.
    pub base_offset: i64,
    /// -1 from a producer.
    pub leader_epoch: i32,
    /// Codec.
    pub compression: Compression,
    /// Its level, `None` for Kafka's default.
    pub compression_level: Option<i32>,
    /// Who set the timestamps.
    pub timestamp_type: TimestampType,
    /// Idempotent producer, or -1.
    pub producer_id: i64,
    /// Its epoch, or -1.
    pub producer_epoch: i16,
    /// Sequence of the first record, or -1.
    pub base_sequence: i32,
    /// Whether it belongs to a transaction.
    pub transactional: bool,
    /// Whether it holds control records.
    pub control: bool,
    /// From when on compaction may drop the batch's tombstones, in ms (KIP-534).
    pub delete_horizon_ms: Option<i64>,
}

impl Default for BatchOptions {
    fn default() -> Self {
        Self {
            base_offset: 0,
            leader_epoch: -1,
            compression: Compression::None,
            compression_level: None,
            timestamp_type: TimestampType::CreateTime,
            producer_id: NO_PRODUCER_ID,
            producer_epoch: NO_PRODUCER_EPOCH,
            base_sequence: NO_SEQUENCE,
            transactional: false,
            control: false,
            delete_horizon_ms: None,
        }
    }
}

impl BatchOptions {
    fn attributes(&self) -> i16 {
        let bit = |set: bool, bit: i16| if set { bit } else { 0 };
        self.compression as i16
            | bit(self.timestamp_type == TimestampType::LogAppendTime, TIMESTAMP_TYPE_BIT)
            | bit(self.transactional, TRANSACTIONAL_BIT)
            | bit(self.control, CONTROL_BIT)
            | bit(self.delete_horizon_ms.is_some(), DELETE_HORIZON_BIT)
    }
}

/// A batch being made.
#[derive(Debug, Clone)]
pub struct BatchBuilder {
    options: BatchOptions,
    records: Vec<u8>,
    count: i32,
    last_offset: Option<i64>,
    base_timestamp: Option<i64>,
    max_timestamp: i64,
}

impl BatchBuilder {
    /// An empty batch.
    #[must_use]
    pub fn new(options: BatchOptions) -> Self {
        Self {
            options,
            records: Vec::new(),
            count: 0,
            last_offset: None,
            base_timestamp: options.delete_horizon_ms,
            max_timestamp: NO_TIMESTAMP,
        }
    }

    /// Adds a record at the next offset.
    pub fn append(
        &mut self,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, Option<&[u8]>)],
    ) {
        let offset = self.last_offset.map_or(self.options.base_offset, |last| last + 1);
        let headers = headers.iter().map(|(key, value)| (key.as_bytes(), *value));
        self.append_at(offset, timestamp_ms, key, value, headers);
    }

    /// Adds a record at an offset of the caller's, which must lie behind the last one and within `i32::MAX` of the base.
    pub fn append_at<'h, H>(
        &mut self,
        offset: i64,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: H,
    ) where
        H: Iterator<Item = (&'h [u8], Option<&'h [u8]>)> + Clone,
    {
        debug_assert!(self.last_offset.is_none_or(|last| offset > last), "offsets of a batch ascend");
        let timestamp_delta = timestamp_ms.wrapping_sub(*self.base_timestamp.get_or_insert(timestamp_ms));
        let offset_delta = offset - self.options.base_offset;
        let header_count = headers.clone().count() as i64;
        let length = 1
            + varint::len(timestamp_delta)
            + varint::len(offset_delta)
            + nullable_len(key)
            + nullable_len(value)
            + varint::len(header_count)
            + headers.clone().map(|(k, v)| nullable_len(Some(k)) + nullable_len(v)).sum::<usize>();
        let out = &mut self.records;
        out.reserve(length + varint::len(length as i64));
        varint::write(out, length as i64);
        out.push(0);
        varint::write(out, timestamp_delta);
        varint::write(out, offset_delta);
        put_nullable(out, key);
        put_nullable(out, value);
        varint::write(out, header_count);
        for (key, value) in headers {
            put_nullable(out, Some(key));
            put_nullable(out, value);
        }
        self.count += 1;
        self.last_offset = Some(offset);
        self.max_timestamp = self.max_timestamp.max(timestamp_ms);
    }

    /// Makes the batch reach up to `offset`, whether a record is there or not: compaction keeps a batch's last offset,
    /// with which producer state and followers count on.
    pub fn extend_to(&mut self, offset: i64) {
        self.last_offset = Some(self.last_offset.map_or(offset, |last| last.max(offset)));
    }

    /// Records so far.
    #[must_use]
    pub fn record_count(&self) -> usize {
        self.count as usize
    }

    /// Bytes of the batch if it were not compressed.
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        HEADER_BYTES + self.records.len()
    }

    /// The batch.
    ///
    /// # Errors
    /// When the codec refuses its level.
    pub fn try_build(self) -> Result<Vec<u8>, CompressionError> {
        let options = &self.options;
        let mut out = Vec::with_capacity(match options.compression {
            Compression::None => self.len_bytes(),
            _ => HEADER_BYTES + self.records.len() / 2,
        });
        out.extend_from_slice(&options.base_offset.to_be_bytes());
        out.extend_from_slice(&[0; 4]); // length, below
        out.extend_from_slice(&options.leader_epoch.to_be_bytes());
        out.push(MAGIC as u8);
        out.extend_from_slice(&[0; 4]); // checksum, below
        out.extend_from_slice(&options.attributes().to_be_bytes());
        let last_offset_delta = self.last_offset.map_or(-1, |last| last - options.base_offset);
        out.extend_from_slice(&(last_offset_delta as i32).to_be_bytes());
        out.extend_from_slice(&self.base_timestamp.unwrap_or(NO_TIMESTAMP).to_be_bytes());
        out.extend_from_slice(&self.max_timestamp.to_be_bytes());
        out.extend_from_slice(&options.producer_id.to_be_bytes());
        out.extend_from_slice(&options.producer_epoch.to_be_bytes());
        out.extend_from_slice(&options.base_sequence.to_be_bytes());
        out.extend_from_slice(&self.count.to_be_bytes());
        compress(options.compression, options.compression_level, &self.records, &mut out)?;
        let length = (out.len() - LOG_OVERHEAD) as i32;
        super::patch(&mut out, 8, length.to_be_bytes());
        renew_crc(&mut out);
        Ok(out)
    }

    /// The batch, with the codec's default level if it does not have the one that was asked for.
    #[must_use]
    pub fn build(mut self) -> Vec<u8> {
        if self.options.compression_level.is_some()
            && let Ok(batch) = self.clone().try_build()
        {
            return batch;
        }
        self.options.compression_level = None;
        self.try_build().expect("every codec has its default level and writes to memory")
    }
}

fn nullable_len(bytes: Option<&[u8]>) -> usize {
    match bytes {
        None => varint::len(-1),
        Some(bytes) => varint::len(bytes.len() as i64) + bytes.len(),
    }
}

fn put_nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => varint::write(out, -1),
        Some(bytes) => {
            varint::write(out, bytes.len() as i64);
            out.extend_from_slice(bytes);
        }
    }
}
