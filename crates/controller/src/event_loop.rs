//! The controller's task: it takes requests, decides, appends what was decided, and answers when it is committed.
//!
//! ```text
//!   door ──request──> decide(view of all that was decided) ──records──> replay on that view
//!                                                              └──────> RaftDriver: append, sync, commit
//!   door <──response── committed <──high watermark────────────────────────────┘
//!      ^                   └──> loading task ──> MetadataLoader ──> image ──> publishers (the broker, if there is one)
//!      └──response with records─── loaded <─────────────────────────────────────┘
//! ```
//!
//! A response that has records of its own leaves when they are published: whoever created a topic finds the partitions of
//! this node's broker (Kafka answers at the commit). All others leave at the commit: they are not held up by a publisher
//! that makes ten thousand directories.
//!
//! There are two states. The *decided* one holds every record appended, committed or not: deciders read it, so that two
//! requests in a row cannot both create one topic. The *committed* one is the loader's image. When leadership is lost, what
//! was decided and not committed may never be: the decided state is dropped and taken anew from the committed one at the
//! next activation (Kafka: `QuorumController` and its timeline).
//!
//! Kafka's active controller appends a NoOpRecord every `metadata.max.idle.interval.ms`, so that the high watermark reaches
//! followers that wait for a record. Here it never does: fetchers are told of a high watermark that moved at once (KIP-1166
//! does the same on the wire), and a lone node stays silent and leaves its disk alone.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use ottla_env::{random, time};
use ottla_metadata::controller_door::DoorError;
use ottla_metadata::{MetadataDelta, MetadataImage, MetadataLoader, MetadataRecord};
use ottla_protocol::api::ApiKey;
use ottla_protocol::ids::Uuid;
use ottla_protocol::message::Message;
use ottla_protocol::messages::describe_cluster_request::DescribeClusterRequest;
use ottla_protocol::messages::describe_quorum_request::DescribeQuorumRequest;
use ottla_protocol::reader::Reader;
use tokio::sync::{mpsc, watch};

use crate::batches::{BatchPlace, encode_records};
use crate::brokers::{self, News};
use crate::decision::{RECORDS_PER_REQUEST_MAX, View};
use crate::describe_quorum::Clocks;
use crate::error::ControllerError;
use crate::load_queue::Loaded;
use crate::operations::{Decided, decide, malformed};
use crate::options::ControllerOptions;
use crate::pending::{Pending, Reply, Until};
use crate::quorum_wire::QuorumApi;
use crate::raft::Event;
use crate::raft_driver::{Outcome, RaftDriver, SyncDone};
use crate::sessions::Sessions;
use crate::{activation, describe_cluster, describe_quorum};

/// Longest sleep of an idle controller.
const IDLE_MS: i64 = 3_600_000;

/// What was synced is noted so long after, for whatever came meanwhile together. Damage behind the note is taken for the end of
/// an append that the power cut off.
const NOTE_AFTER_MS: i64 = 1_000;

/// A request that came through the door.
pub(crate) struct Request {
    /// The listener on which it came.
    pub(crate) listener: String,
    pub(crate) api_key: i16,
    pub(crate) version: i16,
    pub(crate) body: Vec<u8>,
    pub(crate) reply: Reply,
}

/// What the handle sends to the task.
pub(crate) enum Command {
    Request(Request),
    Stop,
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Request(request) => write!(f, "Request({} v{})", request.api_key, request.version),
            Self::Stop => f.write_str("Stop"),
        }
    }
}

/// Whether this controller decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Another does, or none.
    Inactive,
    /// Elected, but not everything of earlier epochs is committed and loaded: what lies below `load_to`, once that is known.
    Claiming { epoch: i32, load_to: Option<i64> },
    /// This one does.
    Active { epoch: i32 },
}

/// Where those report that work beside the controller's task.
pub(crate) struct Reports {
    pub(crate) sync_done: mpsc::Receiver<SyncDone>,
    pub(crate) loaded: watch::Receiver<Loaded>,
}

/// The controller's task.
pub(crate) struct EventLoop {
    options: ControllerOptions,
    driver: RaftDriver,
    loader: Arc<MetadataLoader>,
    sessions: Sessions,
    incarnation_id: Uuid,
    role: Role,
    /// The state after every record decided; meaningful while active.
    decided: Arc<MetadataImage>,
    /// What the driver reported and was not yet acted upon.
    outcomes: VecDeque<Outcome>,
    pending: Pending,
    /// Everything below was loaded.
    loaded: i64,
    /// The first high watermark that was heard of.
    catch_up_to: Option<i64>,
    /// Bytes of what was loaded since the last snapshot, which holds only what is loaded.
    bytes_since_snapshot: u64,
    /// Appended and not yet loaded: the last offset of each append, and its bytes.
    unloaded: VecDeque<(i64, u64)>,
    snapshot_at_ms: i64,
    snapshot_offset: i64,
    /// When it is noted how far the log is synced.
    note_at_ms: Option<i64>,
    /// Becomes true with the first records that are known to be committed.
    caught_up: watch::Sender<bool>,
}

impl EventLoop {
    /// A controller of this node's new life, whose core has not been started.
    pub(crate) fn new(
        options: ControllerOptions,
        driver: RaftDriver,
        loader: Arc<MetadataLoader>,
        caught_up: watch::Sender<bool>,
    ) -> Self {
        let mut sessions = Sessions::new(options.session_timeout_ms);
        sessions.begin_life(options.node_id);
        Self {
            sessions,
            incarnation_id: Uuid::from_random_bytes(random::bytes16()),
            decided: loader.current(),
            bytes_since_snapshot: 0,
            unloaded: VecDeque::new(),
            snapshot_at_ms: time::monotonic_ms(),
            snapshot_offset: driver.core().log().latest_snapshot().map_or(0, |s| s.end_offset),
            note_at_ms: None,
            options,
            driver,
            loader,
            role: Role::Inactive,
            outcomes: VecDeque::new(),
            pending: Pending::default(),
            loaded: 0,
            catch_up_to: None,
            caught_up,
        }
    }

    /// Runs until it is told to stop, or cannot go on.
    pub(crate) async fn run(
        mut self,
        mut commands: mpsc::Receiver<Command>,
        reports: Reports,
    ) -> Result<(), ControllerError> {
        let Reports { mut sync_done, mut loaded } = reports;
        self.loaded = loaded.borrow().clone()?;
        self.drive(Event::Start).await?;
        loop {
            self.settle().await?;
            self.maybe_note().await?;
            tokio::select! {
                biased;
                Some(done) = sync_done.recv() => {
                    self.note_at_ms.get_or_insert_with(|| time::monotonic_ms() + NOTE_AFTER_MS);
                    self.drive(done?).await?;
                }
                changed = loaded.changed() => {
                    changed.map_err(|_| ControllerError::Broken("the metadata loader has ended".to_owned()))?;
                    self.loaded = loaded.borrow_and_update().clone()?;
                    self.loaded().await?;
                }
                command = commands.recv() => match command {
                    Some(Command::Request(request)) => self.request(request).await?,
                    Some(Command::Stop) | None => break,
                },
                () = time::sleep(self.idle()) => self.tick().await?,
            }
        }
        self.stop(sync_done).await
    }

    async fn drive(&mut self, event: Event) -> Result<(), ControllerError> {
        let outcomes = self.driver.drive(event).await?;
        self.outcomes.extend(outcomes);
        Ok(())
    }

    /// Steps down, and waits for the sync of what was written last.
    async fn stop(mut self, mut sync_done: mpsc::Receiver<SyncDone>) -> Result<(), ControllerError> {
        self.drive(Event::Resign).await?;
        self.settle().await?;
        while self.driver.is_syncing() {
            let Some(done) = sync_done.recv().await else { break };
            self.drive(done?).await?;
        }
        self.driver.close()
    }

    /// How long nothing will happen by itself.
    fn idle(&self) -> Duration {
        let now_ms = time::monotonic_ms();
        let session = matches!(self.role, Role::Active { .. }).then(|| self.sessions.next_expiry_ms(&self.decided));
        let snapshot = self.snapshot_due_ms().filter(|_| self.loader.current().offset >= self.snapshot_offset);
        let next = [self.driver.core().next_deadline_ms(), session.flatten(), snapshot, self.note_at_ms];
        let next_ms = next.into_iter().flatten().min().unwrap_or(now_ms + IDLE_MS);
        Duration::from_millis((next_ms - now_ms).clamp(0, IDLE_MS).unsigned_abs())
    }

    async fn tick(&mut self) -> Result<(), ControllerError> {
        let now_ms = time::monotonic_ms();
        if self.driver.core().next_deadline_ms().is_some_and(|deadline| deadline <= now_ms) {
            self.drive(Event::Tick).await?;
        }
        if let Role::Active { epoch } = self.role {
            self.fence_silent(epoch, now_ms).await?;
        }
        self.maybe_snapshot().await
    }

    /// Notes how far the log is synced, some time after it was.
    async fn maybe_note(&mut self) -> Result<(), ControllerError> {
        if self.note_at_ms.take_if(|at_ms| *at_ms <= time::monotonic_ms()).is_some() {
            self.driver.note_synced().await?;
        }
        Ok(())
    }

    /// Fences the brokers of which nothing was heard for a session.
    async fn fence_silent(&mut self, epoch: i32, now_ms: i64) -> Result<(), ControllerError> {
        for id in self.sessions.expired(&self.decided, now_ms) {
            tracing::info!(broker = id, "fencing a broker: no heartbeat for {} ms", self.options.session_timeout_ms);
            let records = self.decided.cluster.broker(id).map(|b| brokers::fence(&self.view(now_ms), b));
            self.append(epoch, records.unwrap_or_default()).await?;
        }
        Ok(())
    }

    /// Acts upon what the driver reported, until it reports nothing more.
    async fn settle(&mut self) -> Result<(), ControllerError> {
        while let Some(outcome) = self.outcomes.pop_front() {
            match outcome {
                Outcome::LeaderChanged { leader_id, epoch } if leader_id == Some(self.options.node_id) => {
                    self.role = Role::Claiming { epoch, load_to: None };
                }
                Outcome::LeaderChanged { .. } => self.deactivate(),
                Outcome::Committed(high_watermark) => self.committed(high_watermark).await?,
            }
        }
        Ok(())
    }

    fn deactivate(&mut self) {
        self.role = Role::Inactive;
        // What was not committed may never be loaded.
        self.unloaded.clear();
        self.pending.give_up();
    }

    async fn committed(&mut self, high_watermark: i64) -> Result<(), ControllerError> {
        self.catch_up_to.get_or_insert(high_watermark);
        // On a leader the high watermark moves only with a record of its own epoch, so all that came before lies below it.
        if let Role::Claiming { load_to, .. } = &mut self.role {
            load_to.get_or_insert(high_watermark);
        }
        self.pending.committed(high_watermark);
        self.loaded().await
    }

    /// Acts upon how much is loaded, and has more of it loaded.
    async fn loaded(&mut self) -> Result<(), ControllerError> {
        let high_watermark = self.driver.core().high_watermark().unwrap_or(0);
        self.driver.hand_on(high_watermark).await?;
        if self.catch_up_to.is_some_and(|offset| offset <= self.loaded) {
            self.caught_up.send_replace(true);
        }
        if let Role::Claiming { epoch, load_to: Some(load_to) } = self.role
            && load_to <= self.loaded
        {
            self.activate(epoch).await?;
        }
        self.pending.loaded(self.loaded);
        self.maybe_snapshot().await
    }

    async fn activate(&mut self, epoch: i32) -> Result<(), ControllerError> {
        self.decided = self.loader.current();
        self.role = Role::Active { epoch };
        let now_ms = time::monotonic_ms();
        self.sessions.restart(&self.decided, now_ms);
        tracing::info!(epoch, offset = self.decided.offset, "this controller is active");
        if self.loader.in_transaction() {
            self.append(epoch, vec![activation::abort()]).await?;
        }
        if self.decided.features.iter().next().is_none() {
            let formatted = self.driver.bootstrap_records().await?;
            self.append(epoch, activation::bootstrap(formatted, &self.options)).await?;
        }
        let registration = activation::registration(&self.decided, &self.options, self.incarnation_id);
        self.append(epoch, registration.into_iter().collect()).await
    }

    fn view(&self, now_ms: i64) -> View<'_> {
        View {
            image: &self.decided,
            sessions: &self.sessions,
            options: &self.options,
            next_offset: self.driver.core().log().end_offset(),
            now_ms,
            random: &random::bytes16,
        }
    }

    async fn request(&mut self, request: Request) -> Result<(), ControllerError> {
        let Request { listener, api_key, version, body, reply } = request;
        if let Some(api) = QuorumApi::of(api_key) {
            let outcomes = self.driver.request(api, version, &body, reply).await?;
            self.outcomes.extend(outcomes);
            return Ok(());
        }
        // These every controller answers, active or not.
        let described = match ApiKey::from_code(api_key) {
            Some(ApiKey::DescribeQuorum) => Some(self.describe_quorum(version, &body)),
            Some(ApiKey::DescribeCluster) => Some(self.describe_cluster(&listener, version, &body)),
            _ => None,
        };
        if let Some(answer) = described {
            let _ = reply.send(answer);
            return Ok(());
        }
        let Role::Active { epoch } = self.role else {
            let _ = reply.send(Err(DoorError::NotController));
            return Ok(());
        };
        let now_ms = time::monotonic_ms();
        let decided = match decide(&self.view(now_ms), api_key, version, &body) {
            Ok(decided) => decided,
            Err(error) => {
                let _ = reply.send(Err(error));
                return Ok(());
            }
        };
        self.take_effect(epoch, decided, reply, now_ms).await
    }

    async fn take_effect(
        &mut self,
        epoch: i32,
        decided: Decided,
        reply: Reply,
        now_ms: i64,
    ) -> Result<(), ControllerError> {
        let until = if decided.decision.records.is_empty() { Until::Committed } else { Until::Loaded };
        self.append(epoch, decided.decision.records).await?;
        match decided.news {
            Some(News::Registered(broker)) => self.sessions.registered(broker, now_ms),
            Some(News::Heard(heartbeat)) => self.sessions.heard(heartbeat, now_ms),
            None => {}
        }
        self.pending.add(until, self.driver.core().log().end_offset(), reply, decided.decision.body);
        self.pending.committed(self.driver.core().high_watermark().unwrap_or(0));
        Ok(())
    }

    fn describe_quorum(&self, version: i16, body: &[u8]) -> Result<Vec<u8>, DoorError> {
        let request = DescribeQuorumRequest::decode(&mut Reader::new(body), version).map_err(|e| malformed(&e))?;
        let now = Clocks { monotonic_ms: time::monotonic_ms(), wall_ms: time::wall_clock_ms() };
        describe_quorum::describe(self.driver.core(), &request, version, now).map_err(|e| malformed(&e))
    }

    fn describe_cluster(&self, listener: &str, version: i16, body: &[u8]) -> Result<Vec<u8>, DoorError> {
        let request = DescribeClusterRequest::decode(&mut Reader::new(body), version).map_err(|e| malformed(&e))?;
        let (image, leader_id) = (self.loader.current(), self.driver.core().leader_id());
        describe_cluster::describe(&image, &self.options.cluster_id, leader_id, listener, &request, version)
            .map_err(|e| malformed(&e))
    }

    /// Replays what was decided and appends it. What one request decides is one batch; what follows from a broker's coming
    /// and going may be more, each record sound by itself.
    async fn append(&mut self, epoch: i32, records: Vec<MetadataRecord>) -> Result<(), ControllerError> {
        for batch in records.chunks(RECORDS_PER_REQUEST_MAX) {
            let place = BatchPlace {
                base_offset: self.driver.core().log().end_offset(),
                epoch,
                timestamp_ms: time::wall_clock_ms(),
            };
            let last_offset = place.base_offset + batch.len() as i64 - 1;
            self.replay(batch, last_offset, epoch)?;
            let bytes = encode_records(place, batch, self.decided.features.metadata_version())?;
            self.unloaded.push_back((last_offset, bytes.len() as u64));
            let record_count = u32::try_from(batch.len()).unwrap_or(u32::MAX);
            self.drive(Event::Append { epoch, record_count, bytes }).await?;
        }
        Ok(())
    }

    fn replay(&mut self, records: &[MetadataRecord], last_offset: i64, epoch: i32) -> Result<(), ControllerError> {
        let mut delta = MetadataDelta::new(Arc::clone(&self.decided));
        for record in records {
            match record {
                // What an earlier leader left open was never in the decided state, and our own end in their batch.
                MetadataRecord::BeginTransaction(_)
                | MetadataRecord::EndTransaction(_)
                | MetadataRecord::AbortTransaction(_) => {}
                record => {
                    let replayed = delta.replay(record);
                    replayed.map_err(|e| ControllerError::Broken(format!("a decision does not fit: {e}")))?;
                }
            }
        }
        self.decided = Arc::new(delta.apply(last_offset, epoch));
        Ok(())
    }

    /// When the next snapshot is due by time alone.
    fn snapshot_due_ms(&self) -> Option<i64> {
        let interval_ms = self.options.snapshot_interval_ms;
        (interval_ms > 0).then(|| self.snapshot_at_ms.saturating_add(interval_ms))
    }

    /// Writes a snapshot when enough was loaded since the last one, or long enough ago.
    async fn maybe_snapshot(&mut self) -> Result<(), ControllerError> {
        let now_ms = time::monotonic_ms();
        let image = self.loader.current();
        while let Some((_, bytes)) = self.unloaded.pop_front_if(|(offset, _)| *offset <= image.offset) {
            self.bytes_since_snapshot += bytes;
        }
        let large = self.bytes_since_snapshot >= self.options.snapshot_after_bytes;
        let old = self.snapshot_due_ms().is_some_and(|due_ms| due_ms <= now_ms);
        if image.offset < self.snapshot_offset || !(large || old) {
            return Ok(());
        }
        self.bytes_since_snapshot = 0;
        self.snapshot_at_ms = now_ms;
        self.snapshot_offset = image.offset + 1;
        let outcomes = self.driver.write_snapshot().await?;
        self.outcomes.extend(outcomes);
        Ok(())
    }
}
