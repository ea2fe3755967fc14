//! The check of a batch before a leader appends it. Pure: bytes and settings in, a verdict out; nothing is allocated for a
//! record. Kafka class: `LogValidator`.
//!
//! Every record is walked, in compressed batches too: a consumer would otherwise be the first to notice that lengths,
//! offsets or counts do not fit.

use ottla_protocol::compression::CompressionError;
use ottla_protocol::record_batch::{self, BatchError, BatchHeader, TimestampType};

use crate::config::LogConfig;
use crate::error::{AppendError, RecordError};

/// Records of one batch whose errors are told; the others are refused with them all the same.
const RECORD_ERRORS_MAX: usize = 1000;

/// Who hands batches to a leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppendOrigin {
    /// A producer: exactly one batch, nothing is trusted.
    Client,
    /// A coordinator of this broker: may write control records.
    Coordinator,
    /// A transaction coordinator that ends a transaction (WriteTxnMarkers), by the rules of this `transaction.version`.
    TransactionMarker {
        /// From 2 on a marker's epoch must be greater than that of the records that it ends (KIP-890, KIP-1228).
        transaction_version: i16,
    },
    /// A leader that replicates: batches keep their offsets.
    Replication,
    /// The leader of the metadata quorum.
    RaftLeader,
}

/// What the walk found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Validated {
    /// Largest timestamp of the records; -1 without records.
    pub(crate) max_timestamp: i64,
}

/// Checks one whole batch. `window` is memory to be reused.
pub(crate) fn validate(
    batch: &[u8],
    header: &BatchHeader,
    origin: AppendOrigin,
    config: &LogConfig,
    now_ms: i64,
    window: &mut Vec<u8>,
) -> Result<Validated, AppendError> {
    if header.size_bytes() > config.max_message_bytes && origin == AppendOrigin::Client {
        return Err(AppendError::MessageTooLarge { size: header.size_bytes(), max: config.max_message_bytes });
    }
    if !record_batch::check_crc(batch) {
        return Err(AppendError::Corrupt("its checksum does not fit its bytes".to_owned()));
    }
    if origin == AppendOrigin::Client {
        check_head(header)?;
    }
    walk(batch, header, origin, config, now_ms, window)
}

/// What the head of a producer's batch must be.
fn check_head(header: &BatchHeader) -> Result<(), AppendError> {
    let count = header.record_count;
    let reason = if header.base_offset != 0 {
        format!("the base offset of a produced batch must be 0, it is {}", header.base_offset)
    } else if header.is_control() {
        "clients may not write control records".to_owned()
    } else if header.has_producer_id() && header.base_sequence < 0 {
        format!("sequence {} of producer {} is negative", header.base_sequence, header.producer_id)
    } else if count <= 0 || i64::from(count) != i64::from(header.last_offset_delta) + 1 {
        format!("{count} records do not fit a last offset delta of {}", header.last_offset_delta)
    } else if header.has_delete_horizon() {
        "only compaction sets a delete horizon".to_owned()
    } else {
        return Ok(());
    };
    Err(AppendError::InvalidRecords { reason, errors: Vec::new() })
}

fn walk(
    batch: &[u8],
    header: &BatchHeader,
    origin: AppendOrigin,
    config: &LogConfig,
    now_ms: i64,
    window: &mut Vec<u8>,
) -> Result<Validated, AppendError> {
    let client = origin == AppendOrigin::Client;
    if client && header.timestamp_type() == TimestampType::LogAppendTime {
        let reason = "a producer's batch must have the timestamp type CreateTime".to_owned();
        return Err(AppendError::InvalidTimestamp { reason, errors: Vec::new() });
    }
    let limit = config.max_decompressed_message_bytes;
    let mut keys_missing = Vec::new();
    let mut timestamps_wrong = Vec::new();
    let mut max_timestamp = record_batch::NO_TIMESTAMP;
    let records = record_batch::walk(batch, window, limit).map_err(|e| refused(&e, limit))?;
    for (index, record) in (0i32..).zip(records) {
        let record = record.map_err(|e| refused(&e, limit))?;
        if client && record.offset_delta != index {
            let reason = format!("record {index} of the batch has the offset delta {}", record.offset_delta);
            return Err(AppendError::InvalidRecords { reason, errors: Vec::new() });
        }
        let timestamp = header.base_timestamp.saturating_add(record.timestamp_delta);
        max_timestamp = max_timestamp.max(timestamp);
        if client && config.cleanup_policy.compact && record.key_bytes.is_none() {
            note(&mut keys_missing, index, || "a compacted topic takes no record without a key".to_owned());
        }
        if client && !config.log_append_time {
            check_timestamp(timestamp, config, now_ms, index, &mut timestamps_wrong);
        }
    }
    if !keys_missing.is_empty() {
        let reason = "records without a key cannot be written to a compacted topic".to_owned();
        return Err(AppendError::InvalidRecords { reason, errors: keys_missing });
    }
    if !timestamps_wrong.is_empty() {
        let reason =
            "timestamps lie outside of what message.timestamp.before.max.ms and message.timestamp.after.max.ms allow";
        return Err(AppendError::InvalidTimestamp { reason: reason.to_owned(), errors: timestamps_wrong });
    }
    Ok(Validated { max_timestamp })
}

fn check_timestamp(timestamp: i64, config: &LogConfig, now_ms: i64, index: i32, errors: &mut Vec<RecordError>) {
    if timestamp == record_batch::NO_TIMESTAMP {
        return;
    }
    let before = now_ms.saturating_sub(timestamp);
    let after = timestamp.saturating_sub(now_ms);
    if before > config.message_timestamp_before_max_ms || after > config.message_timestamp_after_max_ms {
        note(errors, index, || format!("timestamp {timestamp} is too far from the broker's clock, {now_ms}"));
    }
}

fn note(errors: &mut Vec<RecordError>, index: i32, message: impl FnOnce() -> String) {
    if errors.len() < RECORD_ERRORS_MAX {
        errors.push(RecordError { index, message: message() });
    }
}

/// A batch whose checksum fits but whose records do not: its producer made it so, and would again.
pub(crate) fn refused(error: &BatchError, limit: usize) -> AppendError {
    match error {
        BatchError::Compression(CompressionError::TooLarge { .. }) => AppendError::DecompressedTooLarge { max: limit },
        other => AppendError::InvalidRecords { reason: other.to_string(), errors: Vec::new() },
    }
}

#[cfg(test)]
#[path = "validator_tests.rs"]
mod tests;
