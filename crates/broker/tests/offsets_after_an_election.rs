//! ListOffsets while a new leader does not know yet how far its followers are: a consumer that was told of an end by the
//! leader before must not be told of an earlier one (KIP-207). Replicas, and whoever compares them, are not held up.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;

use ottla_broker::security::Principal;
use ottla_broker::security::authorizer::{Authorizer, Operation, Resource};
use ottla_metadata::CommittedBatch;
use ottla_metadata::records::PartitionChangeRecord;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use ottla_protocol::messages::list_offsets_response::ListOffsetsResponse;
use support::{
    Client, NobodyHome, Rig, TOPIC, TOPIC_ID, batch, decode, fetch, fetched, produce, with_authorizer, with_broker,
};

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const CONSUMER: i32 = -1;
const DEBUGGER: i32 = -2;
/// The other broker of the cluster.
const FOLLOWER: i32 = 2;

/// Error code and offset.
async fn offset(client: &Client, version: i16, replica_id: i32, timestamp: i64) -> (ErrorCode, i64) {
    let partition = ListOffsetsPartition { timestamp, ..ListOffsetsPartition::default() };
    let topic = ListOffsetsTopic { name: TOPIC, partitions: vec![partition], ..ListOffsetsTopic::default() };
    let request = ListOffsetsRequest { replica_id, topics: vec![topic], ..ListOffsetsRequest::default() };
    client.send(version, 1, &request).await;
    let (_, answer) = client.receive().await;
    let response: ListOffsetsResponse<'_> = decode(&answer, version, version >= 6);
    let partition = &response.topics[0].partitions[0];
    (ErrorCode::from_code(partition.error_code).unwrap(), partition.offset)
}

/// Elects `leader`, with which a new epoch begins.
fn elect(rig: &Rig, last_offset: i64, leader: i32) {
    let elected =
        PartitionChangeRecord { partition_id: 0, topic_id: TOPIC_ID, leader, ..PartitionChangeRecord::default() };
    rig.loader.load_batches([CommittedBatch { last_offset, epoch: 1, records: vec![elected.into()] }]).unwrap();
}

#[test]
fn the_end_is_not_told_before_the_high_watermark_has_reached_the_start_of_the_leadership() {
    with_broker(&[1, 2], &[], |rig| async move {
        let client = rig.connect().await;
        client.send(9, 1, &produce(1, 1000, &batch("one"))).await;
        client.receive().await;
        assert_eq!(offset(&client, 7, CONSUMER, LATEST).await, (ErrorCode::None, 0), "nothing is committed yet");

        elect(&rig, 11, 1);
        let unknown = (ErrorCode::OffsetNotAvailable, -1);
        for timestamp in [LATEST, MAX_TIMESTAMP, 0, i64::MAX] {
            assert_eq!(offset(&client, 7, CONSUMER, timestamp).await, unknown, "{timestamp}");
        }
        assert_eq!(offset(&client, 5, CONSUMER, LATEST).await, unknown);
        assert_eq!(offset(&client, 4, CONSUMER, LATEST).await, (ErrorCode::LeaderNotAvailable, -1), "an older client");
        assert_eq!(offset(&client, 7, CONSUMER, EARLIEST).await, (ErrorCode::None, 0), "the start is known");
        for replica in [FOLLOWER, DEBUGGER] {
            assert_eq!(offset(&client, 7, replica, LATEST).await, (ErrorCode::None, 1), "{replica}: the log end");
            assert_eq!(offset(&client, 7, replica, 0).await, (ErrorCode::None, 0), "{replica}");
        }

        assert_eq!(fetched(&client, &fetch(2, 102, 1)).await, (0, 0, 1, 0), "the follower has the record");
        assert_eq!(offset(&client, 7, CONSUMER, LATEST).await, (ErrorCode::None, 1));
        assert_eq!(offset(&client, 7, CONSUMER, 0).await, (ErrorCode::None, 0));
        assert_eq!(offset(&client, 7, CONSUMER, i64::MAX).await, (ErrorCode::None, -1), "there is no such record");
    });
}

#[test]
fn only_who_compares_replicas_is_answered_by_a_follower() {
    with_broker(&[1, 2], &[], |rig| async move {
        let client = rig.connect().await;
        client.send(9, 1, &produce(1, 1000, &batch("one"))).await;
        client.receive().await;
        elect(&rig, 11, 2);
        for (id, outcome) in [
            (CONSUMER, (ErrorCode::NotLeaderOrFollower, -1)),
            (FOLLOWER, (ErrorCode::NotLeaderOrFollower, -1)),
            (DEBUGGER, (ErrorCode::None, 1)),
        ] {
            assert_eq!(offset(&client, 7, id, LATEST).await, outcome, "{id}");
        }
        let (_, code, high_watermark, bytes) = fetched(&client, &fetch(DEBUGGER, -1, 0)).await;
        assert_eq!((code, high_watermark, bytes), (0, 0, batch("one").len()), "a fetch likewise");
    });
}

/// Everything but what only brokers do.
#[derive(Debug)]
struct AnOrdinaryClient;

impl Authorizer for AnOrdinaryClient {
    fn allows(&self, _: &Principal, operation: Operation, _: Resource<'_>) -> bool {
        operation != Operation::ClusterAction
    }
}

#[test]
fn a_replica_id_is_a_claim() {
    let refused = (ErrorCode::ClusterAuthorizationFailed, -1);
    with_broker(&[1, 2], &[], |rig| async move {
        let client = rig.connect().await;
        for (id, who) in [(1, "the leader itself"), (3, "nobody")] {
            assert_eq!(offset(&client, 7, id, LATEST).await, refused, "{who}");
        }
    });
    with_authorizer(Arc::new(AnOrdinaryClient), Arc::new(NobodyHome), &[1, 2], &[], |rig| async move {
        let client = rig.connect().await;
        assert_eq!(offset(&client, 7, FOLLOWER, LATEST).await, refused);
        assert_eq!(offset(&client, 7, CONSUMER, LATEST).await, (ErrorCode::None, 0));
    });
}
