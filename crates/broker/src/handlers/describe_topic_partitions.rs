//! DescribeTopicPartitions (75), version 0: partitions of topics page by page, with their eligible leader replicas
//! (KIP-966); what kafka-topics --describe asks.
//!
//! * No topics means all. Topics come in the order of their names, each once; a cursor says with which topic and partition
//!   to go on, and the answer's next cursor is null at the end.
//! * A page has at most as many partitions as the request and `max.request.partition.size.limit` allow, and one at least.
//! * Unknown topics: UNKNOWN_TOPIC_OR_PARTITION, names that cannot be: INVALID_TOPIC_EXCEPTION, not allowed:
//!   TOPIC_AUTHORIZATION_FAILED; among all topics those that are not allowed are left out. A cursor at a negative
//!   partition: INVALID_REQUEST for every topic.
//! * A partition without leader, or whose leader lacks the listener, has an error of its own, as in Metadata.

use std::collections::BTreeSet;

use ottla_metadata::image::{MetadataImage, PartitionRegistration, TopicImage};
use ottla_metadata::topic_name;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_topic_partitions_request::DescribeTopicPartitionsRequest;
use ottla_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponse, DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic,
};

use super::authorized_operations;
use super::metadata::is_internal;
use crate::context::{Answer, Refusal, RequestContext};
use crate::security::authorizer::{Operation, Resource};

pub(crate) fn handle(cx: RequestContext) -> Result<Answer, Refusal> {
    let request: DescribeTopicPartitionsRequest<'_> = cx.decode()?;
    let image = cx.broker.image();
    let named: BTreeSet<&str> = request.topics.iter().map(|topic| topic.name).collect();
    let (first_topic, first_partition) = request.cursor.as_ref().map_or(("", 0), |c| (c.topic_name, c.partition_index));
    if first_partition < 0 {
        let failed = named.iter().map(|name| error(&cx, name, ErrorCode::InvalidRequest)).collect();
        return cx.answer(&DescribeTopicPartitionsResponse { topics: failed, ..Default::default() });
    }
    let names: Vec<&str> = match named.is_empty() {
        true => {
            image.topics.iter_from(first_topic).map(|topic| &*topic.name).filter(|name| visible(&cx, name)).collect()
        }
        false => named.range(first_topic..).copied().collect(),
    };
    let limit = request.response_partition_limit.min(cx.broker.config.max_request_partition_size_limit).max(1);
    let mut page = Page { cx: &cx, image: &image, left: usize::try_from(limit).unwrap_or(1), topics: Vec::new() };
    let mut next_cursor = None;
    for name in names {
        let from = if name == first_topic { first_partition } else { 0 };
        if let Some(partition_index) = page.add(name, from) {
            next_cursor = Some(Cursor { topic_name: name, partition_index, ..Cursor::default() });
            break;
        }
    }
    let topics = page.topics;
    cx.answer(&DescribeTopicPartitionsResponse { topics, next_cursor, ..DescribeTopicPartitionsResponse::default() })
}

fn visible(cx: &RequestContext, name: &str) -> bool {
    cx.authorized(Operation::Describe, Resource::Topic(name))
}

/// What is answered so far.
struct Page<'a> {
    cx: &'a RequestContext,
    image: &'a MetadataImage,
    /// Partitions for which there is still room.
    left: usize,
    topics: Vec<DescribeTopicPartitionsResponseTopic<'a>>,
}

impl<'a> Page<'a> {
    /// Adds a topic from a partition on. Gives the partition with which the next page must begin, if this one is full.
    fn add(&mut self, name: &'a str, from: i32) -> Option<i32> {
        if self.left == 0 {
            return Some(from);
        }
        let found = self.image.topics.by_name(name);
        let code = match found {
            _ if !visible(self.cx, name) => ErrorCode::TopicAuthorizationFailed,
            _ if topic_name::check(name).is_err() => ErrorCode::InvalidTopicException,
            None => ErrorCode::UnknownTopicOrPartition,
            Some(_) => ErrorCode::None,
        };
        let Some(topic) = found.filter(|_| code.is_none()) else {
            self.topics.push(error(self.cx, name, code));
            return None;
        };
        let wanted = || topic.partitions.range(from..);
        let partitions: Vec<_> = wanted().take(self.left).map(|(index, p)| self.partition(*index, p)).collect();
        let next = wanted().nth(partitions.len()).map(|(index, _)| *index);
        self.left -= partitions.len();
        self.topics.push(self.topic(topic, partitions));
        next
    }

    fn topic(
        &self,
        topic: &'a TopicImage,
        partitions: Vec<DescribeTopicPartitionsResponsePartition<'a>>,
    ) -> DescribeTopicPartitionsResponseTopic<'a> {
        DescribeTopicPartitionsResponseTopic {
            name: Some(&topic.name),
            topic_id: topic.id,
            is_internal: is_internal(&topic.name),
            partitions,
            topic_authorized_operations: authorized_operations::on_topic(self.cx, &topic.name),
            ..DescribeTopicPartitionsResponseTopic::default()
        }
    }

    fn partition(&self, index: i32, p: &PartitionRegistration) -> DescribeTopicPartitionsResponsePartition<'a> {
        let live = |id: &i32| self.image.cluster.broker(*id).filter(|broker| !broker.fenced);
        let listener = &self.cx.connection.listener.name;
        let code = match live(&p.leader) {
            None => ErrorCode::LeaderNotAvailable,
            Some(broker) if broker.listener(listener).is_none() => ErrorCode::ListenerNotFound,
            Some(_) => ErrorCode::None,
        };
        DescribeTopicPartitionsResponsePartition {
            error_code: code.code(),
            partition_index: index,
            leader_id: if code.is_none() { p.leader } else { -1 },
            leader_epoch: p.leader_epoch,
            replica_nodes: p.replicas.clone(),
            isr_nodes: p.isr.clone(),
            eligible_leader_replicas: Some(p.elr.clone()),
            last_known_elr: Some(p.last_known_elr.clone()),
            offline_replicas: p.replicas.iter().copied().filter(|id| live(id).is_none()).collect(),
            ..DescribeTopicPartitionsResponsePartition::default()
        }
    }
}

fn error<'a>(cx: &RequestContext, name: &'a str, code: ErrorCode) -> DescribeTopicPartitionsResponseTopic<'a> {
    cx.count_error(code);
    DescribeTopicPartitionsResponseTopic {
        error_code: code.code(),
        name: Some(name),
        is_internal: is_internal(name),
        ..DescribeTopicPartitionsResponseTopic::default()
    }
}
