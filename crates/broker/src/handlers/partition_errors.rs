//! Codes for what can be wrong with a partition that a request names, shared by the doors to partitions.

use ottla_protocol::ErrorCode;
use ottla_storage::{AppendError, ReadError};

use crate::replica::manager::Missing;
use crate::replica::partition::{AppendRefused, NotLeader};
use crate::replica::read::ReadRefused;

/// The code for a partition that is not found.
pub(crate) fn missing(missing: Missing) -> ErrorCode {
    match missing {
        Missing::UnknownTopic | Missing::UnknownPartition => ErrorCode::UnknownTopicOrPartition,
        Missing::NotReplica => ErrorCode::NotLeaderOrFollower,
        Missing::Offline => ErrorCode::KafkaStorageError,
    }
}

/// The code for a broker that does not lead, or not in that epoch.
pub(crate) fn not_leader(cause: NotLeader) -> ErrorCode {
    match cause {
        NotLeader::Follower { .. } => ErrorCode::NotLeaderOrFollower,
        NotLeader::Fenced(_) => ErrorCode::FencedLeaderEpoch,
        NotLeader::Unknown(_) => ErrorCode::UnknownLeaderEpoch,
    }
}

/// The code for a log that cannot be read there.
pub(crate) fn read(cause: &ReadError) -> ErrorCode {
    match cause {
        ReadError::OffsetOutOfRange { .. } => ErrorCode::OffsetOutOfRange,
        // Clients tell their application of this one, with the offset, instead of trying again for ever.
        ReadError::Damaged { .. } => ErrorCode::CorruptMessage,
        ReadError::Storage(_) => ErrorCode::KafkaStorageError,
    }
}

/// The code for a read that was refused.
pub(crate) fn read_refused(cause: &ReadRefused) -> ErrorCode {
    match cause {
        ReadRefused::NotLeader(cause) => not_leader(*cause),
        ReadRefused::NoSuchReplica(_) => ErrorCode::UnknownLeaderEpoch,
        ReadRefused::Log(cause) => read(cause),
    }
}

/// The code for an append that was refused.
pub(crate) fn append_refused(cause: &AppendRefused) -> ErrorCode {
    match cause {
        AppendRefused::NotLeader(cause) => not_leader(*cause),
        AppendRefused::NotEnoughReplicas { .. } => ErrorCode::NotEnoughReplicas,
        AppendRefused::Log(cause) => append(cause),
    }
}

fn append(cause: &AppendError) -> ErrorCode {
    match cause {
        AppendError::Corrupt(_) => ErrorCode::CorruptMessage,
        AppendError::InvalidRecords { .. } => ErrorCode::InvalidRecord,
        AppendError::InvalidTimestamp { .. } => ErrorCode::InvalidTimestamp,
        AppendError::DecompressedTooLarge { .. } | AppendError::MessageTooLarge { .. } => ErrorCode::MessageTooLarge,
        AppendError::LargerThanSegment { .. } => ErrorCode::RecordListTooLarge,
        AppendError::InvalidProducerEpoch { .. } => ErrorCode::InvalidProducerEpoch,
        AppendError::OutOfOrderSequence { .. } => ErrorCode::OutOfOrderSequenceNumber,
        AppendError::InvalidTransactionState { .. } => ErrorCode::InvalidTxnState,
        AppendError::CoordinatorFenced { .. } => ErrorCode::TransactionCoordinatorFenced,
        // Only replicated batches carry their offsets; here it would be a defect, which no retry mends.
        AppendError::UnexpectedOffset { .. } => ErrorCode::UnknownServerError,
        AppendError::Storage(_) => ErrorCode::KafkaStorageError,
    }
}
