//! Records of Kafka's internal topics: every kind in every version with its defaults, and those with structs in structs
//! filled by hand.
#![allow(unreachable_pub, clippy::unwrap_used, reason = "a test fails by panicking")]

use ottla_protocol::Uuid;
use ottla_protocol::message::Message;
use ottla_protocol::messages::{
    consumer_group_current_member_assignment_value as current, consumer_group_member_metadata_value as member,
    consumer_protocol_assignment as assignment, consumer_protocol_subscription as subscription,
    group_metadata_value as group, remote_log_segment_metadata_record as remote,
    remote_log_segment_metadata_update_record as remote_update,
    remote_partition_delete_metadata_record as remote_delete, share_snapshot_value as share,
    streams_group_member_metadata_value as streams_member, streams_group_topology_value as topology,
    transaction_log_value as transaction,
};
use ottla_protocol::schema::{self, MessageKind};
use ottla_protocol::writer::Writer;

pub type Record = (Option<Vec<u8>>, Option<Vec<u8>>);

const ID: Uuid = Uuid(*b"0123456789abcdef");
/// What Kafka's tools of 4.3 do not know yet.
const NEWER: &[(&str, i16)] = &[("UnregisterControllerRecord", 0)];

fn encoded<'a, M: Message<'a>>(message: &M, version: i16) -> Vec<u8> {
    let mut w = Writer::default();
    message.encode(&mut w, version).unwrap();
    w.into_bytes()
}

/// A key of that type, or a value of that version.
fn after_number(number: i16, bytes: Vec<u8>) -> Vec<u8> {
    [number.to_be_bytes().to_vec(), bytes].concat()
}

/// In the frame of metadata records.
fn framed<'a, M: Message<'a>>(message: &M, version: i16) -> Record {
    let id = u8::try_from(M::API_KEY.unwrap()).unwrap();
    (None, Some([vec![1, id, u8::try_from(version).unwrap()], encoded(message, version)].concat()))
}

struct OfDefaults {
    name: &'static str,
    number: i16,
    version: i16,
    bytes: Vec<u8>,
}

macro_rules! collect_defaults {
    ($($module:ident::$name:ident,)*) => {{
        let mut all = Vec::new();
        $({
            type M = ottla_protocol::messages::$module::$name<'static>;
            if schema::named(M::NAME).is_some_and(|s| s.kind != MessageKind::Data) {
                for version in M::MIN_VERSION..=M::MAX_VERSION {
                    let number = M::API_KEY.unwrap();
                    all.push(OfDefaults { name: M::NAME, number, version, bytes: encoded(&M::default(), version) });
                }
            }
        })*
        all
    }};
}

/// Whose topic a coordinator's record belongs to.
fn flag_of(name: &str) -> &'static str {
    if name.starts_with("TransactionLog") {
        "--transaction-log-decoder"
    } else if name.starts_with("ShareSnapshot") || name.starts_with("ShareUpdate") {
        "--share-group-state-decoder"
    } else {
        "--offsets-decoder"
    }
}

/// Records by the flag that reads them.
pub fn all() -> Vec<(&'static str, Vec<Record>)> {
    let defaults: Vec<OfDefaults> = ottla_protocol::for_each_message!(collect_defaults);
    let defaults: Vec<_> = defaults.into_iter().filter(|d| !NEWER.contains(&(d.name, d.version))).collect();
    let coordinators = ["--offsets-decoder", "--transaction-log-decoder", "--share-group-state-decoder"].map(|flag| {
        let mut records = Vec::new();
        for key in defaults.iter().filter(|d| d.name.ends_with("Key") && flag_of(d.name) == flag) {
            let name = key.name.replace("Key", "Value");
            for value in defaults.iter().filter(|d| d.name == name) {
                let key = after_number(key.number, key.bytes.clone());
                records.push((Some(key), Some(after_number(value.version, value.bytes.clone()))));
            }
        }
        for (number, version, key, value) in by_hand(flag) {
            records.push((Some(after_number(number, key)), Some(after_number(version, value))));
        }
        (flag, records)
    });
    let metadata = defaults.iter().filter(|d| d.name.ends_with("Record") && !d.name.starts_with("Remote")).map(|d| {
        let head = vec![1, u8::try_from(d.number).unwrap(), u8::try_from(d.version).unwrap()];
        (None, Some([head, d.bytes.clone()].concat()))
    });
    let mut all = coordinators.to_vec();
    all.push(("--cluster-metadata-decoder", metadata.collect()));
    all.push(("--remote-log-metadata-decoder", remote_records()));
    assert!(all.iter().all(|(_, records)| records.len() > 2), "every kind is there");
    all
}

/// Number, version, key and value.
fn by_hand(flag: &str) -> Vec<(i16, i16, Vec<u8>, Vec<u8>)> {
    let text = |s: &str| [vec![0, u8::try_from(s.len()).unwrap()], s.as_bytes().to_vec()].concat();
    match flag {
        "--transaction-log-decoder" => {
            let partitions =
                vec![transaction::PartitionsSchema { topic: "t", partition_ids: vec![0, 7], ..Default::default() }];
            let value = transaction::TransactionLogValue {
                producer_id: 5,
                previous_producer_id: 4,
                next_producer_id: 6,
                next_producer_epoch: 3,
                client_transaction_version: 2,
                transaction_partitions: Some(partitions),
                ..Default::default()
            };
            vec![(0, 1, text("tx"), encoded(&value, 1))]
        }
        "--share-group-state-decoder" => {
            let batch = share::StateBatch { first_offset: 3, last_offset: 9, delivery_state: 2, ..Default::default() };
            let value = share::ShareSnapshotValue {
                start_offset: 3,
                delivery_complete_count: 4,
                state_batches: vec![batch],
                ..Default::default()
            };
            let key = [text("g"), ID.0.to_vec(), vec![0, 0, 0, 1]].concat();
            vec![(0, 0, key, encoded(&value, 0))]
        }
        _ => groups(text),
    }
}

fn groups(text: impl Fn(&str) -> Vec<u8>) -> Vec<(i16, i16, Vec<u8>, Vec<u8>)> {
    let owned = subscription::TopicPartition { topic: "a\"ü", partitions: vec![1], ..Default::default() };
    let wants = subscription::ConsumerProtocolSubscription {
        topics: vec!["a\"ü", "b\n"],
        user_data: Some(b"\xff\x00"),
        owned_partitions: vec![owned],
        rack_id: Some("r"),
        ..Default::default()
    };
    let has = assignment::TopicPartition { topic: "b", partitions: vec![0, 2], ..Default::default() };
    let got = assignment::ConsumerProtocolAssignment { assigned_partitions: vec![has], ..Default::default() };
    let wants: Vec<_> = (0..=3).map(|v| after_number(v, encoded(&only_of(&wants, v), v))).collect();
    let got = after_number(1, encoded(&got, 1));
    let mut all = Vec::new();
    for protocol_type in ["consumer", "connect"] {
        let members = wants.iter().map(|w| group::MemberMetadata {
            member_id: "m",
            subscription: w,
            assignment: &got,
            ..Default::default()
        });
        // One whose bytes are no subscription at all.
        let odd = group::MemberMetadata { member_id: "odd", subscription: &[0, 1, 0xff], ..Default::default() };
        let value = group::GroupMetadataValue {
            protocol_type,
            protocol: Some("range"),
            members: members.chain([odd]).collect(),
            ..Default::default()
        };
        all.push((2, 3, text("g"), encoded(&value, 3)));
    }
    let protocol = member::ClassicProtocol { name: "range", metadata: b"abc", ..Default::default() };
    let classic = member::ClassicMemberMetadata {
        session_timeout_ms: 9,
        supported_protocols: vec![protocol],
        ..Default::default()
    };
    let value = member::ConsumerGroupMemberMetadataValue {
        subscribed_topic_names: vec!["t"],
        classic_member_metadata: Some(classic),
        ..Default::default()
    };
    let of_member = [text("g"), text("m")].concat();
    all.push((5, 0, of_member.clone(), encoded(&value, 0)));
    let partitions = current::TopicPartitions { topic_id: ID, partitions: vec![1, 2], ..Default::default() };
    let value = current::ConsumerGroupCurrentMemberAssignmentValue {
        assigned_partitions: vec![partitions],
        ..Default::default()
    };
    all.push((8, 0, of_member.clone(), encoded(&value, 0)));
    let value = streams_member::StreamsGroupMemberMetadataValue {
        user_endpoint: Some(streams_member::Endpoint { host: "h", port: 65_535, ..Default::default() }),
        client_tags: vec![streams_member::KeyValue { key: "zone", value: "z", ..Default::default() }],
        ..Default::default()
    };
    all.push((19, 0, of_member, encoded(&value, 0)));
    let config = topology::TopicConfig { key: "cleanup.policy", value: "compact", ..Default::default() };
    let changelog = topology::TopicInfo { name: "c", topic_configs: vec![config], ..Default::default() };
    let sub = topology::Subtopology {
        subtopology_id: "0",
        source_topics: vec!["s"],
        state_changelog_topics: vec![changelog],
        copartition_groups: vec![topology::CopartitionGroup { source_topics: vec![0], ..Default::default() }],
        ..Default::default()
    };
    let value = topology::StreamsGroupTopologyValue { epoch: 1, subtopologies: vec![sub], ..Default::default() };
    all.push((23, 0, text("g"), encoded(&value, 0)));
    all
}

/// A subscription with the fields that the version has.
fn only_of<'a>(
    whole: &subscription::ConsumerProtocolSubscription<'a>,
    version: i16,
) -> subscription::ConsumerProtocolSubscription<'a> {
    let mut part = whole.clone();
    if version < 1 {
        part.owned_partitions.clear();
    }
    part
}

fn remote_records() -> Vec<Record> {
    let topic = remote::TopicIdPartitionEntry { name: "t", id: ID, partition: 3, ..Default::default() };
    let id = remote::RemoteLogSegmentIdEntry { topic_id_partition: topic, id: ID, ..Default::default() };
    let epochs = [(7, 40), (2, 20)].map(|(leader_epoch, offset)| remote::SegmentLeaderEpochEntry {
        leader_epoch,
        offset,
        ..Default::default()
    });
    let segment = remote::RemoteLogSegmentMetadataRecord {
        remote_log_segment_id: id,
        start_offset: 20,
        end_offset: 60,
        segment_leader_epochs: epochs.to_vec(),
        segment_size_in_bytes: 1000,
        ..Default::default()
    };
    let topic = remote_update::TopicIdPartitionEntry { name: "t", id: ID, partition: 3, ..Default::default() };
    let update = remote_update::RemoteLogSegmentMetadataUpdateRecord {
        remote_log_segment_id: remote_update::RemoteLogSegmentIdEntry {
            topic_id_partition: topic,
            id: ID,
            ..Default::default()
        },
        custom_metadata: Some(b"abc"),
        remote_log_segment_state: 1,
        ..Default::default()
    };
    let topic = remote_delete::TopicIdPartitionEntry { name: "t", id: ID, partition: 3, ..Default::default() };
    let delete = |state| remote_delete::RemotePartitionDeleteMetadataRecord {
        topic_id_partition: topic.clone(),
        remote_partition_delete_state: state,
        ..Default::default()
    };
    let mut all = vec![framed(&segment, 0), framed(&update, 0)];
    all.extend((0..3).map(|state| framed(&delete(state), 0)));
    all
}
