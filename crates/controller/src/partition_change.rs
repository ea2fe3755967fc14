//! From a partition and what happened to it to the record that changes it (Kafka: `PartitionChangeBuilder`).
//!
//! ```text
//!   ISR wanted ──> ELR: who left the ISR while it was smaller than min.insync.replicas (KIP-966)
//!              ──> leader: the present one if it may stay, else the first replica in the ISR (or, when that is empty, in
//!                  the ELR) that is alive, else the last leader alone, else (unclean) any replica that is alive
//!              ──> the fields that differ, or no record at all
//! ```

use ottla_metadata::image::PartitionRegistration;
use ottla_metadata::records::PartitionChangeRecord;
use ottla_protocol::ids::Uuid;

/// A leader field that says "none".
pub(crate) const NO_LEADER: i32 = -1;
/// A leader field of a change that says "as before".
pub(crate) const NO_LEADER_CHANGE: i32 = -2;
/// A leader recovery state field of a change that says "as before".
const NO_RECOVERY_CHANGE: i8 = -1;
/// The leader's log may lack records that were acknowledged.
pub(crate) const RECOVERING: i8 = 1;

/// Which leaders an election may choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Election {
    /// The first replica, if it is in the ISR and alive; otherwise as [`Self::Online`].
    Preferred,
    /// One that has all that is committed.
    Online,
    /// When there is none, one that may lack some of it.
    Unclean,
}

/// What is to become of a partition.
pub(crate) struct PartitionChange<'a> {
    pub(crate) topic_id: Uuid,
    pub(crate) partition_id: i32,
    pub(crate) partition: &'a PartitionRegistration,
    /// Whether a broker could lead: registered, not fenced, not shutting down.
    pub(crate) may_lead: &'a dyn Fn(i32) -> bool,
    pub(crate) election: Election,
    /// The topic's min.insync.replicas.
    pub(crate) min_isr: usize,
    /// Whether eligible leader replicas are kept.
    pub(crate) elr_enabled: bool,
    pub(crate) target_isr: Vec<i32>,
    /// Brokers that stopped without saying so: what they acknowledged may be lost.
    pub(crate) unclean_shutdown: Option<i32>,
    /// The state that a leader reports; `None` leaves it.
    pub(crate) recovery_state: Option<i8>,
    /// The replicas' directories; `None` leaves them.
    pub(crate) directories: Option<Vec<Uuid>>,
    /// Replicas that cannot lead although their brokers live: their directories have failed.
    pub(crate) lost: Vec<i32>,
}

/// ISR, ELR and leader while they are worked out.
struct Outcome {
    isr: Vec<i32>,
    elr: Vec<i32>,
    last_known_elr: Vec<i32>,
    leader: i32,
    recovery_state: i8,
}

impl PartitionChange<'_> {
    /// The record, or `None` when nothing changes.
    pub(crate) fn build(self) -> Option<PartitionChangeRecord> {
        let old = self.partition;
        let mut new = Outcome {
            isr: self.target_isr.clone(),
            elr: self.eligible(),
            last_known_elr: old.last_known_elr.clone(),
            leader: old.leader,
            recovery_state: self.recovery_state.unwrap_or(old.leader_recovery_state),
        };
        let elected = self.elect(&mut new);
        if elected == NO_LEADER && new.isr.is_empty() && !self.elr_enabled {
            // Without an ELR the ISR remembers who may lead again.
            new.isr.clone_from(&old.isr);
        }
        if self.elr_enabled && new.isr.is_empty() && !old.isr.is_empty() && old.leader != NO_LEADER {
            new.last_known_elr = vec![old.leader];
        }
        let record = self.difference(&new);
        (record
            != PartitionChangeRecord { partition_id: self.partition_id, topic_id: self.topic_id, ..Default::default() })
        .then_some(record)
    }

    /// The ELR for the ISR wanted: whoever was in either, is in the ISR no longer and did not stop uncleanly. Enough
    /// replicas in the ISR make it superfluous.
    fn eligible(&self) -> Vec<i32> {
        let old = self.partition;
        if !self.elr_enabled || self.target_isr.len() >= self.min_isr.min(old.replicas.len()) {
            return Vec::new();
        }
        let mut eligible: Vec<i32> = old.elr.iter().chain(&old.isr).copied().collect();
        eligible.retain(|r| !self.target_isr.contains(r) && self.unclean_shutdown != Some(*r));
        eligible.sort_unstable();
        eligible.dedup();
        eligible
    }

    /// Chooses the leader, and what follows from the choice; returns it.
    fn elect(&self, new: &mut Outcome) -> i32 {
        let old = self.partition;
        let eligible =
            |r: i32| new.isr.contains(&r) || (self.elr_enabled && new.isr.is_empty() && new.elr.contains(&r));
        let may_stay = |r: i32| eligible(r) && self.can_lead(r);
        let preferred = old.replicas.first().copied().filter(|r| self.election == Election::Preferred && may_stay(*r));
        let clean = preferred
            .or_else(|| Some(old.leader).filter(|r| may_stay(*r)))
            .or_else(|| old.replicas.iter().copied().find(|r| may_stay(*r)));
        let leader = clean.or_else(|| self.last_leader(new)).or_else(|| self.unclean());
        new.leader = leader.unwrap_or(NO_LEADER);
        match (clean, leader) {
            (Some(leader), _) if !new.isr.contains(&leader) => {
                // Out of the ELR: it has everything, and begins an ISR of its own.
                new.isr = vec![leader];
                new.elr.retain(|r| *r != leader);
                new.last_known_elr.clear();
                if new.isr.len() >= self.min_isr.min(old.replicas.len()) {
                    new.elr.clear();
                }
            }
            (None, Some(leader)) => {
                new.isr = vec![leader];
                new.elr.clear();
                new.last_known_elr.clear();
                new.recovery_state = RECOVERING;
            }
            _ => {}
        }
        if !new.isr.is_empty() {
            new.last_known_elr.clear();
        }
        new.leader
    }

    /// When nobody eligible is left, the leader that the partition lost last, and only that, is taken back without asking:
    /// no replica can have more.
    fn last_leader(&self, new: &Outcome) -> Option<i32> {
        match new.last_known_elr.as_slice() {
            [last] if self.elr_enabled && new.isr.is_empty() && new.elr.is_empty() => {
                Some(*last).filter(|r| self.can_lead(*r))
            }
            _ => None,
        }
    }

    fn unclean(&self) -> Option<i32> {
        let replicas = self.partition.replicas.iter().copied();
        (self.election == Election::Unclean).then(|| replicas.into_iter().find(|r| self.can_lead(*r))).flatten()
    }

    fn can_lead(&self, replica: i32) -> bool {
        !self.lost.contains(&replica) && (self.may_lead)(replica)
    }

    fn difference(&self, new: &Outcome) -> PartitionChangeRecord {
        let old = self.partition;
        PartitionChangeRecord {
            partition_id: self.partition_id,
            topic_id: self.topic_id,
            isr: (new.isr != old.isr).then(|| new.isr.clone()),
            leader: if new.leader == old.leader { NO_LEADER_CHANGE } else { new.leader },
            leader_recovery_state: if new.recovery_state == old.leader_recovery_state {
                NO_RECOVERY_CHANGE
            } else {
                new.recovery_state
            },
            directories: self.directories.clone().filter(|d| *d != old.directories),
            eligible_leader_replicas: (new.elr != old.elr).then(|| new.elr.clone()),
            last_known_elr: (new.last_known_elr != old.last_known_elr).then(|| new.last_known_elr.clone()),
            ..Default::default()
        }
    }
}
