//! Half a frame behind a request that waits: the wait is no shelter, and what comes in time is served.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use ottla_broker::network::reaper::STALL_MS;
use ottla_env::time;
use ottla_protocol::messages::produce_response::ProduceResponse;
use support::{Client, Rig, batch, decode, encode, fetch, produce, with_broker};

const PATIENCE: Duration = Duration::from_secs(20);
const VALUE: usize = 250_000;
/// Half of the frame, and at what rate the rest must come: 16 bytes a millisecond.
const HALF: usize = 120_000;
const REST_MS: i64 = (VALUE as i64 + 1_000 - HALF as i64) / 16;

/// A client whose fetch waits, and of whose next frame the broker has the first half; gives the second.
async fn half_way(rig: &Rig) -> (Client, Vec<u8>) {
    let client = rig.connect().await;
    let mut waiting = fetch(-1, -1, 0);
    (waiting.max_wait_ms, waiting.min_bytes) = (120_000, 1);
    client.send(15, 1, &waiting).await;
    let partition = rig.broker.replicas.find("t", 0).unwrap();
    let record = batch(&"x".repeat(VALUE));
    let mut frame = encode(9, 2, &produce(1, 1000, &record));
    let rest = frame.split_off(HALF);
    client.stream.write_all(&frame).await.unwrap();
    let there = async {
        while partition.readable().is_empty() || rig.broker.memory.used() < HALF {
            time::sleep(Duration::from_millis(1)).await;
        }
    };
    time::timeout(PATIENCE, there).await.expect("the fetch waits, half of the frame is read");
    (client, rest)
}

#[test]
fn the_other_half_in_time_is_served() {
    with_broker(&[1], &[], |rig| async move {
        let (client, rest) = half_way(&rig).await;
        rig.broker.connections.reap(time::monotonic_ms() + STALL_MS, -1);
        client.stream.write_all(&rest).await.unwrap();
        let (id, _) = time::timeout(PATIENCE, client.receive()).await.expect("the append ends the fetch's wait");
        assert_eq!(id, 1);
        let (_, answer) = client.receive().await;
        let produced: ProduceResponse<'_> = decode(&answer, 9, true);
        assert_eq!(produced.responses[0].partition_responses[0].error_code, 0);
    });
}

#[test]
fn a_frame_that_is_never_finished_is_cut() {
    with_broker(&[1], &[], |rig| async move {
        let (client, _rest) = half_way(&rig).await;
        rig.broker.connections.reap(time::monotonic_ms() + STALL_MS + REST_MS + 1, -1);
        let closed = time::timeout(PATIENCE, client.is_closed()).await;
        assert!(closed.expect("at once, though the fetch would wait for two minutes"));
        let partition = rig.broker.replicas.find("t", 0).unwrap();
        let gone = async {
            while !partition.readable().is_empty() || !rig.broker.connections.is_empty() {
                time::sleep(Duration::from_millis(1)).await;
            }
        };
        time::timeout(PATIENCE, gone).await.expect("the fetch has gone with it");
        assert_eq!(rig.broker.memory.used(), 0, "and so has the memory");
        assert_eq!(partition.log().log_end_offset(), 0);
    });
}
