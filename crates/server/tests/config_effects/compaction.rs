//! What compaction takes away, when, and what it leaves.

use std::time::Duration;

use ottla_client::admin::OffsetSpec;
use ottla_client::{ProducerRecord, TopicPartition};

use crate::support::{Node, eventually, with_node};

/// Cleaners that look all the time; segments that are done with the next record; everything is worth it.
const EAGER: [(&str, &str); 3] =
    [("log.cleaner.backoff.ms", "50"), ("log.roll.ms", "1"), ("log.cleaner.min.cleanable.ratio", "0")];
const COMPACT: (&str, &str) = ("cleanup.policy", "compact");
/// Records that [`write`] writes.
const WRITTEN: usize = 8;

/// Keys and values of everything that is left, by offset.
async fn left(node: &Node, topic: &str) -> Vec<(String, Option<String>)> {
    let tp = TopicPartition::new(topic, 0);
    let end = node.offset(topic, OffsetSpec::Latest).await;
    let mut consumer = node.consumer("reader", &[("enable.auto.commit", "false")]).await;
    consumer.assign([tp.clone()]);
    consumer.seek_to_beginning(&tp).unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut records = Vec::new();
    while consumer.position(&tp).is_none_or(|position| position < end) {
        for record in consumer.poll(Duration::from_millis(100)).await.unwrap() {
            records.push((text(record.key.as_deref().unwrap_or_default()), record.value.as_deref().map(text)));
        }
    }
    records
}

/// Records of two keys and the tombstone of a third, each in a segment of its own but the last.
async fn write(node: &Node, topic: &str) {
    for value in ["1", "2", "3"] {
        for key in [b"a", b"b"] {
            node.produce(ProducerRecord::new(topic, value.as_bytes()).with_key(key)).await.unwrap();
        }
    }
    let gone = ProducerRecord { topic, key: Some(b"gone"), value: None, ..ProducerRecord::default() };
    node.produce(gone).await.unwrap();
    node.produce(ProducerRecord::new(topic, b"last").with_key(b"end")).await.unwrap();
}

fn is_compacted(records: &[(String, Option<String>)]) -> bool {
    ["a", "b"].iter().all(|key| records.iter().filter(|(k, _)| k == key).count() == 1)
}

#[test]
fn the_last_value_of_each_key_stays() {
    with_node(&EAGER, |node| async move {
        node.create("t", &[COMPACT]).await;
        write(&node, "t").await;
        eventually("older values go", async || is_compacted(&left(&node, "t").await)).await;
        let record = |key: &str, value: Option<&str>| (key.to_owned(), value.map(str::to_owned));
        // The tombstone stays for `delete.retention.ms`, a day.
        let expected =
            [record("a", Some("3")), record("b", Some("3")), record("gone", None), record("end", Some("last"))];
        assert_eq!(left(&node, "t").await, expected);
    });
}

#[test]
fn tombstones_outlive_compaction_for_a_while() {
    let mut properties = EAGER.to_vec();
    properties.push(("log.cleaner.delete.retention.ms", "0"));
    with_node(&properties, |node| async move {
        node.create("short", &[COMPACT]).await;
        node.create("long", &[COMPACT, ("delete.retention.ms", "3600000")]).await;
        for topic in ["long", "short"] {
            write(&node, topic).await;
        }
        let has_tombstone = async |topic| left(&node, topic).await.iter().any(|(_, value)| value.is_none());
        // A first pass sets the horizon, which a later one looks at; each needs something new.
        eventually("the tombstone goes", async || {
            node.produce(ProducerRecord::new("short", b"x").with_key(b"end")).await.unwrap();
            !has_tombstone("short").await
        })
        .await;
        eventually("the other log is compacted", async || is_compacted(&left(&node, "long").await)).await;
        assert!(has_tombstone("long").await);
    });
}

#[test]
fn a_log_is_compacted_when_enough_of_it_is_new() {
    // All of a log that was never compacted is new, and that is not more than all.
    let properties = [EAGER[0], EAGER[1], ("log.cleaner.min.cleanable.ratio", "1")];
    with_node(&properties, |node| async move {
        node.create("never", &[COMPACT]).await;
        node.create("little", &[COMPACT, ("min.cleanable.dirty.ratio", "0.1")]).await;
        node.create("due", &[COMPACT, ("max.compaction.lag.ms", "1")]).await;
        for topic in ["never", "little", "due"] {
            write(&node, topic).await;
        }
        for topic in ["little", "due"] {
            eventually("it is compacted", async || is_compacted(&left(&node, topic).await)).await;
        }
        assert_eq!(left(&node, "never").await.len(), WRITTEN);
    });
}

#[test]
fn a_log_is_compacted_when_a_record_has_waited_long_enough() {
    let properties =
        [EAGER[0], EAGER[1], ("log.cleaner.min.cleanable.ratio", "1"), ("log.cleaner.max.compaction.lag.ms", "1")];
    with_node(&properties, |node| async move {
        node.create("patient", &[COMPACT, ("max.compaction.lag.ms", "3600000")]).await;
        node.create("due", &[COMPACT]).await;
        for topic in ["patient", "due"] {
            write(&node, topic).await;
        }
        eventually("it is compacted", async || is_compacted(&left(&node, "due").await)).await;
        assert_eq!(left(&node, "patient").await.len(), WRITTEN);
    });
}

#[test]
fn records_stay_for_a_compaction_lag() {
    let properties = [EAGER[0], EAGER[1], EAGER[2], ("log.cleaner.min.compaction.lag.ms", "3600000")];
    with_node(&properties, |node| async move {
        node.create("late", &[COMPACT]).await;
        node.create("soon", &[COMPACT, ("min.compaction.lag.ms", "0")]).await;
        for topic in ["late", "soon"] {
            write(&node, topic).await;
        }
        eventually("it is compacted", async || is_compacted(&left(&node, "soon").await)).await;
        assert_eq!(left(&node, "late").await.len(), WRITTEN);
    });
}
