//! The producer: records in, batches out, order kept.
//!
//! ```text
//!   send ──partitioner──> accumulator ──> sender (one task) ──> leaders
//!     └── Delivery <──────── outcome of the batch <──────────────┘
//! ```
//!
//! With idempotence (the default) a retry never makes a duplicate and never changes the order of a partition.

mod accumulator;
mod answer;
mod batch;
mod partitioner;
mod record;
mod request;
mod sender;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ottla_env::{random, task, time};
use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

pub use partitioner::{murmur2, partition_of_key};
pub use record::{Delivery, ProducerRecord, RecordMetadata};

use crate::cluster::{Cluster, TopicView};
use crate::config::ProducerConfig;
use crate::error::Error;
use accumulator::{Accumulator, Limits};
use sender::Shared;

/// A handle of a producer; cheap to clone, used from many tasks. When the last handle is dropped what is not yet sent is
/// lost: call [`Producer::close`] first.
#[derive(Clone)]
pub struct Producer {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    /// Bytes of `buffer.memory` that are free.
    memory: Arc<Semaphore>,
    sender: task::JoinHandle<()>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.sender.abort();
    }
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").field("client_id", &self.inner.shared.config.client.client_id).finish()
    }
}

impl Producer {
    /// Connects to the cluster.
    ///
    /// # Errors
    /// When the configuration contradicts itself or no bootstrap server can be reached.
    pub async fn connect(config: ProducerConfig) -> Result<Self, Error> {
        config.validate()?;
        let cluster = Cluster::connect(&config.client).await?;
        Self::with_cluster(config, cluster)
    }

    /// A producer on a cluster handle that exists already.
    ///
    /// # Errors
    /// When the configuration contradicts itself.
    pub fn with_cluster(config: ProducerConfig, cluster: Cluster) -> Result<Self, Error> {
        config.validate()?;
        let limits = Limits {
            batch_size: config.batch_size,
            linger_ms: config.linger.as_millis() as i64,
            delivery_timeout: config.delivery_timeout,
            compression: config.compression,
            idempotent: config.enable_idempotence,
        };
        let memory = Arc::new(Semaphore::new(config.buffer_memory.min(Semaphore::MAX_PERMITS)));
        let shared = Arc::new(Shared {
            config,
            cluster,
            accumulator: Mutex::new(Accumulator::new(limits)),
            wake: Notify::new(),
        });
        let sender = task::spawn("producer-sender", sender::run(Arc::clone(&shared)));
        Ok(Self { inner: Arc::new(Inner { shared, memory, sender }) })
    }

    /// The cluster that it writes to.
    #[must_use]
    pub fn cluster(&self) -> &Cluster {
        &self.inner.shared.cluster
    }

    /// Puts a record into its batch. Waits only while the topic is unknown or `buffer.memory` is used up, at most
    /// `max.block.ms`. Calls one after the other keep their order within a partition.
    ///
    /// # Errors
    /// When the record is too large, the partition does not exist, or the wait is over.
    pub async fn send(&self, record: ProducerRecord<'_>) -> Result<Delivery, Error> {
        let shared = &self.inner.shared;
        let size = self.check_size(&record)?;
        let topic = match shared.cluster.view().topic(record.topic) {
            Some(topic) if !topic.partitions.is_empty() => Arc::clone(topic),
            _ => shared.cluster.topic(record.topic, true, shared.config.max_block).await?,
        };
        let memory = self.reserve(size).await?;
        let timestamp_ms = record.timestamp_ms.unwrap_or_else(time::wall_clock_ms);
        let (delivery, news) = {
            let mut accumulator = shared.accumulator.lock();
            let name = accumulator.topic_name(record.topic);
            let partition = choose(&mut accumulator, &record, &topic, size)?;
            let now_ms = time::monotonic_ms();
            let (index, outcome, news) = accumulator.append(&name, partition, &record, timestamp_ms, memory, now_ms);
            (Delivery { topic: name, partition, index, timestamp_ms, outcome }, news)
        };
        if news {
            shared.wake.notify_one();
        }
        Ok(delivery)
    }

    fn check_size(&self, record: &ProducerRecord<'_>) -> Result<usize, Error> {
        let config = &self.inner.shared.config;
        let bytes = record.size_at_most();
        let bounds = [("max.request.size", config.max_request_size), ("buffer.memory", config.buffer_memory)];
        match bounds.into_iter().find(|(_, limit)| bytes > *limit) {
            Some((property, limit)) => Err(Error::RecordTooLarge { bytes, limit, property }),
            None => Ok(bytes),
        }
    }

    async fn reserve(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Error> {
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
        if let Ok(permit) = Arc::clone(&self.inner.memory).try_acquire_many_owned(permits) {
            return Ok(permit);
        }
        let after = self.inner.shared.config.max_block;
        let acquired = time::timeout(after, Arc::clone(&self.inner.memory).acquire_many_owned(permits)).await;
        match acquired {
            Ok(permit) => permit.map_err(|_| Error::Closed),
            Err(_) => Err(Error::Timeout { what: "waiting for buffer.memory".to_owned(), after, last: None }),
        }
    }

    /// Sends what was given so far without lingering and waits for all outcomes, good or bad.
    pub async fn flush(&self) {
        let outcomes = {
            let mut accumulator = self.inner.shared.accumulator.lock();
            accumulator.flushing += 1;
            accumulator.incomplete()
        };
        let flushing = Flushing(&self.inner.shared);
        self.inner.shared.wake.notify_one();
        for mut outcome in outcomes {
            // An error here means that the batch is gone, which is an end as well.
            let _ = outcome.wait_for(Option::is_some).await;
        }
        drop(flushing);
    }

    /// Flushes, at most for `timeout`; afterwards no record can be sent and what is left fails.
    ///
    /// # Errors
    /// When records are left after `timeout`.
    pub async fn close(self, timeout: Duration) -> Result<(), Error> {
        self.inner.memory.close();
        let outcome = time::timeout(timeout, self.flush()).await;
        self.inner.sender.abort();
        outcome.map_err(|_| Error::Timeout { what: "flushing the producer".to_owned(), after: timeout, last: None })
    }
}

/// Counts a flush for as long as it lasts, also when its future is dropped.
struct Flushing<'a>(&'a Shared);

impl Drop for Flushing<'_> {
    fn drop(&mut self) {
        self.0.accumulator.lock().flushing -= 1;
    }
}

/// The record's own partition, that of its key, or the one at which records without a key are now.
fn choose(
    accumulator: &mut Accumulator,
    record: &ProducerRecord<'_>,
    topic: &TopicView,
    size: usize,
) -> Result<i32, Error> {
    let count = topic.partitions.len() as i32;
    if let Some(partition) = record.partition {
        return match topic.partition(partition) {
            Some(_) => Ok(partition),
            None => Err(Error::IllegalState(format!(
                "topic {} has no partition {partition}; it has 0 to {}",
                topic.name,
                count - 1
            ))),
        };
    }
    if let Some(key) = record.key {
        return Ok(partition_of_key(key, count));
    }
    let with_leader: Vec<i32> = topic.partitions.iter().filter(|p| p.leader >= 0).map(|p| p.partition).collect();
    let all = || topic.partitions.iter().map(|p| p.partition).collect();
    let available: Vec<i32> = if with_leader.is_empty() { all() } else { with_leader };
    Ok(accumulator.sticky_partition(&topic.name, size, &available, random::next_u64()))
}
