//! Which response answers which request: the pairs that this client, or a test by it, sends, so that a typed request can only be answered
//! by its own response.

use ottla_protocol::frame;
use ottla_protocol::message::Message;
use ottla_protocol::messages as m;
use ottla_protocol::writer::{EncodeError, Writer};

/// A request of Kafka's wire, paired with its response.
pub trait Request {
    /// Kafka's API key.
    const KEY: i16;
    /// Kafka's name of the API, such as `Fetch`.
    const NAME: &'static str;
    /// First version that our definitions have.
    const MIN_VERSION: i16;
    /// Last version that this client sends; never an unstable one.
    const MAX_VERSION: i16;
    /// First version with tagged fields, which decides the headers too.
    const FIRST_FLEXIBLE: Option<i16>;
    /// The same request without a borrow, which names the response where the request is gone already.
    type Owned: Request + 'static;
    /// What answers it.
    type Response<'r>: Message<'r>;

    /// Writes a whole request frame into an empty writer.
    ///
    /// # Errors
    /// When the version lacks a field that is set.
    fn encode_frame(
        &self,
        w: &mut Writer,
        version: i16,
        correlation_id: i32,
        client_id: Option<&str>,
    ) -> Result<(), EncodeError>;
}

macro_rules! pairs {
    ($($name:literal $request_mod:ident::$request:ident => $response_mod:ident::$response:ident $(, at most $max:literal)?;)*) => {
        $(
            impl<'a> Request for m::$request_mod::$request<'a> {
                const KEY: i16 = match <Self as Message<'a>>::API_KEY {
                    Some(key) => key,
                    None => panic!("a request has a key"),
                };
                const NAME: &'static str = $name;
                const MIN_VERSION: i16 = <Self as Message<'a>>::MIN_VERSION;
                const MAX_VERSION: i16 = pairs!(@max <Self as Message<'a>>::MAX_VERSION $(, $max)?);
                const FIRST_FLEXIBLE: Option<i16> = <Self as Message<'a>>::FIRST_FLEXIBLE;
                type Owned = m::$request_mod::$request<'static>;
                type Response<'r> = m::$response_mod::$response<'r>;

                fn encode_frame(
                    &self,
                    w: &mut Writer,
                    version: i16,
                    correlation_id: i32,
                    client_id: Option<&str>,
                ) -> Result<(), EncodeError> {
                    frame::encode_request(w, Self::KEY, version, correlation_id, client_id, self)
                }
            }
        )*
    };
    (@max $own:expr) => { $own };
    (@max $own:expr, $max:literal) => { $max };
}

pairs! {
    "Produce" produce_request::ProduceRequest => produce_response::ProduceResponse;
    "Fetch" fetch_request::FetchRequest => fetch_response::FetchResponse;
    "ListOffsets" list_offsets_request::ListOffsetsRequest => list_offsets_response::ListOffsetsResponse;
    "Metadata" metadata_request::MetadataRequest => metadata_response::MetadataResponse;
    "OffsetCommit" offset_commit_request::OffsetCommitRequest => offset_commit_response::OffsetCommitResponse;
    "OffsetFetch" offset_fetch_request::OffsetFetchRequest => offset_fetch_response::OffsetFetchResponse;
    "FindCoordinator" find_coordinator_request::FindCoordinatorRequest => find_coordinator_response::FindCoordinatorResponse;
    "JoinGroup" join_group_request::JoinGroupRequest => join_group_response::JoinGroupResponse;
    "Heartbeat" heartbeat_request::HeartbeatRequest => heartbeat_response::HeartbeatResponse;
    "LeaveGroup" leave_group_request::LeaveGroupRequest => leave_group_response::LeaveGroupResponse;
    "SyncGroup" sync_group_request::SyncGroupRequest => sync_group_response::SyncGroupResponse;
    "DescribeGroups" describe_groups_request::DescribeGroupsRequest => describe_groups_response::DescribeGroupsResponse;
    "ListGroups" list_groups_request::ListGroupsRequest => list_groups_response::ListGroupsResponse;
    "ApiVersions" api_versions_request::ApiVersionsRequest => api_versions_response::ApiVersionsResponse;
    "CreateTopics" create_topics_request::CreateTopicsRequest => create_topics_response::CreateTopicsResponse;
    "DeleteTopics" delete_topics_request::DeleteTopicsRequest => delete_topics_response::DeleteTopicsResponse;
    "DeleteRecords" delete_records_request::DeleteRecordsRequest => delete_records_response::DeleteRecordsResponse;
    // Version 6 (KIP-939) is defined but unstable.
    "InitProducerId" init_producer_id_request::InitProducerIdRequest => init_producer_id_response::InitProducerIdResponse, at most 5;
    "OffsetForLeaderEpoch" offset_for_leader_epoch_request::OffsetForLeaderEpochRequest => offset_for_leader_epoch_response::OffsetForLeaderEpochResponse;
    "DescribeConfigs" describe_configs_request::DescribeConfigsRequest => describe_configs_response::DescribeConfigsResponse;
    "CreatePartitions" create_partitions_request::CreatePartitionsRequest => create_partitions_response::CreatePartitionsResponse;
    "DeleteGroups" delete_groups_request::DeleteGroupsRequest => delete_groups_response::DeleteGroupsResponse;
    "AlterConfigs" alter_configs_request::AlterConfigsRequest => alter_configs_response::AlterConfigsResponse;
    "IncrementalAlterConfigs" incremental_alter_configs_request::IncrementalAlterConfigsRequest => incremental_alter_configs_response::IncrementalAlterConfigsResponse;
    "OffsetDelete" offset_delete_request::OffsetDeleteRequest => offset_delete_response::OffsetDeleteResponse;
    "DescribeCluster" describe_cluster_request::DescribeClusterRequest => describe_cluster_response::DescribeClusterResponse;
    "DescribeQuorum" describe_quorum_request::DescribeQuorumRequest => describe_quorum_response::DescribeQuorumResponse;
    "Vote" vote_request::VoteRequest => vote_response::VoteResponse;
    "BeginQuorumEpoch" begin_quorum_epoch_request::BeginQuorumEpochRequest => begin_quorum_epoch_response::BeginQuorumEpochResponse;
    "EndQuorumEpoch" end_quorum_epoch_request::EndQuorumEpochRequest => end_quorum_epoch_response::EndQuorumEpochResponse;
    "FetchSnapshot" fetch_snapshot_request::FetchSnapshotRequest => fetch_snapshot_response::FetchSnapshotResponse;
    "BrokerRegistration" broker_registration_request::BrokerRegistrationRequest => broker_registration_response::BrokerRegistrationResponse;
    "BrokerHeartbeat" broker_heartbeat_request::BrokerHeartbeatRequest => broker_heartbeat_response::BrokerHeartbeatResponse;
    "AlterPartition" alter_partition_request::AlterPartitionRequest => alter_partition_response::AlterPartitionResponse;
    "AllocateProducerIds" allocate_producer_ids_request::AllocateProducerIdsRequest => allocate_producer_ids_response::AllocateProducerIdsResponse;
    "Envelope" envelope_request::EnvelopeRequest => envelope_response::EnvelopeResponse;
    "AlterReplicaLogDirs" alter_replica_log_dirs_request::AlterReplicaLogDirsRequest => alter_replica_log_dirs_response::AlterReplicaLogDirsResponse;
    "DescribeLogDirs" describe_log_dirs_request::DescribeLogDirsRequest => describe_log_dirs_response::DescribeLogDirsResponse;
    "DescribeTopicPartitions" describe_topic_partitions_request::DescribeTopicPartitionsRequest => describe_topic_partitions_response::DescribeTopicPartitionsResponse;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_carries_the_same_key_on_both_sides() {
        fn key_of<R: Request>() -> (i16, Option<i16>) {
            (R::KEY, <R::Response<'static> as Message<'static>>::API_KEY)
        }
        let (request, response) = key_of::<m::fetch_request::FetchRequest<'static>>();
        assert_eq!((request, response), (1, Some(1)));
        assert_eq!(<m::init_producer_id_request::InitProducerIdRequest<'static> as Request>::MAX_VERSION, 5);
    }
}
