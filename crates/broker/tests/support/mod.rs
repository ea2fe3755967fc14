//! A broker in this process: real sockets and logs, an image made by hand, and a door behind which nobody answers.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each scenario uses a part of it")]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use ottla_broker::Broker;
use ottla_broker::broker::Parts;
use ottla_broker::dynamic_config::DynamicConfigPublisher;
use ottla_broker::lifecycle::{self, BoundListener, Running};
use ottla_broker::quota::{Quota, Unlimited};
use ottla_broker::security::authorizer::{AllowAll, Authorizer};
use ottla_env::net::{TcpListener, TcpStream};
use ottla_env::task::Runtime;
use ottla_metadata::config::listeners::Listener;
use ottla_metadata::config::{BrokerConfig, Settings};
use ottla_metadata::controller_door::{ControllerDoor, DoorAnswer, DoorContext, DoorError};
use ottla_metadata::image::MetadataImage;
use ottla_metadata::records::{BrokerEndpoint, PartitionRecord, RegisterBrokerRecord, TopicRecord};
use ottla_metadata::{CommittedBatch, MetadataLoader, MetadataRecord};
use ottla_protocol::Uuid;
use ottla_protocol::compression::Compression;
use ottla_protocol::frame;
use ottla_protocol::message::Message;
use ottla_protocol::message::Records;
use ottla_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic, ReplicaState};
use ottla_protocol::messages::fetch_response::FetchResponse;
use ottla_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use ottla_protocol::reader::Reader;
use ottla_protocol::record_batch::{BatchBuilder, BatchOptions};
use ottla_protocol::writer::Writer;
use ottla_storage::meta_properties::MetaProperties;
use ottla_storage::{LogManager, LogManagerOptions};

/// The one topic, of one partition, whose replicas and ISR a test chooses.
pub const TOPIC: &str = "t";
/// Its id.
pub const TOPIC_ID: Uuid = Uuid([7; 16]);

/// A controller that is never reached.
pub struct NobodyHome;

impl ControllerDoor for NobodyHome {
    fn request<'a>(&'a self, _: DoorContext, _: i16, _: i16, _: Vec<u8>) -> DoorAnswer<'a> {
        Box::pin(async { Err(DoorError::NotController) })
    }
}

/// A running broker.
pub struct Rig {
    pub broker: Arc<Broker>,
    pub address: SocketAddr,
    /// Where the controller is asked.
    pub controller_address: SocketAddr,
    pub running: Running,
    /// More records can be loaded here, from offset 11 on.
    pub loader: MetadataLoader,
    _dir: tempfile::TempDir,
}

/// Runs a scenario on a broker whose topic has these replicas, all in sync, broker 1 leading in epoch 5.
pub fn with_broker<F: Future<Output = ()>>(replicas: &[i32], flags: &[&str], scenario: impl FnOnce(Rig) -> F) {
    with_controller(Arc::new(NobodyHome), replicas, flags, scenario);
}

/// As [`with_broker`], with somebody behind the controller's door.
pub fn with_controller<F: Future<Output = ()>>(
    controller: Arc<dyn ControllerDoor>,
    replicas: &[i32],
    flags: &[&str],
    scenario: impl FnOnce(Rig) -> F,
) {
    with_authorizer(Arc::new(AllowAll), controller, replicas, flags, scenario);
}

/// As [`with_controller`], with somebody to say who may do what.
pub fn with_authorizer<F: Future<Output = ()>>(
    authorizer: Arc<dyn Authorizer>,
    controller: Arc<dyn ControllerDoor>,
    replicas: &[i32],
    flags: &[&str],
    scenario: impl FnOnce(Rig) -> F,
) {
    let dir = tempfile::tempdir().unwrap();
    Runtime::new(2).unwrap().block_on(async {
        let rig = Rig::start(dir, Guards { authorizer, ..Guards::default() }, controller, replicas, flags).await;
        scenario(rig).await;
    });
}

/// As [`with_broker`] with one replica, in a log directory in which something was written before.
pub fn with_written_logs<F: Future<Output = ()>>(write: impl FnOnce(&Path), scenario: impl FnOnce(Rig) -> F) {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path());
    Runtime::new(2).unwrap().block_on(async {
        let rig = Rig::start(dir, Guards::default(), Arc::new(NobodyHome), &[1], &[]).await;
        scenario(rig).await;
    });
}

/// As [`with_broker`], with somebody to say who must pause.
pub fn with_quota<F: Future<Output = ()>>(quota: Arc<dyn Quota>, replicas: &[i32], scenario: impl FnOnce(Rig) -> F) {
    let dir = tempfile::tempdir().unwrap();
    let guards = Guards { quota, ..Guards::default() };
    Runtime::new(2).unwrap().block_on(async {
        let rig = Rig::start(dir, guards, Arc::new(NobodyHome), replicas, &[]).await;
        scenario(rig).await;
    });
}

/// A broker as that of [`with_broker`], on the runtime that calls.
pub async fn broker_here(replicas: &[i32], flags: &[&str]) -> Rig {
    let dir = tempfile::tempdir().unwrap();
    Rig::start(dir, Guards::default(), Arc::new(NobodyHome), replicas, flags).await
}

/// Who is asked before a client is served.
struct Guards {
    authorizer: Arc<dyn Authorizer>,
    quota: Arc<dyn Quota>,
}

impl Default for Guards {
    fn default() -> Self {
        Self { authorizer: Arc::new(AllowAll), quota: Arc::new(Unlimited) }
    }
}

impl Rig {
    async fn start(
        dir: tempfile::TempDir,
        guards: Guards,
        controller: Arc<dyn ControllerDoor>,
        replicas: &[i32],
        flags: &[&str],
    ) -> Self {
        let mut settings = Settings::first_run();
        let log_dir = format!("log.dirs={}", dir.path().display());
        for flag in [log_dir.as_str()].iter().chain(flags) {
            settings.add_flag(flag).unwrap();
        }
        let (config, _) = BrokerConfig::from_settings(&settings).unwrap();
        let config = Arc::new(config);
        let logs = open_logs(dir.path());
        let loader = MetadataLoader::new();
        let mut broker = Broker::new(Parts {
            config: Arc::clone(&config),
            cluster_id: "a-cluster".into(),
            features: Vec::new(),
            logs,
            metadata: loader.view(),
            controller,
        });
        let own = Arc::get_mut(&mut broker).expect("nobody else has it yet");
        (own.authorizer, own.quota) = (guards.authorizer, guards.quota);
        loader.add_publisher(Arc::new(DynamicConfigPublisher::new(Arc::clone(&broker))));
        loader.add_publisher(Arc::clone(&broker.replicas) as _);
        loader.add_publisher(Arc::clone(&broker.groups) as _);
        let listener = config.broker_listeners().next().unwrap().clone();
        let socket = TcpListener::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = socket.local_addr().unwrap();
        let records = records(&listener.name, address, replicas);
        loader.load_batches([CommittedBatch { last_offset: 10, epoch: 1, records }]).unwrap();
        let for_controllers = Listener { name: "CONTROLLER".into(), is_controller: true, ..listener.clone() };
        let bound = BoundListener { listener: Arc::new(listener), socket, port: address.port() };
        let socket = TcpListener::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let controller_address = socket.local_addr().unwrap();
        let port = controller_address.port();
        let for_controllers = BoundListener { listener: Arc::new(for_controllers), socket, port };
        let running = lifecycle::start(&broker, vec![bound, for_controllers]);
        Self { broker, address, controller_address, running, loader, _dir: dir }
    }

    /// The image that the broker sees.
    pub fn image(&self) -> Arc<MetadataImage> {
        self.broker.image()
    }

    /// A connection.
    pub async fn connect(&self) -> Client {
        Client { stream: TcpStream::connect(self.address).await.unwrap() }
    }

    /// A connection to the listener of the controller.
    pub async fn connect_to_controller(&self) -> Client {
        Client { stream: TcpStream::connect(self.controller_address).await.unwrap() }
    }
}

/// Formats a log directory and opens it.
pub fn open_logs(dir: &Path) -> Arc<LogManager> {
    let properties =
        MetaProperties { version: 1, cluster_id: "a-cluster".into(), node_id: 1, directory_id: Some(Uuid([9; 16])) };
    properties.write(dir).unwrap();
    LogManager::open(LogManagerOptions { dirs: vec![dir.to_owned()], ..LogManagerOptions::default() }).unwrap()
}

fn records(listener: &str, address: SocketAddr, replicas: &[i32]) -> Vec<MetadataRecord> {
    let mut records: Vec<MetadataRecord> = Vec::new();
    for id in [1, 2] {
        let endpoint = BrokerEndpoint {
            name: listener.to_owned(),
            host: address.ip().to_string(),
            port: address.port(),
            security_protocol: 0,
        };
        records.push(
            RegisterBrokerRecord {
                broker_id: id,
                broker_epoch: 100 + i64::from(id),
                end_points: vec![endpoint],
                fenced: false,
                ..RegisterBrokerRecord::default()
            }
            .into(),
        );
    }
    records.push(TopicRecord { name: TOPIC.into(), topic_id: TOPIC_ID }.into());
    records.push(
        PartitionRecord {
            partition_id: 0,
            topic_id: TOPIC_ID,
            replicas: replicas.to_vec(),
            isr: replicas.to_vec(),
            leader: 1,
            leader_epoch: 5,
            partition_epoch: 1,
            directories: vec![Uuid([9; 16]); replicas.len()],
            ..PartitionRecord::default()
        }
        .into(),
    );
    records
}

/// A topic of one partition, on this broker.
pub fn topic(name: &str, topic_id: Uuid) -> [MetadataRecord; 2] {
    let partition = PartitionRecord {
        partition_id: 0,
        topic_id,
        replicas: vec![1],
        isr: vec![1],
        leader: 1,
        directories: vec![Uuid([9; 16])],
        ..PartitionRecord::default()
    };
    [TopicRecord { name: name.to_owned(), topic_id }.into(), partition.into()]
}

/// A client that speaks in bytes.
pub struct Client {
    pub stream: TcpStream,
}

impl Client {
    /// Sends a request.
    pub async fn send<'a, M: Message<'a>>(&self, version: i16, correlation_id: i32, request: &M) {
        let bytes = encode(version, correlation_id, request);
        self.stream.write_all(&bytes).await.unwrap();
    }

    /// The next answer: its correlation id and what follows it.
    pub async fn receive(&self) -> (i32, Vec<u8>) {
        let mut size = [0; 4];
        self.stream.read_exact(&mut size).await.unwrap();
        let mut answer = vec![0; usize::try_from(i32::from_be_bytes(size)).unwrap()];
        self.stream.read_exact(&mut answer).await.unwrap();
        let id = i32::from_be_bytes(answer[..4].try_into().unwrap());
        (id, answer[4..].to_vec())
    }

    /// Whether the broker has closed the connection without another byte.
    pub async fn is_closed(&self) -> bool {
        matches!(self.stream.read(&mut [0; 1]).await, Ok(0) | Err(_))
    }
}

/// A request as it is sent.
pub fn encode<'a, M: Message<'a>>(version: i16, correlation_id: i32, request: &M) -> Vec<u8> {
    let mut w = Writer::new();
    frame::encode_request(&mut w, M::API_KEY.unwrap(), version, correlation_id, Some("test"), request).unwrap();
    w.into_bytes()
}

/// Decodes an answer of a flexible version, whose header ends with an empty list of tagged fields.
pub fn decode<'a, M: Message<'a>>(answer: &'a [u8], version: i16, flexible: bool) -> M {
    let body = if flexible { &answer[1..] } else { answer };
    M::decode(&mut Reader::new(body), version).unwrap()
}

/// A batch of one record.
pub fn batch(value: &str) -> Vec<u8> {
    let mut builder = BatchBuilder::new(BatchOptions { compression: Compression::None, ..BatchOptions::default() });
    builder.append(ottla_env::time::wall_clock_ms(), Some(b"k"), Some(value.as_bytes()), &[]);
    builder.build()
}

/// A fetch of version 15 from the topic's partition, without a session: by a replica in its epoch, or by a consumer (-1).
pub fn fetch(replica_id: i32, replica_epoch: i64, offset: i64) -> FetchRequest<'static> {
    let partition = FetchPartition {
        partition: 0,
        fetch_offset: offset,
        partition_max_bytes: 1 << 20,
        ..FetchPartition::default()
    };
    let topic = FetchTopic { topic_id: TOPIC_ID, partitions: vec![partition], ..FetchTopic::default() };
    FetchRequest {
        replica_state: ReplicaState { replica_id, replica_epoch, ..ReplicaState::default() },
        max_wait_ms: 0,
        max_bytes: 1 << 20,
        session_epoch: -1,
        topics: vec![topic],
        ..FetchRequest::default()
    }
}

/// What such a fetch brings: error of the whole, error of the partition, high watermark, bytes of records.
pub async fn fetched(client: &Client, request: &FetchRequest<'_>) -> (i16, i16, i64, usize) {
    client.send(15, 1, request).await;
    let (_, answer) = client.receive().await;
    let response: FetchResponse<'_> = decode(&answer, 15, true);
    let partition = response.responses.first().and_then(|t| t.partitions.first());
    partition.map_or((response.error_code, 0, -1, 0), |p| {
        (response.error_code, p.error_code, p.high_watermark, p.records.bytes().len())
    })
}

/// Fills the log with about this many bytes, and gives a client whose fetch of all of it is on its way: more than the
/// sockets of both sides will hold, if it is more than [`BETWEEN`].
pub async fn slow_client(rig: &Rig, bytes: usize) -> (Client, FetchRequest<'static>) {
    let client = rig.connect().await;
    client.stream.set_buffer_sizes(None, Some(64 << 10)).unwrap();
    let record = batch(&"x".repeat(1_000_000));
    for _ in 0..bytes.div_ceil(record.len()) {
        client.send(9, 1, &produce(1, 1000, &record)).await;
        client.receive().await;
    }
    let mut all = fetch(-1, -1, 0);
    all.max_bytes = i32::MAX;
    all.topics[0].partitions[0].partition_max_bytes = i32::MAX;
    (client, all)
}

/// What lies between a broker and a [`slow_client`] at most: the send buffer as large as the system lets it grow.
pub const BETWEEN: usize = 16 << 20;

/// A produce request for the topic's partition.
pub fn produce<'a>(acks: i16, timeout_ms: i32, batch: &'a [u8]) -> ProduceRequest<'a> {
    let partition =
        PartitionProduceData { index: 0, records: Records::Bytes(batch), ..PartitionProduceData::default() };
    let topic = TopicProduceData { name: TOPIC, partition_data: vec![partition], ..TopicProduceData::default() };
    ProduceRequest { acks, timeout_ms, topic_data: vec![topic], ..ProduceRequest::default() }
}
