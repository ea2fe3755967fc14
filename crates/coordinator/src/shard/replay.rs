//! Records change the state: those of a log that is loaded, and those that are being written.

use std::sync::Arc;

use ottla_protocol::ErrorCode;

use super::GroupShard;
use crate::group::Group;
use crate::group::classic::ClassicGroup;
use crate::group::offsets::OffsetKey;
use crate::group::other_kinds::OtherGroup;
use crate::group::records::{Record, RecordError};
use crate::runtime::{Now, WriteId};
use crate::turn::{After, Timer};

impl GroupShard {
    /// Replays a record of the log. `producer_id` is set for a record of a transactional batch.
    ///
    /// # Errors
    /// [`RecordError`] when the record cannot be read: loading should then fail, as Kafka's does.
    pub fn replay(
        &mut self,
        producer_id: Option<i64>,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> Result<(), RecordError> {
        match (Record::decode(key, value)?, producer_id) {
            (Record::OffsetCommit(key, value), Some(producer_id)) => {
                // The group is there before its transaction has ended, as it is for Kafka.
                if value.is_some() {
                    self.ensure_group(&key.group, None);
                }
                self.offsets.load_transactional(producer_id, key, value);
            }
            (Record::OffsetCommit(key, value), None) => {
                if value.is_some() {
                    self.ensure_group(&key.group, None);
                }
                self.offsets.load(&key, value);
            }
            (Record::Group(id, Some(stored)), _) => {
                let group = ClassicGroup::from_stored(id.clone(), stored);
                self.groups.insert(id, Group::Classic(Box::new(group)));
            }
            (Record::Group(id, None), _) => {
                if let Some(Group::Classic(_)) = self.groups.get(&id) {
                    self.groups.remove(&id);
                }
            }
            (Record::Other { kind, group, of_the_group, member, tombstone }, _) => {
                if tombstone && of_the_group {
                    if let Some(Group::Other(_)) = self.groups.get(&group) {
                        self.groups.remove(&group);
                    }
                } else if !tombstone || member.is_some() {
                    self.replay_other(group, OtherGroup::new(kind), member, tombstone);
                }
            }
            (Record::Unknown(record_type), _) => {
                tracing::debug!(record_type, "coordinator record of a type that is not known: left as it is");
            }
        }
        Ok(())
    }

    /// A record of another kind of group: it takes the place of a simple group of the same id, which only offsets made.
    fn replay_other(&mut self, id: Arc<str>, new: OtherGroup, member: Option<Arc<str>>, tombstone: bool) {
        match self.groups.get_mut(&id) {
            Some(Group::Other(group)) if group.kind == new.kind => {}
            _ if tombstone => return,
            _ => {
                self.groups.insert(id.clone(), Group::Other(new));
            }
        }
        if let (Some(Group::Other(group)), Some(member)) = (self.groups.get_mut(&id), member) {
            group.replay_member(member, tombstone);
        }
    }

    /// Replays the control record that ends the transaction of a producer.
    pub fn replay_marker(&mut self, producer_id: i64, commit: bool) {
        for key in self.offsets.load_marker(producer_id, commit) {
            self.ensure_group(&key.group, None);
        }
    }

    /// The log is replayed: sessions start, and offsets are looked after.
    pub fn loaded(&mut self, now: Now) -> Vec<super::Effect> {
        let (groups, mut turn) = self.groups_and_turn(now);
        let interval_ms = turn.config.offsets_retention_check_interval_ms;
        turn.schedule(Timer::ExpireOffsets, interval_ms);
        for group in groups.values_mut() {
            if let Group::Classic(group) = group {
                group.loaded(&mut turn);
            }
        }
        self.take_effects()
    }

    /// Whoever has offsets is a group, if only a simple one. True if it is new.
    fn ensure_group(&mut self, id: &Arc<str>, created_by: Option<WriteId>) -> bool {
        let is_new = !self.groups.contains_key(id);
        if is_new {
            let group = ClassicGroup::simple(id.clone(), created_by);
            self.groups.insert(id.clone(), Group::Classic(Box::new(group)));
        }
        is_new
    }

    /// Has records appended, and replays them.
    pub(crate) fn write(&mut self, records: &[Record], then: After, now: Now) {
        let id = self.turn(now).write(records, then);
        let mut offsets = Vec::new();
        let mut created = Vec::new();
        let mut deleted = Vec::new();
        for record in records {
            match record {
                Record::OffsetCommit(key, value) => {
                    if value.is_some() && self.ensure_group(&key.group, Some(id)) {
                        created.push(key.group.clone());
                    }
                    self.offsets.apply(id, key, value.clone());
                    offsets.push(key.clone());
                }
                // Of a group that is here already, the record is a picture.
                Record::Group(group, Some(stored)) if !self.groups.contains_key(group) => {
                    let mut new = ClassicGroup::from_stored(group.clone(), stored.clone());
                    new.set_created_by(Some(id));
                    self.groups.insert(group.clone(), Group::Classic(Box::new(new)));
                    created.push(group.clone());
                }
                Record::Group(group, None) => {
                    if let Some(Group::Classic(group)) = self.groups.remove(group) {
                        deleted.push(*group);
                    }
                }
                Record::Group(_, Some(_)) | Record::Other { .. } | Record::Unknown(_) => {}
            }
        }
        if let Some(write) = self.writes.get_mut(id) {
            write.offsets = offsets;
            write.created = created;
            if !deleted.is_empty() {
                write.then = After::Deleted(deleted);
            }
        }
    }

    /// A write was refused: it has never been.
    pub(super) fn undo(
        &mut self,
        write: WriteId,
        offsets: &[OffsetKey],
        created: &[Arc<str>],
        error: ErrorCode,
        now: Now,
    ) {
        for key in offsets {
            self.offsets.undo(write, key);
        }
        for id in created {
            if matches!(self.groups.get(id), Some(Group::Classic(group)) if group.created_by() == Some(write))
                && let Some(Group::Classic(mut group)) = self.groups.remove(id)
            {
                group.dismiss(crate::turn::write_error(error), &mut self.turn(now));
            }
        }
    }
}
