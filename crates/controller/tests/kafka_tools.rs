//! Apache Kafka's own `DumpLogSegments` reads our metadata log and our snapshots without complaint.
//!
//! Needs Java, and the jars of Kafka's tools in `OTTLA_KAFKA_TOOLS` or `target/kafka/tools`.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use ottla_controller::raft::VoterSet;
use ottla_env::fs;
use support::{Node, block_on, format_dir, standalone};

/// Where the jars are; says so when they are not there.
fn tools() -> Option<PathBuf> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/kafka/tools");
    let dir = std::env::var_os("OTTLA_KAFKA_TOOLS").map_or(default, PathBuf::from);
    let java = Command::new("java").arg("-version").output().is_ok_and(|o| o.status.success());
    let found = java && fs::read_dir(&dir).is_ok_and(|files| files.iter().any(|f| f.name.starts_with("kafka-tools")));
    if !found {
        println!("NOT RUN: kafka_tools needs java and the jars of Kafka's tools in {}", dir.display());
    }
    found.then_some(dir)
}

fn dump(tools: &Path, file: &Path) -> String {
    let output = Command::new("java")
        .arg("-cp")
        .arg(tools.join("*"))
        .args(["org.apache.kafka.tools.DumpLogSegments", "--cluster-metadata-decoder", "--files"])
        .arg(file)
        .output()
        .expect("java runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// A line that Kafka prints for a record or batch it cannot read.
fn complaints(dump: &str) -> Vec<&str> {
    let bad = ["isvalid: false", "Could not", "Error", "Exception", "UNKNOWN"];
    dump.lines().filter(|line| bad.iter().any(|b| line.contains(b))).collect()
}

#[test]
fn dump_log_segments_reads_our_log_and_snapshot() {
    let Some(tools) = tools() else { return };
    let root = tempfile::tempdir().expect("a directory");
    let dir = format_dir(root.path(), standalone());
    block_on(async {
        let node = Node::start(&dir, VoterSet::default()).expect("starts");
        node.register_broker(-1).await;
        assert_eq!(node.create_topic("orders", 3, &[("retention.ms", "1000")]).await, 0);
        node.controller.stop().await.expect("stops");
    });
    let metadata = dir.join("__cluster_metadata-0");
    let log = dump(&tools, &metadata.join("00000000000000000000.log"));
    assert_eq!(complaints(&log), Vec::<&str>::new(), "{log}");
    for wanted in [
        "LeaderChange: {\"version\":0,\"leaderId\":1,\"voters\":[{\"voterId\":1}],\"grantingVoters\":[{\"voterId\":1}]}",
        "KRaftVersion {\"version\":0,\"kRaftVersion\":1}",
        "KRaftVoters {\"version\":0,\"voters\":[{\"voterId\":1",
        "\"type\":\"BEGIN_TRANSACTION_RECORD\"",
        "\"name\":\"metadata.version\",\"featureLevel\":33",
        "\"name\":\"min.insync.replicas\",\"value\":\"1\"",
        "\"type\":\"REGISTER_CONTROLLER_RECORD\"",
        "\"type\":\"REGISTER_BROKER_RECORD\",\"version\":4",
        "\"type\":\"TOPIC_RECORD\"",
        "\"type\":\"PARTITION_RECORD\",\"version\":2",
        "\"name\":\"retention.ms\",\"value\":\"1000\"",
    ] {
        assert!(log.contains(wanted), "no {wanted} in\n{log}");
    }
    let bootstrap = dump(&tools, &metadata.join("00000000000000000000-0000000000.checkpoint"));
    assert_eq!(complaints(&bootstrap), Vec::<&str>::new(), "{bootstrap}");
    assert!(bootstrap.contains("SnapshotHeader") && bootstrap.contains("SnapshotFooter"), "{bootstrap}");
}

#[test]
fn dump_log_segments_reads_a_snapshot_of_the_image() {
    let Some(tools) = tools() else { return };
    let root = tempfile::tempdir().expect("a directory");
    let dir = format_dir(root.path(), standalone());
    block_on(async {
        let node = Node::start_with(&dir, VoterSet::default(), |o| o.snapshot_after_bytes = 1).expect("starts");
        node.register_broker(-1).await;
        assert_eq!(node.create_topic("orders", 3, &[]).await, 0);
        node.controller.stop().await.expect("stops");
    });
    let metadata = dir.join("__cluster_metadata-0");
    let files = fs::read_dir(&metadata).expect("listed");
    let newest = files.iter().rfind(|f| f.name.ends_with(".checkpoint")).expect("a snapshot");
    let text = dump(&tools, &metadata.join(&newest.name));
    assert_eq!(complaints(&text), Vec::<&str>::new(), "{text}");
    for wanted in ["KRaftVoters", "\"type\":\"TOPIC_RECORD\"", "\"type\":\"PARTITION_RECORD\"", "SnapshotFooter"] {
        assert!(text.contains(wanted), "no {wanted} in\n{text}");
    }
}
