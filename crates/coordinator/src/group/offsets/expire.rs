//! Offsets that nobody needs any longer: retention, groups without anything, topics that were deleted.

use std::sync::Arc;

use ottla_protocol::Uuid;

use super::{OffsetAndMetadata, OffsetKey, Offsets};
use crate::group::Group;
use crate::group::classic::{ClassicGroup, State};
use crate::group::records::Record;
use crate::runtime::Now;
use crate::shard::GroupShard;
use crate::turn::{After, Timer};

/// Bytes of names in one write of tombstones, one record more or less: well below the largest batch of the topic.
const TOMBSTONE_BYTES_PER_WRITE: usize = 256 * 1024;

impl Offsets {
    /// An offset as the last write left it.
    pub(crate) fn latest(&self, group: &str, topic: &str, partition: i32) -> Option<&OffsetAndMetadata> {
        self.groups.get(group)?.get(topic)?.get(&partition)?.latest()
    }

    /// Tombstones for every offset of a group, for its deletion.
    pub(crate) fn tombstones_of_group(&self, group: &Arc<str>) -> Vec<Record> {
        self.latest_of_group(group).map(|(topic, partition, _)| tombstone(group, topic, partition)).collect()
    }

    /// Tombstones for the expired offsets of a group, and whether none is left.
    fn expired(&self, group: &ClassicGroup, retention_ms: i64, wall_ms: i64) -> (Vec<Record>, bool) {
        let mut tombstones = Vec::new();
        let mut none_left = !self.has_open_transaction(group.id());
        for (topic, partition, value) in self.latest_of_group(group.id()) {
            let open = self.transactions.may_change(group.id(), topic, partition);
            if !open && !group.is_subscribed_to(topic) && is_expired(group, value, retention_ms, wall_ms) {
                tombstones.push(tombstone(group.id(), topic, partition));
            } else {
                none_left = false;
            }
        }
        (tombstones, none_left)
    }

    /// Tombstones for all offsets of a topic, unless they belong to another topic that had or has the name.
    fn tombstones_of_topic(&self, name: &str, id: Uuid) -> Vec<Record> {
        let mut tombstones = Vec::new();
        for (group, topics) in &self.groups {
            for (partition, cell) in topics.get(name).into_iter().flatten() {
                let belongs =
                    |value: &OffsetAndMetadata| value.topic_id.is_zero() || id.is_zero() || value.topic_id == id;
                if cell.latest().is_some_and(belongs) {
                    tombstones.push(Record::OffsetCommit(OffsetKey::new(group, name, *partition), None));
                }
            }
        }
        tombstones
    }
}

/// Whether the retention of an offset is over: the one its commit asked for, or the broker's.
fn is_expired(group: &ClassicGroup, value: &OffsetAndMetadata, retention_ms: i64, wall_ms: i64) -> bool {
    match (group.retention_base_ms(value.commit_timestamp_ms), value.expire_timestamp_ms) {
        (None, _) => false,
        (Some(_), Some(expires)) => wall_ms >= expires,
        (Some(base), None) => wall_ms.saturating_sub(base) >= retention_ms,
    }
}

fn tombstone(group: &Arc<str>, topic: &Arc<str>, partition: i32) -> Record {
    Record::OffsetCommit(OffsetKey { group: group.clone(), topic: topic.clone(), partition }, None)
}

impl GroupShard {
    /// Deletes what has expired: offsets, and groups that have neither members nor offsets. Groups of other kinds, and
    /// their offsets, are left alone.
    pub(crate) fn expire(&mut self, now: Now) {
        let retention_ms = self.config().offsets_retention_ms;
        let mut tombstones = Vec::new();
        let mut deleted = Vec::new();
        for group in self.groups().values() {
            let Group::Classic(group) = group else { continue };
            let (expired, none_left) = self.offsets().expired(group, retention_ms, now.wall_ms);
            tombstones.extend(expired);
            if none_left && group.state() == State::Empty {
                tombstones.push(Record::Group(group.id().clone(), None));
                deleted.push(group.id().clone());
            }
        }
        tracing::debug!(offsets = tombstones.len() - deleted.len(), groups = deleted.len(), "expired");
        self.write_tombstones(&tombstones, now);
        let interval_ms = self.config().offsets_retention_check_interval_ms;
        self.turn(now).schedule(Timer::ExpireOffsets, interval_ms.max(1));
    }

    /// Deletes the offsets of topics that were deleted: name and id (zero if not known) of each.
    pub(crate) fn delete_topics(&mut self, topics: &[(&str, Uuid)], now: Now) {
        let tombstones: Vec<Record> =
            topics.iter().flat_map(|(name, id)| self.offsets().tombstones_of_topic(name, *id)).collect();
        self.write_tombstones(&tombstones, now);
    }

    /// Writes tombstones that need not stay together, in writes of bounded size.
    fn write_tombstones(&mut self, tombstones: &[Record], now: Now) {
        let mut rest = tombstones;
        while !rest.is_empty() {
            let mut bytes = 0;
            let has_room = |record: &&Record| {
                let room = bytes < TOMBSTONE_BYTES_PER_WRITE;
                bytes += record.name_bytes();
                room
            };
            let count = rest.iter().take_while(has_room).count();
            let (chunk, after) = rest.split_at(count);
            self.write(chunk, After::Nothing, now);
            rest = after;
        }
    }
}
