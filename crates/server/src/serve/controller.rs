//! The controller of this node, from its configuration.

use std::sync::Arc;

use ottla_broker::lifecycle::BoundListener;
use ottla_controller::raft::{Endpoint, ReplicaKey, Voter, VoterSet};
use ottla_controller::{ControllerError, ControllerListener, ControllerOptions, QuorumController, QuorumOptions};
use ottla_env::random;
use ottla_metadata::MetadataLoader;
use ottla_metadata::config::BrokerConfig;
use ottla_metadata::config::broker_config::QuorumKind;
use ottla_storage::LogDir;

use super::directories::Identity;

/// Opens the metadata log and starts the controller on it.
pub(super) fn start(
    config: &Arc<BrokerConfig>,
    identity: &Identity,
    listeners: Vec<ControllerListener>,
    dir: Arc<LogDir>,
    loader: Arc<MetadataLoader>,
) -> Result<QuorumController, ControllerError> {
    let mut quorum = QuorumOptions::new(dir, &identity.cluster_id, random::next_u64());
    if let QuorumKind::Static { voters } = &config.quorum {
        let name = config.controller_listener_names.first().cloned().unwrap_or_default();
        quorum.voters = VoterSet::new(voters.iter().map(|(id, address)| Voter {
            key: ReplicaKey::of_id(*id),
            endpoints: vec![Endpoint { listener: name.clone(), host: address.host.clone(), port: address.port }],
            min_kraft_version: 0,
            max_kraft_version: 1,
        }));
    }
    quorum.segment_bytes = config.metadata_log_segment_bytes;
    quorum.segment_ms = config.metadata_log_segment_ms;
    quorum.raft.election_timeout_ms = config.controller_quorum_election_timeout_ms;
    quorum.raft.election_backoff_max_ms = config.controller_quorum_election_backoff_max_ms;
    quorum.raft.fetch_timeout_ms = config.controller_quorum_fetch_timeout_ms;
    quorum.raft.retry_backoff_ms = config.controller_quorum_retry_backoff_ms;
    QuorumController::start(options(config, identity, listeners), quorum, loader)
}

/// The controller listeners as others reach them.
pub(super) fn listeners(bound: &[BoundListener]) -> Vec<ControllerListener> {
    bound.iter().filter(|b| b.listener.is_controller).map(listener).collect()
}

fn options(config: &Arc<BrokerConfig>, identity: &Identity, listeners: Vec<ControllerListener>) -> ControllerOptions {
    let mut options = ControllerOptions::new(config.node_id, &identity.cluster_id);
    options.listeners = listeners;
    options.config = Some(Arc::clone(config));
    options.num_partitions = config.num_partitions;
    options.default_replication_factor = config.default_replication_factor;
    options.delete_topic_enable = config.delete_topic_enable;
    options.min_insync_replicas = config.min_insync_replicas;
    options.unclean_leader_election_enable = config.unclean_leader_election_enable;
    options.session_timeout_ms = config.broker_session_timeout_ms;
    options.snapshot_after_bytes =
        u64::try_from(config.metadata_log_max_record_bytes_between_snapshots).unwrap_or(options.snapshot_after_bytes);
    options.snapshot_interval_ms = config.metadata_log_max_snapshot_interval_ms;
    options
}

fn listener(bound: &BoundListener) -> ControllerListener {
    let advertised = &bound.listener.advertised;
    let port = if advertised.port == 0 { bound.port } else { advertised.port };
    ControllerListener {
        endpoint: Endpoint { listener: bound.listener.name.clone(), host: advertised.host.clone(), port },
        security_protocol: bound.listener.protocol as i16,
    }
}
