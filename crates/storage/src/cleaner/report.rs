//! What a pass did, and what all passes did: for the log, for counters, for tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What [`LogManager::clean_once`](crate::LogManager::clean_once) did.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CleanReport {
    /// The log that was compacted; None if none was due, or its pass ended early.
    pub cleaned: Option<Cleaned>,
}

/// One pass.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cleaned {
    /// Topic.
    pub topic: Arc<str>,
    /// Partition.
    pub partition: i32,
    /// First offset of the dirty part.
    pub from: i64,
    /// Up to where the log is compacted now.
    pub to: i64,
    /// Bytes read to learn the keys.
    pub map_bytes_read: u64,
    /// Bytes read to be filtered.
    pub bytes_read: u64,
    /// Bytes of the compacted segments.
    pub bytes_written: u64,
    /// Records looked at.
    pub records_read: u64,
    /// Records that stay.
    pub records_kept: u64,
    /// Records without a key, which a compacted log does not keep.
    pub records_without_key: u64,
    /// Keys of the dirty part.
    pub keys: u64,
    /// Share of the map's slots that they took.
    pub map_utilization: f64,
    /// How often a file was read, for the keys and to be filtered.
    pub reads: u64,
    /// How many of the ms it took `log.cleaner.io.max.bytes.per.second` made it wait.
    pub throttled_ms: u64,
    /// How long it took, in ms.
    pub took_ms: i64,
}

/// All passes since the start. Names of Kafka's metrics (`kafka.log:type=LogCleaner`, `LogCleanerManager`) beside each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CleanerStats {
    /// Passes that were completed.
    pub passes: u64,
    /// Bytes read to be filtered.
    pub bytes_read: u64,
    /// Bytes written; over those read it is `cleaner-recopy-percent`.
    pub bytes_written: u64,
    /// Records looked at.
    pub records_read: u64,
    /// Records that stayed.
    pub records_kept: u64,
    /// Records without a key.
    pub records_without_key: u64,
    /// Longest pass, in ms: `max-clean-time-secs`.
    pub longest_ms: u64,
    /// `uncleanable-partitions-count`, a level.
    pub uncleanable_partitions: u64,
    /// `uncleanable-bytes`, a level.
    pub uncleanable_bytes: u64,
}

#[derive(Debug, Default)]
pub(super) struct Totals {
    passes: AtomicU64,
    bytes_read: AtomicU64,
    bytes_written: AtomicU64,
    records_read: AtomicU64,
    records_kept: AtomicU64,
    records_without_key: AtomicU64,
    longest_ms: AtomicU64,
}

impl Totals {
    pub(super) fn add(&self, pass: &Cleaned) {
        self.passes.fetch_add(1, Ordering::Relaxed);
        self.bytes_read.fetch_add(pass.bytes_read, Ordering::Relaxed);
        self.bytes_written.fetch_add(pass.bytes_written, Ordering::Relaxed);
        self.records_read.fetch_add(pass.records_read, Ordering::Relaxed);
        self.records_kept.fetch_add(pass.records_kept, Ordering::Relaxed);
        self.records_without_key.fetch_add(pass.records_without_key, Ordering::Relaxed);
        self.longest_ms.fetch_max(u64::try_from(pass.took_ms).unwrap_or(0), Ordering::Relaxed);
    }

    pub(super) fn stats(&self, uncleanable_partitions: u64, uncleanable_bytes: u64) -> CleanerStats {
        let get = |n: &AtomicU64| n.load(Ordering::Relaxed);
        CleanerStats {
            passes: get(&self.passes),
            bytes_read: get(&self.bytes_read),
            bytes_written: get(&self.bytes_written),
            records_read: get(&self.records_read),
            records_kept: get(&self.records_kept),
            records_without_key: get(&self.records_without_key),
            longest_ms: get(&self.longest_ms),
            uncleanable_partitions,
            uncleanable_bytes,
        }
    }
}

/// One line for each pass.
pub(super) fn tell(pass: &Cleaned) {
    let Cleaned { topic, partition, from, to, bytes_read, bytes_written, records_read, records_kept, .. } = pass;
    tracing::info!(
        %topic, partition, from, to, map_bytes_read = pass.map_bytes_read, bytes_read, bytes_written, records_read,
        records_kept, keys = pass.keys, map_utilization = pass.map_utilization, reads = pass.reads,
        throttled_ms = pass.throttled_ms, ms = pass.took_ms, "log is compacted"
    );
    if pass.records_without_key > 0 {
        tracing::warn!(%topic, partition, records = pass.records_without_key, "records without a key were dropped");
    }
}
