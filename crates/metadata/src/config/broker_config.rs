//! [`BrokerConfig`]: what this node was told to do, typed and checked.
//!
//! Fields are named for their properties, dots to underscores. Values that each topic may override are not here but in
//! [`TopicConfig`](crate::config::TopicConfig), and what changes while the node runs is in
//! [`DynamicBrokerConfig`](crate::config::DynamicBrokerConfig).

use std::sync::Arc;

use crate::config::checks;
use crate::config::listeners::{Address, Listener};
use crate::config::reader::Reader;
use crate::config::settings::Settings;

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

/// What no single row of the table can say, put together by [`checks`].
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) node_id: i32,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) inter_broker_listener_name: String,
    pub(crate) controller_listener_names: Vec<String>,
    pub(crate) log_dirs: Vec<String>,
    pub(crate) metadata_log_dir: String,
    pub(crate) quorum: QuorumKind,
}

/// Declares [`BrokerConfig`]: beside the identity a field per property, read from the row of that name.
macro_rules! broker_config {
    ($($field:ident: $kind:ty = $how:ident($key:literal),)*) => {
        /// See the module. Times are in milliseconds and sizes in bytes, as the names end.
        #[derive(Debug, Clone, PartialEq)]
        pub struct BrokerConfig {
            /// `node.id`.
            pub node_id: i32,
            /// `listeners`, in their order, with `advertised.listeners` and `listener.security.protocol.map`.
            pub listeners: Vec<Listener>,
            /// `inter.broker.listener.name`.
            pub inter_broker_listener_name: String,
            /// `controller.listener.names`.
            pub controller_listener_names: Vec<String>,
            /// `log.dirs`, or `log.dir`.
            pub log_dirs: Vec<String>,
            /// `metadata.log.dir`, or the first of `log_dirs`.
            pub metadata_log_dir: String,
            /// `controller.quorum.voters` or `controller.quorum.bootstrap.servers`.
            pub quorum: QuorumKind,
            $(
                #[doc = concat!("`", $key, "`.")]
                pub $field: $kind,
            )*
            /// Everything as it was given, for DescribeConfigs and for the defaults of topics.
            pub settings: Arc<Settings>,
        }

        impl BrokerConfig {
            fn read(reader: &Reader<'_>, identity: Identity) -> Self {
                Self {
                    node_id: identity.node_id,
                    listeners: identity.listeners,
                    inter_broker_listener_name: identity.inter_broker_listener_name,
                    controller_listener_names: identity.controller_listener_names,
                    log_dirs: identity.log_dirs,
                    metadata_log_dir: identity.metadata_log_dir,
                    quorum: identity.quorum,
                    $($field: reader.$how($key),)*
                    settings: Arc::new(reader.settings.clone()),
                }
            }
        }
    };
}

broker_config! {
    broker_rack: Option<String> = text("broker.rack"),
    // The quorum and the metadata log.
    controller_quorum_election_timeout_ms: i64 = number("controller.quorum.election.timeout.ms"),
    controller_quorum_election_backoff_max_ms: i64 = number("controller.quorum.election.backoff.max.ms"),
    controller_quorum_fetch_timeout_ms: i64 = number("controller.quorum.fetch.timeout.ms"),
    controller_quorum_retry_backoff_ms: i64 = number("controller.quorum.retry.backoff.ms"),
    metadata_log_segment_bytes: usize = number("metadata.log.segment.bytes"),
    metadata_log_segment_ms: i64 = number("metadata.log.segment.ms"),
    metadata_log_max_record_bytes_between_snapshots: i64 = number("metadata.log.max.record.bytes.between.snapshots"),
    metadata_log_max_snapshot_interval_ms: i64 = number("metadata.log.max.snapshot.interval.ms"),
    broker_heartbeat_interval_ms: i64 = number("broker.heartbeat.interval.ms"),
    broker_session_timeout_ms: i64 = number("broker.session.timeout.ms"),
    initial_broker_registration_timeout_ms: i64 = number("initial.broker.registration.timeout.ms"),
    // Connections and requests.
    num_network_threads: usize = number("num.network.threads"),
    queued_max_request_bytes: i64 = signed("queued.max.request.bytes"),
    socket_request_max_bytes: usize = number("socket.request.max.bytes"),
    connections_max_idle_ms: i64 = signed("connections.max.idle.ms"),
    max_incremental_fetch_session_cache_slots: usize = number("max.incremental.fetch.session.cache.slots"),
    fetch_max_bytes: i32 = number("fetch.max.bytes"),
    max_request_partition_size_limit: i32 = number("max.request.partition.size.limit"),
    // Topics that are created, and deleted.
    num_partitions: i32 = number("num.partitions"),
    default_replication_factor: i16 = number("default.replication.factor"),
    min_insync_replicas: i32 = number("min.insync.replicas"),
    auto_create_topics_enable: bool = boolean("auto.create.topics.enable"),
    delete_topic_enable: bool = boolean("delete.topic.enable"),
    unclean_leader_election_enable: bool = boolean("unclean.leader.election.enable"),
    // All logs.
    log_dir_failure_timeout_ms: i64 = number("log.dir.failure.timeout.ms"),
    log_retention_check_interval_ms: i64 = number("log.retention.check.interval.ms"),
    log_flush_offset_checkpoint_interval_ms: i64 = number("log.flush.offset.checkpoint.interval.ms"),
    log_flush_start_offset_checkpoint_interval_ms: i64 = number("log.flush.start.offset.checkpoint.interval.ms"),
    log_cleaner_enable: bool = boolean("log.cleaner.enable"),
    num_replica_alter_log_dirs_threads: Option<i64> = maybe_number("num.replica.alter.log.dirs.threads"),
    replica_high_watermark_checkpoint_interval_ms: i64 = number("replica.high.watermark.checkpoint.interval.ms"),
    // Classic groups and committed offsets.
    group_initial_rebalance_delay_ms: i32 = number("group.initial.rebalance.delay.ms"),
    group_min_session_timeout_ms: i32 = number("group.min.session.timeout.ms"),
    group_max_session_timeout_ms: i32 = number("group.max.session.timeout.ms"),
    group_max_size: i32 = number("group.max.size"),
    offsets_topic_num_partitions: i32 = number("offsets.topic.num.partitions"),
    offsets_topic_replication_factor: i16 = number("offsets.topic.replication.factor"),
    offsets_topic_segment_bytes: i32 = number("offsets.topic.segment.bytes"),
    offsets_commit_timeout_ms: i32 = number("offsets.commit.timeout.ms"),
    offset_metadata_max_bytes: i32 = number("offset.metadata.max.bytes"),
    offsets_retention_minutes: i32 = number("offsets.retention.minutes"),
    offsets_retention_check_interval_ms: i64 = number("offsets.retention.check.interval.ms"),
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
    pub fn from_settings(settings: &Settings) -> Result<(Self, Vec<String>), BrokerConfigError> {
        let mut reader = Reader::new(settings);
        let identity = checks::read(&mut reader);
        match identity {
            Some(identity) if reader.findings.problems.is_empty() => {
                let config = Self::read(&reader, identity);
                Ok((config, reader.findings.warnings))
            }
            _ => Err(BrokerConfigError { problems: reader.findings.problems }),
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

#[cfg(test)]
#[path = "broker_config_tests.rs"]
mod tests;
