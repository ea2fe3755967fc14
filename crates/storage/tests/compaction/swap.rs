//! How compacted segments take the place of the old ones: under readers, and over crashes.

use std::collections::BTreeMap;
use std::path::Path;

use ottla_env::fs;
use ottla_protocol::record_batch::{BatchHeader, batches};

use ottla_storage::{CleanerConfig, LogConfig};

use super::store::{Store, eager, names, read_all};
use super::support::NOW;

pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// The segment files of a directory.
fn snapshot(dir: &Path) -> Files {
    let kinds = [".log", ".index", ".timeindex", ".txnindex"];
    let names = kinds.into_iter().flat_map(|kind| names(dir, kind));
    names.map(|name| (name.clone(), fs::read(dir.join(name)).unwrap())).collect()
}

/// A stopped log of many segments, its files before and after a pass, and its records after it.
pub(super) struct Before {
    pub(super) store: Store,
    pub(super) old: Files,
    /// Those of `old` that the pass replaced.
    pub(super) replaced: Vec<String>,
    /// The compacted segment's files.
    pub(super) new: Files,
    pub(super) records_before: Vec<(i64, String, Option<String>)>,
    pub(super) records_after: Vec<(i64, String, Option<String>)>,
}

pub(super) fn before() -> Before {
    let mut store = Store::new(eager(600));
    let fill = |store: &Store, what: &str| {
        for n in 0..25 {
            // Every third record is the only one of its key.
            let key = if n % 3 == 0 { format!("{what}{n}") } else { format!("k{}", n % 4) };
            store.put(&key, Some(&format!("{what}{n}")));
        }
    };
    // What a first pass makes small, a second one joins.
    fill(&store, "v");
    store.clean(NOW).expect("due");
    fill(&store, "w");
    let records_before = store.records();
    store.close();
    let old = snapshot(&store.dir());
    store.open();
    store.clean(NOW).expect("due");
    let records_after = store.records();
    store.close();
    let after = snapshot(&store.dir());
    let log_of = |name: &String| format!("{}.log", &name[..20]);
    let is_same = |name: &String| after.get(&log_of(name)) == old.get(&log_of(name));
    let replaced = old.keys().filter(|name| !is_same(name)).cloned().collect();
    let new = after.iter().filter(|(name, _)| !is_same(name)).map(|(n, b)| (n.clone(), b.clone())).collect();
    Before { store, old, replaced, new, records_before, records_after }
}

impl Before {
    /// Makes the directory what a crash left.
    pub(super) fn put(&self, files: &Files) {
        let dir = self.store.dir();
        let others = [".cleaned", ".swap", ".deleted"].into_iter().flat_map(|suffix| names(&dir, suffix));
        for name in snapshot(&dir).into_keys().chain(others) {
            fs::remove_file(dir.join(name)).unwrap();
        }
        for (name, bytes) in files {
            fs::write_atomically(dir.join(name), bytes).unwrap();
        }
    }

    /// Makes the directory what a crash left, starts a process on it, and gives the records that it finds.
    pub(super) fn start_with(&mut self, files: &Files) -> Vec<(i64, String, Option<String>)> {
        self.put(files);
        self.store.open();
        let records = self.store.records();
        for suffix in [".cleaned", ".swap", ".deleted"] {
            assert_eq!(self.store.files(suffix), [""; 0], "nothing is left of it");
        }
        self.store.close();
        records
    }

    pub(super) fn with_suffix(&self, suffix: impl Fn(&str) -> &'static str) -> Files {
        self.new.iter().map(|(name, bytes)| (format!("{name}{}", suffix(name)), bytes.clone())).collect()
    }
}

#[test]
fn a_crash_before_the_decision_undoes_the_pass() {
    let mut before = before();
    assert!(before.replaced.len() > before.new.len(), "{:?} {:?}", before.replaced, before.new.keys());
    // All are .cleaned; or some have become .swap, in either order.
    let states: [fn(&str) -> &'static str; 3] = [
        |_| ".cleaned",
        |name| if name.ends_with("index") { ".swap" } else { ".cleaned" },
        |name| if name.ends_with(".timeindex") { ".cleaned" } else { ".swap" },
    ];
    for state in states {
        let mut files = before.old.clone();
        files.extend(before.with_suffix(state));
        assert_eq!(before.start_with(&files), before.records_before);
    }
}

#[test]
fn a_crash_after_the_decision_finishes_it() {
    let mut before = before();
    let swapped = before.with_suffix(|_| ".swap");
    let replaced = before.replaced.clone();
    // So many of the old files had been renamed away.
    for gone in 0..=replaced.len() {
        let mut files = before.old.clone();
        for name in &replaced[..gone] {
            let bytes = files.remove(name).unwrap();
            files.insert(format!("{name}.deleted"), bytes);
        }
        files.extend(swapped.clone());
        assert_eq!(before.start_with(&files), before.records_after, "{gone} were gone");
    }
    // The batches had their name, the indexes had not.
    let mut files: Files = before.old.clone().into_iter().filter(|(name, _)| !replaced.contains(name)).collect();
    files.extend(before.with_suffix(|name| if name.ends_with(".log") { "" } else { ".swap" }));
    assert_eq!(before.start_with(&files), before.records_after);
}

#[test]
fn a_compaction_into_several_segments_is_undone_or_finished_as_a_whole() {
    let mut before = before();
    // A compacted segment, cut in two as when offsets would not fit.
    let is_long = |(name, bytes): &(&String, &Vec<u8>)| name.ends_with(".log") && batches(bytes).count() > 1;
    let (log, bytes) = before.new.iter().find(is_long).map(|(name, bytes)| (name.clone(), bytes.clone())).unwrap();
    let (second, _) = batches(&bytes).nth(1).unwrap().unwrap();
    let first_size = batches(&bytes).next().unwrap().unwrap().1.len();
    let (first, rest) = bytes.split_at(first_size);
    let rest_name = format!("{:020}.log", second.base_offset);
    let with = |parts: &[(&str, &[u8], &str)]| {
        let mut files = before.old.clone();
        for (name, bytes, suffix) in parts {
            files.insert(format!("{name}{suffix}"), bytes.to_vec());
        }
        files
    };
    let whole = with(&[(&log, &bytes, ".swap")]);
    let undone = with(&[(&log, first, ".cleaned"), (&rest_name, rest, ".swap")]);
    let finished = with(&[(&log, first, ".swap"), (&rest_name, rest, ".swap")]);
    assert_eq!(before.start_with(&undone), before.records_before);
    assert_eq!(before.start_with(&finished), before.start_with(&whole));
}

#[test]
fn a_slice_outlives_the_segment_that_it_is_of() {
    let store = Store::new(eager(200));
    for n in 0..30 {
        store.put(&format!("k{}", n % 3), Some(&format!("v{n}")));
    }
    let log = store.log();
    let slices: Vec<_> = (0..30).map(|at| log.read(at, 1, i64::MAX, true).unwrap().slice.unwrap()).collect();
    let bytes: Vec<_> = slices.iter().map(|slice| slice.read().unwrap()).collect();
    store.clean(NOW).expect("due");
    for (slice, bytes) in slices.iter().zip(&bytes) {
        assert_eq!(&slice.read().unwrap(), bytes);
    }
    // Those that were replaced wait for file.delete.delay.ms under another name.
    assert!(!store.files(".log.deleted").is_empty() && store.files(".swap").is_empty());
}

#[test]
#[allow(clippy::disallowed_methods, reason = "threads that borrow, in a test without a simulation")]
fn readers_see_no_gap_and_no_repeat_while_segments_change_under_them() {
    let config = LogConfig { file_delete_delay_ms: 0, ..eager(600) };
    let store = Store::with_cleaner(config, CleanerConfig { enable: false, ..CleanerConfig::default() });
    // Its maintenance removes what was replaced.
    store.manager().start().unwrap();
    let log = store.log();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut rounds = 0;
                    while !done.load(std::sync::atomic::Ordering::Acquire) || rounds == 0 {
                        let mut offset = 0;
                        while offset < log.log_end_offset() {
                            let info = log.read(offset, 700, i64::MAX, true).unwrap();
                            // Nothing this time: the segment was removed while we looked.
                            let Some(slice) = info.slice else { continue };
                            for item in batches(&slice.read().unwrap()) {
                                let header: BatchHeader = item.unwrap().0;
                                assert!(header.next_offset() > offset, "{} again", header.base_offset);
                                offset = header.next_offset();
                            }
                        }
                        rounds += 1;
                        log.close_idle_files();
                    }
                    rounds
                })
            })
            .collect();
        for round in 0..40 {
            for n in 0..20 {
                store.put(&format!("k{}", n % 5), Some(&format!("{round} {n}")));
            }
            store.clean(NOW).expect("due");
        }
        done.store(true, std::sync::atomic::Ordering::Release);
        for reader in readers {
            assert!(reader.join().unwrap() > 0);
        }
    });
    let keys: std::collections::BTreeSet<_> = store.records().into_iter().map(|r| r.1).collect();
    assert_eq!(keys.len(), 5);
}

#[test]
fn indexes_and_searches_of_a_compacted_log() {
    let mut store = Store::new(eager(2_000));
    for n in 0..200i64 {
        let mut batch = ottla_protocol::record_batch::BatchBuilder::new(Default::default());
        batch.append(NOW + n * 10, Some(format!("k{}", n % 50).as_bytes()), Some(b"value"), &[]);
        store.append(batch.build(), ottla_storage::AppendOrigin::Client);
    }
    let cleaned = store.clean(NOW).expect("due");
    for pass in 0..2 {
        let log = store.log();
        // The first that is left at or after each time.
        for n in (0..200).step_by(7) {
            let found = log.offset_for_timestamp(NOW + n * 10).unwrap().expect("there is a later one");
            let offsets: Vec<i64> = store.records().into_iter().map(|r| r.0).collect();
            let wanted = offsets.into_iter().find(|offset| *offset >= n).unwrap();
            assert_eq!(found.offset, wanted, "pass {pass}");
        }
        assert_eq!(log.offset_of_max_timestamp().unwrap().unwrap().offset, 199);
        assert!(cleaned.to > 150 && read_all(&log, 3, || 500).len() > 1_000);
        drop(log);
        store.reopen(pass == 0);
    }
}

#[test]
fn truncation_and_deletion_take_the_checkpoint_along() {
    let store = Store::new(eager(200));
    for n in 0..30 {
        store.put(&format!("k{}", n % 3), Some("v"));
    }
    let to = store.clean(NOW).expect("due").to;
    store.log().truncate_to(12).unwrap();
    assert!(to > 12 && store.checkpoint() == Some(12));
    for n in 0..30 {
        store.put(&format!("k{}", n % 3), Some("w"));
    }
    assert_eq!(store.clean(NOW).expect("due").from, 12);
    store.log().truncate_fully_and_start_at(100).unwrap();
    assert_eq!(store.checkpoint(), None);
    for n in 0..30 {
        store.put(&format!("k{}", n % 3), Some("x"));
    }
    assert_eq!(store.clean(NOW).expect("due").from, 100);
    store.manager().delete(super::support::TOPIC, 0).unwrap();
    assert_eq!(store.checkpoint(), None);
}
