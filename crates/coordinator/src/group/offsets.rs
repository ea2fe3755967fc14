//! Committed offsets of all groups of a shard (Kafka's `OffsetMetadataManager`).
//!
//! | file | what happens |
//! |---|---|
//! | here | the table: load, change by a write, settle, fetch |
//! | `commit.rs` | OffsetCommit and OffsetDelete |
//! | `expire.rs` | retention, and topics that were deleted |
//! | `transactions.rs` | offsets inside transactions, read from a log that Apache Kafka wrote |

mod commit;
mod expire;
mod transactions;

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_protocol::{ErrorCode, Uuid};

use super::api::{FetchedOffset, FetchedTopic, OffsetFetchTopics};
use crate::runtime::WriteId;
use crate::timeline::Versioned;
use transactions::OpenTransactions;

/// Whose offset of what.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OffsetKey {
    pub(crate) group: Arc<str>,
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
}

impl OffsetKey {
    pub(crate) fn new(group: &str, topic: &str, partition: i32) -> Self {
        Self { group: group.into(), topic: topic.into(), partition }
    }
}

/// A committed offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OffsetAndMetadata {
    pub(crate) offset: i64,
    /// -1 if not known.
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: Box<str>,
    pub(crate) commit_timestamp_ms: i64,
    /// When it expires, if its commit said so.
    pub(crate) expire_timestamp_ms: Option<i64>,
    /// Zero if not known.
    pub(crate) topic_id: Uuid,
}

type ByPartition = BTreeMap<i32, Versioned<OffsetAndMetadata>>;
type ByTopic = BTreeMap<Arc<str>, ByPartition>;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Offsets {
    groups: BTreeMap<Arc<str>, ByTopic>,
    transactions: OpenTransactions,
}

impl Offsets {
    /// Replays a record of a log that is loaded.
    pub(crate) fn load(&mut self, key: &OffsetKey, value: Option<OffsetAndMetadata>) {
        self.transactions.overtaken(key);
        self.change(key, |cell| cell.load(value));
    }

    /// Replays a record that is being written.
    pub(crate) fn apply(&mut self, write: WriteId, key: &OffsetKey, value: Option<OffsetAndMetadata>) {
        self.change(key, |cell| cell.set(write, value));
    }

    /// A write is committed.
    pub(crate) fn settle(&mut self, write: WriteId, key: &OffsetKey) {
        self.change(key, |cell| cell.settle(write));
    }

    /// A write was refused.
    pub(crate) fn undo(&mut self, write: WriteId, key: &OffsetKey) {
        self.change(key, |cell| cell.undo(write));
    }

    /// Changes a place, and forgets it if nothing is left there.
    fn change(&mut self, key: &OffsetKey, change: impl FnOnce(&mut Versioned<OffsetAndMetadata>)) {
        let topics = self.groups.entry(key.group.clone()).or_default();
        let partitions = topics.entry(key.topic.clone()).or_default();
        let cell = partitions.entry(key.partition).or_default();
        change(cell);
        if cell.is_gone() {
            partitions.remove(&key.partition);
            if partitions.is_empty() {
                topics.remove(&key.topic);
            }
            if topics.is_empty() {
                self.groups.remove(&key.group);
            }
        }
    }

    /// Every offset of a group as the last write left it.
    fn latest_of_group(&self, group: &str) -> impl Iterator<Item = (&Arc<str>, i32, &OffsetAndMetadata)> {
        self.groups.get(group).into_iter().flatten().flat_map(|(topic, partitions)| {
            partitions.iter().filter_map(move |(partition, cell)| cell.latest().map(|value| (topic, *partition, value)))
        })
    }

    /// OffsetFetch, from what is committed. With `require_stable`, offsets that an open transaction may change are
    /// UNSTABLE_OFFSET_COMMIT.
    pub(crate) fn fetch(&self, group: &str, topics: &OffsetFetchTopics, require_stable: bool) -> Vec<FetchedTopic> {
        let fetched = |name: &str, partition: i32, value: Option<&OffsetAndMetadata>| {
            if require_stable && self.transactions.may_change(group, name, partition) {
                return FetchedOffset { error: ErrorCode::UnstableOffsetCommit, ..no_offset(partition) };
            }
            value.map_or_else(|| no_offset(partition), |value| committed_offset(partition, value))
        };
        match topics {
            Some(topics) => topics
                .iter()
                .map(|(name, partitions)| {
                    let cells = self.groups.get(group).and_then(|topics| topics.get(name.as_str()));
                    let value = |p: &i32| cells.and_then(|cells| cells.get(p)).and_then(Versioned::committed);
                    let partitions = partitions.iter().map(|p| fetched(name, *p, value(p))).collect();
                    FetchedTopic { name: name.clone(), partitions }
                })
                .collect(),
            None => self
                .groups
                .get(group)
                .into_iter()
                .flatten()
                .map(|(name, cells)| {
                    let has_value = |(_, cell): &(&i32, &Versioned<_>)| cell.committed().is_some();
                    let one = |(p, cell): (&i32, &Versioned<_>)| fetched(name, *p, cell.committed());
                    FetchedTopic {
                        name: name.to_string(),
                        partitions: cells.iter().filter(has_value).map(one).collect(),
                    }
                })
                .filter(|topic| !topic.partitions.is_empty())
                .collect(),
        }
    }
}

fn no_offset(partition: i32) -> FetchedOffset {
    FetchedOffset { partition, offset: -1, leader_epoch: -1, metadata: String::new(), error: ErrorCode::None }
}

fn committed_offset(partition: i32, value: &OffsetAndMetadata) -> FetchedOffset {
    FetchedOffset {
        partition,
        offset: value.offset,
        leader_epoch: value.leader_epoch,
        metadata: value.metadata.to_string(),
        error: ErrorCode::None,
    }
}
