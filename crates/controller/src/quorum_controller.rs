//! The controller: one task that takes requests, decides, appends what was decided, and answers when it is committed.
//!
//! ```text
//!   door ──request──> decide(view of all that was decided) ──records──> replay on that view
//!                                                              └──────> RaftDriver: append, sync, commit
//!   door <──response── committed <──high watermark────────────────────────────┘
//!                          └──> MetadataLoader ──> image ──> publishers (the broker, if there is one)
//! ```
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

use ottla_env::{random, task, time};
use ottla_metadata::controller_door::{ControllerDoor, DoorAnswer, DoorContext, DoorError};
use ottla_metadata::{MetadataDelta, MetadataImage, MetadataLoader, MetadataRecord};
use ottla_protocol::api::ApiKey;
use ottla_protocol::ids::Uuid;
use ottla_protocol::message::Message;
use ottla_protocol::messages::describe_cluster_request::DescribeClusterRequest;
use ottla_protocol::messages::describe_quorum_request::DescribeQuorumRequest;
use ottla_protocol::reader::Reader;
use tokio::sync::{mpsc, oneshot, watch};

use crate::batches::{BatchPlace, encode_records};
use crate::brokers::{self, News};
use crate::decision::{RECORDS_PER_REQUEST_MAX, View};
use crate::describe_quorum::Clocks;
use crate::error::ControllerError;
use crate::metadata_log::MetadataLog;
use crate::operations::{Decided, decide, malformed};
use crate::options::{ControllerOptions, QuorumOptions};
use crate::quorum_store::{self, Opened};
use crate::quorum_wire::QuorumApi;
use crate::raft::{Event, ReplicaKey};
use crate::raft_driver::{Outcome, RaftDriver, SyncDone};
use crate::sessions::Sessions;
use crate::{activation, describe_cluster, describe_quorum};

/// Requests that wait for the controller's task; more wait outside, each holding its own frame's memory.
const REQUESTS_MAX: usize = 1024;

/// A request that is not answered by then is given up by who asked, though it may yet take effect.
const ANSWER_TIMEOUT_MS: i64 = 60_000;

/// Longest sleep of an idle controller.
const IDLE_MS: i64 = 3_600_000;

type Reply = oneshot::Sender<Result<Vec<u8>, DoorError>>;

struct Request {
    /// The listener on which it came.
    listener: String,
    api_key: i16,
    version: i16,
    body: Vec<u8>,
    reply: Reply,
}

enum Command {
    Request(Request),
    Stop,
}

/// The handle of a running controller. Cheap to clone behind an `Arc`; it is the [`ControllerDoor`] of this node.
#[derive(Debug)]
pub struct QuorumController {
    commands: mpsc::Sender<Command>,
    /// How the task ended, once it has.
    ended: watch::Receiver<Option<Result<(), Arc<ControllerError>>>>,
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Request(request) => write!(f, "Request({} v{})", request.api_key, request.version),
            Self::Stop => f.write_str("Stop"),
        }
    }
}

impl QuorumController {
    /// Opens the metadata log, loads the newest snapshot into `loader`, and starts the controller's task. Reads and may
    /// recover files, so it belongs on a thread that may block, within the runtime.
    ///
    /// # Errors
    /// [`ControllerError`], with a sentence for whoever starts the node.
    pub fn start(
        options: ControllerOptions,
        quorum: QuorumOptions,
        loader: Arc<MetadataLoader>,
    ) -> Result<Self, ControllerError> {
        let local = ReplicaKey::new(options.node_id, quorum.dir.directory_id());
        let log = MetadataLog::open(&quorum.dir, quorum.segment_bytes, quorum.segment_ms)?;
        let opened = quorum_store::open(log, local, quorum.voters, quorum.raft, &loader)?;
        Ok(Self::run(options, opened, loader))
    }

    fn run(options: ControllerOptions, opened: Opened, loader: Arc<MetadataLoader>) -> Self {
        let (commands, received) = mpsc::channel(REQUESTS_MAX);
        let (ending, ended) = watch::channel(None);
        let (driver, sync_done) = RaftDriver::new(opened, Arc::clone(&loader));
        let mut sessions = Sessions::new(options.session_timeout_ms);
        sessions.begin_life(options.node_id);
        let event_loop = EventLoop {
            sessions,
            incarnation_id: Uuid::from_random_bytes(random::bytes16()),
            decided: loader.current(),
            bytes_since_snapshot: 0,
            snapshot_at_ms: time::monotonic_ms(),
            snapshot_offset: driver.core().log().latest_snapshot().map_or(0, |s| s.end_offset),
            options,
            driver,
            loader,
            role: Role::Inactive,
            outcomes: VecDeque::new(),
            pending: VecDeque::new(),
        };
        task::spawn("controller", async move {
            let result = event_loop.run(received, sync_done).await;
            if let Err(error) = &result {
                tracing::error!("the controller stops: {error}");
            }
            ending.send_replace(Some(result.map_err(Arc::new)));
        });
        Self { commands, ended }
    }

    /// Waits until the controller's task has ended: after [`Self::stop`], or because it could not go on.
    ///
    /// # Errors
    /// What it could not go on for.
    pub async fn ended(&self) -> Result<(), Arc<ControllerError>> {
        let mut ended = self.ended.clone();
        // The sender is dropped without a word only with the runtime.
        let _ = ended.wait_for(Option::is_some).await;
        let result = ended.borrow().clone();
        result.unwrap_or(Ok(()))
    }

    /// Stops the controller: it steps down, syncs what it has, and ends.
    ///
    /// # Errors
    /// When it had ended already for this.
    pub async fn stop(&self) -> Result<(), Arc<ControllerError>> {
        // A task that ended takes no command, and need not.
        let _ = self.commands.send(Command::Stop).await;
        self.ended().await
    }
}

impl ControllerDoor for QuorumController {
    fn request<'a>(&'a self, context: DoorContext, api_key: i16, version: i16, body: Vec<u8>) -> DoorAnswer<'a> {
        Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            let request = Request { listener: context.listener, api_key, version, body, reply };
            self.commands.send(Command::Request(request)).await.map_err(|_| DoorError::Stopping)?;
            match time::timeout(Duration::from_millis(ANSWER_TIMEOUT_MS.unsigned_abs()), answer).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) => Err(DoorError::Stopping),
                Err(_) => Err(DoorError::TimedOut { after_ms: ANSWER_TIMEOUT_MS }),
            }
        })
    }
}

/// Whether this controller decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Another does, or none.
    Inactive,
    /// Elected, but not everything of earlier epochs is committed and loaded.
    Claiming { epoch: i32 },
    /// This one does.
    Active { epoch: i32 },
}

/// A response that leaves when everything below `end_offset` is committed.
struct Pending {
    end_offset: i64,
    reply: Reply,
    body: Vec<u8>,
}

struct EventLoop {
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
    pending: VecDeque<Pending>,
    bytes_since_snapshot: u64,
    snapshot_at_ms: i64,
    snapshot_offset: i64,
}

impl EventLoop {
    async fn run(
        mut self,
        mut commands: mpsc::Receiver<Command>,
        mut sync_done: mpsc::Receiver<SyncDone>,
    ) -> Result<(), ControllerError> {
        self.drive(Event::Start).await?;
        loop {
            self.settle().await?;
            tokio::select! {
                biased;
                Some(done) = sync_done.recv() => self.drive(done?).await?,
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
        let next = [self.driver.core().next_deadline_ms(), session.flatten(), snapshot];
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
                    self.role = Role::Claiming { epoch };
                }
                Outcome::LeaderChanged { .. } => self.deactivate(),
                Outcome::Committed(high_watermark) => self.committed(high_watermark).await?,
            }
        }
        Ok(())
    }

    fn deactivate(&mut self) {
        self.role = Role::Inactive;
        for pending in self.pending.drain(..) {
            // Whoever has gone need not be told.
            let _ = pending.reply.send(Err(DoorError::NotController));
        }
    }

    async fn committed(&mut self, high_watermark: i64) -> Result<(), ControllerError> {
        self.driver.load_committed(high_watermark).await?;
        // On a leader the high watermark moves only with a record of its own epoch, so all that came before is loaded now.
        if let Role::Claiming { epoch } = self.role {
            self.activate(epoch).await?;
        }
        while self.pending.front().is_some_and(|p| p.end_offset <= high_watermark) {
            if let Some(pending) = self.pending.pop_front() {
                let _ = pending.reply.send(Ok(pending.body));
            }
        }
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
        self.append(epoch, decided.decision.records).await?;
        match decided.news {
            Some(News::Registered(broker)) => self.sessions.registered(broker, now_ms),
            Some(News::Heard(heartbeat)) => self.sessions.heard(heartbeat, now_ms),
            None => {}
        }
        // A response without records of its own may still tell of records that are not committed yet.
        let end_offset = self.driver.core().log().end_offset();
        let committed = self.driver.core().high_watermark().unwrap_or(0);
        if end_offset <= committed {
            let _ = reply.send(Ok(decided.decision.body));
        } else {
            self.pending.push_back(Pending { end_offset, reply, body: decided.decision.body });
        }
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
            self.replay(batch, place.base_offset + batch.len() as i64 - 1, epoch)?;
            let bytes = encode_records(place, batch, self.decided.features.metadata_version())?;
            self.bytes_since_snapshot += bytes.len() as u64;
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

    /// Writes a snapshot when enough was appended since the last one, or long enough ago.
    async fn maybe_snapshot(&mut self) -> Result<(), ControllerError> {
        let now_ms = time::monotonic_ms();
        let image = self.loader.current();
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
