//! DeleteRecords (21), versions 0-2: raises the log start offset of partitions; segments wholly below it are deleted with
//! the next round of retention.
//!
//! * What was answered is noted durably, unlike in Kafka, whose next checkpoint is up to a minute away.
//! * Offset -1 means the high watermark; one above it, or below -1: OFFSET_OUT_OF_RANGE. One at or below the log start
//!   changes nothing and succeeds.
//! * A topic that is compacted and not also deleted from: POLICY_VIOLATION. Internal topics: INVALID_TOPIC_EXCEPTION.
//! * Answered is the low watermark: the lowest log start of the replicas, which with one replica is this broker's.
//!   Followers take the leader's log start over with their next fetch; to wait for them comes with replication.
//! * Delete on the topic: else TOPIC_AUTHORIZATION_FAILED.

use ottla_env::task;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::delete_records_request::{DeleteRecordsRequest, DeleteRecordsTopic};
use ottla_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsResponse, DeleteRecordsTopicResult,
};

use super::metadata::is_internal;
use super::partition_errors;
use crate::context::{Answer, Refusal, RequestContext};
use crate::security::authorizer::{Operation, Resource};

/// As an offset: the high watermark.
const TO_HIGH_WATERMARK: i64 = -1;
/// As a low watermark: there is none to tell.
const NO_LOW_WATERMARK: i64 = -1;

pub(crate) fn handle(cx: RequestContext) -> Result<Answer, Refusal> {
    let request: DeleteRecordsRequest<'_> = cx.decode()?;
    let topics = request.topics.iter().map(|topic| delete_from(&cx, topic)).collect();
    cx.answer(&DeleteRecordsResponse { topics, ..DeleteRecordsResponse::default() })
}

fn delete_from<'a>(cx: &RequestContext, topic: &DeleteRecordsTopic<'a>) -> DeleteRecordsTopicResult<'a> {
    let result = |asked: &ottla_protocol::messages::delete_records_request::DeleteRecordsPartition<'_>| {
        let outcome = delete(cx, topic.name, asked.partition_index, asked.offset);
        let (code, low_watermark) = outcome.map_or_else(|code| (code, NO_LOW_WATERMARK), |low| (ErrorCode::None, low));
        cx.count_error(code);
        DeleteRecordsPartitionResult {
            partition_index: asked.partition_index,
            low_watermark,
            error_code: code.code(),
            ..DeleteRecordsPartitionResult::default()
        }
    };
    let partitions = topic.partitions.iter().map(result).collect();
    DeleteRecordsTopicResult { name: topic.name, partitions, ..DeleteRecordsTopicResult::default() }
}

fn delete(cx: &RequestContext, topic: &str, index: i32, offset: i64) -> Result<i64, ErrorCode> {
    if !cx.authorized(Operation::Delete, Resource::Topic(topic)) {
        return Err(ErrorCode::TopicAuthorizationFailed);
    }
    if is_internal(topic) {
        return Err(ErrorCode::InvalidTopicException);
    }
    let partition = cx.broker.replicas.find(topic, index).map_err(partition_errors::missing)?;
    partition.check_leader(-1).map_err(partition_errors::not_leader)?;
    let log = partition.log();
    let policy = log.config().cleanup_policy;
    if policy.compact && !policy.delete {
        return Err(ErrorCode::PolicyViolation);
    }
    let high_watermark = log.high_watermark();
    let before = if offset == TO_HIGH_WATERMARK { high_watermark } else { offset };
    if !(0..=high_watermark).contains(&before) {
        return Err(ErrorCode::OffsetOutOfRange);
    }
    task::blocking_here(|| partition.delete_records_before(before)).map_err(|cause| {
        tracing::warn!(topic, partition = index, %cause, "records cannot be deleted");
        ErrorCode::KafkaStorageError
    })
}
