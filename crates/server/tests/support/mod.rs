//! A node of ours as a process, and clients of it.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each scenario uses a part of it")]

use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ottla_client::admin::{NewTopic, OffsetSpec};
use ottla_client::{Admin, ClientConfig, Consumer, ConsumerConfig, Error, Producer, ProducerConfig, ProducerRecord};
use ottla_client::{RecordMetadata, TopicPartition};
use ottla_env::task::Runtime;
use ottla_env::{fs, time};
use ottla_testkit::process::{Program, Server};

/// How long a condition may take to come true.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A running node.
pub struct Node {
    pub server: Server,
}

/// Runs a scenario on a node with these properties on top of a plain single node's.
pub fn with_node<F: Future<Output = ()>>(properties: &[(&str, &str)], scenario: impl FnOnce(Node) -> F) {
    with_flags(&[], properties, scenario);
}

/// As [`with_node`], on a node that tells what its logs do: see [`Node::told`].
pub fn with_talkative_node<F: Future<Output = ()>>(properties: &[(&str, &str)], scenario: impl FnOnce(Node) -> F) {
    with_flags(&["--log-format", "json", "--log-level", "info,ottla_storage=debug"], properties, scenario);
}

fn with_flags<F: Future<Output = ()>>(flags: &[&str], properties: &[(&str, &str)], scenario: impl FnOnce(Node) -> F) {
    Runtime::new(2).unwrap().block_on(async {
        let server = Server::new(Program::Ottla(binary()), properties).await.unwrap();
        let mut node = Node { server: server.with_flags(flags) };
        node.server.start().await.unwrap();
        scenario(node).await;
    });
}

/// The binary that was built for these tests.
pub fn binary() -> PathBuf {
    env!("CARGO_BIN_EXE_ottla").into()
}

/// Waits until `what` holds.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let until = async {
        while !holds().await {
            time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(time::timeout(PATIENCE, until).await.is_ok(), "{what} within {PATIENCE:?}");
}

impl Node {
    pub fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::default();
        config.set("bootstrap.servers", &self.server.address().to_string()).unwrap();
        config
    }

    pub async fn admin(&self) -> Admin {
        Admin::connect(&self.client()).await.unwrap()
    }

    pub async fn producer(&self, properties: &[(&str, &str)]) -> Producer {
        let mut config = ProducerConfig { client: self.client(), ..ProducerConfig::default() };
        for (name, value) in properties {
            config.set(name, value).unwrap();
        }
        Producer::connect(config).await.unwrap()
    }

    pub async fn consumer(&self, group: &str, properties: &[(&str, &str)]) -> Consumer {
        let mut config = ConsumerConfig { client: self.client(), ..ConsumerConfig::default() };
        config.set("group.id", group).unwrap();
        for (name, value) in properties {
            config.set(name, value).unwrap();
        }
        Consumer::connect(config).await.unwrap()
    }

    /// Creates a topic of one partition.
    pub async fn create(&self, topic: &str, configs: &[(&str, &str)]) {
        self.try_create(topic, Some(1), configs).await.unwrap();
    }

    pub async fn try_create(
        &self,
        topic: &str,
        partitions: Option<i32>,
        configs: &[(&str, &str)],
    ) -> Result<i32, Error> {
        let configs = configs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let new = NewTopic { name: topic.to_owned(), partitions, configs, ..NewTopic::default() };
        let mut created = self.admin().await.create_topics(&[new], false).await.unwrap();
        created.remove(topic).unwrap().map(|t| t.partitions)
    }

    /// One record in a batch of its own.
    pub async fn produce(&self, record: ProducerRecord<'_>) -> Result<RecordMetadata, Error> {
        let producer = self.producer(&[("linger.ms", "0"), ("delivery.timeout.ms", "30000")]).await;
        producer.send(record).await?.wait().await
    }

    /// `count` records of `bytes` each, every one in a batch of its own.
    pub async fn fill(&self, topic: &str, count: usize, bytes: usize) {
        let producer = self.producer(&[("linger.ms", "0"), ("batch.size", "1")]).await;
        let value = vec![b'x'; bytes];
        let mut deliveries = Vec::with_capacity(count);
        for _ in 0..count {
            deliveries.push(producer.send(ProducerRecord::new(topic, &value)).await.unwrap());
        }
        for delivery in deliveries {
            delivery.wait().await.unwrap();
        }
    }

    pub async fn offset(&self, topic: &str, spec: OffsetSpec) -> i64 {
        let tp = TopicPartition::new(topic, 0);
        let mut found = self.admin().await.list_offsets(&[(tp.clone(), spec)].into()).await.unwrap();
        found.remove(&tp).unwrap().unwrap().offset
    }

    /// Lines with that message that a talkative node has printed since its first start.
    pub fn told(&self, message: &str) -> Vec<serde_json::Value> {
        let log = self.server.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        lines.filter(|line| line["message"] == message).collect()
    }

    /// Names of the files of partition 0 with that ending.
    pub fn files(&self, topic: &str, ending: &str) -> Vec<String> {
        names(&self.server.data().join(format!("{topic}-0")), ending)
    }
}

/// Names in a directory with that ending.
pub fn names(dir: &Path, ending: &str) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap_or_default();
    entries.into_iter().map(|e| e.name).filter(|name| name.ends_with(ending)).collect()
}

/// How a run of `ottla` ended.
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs `ottla` to its end.
pub fn ottla<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Ran {
    let out = std::process::Command::new(binary()).args(args).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ran { code: out.status.code(), stdout: text(&out.stdout), stderr: text(&out.stderr) }
}
