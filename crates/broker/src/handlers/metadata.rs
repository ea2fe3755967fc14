//! Metadata (3), versions 0-13: brokers and topics as this broker knows them.
//!
//! * Version 0: an empty list means all topics. From 1: null means all, empty means none. From 10 topics may be named by id.
//! * Topics that do not exist are created when the request allows it (always before version 4), the broker is configured
//!   so and the name is one; they are answered LEADER_NOT_AVAILABLE or UNKNOWN_TOPIC_OR_PARTITION first, clients ask again.
//! * Fenced brokers are left out; a partition whose leader is one of them has no leader. A leader without the listener that
//!   the request came in on is LISTENER_NOT_FOUND (LEADER_NOT_AVAILABLE before 6).
//! * The controller id is a live broker: clients send what is for the controller to it, and it is forwarded.

use std::sync::Arc;

use ottla_metadata::image::{MetadataImage, PartitionRegistration, TopicImage};
use ottla_protocol::messages::metadata_request::MetadataRequest;
use ottla_protocol::messages::metadata_response::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use ottla_protocol::{ErrorCode, Uuid};

use super::authorized_operations;
use crate::auto_topics;
use crate::context::{Answer, Refusal, RequestContext};
use crate::security::authorizer::{Operation, Resource};

/// A topic to answer for.
enum Asked {
    Known(Arc<TopicImage>),
    Error { name: Option<Arc<str>>, id: Uuid, code: ErrorCode },
}

pub(crate) async fn handle(cx: &RequestContext) -> Result<Answer, Refusal> {
    let request: MetadataRequest<'_> = cx.decode()?;
    let image = cx.broker.image();
    let asked = match &request.topics {
        None => all(cx, &image),
        Some(topics) if topics.is_empty() && cx.version == 0 => all(cx, &image),
        Some(topics) => {
            let may_create = cx.broker.config.auto_create_topics_enable && request.allow_auto_topic_creation;
            let mut asked = Vec::with_capacity(topics.len());
            for topic in topics {
                asked.push(match topic.name {
                    Some(name) => by_name(cx, &image, name, may_create).await,
                    None => by_id(cx, &image, topic.topic_id),
                });
            }
            asked
        }
    };
    answer(cx, &request, &image, &asked)
}

fn all(cx: &RequestContext, image: &MetadataImage) -> Vec<Asked> {
    let visible = |topic: &&Arc<TopicImage>| cx.authorized(Operation::Describe, Resource::Topic(&topic.name));
    image.topics.iter().filter(visible).map(|topic| Asked::Known(Arc::clone(topic))).collect()
}

async fn by_name(cx: &RequestContext, image: &MetadataImage, name: &str, may_create: bool) -> Asked {
    let error = |code| Asked::Error { name: Some(name.into()), id: Uuid::ZERO, code };
    if !cx.authorized(Operation::Describe, Resource::Topic(name)) {
        return error(ErrorCode::TopicAuthorizationFailed);
    }
    if let Some(topic) = image.topics.by_name(name) {
        return Asked::Known(Arc::clone(topic));
    }
    if !may_create {
        let valid = ottla_metadata::topic_name::check(name).is_ok();
        return error(if valid { ErrorCode::UnknownTopicOrPartition } else { ErrorCode::InvalidTopicException });
    }
    if !cx.authorized(Operation::Create, Resource::Topic(name)) {
        return error(ErrorCode::TopicAuthorizationFailed);
    }
    error(auto_topics::create(&cx.broker, cx.door_context(), name).await)
}

fn by_id(cx: &RequestContext, image: &MetadataImage, id: Uuid) -> Asked {
    match image.topics.by_id(id) {
        Some(topic) if cx.authorized(Operation::Describe, Resource::Topic(&topic.name)) => {
            Asked::Known(Arc::clone(topic))
        }
        _ => Asked::Error { name: None, id, code: ErrorCode::UnknownTopicId },
    }
}

fn answer(
    cx: &RequestContext,
    request: &MetadataRequest<'_>,
    image: &MetadataImage,
    asked: &[Asked],
) -> Result<Answer, Refusal> {
    let listener = &*cx.connection.listener.name;
    let live = image.cluster.brokers.values().filter(|b| !b.fenced);
    let brokers: Vec<_> = live
        .filter_map(|broker| {
            let endpoint = broker.listeners.iter().find(|e| *e.name == *listener)?;
            Some(MetadataResponseBroker {
                node_id: broker.id,
                host: &endpoint.host,
                port: i32::from(endpoint.port),
                rack: broker.rack.as_deref(),
                ..MetadataResponseBroker::default()
            })
        })
        .collect();
    let topics = asked
        .iter()
        .map(|asked| match asked {
            Asked::Known(topic) => MetadataResponseTopic {
                topic_authorized_operations: if request.include_topic_authorized_operations {
                    authorized_operations::on_topic(cx, &topic.name)
                } else {
                    authorized_operations::NOT_ASKED
                },
                ..known(cx, image, topic)
            },
            Asked::Error { name, id, code } => {
                cx.count_error(*code);
                MetadataResponseTopic {
                    error_code: code.code(),
                    // Before version 12 a name cannot be null.
                    name: name.as_deref().or((cx.version < 12).then_some("")),
                    topic_id: *id,
                    is_internal: name.as_deref().is_some_and(is_internal),
                    ..MetadataResponseTopic::default()
                }
            }
        })
        .collect();
    cx.answer(&MetadataResponse {
        controller_id: brokers.first().map_or(-1, |b| b.node_id),
        brokers,
        cluster_id: Some(&cx.broker.cluster_id),
        cluster_authorized_operations: if request.include_cluster_authorized_operations {
            authorized_operations::on_cluster(cx)
        } else {
            authorized_operations::NOT_ASKED
        },
        topics,
        ..MetadataResponse::default()
    })
}

fn known<'a>(cx: &RequestContext, image: &'a MetadataImage, topic: &'a TopicImage) -> MetadataResponseTopic<'a> {
    MetadataResponseTopic {
        name: Some(&topic.name),
        topic_id: topic.id,
        is_internal: is_internal(&topic.name),
        partitions: topic.partitions.iter().map(|(index, p)| partition(cx, image, *index, p)).collect(),
        ..MetadataResponseTopic::default()
    }
}

fn partition<'a>(
    cx: &RequestContext,
    image: &MetadataImage,
    index: i32,
    registration: &PartitionRegistration,
) -> MetadataResponsePartition<'a> {
    let live = |id: &i32| image.cluster.brokers.get(id).filter(|b| !b.fenced);
    let is_offline = |id: &i32| {
        let (broker, dir) = (live(id), registration.directory_of(*id).unwrap_or_default());
        broker.is_none_or(|broker| !broker.has_online_dir(dir))
    };
    let leader = live(&registration.leader);
    let reachable = leader.is_some_and(|b| b.listeners.iter().any(|e| *e.name == *cx.connection.listener.name));
    let code = match (leader, reachable) {
        (None, _) => ErrorCode::LeaderNotAvailable,
        (Some(_), true) => ErrorCode::None,
        (Some(_), false) if cx.version >= 6 => ErrorCode::ListenerNotFound,
        (Some(_), false) => ErrorCode::LeaderNotAvailable,
    };
    MetadataResponsePartition {
        error_code: code.code(),
        partition_index: index,
        leader_id: if code.is_none() { registration.leader } else { -1 },
        leader_epoch: registration.leader_epoch,
        replica_nodes: registration.replicas.clone(),
        isr_nodes: registration.isr.clone(),
        offline_replicas: registration.replicas.iter().copied().filter(|id| is_offline(id)).collect(),
        ..MetadataResponsePartition::default()
    }
}

/// Topics that brokers keep for themselves.
pub(crate) fn is_internal(name: &str) -> bool {
    matches!(name, "__consumer_offsets" | "__transaction_state" | "__share_group_state")
}
