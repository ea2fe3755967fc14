//! What the core knows of the log without reading it: where it starts and ends, how far it is synced, and where each
//! epoch began.
//!
//! ```text
//!   snapshot          log_start            synced        end
//!   ────────┤         ├────────────────────┼─────────────┤
//!            epochs:  (1, 0) (4, 17) (5, 30)
//! ```

use super::event::{OffsetAndEpoch, SnapshotId};

/// The outline of the metadata log.
#[derive(Debug, Clone, Default)]
pub struct LogView {
    start_offset: i64,
    end_offset: i64,
    synced_offset: i64,
    /// `(epoch, offset of its first record)`, both ascending.
    epochs: Vec<(i32, i64)>,
    latest_snapshot: Option<SnapshotId>,
    /// Changes whenever records are taken back, so that a sync begun before that counts for nothing.
    generation: u64,
}

/// How a follower's position relates to this log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validation {
    /// Its log is a prefix of ours.
    Valid,
    /// Its log departs from ours; ours has this epoch ending there.
    Diverging(OffsetAndEpoch),
    /// What it lacks is no longer in the log.
    Snapshot(SnapshotId),
}

impl LogView {
    /// A log as found on disk; everything found counts as synced, because recovery syncs it.
    #[must_use]
    pub fn new(
        start_offset: i64,
        end_offset: i64,
        epochs: Vec<(i32, i64)>,
        latest_snapshot: Option<SnapshotId>,
    ) -> Self {
        let mut view = Self {
            start_offset,
            end_offset,
            synced_offset: end_offset,
            epochs: Vec::new(),
            latest_snapshot,
            generation: 0,
        };
        if let Some(snapshot) = latest_snapshot.filter(|s| s.end_offset > 0 && s.end_offset == start_offset) {
            view.epochs.push((snapshot.epoch, start_offset));
        }
        for (epoch, offset) in epochs {
            view.note_epoch(epoch, offset);
        }
        view
    }

    /// First offset still in the log.
    #[must_use]
    pub fn start_offset(&self) -> i64 {
        self.start_offset
    }

    /// The offset the next record gets.
    #[must_use]
    pub fn end_offset(&self) -> i64 {
        self.end_offset
    }

    /// Records below this survive a crash.
    #[must_use]
    pub fn synced_offset(&self) -> i64 {
        self.synced_offset
    }

    /// Epoch of the last record, or of the snapshot when the log is empty; 0 when there is neither.
    #[must_use]
    pub fn last_epoch(&self) -> i32 {
        self.epochs.last().map_or(0, |(epoch, _)| *epoch)
    }

    /// The newest snapshot.
    #[must_use]
    pub fn latest_snapshot(&self) -> Option<SnapshotId> {
        self.latest_snapshot
    }

    /// Which life of the tail this is; see [`super::Event::Synced`].
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The largest epoch not above `epoch`, and where it ends.
    #[must_use]
    pub fn end_offset_for_epoch(&self, epoch: i32) -> OffsetAndEpoch {
        let after = self.epochs.partition_point(|(e, _)| *e <= epoch);
        let end = self.epochs.get(after).map_or(self.end_offset, |(_, start)| *start);
        match after.checked_sub(1).and_then(|i| self.epochs.get(i)) {
            Some((found, _)) => OffsetAndEpoch { offset: end, epoch: *found },
            None => OffsetAndEpoch { offset: self.start_offset, epoch: 0 },
        }
    }

    /// Kafka's validateOffsetAndEpoch for a fetch from `offset` after a record of `epoch`.
    #[must_use]
    pub fn validate(&self, offset: i64, epoch: i32) -> Validation {
        if self.start_offset == 0 && offset == 0 && epoch == 0 {
            return Validation::Valid;
        }
        if let Some(snapshot) = self.latest_snapshot.filter(|_| self.start_offset > 0) {
            let oldest_epoch = self.epochs.first().map_or(snapshot.epoch, |(e, _)| *e);
            let other_history = offset == self.start_offset && epoch != oldest_epoch;
            if offset < self.start_offset || other_history || epoch < oldest_epoch {
                return Validation::Snapshot(snapshot);
            }
        }
        let end = self.end_offset_for_epoch(epoch);
        if end.epoch != epoch || end.offset < offset { Validation::Diverging(end) } else { Validation::Valid }
    }

    /// Where this log must be cut when the leader answers that `leader`'s epoch ends there.
    #[must_use]
    pub fn truncation_offset(&self, leader: OffsetAndEpoch) -> i64 {
        let local = self.end_offset_for_epoch(leader.epoch);
        if local.epoch == leader.epoch { local.offset.min(leader.offset) } else { local.offset.min(self.end_offset) }
    }

    pub(super) fn append(&mut self, epoch: i32, end_offset: i64) {
        self.note_epoch(epoch, self.end_offset);
        self.end_offset = end_offset;
    }

    pub(super) fn synced(&mut self, end_offset: i64, generation: u64) {
        if generation == self.generation {
            self.synced_offset = self.synced_offset.max(end_offset.min(self.end_offset));
        }
    }

    pub(super) fn truncate_to(&mut self, offset: i64) {
        self.end_offset = offset;
        self.synced_offset = self.synced_offset.min(offset);
        let start = self.start_offset;
        self.epochs.retain(|(_, first)| *first < offset || (*first == start && start == offset && offset > 0));
        self.generation += 1;
    }

    /// A snapshot of committed records exists: the log before it may go.
    pub(super) fn snapshot_written(&mut self, id: SnapshotId) {
        if id.end_offset <= self.start_offset {
            return;
        }
        self.latest_snapshot = Some(id);
        self.start_offset = id.end_offset;
        let kept: Vec<_> = self.epochs.iter().copied().filter(|(e, _)| *e > id.epoch).collect();
        self.epochs = std::iter::once((id.epoch, id.end_offset)).chain(kept).collect();
    }

    /// A snapshot fetched from the leader replaced the log.
    pub(super) fn snapshot_installed(&mut self, id: SnapshotId) {
        self.start_offset = id.end_offset;
        self.end_offset = id.end_offset;
        self.synced_offset = id.end_offset;
        self.epochs = vec![(id.epoch, id.end_offset)];
        self.latest_snapshot = Some(id);
        self.generation += 1;
    }

    fn note_epoch(&mut self, epoch: i32, offset: i64) {
        if self.epochs.last().is_none_or(|(last, _)| *last < epoch) {
            self.epochs.push((epoch, offset));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view() -> LogView {
        LogView::new(0, 40, vec![(1, 0), (4, 17), (5, 30)], None)
    }

    #[test]
    fn divergence_names_the_end_of_the_largest_epoch_not_above() {
        assert_eq!(view().validate(17, 1), Validation::Valid);
        assert_eq!(view().validate(20, 1), Validation::Diverging(OffsetAndEpoch { offset: 17, epoch: 1 }));
        assert_eq!(view().validate(20, 3), Validation::Diverging(OffsetAndEpoch { offset: 17, epoch: 1 }));
        assert_eq!(view().validate(41, 5), Validation::Diverging(OffsetAndEpoch { offset: 40, epoch: 5 }));
        assert_eq!(view().validate(0, 0), Validation::Valid);
    }

    #[test]
    fn a_sync_begun_before_a_truncation_counts_for_nothing() {
        let mut view = view();
        view.append(5, 50);
        let before = view.generation();
        view.truncate_to(45);
        view.append(6, 60);
        view.synced(50, before);
        assert_eq!(view.synced_offset(), 40);
        view.synced(60, view.generation());
        assert_eq!(view.synced_offset(), 60);
    }

    #[test]
    fn after_a_snapshot_only_its_own_history_may_go_on_from_the_start() {
        let mut view = view();
        view.snapshot_written(SnapshotId { end_offset: 30, epoch: 4 });
        assert_eq!(view.validate(30, 4), Validation::Valid);
        assert!(matches!(view.validate(30, 3), Validation::Snapshot(_)));
        assert!(matches!(view.validate(10, 1), Validation::Snapshot(_)));
        assert_eq!(view.validate(35, 5), Validation::Valid);
    }
}
