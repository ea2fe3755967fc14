//! OffsetFetch (9), versions 1-10: how far groups have read.
//!
//! * Up to 7 one group, from 8 many (KIP-709). Null topics: every partition the group committed (from 2).
//! * What was never committed has offset -1, no metadata and no error; so has a group that does not exist.
//! * 7 and later may require stable offsets (KIP-447). 10 names topics by id; an unknown one is UNKNOWN_TOPIC_ID.
//! * An error of the group stands at the top from 2 on (per group from 8 on); in 1 it is the error of every partition.

use ottla_coordinator::group::api::{FetchedOffset, FetchedTopic, OffsetFetchTopics};
use ottla_metadata::image::MetadataImage;
use ottla_protocol::messages::offset_fetch_request::{OffsetFetchRequest, OffsetFetchRequestGroup};
use ottla_protocol::messages::offset_fetch_response::{
    OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use ottla_protocol::{ErrorCode, Uuid};

use crate::context::{Answer, Refusal, RequestContext};
use crate::security::authorizer::{Operation, Resource};

/// A topic that is asked for: its name, if it is known.
struct Asked {
    name: Option<String>,
    id: Uuid,
    partitions: Vec<i32>,
}

/// A topic of the answer.
struct Answered {
    name: String,
    id: Uuid,
    partitions: Vec<FetchedOffset>,
}

/// A group of the answer.
struct OfGroup {
    code: ErrorCode,
    topics: Vec<Answered>,
}

pub(crate) async fn handle(cx: &RequestContext) -> Result<Answer, Refusal> {
    let request: OffsetFetchRequest<'_> = cx.decode()?;
    let image = cx.broker.image();
    if cx.version < 8 {
        let topics = request.topics.as_ref().map(|topics| {
            let asked = topics.iter().map(|t| Asked {
                name: Some(t.name.to_owned()),
                id: Uuid::ZERO,
                partitions: t.partition_indexes.clone(),
            });
            asked.collect()
        });
        let fetched = fetch(cx, &image, request.group_id, topics, request.require_stable);
        return answer_one(cx, &fetched);
    }
    let groups: Vec<_> = request
        .groups
        .iter()
        .map(|group| (group.group_id, fetch_group(cx, &image, group, request.require_stable)))
        .collect();
    let groups = groups.iter().map(|(id, fetched)| group_response(id, fetched)).collect();
    cx.answer(&OffsetFetchResponse { groups, ..OffsetFetchResponse::default() })
}

fn fetch_group(
    cx: &RequestContext,
    image: &MetadataImage,
    group: &OffsetFetchRequestGroup<'_>,
    require_stable: bool,
) -> OfGroup {
    let name_of = |name: &str, id: Uuid| match cx.version {
        ..10 => Some(name.to_owned()),
        _ => image.topics.by_id(id).map(|topic| topic.name.to_string()),
    };
    let topics = group.topics.as_ref().map(|topics| {
        let asked = topics.iter().map(|t| Asked {
            name: name_of(t.name, t.topic_id),
            id: t.topic_id,
            partitions: t.partition_indexes.clone(),
        });
        asked.collect()
    });
    fetch(cx, image, group.group_id, topics, require_stable)
}

fn fetch(
    cx: &RequestContext,
    image: &MetadataImage,
    group: &str,
    asked: Option<Vec<Asked>>,
    require_stable: bool,
) -> OfGroup {
    if !cx.authorized(Operation::Describe, Resource::Group(group)) {
        return refused(cx, ErrorCode::GroupAuthorizationFailed, asked);
    }
    let may_describe = |name: &str| cx.authorized(Operation::Describe, Resource::Topic(name));
    let wanted: OffsetFetchTopics = asked.as_ref().map(|asked| {
        let known = asked.iter().filter_map(|a| Some((a.name.clone()?, a.partitions.clone())));
        known.filter(|(name, _)| may_describe(name)).collect()
    });
    let slot = cx.broker.groups.slot_of(group);
    let read = slot.and_then(|slot| slot.read(|shard| shard.fetch_offsets(group, &wanted, require_stable)));
    let fetched = match read {
        Ok(fetched) => fetched,
        Err(code) => return refused(cx, code, asked),
    };
    let topics = match asked {
        Some(asked) => merge(asked, fetched, may_describe),
        None => fetched.into_iter().filter(|t| may_describe(&t.name)).filter_map(|t| with_id(cx, image, t)).collect(),
    };
    OfGroup { code: ErrorCode::None, topics }
}

/// Everything was asked for: a version that names topics by id cannot name one that no longer exists.
fn with_id(cx: &RequestContext, image: &MetadataImage, topic: FetchedTopic) -> Option<Answered> {
    let id = image.topics.by_name(&topic.name).map(|known| known.id);
    match id {
        None if cx.version >= 10 => None,
        id => Some(Answered { name: topic.name, id: id.unwrap_or(Uuid::ZERO), partitions: topic.partitions }),
    }
}

/// What was fetched and what could not be, in the order of the request.
fn merge(asked: Vec<Asked>, fetched: Vec<FetchedTopic>, may_describe: impl Fn(&str) -> bool) -> Vec<Answered> {
    let mut fetched = fetched.into_iter();
    let answer = |Asked { name, id, partitions }: Asked| {
        let code = match &name {
            None => ErrorCode::UnknownTopicId,
            Some(name) if !may_describe(name) => ErrorCode::TopicAuthorizationFailed,
            Some(_) => ErrorCode::None,
        };
        let partitions = match code {
            ErrorCode::None => fetched.next().map(|topic| topic.partitions).unwrap_or_default(),
            code => partitions.into_iter().map(|p| failed(p, code)).collect(),
        };
        Answered { name: name.unwrap_or_default(), id, partitions }
    };
    asked.into_iter().map(answer).collect()
}

/// An error of the whole group; version 1 has no place for it but the partitions.
fn refused(cx: &RequestContext, code: ErrorCode, asked: Option<Vec<Asked>>) -> OfGroup {
    let in_partitions = asked.filter(|_| cx.version < 2).unwrap_or_default();
    let topics = in_partitions.into_iter().map(|a| Answered {
        name: a.name.unwrap_or_default(),
        id: a.id,
        partitions: a.partitions.into_iter().map(|p| failed(p, code)).collect(),
    });
    let topics = topics.collect();
    cx.count_error(code);
    OfGroup { code, topics }
}

fn failed(partition: i32, error: ErrorCode) -> FetchedOffset {
    FetchedOffset { partition, offset: -1, leader_epoch: -1, metadata: String::new(), error }
}

fn answer_one(cx: &RequestContext, fetched: &OfGroup) -> Result<Answer, Refusal> {
    let topics = fetched.topics.iter().map(|topic| OffsetFetchResponseTopic {
        name: &topic.name,
        partitions: topic
            .partitions
            .iter()
            .map(|p| OffsetFetchResponsePartition {
                partition_index: p.partition,
                committed_offset: p.offset,
                committed_leader_epoch: p.leader_epoch,
                metadata: Some(&p.metadata),
                error_code: p.error.code(),
                ..OffsetFetchResponsePartition::default()
            })
            .collect(),
        ..OffsetFetchResponseTopic::default()
    });
    cx.answer(&OffsetFetchResponse {
        topics: topics.collect(),
        error_code: fetched.code.code(),
        ..OffsetFetchResponse::default()
    })
}

fn group_response<'a>(group_id: &'a str, fetched: &'a OfGroup) -> OffsetFetchResponseGroup<'a> {
    let topics = fetched.topics.iter().map(|topic| OffsetFetchResponseTopics {
        name: &topic.name,
        topic_id: topic.id,
        partitions: topic
            .partitions
            .iter()
            .map(|p| OffsetFetchResponsePartitions {
                partition_index: p.partition,
                committed_offset: p.offset,
                committed_leader_epoch: p.leader_epoch,
                metadata: Some(&p.metadata),
                error_code: p.error.code(),
                ..OffsetFetchResponsePartitions::default()
            })
            .collect(),
        ..OffsetFetchResponseTopics::default()
    });
    OffsetFetchResponseGroup {
        group_id,
        topics: topics.collect(),
        error_code: fetched.code.code(),
        ..OffsetFetchResponseGroup::default()
    }
}
