//! Bounds that the configuration sets on what clients may take.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use ottla_env::time;
use ottla_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use ottla_protocol::messages::fetch_response::FetchResponse;
use ottla_protocol::messages::produce_response::ProduceResponse;
use support::{Client, TOPIC, batch, decode, encode, produce, with_broker};

fn fetch(session_epoch: i32) -> FetchRequest<'static> {
    let partition = FetchPartition { partition_max_bytes: 1 << 20, ..FetchPartition::default() };
    let topic = FetchTopic { topic: TOPIC, partitions: vec![partition], ..FetchTopic::default() };
    FetchRequest { replica_id: -1, max_bytes: 1 << 20, session_epoch, topics: vec![topic], ..FetchRequest::default() }
}

/// Bytes of records and the session id.
async fn fetched(client: &Client, session_epoch: i32) -> (usize, i32) {
    client.send(11, 1, &fetch(session_epoch)).await;
    let (_, answer) = client.receive().await;
    let response: FetchResponse<'_> = decode(&answer, 11, false);
    (response.responses[0].partitions[0].records.bytes().len(), response.session_id)
}

#[test]
fn fetch_max_bytes() {
    for (flag, batches) in [("fetch.max.bytes=1024", 1), ("fetch.max.bytes=57671680", 3)] {
        with_broker(&[1], &[flag], |rig| async move {
            let client = rig.connect().await;
            let record = batch(&"x".repeat(600));
            for _ in 0..3 {
                client.send(9, 1, &produce(1, 100, &record)).await;
                client.receive().await;
            }
            assert_eq!(fetched(&client, -1).await.0, batches * record.len(), "{flag}");
        });
    }
}

#[test]
fn fetch_session_slots() {
    with_broker(&[1], &["max.incremental.fetch.session.cache.slots=1"], |rig| async move {
        let (first, second) = (rig.connect().await, rig.connect().await);
        assert_ne!(fetched(&first, 0).await.1, 0, "there is one slot");
        assert_eq!(fetched(&second, 0).await.1, 0, "and it is taken");
    });
}

/// Two frames that together are above the budget, each half read: the older is finished first, then the other.
#[test]
fn queue_bounds() {
    with_broker(&[1], &["socket.request.max.bytes=300000", "queued.max.request.bytes=300000"], |rig| async move {
        let (old, young) = (rig.connect().await, rig.connect().await);
        let record = batch(&"x".repeat(250_000));
        let request = encode(9, 1, &produce(1, 1000, &record));
        let (head, tail) = request.split_at(200_000);
        old.stream.write_all(head).await.unwrap();
        let held = async {
            while rig.broker.memory.used() < 200_000 {
                time::sleep(Duration::from_millis(1)).await;
            }
        };
        time::timeout(Duration::from_secs(10), held).await.expect("the first half is held");
        young.stream.write_all(&request).await.unwrap();
        let early = time::timeout(Duration::from_millis(100), young.receive()).await;
        assert!(early.is_err(), "there is no room for the younger frame");
        assert!(rig.broker.memory.used() <= 300_000);
        old.stream.write_all(tail).await.unwrap();
        for client in [old, young] {
            let (_, answer) = time::timeout(Duration::from_secs(10), client.receive()).await.expect("an answer");
            let produced: ProduceResponse<'_> = decode(&answer, 9, true);
            assert_eq!(produced.responses[0].partition_responses[0].error_code, 0);
        }
    });
}
