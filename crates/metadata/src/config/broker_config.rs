//! [`BrokerConfig`]: what this node was told to do, typed and checked.
//!
//! Fields are named for their properties, less the subject. Values of topics are not here but in
//! [`TopicConfig`](crate::config::TopicConfig), since each topic may override them.

use std::sync::Arc;

use crate::config::checks;
use crate::config::listeners::{Address, Listener};
use crate::config::reader::Reader;
use crate::config::settings::Settings;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerConfig {
    /// `node.id`.
    pub node_id: i32,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// All listeners, in the order of `listeners`.
    pub listeners: Vec<Listener>,
    /// `inter.broker.listener.name`.
    pub inter_broker_listener_name: String,
    /// `controller.listener.names`.
    pub controller_listener_names: Vec<String>,
    /// `log.dirs`, or `log.dir`.
    pub log_dirs: Vec<String>,
    /// `metadata.log.dir`, or the first of `log_dirs`.
    pub metadata_log_dir: String,
    /// The quorum and its timeouts.
    pub quorum: QuorumConfig,
    /// The metadata log.
    pub metadata_log: MetadataLogConfig,
    /// Heartbeats between broker and controller.
    pub session: BrokerSessionConfig,
    /// Connections and requests.
    pub network: NetworkConfig,
    /// Topics that are created.
    pub topics: TopicsConfig,
    /// What is done with all logs.
    pub logs: LogsConfig,
    /// Followers.
    pub replica: ReplicaConfig,
    /// Classic groups.
    pub group: GroupConfig,
    /// Committed offsets.
    pub offsets: OffsetsConfig,
    /// Everything as it was given, for DescribeConfigs and for the defaults of topics.
    pub settings: Arc<Settings>,
}

/// Which kind of quorum a new directory is formatted for. A directory that is formatted keeps its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QuorumKind {
    /// `controller.quorum.voters` names the voters: kraft.version 0.
    Static {
        /// Id and address of each; this node alone for now.
        voters: Vec<(i32, Address)>,
    },
    /// Voters stand in the log (KIP-853): kraft.version 1.
    Dynamic {
        /// `controller.quorum.bootstrap.servers`.
        bootstrap_servers: Vec<Address>,
    },
}

/// `controller.quorum.*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuorumConfig {
    /// Static or dynamic.
    pub kind: QuorumKind,
    /// `controller.quorum.election.timeout.ms`.
    pub election_timeout_ms: i64,
    /// `controller.quorum.election.backoff.max.ms`.
    pub election_backoff_max_ms: i64,
    /// `controller.quorum.fetch.timeout.ms`.
    pub fetch_timeout_ms: i64,
    /// `controller.quorum.request.timeout.ms`.
    pub request_timeout_ms: i64,
    /// `controller.quorum.retry.backoff.ms`.
    pub retry_backoff_ms: i64,
    /// `controller.quorum.append.linger.ms`.
    pub append_linger_ms: i64,
    /// `controller.quorum.fetch.max.bytes`.
    pub fetch_max_bytes: i32,
    /// `controller.quorum.fetch.snapshot.max.bytes`.
    pub fetch_snapshot_max_bytes: i32,
}

/// `metadata.*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataLogConfig {
    /// `metadata.log.segment.bytes`.
    pub segment_bytes: i32,
    /// `metadata.log.segment.ms`.
    pub segment_ms: i64,
    /// `metadata.log.max.record.bytes.between.snapshots`.
    pub max_record_bytes_between_snapshots: i64,
    /// `metadata.log.max.snapshot.interval.ms`; 0 for never.
    pub max_snapshot_interval_ms: i64,
    /// `metadata.max.retention.bytes`.
    pub max_retention_bytes: i64,
    /// `metadata.max.retention.ms`.
    pub max_retention_ms: i64,
    /// `metadata.max.idle.interval.ms`; 0 for never.
    pub max_idle_interval_ms: i64,
}

/// `broker.heartbeat.interval.ms` and its like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerSessionConfig {
    /// `broker.heartbeat.interval.ms`.
    pub heartbeat_interval_ms: i64,
    /// `broker.session.timeout.ms`.
    pub timeout_ms: i64,
    /// `initial.broker.registration.timeout.ms`.
    pub initial_registration_timeout_ms: i64,
}

/// Connections and requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkConfig {
    /// `num.network.threads`.
    pub num_network_threads: usize,
    /// `queued.max.requests`.
    pub queued_max_requests: usize,
    /// `queued.max.request.bytes`; -1 leaves the budget to the broker.
    pub queued_max_request_bytes: i64,
    /// `socket.request.max.bytes`.
    pub socket_request_max_bytes: i32,
    /// `connections.max.idle.ms`; below 0 for never.
    pub connections_max_idle_ms: i64,
    /// `max.connections`.
    pub max_connections: i32,
    /// `max.connections.per.ip`.
    pub max_connections_per_ip: i32,
    /// `max.incremental.fetch.session.cache.slots`.
    pub max_incremental_fetch_session_cache_slots: usize,
    /// `fetch.max.bytes`.
    pub fetch_max_bytes: i32,
    /// `max.request.partition.size.limit`.
    pub max_request_partition_size_limit: usize,
}

/// Topics that are created, and deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicsConfig {
    /// `num.partitions`.
    pub num_partitions: i32,
    /// `default.replication.factor`.
    pub default_replication_factor: i16,
    /// `auto.create.topics.enable`.
    pub auto_create_topics_enable: bool,
    /// `delete.topic.enable`.
    pub delete_topic_enable: bool,
}

/// What is done with all logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogsConfig {
    /// `num.recovery.threads.per.data.dir`.
    pub num_recovery_threads_per_data_dir: usize,
    /// `log.retention.check.interval.ms`.
    pub retention_check_interval_ms: i64,
    /// `log.flush.scheduler.interval.ms`.
    pub flush_scheduler_interval_ms: i64,
    /// `log.flush.offset.checkpoint.interval.ms`.
    pub flush_offset_checkpoint_interval_ms: i64,
    /// `log.flush.start.offset.checkpoint.interval.ms`.
    pub flush_start_offset_checkpoint_interval_ms: i64,
    /// `producer.id.expiration.ms`.
    pub producer_id_expiration_ms: i64,
}

/// Followers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaConfig {
    /// `replica.lag.time.max.ms`.
    pub lag_time_max_ms: i64,
    /// `replica.high.watermark.checkpoint.interval.ms`.
    pub high_watermark_checkpoint_interval_ms: i64,
}

/// Classic groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupConfig {
    /// `group.initial.rebalance.delay.ms`.
    pub initial_rebalance_delay_ms: i32,
    /// `group.min.session.timeout.ms`.
    pub min_session_timeout_ms: i32,
    /// `group.max.session.timeout.ms`.
    pub max_session_timeout_ms: i32,
    /// `group.max.size`.
    pub max_size: i32,
}

/// Committed offsets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetsConfig {
    /// `offsets.topic.num.partitions`.
    pub topic_num_partitions: i32,
    /// `offsets.topic.replication.factor`.
    pub topic_replication_factor: i16,
    /// `offsets.topic.segment.bytes`.
    pub topic_segment_bytes: i32,
    /// `offsets.commit.timeout.ms`.
    pub commit_timeout_ms: i32,
    /// `offset.metadata.max.bytes`.
    pub metadata_max_bytes: i32,
    /// `offsets.retention.minutes`.
    pub retention_minutes: i32,
    /// `offsets.retention.check.interval.ms`.
    pub retention_check_interval_ms: i64,
}

/// Settings with which a node cannot start: every reason, each a sentence that says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .problems.join("\n"))]
pub struct BrokerConfigError {
    /// The reasons.
    pub problems: Vec<String>,
}

impl BrokerConfig {
    /// Reads and checks settings. Beside the configuration come warnings, a sentence each, for the log.
    ///
    /// # Errors
    /// [`BrokerConfigError`] with every reason why the node cannot start.
    pub fn from_settings(settings: Settings) -> Result<(Self, Vec<String>), BrokerConfigError> {
        let mut reader = Reader::new(&settings);
        let config = checks::read(&mut reader);
        let findings = reader.findings;
        match config {
            Some(config) if findings.problems.is_empty() => {
                Ok((Self { settings: Arc::new(settings), ..config }, findings.warnings))
            }
            _ => Err(BrokerConfigError { problems: findings.problems }),
        }
    }

    /// The listeners of the broker: those on which the controller is not asked.
    pub fn broker_listeners(&self) -> impl Iterator<Item = &Listener> {
        self.listeners.iter().filter(|l| !l.is_controller)
    }

    /// The listeners on which the controller is asked.
    pub fn controller_listeners(&self) -> impl Iterator<Item = &Listener> {
        self.listeners.iter().filter(|l| l.is_controller)
    }
}

impl QuorumConfig {
    pub(crate) fn read(reader: &Reader<'_>, kind: QuorumKind) -> Self {
        Self {
            kind,
            election_timeout_ms: reader.number("controller.quorum.election.timeout.ms"),
            election_backoff_max_ms: reader.number("controller.quorum.election.backoff.max.ms"),
            fetch_timeout_ms: reader.number("controller.quorum.fetch.timeout.ms"),
            request_timeout_ms: reader.number("controller.quorum.request.timeout.ms"),
            retry_backoff_ms: reader.number("controller.quorum.retry.backoff.ms"),
            append_linger_ms: reader.number("controller.quorum.append.linger.ms"),
            fetch_max_bytes: reader.number("controller.quorum.fetch.max.bytes"),
            fetch_snapshot_max_bytes: reader.number("controller.quorum.fetch.snapshot.max.bytes"),
        }
    }
}

impl MetadataLogConfig {
    pub(crate) fn read(reader: &Reader<'_>) -> Self {
        Self {
            segment_bytes: reader.number("metadata.log.segment.bytes"),
            segment_ms: reader.number("metadata.log.segment.ms"),
            max_record_bytes_between_snapshots: reader.number("metadata.log.max.record.bytes.between.snapshots"),
            max_snapshot_interval_ms: reader.number("metadata.log.max.snapshot.interval.ms"),
            max_retention_bytes: reader.number("metadata.max.retention.bytes"),
            max_retention_ms: reader.number("metadata.max.retention.ms"),
            max_idle_interval_ms: reader.number("metadata.max.idle.interval.ms"),
        }
    }
}

impl BrokerSessionConfig {
    pub(crate) fn read(reader: &Reader<'_>) -> Self {
        Self {
            heartbeat_interval_ms: reader.number("broker.heartbeat.interval.ms"),
            timeout_ms: reader.number("broker.session.timeout.ms"),
            initial_registration_timeout_ms: reader.number("initial.broker.registration.timeout.ms"),
        }
    }
}

impl NetworkConfig {
    pub(crate) fn read(reader: &Reader<'_>) -> Self {
        Self {
            num_network_threads: reader.number("num.network.threads"),
            queued_max_requests: reader.number("queued.max.requests"),
            queued_max_request_bytes: reader.number("queued.max.request.bytes"),
            socket_request_max_bytes: reader.number("socket.request.max.bytes"),
            connections_max_idle_ms: reader.number("connections.max.idle.ms"),
            max_connections: reader.number("max.connections"),
            max_connections_per_ip: reader.number("max.connections.per.ip"),
            max_incremental_fetch_session_cache_slots: reader.number("max.incremental.fetch.session.cache.slots"),
            fetch_max_bytes: reader.number("fetch.max.bytes"),
            max_request_partition_size_limit: reader.number("max.request.partition.size.limit"),
        }
    }
}

impl TopicsConfig {
    pub(crate) fn read(reader: &Reader<'_>) -> Self {
        Self {
            num_partitions: reader.number("num.partitions"),
            default_replication_factor: reader.number("default.replication.factor"),
            auto_create_topics_enable: reader.boolean("auto.create.topics.enable"),
            delete_topic_enable: reader.boolean("delete.topic.enable"),
        }
    }
}

impl LogsConfig {
    pub(crate) fn read(reader: &Reader<'_>) -> Self {
        Self {
            num_recovery_threads_per_data_dir: reader.number("num.recovery.threads.per.data.dir"),
            retention_check_interval_ms: reader.number("log.retention.check.interval.ms"),
            flush_scheduler_interval_ms: reader.number("log.flush.scheduler.interval.ms"),
            flush_offset_checkpoint_interval_ms: reader.number("log.flush.offset.checkpoint.interval.ms"),
            flush_start_offset_checkpoint_interval_ms: reader.number("log.flush.start.offset.checkpoint.interval.ms"),
            producer_id_expiration_ms: reader.number("producer.id.expiration.ms"),
        }
    }
}

impl ReplicaConfig {
    pub(crate) fn read(reader: &Reader<'_>) -> Self {
        Self {
            lag_time_max_ms: reader.number("replica.lag.time.max.ms"),
            high_watermark_checkpoint_interval_ms: reader.number("replica.high.watermark.checkpoint.interval.ms"),
        }
    }
}

impl GroupConfig {
    pub(crate) fn read(reader: &Reader<'_>) -> Self {
        Self {
            initial_rebalance_delay_ms: reader.number("group.initial.rebalance.delay.ms"),
            min_session_timeout_ms: reader.number("group.min.session.timeout.ms"),
            max_session_timeout_ms: reader.number("group.max.session.timeout.ms"),
            max_size: reader.number("group.max.size"),
        }
    }
}

impl OffsetsConfig {
    pub(crate) fn read(reader: &Reader<'_>) -> Self {
        Self {
            topic_num_partitions: reader.number("offsets.topic.num.partitions"),
            topic_replication_factor: reader.number("offsets.topic.replication.factor"),
            topic_segment_bytes: reader.number("offsets.topic.segment.bytes"),
            commit_timeout_ms: reader.number("offsets.commit.timeout.ms"),
            metadata_max_bytes: reader.number("offset.metadata.max.bytes"),
            retention_minutes: reader.number("offsets.retention.minutes"),
            retention_check_interval_ms: reader.number("offsets.retention.check.interval.ms"),
        }
    }
}

#[cfg(test)]
#[path = "broker_config_tests.rs"]
mod tests;
