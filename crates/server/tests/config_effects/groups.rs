//! Groups and their offsets.

use std::time::Duration;

use ottla_client::admin::ConfigResource;
use ottla_client::{OffsetAndMetadata, TopicPartition};
use ottla_env::time::{self, Instant};
use ottla_protocol::ErrorCode;
use ottla_protocol::message::Message;
use ottla_protocol::messages::offset_commit_key::OffsetCommitKey;
use ottla_protocol::messages::offset_commit_value::OffsetCommitValue;
use ottla_protocol::record_batch::{BatchBuilder, BatchOptions};
use ottla_protocol::writer::Writer;
use ottla_storage::{AppendOrigin, LogManager, LogManagerOptions};

use crate::support::{Node, eventually, with_node};

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
        let topic = ConfigResource::Topic("__consumer_offsets".to_owned());
        let configs = node.admin().await.describe_configs(&topic).await.unwrap();
        let segment = configs.iter().find(|c| c.name == "segment.bytes").unwrap();
        assert_eq!(segment.value.as_deref(), Some("2097152"));
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

/// The commit of offset 7 of partition 0 of `t`, made `minutes` ago, as a coordinator would have written it.
fn commit_of(group: &str, minutes: i64) -> Vec<u8> {
    let commit_timestamp = time::wall_clock_ms() - minutes * 60_000;
    let (mut key, mut value) = (Writer::new(), Writer::new());
    key.i16(1);
    OffsetCommitKey { group, topic: "t", partition: 0, ..OffsetCommitKey::default() }.encode(&mut key, 0).unwrap();
    value.i16(3);
    let committed = OffsetCommitValue { offset: 7, leader_epoch: -1, commit_timestamp, ..OffsetCommitValue::default() };
    committed.encode(&mut value, 3).unwrap();
    let mut batch = BatchBuilder::new(BatchOptions::default());
    batch.append(commit_timestamp, Some(&key.into_bytes()), Some(&value.into_bytes()), &[]);
    batch.build()
}

/// Time is not waited for: while the node is down, groups are written into its log that committed long ago.
#[test]
fn offsets_expire() {
    let properties = [
        ("offsets.topic.num.partitions", "1"),
        ("offsets.retention.minutes", "60"),
        ("offsets.retention.check.interval.ms", "100"),
    ];
    with_node(&properties, |mut node| async move {
        node.create("t", &[]).await;
        let committed = async |node: &Node, group: &str| node.admin().await.group_offsets(group).await.unwrap();
        // The first question for a group makes the topic of their offsets.
        assert!(committed(&node, "young").await.is_empty());
        node.server.stop().await.unwrap();
        let options = LogManagerOptions { dirs: vec![node.server.data()], ..LogManagerOptions::default() };
        let logs = LogManager::open(options).unwrap();
        let log = logs.get("__consumer_offsets", 0).unwrap();
        for (group, minutes) in [("young", 50), ("old", 70)] {
            let mut batch = commit_of(group, minutes);
            log.append_as_leader(&mut batch, 0, AppendOrigin::Coordinator, time::wall_clock_ms()).unwrap();
        }
        logs.stop(-1).unwrap();
        drop((log, logs));
        node.server.start().await.unwrap();
        eventually("the old group's offset goes", async || committed(&node, "old").await.is_empty()).await;
        let kept = committed(&node, "young").await;
        assert_eq!(kept[&TopicPartition::new("t", 0)].offset, 7, "an hour is not over");
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
