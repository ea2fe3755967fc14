//! The records of a batch of any magic, in one shape.

use anyhow::Context as _;
use ottla_protocol::legacy_records::{self, LegacyEntry};
use ottla_protocol::record_batch::{self, BatchHeader, NO_SEQUENCE};
use ottla_storage::inspect::BatchAt;

/// A batch may unpack to so many bytes, the most that Kafka's own reader could take.
const UNPACKED_MAX: usize = i32::MAX as usize;

/// One record.
pub(super) struct DumpRecord<'a> {
    pub(super) offset: i64,
    pub(super) timestamp: i64,
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
    /// Sequence and names of headers; None before magic 2.
    pub(super) modern: Option<(i32, Vec<&'a [u8]>)>,
    /// Whether the message's own checksum fits, and the checksum; None from magic 2 on.
    pub(super) legacy: Option<(bool, u32)>,
}

/// Gives every record of a batch to `each`; the first error of either ends it.
pub(super) fn for_each(
    at: &BatchAt,
    bytes: &[u8],
    scratch: &mut Vec<u8>,
    mut each: impl FnMut(&DumpRecord<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let context = || format!("the batch at position {}", at.position);
    if at.header.magic < record_batch::MAGIC {
        let entry = LegacyEntry::read(bytes).with_context(context)?;
        for message in legacy_records::messages(&entry, scratch, UNPACKED_MAX).with_context(context)? {
            let message = message.with_context(context)?;
            let crc = message.bytes.get(12..).and_then(|b| b.first_chunk::<4>()).copied().unwrap_or_default();
            let fits = LegacyEntry::read(message.bytes).is_ok_and(|entry| entry.check_crc());
            each(&DumpRecord {
                offset: message.offset,
                timestamp: message.timestamp,
                key: message.key,
                value: message.value,
                modern: None,
                legacy: Some((fits, u32::from_be_bytes(crc))),
            })?;
        }
        return Ok(());
    }
    for record in record_batch::records(bytes, scratch, UNPACKED_MAX).with_context(context)? {
        let record = record.with_context(context)?;
        each(&DumpRecord {
            offset: at.header.offset_of(&record),
            timestamp: at.header.timestamp_of(&record),
            key: record.key,
            value: record.value,
            modern: Some((sequence_of(&at.header, record.offset_delta), record.headers.map(|(key, _)| key).collect())),
            legacy: None,
        })?;
    }
    Ok(())
}

/// After `i32::MAX` comes 0.
fn sequence_of(header: &BatchHeader, offset_delta: i32) -> i32 {
    if header.base_sequence < 0 {
        return NO_SEQUENCE;
    }
    ((i64::from(header.base_sequence) + i64::from(offset_delta)) & i64::from(i32::MAX)) as i32
}
