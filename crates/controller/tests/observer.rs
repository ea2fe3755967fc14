//! An observer driven by the test's hand reads the metadata log through the door, as a broker without a controller of its
//! own does: Fetch, FetchSnapshot, and what kafka-metadata-quorum asks.

mod support;

use std::time::Duration;

use ottla_controller::raft::VoterSet;
use ottla_env::time;
use ottla_protocol::Uuid;
use ottla_protocol::api::ApiKey;
use ottla_protocol::messages::describe_cluster_request::DescribeClusterRequest;
use ottla_protocol::messages::describe_cluster_response::DescribeClusterResponse;
use ottla_protocol::messages::describe_quorum_request::{self, DescribeQuorumRequest};
use ottla_protocol::messages::describe_quorum_response::DescribeQuorumResponse;
use ottla_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic, ReplicaState};
use ottla_protocol::messages::fetch_response::FetchResponse;
use ottla_protocol::messages::fetch_snapshot_request::{self, FetchSnapshotRequest};
use ottla_protocol::messages::fetch_snapshot_response::FetchSnapshotResponse;
use ottla_protocol::record_batch;
use support::{Node, block_on, decode, encode, format_dir, standalone};

const VERSION: i16 = 17;

/// A fetch of observer 9 in epoch 1.
fn fetch(fetch_offset: i64, last_fetched_epoch: i32, max_wait_ms: i32) -> Vec<u8> {
    let partition = FetchPartition {
        current_leader_epoch: 1,
        fetch_offset,
        last_fetched_epoch,
        partition_max_bytes: 1 << 20,
        replica_directory_id: Uuid([9; 16]),
        ..Default::default()
    };
    let topic = FetchTopic { topic_id: Uuid::METADATA_TOPIC, partitions: vec![partition], ..Default::default() };
    let request = FetchRequest {
        replica_state: ReplicaState { replica_id: 9, ..Default::default() },
        max_wait_ms,
        topics: vec![topic],
        ..Default::default()
    };
    encode(&request, VERSION)
}

/// (error, high watermark, next offset, snapshot's end offset or -1)
fn fetched(answer: &[u8]) -> (i16, i64, Option<i64>, i64) {
    let response: FetchResponse<'_> = decode(answer, VERSION);
    let partition = &response.responses[0].partitions[0];
    let last = record_batch::batches(partition.records.bytes()).last().map(|b| b.expect("whole").0.next_offset());
    (partition.error_code, partition.high_watermark, last, partition.snapshot_id.end_offset)
}

#[test]
fn an_observer_follows_the_log_and_is_woken_by_what_is_new() {
    let root = tempfile::tempdir().expect("a directory");
    let dir = format_dir(root.path(), standalone());
    block_on(async {
        let node = Node::start(&dir, VoterSet::default()).expect("starts");
        node.register_broker(-1).await;
        let (error, high_watermark, next, _) = fetched(&node.ask(ApiKey::Fetch, VERSION, fetch(0, 0, 0)).await);
        assert_eq!((error, next), (0, Some(high_watermark)), "a lone voter's log is committed to its end");
        let waiting = node.ask(ApiKey::Fetch, VERSION, fetch(high_watermark, 1, 30_000));
        let creating = async {
            time::sleep(Duration::from_millis(50)).await;
            node.create_topic("orders", 1, &[]).await
        };
        let (answer, created) = tokio::join!(waiting, creating);
        let (error, _, next, _) = fetched(&answer);
        assert_eq!((error, created), (0, 0));
        assert_eq!(next, Some(high_watermark + 2), "TopicRecord and PartitionRecord");
        node.controller.stop().await.expect("stops");
    });
}

#[test]
fn an_observer_with_another_history_is_told_where_it_parts() {
    let root = tempfile::tempdir().expect("a directory");
    let dir = format_dir(root.path(), standalone());
    block_on(async {
        let node = Node::start(&dir, VoterSet::default()).expect("starts");
        node.register_broker(-1).await;
        let answer = node.ask(ApiKey::Fetch, VERSION, fetch(1_000_000, 1, 0)).await;
        let response: FetchResponse<'_> = decode(&answer, VERSION);
        let partition = &response.responses[0].partitions[0];
        assert_eq!((partition.error_code, partition.diverging_epoch.epoch), (0, 1));
        assert_eq!(partition.diverging_epoch.end_offset, partition.high_watermark);
        assert_eq!((partition.current_leader.leader_id, response.node_endpoints[0].port), (1, 9093));
        node.controller.stop().await.expect("stops");
    });
}

#[test]
fn an_observer_that_is_too_late_is_given_the_snapshot() {
    let root = tempfile::tempdir().expect("a directory");
    let dir = format_dir(root.path(), standalone());
    block_on(async {
        let node = Node::start_with(&dir, VoterSet::default(), |o| o.snapshot_after_bytes = 1).expect("starts");
        node.register_broker(-1).await;
        assert_eq!(node.create_topic("orders", 1, &[]).await, 0);
        let (error, _, _, end_offset) = fetched(&node.ask(ApiKey::Fetch, VERSION, fetch(0, 0, 0)).await);
        assert_eq!(error, 0);
        assert!(end_offset > 0);
        let mut bytes: Vec<u8> = Vec::new();
        loop {
            let piece = snapshot_piece(end_offset, bytes.len() as i64);
            let answer = node.ask(ApiKey::FetchSnapshot, 1, piece).await;
            let response: FetchSnapshotResponse<'_> = decode(&answer, 1);
            let partition = &response.topics[0].partitions[0];
            assert_eq!((partition.error_code, partition.position), (0, bytes.len() as i64));
            bytes.extend_from_slice(partition.unaligned_records.bytes());
            if bytes.len() as i64 == partition.size {
                break;
            }
        }
        let name = format!("data/__cluster_metadata-0/{end_offset:020}-0000000001.checkpoint");
        assert_eq!(bytes, ottla_env::fs::read(root.path().join(name)).expect("read"));
        let answer = node.ask(ApiKey::FetchSnapshot, 1, snapshot_piece(end_offset, bytes.len() as i64)).await;
        let response: FetchSnapshotResponse<'_> = decode(&answer, 1);
        assert_eq!(response.topics[0].partitions[0].error_code, 99, "POSITION_OUT_OF_RANGE");
        let answer = node.ask(ApiKey::FetchSnapshot, 1, snapshot_piece(end_offset + 77, 0)).await;
        let response: FetchSnapshotResponse<'_> = decode(&answer, 1);
        assert_eq!(response.topics[0].partitions[0].error_code, 98, "SNAPSHOT_NOT_FOUND");
        node.controller.stop().await.expect("stops");
    });
}

fn snapshot_piece(end_offset: i64, position: i64) -> Vec<u8> {
    let partition = fetch_snapshot_request::PartitionSnapshot {
        current_leader_epoch: 1,
        snapshot_id: fetch_snapshot_request::SnapshotId { end_offset, epoch: 1, ..Default::default() },
        position,
        ..Default::default()
    };
    let topic = fetch_snapshot_request::TopicSnapshot {
        name: "__cluster_metadata",
        partitions: vec![partition],
        ..Default::default()
    };
    let request = FetchSnapshotRequest { replica_id: 9, max_bytes: 100, topics: vec![topic], ..Default::default() };
    encode(&request, 1)
}

#[test]
fn the_quorum_is_described() {
    let root = tempfile::tempdir().expect("a directory");
    let dir = format_dir(root.path(), standalone());
    block_on(async {
        let node = Node::start(&dir, VoterSet::default()).expect("starts");
        node.register_broker(-1).await;
        node.ask(ApiKey::Fetch, VERSION, fetch(0, 0, 0)).await;
        let topic = describe_quorum_request::TopicData {
            topic_name: "__cluster_metadata",
            partitions: vec![Default::default()],
            ..Default::default()
        };
        let request = DescribeQuorumRequest { topics: vec![topic], ..Default::default() };
        let answer = node.ask(ApiKey::DescribeQuorum, 2, encode(&request, 2)).await;
        let response: DescribeQuorumResponse<'_> = decode(&answer, 2);
        let partition = &response.topics[0].partitions[0];
        assert_eq!((partition.error_code, partition.leader_id, partition.leader_epoch), (0, 1, 1));
        let [voter] = partition.current_voters.as_slice() else { panic!("{:?}", partition.current_voters) };
        assert_eq!((voter.replica_id, voter.replica_directory_id), (1, node.log_dirs[0]));
        assert_eq!(voter.log_end_offset, partition.high_watermark);
        let [observer] = partition.observers.as_slice() else { panic!("{:?}", partition.observers) };
        assert_eq!((observer.replica_id, observer.log_end_offset), (9, 0));
        let age_ms = time::wall_clock_ms() - observer.last_fetch_timestamp;
        assert!((0..60_000).contains(&age_ms), "{age_ms}");
        assert_eq!(response.nodes[0].listeners[0].port, 9093);
        node.controller.stop().await.expect("stops");
    });
}

#[test]
fn the_controllers_are_described_on_their_listener() {
    let root = tempfile::tempdir().expect("a directory");
    let dir = format_dir(root.path(), standalone());
    block_on(async {
        let node = Node::start(&dir, VoterSet::default()).expect("starts");
        node.register_broker(-1).await;
        let ask = |endpoint_type| encode(&DescribeClusterRequest { endpoint_type, ..Default::default() }, 1);
        let answer = node.ask(ApiKey::DescribeCluster, 1, ask(2)).await;
        let response: DescribeClusterResponse<'_> = decode(&answer, 1);
        assert_eq!((response.error_code, response.cluster_id, response.controller_id), (0, support::CLUSTER_ID, 1));
        let [controller] = response.brokers.as_slice() else { panic!("{:?}", response.brokers) };
        assert_eq!((controller.broker_id, controller.host, controller.port), (1, "localhost", 9093));
        let answer = node.ask(ApiKey::DescribeCluster, 1, ask(1)).await;
        let response: DescribeClusterResponse<'_> = decode(&answer, 1);
        assert_eq!(response.error_code, 114, "MISMATCHED_ENDPOINT_TYPE");
        // Version 0 has no endpoint type, and means brokers.
        let answer = node.ask(ApiKey::DescribeCluster, 0, encode(&DescribeClusterRequest::default(), 0)).await;
        let response: DescribeClusterResponse<'_> = decode(&answer, 0);
        assert_eq!((response.error_code, response.endpoint_type), (114, 1));
        node.controller.stop().await.expect("stops");
    });
}
