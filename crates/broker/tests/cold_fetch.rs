//! A fetch of what is not in memory is answered like any other: at once, or when its time is up.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use ottla_env::time;
use support::{Rig, batch, fetch, fetched, produce, with_broker};

const PATIENCE: Duration = Duration::from_secs(20);

/// A log of so many batches, whose files are closed: a look at them waits for the disk, for all the broker knows.
async fn cold(rig: &Rig, batches: usize) {
    let producer = rig.connect().await;
    for n in 0..batches {
        producer.send(9, 1, &produce(1, 1000, &batch(&n.to_string()))).await;
        producer.receive().await;
    }
    let log = rig.broker.replicas.find("t", 0).unwrap();
    // The first call finds them in use.
    log.log().close_idle_files();
    log.log().close_idle_files();
    assert!(log.log().read_cached(0, 1, i64::MAX, true).unwrap().is_none());
}

#[test]
fn what_is_on_the_disk_is_found() {
    with_broker(&[1], &[], |rig| async move {
        cold(&rig, 3).await;
        let client = rig.connect().await;
        let one = batch("0").len();
        assert_eq!(fetched(&client, &fetch(-1, -1, 1)).await, (0, 0, 3, 2 * one));
        assert_eq!(fetched(&client, &fetch(-1, -1, 1)).await, (0, 0, 3, 2 * one), "its files are open now");
    });
}

#[test]
fn too_little_on_the_disk_is_waited_on() {
    with_broker(&[1], &[], |rig| async move {
        cold(&rig, 1).await;
        let (client, producer) = (rig.connect().await, rig.connect().await);
        let one = batch("0").len();
        let mut waiting = fetch(-1, -1, 0);
        (waiting.max_wait_ms, waiting.min_bytes) = (120_000, i32::try_from(one).unwrap() + 1);
        let partition = rig.broker.replicas.find("t", 0).unwrap();
        let more = async {
            while partition.readable().is_empty() {
                time::sleep(Duration::from_millis(1)).await;
            }
            producer.send(9, 1, &produce(1, 1000, &batch("1"))).await;
            producer.receive().await;
        };
        let both = time::timeout(PATIENCE, async { tokio::join!(fetched(&client, &waiting), more) }).await;
        assert_eq!(both.expect("woken by the append").0, (0, 0, 2, 2 * one));
    });
}
