//! What is asked of a partition by those who read, and what they are given.

use std::sync::Arc;

use ottla_storage::{Log, ReadError, ReadInfo};

use super::partition::NotLeader;

/// How far a reader may look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// A consumer that wants what is committed to the high watermark.
    Uncommitted,
    /// A consumer that wants no record of an open or aborted transaction.
    Committed,
    /// A follower: its fetch offset acknowledges what lies below.
    Follower {
        /// Its broker id.
        id: i32,
    },
    /// Somebody who compares replicas: sees all that this one has, whether it leads or not.
    Debugger,
}

/// How far a lookup of offsets may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visible {
    /// Epoch of the leader.
    pub leader_epoch: i32,
    /// Records below may be told of.
    pub end: i64,
    /// A consumer asks while the high watermark lies below the start of this leadership. An earlier leader may have told it
    /// of records further on, so nothing that depends on the end can be told yet (KIP-207).
    pub end_may_go_back: bool,
}

/// One read.
#[derive(Debug, Clone, Copy)]
pub struct Read {
    /// First offset wanted.
    pub offset: i64,
    /// Leader epoch the reader believes in; -1 for any.
    pub current_leader_epoch: i32,
    /// Epoch of the last record the reader has; -1 for unknown.
    pub last_fetched_epoch: i32,
    /// Bytes wanted at most.
    pub max_bytes: u32,
    /// Whether one batch is given even if it is larger.
    pub at_least_one_batch: bool,
    /// Who reads.
    pub reader: Reader,
    /// Whether the search may wait for the disk; a worker must not.
    pub may_wait: bool,
}

/// What a read brought.
#[derive(Debug)]
pub enum ReadOutcome {
    /// Records, or none yet, and the log that they come from: it verifies them.
    Records(ReadInfo, Arc<Log>),
    /// The reader's log differs from ours, which has `epoch` ending at `end_offset` (KIP-595).
    Diverging {
        /// Largest epoch of ours not above the reader's.
        epoch: i32,
        /// Where it ends.
        end_offset: i64,
    },
    /// What has to be searched is not in memory: to be asked again where one may wait.
    Cold,
}

/// Why a read brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReadRefused {
    /// Not the leader.
    #[error(transparent)]
    NotLeader(#[from] NotLeader),
    /// A replica id that has no replica here.
    #[error("broker {0} holds no replica of the partition")]
    NoSuchReplica(i32),
    /// The log refused.
    #[error(transparent)]
    Log(#[from] ReadError),
}
