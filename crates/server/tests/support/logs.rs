//! Log directories as the storage layer writes them, without a broker: every codec, producers, transactions that ended both
//! ways and one that is open, several segments with all their indexes.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each scenario uses a part of it")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_env::fs;
use ottla_protocol::Uuid;
use ottla_protocol::compression::Compression;
use ottla_protocol::control_record::ControlRecordType;
use ottla_protocol::record_batch::{BatchBuilder, BatchOptions};
use ottla_storage::meta_properties::MetaProperties;
use ottla_storage::{AppendOrigin, Log, LogConfig, LogDir, OpenOptions};

pub const TOPIC: &str = "orders";
pub const NOW: i64 = 1_700_000_000_000;

/// An own log directory with the log of `orders-0` in it.
pub struct Written {
    pub dir: tempfile::TempDir,
    pub log: Option<Arc<Log>>,
    holder: Option<Arc<LogDir>>,
}

impl Written {
    /// An empty log that rolls and indexes early.
    pub fn new(segment_bytes: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let directory_id = Some(Uuid(*b"fedcba9876543210"));
        MetaProperties { version: 1, cluster_id: "c".to_owned(), node_id: 1, directory_id }.write(dir.path()).unwrap();
        let holder = LogDir::open(dir.path()).unwrap();
        let config = Arc::new(LogConfig { segment_bytes, index_interval_bytes: 512, ..LogConfig::default() });
        let id = Uuid(*b"0123456789abcdef");
        let log = Log::open(&holder, TOPIC, 0, id, config, OpenOptions::default()).unwrap();
        Self { dir, log: Some(log), holder: Some(holder) }
    }

    /// The partition's directory.
    pub fn partition(&self) -> PathBuf {
        self.dir.path().join(format!("{TOPIC}-0"))
    }

    fn log(&self) -> &Arc<Log> {
        self.log.as_ref().unwrap()
    }

    pub fn append(&self, mut batch: Vec<u8>) {
        self.log().append_as_leader(&mut batch, 0, AppendOrigin::Client, NOW).unwrap();
        self.log().set_high_watermark(self.log().log_end_offset());
    }

    /// Ends the transaction of a producer.
    pub fn mark(&self, producer_id: i64, kind: ControlRecordType) {
        let options = BatchOptions { producer_id, producer_epoch: 0, transactional: true, control: true, ..plain() };
        let mut marker = BatchBuilder::new(options);
        marker.append(NOW, Some(&kind.key()), Some(&[0, 0, 0, 0, 0, 1]), &[]);
        self.log().append_as_leader(&mut marker.build(), 0, AppendOrigin::Coordinator, NOW).unwrap();
        self.log().set_high_watermark(self.log().log_end_offset());
    }

    /// A batch of a producer's transaction.
    pub fn in_transaction(&self, producer_id: i64, base_sequence: i32, count: usize) {
        let options = BatchOptions { producer_id, producer_epoch: 0, base_sequence, transactional: true, ..plain() };
        self.append(batch(options, count, NOW, "in a transaction"));
    }

    /// `batches` batches of four records, of every codec, a third of them by an idempotent producer.
    pub fn fill(&self, batches: i32) {
        for n in 0..batches {
            let compression = Compression::ALL[n as usize % 5];
            let options = BatchOptions { compression, ..plain() };
            let options = match n % 3 {
                0 => BatchOptions { producer_id: 7, producer_epoch: 0, base_sequence: n / 3 * 4, ..options },
                _ => options,
            };
            // Timestamps climb, with batches in between that fall behind.
            let timestamp = NOW + i64::from(n) * 10 - if n % 7 == 0 { 500 } else { 0 };
            self.append(batch(options, 4, timestamp, &format!("record {n}")));
        }
    }

    /// Flushes and closes the log, and gives the lock back.
    pub fn close(&mut self) {
        if let Some(log) = self.log.take() {
            log.close().unwrap();
        }
        self.holder = None;
    }

    /// Writes what a broker's clean stop leaves: the mark, and checkpoints at the end of the log.
    pub fn mark_clean(&self, end: i64) {
        let checkpoint = format!("0\n1\n{TOPIC} 0 {end}\n");
        for name in ["recovery-point-offset-checkpoint", "replication-offset-checkpoint"] {
            fs::write_atomically(self.dir.path().join(name), &checkpoint).unwrap();
        }
        let mark = self.dir.path().join(".kafka_cleanshutdown");
        fs::write_atomically(mark, r#"{"version":0,"brokerEpoch":1}"#).unwrap();
    }

    /// Names of the partition's files with that ending, that are not empty.
    pub fn files(&self, ending: &str) -> Vec<PathBuf> {
        files(&self.partition(), &[ending])
    }
}

/// Files with one of those endings that are not empty, by name.
pub fn files(dir: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<_> =
        entries.iter().filter(|e| e.len > 0 && endings.iter().any(|s| e.name.ends_with(s))).map(|e| &e.name).collect();
    names.sort();
    names.into_iter().map(|name| dir.join(name)).collect()
}

pub fn plain() -> BatchOptions {
    BatchOptions::default()
}

/// A batch of `count` records.
pub fn batch(options: BatchOptions, count: usize, timestamp: i64, tag: &str) -> Vec<u8> {
    let mut builder = BatchBuilder::new(options);
    for n in 0..count {
        let value = format!("{tag}-{n}");
        builder.append(
            timestamp + n as i64,
            Some(b"key"),
            Some(value.as_bytes()),
            &[("h", None), ("naïve", Some(b"x"))],
        );
    }
    builder.build()
}

/// Where the log of [`written`] ends.
pub const END: i64 = 600 * 4 + 3 * 5 + 2;

/// The usual one: two segments at least, transactions, closed.
pub fn written() -> Written {
    let mut written = Written::new(32 << 10);
    written.fill(600);
    for (producer_id, kind) in
        [(8, ControlRecordType::Commit), (9, ControlRecordType::Abort), (10, ControlRecordType::Abort)]
    {
        written.in_transaction(producer_id, 0, 4);
        written.mark(producer_id, kind);
    }
    written.in_transaction(11, 0, 2);
    written.close();
    written
}
