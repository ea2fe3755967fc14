//! A running broker does what its dynamic configuration says (KIP-226): what the cluster stores for it goes before what
//! stores for all, and that before what it was given at the start. Kafka class: `DynamicConfigPublisher`.
//!
//! ```text
//!   image ──> DynamicBrokerConfig ──┬──> connection limits
//!                                   ├──> cleaner, expiry of producers
//!                                   └──> cordoned log directories ──> heartbeat now
//!        └──> the settings of every log: the replica manager's
//! ```
//! Publishers are called before the controller answers, so a change holds when whoever asked for it hears so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ottla_env::task;
use ottla_metadata::config::{BrokerConfig, DynamicBrokerConfig};
use ottla_metadata::image::{ConfigResource, MetadataImage};
use ottla_metadata::{MetadataDelta, MetadataPublisher};
use ottla_storage::CleanerConfig;

use crate::broker::Broker;
use crate::log_dirs;
use crate::network::connection_counts::{self, Limits};

/// See the module.
#[derive(Debug)]
pub struct DynamicConfigPublisher {
    broker: Arc<Broker>,
    has_image: AtomicBool,
}

impl DynamicConfigPublisher {
    /// For this broker.
    #[must_use]
    pub fn new(broker: Arc<Broker>) -> Self {
        Self { broker, has_image: AtomicBool::new(false) }
    }

    fn reconfigure(&self, image: &MetadataImage, is_first: bool) {
        let broker = &self.broker;
        let now = Arc::new(DynamicBrokerConfig::resolve(&broker.config, &image.configs));
        let before = broker.dynamic_config.swap(Arc::clone(&now));
        let logs = broker.replicas.logs();
        logs.set_producer_id_expiration_ms(now.producer_id_expiration_ms);
        // On the task that loads metadata; threads are waited for.
        let reconfigured = task::blocking_here(|| logs.reconfigure_cleaner(cleaner_config(&broker.config, &now)));
        if let Err(error) = reconfigured {
            tracing::error!(%error, "the cleaner cannot go on; nothing is compacted until its settings change or a restart");
        }
        let limits = Limits::of(&now);
        if is_first || limits != Limits::of(&before) {
            broker.connection_counts.set_limits(limits);
            connection_counts::find_hosts(Arc::clone(&broker.connection_counts));
        }
        if *before != *now {
            tracing::info!("the broker was reconfigured");
        }
    }
}

impl MetadataPublisher for DynamicConfigPublisher {
    fn name(&self) -> &str {
        "dynamic configuration"
    }

    fn publish(&self, delta: &MetadataDelta, image: &Arc<MetadataImage>) {
        let is_first = !self.has_image.swap(true, Ordering::SeqCst);
        let is_ours = is_first || changes_broker(delta, self.broker.config.node_id);
        if is_ours {
            self.reconfigure(image, is_first);
        }
        if is_ours || delta.features_changed() {
            log_dirs::cordon(&self.broker, image);
        }
    }
}

/// Whether a delta changes what is stored for a broker or for all.
pub(crate) fn changes_broker(delta: &MetadataDelta, node_id: i32) -> bool {
    let of_it = [ConfigResource::broker(None), ConfigResource::broker(Some(node_id))];
    of_it.iter().any(|resource| delta.configs().contains(resource))
}

/// The settings of the cleaner.
#[must_use]
pub fn cleaner_config(config: &BrokerConfig, dynamic_config: &DynamicBrokerConfig) -> CleanerConfig {
    CleanerConfig {
        enable: config.log_cleaner_enable,
        threads: dynamic_config.log_cleaner_threads,
        backoff_ms: dynamic_config.log_cleaner_backoff_ms,
        dedupe_buffer_bytes: dynamic_config.log_cleaner_dedupe_buffer_size,
        load_factor: dynamic_config.log_cleaner_io_buffer_load_factor,
        io_buffer_bytes: dynamic_config.log_cleaner_io_buffer_size,
        io_max_bytes_per_second: dynamic_config.log_cleaner_io_max_bytes_per_second,
    }
}
