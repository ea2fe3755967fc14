use super::*;
use crate::records::*;
use proptest::prelude::*;

fn topic_id(n: u8) -> Uuid {
    Uuid([n; 16])
}

fn topic(n: u8) -> MetadataRecord {
    TopicRecord { name: format!("topic-{n}"), topic_id: topic_id(n) }.into()
}

fn partition(n: u8, partition_id: i32) -> MetadataRecord {
    PartitionRecord {
        partition_id,
        topic_id: topic_id(n),
        replicas: vec![1, 2],
        isr: vec![1, 2],
        leader: 1,
        leader_epoch: 0,
        partition_epoch: 0,
        directories: vec![Uuid([7; 16]), Uuid([8; 16])],
        ..PartitionRecord::default()
    }
    .into()
}

fn config(kind: i8, name: &str, key: &str, value: Option<&str>) -> MetadataRecord {
    let value = value.map(str::to_owned);
    ConfigRecord { resource_type: kind, resource_name: name.into(), name: key.into(), value }.into()
}

fn broker(broker_id: i32, broker_epoch: i64) -> MetadataRecord {
    RegisterBrokerRecord {
        broker_id,
        broker_epoch,
        end_points: vec![BrokerEndpoint {
            name: "PLAINTEXT".into(),
            host: "localhost".into(),
            port: 9092,
            security_protocol: 0,
        }],
        features: vec![BrokerFeature {
            name: "metadata.version".into(),
            min_supported_version: 7,
            max_supported_version: 33,
        }],
        rack: None,
        log_dirs: vec![Uuid([9; 16])],
        ..RegisterBrokerRecord::default()
    }
    .into()
}

fn image_of(records: &[MetadataRecord]) -> Arc<MetadataImage> {
    let mut delta = MetadataDelta::new(Arc::new(MetadataImage::default()));
    for record in records {
        delta.replay(record).unwrap();
    }
    Arc::new(delta.apply(records.len() as i64 - 1, 1))
}

#[test]
fn a_delta_names_what_it_touched() {
    let base = image_of(&[topic(1), partition(1, 0), partition(1, 1), topic(2), partition(2, 0), broker(1, 5)]);
    let mut delta = MetadataDelta::new(Arc::clone(&base));
    let change = PartitionChangeRecord {
        partition_id: 1,
        topic_id: topic_id(1),
        isr: Some(vec![2]),
        leader: 2,
        ..Default::default()
    };
    for record in [
        MetadataRecord::from(change),
        RemoveTopicRecord { topic_id: topic_id(2) }.into(),
        topic(3),
        RemoveTopicRecord { topic_id: topic_id(3) }.into(),
        UnfenceBrokerRecord { id: 1, epoch: 5 }.into(),
        config(2, "topic-1", "retention.ms", Some("5")),
    ] {
        delta.replay(&record).unwrap();
    }
    assert_eq!(delta.topics().changed, BTreeMap::from([(topic_id(1), BTreeSet::from([1]))]));
    assert_eq!(delta.topics().deleted.keys().copied().collect::<Vec<_>>(), [topic_id(2)]);
    assert_eq!(*delta.brokers(), BTreeSet::from([1]));
    assert_eq!(*delta.configs(), BTreeSet::from([ConfigResource::topic("topic-1")]));

    let image = delta.apply(9, 1);
    let moved = image.topics.partition("topic-1", 1).unwrap();
    assert_eq!((moved.leader, moved.leader_epoch, moved.partition_epoch), (2, 1, 1));
    assert!(image.topics.by_name("topic-2").is_none() && image.topics.by_id(topic_id(3)).is_none());
    assert!(!image.cluster.broker(1).unwrap().fenced);
    // The base is as it was.
    assert!(base.cluster.broker(1).unwrap().fenced && base.topics.by_name("topic-2").is_some());
    assert_eq!(base.topics.partition("topic-1", 1).unwrap().leader, 1);
}

#[test]
fn a_topics_configs_go_with_it() {
    let base = image_of(&[topic(1), config(2, "topic-1", "retention.ms", Some("5")), config(4, "", "a", Some("b"))]);
    let mut delta = MetadataDelta::new(base);
    delta.replay(&RemoveTopicRecord { topic_id: topic_id(1) }.into()).unwrap();
    assert!(delta.next().configs.topic("topic-1").is_none());
    assert_eq!(*delta.configs(), BTreeSet::from([ConfigResource::topic("topic-1")]));
    delta.replay(&config(4, "", "a", None)).unwrap();
    assert!(delta.next().configs.broker(None).is_none());
}

#[test]
fn a_registration_is_changed_at_its_epoch_only() {
    let mut delta = MetadataDelta::new(image_of(&[broker(1, 5)]));
    let change = |broker_epoch, fenced, in_controlled_shutdown| {
        MetadataRecord::from(BrokerRegistrationChangeRecord {
            broker_id: 1,
            broker_epoch,
            fenced,
            in_controlled_shutdown,
            log_dirs: vec![],
            cordoned_log_dirs: None,
        })
    };
    delta.replay(&change(5, -1, 1)).unwrap();
    let registration = delta.next().cluster.broker(1).unwrap();
    assert!(!registration.fenced && registration.in_controlled_shutdown);
    assert_eq!(registration.log_dirs, [Uuid([9; 16])]);
    let stale = Err(ReplayError::UnknownBroker { record: "BrokerRegistrationChangeRecord", broker: 1, epoch: 4 });
    assert_eq!(delta.replay(&change(4, 1, 0)), stale);
    assert!(matches!(delta.replay(&change(5, 2, 0)), Err(ReplayError::BadChange { field: "fenced", value: 2 })));
}

#[test]
fn clearing_elr_touches_those_that_had_one() {
    let with_elr = PartitionRecord {
        partition_id: 0,
        topic_id: topic_id(1),
        replicas: vec![1, 2],
        isr: vec![1],
        directories: vec![Uuid([7; 16]); 2],
        eligible_leader_replicas: Some(vec![2]),
        partition_epoch: 3,
        ..PartitionRecord::default()
    };
    let base = image_of(&[topic(1), with_elr.into(), partition(1, 1), topic(2), partition(2, 0)]);
    for name in ["topic-1", ""] {
        let mut delta = MetadataDelta::new(Arc::clone(&base));
        delta.replay(&ClearElrRecord { topic_name: name.into() }.into()).unwrap();
        assert_eq!(delta.topics().changed, BTreeMap::from([(topic_id(1), BTreeSet::from([0]))]));
        let cleared = delta.next().topics.partition("topic-1", 0).unwrap();
        assert_eq!((cleared.elr.len(), cleared.partition_epoch), (0, 4));
    }
}

#[test]
fn records_that_do_not_fit_are_refused() {
    let mut delta = MetadataDelta::new(image_of(&[topic(1)]));
    assert!(matches!(delta.replay(&partition(9, 0)), Err(ReplayError::UnknownTopic { .. })));
    let change = PartitionChangeRecord { partition_id: 4, topic_id: topic_id(1), ..Default::default() };
    assert!(matches!(delta.replay(&change.into()), Err(ReplayError::UnknownPartition { partition: 4, .. })));
    assert_eq!(delta.replay(&config(99, "x", "a", None)), Err(ReplayError::UnknownResourceType(99)));
    let gone = RemoveAccessControlEntryRecord { id: Uuid([1; 16]) };
    assert!(matches!(delta.replay(&gone.into()), Err(ReplayError::UnknownAcl(_))));
}

#[test]
fn a_snapshot_replaces_everything() {
    let base = image_of(&[topic(1), partition(1, 0), partition(1, 1), topic(2), broker(1, 5), broker(2, 6)]);
    let mut delta = MetadataDelta::for_snapshot(base);
    for record in [topic(1), partition(1, 0), broker(1, 5), topic(4)] {
        delta.replay(&record).unwrap();
    }
    delta.finish_snapshot();
    assert_eq!(delta.topics().changed, BTreeMap::from([(topic_id(4), BTreeSet::new())]));
    assert_eq!(delta.topics().deleted.keys().copied().collect::<Vec<_>>(), [topic_id(2)]);
    assert_eq!(*delta.brokers(), BTreeSet::from([2]));
    assert!(delta.next().cluster.broker(2).is_none());
}

/// Any record that a log may hold, on few ids so that they meet.
fn any_record() -> impl Strategy<Value = MetadataRecord> {
    let ids = prop::collection::vec(0..4i32, 0..4);
    let change = (0..4u8, 0..3i32, prop::option::of(ids.clone()), -2..3i32, prop::option::of(ids)).prop_map(
        |(n, partition_id, isr, leader, eligible_leader_replicas)| {
            PartitionChangeRecord {
                partition_id,
                topic_id: topic_id(n),
                isr,
                leader,
                eligible_leader_replicas,
                ..Default::default()
            }
            .into()
        },
    );
    let quota = (0..3u8, any::<bool>(), any::<bool>()).prop_map(|(n, remove, default)| {
        let entity_name = (!default).then(|| format!("user-{n}"));
        let entity = vec![EntityData { entity_type: "user".into(), entity_name }];
        ClientQuotaRecord { entity, key: "producer_byte_rate".into(), value: f64::from(n), remove }.into()
    });
    let scram = (0..3u8, any::<bool>()).prop_map(|(n, remove)| match (remove, format!("user-{n}")) {
        (true, name) => RemoveUserScramCredentialRecord { name, mechanism: 1 }.into(),
        (false, name) => UserScramCredentialRecord {
            name,
            mechanism: 1,
            salt: Bytes(vec![n]),
            stored_key: Bytes(vec![1]),
            server_key: Bytes(vec![]),
            iterations: 4096,
        }
        .into(),
    });
    let token = (0..3u8, any::<bool>()).prop_map(|(n, remove)| match (remove, format!("token-{n}")) {
        (true, token_id) => RemoveDelegationTokenRecord { token_id }.into(),
        (false, token_id) => {
            DelegationTokenRecord { token_id, renewers: vec!["User:a".into()], ..Default::default() }.into()
        }
    });
    let acl = (0..3u8, any::<bool>()).prop_map(|(n, remove)| match remove {
        true => RemoveAccessControlEntryRecord { id: topic_id(n) }.into(),
        false => AccessControlEntryRecord { id: topic_id(n), principal: "User:a".into(), ..Default::default() }.into(),
    });
    let controller = (0..3i32, any::<bool>()).prop_map(|(controller_id, remove)| match remove {
        true => UnregisterControllerRecord { controller_id }.into(),
        false => RegisterControllerRecord { controller_id, ..Default::default() }.into(),
    });
    let small = prop_oneof![
        (0..4u8).prop_map(topic),
        (0..4u8, 0..3i32).prop_map(|(n, p)| partition(n, p)),
        (0..4u8).prop_map(|n| RemoveTopicRecord { topic_id: topic_id(n) }.into()),
        (0..4i32, 0..3i64).prop_map(|(id, epoch)| broker(id, epoch)),
        (0..4i32, 0..3i64).prop_map(|(id, epoch)| UnfenceBrokerRecord { id, epoch }.into()),
        (0..4i32, 0..3i64)
            .prop_map(|(broker_id, broker_epoch)| UnregisterBrokerRecord { broker_id, broker_epoch }.into()),
        (0..4u8, prop::option::of(0..9u8)).prop_map(|(n, value)| {
            config(2, &format!("topic-{n}"), "retention.ms", value.map(|v| v.to_string()).as_deref())
        }),
        (0..3i16).prop_map(|feature_level| FeatureLevelRecord { name: "group.version".into(), feature_level }.into()),
        (7..34i16)
            .prop_map(|feature_level| FeatureLevelRecord { name: "metadata.version".into(), feature_level }.into()),
        (0..9000i64).prop_map(|next_producer_id| ProducerIdsRecord { next_producer_id, ..Default::default() }.into()),
        Just(NoOpRecord {}.into()),
    ];
    prop_oneof![8 => small, 3 => change, 1 => quota, 1 => scram, 1 => token, 1 => acl, 1 => controller]
}

proptest! {
    /// Whatever log led to an image: the records it writes make the same image, and survive their encoding.
    #[test]
    fn an_image_comes_back_from_its_records(log in prop::collection::vec(any_record(), 0..200)) {
        let mut delta = MetadataDelta::new(Arc::new(MetadataImage::default()));
        for record in &log {
            // A record that does not fit is refused before it changes anything: the next one goes on from there.
            let before = delta.apply(0, 0);
            if delta.replay(record).is_err() {
                prop_assert_eq!(delta.apply(0, 0), before);
            }
        }
        let image = delta.apply(7, 2);
        let records = image.to_records();
        let mut copy = MetadataDelta::for_snapshot(Arc::new(MetadataImage::default()));
        for record in &records {
            let bytes = record.encode().unwrap();
            let decoded = MetadataRecord::decode(&bytes).unwrap();
            prop_assert_eq!(&decoded, record);
            copy.replay(&decoded).unwrap();
        }
        copy.finish_snapshot();
        prop_assert_eq!(copy.apply(7, 2), image);
    }

    /// A delta's notes are complete: whatever differs between base and result is named.
    #[test]
    fn nothing_changes_unnoticed(
        before in prop::collection::vec(any_record(), 0..100),
        after in prop::collection::vec(any_record(), 0..50),
    ) {
        let mut delta = MetadataDelta::new(Arc::new(MetadataImage::default()));
        before.iter().for_each(|record| { let _ = delta.replay(record); });
        let base = Arc::new(delta.apply(1, 1));
        let mut delta = MetadataDelta::new(Arc::clone(&base));
        after.iter().for_each(|record| { let _ = delta.replay(record); });
        let truth = topics_between(&base, delta.next());
        for (id, partitions) in &truth.changed {
            let noted = delta.topics().changed.get(id);
            prop_assert!(noted.is_some_and(|noted| partitions.is_subset(noted)), "topic {}", id);
        }
        for id in truth.deleted.keys() {
            prop_assert!(delta.topics().deleted.contains_key(id));
        }
        let brokers = keys_that_differ(&base.cluster.brokers, &delta.next().cluster.brokers);
        prop_assert!(brokers.is_subset(delta.brokers()));
    }
}
