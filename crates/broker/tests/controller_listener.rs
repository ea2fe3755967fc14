//! A listener of the controller: what comes in on it is asked of the authorizer first and of the controller then.

mod support;

use std::sync::Arc;

use ottla_broker::dispatch::{APIS, row_of};
use ottla_broker::security::Principal;
use ottla_broker::security::authorizer::{Authorizer, Operation, Resource};
use ottla_metadata::controller_door::{ControllerDoor, DoorAnswer, DoorContext};
use ottla_protocol::ErrorCode;
use ottla_protocol::api::ApiKey;
use ottla_protocol::message::Message;
use ottla_protocol::messages::begin_quorum_epoch_request::BeginQuorumEpochRequest;
use ottla_protocol::messages::describe_cluster_request::DescribeClusterRequest;
use ottla_protocol::messages::describe_cluster_response::DescribeClusterResponse;
use ottla_protocol::messages::end_quorum_epoch_request::EndQuorumEpochRequest;
use ottla_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use ottla_protocol::messages::fetch_response::FetchResponse;
use ottla_protocol::messages::fetch_snapshot_request::FetchSnapshotRequest;
use ottla_protocol::messages::vote_request::VoteRequest;
use ottla_protocol::writer::Writer;
use parking_lot::Mutex;
use support::{Client, decode, with_authorizer, with_controller};

const CLUSTER_AUTHORIZATION_FAILED: i16 = 31;

/// A controller that names controller 7 as the active one to whoever asks for the cluster, in what versions allow it.
#[derive(Default)]
struct SevenLeads {
    asked: Mutex<Vec<(i16, String)>>,
}

impl ControllerDoor for SevenLeads {
    fn request<'a>(&'a self, context: DoorContext, api_key: i16, version: i16, _: Vec<u8>) -> DoorAnswer<'a> {
        if api_key == ApiKey::DescribeCluster.code() {
            self.asked.lock().push((version, context.listener));
        }
        let response = match version {
            0 => DescribeClusterResponse {
                error_code: ErrorCode::MismatchedEndpointType.code(),
                ..DescribeClusterResponse::default()
            },
            _ => DescribeClusterResponse { endpoint_type: 2, controller_id: 7, ..DescribeClusterResponse::default() },
        };
        let mut w = Writer::new();
        response.encode(&mut w, version).expect("encodes");
        Box::pin(async move { Ok(w.into_bytes()) })
    }
}

/// Allows nothing, and notes what it is asked, in the words of the table.
#[derive(Debug, Default)]
struct DenyAll {
    asked: Mutex<Vec<String>>,
}

impl Authorizer for DenyAll {
    fn allows(&self, _: &Principal, operation: Operation, resource: Resource<'_>) -> bool {
        self.asked.lock().push(format!("{operation:?} on {resource:?}"));
        false
    }
}

async fn ask<'a, M: Message<'a>>(client: &Client, version: i16, request: &M) -> Vec<u8> {
    client.send(version, 1, request).await;
    client.receive().await.1
}

/// The error code at the top of an answer without a throttle time, in a flexible version or not.
fn top_level(answer: &[u8], at: usize) -> i16 {
    i16::from_be_bytes([answer[at], answer[at + 1]])
}

#[test]
fn the_controller_says_who_leads_and_version_0_is_answered() {
    let controller = Arc::new(SevenLeads::default());
    with_controller(Arc::clone(&controller) as _, &[1], &[], |rig| async move {
        let client = rig.connect_to_controller().await;
        let answer = ask(&client, 0, &DescribeClusterRequest { endpoint_type: 1, ..Default::default() }).await;
        let response: DescribeClusterResponse<'_> = decode(&answer, 0, true);
        assert_eq!(response.error_code, ErrorCode::MismatchedEndpointType.code());
        let request = DescribeClusterRequest {
            endpoint_type: 2,
            include_cluster_authorized_operations: true,
            ..DescribeClusterRequest::default()
        };
        let answer = ask(&client, 2, &request).await;
        let response: DescribeClusterResponse<'_> = decode(&answer, 2, true);
        assert_eq!((response.error_code, response.endpoint_type, response.controller_id), (0, 2, 7));
        assert_ne!(response.cluster_authorized_operations, i32::MIN, "added here");
        let asked = controller.asked.lock().clone();
        assert_eq!(asked, [(0, "CONTROLLER".to_owned()), (2, "CONTROLLER".to_owned())]);
    });
}

#[test]
fn nothing_of_the_quorum_passes_without_cluster_action() {
    let authorizer = Arc::new(DenyAll::default());
    with_authorizer(Arc::clone(&authorizer) as _, Arc::new(SevenLeads::default()), &[1], &[], |rig| async move {
        let client = rig.connect_to_controller().await;
        let asked = || std::mem::take(&mut *authorizer.asked.lock());
        let mut forwarded = vec![];
        // Flexible versions: the tagged fields of the header come first, and FetchSnapshot throttles.
        for (api, answer, at) in [
            (ApiKey::Vote, ask(&client, 2, &VoteRequest::default()).await, 1),
            (ApiKey::BeginQuorumEpoch, ask(&client, 1, &BeginQuorumEpochRequest::default()).await, 1),
            (ApiKey::EndQuorumEpoch, ask(&client, 1, &EndQuorumEpochRequest::default()).await, 1),
            (ApiKey::FetchSnapshot, ask(&client, 1, &FetchSnapshotRequest::default()).await, 5),
        ] {
            assert_eq!(top_level(&answer, at), CLUSTER_AUTHORIZATION_FAILED, "{}", api.name());
            forwarded.push((api, row_of(api).expect("in the table").operation.to_owned()));
        }
        let operations: Vec<_> = forwarded.iter().map(|(_, operation)| operation.clone()).collect();
        assert_eq!(asked(), operations, "each line asks for what it says");
        let lines: Vec<_> = APIS.iter().filter(|row| row.class == "forward").map(|row| row.key).collect();
        assert_eq!(lines, forwarded.iter().map(|(api, _)| *api).collect::<Vec<_>>(), "no line is left out");
        for version in [4, 17] {
            let partitions = vec![FetchPartition::default()];
            let topic = FetchTopic { topic: "__cluster_metadata", partitions, ..FetchTopic::default() };
            let topic = if version < 13 { topic } else { FetchTopic { topic: "", ..topic } };
            let request = FetchRequest { topics: vec![topic], ..FetchRequest::default() };
            let answer = ask(&client, version, &request).await;
            let response: FetchResponse<'_> = decode(&answer, version, version >= 12);
            let code = response.responses.first().map_or(response.error_code, |t| t.partitions[0].error_code);
            assert_eq!(code, CLUSTER_AUTHORIZATION_FAILED, "version {version}");
            assert_eq!(asked(), ["ClusterAction on Cluster"]);
        }
    });
}
