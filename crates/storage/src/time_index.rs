//! `.timeindex`: how far timestamps had come at which offset, for searches by time and for retention.
//!
//! ```text
//!   0                8        12
//!   ├────────────────┼────────┤   largest timestamp of the segment so far (i64)
//!   │   timestamp    │ offset │   last offset of the batch that has it, minus the segment's base offset (i32)
//!   ├────────────────┼────────┤
//! ```
//! Big-endian, timestamps ascending. An entry is written beside one of the offset index if the largest timestamp grew, and a
//! last one when the segment is closed; one slot is kept for that. Kafka class: `TimeIndex`.

use std::sync::Arc;

use crate::access::Access;
use crate::entry_file::EntryFile;
use crate::error::StorageError;
use crate::file_names::{TIME_INDEX, offset_file};
use crate::log_folder::LogFolder;

/// Bytes of an entry.
pub(crate) const ENTRY_BYTES: usize = 12;

/// An entry with its offset made absolute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimestampOffset {
    /// Largest timestamp so far, in ms.
    pub timestamp: i64,
    /// Last offset of the batch that has it.
    pub offset: i64,
}

/// Reads an entry of the index of the segment at `base_offset`.
pub(crate) fn decode(base_offset: i64, entry: &[u8; ENTRY_BYTES]) -> TimestampOffset {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = *entry;
    TimestampOffset {
        timestamp: i64::from_be_bytes([a, b, c, d, e, f, g, h]),
        offset: base_offset.saturating_add(i64::from(i32::from_be_bytes([i, j, k, l]))),
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct TimeIndex {
    base_offset: i64,
    file: EntryFile<ENTRY_BYTES>,
}

impl TimeIndex {
    /// The index with `entries` entries on disk.
    pub(crate) fn new(folder: Arc<LogFolder>, base_offset: i64, entries: u64) -> Self {
        Self { base_offset, file: EntryFile::new(folder, offset_file(base_offset, TIME_INDEX), entries) }
    }

    pub(crate) fn file(&self) -> &EntryFile<ENTRY_BYTES> {
        &self.file
    }

    fn decode(&self, entry: &[u8; ENTRY_BYTES]) -> TimestampOffset {
        decode(self.base_offset, entry)
    }

    /// Adds an entry if its timestamp is larger than the last one's.
    pub(crate) fn maybe_push(&self, entry: TimestampOffset) -> Result<(), StorageError> {
        let Ok(relative) = i32::try_from(entry.offset - self.base_offset) else { return Ok(()) };
        if self.last()?.is_some_and(|last| entry.timestamp <= last.timestamp || entry.offset < last.offset)
            || entry.timestamp < 0
        {
            return Ok(());
        }
        let [a, b, c, d, e, f, g, h] = entry.timestamp.to_be_bytes();
        let [i, j, k, l] = relative.to_be_bytes();
        self.file.push([a, b, c, d, e, f, g, h, i, j, k, l])
    }

    /// Whether only the slot of the closing entry is left.
    pub(crate) fn is_full(&self, max_bytes: usize) -> bool {
        self.file.len() + 1 >= (max_bytes / ENTRY_BYTES) as u64
    }

    /// The last entry.
    pub(crate) fn last(&self) -> Result<Option<TimestampOffset>, StorageError> {
        Ok(self.file.last()?.map(|e| self.decode(&e)))
    }

    /// The last entry whose timestamp is below `timestamp`: no batch up to its offset reaches `timestamp`.
    pub(crate) fn below(&self, timestamp: i64) -> Result<Option<TimestampOffset>, StorageError> {
        let (_, found) = self.file.search(Access::MayWait, |e| self.decode(e).timestamp < timestamp)?;
        Ok(found.map(|e| self.decode(&e)))
    }

    /// Keeps the entries of offsets below `offset`.
    pub(crate) fn truncate_to_offset(&self, offset: i64) -> Result<(), StorageError> {
        let (keep, _) = self.file.search(Access::MayWait, |e| self.decode(e).offset < offset)?;
        self.file.truncate(keep)
    }

    /// Keeps the ascending entries at the head, as [`crate::offset_index::OffsetIndex::keep_ascending`] does.
    pub(crate) fn keep_ascending(&self) -> Result<(), StorageError> {
        let mut before = TimestampOffset { timestamp: -1, offset: self.base_offset };
        let mut keep = 0;
        for entry in self.file.all()? {
            let entry = self.decode(&entry);
            let zero = entry.timestamp == 0 && entry.offset == self.base_offset;
            if entry.timestamp <= before.timestamp || entry.offset < before.offset || zero {
                break;
            }
            before = entry;
            keep += 1;
        }
        self.file.truncate(keep)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry_file::tests::folder;

    #[test]
    fn only_a_larger_timestamp_is_noted() {
        let dir = tempfile::tempdir().expect("a directory");
        let index = TimeIndex::new(folder(dir.path()), 100, 0);
        for (timestamp, offset) in [(-1, 100), (50, 104), (50, 110), (40, 111), (60, 120)] {
            index.maybe_push(TimestampOffset { timestamp, offset }).expect("pushed");
        }
        assert_eq!(index.file().len(), 2);
        assert_eq!(index.below(60).expect("searched"), Some(TimestampOffset { timestamp: 50, offset: 104 }));
        assert_eq!(index.below(50).expect("searched"), None);
        assert!(index.is_full(36), "the third slot is the closing entry's");
        index.truncate_to_offset(120).expect("cut");
        assert_eq!(index.last().expect("read"), Some(TimestampOffset { timestamp: 50, offset: 104 }));
    }
}
