//! What becomes of a batch after its request: pure decisions from Kafka's answer.

use ottla_protocol::ErrorCode;

use super::batch::Acknowledged;
use crate::error::Error;

/// A partition's part of a Produce response, owned.
#[derive(Debug, Clone)]
pub(super) struct PartitionAnswer {
    pub(super) code: i16,
    pub(super) message: Option<String>,
    pub(super) acknowledged: Acknowledged,
}

/// What to do with a batch.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It is written.
    Written(Acknowledged),
    /// Send it again; metadata may be old.
    Retry(Error),
    /// It is not written and will not be.
    Lost(Error),
}

/// Judges an answer. `earlier_open` says that a batch sent before it has no outcome yet or was lost.
pub(super) fn judge(answer: PartitionAnswer, what: impl FnOnce() -> String, earlier_open: bool) -> Verdict {
    let code = ErrorCode::from_code(answer.code).unwrap_or(ErrorCode::UnknownServerError);
    let error = || Error::broker(what(), answer.code, answer.message.as_deref());
    match code {
        ErrorCode::None => Verdict::Written(answer.acknowledged),
        // Written before, but too long ago for the broker to remember where.
        ErrorCode::DuplicateSequenceNumber => {
            Verdict::Written(Acknowledged { base_offset: -1, log_append_time_ms: -1 })
        }
        // An earlier batch of this producer is not there yet, so this one could not follow it.
        ErrorCode::OutOfOrderSequenceNumber | ErrorCode::UnknownProducerId | ErrorCode::InvalidProducerEpoch
            if earlier_open =>
        {
            Verdict::Retry(error())
        }
        code if code.is_retriable() => Verdict::Retry(error()),
        _ => Verdict::Lost(error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(code: ErrorCode, earlier_open: bool) -> Verdict {
        let acknowledged = Acknowledged { base_offset: 7, log_append_time_ms: -1 };
        judge(PartitionAnswer { code: code.code(), message: None, acknowledged }, || "t-0".to_owned(), earlier_open)
    }

    #[test]
    fn only_what_may_succeed_later_is_sent_again() {
        assert!(matches!(verdict(ErrorCode::None, false), Verdict::Written(a) if a.base_offset == 7));
        assert!(
            matches!(verdict(ErrorCode::DuplicateSequenceNumber, false), Verdict::Written(a) if a.base_offset == -1)
        );
        assert!(matches!(verdict(ErrorCode::NotLeaderOrFollower, false), Verdict::Retry(_)));
        assert!(matches!(verdict(ErrorCode::MessageTooLarge, true), Verdict::Lost(_)));
        assert!(matches!(verdict(ErrorCode::OutOfOrderSequenceNumber, true), Verdict::Retry(_)));
        assert!(matches!(verdict(ErrorCode::OutOfOrderSequenceNumber, false), Verdict::Lost(_)));
    }
}
