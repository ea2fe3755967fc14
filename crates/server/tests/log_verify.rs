//! `ottla log verify`: silent over what is sound, whoever wrote it and however it ended; and for every kind of file and of
//! damage it names the place and what follows from it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/compacting.rs"]
mod compacting;
#[path = "support/kafka.rs"]
mod kafka;
#[path = "support/logs.rs"]
mod logs;
mod support;

use std::path::Path;

use compacting::{Compacting, RETENTION_MS, formatted, put_legacy};
use logs::{END, Written, plain, written};
use ottla_client::ProducerRecord;
use ottla_env::fs;
use ottla_env::task::Runtime;
use ottla_protocol::record_batch::{BatchBuilder, set_base_offset, set_leader_epoch};
use ottla_testkit::process::{Program, Server};
use serde_json::Value;
use support::{Node, Ran, eventually, ottla, with_node};

const SOUND: Option<i32> = Some(0);
const DAMAGED: Option<i32> = Some(6);
const REPAIRABLE: Option<i32> = Some(7);

fn verify(dir: &Path, flags: &[&str]) -> Ran {
    let dir = dir.display().to_string();
    ottla(["log", "verify"].iter().chain(flags).copied().chain([dir.as_str()]))
}

/// The exit code and the findings that are more than notes.
fn findings(dir: &Path) -> (Option<i32>, Vec<Value>) {
    let ran = verify(dir, &["-o", "json"]);
    let json: Value =
        serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {}\n{}", ran.stdout, ran.stderr));
    let all = json["findings"].as_array().unwrap().clone();
    (ran.code, all.into_iter().filter(|f| f["severity"] != "note").collect())
}

/// A log after a clean stop.
fn clean() -> Written {
    let written = written();
    written.mark_clean(END);
    written
}

fn edit(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write_atomically(path, bytes).unwrap();
}

/// Positions and base offsets of the batches of a file.
fn batches(path: &Path) -> Vec<(usize, i64)> {
    let bytes = fs::read(path).unwrap();
    let mut at = 0;
    let mut found = Vec::new();
    while at < bytes.len() {
        found.push((at, i64::from_be_bytes(bytes[at..at + 8].try_into().unwrap())));
        at += 12 + u32::from_be_bytes(bytes[at + 8..at + 12].try_into().unwrap()) as usize;
    }
    found
}

/// Expects one finding, there and of that kind.
#[track_caller]
fn one(written: &Written, severity: &str, file: &str, place: (Option<usize>, Option<i64>), words: &str) {
    let (code, found) = findings(written.dir.path());
    assert_eq!(code, if severity == "damage" { DAMAGED } else { REPAIRABLE }, "{found:#?}");
    assert_eq!(found.len(), 1, "{found:#?}");
    let f = &found[0];
    assert!(f["file"].as_str().unwrap().ends_with(file), "{f:#?}");
    assert_eq!(f["severity"], severity, "{f:#?}");
    assert_eq!((f["position"].as_u64(), f["offset"].as_i64()), (place.0.map(|p| p as u64), place.1), "{f:#?}");
    assert!(f["problem"].as_str().unwrap().contains(words), "{f:#?}");
    assert!(!f["remedy"].as_str().unwrap().is_empty(), "{f:#?}");
}

#[test]
fn a_sound_log_is_sound_however_it_ended() {
    let written = written();
    let ran = verify(written.dir.path(), &[]);
    assert_eq!((ran.code, ran.stderr.as_str()), (SOUND, ""), "{}", ran.stdout);
    assert!(ran.stdout.contains("(not stopped cleanly): 2417 records in "), "{}", ran.stdout);
    assert!(ran.stdout.ends_with(": nothing is wrong\n"), "{}", ran.stdout);
    written.mark_clean(END);
    let ran = verify(&written.partition(), &[]);
    assert_eq!(ran.code, SOUND, "{}", ran.stdout);
    assert!(ran.stdout.contains("(stopped cleanly): 2417 records in "), "{}", ran.stdout);
}

#[test]
fn a_node_is_sound_while_it_runs_when_it_is_stopped_and_when_it_is_killed() {
    with_node(&[], |mut node| async move {
        node.create("t", &[("segment.bytes", "1048576"), ("index.interval.bytes", "1000")]).await;
        node.fill("t", 300, 10_000).await;
        let data = node.server.data();
        let ran = verify(&data, &["--notes"]);
        assert_eq!(ran.code, SOUND, "{}", ran.stdout);
        let who = format!("process {} is using the directory", node.server.id().unwrap());
        assert!(ran.stdout.contains(&who) && ran.stdout.contains("in use by a running process"), "{}", ran.stdout);
        assert!(fs::exists(data.join(".lock")), "nothing is touched");
        node.server.stop().await.unwrap();
        let ran = verify(&data, &[]);
        assert_eq!(ran.code, SOUND, "{}", ran.stdout);
        assert!(ran.stdout.contains("(stopped cleanly)"), "{}", ran.stdout);
        node.server.start().await.unwrap();
        node.fill("t", 50, 1000).await;
        node.server.kill().unwrap();
        let ran = verify(&data, &[]);
        assert_eq!(ran.code, SOUND, "{}", ran.stdout);
        assert!(ran.stdout.contains("(not stopped cleanly)"), "{}", ran.stdout);
    });
}

/// The directory of a node that runs, is stopped, and, having appended to `topic`, is killed.
async fn is_sound_through_its_life(node: &mut Node, topic: &str) {
    let data = node.server.data();
    let ran = verify(&data, &[]);
    assert_eq!(ran.code, SOUND, "running: {}", ran.stdout);
    node.server.stop().await.unwrap();
    let ran = verify(&data, &[]);
    assert_eq!(ran.code, SOUND, "stopped: {}", ran.stdout);
    node.server.start().await.unwrap();
    node.fill(topic, 50, 1000).await;
    node.server.kill().unwrap();
    let ran = verify(&data, &[]);
    assert_eq!(ran.code, SOUND, "killed: {}", ran.stdout);
}

#[test]
fn a_directory_that_kafka_wrote_is_sound() {
    let what = "`ottla log verify` over Kafka's directory";
    let (Some(tools), Some(home)) = (kafka::Tools::found(what), kafka::server(what)) else { return };
    Runtime::new(2).unwrap().block_on(async {
        let mut node = Node { server: Server::new(Program::Kafka(home), kafka::ONE_NODE).await.unwrap() };
        node.server.start().await.unwrap();
        node.create("t", &[("segment.bytes", "1048576"), ("index.interval.bytes", "1000")]).await;
        node.fill("t", 300, 10_000).await;
        tools.transactions("t", &node.server.address().to_string());
        compacted(&node).await;
        is_sound_through_its_life(&mut node, "t").await;
    });
}

#[test]
fn a_node_that_compacts_is_sound() {
    with_node(&[("log.cleaner.backoff.ms", "50")], |mut node| async move {
        compacted(&node).await;
        is_sound_through_its_life(&mut node, "c2").await;
    });
}

#[test]
fn what_compaction_leaves_of_everything_is_sound() {
    let dir = formatted();
    put_legacy(dir.path(), "lz4");
    for (round, now_ms) in [(0, logs::NOW), (1, logs::NOW + 10 * RETENTION_MS)] {
        let log = Compacting::open(dir.path());
        log.fill(round);
        log.pass(now_ms).expect("due");
        log.close();
        let ran = verify(dir.path(), &[]);
        assert_eq!(ran.code, SOUND, "{}", ran.stdout);
    }
}

/// A topic with few keys, once the cleaner has been through a part of it.
async fn compacted(node: &Node) {
    let configs = [("cleanup.policy", "compact"), ("segment.ms", "100"), ("min.cleanable.dirty.ratio", "0.01")];
    node.create("c", &configs).await;
    let producer = node.producer(&[("linger.ms", "0")]).await;
    let cleaned = node.server.data().join("cleaner-offset-checkpoint");
    let mut n = 0;
    eventually("the cleaner goes through c-0", async || {
        for _ in 0..50 {
            let (key, value) = (format!("k{}", n % 7), format!("v{n}"));
            let record = ProducerRecord::new("c", value.as_bytes()).with_key(key.as_bytes());
            producer.send(record).await.unwrap().wait().await.unwrap();
            n += 1;
        }
        fs::read_to_string(&cleaned).is_ok_and(|text| text.contains("\nc 0 "))
    })
    .await;
}

#[test]
fn a_flipped_bit_of_a_record_is_damage_below_the_recovery_point() {
    let written = clean();
    let log = written.files(".log").remove(0);
    let (position, offset) = batches(&log)[10];
    edit(&log, |bytes| bytes[position + 61] ^= 4);
    one(&written, "damage", ".log", (Some(position), Some(offset)), "the checksum of the batch of offsets 40 to 43");
    let ran = verify(written.dir.path(), &[]);
    assert!(ran.stdout.contains(&format!(".log, position {position}, offset {offset}\n")), "{}", ran.stdout);
    assert!(ran.stdout.contains("remedy: offsets 40 to 43 cannot be read here"), "{}", ran.stdout);
    assert!(ran.stdout.ends_with("1 damaged, 0 repairable\n"), "{}", ran.stdout);
}

#[test]
fn what_lies_outside_of_the_checksum_is_judged_by_its_neighbours() {
    let written = clean();
    let log = written.files(".log").remove(0);
    let (position, _) = batches(&log)[10];
    let whole = fs::read(&log).unwrap();
    edit(&log, |bytes| bytes[position + 7] ^= 64);
    one(&written, "damage", ".log", (Some(position), Some(40 ^ 64)), "its neighbours put it at 40");
    fs::write_atomically(&log, &whole).unwrap();
    edit(&log, |bytes| bytes[position + 7] ^= 8);
    one(&written, "damage", ".log", (Some(position), Some(40 ^ 8)), "but the one before it ends with 39");
    fs::write_atomically(&log, &whole).unwrap();
    edit(&log, |bytes| bytes[position + 15] ^= 1);
    let (code, found) = findings(written.dir.path());
    assert_eq!(code, DAMAGED, "{found:#?}");
    assert!(found.iter().any(|f| f["file"].as_str().unwrap().ends_with("leader-epoch-checkpoint")), "{found:#?}");
    assert!(
        found
            .iter()
            .any(|f| f["problem"].as_str().unwrap().contains("the ones around it of 0") && f["position"] == position),
        "{found:#?}"
    );
}

#[test]
fn behind_a_length_that_lies_the_log_is_found_again() {
    for change in [0x40, 0x01] {
        let written = clean();
        let log = written.files(".log").remove(0);
        let all = batches(&log);
        edit(&log, |bytes| bytes[all[10].0 + 9] ^= change);
        one(
            &written,
            "damage",
            ".log",
            (Some(all[10].0), Some(40)),
            &format!("{} bytes are no sound batch", all[11].0 - all[10].0),
        );
    }
}

#[test]
fn a_lost_block_is_told_in_bytes_and_offsets() {
    let written = clean();
    let log = written.files(".log").remove(0);
    let all = batches(&log);
    edit(&log, |bytes| bytes[4096..8192].fill(0xff));
    let first = all.iter().rev().find(|(at, _)| *at < 4096).unwrap();
    let next = all.iter().find(|(at, _)| *at >= 8192).unwrap();
    let (_, found) = findings(written.dir.path());
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!((found[0]["position"].as_u64(), found[0]["offset"].as_i64()), (Some(first.0 as u64), Some(first.1)));
    let remedy = found[0]["remedy"].as_str().unwrap();
    assert!(remedy.starts_with(&format!("offsets {} to {} cannot be read", first.1, next.1 - 1)), "{remedy}");
}

#[test]
fn a_torn_end_is_damage_only_where_it_was_synced() {
    let written = clean();
    let log = written.files(".log").pop().unwrap();
    let last = *batches(&log).last().unwrap();
    edit(&log, |bytes| bytes.truncate(bytes.len() - 5));
    let (code, found) = findings(written.dir.path());
    assert_eq!(code, DAMAGED);
    assert_eq!(found[0]["position"].as_u64(), Some(last.0 as u64), "{found:#?}");
    // The same after a crash, with the recovery point before it.
    fs::remove_file(written.dir.path().join(".kafka_cleanshutdown")).unwrap();
    let checkpoint = format!("0\n1\norders 0 {}\n", last.1);
    fs::write_atomically(written.dir.path().join("recovery-point-offset-checkpoint"), checkpoint).unwrap();
    let (code, found) = findings(written.dir.path());
    assert_eq!(code, REPAIRABLE, "{found:#?}");
    assert!(found[0]["remedy"].as_str().unwrap().contains("the next start cuts the log here"), "{found:#?}");
}

#[test]
fn a_lost_segment_is_a_hole() {
    let written = clean();
    let logs = written.files(".log");
    assert!(logs.len() >= 3);
    let (lost, next) = (batches(&logs[1])[0].1, batches(&logs[2])[0].1);
    fs::remove_file(&logs[1]).unwrap();
    let words = format!("offsets {lost} to {} are missing", next - 1);
    one(&written, "damage", logs[2].file_name().unwrap().to_str().unwrap(), (None, Some(lost)), &words);
}

#[test]
fn an_older_copy_is_betrayed_by_the_checkpoints() {
    let written = clean();
    let log = written.files(".log").pop().unwrap();
    let (cut, end) = *batches(&log).last().unwrap();
    edit(&log, |bytes| bytes.truncate(cut));
    let (code, found) = findings(written.dir.path());
    assert_eq!(code, DAMAGED);
    let words = format!("but the log ends at {end}: {} offsets are missing", END - end);
    let says = |f: &&Value| f["problem"].as_str().unwrap().contains(&words) && f["offset"] == end;
    assert_eq!(found.iter().filter(says).count(), 2, "high watermark and recovery point: {found:#?}");
}

#[test]
fn indexes_are_held_against_the_batches() {
    let written = clean();
    let (index, times) = (written.files(".index").remove(0), written.files(".timeindex").remove(0));
    let (whole, whole_times) = (fs::read(&index).unwrap(), fs::read(&times).unwrap());
    let entry = |at: usize| i64::from(u32::from_be_bytes(whole[at..at + 4].try_into().unwrap()));
    // An offset that no batch ends with, a position between two batches, a cut entry.
    edit(&index, |bytes| bytes[8 * 3 + 3] ^= 1);
    one(&written, "repairable", ".index", (Some(24), Some(entry(24) ^ 1)), "entry 3 says offset");
    fs::write_atomically(&index, &whole).unwrap();
    edit(&index, |bytes| bytes[8 * 3 + 7] ^= 1);
    one(&written, "repairable", ".index", (Some(24), Some(entry(24))), "where no batch begins");
    fs::write_atomically(&index, &whole[..whole.len() - 3]).unwrap();
    one(&written, "repairable", ".index", (Some(whole.len() - 8), None), "5 bytes that are no entry");
    // A block of zeros within it.
    fs::write_atomically(&index, &whole).unwrap();
    edit(&index, |bytes| bytes[16..40].fill(0));
    one(&written, "repairable", ".index", (Some(16), None), "entries 2 to 4 are zeros, and others follow");
    fs::remove_file(&index).unwrap();
    one(&written, "repairable", ".index", (None, None), "the index is missing");
    fs::write_atomically(&index, &whole).unwrap();
    // A timestamp that is too small hides records from searches by time.
    edit(&times, |bytes| bytes[12 * 2 + 7] ^= 1);
    let offset = i64::from(u32::from_be_bytes(whole_times[32..36].try_into().unwrap()));
    one(
        &written,
        "repairable",
        ".timeindex",
        (Some(24), Some(offset)),
        "entry 2 says that the largest timestamp up to",
    );
    fs::write_atomically(&times, &whole_times[..whole_times.len() - 12]).unwrap();
    one(&written, "repairable", ".timeindex", (None, None), "its last timestamp is");
}

#[test]
fn transaction_indexes_are_held_against_the_markers() {
    let written = clean();
    let index = written.files(".txnindex").remove(0);
    let whole = fs::read(&index).unwrap();
    let first = i64::from_be_bytes(whole[10..18].try_into().unwrap());
    edit(&index, |bytes| bytes[9] ^= 1);
    one(&written, "damage", ".txnindex", (Some(0), Some(first)), "entry 0 says producer 8");
    fs::write_atomically(&index, &whole).unwrap();
    edit(&index, |bytes| bytes[17] ^= 1);
    let (code, found) = findings(written.dir.path());
    assert_eq!((code, found.len()), (DAMAGED, 1), "{found:#?}");
    fs::write_atomically(&index, &whole).unwrap();
    edit(&index, |bytes| bytes[33] ^= 1);
    one(&written, "repairable", ".txnindex", (Some(0), Some(first)), "the last stable offset was");
    fs::remove_file(&index).unwrap();
    let (code, found) = findings(written.dir.path());
    assert_eq!((code, found.len()), (DAMAGED, 2), "both aborted transactions: {found:#?}");
    assert!(found[0]["problem"].as_str().unwrap().contains("consumers would take its records for committed"));
    assert_eq!(found[0]["offset"], first);
}

#[test]
fn producer_snapshots_are_held_against_the_batches() {
    let written = clean();
    let snapshots = written.files(".snapshot");
    let (last, earlier) = (&snapshots[snapshots.len() - 1], &snapshots[0]);
    let whole = fs::read(last).unwrap();
    edit(last, |bytes| bytes[20] ^= 1);
    one(&written, "repairable", ".snapshot", (None, None), "the checksum does not fit");
    // An older one under a newer name is whole, but wrong.
    fs::write_atomically(last, fs::read(earlier).unwrap()).unwrap();
    let (code, found) = findings(written.dir.path());
    assert_eq!(code, REPAIRABLE);
    assert!(found[0]["problem"].as_str().unwrap().contains("the last batch of producer 7 ends with"), "{found:#?}");
    assert!(
        found.iter().any(|f| f["problem"].as_str().unwrap().contains("producer 11 has a transaction open")),
        "{found:#?}"
    );
    fs::write_atomically(last, &whole).unwrap();
    // One that speaks of more than there is.
    fs::write_atomically(written.partition().join(format!("{:020}.snapshot", END + 9)), &whole).unwrap();
    one(&written, "repairable", ".snapshot", (None, Some(END)), "but the log ends at");
}

#[test]
fn leader_epochs_are_held_against_the_batches() {
    let written = clean();
    let file = written.partition().join("leader-epoch-checkpoint");
    let name = "leader-epoch-checkpoint";
    fs::write_atomically(&file, "0\n1\n3 0\n").unwrap();
    one(&written, "repairable", name, (None, Some(0)), "offset 0 is of leader epoch 3, its batch is of 0");
    fs::write_atomically(&file, format!("0\n2\n0 0\n1 {}\n", END + 5)).unwrap();
    one(&written, "damage", name, (None, Some(END)), "leader epoch 1 begins at offset");
    fs::write_atomically(&file, "0\n7\n0 0\n").unwrap();
    one(&written, "repairable", name, (None, None), "7 lines are announced");
    fs::remove_file(&file).unwrap();
    one(&written, "repairable", name, (None, None), "the file is missing");
}

#[test]
fn what_a_directory_says_of_itself_is_read() {
    let written = clean();
    let dir = written.dir.path();
    let garble = |name: &str, words: &str, severity: &str| {
        let whole = fs::read(dir.join(name)).unwrap();
        fs::write_atomically(dir.join(name), "garbage\n").unwrap();
        one(&written, severity, name, (None, None), words);
        fs::write_atomically(dir.join(name), whole).unwrap();
    };
    garble("recovery-point-offset-checkpoint", "the checkpoint cannot be understood", "repairable");
    garble("replication-offset-checkpoint", "the checkpoint cannot be understood", "repairable");
    garble("meta.properties", "no broker opens the directory", "damage");
    garble("orders-0/partition.metadata", "the partition cannot be opened", "damage");
    fs::remove_file(written.partition().join("partition.metadata")).unwrap();
    one(&written, "repairable", "partition.metadata", (None, None), "waits until its topic claims it");
}

#[test]
fn notes_are_told_when_they_are_asked_for() {
    let written = clean();
    for name in ["00000000000000000000.log.deleted", "00000000000000000000.index.cleaned"] {
        fs::write_atomically(written.partition().join(name), "x").unwrap();
    }
    fs::write_atomically(written.dir.path().join("log-start-offset-checkpoint"), "0\n1\ngone 3 7\n").unwrap();
    let ran = verify(written.dir.path(), &[]);
    assert_eq!(ran.code, SOUND, "{}", ran.stdout);
    assert!(ran.stdout.ends_with("nothing is wrong, 3 notes (--notes tells)\n"), "{}", ran.stdout);
    let ran = verify(written.dir.path(), &["--notes"]);
    assert!(ran.stdout.contains("checkpoints name partitions that are not here: gone-3"), "{}", ran.stdout);
    assert!(ran.stdout.contains("a compaction was writing this file"), "{}", ran.stdout);
}

#[test]
fn metadata_snapshots_are_read_to_their_end() {
    with_node(&[], |mut node| async move {
        node.server.stop().await.unwrap();
        let dir = node.server.data().join("__cluster_metadata-0");
        let snapshot = logs::files(&dir, &[".checkpoint"]).remove(0);
        let whole = fs::read(&snapshot).unwrap();
        let last = *batches(&snapshot).last().unwrap();
        fs::write_atomically(&snapshot, &whole[..last.0]).unwrap();
        let (code, found) = findings(&node.server.data());
        assert_eq!((code, found.len()), (DAMAGED, 1), "{found:#?}");
        assert!(found[0]["problem"].as_str().unwrap().contains("does not end with a snapshot footer"), "{found:#?}");
        fs::write_atomically(&snapshot, &whole[..whole.len() - 3]).unwrap();
        let (_, found) = findings(&node.server.data());
        assert_eq!(found[0]["position"].as_u64(), Some(last.0 as u64), "{found:#?}");
    });
}

#[test]
fn the_metadata_log_is_understood_record_by_record() {
    with_node(&[], |mut node| async move {
        node.create("t", &[]).await;
        node.server.stop().await.unwrap();
        let dir = node.server.data().join("__cluster_metadata-0");
        // A record of a release to come, and a vote that nobody can read.
        let log = logs::files(&dir, &[".log"]).pop().unwrap_or_else(|| panic!("{:?}", fs::read_dir(&dir)));
        let end = fs::read(&log).unwrap().len();
        let offset = last_offset(&log) + 1;
        let mut builder = BatchBuilder::new(plain());
        builder.append(logs::NOW, None, Some(&[1, 99, 0]), &[]);
        let mut batch = builder.build();
        set_base_offset(&mut batch, offset);
        set_leader_epoch(&mut batch, 1);
        edit(&log, |bytes| bytes.extend(batch));
        fs::write_atomically(dir.join("quorum-state"), "{}").unwrap();
        for dir in [node.server.data(), dir] {
            let (code, found) = findings(&dir);
            assert_eq!((code, found.len()), (DAMAGED, 2), "{found:#?}");
            assert!(found[0]["file"].as_str().unwrap().ends_with("quorum-state"), "{found:#?}");
            assert!(found[1]["problem"].as_str().unwrap().contains("record id 99 is not known"), "{found:#?}");
            assert_eq!((found[1]["position"].as_u64(), found[1]["offset"].as_i64()), (Some(end as u64), Some(offset)));
        }
    });
}

/// The offset of a log's last record.
fn last_offset(log: &Path) -> i64 {
    let ran = ottla(["log", "dump", "-o", "json", &log.display().to_string()]);
    let last: Value = serde_json::from_str(ran.stdout.lines().last().unwrap()).unwrap();
    last["last_offset"].as_i64().unwrap()
}

#[test]
fn what_is_no_log_directory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let ran = verify(dir.path(), &[]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("is neither a log directory"), "{}", ran.stderr);
    assert_eq!(verify(&dir.path().join("nowhere"), &[]).code, Some(1));
}
