use super::*;
use crate::config::listeners::SecurityProtocol;

/// What Kafka 4.4 ships as `config/server.properties`, comments left out.
const SHIPPED: &str = "\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=localhost:9093
listeners=PLAINTEXT://:9092,CONTROLLER://:9093
inter.broker.listener.name=PLAINTEXT
advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL
num.network.threads=3
num.io.threads=8
socket.send.buffer.bytes=102400
socket.receive.buffer.bytes=102400
socket.request.max.bytes=104857600
log.dirs=/tmp/kraft-combined-logs
num.partitions=1
num.recovery.threads.per.data.dir=1
offsets.topic.replication.factor=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
log.retention.hours=168
log.segment.bytes=1073741824
log.retention.check.interval.ms=300000
";

fn with(base: &str, changes: &[(&str, &str)]) -> Settings {
    let mut settings = Settings::empty();
    settings.add_file("server.properties", base.as_bytes()).unwrap();
    for (key, value) in changes {
        settings.add_flag(&format!("{key}={value}")).unwrap();
    }
    settings
}

/// The shipped file with changes: must not start; its problems.
fn refused(changes: &[(&str, &str)]) -> String {
    BrokerConfig::from_settings(&with(SHIPPED, changes)).unwrap_err().to_string()
}

fn accepted(changes: &[(&str, &str)]) -> (BrokerConfig, Vec<String>) {
    BrokerConfig::from_settings(&with(SHIPPED, changes)).unwrap()
}

#[test]
fn kafkas_shipped_file_starts_with_one_warning() {
    let (config, warnings) = accepted(&[]);
    assert_eq!(config.node_id, 1);
    assert_eq!(config.log_dirs, ["/tmp/kraft-combined-logs"]);
    assert_eq!(config.metadata_log_dir, "/tmp/kraft-combined-logs");
    let kind = QuorumKind::Dynamic { bootstrap_servers: vec![Address { host: "localhost".into(), port: 9093 }] };
    assert_eq!(config.quorum, kind);
    let client = config.broker_listeners().next().unwrap();
    assert_eq!((client.bind.to_string(), client.advertised.to_string()), (":9092".into(), "localhost:9092".into()));
    assert_eq!(
        warnings,
        ["not served yet, and without effect: share.coordinator.state.topic.min.isr, \
         share.coordinator.state.topic.replication.factor, transaction.state.log.min.isr, \
         transaction.state.log.replication.factor"]
    );
}

#[test]
fn a_first_run_needs_nothing() {
    let (config, warnings) = BrokerConfig::from_settings(&Settings::first_run()).unwrap();
    assert_eq!(warnings, [""; 0]);
    assert_eq!(config.log_dirs, ["./ottla-data"]);
    assert_eq!(config.group_initial_rebalance_delay_ms, 0);
    assert_eq!(config.offsets_topic_replication_factor, 1);
    let shown: Vec<_> = config.listeners.iter().map(|l| (l.name.as_str(), l.advertised.to_string())).collect();
    assert_eq!(shown, [("PLAINTEXT", "127.0.0.1:9092".into()), ("CONTROLLER", "127.0.0.1:9093".into())]);
}

#[test]
fn a_first_run_can_be_moved_by_flags() {
    let mut settings = Settings::first_run();
    settings.add_flag("listeners=PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:0").unwrap();
    settings.add_flag("log.dirs=/data").unwrap();
    let (config, _) = BrokerConfig::from_settings(&settings).unwrap();
    assert_eq!(config.log_dirs, ["/data"]);
    let here = Address { host: "127.0.0.1".into(), port: 0 };
    assert_eq!(config.quorum, QuorumKind::Dynamic { bootstrap_servers: vec![here] });
}

#[test]
fn both_kinds_of_quorum_name_this_node_only() {
    let voters = "controller.quorum.voters";
    let (config, _) = accepted(&[(voters, "1@localhost:9093")]);
    assert!(matches!(config.quorum, QuorumKind::Static { voters } if voters.len() == 1));
    assert!(refused(&[(voters, "1@a:9093,2@b:9093")]).contains("only this node can be a voter yet"));
    assert!(refused(&[(voters, "2@localhost:9093")]).contains("only this node can be a voter yet"));
    assert!(refused(&[(voters, "localhost:9093")]).contains("is not id@host:port"));
    let servers = "controller.quorum.bootstrap.servers";
    assert!(refused(&[(servers, "a:9093,b:9093")]).contains("cannot be joined yet"));
    assert!(refused(&[(servers, "localhost:9999")]).contains("cannot be joined yet"));
}

#[test]
fn what_would_weaken_security_durability_or_placement_is_refused() {
    for (key, value, part) in [
        ("ssl.keystore.location", "/keys", "TLS is not served yet"),
        ("sasl.enabled.mechanisms", "PLAIN", "SASL is not served yet"),
        ("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer", "authorization is not"),
        ("remote.log.storage.system.enable", "true", "remote storage is not served yet"),
        ("listener.name.plaintext.ssl.client.auth", "required", "TLS and SASL are not served yet"),
        ("process.roles", "broker", "only broker and controller together"),
        ("create.topic.policy.class.name", "x.Policy", "would not be enforced"),
    ] {
        let problems = refused(&[(key, value)]);
        assert!(problems.starts_with("--set: ") && problems.contains(part), "{key}: {problems}");
    }
    let external = [("listeners", "PLAINTEXT://:9092,CONTROLLER://:9093,SSL://h:9094")];
    assert!(refused(&external).contains("SSL is SSL, and only PLAINTEXT is served yet"));
    // Set to their defaults they change nothing.
    accepted(&[("ssl.client.auth", "none"), ("authorizer.class.name", ""), ("compression.type", "producer")]);
}

#[test]
fn listeners_must_fit_together() {
    for (changes, part) in [
        (
            &[("listeners", "CLIENT://h:9092,CONTROLLER://:9093")][..],
            "does not name listener CLIENT: add CLIENT:PLAINTEXT",
        ),
        (&[("listeners", "PLAINTEXT://:9092")], "CONTROLLER is not among `listeners`: add CONTROLLER://localhost:9093"),
        (&[("listeners", "CONTROLLER://:9093")], "has no listener for clients"),
        (&[("listeners", "PLAINTEXT://:9093,CONTROLLER://:9093")], "give each listener a port of its own"),
        (&[("listeners", "PLAINTEXT:9092,CONTROLLER://:9093")], "`PLAINTEXT:9092` is not NAME://host:port"),
        (&[("advertised.listeners", "PLAINTEXT://0.0.0.0:9092")], "nobody can connect to 0.0.0.0:9092"),
        (&[("advertised.listeners", "OTHER://h:9092")], "OTHER is not among `listeners`"),
        (&[("inter.broker.listener.name", "CONTROLLER")], "CONTROLLER is no listener for brokers"),
        (&[("controller.listener.names", "")], "`controller.listener.names` is missing"),
    ] {
        let problems = refused(changes);
        assert!(problems.contains(part), "{changes:?}: {problems}");
    }
    let custom = [
        ("listeners", "CLIENT://h:9092,CONTROLLER://:9093"),
        ("advertised.listeners", "CLIENT://h:19092"),
        ("listener.security.protocol.map", "CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT"),
        ("inter.broker.listener.name", "client"),
    ];
    let (config, _) = accepted(&custom);
    let client = config.broker_listeners().next().unwrap();
    assert_eq!((client.name.as_str(), client.protocol), ("CLIENT", SecurityProtocol::Plaintext));
    assert_eq!((client.bind.port, client.advertised.port), (9092, 19092));
    assert_eq!(config.inter_broker_listener_name, "CLIENT");
}

#[test]
fn every_problem_is_told_at_once_with_its_place() {
    let text = "node.id=x\nlisteners=PLAINTEXT://:9092,CONTROLLER://:9093\ncontroller.listener.names=CONTROLLER\n\
                num.partitions=0\n";
    let problems = BrokerConfig::from_settings(&with(text, &[])).unwrap_err().problems;
    for part in [
        "server.properties:1: `node.id` cannot be `x`",
        "server.properties:4: `num.partitions` cannot be `0`: it must be at least 1",
        "`process.roles` is missing: write process.roles=broker,controller",
        "`controller.quorum.bootstrap.servers` is missing",
    ] {
        assert!(problems.iter().any(|p| p.contains(part)), "{part}: {problems:?}");
    }
}

#[test]
fn numbers_must_fit_together() {
    assert!(refused(&[("log.retention.ms", "0")]).contains("it must be -1, for ever, or at least 1"));
    assert!(refused(&[("queued.max.request.bytes", "1000")]).contains("must hold a request"));
    assert!(refused(&[("group.min.session.timeout.ms", "2000000")]).contains("must not be above"));
    let (_, warnings) = accepted(&[("broker.heartbeat.interval.ms", "5000")]);
    assert!(warnings.iter().any(|w| w.contains("one late heartbeat fences the broker")), "{warnings:?}");
    assert!(refused(&[("broker.id", "7")]).contains("remove `broker.id`"));
    assert!(refused(&[("log.dirs", "/a,/a")]).contains("a directory occurs twice"));
}

#[test]
fn replication_that_one_node_cannot_give_is_told_with_the_remedy() {
    let (_, warnings) = accepted(&[("offsets.topic.replication.factor", "3"), ("default.replication.factor", "2")]);
    let told = |part: &str| warnings.iter().any(|w| w.contains(part));
    assert!(told("set offsets.topic.replication.factor=1"), "{warnings:?}");
    assert!(told("set default.replication.factor=1"), "{warnings:?}");
}

#[test]
fn unknown_keys_are_told_with_the_nearest() {
    let mut settings = with(SHIPPED, &[]);
    settings.add_file("more.properties", b"num.partition=3\nzookeeper.connect=z:2181\n").unwrap();
    let (_, warnings) = BrokerConfig::from_settings(&settings).unwrap();
    let told = |part: &str| warnings.iter().any(|w| w.contains(part));
    assert!(told(
        "more.properties:1: `num.partition` is no property of Kafka 4.4 and is ignored; did you mean `num.partitions`?"
    ));
    assert!(told("more.properties:2: `zookeeper.connect` is no property of Kafka 4.4 and is ignored"), "{warnings:?}");
}
