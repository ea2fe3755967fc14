//! Damage to what a controller keeps is told, and nothing that was on the device is cut off: a topic that the metadata forgets
//! takes its partitions along, which are set aside as strays. `sim_metadata_corruption.rs` draws the damages.

mod support;

use std::path::{Path, PathBuf};

use ottla_controller::ControllerError;
use ottla_controller::raft::{ElectionState, VoterSet};
use ottla_env::fs;
use support::{Node, block_on, format_dir, standalone};

const METADATA: &str = "__cluster_metadata-0";
const LOG: &str = "00000000000000000000.log";
const NOTES: &str = "recovery-point-offset-checkpoint";

/// A node with these topics, stopped.
fn stopped_with(root: &Path, topics: &[&str]) -> PathBuf {
    let dir = format_dir(root, standalone());
    block_on(async {
        let node = Node::start(&dir, VoterSet::default()).expect("starts");
        node.register_broker(-1).await;
        for topic in topics {
            assert_eq!(node.create_topic(topic, 2, &[]).await, 0);
        }
        node.controller.stop().await.expect("stops");
    });
    dir
}

/// Why it does not start.
fn refused(dir: &Path) -> String {
    block_on(async {
        match Node::start(dir, VoterSet::default()) {
            Err(error @ (ControllerError::Lost(_) | ControllerError::NewestSnapshot(_))) => error.to_string(),
            Err(error) => panic!("another refusal: {error}"),
            Ok(_) => panic!("it starts"),
        }
    })
}

/// Starts, and gives the topics that are there.
fn topics(dir: &Path) -> Vec<String> {
    block_on(async {
        let node = Node::start(dir, VoterSet::default()).expect("starts");
        assert!(node.controller.caught_up().await);
        let mut topics: Vec<_> = node.loader.current().topics.iter().map(|t| t.name.to_string()).collect();
        node.controller.stop().await.expect("stops");
        topics.sort_unstable();
        topics
    })
}

fn edit(path: PathBuf, edit: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let before = fs::read(&path).expect("read");
    let mut bytes = before.clone();
    edit(&mut bytes);
    fs::write_atomically(path, bytes).expect("written");
    before
}

fn find(bytes: &[u8], text: &str) -> usize {
    bytes.windows(text.len()).position(|w| w == text.as_bytes()).expect("there")
}

/// Recovery once cut the log at the first batch that was broken, and with it every topic behind; a line told of a torn end.
#[test]
fn a_bit_amid_the_log_keeps_the_node_from_starting() {
    let root = tempfile::tempdir().expect("a directory");
    let dir = stopped_with(root.path(), &["invoices", "orders", "payments"]);
    let log = dir.join(METADATA).join(LOG);
    let sound = edit(log.clone(), |bytes| {
        let at = find(bytes, "orders");
        bytes[at] ^= 1;
    });
    let damaged = fs::read(&log).expect("read");
    let why = refused(&dir);
    for part in [LOG, "the checksum of the batch does not fit", "was on the device", NOTES] {
        assert!(why.contains(part), "no {part} in: {why}");
    }
    assert_eq!(fs::read(&log).expect("read"), damaged, "nothing is cut off");

    fs::write_atomically(&log, &sound).expect("put back");
    assert_eq!(topics(&dir), ["invoices", "orders", "payments"]);
}

#[test]
fn who_has_no_sound_copy_goes_on_as_the_sentence_says() {
    let root = tempfile::tempdir().expect("a directory");
    let dir = stopped_with(root.path(), &["invoices", "orders", "payments"]);
    let log = dir.join(METADATA).join(LOG);
    edit(log.clone(), |bytes| {
        let at = find(bytes, "orders");
        bytes[at] ^= 1;
    });
    let why = refused(&dir);
    let (_, behind) = why.split_once("truncate -s ").expect("a place to cut");
    let position: usize = behind.split(')').next().and_then(|n| n.parse().ok()).expect("a number");
    edit(log, |bytes| bytes.truncate(position));
    assert!(refused(&dir).contains("everything below"), "the note still knows of more");
    let (_, change) = why.split_once("change `").expect("a line to change");
    let (old, new) = change.trim_end_matches('`').split_once("` to `").expect("into another");
    edit(dir.join(NOTES), |bytes| *bytes = String::from_utf8_lossy(bytes).replace(old, new).into_bytes());
    assert_eq!(topics(&dir), ["invoices"]);
}

/// A file that ends at the border of two batches looks whole.
#[test]
fn an_end_that_is_missing_is_missed() {
    let root = tempfile::tempdir().expect("a directory");
    let dir = stopped_with(root.path(), &["invoices"]);
    let earlier = fs::read(dir.join(METADATA).join(LOG)).expect("read");
    block_on(async {
        let node = Node::start(&dir, VoterSet::default()).expect("starts");
        node.register_broker(-1).await;
        assert_eq!(node.create_topic("orders", 1, &[]).await, 0);
        node.controller.stop().await.expect("stops");
    });
    let sound = edit(dir.join(METADATA).join(LOG), |bytes| bytes.clone_from(&earlier));
    let why = refused(&dir);
    assert!(why.contains(LOG) && why.contains("ends with this file") && why.contains(NOTES), "{why}");

    fs::remove_file(dir.join(METADATA).join(LOG)).expect("removed");
    let why = refused(&dir);
    assert!(why.contains("the metadata log is gone") && why.contains("quorum-state tells of epoch 2"), "{why}");

    fs::write_atomically(dir.join(METADATA).join(LOG), sound).expect("put back");
    assert_eq!(topics(&dir), ["invoices", "orders"]);
}

/// The log goes on where the newest snapshot ends. Without it, the older one and the log would leave a gap.
#[test]
fn a_snapshot_that_is_missing_is_missed() {
    let root = tempfile::tempdir().expect("a directory");
    let dir = format_dir(root.path(), standalone());
    block_on(async {
        let node = Node::start_with(&dir, VoterSet::default(), |o| o.snapshot_after_bytes = 600).expect("starts");
        node.register_broker(-1).await;
        for n in 0..12 {
            assert_eq!(node.create_topic(&format!("t{n}"), 1, &[]).await, 0);
        }
        node.controller.stop().await.expect("stops");
    });
    let files = fs::read_dir(dir.join(METADATA)).expect("listed");
    let newest = files.iter().map(|f| f.name.as_str()).filter(|name| name.ends_with(".checkpoint")).max();
    let newest = dir.join(METADATA).join(newest.expect("a snapshot"));
    let sound = edit(newest.clone(), |bytes| bytes[100] ^= 1);
    let why = refused(&dir);
    assert!(why.contains(&newest.display().to_string()) && why.contains("newest snapshot"), "{why}");

    fs::remove_file(&newest).expect("removed");
    let why = refused(&dir);
    assert!(why.contains("the metadata log begins at offset") && why.contains("missing"), "{why}");

    fs::write_atomically(&newest, sound).expect("put back");
    assert_eq!(topics(&dir).len(), 12);
}

/// Apache Kafka notes nothing of its metadata log. What lies behind the damage tells that it is none of a torn end.
#[test]
fn a_log_of_kafka_is_not_cut_amid_its_batches() {
    let root = tempfile::tempdir().expect("a directory");
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/kafka-4.4.0-dynamic");
    let dir = root.path().join("data");
    for part in ["", METADATA] {
        fs::create_dir_all(dir.join(part)).expect("made");
        for entry in fs::read_dir(from.join(part)).expect("listed").iter().filter(|e| !e.is_dir) {
            let content = fs::read(from.join(part).join(&entry.name)).expect("read");
            fs::write_atomically(dir.join(part).join(&entry.name), content).expect("written");
        }
    }
    let log = dir.join(METADATA).join(LOG);
    let sound = edit(log.clone(), |bytes| {
        let at = find(bytes, "retention.ms");
        bytes[at] ^= 1;
    });
    let why = refused(&dir);
    assert!(why.contains("Behind it lies a sound batch"), "{why}");

    // A batch that was being written is cut off, as ever.
    fs::write_atomically(&log, &sound[..sound.len() - 3]).expect("torn");
    assert_eq!(topics(&dir), ["t1"]);
}

/// A lone voter owes its vote to nobody else; still no epoch is begun twice.
#[test]
fn an_epoch_is_not_begun_twice_without_the_memory_of_it() {
    let root = tempfile::tempdir().expect("a directory");
    let dir = stopped_with(root.path(), &["orders"]);
    let state = dir.join(METADATA).join("quorum-state");
    let epoch = |path: &Path| ElectionState::from_json(&fs::read_to_string(path).expect("read")).expect("whole").epoch;
    let first = epoch(&state);
    fs::remove_file(&state).expect("removed");
    assert_eq!(topics(&dir), ["orders"]);
    assert_eq!(epoch(&state), first + 1);

    edit(state.clone(), |bytes| bytes.truncate(9));
    block_on(async {
        let refused = Node::start(&dir, VoterSet::default()).err().map(|error| error.to_string());
        assert!(
            refused.as_ref().is_some_and(|why| why.contains("quorum-state") && why.contains("remove the file")),
            "{refused:?}"
        );
    });
}
