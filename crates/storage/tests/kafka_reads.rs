//! Apache Kafka's own DumpLogSegments reads what we write: segments of every codec, indexes, snapshots, transactions.
//!
//! Needs java and Kafka's tools: a directory of jars named by `OTTLA_KAFKA_TOOLS`, or `target/kafka/tools`. Without them
//! the test says `NOT RUN:`, which the runner counts.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use ottla_env::fs;
use ottla_protocol::compression::Compression;
use ottla_protocol::control_record::ControlRecordType;
use ottla_protocol::record_batch::{BatchBuilder, BatchOptions};
use ottla_storage::{AppendOrigin, Log, LogConfig, LogDir, OpenOptions};
use support::*;

fn tools() -> Option<PathBuf> {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/kafka/tools");
    let dir = std::env::var_os("OTTLA_KAFKA_TOOLS").map_or_else(default, PathBuf::from);
    let has_jars = fs::read_dir(&dir).is_ok_and(|files| files.iter().any(|f| f.name.ends_with(".jar")));
    let java = Command::new("java").arg("-version").output().is_ok_and(|out| out.status.success());
    (has_jars && java).then_some(dir)
}

/// Runs the tool over files and gives what it printed.
fn dump(tools: &Path, options: &[&str], files: &[PathBuf]) -> String {
    let list: Vec<_> = files.iter().map(|f| f.display().to_string()).collect();
    let out = Command::new("java")
        .args(["-Xmx256M", "-cp", &format!("{}/*", tools.display()), "org.apache.kafka.tools.DumpLogSegments"])
        .args(options)
        .args(["--files", &list.join(",")])
        .output()
        .expect("java runs");
    let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{text}");
    text
}

fn files_with(log: &Log, suffixes: &[&str]) -> Vec<PathBuf> {
    let files = fs::read_dir(log.path()).expect("listed");
    let wanted = files.iter().filter(|f| suffixes.iter().any(|s| f.name.ends_with(s)) && f.len > 0);
    wanted.map(|f| log.path().join(&f.name)).collect()
}

/// A log of several segments with all codecs, producers and transactions.
fn written(dir: &Arc<LogDir>, config: &Arc<LogConfig>) -> Arc<Log> {
    let log = open(dir, config, OpenOptions::default());
    for n in 0..600i32 {
        let compression = Compression::ALL[n as usize % 5];
        let (producer_id, epoch, sequence) = if n % 3 == 0 { (7, 0, n / 3 * 4) } else { (-1, -1, -1) };
        let options = BatchOptions {
            compression,
            producer_id,
            producer_epoch: epoch,
            base_sequence: sequence,
            ..BatchOptions::default()
        };
        let mut batch = BatchBuilder::new(options);
        for record in 0..4 {
            // Timestamps climb, with batches in between that fall behind.
            let timestamp = NOW + i64::from(n) * 10 + record - if n % 7 == 0 { 500 } else { 0 };
            batch.append(timestamp, Some(b"key"), Some(format!("record {n}-{record}").as_bytes()), &[("h", None)]);
        }
        append(&log, batch.build());
    }
    for (producer_id, kind) in
        [(8, ControlRecordType::Commit), (9, ControlRecordType::Abort), (10, ControlRecordType::Abort)]
    {
        let options = BatchOptions { producer_id, producer_epoch: 0, transactional: true, ..BatchOptions::default() };
        append(&log, batch_by(BatchOptions { base_sequence: 0, ..options }, 4, "in a transaction"));
        let mut marker = BatchBuilder::new(BatchOptions { control: true, ..options });
        marker.append(NOW, Some(&kind.key()), Some(&[0, 0, 0, 0, 0, 1]), &[]);
        log.append_as_leader(&mut marker.build(), 0, AppendOrigin::Coordinator, NOW).expect("appended");
    }
    log.set_high_watermark(log.log_end_offset());
    log
}

#[test]
fn dump_log_segments_has_no_complaint() {
    let Some(tools) = tools() else {
        println!("NOT RUN: DumpLogSegments over our files (no java, or no Kafka tools in OTTLA_KAFKA_TOOLS)");
        return;
    };
    let temp = tempfile::tempdir().expect("a directory");
    format(temp.path());
    let dir = LogDir::open(temp.path()).expect("locked");
    let config = Arc::new(LogConfig { segment_bytes: 32 << 10, index_interval_bytes: 512, ..LogConfig::default() });
    let log = written(&dir, &config);
    log.close().expect("closed");
    let end = log.log_end_offset();

    let text = dump(&tools, &["--deep-iteration", "--print-data-log"], &files_with(&log, &[".log"]));
    let records = text.lines().filter(|line| line.trim_start().starts_with("| offset:")).count();
    assert_eq!(records as i64, end, "every record is printed once");
    assert!(text.contains("endTxnMarker: ABORT") && text.contains("endTxnMarker: COMMIT"));
    assert!(!text.contains("isvalid: false") && !text.contains("Found"), "{text}");

    let indexes = files_with(&log, &[".index", ".timeindex"]);
    assert!(indexes.len() >= 4, "{indexes:?}");
    let text = dump(&tools, &["--index-sanity-check"], &indexes);
    let passed = text.lines().filter(|line| line.ends_with("passed sanity check.")).count();
    assert_eq!(passed, indexes.len(), "{text}");
    let text = dump(&tools, &["--verify-index-only"], &indexes);
    assert!(!text.contains("Mismatches") && !text.contains("Found"), "{text}");

    let text = dump(&tools, &[], &files_with(&log, &[".snapshot"]));
    assert!(text.contains("producerId: 7 ") && text.contains("producerId: 10 "), "{text}");
    let text = dump(&tools, &[], &files_with(&log, &[".txnindex"]));
    assert_eq!(text.matches("producerId: 9 ").count() + text.matches("producerId: 10 ").count(), 2, "{text}");
}
