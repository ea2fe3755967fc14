//! Between the wire's Vote, BeginQuorumEpoch, EndQuorumEpoch, Fetch and FetchSnapshot and the core's own requests and
//! responses: the one partition is taken out of the topic arrays and put back into them.
//!
//! An inconsistent cluster id and a request for another partition are errors of the whole response; every other error
//! stands at the partition, as in Kafka (`KafkaRaftClient`).

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::ids::Uuid;
use ottla_protocol::message::{Message, Records};
use ottla_protocol::messages::{
    begin_quorum_epoch_request, begin_quorum_epoch_response, end_quorum_epoch_request, end_quorum_epoch_response,
    fetch_request, fetch_response, fetch_snapshot_request, fetch_snapshot_response, vote_request, vote_response,
};
use ottla_protocol::reader::{DecodeError, Reader};
use ottla_protocol::writer::{EncodeError, Writer};

use crate::raft::{
    BeginQuorumEpochRequest, EndQuorumEpochRequest, Endpoint, FetchContent, FetchRequest, FetchSnapshotRequest,
    FetchSnapshotResponse, ReplicaKey, Request, Response, SnapshotId, Standing, VoteRequest,
};

/// The metadata topic.
pub const METADATA_TOPIC: &str = "__cluster_metadata";

/// The first version of Fetch that names topics by id only.
const FETCH_TOPIC_IDS: i16 = 13;

/// A request for the quorum, taken off the wire: the core's form, or an answer that needs no core.
pub(crate) enum Decoded {
    /// For the core.
    Request(Request),
    /// Not about the metadata partition: INVALID_REQUEST.
    OtherPartition,
}

/// The api keys of the quorum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QuorumApi {
    Fetch,
    Vote,
    BeginQuorumEpoch,
    EndQuorumEpoch,
    FetchSnapshot,
}

impl QuorumApi {
    pub(crate) fn of(api_key: i16) -> Option<Self> {
        match api_key {
            1 => Some(Self::Fetch),
            52 => Some(Self::Vote),
            53 => Some(Self::BeginQuorumEpoch),
            54 => Some(Self::EndQuorumEpoch),
            59 => Some(Self::FetchSnapshot),
            _ => None,
        }
    }

    /// Reads a request body.
    pub(crate) fn decode(self, version: i16, body: &[u8]) -> Result<Decoded, DecodeError> {
        let r = &mut Reader::new(body);
        let request = match self {
            Self::Fetch => fetch(&fetch_request::FetchRequest::decode(r, version)?, version),
            Self::Vote => vote(&vote_request::VoteRequest::decode(r, version)?, version),
            Self::BeginQuorumEpoch => {
                begin(&begin_quorum_epoch_request::BeginQuorumEpochRequest::decode(r, version)?, version)
            }
            Self::EndQuorumEpoch => end(&end_quorum_epoch_request::EndQuorumEpochRequest::decode(r, version)?, version),
            Self::FetchSnapshot => fetch_snapshot(&fetch_snapshot_request::FetchSnapshotRequest::decode(r, version)?),
        };
        Ok(request.map_or(Decoded::OtherPartition, Decoded::Request))
    }

    /// The answer to a request that is not about the metadata partition.
    pub(crate) fn encode_other_partition(self, version: i16) -> Result<Vec<u8>, EncodeError> {
        self.encode_top_level(ErrorCode::InvalidRequest, version)
    }

    fn encode_top_level(self, error: ErrorCode, version: i16) -> Result<Vec<u8>, EncodeError> {
        let error_code = error as i16;
        match self {
            Self::Fetch => body(&fetch_response::FetchResponse { error_code, ..Default::default() }, version),
            Self::Vote => body(&vote_response::VoteResponse { error_code, ..Default::default() }, version),
            Self::BeginQuorumEpoch => body(
                &begin_quorum_epoch_response::BeginQuorumEpochResponse { error_code, ..Default::default() },
                version,
            ),
            Self::EndQuorumEpoch => {
                body(&end_quorum_epoch_response::EndQuorumEpochResponse { error_code, ..Default::default() }, version)
            }
            Self::FetchSnapshot => {
                body(&fetch_snapshot_response::FetchSnapshotResponse { error_code, ..Default::default() }, version)
            }
        }
    }

    /// Writes a response body. `leader` is where the leader that the response names is reached; `records` are the bytes of
    /// a fetch.
    pub(crate) fn encode(
        self,
        version: i16,
        response: &Response,
        leader: Option<&Endpoint>,
        records: &[u8],
    ) -> Result<Vec<u8>, EncodeError> {
        if response.standing().error == ErrorCode::InconsistentClusterId {
            return self.encode_top_level(ErrorCode::InconsistentClusterId, version);
        }
        match response {
            Response::Vote { standing, granted } => encode_vote(*standing, *granted, leader, version),
            Response::BeginQuorumEpoch(standing) => encode_begin(*standing, leader, version),
            Response::EndQuorumEpoch(standing) => encode_end(*standing, leader, version),
            Response::Fetch(response) => encode_fetch(response, leader, records, version),
            Response::FetchSnapshot(response) => encode_fetch_snapshot(response, leader, version),
        }
    }
}

fn body<'a, M: Message<'a>>(message: &M, version: i16) -> Result<Vec<u8>, EncodeError> {
    let mut w = Writer::new();
    message.encode(&mut w, version)?;
    Ok(w.into_bytes())
}

/// The single element of a slice.
fn only<T>(items: &[T]) -> Option<&T> {
    match items {
        [item] => Some(item),
        _ => None,
    }
}

fn vote(request: &vote_request::VoteRequest<'_>, version: i16) -> Option<Request> {
    let topic = only(&request.topics).filter(|t| t.topic_name == METADATA_TOPIC)?;
    let p = only(&topic.partitions).filter(|p| p.partition_index == 0)?;
    Some(Request::Vote(VoteRequest {
        cluster_id: request.cluster_id.map(str::to_owned),
        voter: (version >= 1).then(|| ReplicaKey::new(request.voter_id, p.voter_directory_id)),
        candidate: ReplicaKey::new(p.replica_id, p.replica_directory_id),
        epoch: p.replica_epoch,
        last_epoch: p.last_offset_epoch,
        last_offset: p.last_offset,
        pre_vote: p.pre_vote,
    }))
}

fn begin(request: &begin_quorum_epoch_request::BeginQuorumEpochRequest<'_>, version: i16) -> Option<Request> {
    let topic = only(&request.topics).filter(|t| t.topic_name == METADATA_TOPIC)?;
    let p = only(&topic.partitions).filter(|p| p.partition_index == 0)?;
    Some(Request::BeginQuorumEpoch(BeginQuorumEpochRequest {
        cluster_id: request.cluster_id.map(str::to_owned),
        voter: (version >= 1).then(|| ReplicaKey::new(request.voter_id, p.voter_directory_id)),
        leader_id: p.leader_id,
        epoch: p.leader_epoch,
    }))
}

fn end(request: &end_quorum_epoch_request::EndQuorumEpochRequest<'_>, version: i16) -> Option<Request> {
    let topic = only(&request.topics).filter(|t| t.topic_name == METADATA_TOPIC)?;
    let p = only(&topic.partitions).filter(|p| p.partition_index == 0)?;
    let preferred = if version == 0 {
        p.preferred_successors.iter().map(|id| ReplicaKey::of_id(*id)).collect()
    } else {
        p.preferred_candidates.iter().map(|c| ReplicaKey::new(c.candidate_id, c.candidate_directory_id)).collect()
    };
    Some(Request::EndQuorumEpoch(EndQuorumEpochRequest {
        cluster_id: request.cluster_id.map(str::to_owned),
        leader_id: p.leader_id,
        epoch: p.leader_epoch,
        preferred,
    }))
}

fn fetch(request: &fetch_request::FetchRequest<'_>, version: i16) -> Option<Request> {
    let topic = only(&request.topics)?;
    let named =
        if version >= FETCH_TOPIC_IDS { topic.topic_id == Uuid::METADATA_TOPIC } else { topic.topic == METADATA_TOPIC };
    let p = only(&topic.partitions).filter(|p| named && p.partition == 0)?;
    let replica_id = if version >= 15 { request.replica_state.replica_id } else { request.replica_id };
    let max_bytes = p.partition_max_bytes.min(request.max_bytes).max(0);
    Some(Request::Fetch(FetchRequest {
        cluster_id: request.cluster_id.map(str::to_owned),
        replica: (replica_id >= 0).then(|| ReplicaKey::new(replica_id, p.replica_directory_id)),
        current_epoch: p.current_leader_epoch,
        fetch_offset: p.fetch_offset,
        last_fetched_epoch: p.last_fetched_epoch,
        high_watermark: (version >= 18 && p.high_watermark != i64::MAX).then_some(p.high_watermark),
        max_wait_ms: request.max_wait_ms,
        max_bytes: max_bytes.unsigned_abs(),
    }))
}

fn fetch_snapshot(request: &fetch_snapshot_request::FetchSnapshotRequest<'_>) -> Option<Request> {
    let topic = only(&request.topics).filter(|t| t.name == METADATA_TOPIC)?;
    let p = only(&topic.partitions).filter(|p| p.partition == 0)?;
    Some(Request::FetchSnapshot(FetchSnapshotRequest {
        cluster_id: request.cluster_id.map(str::to_owned),
        replica: (request.replica_id >= 0).then(|| ReplicaKey::new(request.replica_id, p.replica_directory_id)),
        current_epoch: p.current_leader_epoch,
        id: SnapshotId { end_offset: p.snapshot_id.end_offset, epoch: p.snapshot_id.epoch },
        position: p.position,
        max_bytes: request.max_bytes.max(0).unsigned_abs(),
    }))
}

fn wire_leader(standing: Standing) -> i32 {
    standing.leader_id.unwrap_or(-1)
}

fn encode_vote(
    standing: Standing,
    granted: bool,
    leader: Option<&Endpoint>,
    version: i16,
) -> Result<Vec<u8>, EncodeError> {
    use vote_response::{NodeEndpoint, PartitionData, TopicData, VoteResponse};
    let partition = PartitionData {
        error_code: standing.error as i16,
        leader_id: wire_leader(standing),
        leader_epoch: standing.epoch,
        vote_granted: granted,
        ..Default::default()
    };
    let topic = TopicData { topic_name: METADATA_TOPIC, partitions: vec![partition], ..Default::default() };
    let mut response = VoteResponse { topics: vec![topic], ..Default::default() };
    if let Some(e) = leader.filter(|_| version >= 1) {
        let node_id = wire_leader(standing);
        response.node_endpoints = vec![NodeEndpoint { node_id, host: &e.host, port: e.port, ..Default::default() }];
    }
    body(&response, version)
}

fn encode_begin(standing: Standing, leader: Option<&Endpoint>, version: i16) -> Result<Vec<u8>, EncodeError> {
    use begin_quorum_epoch_response::{BeginQuorumEpochResponse, NodeEndpoint, PartitionData, TopicData};
    let (leader_id, leader_epoch) = (wire_leader(standing), standing.epoch);
    let partition = PartitionData { error_code: standing.error as i16, leader_id, leader_epoch, ..Default::default() };
    let topic = TopicData { topic_name: METADATA_TOPIC, partitions: vec![partition], ..Default::default() };
    let mut response = BeginQuorumEpochResponse { topics: vec![topic], ..Default::default() };
    if let Some(e) = leader.filter(|_| version >= 1) {
        response.node_endpoints =
            vec![NodeEndpoint { node_id: leader_id, host: &e.host, port: e.port, ..Default::default() }];
    }
    body(&response, version)
}

fn encode_end(standing: Standing, leader: Option<&Endpoint>, version: i16) -> Result<Vec<u8>, EncodeError> {
    use end_quorum_epoch_response::{EndQuorumEpochResponse, NodeEndpoint, PartitionData, TopicData};
    let (leader_id, leader_epoch) = (wire_leader(standing), standing.epoch);
    let partition = PartitionData { error_code: standing.error as i16, leader_id, leader_epoch, ..Default::default() };
    let topic = TopicData { topic_name: METADATA_TOPIC, partitions: vec![partition], ..Default::default() };
    let mut response = EndQuorumEpochResponse { topics: vec![topic], ..Default::default() };
    if let Some(e) = leader.filter(|_| version >= 1) {
        response.node_endpoints =
            vec![NodeEndpoint { node_id: leader_id, host: &e.host, port: e.port, ..Default::default() }];
    }
    body(&response, version)
}

fn encode_fetch(
    response: &crate::raft::FetchResponse,
    leader: Option<&Endpoint>,
    records: &[u8],
    version: i16,
) -> Result<Vec<u8>, EncodeError> {
    use fetch_response::{FetchResponse, FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint, PartitionData};
    let standing = response.standing;
    let mut partition = PartitionData {
        error_code: standing.error as i16,
        high_watermark: response.high_watermark,
        log_start_offset: response.log_start_offset,
        records: Records::Bytes(records),
        ..Default::default()
    };
    if version >= 12 {
        let (leader_id, leader_epoch) = (wire_leader(standing), standing.epoch);
        partition.current_leader = LeaderIdAndEpoch { leader_id, leader_epoch, ..Default::default() };
        match &response.content {
            FetchContent::Batches(_) => {}
            FetchContent::Diverging(end) => {
                partition.diverging_epoch.epoch = end.epoch;
                partition.diverging_epoch.end_offset = end.offset;
            }
            FetchContent::Snapshot(id) => {
                partition.snapshot_id.epoch = id.epoch;
                partition.snapshot_id.end_offset = id.end_offset;
            }
        }
    }
    let topic = FetchableTopicResponse {
        topic: METADATA_TOPIC,
        topic_id: Uuid::METADATA_TOPIC,
        partitions: vec![partition],
        ..Default::default()
    };
    let mut message = FetchResponse { responses: vec![topic], ..Default::default() };
    if let Some(e) = leader.filter(|_| version >= 16) {
        let node_id = wire_leader(standing);
        message.node_endpoints =
            vec![NodeEndpoint { node_id, host: &e.host, port: i32::from(e.port), ..Default::default() }];
    }
    body(&message, version)
}

fn encode_fetch_snapshot(
    response: &FetchSnapshotResponse,
    leader: Option<&Endpoint>,
    version: i16,
) -> Result<Vec<u8>, EncodeError> {
    use fetch_snapshot_response as m;
    let standing = response.standing;
    let (leader_id, leader_epoch) = (wire_leader(standing), standing.epoch);
    let partition = m::PartitionSnapshot {
        error_code: standing.error as i16,
        snapshot_id: m::SnapshotId {
            end_offset: response.id.end_offset,
            epoch: response.id.epoch,
            ..Default::default()
        },
        current_leader: m::LeaderIdAndEpoch { leader_id, leader_epoch, ..Default::default() },
        size: response.size,
        position: response.position,
        unaligned_records: Records::Bytes(&response.bytes),
        ..Default::default()
    };
    let topic = m::TopicSnapshot { name: METADATA_TOPIC, partitions: vec![partition], ..Default::default() };
    let mut message = m::FetchSnapshotResponse { topics: vec![topic], ..Default::default() };
    if let Some(e) = leader.filter(|_| version >= 1) {
        message.node_endpoints =
            vec![m::NodeEndpoint { node_id: leader_id, host: &e.host, port: e.port, ..Default::default() }];
    }
    body(&message, version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fetch_is_understood_by_name_and_by_id() {
        for version in [4, 12, 13, 17, 18] {
            let partition = fetch_request::FetchPartition {
                fetch_offset: 7,
                current_leader_epoch: if version >= 9 { 3 } else { -1 },
                partition_max_bytes: 100,
                ..Default::default()
            };
            let topic = fetch_request::FetchTopic {
                topic: if version < 13 { METADATA_TOPIC } else { "" },
                topic_id: if version < 13 { Uuid::ZERO } else { Uuid::METADATA_TOPIC },
                partitions: vec![partition],
                ..Default::default()
            };
            let request = fetch_request::FetchRequest { topics: vec![topic], ..Default::default() };
            let bytes = body(&request, version).expect("encodes");
            let decoded = QuorumApi::Fetch.decode(version, &bytes).expect("decodes");
            let Decoded::Request(Request::Fetch(fetch)) = decoded else {
                panic!("version {version} is not understood")
            };
            assert_eq!((fetch.fetch_offset, fetch.max_bytes, fetch.high_watermark), (7, 100, None));
        }
    }

    #[test]
    fn another_topic_is_an_error_of_the_whole_response() {
        let topic = vote_request::TopicData { topic_name: "orders", ..Default::default() };
        let bytes = body(&vote_request::VoteRequest { topics: vec![topic], ..Default::default() }, 2).expect("encodes");
        assert!(matches!(QuorumApi::Vote.decode(2, &bytes), Ok(Decoded::OtherPartition)));
        let answer = QuorumApi::Vote.encode_other_partition(2).expect("encodes");
        let answer = vote_response::VoteResponse::decode(&mut Reader::new(&answer), 2).expect("decodes");
        assert_eq!(answer.error_code, ErrorCode::InvalidRequest as i16);
    }

    #[test]
    fn every_answer_encodes_at_every_version() {
        let standing = Standing { error: ErrorCode::None, leader_id: Some(1), epoch: 4 };
        let endpoint = Endpoint { listener: "CONTROLLER".into(), host: "localhost".into(), port: 9093 };
        let id = SnapshotId { end_offset: 5, epoch: 1 };
        let fetch = |content| {
            Response::Fetch(crate::raft::FetchResponse { standing, high_watermark: 4, log_start_offset: 0, content })
        };
        let snapshot = FetchSnapshotResponse { standing, id, size: 3, position: 0, bytes: vec![1, 2, 3] };
        let diverging = crate::raft::OffsetAndEpoch { offset: 2, epoch: 1 };
        let cases = [
            (QuorumApi::Vote, 0..=2, Response::Vote { standing, granted: true }),
            (QuorumApi::BeginQuorumEpoch, 0..=1, Response::BeginQuorumEpoch(standing)),
            (QuorumApi::EndQuorumEpoch, 0..=1, Response::EndQuorumEpoch(standing)),
            (QuorumApi::Fetch, 4..=18, fetch(FetchContent::Batches(vec![]))),
            (QuorumApi::Fetch, 12..=18, fetch(FetchContent::Diverging(diverging))),
            (QuorumApi::Fetch, 12..=18, fetch(FetchContent::Snapshot(id))),
            (QuorumApi::FetchSnapshot, 0..=1, Response::FetchSnapshot(snapshot)),
        ];
        for (api, versions, response) in cases {
            for version in versions {
                let bytes = api.encode(version, &response, Some(&endpoint), &[]);
                assert!(bytes.is_ok(), "{api:?} {version}: {bytes:?}");
            }
        }
    }
}
