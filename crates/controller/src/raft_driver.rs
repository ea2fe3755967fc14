//! Carries out what the core asks for, on the metadata log, the snapshot files and `quorum-state`, and decides nothing.
//!
//! ```text
//!   event ──> RaftCore::step ──> effects, in their order:
//!               append, truncate   written here at once; a sync follows on a blocking thread, one at a time, and comes
//!                                  back as the event Synced
//!               save               durable before the next effect is begun
//!               replies            to whoever waits behind the door
//!               high watermark     records are read back and handed to the loading task
//! ```
//!
//! A failed write or sync ends the controller: what the log holds is then not known, and a vote or an acknowledgement
//! could be broken.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use ottla_env::{task, time};
use ottla_metadata::controller_door::DoorError;
use ottla_metadata::{CommittedBatch, MetadataLoader, MetadataRecord};
use ottla_protocol::error_code::ErrorCode;
use tokio::sync::{mpsc, oneshot};

use crate::batches::{BatchPlace, decode_batches, encode_control};
use crate::control_records::Control;
use crate::error::ControllerError;
use crate::load_queue::{Load, LoadQueue};
use crate::metadata_log::MetadataLog;
use crate::quorum_store::{self, Opened};
use crate::quorum_wire::{Decoded, QuorumApi};
use crate::raft::{
    ControlRecord, Effect, Event, FetchSnapshotRequest, FetchSnapshotResponse, RaftCore, ReplyId, Response, SnapshotId,
    Standing, VoterSet,
};
use crate::snapshot_file;

/// Bytes read from the log at a time when committed records are handed on.
const READ_BYTES: u32 = 1 << 20;

/// Bytes of a snapshot or of records in one answer, whatever the asker would take.
const ANSWER_BYTES_MAX: u32 = 8 << 20;

/// Somebody waits for the core's answer.
struct Waiting {
    api: QuorumApi,
    version: i16,
    reply: oneshot::Sender<Result<Vec<u8>, DoorError>>,
}

/// A sync that ended.
pub(crate) type SyncDone = Result<Event, ControllerError>;

/// What a step led to, for the controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The leader or epoch changed.
    LeaderChanged { leader_id: Option<i32>, epoch: i32 },
    /// Everything below is committed.
    Committed(i64),
}

/// The core and what it acts on.
pub(crate) struct RaftDriver {
    core: RaftCore,
    log: Arc<MetadataLog>,
    dir: PathBuf,
    loader: Arc<MetadataLoader>,
    waiting: BTreeMap<ReplyId, Waiting>,
    last_reply: u64,
    loads: LoadQueue,
    /// Records below this were handed to the loading task.
    handed: i64,
    syncing: bool,
    /// Something was written since the running sync began.
    sync_again: bool,
    sync_done: mpsc::Sender<SyncDone>,
}

impl RaftDriver {
    /// A driver on what was found on disk, whose loads go to `loads`, and where its syncs report. The core has not been
    /// started.
    pub(crate) fn new(
        opened: Opened,
        loader: Arc<MetadataLoader>,
        loads: LoadQueue,
    ) -> (Self, mpsc::Receiver<SyncDone>) {
        // One sync runs at a time, so one report waits at most.
        let (sync_done, done) = mpsc::channel(1);
        let driver = Self {
            core: opened.core,
            log: Arc::new(opened.log),
            dir: opened.dir,
            loader,
            waiting: BTreeMap::new(),
            last_reply: 0,
            loads,
            handed: opened.loaded,
            syncing: false,
            sync_again: false,
            sync_done,
        };
        (driver, done)
    }

    pub(crate) fn core(&self) -> &RaftCore {
        &self.core
    }

    /// Whether a sync runs whose end was not yet driven in.
    pub(crate) fn is_syncing(&self) -> bool {
        self.syncing
    }

    /// Ends the log's life in an orderly way.
    pub(crate) fn close(&self) -> Result<(), ControllerError> {
        self.log.close()
    }

    /// The records with which an empty log begins: those of formatting.
    pub(crate) async fn bootstrap_records(&self) -> Result<Vec<MetadataRecord>, ControllerError> {
        let dir = self.dir.clone();
        task::blocking("metadata-snapshot", move || quorum_store::bootstrap_records(&dir)).await
    }

    /// Steps the core and carries its effects out.
    pub(crate) async fn drive(&mut self, event: Event) -> Result<Vec<Outcome>, ControllerError> {
        let mut outcomes = Vec::new();
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            if let Event::Synced { .. } = event {
                self.syncing = false;
            }
            for effect in self.core.step(event, time::monotonic_ms()) {
                self.carry_out(effect, &mut outcomes, &mut events).await?;
            }
        }
        self.maybe_sync();
        Ok(outcomes)
    }

    async fn carry_out(
        &mut self,
        effect: Effect,
        outcomes: &mut Vec<Outcome>,
        events: &mut Vec<Event>,
    ) -> Result<(), ControllerError> {
        match effect {
            Effect::SaveQuorumState(state) => self.save(state).await?,
            Effect::Append { mut bytes, .. } => {
                self.log.append(&mut bytes, self.core.election().epoch)?;
                self.sync_again = true;
            }
            Effect::AppendControl { base_offset, epoch, records, .. } => {
                self.append_control(base_offset, epoch, records)?;
            }
            Effect::AppendFetched(batch) => {
                self.log.append_fetched(&batch.bytes)?;
                self.sync_again = true;
            }
            Effect::Truncate { end_offset } => {
                self.log.truncate_to(end_offset)?;
                self.sync_again = true;
            }
            Effect::Send { request_id, to, .. } => {
                // A quorum of several nodes is not served yet, so there is no way to anybody: as if nobody had answered.
                events.push(Event::Response { request: request_id, from: to, response: None });
            }
            Effect::Reply { reply, response } => self.answer(reply, &response, &[]),
            Effect::ReplyRecords { reply, response, fetch_offset, max_bytes } => {
                let bytes = self.read(fetch_offset, max_bytes.min(ANSWER_BYTES_MAX)).await?;
                self.answer(reply, &Response::Fetch(response), &bytes);
            }
            Effect::ReplySnapshot { reply, request } => {
                let response = self.snapshot_piece(&request).await;
                self.answer(reply, &Response::FetchSnapshot(response), &[]);
            }
            Effect::WriteSnapshotChunk { id, position, bytes } => {
                quorum_store::write_snapshot_chunk(&self.dir, id, position, &bytes)?;
            }
            Effect::InstallSnapshot(id) => events.push(self.install_snapshot(id).await?),
            Effect::DeleteLogBefore { offset } => self.delete_before(offset).await?,
            Effect::HighWatermark(offset) => outcomes.push(Outcome::Committed(offset)),
            Effect::LeaderChanged { leader_id, epoch } => outcomes.push(Outcome::LeaderChanged { leader_id, epoch }),
            Effect::Fatal { reason } => return Err(ControllerError::Broken(reason)),
        }
        Ok(())
    }

    async fn save(&self, state: crate::raft::ElectionState) -> Result<(), ControllerError> {
        let voters: Vec<i32> = self.core.voters().latest().iter().map(|v| v.key.id).collect();
        let kraft_version = self.core.voters().kraft_version();
        let dir = self.dir.clone();
        task::blocking("quorum-state", move || quorum_store::save_election(&dir, &state, kraft_version, &voters)).await
    }

    fn append_control(
        &mut self,
        base_offset: i64,
        epoch: i32,
        records: Vec<ControlRecord>,
    ) -> Result<(), ControllerError> {
        let place = BatchPlace { base_offset, epoch, timestamp_ms: time::wall_clock_ms() };
        let records: Vec<Control> = records.into_iter().map(Control::Quorum).collect();
        let mut bytes = encode_control(place, &records)?;
        self.log.append(&mut bytes, epoch)?;
        self.sync_again = true;
        Ok(())
    }

    /// Begins a sync of all that was written, unless one runs; then the next begins when it ends.
    fn maybe_sync(&mut self) {
        if self.syncing || !self.sync_again {
            return;
        }
        (self.syncing, self.sync_again) = (true, false);
        let (log, done) = (Arc::clone(&self.log), self.sync_done.clone());
        let (end_offset, generation) = (self.core.log().end_offset(), self.core.log().generation());
        task::spawn("metadata-sync", async move {
            let synced = task::blocking("metadata-sync", move || log.sync()).await;
            let event = synced.map(|()| Event::Synced { end_offset, generation });
            // Nobody listens any more when the controller has stopped; then nobody needs to know.
            let _ = done.send(event).await;
        });
    }

    /// Notes how far the log is synced.
    pub(crate) async fn note_synced(&self) -> Result<(), ControllerError> {
        let log = Arc::clone(&self.log);
        task::blocking("metadata-note", move || log.note_synced()).await
    }

    async fn read(&self, from: i64, max_bytes: u32) -> Result<Vec<u8>, ControllerError> {
        let log = Arc::clone(&self.log);
        task::blocking("metadata-read", move || log.read(from, max_bytes)).await
    }

    /// Hands the records below the high watermark to the loading task, as far as there is room; to be called again then.
    pub(crate) async fn hand_on(&mut self, high_watermark: i64) -> Result<(), ControllerError> {
        self.loader.set_kraft_version(self.core.voters().kraft_version());
        while self.handed < high_watermark {
            let Some(place) = self.loads.place() else { break };
            let bytes = self.read(self.handed, READ_BYTES).await?;
            let mut end_offset = self.handed;
            let mut batches = Vec::new();
            for batch in decode_batches(&bytes) {
                let batch = batch?;
                if batch.header.next_offset() > high_watermark {
                    break;
                }
                end_offset = batch.header.next_offset();
                batches.push(CommittedBatch {
                    last_offset: batch.header.last_offset(),
                    epoch: batch.header.partition_leader_epoch,
                    records: batch.records,
                });
            }
            if batches.is_empty() {
                return Err(ControllerError::Broken(format!(
                    "the committed records from offset {end_offset} on are gone"
                )));
            }
            place.send(Load::Batches { batches, end_offset });
            self.handed = end_offset;
        }
        Ok(())
    }

    /// Puts a request before the core; its answer goes to `reply`.
    pub(crate) async fn request(
        &mut self,
        api: QuorumApi,
        version: i16,
        body: &[u8],
        reply: oneshot::Sender<Result<Vec<u8>, DoorError>>,
    ) -> Result<Vec<Outcome>, ControllerError> {
        let request = match api.decode(version, body) {
            Ok(Decoded::Request(request)) => request,
            Ok(Decoded::OtherPartition) => {
                let answer = api.encode_other_partition(version).map_err(|e| DoorError::Malformed(e.to_string()));
                let _ = reply.send(answer);
                return Ok(Vec::new());
            }
            Err(error) => {
                let _ = reply.send(Err(DoorError::Malformed(error.to_string())));
                return Ok(Vec::new());
            }
        };
        self.last_reply += 1;
        let id = ReplyId(self.last_reply);
        self.waiting.insert(id, Waiting { api, version, reply });
        self.drive(Event::Request { reply: id, request }).await
    }

    /// Who waits and has gone is not told; that is no error of ours.
    fn answer(&mut self, reply: ReplyId, response: &Response, records: &[u8]) {
        let Some(waiting) = self.waiting.remove(&reply) else { return };
        let voters = self.core.voters().latest();
        let leader = response.standing().leader_id.and_then(|id| voters.get(id)).and_then(|v| v.endpoints.first());
        let body = waiting.api.encode(waiting.version, response, leader, records);
        let _ = waiting.reply.send(body.map_err(|e| DoorError::Malformed(e.to_string())));
    }

    async fn snapshot_piece(&self, request: &FetchSnapshotRequest) -> FetchSnapshotResponse {
        let (dir, id, position) = (self.dir.clone(), request.id, request.position);
        let max_bytes = request.max_bytes.min(ANSWER_BYTES_MAX);
        let piece = task::blocking("metadata-snapshot", move || {
            quorum_store::read_snapshot_chunk(&dir, id, position, max_bytes)
        });
        let (error, size, bytes) = match piece.await {
            Ok(Some((size, bytes))) => (ErrorCode::None, size, bytes),
            Ok(None) => (ErrorCode::PositionOutOfRange, 0, Vec::new()),
            Err(_) => (ErrorCode::SnapshotNotFound, 0, Vec::new()),
        };
        let standing = Standing { error, leader_id: self.core.leader_id(), epoch: self.core.election().epoch };
        FetchSnapshotResponse { standing, id, size, position, bytes }
    }

    async fn install_snapshot(&mut self, id: SnapshotId) -> Result<Event, ControllerError> {
        let dir = self.dir.clone();
        let snapshot = task::blocking("metadata-snapshot", move || quorum_store::finish_snapshot(&dir, id)).await?;
        self.log.restart_at(id.end_offset)?;
        // Rare, and on followers only: whoever falls that far behind may wait for the loader as well.
        if let Some(place) = self.loads.wait_for_place().await {
            place.send(Load::Snapshot { end_offset: id.end_offset, epoch: id.epoch, records: snapshot.records });
        }
        self.handed = id.end_offset;
        Ok(Event::SnapshotInstalled { id, voters: snapshot.voters, kraft_version: snapshot.kraft_version })
    }

    async fn delete_before(&self, offset: i64) -> Result<(), ControllerError> {
        let (log, dir) = (Arc::clone(&self.log), self.dir.clone());
        task::blocking("metadata-delete", move || {
            log.delete_before(offset)?;
            quorum_store::delete_old_snapshots(&dir)
        })
        .await
    }

    /// Writes a snapshot of the committed image and lets the core know.
    pub(crate) async fn write_snapshot(&mut self) -> Result<Vec<Outcome>, ControllerError> {
        let image = self.loader.current();
        let id = SnapshotId { end_offset: image.offset + 1, epoch: image.epoch };
        let voters: Option<VoterSet> = self.core.voters().at(image.offset).cloned();
        let now_ms = time::wall_clock_ms();
        let head = snapshot_file::SnapshotHead {
            id,
            timestamp_ms: now_ms,
            last_contained_log_timestamp_ms: now_ms,
            kraft_version: self.core.voters().kraft_version_at(image.offset),
            voters,
        };
        let dir = self.dir.clone();
        task::blocking("metadata-snapshot", move || {
            let metadata_version = image.features.metadata_version();
            let bytes = snapshot_file::encode(&head, &image.to_records(), metadata_version)?;
            snapshot_file::write(&dir, id, &bytes)
        })
        .await?;
        tracing::info!(end_offset = id.end_offset, epoch = id.epoch, "wrote a snapshot of the metadata log");
        self.drive(Event::SnapshotWritten(id)).await
    }
}

#[cfg(test)]
mod tests {
    use ottla_env::task::Runtime;
    use ottla_protocol::ids::Uuid;
    use ottla_storage::meta_properties::MetaProperties;
    use ottla_storage::{LogDir, OpenOptions};

    use super::*;
    use crate::load_queue::load_queue;
    use crate::raft::{ElectionState, LogView, RaftOptions, ReplicaKey, Voter, VoterHistory};

    /// No such quorum is opened at start; a core that wants to ask somebody is still no reason to stop.
    #[test]
    fn a_voter_to_whom_there_is_no_way_is_one_that_does_not_answer() {
        let root = tempfile::tempdir().expect("a directory");
        let directory_id = Some(Uuid([9; 16]));
        let properties = MetaProperties { version: 1, cluster_id: "cluster".into(), node_id: 1, directory_id };
        properties.write(root.path()).expect("written");
        Runtime::new(1).expect("a runtime").block_on(async {
            let dir = LogDir::open(root.path()).expect("a formatted directory");
            let log = MetadataLog::open(&dir, 1 << 20, i64::MAX, OpenOptions::default()).expect("opens");
            let voter = |id| Voter {
                key: ReplicaKey::of_id(id),
                endpoints: vec![],
                min_kraft_version: 0,
                max_kraft_version: 0,
            };
            let voters = VoterHistory::new(VoterSet::new([voter(1), voter(2)]));
            let view = LogView::new(0, 0, vec![], None);
            let following = ElectionState { epoch: 3, leader_id: Some(2), voted: None };
            let core = RaftCore::new(RaftOptions::new("cluster", 7), ReplicaKey::of_id(1), following, view, voters);
            let opened = Opened { core, dir: log.path(), log, loaded: 0 };
            let loader = Arc::new(MetadataLoader::new());
            let (loads, _task, _loaded) = load_queue(Arc::clone(&loader), 0);
            let (mut driver, _sync_done) = RaftDriver::new(opened, loader, loads);
            let outcomes = driver.drive(Event::Start).await.expect("goes on");
            assert_eq!(outcomes, [Outcome::LeaderChanged { leader_id: Some(2), epoch: 3 }]);
            // Not the fetch timeout of a question that still waits, but the pause before the next.
            let wait_ms = driver.core().next_deadline_ms().expect("asks again") - time::monotonic_ms();
            assert!(wait_ms <= RaftOptions::new("cluster", 7).retry_backoff_ms, "{wait_ms}");
        });
    }
}
