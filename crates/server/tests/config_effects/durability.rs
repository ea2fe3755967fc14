//! When records are forced to disk, how long producers are remembered, how logs are read back after a crash.

use std::collections::BTreeSet;

use ottla_client::ProducerRecord;
use ottla_client::admin::OffsetSpec;
use ottla_client::connection::Connection;
use ottla_env::time;
use ottla_protocol::ErrorCode;
use ottla_protocol::message::Records;
use ottla_protocol::messages::init_producer_id_request::InitProducerIdRequest;
use ottla_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use ottla_protocol::record_batch::{BatchBuilder, BatchOptions};

use crate::HOUR_MS;
use crate::support::{Node, PATIENCE, eventually, with_node, with_talkative_node};

const NEVER: &str = "9223372036854775807";

/// How far a topic's log was forced to disk; 0 if it was not.
fn flushed_to(node: &Node, topic: &str) -> i64 {
    let lines = node.told("flushed");
    lines.iter().filter(|line| line["topic"] == topic).filter_map(|line| line["offset"].as_i64()).max().unwrap_or(0)
}

#[test]
fn flush_by_records() {
    with_talkative_node(&[("log.flush.interval.messages", "5")], |node| async move {
        node.create("broker", &[]).await;
        node.create("topic", &[("flush.messages", "2")]).await;
        node.create("never", &[("flush.messages", NEVER)]).await;
        for topic in ["broker", "topic", "never"] {
            node.fill(topic, 4, 10).await;
        }
        // The answer waits for the disk, so what was acknowledged has been forced already.
        assert_eq!(flushed_to(&node, "topic"), 4);
        assert_eq!(flushed_to(&node, "broker"), 0);
        node.fill("broker", 1, 10).await;
        assert_eq!(flushed_to(&node, "broker"), 5);
        assert_eq!(flushed_to(&node, "never"), 0);
    });
}

#[test]
fn flush_by_time() {
    with_talkative_node(&[("log.flush.interval.ms", "50")], |node| async move {
        node.create("never", &[("flush.ms", NEVER)]).await;
        node.create("broker", &[]).await;
        node.fill("never", 3, 10).await;
        node.fill("broker", 3, 10).await;
        eventually("the broker's time is over", async || flushed_to(&node, "broker") == 3).await;
        assert_eq!(flushed_to(&node, "never"), 0);
    });
    with_talkative_node(&[], |node| async move {
        node.create("broker", &[]).await;
        node.create("topic", &[("flush.ms", "50")]).await;
        node.fill("broker", 3, 10).await;
        node.fill("topic", 3, 10).await;
        eventually("the topic's time is over", async || flushed_to(&node, "topic") == 3).await;
        assert_eq!(flushed_to(&node, "broker"), 0, "the default leaves it to the system");
    });
}

/// Ends a node with -9, starts it again, and counts the threads that opened its logs.
pub(crate) async fn opening_threads(node: &mut Node, logs: usize) -> usize {
    let before = node.told("a log is open").len();
    node.server.kill().unwrap();
    node.server.start().await.unwrap();
    eventually("all logs are open", async || node.told("a log is open").len() == before + logs).await;
    let lines = node.told("a log is open");
    lines[before..].iter().map(|line| line["thread"].to_string()).collect::<BTreeSet<_>>().len()
}

#[test]
fn recovery_threads() {
    const LOGS: usize = 100;
    for (threads, several) in [("1", false), ("4", true)] {
        with_talkative_node(&[("num.recovery.threads.per.data.dir", threads)], |mut node| async move {
            node.try_create("t", Some(LOGS as i32), &[]).await.unwrap();
            if several {
                // One thread may be done before the others are awake.
                let more = async || (2..=4).contains(&opening_threads(&mut node, LOGS).await);
                eventually("several threads open the logs", more).await;
            } else {
                assert_eq!(opening_threads(&mut node, LOGS).await, 1);
            }
        });
    }
}

/// An idempotent producer that always says the same: the first record of its sequence.
pub(crate) struct Repeater {
    connection: Connection,
    id: i64,
    epoch: i16,
}

impl Repeater {
    pub(crate) async fn new(node: &Node) -> Self {
        let connection = node.admin().await.cluster().any_broker().await.unwrap();
        let request = InitProducerIdRequest {
            transactional_id: None,
            producer_id: -1,
            producer_epoch: -1,
            ..InitProducerIdRequest::default()
        };
        let mut repeater = Self { connection, id: -1, epoch: -1 };
        let given = async || {
            let response = repeater.connection.send(&request).await.unwrap();
            let given = response.decode().unwrap();
            (repeater.id, repeater.epoch) = (given.producer_id, given.producer_epoch);
            repeater.id >= 0
        };
        eventually("a producer id is given", given).await;
        repeater
    }

    /// The offset that the record got: its first one again, for as long as the broker remembers.
    pub(crate) async fn offset(&self) -> i64 {
        let options = BatchOptions {
            producer_id: self.id,
            producer_epoch: self.epoch,
            base_sequence: 0,
            ..BatchOptions::default()
        };
        let mut batch = BatchBuilder::new(options);
        batch.append(time::wall_clock_ms(), None, Some(b"x"), &[]);
        let batch = batch.build();
        let data =
            PartitionProduceData { index: 0, records: Records::Bytes(&batch), ..PartitionProduceData::default() };
        let topic = TopicProduceData { name: "t", partition_data: vec![data], ..TopicProduceData::default() };
        let request = ProduceRequest {
            transactional_id: None,
            acks: -1,
            timeout_ms: 5000,
            topic_data: vec![topic],
            ..ProduceRequest::default()
        };
        let response = self.connection.send_at(9, &request, PATIENCE).await.unwrap();
        let produced = &response.decode().unwrap().responses[0].partition_responses[0];
        assert_eq!(ErrorCode::from_code(produced.error_code), Some(ErrorCode::None));
        produced.base_offset
    }
}

#[test]
fn a_silent_producer_is_forgotten() {
    let often = ("log.retention.check.interval.ms", "50");
    with_node(&[often, ("producer.id.expiration.ms", "1")], |node| async move {
        node.create("t", &[]).await;
        let repeater = Repeater::new(&node).await;
        assert_eq!(repeater.offset().await, 0);
        eventually("its repetition is a new record", async || repeater.offset().await > 0).await;
    });
    with_node(&[often], |node| async move {
        node.create("t", &[]).await;
        let repeater = Repeater::new(&node).await;
        assert_eq!(repeater.offset().await, 0);
        // By then the producers have been looked through, too.
        node.create("old", &[("retention.ms", "1000")]).await;
        let old = ProducerRecord::new("old", b"x").with_timestamp_ms(time::wall_clock_ms() - HOUR_MS);
        node.produce(old).await.unwrap();
        eventually("the old record goes", async || node.offset("old", OffsetSpec::Earliest).await == 1).await;
        assert_eq!(repeater.offset().await, 0, "a day is the default");
    });
}
