//! Which records are taken, and with which timestamps.

use ottla_client::ProducerRecord;
use ottla_client::admin::OffsetSpec;
use ottla_env::time;
use ottla_protocol::ErrorCode;

use crate::HOUR_MS;
use crate::support::with_node;

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
