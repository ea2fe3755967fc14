//! Groups and their offsets.

use std::time::Duration;

use ottla_client::{OffsetAndMetadata, TopicPartition};
use ottla_env::time::Instant;
use ottla_protocol::ErrorCode;

use crate::support::{eventually, with_node};

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
