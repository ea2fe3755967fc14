//! A clean start says nothing, and reads next to nothing.
//!
//! It once warned twice for each partition: of the time index's closing entry, whose batch lies behind the last one that the offset
//! index knows and was looked for before it; and of a leader that had written nothing, whose epoch begins where the log ends. And as
//! that entry was not believed, the heads of all batches of the last segment were read: of a gigabyte, perhaps.

#![allow(clippy::disallowed_methods, reason = "a file of /proc says that it is empty")]

#[path = "corruption_sweep/sweep/lines.rs"]
mod lines;
mod support;

use std::sync::Arc;

use ottla_protocol::record_batch::{BatchBuilder, BatchOptions};
use ottla_storage::{LogConfig, LogDir, OpenOptions};
use support::*;

const BATCHES: i64 = 2_000;

/// A batch of one record of about a kilobyte.
fn batch_at(timestamp: i64) -> Vec<u8> {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    builder.append(timestamp, None, Some(&[b'x'; 1_000]), &[]);
    builder.build()
}

/// Bytes that this process has read from files, from caches or devices.
fn bytes_read() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").expect("Linux");
    let line = io.lines().find_map(|line| line.strip_prefix("rchar: ")).expect("a count");
    line.parse().expect("a number")
}

#[test]
fn a_clean_start_is_quiet_and_reads_little() {
    let temp = tempfile::tempdir().expect("a directory");
    format(temp.path());
    let dir = LogDir::open(temp.path()).expect("a log directory");
    let config = Arc::new(LogConfig::default());
    let log = open(&dir, &config, OpenOptions::default());
    for n in 0..BATCHES {
        append(&log, batch_at(NOW + n));
    }
    let end = log.log_end_offset();
    log.start_leader_epoch(1).expect("elected");
    log.close().expect("closed");
    drop(log);

    let clean = OpenOptions { clean_shutdown: true, recovery_point: end, ..OpenOptions::default() };
    let before = bytes_read();
    let (log, lines) = lines::of(|| open(&dir, &config, clean));
    let read = bytes_read() - before;
    assert_eq!(log.log_end_offset(), end);
    assert!(lines.is_empty(), "{lines:#?}");
    assert!(read < 64 << 10, "{read} bytes were read");
    let newest = log.offset_of_max_timestamp().expect("found").expect("there is one");
    assert_eq!((newest.timestamp, newest.offset), (NOW + BATCHES - 1, BATCHES - 1));
}
