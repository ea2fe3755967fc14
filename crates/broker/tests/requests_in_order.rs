//! Pipelined requests are answered in their order, whatever each of them waits for; acks=0 is never answered.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use ottla_env::time;
use ottla_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use ottla_protocol::messages::fetch_response::FetchResponse;
use ottla_protocol::messages::metadata_request::MetadataRequest;
use ottla_protocol::messages::produce_response::ProduceResponse;
use support::{TOPIC, batch, decode, produce, with_broker};

fn fetch(offset: i64, max_wait_ms: i32) -> FetchRequest<'static> {
    let partition = FetchPartition {
        partition: 0,
        fetch_offset: offset,
        partition_max_bytes: 1 << 20,
        ..FetchPartition::default()
    };
    let topic = FetchTopic { topic: TOPIC, partitions: vec![partition], ..FetchTopic::default() };
    FetchRequest {
        replica_id: -1,
        max_wait_ms,
        min_bytes: 1,
        max_bytes: 1 << 20,
        topics: vec![topic],
        ..FetchRequest::default()
    }
}

#[test]
fn a_parked_fetch_holds_up_answers_but_not_the_append_that_ends_it() {
    with_broker(&[1], &[], |rig| async move {
        let client = rig.connect().await;
        let record = batch("one");
        // All in one go: the fetch at the empty log waits; the produce behind it is what it waits for.
        client.send(11, 1, &fetch(0, 30_000)).await;
        client.send(9, 2, &produce(1, 1000, &record)).await;
        client.send(8, 3, &MetadataRequest::default()).await;
        let (id, answer) = time::timeout(Duration::from_secs(10), client.receive()).await.expect("woken by the append");
        assert_eq!(id, 1);
        let fetched: FetchResponse<'_> = decode(&answer, 11, false);
        let data = &fetched.responses[0].partitions[0];
        assert_eq!((data.error_code, data.high_watermark), (0, 1));
        assert_eq!(data.records.bytes().len(), record.len());
        let (id, answer) = client.receive().await;
        assert_eq!(id, 2);
        let produced: ProduceResponse<'_> = decode(&answer, 9, true);
        assert_eq!(produced.responses[0].partition_responses[0].base_offset, 0);
        assert_eq!(client.receive().await.0, 3);
    });
}

#[test]
fn acks_0_is_never_answered() {
    with_broker(&[1], &[], |rig| async move {
        let client = rig.connect().await;
        client.send(9, 1, &produce(0, 1000, &batch("silent"))).await;
        client.send(11, 2, &fetch(0, 0)).await;
        let (id, answer) = client.receive().await;
        assert_eq!(id, 2, "the first answer is that of the fetch");
        let fetched: FetchResponse<'_> = decode(&answer, 11, false);
        assert_eq!(fetched.responses[0].partitions[0].high_watermark, 1, "it was appended all the same");
    });
}

/// librdkafka 2.15 takes null records for "invalid MessageSetSize -1".
#[test]
fn an_empty_fetch_answers_an_empty_record_set() {
    with_broker(&[1], &[], |rig| async move {
        let client = rig.connect().await;
        client.send(4, 1, &fetch(0, 0)).await;
        let (_, answer) = client.receive().await;
        assert_eq!(answer[answer.len() - 4..], [0, 0, 0, 0], "length 0, where null is -1");
    });
}
