//! The `kafka-protocol` crate, which is generated from Kafka's own definitions of 4.1 and shares nothing with us, reads what
//! we write and writes what we read, for every message and version that both know.

mod every_message;

use every_message::random::Random;
use every_message::sample::{Fill, sample};
use every_message::{codecs, definitions};

use bytes::{Bytes, BytesMut};
use kafka_protocol::protocol::{Decodable, Encodable, Message};

const ROUNDS: u64 = 25;

/// Messages whose first field is called `Version`. In the other crate that field takes the place of the version that was
/// asked for, so both must be the same, as they are in Kafka's logs.
const STATES_ITS_VERSION: [&str; 3] = ["k_raft_version_record", "leader_change_message", "voters_record"];

/// The other crate's reader and writer of one message.
struct Other {
    module: &'static str,
    versions: std::ops::RangeInclusive<i16>,
    decode_encode: fn(&[u8], i16) -> Result<Vec<u8>, String>,
}

fn decode_encode<M: Message + Decodable + Encodable>(bytes: &[u8], version: i16) -> Result<Vec<u8>, String> {
    let mut input = Bytes::copy_from_slice(bytes);
    let message = M::decode(&mut input, version).map_err(|e| format!("it cannot read: {e}"))?;
    if !input.is_empty() {
        return Err(format!("it leaves {} bytes", input.len()));
    }
    let mut out = BytesMut::new();
    message.encode(&mut out, version).map_err(|e| format!("it cannot write: {e}"))?;
    Ok(out.to_vec())
}

fn others() -> Vec<Other> {
    macro_rules! others {
        ($($module:ident::$name:ident)*) => { vec![$({
            use kafka_protocol::messages::$name;
            let range = <$name as Message>::VERSIONS;
            Other { module: stringify!($module), versions: range.min..=range.max, decode_encode: decode_encode::<$name> }
        }),*] };
    }
    others! {
        add_offsets_to_txn_request::AddOffsetsToTxnRequest
        add_offsets_to_txn_response::AddOffsetsToTxnResponse
        add_partitions_to_txn_request::AddPartitionsToTxnRequest
        add_partitions_to_txn_response::AddPartitionsToTxnResponse
        add_raft_voter_request::AddRaftVoterRequest
        add_raft_voter_response::AddRaftVoterResponse
        allocate_producer_ids_request::AllocateProducerIdsRequest
        allocate_producer_ids_response::AllocateProducerIdsResponse
        alter_client_quotas_request::AlterClientQuotasRequest
        alter_client_quotas_response::AlterClientQuotasResponse
        alter_configs_request::AlterConfigsRequest
        alter_configs_response::AlterConfigsResponse
        alter_partition_reassignments_request::AlterPartitionReassignmentsRequest
        alter_partition_reassignments_response::AlterPartitionReassignmentsResponse
        alter_partition_request::AlterPartitionRequest
        alter_partition_response::AlterPartitionResponse
        alter_replica_log_dirs_request::AlterReplicaLogDirsRequest
        alter_replica_log_dirs_response::AlterReplicaLogDirsResponse
        alter_share_group_offsets_request::AlterShareGroupOffsetsRequest
        alter_share_group_offsets_response::AlterShareGroupOffsetsResponse
        alter_user_scram_credentials_request::AlterUserScramCredentialsRequest
        alter_user_scram_credentials_response::AlterUserScramCredentialsResponse
        api_versions_request::ApiVersionsRequest
        api_versions_response::ApiVersionsResponse
        assign_replicas_to_dirs_request::AssignReplicasToDirsRequest
        assign_replicas_to_dirs_response::AssignReplicasToDirsResponse
        begin_quorum_epoch_request::BeginQuorumEpochRequest
        begin_quorum_epoch_response::BeginQuorumEpochResponse
        broker_heartbeat_request::BrokerHeartbeatRequest
        broker_heartbeat_response::BrokerHeartbeatResponse
        broker_registration_request::BrokerRegistrationRequest
        broker_registration_response::BrokerRegistrationResponse
        consumer_group_describe_request::ConsumerGroupDescribeRequest
        consumer_group_describe_response::ConsumerGroupDescribeResponse
        consumer_group_heartbeat_request::ConsumerGroupHeartbeatRequest
        consumer_group_heartbeat_response::ConsumerGroupHeartbeatResponse
        consumer_protocol_assignment::ConsumerProtocolAssignment
        consumer_protocol_subscription::ConsumerProtocolSubscription
        controller_registration_request::ControllerRegistrationRequest
        controller_registration_response::ControllerRegistrationResponse
        create_acls_request::CreateAclsRequest
        create_acls_response::CreateAclsResponse
        create_delegation_token_request::CreateDelegationTokenRequest
        create_delegation_token_response::CreateDelegationTokenResponse
        create_partitions_request::CreatePartitionsRequest
        create_partitions_response::CreatePartitionsResponse
        create_topics_request::CreateTopicsRequest
        create_topics_response::CreateTopicsResponse
        default_principal_data::DefaultPrincipalData
        delete_acls_request::DeleteAclsRequest
        delete_acls_response::DeleteAclsResponse
        delete_groups_request::DeleteGroupsRequest
        delete_groups_response::DeleteGroupsResponse
        delete_records_request::DeleteRecordsRequest
        delete_records_response::DeleteRecordsResponse
        delete_share_group_offsets_request::DeleteShareGroupOffsetsRequest
        delete_share_group_offsets_response::DeleteShareGroupOffsetsResponse
        delete_share_group_state_request::DeleteShareGroupStateRequest
        delete_share_group_state_response::DeleteShareGroupStateResponse
        delete_topics_request::DeleteTopicsRequest
        delete_topics_response::DeleteTopicsResponse
        describe_acls_request::DescribeAclsRequest
        describe_acls_response::DescribeAclsResponse
        describe_client_quotas_request::DescribeClientQuotasRequest
        describe_client_quotas_response::DescribeClientQuotasResponse
        describe_cluster_request::DescribeClusterRequest
        describe_cluster_response::DescribeClusterResponse
        describe_configs_request::DescribeConfigsRequest
        describe_configs_response::DescribeConfigsResponse
        describe_delegation_token_request::DescribeDelegationTokenRequest
        describe_delegation_token_response::DescribeDelegationTokenResponse
        describe_groups_request::DescribeGroupsRequest
        describe_groups_response::DescribeGroupsResponse
        describe_log_dirs_request::DescribeLogDirsRequest
        describe_log_dirs_response::DescribeLogDirsResponse
        describe_producers_request::DescribeProducersRequest
        describe_producers_response::DescribeProducersResponse
        describe_quorum_request::DescribeQuorumRequest
        describe_quorum_response::DescribeQuorumResponse
        describe_share_group_offsets_request::DescribeShareGroupOffsetsRequest
        describe_share_group_offsets_response::DescribeShareGroupOffsetsResponse
        describe_topic_partitions_request::DescribeTopicPartitionsRequest
        describe_topic_partitions_response::DescribeTopicPartitionsResponse
        describe_transactions_request::DescribeTransactionsRequest
        describe_transactions_response::DescribeTransactionsResponse
        describe_user_scram_credentials_request::DescribeUserScramCredentialsRequest
        describe_user_scram_credentials_response::DescribeUserScramCredentialsResponse
        elect_leaders_request::ElectLeadersRequest
        elect_leaders_response::ElectLeadersResponse
        end_quorum_epoch_request::EndQuorumEpochRequest
        end_quorum_epoch_response::EndQuorumEpochResponse
        end_txn_marker::EndTxnMarker
        end_txn_request::EndTxnRequest
        end_txn_response::EndTxnResponse
        envelope_request::EnvelopeRequest
        envelope_response::EnvelopeResponse
        expire_delegation_token_request::ExpireDelegationTokenRequest
        expire_delegation_token_response::ExpireDelegationTokenResponse
        fetch_request::FetchRequest
        fetch_response::FetchResponse
        fetch_snapshot_request::FetchSnapshotRequest
        fetch_snapshot_response::FetchSnapshotResponse
        find_coordinator_request::FindCoordinatorRequest
        find_coordinator_response::FindCoordinatorResponse
        get_telemetry_subscriptions_request::GetTelemetrySubscriptionsRequest
        get_telemetry_subscriptions_response::GetTelemetrySubscriptionsResponse
        heartbeat_request::HeartbeatRequest
        heartbeat_response::HeartbeatResponse
        incremental_alter_configs_request::IncrementalAlterConfigsRequest
        incremental_alter_configs_response::IncrementalAlterConfigsResponse
        init_producer_id_request::InitProducerIdRequest
        init_producer_id_response::InitProducerIdResponse
        initialize_share_group_state_request::InitializeShareGroupStateRequest
        initialize_share_group_state_response::InitializeShareGroupStateResponse
        join_group_request::JoinGroupRequest
        join_group_response::JoinGroupResponse
        k_raft_version_record::KRaftVersionRecord
        leader_change_message::LeaderChangeMessage
        leave_group_request::LeaveGroupRequest
        leave_group_response::LeaveGroupResponse
        list_config_resources_request::ListConfigResourcesRequest
        list_config_resources_response::ListConfigResourcesResponse
        list_groups_request::ListGroupsRequest
        list_groups_response::ListGroupsResponse
        list_offsets_request::ListOffsetsRequest
        list_offsets_response::ListOffsetsResponse
        list_partition_reassignments_request::ListPartitionReassignmentsRequest
        list_partition_reassignments_response::ListPartitionReassignmentsResponse
        list_transactions_request::ListTransactionsRequest
        list_transactions_response::ListTransactionsResponse
        metadata_request::MetadataRequest
        metadata_response::MetadataResponse
        offset_commit_request::OffsetCommitRequest
        offset_commit_response::OffsetCommitResponse
        offset_delete_request::OffsetDeleteRequest
        offset_delete_response::OffsetDeleteResponse
        offset_fetch_request::OffsetFetchRequest
        offset_fetch_response::OffsetFetchResponse
        offset_for_leader_epoch_request::OffsetForLeaderEpochRequest
        offset_for_leader_epoch_response::OffsetForLeaderEpochResponse
        produce_request::ProduceRequest
        produce_response::ProduceResponse
        push_telemetry_request::PushTelemetryRequest
        push_telemetry_response::PushTelemetryResponse
        read_share_group_state_request::ReadShareGroupStateRequest
        read_share_group_state_response::ReadShareGroupStateResponse
        read_share_group_state_summary_request::ReadShareGroupStateSummaryRequest
        read_share_group_state_summary_response::ReadShareGroupStateSummaryResponse
        remove_raft_voter_request::RemoveRaftVoterRequest
        remove_raft_voter_response::RemoveRaftVoterResponse
        renew_delegation_token_request::RenewDelegationTokenRequest
        renew_delegation_token_response::RenewDelegationTokenResponse
        request_header::RequestHeader
        response_header::ResponseHeader
        sasl_authenticate_request::SaslAuthenticateRequest
        sasl_authenticate_response::SaslAuthenticateResponse
        sasl_handshake_request::SaslHandshakeRequest
        sasl_handshake_response::SaslHandshakeResponse
        share_acknowledge_request::ShareAcknowledgeRequest
        share_acknowledge_response::ShareAcknowledgeResponse
        share_fetch_request::ShareFetchRequest
        share_fetch_response::ShareFetchResponse
        share_group_describe_request::ShareGroupDescribeRequest
        share_group_describe_response::ShareGroupDescribeResponse
        share_group_heartbeat_request::ShareGroupHeartbeatRequest
        share_group_heartbeat_response::ShareGroupHeartbeatResponse
        snapshot_footer_record::SnapshotFooterRecord
        snapshot_header_record::SnapshotHeaderRecord
        sync_group_request::SyncGroupRequest
        sync_group_response::SyncGroupResponse
        txn_offset_commit_request::TxnOffsetCommitRequest
        txn_offset_commit_response::TxnOffsetCommitResponse
        unregister_broker_request::UnregisterBrokerRequest
        unregister_broker_response::UnregisterBrokerResponse
        update_features_request::UpdateFeaturesRequest
        update_features_response::UpdateFeaturesResponse
        update_raft_voter_request::UpdateRaftVoterRequest
        update_raft_voter_response::UpdateRaftVoterResponse
        vote_request::VoteRequest
        vote_response::VoteResponse
        voters_record::VotersRecord
        write_share_group_state_request::WriteShareGroupStateRequest
        write_share_group_state_response::WriteShareGroupStateResponse
        write_txn_markers_request::WriteTxnMarkersRequest
        write_txn_markers_response::WriteTxnMarkersResponse
    }
}

#[test]
fn both_write_the_bytes_that_the_other_wrote() {
    let definitions = definitions();
    let ours = codecs();
    let (mut pairs, mut failures) = (0, Vec::new());
    for other in others() {
        let message = &definitions[other.module];
        let codec = ours.iter().find(|c| c.module == other.module).expect("we have every message of the crate");
        let range = message.versions.expect("it has a codec");
        for version in other.versions.clone().filter(|v| range.contains(*v)) {
            pairs += 1;
            for round in 0..ROUNDS {
                let fill = [Fill::Defaults, Fill::UnknownTags, Fill::Random][round.min(2) as usize];
                let mut bytes = sample(message, version, fill, &mut Random::of(other.module, version, round));
                if STATES_ITS_VERSION.contains(&other.module) {
                    bytes[..2].copy_from_slice(&version.to_be_bytes());
                }
                // We read and write, it reads and writes, we read again.
                let our_bytes = (codec.decode_encode)(&bytes, version);
                let fault = match (other.decode_encode)(&our_bytes, version) {
                    Ok(its_bytes) if its_bytes == our_bytes && (codec.same)(&its_bytes, &bytes, version) => continue,
                    Ok(its_bytes) => format!("it writes {its_bytes:02x?}"),
                    Err(e) => e,
                };
                failures.push(format!("{} version {version}: {fault}\n  ours {our_bytes:02x?}", message.name));
                break;
            }
        }
    }
    assert!(failures.is_empty(), "{} of {pairs} differ:\n{}", failures.len(), failures.join("\n"));
    assert!(pairs > 450, "only {pairs} pairs of message and version were crossed");
}
