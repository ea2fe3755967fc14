//! What a lone controller committed is there after a restart, in both kinds of quorum, whatever ended the last process.

mod support;

use ottla_controller::raft::VoterSet;
use ottla_metadata::MetadataImage;
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
