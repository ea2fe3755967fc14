//! From a topic's configuration, as the metadata has it, to the settings of its logs.

use ottla_metadata::config::{BrokerConfig, TopicConfig};
use ottla_metadata::image::MetadataImage;
use ottla_storage::LogConfig;

/// The settings of a topic's logs: its own, else the broker's, else Kafka's defaults.
#[must_use]
pub fn log_config(broker: &BrokerConfig, image: &MetadataImage, topic: &str) -> LogConfig {
    let t = TopicConfig::resolve(broker, &image.configs, topic);
    LogConfig { min_insync_replicas: t.min_insync_replicas, ..LogConfig::default() }
}
