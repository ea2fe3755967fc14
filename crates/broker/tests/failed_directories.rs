//! A log directory that fails under a running broker.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use ottla_broker::replica::manager::Missing;
use ottla_env::time;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::produce_response::ProduceResponse;
use support::{batch, decode, produce, with_broker};

const PATIENCE: Duration = Duration::from_secs(30);

/// A producer waits for a second replica; it hears of the failure instead of waiting on.
#[test]
fn partitions_of_a_failed_directory_answer_so_at_once() {
    with_broker(&[1, 2], &[], |rig| async move {
        let client = rig.connect().await;
        client.send(9, 1, &produce(-1, 120_000, &batch("one"))).await;
        let held = rig.broker.replicas.find("t", 0).unwrap();
        while held.committed().is_empty() {
            time::sleep(Duration::from_millis(5)).await;
        }
        rig.broker.replicas.logs().log_dirs()[0].set_offline("pulled out");
        for _ in 0..2 {
            let (_, answer) = time::timeout(PATIENCE, client.receive()).await.expect("it is answered");
            let produced: ProduceResponse<'_> = decode(&answer, 9, true);
            let code = produced.responses[0].partition_responses[0].error_code;
            assert_eq!(ErrorCode::from_code(code), Some(ErrorCode::KafkaStorageError));
            client.send(9, 2, &produce(1, 1_000, &batch("two"))).await;
        }
        assert_eq!(rig.broker.replicas.find("t", 0).err(), Some(Missing::Offline));
        assert!(rig.broker.replicas.logs().logs().is_empty(), "its logs are let go");
    });
}

/// Nobody is behind the controller's door.
#[test]
fn a_broker_that_cannot_tell_gives_up() {
    with_broker(&[1], &["log.dir.failure.timeout.ms=300"], |mut rig| async move {
        assert!(time::timeout(Duration::from_millis(500), rig.running.gave_up()).await.is_err(), "nothing has failed");
        rig.broker.replicas.logs().log_dirs()[0].set_offline("pulled out");
        let cause = time::timeout(PATIENCE, rig.running.gave_up()).await.expect("it gives up");
        assert!(cause.contains("log.dir.failure.timeout.ms (300 ms)"), "{cause}");
    });
}
