//! What can go wrong with a log, one enum per operation. Kafka's codes are chosen above, in the broker's handlers.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::log_manager::FoundLog;

/// Trouble below the level of records: files, directories, devices.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The log directory failed earlier and is not used any more until the process starts anew.
    #[error("log directory {} is offline: {reason}", dir.display())]
    Offline {
        /// The log directory.
        dir: PathBuf,
        /// What happened to it first.
        reason: Arc<str>,
    },
    /// A file operation failed; the error names it and the file.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A file cannot be opened, for want of descriptors perhaps; nothing is wrong with what is in it.
    #[error("{0}")]
    Open(io::Error),
    /// A file's content is not what Kafka's format says.
    #[error("{}: {reason}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Bytes of a segment that should be a batch are none.
    #[error("{}: no batch at position {position}: {reason}", path.display())]
    NoBatch {
        /// The segment's file.
        path: PathBuf,
        /// Where the batch should begin.
        position: u64,
        /// What is wrong.
        reason: String,
    },
    /// The log was deleted while the caller still held it.
    #[error("the log of {topic}-{partition} is deleted")]
    Deleted {
        /// Topic.
        topic: Arc<str>,
        /// Partition.
        partition: i32,
    },
    /// An offset that lies outside of what the operation allows.
    #[error("offset {offset} of {what} lies outside of {low}..={high}")]
    OffsetOutOfRange {
        /// What was to be moved.
        what: &'static str,
        /// The offset asked for.
        offset: i64,
        /// Smallest allowed.
        low: i64,
        /// Largest allowed.
        high: i64,
    },
    /// The partition exists with another topic id: the topic was deleted and made again.
    #[error("{} belongs to topic id {found}, not {wanted}", path.display())]
    TopicIdMismatch {
        /// The partition's directory.
        path: PathBuf,
        /// Id in partition.metadata.
        found: ottla_protocol::Uuid,
        /// Id asked for.
        wanted: ottla_protocol::Uuid,
    },
    /// A directory cannot have so long a name as the copy of this partition would.
    #[error("{0} cannot move to another log directory: its topic's name is too long")]
    NameTooLong(String),
    /// Every log directory is offline.
    #[error("no log directory is online")]
    NoDirectory,
}

impl StorageError {
    /// What was asked for is on the disk, and whoever asked must not wait for it (`access.rs`): no failure of anything.
    pub(crate) fn is_cold(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Whether only space or descriptors are missing: what was written before is whole, and a later try may succeed.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Open(error) => !ottla_env::fs::is_device_failure(error),
            Self::Io(error) => matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded),
            Self::Offline { .. }
            | Self::Corrupt { .. }
            | Self::NoBatch { .. }
            | Self::Deleted { .. }
            | Self::OffsetOutOfRange { .. }
            | Self::TopicIdMismatch { .. }
            | Self::NameTooLong(_)
            | Self::NoDirectory => false,
        }
    }
}

/// Why a read brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Below the log start or above the log end.
    #[error("offset {offset} lies outside of the log, {log_start_offset}..={log_end_offset}")]
    OffsetOutOfRange {
        /// The offset asked for.
        offset: i64,
        /// First offset there.
        log_start_offset: i64,
        /// Offset of the next record.
        log_end_offset: i64,
    },
    /// The offset lies in a part of the log that is damaged. The rest can be read: from `end_offset` on, it goes on.
    #[error("records {first_offset} to {} are damaged on disk and cannot be read; {end_offset} is the next that can", end_offset - 1)]
    Damaged {
        /// First offset that cannot be read.
        first_offset: i64,
        /// First offset behind it that can.
        end_offset: i64,
    },
    /// The files cannot be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why a log that moves to another directory cannot be copied on.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The log cannot be read.
    #[error("the log cannot be read: {0}")]
    Read(ReadError),
    /// Its copy does not take what was read.
    #[error("its copy cannot be appended to: {0}")]
    Append(#[from] AppendError),
    /// The copy cannot be changed.
    #[error("its copy cannot be used: {0}")]
    Storage(#[from] StorageError),
}

impl CopyError {
    /// Whether there may be space or descriptors later.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Read(ReadError::Storage(error))
            | Self::Append(AppendError::Storage(error))
            | Self::Storage(error) => error.may_pass(),
            Self::Read(_) | Self::Append(_) => false,
        }
    }
}

/// One record of a batch that was refused, with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordError {
    /// Index of the record in its batch.
    pub index: i32,
    /// Why.
    pub message: String,
}

/// Why an append did not happen. Nothing of the batches is in the log then.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Framing or checksum: the bytes changed on their way (CORRUPT_MESSAGE).
    #[error("corrupt record batch: {0}")]
    Corrupt(String),
    /// Well-formed bytes that break a rule of record batches (INVALID_RECORD).
    #[error("{reason}")]
    InvalidRecords {
        /// The rule.
        reason: String,
        /// The records that break it; empty when it is the batch.
        errors: Vec<RecordError>,
    },
    /// Timestamps out of `message.timestamp.before.max.ms` and `.after.max.ms` (INVALID_TIMESTAMP).
    #[error("{reason}")]
    InvalidTimestamp {
        /// The bound.
        reason: String,
        /// The records beyond it.
        errors: Vec<RecordError>,
    },
    /// The batch unpacks to more than `max.decompressed.message.bytes` (MESSAGE_TOO_LARGE).
    #[error("a record batch unpacks to more than max.decompressed.message.bytes, {max}")]
    DecompressedTooLarge {
        /// The topic's bound.
        max: usize,
    },
    /// A batch over `max.message.bytes` (MESSAGE_TOO_LARGE).
    #[error("a record batch of {size} bytes is larger than max.message.bytes, {max}")]
    MessageTooLarge {
        /// Bytes of the batch, compressed.
        size: usize,
        /// The topic's bound.
        max: usize,
    },
    /// More than a whole segment can hold (RECORD_LIST_TOO_LARGE).
    #[error("an append of {size} bytes is larger than segment.bytes, {max}")]
    LargerThanSegment {
        /// Bytes of all batches.
        size: usize,
        /// The topic's bound.
        max: usize,
    },
    /// A batch by a producer that was fenced by a newer epoch (INVALID_PRODUCER_EPOCH).
    #[error("epoch {epoch} of producer {producer_id} is older than the current one, {current}")]
    InvalidProducerEpoch {
        /// Producer.
        producer_id: i64,
        /// Epoch of the batch.
        epoch: i16,
        /// Epoch of the last append.
        current: i16,
    },
    /// A gap in a producer's sequence (OUT_OF_ORDER_SEQUENCE_NUMBER).
    #[error("sequence {sequence} of producer {producer_id} does not follow {last}, its last one, in epoch {epoch}")]
    OutOfOrderSequence {
        /// Producer.
        producer_id: i64,
        /// Epoch of the batch.
        epoch: i16,
        /// First sequence of the batch.
        sequence: i32,
        /// Last sequence in the log; -1 for none in this epoch.
        last: i32,
    },
    /// A batch outside of a transaction by a producer that has one open (INVALID_TXN_STATE).
    #[error("producer {producer_id} has an open transaction and sent a batch that is not part of it")]
    InvalidTransactionState {
        /// Producer.
        producer_id: i64,
    },
    /// A transaction marker by a coordinator of an earlier epoch (TRANSACTION_COORDINATOR_FENCED).
    #[error("coordinator epoch {epoch} is older than {current}, which wrote the last marker of producer {producer_id}")]
    CoordinatorFenced {
        /// Producer.
        producer_id: i64,
        /// Epoch of the marker.
        epoch: i32,
        /// Epoch of the last marker.
        current: i32,
    },
    /// A replicated batch that does not continue the log.
    #[error("a batch at offset {first_offset} cannot follow the log end offset {log_end_offset}")]
    UnexpectedOffset {
        /// First offset of the batch.
        first_offset: i64,
        /// Where the log ends.
        log_end_offset: i64,
    },
    /// The write failed, or the directory is offline (KAFKA_STORAGE_ERROR).
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why the log directories cannot be opened. The text is for the person who started the process.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds the lock.
    #[error(
        "log directory {} is in use by another process (its .lock file is locked): stop that broker first, or name another log.dirs",
        .0.display()
    )]
    Locked(PathBuf),
    /// No meta.properties.
    #[error(
        "log directory {} is not formatted (it has no meta.properties): run `ottla storage format` on it first",
        .0.display()
    )]
    NotFormatted(PathBuf),
    /// meta.properties cannot be read.
    #[error(transparent)]
    MetaProperties(#[from] crate::meta_properties::MetaPropertiesError),
    /// Two directories have one id: one is a copy of the other.
    #[error("log directories {} and {} have the same directory.id: one is a copy of the other", a.display(), b.display())]
    SameDirectory {
        /// One.
        a: PathBuf,
        /// The other.
        b: PathBuf,
    },
    /// One partition lies in two directories, with records in both.
    #[error("partition {} lies in {} and in {}: {advice}", found[0].path.file_name().unwrap_or_default().display(), found[0], found[1])]
    DuplicatePartition {
        /// Both of them.
        found: Box<[FoundLog; 2]>,
        /// Which of the two to keep, why, and what to do with the other.
        advice: String,
    },
    /// All log directories failed; the first failure is told.
    #[error("no log directory can be used: {0}")]
    NoDirectory(String),
    /// Files or devices.
    #[error(transparent)]
    Storage(#[from] StorageError),
}
