//! What Metadata and DescribeCluster say that the principal may do (KIP-430) is what the authorizer says.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;

use ottla_broker::security::Principal;
use ottla_broker::security::authorizer::{Authorizer, Operation, Resource};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_cluster_request::DescribeClusterRequest;
use ottla_protocol::messages::describe_cluster_response::DescribeClusterResponse;
use ottla_protocol::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use ottla_protocol::messages::metadata_response::MetadataResponse;
use support::{Client, NobodyHome, TOPIC, decode, with_authorizer};

/// Allows what it lists.
#[derive(Debug)]
struct Only(&'static [(Operation, Resource<'static>)]);

impl Authorizer for Only {
    fn allows(&self, _: &Principal, operation: Operation, resource: Resource<'_>) -> bool {
        self.0.contains(&(operation, resource))
    }
}

/// Kafka's bit of an operation: 1 << `AclOperation.code`.
const READ: i32 = 1 << 3;
const DESCRIBE: i32 = 1 << 8;
const ALTER_CONFIGS: i32 = 1 << 11;
const NOT_ASKED: i32 = i32::MIN;

/// A scenario for a principal that may do only this.
fn with<F: Future<Output = ()>>(
    allowed: &'static [(Operation, Resource<'static>)],
    scenario: impl FnOnce(Client) -> F,
) {
    with_authorizer(Arc::new(Only(allowed)), Arc::new(NobodyHome), &[1], &[], |rig| async move {
        let client = rig.connect().await;
        scenario(client).await;
        // It runs until here.
        drop(rig);
    });
}

/// Of the cluster; of the topic, with its error code.
async fn metadata(client: &Client, asked: bool) -> (i32, i32, ErrorCode) {
    let topic = MetadataRequestTopic { name: Some(TOPIC), ..MetadataRequestTopic::default() };
    let request = MetadataRequest {
        topics: Some(vec![topic]),
        include_cluster_authorized_operations: asked,
        include_topic_authorized_operations: asked,
        ..MetadataRequest::default()
    };
    // The last version that tells of the cluster; DescribeCluster came then.
    client.send(10, 1, &request).await;
    let (_, answer) = client.receive().await;
    let response: MetadataResponse<'_> = decode(&answer, 10, true);
    let topic = &response.topics[0];
    let code = ErrorCode::from_code(topic.error_code).unwrap();
    (response.cluster_authorized_operations, topic.topic_authorized_operations, code)
}

async fn describe_cluster(client: &Client) -> i32 {
    let request = DescribeClusterRequest { include_cluster_authorized_operations: true, ..Default::default() };
    client.send(0, 1, &request).await;
    let (_, answer) = client.receive().await;
    let response: DescribeClusterResponse<'_> = decode(&answer, 0, true);
    response.cluster_authorized_operations
}

#[test]
fn what_is_allowed_is_told_if_asked_for() {
    const ALLOWED: &[(Operation, Resource<'_>)] = &[
        (Operation::Describe, Resource::Topic(TOPIC)),
        (Operation::Read, Resource::Topic(TOPIC)),
        (Operation::Write, Resource::Topic("another")),
        (Operation::Describe, Resource::Cluster),
        (Operation::AlterConfigs, Resource::Cluster),
    ];
    with(ALLOWED, |client| async move {
        let (cluster, topic, code) = metadata(&client, true).await;
        assert_eq!((cluster, topic, code), (DESCRIBE | ALTER_CONFIGS, READ | DESCRIBE, ErrorCode::None));
        assert_eq!(metadata(&client, false).await, (NOT_ASKED, NOT_ASKED, ErrorCode::None));
        assert_eq!(describe_cluster(&client).await, DESCRIBE | ALTER_CONFIGS);
    });
}

#[test]
fn who_may_not_describe_is_told_nothing() {
    const ALLOWED: &[(Operation, Resource<'_>)] =
        &[(Operation::Read, Resource::Topic(TOPIC)), (Operation::AlterConfigs, Resource::Cluster)];
    with(ALLOWED, |client| async move {
        let (cluster, topic, code) = metadata(&client, true).await;
        assert_eq!((cluster, topic, code), (0, NOT_ASKED, ErrorCode::TopicAuthorizationFailed));
        assert_eq!(describe_cluster(&client).await, 0);
    });
}
