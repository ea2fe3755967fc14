//! OffsetDelete (47), version 0: an administrator deletes offsets of a group (KIP-496).
//!
//! * Of topics that the group's members subscribe to: GROUP_SUBSCRIBED_TO_TOPIC. Members that are no consumers:
//!   NON_EMPTY_GROUP. No such group: GROUP_ID_NOT_FOUND. No such topic or partition: UNKNOWN_TOPIC_OR_PARTITION.
//! * An offset that is not there is deleted all the same.

use ottla_coordinator::group::api::OffsetDeleteRequest as Delete;
use ottla_metadata::image::MetadataImage;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::offset_delete_request::{OffsetDeleteRequest, OffsetDeleteRequestTopic};
use ottla_protocol::messages::offset_delete_response::{
    OffsetDeleteResponse, OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};

use crate::context::{Answer, Refusal, RequestContext};
use crate::security::authorizer::{Operation, Resource};

/// Codes that are known before the group is asked, in the order of the request; `None` is for the group to say.
type Verdicts = Vec<Vec<Option<ErrorCode>>>;

pub(crate) async fn handle(cx: &RequestContext) -> Result<Answer, Refusal> {
    let request: OffsetDeleteRequest<'_> = cx.decode()?;
    if !cx.authorized(Operation::Delete, Resource::Group(request.group_id)) {
        return refuse(cx, ErrorCode::GroupAuthorizationFailed);
    }
    if request.group_id.is_empty() {
        return refuse(cx, ErrorCode::InvalidGroupId);
    }
    let mut verdicts = judge(cx, &cx.broker.image(), &request);
    let topics = for_the_group(&request, &verdicts);
    // A request without topics still learns whether the group exists.
    if !topics.is_empty() || request.topics.is_empty() {
        match delete(cx, request.group_id, topics).await {
            Ok(codes) => {
                let open = verdicts.iter_mut().flatten().filter(|verdict| verdict.is_none());
                open.zip(codes).for_each(|(verdict, code)| *verdict = Some(code));
            }
            Err(code) => return refuse(cx, code),
        }
    }
    answer(cx, &request, &verdicts)
}

fn refuse(cx: &RequestContext, code: ErrorCode) -> Result<Answer, Refusal> {
    cx.count_error(code);
    cx.answer(&OffsetDeleteResponse { error_code: code.code(), ..OffsetDeleteResponse::default() })
}

fn judge(cx: &RequestContext, image: &MetadataImage, request: &OffsetDeleteRequest<'_>) -> Verdicts {
    let of_topic = |topic: &OffsetDeleteRequestTopic<'_>| {
        let allowed = cx.authorized(Operation::Read, Resource::Topic(topic.name));
        let known = image.topics.by_name(topic.name);
        let of_partition = |index: i32| match known {
            _ if !allowed => Some(ErrorCode::TopicAuthorizationFailed),
            Some(known) if known.partitions.contains_key(&index) => None,
            Some(_) | None => Some(ErrorCode::UnknownTopicOrPartition),
        };
        topic.partitions.iter().map(|p| of_partition(p.partition_index)).collect()
    };
    request.topics.iter().map(of_topic).collect()
}

fn for_the_group(request: &OffsetDeleteRequest<'_>, verdicts: &Verdicts) -> Vec<(String, Vec<i32>)> {
    let open = |(topic, row): (&OffsetDeleteRequestTopic<'_>, &Vec<Option<ErrorCode>>)| {
        let open = topic.partitions.iter().zip(row).filter(|(_, verdict)| verdict.is_none());
        (topic.name.to_owned(), open.map(|(p, _)| p.partition_index).collect::<Vec<_>>())
    };
    request.topics.iter().zip(verdicts).map(open).filter(|(_, partitions)| !partitions.is_empty()).collect()
}

async fn delete(
    cx: &RequestContext,
    group: &str,
    topics: Vec<(String, Vec<i32>)>,
) -> Result<Vec<ErrorCode>, ErrorCode> {
    let response = cx.broker.groups.request(group, Delete { group_id: group.to_owned(), topics }).await?;
    match response.error {
        ErrorCode::None => Ok(response.topics.into_iter().flat_map(|t| t.partitions).map(|(_, code)| code).collect()),
        code => Err(code),
    }
}

fn answer(cx: &RequestContext, request: &OffsetDeleteRequest<'_>, verdicts: &Verdicts) -> Result<Answer, Refusal> {
    let mut topics = Vec::with_capacity(request.topics.len());
    for (topic, row) in request.topics.iter().zip(verdicts) {
        let mut partitions = Vec::with_capacity(row.len());
        for (partition, verdict) in topic.partitions.iter().zip(row) {
            let code = verdict.unwrap_or(ErrorCode::UnknownServerError);
            cx.count_error(code);
            partitions.push(OffsetDeleteResponsePartition {
                partition_index: partition.partition_index,
                error_code: code.code(),
                ..OffsetDeleteResponsePartition::default()
            });
        }
        topics.push(OffsetDeleteResponseTopic { name: topic.name, partitions, ..OffsetDeleteResponseTopic::default() });
    }
    cx.answer(&OffsetDeleteResponse { topics, ..OffsetDeleteResponse::default() })
}
