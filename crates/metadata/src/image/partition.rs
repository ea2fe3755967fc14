//! [`PartitionRegistration`]: the state of a partition, and what a change record makes of it.

use ottla_protocol::Uuid;

use crate::image::ReplayError;
use crate::records::{PartitionChangeRecord, PartitionRecord};

/// The leader of a partition that has none.
pub const NO_LEADER: i32 = -1;

/// In a change record: the leader, and with it the leader epoch, stays.
pub const NO_LEADER_CHANGE: i32 = -2;

/// In a change record: the leader recovery state stays.
const NO_RECOVERY_STATE_CHANGE: i8 = -1;

/// Directory id of a replica from before directories were recorded (`DirectoryId.MIGRATING`).
pub const MIGRATING_DIRECTORY: Uuid = Uuid::MIGRATING_DIRECTORY;

/// A partition as the metadata log has it (`org.apache.kafka.metadata.PartitionRegistration`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionRegistration {
    /// Broker ids; the first is the preferred leader.
    pub replicas: Vec<i32>,
    /// Directory of each replica, in the order of `replicas` (KIP-858).
    pub directories: Vec<Uuid>,
    /// Replicas that are in sync.
    pub isr: Vec<i32>,
    /// Replicas that a reassignment takes away.
    pub removing_replicas: Vec<i32>,
    /// Replicas that a reassignment adds.
    pub adding_replicas: Vec<i32>,
    /// Replicas out of the ISR that have all that is below the high watermark (KIP-966).
    pub elr: Vec<i32>,
    /// Former members of the ELR that came back after an unclean shutdown (KIP-966).
    pub last_known_elr: Vec<i32>,
    /// Broker id, or [`NO_LEADER`].
    pub leader: i32,
    /// 0: recovered; 1: the leader was elected uncleanly and is recovering (KIP-704).
    pub leader_recovery_state: i8,
    /// Grows by one whenever a leader is written, be it the same one.
    pub leader_epoch: i32,
    /// Grows by one at every change.
    pub partition_epoch: i32,
}

impl PartitionRegistration {
    /// The state that a partition record states in full.
    ///
    /// # Errors
    /// When the directories do not match the replicas.
    pub fn from_record(record: PartitionRecord) -> Result<Self, ReplayError> {
        let directories = if record.directories.is_empty() {
            vec![MIGRATING_DIRECTORY; record.replicas.len()]
        } else {
            record.directories
        };
        let partition = Self {
            replicas: record.replicas,
            directories,
            isr: record.isr,
            removing_replicas: record.removing_replicas,
            adding_replicas: record.adding_replicas,
            elr: record.eligible_leader_replicas.unwrap_or_default(),
            last_known_elr: record.last_known_elr.unwrap_or_default(),
            leader: record.leader,
            leader_recovery_state: record.leader_recovery_state,
            leader_epoch: record.leader_epoch,
            partition_epoch: record.partition_epoch,
        };
        partition.checked("PartitionRecord", record.partition_id)
    }

    /// The state after a change. What the record leaves out stays; a leader in it raises the leader epoch even when it is
    /// the same leader; the partition epoch always grows.
    ///
    /// # Errors
    /// When the directories do not match the replicas.
    pub fn merge(&self, change: &PartitionChangeRecord) -> Result<Self, ReplayError> {
        let replicas = change.replicas.as_ref().unwrap_or(&self.replicas).clone();
        let directories = match &change.directories {
            Some(directories) => directories.clone(),
            None => self.directories_for(&replicas),
        };
        let (leader, leader_epoch) = match change.leader {
            NO_LEADER_CHANGE => (self.leader, self.leader_epoch),
            leader => (leader, self.leader_epoch.wrapping_add(1)),
        };
        let merged = Self {
            replicas,
            directories,
            isr: change.isr.as_ref().unwrap_or(&self.isr).clone(),
            removing_replicas: change.removing_replicas.as_ref().unwrap_or(&self.removing_replicas).clone(),
            adding_replicas: change.adding_replicas.as_ref().unwrap_or(&self.adding_replicas).clone(),
            elr: change.eligible_leader_replicas.as_ref().unwrap_or(&self.elr).clone(),
            last_known_elr: change.last_known_elr.as_ref().unwrap_or(&self.last_known_elr).clone(),
            leader,
            leader_recovery_state: match change.leader_recovery_state {
                NO_RECOVERY_STATE_CHANGE => self.leader_recovery_state,
                state => state,
            },
            leader_epoch,
            partition_epoch: self.partition_epoch.wrapping_add(1),
        };
        merged.checked("PartitionChangeRecord", change.partition_id)
    }

    /// The record that states this partition in full.
    #[must_use]
    pub fn to_record(&self, topic_id: Uuid, partition_id: i32) -> PartitionRecord {
        let some = |list: &Vec<i32>| (!list.is_empty()).then(|| list.clone());
        PartitionRecord {
            partition_id,
            topic_id,
            replicas: self.replicas.clone(),
            isr: self.isr.clone(),
            removing_replicas: self.removing_replicas.clone(),
            adding_replicas: self.adding_replicas.clone(),
            leader: self.leader,
            leader_recovery_state: self.leader_recovery_state,
            leader_epoch: self.leader_epoch,
            partition_epoch: self.partition_epoch,
            directories: self.directories.clone(),
            eligible_leader_replicas: some(&self.elr),
            last_known_elr: some(&self.last_known_elr),
        }
    }

    /// Whether a broker has a replica of it.
    #[must_use]
    pub fn has_replica(&self, broker: i32) -> bool {
        self.replicas.contains(&broker)
    }

    /// Whether a reassignment is under way.
    #[must_use]
    pub fn is_reassigning(&self) -> bool {
        !self.adding_replicas.is_empty() || !self.removing_replicas.is_empty()
    }

    /// The directory of a broker's replica.
    #[must_use]
    pub fn directory_of(&self, broker: i32) -> Option<Uuid> {
        self.replicas.iter().position(|r| *r == broker).and_then(|at| self.directories.get(at).copied())
    }

    /// Directories for other replicas: those that stay keep theirs, for new ones it is not yet known.
    fn directories_for(&self, replicas: &[i32]) -> Vec<Uuid> {
        replicas.iter().map(|r| self.directory_of(*r).unwrap_or(Uuid::UNASSIGNED_DIRECTORY)).collect()
    }

    fn checked(self, record: &'static str, partition: i32) -> Result<Self, ReplayError> {
        let (replicas, directories) = (self.replicas.len(), self.directories.len());
        if replicas == directories {
            Ok(self)
        } else {
            Err(ReplayError::DirectoriesDoNotMatch { record, partition, replicas, directories })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition() -> PartitionRegistration {
        PartitionRegistration {
            replicas: vec![1, 2, 3],
            directories: vec![Uuid([1; 16]), Uuid([2; 16]), Uuid([3; 16])],
            isr: vec![1, 2],
            removing_replicas: vec![],
            adding_replicas: vec![],
            elr: vec![3],
            last_known_elr: vec![],
            leader: 1,
            leader_recovery_state: 0,
            leader_epoch: 5,
            partition_epoch: 9,
        }
    }

    #[test]
    fn what_a_change_leaves_out_stays() {
        let shrunk = partition().merge(&PartitionChangeRecord { isr: Some(vec![1]), ..Default::default() }).unwrap();
        assert_eq!(shrunk, PartitionRegistration { isr: vec![1], partition_epoch: 10, ..partition() });
    }

    #[test]
    fn a_leader_in_the_record_raises_the_epoch_even_if_it_is_the_same() {
        for leader in [1, 2, NO_LEADER] {
            let after = partition().merge(&PartitionChangeRecord { leader, ..Default::default() }).unwrap();
            assert_eq!((after.leader, after.leader_epoch, after.partition_epoch), (leader, 6, 10));
        }
    }

    #[test]
    fn replicas_that_stay_keep_their_directories() {
        let change = PartitionChangeRecord { replicas: Some(vec![4, 3]), ..Default::default() };
        let after = partition().merge(&change).unwrap();
        assert_eq!(after.directories, vec![Uuid::UNASSIGNED_DIRECTORY, Uuid([3; 16])]);
        let wrong = PartitionChangeRecord { directories: Some(vec![Uuid::ZERO]), ..Default::default() };
        assert!(matches!(partition().merge(&wrong), Err(ReplayError::DirectoriesDoNotMatch { .. })));
    }
}
