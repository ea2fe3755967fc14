//! `ottla log info`: the overview of a directory and the picture of a partition say what is there.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/kafka.rs"]
mod kafka;
#[path = "support/logs.rs"]
mod logs;
mod support;

use std::path::Path;

use logs::{END, NOW, Written, batch, plain, written};
use ottla_env::fs;
use ottla_env::task::Runtime;
use ottla_testkit::process::{Program, Server};
use serde_json::Value;
use support::{Node, ottla, with_node};

fn info(dir: &Path, flags: &[&str]) -> String {
    let dir = dir.display().to_string();
    let ran = ottla(["log", "info"].iter().chain(flags).copied().chain([dir.as_str()]));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{}", ran.stdout);
    ran.stdout
}

fn json(dir: &Path) -> Value {
    serde_json::from_str(&info(dir, &["-o", "json"])).unwrap()
}

fn clean(dir: &Path, offset: i64) {
    fs::write_atomically(dir.join("cleaner-offset-checkpoint"), format!("0\n1\norders 0 {offset}\n")).unwrap();
}

#[test]
fn a_directory_is_one_line_for_each_partition() {
    let written = written();
    written.mark_clean(END);
    let text = info(written.dir.path(), &[]);
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].contains(": node 1 of cluster c, stopped cleanly; 1 partition, 3 segments, "), "{text}");
    assert!(lines[1].starts_with("PARTITION  SEGMENTS  SIZE "), "{text}");
    let cells: Vec<_> = lines[2].split_whitespace().collect();
    assert_eq!((cells[0], cells[1], cells[4], cells[5], cells[6]), ("orders-0", "3", "0", "2417", "2417"), "{text}");
    // The first batch is half a second behind, the largest timestamp that of the last filled one.
    let p = &json(written.dir.path())["partitions"][0];
    assert_eq!((p["first_timestamp"].as_i64(), p["last_timestamp"].as_i64()), (Some(NOW - 500), Some(NOW + 5993)));
    assert_eq!(p["dirty_bytes"], Value::Null, "it was never cleaned");
}

#[test]
fn a_partition_is_told_segment_by_segment() {
    let written = written();
    written.mark_clean(END);
    let dir = written.partition();
    let shown = json(&dir);
    let segments = shown["segments"].as_array().unwrap();
    assert_eq!(segments.len(), 3);
    let sizes: Vec<_> = written.files(".log").iter().map(|f| fs::file_len(f).unwrap()).collect();
    for (n, segment) in segments.iter().enumerate() {
        assert_eq!(segment["bytes"], sizes[n]);
        let next = segments.get(n + 1).map_or(END.into(), |next| next["base_offset"].clone());
        assert_eq!(segment["end_offset"], next);
        assert!(segment["index_entries"].as_u64().unwrap() > 10, "{segment}");
    }
    assert_eq!(segments[2]["aborted_transactions"], 2);
    assert_eq!(shown["leader_epochs"], serde_json::json!([{ "epoch": 0, "start_offset": 0 }]));
    assert!(info(&dir, &["-o", "yaml"]).contains("end_offset: 2417"));
}

#[test]
fn the_picture_shows_where_everything_lies() {
    let mut one = Written::new(1 << 20);
    for n in 0..100 {
        one.append(batch(plain(), 1, NOW + n, "x"));
    }
    one.close();
    one.mark_clean(100);
    clean(one.dir.path(), 50);
    let text = info(&one.partition(), &[]);
    let picture: Vec<_> = text.lines().skip(2).take(7).collect();
    let wanted = [
        format!("  0{:>63}", 100),
        format!("  ├{}┤   1 segment", "─".repeat(62)),
        format!("  {}{}   compacted, dirty", "█".repeat(31), "░".repeat(33)),
        "  ▲ log start 0".to_owned(),
        format!("  {}▲ compacted up to 50", " ".repeat(31)),
        format!("  {}▲ recovery point, high watermark, end 100", " ".repeat(63)),
    ];
    assert_eq!(picture[..6], wanted.iter().map(String::as_str).collect::<Vec<_>>()[..], "{text}");
    // Batches are alike, so half of the offsets is half of the bytes.
    let shown = json(&one.partition());
    let (dirty, all) = (shown["dirty_bytes"].as_u64().unwrap(), shown["bytes"].as_u64().unwrap());
    assert_eq!(dirty * 2, all);
    assert!(info(one.dir.path(), &[]).contains("  50%"), "{}", info(one.dir.path(), &[]));
}

#[test]
fn a_running_node_is_shown_up_to_its_end() {
    with_node(&[], |node| async move {
        node.create("t", &[("segment.bytes", "1048576")]).await;
        node.fill("t", 150, 10_000).await;
        let shown = json(&node.server.data());
        assert_eq!(shown["state"], "running");
        let p = shown["partitions"].as_array().unwrap().iter().find(|p| p["partition"] == "t-0").unwrap();
        assert_eq!((p["end_offset"].as_i64(), p["segments"].as_array().unwrap().len()), (Some(150), 2));
    });
}

#[test]
fn a_running_kafka_is_shown_up_to_its_end() {
    let Some(home) = kafka::server("`ottla log info` over a running Kafka's directory") else { return };
    Runtime::new(2).unwrap().block_on(async {
        let mut node = Node { server: Server::new(Program::Kafka(home), kafka::ONE_NODE).await.unwrap() };
        node.server.start().await.unwrap();
        node.create("t", &[("segment.bytes", "1048576")]).await;
        node.fill("t", 150, 10_000).await;
        let shown = json(&node.server.data());
        let p = shown["partitions"].as_array().unwrap().iter().find(|p| p["partition"] == "t-0").unwrap();
        let segments = p["segments"].as_array().unwrap();
        assert_eq!((p["end_offset"].as_i64(), segments.len()), (Some(150), 2));
        // The active segment's index is preallocated; only what is in use counts.
        assert!(segments[1]["index_entries"].as_u64().unwrap() < 100, "{p}");
    });
}

#[test]
fn what_is_broken_is_remarked_and_the_rest_is_shown() {
    let written = written();
    fs::write_atomically(written.dir.path().join("replication-offset-checkpoint"), "garbage").unwrap();
    let dir = written.dir.path().display().to_string();
    let ran = ottla(["log", "info", &dir]);
    assert_eq!(ran.code, Some(0));
    assert!(ran.stderr.contains("warning: ") && ran.stderr.contains("cannot be understood"), "{}", ran.stderr);
    assert!(ran.stdout.contains("orders-0"), "{}", ran.stdout);
    let ran = ottla(["log", "info", &format!("{dir}/nowhere")]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.starts_with("error: cannot look into "), "{}", ran.stderr);
}
