//! A log that is compacted by hand, pass by pass: every codec, producers that lost all they wrote, transactions that ended both
//! ways, tombstones on both sides of their delete horizon, and what versions before 0.11 wrote.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each scenario uses a part of it")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_env::fs;
use ottla_protocol::Uuid;
use ottla_protocol::compression::Compression;
use ottla_protocol::control_record::ControlRecordType;
use ottla_protocol::record_batch::{BatchBuilder, BatchHeader, BatchOptions, batches};
use ottla_storage::meta_properties::MetaProperties;
use ottla_storage::{AppendOrigin, Cleaned, CleanupPolicy, Log, LogConfig, LogManager, LogManagerOptions};

use super::logs::{NOW, TOPIC, files, plain};

/// `delete.retention.ms`
pub const RETENTION_MS: i64 = 1_000;
const KEYS: i32 = 11;
/// Beyond those that a broker gives to the clients of a test.
const FIRST_PRODUCER: i64 = 1_000_000;

/// See the module.
pub struct Compacting {
    manager: Arc<LogManager>,
    config: Arc<LogConfig>,
    dir: PathBuf,
}

/// A log directory with nothing in it.
pub fn formatted() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let directory_id = Some(Uuid(*b"fedcba9876543210"));
    MetaProperties { version: 1, cluster_id: "c".to_owned(), node_id: 1, directory_id }.write(dir.path()).unwrap();
    dir
}

impl Compacting {
    /// Opens a log directory, whoever wrote it.
    pub fn open(dir: &Path) -> Self {
        let config = Arc::new(LogConfig {
            cleanup_policy: CleanupPolicy { delete: false, compact: true },
            segment_bytes: 6_000,
            index_interval_bytes: 200,
            min_cleanable_dirty_ratio: 0.0,
            delete_retention_ms: RETENTION_MS,
            ..LogConfig::default()
        });
        let of_topic = Arc::clone(&config);
        let manager = LogManager::open(LogManagerOptions {
            dirs: vec![dir.to_path_buf()],
            config_of: Box::new(move |_| Arc::clone(&of_topic)),
            ..LogManagerOptions::default()
        });
        Self { manager: manager.unwrap(), config, dir: dir.to_path_buf() }
    }

    /// The log; made if it is not there.
    pub fn log(&self) -> Arc<Log> {
        let id = Uuid(*b"0123456789abcdef");
        self.manager
            .get(TOPIC, 0)
            .unwrap_or_else(|| self.manager.create(TOPIC, 0, id, Arc::clone(&self.config)).unwrap())
    }

    fn append(&self, mut batch: Vec<u8>, origin: AppendOrigin) {
        let log = self.log();
        let epoch = log.latest_epoch().unwrap_or(0);
        let info = log.append_as_leader(&mut batch, epoch, origin, NOW).unwrap();
        assert!(!info.duplicate);
        log.set_high_watermark(log.log_end_offset());
    }

    /// Four records of a producer, or of none; some are tombstones.
    fn put(&self, options: BatchOptions, first_key: i32, what: &str) {
        let mut batch = BatchBuilder::new(options);
        for n in first_key..first_key + 4 {
            let (key, value) = (format!("k{}", n % KEYS), format!("{what} {n} {}", "x".repeat(40)));
            batch.append(NOW + i64::from(n), Some(key.as_bytes()), Some(value.as_bytes()), &[("h", Some(b"v"))]);
        }
        if options.producer_id < 0 {
            // A key of its own, so that something is left of it.
            batch.append(NOW, Some(format!("{what} {first_key}").as_bytes()), Some(b"stays"), &[]);
        }
        let gone = format!("gone{}", first_key % 5);
        batch.append(NOW, Some(gone.as_bytes()), None, &[]);
        self.append(batch.build(), AppendOrigin::Client);
    }

    /// Some of everything; `round` counts from 0, so that producers go on.
    pub fn fill(&self, round: i32) {
        for (n, compression) in (0..30).zip(Compression::ALL.into_iter().cycle()) {
            self.put(BatchOptions { compression, ..plain() }, n * 4 + round, &format!("of {round}"));
            if n % 6 == 0 {
                let base_sequence = (round * 5 + n / 6) * 5;
                self.put(
                    BatchOptions {
                        producer_id: FIRST_PRODUCER,
                        producer_epoch: 0,
                        base_sequence,
                        compression,
                        ..plain()
                    },
                    n,
                    "of a producer",
                );
            }
        }
        for (producer_id, kind) in
            [(FIRST_PRODUCER + 1, ControlRecordType::Commit), (FIRST_PRODUCER + 2, ControlRecordType::Abort)]
        {
            let options = BatchOptions { producer_id, producer_epoch: 0, transactional: true, ..plain() };
            for n in 0..3 {
                self.put(BatchOptions { base_sequence: (round * 3 + n) * 5, ..options }, n, "in a transaction");
            }
            let mut marker = BatchBuilder::new(BatchOptions { control: true, ..options });
            marker.append(NOW, Some(&kind.key()), Some(&[0, 0, 0, 0, 0, 1]), &[]);
            self.append(marker.build(), AppendOrigin::Coordinator);
        }
        // Closes the segment before it, whose records are all superseded.
        for _ in 0..3 {
            let mut batch = BatchBuilder::new(plain());
            batch.append(NOW, Some(b"end"), Some(&[b'x'; 5_900]), &[]);
            self.append(batch.build(), AppendOrigin::Client);
        }
    }

    /// One pass at that time.
    pub fn pass(&self, now_ms: i64) -> Option<Cleaned> {
        let cleaned = self.manager.clean_once(now_ms).cleaned;
        assert_eq!(self.manager.cleaner_stats().uncleanable_partitions, 0);
        cleaned
    }

    /// Stops cleanly.
    pub fn close(self) {
        self.manager.stop(1).unwrap();
    }

    /// The partition's directory.
    pub fn partition(&self) -> PathBuf {
        self.dir.join(format!("{TOPIC}-0"))
    }
}

/// Heads of all batches of magic 2 in a partition's directory.
pub fn heads(partition: &Path) -> Vec<BatchHeader> {
    let logs = files(partition, &[".log"]);
    logs.iter().flat_map(|log| batches(&fs::read(log).unwrap()).map(|b| b.unwrap().0).collect::<Vec<_>>()).collect()
}

/// Makes the only segment of an empty log what Apache Kafka's code wrote of magic 0, in that codec, and of magic 1, in all of
/// them: keys and tombstones come again and again, at offsets from 1000 on. Gives where it ends.
pub fn put_legacy(dir: &Path, codec: &str) -> i64 {
    let log = Compacting::open(dir);
    log.log();
    let partition = log.partition();
    log.close();
    for file in fs::read_dir(&partition).unwrap() {
        if file.name.starts_with("0000") {
            fs::remove_file(partition.join(&file.name)).unwrap();
        }
    }
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/tests/kafka_batches");
    let mut set = fs::read(fixtures.join(format!("magic0-{codec}.bin"))).unwrap();
    let mut end = 1_100;
    for codec in ["none", "gzip", "snappy", "lz4"] {
        let mut bytes = fs::read(fixtures.join(format!("magic1-{codec}.bin"))).unwrap();
        // Offsets lie before the checksum, and those within a wrapper count from its last one's.
        let mut at = 0;
        while at < bytes.len() {
            let head: [u8; 12] = bytes[at..at + 12].try_into().unwrap();
            let offset = i64::from_be_bytes(head[..8].try_into().unwrap()) - 1_000 + end;
            bytes[at..at + 8].copy_from_slice(&offset.to_be_bytes());
            at += 12 + u32::from_be_bytes(head[8..].try_into().unwrap()) as usize;
        }
        set.extend(bytes);
        end += 100;
    }
    fs::write_atomically(partition.join(format!("{:020}.log", 1_000)), set).unwrap();
    fs::write_atomically(dir.join("recovery-point-offset-checkpoint"), format!("0\n1\n{TOPIC} 0 {end}\n")).unwrap();
    end
}
