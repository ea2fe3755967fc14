//! Directories that Apache Kafka 4.4.0 formatted and used (`tests/data`: one broker and controller with two log
//! directories, a topic `t1` of three partitions with `retention.ms=1000`, a clean stop) are opened and led on.

mod support;

use std::path::{Path, PathBuf};

use ottla_controller::raft::VoterSet;
use ottla_controller::{ControllerError, METADATA_TOPIC};
use ottla_env::fs;
use support::{Node, block_on, static_voters};

/// A copy that may be written to.
fn copy_of(root: &Path, name: &str) -> PathBuf {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    let to = root.join(name);
    for part in ["", METADATA_TOPIC_DIR] {
        fs::create_dir_all(to.join(part)).expect("made");
        for entry in fs::read_dir(from.join(part)).expect("listed").iter().filter(|e| !e.is_dir) {
            let content = fs::read(from.join(part).join(&entry.name)).expect("read");
            fs::write_atomically(to.join(part).join(&entry.name), content).expect("written");
        }
    }
    to
}

const METADATA_TOPIC_DIR: &str = "__cluster_metadata-0";

fn led_on(name: &str, voters: VoterSet) {
    let root = tempfile::tempdir().expect("a directory");
    let dir = copy_of(root.path(), name);
    block_on(async {
        let mut node = Node::start(&dir, voters).expect("starts on Kafka's directory");
        assert_eq!(node.create_topic("t1", 1, &[]).await, 36, "t1 exists");
        let image = node.loader.current();
        let topic = image.topics.by_name("t1").expect("Kafka's topic");
        assert_eq!(topic.partitions.len(), 3);
        assert!(topic.partitions.values().all(|p| p.leader == -1 && p.elr == [1]), "the broker had stopped cleanly");
        let configs = image.configs.topic("t1").expect("its configs");
        assert_eq!(configs.get("retention.ms").map(String::as_str), Some("1000"));
        let broker = image.cluster.broker(1).expect("registered");
        assert!(broker.fenced);

        // It had two, and partitions in both; those of a directory that does not come back would stay without a leader.
        node.log_dirs.clone_from(&broker.log_dirs);
        assert_eq!(node.log_dirs.len(), 2);
        let epoch = node.register_broker(broker.epoch).await;
        assert_eq!(node.create_topic("t2", 1, &[]).await, 0);
        let image = node.loader.current();
        let topic = image.topics.by_name("t1").expect("Kafka's topic");
        assert!(topic.partitions.values().all(|p| p.leader == 1 && p.isr == [1] && p.elr.is_empty()));
        assert!(image.topics.by_name("t2").is_some() && epoch > broker.epoch);
        node.controller.stop().await.expect("stops");
    });
}

#[test]
fn a_dynamic_directory_of_kafka_is_led_on() {
    led_on("kafka-4.4.0-dynamic", VoterSet::default());
}

#[test]
fn a_static_directory_of_kafka_is_led_on() {
    led_on("kafka-4.4.0-static", static_voters());
}

#[test]
fn a_static_directory_without_configured_voters_is_refused() {
    let root = tempfile::tempdir().expect("a directory");
    let dir = copy_of(root.path(), "kafka-4.4.0-static");
    block_on(async {
        let refused = Node::start(&dir, VoterSet::default()).err();
        assert!(matches!(refused, Some(ControllerError::NoVoters)), "{refused:?}");
    });
}

#[test]
fn a_dynamic_directory_of_another_identity_is_refused() {
    let root = tempfile::tempdir().expect("a directory");
    let dir = copy_of(root.path(), "kafka-4.4.0-dynamic");
    let properties = fs::read_to_string(dir.join("meta.properties")).expect("read");
    let changed = properties.replace("directory.id=M", "directory.id=N");
    assert_ne!(properties, changed);
    fs::write_atomically(dir.join("meta.properties"), changed).expect("written");
    block_on(async {
        let refused = Node::start(&dir, VoterSet::default()).err();
        assert!(matches!(refused, Some(ControllerError::OtherDirectory(1))), "{refused:?}");
    });
    assert_eq!(METADATA_TOPIC_DIR, format!("{METADATA_TOPIC}-0"));
}
