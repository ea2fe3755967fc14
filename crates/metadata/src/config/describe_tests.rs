use super::*;
use crate::config::{BrokerConfig, Settings};
use crate::image::ConfigsImage;

fn broker(flags: &[&str]) -> BrokerConfig {
    let mut settings = Settings::first_run();
    for flag in flags {
        settings.add_flag(flag).unwrap();
    }
    BrokerConfig::from_settings(&settings).unwrap().0
}

fn named<'c>(configs: &'c [DescribedConfig], name: &str) -> &'c DescribedConfig {
    configs.iter().find(|config| config.row.name == name).unwrap()
}

#[test]
fn what_can_change_while_the_process_runs_is_not_read_only() {
    let (broker, configs) = (broker(&[]), ConfigsImage::default());
    let described = describe_broker(&Layers::of_broker(&broker, &configs));
    assert!(named(&described, "num.partitions").read_only);
    assert!(!named(&described, "log.retention.ms").read_only);
    assert!(described.iter().all(|config| !config.row.internal));
}

#[test]
fn only_what_was_set_is_said_of_all_brokers() {
    let values = BTreeMap::from([("log.retention.ms".to_owned(), "5".to_owned())]);
    let described = describe_all_brokers(&values);
    assert_eq!(described.len(), 1);
    let config = named(&described, "log.retention.ms");
    assert_eq!((config.value.as_deref(), config.source), (Some("5"), ConfigSource::DynamicDefaultBroker));
}

#[test]
fn a_groups_own_value_goes_before_the_brokers() {
    let broker = broker(&["group.consumer.session.timeout.ms=50000"]);
    let configs = ConfigsImage::default();
    let layers = Layers::of_broker(&broker, &configs);
    let name = "consumer.session.timeout.ms";
    let inherited = describe_group(&layers, None);
    assert_eq!(named(&inherited, name).value.as_deref(), Some("50000"));
    // Apache Kafka 4.4.0 was seen to answer 21 properties of a group that nobody configured, all of them defaults.
    assert!(inherited.iter().all(|config| config.source == ConfigSource::Default && config.synonyms.is_empty()));
    assert_eq!(inherited.len(), 21);
    assert_eq!(named(&inherited, "streams.assignor.name").value.as_deref(), Some("sticky"));
    let own = BTreeMap::from([(name.to_owned(), "46000".to_owned())]);
    let described = describe_group(&layers, Some(&own));
    assert_eq!(named(&described, name).value.as_deref(), Some("46000"));
    assert_eq!(named(&described, name).source, ConfigSource::Group);
    assert_eq!(named(&described, "share.auto.offset.reset").value.as_deref(), Some("latest"));
}
