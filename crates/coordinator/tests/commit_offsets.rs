//! OffsetCommit and OffsetFetch. Codes asked of Apache Kafka 4.4: generation -1 is for groups without members, a member
//! between JoinGroup and SyncGroup may not commit, an unknown group is GROUP_ID_NOT_FOUND or, before version 9,
//! ILLEGAL_GENERATION.

mod harness;

use harness::{Driver, GROUP, prompt_config};
use ottla_coordinator::group::api::GroupRequest;
use ottla_coordinator::group::config::GroupConfig;
use ottla_protocol::ErrorCode;

#[test]
fn what_was_committed_is_fetched_with_its_metadata() {
    let mut driver = Driver::new(prompt_config());
    let (ids, generation) = driver.stable_group(1);
    assert_eq!(driver.commit_offset(&ids[0], generation, "t", 5), ErrorCode::None);
    assert_eq!(driver.commit_offset(&ids[0], generation, "u", 7), ErrorCode::None);
    let all = driver.shard.fetch_offsets(GROUP, &None, false);
    assert_eq!(all.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(), ["t", "u"]);
    let fetched = &all[0].partitions[0];
    assert_eq!((fetched.partition, fetched.offset, fetched.leader_epoch), (0, 5, 3));
    assert_eq!(fetched.metadata, "at 5");
    let asked = Some(vec![("t".to_owned(), vec![1, 0]), ("never".to_owned(), vec![0])]);
    let some = driver.shard.fetch_offsets(GROUP, &asked, true);
    let offsets: Vec<i64> = some.iter().flat_map(|t| &t.partitions).map(|p| p.offset).collect();
    assert_eq!(offsets, [-1, 5, -1], "in the order of the request, -1 for what was never committed");
    assert!(driver.shard.fetch_offsets("other", &None, false).is_empty());
    assert_eq!(driver.fail_over().shard.fetch_offsets(GROUP, &None, false), all);
}

#[test]
fn an_offset_is_seen_and_acknowledged_when_it_is_committed() {
    let mut driver = Driver::new(prompt_config());
    assert_eq!(driver.commit_offset("", -1, "t", 1), ErrorCode::None);
    driver.hold_commits = true;
    let first = driver.send_commit("", -1, "t", 2);
    let second = driver.send_commit("", -1, "t", 3);
    assert!(driver.is_waiting(first) && driver.is_waiting(second));
    assert_eq!(driver.offset("t"), 1);
    assert_eq!(driver.fail_over().offset("t"), 1, "a coordinator that has only what is committed says the same");
    driver.commit();
    assert_eq!((driver.commit_code(first), driver.commit_code(second)), (ErrorCode::None, ErrorCode::None));
    assert_eq!(driver.offset("t"), 3);
}

#[test]
fn a_commit_that_is_not_appended_has_never_been() {
    let mut driver = Driver::new(prompt_config());
    assert_eq!(driver.commit_offset("", -1, "t", 1), ErrorCode::None);
    for (refused, answered) in [
        (ErrorCode::NotEnoughReplicas, ErrorCode::CoordinatorNotAvailable),
        (ErrorCode::NotLeaderOrFollower, ErrorCode::NotCoordinator),
        (ErrorCode::KafkaStorageError, ErrorCode::NotCoordinator),
        (ErrorCode::RecordListTooLarge, ErrorCode::UnknownServerError),
    ] {
        driver.refuse = Some(refused);
        assert_eq!(driver.commit_offset("", -1, "t", 9), answered);
        assert_eq!(driver.offset("t"), 1);
    }
    driver.refuse = None;
    driver.commit();
    assert_eq!(driver.offset("t"), 1);
}

#[test]
fn a_commit_that_takes_too_long_is_answered_and_may_still_count() {
    let mut driver = Driver::new(prompt_config());
    driver.hold_commits = true;
    let token = driver.send_commit("", -1, "t", 4);
    driver.advance(driver.config.offsets_commit_timeout_ms);
    assert_eq!(driver.commit_code(token), ErrorCode::CoordinatorNotAvailable);
    assert_eq!(driver.offset("t"), -1);
    driver.commit();
    assert_eq!(driver.offset("t"), 4);
}

#[test]
fn who_may_commit() {
    let mut driver = Driver::new(prompt_config());
    assert_eq!(driver.commit_offset("m", 1, "t", 1), ErrorCode::GroupIdNotFound);
    let mut old = driver.commit_request("m", 1, "t", 1);
    old.group_id_not_found_supported = false;
    let token = driver.send(GroupRequest::OffsetCommit(old));
    assert_eq!(driver.commit_code(token), ErrorCode::IllegalGeneration);

    let (ids, generation) = driver.stable_group(2);
    assert_eq!(driver.commit_offset("", -1, "t", 1), ErrorCode::UnknownMemberId, "the group is managed");
    assert_eq!(driver.commit_offset("stranger", generation, "t", 1), ErrorCode::UnknownMemberId);
    assert_eq!(driver.commit_offset(&ids[0], generation - 1, "t", 1), ErrorCode::IllegalGeneration);
    assert_eq!(driver.commit_offset(&ids[0], -1, "t", 1), ErrorCode::IllegalGeneration);
    assert_eq!(driver.commit_offset(&ids[0], generation, "t", 1), ErrorCode::None);

    let first = driver.send_join(&ids[0]);
    assert_eq!(driver.commit_offset(&ids[1], generation, "t", 2), ErrorCode::None, "before it gives its partitions up");
    let second = driver.send_join(&ids[1]);
    assert!(driver.joined(first).error.is_none() && driver.joined(second).error.is_none());
    assert_eq!(driver.commit_offset(&ids[0], generation + 1, "t", 3), ErrorCode::RebalanceInProgress);
    assert_eq!(driver.offset("t"), 2);

    ids.iter().for_each(|id| assert!(driver.leave(id, None).error.is_none()));
    assert_eq!(driver.commit_offset("", -1, "t", 1), ErrorCode::None, "an administrator resets an empty group");
    assert_eq!(driver.offset("t"), 1);
}

#[test]
fn metadata_has_a_limit_and_does_not_disturb_the_rest() {
    let mut driver = Driver::new(prompt_config());
    let mut request = driver.commit_request("", -1, "t", 1);
    let mut long = request.topics[0].clone();
    long.name = "u".into();
    // Counted as Java counts: the crab is two units, the e one, whatever their bytes.
    long.partitions[0].metadata = "\u{1F980}".repeat(2_048) + "é";
    request.topics.push(long);
    let token = driver.send(GroupRequest::OffsetCommit(request.clone()));
    let Some(ottla_coordinator::group::api::GroupResponse::OffsetCommit(topics)) = driver.replies.remove(&token) else {
        panic!("not answered");
    };
    let codes: Vec<ErrorCode> = topics.iter().map(|t| t.partitions[0].1).collect();
    assert_eq!(codes, [ErrorCode::None, ErrorCode::OffsetMetadataTooLarge]);
    assert_eq!((driver.offset("t"), driver.offset("u")), (1, -1));
    request.topics[1].partitions[0].metadata.pop();
    driver.send(GroupRequest::OffsetCommit(request));
    assert_eq!(driver.offset("u"), 1, "4096 units fit");
}

/// A record's string ends at 32767 bytes: a raised limit must not break it.
#[test]
fn a_note_that_no_record_can_hold_is_refused_whatever_the_limit() {
    let mut driver = Driver::new(GroupConfig { offset_metadata_max_bytes: 100_000, ..prompt_config() });
    for (length, code) in [(32_000, ErrorCode::None), (40_000, ErrorCode::OffsetMetadataTooLarge)] {
        let mut request = driver.commit_request("", -1, "t", 1);
        request.topics[0].partitions[0].metadata = "x".repeat(length);
        let token = driver.send(GroupRequest::OffsetCommit(request));
        assert_eq!(driver.commit_code(token), code);
    }
}
