//! Groups over real sockets and logs: what waits, what is committed, who coordinates.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use ottla_env::time;
use ottla_metadata::CommittedBatch;
use ottla_metadata::records::{PartitionChangeRecord, PartitionRecord, RemoveTopicRecord, TopicRecord};
use ottla_protocol::messages::find_coordinator_request::FindCoordinatorRequest;
use ottla_protocol::messages::find_coordinator_response::FindCoordinatorResponse;
use ottla_protocol::messages::heartbeat_request::HeartbeatRequest;
use ottla_protocol::messages::heartbeat_response::HeartbeatResponse;
use ottla_protocol::messages::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use ottla_protocol::messages::join_group_response::JoinGroupResponse;
use ottla_protocol::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_protocol::messages::offset_commit_response::OffsetCommitResponse;
use ottla_protocol::messages::offset_fetch_request::{OffsetFetchRequest, OffsetFetchRequestTopic};
use ottla_protocol::messages::offset_fetch_response::OffsetFetchResponse;
use ottla_protocol::messages::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};
use ottla_protocol::messages::sync_group_response::SyncGroupResponse;
use ottla_protocol::{ErrorCode, Uuid};
use support::{Client, Rig, TOPIC, TOPIC_ID, decode, with_broker};

const OFFSETS: &str = "__consumer_offsets";
const OFFSETS_ID: Uuid = Uuid([8; 16]);
const PATIENCE: Duration = Duration::from_secs(10);

/// The topic of groups, of one partition, appears in the metadata.
fn create_offsets_topic(rig: &Rig, replicas: &[i32]) {
    let partition = PartitionRecord {
        partition_id: 0,
        topic_id: OFFSETS_ID,
        replicas: replicas.to_vec(),
        isr: replicas.to_vec(),
        leader: 1,
        leader_epoch: 3,
        partition_epoch: 1,
        directories: vec![Uuid([9; 16]); replicas.len()],
        ..PartitionRecord::default()
    };
    load(rig, 20, vec![TopicRecord { name: OFFSETS.into(), topic_id: OFFSETS_ID }.into(), partition.into()]);
}

fn load(rig: &Rig, last_offset: i64, records: Vec<ottla_metadata::MetadataRecord>) {
    rig.loader.load_batches([CommittedBatch { last_offset, epoch: 1, records }]).unwrap();
}

fn new_leader(rig: &Rig, last_offset: i64, leader: i32) {
    let change =
        PartitionChangeRecord { partition_id: 0, topic_id: OFFSETS_ID, leader, ..PartitionChangeRecord::default() };
    load(rig, last_offset, vec![change.into()]);
}

fn join(member_id: &str) -> JoinGroupRequest<'_> {
    JoinGroupRequest {
        group_id: "g",
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 60_000,
        member_id,
        protocol_type: "consumer",
        protocols: vec![JoinGroupRequestProtocol { name: "range", metadata: b"m", ..Default::default() }],
        ..Default::default()
    }
}

/// Joins by version 9, once the groups are loaded.
async fn joined(client: &Client, member_id: &str) -> (ErrorCode, String, i32) {
    loop {
        client.send(9, 1, &join(member_id)).await;
        let (_, answer) = time::timeout(PATIENCE, client.receive()).await.expect("JoinGroup is answered");
        let response: JoinGroupResponse<'_> = decode(&answer, 9, true);
        let code = ErrorCode::from_code(response.error_code).unwrap();
        if code != ErrorCode::CoordinatorLoadInProgress {
            return (code, response.member_id.to_owned(), response.generation_id);
        }
        time::sleep(Duration::from_millis(5)).await;
    }
}

/// A stable group of this one member: its id.
async fn stable(client: &Client) -> String {
    let (code, member_id, _) = joined(client, "").await;
    assert_eq!(code, ErrorCode::MemberIdRequired);
    assert_eq!(joined(client, &member_id).await, (ErrorCode::None, member_id.clone(), 1));
    let assignment =
        SyncGroupRequestAssignment { member_id: &member_id, assignment: b"everything", ..Default::default() };
    let sync = SyncGroupRequest {
        group_id: "g",
        generation_id: 1,
        member_id: &member_id,
        protocol_type: Some("consumer"),
        protocol_name: Some("range"),
        assignments: vec![assignment],
        ..Default::default()
    };
    client.send(5, 2, &sync).await;
    let (_, answer) = client.receive().await;
    let response: SyncGroupResponse<'_> = decode(&answer, 5, true);
    assert_eq!((response.error_code, response.assignment), (0, b"everything".as_slice()));
    member_id
}

fn commit(topic: &'static str, offset: i64) -> OffsetCommitRequest<'static> {
    let partition = OffsetCommitRequestPartition {
        partition_index: 0,
        committed_offset: offset,
        committed_metadata: Some("note"),
        ..Default::default()
    };
    let topic = OffsetCommitRequestTopic { name: topic, partitions: vec![partition], ..Default::default() };
    OffsetCommitRequest {
        group_id: "simple",
        generation_id_or_member_epoch: -1,
        topics: vec![topic],
        ..Default::default()
    }
}

async fn committed(client: &Client, topic: &'static str, offset: i64) -> ErrorCode {
    loop {
        client.send(7, 1, &commit(topic, offset)).await;
        let (_, answer) = time::timeout(PATIENCE, client.receive()).await.expect("OffsetCommit is answered");
        let response: OffsetCommitResponse<'_> = decode(&answer, 7, false);
        let code = ErrorCode::from_code(response.topics[0].partitions[0].error_code).unwrap();
        if code != ErrorCode::CoordinatorLoadInProgress {
            return code;
        }
        time::sleep(Duration::from_millis(5)).await;
    }
}

async fn fetched(client: &Client) -> (ErrorCode, i64, String) {
    let topic = OffsetFetchRequestTopic { name: TOPIC, partition_indexes: vec![0], ..Default::default() };
    loop {
        let request =
            OffsetFetchRequest { group_id: "simple", topics: Some(vec![topic.clone()]), ..Default::default() };
        client.send(5, 1, &request).await;
        let (_, answer) = client.receive().await;
        let response: OffsetFetchResponse<'_> = decode(&answer, 5, false);
        let code = ErrorCode::from_code(response.error_code).unwrap();
        match response.topics.first() {
            Some(topic) => {
                let partition = &topic.partitions[0];
                return (code, partition.committed_offset, partition.metadata.unwrap_or_default().to_owned());
            }
            None if code != ErrorCode::CoordinatorLoadInProgress => return (code, -1, String::new()),
            None => time::sleep(Duration::from_millis(5)).await,
        }
    }
}

#[test]
fn a_join_that_waits_lets_the_requests_behind_it_be_handled() {
    with_broker(&[1], &["group.initial.rebalance.delay.ms=0"], |rig| async move {
        create_offsets_topic(&rig, &[1]);
        let (member, other) = (rig.connect().await, rig.connect().await);
        let member_id = stable(&member).await;
        // The other joins; its answer waits for the member, which learns of it by its heartbeat. Behind the join the
        // connection asks on, and is handled, though answers keep their order.
        let (code, other_id, _) = joined(&other, "").await;
        assert_eq!(code, ErrorCode::MemberIdRequired);
        other.send(9, 7, &join(&other_id)).await;
        other.send(7, 8, &commit(TOPIC, 3)).await;
        let deadline = time::Instant::now() + PATIENCE;
        while fetched(&member).await.1 != 3 {
            assert!(time::Instant::now() < deadline, "the commit behind the join is handled");
        }
        let beat = HeartbeatRequest { group_id: "g", generation_id: 1, member_id: &member_id, ..Default::default() };
        member.send(3, 1, &beat).await;
        let (_, answer) = member.receive().await;
        let response: HeartbeatResponse = decode(&answer, 3, false);
        assert_eq!(response.error_code, ErrorCode::RebalanceInProgress.code());
        assert_eq!(joined(&member, &member_id).await.2, 2);
        assert_eq!(other.receive().await.0, 7);
        assert_eq!(other.receive().await.0, 8);
    });
}

#[test]
fn offsets_survive_a_change_of_coordinator_and_are_read_from_the_log() {
    with_broker(&[1], &["group.initial.rebalance.delay.ms=0"], |rig| async move {
        create_offsets_topic(&rig, &[1]);
        let client = rig.connect().await;
        let member_id = stable(&client).await;
        assert_eq!(committed(&client, TOPIC, 41).await, ErrorCode::None);
        assert_eq!(committed(&client, TOPIC, 42).await, ErrorCode::None);
        assert_eq!(committed(&client, "nowhere", 1).await, ErrorCode::UnknownTopicOrPartition);
        // A member waits while the leadership goes: it hears where not to wait.
        let waiting = rig.connect().await;
        let (_, other_id, _) = joined(&waiting, "").await;
        waiting.send(9, 7, &join(&other_id)).await;
        time::sleep(Duration::from_millis(50)).await;
        new_leader(&rig, 30, 2);
        let (_, answer) = time::timeout(PATIENCE, waiting.receive()).await.expect("who waits is answered");
        let response: JoinGroupResponse<'_> = decode(&answer, 9, true);
        assert_eq!(response.error_code, ErrorCode::NotCoordinator.code());
        assert_eq!(fetched(&client).await.0, ErrorCode::NotCoordinator);
        new_leader(&rig, 40, 1);
        assert_eq!(fetched(&client).await, (ErrorCode::None, 42, "note".into()));
        // The member goes on with the generation that the log holds.
        assert_eq!(
            joined(&client, &member_id).await,
            (ErrorCode::None, member_id.clone(), 2),
            "it led, so it rebalances"
        );
    });
}

#[test]
fn a_commit_is_answered_once_the_follower_has_it() {
    with_broker(&[1], &[], |rig| async move {
        create_offsets_topic(&rig, &[1, 2]);
        let partition = rig.broker.replicas.find(OFFSETS, 0).unwrap();
        let follow = |offset: i64| {
            let read = ottla_broker::replica::read::Read {
                offset,
                current_leader_epoch: -1,
                last_fetched_epoch: -1,
                max_bytes: 1 << 20,
                at_least_one_batch: true,
                reader: ottla_broker::replica::read::Reader::Follower { id: 2 },
                may_wait: true,
            };
            partition.read(&read, time::monotonic_ms()).unwrap();
        };
        follow(0);
        let client = rig.connect().await;
        // Asks until the groups are loaded; the first commit that is taken waits.
        let answer = async { committed(&client, TOPIC, 5).await };
        let mut answer = std::pin::pin!(answer);
        assert!(time::timeout(Duration::from_millis(300), &mut answer).await.is_err(), "not committed yet");
        assert_eq!(partition.log().log_end_offset(), 1);
        let other = rig.connect().await;
        assert_eq!(fetched(&other).await.1, -1);
        follow(1);
        assert_eq!(time::timeout(PATIENCE, answer).await.expect("committed"), ErrorCode::None);
        assert_eq!(fetched(&other).await.1, 5);
    });
}

#[test]
fn a_commit_that_the_follower_does_not_take_is_given_up() {
    for (timeout_ms, in_time) in [("200", true), ("600000", false)] {
        with_broker(&[1], &[&format!("offsets.commit.timeout.ms={timeout_ms}")], |rig| async move {
            create_offsets_topic(&rig, &[1, 2]);
            let client = rig.connect().await;
            let answer = async { committed(&client, TOPIC, 5).await };
            let mut answer = std::pin::pin!(answer);
            if in_time {
                let code = time::timeout(PATIENCE, answer).await.expect("an answer");
                assert_eq!(code, ErrorCode::CoordinatorNotAvailable);
            } else {
                assert!(time::timeout(Duration::from_secs(1), &mut answer).await.is_err(), "it goes on waiting");
            }
        });
    }
}

#[test]
fn offsets_go_with_their_topic() {
    with_broker(&[1], &[], |rig| async move {
        create_offsets_topic(&rig, &[1]);
        let client = rig.connect().await;
        assert_eq!(committed(&client, TOPIC, 5).await, ErrorCode::None);
        load(&rig, 30, vec![RemoveTopicRecord { topic_id: TOPIC_ID }.into()]);
        let deadline = time::Instant::now() + PATIENCE;
        while fetched(&client).await.1 != -1 {
            assert!(time::Instant::now() < deadline, "the offset is still there");
        }
    });
}

#[test]
fn where_the_coordinator_is() {
    with_broker(&[1], &[], |rig| async move {
        let client = rig.connect().await;
        let request = FindCoordinatorRequest { coordinator_keys: vec!["g"], ..Default::default() };
        client.send(6, 1, &request).await;
        let (_, answer) = client.receive().await;
        let response: FindCoordinatorResponse<'_> = decode(&answer, 6, true);
        // Nobody is home who could create the topic.
        assert_eq!(response.coordinators[0].error_code, ErrorCode::CoordinatorNotAvailable.code());
        create_offsets_topic(&rig, &[1]);
        client.send(6, 1, &request).await;
        let (_, answer) = client.receive().await;
        let response: FindCoordinatorResponse<'_> = decode(&answer, 6, true);
        let found = &response.coordinators[0];
        assert_eq!((found.error_code, found.node_id, found.port), (0, 1, i32::from(rig.address.port())));
        for (key_type, code) in [(1, ErrorCode::TransactionalIdAuthorizationFailed), (2, ErrorCode::InvalidRequest)] {
            client.send(6, 1, &FindCoordinatorRequest { key_type, ..request.clone() }).await;
            let (_, answer) = client.receive().await;
            let response: FindCoordinatorResponse<'_> = decode(&answer, 6, true);
            assert_eq!(response.coordinators[0].error_code, code.code());
        }
    });
}
