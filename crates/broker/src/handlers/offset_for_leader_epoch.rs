//! OffsetForLeaderEpoch (23), versions 2-4: where an epoch ended, so that a consumer or follower finds where its log
//! departs from the leader's (KIP-320).
//!
//! The current epoch ends at the log end offset; one in between at the start of the next; one above the current, or -1, is
//! answered (-1, -1) without an error.

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition,
};
use ottla_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderEpochResponse, OffsetForLeaderTopicResult,
};

use super::partition_errors;
use crate::context::{Answer, Refusal, RequestContext};
use crate::security::authorizer::{Operation, Resource};

pub(crate) fn handle(cx: RequestContext) -> Result<Answer, Refusal> {
    let request: OffsetForLeaderEpochRequest<'_> = cx.decode()?;
    let topic = |t: &ottla_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderTopic<'_>| {
        t.partitions.iter().map(|p| end_of_epoch(&cx, t.topic, p)).collect()
    };
    let topics = request
        .topics
        .iter()
        .map(|t| OffsetForLeaderTopicResult {
            topic: t.topic,
            partitions: topic(t),
            ..OffsetForLeaderTopicResult::default()
        })
        .collect();
    cx.answer(&OffsetForLeaderEpochResponse { topics, ..OffsetForLeaderEpochResponse::default() })
}

fn end_of_epoch<'a>(cx: &RequestContext, topic: &str, asked: &OffsetForLeaderPartition<'_>) -> EpochEndOffset<'a> {
    let (code, leader_epoch, end_offset) = match look_up(cx, topic, asked) {
        Ok((epoch, end_offset)) => (ErrorCode::None, epoch, end_offset),
        Err(code) => (code, -1, -1),
    };
    cx.count_error(code);
    EpochEndOffset {
        error_code: code.code(),
        partition: asked.partition,
        leader_epoch,
        end_offset,
        ..EpochEndOffset::default()
    }
}

fn look_up(cx: &RequestContext, topic: &str, asked: &OffsetForLeaderPartition<'_>) -> Result<(i32, i64), ErrorCode> {
    if !cx.authorized(Operation::Describe, Resource::Topic(topic)) {
        return Err(ErrorCode::TopicAuthorizationFailed);
    }
    let partition = cx.broker.replicas.find(topic, asked.partition).map_err(partition_errors::missing)?;
    let current = partition.check_leader(asked.current_leader_epoch).map_err(partition_errors::not_leader)?;
    if asked.leader_epoch < 0 || asked.leader_epoch > current {
        return Ok((-1, -1));
    }
    let end = partition.log().end_offset_for_epoch(asked.leader_epoch);
    Ok((end.epoch, end.end_offset))
}
