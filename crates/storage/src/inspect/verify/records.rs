//! The inside of a batch whose checksum fits: what its producer wrote wrongly, or a broker took wrongly.

use ottla_protocol::compression::CompressionError;
use ottla_protocol::legacy_records::{self, LegacyEntry};
use ottla_protocol::record_batch::{BatchError, BatchHeader, MAGIC, NO_TIMESTAMP, TimestampType, walk};

/// A batch may unpack to so many bytes, the most that Kafka's own reader could take.
const UNPACKED_MAX: usize = i32::MAX as usize;
/// A set of messages from before Kafka 0.11 is unpacked in memory, so it may have fewer.
const LEGACY_UNPACKED_MAX: usize = 128 << 20;

/// What was found in a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Inside {
    /// Records.
    pub(super) records: u64,
    /// Fewer records than offsets: compaction was here.
    pub(super) hollow: bool,
    /// The head's largest timestamp and that of the records, if they differ.
    pub(super) timestamps: Option<(i64, i64)>,
}

/// Goes through all records.
///
/// # Errors
/// A sentence that says what is wrong.
pub(super) fn check(header: &BatchHeader, bytes: &[u8], window: &mut Vec<u8>) -> Result<Inside, String> {
    if header.magic < MAGIC { check_legacy(bytes, window) } else { check_modern(header, bytes, window) }
}

fn check_modern(header: &BatchHeader, bytes: &[u8], window: &mut Vec<u8>) -> Result<Inside, String> {
    let mut inside = Inside::default();
    let mut before = -1;
    let mut largest = NO_TIMESTAMP;
    for shape in walk(bytes, window, UNPACKED_MAX).map_err(|e| e.to_string())? {
        let shape = shape.map_err(|e| e.to_string())?;
        if shape.offset_delta <= before {
            return Err(format!("record {} does not come after the one before it", inside.records));
        }
        before = shape.offset_delta;
        largest = largest.max(header.base_timestamp.saturating_add(shape.timestamp_delta));
        inside.records += 1;
    }
    if before > header.last_offset_delta {
        return Err(format!("a record lies {before} behind the base offset, beyond the batch's last offset"));
    }
    inside.hollow = inside.records < header.last_offset_delta as u64 + 1;
    let stated = header.timestamp_type() == TimestampType::CreateTime && inside.records > 0;
    inside.timestamps = (stated && largest != header.max_timestamp).then_some((header.max_timestamp, largest));
    Ok(inside)
}

fn check_legacy(bytes: &[u8], scratch: &mut Vec<u8>) -> Result<Inside, String> {
    let entry = LegacyEntry::read(bytes).map_err(|e| e.to_string())?;
    let messages = match legacy_records::messages(&entry, scratch, LEGACY_UNPACKED_MAX) {
        Err(BatchError::Compression(CompressionError::TooLarge { .. })) => return Ok(Inside::default()),
        other => other.map_err(|e| e.to_string())?,
    };
    let mut inside = Inside::default();
    let mut before = i64::MIN;
    for message in messages {
        let message = message.map_err(|e| e.to_string())?;
        if message.offset <= before {
            return Err(format!("message {} does not come after the one before it", inside.records));
        }
        before = message.offset;
        inside.records += 1;
    }
    Ok(inside)
}
