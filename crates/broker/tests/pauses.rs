//! Clients that a quota asks to pause: they are answered at once and told how long, and nothing more is read from them and
//! sent to them for that time (KIP-219).
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use ottla_broker::context::ConnectionInfo;
use ottla_broker::quota::{Quota, QuotaKind};
use ottla_env::time::{self, Instant};
use ottla_protocol::messages::api_versions_request::ApiVersionsRequest;
use ottla_protocol::messages::api_versions_response::ApiVersionsResponse;
use ottla_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic, ReplicaState};
use ottla_protocol::messages::fetch_response::FetchResponse;
use ottla_protocol::messages::find_coordinator_request::FindCoordinatorRequest;
use ottla_protocol::messages::find_coordinator_response::FindCoordinatorResponse;
use ottla_protocol::messages::metadata_request::MetadataRequest;
use ottla_protocol::messages::metadata_response::MetadataResponse;
use ottla_protocol::messages::produce_response::ProduceResponse;
use parking_lot::Mutex;
use support::{Client, TOPIC_ID, batch, decode, produce, with_quota};

/// What a quota was asked: the client's name, the kind and the amount.
type Asked = (Option<String>, QuotaKind, u64);

/// Pauses of fixed length, and a record of who was asked to make them.
#[derive(Debug, Default)]
struct Fixed {
    produce_ms: i32,
    fetch_ms: i32,
    request_ms: i32,
    asked: Mutex<Vec<Asked>>,
}

impl Quota for Fixed {
    fn throttle_ms(&self, _: &ConnectionInfo, client_id: Option<&str>, kind: QuotaKind, amount: u64) -> i32 {
        self.asked.lock().push((client_id.map(str::to_owned), kind, amount));
        match kind {
            QuotaKind::Produce => self.produce_ms,
            QuotaKind::Fetch => self.fetch_ms,
            QuotaKind::Request => self.request_ms,
        }
    }
}

impl Fixed {
    fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock())
    }
}

/// How long the next answer takes from now, and the answer.
async fn awaited(client: &Client) -> (Duration, Vec<u8>) {
    let began = Instant::now();
    let (_, answer) = time::timeout(Duration::from_secs(10), client.receive()).await.expect("an answer");
    (began.elapsed(), answer)
}

const PAUSE: Duration = Duration::from_millis(400);
/// Clocks and threads may be late, never early; a broker that does not pause is a good deal faster.
const AT_ONCE: Duration = Duration::from_millis(200);

#[test]
fn every_request_is_charged_and_its_connection_rests() {
    let quota = Arc::new(Fixed { request_ms: 400, ..Fixed::default() });
    with_quota(Arc::clone(&quota) as _, &[1], |rig| async move {
        let client = rig.connect().await;
        client.send(9, 1, &MetadataRequest::default()).await;
        let (took, answer) = awaited(&client).await;
        assert!(took < AT_ONCE, "the answer itself is not held back: {took:?}");
        assert_eq!(decode::<MetadataResponse<'_>>(&answer, 9, true).throttle_time_ms, 400);
        let asked = quota.asked();
        let [(client_id, QuotaKind::Request, spent_ns)] = asked.as_slice() else { panic!("{asked:?}") };
        assert_eq!(client_id.as_deref(), Some("test"));
        assert!((1..1_000_000_000).contains(spent_ns), "time was taken: {spent_ns} ns");

        let began = Instant::now();
        client
            .send(
                3,
                2,
                &ApiVersionsRequest { client_software_name: "a", client_software_version: "1", ..Default::default() },
            )
            .await;
        let (_, answer) = awaited(&client).await;
        assert!(began.elapsed() + AT_ONCE > PAUSE, "the connection was muted: {:?}", began.elapsed());
        // Its answer has no tagged fields in its header (KIP-511), and the time stands behind the list of APIs.
        assert_eq!(decode::<ApiVersionsResponse<'_>>(&answer, 3, false).throttle_time_ms, 400);

        // A second client pays for itself alone.
        let other = rig.connect().await;
        other.send(3, 1, &FindCoordinatorRequest { key: "g", ..Default::default() }).await;
        let (took, answer) = awaited(&other).await;
        assert!(took < AT_ONCE, "{took:?}");
        assert_eq!(decode::<FindCoordinatorResponse<'_>>(&answer, 3, true).throttle_time_ms, 400);
    });
}

#[test]
fn a_version_without_the_field_is_muted_all_the_same() {
    let quota = Arc::new(Fixed { request_ms: 400, ..Fixed::default() });
    with_quota(quota, &[1], |rig| async move {
        let client = rig.connect().await;
        for (id, patience) in [(1, Duration::ZERO), (2, PAUSE)] {
            let began = Instant::now();
            client.send(1, id, &MetadataRequest::default()).await;
            let (_, answer) = awaited(&client).await;
            let brokers = decode::<MetadataResponse<'_>>(&answer, 1, false).brokers.len();
            assert_eq!(brokers, 2, "nothing was written over it");
            assert!(began.elapsed() + AT_ONCE > patience, "{:?}", began.elapsed());
        }
    });
}

/// Of the quotas on bytes and on time the longer pause counts.
#[test]
fn the_longest_pause_counts() {
    for (produce_ms, request_ms) in [(400, 100), (100, 400)] {
        let quota = Arc::new(Fixed { produce_ms, request_ms, ..Fixed::default() });
        with_quota(Arc::clone(&quota) as _, &[1], |rig| async move {
            let client = rig.connect().await;
            let records = batch("x");
            client.send(9, 1, &produce(1, 1000, &records)).await;
            let (_, answer) = awaited(&client).await;
            assert_eq!(decode::<ProduceResponse<'_>>(&answer, 9, true).throttle_time_ms, 400);
            let asked = quota.asked();
            assert_eq!(asked[0], (Some("test".into()), QuotaKind::Produce, records.len() as u64));
            assert_eq!((asked.len(), asked[1].1), (2, QuotaKind::Request));
            let began = Instant::now();
            client.send(9, 2, &produce(1, 1000, &records)).await;
            awaited(&client).await;
            assert!(began.elapsed() + AT_ONCE > PAUSE, "{:?}", began.elapsed());
        });
    }
}

/// There is no answer that could say so, and the connection rests as long.
#[test]
fn a_producer_that_wants_no_answer_pauses_too() {
    let quota = Arc::new(Fixed { produce_ms: 400, ..Fixed::default() });
    with_quota(Arc::clone(&quota) as _, &[1], |rig| async move {
        let client = rig.connect().await;
        client.send(9, 1, &produce(0, 1000, &batch("x"))).await;
        let charged = async {
            while quota.asked().len() < 2 {
                time::sleep(Duration::from_millis(1)).await;
            }
        };
        time::timeout(Duration::from_secs(10), charged).await.expect("the quota is asked");
        client.send(9, 2, &MetadataRequest::default()).await;
        let (took, answer) = awaited(&client).await;
        assert!(took + AT_ONCE > PAUSE, "{took:?}");
        assert_eq!(decode::<MetadataResponse<'_>>(&answer, 9, true).throttle_time_ms, 0);
    });
}

/// A fetch of a consumer, or of a broker by its id and epoch.
fn fetch(replica_id: i32, replica_epoch: i64) -> FetchRequest<'static> {
    let partition = FetchPartition { partition_max_bytes: 1 << 20, ..FetchPartition::default() };
    let topic = FetchTopic { topic_id: TOPIC_ID, partitions: vec![partition], ..FetchTopic::default() };
    let replica_state = ReplicaState { replica_id, replica_epoch, ..ReplicaState::default() };
    let topics = vec![topic];
    FetchRequest { replica_state, max_bytes: 1 << 20, session_epoch: -1, topics, ..FetchRequest::default() }
}

#[test]
fn consumers_pay_for_what_they_read_and_followers_do_not() {
    let quota = Arc::new(Fixed { fetch_ms: 300, request_ms: 200, ..Fixed::default() });
    with_quota(Arc::clone(&quota) as _, &[1, 2], |rig| async move {
        for (replica_id, replica_epoch, pause_ms) in [(-1, -1, 300), (2, 102, 0)] {
            let client = rig.connect().await;
            client.send(15, 1, &fetch(replica_id, replica_epoch)).await;
            let (_, answer) = awaited(&client).await;
            let response: FetchResponse<'_> = decode(&answer, 15, true);
            assert_eq!((response.error_code, response.throttle_time_ms), (0, pause_ms), "replica {replica_id}");
            let kinds: Vec<_> = quota.asked().into_iter().map(|(_, kind, _)| kind).collect();
            let consumer = [QuotaKind::Fetch, QuotaKind::Request];
            assert_eq!(kinds, if replica_id < 0 { consumer.as_slice() } else { &[] });
        }
    });
}
