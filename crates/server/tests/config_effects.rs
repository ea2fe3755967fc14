//! Every property that is served does what it says: the rows of the configuration table name these tests.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use ottla_client::admin::OffsetSpec;
use ottla_client::{OffsetAndMetadata, ProducerRecord, TopicPartition};
use ottla_env::fs;
use ottla_env::net::TcpStream;
use ottla_env::time::{self, Instant};
use ottla_protocol::ErrorCode;
use support::{Node, eventually, names, with_node};

const HOUR_MS: i64 = 3_600_000;

/// The settings of the file that Apache Kafka 4.4 ships as `config/server.properties`, but for ports and directory.
#[test]
fn a_shipped_server_properties_starts() {
    let shipped = [
        ("process.roles", "broker,controller"),
        ("node.id", "1"),
        ("inter.broker.listener.name", "PLAINTEXT"),
        ("controller.listener.names", "CONTROLLER"),
        (
            "listener.security.protocol.map",
            "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL",
        ),
        ("num.network.threads", "3"),
        ("num.io.threads", "8"),
        ("socket.send.buffer.bytes", "102400"),
        ("socket.receive.buffer.bytes", "102400"),
        ("socket.request.max.bytes", "104857600"),
        ("num.partitions", "1"),
        ("num.recovery.threads.per.data.dir", "1"),
        ("offsets.topic.replication.factor", "1"),
        ("share.coordinator.state.topic.replication.factor", "1"),
        ("share.coordinator.state.topic.min.isr", "1"),
        ("transaction.state.log.replication.factor", "1"),
        ("transaction.state.log.min.isr", "1"),
        ("log.retention.hours", "168"),
        ("log.segment.bytes", "1073741824"),
        ("log.retention.check.interval.ms", "300000"),
    ];
    with_node(&shipped, |node| async move {
        assert_eq!(node.admin().await.describe_cluster().await.unwrap().brokers[0].id, 1);
    });
}

#[test]
fn topic_defaults() {
    with_node(&[("num.partitions", "3")], |node| async move {
        assert_eq!(node.try_create("a", None, &[]).await.unwrap(), 3);
    });
    with_node(&[("default.replication.factor", "2")], |node| async move {
        let refused = node.try_create("a", None, &[]).await.unwrap_err();
        assert_eq!(refused.code(), Some(ErrorCode::InvalidReplicationFactor), "{refused}");
    });
}

#[test]
fn auto_create_topics() {
    let record = || ProducerRecord::new("made-by-asking", b"x");
    with_node(&[("auto.create.topics.enable", "true")], |node| async move {
        assert_eq!(node.produce(record()).await.unwrap().offset, 0);
    });
    with_node(&[("auto.create.topics.enable", "false")], |node| async move {
        let producer = node.producer(&[("max.block.ms", "1000")]).await;
        assert!(producer.send(record()).await.is_err());
    });
}

#[test]
fn delete_topic_enable() {
    with_node(&[("delete.topic.enable", "false")], |node| async move {
        node.create("kept", &[]).await;
        let deleted = node.admin().await.delete_topics(&["kept".to_owned()]).await.unwrap();
        assert_eq!(deleted["kept"].as_ref().unwrap_err().code(), Some(ErrorCode::TopicDeletionDisabled));
    });
}

#[test]
fn message_max_bytes() {
    with_node(&[("message.max.bytes", "2000")], |node| async move {
        node.create("small", &[]).await;
        node.create("large", &[("max.message.bytes", "20000")]).await;
        let value = [b'x'; 5000];
        let refused = node.produce(ProducerRecord::new("small", &value)).await.unwrap_err();
        assert_eq!(refused.code(), Some(ErrorCode::MessageTooLarge), "{refused}");
        assert_eq!(node.produce(ProducerRecord::new("large", &value)).await.unwrap().offset, 0);
    });
}

#[test]
fn decompression_bound() {
    with_node(&[], |node| async move {
        node.create("t", &[("max.decompressed.message.bytes", "10000")]).await;
        let producer = node.producer(&[("compression.type", "gzip")]).await;
        let fits = producer.send(ProducerRecord::new("t", &[b'x'; 5000])).await.unwrap();
        assert_eq!(fits.wait().await.unwrap().offset, 0);
        let bomb = producer.send(ProducerRecord::new("t", &[b'x'; 500_000])).await.unwrap();
        assert_eq!(bomb.wait().await.unwrap_err().code(), Some(ErrorCode::MessageTooLarge));
    });
}

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
fn cleanup_policy_is_kept() {
    with_node(&[("log.cleanup.policy", "compact")], |node| async move {
        node.create("compacted", &[]).await;
        node.create("deleted", &[("cleanup.policy", "delete")]).await;
        let refused = node.produce(ProducerRecord::new("compacted", b"no key")).await.unwrap_err();
        assert_eq!(refused.code(), Some(ErrorCode::InvalidRecord), "{refused}");
        assert!(node.produce(ProducerRecord::new("compacted", b"x").with_key(b"k")).await.is_ok());
        assert!(node.produce(ProducerRecord::new("deleted", b"no key")).await.is_ok());
    });
}

#[test]
fn timestamps() {
    let old = time::wall_clock_ms() - HOUR_MS;
    with_node(&[("log.message.timestamp.type", "LogAppendTime")], |node| async move {
        node.create("t", &[]).await;
        let written = node.produce(ProducerRecord::new("t", b"x").with_timestamp_ms(old)).await.unwrap();
        assert!(written.timestamp_ms > old + HOUR_MS / 2, "the broker's time");
        let found = node.offset("t", OffsetSpec::Timestamp(old + HOUR_MS / 2)).await;
        assert_eq!(found, 0);
    });
    let bounds = [("log.message.timestamp.before.max.ms", "60000"), ("log.message.timestamp.after.max.ms", "60000")];
    with_node(&bounds, |node| async move {
        node.create("t", &[]).await;
        node.create("wide", &[("message.timestamp.before.max.ms", "36000000")]).await;
        for at in [old, old + 2 * HOUR_MS] {
            let refused = node.produce(ProducerRecord::new("t", b"x").with_timestamp_ms(at)).await.unwrap_err();
            assert_eq!(refused.code(), Some(ErrorCode::InvalidTimestamp), "{refused}");
        }
        assert!(node.produce(ProducerRecord::new("wide", b"x").with_timestamp_ms(old)).await.is_ok());
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

#[test]
fn checkpoints() {
    let often =
        [("replica.high.watermark.checkpoint.interval.ms", "100"), ("log.flush.offset.checkpoint.interval.ms", "100")];
    with_node(&often, |node| async move {
        node.create("t", &[]).await;
        node.fill("t", 7, 10).await;
        for file in ["replication-offset-checkpoint", "recovery-point-offset-checkpoint"] {
            let path = node.server.data().join(file);
            let noted = async || fs::read_to_string(&path).is_ok_and(|text| text.lines().any(|line| line == "t 0 7"));
            eventually(file, noted).await;
        }
    });
    // Recovery points stay at their default interval, which is longer than our patience.
    with_node(&[("log.flush.start.offset.checkpoint.interval.ms", "100")], |node| async move {
        node.create("t", &[]).await;
        node.fill("t", 7, 10).await;
        let tp = TopicPartition::new("t", 0);
        node.admin().await.delete_records(&[(tp.clone(), 3)].into()).await.unwrap().remove(&tp).unwrap().unwrap();
        let path = node.server.data().join("log-start-offset-checkpoint");
        let noted = async || fs::read_to_string(&path).is_ok_and(|text| text.lines().any(|line| line == "t 0 3"));
        eventually("the log start is noted", noted).await;
    });
}

#[test]
fn log_dirs() {
    let other = tempfile::tempdir().unwrap();
    let [a, b] = ["a", "b"].map(|name| other.path().join(name));
    let dirs = format!("{},{}", a.display(), b.display());
    with_node(&[("log.dirs", &dirs)], |node| async move {
        node.try_create("t", Some(4), &[]).await.unwrap();
        let held = |dir: &std::path::Path| (0..4).filter(|i| fs::exists(dir.join(format!("t-{i}")))).count();
        assert_eq!((held(&a), held(&b)), (2, 2), "each new partition goes where the fewest are");
        assert!(fs::exists(a.join("__cluster_metadata-0")), "the metadata lies in the first");
    });
}

#[test]
fn metadata_log_dir() {
    let other = tempfile::tempdir().unwrap();
    let path = other.path().join("metadata");
    with_node(&[("metadata.log.dir", &path.display().to_string())], |node| async move {
        assert!(fs::exists(path.join("__cluster_metadata-0")));
        assert!(!fs::exists(node.server.data().join("__cluster_metadata-0")));
        node.try_create("t", Some(3), &[]).await.unwrap();
        let held = (0..3).filter(|i| fs::exists(node.server.data().join(format!("t-{i}"))));
        assert_eq!(held.count(), 3, "the directory is for the metadata alone");
    });
}

#[test]
fn listeners_are_bound_and_advertised() {
    with_node(&[("advertised.listeners", "PLAINTEXT://broker.example:1234")], |node| async move {
        let cluster = node.admin().await.describe_cluster().await.unwrap();
        assert_eq!(cluster.brokers[0].address.to_string(), "broker.example:1234");
    });
}

#[test]
fn rack_is_registered() {
    with_node(&[("broker.rack", "a-rack")], |node| async move {
        let cluster = node.admin().await.describe_cluster().await.unwrap();
        assert_eq!(cluster.brokers[0].rack.as_deref(), Some("a-rack"));
    });
}

/// Threads of the runtime, which are those of `num.network.threads` and a few that wait for files.
fn runtime_threads(node: &Node) -> usize {
    let tasks = format!("/proc/{}/task", node.server.id().unwrap());
    let threads = fs::read_dir(&tasks).unwrap();
    // These files say that they are empty, so a plain read is what they want.
    #[allow(clippy::disallowed_methods, reason = "procfs is not a file system of ours")]
    let comm = |name: &str| std::fs::read_to_string(format!("{tasks}/{name}/comm")).unwrap_or_default();
    threads.iter().filter(|t| comm(&t.name).starts_with("ottla-worker")).count()
}

#[test]
fn network_threads() {
    with_node(&[("num.network.threads", "2")], |node| async move {
        // Threads give themselves their names once they run.
        eventually("two threads", async || runtime_threads(&node) >= 2).await;
        assert!(runtime_threads(&node) < 40);
    });
    with_node(&[("num.network.threads", "40")], |node| async move {
        eventually("forty threads", async || runtime_threads(&node) >= 40).await;
    });
}

/// Whether the broker closes a connection within ten seconds.
async fn closes(stream: &TcpStream) -> bool {
    let closed = async { matches!(stream.read(&mut [0; 1]).await, Ok(0) | Err(_)) };
    time::timeout(Duration::from_secs(20), closed).await == Ok(true)
}

#[test]
fn connection_limits() {
    for limit in ["max.connections", "max.connections.per.ip"] {
        with_node(&[(limit, "2")], |node| async move {
            let address = node.server.address();
            // The one that waited for the start may still be open.
            let refused = async || {
                let first = TcpStream::connect(address).await.unwrap();
                let second = TcpStream::connect(address).await.unwrap();
                let third = TcpStream::connect(address).await.unwrap();
                let closed = time::timeout(Duration::from_secs(2), third.read(&mut [0; 1])).await;
                drop((first, second));
                matches!(closed, Ok(Ok(0) | Err(_)))
            };
            eventually("the third connection is refused", refused).await;
        });
    }
}

#[test]
fn idle_connections_close() {
    with_node(&[("connections.max.idle.ms", "1000")], |node| async move {
        let idle = TcpStream::connect(node.server.address()).await.unwrap();
        assert!(closes(&idle).await);
    });
}

#[test]
fn oversize_requests_close_the_connection() {
    with_node(&[("socket.request.max.bytes", "1000")], |node| async move {
        let stream = TcpStream::connect(node.server.address()).await.unwrap();
        stream.write_all(&1001i32.to_be_bytes()).await.unwrap();
        assert!(closes(&stream).await);
    });
}

#[test]
fn offsets_topic() {
    let properties = [("offsets.topic.num.partitions", "7"), ("offsets.topic.segment.bytes", "2097152")];
    with_node(&properties, |node| async move {
        node.create("t", &[]).await;
        let mut consumer = node.consumer("g", &[]).await;
        consumer.subscribe(["t"]).unwrap();
        let joined = async || {
            consumer.poll(Duration::from_millis(100)).await.unwrap();
            !consumer.assignment().is_empty()
        };
        eventually("the consumer joins", joined).await;
        let described = node.admin().await.describe_topics(&["__consumer_offsets".to_owned()]).await.unwrap();
        assert_eq!(described[0].partitions.len(), 7);
        assert_eq!(described[0].partitions[0].replicas.len(), 1, "offsets.topic.replication.factor=1");
    });
}

#[test]
fn offset_commits() {
    with_node(&[("offset.metadata.max.bytes", "10")], |node| async move {
        node.create("t", &[]).await;
        let mut consumer = node.consumer("g", &[("enable.auto.commit", "false")]).await;
        let tp = TopicPartition::new("t", 0);
        consumer.assign([tp.clone()]);
        let note = |text: &str| OffsetAndMetadata { metadata: text.to_owned(), ..OffsetAndMetadata::new(0) };
        consumer.commit_offsets([(tp.clone(), note("short"))].into()).await.unwrap();
        let refused = consumer.commit_offsets([(tp, note("longer than ten"))].into()).await.unwrap_err();
        assert_eq!(refused.code(), Some(ErrorCode::OffsetMetadataTooLarge), "{refused}");
    });
}

#[test]
fn initial_rebalance_delay() {
    with_node(&[("group.initial.rebalance.delay.ms", "1500")], |node| async move {
        node.create("t", &[]).await;
        let mut consumer = node.consumer("g", &[]).await;
        consumer.subscribe(["t"]).unwrap();
        let began = Instant::now();
        let joined = async || {
            consumer.poll(Duration::from_millis(50)).await.unwrap();
            !consumer.assignment().is_empty()
        };
        eventually("the consumer joins", joined).await;
        assert!(began.elapsed() >= Duration::from_millis(1500), "{:?}", began.elapsed());
    });
}

#[test]
fn session_timeout_bounds() {
    let bounds = [("group.min.session.timeout.ms", "10000"), ("group.max.session.timeout.ms", "20000")];
    with_node(&bounds, |node| async move {
        node.create("t", &[]).await;
        for timeout in ["9999", "20001"] {
            let mut consumer =
                node.consumer("g", &[("session.timeout.ms", timeout), ("heartbeat.interval.ms", "1000")]).await;
            consumer.subscribe(["t"]).unwrap();
            let mut code = None;
            let refused = async || {
                code = consumer.poll(Duration::from_millis(50)).await.err().and_then(|e| e.code());
                code.is_some()
            };
            eventually("the join is refused", refused).await;
            assert_eq!(code, Some(ErrorCode::InvalidSessionTimeout));
        }
    });
}

#[test]
fn group_max_size() {
    with_node(&[("group.max.size", "1")], |node| async move {
        node.create("t", &[]).await;
        let (mut first, mut second) = (node.consumer("g", &[]).await, node.consumer("g", &[]).await);
        first.subscribe(["t"]).unwrap();
        second.subscribe(["t"]).unwrap();
        let joined = async || {
            first.poll(Duration::from_millis(50)).await.unwrap();
            !first.assignment().is_empty()
        };
        eventually("the first joins", joined).await;
        let mut code = None;
        let refused = async || {
            code = second.poll(Duration::from_millis(50)).await.err().and_then(|e| e.code());
            code.is_some()
        };
        eventually("the second is refused", refused).await;
        assert_eq!(code, Some(ErrorCode::GroupMaxSizeReached));
    });
}
