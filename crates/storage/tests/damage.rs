//! Bytes that were on the device and are not what they were: nothing of them is served, nothing is cut, everything else is
//! there, and it is told which offsets are not.

mod support;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use ottla_env::fs::{self, File};
use ottla_protocol::record_batch::{BatchHeader, batches};
use ottla_storage::{DamagedRange, Log, LogConfig, LogDir, OpenOptions, ReadError};
use support::*;

/// How the process ended that wrote the log.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Clean,
    /// Everything was synced, and noted so.
    Killed,
}

/// A log of a few segments, closed, and the batches in it by their offsets.
struct Written {
    temp: tempfile::TempDir,
    config: Arc<LogConfig>,
    batches: BTreeMap<i64, Vec<u8>>,
    end: i64,
    path: PathBuf,
}

fn write(segment_bytes: usize, count: usize) -> Written {
    let temp = tempfile::tempdir().expect("a directory");
    format(temp.path());
    let dir = LogDir::open(temp.path()).expect("locked");
    let config = small(segment_bytes);
    let log = open(&dir, &config, OpenOptions::default());
    for n in 0..count {
        append(&log, batch(1 + n % 4, &"x".repeat(n % 7)));
    }
    log.close().expect("closed");
    let bytes = read_all(&log, 0, || 1 << 20);
    let all = batches(&bytes).map(|b| b.expect("a batch")).map(|(h, b)| (h.base_offset, b.to_vec())).collect();
    Written { path: log.path(), end: log.log_end_offset(), temp, config, batches: all }
}

impl Written {
    fn open(&self, end: End) -> (Arc<LogDir>, Arc<Log>) {
        let dir = LogDir::open(self.temp.path()).expect("locked");
        let options =
            OpenOptions { recovery_point: self.end, clean_shutdown: end == End::Clean, ..OpenOptions::default() };
        let log = open(&dir, &self.config, options);
        log.set_high_watermark(log.log_end_offset());
        (dir, log)
    }

    fn log_files(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(&self.path).expect("listed");
        files.iter().filter(|f| f.name.ends_with(".log")).map(|f| self.path.join(&f.name)).collect()
    }

    /// Reads everything as a careful consumer does, which seeks past what is damaged. What is served was written; what was
    /// written is served or told to be damaged. Gives the damaged ranges as the reader was told them.
    fn read_careful(&self, log: &Log, max_bytes: u32) -> Vec<(i64, i64)> {
        self.try_read(log, max_bytes).expect("only what was written")
    }

    fn try_read(&self, log: &Log, max_bytes: u32) -> Result<Vec<(i64, i64)>, String> {
        let (mut offset, mut told) = (0, Vec::new());
        while offset < log.log_end_offset() {
            match log.read_verified(offset, max_bytes, i64::MAX, true) {
                Err(ReadError::Damaged { first_offset, end_offset }) => {
                    assert!((first_offset..end_offset).contains(&offset), "{offset} in {first_offset}..{end_offset}");
                    told.push((first_offset, end_offset));
                    offset = end_offset;
                }
                Ok(info) => {
                    let bytes = info.slice.expect("a batch").read().expect("whole");
                    for item in batches(&bytes) {
                        let (header, batch) = item.expect("a batch");
                        if self.batches.get(&header.base_offset).map(Vec::as_slice) != Some(batch) {
                            return Err(format!("never written: {header:?}"));
                        }
                        if header.base_offset > offset {
                            return Err(format!("{offset} was skipped: {header:?}"));
                        }
                        offset = header.next_offset();
                    }
                }
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(told)
    }
}

fn flip(file: &PathBuf, at: u64, bit: u8) {
    let file = File::open_rw(file).expect("opened");
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).expect("read");
    file.write_all_at(&[byte[0] ^ (1 << bit)], at).expect("written");
}

/// Every byte of every batch, a bit of it flipped: head, checksum, records; in the middle, at the start and at the end.
#[test]
fn no_flipped_bit_is_served_or_cuts_anything() {
    let written = write(1_000, 22);
    assert!(written.log_files().len() > 2);
    let original: Vec<_> = written.log_files().into_iter().map(|f| (f.clone(), fs::read(f).expect("read"))).collect();
    let mut unseen = Vec::new();
    for end in [End::Clean, End::Killed] {
        for (file, bytes) in &original {
            for at in 0..bytes.len() as u64 {
                let bit = u8::try_from((at * 5 + 3) % 8).expect("small");
                flip(file, at, bit);
                let (_dir, log) = written.open(end);
                let told = written.try_read(&log, 300);
                assert_eq!(log.log_end_offset(), written.end, "{end:?} {} {at} {bit}", file.display());
                assert!(fs::file_len(file).expect("there") == bytes.len() as u64, "nothing is cut");
                if told.as_ref().is_ok_and(|told| told.is_empty()) || told.is_err() {
                    unseen.push((file.clone(), at, bit, told));
                }
                drop(log);
                restore(&written, &original);
            }
        }
    }
    // A leader epoch lies before the checksum: one that rises with the last batch of a segment contradicts no neighbour.
    for (file, at, bit, told) in unseen {
        let bytes = original.iter().find(|(path, _)| *path == file).map(|(_, bytes)| bytes).expect("known");
        let last = batches(bytes).map(|b| b.expect("a batch").1.len()).fold((0, 0), |(_, end), len| (end, end + len)).0;
        let epoch = last as u64 + 12..last as u64 + 16;
        assert!(epoch.contains(&at), "byte {at}, bit {bit} of {}, last batch at {last}: {told:?}", file.display());
    }
}

fn restore(written: &Written, files: &[(PathBuf, Vec<u8>)]) {
    for (path, bytes) in files {
        let file = File::create(path).expect("opened");
        file.set_len(0).expect("emptied");
        file.write_all_at(bytes, 0).expect("written");
    }
    for path in written.log_files() {
        if !files.iter().any(|(known, _)| *known == path) {
            fs::remove_file(path).expect("removed");
        }
    }
}

#[test]
fn a_part_that_is_overwritten_is_told_and_what_follows_is_served() {
    for (end, fill) in [(End::Clean, 0), (End::Killed, 0), (End::Clean, 0xa5), (End::Killed, 0xa5)] {
        let written = write(1 << 20, 60);
        let file = written.log_files().pop().expect("one");
        File::open_rw(&file).expect("opened").write_all_at(&[fill; 700], 900).expect("written");
        let (dir, log) = written.open(end);
        let told = written.read_careful(&log, 1 << 20);
        let [(first, behind)] = told[..] else { panic!("{told:?}") };
        let ranges = log.damaged();
        let [DamagedRange { segment: 0, first_offset, end_offset, position, end_position, .. }] = ranges[..] else {
            panic!("{ranges:?}")
        };
        assert_eq!((first, behind), (first_offset, end_offset));
        assert!(position <= 900 && (1_600..1_800).contains(&end_position), "{position}..{end_position}");
        assert_eq!(dir.damage_found(), 1);
        // The indexes still know where the rest lies, and appends go on.
        append(&log, batch(3, "more"));
        let found = log.offset_for_timestamp(NOW).expect("searched").expect("found");
        assert_eq!(found.offset, 0);
        log.close().expect("closed");
    }
}

/// The search for an offset may meet the damage before anybody else does. It once gave what lies behind it to the first
/// reader, without a word, and told the second.
#[test]
fn the_first_reader_of_a_damaged_beginning_is_told() {
    for (end, whole) in [(End::Clean, false), (End::Killed, false), (End::Clean, true), (End::Killed, true)] {
        let written = write(1_500, 40);
        let file = written.log_files()[1].clone();
        let len = fs::file_len(&file).expect("there");
        let zeros = if whole { len } else { 512 };
        File::open_rw(&file).expect("opened").write_all_at(&vec![0; zeros as usize], 0).expect("written");
        let first: i64 = file.file_name().and_then(|n| n.to_str()?.get(..20)?.parse().ok()).expect("a base");
        let (_dir, log) = written.open(end);
        let told = log.read(first, 300, i64::MAX, true).expect_err("damaged");
        assert!(matches!(told, ReadError::Damaged { first_offset, .. } if first_offset == first), "{told}");
    }
}

/// A search by time answers with an offset that a batch's head says, which no checksum covers.
#[test]
fn a_search_by_time_does_not_answer_with_what_is_damaged() {
    let written = write(1 << 20, 20);
    let file = written.log_files().pop().expect("one");
    // All records have the same times: the first batch is the answer, and its base offset is not what it was.
    flip(&file, 4, 0);
    let (_dir, log) = written.open(End::Clean);
    let found = log.offset_for_timestamp(NOW).expect("searched").expect("found");
    let second = *written.batches.keys().nth(1).expect("two");
    assert_eq!(found.offset, second, "the first that can be read");
}

#[test]
fn a_file_that_ends_early_leaves_a_hole_and_no_offset_is_given_twice() {
    for end in [End::Clean, End::Killed] {
        let written = write(1_500, 40);
        let files = written.log_files();
        // A closed segment loses its end, the last one too.
        let (middle, last) = (&files[1], files.last().expect("some"));
        for file in [middle, last] {
            let bytes = fs::read(file).expect("read");
            let keep: usize = batches(&bytes).take(3).map(|b| b.expect("a batch").1.len()).sum();
            File::open_rw(file).expect("opened").set_len(keep as u64).expect("cut");
        }
        let (_dir, log) = written.open(end);
        assert_eq!(log.log_end_offset(), written.end, "{end:?}");
        let told = written.read_careful(&log, 600);
        assert_eq!(told.len(), 2, "{told:?}");
        assert_eq!(told.last().map(|range| range.1), Some(written.end));
        let info = append(&log, batch(2, "new"));
        assert_eq!(info.first_offset, written.end);
        let slice = log.read(written.end, 1 << 20, i64::MAX, true).expect("read").slice.expect("there");
        assert_eq!(BatchHeader::read(&slice.read().expect("read")).expect("a batch").base_offset, written.end);
        log.close().expect("closed");
    }
}

#[test]
fn a_segment_that_is_missing_is_told() {
    let written = write(1_500, 40);
    let files = written.log_files();
    fs::remove_file(&files[1]).expect("removed");
    let base = |file: &PathBuf| file.file_name().and_then(|n| n.to_str()?.get(..20)?.parse::<i64>().ok());
    let missing = (base(&files[1]).expect("a base"), base(&files[2]).expect("a base"));
    for end in [End::Clean, End::Killed] {
        let (_dir, log) = written.open(end);
        assert_eq!(written.read_careful(&log, 600), [missing]);
        log.close().expect("closed");
    }
}

/// A batch may hold bytes that are a batch themselves, such as a copy of another log.
#[test]
fn a_batch_within_a_record_is_not_taken_for_the_log_going_on() {
    let temp = tempfile::tempdir().expect("a directory");
    format(temp.path());
    let dir = LogDir::open(temp.path()).expect("locked");
    let config = small(1 << 20);
    let log = open(&dir, &config, OpenOptions::default());
    append(&log, batch(1, "first"));
    let mut inner = batch(5, "inner");
    ottla_protocol::record_batch::set_base_offset(&mut inner, 1);
    let mut outer = ottla_protocol::record_batch::BatchBuilder::new(Default::default());
    outer.append(NOW, None, Some(&inner), &[]);
    let at = log.size_bytes();
    append(&log, outer.build());
    append(&log, batch(1, "last"));
    log.close().expect("closed");
    let file = log.path().join("00000000000000000000.log");
    drop(log);
    // The length of the outer batch, so that only a search can tell where the log goes on.
    flip(&file, at + 9, 3);
    let options = OpenOptions { recovery_point: 3, clean_shutdown: true, ..OpenOptions::default() };
    let log = open(&dir, &config, options);
    let refused = log.read_verified(1, 1 << 20, i64::MAX, true).expect_err("damaged");
    assert!(matches!(refused, ReadError::Damaged { first_offset: 1, end_offset: 2 }), "{refused}");
    assert!(log.read_verified(2, 1 << 20, i64::MAX, true).expect("read").slice.is_some());
}

/// A truncation of the damaged end, as a follower does before it fetches the records again.
#[test]
fn a_truncation_to_the_damage_repairs_the_log() {
    let written = write(1 << 20, 20);
    let file = written.log_files().pop().expect("one");
    flip(&file, 700, 1);
    let (_dir, log) = written.open(End::Killed);
    let told = written.read_careful(&log, 1 << 20);
    let [(first, _)] = told[..] else { panic!("{told:?}") };
    log.truncate_to(first).expect("cut");
    assert!(log.damaged().is_empty());
    for (_, batch) in written.batches.range(first..) {
        log.append_as_follower(batch).expect("appended");
    }
    assert_eq!(log.log_end_offset(), written.end);
    assert_eq!(written.read_careful(&log, 500), []);
}
