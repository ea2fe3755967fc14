//! Whoever reaches the controller's listener may send Vote, BeginQuorumEpoch and EndQuorumEpoch of any content, with a null
//! cluster id and addressed to nobody: the controller of a lone node answers, goes on, and starts again afterwards.

mod support;

use ottla_controller::raft::VoterSet;
use ottla_protocol::api::ApiKey;
use ottla_protocol::messages::begin_quorum_epoch_request::{self, BeginQuorumEpochRequest};
use ottla_protocol::messages::begin_quorum_epoch_response::BeginQuorumEpochResponse;
use ottla_protocol::messages::end_quorum_epoch_request::{self, EndQuorumEpochRequest};
use ottla_protocol::messages::end_quorum_epoch_response::EndQuorumEpochResponse;
use ottla_protocol::messages::vote_request::{self, VoteRequest};
use ottla_protocol::messages::vote_response::VoteResponse;
use support::{Node, block_on, decode, encode, format_dir, standalone};

const TOPIC: &str = "__cluster_metadata";
const INVALID_REQUEST: i16 = 42;
const INCONSISTENT_VOTER_SET: i16 = 94;

fn vote(replica_id: i32, replica_epoch: i32) -> Vec<u8> {
    let partition = vote_request::PartitionData { replica_id, replica_epoch, ..Default::default() };
    let topic = vote_request::TopicData { topic_name: TOPIC, partitions: vec![partition], ..Default::default() };
    encode(&VoteRequest { voter_id: -1, topics: vec![topic], ..Default::default() }, 2)
}

fn begin(leader_id: i32, leader_epoch: i32) -> Vec<u8> {
    let partition = begin_quorum_epoch_request::PartitionData { leader_id, leader_epoch, ..Default::default() };
    let topic =
        begin_quorum_epoch_request::TopicData { topic_name: TOPIC, partitions: vec![partition], ..Default::default() };
    encode(&BeginQuorumEpochRequest { voter_id: -1, topics: vec![topic], ..Default::default() }, 1)
}

fn end(leader_id: i32, leader_epoch: i32) -> Vec<u8> {
    let partition = end_quorum_epoch_request::PartitionData { leader_id, leader_epoch, ..Default::default() };
    let topic =
        end_quorum_epoch_request::TopicData { topic_name: TOPIC, partitions: vec![partition], ..Default::default() };
    encode(&EndQuorumEpochRequest { topics: vec![topic], ..Default::default() }, 1)
}

#[test]
fn no_request_of_a_stranger_ends_the_controller_or_its_epochs() {
    let root = tempfile::tempdir().expect("a directory");
    let dir = format_dir(root.path(), standalone());
    block_on(async {
        let node = Node::start(&dir, VoterSet::default()).expect("starts");
        let broker_epoch = node.register_broker(-1).await;
        for epoch in [1, 2, i32::MAX] {
            for (id, expected) in [(9, INCONSISTENT_VOTER_SET), (-1, INVALID_REQUEST), (1, INVALID_REQUEST)] {
                let answer = node.ask(ApiKey::Vote, 2, vote(id, epoch)).await;
                let partition = &decode::<VoteResponse<'_>>(&answer, 2).topics[0].partitions[0];
                let told = (partition.error_code, partition.vote_granted, partition.leader_id, partition.leader_epoch);
                assert_eq!(told, (expected, false, 1, 1), "Vote of {id} in {epoch}");
                let answer = node.ask(ApiKey::BeginQuorumEpoch, 1, begin(id, epoch)).await;
                let partition = &decode::<BeginQuorumEpochResponse<'_>>(&answer, 1).topics[0].partitions[0];
                // In our own epoch whoever else claims to lead contradicts what is known.
                let expected = if epoch == 1 { INVALID_REQUEST } else { expected };
                let told = (partition.error_code, partition.leader_id, partition.leader_epoch);
                assert_eq!(told, (expected, 1, 1), "BeginQuorumEpoch of {id} in {epoch}");
                let answer = node.ask(ApiKey::EndQuorumEpoch, 1, end(id, epoch)).await;
                let partition = &decode::<EndQuorumEpochResponse<'_>>(&answer, 1).topics[0].partitions[0];
                let told = (partition.error_code, partition.leader_id, partition.leader_epoch);
                assert_eq!(told, (expected, 1, 1), "EndQuorumEpoch of {id} in {epoch}");
            }
        }
        assert_eq!(node.create_topic("orders", 1, &[]).await, 0);
        node.controller.stop().await.expect("stops");
        drop(node);
        let node = Node::start(&dir, VoterSet::default()).expect("starts again");
        node.register_broker(broker_epoch).await;
        assert_eq!(node.create_topic("returns", 1, &[]).await, 0);
        node.controller.stop().await.expect("stops");
    });
}
