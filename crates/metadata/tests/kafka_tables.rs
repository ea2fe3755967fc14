//! Our tables against what Apache Kafka 4.4.0 prints of itself: names, defaults, and the answers of DescribeConfigs.
//!
//! `data/*-config-defaults.txt` list every property with its default; `data/describe-*.txt` are what `kafka-configs
//! --describe --all` said of a topic with `retention.bytes=777` and of the broker started with
//! `data/describe-broker.properties`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_metadata::MetadataDelta;
use ottla_metadata::config::describe::{DescribedConfig, describe_broker, describe_topic};
use ottla_metadata::config::row::{ConfigType, Row, Scope};
use ottla_metadata::config::{BrokerConfig, Layers, Settings, broker, group, topic};
use ottla_metadata::image::{ConfigResource, MetadataImage};
use ottla_metadata::records::ConfigRecord;

const BROKER_DEFAULTS: &str = include_str!("data/broker-config-defaults.txt");
const TOPIC_DEFAULTS: &str = include_str!("data/topic-config-defaults.txt");
const DESCRIBED_BROKER: &str = include_str!("data/describe-broker.txt");
const DESCRIBED_TOPIC: &str = include_str!("data/describe-topic.txt");
/// `DynamicBrokerConfig.dynamicConfigUpdateModes()`.
const UPDATE_MODES: &str = include_str!("data/broker-update-modes.txt");
/// What DescribeConfigs answered with `read_only` false for a broker.
const NOT_READ_ONLY: &str = include_str!("data/describe-broker-not-read-only.txt");
const BROKER_PROPERTIES: &[u8] = include_bytes!("data/describe-broker.properties");

/// Properties that the list of broker defaults leaves out because the node that printed it had set them, or because
/// they have a synonym there.
const NOT_LISTED: &[&str] = &[
    "advertised.listeners",
    "broker.id",
    "controller.quorum.voters",
    "group.initial.rebalance.delay.ms",
    "listener.security.protocol.map",
    "listeners",
    "log.dir",
    "log.dirs",
    "node.id",
    "offsets.topic.replication.factor",
    "share.coordinator.state.topic.min.isr",
    "share.coordinator.state.topic.replication.factor",
    "transaction.state.log.min.isr",
    "transaction.state.log.replication.factor",
];

/// Listed, but with what that node had set instead of a default.
const SET_BY_THE_NODE: &[&str] = &["controller.listener.names", "process.roles"];

/// The default as Java prints it.
fn printed(row: &Row) -> String {
    match (row.kind, row.default) {
        (_, None) => "null".into(),
        (ConfigType::List, Some(items)) => format!("[{}]", items.replace(',', ", ")),
        (_, Some(text)) => text.into(),
    }
}

#[test]
fn broker_properties_are_kafkas() {
    let mut kafkas = BTreeSet::new();
    for line in BROKER_DEFAULTS.lines() {
        let (name, default) = line.split_once(" = ").unwrap();
        kafkas.insert(name);
        let row = broker::row(name).unwrap_or_else(|| panic!("{name} has no row"));
        if !SET_BY_THE_NODE.contains(&name) {
            // A Java class is printed with the word "class".
            assert_eq!(printed(row), default.trim_start_matches("class "), "{name}");
        }
    }
    let ours: Vec<&str> = broker::rows().map(|row| row.name).filter(|name| !kafkas.contains(name)).collect();
    assert_eq!(ours, NOT_LISTED);
}

#[test]
fn topic_properties_are_kafkas() {
    let kafkas: BTreeMap<&str, &str> = TOPIC_DEFAULTS.lines().map(|line| line.split_once('=').unwrap()).collect();
    let ours: BTreeMap<&str, &str> =
        topic::rows().filter(|row| !row.internal).map(|row| (row.name, row.default.unwrap_or("null"))).collect();
    assert_eq!(ours, kafkas);
}

#[test]
fn every_row_says_what_it_is_for_in_a_sentence() {
    for row in broker::rows().chain(topic::rows()).chain(group::rows()) {
        assert!(row.doc.len() > 10 && row.doc.ends_with('.'), "{}: {}", row.name, row.doc);
        for synonym in row.synonyms {
            assert!(broker::row(synonym.name).is_some(), "{}: {} is no broker property", row.name, synonym.name);
        }
    }
}

#[test]
fn broker_properties_change_while_a_broker_runs_as_kafkas_do() {
    let mode = |scope| match scope {
        Scope::ClusterWide => Some("cluster-wide"),
        Scope::PerBroker => Some("per-broker"),
        Scope::ReadOnly | Scope::PerResource => None,
    };
    let rows = broker::rows().chain(broker::DYNAMIC_ONLY);
    let ours: BTreeSet<String> = rows.filter_map(|row| Some(format!("{} {}", row.name, mode(row.scope)?))).collect();
    let kafkas: BTreeSet<String> = UPDATE_MODES.lines().map(str::to_owned).collect();
    assert_eq!(ours, kafkas);
}

#[test]
fn a_broker_says_of_what_it_can_change_what_kafka_says() {
    let (broker, image) = (described_broker(), described_image());
    let described = describe_broker(&Layers::of_broker(&broker, &image.configs));
    let ours: BTreeSet<&str> =
        described.iter().filter(|config| !config.read_only).map(|config| config.row.name).collect();
    let kafkas: BTreeSet<&str> = NOT_READ_ONLY.lines().collect();
    assert!(ours.is_subset(&kafkas));
    // Kafka changes these while it runs, and we do not.
    let only_kafkas: Vec<&&str> = kafkas.difference(&ours).collect();
    assert_eq!(only_kafkas, [&"listener.security.protocol.map", &"listeners", &"num.network.threads"]);
}

/// One property as `kafka-configs` prints it.
fn line_of(config: &DescribedConfig) -> String {
    let source = |code| match code {
        1 => "DYNAMIC_TOPIC_CONFIG",
        2 => "DYNAMIC_BROKER_CONFIG",
        3 => "DYNAMIC_DEFAULT_BROKER_CONFIG",
        4 => "STATIC_BROKER_CONFIG",
        _ => "DEFAULT_CONFIG",
    };
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "null".into());
    let synonyms = config.synonyms.iter().map(|s| format!("{}:{}={}", source(s.source as i8), s.name, text(&s.value)));
    let synonyms: Vec<String> = synonyms.collect();
    let (name, sensitive) = (config.row.name, config.row.is_sensitive());
    format!("  {name}={} sensitive={sensitive} synonyms={{{}}}", text(&config.value), synonyms.join(", "))
}

fn assert_described(ours: &[DescribedConfig], kafkas: &str) {
    let kafkas: BTreeSet<&str> = kafkas.lines().filter(|line| line.starts_with("  ")).collect();
    let ours: BTreeSet<String> = ours.iter().map(line_of).collect();
    let missing: Vec<&&str> = kafkas.iter().filter(|line| !ours.contains(**line)).collect();
    let extra: Vec<&String> = ours.iter().filter(|line| !kafkas.contains(line.as_str())).collect();
    assert!(missing.is_empty() && extra.is_empty(), "Kafka says {missing:#?}\nwe say {extra:#?}");
}

fn described_broker() -> BrokerConfig {
    let mut settings = Settings::empty();
    settings.add_file("describe-broker.properties", BROKER_PROPERTIES).expect("the file can be read");
    BrokerConfig::from_settings(&settings).expect("a node starts with it").0
}

/// The overrides that were set there: one of the topic, and one that formatting writes for all brokers.
fn described_image() -> MetadataImage {
    let mut delta = MetadataDelta::new(Arc::new(MetadataImage::default()));
    let set = [
        (ConfigResource::topic("t1"), "retention.bytes", "777"),
        (ConfigResource::broker(None), "min.insync.replicas", "1"),
    ];
    for (resource, name, value) in set {
        let record = ConfigRecord {
            resource_type: resource.kind as i8,
            resource_name: resource.name,
            name: name.into(),
            value: Some(value.into()),
        };
        delta.replay(&record.into()).expect("it fits");
    }
    delta.apply(0, 0)
}

#[test]
fn a_topic_is_described_as_kafka_describes_it() {
    let (broker, image) = (described_broker(), described_image());
    let ours = describe_topic(&Layers::of_topic(&broker, &image.configs, "t1"));
    assert_described(&ours, DESCRIBED_TOPIC);
}

#[test]
fn a_broker_is_described_as_kafka_describes_it() {
    let (broker, image) = (described_broker(), described_image());
    let ours = describe_broker(&Layers::of_broker(&broker, &image.configs));
    assert_described(&ours, DESCRIBED_BROKER);
}
