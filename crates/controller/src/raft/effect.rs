//! What the core asks of its driver.
//!
//! Effects are carried out in their order. [`Effect::SaveQuorumState`] is durable before anything after it is begun:
//! a vote leaves only when a crash can no longer forget it. Appends are written in order; they are synced in the
//! background, and only [`super::Event::Synced`] makes them count.

use super::event::{
    Batch, ControlRecord, FetchResponse, FetchSnapshotRequest, ReplyId, Request, RequestId, Response, SnapshotId,
};
use super::quorum_state::ElectionState;

/// One effect.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Make the election state durable, then go on.
    SaveQuorumState(ElectionState),
    /// Write a batch of the application, which already carries its offset and epoch.
    Append {
        /// Its first offset.
        base_offset: i64,
        /// The batch.
        bytes: Vec<u8>,
    },
    /// Write control records as one batch.
    AppendControl {
        /// Offset of the first.
        base_offset: i64,
        /// Leader epoch of the batch.
        epoch: i32,
        /// Timestamp of the batch.
        timestamp_ms: i64,
        /// The records.
        records: Vec<ControlRecord>,
    },
    /// Write a batch fetched from the leader as it is.
    AppendFetched(Batch),
    /// Cut the log back to this end offset.
    Truncate {
        /// New log end offset.
        end_offset: i64,
    },
    /// Send a request; report [`super::Event::Response`] in any case.
    Send {
        /// The core's number for it.
        request_id: RequestId,
        /// To whom.
        to: i32,
        /// What.
        request: Request,
    },
    /// Answer a request.
    Reply {
        /// Which.
        reply: ReplyId,
        /// With what.
        response: Response,
    },
    /// Answer a fetch with records read from the log.
    ReplyRecords {
        /// Which.
        reply: ReplyId,
        /// The answer but for its records.
        response: FetchResponse,
        /// First offset.
        fetch_offset: i64,
        /// Bytes at most, but one whole batch at least.
        max_bytes: u32,
    },
    /// Answer a fetch of a snapshot with bytes of the file, or SNAPSHOT_NOT_FOUND or POSITION_OUT_OF_RANGE.
    ReplySnapshot {
        /// Which.
        reply: ReplyId,
        /// What was asked.
        request: FetchSnapshotRequest,
    },
    /// Write bytes of a snapshot that is being fetched.
    WriteSnapshotChunk {
        /// Which.
        id: SnapshotId,
        /// Where.
        position: i64,
        /// What.
        bytes: Vec<u8>,
    },
    /// The fetched snapshot is whole: sync it, give it its name, start the log after it, report
    /// [`super::Event::SnapshotInstalled`].
    InstallSnapshot(SnapshotId),
    /// The log before this offset may go.
    DeleteLogBefore {
        /// New log start offset.
        offset: i64,
    },
    /// Records below this are committed.
    HighWatermark(i64),
    /// The leader or epoch changed.
    LeaderChanged {
        /// The leader, when known; ourselves included.
        leader_id: Option<i32>,
        /// The epoch.
        epoch: i32,
    },
    /// An invariant of the quorum is broken: committed records would be lost. The driver stops the process's controller.
    Fatal {
        /// What, in a sentence.
        reason: String,
    },
}
