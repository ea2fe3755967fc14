//! The records of a batch of any magic, as compaction sees them: offset, key, whether there is a value, and for magic 2
//! where in the unpacked block they lie. Nothing is allocated for a record.

use std::ops::Range;

use ottla_protocol::legacy_records::{self, LegacyEntry, Messages};
use ottla_protocol::record_batch::{BatchError, BatchHeader, MAGIC, unpacked};
use ottla_protocol::records::RecordIter;

/// One record.
#[derive(Debug)]
pub(super) struct CleanRecord<'a> {
    pub(super) offset: i64,
    pub(super) timestamp: i64,
    pub(super) key: Option<&'a [u8]>,
    pub(super) has_value: bool,
    /// Where it lies in [`CleanRecords::block`].
    pub(super) span: Range<usize>,
}

/// The records of one batch of magic 2.
pub(super) struct CleanRecords<'a> {
    header: BatchHeader,
    /// The batch's records, unpacked.
    pub(super) block: &'a [u8],
    records: RecordIter<'a>,
    at: usize,
}

impl<'a> CleanRecords<'a> {
    /// Reads a whole batch, which may unpack to at most `limit` bytes, into `scratch` if it is packed.
    pub(super) fn new(
        header: &BatchHeader,
        batch: &'a [u8],
        scratch: &'a mut Vec<u8>,
        limit: usize,
    ) -> Result<Self, BatchError> {
        let block = unpacked(header, batch, scratch, limit)?;
        Ok(Self { header: *header, block, records: RecordIter::new(block, header.record_count), at: 0 })
    }
}

impl<'a> Iterator for CleanRecords<'a> {
    type Item = Result<CleanRecord<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        let record = match self.records.next()? {
            Ok(record) => record,
            Err(error) => return Some(Err(error)),
        };
        let start = self.at;
        self.at = self.block.len() - self.records.bytes_left();
        Some(Ok(CleanRecord {
            offset: self.header.offset_of(&record),
            timestamp: self.header.timestamp_of(&record),
            key: record.key,
            has_value: record.value.is_some(),
            span: start..self.at,
        }))
    }
}

/// The messages of an entry of magic 0 or 1.
pub(super) fn legacy<'a>(
    batch: &'a [u8],
    scratch: &'a mut Vec<u8>,
    limit: usize,
) -> Result<(LegacyEntry<'a>, Messages<'a>), BatchError> {
    let entry = LegacyEntry::read(batch)?;
    Ok((entry, legacy_records::messages(&entry, scratch, limit)?))
}

/// Whether a batch is an entry of magic 0 or 1.
pub(super) fn is_legacy(header: &BatchHeader) -> bool {
    header.magic < MAGIC
}

/// Gives memory back that one large batch took.
pub(super) fn shrink(scratch: &mut Vec<u8>) {
    /// What a batch of ordinary size unpacks to, and more.
    const KEPT_BYTES: usize = 8 << 20;
    if scratch.capacity() > KEPT_BYTES {
        *scratch = Vec::new();
    }
}
