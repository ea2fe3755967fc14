//! A formatted directory, a running controller on it, and a broker that registers, all by hand.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_controller::format::{FormatOptions, QuorumKind, format};
use ottla_controller::raft::{Endpoint, ReplicaKey, Voter, VoterSet};
use ottla_controller::{
    ControllerError, ControllerListener, ControllerOptions, QuorumController, QuorumOptions, features,
};
use ottla_env::{random, task::Runtime, time};
use ottla_metadata::{ControllerDoor, DoorContext, DoorError, MetadataLoader};
use ottla_protocol::Uuid;
use ottla_protocol::api::ApiKey;
use ottla_protocol::message::Message;
use ottla_protocol::messages::broker_heartbeat_request::BrokerHeartbeatRequest;
use ottla_protocol::messages::broker_heartbeat_response::BrokerHeartbeatResponse;
use ottla_protocol::messages::broker_registration_request::{BrokerRegistrationRequest, Feature, Listener};
use ottla_protocol::messages::broker_registration_response::BrokerRegistrationResponse;
use ottla_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use ottla_protocol::messages::create_topics_response::CreateTopicsResponse;
use ottla_protocol::reader::Reader;
use ottla_protocol::writer::Writer;
use ottla_storage::LogDir;

pub(crate) const CLUSTER_ID: &str = "MkU3OEVBNTcwNTJENDM2Qk";

pub(crate) fn endpoint() -> Endpoint {
    Endpoint { listener: "CONTROLLER".into(), host: "localhost".into(), port: 9093 }
}

/// Formats `root/data` for node 1.
pub(crate) fn format_dir(root: &Path, quorum: QuorumKind) -> PathBuf {
    let dir = root.join("data");
    let options = FormatOptions {
        cluster_id: CLUSTER_ID.into(),
        node_id: 1,
        log_dirs: vec![dir.clone()],
        metadata_log_dir: dir.clone(),
        quorum,
        release_version: None,
        features: BTreeMap::new(),
        ignore_formatted: false,
    };
    format(&options, time::wall_clock_ms(), &mut random::bytes16).expect("formats");
    dir
}

pub(crate) fn standalone() -> QuorumKind {
    QuorumKind::Standalone { endpoint: endpoint() }
}

pub(crate) fn static_voters() -> VoterSet {
    VoterSet::new([Voter {
        key: ReplicaKey::of_id(1),
        endpoints: vec![endpoint()],
        min_kraft_version: 0,
        max_kraft_version: 0,
    }])
}

/// A running controller.
pub(crate) struct Node {
    pub controller: QuorumController,
    pub loader: Arc<MetadataLoader>,
    /// The directories that the broker registers with.
    pub log_dirs: Vec<Uuid>,
}

impl Node {
    pub(crate) fn start(dir: &Path, voters: VoterSet) -> Result<Self, ControllerError> {
        Self::start_with(dir, voters, |_| {})
    }

    pub(crate) fn start_with(
        dir: &Path,
        voters: VoterSet,
        adjust: impl FnOnce(&mut ControllerOptions),
    ) -> Result<Self, ControllerError> {
        let log_dir = LogDir::open(dir).expect("a formatted directory that nobody else uses");
        let directory_id = log_dir.directory_id();
        let mut options = ControllerOptions::new(1, CLUSTER_ID);
        options.listeners = vec![ControllerListener { endpoint: endpoint(), security_protocol: 0 }];
        adjust(&mut options);
        let quorum = QuorumOptions { voters, ..QuorumOptions::new(log_dir, CLUSTER_ID, 7) };
        let loader = Arc::new(MetadataLoader::new());
        let controller = QuorumController::start(options, quorum, Arc::clone(&loader))?;
        Ok(Self { controller, loader, log_dirs: vec![directory_id] })
    }

    /// Asks until the controller is active.
    pub(crate) async fn ask(&self, api: ApiKey, version: i16, body: Vec<u8>) -> Vec<u8> {
        for _ in 0..500 {
            let context = DoorContext::of_this_node("CONTROLLER");
            match self.controller.request(context, api.code(), version, body.clone()).await {
                Ok(answer) => return answer,
                Err(DoorError::NotController) => time::sleep(std::time::Duration::from_millis(10)).await,
                Err(error) => panic!("{api:?}: {error}"),
            }
        }
        panic!("the controller does not become active");
    }

    /// Registers broker 1 and keeps at it until it is unfenced; returns its epoch.
    pub(crate) async fn register_broker(&self, previous_broker_epoch: i64) -> i64 {
        let features = features::supported().map(|(name, min, max)| Feature {
            name,
            min_supported_version: min,
            max_supported_version: max,
            ..Default::default()
        });
        let request = BrokerRegistrationRequest {
            broker_id: 1,
            cluster_id: CLUSTER_ID,
            incarnation_id: Uuid::from_random_bytes(random::bytes16()),
            listeners: vec![Listener { name: "PLAINTEXT", host: "localhost", port: 9092, ..Default::default() }],
            features: features.collect(),
            log_dirs: self.log_dirs.clone(),
            previous_broker_epoch,
            ..Default::default()
        };
        let answer = self.ask(ApiKey::BrokerRegistration, 4, encode(&request, 4)).await;
        let answer: BrokerRegistrationResponse<'_> = decode(&answer, 4);
        assert_eq!(answer.error_code, 0, "registration");
        self.heartbeat(answer.broker_epoch, false).await;
        answer.broker_epoch
    }

    /// Sends one heartbeat of a broker that has read the whole log; returns whether it may shut down.
    pub(crate) async fn heartbeat(&self, broker_epoch: i64, want_shut_down: bool) -> bool {
        let request = BrokerHeartbeatRequest {
            broker_id: 1,
            broker_epoch,
            current_metadata_offset: i64::MAX,
            want_shut_down,
            ..Default::default()
        };
        let answer = self.ask(ApiKey::BrokerHeartbeat, 1, encode(&request, 1)).await;
        let answer: BrokerHeartbeatResponse<'_> = decode(&answer, 1);
        assert_eq!(answer.error_code, 0, "heartbeat");
        answer.should_shut_down
    }

    /// Creates a topic; returns the error code.
    pub(crate) async fn create_topic(&self, name: &str, partitions: i32, configs: &[(&str, &str)]) -> i16 {
        let configs =
            configs.iter().map(|(name, value)| CreatableTopicConfig { name, value: Some(value), ..Default::default() });
        let topic = CreatableTopic {
            name,
            num_partitions: partitions,
            replication_factor: 1,
            configs: configs.collect(),
            ..Default::default()
        };
        let request = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
        let answer = self.ask(ApiKey::CreateTopics, 7, encode(&request, 7)).await;
        let answer: CreateTopicsResponse<'_> = decode(&answer, 7);
        answer.topics[0].error_code
    }
}

pub(crate) fn encode<'a, M: Message<'a>>(message: &M, version: i16) -> Vec<u8> {
    let mut w = Writer::new();
    message.encode(&mut w, version).expect("encodes");
    w.into_bytes()
}

pub(crate) fn decode<'a, M: Message<'a>>(bytes: &'a [u8], version: i16) -> M {
    M::decode(&mut Reader::new(bytes), version).expect("decodes")
}

/// Runs a test on a runtime of its own.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    Runtime::new(2).expect("a runtime").block_on(future)
}
