//! The consumer: polls records from partitions that it assigns to itself or shares with its group.
//!
//! ```text
//!   poll ──> group (join, assign) ──> assignment (places) ──> fetch per broker ──> buffer ──> records
//! ```
//!
//! Nothing is fetched by a task of its own: `poll` starts requests and picks up answers, and between polls answers wait
//! in their connection. So a consumer that is not polled holds at most one response per broker, and `poll` may be
//! dropped at any time (in a `select!`) without losing a record.

mod assignment;
mod assignor;
mod buffer;
mod commits;
mod decode;
mod fetch;
mod fetching;
mod group;
mod locate;
mod rebalance;
mod record;
mod session;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use ottla_env::random;
use ottla_env::time::{self, Instant};

pub use assignor::{Assignments, Assignor, GroupMember};
pub(crate) use group::protocol::decode_assignment;
pub use rebalance::Rebalance;
pub use record::{ConsumerRecord, OffsetAndMetadata};

use crate::TopicPartition;
use crate::backoff::Backoff;
use crate::cluster::{Cluster, Topics};
use crate::config::ConsumerConfig;
use crate::coordinator::Coordinator;
use crate::error::Error;
use assignment::{Assignment, Place, ResetTo};
use buffer::Buffer;
use fetch::FetchOutcome;
use group::Joined;
use locate::Located;
use rebalance::Group;
use session::{FetchSession, Plan};

/// Something that `poll` waits for.
enum Event {
    Fetched(i32, Plan, FetchOutcome),
    Located(Vec<Located>),
    Joined(Result<Joined, Error>),
    Committed(Result<(), Error>),
    Refreshed(Result<(), Error>),
}

type Waiting = Pin<Box<dyn Future<Output = Event> + Send>>;

/// A consumer. Not shared: every call takes it mutably.
pub struct Consumer {
    config: Arc<ConsumerConfig>,
    cluster: Cluster,
    coordinator: Option<Arc<Coordinator>>,
    /// The membership of a consumer that subscribes.
    group: Option<Group>,
    on_rebalance: Option<rebalance::Listener>,
    assignment: Assignment,
    buffer: Buffer,
    sessions: BTreeMap<i32, FetchSession>,
    fetching: BTreeSet<i32>,
    waiting: FuturesUnordered<Waiting>,
    locating: bool,
    refreshing: bool,
    refresh_backoff: Backoff,
    committing: bool,
    committed_at: Instant,
    /// An error of a partition, given to the caller by the next poll.
    failed: Option<Error>,
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer")
            .field("group_id", &self.config.group_id)
            .field("assignment", &self.assignment.partitions())
            .finish()
    }
}

impl Consumer {
    /// Connects to the cluster.
    ///
    /// # Errors
    /// When no bootstrap server can be reached.
    pub async fn connect(config: ConsumerConfig) -> Result<Self, Error> {
        let cluster = Cluster::connect(&config.client).await?;
        Ok(Self::with_cluster(config, cluster))
    }

    /// A consumer on a cluster handle that exists already.
    #[must_use]
    pub fn with_cluster(config: ConsumerConfig, cluster: Cluster) -> Self {
        let coordinator = config.group_id.as_deref().map(|group| Arc::new(Coordinator::new(cluster.clone(), group)));
        Self {
            refresh_backoff: cluster.backoff(),
            config: Arc::new(config),
            cluster,
            coordinator,
            group: None,
            on_rebalance: None,
            assignment: Assignment::default(),
            buffer: Buffer::default(),
            sessions: BTreeMap::new(),
            fetching: BTreeSet::new(),
            waiting: FuturesUnordered::new(),
            locating: false,
            refreshing: false,
            committing: false,
            committed_at: Instant::now(),
            failed: None,
        }
    }

    /// The cluster that it reads from.
    #[must_use]
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Reads exactly these partitions, without a group's help. Partitions that stay keep their position; new ones begin
    /// at the group's committed offset if there is a group, else as `auto.offset.reset` says.
    ///
    /// Ends a subscription; the group finds out when the session times out, unless [`Self::unsubscribe`] came first.
    pub fn assign(&mut self, partitions: impl IntoIterator<Item = TopicPartition>) {
        self.group = None;
        self.set_assignment(partitions.into_iter().collect());
    }

    fn set_assignment(&mut self, partitions: BTreeSet<TopicPartition>) {
        for tp in &partitions {
            self.cluster.use_topic(&tp.topic);
        }
        self.buffer.retain(|tp| partitions.contains(tp));
        self.assignment.replace(partitions, Place::Committed);
    }

    /// The partitions that are read.
    #[must_use]
    pub fn assignment(&self) -> BTreeSet<TopicPartition> {
        self.assignment.partitions()
    }

    /// Goes to an offset.
    ///
    /// # Errors
    /// When the partition is not assigned.
    pub fn seek(&mut self, tp: &TopicPartition, offset: i64) -> Result<(), Error> {
        self.move_to(tp, Place::At { position: offset, fetch: offset })
    }

    /// Goes to the log start.
    ///
    /// # Errors
    /// When the partition is not assigned.
    pub fn seek_to_beginning(&mut self, tp: &TopicPartition) -> Result<(), Error> {
        self.move_to(tp, Place::Reset(ResetTo::Earliest))
    }

    /// Goes to the end.
    ///
    /// # Errors
    /// When the partition is not assigned.
    pub fn seek_to_end(&mut self, tp: &TopicPartition) -> Result<(), Error> {
        self.move_to(tp, Place::Reset(ResetTo::Latest))
    }

    /// Goes to the first record of at least this time, or to the end if there is none.
    ///
    /// # Errors
    /// When the partition is not assigned.
    pub fn seek_to_timestamp(&mut self, tp: &TopicPartition, timestamp_ms: i64) -> Result<(), Error> {
        self.move_to(tp, Place::Reset(ResetTo::Timestamp(timestamp_ms.max(0))))
    }

    fn move_to(&mut self, tp: &TopicPartition, place: Place) -> Result<(), Error> {
        self.buffer.retain(|buffered| buffered != tp);
        match self.assignment.move_to(tp, place) {
            true => Ok(()),
            false => Err(Error::IllegalState(format!("{tp} is not assigned to this consumer"))),
        }
    }

    /// The offset of the next record of a partition; `None` while it is not known.
    #[must_use]
    pub fn position(&self, tp: &TopicPartition) -> Option<i64> {
        self.assignment.position(tp)
    }

    /// The end of what may be read of a partition, as of the last fetch.
    #[must_use]
    pub fn high_watermark(&self, tp: &TopicPartition) -> Option<i64> {
        self.assignment.get(tp)?.high_watermark
    }

    /// Stops returning records of a partition until [`Self::resume`].
    pub fn pause(&mut self, tp: &TopicPartition) {
        self.set_paused(tp, true);
    }

    /// Returns records of a paused partition again.
    pub fn resume(&mut self, tp: &TopicPartition) {
        self.set_paused(tp, false);
    }

    fn set_paused(&mut self, tp: &TopicPartition, paused: bool) {
        // What is buffered of a paused partition would stand in the way of the others: it is fetched again later.
        self.buffer.retain(|buffered| buffered != tp);
        if let Some(position) = self.assignment.position(tp) {
            self.assignment.move_to(tp, Place::At { position, fetch: position });
        }
        if let Some(state) = self.assignment.get_mut(tp) {
            state.paused = paused;
        }
    }

    /// Up to `max.poll.records` records, as soon as there is one; none when `timeout` is over.
    ///
    /// # Errors
    /// When a partition cannot be read on: its batches are corrupt, it may not be read, or it has no offset and
    /// `auto.offset.reset` is `none`. The other partitions go on with the next poll.
    pub async fn poll(&mut self, timeout: Duration) -> Result<Vec<ConsumerRecord>, Error> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(e) = self.failed.take() {
                return Err(e);
            }
            self.start_what_is_due();
            let records = self.take_buffered()?;
            if !records.is_empty() {
                self.start_what_is_due();
                return Ok(records);
            }
            if !self.wait_until(deadline).await {
                return Ok(Vec::new());
            }
        }
    }

    fn start_what_is_due(&mut self) {
        let now_ms = time::monotonic_ms();
        self.drive_group();
        self.start_locating(now_ms);
        self.start_fetches(now_ms);
        self.start_auto_commit();
        if !self.refreshing && (self.cluster.needs_refresh() || self.misses_a_topic()) {
            self.refresh();
        }
    }

    /// Whether a topic that we want is not there yet.
    fn misses_a_topic(&self) -> bool {
        let view = self.cluster.view();
        let there = |topic: &str| view.topic(topic).is_some_and(|t| !t.partitions.is_empty());
        let assigned = self.assignment.iter().all(|(tp, _)| there(&tp.topic));
        !assigned || self.group.as_ref().is_some_and(|g| !g.topics().all(there))
    }

    /// Waits for one event; `false` when the deadline is over.
    async fn wait_until(&mut self, deadline: Instant) -> bool {
        let now_ms = time::monotonic_ms();
        let retry = self.assignment.next_ms(now_ms).map(|at| Duration::from_millis((at - now_ms) as u64));
        let membership = self.group.as_ref().map(Group::membership);
        // While the application waits here it polls: the heartbeat must not take the wait for its absence.
        let retry = retry.into_iter().chain(membership.is_some().then(|| self.config.max_poll_interval / 3)).min();
        let news = async {
            match &membership {
                Some(membership) => membership.news.notified().await,
                None => std::future::pending().await,
            }
        };
        let event = tokio::select! {
            biased;
            Some(event) = self.waiting.next(), if !self.waiting.is_empty() => Some(event),
            () = time::sleep_until(deadline) => return false,
            () = news => None,
            () = time::sleep(retry.unwrap_or_default()), if retry.is_some() => None,
        };
        match event {
            Some(Event::Fetched(broker, plan, outcome)) => self.fetched(broker, plan, outcome),
            Some(Event::Located(places)) => self.located(places),
            Some(Event::Joined(outcome)) => self.joined(outcome),
            Some(Event::Committed(outcome)) => self.auto_committed(outcome),
            Some(Event::Refreshed(outcome)) => {
                self.refreshing = false;
                match outcome {
                    Ok(()) if self.misses_a_topic() => {}
                    Ok(()) => self.refresh_backoff.reset(),
                    Err(e) => tracing::debug!(error = %e, "the consumer cannot fetch metadata"),
                }
            }
            None => {}
        }
        true
    }

    fn refresh(&mut self) {
        self.refreshing = true;
        let cluster = self.cluster.clone();
        let auto_create = self.config.allow_auto_create_topics;
        let wait = self.refresh_backoff.next(random::next_u64());
        self.waiting.push(Box::pin(async move {
            time::sleep(wait).await;
            Event::Refreshed(cluster.refresh(Topics::Used, auto_create).await.map(drop))
        }));
    }

    /// Commits positions if `enable.auto.commit` is set, and leaves the group.
    ///
    /// # Errors
    /// When the last commit or the leave fails; the consumer is closed all the same.
    pub async fn close(mut self) -> Result<(), Error> {
        if self.group.is_some() {
            return self.unsubscribe().await;
        }
        let wants_commit = self.config.enable_auto_commit && self.coordinator.is_some();
        if wants_commit { self.commit().await } else { Ok(()) }
    }
}
