//! `ottla log dump` and Apache Kafka's own DumpLogSegments print the same lines, over directories that Ottla wrote, that
//! Apache Kafka wrote, and over records and damage made by hand.
//!
//! Needs java and Kafka's tools (`OTTLA_KAFKA_TOOLS`, or `target/kafka/tools`), and for Kafka's own directory its server
//! (`OTTLA_KAFKA_SERVER`, or `target/kafka/server`). Without them a test says `NOT RUN:`, which the runner counts.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/compacting.rs"]
mod compacting;
#[path = "support/internal_records.rs"]
mod internal_records;
#[path = "support/kafka.rs"]
mod kafka;
#[path = "support/logs.rs"]
mod logs;
mod support;

use std::path::{Path, PathBuf};

use compacting::{Compacting, RETENTION_MS, formatted, heads, put_legacy};
use kafka::Tools;
use logs::{Written, batch, files, plain, written};
use ottla_client::ProducerRecord;
use ottla_env::fs;
use ottla_env::task::Runtime;
use ottla_protocol::compression::Compression;
use ottla_protocol::record_batch::{BatchBuilder, BatchHeader, set_base_offset};
use ottla_testkit::process::{Program, Server};
use support::{Node, Ran, ottla, with_node};

const LOGS: &[&str] = &[".log", ".checkpoint"];
const ALL: &[&str] = &[".log", ".checkpoint", ".index", ".timeindex", ".txnindex", ".snapshot"];

fn ours(flags: &[&str], files: &[PathBuf]) -> Ran {
    let list = files.iter().map(|f| f.display().to_string()).collect::<Vec<_>>().join(",");
    ottla(["log", "dump"].iter().chain(flags).map(|s| (*s).to_owned()).chain(["--files".to_owned(), list]))
}

/// Runs both and compares: stdout line by line, stderr as a set, since Kafka's tool does not order the files there. Where
/// Kafka's ends with an exception, ours ends with a sentence of its own.
fn same(tools: &Tools, flags: &[&str], files: &[PathBuf]) -> Ran {
    assert!(!files.is_empty(), "there must be something to print");
    let (ours, theirs) = (ours(flags, files), tools.dump(flags, files));
    assert_eq!(ours.code, theirs.code, "{flags:?}\n{}\n{}", ours.stderr, theirs.stderr);
    for (n, (a, b)) in ours.stdout.lines().zip(theirs.stdout.lines()).enumerate() {
        assert_eq!(a, b, "line {n} with {flags:?}");
    }
    assert_eq!(ours.stdout.lines().count(), theirs.stdout.lines().count(), "{flags:?}");
    if ours.code != Some(0) {
        assert!(ours.stderr.starts_with("error: ") && theirs.stderr.contains("Exception"), "{}", theirs.stderr);
        return ours;
    }
    let sorted = |text: &str| {
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&ours.stderr), sorted(&theirs.stderr), "{flags:?}");
    ours
}

/// Every way of printing a partition's directory.
fn same_in_all_ways(tools: &Tools, dir: &Path) {
    same(tools, &[], &files(dir, ALL));
    same(tools, &["--print-data-log"], &files(dir, LOGS));
    let indexes = files(dir, &[".index", ".timeindex"]);
    if !indexes.is_empty() {
        same(tools, &["--index-sanity-check"], &indexes);
        same(tools, &["--verify-index-only"], &indexes);
    }
}

/// The directories of a topic that hold records.
fn partitions(data: &Path, topic: &str) -> Vec<PathBuf> {
    let dirs = fs::read_dir(data).unwrap().into_iter().filter(|e| e.is_dir && e.name.starts_with(&format!("{topic}-")));
    dirs.map(|e| data.join(e.name)).filter(|dir| !files(dir, &[".log"]).is_empty()).collect()
}

/// Fills a topic with every codec, and commits offsets of a group whose member has left.
async fn use_it(node: &Node) {
    node.create("t", &[("segment.bytes", "1048576"), ("index.interval.bytes", "1000")]).await;
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let producer = node.producer(&[("compression.type", codec), ("linger.ms", "0")]).await;
        for n in 0..60 {
            let (key, value) = (format!("k{n}"), format!("{codec} {n} ").repeat(1 + n * 10));
            let record = ProducerRecord::new("t", value.as_bytes()).with_key(key.as_bytes());
            producer.send(record).await.unwrap().wait().await.unwrap();
        }
    }
    let mut consumer = node.consumer("g", &[("auto.offset.reset", "earliest")]).await;
    consumer.subscribe(["t"]).unwrap();
    let mut seen = 0;
    while seen < 300 {
        seen += consumer.poll(std::time::Duration::from_secs(5)).await.unwrap().len();
    }
    consumer.commit().await.unwrap();
    consumer.close().await.unwrap();
}

fn same_over_a_node(tools: &Tools, data: &Path) {
    for dir in partitions(data, "t") {
        same_in_all_ways(tools, &dir);
        same(tools, &["--skip-record-metadata", "--print-data-log"], &files(&dir, LOGS));
        same(tools, &["--deep-iteration", "--max-bytes", "30000"], &files(&dir, LOGS));
    }
    let offsets: Vec<_> = partitions(data, "__consumer_offsets").iter().flat_map(|d| files(d, LOGS)).collect();
    let ran = same(tools, &["--offsets-decoder"], &offsets);
    assert!(ran.stdout.contains(r#""group":"g""#) && ran.stdout.contains(r#""topics":["t"]"#), "{}", ran.stdout);
    let metadata = data.join("__cluster_metadata-0");
    same_in_all_ways(tools, &metadata);
    let ran = same(tools, &["--cluster-metadata-decoder"], &files(&metadata, LOGS));
    assert!(ran.stdout.contains(r#""type":"PARTITION_RECORD""#), "{}", ran.stdout);
    same(tools, &["--cluster-metadata-decoder", "--skip-record-metadata"], &files(&metadata, LOGS));
}

#[test]
fn over_a_directory_that_ottla_wrote() {
    let Some(tools) = Tools::found("DumpLogSegments beside `ottla log dump` over Ottla's directory") else { return };
    with_node(&[], |mut node| async move {
        use_it(&node).await;
        node.server.stop().await.unwrap();
        same_over_a_node(&tools, &node.server.data());
    });
}

#[test]
fn over_a_directory_that_kafka_wrote() {
    let what = "DumpLogSegments beside `ottla log dump` over Kafka's directory";
    let (Some(tools), Some(home)) = (Tools::found(what), kafka::server(what)) else { return };
    Runtime::new(2).unwrap().block_on(async {
        let mut node = Node { server: Server::new(Program::Kafka(home), kafka::ONE_NODE).await.unwrap() };
        node.server.start().await.unwrap();
        use_it(&node).await;
        tools.transactions("t", &node.server.address().to_string());
        node.server.stop().await.unwrap();
        let data = node.server.data();
        same_over_a_node(&tools, &data);
        let transactions: Vec<_> =
            partitions(&data, "__transaction_state").iter().flat_map(|d| files(d, LOGS)).collect();
        let ran = same(&tools, &["--transaction-log-decoder"], &transactions);
        assert!(ran.stdout.contains(r#""transactionalId":"x""#), "{}", ran.stdout);
    });
}

#[test]
fn over_transactions_and_many_segments() {
    let Some(tools) = Tools::found("DumpLogSegments beside `ottla log dump` over transactions") else { return };
    let written = written();
    same_in_all_ways(&tools, &written.partition());
    same(&tools, &["--skip-record-metadata", "--deep-iteration"], &written.files(".log"));
    same(&tools, &["--max-message-size", "300"], &written.files(".index"));
}

#[test]
fn over_damage() {
    let Some(tools) = Tools::found("DumpLogSegments beside `ottla log dump` over damage") else { return };
    let written = written();
    let (log, index, times) =
        (written.files(".log").remove(0), written.files(".index").remove(0), written.files(".timeindex").remove(0));
    // A bit of a record, of an index's offset and of a timestamp; an end that is torn.
    let flip = |path: &Path, at: usize| {
        let mut bytes = fs::read(path).unwrap();
        bytes[at] ^= 1;
        fs::write_atomically(path, bytes).unwrap();
    };
    let uncompressed = 61 + 30;
    flip(&log, uncompressed);
    flip(&index, 3);
    flip(&times, 7);
    let bytes = fs::read(&log).unwrap();
    fs::write_atomically(&log, &bytes[..bytes.len() - 7]).unwrap();
    same(&tools, &[], &[log.clone(), index.clone(), times.clone()]);
    same(&tools, &["--verify-index-only"], &[index, times]);
    // Kafka's tool ends with an exception where a length makes no sense; what came before is the same.
    let mut bytes = fs::read(&log).unwrap();
    let second = 12 + i32::from_be_bytes(bytes[8..12].try_into().unwrap()) as usize;
    bytes[second + 8..second + 12].copy_from_slice(&[0, 0, 0, 3]);
    fs::write_atomically(&log, bytes).unwrap();
    let ours = same(&tools, &[], &[log]);
    assert_eq!(ours.code, Some(1));
    assert!(ours.stderr.contains(&format!("no batch at position {second} of ")), "{}", ours.stderr);
}

#[test]
fn over_batches_of_every_magic_and_codec() {
    let Some(tools) = Tools::found("DumpLogSegments beside `ottla log dump` over old batches") else { return };
    let dir = tempfile::tempdir().unwrap();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/tests/kafka_batches");
    let mut copies = Vec::new();
    for (n, fixture) in files(&fixtures, &[".bin"]).iter().enumerate() {
        let copy = dir.path().join(format!("{n:020}.log"));
        fs::write_atomically(&copy, fs::read(fixture).unwrap()).unwrap();
        copies.push(copy);
    }
    assert_eq!(copies.len(), 13);
    same(&tools, &["--print-data-log"], &copies);
}

/// Prints compacted partitions in all ways, and finds that Kafka's tool, which prints the same, has nothing to complain of.
fn sound_in_all_ways(tools: &Tools, dirs: &[PathBuf]) {
    let of = |endings: &[&str]| dirs.iter().flat_map(|dir| files(dir, endings)).collect::<Vec<_>>();
    let indexes = of(&[".index", ".timeindex"]);
    let ways: [(&[&str], Vec<PathBuf>); 4] = [
        (&[], of(ALL)),
        (&["--deep-iteration", "--print-data-log"], of(&[".log"])),
        (&["--index-sanity-check"], indexes.clone()),
        (&["--verify-index-only"], indexes),
    ];
    for (flags, files) in ways {
        let ran = same(tools, flags, &files);
        let complaints = ["isvalid: false", "Found ", "Mismatches in", "Exception", "rror "];
        let bad = |line: &&str| complaints.iter().any(|words| line.contains(words));
        let found: Vec<_> = ran.stdout.lines().chain(ran.stderr.lines()).filter(bad).collect();
        assert!(ran.code == Some(0) && found.is_empty(), "{flags:?}: {found:#?}");
    }
}

#[test]
fn over_a_directory_that_ottla_compacted() {
    let Some(tools) = Tools::found("DumpLogSegments over a compacted directory") else { return };
    let dir = formatted();
    let has = |heads: &[BatchHeader], is: fn(&BatchHeader) -> bool| heads.iter().any(is);
    // The first pass sets delete horizons, which have passed at the last one.
    for (round, now_ms) in [(0, logs::NOW), (1, logs::NOW + 10 * RETENTION_MS)] {
        let log = Compacting::open(dir.path());
        log.fill(round);
        log.pass(now_ms).expect("due");
        let partition = log.partition();
        log.close();
        let heads = heads(&partition);
        assert!(has(&heads, |h| h.record_count == 0), "a producer that lost all it wrote");
        assert!(has(&heads, |h| h.has_delete_horizon()) && has(&heads, |h| h.is_control()));
        assert!(Compression::ALL.into_iter().all(|codec| heads.iter().any(|h| h.compression() == Ok(codec))));
        sound_in_all_ways(&tools, &[partition]);
    }
}

#[test]
fn over_messages_of_old_versions_that_ottla_compacted() {
    let Some(tools) = Tools::found("DumpLogSegments over compacted messages of magic 0 and 1") else { return };
    let dirs = ["none", "gzip", "snappy", "lz4"].map(|codec| {
        let dir = formatted();
        let end = put_legacy(dir.path(), codec);
        let log = Compacting::open(dir.path());
        assert_eq!((log.log().log_start_offset(), log.log().log_end_offset()), (1_000, end));
        log.fill(0);
        // Of the 500 messages a third has no key, and of the others only the last of each key stays.
        assert_eq!(log.pass(logs::NOW).expect("due").records_without_key, 5 * 34);
        log.close();
        dir
    });
    sound_in_all_ways(&tools, &dirs.each_ref().map(|dir| dir.path().join(format!("{}-0", logs::TOPIC))));
}

/// A segment whose records have these keys and values.
fn segment(dir: &Path, base: i64, records: &[internal_records::Record]) -> PathBuf {
    let mut builder = BatchBuilder::new(plain());
    for (key, value) in records {
        builder.append(logs::NOW, key.as_deref(), value.as_deref(), &[]);
    }
    let mut bytes = builder.build();
    set_base_offset(&mut bytes, base);
    let path = dir.join(format!("{base:020}.log"));
    fs::write_atomically(&path, bytes).unwrap();
    path
}

#[test]
fn over_records_of_internal_topics() {
    let Some(tools) = Tools::found("DumpLogSegments beside `ottla log dump` over internal records") else { return };
    let dir = tempfile::tempdir().unwrap();
    for (flag, records) in internal_records::all() {
        let file = segment(dir.path(), 0, &records);
        let ran = same(&tools, &[flag], &[file]);
        assert!(!ran.stdout.contains("rror at"), "{flag}: {}", ran.stdout);
    }
    // A type that neither knows, and a tombstone.
    let odd = [(Some(vec![0, 99, 1]), Some(vec![1])), (Some(b"\0\x02\0\x01g".to_vec()), None)];
    let file = segment(dir.path(), 0, &odd);
    let ran = same(&tools, &["--offsets-decoder"], &[file]);
    assert!(ran.stdout.contains("Unknown record type 99") && ran.stdout.contains("<DELETE>"), "{}", ran.stdout);
}

#[test]
fn over_keys_and_values_that_are_numbers_or_nothing() {
    let Some(tools) = Tools::found("DumpLogSegments beside `ottla log dump` over numbers") else { return };
    let dir = tempfile::tempdir().unwrap();
    let records = [(Some(vec![0, 0, 1, 0]), Some(vec![0xff; 8])), (None, Some(vec![0; 8])), (Some(vec![1; 4]), None)];
    let file = [segment(dir.path(), 0, &records)];
    let class = |name: &str| format!("org.apache.kafka.tools.api.{name}Decoder");
    let (integer, long) = (class("Integer"), class("Long"));
    same(&tools, &["--key-decoder-class", &integer, "--value-decoder-class", &long], &file);
    // A decoder without a name is the one for text.
    same(&tools, &["--key-decoder-class", &integer, "--value-decoder-class"], &file);
    same(
        &tools,
        &["--print-data-log"],
        &[segment(dir.path(), 0, &[(Some(b"\xff\xfea\xed\xa0\x80\xe2\x82".to_vec()), Some("ü".into()))])],
    );
}

#[test]
fn over_an_empty_log() {
    let Some(tools) = Tools::found("DumpLogSegments beside `ottla log dump` over an empty log") else { return };
    let mut written = Written::new(1 << 20);
    written.close();
    let files: Vec<_> = [".log", ".index", ".timeindex"]
        .iter()
        .map(|suffix| written.partition().join(format!("{:020}{suffix}", 0)))
        .collect();
    same(&tools, &[], &files);
    let mut one = Written::new(1 << 20);
    one.append(batch(plain(), 1, logs::NOW, "only"));
    one.close();
    same_in_all_ways(&tools, &one.partition());
}
