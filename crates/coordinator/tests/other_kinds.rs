//! A log that Apache Kafka wrote with protocols that are not served here: consumer, share and streams groups, and offsets
//! inside transactions. Their records are left alone, their groups are what a group of another type is for Kafka.

mod harness;

use harness::{Driver, GROUP, prompt_config};
use ottla_coordinator::group::api::{GroupRequest, GroupResponse, OffsetDeleteRequest};
use ottla_coordinator::group::config::GroupConfig;
use ottla_coordinator::{GroupShard, RecordError};
use ottla_protocol::ErrorCode;
use ottla_protocol::message::Message;
use ottla_protocol::messages::consumer_group_member_metadata_key::ConsumerGroupMemberMetadataKey;
use ottla_protocol::messages::consumer_group_metadata_key::ConsumerGroupMetadataKey;
use ottla_protocol::messages::offset_commit_key::OffsetCommitKey;
use ottla_protocol::messages::offset_commit_value::OffsetCommitValue;
use ottla_protocol::messages::share_group_metadata_key::ShareGroupMetadataKey;
use ottla_protocol::messages::streams_group_metadata_key::StreamsGroupMetadataKey;
use ottla_protocol::writer::Writer;

fn bytes<'a, M: Message<'a>>(number: i16, message: &M, version: i16) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.i16(number);
    message.encode(&mut writer, version).expect("a message of known strings");
    writer.into_bytes()
}

fn group_key() -> Vec<u8> {
    bytes(3, &ConsumerGroupMetadataKey { group_id: GROUP, ..Default::default() }, 0)
}

fn member_key(member_id: &str) -> Vec<u8> {
    bytes(5, &ConsumerGroupMemberMetadataKey { group_id: GROUP, member_id, ..Default::default() }, 0)
}

fn offset_key() -> Vec<u8> {
    bytes(1, &OffsetCommitKey { group: GROUP, topic: "t", partition: 0, ..Default::default() }, 0)
}

fn offset_value(offset: i64) -> Vec<u8> {
    bytes(3, &OffsetCommitValue { offset, ..Default::default() }, 3)
}

/// What a value of an unserved record says is not looked at.
const VALUE: Option<&[u8]> = Some(&[0, 0]);

fn loaded(records: &[(&[u8], Option<&[u8]>)]) -> Driver {
    let config = GroupConfig { offsets_retention_ms: 1, offsets_retention_check_interval_ms: 1, ..prompt_config() };
    let mut driver = Driver::new(config);
    for (key, value) in records {
        driver.shard.replay(None, Some(key), *value).expect("a record that Kafka writes");
    }
    let effects = driver.shard.loaded(driver.now());
    driver.apply(effects);
    driver
}

#[test]
fn a_consumer_group_is_listed_and_fetched_from_but_not_joined() {
    let mut driver =
        loaded(&[(&group_key(), VALUE), (&member_key("m"), VALUE), (&offset_key(), Some(&offset_value(7)))]);
    let listed = driver.shard.list(&[], &["CONSUMER".into()]);
    assert_eq!((listed.len(), listed[0].group_type, listed[0].state), (1, "consumer", "Unknown"));
    assert!(driver.shard.list(&[], &["classic".into()]).is_empty());
    let described = driver.shard.describe(GROUP);
    assert_eq!((described.error, described.state), (ErrorCode::GroupIdNotFound, "Dead"));
    assert_eq!(driver.offset("t"), 7);
    let token = driver.send_join("");
    assert_eq!(driver.joined(token).error, ErrorCode::InconsistentGroupProtocol);
    assert_eq!(driver.heartbeat("m", 1), ErrorCode::UnknownMemberId);
    assert_eq!(driver.commit_offset("m", 1, "t", 8), ErrorCode::UnknownMemberId);
    assert_eq!(driver.leave("m", None).members[0].1, ErrorCode::UnknownMemberId);
    let sync = driver.send_sync("m", 1, &[]);
    assert_eq!(driver.synced(sync).error, ErrorCode::UnknownMemberId);
    assert_eq!(driver.delete_group(GROUP), ErrorCode::NonEmptyGroup);
}

#[test]
fn nothing_of_it_expires_or_is_rewritten() {
    let mut driver = loaded(&[(&group_key(), VALUE), (&offset_key(), Some(&offset_value(7)))]);
    driver.advance(1_000);
    assert_eq!(driver.offset("t"), 7);
    assert_eq!(driver.delete_group(GROUP), ErrorCode::GroupDeletionFailed);
    let topics = vec![("t".to_owned(), vec![0])];
    let token = driver.send(GroupRequest::OffsetDelete(OffsetDeleteRequest { group_id: GROUP.into(), topics }));
    let Some(GroupResponse::OffsetDelete(response)) = driver.replies.remove(&token) else { panic!("not answered") };
    assert_eq!(response.error, ErrorCode::NonEmptyGroup);
    assert!(driver.log.is_empty(), "nothing was written");
    assert_eq!(
        driver.commit_offset("", -1, "t", 9),
        ErrorCode::None,
        "an administrator may set offsets while it is empty"
    );
}

#[test]
fn once_its_own_records_say_that_it_is_gone_the_id_is_free() {
    let mut driver =
        loaded(&[(&group_key(), VALUE), (&member_key("m"), VALUE), (&member_key("m"), None), (&group_key(), None)]);
    assert!(driver.shard.list(&[], &[]).is_empty());
    driver.stable_group(1);
}

#[test]
fn share_and_streams_groups_are_told_apart() {
    let share = bytes(11, &ShareGroupMetadataKey { group_id: "s", ..Default::default() }, 0);
    let streams = bytes(17, &StreamsGroupMetadataKey { group_id: "k", ..Default::default() }, 0);
    let driver = loaded(&[(&share, VALUE), (&streams, VALUE)]);
    let types: Vec<_> = driver.shard.list(&[], &[]).into_iter().map(|g| (g.group_id, g.group_type)).collect();
    assert_eq!(types, [("k".to_owned(), "streams"), ("s".to_owned(), "share")]);
}

#[test]
fn a_record_of_a_type_that_nobody_knows_is_skipped_and_a_broken_one_is_an_error() {
    let driver = loaded(&[(&[0, 99, 1, 2, 3], VALUE)]);
    assert!(driver.shard.list(&[], &[]).is_empty());
    let mut shard = GroupShard::new(prompt_config());
    assert_eq!(shard.replay(None, None, VALUE), Err(RecordError::NoKey));
    assert!(matches!(shard.replay(None, Some(&[0, 1, 0]), VALUE), Err(RecordError::Malformed { record_type: 1, .. })));
    let unknown = RecordError::UnknownVersion { record_type: 1, version: 77 };
    assert_eq!(shard.replay(None, Some(&offset_key()), Some(&[0, 77])), Err(unknown));
}

/// The fate of an offset inside a transaction: what is fetched, and whether a stable offset can be had.
fn in_transaction(then: impl FnOnce(&mut GroupShard)) -> (i64, ErrorCode) {
    let mut shard = GroupShard::new(prompt_config());
    shard.replay(None, Some(&offset_key()), Some(&offset_value(1))).unwrap_or_else(|e| panic!("{e}"));
    shard.replay(Some(42), Some(&offset_key()), Some(&offset_value(5))).unwrap_or_else(|e| panic!("{e}"));
    then(&mut shard);
    let wanted = Some(vec![("t".to_owned(), vec![0])]);
    let offset = shard.fetch_offsets(GROUP, &wanted, false)[0].partitions[0].offset;
    (offset, shard.fetch_offsets(GROUP, &wanted, true)[0].partitions[0].error)
}

#[test]
fn offsets_of_a_transaction_count_once_it_is_committed() {
    assert_eq!(in_transaction(|_| {}), (1, ErrorCode::UnstableOffsetCommit));
    assert_eq!(in_transaction(|shard| shard.replay_marker(42, true)), (5, ErrorCode::None));
    assert_eq!(in_transaction(|shard| shard.replay_marker(42, false)), (1, ErrorCode::None));
    assert_eq!(in_transaction(|shard| shard.replay_marker(43, true)), (1, ErrorCode::UnstableOffsetCommit));
    let overtaken = in_transaction(|shard| {
        shard.replay(None, Some(&offset_key()), Some(&offset_value(9))).unwrap_or_else(|e| panic!("{e}"));
        shard.replay_marker(42, true);
    });
    assert_eq!(overtaken, (9, ErrorCode::None), "a later commit outside the transaction wins");
}

#[test]
fn a_group_is_there_from_the_first_offset_of_an_open_transaction_on() {
    let mut shard = GroupShard::new(prompt_config());
    shard.replay(Some(42), Some(&offset_key()), Some(&offset_value(5))).unwrap_or_else(|e| panic!("{e}"));
    let listed = shard.list(&[], &[]);
    assert_eq!((listed.len(), listed[0].group_type, listed[0].state), (1, "classic", "Empty"));
    let wanted = Some(vec![("t".to_owned(), vec![0])]);
    assert_eq!(shard.fetch_offsets(GROUP, &wanted, false)[0].partitions[0].offset, -1);
}

#[test]
fn offsets_of_an_open_transaction_keep_their_group() {
    let config = GroupConfig { offsets_retention_ms: 1, offsets_retention_check_interval_ms: 1, ..prompt_config() };
    let mut driver = Driver::new(config);
    driver.shard.replay(None, Some(&offset_key()), Some(&offset_value(1))).unwrap_or_else(|e| panic!("{e}"));
    driver.shard.replay(Some(42), Some(&offset_key()), Some(&offset_value(5))).unwrap_or_else(|e| panic!("{e}"));
    let effects = driver.shard.loaded(driver.now());
    driver.apply(effects);
    driver.advance(1_000);
    assert_eq!(driver.offset("t"), 1);
}
