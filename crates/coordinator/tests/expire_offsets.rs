//! How long offsets are kept: from when the group became empty, from the last commit if nobody manages the group or its
//! members have dropped the topic, or as long as the commit asked for.

mod harness;

use harness::{Driver, GROUP, prompt_config, protocol, subscription};
use ottla_coordinator::group::api::GroupRequest;
use ottla_coordinator::group::config::GroupConfig;
use ottla_protocol::ErrorCode;

const RETENTION_MS: i64 = 3_600_000;
const CHECK_MS: i64 = 60_000;

/// A group that is loaded, so that it looks after offsets.
fn driver() -> Driver {
    let config = GroupConfig {
        offsets_retention_ms: RETENTION_MS,
        offsets_retention_check_interval_ms: CHECK_MS,
        ..prompt_config()
    };
    Driver::loaded(config, Vec::new(), 1_000_000)
}

/// Keeps a member alive meanwhile.
fn advance_with_heartbeats(driver: &mut Driver, member: &str, generation: i32, ms: i64) {
    for _ in 0..ms / 5_000 {
        driver.advance(5_000);
        assert_eq!(driver.heartbeat(member, generation), ErrorCode::None);
    }
}

#[test]
fn offsets_of_a_simple_group_expire_each_from_its_commit_and_the_group_with_the_last() {
    let mut driver = driver();
    driver.commit_offset("", -1, "old", 1);
    driver.advance(RETENTION_MS / 2);
    driver.commit_offset("", -1, "new", 1);
    driver.advance(RETENTION_MS / 2 + CHECK_MS);
    assert_eq!((driver.offset("old"), driver.offset("new")), (-1, 1));
    assert_eq!(driver.state(), "Empty");
    driver.advance(RETENTION_MS / 2);
    assert_eq!((driver.offset("new"), driver.state()), (-1, "Dead"));
    let next = driver.fail_over();
    assert!(next.shard.list(&[], &[]).is_empty(), "the log says the same");
}

#[test]
fn offsets_of_a_managed_group_expire_from_when_it_became_empty() {
    let mut driver = driver();
    let (ids, generation) = driver.stable_group(1);
    assert_eq!(driver.commit_offset(&ids[0], generation, "t", 1), ErrorCode::None);
    advance_with_heartbeats(&mut driver, &ids[0], generation, RETENTION_MS * 2);
    assert_eq!(driver.offset("t"), 1, "members are there; what they subscribe to is not known");
    driver.leave(&ids[0], None);
    driver.advance(RETENTION_MS - CHECK_MS);
    assert_eq!((driver.offset("t"), driver.state()), (1, "Empty"));
    driver.advance(2 * CHECK_MS);
    assert_eq!((driver.offset("t"), driver.state()), (-1, "Dead"));
}

#[test]
fn what_members_no_longer_subscribe_to_expires_while_they_live() {
    let mut driver = driver();
    let mut request = driver.join_request("");
    request.known_member_id_required = false;
    request.protocols = vec![protocol("range", &subscription(&["used"]))];
    let token = driver.send(GroupRequest::Join(request));
    driver.advance(20);
    let joined = driver.joined(token);
    let sync = driver.send_sync(&joined.member_id, joined.generation_id, &[]);
    assert!(driver.synced(sync).error.is_none());
    driver.commit_offset(&joined.member_id, joined.generation_id, "used", 1);
    driver.commit_offset(&joined.member_id, joined.generation_id, "dropped", 1);
    advance_with_heartbeats(&mut driver, &joined.member_id, joined.generation_id, RETENTION_MS + CHECK_MS);
    assert_eq!((driver.offset("used"), driver.offset("dropped")), (1, -1));
    assert_eq!(driver.state(), "Stable");
}

#[test]
fn a_commit_may_ask_for_its_own_retention() {
    let mut driver = driver();
    let mut request = driver.commit_request("", -1, "short", 1);
    request.retention_time_ms = Some(2 * CHECK_MS);
    driver.send(GroupRequest::OffsetCommit(request));
    let mut next = driver.fail_over();
    next.advance(CHECK_MS);
    assert_eq!(next.offset("short"), 1);
    next.advance(CHECK_MS);
    assert_eq!(next.offset("short"), -1);
}

#[test]
fn a_group_without_offsets_and_members_goes() {
    let mut driver = driver();
    driver.new_member_id();
    assert_eq!(driver.state(), "Empty");
    driver.advance(CHECK_MS);
    assert_eq!(driver.state(), "Dead");
}

#[test]
fn offsets_of_a_deleted_topic_go_but_not_those_of_its_successor() {
    let mut driver = driver();
    let (ids, generation) = driver.stable_group(1);
    let ours = ottla_protocol::Uuid([1; 16]);
    for (topic, id) in [("gone", ours), ("kept", ours), ("unknown id", ottla_protocol::Uuid::ZERO)] {
        let mut request = driver.commit_request(&ids[0], generation, topic, 1);
        request.topics[0].topic_id = id;
        driver.send(GroupRequest::OffsetCommit(request));
    }
    let effects = driver.shard.topics_deleted(
        &[("gone", ours), ("kept", ottla_protocol::Uuid([2; 16])), ("unknown id", ours), ("never", ours)],
        driver.now(),
    );
    driver.apply(effects);
    let offsets = ["gone", "kept", "unknown id"].map(|topic| driver.offset(topic));
    assert_eq!(offsets, [-1, 1, -1]);
    assert_eq!(driver.fail_over().shard.fetch_offsets(GROUP, &None, false).len(), 1);
}
