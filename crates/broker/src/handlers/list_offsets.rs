//! ListOffsets (2), versions 1-11: where a partition begins, ends, or has a timestamp.
//!
//! * -1 latest: the high watermark, or the last stable offset for read_committed; -2 earliest; -3 the record with the
//!   largest timestamp (from 7); -4 earliest local (from 8), the same as earliest without tiered storage; -5 latest tiered
//!   (from 9), -1 without it; -6 earliest not yet uploaded (from 11), likewise -1.
//! * A special timestamp that the version does not know: UNSUPPORTED_VERSION. A partition named twice: INVALID_REQUEST.
//! * A consumer is told of nothing above the high watermark, or the last stable offset; a replica, or whoever looks for
//!   differences between replicas (id -2, answered by any of them), of all there is (`replica_claim.rs`).
//! * After a change of leader the high watermark may lie below the start of the leadership. Until it has passed, a consumer
//!   hears OFFSET_NOT_AVAILABLE (LEADER_NOT_AVAILABLE before 5) instead of an end that would go back (KIP-207).
//! * Searches by timestamp read the log, so they run on the blocking pool.

use std::collections::BTreeSet;
use std::sync::Arc;

use ottla_env::task;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsRequest};
use ottla_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use ottla_storage::TimestampAndOffset;

use super::{partition_errors, replica_claim};
use crate::context::{Answer, Refusal, RequestContext};
use crate::replica::partition::Partition;
use crate::replica::read::Reader;
use crate::security::authorizer::{Operation, Resource};

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const EARLIEST_PENDING_UPLOAD: i64 = -6;

/// First version that knows each special timestamp.
const SINCE: [(i64, i16); 6] = [
    (LATEST, 1),
    (EARLIEST, 1),
    (MAX_TIMESTAMP, 7),
    (EARLIEST_LOCAL, 8),
    (LATEST_TIERED, 9),
    (EARLIEST_PENDING_UPLOAD, 11),
];

const NOTHING: TimestampAndOffset = TimestampAndOffset { timestamp: -1, offset: -1, leader_epoch: -1 };

pub(crate) async fn handle(cx: &RequestContext) -> Result<Answer, Refusal> {
    let request: ListOffsetsRequest<'_> = cx.decode()?;
    let reader = replica_claim::reader(cx, request.replica_id, None, request.isolation_level);
    let repeated = repeated(&request);
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in &topic.partitions {
            let outcome = match reader {
                _ if !cx.authorized(Operation::Describe, Resource::Topic(topic.name)) => {
                    Err(ErrorCode::TopicAuthorizationFailed)
                }
                Err(code) => Err(code),
                Ok(_) if repeated.contains(&(topic.name, asked.partition_index)) => Err(ErrorCode::InvalidRequest),
                Ok(reader) => list(cx, topic.name, asked, reader).await,
            };
            partitions.push(partition_response(cx, asked.partition_index, outcome));
        }
        topics.push(ListOffsetsTopicResponse { name: topic.name, partitions, ..ListOffsetsTopicResponse::default() });
    }
    cx.answer(&ListOffsetsResponse { topics, ..ListOffsetsResponse::default() })
}

/// Partitions that are named more than once.
fn repeated<'a>(request: &ListOffsetsRequest<'a>) -> BTreeSet<(&'a str, i32)> {
    let named = request.topics.iter().flat_map(|t| t.partitions.iter().map(|p| (t.name, p.partition_index)));
    let mut seen = BTreeSet::new();
    named.filter(|partition| !seen.insert(*partition)).collect()
}

fn partition_response<'a>(
    cx: &RequestContext,
    index: i32,
    outcome: Result<TimestampAndOffset, ErrorCode>,
) -> ListOffsetsPartitionResponse<'a> {
    let (code, found) = outcome.map_or_else(|code| (code, NOTHING), |found| (ErrorCode::None, found));
    cx.count_error(code);
    ListOffsetsPartitionResponse {
        partition_index: index,
        error_code: code.code(),
        timestamp: found.timestamp,
        offset: found.offset,
        leader_epoch: if cx.version >= 4 { found.leader_epoch } else { -1 },
        ..ListOffsetsPartitionResponse::default()
    }
}

async fn list(
    cx: &RequestContext,
    topic: &str,
    asked: &ListOffsetsPartition<'_>,
    reader: Reader,
) -> Result<TimestampAndOffset, ErrorCode> {
    if asked.timestamp < 0 {
        let since = SINCE.iter().find(|(special, _)| *special == asked.timestamp);
        if since.is_none_or(|(_, version)| cx.version < *version) {
            return Err(ErrorCode::UnsupportedVersion);
        }
    }
    let partition = cx.broker.replicas.find(topic, asked.partition_index).map_err(partition_errors::missing)?;
    let visible = partition.visible(reader, asked.current_leader_epoch).map_err(partition_errors::not_leader)?;
    let at = |offset: i64, leader_epoch| TimestampAndOffset { timestamp: -1, offset, leader_epoch };
    match asked.timestamp {
        LATEST if visible.end_may_go_back => Err(not_available(cx)),
        LATEST => Ok(at(visible.end, visible.leader_epoch)),
        EARLIEST | EARLIEST_LOCAL => {
            let start = partition.log().log_start_offset();
            Ok(at(start, partition.log().epoch_at(start).unwrap_or(-1)))
        }
        LATEST_TIERED | EARLIEST_PENDING_UPLOAD => Ok(NOTHING),
        timestamp => {
            let found = search(partition, timestamp).await?.filter(|found| found.offset < visible.end);
            found.map_or(if visible.end_may_go_back { Err(not_available(cx)) } else { Ok(NOTHING) }, Ok)
        }
    }
}

/// What a consumer hears until the followers have told the new leader how far they are; it asks again.
fn not_available(cx: &RequestContext) -> ErrorCode {
    if cx.version >= 5 { ErrorCode::OffsetNotAvailable } else { ErrorCode::LeaderNotAvailable }
}

async fn search(partition: Arc<Partition>, timestamp: i64) -> Result<Option<TimestampAndOffset>, ErrorCode> {
    let found = task::blocking("list offsets", move || match timestamp {
        MAX_TIMESTAMP => partition.log().offset_of_max_timestamp(),
        timestamp => partition.log().offset_for_timestamp(timestamp),
    });
    found.await.map_err(|cause| partition_errors::read(&cause))
}
