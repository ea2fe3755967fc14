use super::*;
use crate::message::Message;
use crate::messages::{group_metadata_value, offset_commit_value, partition_record, voters_record};
use crate::writer::Writer;

/// Writes a visit as `{name:value,…}`.
#[derive(Default)]
struct Told(String);

impl Visitor for Told {
    fn begin_struct(&mut self) {
        self.0.push('{');
    }
    fn field(&mut self, name: &'static str) {
        self.0 += &format!(" {name}:");
    }
    fn end_struct(&mut self) {
        self.0.push('}');
    }
    fn begin_array(&mut self) {
        self.0.push('[');
    }
    fn end_array(&mut self) {
        self.0.push(']');
    }
    fn scalar(&mut self, value: Scalar<'_>) {
        self.0 += &match value {
            Scalar::Null => "null".to_owned(),
            Scalar::Bool(b) => b.to_string(),
            Scalar::Int(n) => format!("{n},"),
            Scalar::Float(f) => f.to_string(),
            Scalar::Uuid(id) => id.to_string(),
            Scalar::Text(text) => format!("'{text}'"),
            Scalar::Bytes(bytes) => format!("{bytes:?}"),
        };
    }
}

fn encoded<'a, M: Message<'a>>(message: &M, version: i16) -> Vec<u8> {
    let mut w = Writer::default();
    message.encode(&mut w, version).expect("encodes");
    w.into_bytes()
}

fn told(name: &str, bytes: &[u8], version: i16) -> Result<String, DecodeError> {
    let mut told = Told::default();
    let mut r = Reader::new(bytes);
    named(name).expect("a message").visit(&mut r, version, &mut told)?;
    assert_eq!(r.remaining(), 0, "all of it is read");
    Ok(told.0)
}

#[test]
fn a_tagged_field_stands_where_it_is_defined() {
    let record = partition_record::PartitionRecord {
        partition_id: 3,
        replicas: vec![1, 2],
        leader: 1,
        leader_recovery_state: 1,
        ..Default::default()
    };
    let text = told("PartitionRecord", &encoded(&record, 0), 0).expect("reads");
    assert_eq!(
        text,
        "{ partitionId:3, topicId:AAAAAAAAAAAAAAAAAAAAAA replicas:[1,2,] isr:[] removingReplicas:[] addingReplicas:[] \
         leader:1, leaderRecoveryState:1, leaderEpoch:-1, partitionEpoch:-1,}"
    );
    let record = partition_record::PartitionRecord { leader_recovery_state: 0, ..record };
    let text = told("PartitionRecord", &encoded(&record, 0), 0).expect("reads");
    assert!(!text.contains("leaderRecoveryState"), "{text}");
}

#[test]
fn versions_choose_fields_and_encoding() {
    let value = offset_commit_value::OffsetCommitValue { offset: 7, metadata: "m", ..Default::default() };
    for (version, wanted) in [
        (1, "{ offset:7, metadata:'m' commitTimestamp:0, expireTimestamp:-1,}"),
        (3, "{ offset:7, leaderEpoch:-1, metadata:'m' commitTimestamp:0,}"),
        (4, "{ offset:7, leaderEpoch:-1, metadata:'m' commitTimestamp:0,}"),
    ] {
        assert_eq!(told("OffsetCommitValue", &encoded(&value, version), version).as_deref(), Ok(wanted));
    }
    assert!(matches!(told("OffsetCommitValue", &[], 5), Err(DecodeError::UnsupportedVersion { version: 5, .. })));
}

#[test]
fn shared_structs_and_structs_within_structs_are_told() {
    let member = group_metadata_value::MemberMetadata { member_id: "a", subscription: &[1], ..Default::default() };
    let value =
        group_metadata_value::GroupMetadataValue { members: vec![member], protocol: None, ..Default::default() };
    let text = told("GroupMetadataValue", &encoded(&value, 3), 3).expect("reads");
    assert!(text.contains("protocol:null") && text.contains("memberId:'a'") && text.contains("subscription:[1]"));
    let voter = voters_record::Voter { voter_id: 5, ..Default::default() };
    let value = voters_record::VotersRecord { voters: vec![voter], ..Default::default() };
    let text = told("VotersRecord", &encoded(&value, 0), 0).expect("reads");
    assert!(text.contains("kRaftVersionFeature:{ minSupportedVersion:0, maxSupportedVersion:0,}"), "{text}");
}

#[test]
fn cut_bytes_are_an_error_and_never_a_panic() {
    let record = partition_record::PartitionRecord { leader_recovery_state: 1, ..Default::default() };
    let bytes = encoded(&record, 2);
    for end in 0..bytes.len() {
        let mut r = Reader::new(&bytes[..end]);
        assert!(named("PartitionRecord").expect("a message").visit(&mut r, 2, &mut ()).is_err(), "cut at {end}");
    }
}
