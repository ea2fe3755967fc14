//! A consumer may read as slowly as it likes; one that does not read at all is cut.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::VecDeque;
use std::time::Duration;

use ottla_broker::network::reaper::STALL_MS;
use ottla_env::time;
use support::{BETWEEN, Client, Rig, fetch, slow_client, with_broker};

/// What it reads at a time.
const PART: usize = 256 << 10;

/// A consumer that has read the size of its answer, which is being sent, and that size.
async fn consumer(rig: &Rig) -> (Client, usize) {
    let (consumer, all) = slow_client(rig, 2 * BETWEEN).await;
    consumer.send(15, 1, &all).await;
    let mut size = [0; 4];
    consumer.stream.read_exact(&mut size).await.unwrap();
    let size = usize::try_from(i32::from_be_bytes(size)).unwrap();
    assert!(size > 2 * BETWEEN, "{size}");
    (consumer, size)
}

/// Looks at all connections as if the time were `now_ms`.
fn reap(rig: &Rig, now_ms: i64) {
    rig.broker.connections.reap(now_ms, -1);
}

#[test]
fn a_consumer_that_reads_slowly_is_served() {
    with_broker(&[1], &[], |rig| async move {
        let (consumer, size) = consumer(&rig).await;
        // When the consumer had read how much.
        let mut history = VecDeque::from([(time::monotonic_ms(), 0)]);
        let mut read = 0;
        while read < size {
            let before = time::monotonic_ms();
            while time::monotonic_ms() <= before + 1 {
                time::sleep(Duration::from_millis(1)).await;
            }
            let mut part = vec![0; PART.min(size - read)];
            consumer.stream.read_exact(&mut part).await.expect("it is not cut");
            read += part.len();
            history.push_back((time::monotonic_ms(), read));
            // More was read than could lie between the two: the broker has sent since then, and must have noticed.
            while history.front().is_some_and(|(_, before)| read - before > BETWEEN) {
                let (at_ms, _) = history.pop_front().unwrap();
                reap(&rig, at_ms + STALL_MS + 1);
            }
        }
        consumer.send(15, 2, &fetch(-1, -1, 0)).await;
        assert_eq!(consumer.receive().await.0, 2, "and goes on");
    });
}

#[test]
fn a_consumer_that_does_not_read_is_cut() {
    with_broker(&[1], &[], |rig| async move {
        let (consumer, size) = consumer(&rig).await;
        reap(&rig, time::monotonic_ms() + STALL_MS + 1);
        let rest = consumer.stream.read_exact(&mut vec![0; size]).await;
        assert!(rest.is_err(), "the answer ends early");
    });
}
