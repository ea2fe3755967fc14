//! The group coordinator of this broker: carries out what [`GroupShard`](ottla_coordinator::GroupShard)s decide, one for
//! each partition of `__consumer_offsets` that this broker leads. It decides nothing itself.
//!
//! ```text
//!   handlers ── request(group) ──> slot of the group's partition ──> shard ──> effects
//!                    ^                                                ├─ Write: appended to the partition, at once
//!                    └──────────── reply ─────────────────────────────┘ Reply: to whoever waits
//!   metadata ── publish ──> slots begin (load the partition's log, then serve) and end (everybody hears NOT_COORDINATOR)
//!   one task ── sleeps until the earliest deadline of all shards, or until a high watermark moved that a shard waits for
//! ```
//!
//! Group to partition: Java's hash of the id, modulo the partitions of the topic. A slot belongs to one leader epoch of its
//! partition; once it has ended, under its lock, it appends no more, and only then does the next one begin to load.

mod load;
mod slot;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use ottla_coordinator::Now;
use ottla_coordinator::group::call::Call;
use ottla_coordinator::group::config::GroupConfig;
use ottla_env::{task, time};
use ottla_metadata::config::BrokerConfig;
use ottla_metadata::image::{MetadataImage, TopicImage};
use ottla_metadata::{MetadataDelta, MetadataPublisher, MetadataView};
use ottla_protocol::{ErrorCode, Uuid};
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use crate::purgatory::Waiter;
use crate::replica::manager::ReplicaManager;
pub(crate) use slot::Slot;

/// The topic that groups live in.
pub(crate) const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// See the module.
#[derive(Debug)]
pub struct GroupDriver {
    config: GroupConfig,
    replicas: Arc<ReplicaManager>,
    metadata: MetadataView,
    /// By partition of the topic.
    slots: RwLock<BTreeMap<i32, Arc<Slot>>>,
    /// One change of `slots` at a time: the metadata's, or that a partition could be opened at last.
    following: Mutex<()>,
    next_token: AtomicU64,
    /// Wakes the task: an earlier deadline, a high watermark, a slot that was loaded.
    waiter: Arc<Waiter>,
    /// Until when the task sleeps, by the monotonic clock.
    sleeps_until_ms: AtomicI64,
}

impl GroupDriver {
    /// A driver without partitions; it gets them as a publisher of metadata.
    #[must_use]
    pub fn new(config: &BrokerConfig, replicas: Arc<ReplicaManager>, metadata: MetadataView) -> Self {
        Self {
            config: group_config(config),
            replicas,
            metadata,
            slots: RwLock::default(),
            following: Mutex::default(),
            next_token: AtomicU64::new(0),
            waiter: Waiter::new(),
            sleeps_until_ms: AtomicI64::new(i64::MAX),
        }
    }

    /// Handles a request of a group; may wait long (JoinGroup, SyncGroup).
    ///
    /// # Errors
    /// NOT_COORDINATOR, COORDINATOR_LOAD_IN_PROGRESS, or INVALID_GROUP_ID for an id that no record can hold.
    pub(crate) async fn request<C: Call>(&self, group: &str, call: C) -> Result<C::Response, ErrorCode> {
        if group.len() > MAX_GROUP_ID_BYTES {
            return Err(ErrorCode::InvalidGroupId);
        }
        let slot = self.slot_of(group)?;
        let token = self.next_token.fetch_add(1, Ordering::Relaxed);
        let reply = slot.request(token, call.into_request(), now())?;
        self.watch(&slot);
        let response = reply.await.map_err(|_| ErrorCode::NotCoordinator)?;
        C::response(response).ok_or(ErrorCode::UnknownServerError)
    }

    /// The slot of a group, for reading.
    ///
    /// # Errors
    /// NOT_COORDINATOR.
    pub(crate) fn slot_of(&self, group: &str) -> Result<Arc<Slot>, ErrorCode> {
        let image = self.metadata.current();
        let partitions = image.topics.by_name(OFFSETS_TOPIC).map_or(0, |topic| topic.partitions.len());
        let partition = partition_of(group, partitions).ok_or(ErrorCode::NotCoordinator)?;
        self.slots.read().get(&partition).cloned().ok_or(ErrorCode::NotCoordinator)
    }

    /// All slots of this broker, for ListGroups.
    pub(crate) fn slots(&self) -> Vec<Arc<Slot>> {
        self.slots.read().values().cloned().collect()
    }

    /// Has the task look after a slot that may have got an earlier deadline.
    fn watch(&self, slot: &Slot) {
        if slot.next_deadline_ms() < self.sleeps_until_ms.load(Ordering::SeqCst) {
            self.waiter.wake();
        }
    }

    /// The one task: ticks shards that are due, passes on high watermarks, until `stopping`.
    pub async fn run(self: Arc<Self>, mut stopping: watch::Receiver<bool>) {
        loop {
            let now = now();
            let mut next_ms = i64::MAX;
            for slot in self.slots() {
                slot.turn(now);
                next_ms = next_ms.min(slot.next_deadline_ms());
            }
            // Whoever sets an earlier deadline from here on sees how long we mean to sleep, and wakes us.
            self.sleeps_until_ms.store(next_ms, Ordering::SeqCst);
            if self.slots().iter().any(|slot| slot.next_deadline_ms() < next_ms) {
                continue;
            }
            let sleep_ms = u64::try_from(next_ms.saturating_sub(now.monotonic_ms)).unwrap_or(0);
            let due = async {
                match next_ms {
                    i64::MAX => std::future::pending().await,
                    _ => time::sleep(Duration::from_millis(sleep_ms)).await,
                }
            };
            tokio::select! {
                biased;
                _ = stopping.wait_for(|stop| *stop) => return,
                () = self.waiter.woken() => {}
                () = due => {}
            }
        }
    }

    /// Ends all slots: members look for another coordinator.
    pub fn stop(&self) {
        let slots = std::mem::take(&mut *self.slots.write());
        for slot in slots.into_values() {
            slot.end(ErrorCode::NotCoordinator);
        }
    }

    /// Brings all partitions in step with the metadata: some could not be opened when it was published.
    pub(crate) fn follow_all(&self, image: &MetadataImage) {
        let Some(topic) = image.topics.by_name(OFFSETS_TOPIC) else { return };
        topic.partitions.keys().for_each(|index| self.follow(*index, Some(topic)));
    }

    /// Brings one partition in step with the metadata.
    fn follow(&self, index: i32, topic: Option<&TopicImage>) {
        let _one_at_a_time = self.following.lock();
        let partition = self.replicas.find(OFFSETS_TOPIC, index).ok().filter(|_| topic.is_some());
        let leading = partition.and_then(|p| p.check_leader(-1).ok().map(|epoch| (p, epoch)));
        let current = self.slots.read().get(&index).cloned();
        if let (Some(slot), Some((_, epoch))) = (&current, &leading)
            && slot.leader_epoch() == *epoch
        {
            return;
        }
        if let Some(slot) = current {
            self.slots.write().remove(&index);
            slot.end(ErrorCode::NotCoordinator);
        }
        if let Some((partition, epoch)) = leading {
            let slot = Arc::new(Slot::new(partition, epoch, self.config.clone(), Arc::clone(&self.waiter)));
            self.slots.write().insert(index, Arc::clone(&slot));
            task::spawn("load groups", load::run(slot, Arc::clone(&self.waiter)));
        }
    }
}

/// Longest group id that fits the key of a record; longer ones are refused (Kafka fails on them when it writes).
const MAX_GROUP_ID_BYTES: usize = 32_000;

impl MetadataPublisher for GroupDriver {
    fn name(&self) -> &str {
        "group coordinator"
    }

    fn publish(&self, delta: &MetadataDelta, image: &Arc<MetadataImage>) {
        let topics = delta.topics();
        let offsets_topic = image.topics.by_name(OFFSETS_TOPIC);
        for gone in topics.deleted.values().filter(|topic| *topic.name == *OFFSETS_TOPIC) {
            for index in gone.partitions.keys() {
                self.follow(*index, None);
            }
        }
        if let Some(topic) = offsets_topic {
            for index in topics.changed.get(&topic.id).into_iter().flatten() {
                self.follow(*index, Some(topic));
            }
        }
        let deleted: Vec<(Arc<str>, Uuid)> =
            topics.deleted.values().map(|topic| (Arc::clone(&topic.name), topic.id)).collect();
        let slots = self.slots();
        if !deleted.is_empty() && !slots.is_empty() {
            let waiter = Arc::clone(&self.waiter);
            task::spawn("forget offsets", async move {
                for slot in slots {
                    slot.topics_deleted(&deleted, now());
                    task::yield_now().await;
                }
                waiter.wake();
            });
        }
    }
}

/// The time, for shards.
fn now() -> Now {
    Now { monotonic_ms: time::monotonic_ms(), wall_ms: time::wall_clock_ms() }
}

fn group_config(config: &BrokerConfig) -> GroupConfig {
    GroupConfig {
        initial_rebalance_delay_ms: config.group_initial_rebalance_delay_ms,
        min_session_timeout_ms: config.group_min_session_timeout_ms,
        max_session_timeout_ms: config.group_max_session_timeout_ms,
        max_size: usize::try_from(config.group_max_size).unwrap_or(usize::MAX),
        offset_metadata_max_bytes: usize::try_from(config.offset_metadata_max_bytes).unwrap_or(0),
        offsets_retention_ms: i64::from(config.offsets_retention_minutes) * 60_000,
        offsets_retention_check_interval_ms: config.offsets_retention_check_interval_ms,
        offsets_commit_timeout_ms: i64::from(config.offsets_commit_timeout_ms),
    }
}

/// The partition of a group's coordinator: `abs(hash(id)) % partitions`, with Java's string hash, whose smallest value
/// counts as 0 (`Utils.abs`).
pub(crate) fn partition_of(group: &str, partitions: usize) -> Option<i32> {
    let partitions = i32::try_from(partitions).ok().filter(|n| *n > 0)?;
    let hash = group.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    Some(hash.checked_abs().unwrap_or(0) % partitions)
}

#[cfg(test)]
mod tests {
    use super::partition_of;

    /// Expected values computed with Java.
    #[test]
    fn a_group_belongs_where_java_says() {
        assert_eq!(partition_of("my-group", 50), Some(12));
        assert_eq!(partition_of("console-consumer-12345", 50), Some(6));
        assert_eq!(partition_of("grüße-\u{1F980}", 50), Some(30));
        assert_eq!(partition_of("polygenelubricants", 50), Some(0), "its hash is the smallest there is");
        assert_eq!((partition_of("", 50), partition_of("g", 0)), (Some(0), None));
    }
}
