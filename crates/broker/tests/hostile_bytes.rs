//! Bytes that are no request close their connection, and only theirs.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use ottla_env::time;
use ottla_protocol::messages::api_versions_request::ApiVersionsRequest;
use ottla_protocol::messages::api_versions_response::ApiVersionsResponse;
use ottla_protocol::messages::metadata_request::MetadataRequest;
use support::{Rig, batch, decode, encode, produce, with_broker};

async fn closes(rig: &Rig, bytes: &[u8], what: &str) {
    let bystander = rig.connect().await;
    let client = rig.connect().await;
    client.stream.write_all(bytes).await.unwrap();
    let closed = time::timeout(Duration::from_secs(10), client.is_closed()).await;
    assert_eq!(closed, Ok(true), "{what}");
    bystander.send(8, 7, &MetadataRequest::default()).await;
    assert_eq!(bystander.receive().await.0, 7, "the others go on after {what}");
}

#[test]
fn what_is_no_request_closes_the_connection() {
    with_broker(&[1], &[], |rig| async move {
        closes(&rig, b"GET / HTTP/1.1\r\n\r\n", "an HTTP request").await;
        closes(&rig, &(-1i32).to_be_bytes(), "a negative size").await;
        closes(&rig, &[0, 0, 0, 2, 0, 18], "a frame shorter than a header").await;
        closes(&rig, &[0, 0, 0, 10, 3, 231, 0, 0, 0, 0, 0, 1, 255, 255], "an unknown API key").await;
        let mut too_new = encode(8, 1, &MetadataRequest::default());
        too_new[7] = 99;
        closes(&rig, &too_new, "a version that is not served").await;
        let batch = batch("x");
        let cut = encode(9, 1, &produce(1, 0, &batch));
        let mut short = cut[..cut.len() - 20].to_vec();
        let size = u32::try_from(short.len() - 4).unwrap();
        short[..4].copy_from_slice(&size.to_be_bytes());
        closes(&rig, &short, "records that end early").await;
        assert!(rig.broker.counters.refused_requests.get() >= 6);
        let freed = async {
            while rig.broker.memory.used() > 0 {
                time::sleep(Duration::from_millis(1)).await;
            }
        };
        assert!(time::timeout(Duration::from_secs(10), freed).await.is_ok(), "something of them is still held");
    });
}

/// librdkafka 2.15 leaves three bytes behind its Metadata 13; Kafka does not look at them, nor do we.
#[test]
fn bytes_behind_a_request_are_ignored() {
    with_broker(&[1], &[], |rig| async move {
        let client = rig.connect().await;
        let mut longer = encode(8, 5, &MetadataRequest::default());
        longer[3] += 3;
        longer.extend([0; 3]);
        client.stream.write_all(&longer).await.unwrap();
        assert_eq!(client.receive().await.0, 5);
    });
}

/// What was handled before a bad request was done, and its client is told so.
#[test]
fn answers_before_a_bad_request_still_leave() {
    with_broker(&[1], &[], |rig| async move {
        let client = rig.connect().await;
        let mut bytes = encode(8, 6, &MetadataRequest::default());
        bytes.extend(b"GET / HTTP/1.1");
        client.stream.write_all(&bytes).await.unwrap();
        assert_eq!(client.receive().await.0, 6);
        assert!(client.is_closed().await);
    });
}

/// As Kafka does, so that a producer that wants no answer still learns that it must look for another leader.
#[test]
fn an_acks_0_produce_that_fails_closes_the_connection() {
    with_broker(&[1], &[], |rig| async move {
        let mut spoilt = batch("x");
        let last = spoilt.len() - 1;
        spoilt[last] ^= 1;
        closes(&rig, &encode(9, 1, &produce(0, 0, &spoilt)), "a corrupt batch with acks=0").await;
    });
}

#[test]
fn api_versions_of_the_future_is_answered_in_version_0() {
    with_broker(&[1], &[], |rig| async move {
        let client = rig.connect().await;
        let mut request = encode(4, 9, &ApiVersionsRequest::default());
        request[7] = 77;
        client.stream.write_all(&request).await.unwrap();
        let (id, answer) = client.receive().await;
        let response: ApiVersionsResponse<'_> = decode(&answer, 0, false);
        assert_eq!((id, response.error_code), (9, 35));
        assert!(response.api_keys.iter().any(|k| k.api_key == 18 && k.max_version == 5));
    });
}

#[test]
fn a_frame_in_drops_is_put_together() {
    with_broker(&[1], &["socket.request.max.bytes=1048576"], |rig| async move {
        let client = rig.connect().await;
        for byte in encode(8, 3, &MetadataRequest::default()) {
            client.stream.write_all(&[byte]).await.unwrap();
        }
        assert_eq!(client.receive().await.0, 3);
        closes(&rig, &1_048_577i32.to_be_bytes(), "a frame above socket.request.max.bytes").await;
    });
}
