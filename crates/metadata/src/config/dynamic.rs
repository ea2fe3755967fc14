//! [`DynamicBrokerConfig`]: what a broker does differently as soon as it is told (KIP-226), typed
//!
//! ```text
//!   set for this broker  >  set for all brokers  >  file, environment, --set  >  Kafka's default
//! ```
//!
//! What stands here stands nowhere else: [`BrokerConfig`] has only what is read at the start. The defaults of topics are
//! dynamic too, and are in [`TopicConfig`](crate::config::TopicConfig).

use crate::config::broker;
use crate::config::broker_config::BrokerConfig;
use crate::config::layers::Layers;
use crate::config::reader::Reader;
use crate::config::row::{Row, Scope};
use crate::config::settings::{Origin, Settings};
use crate::image::ConfigsImage;

/// Properties that Kafka changes while it runs, and a broker of ours only reads at the start: to take them would deceive.
pub(crate) const AT_THE_START: [(&str, &str); 3] = [
    ("listeners", "sockets are opened at the start only; set it in the properties file and restart the broker"),
    (
        "listener.security.protocol.map",
        "sockets are opened at the start only; set it in the properties file and restart the broker",
    ),
    (
        "num.network.threads",
        "threads are started with the process; set it in the properties file and restart the broker",
    ),
];

/// Why a property of Kafka's that is dynamic there is not here.
pub(crate) fn only_at_the_start(name: &str) -> Option<&'static str> {
    AT_THE_START.into_iter().find(|(key, _)| *key == name).map(|(_, why)| why)
}

/// Whether a running broker obeys a change of this property, if it serves it at all.
pub(crate) fn is_dynamic(row: &Row) -> bool {
    row.scope != Scope::ReadOnly && only_at_the_start(row.name).is_none()
}

/// See the module. Times are in milliseconds and sizes in bytes, as the names end.
#[derive(Debug, Clone, PartialEq)]
pub struct DynamicBrokerConfig {
    /// `cordoned.log.dirs`: paths of `log.dirs` that take no new replicas.
    pub cordoned_log_dirs: Vec<String>,
    /// `max.connections`.
    pub max_connections: u32,
    /// `max.connections.per.ip`.
    pub max_connections_per_ip: u32,
    /// `max.connections.per.ip.overrides`: other limits for some hosts, which are names or addresses.
    pub max_connections_per_ip_overrides: Vec<(String, u32)>,
    /// `num.recovery.threads.per.data.dir`; counts at the next start.
    pub num_recovery_threads_per_data_dir: usize,
    /// `replica.alter.log.dirs.io.max.bytes.per.second`, of all moves together; None for as many as they can.
    pub alter_log_dirs_max_bytes_per_second: Option<i64>,
    /// `producer.id.expiration.ms`.
    pub producer_id_expiration_ms: i64,
    /// `log.cleaner.threads`.
    pub log_cleaner_threads: usize,
    /// `log.cleaner.backoff.ms`.
    pub log_cleaner_backoff_ms: i64,
    /// `log.cleaner.dedupe.buffer.size`.
    pub log_cleaner_dedupe_buffer_size: u64,
    /// `log.cleaner.io.buffer.size`.
    pub log_cleaner_io_buffer_size: usize,
    /// `log.cleaner.io.buffer.load.factor`.
    pub log_cleaner_io_buffer_load_factor: f64,
    /// `log.cleaner.io.max.bytes.per.second`.
    pub log_cleaner_io_max_bytes_per_second: f64,
}

impl DynamicBrokerConfig {
    /// What holds for this broker by its settings and what the cluster has stored. A stored text that is no value is passed
    /// over, as is what only a start can change: another broker wrote it.
    #[must_use]
    pub fn resolve(broker: &BrokerConfig, configs: &ConfigsImage) -> Self {
        let settings = in_effect(broker, &Layers::of_broker(broker, configs));
        Self::read(&Reader::quiet(&settings), broker)
    }

    pub(crate) fn read(reader: &Reader<'_>, broker: &BrokerConfig) -> Self {
        let overrides = reader.text("max.connections.per.ip.overrides").unwrap_or_default();
        Self {
            cordoned_log_dirs: cordoned(&broker.log_dirs, &reader.list("cordoned.log.dirs")),
            max_connections: reader.number("max.connections"),
            max_connections_per_ip: reader.number("max.connections.per.ip"),
            max_connections_per_ip_overrides: parse_overrides(&overrides).unwrap_or_default(),
            num_recovery_threads_per_data_dir: reader.number("num.recovery.threads.per.data.dir"),
            alter_log_dirs_max_bytes_per_second: reader
                .dynamic_number("replica.alter.log.dirs.io.max.bytes.per.second"),
            producer_id_expiration_ms: reader.number("producer.id.expiration.ms"),
            log_cleaner_threads: reader.number("log.cleaner.threads"),
            log_cleaner_backoff_ms: reader.number("log.cleaner.backoff.ms"),
            log_cleaner_dedupe_buffer_size: reader.number("log.cleaner.dedupe.buffer.size"),
            log_cleaner_io_buffer_size: reader.number("log.cleaner.io.buffer.size"),
            log_cleaner_io_buffer_load_factor: reader.double("log.cleaner.io.buffer.load.factor"),
            log_cleaner_io_max_bytes_per_second: reader.double("log.cleaner.io.max.bytes.per.second"),
        }
    }
}

/// The settings of a node with what was set dynamically in the place of what was given at the start.
pub(crate) fn in_effect(broker: &BrokerConfig, layers: &Layers<'_>) -> Settings {
    let mut settings = Settings::clone(&broker.settings);
    for (id, values) in layers.dynamic() {
        for (name, text) in values {
            match broker::dynamic_row(name).filter(|row| is_dynamic(row)).map(|row| row.parse(text)) {
                Some(Ok(_)) => settings.insert(name, text, Origin::Dynamic { broker: id }),
                Some(Err(invalid)) => tracing::warn!(%invalid, "a stored configuration is passed over"),
                None => {}
            }
        }
    }
    settings
}

/// The log directories that `cordoned.log.dirs` names; `*` is all of them (KIP-1066).
fn cordoned(log_dirs: &[String], named: &[String]) -> Vec<String> {
    let is_named = |path: &&String| named.iter().any(|name| name == "*" || name == *path);
    log_dirs.iter().filter(is_named).cloned().collect()
}

/// `max.connections.per.ip.overrides`: hosts and their limits. Hosts are not looked up; an address of IPv6 stands as it is,
/// since the limit is what follows the last colon, as in Kafka (`AbstractKafkaConfig.getMap`).
pub(crate) fn parse_overrides(text: &str) -> Result<Vec<(String, u32)>, String> {
    let mut overrides = Vec::new();
    for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        let parsed = item.rsplit_once(':').and_then(|(host, limit)| {
            let limit = limit.trim().parse::<u32>().ok().filter(|limit| i32::try_from(*limit).is_ok())?;
            Some((host.trim().to_owned(), limit)).filter(|(host, _)| !host.is_empty())
        });
        overrides.push(parsed.ok_or_else(|| format!("`{item}` is not host:limit, such as 127.0.0.1:20"))?);
    }
    Ok(overrides)
}

#[cfg(test)]
#[path = "dynamic_tests.rs"]
mod tests;
