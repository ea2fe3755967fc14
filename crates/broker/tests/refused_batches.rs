//! Batches that the broker refuses before the log sees them, by partition and with a sentence.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use ottla_protocol::ErrorCode;
use ottla_protocol::compression::Compression;
use ottla_protocol::message::Records;
use ottla_protocol::messages::produce_request::ProduceRequest;
use ottla_protocol::messages::produce_response::ProduceResponse;
use ottla_protocol::record_batch::{BatchBuilder, BatchOptions};
use support::{Client, Rig, decode, produce, with_broker};

fn batch(options: BatchOptions) -> Vec<u8> {
    let mut builder = BatchBuilder::new(options);
    builder.append(ottla_env::time::wall_clock_ms(), Some(b"k"), Some(b"v"), &[]);
    builder.build()
}

async fn code(client: &Client, version: i16, request: &ProduceRequest<'_>) -> Option<ErrorCode> {
    client.send(version, 1, request).await;
    let (_, answer) = client.receive().await;
    let response: ProduceResponse<'_> = decode(&answer, version, version >= 9);
    ErrorCode::from_code(response.responses[0].partition_responses[0].error_code)
}

fn last_stable_offset(rig: &Rig) -> i64 {
    rig.broker.replicas.find("t", 0).unwrap().log().last_stable_offset()
}

/// The request names no transactional id, only the batch says that it is part of a transaction, which nothing could end:
/// consumers of committed records would wait behind it for ever.
#[test]
fn a_transactional_batch_without_a_transactional_id() {
    with_broker(&[1], &[], |rig| async move {
        let client = rig.connect().await;
        let options = BatchOptions {
            producer_id: 7,
            producer_epoch: 0,
            base_sequence: 0,
            transactional: true,
            ..BatchOptions::default()
        };
        let transactional = batch(options);
        let refused = code(&client, 9, &produce(1, 100, &transactional)).await;
        assert_eq!(refused, Some(ErrorCode::TransactionalIdAuthorizationFailed));
        let plain = batch(BatchOptions::default());
        assert_eq!(code(&client, 9, &produce(1, 100, &plain)).await, Some(ErrorCode::None));
        assert_eq!(last_stable_offset(&rig), 1);
    });
}

#[test]
fn zstd_needs_version_7() {
    with_broker(&[1], &[], |rig| async move {
        let client = rig.connect().await;
        let zstd = batch(BatchOptions { compression: Compression::Zstd, ..BatchOptions::default() });
        assert_eq!(code(&client, 6, &produce(1, 100, &zstd)).await, Some(ErrorCode::UnsupportedCompressionType));
        assert_eq!(code(&client, 7, &produce(1, 100, &zstd)).await, Some(ErrorCode::None));
    });
}

#[test]
fn null_and_empty_records() {
    with_broker(&[1], &[], |rig| async move {
        let client = rig.connect().await;
        for records in [Records::Null, Records::Bytes(&[])] {
            let mut request = produce(1, 100, &[]);
            request.topic_data[0].partition_data[0].records = records;
            assert_eq!(code(&client, 9, &request).await, Some(ErrorCode::InvalidRecord), "{records:?}");
        }
    });
}
