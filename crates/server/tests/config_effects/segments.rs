//! When a segment rolls and what is in its index.

use ottla_client::ProducerRecord;
use ottla_client::admin::OffsetSpec;
use ottla_env::fs;
use ottla_env::time;

use crate::HOUR_MS;
use crate::support::{Node, with_node};

#[test]
fn segments_roll_by_size() {
    with_node(&[("log.segment.bytes", "1048576")], |node| async move {
        node.create("broker", &[]).await;
        node.create("topic", &[("segment.bytes", "2097152")]).await;
        node.fill("broker", 30, 100_000).await;
        node.fill("topic", 30, 100_000).await;
        assert_eq!(node.files("broker", ".log").len(), 3);
        assert_eq!(node.files("topic", ".log").len(), 2);
    });
}

/// Produces two records an hour and a half apart and counts the segments.
async fn segments_after_90_minutes(node: &Node, topic: &str) -> usize {
    let then = time::wall_clock_ms() - 2 * HOUR_MS;
    for at in [then, then + HOUR_MS * 3 / 2] {
        node.produce(ProducerRecord::new(topic, b"x").with_timestamp_ms(at)).await.unwrap();
    }
    node.files(topic, ".log").len()
}

#[test]
fn segments_roll_by_time() {
    with_node(&[("log.roll.hours", "1")], |node| async move {
        node.create("broker", &[]).await;
        node.create("topic", &[("segment.ms", "36000000")]).await;
        assert_eq!(segments_after_90_minutes(&node, "broker").await, 2);
        assert_eq!(segments_after_90_minutes(&node, "topic").await, 1);
    });
    with_node(&[("log.roll.ms", "3600000"), ("log.roll.hours", "100")], |node| async move {
        node.create("broker", &[]).await;
        assert_eq!(segments_after_90_minutes(&node, "broker").await, 2, "milliseconds go before hours");
    });
    // Up to two hours off the two: of ten segments each rolls within 90 minutes with a chance of three in four.
    with_node(&[("log.roll.hours", "2"), ("log.roll.jitter.hours", "2")], |node| async move {
        let mut rolled = 0;
        for i in 0..10 {
            let topic = format!("t{i}");
            node.create(&topic, &[]).await;
            rolled += segments_after_90_minutes(&node, &topic).await - 1;
        }
        assert!(rolled > 0);
    });
}

#[test]
fn index_settings() {
    with_node(&[("log.index.interval.bytes", "100")], |mut node| async move {
        node.create("dense", &[]).await;
        node.create("sparse", &[("index.interval.bytes", "100000")]).await;
        // Room for three entries: the segment rolls when they are used up.
        node.create("small", &[("segment.index.bytes", "24")]).await;
        for topic in ["dense", "sparse", "small"] {
            node.fill(topic, 20, 200).await;
        }
        assert!(node.files("small", ".log").len() > 3);
        assert!(node.server.stop().await.unwrap().success());
        let entries = |topic: &str| {
            let path = node.server.data().join(format!("{topic}-0/00000000000000000000.index"));
            fs::file_len(path).unwrap() / 8
        };
        assert!(entries("dense") >= 15, "{}", entries("dense"));
        assert_eq!(entries("sparse"), 0);
    });
    with_node(&[("log.index.size.max.bytes", "24"), ("log.index.interval.bytes", "100")], |node| async move {
        node.create("small", &[]).await;
        node.fill("small", 20, 200).await;
        assert!(node.files("small", ".log").len() > 3);
    });
}

#[test]
fn preallocated_segments() {
    with_node(&[("log.preallocate", "true"), ("log.segment.bytes", "1048576")], |mut node| async move {
        node.create("broker", &[]).await;
        node.create("topic", &[("preallocate", "false")]).await;
        let length = |node: &Node, topic: &str, segment: &str| {
            fs::file_len(node.server.data().join(format!("{topic}-0")).join(segment)).unwrap()
        };
        let first = "00000000000000000000.log";
        node.fill("broker", 1, 100_000).await;
        node.fill("topic", 1, 100_000).await;
        assert_eq!(length(&node, "broker", first), 1_048_576);
        assert!((100_000..101_000).contains(&length(&node, "topic", first)));
        node.fill("broker", 11, 100_000).await;
        assert!(length(&node, "broker", first) < 1_048_576, "cut when it was closed");
        // What is left of the last one after a kill is zeros, and they are no records.
        node.server.kill().unwrap();
        node.server.start().await.unwrap();
        assert_eq!(node.offset("broker", OffsetSpec::Latest).await, 12);
        node.fill("broker", 1, 10).await;
        assert_eq!(node.offset("broker", OffsetSpec::Latest).await, 13);
    });
}
