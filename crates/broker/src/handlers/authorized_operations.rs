//! The bits of "what may I do here" (KIP-430): one per ACL operation, by its code.

use crate::context::RequestContext;
use crate::security::authorizer::{Operation, Resource};

/// What is answered when nobody asked.
pub(crate) const NOT_ASKED: i32 = i32::MIN;

/// Operations that make sense on a topic.
const OF_TOPICS: &[Operation] = &[
    Operation::Read,
    Operation::Write,
    Operation::Create,
    Operation::Delete,
    Operation::Alter,
    Operation::Describe,
    Operation::DescribeConfigs,
    Operation::AlterConfigs,
];

/// Operations that make sense on the cluster.
const OF_THE_CLUSTER: &[Operation] = &[
    Operation::Create,
    Operation::Alter,
    Operation::Describe,
    Operation::ClusterAction,
    Operation::DescribeConfigs,
    Operation::AlterConfigs,
    Operation::IdempotentWrite,
];

/// Operations that make sense on a group.
const OF_GROUPS: &[Operation] =
    &[Operation::Read, Operation::Delete, Operation::Describe, Operation::DescribeConfigs, Operation::AlterConfigs];

/// Kafka's code (`AclOperation.code`).
fn code(operation: Operation) -> u32 {
    match operation {
        Operation::Read => 3,
        Operation::Write => 4,
        Operation::Create => 5,
        Operation::Delete => 6,
        Operation::Alter => 7,
        Operation::Describe => 8,
        Operation::ClusterAction => 9,
        Operation::DescribeConfigs => 10,
        Operation::AlterConfigs => 11,
        Operation::IdempotentWrite => 12,
    }
}

/// What the connection's principal may do to a topic.
pub(crate) fn on_topic(cx: &RequestContext, name: &str) -> i32 {
    bits(cx, OF_TOPICS, Resource::Topic(name))
}

/// What the connection's principal may do to a group.
pub(crate) fn on_group(cx: &RequestContext, id: &str) -> i32 {
    bits(cx, OF_GROUPS, Resource::Group(id))
}

/// What the connection's principal may do to the cluster; nothing is told to who may not describe it.
pub(crate) fn on_cluster(cx: &RequestContext) -> i32 {
    if !cx.authorized(Operation::Describe, Resource::Cluster) {
        return 0;
    }
    bits(cx, OF_THE_CLUSTER, Resource::Cluster)
}

fn bits(cx: &RequestContext, operations: &[Operation], resource: Resource<'_>) -> i32 {
    let allowed = operations.iter().filter(|operation| cx.authorized(**operation, resource));
    allowed.fold(0, |bits, operation| bits | 1 << code(*operation))
}
