//! From a topic's configuration, as the metadata has it, to the settings of its logs.

use ottla_metadata::config::{BrokerConfig, TopicConfig};
use ottla_metadata::image::MetadataImage;
use ottla_protocol::compression::Compression;
use ottla_storage::{CleanupPolicy, LogConfig};

/// The settings of a topic's logs: its own, else the broker's, else Kafka's defaults.
#[must_use]
pub fn log_config(broker: &BrokerConfig, image: &MetadataImage, topic: &str) -> LogConfig {
    let t = TopicConfig::resolve(broker, &image.configs, topic);
    LogConfig {
        cleanup_policy: CleanupPolicy { delete: t.cleanup_policy_delete, compact: t.cleanup_policy_compact },
        max_message_bytes: t.max_message_bytes,
        max_decompressed_message_bytes: t.max_decompressed_message_bytes,
        min_insync_replicas: t.min_insync_replicas,
        segment_bytes: t.segment_bytes,
        segment_ms: t.segment_ms,
        segment_jitter_ms: t.segment_jitter_ms,
        segment_index_bytes: t.segment_index_bytes,
        index_interval_bytes: t.index_interval_bytes,
        retention_ms: t.retention_ms,
        retention_bytes: t.retention_bytes,
        file_delete_delay_ms: t.file_delete_delay_ms,
        log_append_time: t.message_timestamp_type_append,
        message_timestamp_before_max_ms: t.message_timestamp_before_max_ms,
        message_timestamp_after_max_ms: t.message_timestamp_after_max_ms,
        delete_retention_ms: t.delete_retention_ms,
        min_cleanable_dirty_ratio: t.min_cleanable_dirty_ratio,
        min_compaction_lag_ms: t.min_compaction_lag_ms,
        max_compaction_lag_ms: t.max_compaction_lag_ms,
        flush_messages: t.flush_messages,
        flush_ms: t.flush_ms,
        preallocate: t.preallocate,
        compression: compression(&t),
        reserve_bytes: 0,
    }
}

/// The codec that the broker stores batches in, with the level that the topic has for it.
fn compression(t: &TopicConfig) -> Option<(Compression, Option<i32>)> {
    match t.compression_type.as_str() {
        "uncompressed" => Some((Compression::None, None)),
        "gzip" => Some((Compression::Gzip, Some(t.compression_gzip_level))),
        "snappy" => Some((Compression::Snappy, None)),
        "lz4" => Some((Compression::Lz4, Some(t.compression_lz4_level))),
        "zstd" => Some((Compression::Zstd, Some(t.compression_zstd_level))),
        // `producer`; the table has no other.
        _ => None,
    }
}
