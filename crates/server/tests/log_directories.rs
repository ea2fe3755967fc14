//! A node over several disks, of which one after the other fails.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use ottla_client::ProducerRecord;
use ottla_env::fs;
use ottla_env::task::Runtime;
use ottla_testkit::process::{Program, Server};
use support::{Node, binary, eventually};

const PARTITIONS: i32 = 4;

async fn leaderless(node: &Node) -> Vec<i32> {
    let topics = node.admin().await.describe_topics(&["t".to_owned()]).await.unwrap();
    let partitions = topics.iter().flat_map(|topic| &topic.partitions);
    partitions.filter(|p| p.leader < 0).map(|p| p.partition).collect()
}

async fn produce(node: &Node, partition: i32) -> Result<i64, ottla_client::Error> {
    let patience = [("linger.ms", "0"), ("delivery.timeout.ms", "2000"), ("request.timeout.ms", "1000")];
    let producer = node.producer(&patience).await;
    let sent = producer.send(ProducerRecord::new("t", b"x").with_partition(partition)).await?;
    Ok(sent.wait().await?.offset)
}

#[test]
fn a_failed_disk_goes_alone_and_the_last_one_stops_the_node() {
    let disks = tempfile::tempdir().unwrap();
    let [a, b, gone] = ["a", "b", "gone"].map(|name| disks.path().join(name));
    let dirs = format!("{},{}", a.display(), b.display());
    // High watermarks are written often, so that the disks are looked at.
    let properties = [("log.dirs", &*dirs), ("replica.high.watermark.checkpoint.interval.ms", "50")];
    Runtime::new(2).unwrap().block_on(async {
        let server = Server::new(Program::Ottla(binary()), &properties).await.unwrap();
        let mut node = Node { server };
        node.server.start().await.unwrap();
        node.try_create("t", Some(PARTITIONS), &[]).await.unwrap();
        let (in_b, in_a): (Vec<i32>, Vec<i32>) =
            (0..PARTITIONS).partition(|index| fs::exists(b.join(format!("t-{index}"))));
        assert_eq!((in_a.len(), in_b.len()), (2, 2));
        for partition in 0..PARTITIONS {
            assert_eq!(produce(&node, partition).await.unwrap(), 0);
        }

        fs::rename(&b, &gone).unwrap();
        // The file is open, so this is taken; what it leads to cannot be noted in the directory.
        produce(&node, in_b[0]).await.unwrap();
        eventually("its partitions have no leader", async || leaderless(&node).await == in_b).await;
        for partition in &in_b {
            assert!(produce(&node, *partition).await.is_err());
        }
        for partition in &in_a {
            assert_eq!(produce(&node, *partition).await.unwrap(), 1, "the other disk serves on");
        }

        // Back after a restart, and nothing was lost.
        assert!(node.server.stop().await.unwrap().success());
        fs::rename(&gone, &b).unwrap();
        node.server.start().await.unwrap();
        eventually("everything is led again", async || leaderless(&node).await.is_empty()).await;
        assert_eq!(produce(&node, in_b[1]).await.unwrap(), 1);

        // A disk that cannot be used at the start: a file stands in its place.
        node.server.stop().await.unwrap();
        fs::rename(&b, &gone).unwrap();
        fs::write_atomically(&b, b"no directory").unwrap();
        node.server.start().await.unwrap();
        assert_eq!(produce(&node, in_a[0]).await.unwrap(), 2);
        eventually("its partitions have no leader", async || leaderless(&node).await == in_b).await;

        let producer = node.producer(&[("linger.ms", "0")]).await;
        fs::rename(&a, disks.path().join("gone too")).unwrap();
        let sent = producer.send(ProducerRecord::new("t", b"x").with_partition(in_a[1])).await;
        let status = node.server.ended().await.unwrap();
        assert_eq!(status.code(), Some(3), "{}", node.server.log_tail());
        let log = node.server.log();
        assert!(log.contains("the node cannot go on"), "{log}");
        drop(sent);
    });
}
