//! Why a controller cannot start, or has to stop.

use std::path::PathBuf;

use ottla_metadata::loader::LoadError;
use ottla_protocol::writer::EncodeError;
use ottla_storage::{AppendError, ReadError, StorageError};

use crate::batches::BatchFault;
use crate::raft::QuorumStateError;
use crate::snapshot_file::SnapshotError;
use crate::soundness::Loss;

/// Each of these ends the controller: to go on could lose what was committed, or vote twice.
#[derive(Debug, thiserror::Error)]
pub enum ControllerError {
    /// Neither log nor configuration names voters.
    #[error(
        "the metadata directory belongs to a static quorum, so controller.quorum.voters must name its voters; \
         it must not be set for a directory that was formatted with --standalone"
    )]
    NoVoters,
    /// The one voter has this node's id and another directory.
    #[error(
        "voter {0} of the quorum has this node's id but another metadata directory: \
         this directory was formatted anew, or meta.properties was exchanged"
    )]
    OtherDirectory(i32),
    /// More voters than this node.
    #[error(
        "the quorum has the voters {0:?}; a quorum of several nodes is not served yet, only one of this node alone"
    )]
    OtherVoters(Vec<i32>),
    /// `quorum-state`.
    #[error(
        "{}: {source}. This node does not know any more for whom it has voted. A voter that is alone may forget it: remove the \
         file, and the epoch is taken from the log; one of several is removed from the quorum and added anew, with an empty \
         directory",
        path.display()
    )]
    QuorumState {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: QuorumStateError,
    },
    /// What was on the device is not there any more.
    #[error(transparent)]
    Lost(#[from] Loss),
    /// `partition.metadata`.
    #[error("{}: {reason}. Remove the file, and it is written anew: the id of the metadata log is always the same", path.display())]
    PartitionMetadata {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The newest snapshot cannot be read.
    #[error(
        "{0}. It is the newest snapshot of the metadata; the log before it may be gone. Put a sound copy of the file in place. If \
         the log still goes back to an earlier snapshot, which the next start finds out, move the file out of the folder"
    )]
    NewestSnapshot(SnapshotError),
    /// A file.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The log's files.
    #[error("metadata log: {0}")]
    Storage(#[from] StorageError),
    /// An append to the log.
    #[error("metadata log: {0}")]
    Append(#[from] AppendError),
    /// A read of the log.
    #[error("metadata log: {0}")]
    Read(#[from] ReadError),
    /// A batch of the log.
    #[error("metadata log: {0}")]
    Batch(#[from] BatchFault),
    /// A snapshot.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// Records that do not fit each other.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A record that cannot be written.
    #[error("a metadata record cannot be encoded: {0}")]
    Encode(#[from] EncodeError),
    /// An invariant is broken.
    #[error("the metadata quorum cannot go on: {0}")]
    Broken(String),
}
