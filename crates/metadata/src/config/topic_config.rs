//! [`TopicConfig`]: the properties of one topic, typed; and the check of what somebody wants to set.

use std::collections::BTreeMap;

use crate::config::broker_config::BrokerConfig;
use crate::config::layers::Layers;
use crate::config::row::Served;
use crate::config::settings::did_you_mean;
use crate::config::suggest::nearest;
use crate::config::topic;
use crate::config::value::{InvalidValue, Value};
use crate::image::ConfigsImage;

/// The properties of a topic, as Kafka names them, dots to underscores. Times in milliseconds, sizes in bytes.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "each field is the property of that name, described in its row")]
pub struct TopicConfig {
    pub cleanup_policy_delete: bool,
    pub cleanup_policy_compact: bool,
    pub compression_gzip_level: i32,
    pub compression_lz4_level: i32,
    pub compression_type: String,
    pub compression_zstd_level: i32,
    pub delete_retention_ms: i64,
    pub file_delete_delay_ms: i64,
    pub flush_messages: i64,
    pub flush_ms: i64,
    pub index_interval_bytes: usize,
    pub max_compaction_lag_ms: i64,
    pub max_decompressed_message_bytes: usize,
    pub max_message_bytes: usize,
    pub message_timestamp_after_max_ms: i64,
    pub message_timestamp_before_max_ms: i64,
    /// Whether `message.timestamp.type` is LogAppendTime.
    pub message_timestamp_type_append: bool,
    pub min_cleanable_dirty_ratio: f64,
    pub min_compaction_lag_ms: i64,
    pub min_insync_replicas: usize,
    pub preallocate: bool,
    pub retention_bytes: i64,
    pub retention_ms: i64,
    pub segment_bytes: usize,
    pub segment_index_bytes: usize,
    pub segment_jitter_ms: i64,
    pub segment_ms: i64,
    pub unclean_leader_election_enable: bool,
}

impl TopicConfig {
    /// The properties of a topic: its own, else what its broker gives.
    #[must_use]
    pub fn resolve(broker: &BrokerConfig, configs: &ConfigsImage, topic: &str) -> Self {
        let layers = Layers::of_topic(broker, configs, topic);
        let value = |name| layers.topic_value(topic::row(name).expect("only topic properties are asked for"));
        let long = |name| match value(name) {
            Some(Value::Number(n)) => n,
            _ => 0,
        };
        // The table holds these to 31 bits.
        let size = |name| usize::try_from(long(name)).unwrap_or(0);
        let level = |name| i32::try_from(long(name)).unwrap_or(0);
        let fraction = |name| match value(name) {
            Some(Value::Double(f)) => f,
            _ => 0.0,
        };
        let boolean = |name| value(name) == Some(Value::Boolean(true));
        let text = |name| match value(name) {
            Some(Value::Text(text)) => text,
            _ => String::new(),
        };
        let policies = match value("cleanup.policy") {
            Some(Value::List(policies)) => policies,
            _ => Vec::new(),
        };
        let segment_bytes = match value("internal.segment.bytes") {
            Some(Value::Number(n)) => usize::try_from(n).unwrap_or(0),
            _ => size("segment.bytes"),
        };
        Self {
            cleanup_policy_delete: policies.iter().any(|policy| policy == "delete"),
            cleanup_policy_compact: policies.iter().any(|policy| policy == "compact"),
            compression_gzip_level: level("compression.gzip.level"),
            compression_lz4_level: level("compression.lz4.level"),
            compression_type: text("compression.type"),
            compression_zstd_level: level("compression.zstd.level"),
            delete_retention_ms: long("delete.retention.ms"),
            file_delete_delay_ms: long("file.delete.delay.ms"),
            flush_messages: long("flush.messages"),
            flush_ms: long("flush.ms"),
            index_interval_bytes: size("index.interval.bytes"),
            max_compaction_lag_ms: long("max.compaction.lag.ms"),
            max_decompressed_message_bytes: size("max.decompressed.message.bytes"),
            max_message_bytes: size("max.message.bytes"),
            message_timestamp_after_max_ms: long("message.timestamp.after.max.ms"),
            message_timestamp_before_max_ms: long("message.timestamp.before.max.ms"),
            message_timestamp_type_append: text("message.timestamp.type") == "LogAppendTime",
            min_cleanable_dirty_ratio: fraction("min.cleanable.dirty.ratio"),
            min_compaction_lag_ms: long("min.compaction.lag.ms"),
            min_insync_replicas: size("min.insync.replicas"),
            preallocate: boolean("preallocate"),
            retention_bytes: long("retention.bytes"),
            retention_ms: long("retention.ms"),
            segment_bytes,
            segment_index_bytes: size("segment.index.bytes"),
            segment_jitter_ms: long("segment.jitter.ms"),
            segment_ms: long("segment.ms"),
            unclean_leader_election_enable: boolean("unclean.leader.election.enable"),
        }
    }
}

/// Why a topic cannot have a property (`INVALID_CONFIG`).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopicConfigError {
    /// No such property.
    #[error("topics have no property `{name}`{}", did_you_mean(*.nearest))]
    Unknown {
        /// The name.
        name: String,
        /// A property that may have been meant.
        nearest: Option<&'static str>,
    },
    /// No such value.
    #[error(transparent)]
    Invalid(#[from] InvalidValue),
    /// A value that is not served, and must not be ignored.
    #[error("`{name}` cannot be `{value}`: {sentence}")]
    Refused {
        /// Property.
        name: &'static str,
        /// Value.
        value: String,
        /// Why, and what to do.
        sentence: &'static str,
    },
    /// Two values that exclude each other.
    #[error("`{lower}` must not be above `{upper}`")]
    OutOfOrder {
        /// The one that should be lower.
        lower: &'static str,
        /// The other.
        upper: &'static str,
    },
}

/// Checks all that is to be set for a topic. Gives back the names of properties that are not served yet, other than at
/// their default: they are kept, without effect, and a warning should name them.
///
/// # Errors
/// [`TopicConfigError`], the first by name.
pub fn check_topic_configs(values: &BTreeMap<String, String>) -> Result<Vec<&'static str>, TopicConfigError> {
    let mut unserved = Vec::new();
    for (name, text) in values {
        let unknown = || TopicConfigError::Unknown {
            name: name.clone(),
            nearest: nearest(name, topic::rows().map(|row| row.name)),
        };
        let row = topic::row(name).ok_or_else(unknown)?;
        let value = row.parse(text)?;
        let is_default = row.default.and_then(|default| row.parse(default).ok()) == Some(value);
        match row.served {
            Served::Yes { .. } => {}
            _ if is_default => {}
            Served::Warn => unserved.push(row.name),
            Served::Refuse(sentence) => {
                return Err(TopicConfigError::Refused { name: row.name, value: text.clone(), sentence });
            }
        }
    }
    let number = |name| values.get(name).and_then(|text: &String| text.trim().parse::<i64>().ok());
    let (lower, upper) = ("min.compaction.lag.ms", "max.compaction.lag.ms");
    match (number(lower), number(upper)) {
        (Some(min), Some(max)) if min > max => Err(TopicConfigError::OutOfOrder { lower, upper }),
        _ => Ok(unserved),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;
    use crate::delta::MetadataDelta;
    use crate::image::{ConfigResource, MetadataImage};
    use crate::records::ConfigRecord;
    use std::sync::Arc;

    fn broker(flags: &[&str]) -> BrokerConfig {
        let mut settings = Settings::first_run();
        for flag in flags {
            settings.add_flag(flag).unwrap();
        }
        BrokerConfig::from_settings(&settings).unwrap().0
    }

    fn image(values: &[(ConfigResource, &str, &str)]) -> MetadataImage {
        let mut delta = MetadataDelta::new(Arc::new(MetadataImage::default()));
        for (resource, name, value) in values {
            let record = ConfigRecord {
                resource_type: resource.kind as i8,
                resource_name: resource.name.clone(),
                name: (*name).to_owned(),
                value: Some((*value).to_owned()),
            };
            delta.replay(&record.into()).unwrap();
        }
        delta.apply(0, 0)
    }

    fn topic() -> ConfigResource {
        ConfigResource::topic("t")
    }

    #[test]
    fn without_anything_set_kafkas_defaults_hold() {
        let t = TopicConfig::resolve(&broker(&[]), &MetadataImage::default().configs, "t");
        assert!(t.cleanup_policy_delete && !t.cleanup_policy_compact);
        assert_eq!((t.retention_ms, t.segment_ms, t.segment_bytes), (604_800_000, 604_800_000, 1 << 30));
        assert_eq!((t.flush_ms, t.max_message_bytes), (i64::MAX, 1_048_588));
        assert_eq!(t.compression_type, "producer");
    }

    #[test]
    fn the_stronger_layer_wins() {
        let broker = broker(&["min.insync.replicas=2", "node.id=7", "controller.quorum.voters=7@h:9093"]);
        let resolve = |values: &[(ConfigResource, &str, &str)]| {
            TopicConfig::resolve(&broker, &image(values).configs, "t").min_insync_replicas
        };
        let name = "min.insync.replicas";
        assert_eq!(resolve(&[]), 2);
        assert_eq!(resolve(&[(ConfigResource::broker(None), name, "3")]), 3);
        let dynamic = [(ConfigResource::broker(None), name, "3"), (ConfigResource::broker(Some(7)), name, "4")];
        assert_eq!(resolve(&dynamic), 4);
        assert_eq!(resolve(&[(ConfigResource::broker(Some(7)), name, "4"), (topic(), name, "5")]), 5);
        // What another release wrote and we cannot read is passed over.
        assert_eq!(resolve(&[(topic(), name, "all")]), 2);
    }

    #[test]
    fn hours_and_minutes_become_milliseconds() {
        let retention =
            |flags: &[&str]| TopicConfig::resolve(&broker(flags), &MetadataImage::default().configs, "t").retention_ms;
        assert_eq!(retention(&["log.retention.hours=2"]), 7_200_000);
        assert_eq!(retention(&["log.retention.hours=2", "log.retention.minutes=3"]), 180_000);
        assert_eq!(retention(&["log.retention.minutes=3", "log.retention.ms=4"]), 4);
        assert_eq!(retention(&["log.retention.hours=-1"]), -1);
        assert_eq!(retention(&["log.retention.minutes=2147483647"]), 2_147_483_647 * 60_000);
    }

    #[test]
    fn what_is_set_for_a_topic_is_checked_by_the_table() {
        let check = |values: &[(&str, &str)]| {
            let values = values.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            check_topic_configs(&values).map_err(|e| e.to_string())
        };
        assert_eq!(check(&[("retention.ms", "1"), ("cleanup.policy", "compact,delete")]), Ok(vec![]));
        assert_eq!(
            check(&[("remote.copy.lag.bytes", "5"), ("compression.zstd.level", "4")]),
            Ok(vec!["remote.copy.lag.bytes"])
        );
        let refused = |values| check(values).unwrap_err();
        assert_eq!(
            refused(&[("retention.mss", "1")]),
            "topics have no property `retention.mss`; did you mean `retention.ms`?"
        );
        assert_eq!(refused(&[("retention.ms", "-2")]), "`retention.ms` cannot be `-2`: it must be at least -1");
        assert!(refused(&[("remote.storage.enable", "true")]).contains("remote storage is not served yet"));
        assert_eq!(
            refused(&[("min.compaction.lag.ms", "5"), ("max.compaction.lag.ms", "4")]),
            "`min.compaction.lag.ms` must not be above `max.compaction.lag.ms`"
        );
    }
}
