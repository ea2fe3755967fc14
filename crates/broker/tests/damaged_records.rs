//! Records that changed on disk since they were written: a consumer hears of them and is never given them, and whoever seeks
//! past them goes on.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::Path;
use std::sync::Arc;

use ottla_env::fs::File;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use ottla_protocol::messages::fetch_response::FetchResponse;
use ottla_protocol::record_batch::{BatchHeader, batches};
use ottla_storage::{AppendOrigin, LogConfig};
use support::{Client, TOPIC, TOPIC_ID, batch, decode, open_logs, with_written_logs};

/// Three batches of one record; a bit of the second changes after the broker has stopped.
fn write_and_flip(dir: &Path) {
    let logs = open_logs(dir);
    let log = logs.create(TOPIC, 0, TOPIC_ID, Arc::new(LogConfig::default())).unwrap();
    for value in ["one", "two", "three"] {
        log.append_as_leader(&mut batch(value), 5, AppendOrigin::Client, ottla_env::time::wall_clock_ms()).unwrap();
    }
    log.set_high_watermark(3);
    let path = log.path().join("00000000000000000000.log");
    logs.stop(-1).unwrap();
    let file = File::open_rw(path).unwrap();
    let in_the_second = batch("one").len() as u64 + 70;
    let mut byte = [0];
    file.read_exact_at(&mut byte, in_the_second).unwrap();
    file.write_all_at(&[byte[0] ^ 1], in_the_second).unwrap();
}

/// The partition's error, and the base offsets of what it gives.
async fn fetched(client: &Client, offset: i64, max_wait_ms: i32) -> (Option<ErrorCode>, Vec<i64>) {
    let partition = FetchPartition {
        partition: 0,
        fetch_offset: offset,
        partition_max_bytes: 1 << 20,
        ..FetchPartition::default()
    };
    let topic = FetchTopic { topic_id: TOPIC_ID, partitions: vec![partition], ..FetchTopic::default() };
    let request = FetchRequest {
        max_wait_ms,
        min_bytes: 1,
        max_bytes: 1 << 20,
        session_epoch: -1,
        topics: vec![topic],
        ..FetchRequest::default()
    };
    client.send(15, 1, &request).await;
    let (_, answer) = client.receive().await;
    let response: FetchResponse<'_> = decode(&answer, 15, true);
    let partition = &response.responses[0].partitions[0];
    let offsets = batches(partition.records.bytes()).map(|b| b.map(|(h, _): (BatchHeader, _)| h.base_offset).unwrap());
    (ErrorCode::from_code(partition.error_code), offsets.collect())
}

#[test]
fn a_damaged_batch_is_told_and_the_rest_is_served() {
    with_written_logs(write_and_flip, |rig| async move {
        let client = rig.connect().await;
        for max_wait_ms in [0, 10_000] {
            assert_eq!(fetched(&client, 0, max_wait_ms).await, (Some(ErrorCode::None), vec![0]), "up to the damage");
            assert_eq!(fetched(&client, 1, max_wait_ms).await, (Some(ErrorCode::CorruptMessage), vec![]));
            assert_eq!(fetched(&client, 2, max_wait_ms).await, (Some(ErrorCode::None), vec![2]), "behind it");
        }
        let log = rig.broker.replicas.find(TOPIC, 0).unwrap().log().clone();
        let damaged = log.damaged();
        assert_eq!((damaged.len(), damaged[0].first_offset, damaged[0].end_offset), (1, 1, 2));
        assert_eq!(log.dir().damage_found(), 1, "told once");
    });
}
