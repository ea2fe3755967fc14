//! One compacted log in a log manager, and batches to put into it.

use std::path::Path;
use std::sync::Arc;

use ottla_env::fs;
use ottla_protocol::control_record::ControlRecordType;
use ottla_protocol::record_batch::{self, BatchBuilder, BatchHeader, BatchOptions, batches};
use ottla_storage::{
    AppendOrigin, Cleaned, CleanerConfig, CleanupPolicy, Log, LogConfig, LogManager, LogManagerOptions,
};

use crate::support::{NOW, TOPIC, format, topic_id};

/// Settings that roll early and compact eagerly.
pub(crate) fn eager(segment_bytes: usize) -> LogConfig {
    LogConfig {
        cleanup_policy: CleanupPolicy { delete: false, compact: true },
        segment_bytes,
        index_interval_bytes: 128,
        min_cleanable_dirty_ratio: 0.0,
        delete_retention_ms: 1_000,
        ..LogConfig::default()
    }
}

/// See the module.
pub(crate) struct Store {
    pub(crate) temp: tempfile::TempDir,
    pub(crate) config: Arc<LogConfig>,
    cleaner: CleanerConfig,
    /// Absent only between two processes.
    manager: Option<Arc<LogManager>>,
}

impl Store {
    pub(crate) fn new(config: LogConfig) -> Self {
        Self::with_cleaner(config, CleanerConfig::default())
    }

    pub(crate) fn with_cleaner(config: LogConfig, cleaner: CleanerConfig) -> Self {
        let temp = tempfile::tempdir().unwrap();
        format(temp.path());
        let mut store = Self { temp, config: Arc::new(config), cleaner, manager: None };
        store.open();
        store
    }

    /// Opens the directory, as a new process does.
    pub(crate) fn open(&mut self) {
        self.manager = Some(self.start());
        let log = self.log();
        log.set_high_watermark(log.log_end_offset());
    }

    fn start(&self) -> Arc<LogManager> {
        let config = Arc::clone(&self.config);
        let manager = LogManager::open(LogManagerOptions {
            dirs: vec![self.temp.path().to_path_buf()],
            config_of: Box::new(move |_| Arc::clone(&config)),
            cleaner: self.cleaner.clone(),
            ..LogManagerOptions::default()
        });
        manager.unwrap()
    }

    /// Starts a process that cannot open the log, and ends it; gives what it says.
    pub(crate) fn refusal(&self) -> String {
        let refused = self.start().create(TOPIC, 0, topic_id(), Arc::clone(&self.config));
        refused.expect_err("it cannot be opened").to_string()
    }

    /// Ends the process, and opens the directory again.
    pub(crate) fn reopen(&mut self, clean: bool) {
        let manager = self.manager.take().unwrap();
        if clean {
            manager.stop(1).unwrap();
        }
        drop(manager);
        self.open();
    }

    pub(crate) fn close(&mut self) {
        self.manager.take().unwrap().stop(1).unwrap();
    }

    /// Makes `set` the only segment, from offset 0 on, of a log that ends at `end` and has nothing in it yet: as another
    /// process has left it.
    pub(crate) fn put_segment(&mut self, set: &[u8], end: i64) {
        self.log();
        self.close();
        fs::write_atomically(self.dir().join(format!("{:020}.log", 0)), set).unwrap();
        for index in [".index", ".timeindex"] {
            fs::remove_file(self.dir().join(format!("{:020}{index}", 0))).unwrap();
        }
        let notes = format!("0\n1\n{TOPIC} 0 {end}\n");
        fs::write_atomically(self.temp.path().join("recovery-point-offset-checkpoint"), notes).unwrap();
        self.open();
        assert_eq!((self.log().log_end_offset(), self.log().damaged()), (end, Vec::new()));
    }

    pub(crate) fn manager(&self) -> &Arc<LogManager> {
        self.manager.as_ref().unwrap()
    }

    pub(crate) fn log(&self) -> Arc<Log> {
        self.manager().create(TOPIC, 0, topic_id(), Arc::clone(&self.config)).unwrap()
    }

    pub(crate) fn dir(&self) -> std::path::PathBuf {
        self.temp.path().join(format!("{TOPIC}-0"))
    }

    /// Names in the log's directory with that ending.
    pub(crate) fn files(&self, ending: &str) -> Vec<String> {
        names(&self.dir(), ending)
    }

    pub(crate) fn append(&self, mut batch: Vec<u8>, origin: AppendOrigin) -> i64 {
        let log = self.log();
        let info = log.append_as_leader(&mut batch, 0, origin, NOW).unwrap();
        assert!(!info.duplicate);
        log.set_high_watermark(log.log_end_offset());
        info.first_offset
    }

    /// One record in a batch of its own.
    pub(crate) fn put(&self, key: &str, value: Option<&str>) -> i64 {
        let mut batch = BatchBuilder::new(BatchOptions::default());
        batch.append(NOW, Some(key.as_bytes()), value.map(str::as_bytes), &[]);
        self.append(batch.build(), AppendOrigin::Client)
    }

    /// A marker of a transaction.
    pub(crate) fn end_transaction(&self, producer_id: i64, commit: bool) -> i64 {
        let kind = if commit { ControlRecordType::Commit } else { ControlRecordType::Abort };
        let options = BatchOptions {
            producer_id,
            producer_epoch: 0,
            transactional: true,
            control: true,
            ..BatchOptions::default()
        };
        let mut marker = BatchBuilder::new(options);
        marker.append(NOW, Some(&kind.key()), Some(&[0, 0, 0, 0, 0, 1]), &[]);
        self.append(marker.build(), AppendOrigin::Coordinator)
    }

    /// Compacts if it is due.
    pub(crate) fn clean(&self, now_ms: i64) -> Option<Cleaned> {
        self.manager().clean_once(now_ms).cleaned
    }

    /// The heads of all batches.
    pub(crate) fn heads(&self) -> Vec<BatchHeader> {
        let log = self.log();
        let bytes = read_all(&log, log.log_start_offset(), || 1 << 20);
        batches(&bytes).map(|item| item.unwrap().0).collect()
    }

    /// All records but control records: offset, key, value.
    pub(crate) fn records(&self) -> Vec<(i64, String, Option<String>)> {
        let log = self.log();
        let bytes = read_all(&log, log.log_start_offset(), || 1 << 20);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let mut all = Vec::new();
        for item in batches(&bytes) {
            let (header, batch) = item.unwrap();
            let mut scratch = Vec::new();
            for record in record_batch::records(batch, &mut scratch, 1 << 20).unwrap() {
                let record = record.unwrap();
                if !header.is_control() {
                    let key = record.key.map_or("-".to_owned(), text);
                    all.push((header.offset_of(&record), key, record.value.map(text)));
                }
            }
        }
        all
    }

    /// What the checkpoint file says.
    pub(crate) fn checkpoint(&self) -> Option<i64> {
        let text = fs::read_to_string(self.temp.path().join("cleaner-offset-checkpoint")).ok()?;
        text.lines().find_map(|line| line.strip_prefix(&format!("{TOPIC} 0 "))?.parse().ok())
    }
}

pub(crate) fn names(dir: &Path, ending: &str) -> Vec<String> {
    fs::read_dir(dir).unwrap().into_iter().map(|e| e.name).filter(|name| name.ends_with(ending)).collect()
}

/// Fetches from `offset` to the log end. Unlike in a log that was never compacted, a fetch may begin behind its offset.
pub(crate) fn read_all(log: &Log, mut offset: i64, mut max_bytes: impl FnMut() -> u32) -> Vec<u8> {
    let mut all = Vec::new();
    while offset < log.log_end_offset() {
        let info = log.read(offset, max_bytes(), i64::MAX, true).unwrap();
        let bytes = info.slice.expect("one batch at least").read().unwrap();
        let last = batches(&bytes).last().unwrap().unwrap().0;
        assert!(last.next_offset() > offset, "nothing behind {offset}");
        offset = last.next_offset();
        all.extend(bytes);
    }
    all
}
