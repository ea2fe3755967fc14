//! Records that wait to be sent, per partition, in order. Pure: it is told the time and the leaders, and does no I/O.
//!
//! ```text
//!   append ──> open batch ──seal──> waiting (by batch id) ──drain──> in flight ──┬── acknowledged
//!                                      ^                                         ├── failed
//!                                      └──────────────── retry ──────────────────┘
//! ```
//!
//! Order on retry: batch ids grow in the order of sending and a batch that comes back is put where its id belongs. Then
//! nothing of its partition is drained until all its batches in flight have come back, and they leave again in their
//! order.
//!
//! Sequences (idempotence): a batch gets its first sequence when it is first drained and keeps it. When a batch is lost
//! for good the sequence has a gap that the broker would refuse, so the partition begins again with a higher producer
//! epoch at sequence 0, as soon as nothing of it is in flight (KIP-360).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use ottla_protocol::compression::Compression;
use tokio::sync::OwnedSemaphorePermit;

use super::batch::{Batch, Identity, OpenBatch, OutcomeReceiver};
use super::partitioner::Sticky;
use super::record::ProducerRecord;
use crate::error::Error;

/// What the accumulator takes from the producer's configuration.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) batch_size: usize,
    pub(super) linger_ms: i64,
    pub(super) delivery_timeout: Duration,
    pub(super) compression: Compression,
    pub(super) idempotent: bool,
}

/// Producer id and epoch in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ProducerIdAndEpoch {
    pub(super) id: i64,
    pub(super) epoch: i16,
}

/// A batch that leaves, and where it belongs.
pub(super) struct Drained {
    pub(super) topic: Arc<str>,
    pub(super) partition: i32,
    pub(super) batch: Batch,
}

/// What there is to do now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ready {
    /// Leaders with batches to send.
    pub(super) brokers: BTreeSet<i32>,
    /// Whether batches wait for a partition whose leader is unknown.
    pub(super) leaderless: bool,
    /// When to look again if nothing else happens.
    pub(super) next_ms: Option<i64>,
}

pub(super) struct Accumulator {
    limits: Limits,
    topics: BTreeMap<Arc<str>, TopicQueues>,
    next_batch_id: u64,
    producer: Option<ProducerIdAndEpoch>,
    /// Callers of flush and close: while there are any no batch lingers.
    pub(super) flushing: usize,
}

#[derive(Default)]
struct TopicQueues {
    sticky: Sticky,
    partitions: BTreeMap<i32, Queue>,
}

/// One partition.
#[derive(Default)]
struct Queue {
    open: Option<OpenBatch>,
    waiting: VecDeque<Batch>,
    in_flight: BTreeMap<u64, OutcomeReceiver>,
    not_before_ms: i64,
    /// A batch came back: nothing leaves before the others have come back too.
    stalled: bool,
    identity: Option<Identity>,
    /// A batch was lost for good: begin a new epoch before anything else is sent.
    broken: bool,
}

impl Accumulator {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, topics: BTreeMap::new(), next_batch_id: 0, producer: None, flushing: 0 }
    }

    /// The name of a topic, shared.
    pub(super) fn topic_name(&mut self, topic: &str) -> Arc<str> {
        if let Some((name, _)) = self.topics.get_key_value(topic) {
            return Arc::clone(name);
        }
        let name: Arc<str> = topic.into();
        self.topics.insert(Arc::clone(&name), TopicQueues::default());
        name
    }

    /// The partition for a record without a key.
    pub(super) fn sticky_partition(&mut self, topic: &str, bytes: usize, available: &[i32], random: u64) -> i32 {
        let pick = || {
            let at = random as usize % available.len().max(1);
            available.get(at).copied().unwrap_or(0)
        };
        match self.topics.get_mut(topic) {
            Some(t) => {
                let chosen = t.sticky.partition(bytes, self.limits.batch_size, pick);
                if available.contains(&chosen) {
                    return chosen;
                }
                t.sticky.leave();
                t.sticky.partition(bytes, self.limits.batch_size, pick)
            }
            None => pick(),
        }
    }

    /// Adds a record; returns its number within its batch, where its outcome will be, and whether the sender has
    /// something new to look at.
    pub(super) fn append(
        &mut self,
        topic: &Arc<str>,
        partition: i32,
        record: &ProducerRecord<'_>,
        timestamp_ms: i64,
        memory: OwnedSemaphorePermit,
        now_ms: i64,
    ) -> (i32, OutcomeReceiver, bool) {
        let Limits { batch_size, compression, .. } = self.limits;
        let queue = self.topics.entry(Arc::clone(topic)).or_default().partitions.entry(partition).or_default();
        let full = queue.open.as_ref().is_some_and(|o| o.len_bytes() + record.size_at_most() > batch_size);
        if full {
            queue.seal();
        }
        let (mut open, fresh) = match queue.open.take() {
            Some(mut open) => {
                open.hold(memory);
                (open, false)
            }
            None => {
                self.next_batch_id += 1;
                (OpenBatch::new(self.next_batch_id, compression, memory, now_ms), true)
            }
        };
        let (index, outcome) = open.append(record, timestamp_ms);
        let filled = open.len_bytes() >= batch_size;
        queue.open = Some(open);
        if filled {
            queue.seal();
        }
        (index, outcome, full || fresh || filled)
    }

    /// Gives the producer id and epoch that the broker assigned.
    pub(super) fn set_producer(&mut self, producer: ProducerIdAndEpoch) {
        self.producer = Some(producer);
    }

    /// Whether nothing can be sent before a producer id is assigned.
    pub(super) fn needs_producer_id(&self) -> bool {
        self.limits.idempotent && self.producer.is_none()
    }

    /// Fails what waited longer than `delivery.timeout.ms`; returns the batches with their error.
    pub(super) fn expire(&mut self, now_ms: i64) -> Vec<(Batch, Error)> {
        let timeout = self.limits.delivery_timeout;
        let oldest_ms = now_ms - timeout.as_millis() as i64;
        let mut expired = Vec::new();
        for (topic, queues) in &mut self.topics {
            for (partition, queue) in &mut queues.partitions {
                if queue.open.as_ref().is_some_and(|o| o.created_ms() <= oldest_ms) {
                    queue.seal();
                }
                while queue.waiting.front().is_some_and(|b| b.created_ms <= oldest_ms) {
                    let Some(batch) = queue.waiting.pop_front() else { break };
                    // One that was sent may have been written: its sequences cannot be used again.
                    queue.broken |= batch.identity.is_some();
                    let what = format!("writing {} records to {topic}-{partition}", batch.records);
                    expired.push((batch, Error::Timeout { what, after: timeout, last: None }));
                }
            }
        }
        expired
    }

    /// Looks for partitions that have something to send.
    pub(super) fn ready(&self, now_ms: i64, leader_of: impl Fn(&str, i32) -> Option<i32>) -> Ready {
        let mut ready = Ready::default();
        for (topic, queues) in &self.topics {
            for (partition, queue) in &queues.partitions {
                let Some(at_ms) = queue.sendable_at_ms(&self.limits, self.flushing > 0) else { continue };
                if at_ms > now_ms {
                    ready.next_ms = Some(ready.next_ms.map_or(at_ms, |n| n.min(at_ms)));
                    continue;
                }
                match leader_of(topic, *partition) {
                    Some(leader) => {
                        ready.brokers.insert(leader);
                    }
                    None => ready.leaderless = true,
                }
            }
        }
        ready
    }

    /// Takes at most one batch of each partition that `wanted` leads, up to `max_bytes` but at least one batch.
    pub(super) fn drain(&mut self, now_ms: i64, max_bytes: usize, wanted: impl Fn(&str, i32) -> bool) -> Vec<Drained> {
        let mut drained = Vec::new();
        let mut bytes = 0;
        let flushing = self.flushing > 0;
        for (topic, queues) in &mut self.topics {
            for (partition, queue) in &mut queues.partitions {
                let due = queue.sendable_at_ms(&self.limits, flushing).is_some_and(|at| at <= now_ms);
                if !due || !wanted(topic, *partition) {
                    continue;
                }
                if queue.waiting.is_empty() {
                    queue.seal();
                }
                let size = queue.waiting.front().map_or(0, |b| b.bytes.len());
                if bytes > 0 && bytes + size > max_bytes {
                    return drained;
                }
                if let Some(batch) = queue.take(self.limits.idempotent, &mut self.producer) {
                    bytes += size;
                    drained.push(Drained { topic: Arc::clone(topic), partition: *partition, batch });
                }
            }
        }
        drained
    }

    /// A batch came back and will not be sent again. `lost` says that it was not acknowledged.
    pub(super) fn settle(&mut self, topic: &str, partition: i32, batch: &Batch, lost: bool) {
        if let Some(queue) = self.queue(topic, partition) {
            queue.in_flight.remove(&batch.id);
            queue.broken |= lost && batch.identity.is_some();
        }
    }

    /// A batch came back and is to be sent again, not before `not_before_ms`.
    pub(super) fn retry(&mut self, drained: Drained, not_before_ms: i64) {
        let Drained { topic, partition, mut batch } = drained;
        let Some(queue) = self.queue(&topic, partition) else { return };
        queue.in_flight.remove(&batch.id);
        queue.stalled = true;
        batch.attempts += 1;
        queue.not_before_ms = queue.not_before_ms.max(not_before_ms);
        let at = queue.waiting.partition_point(|b| b.id < batch.id);
        queue.waiting.insert(at, batch);
    }

    /// Whether a batch of the partition that was sent before `batch` has no outcome yet, or was lost. Then a refusal for
    /// being out of order says nothing about `batch` itself.
    pub(super) fn has_earlier(&self, topic: &str, partition: i32, batch: &Batch) -> bool {
        self.topics.get(topic).and_then(|t| t.partitions.get(&partition)).is_some_and(|queue| {
            queue.broken
                || queue.in_flight.range(..batch.id).next().is_some()
                || queue.waiting.iter().any(|b| b.id < batch.id)
        })
    }

    /// Where the outcomes of all batches without one will be.
    pub(super) fn incomplete(&self) -> Vec<OutcomeReceiver> {
        let queues = self.topics.values().flat_map(|t| t.partitions.values());
        queues
            .flat_map(|queue| {
                let open = queue.open.iter().map(OpenBatch::subscribe);
                let waiting = queue.waiting.iter().map(Batch::subscribe);
                open.chain(waiting).chain(queue.in_flight.values().cloned()).collect::<Vec<_>>()
            })
            .collect()
    }

    fn queue(&mut self, topic: &str, partition: i32) -> Option<&mut Queue> {
        self.topics.get_mut(topic)?.partitions.get_mut(&partition)
    }
}

impl Queue {
    fn seal(&mut self) {
        self.waiting.extend(self.open.take().map(OpenBatch::seal));
    }

    /// From when on its first batch may be sent; `None` when there is none or it must wait for others to come back.
    fn sendable_at_ms(&self, limits: &Limits, flushing: bool) -> Option<i64> {
        let must_wait = limits.idempotent && (self.stalled || self.broken) && !self.in_flight.is_empty();
        let lingers_until = match (self.waiting.front(), &self.open) {
            (Some(_), _) => 0,
            (None, Some(_)) if flushing => 0,
            (None, Some(open)) => open.created_ms() + limits.linger_ms,
            (None, None) => return None,
        };
        (!must_wait).then_some(lingers_until.max(self.not_before_ms))
    }

    /// Takes the first batch, with its identity if the producer is idempotent.
    fn take(&mut self, idempotent: bool, producer: &mut Option<ProducerIdAndEpoch>) -> Option<Batch> {
        if idempotent {
            self.renew(producer);
            self.identify(producer.as_ref()?)?;
        }
        let batch = self.waiting.pop_front()?;
        self.stalled = false;
        self.in_flight.insert(batch.id, batch.subscribe());
        Some(batch)
    }

    /// Begins a higher epoch when a batch was lost. When epochs are used up a new producer id is needed.
    fn renew(&mut self, producer: &mut Option<ProducerIdAndEpoch>) {
        let (true, Some(current)) = (self.broken, *producer) else { return };
        let used = self.identity.filter(|i| i.producer_id == current.id).map_or(current.epoch, |i| i.epoch);
        *producer = used.max(current.epoch).checked_add(1).map(|epoch| ProducerIdAndEpoch { id: current.id, epoch });
        self.broken = false;
        self.identity = None;
        for batch in &mut self.waiting {
            batch.identity = None;
        }
    }

    /// Gives the first batch its sequences, unless it has them from an earlier attempt.
    fn identify(&mut self, producer: &ProducerIdAndEpoch) -> Option<()> {
        let next =
            self.identity.get_or_insert(Identity { producer_id: producer.id, epoch: producer.epoch, base_sequence: 0 });
        let batch = self.waiting.front_mut()?;
        if batch.identity.is_none() {
            batch.identify(*next);
            // Sequences wrap from i32::MAX to 0.
            next.base_sequence = next.base_sequence.wrapping_add(batch.records) & i32::MAX;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests;
