use super::*;

fn broker(flags: &[&str]) -> BrokerConfig {
    let mut settings = Settings::first_run();
    flags.iter().for_each(|flag| settings.add_flag(flag).unwrap());
    BrokerConfig::from_settings(&settings).unwrap().0
}

fn values(pairs: &[(&str, &str)]) -> Values {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Sets these for broker 1 where nothing was stored.
fn set(pairs: &[(&str, &str)]) -> Result<(), String> {
    let new = values(pairs);
    check_rows(true, &Values::new(), &new).map_err(|e| e.to_string())?;
    let broker = broker(&["log.dirs=/a,/b", "num.recovery.threads.per.data.dir=8"]);
    check_in_effect(&broker, &ConfigsImage::default(), true, &new).map_err(|e| e.to_string())
}

fn set_for_all(pairs: &[(&str, &str)]) -> Result<(), String> {
    check_rows(false, &Values::new(), &values(pairs)).map_err(|e| e.to_string())
}

/// Sentences that Apache Kafka 4.4.0 was seen to answer.
#[test]
fn what_is_not_dynamic_is_refused_in_kafkas_words() {
    let read_only = "Cannot update these configs dynamically: [log.retention.hours, num.partitions]";
    let pairs = [("num.partitions", "3"), ("max.connections", "x"), ("log.retention.hours", "1")];
    assert_eq!(set(&pairs), Err(read_only.into()));
    assert_eq!(set_for_all(&pairs), Err(read_only.into()));
    let per_broker =
        "Cannot update these configs at default cluster level, broker id must be specified: [cordoned.log.dirs]";
    assert_eq!(set_for_all(&[("cordoned.log.dirs", "/a")]), Err(per_broker.into()));
    let threads = |n, limit| {
        let why = format!(
            "Dynamic thread count update validation failed for num.recovery.threads.per.data.dir={n}, value should {limit} the \
             current value 8"
        );
        Err(why)
    };
    let key = "num.recovery.threads.per.data.dir";
    assert_eq!(set(&[(key, "17")]), threads(17, "not be greater than double"));
    assert_eq!(set(&[(key, "3")]), threads(3, "be at least half"));
    assert_eq!((set(&[(key, "16")]), set(&[(key, "4")])), (Ok(()), Ok(())));
}

#[test]
fn a_value_is_checked_by_its_row() {
    for (name, value) in [
        ("max.connections", "many"),
        ("max.connections", "-1"),
        ("log.segment.bytes", "1"),
        ("log.cleanup.policy", "compact,foo"),
        ("compression.type", "nope"),
        ("log.preallocate", "yes"),
        ("producer.id.expiration.ms", "0"),
    ] {
        let refused = set(&[(name, value)]).unwrap_err();
        assert!(refused.starts_with(&format!("`{name}` cannot be `{value}`: ")), "{refused}");
    }
    let long = "x".repeat(VALUE_BYTES_MAX + 1);
    assert!(set(&[("errors.deadletterqueue.topic.name.prefix", &long)]).unwrap_err().contains("32768 bytes"));
}

#[test]
fn what_has_no_effect_is_refused_with_a_reason() {
    for (name, value, why) in [
        ("listeners", "PLAINTEXT://127.0.0.1:1", "sockets are opened at the start only"),
        ("num.network.threads", "4", "threads are started with the process"),
        ("ssl.keystore.location", "/k", "TLS is not served yet"),
        ("sasl.jaas.config", "x", "SASL is not served yet"),
        ("config.providers", "x", "config providers are not served"),
        ("leader.replication.throttled.rate", "1000", "nothing is replicated between brokers yet"),
        ("listener.name.plaintext.ssl.keystore.location", "/k", "not served yet"),
        ("num.io.threads", "9", "it is not served yet"),
        ("max.connection.creation.rate", "9", "it is not served yet"),
        ("unclean.leader.election.enable", "true", "it is not served yet"),
        ("max.connection", "3", "did you mean `max.connections`?"),
    ] {
        let refused = set(&[(name, value)]).unwrap_err();
        assert!(refused.contains(why), "{name}: {refused}");
    }
    assert_eq!(set(&[("num.io.threads", "8")]), Ok(()), "its default");
}

/// Each was refused by Apache Kafka 4.4.0 as well.
#[test]
fn what_would_hold_afterwards_must_go_together() {
    for (name, value, why) in [
        ("log.retention.ms", "0", "it must be -1, for ever, or at least 1"),
        ("log.roll.ms", "0", "it must be at least 1"),
        ("log.cleaner.dedupe.buffer.size", "100", "must be more than 1048576 for each of"),
        ("log.cleaner.threads", "0", "cannot be 0"),
        ("log.cleaner.threads", "100", "should not be greater than double the current value 1"),
        ("max.connections.per.ip", "0", "can be 0 only if"),
        ("max.connections.per.ip.overrides", "nonsense", "is not host:limit"),
        ("cordoned.log.dirs", "/nope", "`/nope` is none of `log.dirs`: /a, /b"),
        ("cordoned.log.dirs", "*,/a", "must stand alone"),
    ] {
        let refused = set(&[(name, value)]).unwrap_err();
        assert!(refused.contains(why), "{name}: {refused}");
    }
    assert_eq!(set(&[("max.connections.per.ip", "0"), ("max.connections.per.ip.overrides", "127.0.0.1:5")]), Ok(()));
    for cordoned in ["*", "", "/a", "/a,/b"] {
        assert_eq!(set(&[("cordoned.log.dirs", cordoned)]), Ok(()), "{cordoned}");
    }
}

#[test]
fn what_was_stored_before_stands_in_nobodys_way() {
    let old =
        values(&[("config.providers", "x"), ("foo.bar", "1"), ("num.partitions", "3"), ("log.retention.ms", "0")]);
    let mut new = old.clone();
    new.insert("max.connections".into(), "7".into());
    assert_eq!(check_rows(true, &old, &new), Ok(()));
    new.remove("foo.bar");
    new.remove("num.partitions");
    assert_eq!(check_rows(true, &old, &new), Ok(()), "and can be taken back");
}
