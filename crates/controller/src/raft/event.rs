//! What reaches the core: requests of other replicas, answers to its own, ticks, and finished work of the driver.

use ottla_protocol::error_code::ErrorCode;

use super::voters::{ReplicaKey, VoterSet};

/// The driver's number for a request that waits for its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReplyId(pub u64);

/// The core's number for a request that it sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// An end offset and the epoch of the record before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetAndEpoch {
    /// Exclusive end offset.
    pub offset: i64,
    /// Epoch of the last record before it.
    pub epoch: i32,
}

/// Names a snapshot: it holds what the log held before `end_offset`, whose last record had `epoch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SnapshotId {
    /// First offset that is not in the snapshot.
    pub end_offset: i64,
    /// Epoch of the last record in it.
    pub epoch: i32,
}

/// One event.
#[derive(Debug, Clone)]
pub enum Event {
    /// First event of a core's life.
    Start,
    /// A deadline may have passed; see `RaftCore::next_deadline_ms`.
    Tick,
    /// A replica asks.
    Request {
        /// To be named in the answer.
        reply: ReplyId,
        /// The question.
        request: Request,
    },
    /// A replica answered, or (`None`) did not within the request timeout.
    Response {
        /// Which of our requests.
        request: RequestId,
        /// Who was asked.
        from: i32,
        /// The answer.
        response: Option<Response>,
    },
    /// The application appends one batch. Ignored unless this replica leads in that epoch, which the driver checks first.
    Append {
        /// Epoch in which the records were decided.
        epoch: i32,
        /// Records in the batch.
        record_count: u32,
        /// The batch, its base offset and epoch already written.
        bytes: Vec<u8>,
    },
    /// The log up to `end_offset` survives a crash.
    Synced {
        /// Log end offset when the sync began.
        end_offset: i64,
        /// [`super::LogView::generation`] when the sync began.
        generation: u64,
    },
    /// A snapshot of committed records was written and synced.
    SnapshotWritten(SnapshotId),
    /// A fetched snapshot is in place and the log starts empty after it.
    SnapshotInstalled {
        /// Which.
        id: SnapshotId,
        /// Its voters, when it has a VotersRecord.
        voters: Option<VoterSet>,
        /// Its kraft.version.
        kraft_version: i16,
    },
    /// Step down, as before a stop.
    Resign,
}

/// What replicas ask each other.
#[derive(Debug, Clone)]
pub enum Request {
    /// For a vote, or how one would vote (KIP-996).
    Vote(VoteRequest),
    /// A new leader presents itself.
    BeginQuorumEpoch(BeginQuorumEpochRequest),
    /// A leader steps down.
    EndQuorumEpoch(EndQuorumEpochRequest),
    /// For records.
    Fetch(FetchRequest),
    /// For a piece of a snapshot.
    FetchSnapshot(FetchSnapshotRequest),
}

/// See [`Request::Vote`].
#[derive(Debug, Clone)]
pub struct VoteRequest {
    /// The asker's cluster.
    pub cluster_id: Option<String>,
    /// Whom it believes to ask; `None` before version 1.
    pub voter: Option<ReplicaKey>,
    /// The asker.
    pub candidate: ReplicaKey,
    /// The candidate's epoch.
    pub epoch: i32,
    /// Epoch of its last record.
    pub last_epoch: i32,
    /// Its log end offset.
    pub last_offset: i64,
    /// Whether nothing is promised yet.
    pub pre_vote: bool,
}

/// See [`Request::BeginQuorumEpoch`].
#[derive(Debug, Clone)]
pub struct BeginQuorumEpochRequest {
    /// The leader's cluster.
    pub cluster_id: Option<String>,
    /// Whom it addresses.
    pub voter: Option<ReplicaKey>,
    /// The leader.
    pub leader_id: i32,
    /// Its epoch.
    pub epoch: i32,
}

/// See [`Request::EndQuorumEpoch`].
#[derive(Debug, Clone)]
pub struct EndQuorumEpochRequest {
    /// The leader's cluster.
    pub cluster_id: Option<String>,
    /// The leader that goes.
    pub leader_id: i32,
    /// Its epoch.
    pub epoch: i32,
    /// Who should stand, the most up to date first.
    pub preferred: Vec<ReplicaKey>,
}

/// See [`Request::Fetch`].
#[derive(Debug, Clone)]
pub struct FetchRequest {
    /// The fetcher's cluster.
    pub cluster_id: Option<String>,
    /// The fetcher; `None` for a plain client (replica id -1).
    pub replica: Option<ReplicaKey>,
    /// The epoch it believes in; -1 unknown.
    pub current_epoch: i32,
    /// Its log end offset, which is thereby acknowledged.
    pub fetch_offset: i64,
    /// Epoch of its last record.
    pub last_fetched_epoch: i32,
    /// The high watermark it knows (KIP-1166); `None` when it does not say.
    pub high_watermark: Option<i64>,
    /// How long an empty answer may be held back.
    pub max_wait_ms: i32,
    /// Record bytes wanted at most.
    pub max_bytes: u32,
}

/// See [`Request::FetchSnapshot`].
#[derive(Debug, Clone)]
pub struct FetchSnapshotRequest {
    /// The fetcher's cluster.
    pub cluster_id: Option<String>,
    /// The fetcher.
    pub replica: Option<ReplicaKey>,
    /// The epoch it believes in.
    pub current_epoch: i32,
    /// Which snapshot.
    pub id: SnapshotId,
    /// From which byte.
    pub position: i64,
    /// Bytes wanted at most.
    pub max_bytes: u32,
}

/// What every answer says of the quorum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Outcome.
    pub error: ErrorCode,
    /// The leader, when known.
    pub leader_id: Option<i32>,
    /// The epoch.
    pub epoch: i32,
}

/// An answer.
#[derive(Debug, Clone)]
pub enum Response {
    /// To a vote.
    Vote {
        /// Outcome.
        standing: Standing,
        /// Whether the vote is ours.
        granted: bool,
    },
    /// To a leader that presented itself.
    BeginQuorumEpoch(Standing),
    /// To a leader that steps down.
    EndQuorumEpoch(Standing),
    /// To a fetch.
    Fetch(FetchResponse),
    /// To a fetch of a snapshot.
    FetchSnapshot(FetchSnapshotResponse),
}

impl Response {
    /// What the answer says of the quorum.
    #[must_use]
    pub fn standing(&self) -> Standing {
        match self {
            Self::Vote { standing, .. } | Self::BeginQuorumEpoch(standing) | Self::EndQuorumEpoch(standing) => {
                *standing
            }
            Self::Fetch(r) => r.standing,
            Self::FetchSnapshot(r) => r.standing,
        }
    }
}

/// The answer to a fetch.
#[derive(Debug, Clone)]
pub struct FetchResponse {
    /// Outcome.
    pub standing: Standing,
    /// The leader's high watermark; -1 unknown.
    pub high_watermark: i64,
    /// The leader's log start offset.
    pub log_start_offset: i64,
    /// What was found.
    pub content: FetchContent,
}

/// What a fetch brought. An answer with records leaves the core as [`super::Effect::ReplyRecords`], because the driver
/// reads them, so an outgoing `Batches` is always empty.
#[derive(Debug, Clone)]
pub enum FetchContent {
    /// Record batches, in order, whole.
    Batches(Vec<Batch>),
    /// The logs differ.
    Diverging(OffsetAndEpoch),
    /// Too far behind: fetch this first.
    Snapshot(SnapshotId),
}

/// A batch that came from the leader.
#[derive(Debug, Clone)]
pub struct Batch {
    /// First offset.
    pub base_offset: i64,
    /// Last offset.
    pub last_offset: i64,
    /// Leader epoch.
    pub epoch: i32,
    /// As received, checked by the driver.
    pub bytes: Vec<u8>,
    /// Control records that concern the quorum, with their offsets.
    pub control: Vec<(i64, ControlRecord)>,
}

/// Control records by which the quorum describes itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControlRecord {
    /// First record of an epoch.
    LeaderChange {
        /// The leader.
        leader_id: i32,
        /// Everybody who votes.
        voters: Vec<ReplicaKey>,
        /// Those who elected it.
        granting_voters: Vec<ReplicaKey>,
    },
    /// kraft.version.
    KRaftVersion(i16),
    /// The voters from here on.
    Voters(VoterSet),
}

/// The answer to a fetch of a snapshot.
#[derive(Debug, Clone)]
pub struct FetchSnapshotResponse {
    /// Outcome.
    pub standing: Standing,
    /// Which snapshot.
    pub id: SnapshotId,
    /// Its whole size in bytes.
    pub size: i64,
    /// Where `bytes` begins.
    pub position: i64,
    /// A piece of it.
    pub bytes: Vec<u8>,
}
