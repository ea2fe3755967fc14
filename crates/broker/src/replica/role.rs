//! What a replica is to its partition, and how the high watermark follows from what the followers fetched. Pure.

use std::collections::BTreeMap;

use ottla_metadata::image::PartitionRegistration;

/// The part this broker plays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// It takes the writes.
    Leader(Leadership),
    /// Somebody else does, or nobody (`leader` is -1).
    Follower {
        /// The leader, -1 for none.
        leader: i32,
        /// Its epoch.
        leader_epoch: i32,
    },
}

/// What a leader keeps of its partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leadership {
    /// Epoch of this leadership.
    pub leader_epoch: i32,
    /// Version of the partition's registration (KIP-497), named in changes of the ISR.
    pub partition_epoch: i32,
    /// All replicas, the leader included.
    pub replicas: Vec<i32>,
    /// Those that must have a record before it counts as committed, the leader included.
    pub isr: Vec<i32>,
    /// Log end offset at the start of this leadership: followers join the ISR only beyond it.
    pub start_offset: i64,
    /// What each follower is known to have.
    pub followers: BTreeMap<i32, FollowerState>,
}

/// A follower as its leader sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FollowerState {
    /// Its log end offset; -1 until it fetched in this epoch.
    pub log_end_offset: i64,
    /// When it last had everything, in monotonic milliseconds.
    pub caught_up_ms: i64,
}

impl Role {
    /// The role that a registration gives to broker `me`. Progress of followers is kept while the epoch stays.
    #[must_use]
    pub fn assigned(
        previous: Option<&Self>,
        registration: &PartitionRegistration,
        me: i32,
        log_end_offset: i64,
    ) -> Self {
        if registration.leader != me {
            return Self::Follower { leader: registration.leader, leader_epoch: registration.leader_epoch };
        }
        let same_term = match previous {
            Some(Self::Leader(l)) if l.leader_epoch == registration.leader_epoch => Some(l),
            _ => None,
        };
        let unknown = FollowerState { log_end_offset: -1, caught_up_ms: -1 };
        let follower = |id: &i32| (*id, same_term.and_then(|l| l.followers.get(id)).copied().unwrap_or(unknown));
        Self::Leader(Leadership {
            leader_epoch: registration.leader_epoch,
            partition_epoch: registration.partition_epoch,
            replicas: registration.replicas.clone(),
            isr: registration.isr.clone(),
            start_offset: same_term.map_or(log_end_offset, |l| l.start_offset),
            followers: registration.replicas.iter().filter(|id| **id != me).map(follower).collect(),
        })
    }
}

impl Leadership {
    /// The smallest ISR with which records count as committed: `min.insync.replicas`, but never more than there are
    /// replicas (`Partition.effectiveMinIsr`).
    #[must_use]
    pub fn effective_min_isr(&self, min_insync_replicas: usize) -> usize {
        min_insync_replicas.min(self.replicas.len())
    }

    /// The offset below which every record is on all of the ISR, given the leader's own log end offset. `None` when it
    /// cannot be told, or must not move because the ISR is too small (KIP-966).
    #[must_use]
    pub fn high_watermark(&self, own_end_offset: i64, min_insync_replicas: usize) -> Option<i64> {
        if self.isr.len() < self.effective_min_isr(min_insync_replicas) {
            return None;
        }
        let mut watermark = own_end_offset;
        for id in &self.isr {
            if let Some(follower) = self.followers.get(id) {
                watermark = watermark.min(follower.log_end_offset);
            }
        }
        (watermark >= 0).then_some(watermark)
    }

    /// Notes that a follower has everything below `offset`. False for a broker that is no replica.
    pub fn follower_fetched(&mut self, id: i32, offset: i64, own_end_offset: i64, now_ms: i64) -> bool {
        let Some(follower) = self.followers.get_mut(&id) else { return false };
        follower.log_end_offset = offset;
        if offset >= own_end_offset {
            follower.caught_up_ms = now_ms;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use ottla_protocol::Uuid;

    use super::*;

    fn registration(leader: i32, leader_epoch: i32, isr: &[i32]) -> PartitionRegistration {
        PartitionRegistration {
            replicas: vec![1, 2, 3],
            directories: vec![Uuid::ZERO; 3],
            isr: isr.to_vec(),
            removing_replicas: Vec::new(),
            adding_replicas: Vec::new(),
            elr: Vec::new(),
            last_known_elr: Vec::new(),
            leader,
            leader_recovery_state: 0,
            leader_epoch,
            partition_epoch: 0,
        }
    }

    fn leadership(role: Role) -> Leadership {
        match role {
            Role::Leader(l) => l,
            Role::Follower { .. } => panic!("a leader was expected"),
        }
    }

    #[test]
    fn the_high_watermark_is_what_the_whole_isr_has() {
        let mut l = leadership(Role::assigned(None, &registration(1, 4, &[1, 2]), 1, 10));
        assert_eq!(l.high_watermark(20, 1), None, "follower 2 has not fetched in this epoch");
        assert!(l.follower_fetched(2, 15, 20, 0));
        assert_eq!(l.high_watermark(20, 1), Some(15));
        assert!(l.follower_fetched(3, 5, 20, 0));
        assert_eq!(l.high_watermark(20, 1), Some(15), "3 is not in the ISR");
        assert!(!l.follower_fetched(9, 20, 20, 0), "9 is no replica");
    }

    #[test]
    fn it_stands_still_while_the_isr_is_below_its_minimum() {
        let l = leadership(Role::assigned(None, &registration(1, 4, &[1]), 1, 10));
        assert_eq!(l.high_watermark(20, 2), None);
        assert_eq!(l.high_watermark(20, 1), Some(20));
        assert_eq!(l.effective_min_isr(5), 3, "never more than there are replicas");
    }

    #[test]
    fn progress_outlives_a_change_of_the_isr_but_not_of_the_epoch() {
        let mut first = leadership(Role::assigned(None, &registration(1, 4, &[1, 2]), 1, 10));
        first.follower_fetched(2, 15, 20, 0);
        let first = Role::Leader(first);
        let shrunk = leadership(Role::assigned(Some(&first), &registration(1, 4, &[1]), 1, 20));
        assert_eq!((shrunk.followers[&2].log_end_offset, shrunk.start_offset), (15, 10));
        let next = leadership(Role::assigned(Some(&first), &registration(1, 5, &[1, 2]), 1, 20));
        assert_eq!((next.followers[&2].log_end_offset, next.start_offset), (-1, 20));
    }
}
