//! OffsetCommit (8), versions 2-10: how far a group has read.
//!
//! * Topics and partitions that do not exist are UNKNOWN_TOPIC_OR_PARTITION and do not disturb the rest. From 10 topics are
//!   named by id, and an unknown one is UNKNOWN_TOPIC_ID (KIP-848).
//! * The id is written down also when the request names the topic by name, as Kafka 4.4 does.
//! * 2 to 4 say how long to keep the offsets; -1 for the broker's retention.
//! * 7 and later: static members (KIP-345). 9: an unknown group is GROUP_ID_NOT_FOUND, before ILLEGAL_GENERATION.
//! * An error of the group is the error of every partition.

use ottla_coordinator::group::api::{CommitPartition, CommitTopic, OffsetCommitRequest as Commit, TopicResult};
use ottla_metadata::image::{MetadataImage, TopicImage};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_protocol::messages::offset_commit_response::{
    OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};

use crate::context::{Answer, Refusal, RequestContext};
use crate::security::authorizer::{Operation, Resource};

/// Codes that are known before the group is asked, in the order of the request; `None` is for the group to say.
type Verdicts = Vec<Vec<Option<ErrorCode>>>;

pub(crate) async fn handle(cx: &RequestContext) -> Result<Answer, Refusal> {
    let request: OffsetCommitRequest<'_> = cx.decode()?;
    let (mut verdicts, topics) = judge(cx, &cx.broker.image(), &request);
    if !topics.is_empty() {
        match commit(cx, &request, topics).await {
            Ok(results) => fill(&mut verdicts, results.iter().flat_map(|t| &t.partitions).map(|(_, code)| *code)),
            Err(code) => fill(&mut verdicts, std::iter::repeat(code)),
        }
    }
    answer(cx, &request, &verdicts)
}

/// Sorts out what does not exist or may not be read; the rest is for the group.
fn judge(
    cx: &RequestContext,
    image: &MetadataImage,
    request: &OffsetCommitRequest<'_>,
) -> (Verdicts, Vec<CommitTopic>) {
    let allowed = cx.authorized(Operation::Read, Resource::Group(request.group_id));
    let mut verdicts = Vec::with_capacity(request.topics.len());
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let known = if allowed { find(cx, image, topic) } else { Err(ErrorCode::GroupAuthorizationFailed) };
        let verdict = |p: &OffsetCommitRequestPartition<'_>| match known {
            Err(code) => Some(code),
            Ok(t) if !t.partitions.contains_key(&p.partition_index) => Some(ErrorCode::UnknownTopicOrPartition),
            Ok(_) => None,
        };
        let row: Vec<_> = topic.partitions.iter().map(verdict).collect();
        let for_the_group = topic.partitions.iter().zip(&row).filter(|(_, verdict)| verdict.is_none());
        let partitions: Vec<_> = for_the_group.map(|(p, _)| commit_partition(p)).collect();
        if let (Ok(known), false) = (known, partitions.is_empty()) {
            topics.push(CommitTopic { name: known.name.to_string(), topic_id: known.id, partitions });
        }
        verdicts.push(row);
    }
    (verdicts, topics)
}

fn find<'a>(
    cx: &RequestContext,
    image: &'a MetadataImage,
    topic: &OffsetCommitRequestTopic<'_>,
) -> Result<&'a TopicImage, ErrorCode> {
    if cx.version >= 10 {
        let known = image.topics.by_id(topic.topic_id).ok_or(ErrorCode::UnknownTopicId)?;
        let allowed = cx.authorized(Operation::Read, Resource::Topic(&known.name));
        return if allowed { Ok(known) } else { Err(ErrorCode::TopicAuthorizationFailed) };
    }
    if !cx.authorized(Operation::Read, Resource::Topic(topic.name)) {
        return Err(ErrorCode::TopicAuthorizationFailed);
    }
    image.topics.by_name(topic.name).map(|t| &**t).ok_or(ErrorCode::UnknownTopicOrPartition)
}

fn commit_partition(p: &OffsetCommitRequestPartition<'_>) -> CommitPartition {
    CommitPartition {
        partition: p.partition_index,
        offset: p.committed_offset,
        leader_epoch: p.committed_leader_epoch,
        metadata: p.committed_metadata.unwrap_or_default().to_owned(),
    }
}

async fn commit(
    cx: &RequestContext,
    request: &OffsetCommitRequest<'_>,
    topics: Vec<CommitTopic>,
) -> Result<Vec<TopicResult>, ErrorCode> {
    let commit = Commit {
        group_id: request.group_id.to_owned(),
        generation_id: request.generation_id_or_member_epoch,
        member_id: request.member_id.to_owned(),
        group_instance_id: request.group_instance_id.map(str::to_owned),
        retention_time_ms: (request.retention_time_ms != -1).then_some(request.retention_time_ms),
        group_id_not_found_supported: cx.version >= 9,
        topics,
    };
    cx.broker.groups.request(request.group_id, commit).await
}

/// Puts the group's codes where none was known.
fn fill(verdicts: &mut Verdicts, codes: impl Iterator<Item = ErrorCode>) {
    let open = verdicts.iter_mut().flatten().filter(|verdict| verdict.is_none());
    for (verdict, code) in open.zip(codes) {
        *verdict = Some(code);
    }
}

fn answer(cx: &RequestContext, request: &OffsetCommitRequest<'_>, verdicts: &Verdicts) -> Result<Answer, Refusal> {
    let mut topics = Vec::with_capacity(request.topics.len());
    for (topic, row) in request.topics.iter().zip(verdicts) {
        let mut partitions = Vec::with_capacity(row.len());
        for (partition, verdict) in topic.partitions.iter().zip(row) {
            let code = verdict.unwrap_or(ErrorCode::UnknownServerError);
            cx.count_error(code);
            partitions.push(OffsetCommitResponsePartition {
                partition_index: partition.partition_index,
                error_code: code.code(),
                ..OffsetCommitResponsePartition::default()
            });
        }
        topics.push(OffsetCommitResponseTopic {
            name: topic.name,
            topic_id: topic.topic_id,
            partitions,
            ..OffsetCommitResponseTopic::default()
        });
    }
    cx.answer(&OffsetCommitResponse { topics, ..OffsetCommitResponse::default() })
}
