//! Which leader epoch began where: what a replica needs to find out how far its log agrees with the leader's (KIP-101,
//! KIP-279). Kafka class: `LeaderEpochFileCache`.
//!
//! ```text
//!  epoch 0          epoch 2                  epoch 5
//!  ├────────────────┼────────────────────────┼──────────────> log end
//!  0                17                       42
//! ```
//! Kept in memory, and in `leader-epoch-checkpoint` (`epoch start_offset` per line) whenever it changes.
//! Invariant: epochs and start offsets both ascend strictly.

use std::path::Path;

use crate::checkpoint::{lines_of, text_of};
use crate::error::StorageError;

/// Name of the file.
pub(crate) const FILE_NAME: &str = "leader-epoch-checkpoint";

/// Where an epoch ends, as OffsetForLeaderEpoch and diverging fetches tell it. Both -1: nothing is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochEnd {
    /// The largest epoch not above the one asked for.
    pub epoch: i32,
    /// Offset after its last record.
    pub end_offset: i64,
}

/// One epoch and its first offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochStart {
    /// Leader epoch.
    pub epoch: i32,
    /// Offset of its first record.
    pub start_offset: i64,
}

/// See the module. Changes only memory; [`Self::to_text`] is what the owner writes to the file.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct LeaderEpochCache {
    entries: Vec<EpochStart>,
}

impl LeaderEpochCache {
    /// Reads the file's text.
    pub(crate) fn from_text(text: &str) -> Result<Self, String> {
        let mut cache = Self::default();
        for line in lines_of(text)? {
            let entry = line
                .split_once(' ')
                .and_then(|(epoch, offset)| Some((epoch.parse().ok()?, offset.parse().ok()?)))
                .ok_or_else(|| format!("`{line}` is not `epoch offset`"))?;
            cache.assign(entry.0, entry.1);
        }
        Ok(cache)
    }

    /// The file's text.
    pub(crate) fn to_text(&self) -> String {
        let mut text = format!("0\n{}\n", self.entries.len());
        for entry in &self.entries {
            text.push_str(&format!("{} {}\n", entry.epoch, entry.start_offset));
        }
        text
    }

    /// All epochs, ascending.
    pub(crate) fn entries(&self) -> &[EpochStart] {
        &self.entries
    }

    /// Notes that `epoch` starts at `start_offset`. Later entries that contradict it are dropped: the log was cut there.
    /// True when something changed.
    pub(crate) fn assign(&mut self, epoch: i32, start_offset: i64) -> bool {
        if epoch < 0 || start_offset < 0 {
            return false;
        }
        if self.entries.last().is_some_and(|last| last.epoch == epoch && last.start_offset <= start_offset) {
            return false;
        }
        let before = self.entries.len();
        self.entries.retain(|entry| {
            let begun = entry.epoch == epoch && entry.start_offset <= start_offset;
            begun || (entry.epoch < epoch && entry.start_offset < start_offset)
        });
        // A scan from the middle of an epoch finds it begun; only what contradicted it goes.
        if self.entries.last().is_some_and(|last| last.epoch == epoch) {
            return self.entries.len() != before;
        }
        self.entries.push(EpochStart { epoch, start_offset });
        true
    }

    /// The newest epoch.
    pub(crate) fn latest(&self) -> Option<EpochStart> {
        self.entries.last().copied()
    }

    /// The epoch of the record at `offset`.
    pub(crate) fn epoch_at(&self, offset: i64) -> Option<i32> {
        let after = self.entries.partition_point(|entry| entry.start_offset <= offset);
        after.checked_sub(1).and_then(|i| self.entries.get(i)).map(|entry| entry.epoch)
    }

    /// Kafka's rules (protocol.md 3.2): the latest epoch ends at the log end; one between ends where the next begins; one
    /// below all known is told with the start of the first; one above, or -1, is not known.
    pub(crate) fn end_offset_for(&self, epoch: i32, log_end_offset: i64) -> EpochEnd {
        let unknown = EpochEnd { epoch: -1, end_offset: -1 };
        let Some(latest) = self.entries.last() else { return unknown };
        if epoch < 0 || epoch > latest.epoch {
            return unknown;
        }
        if epoch == latest.epoch {
            return EpochEnd { epoch, end_offset: log_end_offset };
        }
        let above = self.entries.partition_point(|entry| entry.epoch <= epoch);
        let end_offset = self.entries.get(above).map_or(log_end_offset, |next| next.start_offset);
        let found = above.checked_sub(1).and_then(|i| self.entries.get(i)).map_or(epoch, |entry| entry.epoch);
        EpochEnd { epoch: found, end_offset }
    }

    /// The log now ends at `end_offset`. True when something changed.
    pub(crate) fn truncate_from_end(&mut self, end_offset: i64) -> bool {
        let before = self.entries.len();
        self.entries.retain(|entry| entry.start_offset < end_offset);
        self.entries.len() != before
    }

    /// The log now starts at `start_offset`; the epoch in force there is moved up to it. True when something changed.
    pub(crate) fn truncate_from_start(&mut self, start_offset: i64) -> bool {
        let after = self.entries.partition_point(|entry| entry.start_offset <= start_offset);
        let Some(in_force) = after.checked_sub(1) else { return false };
        let changed = in_force > 0 || self.entries.first().is_some_and(|e| e.start_offset != start_offset);
        self.entries.drain(..in_force);
        if let Some(first) = self.entries.first_mut() {
            first.start_offset = start_offset;
        }
        changed
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }
}

/// Reads `leader-epoch-checkpoint`; a missing one is empty, and so is a corrupt one, which recovery fills again from the
/// batches (`corrupt` is told why).
pub(crate) fn load(path: &Path) -> Result<(LeaderEpochCache, Option<String>), StorageError> {
    let Some(text) = text_of(path)? else { return Ok((LeaderEpochCache::default(), None)) };
    match text.and_then(|text| LeaderEpochCache::from_text(&text)) {
        Ok(cache) => Ok((cache, None)),
        Err(reason) => Ok((LeaderEpochCache::default(), Some(reason))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache() -> LeaderEpochCache {
        LeaderEpochCache::from_text("0\n3\n0 0\n2 17\n5 42\n").expect("well-formed")
    }

    #[test]
    fn ends_are_kafkas() {
        let cache = cache();
        let end = |epoch| {
            let end = cache.end_offset_for(epoch, 60);
            (end.epoch, end.end_offset)
        };
        assert_eq!(end(5), (5, 60));
        assert_eq!(end(4), (2, 42));
        assert_eq!(end(2), (2, 42));
        assert_eq!(end(1), (0, 17));
        assert_eq!(end(6), (-1, -1));
        assert_eq!(end(-1), (-1, -1));
        let mut later = LeaderEpochCache::default();
        later.assign(7, 100);
        assert_eq!(later.end_offset_for(3, 120), EpochEnd { epoch: 3, end_offset: 100 });
        assert_eq!(LeaderEpochCache::default().end_offset_for(0, 9), EpochEnd { epoch: -1, end_offset: -1 });
    }

    #[test]
    fn an_epoch_is_noted_once_and_a_contradiction_replaces_what_follows() {
        let mut cache = cache();
        assert!(!cache.assign(5, 50));
        assert!(cache.assign(6, 50));
        assert!(cache.assign(7, 42), "the log was cut at 42 and goes on with epoch 7");
        assert_eq!(cache.to_text(), "0\n3\n0 0\n2 17\n7 42\n");
        assert_eq!(cache.epoch_at(16), Some(0));
        assert_eq!(cache.epoch_at(42), Some(7));
    }

    #[test]
    fn a_scan_from_within_an_epoch_leaves_its_start() {
        let mut cache = cache();
        assert!(cache.assign(2, 30), "epoch 5 contradicts it");
        assert_eq!(cache.to_text(), "0\n2\n0 0\n2 17\n");
        assert!(!cache.assign(2, 31) && cache.assign(5, 42));
        assert_eq!(cache, self::cache());
    }

    #[test]
    fn truncation_keeps_the_epoch_in_force() {
        let mut cache = cache();
        assert!(cache.truncate_from_start(20));
        assert_eq!(cache.to_text(), "0\n2\n2 20\n5 42\n");
        assert!(!cache.truncate_from_start(20));
        assert!(cache.truncate_from_end(42));
        assert_eq!(cache.to_text(), "0\n1\n2 20\n");
        assert!(cache.truncate_from_end(20));
        assert_eq!(cache.latest(), None);
    }
}
