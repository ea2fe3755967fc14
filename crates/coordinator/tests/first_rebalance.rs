//! From nothing to a stable group. Apache Kafka 4.4 was asked the same (codes and order of answers agree): JoinGroup with
//! an unknown member id or to a group that does not exist is UNKNOWN_MEMBER_ID, a second JoinGroup within the initial
//! delay does not end it, SyncGroup before the leader's waits.

mod harness;

use harness::{Driver, GROUP, prompt_config};
use ottla_coordinator::group::api::GroupRequest;
use ottla_coordinator::group::config::GroupConfig;
use ottla_protocol::ErrorCode;

#[test]
fn a_new_member_is_told_its_id_first_and_the_group_is_written_before_it_hears() {
    let mut driver = Driver::new(prompt_config());
    driver.hold_commits = true;
    let token = driver.send_join("");
    assert_eq!(driver.log.len(), 1, "the new group is recorded");
    assert!(driver.is_waiting(token));
    assert_eq!(driver.state(), "Dead", "nobody hears of a group that may be lost");
    driver.commit();
    let response = driver.joined(token);
    assert_eq!(response.error, ErrorCode::MemberIdRequired);
    assert!(response.member_id.starts_with("client-") && response.member_id.len() == "client-".len() + 36);
    assert_eq!(driver.state(), "Empty");
}

#[test]
fn an_old_client_joins_without_knowing_its_id() {
    let mut driver = Driver::new(prompt_config());
    let mut request = driver.join_request("");
    request.known_member_id_required = false;
    let token = driver.send(GroupRequest::Join(request));
    driver.advance(10);
    let response = driver.joined(token);
    assert_eq!((response.error, response.generation_id), (ErrorCode::None, 1));
    assert_eq!(response.leader, response.member_id);
    assert_eq!(
        (response.protocol_type.as_deref(), response.protocol_name.as_deref()),
        (Some("consumer"), Some("range"))
    );
    assert_eq!(response.members.len(), 1);
}

#[test]
fn members_of_the_initial_delay_are_one_generation() {
    let mut driver = Driver::new(GroupConfig::default());
    let first = driver.new_member_id();
    let second = driver.new_member_id();
    let first_token = driver.send_join(&first);
    driver.advance(2_000);
    let second_token = driver.send_join(&second);
    driver.advance(1_500);
    assert!(driver.is_waiting(first_token), "the second member extended the delay");
    driver.advance(2_500);
    let (a, b) = (driver.joined(first_token), driver.joined(second_token));
    assert_eq!((a.generation_id, b.generation_id), (1, 1));
    assert_eq!((a.leader.as_str(), b.leader.as_str()), (first.as_str(), first.as_str()), "the first to join leads");
    assert_eq!((a.members.len(), b.members.len()), (2, 0), "only the leader learns who the members are");
}

#[test]
fn the_delay_is_not_extended_beyond_the_rebalance_timeout() {
    let mut driver = Driver::new(GroupConfig::default());
    let ids: Vec<String> = (0..8).map(|_| driver.new_member_id()).collect();
    let mut tokens = Vec::new();
    for id in &ids {
        let mut request = driver.join_request(id);
        request.rebalance_timeout_ms = 10_000;
        tokens.push(driver.send(GroupRequest::Join(request)));
        driver.advance(1_400);
    }
    assert!(!driver.is_waiting(tokens[0]), "ten seconds are over");
}

#[test]
fn followers_wait_for_the_leaders_assignment_and_all_wait_for_its_commit() {
    let mut driver = Driver::new(prompt_config());
    let (ids, generation) = driver.stable_group(2);
    // A rebalance, to see the phase from outside.
    let rejoin: Vec<u64> = ids.iter().map(|id| driver.send_join(id)).collect();
    let responses: Vec<_> = rejoin.into_iter().map(|t| driver.joined(t)).collect();
    let generation = generation + 1;
    assert!(responses.iter().all(|r| r.generation_id == generation));
    let follower = driver.send_sync(&ids[1], generation, &[]);
    assert!(driver.is_waiting(follower));
    driver.hold_commits = true;
    let leader = driver.send_sync(&ids[0], generation, &[(&ids[0], b"one"), ("stranger", b"x")]);
    assert!(driver.is_waiting(leader) && driver.is_waiting(follower));
    assert_eq!(driver.state(), "CompletingRebalance");
    driver.commit();
    assert_eq!(&*driver.synced(leader).assignment, b"one");
    let response = driver.synced(follower);
    assert_eq!((response.error, response.assignment.len()), (ErrorCode::None, 0), "left out: nothing is assigned");
    assert_eq!(driver.state(), "Stable");
}

#[test]
fn who_may_not_join() {
    let mut driver = Driver::new(prompt_config());
    let token = driver.send_join("client-made-up");
    assert_eq!(driver.joined(token).error, ErrorCode::UnknownMemberId);
    assert!(driver.log.is_empty(), "a made-up member makes no group");
    let join = |driver: &mut Driver, change: &dyn Fn(&mut ottla_coordinator::group::api::JoinRequest)| {
        let mut request = driver.join_request("");
        change(&mut request);
        let token = driver.send(GroupRequest::Join(request));
        driver.joined(token).error
    };
    assert_eq!(join(&mut driver, &|r| r.group_id.clear()), ErrorCode::InvalidGroupId);
    assert_eq!(join(&mut driver, &|r| r.session_timeout_ms = 5_999), ErrorCode::InvalidSessionTimeout);
    assert_eq!(join(&mut driver, &|r| r.session_timeout_ms = 1_800_001), ErrorCode::InvalidSessionTimeout);
    assert_eq!(join(&mut driver, &|r| r.protocol_type.clear()), ErrorCode::InconsistentGroupProtocol);
    assert_eq!(join(&mut driver, &|r| r.protocols.clear()), ErrorCode::InconsistentGroupProtocol);
    driver.stable_group(1);
    assert_eq!(join(&mut driver, &|r| r.protocol_type = "connect".into()), ErrorCode::InconsistentGroupProtocol);
    assert_eq!(join(&mut driver, &|r| r.protocols[0].name = "other".into()), ErrorCode::InconsistentGroupProtocol);
    assert_eq!(driver.shard.describe(GROUP).state, "Stable", "none of this disturbed the group");
}

/// Found by the simulation: everyone had left within the initial delay, and nobody was let in any more.
#[test]
fn a_group_that_everyone_left_within_the_delay_takes_new_members() {
    let mut driver = Driver::new(GroupConfig::default());
    let id = driver.new_member_id();
    driver.send_join(&id);
    driver.leave(&id, None);
    assert_eq!(driver.state(), "PreparingRebalance");
    let id = driver.new_member_id();
    let token = driver.send_join(&id);
    driver.advance(6_000);
    assert_eq!(driver.joined(token).error, ErrorCode::None);
}
