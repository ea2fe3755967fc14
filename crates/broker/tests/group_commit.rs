//! `flush.messages=1`: nothing is acknowledged or shown before it is synced, and one sync serves all that came meanwhile.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use ottla_env::time;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::produce_response::ProduceResponse;
use ottla_storage::LogConfig;
use support::{Rig, TOPIC, batch, decode, encode, produce, with_broker};

const REQUESTS: i32 = 32;

fn flushed_log(rig: &Rig) -> Arc<ottla_storage::Log> {
    let log = rig.broker.replicas.find(TOPIC, 0).unwrap().log().clone();
    log.set_config(Arc::new(LogConfig { flush_messages: 1, ..LogConfig::default() }));
    log
}

#[test]
fn one_sync_serves_many_and_no_answer_comes_before_it() {
    for acks in [1, -1] {
        with_broker(&[1], &[], |rig| async move {
            let log = flushed_log(&rig);
            let client = rig.connect().await;
            let record = batch("one");
            let mut requests = Vec::new();
            for id in 0..REQUESTS {
                requests.extend(encode(9, id, &produce(acks, 20_000, &record)));
            }
            client.stream.write_all(&requests).await.unwrap();
            for id in 0..REQUESTS {
                let received = time::timeout(Duration::from_secs(20), client.receive()).await;
                let (answered, answer) = received.expect("an answer");
                let flushed = log.flushed_offset();
                let response: ProduceResponse<'_> = decode(&answer, 9, true);
                let partition = &response.responses[0].partition_responses[0];
                assert_eq!((answered, partition.error_code), (id, 0));
                assert!(flushed > partition.base_offset, "acks={acks}: {flushed} was synced: {partition:?}");
                assert!(log.high_watermark() <= log.flushed_offset());
            }
            assert_eq!((log.high_watermark(), log.flushed_offset()), (i64::from(REQUESTS), i64::from(REQUESTS)));
            assert!(log.flushes() < REQUESTS as u64, "{} syncs", log.flushes());
        });
    }
}

#[test]
fn nothing_is_acknowledged_once_the_directory_has_failed() {
    with_broker(&[1], &[], |rig| async move {
        let log = flushed_log(&rig);
        let client = rig.connect().await;
        log.dir().set_offline("a sync failed");
        for acks in [1, -1] {
            client.send(9, 1, &produce(acks, 20_000, &batch("lost"))).await;
            let (_, answer) = client.receive().await;
            let response: ProduceResponse<'_> = decode(&answer, 9, true);
            let code = response.responses[0].partition_responses[0].error_code;
            assert_eq!(ErrorCode::from_code(code), Some(ErrorCode::KafkaStorageError));
        }
    });
}
