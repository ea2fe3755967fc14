//! Compactions that are cut short, one step at a time: the process dies in an exchange of segments, the next one while it finishes or
//! undoes what it finds, and the power may go each time. What a reader of committed records sees, and is told, stays the same.
//!
//! The first segment reaches too far for indexes, as those of old versions do, and becomes two; of the others some become one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_env::sim::{Sim, crash, die_at_dir_sync, die_at_effect, is_dying, kill, seeds};
use ottla_env::{fs, random, time};
use ottla_protocol::record_batch::{self, BatchBuilder, BatchHeader, BatchOptions};
use ottla_storage::{AppendOrigin, CleanerConfig, CleanupPolicy, Log, LogConfig, LogManager, LogManagerOptions};

use crate::batches;
use crate::model::{Batch, read_all};
use crate::stories::{NOW, TOPIC, formatted, options_of};
use crate::transactions::consume;

/// Farther than an index reaches.
const FAR: i64 = i32::MAX as i64 + 6;
/// Of an aborting and of a committing producer.
const PRODUCERS: [i64; 2] = [7, 8];
/// Pairs of transactions, the first of which is aborted.
const PAIRS: usize = 5;
/// The syncs of directories of a pass right before which an exchange is decided, and nothing has gone yet.
const DECIDED: [u64; 3] = [3, 8, 13];
/// As many effects as a pass has before it has written anything that counts.
const FIRST_EFFECTS: u64 = 6;

#[test]
fn a_compaction_that_is_cut_short_loses_nothing() {
    seeds(500).into_iter().for_each(|seed| Sim::new(seed).run(async { compactions_are_cut_short() }));
}

/// Seed 424 showed that of a segment that becomes two the first half could be decided, with its name, and the second not: it was undone,
/// and the old segment went all the same.
pub(crate) fn compactions_are_cut_short() {
    let story = Story::begin();
    let manager = story.start();
    story.check(&manager);
    // Right before a sync most is open.
    match random::below(8) {
        0 => die_at_effect(1 + random::below(120)),
        1 => die_at_effect(1 + random::below(50)),
        2..4 => die_at_dir_sync(DECIDED[crate::chance(3)]),
        4..7 => die_at_dir_sync(1 + random::below(16)),
        _ => {}
    }
    manager.clean_once(NOW);
    if !is_dying() {
        // The next pass goes on where the map was full.
        die_at_effect(1 + random::below(FIRST_EFFECTS));
        manager.clean_once(NOW);
    }
    let manager = story.next(manager);
    story.check(&manager);
    die_at_effect(1 + random::below(FIRST_EFFECTS));
    manager.clean_once(NOW);
    story.check(&story.next(manager));
}

#[test]
fn a_compaction_that_is_found_broken_is_taken_back() {
    seeds(500).into_iter().for_each(|seed| Sim::new(seed).run(async { take_a_broken_half_back() }));
}

/// Of a segment that becomes two the second half is broken when it is to be put in place. Both are taken back, whatever ends the
/// processes that do so, for the first alone would stand for what it has not.
pub(crate) fn take_a_broken_half_back() {
    let story = Story::begin();
    let manager = story.start();
    // One of them comes when both are decided, and the old one is there.
    die_at_dir_sync(2 + random::below(3));
    manager.clean_once(NOW);
    drop(manager);
    kill();
    let dir = Path::new("/data").join(format!("{}-0", TOPIC.0));
    let names: Vec<String> = fs::read_dir(&dir).expect("listed").into_iter().map(|entry| entry.name).collect();
    let halves: Vec<&String> = names.iter().filter(|name| name.ends_with(".log.swap")).collect();
    let old = halves.first().and_then(|first| first.strip_suffix(".swap"));
    if let ([_, second], Some(old)) = (halves.as_slice(), old)
        && names.iter().any(|name| name == old)
    {
        // As it was when both were decided.
        let file = fs::File::open_rw(dir.join(second)).expect("there");
        file.write_all_at(b"rot", 70).and_then(|()| file.sync_all()).expect("broken");
        fs::sync_dir(&dir).expect("synced");
    }
    story.check(&story.next_process());
}

/// What is told of an aborted transaction: whose, and where it begins and ends.
type Told = BTreeSet<(i64, i64, i64)>;

struct Story {
    config: LogConfig,
    /// The last committed record of each key: offset and value.
    last: BTreeMap<Vec<u8>, (i64, Vec<u8>)>,
    aborted: Told,
}

impl Story {
    fn begin() -> Self {
        formatted();
        let cleanup_policy = CleanupPolicy { compact: true, delete: false };
        let written =
            LogConfig { cleanup_policy, segment_bytes: 330, index_interval_bytes: 64, ..LogConfig::default() };
        // Two neighbours fit into one segment then.
        let config = LogConfig { segment_bytes: 700, min_cleanable_dirty_ratio: 0.0, ..written.clone() };
        let mut story = Self { config, last: BTreeMap::new(), aborted: Told::new() };
        story.lay_far_segment(&written);
        let manager = LogManager::open(options_of(&["/data"], written)).expect("opened");
        let log = manager.get(TOPIC.0, 0).expect("open");
        for n in 0..PAIRS {
            story.append_pair(&log, n);
        }
        log.flush().expect("flushed");
        log.set_high_watermark(log.log_end_offset());
        // So that nothing is scanned, and no index built again.
        manager.visit_checkpoints();
        assert!(manager.visit_notes());
        drop((log, manager));
        kill();
        story
    }

    /// The first segment, as another process has left it.
    fn lay_far_segment(&mut self, config: &LogConfig) {
        let manager = LogManager::open(options_of(&["/data"], config.clone())).expect("opened");
        manager.create(TOPIC.0, 0, TOPIC.1, Arc::new(config.clone())).expect("created");
        manager.stop(1).expect("stopped");
        drop(manager);
        let file = |suffix: &str| PathBuf::from("/data/orders-0").join(format!("{:020}{suffix}", 0));
        let mut set = Vec::new();
        for (offset, key) in [(0, "k0"), (1, "near"), (FAR, "k0"), (FAR + 1, "far")] {
            let mut batch = BatchBuilder::new(BatchOptions { base_offset: offset, ..BatchOptions::default() });
            batch.append(NOW, Some(key.as_bytes()), Some(b"value"), &[]);
            set.extend(batch.build());
            self.last.insert(key.into(), (offset, b"value".to_vec()));
        }
        // Which nobody has flushed: the log was empty.
        let metadata = fs::File::open_rw("/data/orders-0/partition.metadata").expect("there");
        metadata.sync_all().expect("synced");
        fs::write_atomically(file(".log"), set).expect("written");
        fs::remove_file(file(".index")).and_then(|()| fs::remove_file(file(".timeindex"))).expect("there");
        let noted = format!("0\n1\n{} 0 {}\n", TOPIC.0, FAR + 2);
        fs::write_atomically(Path::new("/data/recovery-point-offset-checkpoint"), noted).expect("written");
    }

    /// Two transactions with the same key.
    fn append_pair(&mut self, log: &Log, n: usize) {
        let (key, sequence) = (format!("k{}", n % 3), i32::try_from(n).expect("small"));
        for (producer_id, commit) in PRODUCERS.into_iter().zip([false, true]) {
            let value = format!("{n} {commit}");
            let mut batch = BatchBuilder::new(BatchOptions {
                producer_id,
                producer_epoch: 0,
                base_sequence: sequence,
                transactional: true,
                ..BatchOptions::default()
            });
            batch.append(NOW, Some(key.as_bytes()), Some(value.as_bytes()), &[]);
            let append = |mut bytes: Vec<u8>, origin| {
                log.append_as_leader(&mut bytes, 0, origin, time::wall_clock_ms()).expect("appended").first_offset
            };
            let first = append(batch.build(), AppendOrigin::Client);
            let marker = append(batches::marker(producer_id, 0, 0, commit), AppendOrigin::Coordinator);
            if commit {
                self.last.insert(key.clone().into_bytes(), (first, value.into_bytes()));
            } else {
                self.aborted.insert((producer_id, first, marker));
            }
        }
    }

    fn options(&self) -> LogManagerOptions {
        // The map has room for a few keys: it takes several passes.
        let cleaner = CleanerConfig { dedupe_buffer_bytes: 16 * (3 + random::below(8)), ..CleanerConfig::default() };
        LogManagerOptions { cleaner, ..options_of(&["/data"], self.config.clone()) }
    }

    fn start(&self) -> Arc<LogManager> {
        LogManager::open(self.options()).expect("opened")
    }

    /// The process ends, and another one begins, which may die as well.
    fn next(&self, manager: Arc<LogManager>) -> Arc<LogManager> {
        drop(manager);
        self.next_process()
    }

    fn next_process(&self) -> Arc<LogManager> {
        loop {
            if random::below(3) == 0 {
                kill()
            } else {
                crash()
            }
            match random::below(5) {
                0 => die_at_effect(1 + random::below(25)),
                // The first is the log directory's.
                1..3 => die_at_dir_sync(2 + random::below(4)),
                _ => {}
            }
            match LogManager::open(self.options()) {
                _ if is_dying() => {}
                opened => {
                    // No more of that.
                    die_at_effect(u64::MAX / 2);
                    die_at_dir_sync(u64::MAX / 2);
                    return opened.expect("it can always be opened");
                }
            }
        }
    }

    /// Every key has its last committed value, no aborted one is seen, and the same is told of aborted transactions.
    fn check(&self, manager: &LogManager) {
        let log = manager.get(TOPIC.0, 0).expect("open");
        log.set_high_watermark(log.log_end_offset());
        assert_eq!(log.damaged(), []);
        let batches: Vec<Batch> = read_all(&log, 0).into_iter().map(|bytes| Batch::new(bytes, 0)).collect();
        let offsets: Vec<_> = batches.iter().map(|b| (b.header.base_offset, b.header.next_offset())).collect();
        assert!(offsets.is_sorted_by(|before, after| before.1 <= after.0), "offsets rise: {offsets:?}");
        let aborted = told(&log);
        let as_told = |t: &ottla_storage::AbortedTransaction| (t.producer_id, t.first_offset, t.last_offset);
        let seen = consume(&batches, &aborted);
        let mut last = BTreeMap::new();
        for batch in batches.iter().filter(|batch| seen.contains(&batch.header.base_offset)) {
            for record in batch.records() {
                last.insert(record.key, (record.offset, record.value.expect("a value")));
            }
        }
        assert_eq!(last, self.last);
        assert_eq!(aborted.iter().map(as_told).collect::<Told>(), self.aborted);
    }
}

/// What a consumer of committed records that reads everything is told of aborted transactions.
fn told(log: &Log) -> Vec<ottla_storage::AbortedTransaction> {
    let (mut all, mut offset) = (Vec::new(), 0);
    while offset < log.log_end_offset() {
        let found = log.read_committed(offset, 1 << 20, true).expect("read");
        let Some(slice) = found.slice else { break };
        let bytes = slice.read().expect("whole");
        let headers = record_batch::batches(&bytes).map(|item| item.expect("a batch").0);
        offset = headers.map(|header: BatchHeader| header.next_offset()).last().expect("a batch");
        all.extend(found.aborted_transactions);
    }
    all
}
