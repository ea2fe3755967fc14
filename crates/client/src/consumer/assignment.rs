//! The partitions of a consumer and how far each is. Pure.
//!
//! ```text
//!   Committed ──(no offset)──> Reset ──> At { fetch }      Committed ──(offset)──> At
//!        seek, out of range ──> Reset or At
//! ```
//!
//! Each change of place gives the partition a new version; answers to questions asked before it do not count.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::TopicPartition;
use crate::config::OffsetReset;

/// Where to begin, when no offset is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ResetTo {
    /// At the log start.
    Earliest,
    /// At the end.
    Latest,
    /// At the first record of at least this time, in milliseconds since the Unix epoch.
    Timestamp(i64),
}

/// How far a partition is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// At the group's committed offset, not yet known.
    Committed,
    /// At an offset that a leader must tell.
    Reset(ResetTo),
    /// At an offset.
    At {
        /// The next offset that the caller gets.
        position: i64,
        /// The next offset to fetch; ahead of `position` by what is buffered.
        fetch: i64,
    },
}

/// One partition.
#[derive(Debug, Clone)]
pub(super) struct PartitionState {
    pub(super) place: Place,
    pub(super) version: u64,
    pub(super) paused: bool,
    /// No fetch before this time, after an error.
    pub(super) not_before_ms: i64,
    /// Epoch of the last batch read; -1 when none was.
    pub(super) leader_epoch: i32,
    /// End of what consumers may read, as of the last fetch.
    pub(super) high_watermark: Option<i64>,
}

/// All partitions.
#[derive(Debug, Default)]
pub(super) struct Assignment {
    partitions: BTreeMap<TopicPartition, PartitionState>,
    next_version: u64,
}

impl Assignment {
    /// Replaces the set of partitions. Those that stay keep their place, new ones begin at `place`.
    pub(super) fn replace(&mut self, partitions: impl IntoIterator<Item = TopicPartition>, place: Place) {
        let mut before = std::mem::take(&mut self.partitions);
        for tp in partitions {
            let state = before.remove(&tp).unwrap_or_else(|| self.fresh(place));
            self.partitions.insert(tp, state);
        }
    }

    fn fresh(&mut self, place: Place) -> PartitionState {
        self.next_version += 1;
        PartitionState {
            place,
            version: self.next_version,
            paused: false,
            not_before_ms: 0,
            leader_epoch: -1,
            high_watermark: None,
        }
    }

    pub(super) fn partitions(&self) -> BTreeSet<TopicPartition> {
        self.partitions.keys().cloned().collect()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&TopicPartition, &PartitionState)> {
        self.partitions.iter()
    }

    pub(super) fn get(&self, tp: &TopicPartition) -> Option<&PartitionState> {
        self.partitions.get(tp)
    }

    pub(super) fn get_mut(&mut self, tp: &TopicPartition) -> Option<&mut PartitionState> {
        self.partitions.get_mut(tp)
    }

    /// The state of a partition if nothing moved it since `version`.
    pub(super) fn current_mut(&mut self, tp: &TopicPartition, version: u64) -> Option<&mut PartitionState> {
        self.partitions.get_mut(tp).filter(|s| s.version == version)
    }

    /// Moves a partition; what was fetched for its old place does not count any more. Returns whether it is assigned.
    pub(super) fn move_to(&mut self, tp: &TopicPartition, place: Place) -> bool {
        self.next_version += 1;
        let version = self.next_version;
        match self.partitions.get_mut(tp) {
            Some(state) => {
                state.place = place;
                state.version = version;
                state.not_before_ms = 0;
                true
            }
            None => false,
        }
    }

    /// Where the caller is in a partition.
    pub(super) fn position(&self, tp: &TopicPartition) -> Option<i64> {
        match self.partitions.get(tp)?.place {
            Place::At { position, .. } => Some(position),
            Place::Committed | Place::Reset(_) => None,
        }
    }

    /// Partitions whose offset must be asked for.
    pub(super) fn unplaced(&self, now_ms: i64) -> Vec<(TopicPartition, u64, Place)> {
        self.partitions
            .iter()
            .filter(|(_, s)| !matches!(s.place, Place::At { .. }) && s.not_before_ms <= now_ms)
            .map(|(tp, s)| (tp.clone(), s.version, s.place))
            .collect()
    }

    /// The earliest time at which a partition that waits after an error may go on.
    pub(super) fn next_ms(&self, now_ms: i64) -> Option<i64> {
        self.partitions.values().map(|s| s.not_before_ms).filter(|at| *at > now_ms).min()
    }
}

impl ResetTo {
    /// What the policy says; `None` for [`OffsetReset::None`].
    pub(super) fn of(policy: OffsetReset) -> Option<Self> {
        match policy {
            OffsetReset::Earliest => Some(Self::Earliest),
            OffsetReset::Latest => Some(Self::Latest),
            OffsetReset::None => None,
        }
    }

    /// The special timestamp of ListOffsets.
    pub(super) fn timestamp(self) -> i64 {
        match self {
            Self::Earliest => -2,
            Self::Latest => -1,
            Self::Timestamp(ms) => ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_that_stay_keep_their_place_and_a_seek_makes_old_answers_worthless() {
        let (a, b, c) = (TopicPartition::new("t", 0), TopicPartition::new("t", 1), TopicPartition::new("t", 2));
        let mut assignment = Assignment::default();
        assignment.replace([a.clone(), b.clone()], Place::Committed);
        assert!(assignment.move_to(&a, Place::At { position: 5, fetch: 9 }));
        let version = assignment.get(&a).expect("assigned").version;
        assignment.replace([a.clone(), c.clone()], Place::Committed);
        assert_eq!(assignment.position(&a), Some(5));
        assert!(assignment.current_mut(&a, version).is_some());
        assert_eq!(assignment.unplaced(0).iter().map(|(tp, ..)| tp.clone()).collect::<Vec<_>>(), [c]);
        assert!(assignment.move_to(&a, Place::Reset(ResetTo::Latest)));
        assert!(assignment.current_mut(&a, version).is_none());
        assert!(!assignment.move_to(&b, Place::Committed), "not assigned any more");
    }
}
