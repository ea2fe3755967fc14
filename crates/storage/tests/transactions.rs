//! The partition's side of transactions: batches and markers are written by hand, and readers of committed records get what a
//! model of the log says, over rolls, truncations, retention and every kind of restart.

#[path = "transactions/model.rs"]
mod model;
mod support;

use std::sync::Arc;

use model::{Aborted, Entry, Model};
use ottla_env::fs;
use ottla_protocol::control_record::ControlRecordType;
use ottla_protocol::record_batch::{BatchBuilder, BatchOptions, batches};
use ottla_storage::{AppendError, AppendOrigin, Log, LogConfig, LogDir, OpenOptions};
use support::*;

/// From here on the producers' markers carry the next epoch (`transaction.version` 2).
const FIRST_OF_VERSION_TWO: i64 = 3;

/// A log beside its model.
struct Pair {
    dir: Arc<LogDir>,
    config: Arc<LogConfig>,
    log: Arc<Log>,
    model: Model,
}

impl Pair {
    fn new(path: &std::path::Path, segment_bytes: usize) -> Self {
        format(path);
        let dir = LogDir::open(path).expect("locked");
        let config = small(segment_bytes);
        let log = open(&dir, &config, OpenOptions::default());
        Self { dir, config, log, model: Model::default() }
    }

    fn data(&mut self, producer_id: i64, count: usize) {
        let (producer_epoch, base_sequence) = self.model.next_sequence(producer_id);
        let options =
            BatchOptions { producer_id, producer_epoch, base_sequence, transactional: true, ..Default::default() };
        let mut bytes = batch_by(options, count, "t");
        let info = self.log.append_as_leader(&mut bytes, 0, AppendOrigin::Client, NOW).expect("appended");
        let last_sequence = base_sequence + count as i32 - 1;
        self.model.push(Entry::data(info.first_offset, info.last_offset, producer_id, producer_epoch, last_sequence));
    }

    fn outside(&mut self) {
        let info = self.log.append_as_leader(&mut batch(2, "o"), 0, AppendOrigin::Client, NOW).expect("appended");
        self.model.push(Entry::outside(info.first_offset, info.last_offset));
    }

    fn marker(&mut self, producer_id: i64, commit: bool) {
        let (epoch, _) = self.model.next_sequence(producer_id);
        let version = if producer_id >= FIRST_OF_VERSION_TWO { 2 } else { 1 };
        let epoch = if version == 2 { epoch + 1 } else { epoch };
        let offset = marker(&self.log, producer_id, epoch, commit, 1, version).expect("appended");
        self.model.push(Entry::marker(offset, producer_id, epoch, commit));
    }

    fn replicate(&mut self) {
        self.log.set_high_watermark(self.log.log_end_offset());
        self.model.high_watermark = self.model.end();
    }

    fn truncate(&mut self, batches: usize) {
        self.replicate();
        let end = self.model.truncate(batches);
        self.log.truncate_to(end).expect("cut");
        self.model.high_watermark = end;
    }

    /// As after a stop or a crash of the process.
    fn reopen(&mut self, clean: bool) {
        self.replicate();
        if clean {
            self.log.close().expect("closed");
        }
        let options = OpenOptions {
            clean_shutdown: clean,
            recovery_point: self.log.flushed_offset(),
            high_watermark: self.log.high_watermark(),
            log_start_offset: self.log.log_start_offset(),
        };
        self.log = open(&self.dir, &self.config, options);
    }

    /// Reads for committed records from `offset` on and compares what is said to be aborted.
    fn check_read(&self, offset: i64, max_bytes: u32) {
        let read = self.log.read_committed(offset, max_bytes, true).expect("read");
        assert_eq!(read.last_stable_offset, self.model.last_stable_offset());
        let Some(slice) = read.slice else {
            assert!(offset >= read.last_stable_offset);
            return;
        };
        let bytes = slice.read().expect("whole");
        let end = batches(&bytes).flatten().last().map(|(header, _)| header.next_offset()).expect("a batch");
        assert!(end <= read.last_stable_offset);
        let told: Vec<Aborted> = read.aborted_transactions.iter().map(|t| (t.first_offset, t.producer_id)).collect();
        assert_eq!(told, self.model.aborted(offset, end), "{offset}..{end}");
        assert!(self.log.read(offset, max_bytes, i64::MAX, true).expect("read").aborted_transactions.is_empty());
    }
}

/// Appends a marker; gives its offset.
fn marker(
    log: &Log,
    producer_id: i64,
    producer_epoch: i16,
    commit: bool,
    coordinator_epoch: i32,
    transaction_version: i16,
) -> Result<i64, AppendError> {
    let options =
        BatchOptions { producer_id, producer_epoch, transactional: true, control: true, ..Default::default() };
    let mut builder = BatchBuilder::new(options);
    let kind = if commit { ControlRecordType::Commit } else { ControlRecordType::Abort };
    let value = [&[0, 0][..], &coordinator_epoch.to_be_bytes()].concat();
    builder.append(NOW, Some(&kind.key()), Some(&value), &[]);
    let origin = AppendOrigin::TransactionMarker { transaction_version };
    log.append_as_leader(&mut builder.build(), 0, origin, NOW).map(|info| info.first_offset)
}

/// xorshift64*: the run of a seed is always the same.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % bound
    }
}

fn run(seed: u64) {
    let temp = tempfile::tempdir().expect("a directory");
    let mut pair = Pair::new(temp.path(), 1500);
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    for _ in 0..120 {
        let producer_id = 1 + random.below(4) as i64;
        match random.below(40) {
            0..=15 => pair.data(producer_id, 1 + random.below(4)),
            16..=18 => pair.outside(),
            19..=30 => pair.marker(producer_id, random.below(2) == 0),
            31 | 32 => pair.log.flush().expect("flushed"),
            33 => pair.log.checkpoint().expect("checkpointed"),
            34 => pair.truncate(random.below(6)),
            35 => pair.reopen(true),
            36 => pair.reopen(false),
            _ => {}
        }
        if random.below(3) > 0 {
            pair.replicate();
        }
        assert_eq!(pair.log.last_stable_offset(), pair.model.last_stable_offset());
        let readable = pair.model.last_stable_offset() as usize + 1;
        pair.check_read(random.below(readable) as i64, 1 + random.below(4000) as u32);
    }
    pair.reopen(false);
    assert_eq!(pair.log.last_stable_offset(), pair.model.last_stable_offset());
    pair.check_read(0, u32::MAX);
}

#[test]
fn readers_of_committed_records_see_what_the_model_says() {
    for seed in 0..24 {
        if let Err(cause) = std::panic::catch_unwind(|| run(seed)) {
            println!("seed {seed}");
            std::panic::resume_unwind(cause);
        }
    }
}

/// Five segments, each with an aborted and a committed transaction, and one that spans all of them and is aborted last.
fn filled(path: &std::path::Path) -> Pair {
    let mut pair = Pair::new(path, 1500);
    pair.data(1, 3);
    while pair.log.segment_count() < 5 {
        pair.data(2, 3);
        pair.marker(2, false);
        pair.data(3, 3);
        pair.marker(3, true);
    }
    pair.marker(1, false);
    pair.replicate();
    pair
}

/// What happens to the bytes of a file.
type Damage = fn(&mut Vec<u8>);

#[test]
fn a_transaction_index_that_cannot_be_one_is_built_again() {
    let damages: [(&str, Damage); 5] = [
        ("cut short", |bytes| bytes.truncate(bytes.len() - 7)),
        ("of another version", |bytes| bytes[1] = 9),
        ("of a later segment", |bytes| bytes[18] = 1),
        ("with an end before its beginning", |bytes| bytes[10] = 1),
        ("of no producer", |bytes| bytes[2] = 0x80),
    ];
    for (what, damage) in damages {
        for clean in [true, false] {
            let temp = tempfile::tempdir().expect("a directory");
            let mut pair = filled(temp.path());
            pair.log.close().expect("closed");
            let files = fs::read_dir(pair.log.path()).expect("listed");
            let second = files.iter().filter(|f| f.name.ends_with(".txnindex")).nth(1).expect("one per segment");
            let path = pair.log.path().join(&second.name);
            let whole = fs::read(&path).expect("read");
            let mut bytes = whole.clone();
            damage(&mut bytes);
            fs::write_atomically(&path, &bytes).expect("written");
            pair.reopen(clean);
            pair.check_read(0, u32::MAX);
            pair.log.close().expect("closed");
            assert_eq!(fs::read(&path).expect("read"), whole, "{what}, clean: {clean}");
            for offset in 0..pair.model.end() {
                pair.check_read(offset, 500);
            }
        }
    }
}

/// An older copy of the recovery points makes a start look at the last segment even after a clean stop, a broken file of leader
/// epochs at all of them. That once dropped aborted transactions, which were then served as committed.
#[test]
fn a_recovery_point_that_is_too_low_leaves_aborted_transactions_aborted() {
    for (recovery_point, broken_epochs) in [(3, false), (3, true), (0, true)] {
        let temp = tempfile::tempdir().expect("a directory");
        let mut pair = filled(temp.path());
        pair.log.close().expect("closed");
        if broken_epochs {
            fs::write_atomically(pair.log.path().join("leader-epoch-checkpoint"), b"broken").expect("written");
        }
        let high_watermark = pair.log.high_watermark();
        let options = OpenOptions { clean_shutdown: true, recovery_point, high_watermark, log_start_offset: 0 };
        pair.log = open(&pair.dir, &pair.config, options);
        for offset in 0..pair.model.end() {
            pair.check_read(offset, 500);
        }
    }
}

#[test]
fn what_retention_and_deletion_leave_of_a_transaction_is_aborted_still() {
    let temp = tempfile::tempdir().expect("a directory");
    let pair = filled(temp.path());
    pair.log.delete_records_before(pair.model.end() - 2).expect("deleted");
    pair.log.delete_old_segments(NOW).expect("removed");
    assert_eq!(pair.log.segment_count(), 1);
    let read = pair.log.read_committed(pair.log.log_start_offset(), 1 << 20, true).expect("read");
    let told: Vec<Aborted> = read.aborted_transactions.iter().map(|t| (t.first_offset, t.producer_id)).collect();
    assert!(told.contains(&(0, 1)), "its marker is there, so what is left of its records must not be seen: {told:?}");
}

#[test]
fn the_last_stable_offset_is_not_below_the_log_start() {
    let temp = tempfile::tempdir().expect("a directory");
    let mut pair = Pair::new(temp.path(), 1 << 20);
    pair.data(1, 5);
    pair.outside();
    pair.replicate();
    assert_eq!(pair.log.last_stable_offset(), 0);
    pair.log.delete_records_before(3).expect("deleted");
    assert_eq!(pair.log.last_stable_offset(), 3, "where what is left of the open transaction begins");
    let read = pair.log.read_committed(3, 1 << 20, true).expect("within the log");
    assert!(read.slice.is_none());
    pair.marker(1, true);
    pair.replicate();
    assert_eq!(pair.log.last_stable_offset(), pair.log.log_end_offset());
}

#[test]
fn a_coordinator_whose_time_is_over_writes_no_marker_after_a_restart_either() {
    let temp = tempfile::tempdir().expect("a directory");
    let mut pair = Pair::new(temp.path(), 1 << 20);
    pair.data(1, 2);
    marker(&pair.log, 1, 0, true, 7, 1).expect("appended");
    for clean in [true, false] {
        pair.reopen(clean);
        let fenced = marker(&pair.log, 1, 0, true, 6, 1);
        assert!(matches!(fenced, Err(AppendError::CoordinatorFenced { epoch: 6, current: 7, .. })), "{fenced:?}");
    }
    let options =
        BatchOptions { producer_id: 1, base_sequence: 2, producer_epoch: 0, transactional: true, ..Default::default() };
    pair.log.append_as_leader(&mut batch_by(options, 1, "t"), 0, AppendOrigin::Client, NOW).expect("appended");
    let late = marker(&pair.log, 1, 0, false, 7, 2);
    assert!(matches!(late, Err(AppendError::InvalidProducerEpoch { epoch: 0, current: 0, .. })), "{late:?}");
    marker(&pair.log, 1, 1, false, 7, 2).expect("its epoch is the next one");
}
