//! What the scenarios share: a formatted log directory, batches, and a reader that concatenates fetches.
#![allow(dead_code, unreachable_pub)]

use std::path::Path;
use std::sync::Arc;

use ottla_protocol::Uuid;
use ottla_protocol::record_batch::{BatchBuilder, BatchOptions, batches};
use ottla_storage::meta_properties::MetaProperties;
use ottla_storage::{AppendInfo, AppendOrigin, Log, LogConfig, LogDir, LogManagerOptions, OpenOptions};

pub const TOPIC: &str = "orders";
pub const NOW: i64 = 1_700_000_000_000;

pub fn topic_id() -> Uuid {
    Uuid(*b"0123456789abcdef")
}

/// Writes meta.properties.
pub fn format(path: &Path) {
    format_as(path, Uuid(*b"fedcba9876543210"));
}

/// Writes meta.properties with this directory id.
pub fn format_as(path: &Path, id: Uuid) {
    let directory_id = Some(id);
    MetaProperties { version: 1, cluster_id: "c".to_owned(), node_id: 1, directory_id }.write(path).expect("formatted");
}

/// A manager of these directories.
pub fn options(dirs: &[&Path]) -> LogManagerOptions {
    LogManagerOptions { dirs: dirs.iter().map(|d| d.to_path_buf()).collect(), ..LogManagerOptions::default() }
}

/// Settings that roll and index early.
pub fn small(segment_bytes: usize) -> Arc<LogConfig> {
    Arc::new(LogConfig { segment_bytes, index_interval_bytes: 64, ..LogConfig::default() })
}

/// Opens the log without any knowledge of how the process before ended.
pub fn open(dir: &Arc<LogDir>, config: &Arc<LogConfig>, options: OpenOptions) -> Arc<Log> {
    Log::open(dir, TOPIC, 0, topic_id(), Arc::clone(config), options).expect("opened")
}

/// A batch of `count` records that carry `tag`.
pub fn batch(count: usize, tag: &str) -> Vec<u8> {
    batch_by(BatchOptions::default(), count, tag)
}

pub fn batch_by(options: BatchOptions, count: usize, tag: &str) -> Vec<u8> {
    let mut builder = BatchBuilder::new(options);
    for n in 0..count {
        builder.append(NOW + n as i64, Some(b"key"), Some(format!("{tag}-{n}").as_bytes()), &[]);
    }
    builder.build()
}

pub fn append(log: &Log, mut batch: Vec<u8>) -> AppendInfo {
    let info = log.append_as_leader(&mut batch, 0, AppendOrigin::Client, NOW).expect("appended");
    log.set_high_watermark(log.log_end_offset());
    info
}

/// Fetches from `offset` to the log end and gives the bytes, and every fetch's first offset.
pub fn read_all(log: &Log, mut offset: i64, mut max_bytes: impl FnMut() -> u32) -> Vec<u8> {
    let mut all = Vec::new();
    while offset < log.log_end_offset() {
        let budget = max_bytes();
        let info = log.read(offset, budget, i64::MAX, true).expect("read");
        let slice = info.slice.expect("one batch at least");
        let bytes = slice.read().expect("whole");
        assert!(
            slice.len <= budget || batches(&bytes).count() == 1,
            "only a single batch may be larger than the budget"
        );
        let mut next = None;
        let mut walk = batches(&bytes);
        for item in &mut walk {
            let (header, _) = item.expect("a batch");
            next.get_or_insert((header.base_offset, 0)).1 = header.next_offset();
        }
        assert_eq!(walk.partial_tail(), 0, "only whole batches");
        let (first, end) = next.expect("a batch");
        assert!(first <= offset && offset < end, "the slice begins with the batch that holds {offset}");
        all.extend(bytes);
        offset = end;
    }
    all
}
