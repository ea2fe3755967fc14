//! `.txnindex`: the aborted transactions whose marker lies in the segment, so that consumers that read committed records
//! can leave theirs out. Made with the first of them. Kafka class: `TransactionIndex`.
//!
//! ```text
//!   0   2            10             18            26                 34
//!   ├───┼────────────┼──────────────┼─────────────┼──────────────────┤
//!   │ 0 │ producerId │ firstOffset  │ lastOffset  │ lastStableOffset │     big-endian, by last offset
//!   ├───┼────────────┼──────────────┼─────────────┼──────────────────┤
//! ```
//! `lastOffset` is the marker's, `lastStableOffset` that of the log when the marker was written.

use std::sync::Arc;

use crate::access::Access;
use crate::entry_file::EntryFile;
use crate::error::StorageError;
use crate::file_names::{TXN_INDEX, offset_file};
use crate::log_folder::LogFolder;

/// Bytes of an entry.
pub(crate) const ENTRY_BYTES: usize = 34;

/// An aborted transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbortedTransaction {
    /// Whose.
    pub producer_id: i64,
    /// First offset of its records.
    pub first_offset: i64,
    /// Offset of its marker.
    pub last_offset: i64,
    /// Last stable offset of the log when the marker was written.
    pub last_stable_offset: i64,
}

/// Reads an entry, whatever version it says that it has.
pub(crate) fn decode(entry: &[u8; ENTRY_BYTES]) -> AbortedTransaction {
    let number = |at: usize| {
        let bytes = entry.get(at..at + 8).and_then(|b| b.first_chunk::<8>()).copied().unwrap_or_default();
        i64::from_be_bytes(bytes)
    };
    AbortedTransaction {
        producer_id: number(2),
        first_offset: number(10),
        last_offset: number(18),
        last_stable_offset: number(26),
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct TransactionIndex {
    file: EntryFile<ENTRY_BYTES>,
}

impl TransactionIndex {
    /// The index with `entries` entries on disk.
    pub(crate) fn new(folder: Arc<LogFolder>, base_offset: i64, entries: u64) -> Self {
        Self { file: EntryFile::new(folder, offset_file(base_offset, TXN_INDEX), entries) }
    }

    pub(crate) fn file(&self) -> &EntryFile<ENTRY_BYTES> {
        &self.file
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.file.len() == 0
    }

    pub(crate) fn push(&self, aborted: AbortedTransaction) -> Result<(), StorageError> {
        let mut entry = [0; ENTRY_BYTES];
        let numbers = [aborted.producer_id, aborted.first_offset, aborted.last_offset, aborted.last_stable_offset]
            .map(i64::to_be_bytes);
        for (to, from) in entry.iter_mut().skip(2).zip(numbers.as_flattened()) {
            *to = *from;
        }
        self.file.push(entry)
    }

    /// All of them.
    pub(crate) fn all(&self) -> Result<Vec<AbortedTransaction>, StorageError> {
        Ok(self.file.all()?.iter().map(decode).collect())
    }

    /// Adds the transactions that overlap `from..to`. True: whatever was aborted later begins at or behind `to`, since the
    /// log was stable up to there when an entry was made.
    pub(crate) fn within(
        &self,
        from: i64,
        to: i64,
        access: Access,
        found: &mut Vec<AbortedTransaction>,
    ) -> Result<bool, StorageError> {
        let (mut next, _) = self.file.search(access, |entry| decode(entry).last_offset < from)?;
        loop {
            let page = self.file.page(next, access)?;
            if page.is_empty() {
                return Ok(false);
            }
            next += page.len() as u64;
            for entry in page.iter().map(decode) {
                if entry.first_offset < to {
                    found.push(entry);
                }
                if entry.last_stable_offset >= to {
                    return Ok(true);
                }
            }
        }
    }

    /// Whether the entries can be those of a segment of `base..next_base`. Kafka: `TransactionIndex.sanityCheck`.
    pub(crate) fn is_sound(&self, base: i64, next_base: i64) -> Result<bool, StorageError> {
        let mut before = base - 1;
        Ok(self.file.all()?.iter().all(|entry| {
            let it = decode(entry);
            let ascends = it.last_offset > before;
            before = it.last_offset;
            entry.starts_with(&[0, 0])
                && ascends
                && it.last_offset < next_base
                && (0..it.last_offset).contains(&it.first_offset)
                && it.last_stable_offset >= 0
                && it.producer_id >= 0
        }))
    }

    /// Removes the file.
    pub(crate) fn remove(&self) -> Result<(), StorageError> {
        self.file.remove()
    }

    /// Keeps the transactions whose marker lies below `offset`.
    pub(crate) fn truncate_to_offset(&self, offset: i64) -> Result<(), StorageError> {
        if self.is_empty() {
            return Ok(());
        }
        let keep = self.all()?.iter().take_while(|t| t.last_offset < offset).count();
        self.file.truncate(keep as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry_file::tests::folder;

    #[test]
    fn an_entry_is_kafkas() {
        let dir = tempfile::tempdir().expect("a directory");
        let index = TransactionIndex::new(folder(dir.path()), 0, 0);
        let aborted = AbortedTransaction { producer_id: 7, first_offset: 10, last_offset: 20, last_stable_offset: 5 };
        index.push(aborted).expect("pushed");
        index.push(AbortedTransaction { last_offset: 30, ..aborted }).expect("pushed");
        index.file().sync().expect("synced");
        let bytes = ottla_env::fs::read(index.file().path()).expect("read");
        assert_eq!(bytes.len(), 68);
        assert_eq!(bytes.first_chunk::<10>(), Some(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 7]));
        assert_eq!(index.all().expect("read").first(), Some(&aborted));
        index.truncate_to_offset(30).expect("cut");
        assert_eq!(index.all().expect("read"), [aborted]);
    }

    #[test]
    fn a_search_finds_what_overlaps_and_says_when_nothing_more_can() {
        let dir = tempfile::tempdir().expect("a directory");
        let index = TransactionIndex::new(folder(dir.path()), 0, 0);
        // Transactions of ten offsets each, one after the other, over several pages; and a long one around the last.
        let short = |n: i64| AbortedTransaction {
            producer_id: 1,
            first_offset: n * 10,
            last_offset: n * 10 + 9,
            last_stable_offset: n * 10 + 10,
        };
        for n in 0..300 {
            index.push(short(n)).expect("pushed");
            if n == 290 {
                index.file().write_pending().expect("written");
            }
        }
        let long =
            AbortedTransaction { producer_id: 2, first_offset: 2_000, last_offset: 3_000, last_stable_offset: 3_001 };
        index.push(long).expect("pushed");
        let within = |from, to| {
            let mut found = Vec::new();
            let complete = index.within(from, to, Access::MayWait, &mut found).expect("searched");
            (found, complete)
        };
        assert_eq!(within(15, 31), (vec![short(1), short(2), short(3)], true));
        assert_eq!(within(10, 10), (vec![], true));
        let (found, complete) = within(2_500, 4_000);
        assert_eq!((found.len(), found.last(), complete), (51, Some(&long), false));
        assert_eq!(within(3_001, 9_000), (vec![], false));
        assert!(index.is_sound(0, 3_001).expect("read") && !index.is_sound(0, 3_000).expect("read"));
        assert!(!index.is_sound(10, 9_999).expect("read"), "a marker before the segment");
        index.remove().expect("removed");
        assert!(index.is_empty() && within(0, 9_999).0.is_empty());
    }
}
