//! `ottla log dump` by itself: what it prints of every file kind, as text and as JSON, and what it refuses.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/logs.rs"]
mod logs;
mod support;

use std::path::PathBuf;

use logs::{NOW, files, written};
use ottla_env::fs;
use support::{Ran, ottla};

fn dump(flags: &[&str], files: &[PathBuf]) -> Ran {
    let flags = flags.iter().map(PathBuf::from);
    ottla(["log", "dump"].map(PathBuf::from).into_iter().chain(flags).chain(files.iter().cloned()))
}

fn objects(text: &str) -> Vec<serde_json::Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

#[test]
fn every_record_is_printed_once_and_in_order() {
    let written = written();
    let ran = dump(&["--print-data-log"], &written.files(".log"));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let records: Vec<_> = ran.stdout.lines().filter(|line| line.starts_with("| offset: ")).collect();
    assert_eq!(records.len(), 600 * 4 + 3 * 5 + 2);
    let wanted = format!("| offset: 1 CreateTime: {} keySize: 3 valueSize: 10 sequence: 1", NOW - 499);
    assert_eq!(records[1], wanted + " headerKeys: [h,naïve] key: key payload: record 0-1");
    assert!(ran.stdout.contains(" endTxnMarker: ABORT coordinatorEpoch: 1\n"));
    assert!(!ran.stdout.contains("isvalid: false"));
    // A segment that does not begin with 0 is told so, as Kafka's tool does.
    assert!(ran.stderr.contains("-1 is followed by"), "{}", ran.stderr);
}

#[test]
fn json_says_the_same_in_objects() {
    let written = written();
    let logs = written.files(".log");
    let ran = dump(&["--print-data-log", "-o", "json"], &logs);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let all = objects(&ran.stdout);
    let of = |kind: &str| all.iter().filter(|o| o["kind"] == kind).collect::<Vec<_>>();
    assert_eq!(of("record").len(), 600 * 4 + 3 * 5 + 2);
    assert!(of("batch").iter().all(|b| b["valid"] == true));
    let first = of("record")[0];
    assert_eq!(
        (&first["file"], &first["offset"], &first["key"], &first["value"]),
        (&logs[0].display().to_string().into(), &0.into(), &"key".into(), &"record 0-0".into())
    );
    let aborted = of("record").iter().filter(|r| r["control"]["type"] == "ABORT").count();
    assert_eq!(aborted, 2);
    let others =
        [written.files(".index"), written.files(".timeindex"), written.files(".txnindex"), written.files(".snapshot")];
    let ran = dump(&["-o", "json"], &others.concat());
    let all = objects(&ran.stdout);
    for kind in ["offset_entry", "time_entry", "aborted_transaction", "producer"] {
        assert!(all.iter().any(|o| o["kind"] == kind), "{kind}");
    }
}

#[test]
fn what_is_wrong_is_told_and_what_follows_is_printed() {
    let written = written();
    let (log, index) = (written.files(".log").remove(0), written.files(".index").remove(0));
    let mut bytes = fs::read(&log).unwrap();
    let cut = bytes.len() - 5;
    bytes[100] ^= 1;
    fs::write_atomically(&log, &bytes[..cut]).unwrap();
    let mut entries = fs::read(&index).unwrap();
    entries[3] += 1;
    fs::write_atomically(&index, &entries).unwrap();
    let ran = dump(&[], &[log.clone(), index.clone()]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(ran.stdout.matches("isvalid: false").count(), 1);
    assert!(ran.stdout.contains("invalid bytes at the end of 00000000000000000000.log"));
    assert!(ran.stderr.contains(&format!("Mismatches in :{}\n  Index offset: ", index.display())), "{}", ran.stderr);
    let ran = dump(&["--verify-index-only"], &[index]);
    assert_eq!(ran.stdout.lines().count(), 1, "only which file it is: {}", ran.stdout);
    assert!(ran.stderr.contains("Mismatches in :"));
}

#[test]
fn flags_bound_what_is_read() {
    let written = written();
    let log = written.files(".log").remove(0);
    let ran = dump(&["--max-bytes", "1000"], std::slice::from_ref(&log));
    let batches = ran.stdout.matches("baseOffset: ").count();
    assert!((1..20).contains(&batches) && !ran.stdout.contains("invalid bytes"), "{}", ran.stdout);
    let ran = dump(&["--max-message-size", "20"], &written.files(".index"));
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("where no batch lies"), "{}", ran.stderr);
    let ran = dump(&["--skip-record-metadata", "--print-data-log", "--max-bytes", "1000"], &[log]);
    assert!(ran.stdout.contains("\n| key: key payload: record 0-0\n"), "{}", ran.stdout);
}

#[test]
fn indexes_are_judged_as_at_a_start() {
    let written = written();
    let index = written.files(".index").remove(0);
    let ran = dump(&["--index-sanity-check"], std::slice::from_ref(&index));
    assert!(ran.stdout.ends_with(&format!("{} passed sanity check.\n", index.display())), "{}", ran.stdout);
    let mut bytes = fs::read(&index).unwrap();
    bytes.push(0);
    fs::write_atomically(&index, &bytes).unwrap();
    let ran = dump(&["--index-sanity-check"], &[index]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("no multiple of 8"), "{}", ran.stderr);
}

#[test]
fn refusals_are_sentences() {
    let written = written();
    let log = written.files(".log").remove(0);
    let ran = dump(&["--value-decoder-class", "com.example.AvroDecoder"], std::slice::from_ref(&log));
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("is a Java class, which Ottla cannot run"), "{}", ran.stderr);
    let ran = dump(&["--value-decoder-class", "org.apache.kafka.tools.api.LongDecoder"], std::slice::from_ref(&log));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(dump(&[], &[]).code, Some(2), "files are wanted");
    let ran = dump(&["--offsets-decoder"], &[PathBuf::from("/nowhere/00000000000000000000.log")]);
    assert_eq!(ran.code, Some(1));
    let ran = dump(&[], &files(written.dir.path(), &["meta.properties"]));
    assert!(ran.stderr.starts_with("Ignoring unknown file "), "{}", ran.stderr);
}

#[test]
fn whatever_is_in_the_files_it_ends_with_a_sentence() {
    let written = written();
    let mut seed = 7u64;
    let mut below = |bound: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % bound
    };
    let dir = written.partition().display().to_string();
    for suffix in [".log", ".index", ".timeindex", ".txnindex", ".snapshot"] {
        let path = written.files(suffix).remove(0);
        let whole = fs::read(&path).unwrap();
        for _ in 0..12 {
            let mut bytes = whole.clone();
            // Where numbers matter: lengths and counts of the first batches, entries, the head of a snapshot.
            for _ in 0..1 + below(8) {
                let at = below(bytes.len().min(600));
                bytes[at] = below(256) as u8;
            }
            bytes.truncate(1 + below(bytes.len()));
            fs::write_atomically(&path, &bytes).unwrap();
            let what = format!("{suffix}: {bytes:?}");
            for flags in [&["--print-data-log"][..], &["--offsets-decoder", "-o", "json"], &["--index-sanity-check"]] {
                let ran = dump(flags, std::slice::from_ref(&path));
                assert!(matches!(ran.code, Some(0 | 1)), "{} {what}", ran.stderr);
                assert!(ran.code == Some(0) || ran.stderr.contains("error: "), "{} {what}", ran.stderr);
            }
            let ran = ottla(["log", "info", &dir]);
            assert_eq!(ran.code, Some(0), "{} {what}", ran.stderr);
            let ran = ottla(["log", "verify", &dir]);
            assert!(matches!(ran.code, Some(0 | 6 | 7)), "{} {what}", ran.stderr);
        }
        fs::write_atomically(&path, whole).unwrap();
    }
}
