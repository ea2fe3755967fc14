use std::sync::Arc;

use super::*;
use crate::delta::MetadataDelta;
use crate::image::{ConfigResource, MetadataImage};
use crate::records::ConfigRecord;

fn broker(flags: &[&str]) -> BrokerConfig {
    let mut settings = Settings::first_run();
    flags.iter().for_each(|flag| settings.add_flag(flag).unwrap());
    BrokerConfig::from_settings(&settings).unwrap().0
}

/// What holds with these stored for a broker, or for all.
fn resolved(flags: &[&str], stored: &[(Option<i32>, &str, &str)]) -> DynamicBrokerConfig {
    let mut delta = MetadataDelta::new(Arc::new(MetadataImage::default()));
    for (id, name, value) in stored {
        let resource = ConfigResource::broker(*id);
        let record = ConfigRecord {
            resource_type: resource.kind as i8,
            resource_name: resource.name,
            name: (*name).to_owned(),
            value: Some((*value).to_owned()),
        };
        delta.replay(&record.into()).unwrap();
    }
    DynamicBrokerConfig::resolve(&broker(flags), &delta.apply(0, 0).configs)
}

#[test]
fn a_brokers_own_goes_before_that_of_all_and_that_before_the_starts() {
    let key = "max.connections";
    let of = |flags: &[&str], stored: &[(Option<i32>, &str, &str)]| resolved(flags, stored).max_connections;
    assert_eq!(of(&[], &[]), i32::MAX as u32);
    assert_eq!(of(&["max.connections=5"], &[]), 5);
    assert_eq!(of(&["max.connections=5"], &[(None, key, "6")]), 6);
    assert_eq!(of(&["max.connections=5"], &[(Some(1), key, "7"), (None, key, "6")]), 7);
    assert_eq!(of(&["max.connections=5"], &[(Some(2), key, "7")]), 5, "another broker's");
}

#[test]
fn what_is_no_value_falls_through_to_the_next_layer() {
    let stored = [(Some(1), "max.connections", "many"), (None, "max.connections", "6")];
    assert_eq!(resolved(&[], &stored).max_connections, 6);
}

#[test]
fn a_stored_value_that_only_a_start_can_change_is_passed_over() {
    let broker = broker(&[]);
    let mut delta = MetadataDelta::new(Arc::new(MetadataImage::default()));
    for (name, value) in [("num.network.threads", "9"), ("num.partitions", "9"), ("foo", "9")] {
        let record =
            ConfigRecord { resource_type: 4, resource_name: "1".into(), name: name.into(), value: Some(value.into()) };
        delta.replay(&record.into()).unwrap();
    }
    let image = delta.apply(0, 0);
    let settings = in_effect(&broker, &Layers::of_broker(&broker, &image.configs));
    assert!(settings.iter().all(|(_, setting)| setting.value != "9"));
}

#[test]
fn directories_are_cordoned_by_their_paths_or_all_at_once() {
    let cordoned = |value| resolved(&["log.dirs=/a,/b"], &[(Some(1), "cordoned.log.dirs", value)]).cordoned_log_dirs;
    assert!(cordoned("").is_empty());
    assert_eq!(cordoned("/b"), ["/b"]);
    assert_eq!(cordoned("*"), ["/a", "/b"]);
    assert_eq!(cordoned("/a, /b, /c"), ["/a", "/b"]);
}

#[test]
fn hosts_have_limits_of_their_own() {
    let parsed = parse_overrides("127.0.0.1:5, host:0,::1:7").unwrap();
    assert_eq!(parsed, [("127.0.0.1".into(), 5), ("host".into(), 0), ("::1".into(), 7)]);
    assert_eq!(parse_overrides(""), Ok(vec![]));
    for bad in ["host", "host:", ":5", "host:-1", "host:x", "host:3000000000"] {
        assert!(parse_overrides(bad).unwrap_err().contains(bad), "{bad}");
    }
}
