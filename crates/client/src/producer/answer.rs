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
    /// Its sequence does not follow for the broker: something before it is not there, or it was written and forgotten.
    OutOfLine(Error),
    /// It is not written and will not be.
    Lost(Error),
}

/// Judges an answer.
pub(super) fn judge(answer: PartitionAnswer, what: impl FnOnce() -> String) -> Verdict {
    let code = ErrorCode::from_code(answer.code).unwrap_or(ErrorCode::UnknownServerError);
    let error = || Error::broker(what(), answer.code, answer.message.as_deref());
    match code {
        ErrorCode::None => Verdict::Written(answer.acknowledged),
        // Written before, but too long ago for the broker to remember where.
        ErrorCode::DuplicateSequenceNumber => {
            Verdict::Written(Acknowledged { base_offset: -1, log_append_time_ms: -1 })
        }
        // UNKNOWN_PRODUCER_ID: brokers before Kafka 2.5, when retention had taken all that the producer wrote.
        ErrorCode::OutOfOrderSequenceNumber | ErrorCode::UnknownProducerId => Verdict::OutOfLine(error()),
        code if code.is_retriable() => Verdict::Retry(error()),
        _ => Verdict::Lost(error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(code: ErrorCode) -> Verdict {
        let acknowledged = Acknowledged { base_offset: 7, log_append_time_ms: -1 };
        judge(PartitionAnswer { code: code.code(), message: None, acknowledged }, || "t-0".to_owned())
    }

    #[test]
    fn only_what_may_succeed_later_is_sent_again() {
        assert!(matches!(verdict(ErrorCode::None), Verdict::Written(a) if a.base_offset == 7));
        assert!(matches!(verdict(ErrorCode::DuplicateSequenceNumber), Verdict::Written(a) if a.base_offset == -1));
        assert!(matches!(verdict(ErrorCode::NotLeaderOrFollower), Verdict::Retry(_)));
        assert!(matches!(verdict(ErrorCode::MessageTooLarge), Verdict::Lost(_)));
        assert!(matches!(verdict(ErrorCode::OutOfOrderSequenceNumber), Verdict::OutOfLine(_)));
        assert!(matches!(verdict(ErrorCode::InvalidProducerEpoch), Verdict::Lost(_)), "somebody else has our id");
    }
}
