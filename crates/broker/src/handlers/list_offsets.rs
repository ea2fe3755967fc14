//! ListOffsets (2), versions 1-11: where a partition begins, ends, or has a timestamp.
//!
//! * -1 latest: the high watermark, or the last stable offset for read_committed; -2 earliest; -3 the record with the
//!   largest timestamp (from 7); -4 earliest local (from 8), the same as earliest without tiered storage; -5 latest tiered
//!   (from 9), -1 without it; -6 earliest not yet uploaded (from 11), likewise -1.
//! * A special timestamp that the version does not know: UNSUPPORTED_VERSION. A partition named twice: INVALID_REQUEST.
//! * Searches by timestamp read the log, so they run on the blocking pool.

use std::collections::BTreeSet;
use std::sync::Arc;

use ottla_env::task;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsRequest};
use ottla_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use ottla_storage::{ReadError, TimestampAndOffset};

use super::partition_errors;
use crate::context::{Answer, Refusal, RequestContext};
use crate::replica::partition::Partition;
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
    let mut seen = BTreeSet::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in &topic.partitions {
            let outcome = if seen.insert((topic.name, asked.partition_index)) {
                list(cx, topic.name, asked, request.isolation_level == 1).await
            } else {
                Err(ErrorCode::InvalidRequest)
            };
            partitions.push(partition_response(cx, asked.partition_index, outcome));
        }
        topics.push(ListOffsetsTopicResponse { name: topic.name, partitions, ..ListOffsetsTopicResponse::default() });
    }
    cx.answer(&ListOffsetsResponse { topics, ..ListOffsetsResponse::default() })
}

fn partition_response<'a>(
    cx: &RequestContext,
    index: i32,
    outcome: Result<TimestampAndOffset, ErrorCode>,
) -> ListOffsetsPartitionResponse<'a> {
    let (code, found) = outcome.map_or_else(|code| (code, NOTHING), |found| (ErrorCode::None, found));
    cx.broker.counters.error(code);
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
    committed: bool,
) -> Result<TimestampAndOffset, ErrorCode> {
    if !cx.authorized(Operation::Describe, Resource::Topic(topic)) {
        return Err(ErrorCode::TopicAuthorizationFailed);
    }
    if asked.timestamp < 0 {
        let since = SINCE.iter().find(|(special, _)| *special == asked.timestamp);
        if since.is_none_or(|(_, version)| cx.version < *version) {
            return Err(ErrorCode::UnsupportedVersion);
        }
    }
    let partition = cx.broker.replicas.find(topic, asked.partition_index).map_err(partition_errors::missing)?;
    let leader_epoch = partition.check_leader(asked.current_leader_epoch).map_err(partition_errors::not_leader)?;
    let log = partition.log();
    let at = |offset: i64| TimestampAndOffset { timestamp: -1, offset, leader_epoch };
    match asked.timestamp {
        LATEST if committed => Ok(at(log.last_stable_offset())),
        LATEST => Ok(at(log.high_watermark())),
        EARLIEST | EARLIEST_LOCAL => {
            let start = log.log_start_offset();
            Ok(TimestampAndOffset { leader_epoch: log.epoch_at(start).unwrap_or(-1), ..at(start) })
        }
        LATEST_TIERED | EARLIEST_PENDING_UPLOAD => Ok(NOTHING),
        timestamp => search(partition, timestamp, committed).await,
    }
}

/// Only records that a consumer may see are found.
async fn search(partition: Arc<Partition>, timestamp: i64, committed: bool) -> Result<TimestampAndOffset, ErrorCode> {
    let found = task::blocking("list offsets", move || -> Result<Option<TimestampAndOffset>, ReadError> {
        let log = partition.log();
        let found = if timestamp == MAX_TIMESTAMP {
            log.offset_of_max_timestamp()?
        } else {
            log.offset_for_timestamp(timestamp)?
        };
        let end = if committed { log.last_stable_offset() } else { log.high_watermark() };
        Ok(found.filter(|f| f.offset < end))
    });
    found.await.map(|found| found.unwrap_or(NOTHING)).map_err(|cause| partition_errors::read(&cause))
}
