//! Topics as they are made and deleted.

use ottla_client::ProducerRecord;
use ottla_protocol::ErrorCode;

use crate::support::with_node;

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
