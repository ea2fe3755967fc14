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
mod decode;
mod fetch;
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
use ottla_protocol::ErrorCode;

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
use crate::offsets::{self, Committer};
use assignment::{Assignment, Place, ResetTo};
use buffer::Buffer;
use decode::{DecodeOptions, FetchedRecords};
use fetch::{FetchOutcome, PartitionOutcome};
use group::Joined;
use locate::Located;
use rebalance::Group;
use session::{FetchSession, Plan, Wanted};

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

    fn take_buffered(&mut self) -> Result<Vec<ConsumerRecord>, Error> {
        let mut records = Vec::new();
        while records.len() < self.config.max_poll_records {
            let Some(front) = self.buffer.front_mut() else { break };
            let tp = front.topic_partition().clone();
            let next = front.next();
            let position = front.next_offset();
            let failed = next.is_err();
            if let Some(state) = self.assignment.get_mut(&tp)
                && let Place::At { position: p, fetch } = &mut state.place
            {
                *p = position;
                *fetch = (*fetch).max(position);
                if let Ok(Some(record)) = &next {
                    state.leader_epoch = record.leader_epoch;
                }
            }
            match next {
                Ok(Some(record)) => records.push(record),
                Ok(None) => self.buffer.pop_front(),
                // What was read before goes out first; the broken batch is met again by the next poll.
                Err(_) if !records.is_empty() => break,
                Err(e) => {
                    self.pass_over_failed(&tp, failed);
                    return Err(e);
                }
            }
        }
        Ok(records)
    }

    /// A batch that cannot be read is fetched again: the damage may have happened on the way.
    fn pass_over_failed(&mut self, tp: &TopicPartition, failed: bool) {
        if failed && let Some(position) = self.assignment.position(tp) {
            self.buffer.retain(|buffered| buffered != tp);
            self.assignment.move_to(tp, Place::At { position, fetch: position });
        }
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
            Some(Event::Committed(outcome)) => {
                self.committing = false;
                if let Err(e) = outcome {
                    tracing::warn!(error = %e, "the automatic commit of offsets failed; it is tried again");
                }
            }
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

    fn start_locating(&mut self, now_ms: i64) {
        let unplaced = self.assignment.unplaced(now_ms);
        if self.locating || unplaced.is_empty() {
            return;
        }
        self.locating = true;
        let (cluster, coordinator, config) = (self.cluster.clone(), self.coordinator.clone(), Arc::clone(&self.config));
        self.waiting.push(Box::pin(async move {
            Event::Located(locate::locate(&cluster, coordinator.as_deref(), &config, unplaced).await)
        }));
    }

    fn located(&mut self, places: Vec<Located>) {
        self.locating = false;
        let retry_ms = time::monotonic_ms() + self.config.client.retry_backoff.as_millis() as i64;
        for Located { tp, version, place } in places {
            let Some(state) = self.assignment.current_mut(&tp, version) else { continue };
            match place {
                Ok(place) => {
                    state.place = place;
                    state.not_before_ms = 0;
                }
                Err(e) => {
                    state.not_before_ms = retry_ms;
                    if e.is_retriable() {
                        tracing::debug!(partition = %tp, error = %e, "no offset yet");
                    } else {
                        self.failed = Some(e);
                    }
                }
            }
        }
    }

    /// Starts a fetch from each leader that has none, as long as the buffer has room.
    fn start_fetches(&mut self, now_ms: i64) {
        if self.buffer.bytes() >= self.config.fetch_max_bytes as usize {
            return;
        }
        let view = self.cluster.view();
        let mut per_broker: BTreeMap<i32, BTreeMap<TopicPartition, Wanted>> = BTreeMap::new();
        for (tp, state) in self.assignment.iter() {
            let Place::At { fetch, .. } = state.place else { continue };
            if state.paused || state.not_before_ms > now_ms {
                continue;
            }
            let topic_id = view.topic(&tp.topic).map(|t| t.id).unwrap_or_default();
            match view.leader(&tp.topic, tp.partition) {
                Some((leader, leader_epoch)) => {
                    let wanted = Wanted { topic_id, offset: fetch, leader_epoch };
                    per_broker.entry(leader).or_default().insert(tp.clone(), wanted);
                }
                None => self.cluster.mark_stale(),
            }
        }
        for (broker, wanted) in per_broker {
            if self.fetching.insert(broker) {
                self.start_fetch(broker, wanted);
            }
        }
    }

    fn start_fetch(&mut self, broker: i32, wanted: BTreeMap<TopicPartition, Wanted>) {
        let plan = self.sessions.entry(broker).or_default().plan(wanted);
        let (cluster, config) = (self.cluster.clone(), Arc::clone(&self.config));
        self.waiting.push(Box::pin(async move {
            let outcome = fetch::fetch(&cluster, broker, &plan, &config).await;
            Event::Fetched(broker, plan, outcome)
        }));
    }

    fn fetched(&mut self, broker: i32, plan: Plan, outcome: FetchOutcome) {
        self.fetching.remove(&broker);
        let session = self.sessions.entry(broker).or_default();
        let retry_ms = time::monotonic_ms() + self.config.client.retry_backoff.as_millis() as i64;
        let response = match outcome {
            Ok(response) => response,
            Err(e) => {
                session.failed();
                self.cluster.mark_stale();
                self.delay(&plan, retry_ms);
                if !e.is_retriable() {
                    self.failed = Some(e);
                }
                return;
            }
        };
        let decoded = match response.decode() {
            Ok(decoded) => decoded,
            Err(e) => {
                session.failed();
                self.failed = Some(e.into());
                return;
            }
        };
        if decoded.error_code != 0 {
            // The session is gone, or topic ids changed under it: the next request is a full one.
            session.failed();
            if decoded.error_code != ErrorCode::FetchSessionIdNotFound.code() {
                self.cluster.mark_stale();
                self.delay(&plan, retry_ms);
            }
            return;
        }
        session.answered(decoded.session_id);
        for (tp, outcome) in fetch::outcomes(&self.cluster, &plan, &response, &decoded) {
            self.take_outcome(tp, &plan, outcome, retry_ms);
        }
    }

    fn delay(&mut self, plan: &Plan, until_ms: i64) {
        for tp in plan.all.keys() {
            if let Some(state) = self.assignment.get_mut(tp) {
                state.not_before_ms = until_ms;
            }
        }
    }

    fn take_outcome(&mut self, tp: TopicPartition, plan: &Plan, outcome: PartitionOutcome, retry_ms: i64) {
        let asked = plan.all.get(&tp).map(|w| w.offset);
        let options = DecodeOptions {
            check_crcs: self.config.check_crcs,
            max_batch_bytes: self.config.max_decompressed_batch_bytes,
        };
        let Some(state) = self.assignment.get_mut(&tp) else { return };
        // An answer for another offset than the one wanted now is of before a seek.
        let Place::At { position, fetch } = &mut state.place else { return };
        if asked != Some(*fetch) || state.paused {
            return;
        }
        match outcome {
            PartitionOutcome::Records { bytes, high_watermark, aborted } => {
                state.high_watermark = Some(high_watermark);
                if let Some(next) = decode::end_of(&bytes) {
                    let from = *position.max(fetch);
                    *fetch = next.max(from);
                    self.buffer.push(FetchedRecords::new(tp, bytes, from, aborted, options));
                }
            }
            PartitionOutcome::OutOfRange => {
                let at = *fetch;
                match ResetTo::of(self.config.auto_offset_reset) {
                    // What is buffered comes first: only then is the place really lost.
                    Some(_) if *position != at => state.not_before_ms = retry_ms,
                    Some(reset) => {
                        tracing::info!(partition = %tp, offset = at, ?reset, "the offset is out of range; resetting");
                        self.assignment.move_to(&tp, Place::Reset(reset));
                    }
                    None => {
                        state.not_before_ms = retry_ms;
                        let (topic, partition) = (tp.topic.to_string(), tp.partition);
                        self.failed = Some(Error::NoOffset { topic, partition, offset: at });
                    }
                }
            }
            PartitionOutcome::Again { code, hinted } => {
                tracing::debug!(partition = %tp, %code, hinted, "a partition is fetched again");
                if !hinted {
                    state.not_before_ms = retry_ms;
                }
            }
            PartitionOutcome::Failed(e) => {
                state.not_before_ms = retry_ms;
                self.failed = Some(e);
            }
        }
    }

    fn positions(&self) -> BTreeMap<TopicPartition, OffsetAndMetadata> {
        self.assignment
            .iter()
            .filter_map(|(tp, state)| match state.place {
                Place::At { position, .. } => {
                    let (leader_epoch, metadata) = (state.leader_epoch, String::new());
                    Some((tp.clone(), OffsetAndMetadata { offset: position, leader_epoch, metadata }))
                }
                Place::Committed | Place::Reset(_) => None,
            })
            .collect()
    }

    fn committer(&self) -> Committer {
        self.group.as_ref().map_or_else(Committer::outsider, |g| g.membership().committer())
    }

    /// Commits the positions of all partitions: what was polled so far.
    ///
    /// # Errors
    /// When there is no `group.id`, or the coordinator refuses, as it does after the group has rebalanced without us.
    pub async fn commit(&mut self) -> Result<(), Error> {
        self.commit_offsets(self.positions()).await
    }

    /// Commits these offsets; an offset is the next one to read.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub async fn commit_offsets(&mut self, offsets: BTreeMap<TopicPartition, OffsetAndMetadata>) -> Result<(), Error> {
        let coordinator = self.group_coordinator()?;
        let committer = self.committer();
        self.committed_at = Instant::now();
        coordinator
            .retrying("committing offsets", async || offsets::commit(&coordinator, &committer, &offsets).await)
            .await
    }

    /// The committed offsets of partitions; those without one are left out.
    ///
    /// # Errors
    /// When there is no `group.id` or the coordinator refuses.
    pub async fn committed(
        &mut self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, OffsetAndMetadata>, Error> {
        let coordinator = self.group_coordinator()?;
        coordinator
            .retrying("fetching committed offsets", async || {
                offsets::fetch_committed(&coordinator, Some(partitions), true).await
            })
            .await
    }

    fn group_coordinator(&self) -> Result<Arc<Coordinator>, Error> {
        self.coordinator.clone().ok_or_else(|| Error::IllegalState("committed offsets need a group.id".to_owned()))
    }

    fn start_auto_commit(&mut self) {
        // Between two generations nothing can be committed.
        let joining = self.group.as_ref().is_some_and(Group::is_joining);
        let interval = self.config.auto_commit_interval;
        let due = self.config.enable_auto_commit && !joining && self.committed_at.elapsed() >= interval;
        let Some(coordinator) = self.coordinator.clone().filter(|_| due && !self.committing) else { return };
        self.committed_at = Instant::now();
        let (offsets, committer) = (self.positions(), self.committer());
        if offsets.is_empty() {
            return;
        }
        self.committing = true;
        self.waiting
            .push(Box::pin(async move { Event::Committed(offsets::commit(&coordinator, &committer, &offsets).await) }));
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
