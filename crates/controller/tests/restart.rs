//! What a lone controller committed is there after a restart, in both kinds of quorum, whatever ended the last process.

mod support;

use std::sync::Arc;

use ottla_controller::raft::VoterSet;
use ottla_metadata::records::{BeginTransactionRecord, TopicRecord};
use ottla_metadata::{MetadataImage, MetadataRecord};
use ottla_protocol::Uuid;
use ottla_protocol::record_batch::{BatchBuilder, BatchOptions};
use ottla_storage::{AppendOrigin, Log, LogDir, OpenOptions};
use support::{Node, block_on, format_dir, standalone, static_voters};

fn topics(image: &MetadataImage) -> Vec<String> {
    image.topics.iter().map(|t| format!("{} {} {:?}", t.name, t.id, t.partitions)).collect()
}

fn restart_keeps_everything(dynamic: bool) {
    let root = tempfile::tempdir().expect("a directory");
    let kind = if dynamic { standalone() } else { ottla_controller::format::QuorumKind::Static };
    let dir = format_dir(root.path(), kind);
    let voters = || if dynamic { VoterSet::default() } else { static_voters() };
    block_on(async {
        let node = Node::start(&dir, voters()).expect("starts");
        let epoch = node.register_broker(-1).await;
        assert_eq!(node.create_topic("orders", 3, &[("retention.ms", "1000")]).await, 0);
        assert_eq!(node.create_topic("orders", 3, &[]).await, 36, "TOPIC_ALREADY_EXISTS");
        let before = node.loader.current();
        assert_eq!(before.topics.by_name("orders").expect("created").partitions.len(), 3);
        node.controller.stop().await.expect("stops");
        drop(node);

        let node = Node::start(&dir, voters()).expect("starts again");
        // Its answer comes when all of the log is committed and loaded.
        let again = node.register_broker(epoch).await;
        let after = node.loader.current();
        assert!(again > epoch, "a new life of a broker has a new epoch");
        assert_eq!(after.configs, before.configs);
        assert_eq!(after.features, before.features);
        let names = |image: &MetadataImage| {
            topics(image).iter().map(|t| t.split(" {").next().map(str::to_owned)).collect::<Vec<_>>()
        };
        assert_eq!(names(&after), names(&before));
        let leaders: Vec<i32> = after.topics.iter().flat_map(|t| t.partitions.values().map(|p| p.leader)).collect();
        assert_eq!(leaders, [1, 1, 1], "the broker leads its partitions again");
        node.controller.stop().await.expect("stops");
    });
}

#[test]
fn a_dynamic_quorum_keeps_its_records() {
    restart_keeps_everything(true);
}

#[test]
fn a_static_quorum_keeps_its_records() {
    restart_keeps_everything(false);
}

/// The directory as another process would find it if this one were killed now.
fn copy_of(dir: &std::path::Path, to: &std::path::Path) -> std::path::PathBuf {
    let to = to.join("killed");
    for part in ["", "__cluster_metadata-0"] {
        ottla_env::fs::create_dir_all(to.join(part)).expect("made");
        let files = ottla_env::fs::read_dir(dir.join(part)).expect("listed");
        for file in files.iter().filter(|f| !f.is_dir && !f.name.ends_with(".deleted")) {
            let content = ottla_env::fs::read(dir.join(part).join(&file.name)).expect("read");
            ottla_env::fs::write_atomically(to.join(part).join(&file.name), content).expect("written");
        }
    }
    to
}

#[test]
fn what_was_answered_survives_a_kill() {
    let root = tempfile::tempdir().expect("a directory");
    let dir = format_dir(root.path(), standalone());
    block_on(async {
        let node = Node::start(&dir, VoterSet::default()).expect("starts");
        let epoch = node.register_broker(-1).await;
        for n in 0..20 {
            assert_eq!(node.create_topic(&format!("t{n}"), 2, &[]).await, 0);
        }
        let killed = copy_of(&dir, root.path());
        let after = Node::start(&killed, VoterSet::default()).expect("starts again");
        // The earlier broker's session is not waited for: it was part of the process that is gone.
        after.register_broker(-1).await;
        let image = after.loader.current();
        assert_eq!(image.topics.len(), 20);
        let led = |p: &ottla_metadata::image::PartitionRegistration| p.leader == 1 && p.leader_recovery_state == 1;
        assert!(image.topics.iter().all(|t| t.partitions.values().all(led)), "led again, as possibly incomplete");
        assert!(image.cluster.broker(1).expect("registered").epoch > epoch);
        after.controller.stop().await.expect("stops");
        node.controller.stop().await.expect("stops");
    });
}

#[test]
fn a_snapshot_takes_the_place_of_the_log() {
    let root = tempfile::tempdir().expect("a directory");
    let dir = format_dir(root.path(), standalone());
    block_on(async {
        let node = Node::start_with(&dir, VoterSet::default(), |o| o.snapshot_after_bytes = 1000).expect("starts");
        let epoch = node.register_broker(-1).await;
        for n in 0..30 {
            assert_eq!(node.create_topic(&format!("t{n}"), 2, &[]).await, 0);
        }
        while !node.heartbeat(epoch, true).await {}
        let before = topics(&node.loader.current());
        node.controller.stop().await.expect("stops");
        drop(node);
        let files = ottla_env::fs::read_dir(dir.join("__cluster_metadata-0")).expect("listed");
        let snapshots: Vec<&str> =
            files.iter().map(|f| f.name.as_str()).filter(|name| name.ends_with(".checkpoint")).collect();
        assert_eq!(snapshots.len(), 2, "old ones are removed: {snapshots:?}");
        assert!(!snapshots[0].starts_with("00000000000000000000-"), "{snapshots:?}");

        let node = Node::start(&dir, VoterSet::default()).expect("starts from the snapshot");
        assert_eq!(node.create_topic("t0", 1, &[]).await, 36);
        assert_eq!(topics(&node.loader.current()), before);
        node.controller.stop().await.expect("stops");
    });
}

#[test]
fn a_transaction_left_open_is_aborted() {
    let root = tempfile::tempdir().expect("a directory");
    let dir = format_dir(root.path(), standalone());
    block_on(async {
        let node = Node::start(&dir, VoterSet::default()).expect("starts");
        let epoch = node.register_broker(-1).await;
        while !node.heartbeat(epoch, true).await {}
        node.controller.stop().await.expect("stops");
    });
    append(
        &dir,
        &[
            BeginTransactionRecord { name: Some("left open".into()) }.into(),
            TopicRecord { name: "half".into(), topic_id: Uuid([5; 16]) }.into(),
        ],
    );
    block_on(async {
        let node = Node::start(&dir, VoterSet::default()).expect("starts again");
        node.register_broker(-1).await;
        assert!(node.loader.current().topics.by_name("half").is_none());
        assert_eq!(node.create_topic("half", 1, &[]).await, 0);
        assert!(node.loader.current().topics.by_name("half").is_some());
        node.controller.stop().await.expect("stops");
    });
}

/// Appends a batch of epoch 1 as its leader would have.
fn append(dir: &std::path::Path, records: &[MetadataRecord]) {
    let options = OpenOptions::default();
    let log_dir = LogDir::open(dir).expect("nobody uses it");
    let log =
        Log::open(&log_dir, "__cluster_metadata", 0, Uuid::METADATA_TOPIC, Arc::default(), options).expect("opens");
    let mut batch = BatchBuilder::new(BatchOptions::default());
    for record in records {
        batch.append(1, None, Some(&record.encode().expect("encodes")), &[]);
    }
    log.append_as_leader(&mut batch.build(), 1, AppendOrigin::RaftLeader, 1).expect("appended");
    log.close().expect("closes");
}
