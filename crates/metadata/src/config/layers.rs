//! [`Layers`]: where the value of a property may come from, strongest first
//!
//! ```text
//!   the topic's own  >  this broker's dynamic  >  all brokers' dynamic  >  this broker's settings  >  Kafka's default
//! ```
//!
//! A topic property falls back to broker properties of other names, which its row lists: `retention.ms` to
//! `log.retention.ms`, else `log.retention.minutes`, else `log.retention.hours`.

use std::collections::BTreeMap;

use crate::config::broker_config::BrokerConfig;
use crate::config::row::{Row, Synonym};
use crate::config::settings::Settings;
use crate::config::value::Value;
use crate::image::ConfigsImage;

/// Where a value came from (`DescribeConfigsResponse.ConfigSource`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i8)]
pub enum ConfigSource {
    /// The topic's own.
    Topic = 1,
    /// Set for this broker while it runs.
    DynamicBroker = 2,
    /// Set for all brokers while they run.
    DynamicDefaultBroker = 3,
    /// Given at the start.
    StaticBroker = 4,
    /// Kafka's default.
    Default = 5,
    /// Log level of a logger.
    BrokerLogger = 6,
    /// Subscription of client metrics.
    ClientMetrics = 7,
    /// The group's own.
    Group = 8,
}

type Values = BTreeMap<String, String>;

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct Layers<'a> {
    pub(crate) topic: Option<&'a Values>,
    node_id: i32,
    per_broker: Option<&'a Values>,
    cluster: Option<&'a Values>,
    settings: &'a Settings,
}

impl<'a> Layers<'a> {
    /// Those of a topic, as this broker sees it.
    #[must_use]
    pub fn of_topic(broker: &'a BrokerConfig, configs: &'a ConfigsImage, topic: &str) -> Self {
        Self { topic: configs.topic(topic).map(|values| &**values), ..Self::of_broker(broker, configs) }
    }

    /// Those of a topic that is only being created, with what it is to have of its own.
    #[must_use]
    pub fn of_new_topic(
        broker: &'a BrokerConfig,
        configs: &'a ConfigsImage,
        own: &'a BTreeMap<String, String>,
    ) -> Self {
        Self { topic: Some(own), ..Self::of_broker(broker, configs) }
    }

    /// Those of this broker.
    #[must_use]
    pub fn of_broker(broker: &'a BrokerConfig, configs: &'a ConfigsImage) -> Self {
        Self {
            topic: None,
            node_id: broker.node_id,
            per_broker: configs.broker(Some(broker.node_id)).map(|values| &**values),
            cluster: configs.broker(None).map(|values| &**values),
            settings: &broker.settings,
        }
    }

    /// The same with other values for this broker, or with `per_broker` false for all.
    pub(crate) fn with_dynamic(self, per_broker: bool, values: &'a BTreeMap<String, String>) -> Self {
        if per_broker { Self { per_broker: Some(values), ..self } } else { Self { cluster: Some(values), ..self } }
    }

    /// What was set dynamically, weakest first, with the broker that it was set for.
    pub(crate) fn dynamic(&self) -> impl Iterator<Item = (Option<i32>, &'a Values)> {
        let of_all = self.cluster.map(|values| (None, values));
        of_all.into_iter().chain(self.per_broker.map(|values| (Some(self.node_id), values)))
    }

    /// What was set for a broker property in one layer.
    pub(crate) fn set_in(&self, source: ConfigSource, name: &str) -> Option<&'a str> {
        match source {
            ConfigSource::DynamicBroker => self.per_broker?.get(name).map(String::as_str),
            ConfigSource::DynamicDefaultBroker => self.cluster?.get(name).map(String::as_str),
            ConfigSource::StaticBroker => {
                // Either of the two names of a broker's id is filled in from the other, as in Kafka.
                let other = match name {
                    "broker.id" => "node.id",
                    "node.id" => "broker.id",
                    other => other,
                };
                let setting = self.settings.get(name).or_else(|| self.settings.get(other));
                setting.map(|setting| setting.value.as_str())
            }
            ConfigSource::Topic
            | ConfigSource::Default
            | ConfigSource::BrokerLogger
            | ConfigSource::ClientMetrics
            | ConfigSource::Group => None,
        }
    }

    /// What was set for a broker property in the strongest layer.
    pub(crate) fn broker_value(&self, name: &str) -> Option<&'a str> {
        BROKER_SOURCES.into_iter().find_map(|source| self.set_in(source, name))
    }

    /// The value of a topic property; `None` when neither anybody nor Kafka gives one. A stored text that is no value is
    /// passed over: it was written by another release.
    pub(crate) fn topic_value(&self, row: &Row) -> Option<Value> {
        let valid = |text: &str| match row.parse(text) {
            Ok(value) => Some(value),
            Err(invalid) => {
                tracing::warn!(%invalid, "a stored configuration is passed over");
                None
            }
        };
        let own = self.topic.and_then(|values| values.get(row.name)).and_then(|text| valid(text));
        let inherited = || row.synonyms.iter().find_map(|synonym| valid(&self.scaled(synonym)?));
        own.or_else(inherited).or_else(|| valid(row.default?))
    }

    /// The value of a broker property in the unit of the topic's.
    fn scaled(&self, synonym: &Synonym) -> Option<String> {
        let text = self.broker_value(synonym.name)?;
        match text.trim().parse::<i64>() {
            // Below zero means "for ever", whatever the unit.
            Ok(n) if synonym.factor != 1 => Some(if n < 0 { -1 } else { n.saturating_mul(synonym.factor) }.to_string()),
            _ => Some(text.to_owned()),
        }
    }
}

/// The layers of broker properties, strongest first.
pub(crate) const BROKER_SOURCES: [ConfigSource; 3] =
    [ConfigSource::DynamicBroker, ConfigSource::DynamicDefaultBroker, ConfigSource::StaticBroker];
