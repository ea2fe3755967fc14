//! What the controller is told by the node's configuration.

use std::sync::Arc;

use ottla_metadata::config::BrokerConfig;
use ottla_storage::LogDir;

use crate::raft::{Endpoint, RaftOptions, VoterSet};

/// The controller's share of the configuration, with Kafka's defaults where a field names a property.
#[derive(Debug, Clone)]
pub struct ControllerOptions {
    /// `node.id`.
    pub node_id: i32,
    /// Cluster id, from meta.properties.
    pub cluster_id: String,
    /// The controller listeners as others reach them, the first of `controller.listener.names` first.
    pub listeners: Vec<ControllerListener>,
    /// The node's whole configuration, for what the response to CreateTopics says of a topic's configs; without it the
    /// response says nothing of them.
    pub config: Option<Arc<BrokerConfig>>,
    /// `num.partitions`.
    pub num_partitions: i32,
    /// `default.replication.factor`.
    pub default_replication_factor: i16,
    /// `delete.topic.enable`.
    pub delete_topic_enable: bool,
    /// `min.insync.replicas`.
    pub min_insync_replicas: i32,
    /// `unclean.leader.election.enable`.
    pub unclean_leader_election_enable: bool,
    /// `broker.session.timeout.ms`.
    pub session_timeout_ms: i64,
    /// `metadata.log.max.record.bytes.between.snapshots`.
    pub snapshot_after_bytes: u64,
    /// `metadata.log.max.snapshot.interval.ms`; 0 for never by time alone.
    pub snapshot_interval_ms: i64,
}

/// The quorum's share of the configuration.
#[derive(Debug, Clone)]
pub struct QuorumOptions {
    /// The log directory with `__cluster_metadata-0` in it (`metadata.log.dir`), opened and locked.
    pub dir: Arc<LogDir>,
    /// `controller.quorum.voters`, for a static quorum; empty for a dynamic one.
    pub voters: VoterSet,
    /// Timeouts.
    pub raft: RaftOptions,
    /// `metadata.log.segment.bytes`.
    pub segment_bytes: usize,
    /// `metadata.log.segment.ms`.
    pub segment_ms: i64,
}

impl QuorumOptions {
    /// Kafka's defaults, for a dynamic quorum.
    #[must_use]
    pub fn new(dir: Arc<LogDir>, cluster_id: impl Into<String>, seed: u64) -> Self {
        Self {
            dir,
            voters: VoterSet::default(),
            raft: RaftOptions::new(cluster_id, seed),
            segment_bytes: 1 << 30,
            segment_ms: 604_800_000,
        }
    }
}

/// A controller listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControllerListener {
    /// Name, host and port.
    pub endpoint: Endpoint,
    /// Kafka's number of the security protocol; 0 is PLAINTEXT.
    pub security_protocol: i16,
}

impl ControllerOptions {
    /// Kafka's defaults.
    #[must_use]
    pub fn new(node_id: i32, cluster_id: impl Into<String>) -> Self {
        Self {
            node_id,
            cluster_id: cluster_id.into(),
            listeners: Vec::new(),
            config: None,
            num_partitions: 1,
            default_replication_factor: 1,
            delete_topic_enable: true,
            min_insync_replicas: 1,
            unclean_leader_election_enable: false,
            session_timeout_ms: 9000,
            snapshot_after_bytes: 20 << 20,
            snapshot_interval_ms: 3_600_000,
        }
    }
}
