//! What every handler can reach: one value, shared by all connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arc_swap::ArcSwap;
use ottla_metadata::MetadataView;
use ottla_metadata::config::{BrokerConfig, DynamicBrokerConfig};
use ottla_metadata::controller_door::ControllerDoor;
use ottla_metadata::image::MetadataImage;
use ottla_storage::LogManager;

use crate::counters::Counters;
use crate::fetch_session::FetchSessions;
use crate::group_driver::GroupDriver;
use crate::log_dirs::LogDirWatch;
use crate::network::connection_counts::{ConnectionCounts, Limits};
use crate::network::memory::Memory;
use crate::network::reaper::Connections;
use crate::producer_ids::ProducerIds;
use crate::quota::{Quota, Unlimited};
use crate::replica::manager::ReplicaManager;
use crate::security::authorizer::{AllowAll, Authorizer};

/// Memory for frames, decoded forms and responses when `queued.max.request.bytes` does not say: enough for the largest
/// frame and then some.
const DEFAULT_MEMORY_BYTES: usize = 256 << 20;

/// A feature that this build can run with, and its levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SupportedFeature {
    /// Name, such as `metadata.version`.
    pub name: &'static str,
    /// Lowest level.
    pub min: i16,
    /// Highest level.
    pub max: i16,
}

/// What a broker is built from.
pub struct Parts {
    /// Settings.
    pub config: Arc<BrokerConfig>,
    /// The cluster's id.
    pub cluster_id: Arc<str>,
    /// Features to register and to advertise.
    pub features: Vec<SupportedFeature>,
    /// Logs of all its directories.
    pub logs: Arc<LogManager>,
    /// The metadata as it is read.
    pub metadata: MetadataView,
    /// The way to the controller.
    pub controller: Arc<dyn ControllerDoor>,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").field("node_id", &self.config.node_id).finish_non_exhaustive()
    }
}

/// The broker.
pub struct Broker {
    /// Settings, as they were at the start.
    pub config: Arc<BrokerConfig>,
    /// Those that change while the broker runs, as they are now.
    pub dynamic_config: ArcSwap<DynamicBrokerConfig>,
    /// The cluster's id.
    pub cluster_id: Arc<str>,
    /// Features to register and to advertise.
    pub features: Vec<SupportedFeature>,
    /// Counters.
    pub counters: Counters,
    /// Partitions of this broker.
    pub replicas: Arc<ReplicaManager>,
    /// Groups of this broker.
    pub groups: Arc<GroupDriver>,
    /// Fetch sessions.
    pub fetch_sessions: FetchSessions,
    /// Producer ids to give out.
    pub producer_ids: ProducerIds,
    /// The controller.
    pub controller: Arc<dyn ControllerDoor>,
    /// Who may do what.
    pub authorizer: Arc<dyn Authorizer>,
    /// Who must pause.
    pub quota: Arc<dyn Quota>,
    /// Memory that clients take.
    pub memory: Memory,
    /// Log directories that failed or are cordoned.
    pub log_dirs: LogDirWatch,
    /// Open connections.
    pub connections: Arc<Connections>,
    pub(crate) connection_counts: Arc<ConnectionCounts>,
    pub(crate) metadata: MetadataView,
    /// The epoch that the controller gave to this broker's registration; -1 before.
    epoch: AtomicI64,
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker").field("node_id", &self.config.node_id).finish_non_exhaustive()
    }
}

impl Broker {
    /// A broker over its logs, its view of the metadata and its way to the controller. Nothing runs yet.
    #[must_use]
    pub fn new(parts: Parts) -> Arc<Self> {
        let Parts { config, cluster_id, features, logs, metadata, controller } = parts;
        let memory = usize::try_from(config.queued_max_request_bytes).unwrap_or(DEFAULT_MEMORY_BYTES);
        let replicas = Arc::new(ReplicaManager::new(Arc::clone(&config), logs));
        let dynamic_config = DynamicBrokerConfig::resolve(&config, &metadata.current().configs);
        let connection_counts = Arc::new(ConnectionCounts::new(Limits::of(&dynamic_config)));
        let groups = Arc::new(GroupDriver::new(&config, Arc::clone(&replicas), metadata.clone()));
        Arc::new(Self {
            replicas,
            groups,
            fetch_sessions: FetchSessions::new(config.max_incremental_fetch_session_cache_slots),
            memory: Memory::new(memory),
            config,
            dynamic_config: ArcSwap::from_pointee(dynamic_config),
            cluster_id,
            features,
            counters: Counters::default(),
            producer_ids: ProducerIds::default(),
            controller,
            authorizer: Arc::new(AllowAll),
            quota: Arc::new(Unlimited),
            log_dirs: LogDirWatch::default(),
            connections: Arc::default(),
            connection_counts,
            metadata,
            epoch: AtomicI64::new(-1),
        })
    }

    /// The metadata as of now.
    #[must_use]
    pub fn image(&self) -> Arc<MetadataImage> {
        self.metadata.current()
    }

    /// The epoch of this broker's registration; -1 before it is registered.
    #[must_use]
    pub fn epoch(&self) -> i64 {
        self.epoch.load(Ordering::Acquire)
    }

    pub(crate) fn set_epoch(&self, epoch: i64) {
        self.epoch.store(epoch, Ordering::Release);
    }
}
