//! A partition is compacted by Ottla and by Apache Kafka in turn: each opens what the other left, serves all that is the last of
//! its key, and compacts it further.
//!
//! Needs java and Kafka's server, as `log_dump_kafka.rs` does.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/compacting.rs"]
mod compacting;
#[path = "support/kafka.rs"]
mod kafka;
#[path = "support/logs.rs"]
mod logs;
mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use compacting::{Compacting, RETENTION_MS};
use logs::TOPIC;
use ottla_client::admin::OffsetSpec;
use ottla_client::{ProducerRecord, TopicPartition};
use ottla_env::fs;
use ottla_env::task::Runtime;
use ottla_testkit::process::{Program, Server};
use support::{Node, eventually, ottla};

/// The last value of each key, and where it is.
type Latest = BTreeMap<Vec<u8>, (i64, Vec<u8>)>;

/// What a consumer sees: how many records, and the last value of each key that has one.
async fn read(node: &Node, isolation: &str) -> (usize, Latest) {
    let tp = TopicPartition::new(TOPIC, 0);
    let end = node.offset(TOPIC, OffsetSpec::Latest).await;
    let mut consumer = node.consumer("r", &[("isolation.level", isolation), ("enable.auto.commit", "false")]).await;
    consumer.assign([tp.clone()]);
    consumer.seek_to_beginning(&tp).unwrap();
    let (mut count, mut latest) = (0, Latest::new());
    while consumer.position(&tp).is_none_or(|position| position < end) {
        for record in consumer.poll(Duration::from_millis(100)).await.unwrap() {
            count += 1;
            let key = record.key.as_deref().unwrap_or_default().to_vec();
            match record.value.as_deref() {
                Some(value) => drop(latest.insert(key, (record.offset, value.to_vec()))),
                None => drop(latest.remove(&key)),
            }
        }
    }
    (count, latest)
}

/// Up to where the partition is compacted.
fn checkpoint(node: &Node) -> i64 {
    let text = fs::read_to_string(node.server.data().join("cleaner-offset-checkpoint")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{TOPIC} 0 ")).map(str::to_owned));
    line.map_or(0, |offset| offset.parse().unwrap())
}

/// Ottla fills the partition of a stopped broker and compacts it.
fn compact(node: &Node, round: i32, now_ms: i64) -> i64 {
    let log = Compacting::open(&node.server.data());
    log.fill(round);
    let to = log.pass(now_ms).expect("due").to;
    log.close();
    assert_eq!(checkpoint(node), to);
    sound(node);
    to
}

fn sound(node: &Node) {
    let ran = ottla(["log", "verify", &node.server.data().display().to_string()]);
    assert_eq!(ran.code, Some(0), "{}", ran.stdout);
}

#[test]
fn each_goes_on_with_what_the_other_compacted() {
    let what = "compaction by Ottla and Kafka in turn";
    let Some(home) = kafka::server(what) else { return };
    Runtime::new(2).unwrap().block_on(async {
        let mut node = Node { server: Server::new(Program::Kafka(home), kafka::ONE_NODE).await.unwrap() };
        node.server.start().await.unwrap();
        let configs = [
            ("cleanup.policy", "compact"),
            ("min.cleanable.dirty.ratio", "0.01"),
            ("segment.ms", "100"),
            ("delete.retention.ms", "86400000"),
        ];
        node.create(TOPIC, &configs).await;
        node.server.stop().await.unwrap();

        let mut kafkas = 0;
        for (round, now_ms) in [(0, logs::NOW), (1, logs::NOW + 10 * RETENTION_MS)] {
            let by_ottla = compact(&node, round, now_ms);
            node.server.start().await.unwrap();
            let (count, latest) = read(&node, "read_uncommitted").await;
            let committed = read(&node, "read_committed").await;
            // Of the aborted transaction nothing is left below the checkpoint, and all others were committed.
            assert_eq!(committed, (count, latest.clone()));
            assert!(latest.len() > 11 && latest.contains_key(&b"end"[..]), "{latest:?}");

            let producer = node.producer(&[("linger.ms", "0"), ("batch.size", "1")]).await;
            let mut written = 0;
            eventually("Kafka's cleaner goes on", async || {
                for _ in 0..20 {
                    let (key, value) = (format!("k{}", written % 11), format!("of Kafka {round} {written}"));
                    let record = ProducerRecord::new(TOPIC, value.as_bytes()).with_key(key.as_bytes());
                    producer.send(record).await.unwrap().wait().await.unwrap();
                    written += 1;
                }
                checkpoint(&node) > by_ottla.max(kafkas)
            })
            .await;
            kafkas = checkpoint(&node);
            let (_, after) = read(&node, "read_committed").await;
            for (key, at) in latest.iter().filter(|(key, _)| !key.starts_with(b"k")) {
                assert_eq!(after.get(key), Some(at), "{}", String::from_utf8_lossy(key));
            }
            assert!((0..11).all(|k| after[format!("k{k}").as_bytes()].1.starts_with(b"of Kafka")));
            node.server.stop().await.unwrap();
            sound(&node);
        }
    });
}
