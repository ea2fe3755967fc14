//! What compaction takes away, when, and what it leaves.

use std::time::Duration;

use ottla_client::admin::OffsetSpec;
use ottla_client::{ProducerRecord, TopicPartition};
use ottla_env::fs;

use crate::support::{Node, eventually, with_node, with_talkative_node};

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

/// A cleaner that looks all the time and finds everything worth it, over segments that are closed when they are full.
const BUSY: [(&str, &str); 2] = [EAGER[0], EAGER[2]];
/// The least that a segment may hold, and that a cleaner thread takes for keys.
const MEBIBYTE: &str = "1048576";
const KEYS_MEMORY_MIN: &str = "1048577";
/// That fit a hundredth of so much memory: a key takes 16 bytes.
const KEYS_IN_A_HUNDREDTH: u64 = 655;

/// Writes one closed segment of more than 900 keys, and gives what the first pass over it told.
async fn first_pass(node: &Node) -> serde_json::Value {
    node.create("t", &[COMPACT, ("segment.bytes", MEBIBYTE)]).await;
    let producer = node.producer(&[("linger.ms", "5")]).await;
    let value = [b'x'; 1_024];
    let mut deliveries = Vec::new();
    for n in 0..1_200 {
        let key = format!("k{n}");
        deliveries.push(producer.send(ProducerRecord::new("t", &value).with_key(key.as_bytes())).await.unwrap());
    }
    for delivery in deliveries {
        delivery.wait().await.unwrap();
    }
    eventually("a pass over the closed segment", async || !node.told("log is compacted").is_empty()).await;
    let pass = node.told("log is compacted").swap_remove(0);
    assert!(pass["topic"] == "t" && pass["from"] == 0, "{pass}");
    pass
}

/// Runs a scenario over the first pass of a cleaner with these properties.
fn with_first_pass(properties: &[(&str, &str)], look: impl FnOnce(serde_json::Value)) {
    with_talkative_node(&[&BUSY, properties].concat(), |node| async move { look(first_pass(&node).await) });
}

/// How many threads of that name the node has.
#[allow(clippy::disallowed_methods, reason = "files of /proc have no length, by which those of a disk are read")]
fn threads(node: &Node, name: &str) -> usize {
    let tasks = format!("/proc/{}/task", node.server.id().unwrap());
    let entries = fs::read_dir(&tasks).unwrap();
    let is_named =
        |task: &String| std::fs::read_to_string(format!("{tasks}/{task}/comm")).is_ok_and(|c| c.trim() == name);
    entries.into_iter().map(|entry| entry.name).filter(is_named).count()
}

#[test]
fn nothing_is_compacted_without_a_cleaner() {
    let mut properties = EAGER.to_vec();
    properties.push(("log.cleaner.enable", "false"));
    with_node(&properties, |mut node| async move {
        node.create("t", &[COMPACT]).await;
        write(&node, "t").await;
        // A thread has its name once it has run.
        eventually("maintenance runs", async || threads(&node, "log-maintenance") == 1).await;
        assert_eq!(threads(&node, "log-cleaner"), 0);
        assert_eq!(left(&node, "t").await.len(), WRITTEN);
        node.server.stop().await.unwrap();
        assert!(!fs::exists(node.server.data().join("cleaner-offset-checkpoint")));
        let text = fs::read_to_string(node.server.properties_file()).unwrap();
        let enabled = text.replace("log.cleaner.enable=false", "log.cleaner.enable=true");
        fs::write_atomically(node.server.properties_file(), enabled).unwrap();
        node.server.start().await.unwrap();
        eventually("older values go", async || is_compacted(&left(&node, "t").await)).await;
        eventually("the cleaner runs", async || threads(&node, "log-cleaner") == 1).await;
    });
}

#[test]
fn cleaners_are_threads() {
    let mut properties = EAGER.to_vec();
    properties.push(("log.cleaner.threads", "3"));
    with_node(&properties, |node| async move {
        eventually("the cleaners start", async || threads(&node, "log-cleaner") == 3).await;
        for topic in ["t0", "t1", "t2", "t3"] {
            node.create(topic, &[COMPACT]).await;
            write(&node, topic).await;
        }
        for topic in ["t0", "t1", "t2", "t3"] {
            eventually("older values go", async || is_compacted(&left(&node, topic).await)).await;
        }
    });
}

#[test]
fn a_pass_takes_as_many_keys_as_fit_the_buffer() {
    let load = ("log.cleaner.io.buffer.load.factor", "0.01");
    with_first_pass(&[load, ("log.cleaner.dedupe.buffer.size", KEYS_MEMORY_MIN)], |pass| {
        assert_eq!((&pass["keys"], &pass["to"]), (&KEYS_IN_A_HUNDREDTH.into(), &KEYS_IN_A_HUNDREDTH.into()));
    });
    with_first_pass(&[load, ("log.cleaner.dedupe.buffer.size", "4194304")], |pass| {
        assert!(pass["keys"].as_u64().unwrap() > 900, "{pass}");
    });
    // Every thread has its share.
    let threads = ("log.cleaner.threads", "4");
    with_first_pass(&[load, threads, ("log.cleaner.dedupe.buffer.size", "4194308")], |pass| {
        assert_eq!(pass["keys"], KEYS_IN_A_HUNDREDTH, "{pass}");
    });
}

#[test]
fn the_buffer_is_filled_up_to_the_load_factor() {
    let memory = ("log.cleaner.dedupe.buffer.size", KEYS_MEMORY_MIN);
    with_first_pass(&[memory, ("log.cleaner.io.buffer.load.factor", "0.012")], |pass| {
        assert_eq!(pass["keys"], 786, "{pass}");
    });
    with_first_pass(&[memory], |pass| assert!(pass["keys"].as_u64().unwrap() > 900, "{pass}"));
}

#[test]
fn a_pass_reads_as_much_at_once_as_fits_the_buffer() {
    // Half of it is for reading. A segment of a MiB is read twice.
    let reads = |pass: &serde_json::Value| pass["reads"].as_u64().unwrap();
    with_first_pass(&[("log.cleaner.io.buffer.size", "65536")], |pass| assert!(reads(&pass) >= 50, "{pass}"));
    with_first_pass(&[], |pass| assert!((2..=16).contains(&reads(&pass)), "{pass}"));
}

#[test]
fn a_pass_goes_no_faster_than_the_rate() {
    with_first_pass(&[("log.cleaner.io.max.bytes.per.second", "4000000")], |pass| {
        let field = |name: &str| pass[name].as_u64().unwrap();
        let bytes = field("map_bytes_read") + field("bytes_read") + field("bytes_written");
        assert!(bytes > 1_800_000, "{pass}");
        assert!(field("throttled_ms") > 0 && field("ms") >= bytes / 4_000 - 50, "{pass}");
    });
    with_first_pass(&[], |pass| assert_eq!(pass["throttled_ms"], 0, "{pass}"));
}
