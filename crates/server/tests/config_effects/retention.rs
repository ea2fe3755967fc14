//! What goes from a log, and when.

use ottla_client::ProducerRecord;
use ottla_client::admin::OffsetSpec;
use ottla_env::fs;
use ottla_env::time;

use crate::HOUR_MS;
use crate::support::{eventually, names, with_node};

#[test]
fn retention_by_time() {
    let check = ("log.retention.check.interval.ms", "200");
    for keep in [("log.retention.ms", "60000"), ("log.retention.minutes", "1"), ("log.retention.hours", "1")] {
        with_node(&[keep, check], |node| async move {
            node.create("short", &[]).await;
            node.create("long", &[("retention.ms", "-1")]).await;
            let old = time::wall_clock_ms() - 2 * HOUR_MS;
            for topic in ["short", "long"] {
                node.produce(ProducerRecord::new(topic, b"x").with_timestamp_ms(old)).await.unwrap();
            }
            eventually("the old record goes", async || node.offset("short", OffsetSpec::Earliest).await == 1).await;
            assert_eq!(node.offset("long", OffsetSpec::Earliest).await, 0);
        });
    }
}

#[test]
fn retention_by_size() {
    let sizes = [("log.segment.bytes", "1048576"), ("log.retention.bytes", "1500000")];
    let check = ("log.retention.check.interval.ms", "200");
    with_node(&[sizes[0], sizes[1], check], |node| async move {
        node.create("bounded", &[]).await;
        node.create("unbounded", &[("retention.bytes", "-1")]).await;
        node.fill("bounded", 50, 100_000).await;
        node.fill("unbounded", 50, 100_000).await;
        eventually("old segments go", async || node.offset("bounded", OffsetSpec::Earliest).await > 0).await;
        assert_eq!(node.offset("unbounded", OffsetSpec::Earliest).await, 0);
    });
}

#[test]
fn deleted_files_linger() {
    for (delay, lingers) in [("0", false), ("600000", true)] {
        with_node(&[("log.segment.delete.delay.ms", delay)], |node| async move {
            node.create("gone", &[]).await;
            node.produce(ProducerRecord::new("gone", b"x")).await.unwrap();
            node.admin().await.delete_topics(&["gone".to_owned()]).await.unwrap();
            let data = node.server.data();
            eventually("it is renamed", async || !fs::exists(data.join("gone-0"))).await;
            if lingers {
                assert_eq!(names(&data, "-delete").len(), 1);
            } else {
                eventually("it is removed", async || names(&data, "-delete").is_empty()).await;
            }
        });
    }
}
