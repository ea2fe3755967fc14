//! Verification finds damage in every kind of file: bits flipped, blocks zeroed, ends cut, files lost, one by one and at random
//! places; and it never takes a sound log for a damaged one.

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_env::fs;
use ottla_protocol::compression::Compression;
use ottla_protocol::control_record::ControlRecordType;
use ottla_protocol::record_batch::{BatchBuilder, BatchOptions};
use ottla_storage::inspect::{self, Finding, Severity, Totals, Watcher};
use ottla_storage::{AppendOrigin, Log, LogConfig, LogDir, OpenOptions};
use support::*;

/// Flips at random places of each kind of file.
const FLIPS: usize = 100;

#[derive(Default)]
struct Found(Vec<Finding>);

impl Watcher for Found {
    fn begin(&mut self, _: &str) {}
    fn read(&mut self, _: u64) {}
    fn found(&mut self, finding: Finding) {
        if finding.severity > Severity::Note {
            self.0.push(finding);
        }
    }
}

fn verify(dir: &Path) -> (Vec<Finding>, Totals) {
    let mut found = Found::default();
    let (_, totals) = inspect::verify(dir, &mut found).expect("verified");
    (found.0, totals)
}

/// A small log with everything in it, cleanly stopped.
fn written(dir: &Path) {
    format(dir);
    let holder = LogDir::open(dir).expect("locked");
    let config = Arc::new(LogConfig { segment_bytes: 2048, index_interval_bytes: 256, ..LogConfig::default() });
    let log = open(&holder, &config, OpenOptions::default());
    for n in 0..60i32 {
        let compression = Compression::ALL[n as usize % 5];
        let (producer_id, epoch, sequence) = if n % 2 == 0 { (7, 0, n / 2 * 3) } else { (-1, -1, -1) };
        let options = BatchOptions {
            compression,
            producer_id,
            producer_epoch: epoch,
            base_sequence: sequence,
            ..Default::default()
        };
        let mut batch = BatchBuilder::new(options);
        for record in 0..3 {
            batch.append(
                NOW + i64::from(n) * 10 + record,
                Some(b"key"),
                Some(format!("record {n}-{record}").as_bytes()),
                &[],
            );
        }
        log.append_as_leader(&mut batch.build(), n / 20, AppendOrigin::Client, NOW).expect("appended");
        if n % 20 == 10 {
            transaction(&log, i64::from(n), n / 20, ControlRecordType::Abort);
        }
    }
    transaction(&log, 900, 2, ControlRecordType::Commit);
    log.set_high_watermark(log.log_end_offset());
    log.close().expect("closed");
    let end = log.log_end_offset();
    for name in ["recovery-point-offset-checkpoint", "replication-offset-checkpoint"] {
        fs::write_atomically(dir.join(name), format!("0\n1\n{TOPIC} 0 {end}\n")).expect("written");
    }
    fs::write_atomically(dir.join(".kafka_cleanshutdown"), "{\"version\":0,\"brokerEpoch\":1}").expect("written");
}

fn transaction(log: &Log, producer_id: i64, leader_epoch: i32, kind: ControlRecordType) {
    let options = BatchOptions { producer_id, producer_epoch: 0, transactional: true, ..BatchOptions::default() };
    let mut records = batch_by(BatchOptions { base_sequence: 0, ..options }, 2, "t");
    log.append_as_leader(&mut records, leader_epoch, AppendOrigin::Client, NOW).expect("appended");
    let mut marker = BatchBuilder::new(BatchOptions { control: true, ..options });
    marker.append(NOW, Some(&kind.key()), Some(&[0, 0, 0, 0, 0, 1]), &[]);
    log.append_as_leader(&mut marker.build(), leader_epoch, AppendOrigin::Coordinator, NOW).expect("appended");
}

/// Files of the partition by their suffix.
fn by_kind(dir: &Path) -> BTreeMap<String, Vec<PathBuf>> {
    let partition = dir.join(format!("{TOPIC}-0"));
    let mut kinds: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for entry in fs::read_dir(&partition).expect("listed").into_iter().filter(|e| e.len > 0) {
        let kind = entry.name.rsplit('.').next().expect("a part").to_owned();
        kinds.entry(kind).or_default().push(partition.join(entry.name));
    }
    kinds
}

/// A generator that is the same in every run.
struct Places(u64);

impl Places {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

/// Whether a file has these bytes and a newline more.
fn same_text(path: &Path, bytes: &[u8]) -> bool {
    fs::read(path).expect("read").strip_suffix(b"\n") == Some(bytes)
}

/// Replaces a file without waiting for the device.
fn put(path: &Path, bytes: &[u8]) {
    let file = fs::File::create(path).expect("opened");
    file.set_len(0).expect("emptied");
    file.write_all_at(bytes, 0).expect("written");
}

/// Writes a damaged file, verifies, and puts the file back.
fn with_damage(dir: &Path, path: &Path, damage: impl FnOnce(&mut Vec<u8>)) -> (Vec<u8>, Vec<Finding>) {
    let whole = fs::read(path).expect("read");
    let mut bytes = whole.clone();
    damage(&mut bytes);
    put(path, &bytes);
    let (found, _) = verify(dir);
    put(path, &whole);
    (bytes, found)
}

#[test]
fn a_sound_log_has_no_findings_and_every_record_is_counted() {
    let temp = tempfile::tempdir().expect("a directory");
    written(temp.path());
    let (found, totals) = verify(temp.path());
    assert_eq!(found, []);
    assert_eq!((totals.partitions, totals.batches, totals.records), (1, 68, 60 * 3 + 4 * 3));
    assert!(totals.segments >= 3 && totals.damage + totals.repairable == 0);
    assert_eq!(inspect::bytes_to_read(temp.path()).expect("counted"), totals.bytes, "what is announced is read");
}

#[test]
fn flipped_bits_are_found_in_every_kind_of_file() {
    let temp = tempfile::tempdir().expect("a directory");
    written(temp.path());
    let mut places = Places(4);
    for (kind, files) in by_kind(temp.path()) {
        let mut harmless = 0;
        for _ in 0..FLIPS {
            let path = &files[places.below(files.len())];
            let (mut at, mut bit) = (0, 0);
            let (_, found) = with_damage(temp.path(), path, |bytes| {
                (at, bit) = (places.below(bytes.len()), places.below(8));
                bytes[at] ^= 1 << bit;
            });
            let what = format!("{} byte {at} bit {bit}: {found:#?}", path.display());
            // An index entry with another offset of the same batch leads a search to the same place, and a topic id with
            // another letter is a topic id.
            let may_pass = matches!(kind.as_str(), "index" | "timeindex" | "metadata");
            assert!(may_pass || !found.is_empty(), "{what}");
            harmless += usize::from(found.is_empty());
            if kind == "log" {
                // Of the last batch alone only the file of leader epochs can say that it is of another.
                let place = found.iter().filter(|f| f.path == *path).filter_map(|f| f.position).min();
                let named = place.is_some_and(|place| place <= at as u64 && at as u64 - place < 400);
                assert!(named || found.iter().all(|f| f.path.ends_with("leader-epoch-checkpoint")), "{what}");
            }
        }
        assert!(kind == "metadata" || harmless < FLIPS / 5, "{harmless} of {FLIPS} flips of {kind} files passed");
    }
}

#[test]
fn zeroed_blocks_and_cut_ends_are_found() {
    let temp = tempfile::tempdir().expect("a directory");
    written(temp.path());
    let mut places = Places(5);
    for (kind, files) in by_kind(temp.path()) {
        for path in &files {
            for _ in 0..8 {
                let (bytes, found) = with_damage(temp.path(), path, |bytes| {
                    let at = places.below(bytes.len());
                    let end = (at + 512).min(bytes.len());
                    bytes[at..end].fill(0);
                });
                // Zeros at the end of an index are what a preallocated one ends with; nothing else may pass.
                let zeros_at_end = matches!(kind.as_str(), "index" | "timeindex") && bytes.last() == Some(&0);
                assert!(zeros_at_end || !found.is_empty(), "zeros in {}", path.display());
                let (bytes, found) = with_damage(temp.path(), path, |bytes| {
                    let len = places.below(bytes.len());
                    bytes.truncate(len);
                });
                // An offset index without its last entries makes searches longer, not wrong, and a text without its last
                // newline is the same text.
                let harmless = kind == "index" || kind == "timeindex" || same_text(path, &bytes);
                assert!(harmless || !found.is_empty(), "{path:?} cut to {}", bytes.len());
            }
        }
    }
}

#[test]
fn lost_files_are_found() {
    let temp = tempfile::tempdir().expect("a directory");
    written(temp.path());
    for (kind, files) in by_kind(temp.path()) {
        for path in files {
            let whole = fs::read(&path).expect("read");
            fs::remove_file(&path).expect("removed");
            let (found, _) = verify(temp.path());
            // Snapshots only save time. The first segment may have gone by retention, if the log start allows it.
            let may_go = kind == "snapshot" || path.ends_with("00000000000000000000.log");
            assert!(may_go || !found.is_empty(), "{} is lost", path.display());
            fs::write_atomically(&path, whole).expect("written");
        }
    }
}

#[test]
fn what_is_found_in_one_file_is_told_twenty_times_at_most() {
    let temp = tempfile::tempdir().expect("a directory");
    written(temp.path());
    let log = by_kind(temp.path()).remove("log").expect("logs").remove(0);
    let (_, found) = with_damage(temp.path(), &log, |bytes| {
        // The last byte of every batch.
        let mut at = 0;
        while at < bytes.len() {
            let size = 12 + u32::from_be_bytes(bytes[at + 8..at + 12].try_into().expect("four")) as usize;
            at += size;
            bytes[at - 1] ^= 1;
        }
    });
    let of_log = found.iter().filter(|f| f.path == log).count();
    assert!((1..=20).contains(&of_log), "{of_log}");
}
