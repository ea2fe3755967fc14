//! Records that wait to be sent, per partition, in order. Pure: it is told the time and the leaders, and does no I/O.
//!
//! ```text
//!   append ──> open batch ──seal──> waiting (by batch id) ──drain──> in flight ──┬── acknowledged
//!                                      ^                                         ├── failed
//!                                      └──────────────── retry ──────────────────┘
//! ```
//!
//! What leaves when, and with which sequences, is each partition's own matter: see [`queue`].

mod queue;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ottla_protocol::compression::Compression;
use tokio::sync::OwnedSemaphorePermit;

use super::batch::{Batch, OpenBatch, OutcomeReceiver};
use super::partitioner::Sticky;
use super::record::ProducerRecord;
use crate::error::Error;
use queue::Queue;

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

/// Why a batch comes back to be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Returned {
    /// It may have been written for all we know: no answer came, or one that may follow an append.
    InDoubt,
    /// The broker knows the producer and says that the batch's sequence does not follow.
    OutOfLine,
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
                    queue.lost(&batch);
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
                let size = queue.next_len();
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

    /// A batch came back, written. Gives the batches that are known to be written by that, and to be told so.
    pub(super) fn written(&mut self, topic: &str, partition: i32, batch: &Batch) -> Vec<Batch> {
        self.queue(topic, partition).map(|queue| queue.written(batch)).unwrap_or_default()
    }

    /// A batch came back, not acknowledged, and will not be sent again.
    pub(super) fn lost(&mut self, topic: &str, partition: i32, batch: &Batch) {
        if let Some(queue) = self.queue(topic, partition) {
            queue.in_flight.remove(&batch.id);
            queue.lost(batch);
        }
    }

    /// A batch came back and is to be sent again, not before `not_before_ms`.
    pub(super) fn retry(&mut self, drained: Drained, why: Returned, not_before_ms: i64) {
        let Drained { topic, partition, batch } = drained;
        if let Some(queue) = self.queue(&topic, partition) {
            queue.retry(batch, why, not_before_ms);
        }
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

#[cfg(test)]
mod tests;
