//! `.index`: from an offset to a position in the segment's file, one entry per `index.interval.bytes`.
//!
//! ```text
//!   0        4        8
//!   ├────────┼────────┤   offset of the last record of a batch, minus the segment's base offset (i32)
//!   │ offset │position│   where that batch begins in the .log file (i32)
//!   ├────────┼────────┤
//! ```
//! Big-endian, ascending. Nothing guards its content, so a reader checks the batch that an entry points to.
//! Kafka class: `OffsetIndex`.

use std::sync::Arc;

use crate::access::Access;
use crate::entry_file::EntryFile;
use crate::error::StorageError;
use crate::file_names::{INDEX, offset_file};
use crate::log_folder::LogFolder;

/// Bytes of an entry.
pub(crate) const ENTRY_BYTES: usize = 8;

/// An entry with its offset made absolute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetPosition {
    /// Last offset of a batch.
    pub offset: i64,
    /// Where the batch begins in the file, in bytes.
    pub position: u64,
}

/// Reads an entry of the index of the segment at `base_offset`.
pub(crate) fn decode(base_offset: i64, entry: &[u8; ENTRY_BYTES]) -> OffsetPosition {
    let [a, b, c, d, e, f, g, h] = *entry;
    OffsetPosition {
        offset: base_offset.saturating_add(i64::from(i32::from_be_bytes([a, b, c, d]))),
        position: u64::from(u32::from_be_bytes([e, f, g, h])),
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct OffsetIndex {
    base_offset: i64,
    file: EntryFile<ENTRY_BYTES>,
}

impl OffsetIndex {
    /// The index with `entries` entries on disk.
    pub(crate) fn new(folder: Arc<LogFolder>, base_offset: i64, entries: u64) -> Self {
        Self { base_offset, file: EntryFile::new(folder, offset_file(base_offset, INDEX), entries) }
    }

    pub(crate) fn file(&self) -> &EntryFile<ENTRY_BYTES> {
        &self.file
    }

    fn decode(&self, entry: &[u8; ENTRY_BYTES]) -> OffsetPosition {
        decode(self.base_offset, entry)
    }

    /// Notes that the batch at `position` ends with `last_offset`. False when the file of `max_bytes` is full or the
    /// numbers do not fit; the segment is rolled before that.
    pub(crate) fn push(&self, last_offset: i64, position: u64) -> Result<(), StorageError> {
        let (Ok(relative), Ok(position)) = (i32::try_from(last_offset - self.base_offset), i32::try_from(position))
        else {
            return Ok(());
        };
        let [a, b, c, d] = relative.to_be_bytes();
        let [e, f, g, h] = position.to_be_bytes();
        self.file.push([a, b, c, d, e, f, g, h])
    }

    /// Whether no entry fits any more.
    pub(crate) fn is_full(&self, max_bytes: usize) -> bool {
        self.file.len() >= (max_bytes / ENTRY_BYTES) as u64
    }

    /// The last entry whose offset is at most `offset`.
    pub(crate) fn floor(&self, offset: i64, access: Access) -> Result<Option<OffsetPosition>, StorageError> {
        let (_, found) = self.file.search(access, |e| self.decode(e).offset <= offset)?;
        Ok(found.map(|e| self.decode(&e)))
    }

    /// Whether [`Self::floor`] is answered by an entry that was made lately.
    pub(crate) fn is_recent(&self, offset: i64) -> bool {
        self.file.is_pending(|e| self.decode(e).offset <= offset)
    }

    /// The last entry whose position is at most `position`.
    pub(crate) fn floor_position(&self, position: u64, access: Access) -> Result<Option<OffsetPosition>, StorageError> {
        let (_, found) = self.file.search(access, |e| self.decode(e).position <= position)?;
        Ok(found.map(|e| self.decode(&e)))
    }

    /// The entries of batches that begin behind `position`.
    pub(crate) fn behind(&self, position: u64) -> Result<Vec<OffsetPosition>, StorageError> {
        let entries = self.file.all()?;
        Ok(entries.iter().map(|e| self.decode(e)).filter(|entry| entry.position > position).collect())
    }

    /// Keeps the entries of batches that begin before `position`.
    pub(crate) fn truncate_to_position(&self, position: u64) -> Result<(), StorageError> {
        let (keep, _) = self.file.search(Access::MayWait, |e| self.decode(e).position < position)?;
        self.file.truncate(keep)
    }

    /// Keeps the ascending entries at the head that point below `size`: what follows is the zeros of a preallocated file
    /// or garbage of a crash.
    pub(crate) fn keep_ascending(&self, size: u64) -> Result<(), StorageError> {
        let mut before = OffsetPosition { offset: self.base_offset - 1, position: 0 };
        let mut keep = 0;
        for entry in self.file.all()? {
            let entry = self.decode(&entry);
            let first = keep == 0;
            if entry.offset <= before.offset || (!first && entry.position <= before.position) || entry.position >= size
            {
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
    fn bytes_and_answers_are_kafkas() {
        let dir = tempfile::tempdir().expect("a directory");
        let index = OffsetIndex::new(folder(dir.path()), 1000, 0);
        index.push(1009, 4200).expect("pushed");
        index.push(1021, 8500).expect("pushed");
        index.file().sync().expect("synced");
        let bytes = ottla_env::fs::read(index.file().path()).expect("read");
        assert_eq!(bytes, [0, 0, 0, 9, 0, 0, 0x10, 0x68, 0, 0, 0, 21, 0, 0, 0x21, 0x34]);
        assert_eq!(index.floor(1008, Access::MayWait).expect("searched"), None);
        assert_eq!(
            index.floor(1020, Access::MayWait).expect("searched"),
            Some(OffsetPosition { offset: 1009, position: 4200 })
        );
        assert_eq!(index.floor_position(9000, Access::MayWait).expect("searched").map(|e| e.offset), Some(1021));
        assert!(index.is_full(16) && !index.is_full(24));
        index.truncate_to_position(8500).expect("cut");
        assert_eq!(index.file().len(), 1);
    }

    #[test]
    fn the_zeros_of_a_preallocated_file_are_cut() {
        let dir = tempfile::tempdir().expect("a directory");
        let folder = folder(dir.path());
        let index = OffsetIndex::new(Arc::clone(&folder), 0, 0);
        index.push(9, 4200).expect("pushed");
        index.file().sync().expect("synced");
        let file = ottla_env::fs::File::open_rw(index.file().path()).expect("open");
        file.set_len(8000).expect("preallocated");
        let loaded = OffsetIndex::new(folder, 0, 1000);
        loaded.keep_ascending(10_000).expect("cut");
        assert_eq!((loaded.file().len(), file.len().expect("there")), (1, 8));
    }
}
