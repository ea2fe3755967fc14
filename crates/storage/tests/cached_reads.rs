//! A reader that must not wait for the disk is told at once what is in memory, and of the rest that it is not.

mod support;

use ottla_storage::{Log, LogDir, OpenOptions};
use support::*;

/// What a read without waiting finds: whether it is known, and where the slice lies.
fn cached(log: &Log, offset: i64) -> Option<(u64, u32)> {
    let found = log.read_cached(offset, 100, i64::MAX, true).expect("no failure")?;
    found.slice.map(|slice| (slice.position, slice.len))
}

fn waited(log: &Log, offset: i64) -> Option<(u64, u32)> {
    log.read(offset, 100, i64::MAX, true).expect("read").slice.map(|slice| (slice.position, slice.len))
}

#[test]
fn what_was_appended_lately_is_known_and_a_closed_file_is_not() {
    let temp = tempfile::tempdir().expect("a directory");
    format(temp.path());
    let dir = LogDir::open(temp.path()).expect("locked");
    let log = open(&dir, &small(1 << 20), OpenOptions::default());
    for n in 0..50 {
        append(&log, batch(2, &n.to_string()));
    }
    for offset in 2..100 {
        let found = cached(&log, offset).expect("it was appended lately");
        assert_eq!(Some(found), waited(&log, offset), "{offset}");
    }
    assert!(log.read_cached(100, 100, i64::MAX, true).expect("the end").expect("known").slice.is_none());

    log.close().expect("closed, with its indexes on disk");
    assert_eq!(cached(&log, 50), None, "its file would have to be opened");
    let found = waited(&log, 50);
    assert!(found.is_some());
    assert!(dir.offline_reason().is_none(), "which is no failure");
}

#[test]
fn an_offset_out_of_range_is_told_without_a_look() {
    let temp = tempfile::tempdir().expect("a directory");
    format(temp.path());
    let log = open(&LogDir::open(temp.path()).expect("locked"), &small(1 << 20), OpenOptions::default());
    append(&log, batch(1, "one"));
    log.close().expect("closed");
    assert!(log.read_cached(7, 100, i64::MAX, true).is_err());
}
