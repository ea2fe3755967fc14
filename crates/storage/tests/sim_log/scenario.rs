//! The life of one log: what a broker does to it, and what happens to a broker.

use std::path::Path;
use std::sync::Arc;

use ottla_env::sim::{DiskFaults, crash, host};
use ottla_env::{fs, random};
use ottla_protocol::record_batch::{self, BatchHeader, BatchOptions, batches};
use ottla_storage::{AppendError, AppendOrigin, Log, LogConfig, LogDir, OpenOptions};

use super::model::{Batch, Model};
use super::support::{NOW, TOPIC, batch_by, format, topic_id};

const DIR: &str = "/data";
/// Idempotent producers that take part.
const PRODUCERS: u64 = 3;
const FIRST_PRODUCER_ID: i64 = 100;
/// Bytes of a disk that does not get full.
const PLENTY: u64 = 1 << 40;

/// How a process ended.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum End {
    /// Closed, and noted as clean.
    Clean,
    /// Closed, noted as clean, and then the power went.
    CleanThenPowerCut,
    /// kill -9: the page cache stays.
    Killed,
    PowerCut,
}

struct Run {
    model: Model,
    config: Arc<LogConfig>,
    full: bool,
    /// Absent only between the end of one and the start of the next.
    process: Option<Process>,
}

/// What a broker holds.
struct Process {
    dir: Arc<LogDir>,
    log: Arc<Log>,
}

pub(crate) fn run(steps: usize) {
    fs::create_dir_all(DIR).expect("created");
    format(Path::new(DIR));
    fs::sync_dir("/").expect("synced");
    let config = LogConfig {
        segment_bytes: 1_000 + chance(4_000),
        index_interval_bytes: 64 + chance(400),
        file_delete_delay_ms: 1_000,
        ..LogConfig::default()
    };
    let config = Arc::new(config);
    let process = Some(open(&config, OpenOptions::default()));
    let mut run = Run { model: Model::default(), config, full: false, process };
    for _ in 0..steps {
        run.step();
    }
    run.restart(End::Clean);
}

fn open(config: &Arc<LogConfig>, options: OpenOptions) -> Process {
    let dir = LogDir::open(Path::new(DIR)).expect("the last process has let it go");
    let log = Log::open(&dir, TOPIC, 0, topic_id(), Arc::clone(config), options).expect("a log can always be opened");
    Process { dir, log }
}

fn chance(n: u64) -> usize {
    usize::try_from(random::below(n)).expect("small")
}

impl Run {
    fn log(&self) -> &Log {
        &self.process.as_ref().expect("a process runs").log
    }

    fn dir(&self) -> &LogDir {
        &self.process.as_ref().expect("a process runs").dir
    }

    fn step(&mut self) {
        match chance(100) {
            0..45 => self.append(),
            45..50 => self.append_again(),
            50..53 => self.append_out_of_order(),
            53..70 => self.read(),
            70..78 => self.flush(),
            78..82 => self.note_checkpoints(),
            82..85 => self.truncate(),
            85 => self.restart_at(),
            86..88 => self.raise_start(),
            88 => self.break_disk(),
            89 => self.fill_or_free_disk(),
            90..94 => self.restart(End::PowerCut),
            94..97 => self.restart(End::Killed),
            97 => self.restart(End::CleanThenPowerCut),
            _ => self.restart(End::Clean),
        }
    }

    /// A batch by a plain or an idempotent producer; `skipped` sequences are left out.
    fn new_batch(&self, skipped: i32) -> Vec<u8> {
        let producer_id = FIRST_PRODUCER_ID + i64::try_from(random::below(PRODUCERS)).expect("small");
        let mut options = BatchOptions::default();
        if skipped > 0 || chance(2) == 0 {
            options.producer_id = producer_id;
            options.producer_epoch = 0;
            options.base_sequence = self.model.next_sequence(producer_id) + skipped;
        }
        batch_by(options, 1 + chance(5), &"x".repeat(chance(150)))
    }

    fn append(&mut self) {
        let mut bytes = self.new_batch(0);
        match self.log().append_as_leader(&mut bytes, self.model.epoch, AppendOrigin::Client, NOW) {
            Ok(info) => {
                assert!(!info.duplicate && info.first_offset == self.model.end, "{info:?}");
                self.model.append(Batch::new(bytes));
                self.log().set_high_watermark(self.log().log_end_offset());
            }
            Err(AppendError::Storage(_)) => {
                // It may be in the file all the same, where the next process finds it.
                if BatchHeader::read(&bytes).expect("a batch").base_offset == self.model.end {
                    self.model.remember_ghost(&bytes);
                }
                self.after_failure();
            }
            Err(other) => panic!("{other}"),
        }
        assert_eq!(self.log().log_end_offset(), self.model.end);
    }

    fn append_again(&mut self) {
        let producer_id = FIRST_PRODUCER_ID + i64::try_from(random::below(PRODUCERS)).expect("small");
        let window: Vec<&Batch> = self.model.window(producer_id).collect();
        // A batch that begins below the log start may be forgotten.
        let known: Vec<&&Batch> = window.iter().filter(|batch| batch.header.base_offset >= self.model.start).collect();
        let nth = chance(5);
        let Some(batch) = known.get(nth) else { return };
        // A snapshot remembers the last batch of each producer only, as Kafka's format does.
        let remembered = nth == 0 || batch.header.base_offset >= self.model.remembered_from;
        let mut again = batch.bytes.clone();
        // As the producer sent it.
        record_batch::set_base_offset(&mut again, 0);
        record_batch::set_leader_epoch(&mut again, -1);
        match self.log().append_as_leader(&mut again, self.model.epoch, AppendOrigin::Client, NOW) {
            Ok(info) => {
                assert!(info.duplicate, "sequence {} was taken twice", batch.header.base_sequence);
                assert_eq!(info.first_offset, batch.header.base_offset);
            }
            Err(AppendError::Storage(_)) => self.after_failure(),
            Err(AppendError::OutOfOrderSequence { .. }) if !remembered => {}
            Err(other) => panic!("{other}"),
        }
    }

    fn append_out_of_order(&mut self) {
        let mut bytes = self.new_batch(7);
        let producer_id = BatchHeader::read(&bytes).expect("a batch").producer_id;
        if self.model.window(producer_id).next().is_none_or(|batch| batch.header.base_offset < self.model.start) {
            return;
        }
        match self.log().append_as_leader(&mut bytes, self.model.epoch, AppendOrigin::Client, NOW) {
            Err(AppendError::OutOfOrderSequence { .. }) => {}
            Err(AppendError::Storage(_)) => self.after_failure(),
            other => panic!("a gap in the sequence: {other:?}"),
        }
    }

    fn read(&mut self) {
        if self.dir().check_online().is_err() || self.model.start == self.model.end {
            return;
        }
        let span = u64::try_from(self.model.end - self.model.start).expect("positive");
        let offset = self.model.start + i64::try_from(random::below(span)).expect("below the end");
        let budget = 1 + u32::try_from(chance(3_000)).expect("small");
        let info = self.log().read(offset, budget, i64::MAX, true).expect("read");
        let bytes = info.slice.expect("one batch at least").read().expect("whole");
        let mut wanted = self.model.batches.iter().skip_while(|batch| batch.header.next_offset() <= offset);
        for item in batches(&bytes) {
            let (_, found) = item.expect("a batch");
            assert!(wanted.next().is_some_and(|wanted| wanted.bytes == found), "read from {offset}");
        }
    }

    fn flush(&mut self) {
        match self.log().flush() {
            Ok(()) => self.model.flushed(),
            Err(_) => self.after_failure(),
        }
    }

    /// What the log manager does from time to time.
    fn note_checkpoints(&mut self) {
        match self.log().checkpoint() {
            Ok(()) => {
                self.model.flushed();
                self.model.noted_recovery_point = self.log().flushed_offset();
                self.model.noted_start = self.log().log_start_offset();
                self.delete_old_segments();
            }
            Err(_) => self.after_failure(),
        }
    }

    /// Only those below the log start are old enough.
    fn delete_old_segments(&mut self) {
        match self.log().delete_old_segments(NOW) {
            Ok(_) => self.model.start = self.log().log_start_offset().max(self.model.start),
            Err(_) => self.after_failure(),
        }
    }

    /// A follower that learns of a new leader: its log is cut at a batch, the epoch rises.
    fn truncate(&mut self) {
        let visible: Vec<i64> = self.model.visible().map(|batch| batch.header.base_offset).collect();
        let tail = visible.len().saturating_sub(1 + chance(6));
        let Some(&offset) = visible.get(tail).filter(|offset| **offset >= self.model.start) else { return };
        match self.log().truncate_to(offset) {
            Ok(()) => self.model.truncate(offset),
            Err(_) => return self.after_failed_truncation(offset),
        }
        self.model.epoch += 1;
        assert_eq!(self.log().log_end_offset(), offset);
    }

    /// Its caller cannot know what is left: the directory is offline, and the next process decides.
    fn after_failed_truncation(&mut self, offset: i64) {
        assert!(self.dir().check_online().is_err(), "a truncation that failed takes the directory offline");
        let kept = self.model.durable.min(offset);
        // It was lowered before anything was cut.
        self.model.noted_recovery_point = self.model.noted_recovery_point.min(offset);
        self.restart_keeping(End::PowerCut, kept);
        self.model.epoch += 1;
    }

    fn restart_at(&mut self) {
        // Until it is flushed, a power cut may bring anything back; here the flush succeeds.
        self.heal_disk();
        let offset = self.model.end + i64::try_from(random::below(50)).expect("small");
        if self.log().truncate_fully_and_start_at(offset).is_err() {
            return self.after_failure();
        }
        self.model.restart_at(offset);
        self.model.epoch += 1;
        // As the replica layer does before it fetches from there.
        self.flush();
        self.note_checkpoints();
    }

    /// DeleteRecords.
    fn raise_start(&mut self) {
        let span = u64::try_from(self.model.end - self.model.start).expect("not negative");
        let offset = self.model.start + i64::try_from(random::below(span + 1)).expect("not beyond the end");
        match self.log().advance_log_start_offset(offset) {
            Ok(()) => self.model.start = offset,
            Err(_) => self.after_failure(),
        }
    }

    /// From now until the next start, some operations fail.
    fn break_disk(&mut self) {
        let rate = || u32::try_from(chance(2)).expect("0 or 1") * 100_000;
        host("main").set_disk_faults(DiskFaults {
            write_errors: rate(),
            sync_errors: rate(),
            name_errors: rate(),
            short_reads: 100_000,
            ..DiskFaults::default()
        });
    }

    fn heal_disk(&mut self) {
        host("main").set_disk_faults(DiskFaults::default());
        host("main").set_disk_capacity(PLENTY);
        self.full = false;
    }

    /// The disk is as good as full, or has room again.
    fn fill_or_free_disk(&mut self) {
        self.full = !self.full;
        let space = fs::space(DIR).expect("known");
        let capacity = if self.full { space.total - space.available + random::below(3_000) } else { PLENTY };
        host("main").set_disk_capacity(capacity);
    }

    /// An operation failed. The log goes on if it could take the operation back; else its directory is offline and a
    /// new process has to look.
    ///
    /// The machine restarts too: after a failed sync the page cache may hold what the device lost, and a new process on
    /// the same kernel would take it for durable. Nobody can tell it otherwise; whoever has seen EIO has to reboot.
    fn after_failure(&mut self) {
        if self.dir().check_online().is_err() {
            self.restart(End::PowerCut);
        }
    }

    fn restart(&mut self, end: End) {
        let closed = matches!(end, End::Clean | End::CleanThenPowerCut) && self.log().close().is_ok();
        if closed {
            self.model.flushed();
        }
        let end = if matches!(end, End::Clean | End::CleanThenPowerCut) && !closed { End::PowerCut } else { end };
        let kept = if end == End::PowerCut { self.model.durable } else { self.model.end };
        self.restart_keeping(end, kept);
    }

    fn restart_keeping(&mut self, end: End, kept: i64) {
        ottla_env::sim::note(&format!("the process ends: {end:?}"));
        self.heal_disk();
        let clean = matches!(end, End::Clean | End::CleanThenPowerCut);
        if matches!(end, End::PowerCut | End::CleanThenPowerCut) {
            crash();
        }
        let mut options = OpenOptions { clean_shutdown: clean, ..OpenOptions::default() };
        (options.log_start_offset, options.recovery_point) = if clean {
            (self.model.start, self.model.end)
        } else if chance(3) == 0 {
            // The checkpoint files are lost or broken.
            (self.model.noted_start, 0)
        } else {
            (self.model.noted_start, self.model.noted_recovery_point)
        };
        options.high_watermark = self.model.noted_recovery_point;
        // The old one lets go of its lock first.
        self.process = None;
        let log = &self.process.insert(open(&self.config, options)).log;
        if clean {
            self.model.check_whole(log);
        } else {
            self.model.adopt(log, kept);
            self.model.check_epochs(log);
        }
        log.set_high_watermark(log.log_end_offset());
        self.model.remembered_from = self.model.end;
        // A crash ends a leadership: what comes next has a newer epoch.
        self.model.epoch += 1;
    }
}
