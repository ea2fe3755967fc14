//! What a broker does differently while it runs, as soon as it is told, and after a restart (KIP-226). Each property has its
//! effect when it is given at the start in the test that its row names.

use std::time::Duration;

use ottla_client::admin::{ConfigChange, ConfigEntry, ConfigResource, ConfigSource, OffsetSpec};
use ottla_client::{Admin, Error, ProducerRecord};
use ottla_env::{fs, time};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::alter_configs_request::{AlterConfigsRequest, AlterConfigsResource, AlterableConfig};

use crate::HOUR_MS;
use crate::connections::{last_is_refused, threads_named};
use crate::durability::{Repeater, opening_threads};
use crate::support::{Node, eventually, with_node, with_talkative_node};

const THIS: ConfigResource = ConfigResource::Broker(Some(1));
const ALL: ConfigResource = ConfigResource::Broker(None);

async fn try_change(node: &Node, of: &ConfigResource, name: &str, change: ConfigChange) -> Result<(), Error> {
    Admin::connect(&node.client()).await?.alter_configs(of, &[(name.to_owned(), change)], false).await
}

async fn set(node: &Node, of: &ConfigResource, name: &str, value: &str) {
    try_change(node, of, name, ConfigChange::Set(value.to_owned())).await.unwrap();
}

async fn delete(node: &Node, of: &ConfigResource, name: &str) {
    try_change(node, of, name, ConfigChange::Delete).await.unwrap();
}

async fn described(node: &Node, of: &ConfigResource, name: &str) -> Option<ConfigEntry> {
    let entries = node.admin().await.describe_configs(of).await.unwrap();
    entries.into_iter().find(|entry| entry.name == name)
}

async fn restart(node: &mut Node) {
    assert!(node.server.stop().await.unwrap().success());
    node.server.start().await.unwrap();
}

#[test]
fn cordoned_directories_take_nothing_from_then_on() {
    let other = tempfile::tempdir().unwrap();
    let [a, b] = ["a", "b"].map(|name| other.path().join(name));
    let dirs = format!("{},{}", a.display(), b.display());
    with_node(&[("log.dirs", &dirs)], |mut node| async move {
        let held = |topic: &str| {
            let in_dir =
                |dir: &std::path::Path| (0..4).filter(|i| fs::exists(dir.join(format!("{topic}-{i}")))).count();
            (in_dir(&a), in_dir(&b))
        };
        let key = "cordoned.log.dirs";
        set(&node, &THIS, key, &a.display().to_string()).await;
        node.try_create("t", Some(4), &[]).await.unwrap();
        assert_eq!(held("t"), (0, 4), "a takes no new partition");
        restart(&mut node).await;
        node.try_create("after", Some(4), &[]).await.unwrap();
        assert_eq!(held("after"), (0, 4), "nor after a restart");
        try_change(&node, &THIS, key, ConfigChange::Append(b.display().to_string())).await.unwrap();
        // Until the controller hears of it, topics are made.
        let mut tries = 0;
        let refused = async || {
            tries += 1;
            let created = node.try_create(&format!("try{tries}"), Some(1), &[]).await;
            matches!(created, Err(error) if error.code() == Some(ErrorCode::InvalidReplicationFactor))
        };
        eventually("no directory is left", refused).await;
        delete(&node, &THIS, key).await;
        let created = async || node.try_create("both", Some(4), &[]).await.is_ok();
        eventually("the controller hears of it", created).await;
        assert!(held("both").0 > 0, "a takes partitions again");
    });
}

#[test]
fn a_brokers_own_goes_before_that_of_all_and_that_before_the_starts() {
    with_node(&[("message.max.bytes", "9000")], |mut node| async move {
        let key = "message.max.bytes";
        node.create("t", &[]).await;
        node.create("own", &[("max.message.bytes", "20000")]).await;
        let takes = async |node: &Node, topic: &str, bytes: usize| {
            let value = vec![b'x'; bytes];
            match node.produce(ProducerRecord::new(topic, &value)).await {
                Ok(_) => true,
                Err(error) => {
                    assert_eq!(error.code(), Some(ErrorCode::MessageTooLarge), "{error}");
                    false
                }
            }
        };
        assert!(takes(&node, "t", 8000).await && !takes(&node, "t", 15_000).await);
        set(&node, &ALL, key, "5000").await;
        assert!(takes(&node, "t", 4000).await && !takes(&node, "t", 8000).await);
        set(&node, &THIS, key, "2000").await;
        assert!(!takes(&node, "t", 4000).await, "at once");
        assert!(takes(&node, "own", 15_000).await, "a topic's own goes before its broker's");
        restart(&mut node).await;
        assert!(!takes(&node, "t", 4000).await && takes(&node, "t", 1000).await, "after a restart");
        let entry = described(&node, &THIS, key).await.unwrap();
        assert_eq!((entry.value.as_deref(), entry.source), (Some("2000"), ConfigSource::DynamicBroker));
        let inherited = described(&node, &ConfigResource::Topic("t".into()), "max.message.bytes").await.unwrap();
        assert_eq!((inherited.value.as_deref(), inherited.source), (Some("2000"), ConfigSource::DynamicBroker));
        delete(&node, &THIS, key).await;
        let entry = described(&node, &THIS, key).await.unwrap();
        assert_eq!((entry.value.as_deref(), entry.source), (Some("5000"), ConfigSource::DynamicDefaultBroker));
        delete(&node, &ALL, key).await;
        let entry = described(&node, &THIS, key).await.unwrap();
        assert_eq!((entry.value.as_deref(), entry.source), (Some("9000"), ConfigSource::StaticBroker));
        assert!(takes(&node, "t", 8000).await && !takes(&node, "t", 15_000).await);
    });
}

#[test]
fn logs_that_are_open_get_new_defaults() {
    with_node(&[("log.retention.check.interval.ms", "200")], |node| async move {
        node.create("t", &[]).await;
        set(&node, &ALL, "log.segment.bytes", "1048576").await;
        node.fill("t", 30, 100_000).await;
        assert_eq!(node.files("t", ".log").len(), 3);
        node.create("old", &[]).await;
        let old = time::wall_clock_ms() - 2 * HOUR_MS;
        node.produce(ProducerRecord::new("old", b"x").with_timestamp_ms(old)).await.unwrap();
        set(&node, &THIS, "log.retention.ms", "60000").await;
        eventually("the old record goes", async || node.offset("old", OffsetSpec::Earliest).await == 1).await;
        set(&node, &THIS, "log.message.timestamp.type", "LogAppendTime").await;
        let stamped = node.produce(ProducerRecord::new("old", b"x").with_timestamp_ms(old)).await.unwrap();
        assert!(stamped.timestamp_ms > old + HOUR_MS);
    });
}

/// A partition of one replica is never refused for it (KIP-966), so on one node it shows in what a topic inherits alone.
#[test]
fn min_insync_replicas_is_one_number_for_all_brokers() {
    with_node(&[], |node| async move {
        let key = "min.insync.replicas";
        node.create("t", &[]).await;
        set(&node, &ALL, key, "2").await;
        let inherited = described(&node, &ConfigResource::Topic("t".into()), key).await.unwrap();
        assert_eq!((inherited.value.as_deref(), inherited.source), (Some("2"), ConfigSource::DynamicDefaultBroker));
        let refused = try_change(&node, &THIS, key, ConfigChange::Set("1".into())).await.unwrap_err();
        assert!(refused.to_string().contains("cannot be altered while ELR is enabled"), "{refused}");
        let refused = try_change(&node, &ALL, key, ConfigChange::Delete).await.unwrap_err();
        assert!(refused.to_string().contains("cannot be removed while ELR is enabled"), "{refused}");
    });
}

#[test]
fn connection_limits_change() {
    with_node(&[], |mut node| async move {
        // Connections that were closed here may still count there.
        let restore = async |node: &Node, of: &ConfigResource, name: &str| {
            let deleted = async || try_change(node, of, name, ConfigChange::Delete).await.is_ok();
            eventually("the limit is taken back", deleted).await;
            eventually("more are accepted", async || !last_is_refused(node, 6).await).await;
        };
        let overrides = "max.connections.per.ip.overrides";
        set(&node, &THIS, overrides, "127.0.0.1:4").await;
        eventually("the fifth is refused", async || last_is_refused(&node, 5).await).await;
        restart(&mut node).await;
        eventually("the fifth is refused after a restart", async || last_is_refused(&node, 5).await).await;
        restore(&node, &THIS, overrides).await;
        for limit in ["max.connections", "max.connections.per.ip"] {
            set(&node, &ALL, limit, "4").await;
            eventually("the fifth is refused", async || last_is_refused(&node, 5).await).await;
            restore(&node, &ALL, limit).await;
        }
    });
}

#[test]
fn cleaner_threads_come_and_go() {
    with_node(&[("log.cleaner.threads", "2")], |mut node| async move {
        let cleaners = |node: &Node| threads_named(node, "log-cleaner");
        eventually("two clean", async || cleaners(&node) == 2).await;
        set(&node, &ALL, "log.cleaner.threads", "4").await;
        eventually("four clean", async || cleaners(&node) == 4).await;
        set(&node, &THIS, "log.cleaner.threads", "2").await;
        eventually("two clean again", async || cleaners(&node) == 2).await;
        let refused = try_change(&node, &THIS, "log.cleaner.threads", ConfigChange::Set("5".into())).await.unwrap_err();
        assert!(refused.to_string().contains("should not be greater than double the current value 2"), "{refused}");
        delete(&node, &THIS, "log.cleaner.threads").await;
        restart(&mut node).await;
        eventually("four clean after a restart", async || cleaners(&node) == 4).await;
    });
}

#[test]
fn a_topic_is_compacted_from_then_on() {
    with_node(&[("log.roll.ms", "1"), ("log.cleaner.min.cleanable.ratio", "0")], |node| async move {
        node.create("t", &[]).await;
        for value in [b"1", b"2", b"3", b"4"] {
            node.produce(ProducerRecord::new("t", value).with_key(b"a")).await.unwrap();
        }
        set(&node, &ALL, "log.cleanup.policy", "compact").await;
        // The cleaner looks every fifteen seconds otherwise, and may just have looked.
        set(&node, &ALL, "log.cleaner.backoff.ms", "50").await;
        eventually("the first value goes", async || {
            let mut consumer = node.consumer("reader", &[("auto.offset.reset", "earliest")]).await;
            let tp = ottla_client::TopicPartition::new("t", 0);
            consumer.assign([tp.clone()]);
            consumer.seek_to_beginning(&tp).unwrap();
            let mut first = None;
            while first.is_none() {
                first = consumer.poll(Duration::from_millis(100)).await.unwrap().first().map(|record| record.offset);
            }
            first > Some(0)
        })
        .await;
    });
}

#[test]
fn producers_are_forgotten_sooner() {
    with_node(&[("log.retention.check.interval.ms", "50")], |node| async move {
        node.create("t", &[]).await;
        let repeater = Repeater::new(&node).await;
        assert_eq!(repeater.offset().await, 0);
        set(&node, &THIS, "producer.id.expiration.ms", "1").await;
        eventually("its repetition is a new record", async || repeater.offset().await > 0).await;
    });
}

/// The cluster's metadata is read before the logs are opened.
#[test]
fn recovery_threads_are_those_that_were_stored() {
    const LOGS: usize = 100;
    let key = "num.recovery.threads.per.data.dir";
    with_talkative_node(&[(key, "4")], |mut node| async move {
        node.try_create("t", Some(LOGS as i32), &[]).await.unwrap();
        // By half at most.
        set(&node, &ALL, key, "2").await;
        set(&node, &ALL, key, "1").await;
        for _ in 0..3 {
            assert_eq!(opening_threads(&mut node, LOGS).await, 1, "four would share the work now and then");
        }
    });
}

#[test]
fn what_cannot_be_changed_is_refused_and_nothing_is_stored() {
    with_node(&[], |node| async move {
        for (of, name, value, why) in [
            (&THIS, "num.partitions", "3", "Cannot update these configs dynamically: [num.partitions]"),
            (
                &ALL,
                "cordoned.log.dirs",
                "*",
                "at default cluster level, broker id must be specified: [cordoned.log.dirs]",
            ),
            (&THIS, "listeners", "PLAINTEXT://127.0.0.1:1", "sockets are opened at the start only"),
            (&THIS, "ssl.keystore.location", "/k", "TLS is not served yet"),
            (&ALL, "num.io.threads", "9", "it is not served yet"),
            (&ALL, "unclean.leader.election.enable", "true", "not served yet"),
            (&ALL, "leader.replication.throttled.rate", "9", "nothing is replicated between brokers yet"),
            (&ALL, "max.connections", "many", "`max.connections` cannot be `many`"),
            (&THIS, "max.connection", "9", "did you mean `max.connections`?"),
            (&THIS, "cordoned.log.dirs", "/nope", "is none of `log.dirs`"),
            (&ConfigResource::Broker(Some(7)), "max.connections", "9", "7"),
        ] {
            // Another broker is not asked, since there is none.
            let refused = try_change(&node, of, name, ConfigChange::Set(value.into())).await.unwrap_err();
            assert!(refused.to_string().contains(why), "{name}: {refused}");
        }
        let both = [
            ("max.connections".to_owned(), ConfigChange::Set("9".into())),
            ("num.partitions".to_owned(), ConfigChange::Set("9".into())),
        ];
        node.admin().await.alter_configs(&THIS, &both, false).await.unwrap_err();
        node.admin().await.alter_configs(&THIS, &both[..1], true).await.unwrap();
        let entry = described(&node, &THIS, "max.connections").await.unwrap();
        assert_eq!((entry.source, entry.is_read_only), (ConfigSource::Default, false), "refused, and only validated");
        assert!(described(&node, &THIS, "num.partitions").await.unwrap().is_read_only);
        assert_eq!(described(&node, &ALL, "max.connections").await, None);
    });
}

/// With AlterConfigs, as clients before KIP-339 do. Each answer is what Apache Kafka 4.4.0 was seen to give.
#[test]
fn older_clients_replace_all_that_was_set() {
    with_node(&[], |node| async move {
        set(&node, &THIS, "message.max.bytes", "5000").await;
        set(&node, &THIS, "log.cleanup.policy", "compact").await;
        let connection = node.admin().await.cluster().any_broker().await.unwrap();
        let alter = async |broker: &str, configs: &[(&str, Option<&str>)]| {
            let configs =
                configs.iter().map(|(name, value)| AlterableConfig { name, value: *value, ..Default::default() });
            let resource = AlterConfigsResource {
                resource_type: 4,
                resource_name: broker,
                configs: configs.collect(),
                ..Default::default()
            };
            let request = AlterConfigsRequest { resources: vec![resource], ..Default::default() };
            let response = connection.send(&request).await.unwrap();
            let answer = &response.decode().unwrap().responses[0];
            (ErrorCode::from_code(answer.error_code).unwrap(), answer.error_message.unwrap_or_default().to_owned())
        };
        assert_eq!(alter("1", &[("message.max.bytes", Some("4000"))]).await.0, ErrorCode::None);
        let entry = described(&node, &THIS, "message.max.bytes").await.unwrap();
        assert_eq!((entry.value.as_deref(), entry.source), (Some("4000"), ConfigSource::DynamicBroker));
        assert_eq!(described(&node, &THIS, "log.cleanup.policy").await.unwrap().source, ConfigSource::Default);
        let refused = |why: &str| (ErrorCode::InvalidRequest, why.to_owned());
        for (broker, name, value, answer) in [
            ("1", "log.retention.ms", None, refused("Null value not supported for : log.retention.ms")),
            ("1", "num.partitions", Some("3"), refused("Cannot update these configs dynamically: [num.partitions]")),
            ("2", "log.retention.ms", Some("3"), refused("Unexpected broker id, expected 1, but received 2")),
            ("abc", "log.retention.ms", Some("3"), refused("Node id must be an integer, but it is: abc")),
        ] {
            assert_eq!(alter(broker, &[(name, value)]).await, answer);
        }
        // What formatting has stored for all brokers is not among these.
        let (code, why) = alter("", &[("log.retention.ms", Some("6"))]).await;
        assert_eq!(code, ErrorCode::InvalidConfig);
        assert_eq!(why, "Cluster-level min.insync.replicas cannot be removed while ELR is enabled.");
    });
}
