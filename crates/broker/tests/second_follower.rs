//! A second replica, driven by hand: acks=all waits for it, its fetches move the high watermark, and nobody else's do.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use ottla_env::time;
use ottla_metadata::CommittedBatch;
use ottla_metadata::records::PartitionChangeRecord;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::produce_response::ProduceResponse;
use support::{TOPIC_ID, batch, decode, fetch, fetched, produce, with_broker};

#[test]
fn acks_all_waits_for_the_followers_fetch() {
    with_broker(&[1, 2], &[], |rig| async move {
        let (producer, follower, consumer) = (rig.connect().await, rig.connect().await, rig.connect().await);
        let record = batch("one");
        producer.send(9, 1, &produce(-1, 20_000, &record)).await;
        let early = time::timeout(Duration::from_millis(50), producer.receive()).await;
        assert!(early.is_err(), "not acknowledged while the follower lacks it");
        assert_eq!(fetched(&consumer, &fetch(-1, -1, 0)).await, (0, 0, 0, 0), "nor shown to consumers");

        assert_eq!(fetched(&follower, &fetch(2, 102, 0)).await, (0, 0, 0, record.len()), "the follower gets it");
        assert_eq!(fetched(&follower, &fetch(2, 102, 1)).await, (0, 0, 1, 0), "and says so by its next fetch");

        let (_, answer) = time::timeout(Duration::from_secs(10), producer.receive()).await.expect("acknowledged");
        let produced: ProduceResponse<'_> = decode(&answer, 9, true);
        let partition = &produced.responses[0].partition_responses[0];
        assert_eq!((partition.error_code, partition.base_offset), (0, 0));
        assert_eq!(fetched(&consumer, &fetch(-1, -1, 0)).await, (0, 0, 1, record.len()));
    });
}

#[test]
fn without_the_follower_the_wait_ends_with_a_time_out() {
    with_broker(&[1, 2], &[], |rig| async move {
        let producer = rig.connect().await;
        producer.send(9, 1, &produce(-1, 100, &batch("one"))).await;
        let (_, answer) = producer.receive().await;
        let produced: ProduceResponse<'_> = decode(&answer, 9, true);
        let code = produced.responses[0].partition_responses[0].error_code;
        assert_eq!(ErrorCode::from_code(code), Some(ErrorCode::RequestTimedOut));
    });
}

#[test]
fn only_a_registered_broker_may_call_itself_a_replica() {
    with_broker(&[1, 2], &[], |rig| async move {
        let client = rig.connect().await;
        let refused = ErrorCode::ClusterAuthorizationFailed.code();
        for (id, epoch, who) in [(2, -1, "no epoch"), (2, 7, "a wrong epoch"), (1, 101, "the leader"), (3, 1, "nobody")]
        {
            assert_eq!(fetched(&client, &fetch(id, epoch, 0)).await.0, refused, "{who}");
        }
    });
}

#[test]
fn min_insync_replicas() {
    with_broker(&[1, 2], &["min.insync.replicas=2"], |rig| async move {
        let left = PartitionChangeRecord {
            partition_id: 0,
            topic_id: TOPIC_ID,
            isr: Some(vec![1]),
            ..PartitionChangeRecord::default()
        };
        rig.loader.load_batches([CommittedBatch { last_offset: 11, epoch: 1, records: vec![left.into()] }]).unwrap();
        let producer = rig.connect().await;
        for (acks, code) in [(-1, ErrorCode::NotEnoughReplicas), (1, ErrorCode::None)] {
            producer.send(9, 1, &produce(acks, 100, &batch("one"))).await;
            let (_, answer) = producer.receive().await;
            let produced: ProduceResponse<'_> = decode(&answer, 9, true);
            let answered = produced.responses[0].partition_responses[0].error_code;
            assert_eq!(ErrorCode::from_code(answered), Some(code), "acks={acks}");
        }
        let partition = rig.broker.replicas.find("t", 0).unwrap();
        assert_eq!(partition.log().high_watermark(), 0, "nothing counts as committed while the ISR is too small");
    });
    // Never are more in-sync replicas asked for than there are replicas.
    with_broker(&[1], &["min.insync.replicas=2"], |rig| async move {
        let producer = rig.connect().await;
        producer.send(9, 1, &produce(-1, 100, &batch("one"))).await;
        let (_, answer) = producer.receive().await;
        let produced: ProduceResponse<'_> = decode(&answer, 9, true);
        assert_eq!(produced.responses[0].partition_responses[0].error_code, 0);
    });
}
