//! Compaction: of the records of each key the last one stays. Kafka classes: `LogCleaner`, `Cleaner`, `LogCleanerManager`.
//!
//! ```text
//!   policy (which log, which part) ──> pass ──┬── offset_map: last offset of each key of the dirty part      one read
//!      ▲ facts                                ├── groups: which segments become one
//!   worker (threads, throttle)                ├── filter, transactions: what stays       compacted and dirty part: one
//!                                             ├── rewrite, output: X.log.cleaned         read, one write
//!                                             └── log/replace.rs: they take the place of the old segments
//! ```
//! Policy, groups, filter and transactions are decisions: values from facts, tested without a file. The pass only acts.
//! Offsets never change, nor does the order of records; a batch that keeps all its records is copied byte by byte.
//! `docs/design/compaction.md` says what is promised.
//!
//! What is absent: locks held while files are read or written, and memory that grows with keys, records or segments beyond
//! the configured bounds.

mod facts;
mod filter;
mod groups;
mod key_hash;
mod map_build;
mod offset_map;
mod output;
mod pass;
mod policy;
mod records;
mod report;
mod rewrite;
mod source_reader;
mod throttle;
mod transactions;
mod worker;

use std::sync::Arc;

use ottla_env::task::StopSignal;
use ottla_env::time;
use parking_lot::{Mutex, RwLock};

use crate::error::StorageError;
use crate::log::Log;
use pass::Pass;
use report::Totals;
use throttle::Throttle;

pub(crate) use worker::Crew;

pub use report::{CleanReport, Cleaned, CleanerStats};

/// The settings of the cleaner: `log.cleaner.*`.
#[derive(Debug, Clone, PartialEq)]
pub struct CleanerConfig {
    /// `log.cleaner.enable`
    pub enable: bool,
    /// `log.cleaner.threads`
    pub threads: usize,
    /// `log.cleaner.backoff.ms`: pause of a thread that found nothing to do
    pub backoff_ms: i64,
    /// `log.cleaner.dedupe.buffer.size`: bytes for the keys of all threads
    pub dedupe_buffer_bytes: u64,
    /// `log.cleaner.io.buffer.load.factor`: how full the map of keys may get
    pub load_factor: f64,
    /// `log.cleaner.io.buffer.size`: bytes for reading and writing of all threads
    pub io_buffer_bytes: usize,
    /// `log.cleaner.io.max.bytes.per.second`: of all threads, read and written
    pub io_max_bytes_per_second: f64,
}

impl Default for CleanerConfig {
    fn default() -> Self {
        Self {
            enable: true,
            threads: 1,
            backoff_ms: 15_000,
            dedupe_buffer_bytes: 128 << 20,
            load_factor: 0.9,
            io_buffer_bytes: 512 << 10,
            io_max_bytes_per_second: f64::MAX,
        }
    }
}

/// Why a pass ended early.
#[derive(Debug)]
enum CleanError {
    /// The process stops, or the log was truncated, deleted or changed its policy: nothing is wrong.
    Interrupted,
    /// Files, or what is in them.
    Storage(StorageError),
}

impl From<StorageError> for CleanError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Cleaner {
    config: RwLock<Arc<CleanerConfig>>,
    throttle: Throttle,
    totals: Totals,
    /// One choice at a time, so that two threads do not take the same log.
    choosing: Mutex<()>,
}

impl Cleaner {
    pub(crate) fn new(config: CleanerConfig) -> Self {
        let throttle = Throttle::new(config.io_max_bytes_per_second);
        Self { config: RwLock::new(Arc::new(config)), throttle, totals: Totals::default(), choosing: Mutex::new(()) }
    }

    pub(crate) fn config(&self) -> Arc<CleanerConfig> {
        Arc::clone(&self.config.read())
    }

    /// For passes that begin from now on, and for the pace of all at once.
    pub(crate) fn set_config(&self, config: CleanerConfig) {
        self.throttle.set_rate(config.io_max_bytes_per_second);
        *self.config.write() = Arc::new(config);
    }

    /// Compacts the dirtiest of these logs that is due, if any is. Blocks for as long as that takes.
    pub(crate) fn clean_once(&self, logs: &[Arc<Log>], now_ms: i64, stop: &StopSignal) -> CleanReport {
        let chosen = {
            let _one_at_a_time = self.choosing.lock();
            facts::choose(logs, now_ms, |log, error| self.set_aside(log, error))
        };
        let Some(chosen) = chosen else { return CleanReport::default() };
        let log = chosen.log;
        let began = time::monotonic_ms();
        let result = Pass::new(self, &chosen, stop, now_ms).and_then(Pass::run);
        let interrupted = || stop.is_stopped() || !log.may_clean(chosen.ticket);
        match result {
            Ok(cleaned) => {
                let cleaned = Cleaned { took_ms: time::monotonic_ms() - began, ..cleaned };
                self.totals.add(&cleaned);
                report::tell(&cleaned);
                CleanReport { cleaned: Some(cleaned) }
            }
            Err(CleanError::Interrupted) => CleanReport::default(),
            // A file that was cut or renamed away under the pass looks like a broken one.
            Err(CleanError::Storage(_)) if interrupted() => CleanReport::default(),
            Err(CleanError::Storage(error)) => {
                self.set_aside(log, &error);
                CleanReport::default()
            }
        }
    }

    /// What cannot be compacted is told once and left alone from then on; others go on. A device that fails takes its
    /// directory offline; a full one is waited for.
    fn set_aside(&self, log: &Log, error: &StorageError) {
        let (topic, partition) = (log.topic(), log.partition());
        let is_cut = |e: &std::io::Error| e.kind() == std::io::ErrorKind::UnexpectedEof;
        match error {
            StorageError::Offline { .. } | StorageError::Deleted { .. } => {}
            error if error.may_pass() => {
                tracing::warn!(%topic, partition, %error, "compaction waits for space or descriptors");
            }
            StorageError::Io(io) if !is_cut(io) => log.dir().set_offline(&io.to_string()),
            error => {
                log.set_aside_from_cleaning();
                tracing::error!(%topic, partition, %error,
                    "the log cannot be compacted and is left as it is until the next start");
            }
        }
    }

    /// What was done since the start, and how many of these logs are set aside.
    pub(crate) fn stats(&self, logs: &[Arc<Log>]) -> CleanerStats {
        let aside = logs.iter().filter(|log| log.is_set_aside());
        let (partitions, bytes) = aside.fold((0, 0), |(n, bytes), log| (n + 1, bytes + log.size_bytes()));
        self.totals.stats(partitions, bytes)
    }
}
