//! A producer against a broker that loses its leadership, its connections and its memory of producers in the worst moments.
//! Whatever happens: what is acknowledged is in the log once, and in the order of sending.
//!
//! The broker keeps Kafka's rules of sequences: a producer of whom it has nothing may begin anywhere; of the others it
//! remembers some batches, answers those again with their offsets, and takes only what follows.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ottla_client::{Delivery, Producer, ProducerConfig, ProducerRecord};
use ottla_env::net::TcpListener;
use ottla_env::task::{self, Runtime};
use ottla_env::time;
use ottla_protocol::ErrorCode;
use ottla_protocol::api::ApiKey;
use ottla_protocol::frame::{self, RequestHead};
use ottla_protocol::message::Message;
use ottla_protocol::messages::api_versions_response::{ApiVersion, ApiVersionsResponse};
use ottla_protocol::messages::init_producer_id_response::InitProducerIdResponse;
use ottla_protocol::messages::metadata_response::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use ottla_protocol::messages::produce_request::ProduceRequest;
use ottla_protocol::messages::produce_response::{PartitionProduceResponse, ProduceResponse, TopicProduceResponse};
use ottla_protocol::reader::Reader;
use ottla_protocol::record_batch::{self, BatchHeader};
use parking_lot::Mutex;
use support::Peer;

const TOPIC: &str = "t";
const PATIENCE: Duration = Duration::from_secs(20);
/// The APIs that it speaks, up to which version.
const SPEAKS: [(ApiKey, i16); 4] =
    [(ApiKey::Produce, 9), (ApiKey::Metadata, 9), (ApiKey::ApiVersions, 3), (ApiKey::InitProducerId, 4)];

/// What becomes of a produce request; without a script it is obeyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Appended as the rules say, and answered.
    Obey,
    /// Not appended, answered with that code.
    Refuse(ErrorCode),
    /// Appended, and not answered.
    Silence,
    /// Appended, not answered; the connection is closed, and what comes back has forgotten much.
    Die,
}

/// What the broker knows of the one producer.
#[derive(Debug)]
struct Known {
    epoch: i16,
    /// First sequence and offset of its last batches.
    batches: VecDeque<(i32, i64)>,
}

/// The one partition. Every batch has one record.
#[derive(Debug, Default)]
struct Partition {
    log: Vec<String>,
    producer: Option<Known>,
    script: VecDeque<Step>,
    /// Epoch and sequence of every batch that came.
    seen: Vec<(i16, i32)>,
}

impl Partition {
    fn append(&mut self, header: &BatchHeader, value: String) -> Result<i64, ErrorCode> {
        let (epoch, sequence) = (header.producer_epoch, header.base_sequence);
        self.seen.push((epoch, sequence));
        match &self.producer {
            Some(known) if epoch < known.epoch => return Err(ErrorCode::InvalidProducerEpoch),
            Some(known) if epoch > known.epoch && sequence != 0 => return Err(ErrorCode::OutOfOrderSequenceNumber),
            Some(known) if epoch == known.epoch => {
                if let Some((_, offset)) = known.batches.iter().find(|(first, _)| *first == sequence) {
                    return Ok(*offset);
                }
                if known.batches.back().is_some_and(|(last, _)| last + 1 != sequence) {
                    return Err(ErrorCode::OutOfOrderSequenceNumber);
                }
            }
            Some(_) | None => {}
        }
        let offset = self.log.len() as i64;
        self.log.push(value);
        let known = self.producer.get_or_insert(Known { epoch, batches: VecDeque::new() });
        if known.epoch != epoch {
            *known = Known { epoch, batches: VecDeque::new() };
        }
        known.batches.push_back((sequence, offset));
        while known.batches.len() > 5 {
            known.batches.pop_front();
        }
        Ok(offset)
    }

    /// Two restarts: the first takes a snapshot of the producers, with the last batch of each; the second reads it.
    fn forget(&mut self) {
        let batches = &mut self.producer.as_mut().unwrap().batches;
        batches.drain(..batches.len() - 1);
    }

    /// The last record is gone, as after a loss of power.
    fn lose_the_last(&mut self) {
        self.log.pop();
        self.producer.as_mut().unwrap().batches.pop_back();
    }
}

struct Broker {
    address: SocketAddr,
    partition: Arc<Mutex<Partition>>,
}

impl Broker {
    async fn start() -> Self {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let address = listener.local_addr().unwrap();
        let partition = Arc::new(Mutex::new(Partition::default()));
        let shared = Arc::clone(&partition);
        task::spawn("broker", async move {
            while let Ok((stream, _)) = listener.accept().await {
                task::spawn("connection", serve(Peer(stream), address, Arc::clone(&shared)));
            }
        });
        Self { address, partition }
    }

    /// A producer that makes a batch of every record.
    async fn producer(&self) -> Producer {
        let mut config = ProducerConfig::default();
        for (name, value) in [
            ("bootstrap.servers", self.address.to_string().as_str()),
            ("linger.ms", "0"),
            ("batch.size", "1"),
            ("retry.backoff.ms", "1"),
            ("retry.backoff.max.ms", "5"),
        ] {
            config.set(name, value).unwrap();
        }
        Producer::connect(config).await.unwrap()
    }

    fn script(&self, steps: impl IntoIterator<Item = Step>) {
        self.partition.lock().script.extend(steps);
    }
}

async fn serve(peer: Peer, address: SocketAddr, partition: Arc<Mutex<Partition>>) {
    while let Some(frame) = peer.next_request().await {
        let head = frame::read_request_head(&frame).unwrap();
        let version = head.api_version;
        match ApiKey::from_code(head.api_key) {
            Some(ApiKey::ApiVersions) => shake_hands(&peer, &head).await,
            Some(ApiKey::Metadata) => {
                let host = address.ip().to_string();
                peer.answer(&head, version, &metadata(&host, address.port())).await;
            }
            Some(ApiKey::InitProducerId) => {
                let response = InitProducerIdResponse { producer_id: 7, producer_epoch: 0, ..Default::default() };
                peer.answer(&head, version, &response).await;
            }
            Some(ApiKey::Produce) => {
                let request = ProduceRequest::decode(&mut Reader::new(&frame[head.body_at..]), version).unwrap();
                let (step, outcome) = produced(&request, &mut partition.lock());
                match step {
                    Step::Die => return,
                    Step::Silence => {}
                    Step::Obey | Step::Refuse(_) => answer(&peer, &head, outcome).await,
                }
            }
            other => panic!("{other:?} was not to be expected"),
        }
    }
}

/// A broker of before KIP-511's last version: it is asked again at what it speaks.
async fn shake_hands(peer: &Peer, head: &RequestHead<'_>) {
    let range = |(key, max_version): (ApiKey, i16)| ApiVersion {
        api_key: key.code(),
        min_version: 0,
        max_version,
        ..ApiVersion::default()
    };
    let api_keys = SPEAKS.map(range).to_vec();
    if head.api_version > 3 {
        peer.answer(head, 0, &ApiVersionsResponse { error_code: 35, api_keys, ..Default::default() }).await;
    } else {
        peer.answer(head, head.api_version, &ApiVersionsResponse { api_keys, ..Default::default() }).await;
    }
}

fn metadata(host: &str, port: u16) -> MetadataResponse<'_> {
    let partition = MetadataResponsePartition {
        leader_id: 1,
        leader_epoch: 1,
        replica_nodes: vec![1],
        isr_nodes: vec![1],
        ..Default::default()
    };
    MetadataResponse {
        brokers: vec![MetadataResponseBroker { node_id: 1, host, port: i32::from(port), ..Default::default() }],
        controller_id: 1,
        topics: vec![MetadataResponseTopic { name: Some(TOPIC), partitions: vec![partition], ..Default::default() }],
        ..Default::default()
    }
}

/// Takes the one batch of a request as the script says.
fn produced(request: &ProduceRequest<'_>, partition: &mut Partition) -> (Step, Result<i64, ErrorCode>) {
    let batch = request.topic_data[0].partition_data[0].records.bytes();
    let header = BatchHeader::read(batch).unwrap();
    let step = partition.script.pop_front().unwrap_or(Step::Obey);
    if let Step::Refuse(code) = step {
        partition.seen.push((header.producer_epoch, header.base_sequence));
        return (step, Err(code));
    }
    let mut scratch = Vec::new();
    let record = record_batch::records(batch, &mut scratch, 1 << 20).unwrap().next().unwrap().unwrap();
    let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
    let outcome = partition.append(&header, value);
    if step == Step::Die {
        partition.forget();
    }
    (step, outcome)
}

async fn answer(peer: &Peer, head: &RequestHead<'_>, outcome: Result<i64, ErrorCode>) {
    let (error_code, base_offset) = outcome.map_or_else(|code| (code.code(), -1), |offset| (0, offset));
    let partition_responses = vec![PartitionProduceResponse { error_code, base_offset, ..Default::default() }];
    let topic = TopicProduceResponse { name: TOPIC, partition_responses, ..Default::default() };
    peer.answer(head, head.api_version, &ProduceResponse { responses: vec![topic], ..Default::default() }).await;
}

fn run<F: Future<Output = ()>>(scenario: impl FnOnce(Broker, Producer) -> F) {
    Runtime::new(2).unwrap().block_on(async {
        let broker = Broker::start().await;
        let producer = broker.producer().await;
        time::timeout(PATIENCE, scenario(broker, producer)).await.expect("it comes to an end");
    });
}

/// Sends the numbers, each in its own batch.
async fn send(producer: &Producer, numbers: std::ops::Range<usize>) -> Vec<Delivery> {
    let mut deliveries = Vec::new();
    for n in numbers {
        deliveries.push(producer.send(ProducerRecord::new(TOPIC, n.to_string().as_bytes())).await.unwrap());
    }
    deliveries
}

/// The offsets that were told.
async fn offsets(deliveries: Vec<Delivery>) -> Vec<i64> {
    let mut offsets = Vec::new();
    for delivery in deliveries {
        offsets.push(delivery.wait().await.expect("it is written").offset);
    }
    offsets
}

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

/// After a start the broker does not lead yet when the first batch comes, and leads when the second would.
#[test]
fn the_first_batch_is_refused_by_a_broker_that_would_take_the_second() {
    run(|broker, producer| async move {
        broker.script([Step::Refuse(ErrorCode::NotLeaderOrFollower)]);
        let sent = send(&producer, 0..5).await;
        assert_eq!(offsets(sent).await, [0, 1, 2, 3, 4]);
        assert_eq!(broker.partition.lock().log, numbers(0..5), "in the order of sending");
    });
}

/// The same once the producer is known: what came behind the refused batch is refused, too, and follows it later.
#[test]
fn a_batch_is_refused_with_others_behind_it() {
    run(|broker, producer| async move {
        assert_eq!(offsets(send(&producer, 0..1).await).await, [0]);
        broker.script([Step::Refuse(ErrorCode::NotLeaderOrFollower)]);
        assert_eq!(offsets(send(&producer, 1..6).await).await, [1, 2, 3, 4, 5]);
        let partition = broker.partition.lock();
        assert_eq!(partition.log, numbers(0..6));
        assert!(partition.seen.iter().all(|(epoch, _)| *epoch == 0), "nothing was lost: {:?}", partition.seen);
    });
}

/// Five batches are written and not answered; the broker comes back and knows the last of them only.
#[test]
fn the_broker_forgets_what_it_has_written() {
    run(|broker, producer| async move {
        assert_eq!(offsets(send(&producer, 0..1).await).await, [0]);
        broker.script([Step::Silence, Step::Silence, Step::Silence, Step::Silence, Step::Die]);
        let sent = send(&producer, 1..7).await;
        assert_eq!(
            offsets(sent).await,
            [-1, -1, -1, -1, 5, 6],
            "of the forgotten ones it is known that they are there"
        );
        let partition = broker.partition.lock();
        assert_eq!(partition.log, numbers(0..7), "once each, in the order of sending");
        assert!(partition.seen.iter().all(|(epoch, _)| *epoch == 0), "{:?}", partition.seen);
    });
}

/// The broker has lost what it had acknowledged: the next batches cannot follow, and the producer goes on all the same.
#[test]
fn the_broker_loses_what_it_has_acknowledged() {
    run(|broker, producer| async move {
        for n in 0..3 {
            assert_eq!(offsets(send(&producer, n..n + 1).await).await, [n as i64]);
        }
        broker.partition.lock().lose_the_last();
        assert_eq!(offsets(send(&producer, 3..6).await).await, [2, 3, 4]);
        let partition = broker.partition.lock();
        assert_eq!(partition.log, ["0", "1", "3", "4", "5"]);
        assert_eq!(partition.seen.iter().rev().take(3).rev().copied().collect::<Vec<_>>(), [(1, 0), (1, 1), (1, 2)]);
    });
}

/// A batch that can never be written takes nothing with it.
#[test]
fn a_batch_is_refused_for_good() {
    run(|broker, producer| async move {
        assert_eq!(offsets(send(&producer, 0..1).await).await, [0]);
        broker.script([Step::Obey, Step::Refuse(ErrorCode::MessageTooLarge)]);
        let mut sent = send(&producer, 1..6).await;
        let refused = sent.remove(1).wait().await.expect_err("too large");
        assert!(refused.to_string().contains("MESSAGE_TOO_LARGE"), "{refused}");
        offsets(sent).await;
        assert_eq!(broker.partition.lock().log, ["0", "1", "3", "4", "5"]);
    });
}
