//! The settings of a log that come from its topic, with Kafka's defaults. Only what this crate acts upon.

use ottla_protocol::compression::Compression;

/// What becomes of old records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CleanupPolicy {
    /// `delete`: whole segments go when they are too old or too many.
    pub delete: bool,
    /// `compact`: the latest record of each key stays; records need keys.
    pub compact: bool,
}

/// Settings of one log. Bytes and milliseconds, as the names end.
#[derive(Debug, Clone, PartialEq)]
pub struct LogConfig {
    /// `cleanup.policy`
    pub cleanup_policy: CleanupPolicy,
    /// `max.message.bytes`: of one batch, compressed, with its head.
    pub max_message_bytes: usize,
    /// `max.decompressed.message.bytes` (4.4)
    pub max_decompressed_message_bytes: usize,
    /// `min.insync.replicas`: acted upon by the replica layer, which finds its settings here too.
    pub min_insync_replicas: usize,
    /// `segment.bytes`
    pub segment_bytes: usize,
    /// `segment.ms`, by the timestamps of records
    pub segment_ms: i64,
    /// `segment.jitter.ms`: up to so much earlier, drawn for each segment
    pub segment_jitter_ms: i64,
    /// `segment.index.bytes`: of one index file
    pub segment_index_bytes: usize,
    /// `index.interval.bytes`: between two entries of an index
    pub index_interval_bytes: usize,
    /// `retention.ms`; -1 for ever
    pub retention_ms: i64,
    /// `retention.bytes`; -1 without bound
    pub retention_bytes: i64,
    /// `file.delete.delay.ms`
    pub file_delete_delay_ms: i64,
    /// `message.timestamp.type`: true for LogAppendTime
    pub log_append_time: bool,
    /// `message.timestamp.before.max.ms`
    pub message_timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`
    pub message_timestamp_after_max_ms: i64,
    /// `delete.retention.ms`: how long compaction keeps tombstones and transaction markers
    pub delete_retention_ms: i64,
    /// `min.cleanable.dirty.ratio`: share of bytes not compacted yet from which on the log is compacted
    pub min_cleanable_dirty_ratio: f64,
    /// `min.compaction.lag.ms`: how long a record is left alone by compaction
    pub min_compaction_lag_ms: i64,
    /// `max.compaction.lag.ms`: after how long a record is compacted whatever the ratio
    pub max_compaction_lag_ms: i64,
    /// `flush.messages`: records that may be acknowledged without a sync
    pub flush_messages: i64,
    /// `flush.ms`: between two syncs, in the background
    pub flush_ms: i64,
    /// `preallocate`: a new segment's file has `segment.bytes` at once, and is cut when it is closed
    pub preallocate: bool,
    /// `compression.type` with its level: the codec that batches are stored in; None for that of their producer
    pub compression: Option<(Compression, Option<i32>)>,
    /// Bytes of the device kept reserved behind the log's end, without making the file longer; 0 for none. For a log that
    /// must go on when others have filled the device.
    pub reserve_bytes: u64,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            cleanup_policy: CleanupPolicy { delete: true, compact: false },
            max_message_bytes: 1_048_588,
            max_decompressed_message_bytes: 2_147_483_639,
            min_insync_replicas: 1,
            segment_bytes: 1 << 30,
            segment_ms: 604_800_000,
            segment_jitter_ms: 0,
            segment_index_bytes: 10 << 20,
            index_interval_bytes: 4096,
            retention_ms: 604_800_000,
            retention_bytes: -1,
            file_delete_delay_ms: 60_000,
            log_append_time: false,
            message_timestamp_before_max_ms: i64::MAX,
            message_timestamp_after_max_ms: 3_600_000,
            delete_retention_ms: 86_400_000,
            min_cleanable_dirty_ratio: 0.5,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: i64::MAX,
            flush_messages: i64::MAX,
            flush_ms: i64::MAX,
            preallocate: false,
            compression: None,
            reserve_bytes: 0,
        }
    }
}

impl LogConfig {
    /// The age at which a segment is closed: no later than its records must be compacted, which is done to closed segments
    /// only.
    pub(crate) fn max_segment_ms(&self) -> i64 {
        if self.cleanup_policy.compact && self.max_compaction_lag_ms > 0 {
            self.segment_ms.min(self.max_compaction_lag_ms)
        } else {
            self.segment_ms
        }
    }
}
