//! A publisher that takes its time holds up the answers that tell of what it publishes, and nothing else of the controller.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ottla_controller::raft::VoterSet;
use ottla_env::task::StopSignal;
use ottla_env::{task, time};
use ottla_metadata::delta::MetadataDelta;
use ottla_metadata::{MetadataImage, MetadataPublisher};
use support::{Node, block_on, format_dir, standalone};

const PATIENCE: Duration = Duration::from_secs(20);

/// Makes the files of topic `slow` for as long as the signal is not given.
#[derive(Default)]
struct Slow {
    begun: AtomicBool,
    done: StopSignal,
}

impl MetadataPublisher for Slow {
    fn name(&self) -> &'static str {
        "slow"
    }

    fn publish(&self, delta: &MetadataDelta, image: &Arc<MetadataImage>) {
        let is_slow = |id| image.topics.by_id(id).is_some_and(|topic| &*topic.name == "slow");
        if delta.topics().changed.keys().any(|id| is_slow(*id)) {
            self.begun.store(true, Ordering::SeqCst);
            task::blocking_here(|| while !self.done.wait_ms(60_000) {});
        }
    }
}

#[test]
fn the_controller_goes_on_while_files_are_made() {
    let root = tempfile::tempdir().expect("a directory");
    let dir = format_dir(root.path(), standalone());
    block_on(async {
        let node = Arc::new(Node::start(&dir, VoterSet::default()).expect("starts"));
        let epoch = node.register_broker(-1).await;
        let publisher = Arc::new(Slow::default());
        node.loader.add_publisher(Arc::clone(&publisher) as _);
        let create = |name: &'static str| {
            let node = Arc::clone(&node);
            task::spawn("create", async move { node.create_topic(name, 1, &[]).await })
        };
        let slow = create("slow");
        let begun = async {
            while !publisher.begun.load(Ordering::SeqCst) {
                time::sleep(Duration::from_millis(1)).await;
            }
        };
        time::timeout(PATIENCE, begun).await.expect("it is published");

        for _ in 0..3 {
            time::timeout(PATIENCE, node.heartbeat(epoch, false)).await.expect("heartbeats are answered meanwhile");
        }
        let refused = time::timeout(PATIENCE, node.create_topic("slow", 1, &[])).await;
        assert_eq!(refused.expect("decided meanwhile"), 36, "it exists, though its files do not yet");
        let next = create("next");
        assert!(!slow.is_finished() && !next.is_finished(), "who created a topic is told when it is there");
        assert!(node.loader.current().topics.by_name("slow").is_some());

        publisher.done.stop();
        for created in [slow, next] {
            assert_eq!(time::timeout(PATIENCE, created).await.expect("now").expect("ends"), 0);
        }
        assert!(node.loader.current().topics.by_name("next").is_some());
        node.controller.stop().await.expect("stops");
    });
}

#[test]
fn a_stop_waits_for_what_is_being_published() {
    let root = tempfile::tempdir().expect("a directory");
    let dir = format_dir(root.path(), standalone());
    block_on(async {
        let node = Arc::new(Node::start(&dir, VoterSet::default()).expect("starts"));
        node.register_broker(-1).await;
        let publisher = Arc::new(Slow::default());
        node.loader.add_publisher(Arc::clone(&publisher) as _);
        let creating = Arc::clone(&node);
        task::spawn("create", async move { creating.create_topic("slow", 1, &[]).await });
        while !publisher.begun.load(Ordering::SeqCst) {
            time::sleep(Duration::from_millis(1)).await;
        }
        let early = time::timeout(Duration::from_millis(100), node.controller.stop()).await;
        assert!(early.is_err(), "files are still being made");
        publisher.done.stop();
        time::timeout(PATIENCE, node.controller.ended()).await.expect("now").expect("stops");
    });
}
