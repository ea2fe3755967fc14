//! DescribeQuorum (55): where the quorum stands, as `kafka-metadata-quorum` shows it.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::describe_quorum_request::DescribeQuorumRequest;
use ottla_protocol::messages::describe_quorum_response::{
    DescribeQuorumResponse, Listener, Node, PartitionData, ReplicaState, TopicData,
};
use ottla_protocol::writer::EncodeError;

use crate::decision::encode;
use crate::quorum_wire::METADATA_TOPIC;
use crate::raft::{RaftCore, ReplicaKey, ReplicaProgress};

/// The time, on the clock that the core is told and on the one that the answer speaks of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clocks {
    pub(crate) monotonic_ms: i64,
    pub(crate) wall_ms: i64,
}

impl Clocks {
    fn wall(self, monotonic_ms: i64) -> i64 {
        if monotonic_ms < 0 { -1 } else { self.wall_ms - (self.monotonic_ms - monotonic_ms) }
    }
}

/// Answers from the core; only the leader knows.
pub(crate) fn describe(
    core: &RaftCore,
    request: &DescribeQuorumRequest<'_>,
    version: i16,
    now: Clocks,
) -> Result<Vec<u8>, EncodeError> {
    let asked = match request.topics.as_slice() {
        [topic] if topic.topic_name == METADATA_TOPIC => topic.partitions.iter().map(|p| p.partition_index).collect(),
        _ => Vec::new(),
    };
    if asked != [0] {
        let response =
            DescribeQuorumResponse { error_code: ErrorCode::UnknownTopicOrPartition as i16, ..Default::default() };
        return encode(&response, version);
    }
    let partition = if core.is_leader() {
        led(core, version, now)
    } else {
        PartitionData {
            error_code: ErrorCode::NotLeaderOrFollower as i16,
            leader_id: core.leader_id().unwrap_or(-1),
            leader_epoch: core.election().epoch,
            ..Default::default()
        }
    };
    let topic = TopicData { topic_name: METADATA_TOPIC, partitions: vec![partition], ..Default::default() };
    let mut response = DescribeQuorumResponse { topics: vec![topic], ..Default::default() };
    if version >= 2 && core.is_leader() {
        response.nodes = nodes(core);
    }
    encode(&response, version)
}

fn led(core: &RaftCore, version: i16, now: Clocks) -> PartitionData<'static> {
    let local = ReplicaState {
        replica_id: core.local().id,
        log_end_offset: core.log().end_offset(),
        last_fetch_timestamp: now.wall_ms,
        last_caught_up_timestamp: now.wall_ms,
        ..Default::default()
    };
    let with_directory = |mut state: ReplicaState<'static>, key: ReplicaKey| {
        if version >= 2 {
            state.replica_directory_id = key.directory();
        }
        state
    };
    let local_key = core.voters().latest().key_of(core.local().id);
    let mut voters = vec![with_directory(local, local_key)];
    voters.extend(core.voter_progress().map(|p| with_directory(state(p, now), p.key)));
    voters.sort_by_key(|v| v.replica_id);
    PartitionData {
        leader_id: core.local().id,
        leader_epoch: core.election().epoch,
        high_watermark: core.high_watermark().unwrap_or(-1),
        current_voters: voters,
        observers: core.observer_progress(now.monotonic_ms).map(|p| with_directory(state(p, now), p.key)).collect(),
        ..Default::default()
    }
}

fn state(progress: &ReplicaProgress, now: Clocks) -> ReplicaState<'static> {
    ReplicaState {
        replica_id: progress.key.id,
        log_end_offset: progress.end_offset.unwrap_or(-1),
        last_fetch_timestamp: now.wall(progress.last_fetch_ms),
        last_caught_up_timestamp: now.wall(progress.last_caught_up_ms),
        ..Default::default()
    }
}

fn nodes(core: &RaftCore) -> Vec<Node<'_>> {
    let voters = core.voters().latest().iter();
    voters
        .map(|voter| Node {
            node_id: voter.key.id,
            listeners: voter
                .endpoints
                .iter()
                .map(|e| Listener { name: &e.listener, host: &e.host, port: e.port, ..Default::default() })
                .collect(),
            ..Default::default()
        })
        .collect()
}
