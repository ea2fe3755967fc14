//! Static members (KIP-345). Asked of Apache Kafka 4.4: who comes back to a stable group gets its generation at once, from
//! version 9 on with the order to keep the assignment, before that with the id of the former leader; the old id is
//! FENCED_INSTANCE_ID with the instance id and UNKNOWN_MEMBER_ID without it.

mod harness;

use harness::{Driver, GROUP, REBALANCE_MS, SESSION_MS, prompt_config, protocol};
use ottla_coordinator::group::api::{GroupRequest, JoinResponse, SyncRequest};
use ottla_protocol::ErrorCode;

fn join_as(driver: &mut Driver, member_id: &str, instance: &str, version_9: bool) -> u64 {
    let mut request = driver.join_request(member_id);
    request.group_instance_id = Some(instance.into());
    request.skip_assignment_supported = version_9;
    driver.send(GroupRequest::Join(request))
}

fn sync_as(driver: &mut Driver, member_id: &str, instance: &str, generation_id: i32) -> u64 {
    driver.send(GroupRequest::Sync(SyncRequest {
        group_id: GROUP.into(),
        generation_id,
        member_id: member_id.into(),
        group_instance_id: Some(instance.into()),
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        assignments: vec![(member_id.into(), b"mine"[..].into())],
    }))
}

/// A stable group of static members `a` and `b`; what they were answered.
fn stable_pair(driver: &mut Driver) -> (JoinResponse, JoinResponse) {
    let tokens = [join_as(driver, "", "a", true), join_as(driver, "", "b", true)];
    driver.advance(20);
    let (a, b) = (driver.joined(tokens[0]), driver.joined(tokens[1]));
    let syncs =
        [sync_as(driver, &b.member_id, "b", b.generation_id), sync_as(driver, &a.member_id, "a", a.generation_id)];
    syncs.into_iter().for_each(|token| assert!(driver.synced(token).error.is_none()));
    assert_eq!(driver.state(), "Stable");
    (a, b)
}

#[test]
fn a_static_member_needs_no_second_question_and_is_named_after_its_instance() {
    let mut driver = Driver::new(prompt_config());
    let (a, b) = stable_pair(&mut driver);
    assert!(a.member_id.starts_with("a-") && b.member_id.starts_with("b-"));
    assert_eq!((a.leader.as_str(), a.members.len()), (a.member_id.as_str(), 2));
}

#[test]
fn it_comes_back_without_a_rebalance_and_the_old_id_is_fenced() {
    let mut driver = Driver::new(prompt_config());
    let (_, b) = stable_pair(&mut driver);
    let token = join_as(&mut driver, "", "b", true);
    let back = driver.joined(token);
    assert_eq!((back.error, back.generation_id, back.skip_assignment), (ErrorCode::None, b.generation_id, false));
    assert_ne!(back.member_id, b.member_id);
    assert_eq!(driver.state(), "Stable");
    assert_eq!(driver.heartbeat_as(&b.member_id, Some("b"), b.generation_id), ErrorCode::FencedInstanceId);
    assert_eq!(driver.heartbeat_as(&b.member_id, None, b.generation_id), ErrorCode::UnknownMemberId);
    assert_eq!(driver.heartbeat_as(&back.member_id, Some("b"), b.generation_id), ErrorCode::None);
    assert_eq!(driver.heartbeat_as(&back.member_id, Some("x"), b.generation_id), ErrorCode::UnknownMemberId);
    let fenced = sync_as(&mut driver, &b.member_id, "b", b.generation_id);
    assert_eq!(driver.synced(fenced).error, ErrorCode::FencedInstanceId);
    // The next coordinator knows it under its new id.
    let mut next = driver.fail_over();
    assert_eq!(next.heartbeat_as(&back.member_id, Some("b"), b.generation_id), ErrorCode::None);
}

#[test]
fn a_leader_that_comes_back_is_told_to_keep_the_assignment() {
    let mut driver = Driver::new(prompt_config());
    let (a, _) = stable_pair(&mut driver);
    let token = join_as(&mut driver, "", "a", true);
    let back = driver.joined(token);
    assert!(back.skip_assignment && back.members.len() == 2 && back.leader == back.member_id);
    let token = join_as(&mut driver, "", "a", false);
    let old_client = driver.joined(token);
    assert!(!old_client.skip_assignment && old_client.members.is_empty());
    assert_eq!(old_client.leader, back.member_id, "the former leader's id, so that it does not think it leads");
    let sync = sync_as(&mut driver, &old_client.member_id, "a", a.generation_id);
    assert_eq!(&*driver.synced(sync).assignment, b"mine", "it kept what it had");
}

#[test]
fn it_is_answered_once_its_new_id_is_committed_and_forgotten_if_that_fails() {
    let mut driver = Driver::new(prompt_config());
    let (_, b) = stable_pair(&mut driver);
    driver.refuse = Some(ErrorCode::NotLeaderOrFollower);
    let token = join_as(&mut driver, "", "b", true);
    assert_eq!(driver.joined(token).error, ErrorCode::NotCoordinator);
    driver.refuse = None;
    assert_eq!(driver.heartbeat_as(&b.member_id, Some("b"), b.generation_id), ErrorCode::None, "the old one is back");
    driver.hold_commits = true;
    let token = join_as(&mut driver, "", "b", true);
    assert!(driver.is_waiting(token));
    driver.commit();
    assert_eq!(driver.joined(token).error, ErrorCode::None);
}

#[test]
fn a_leader_whose_return_cannot_be_written_still_leads() {
    let mut driver = Driver::new(prompt_config());
    let (a, _) = stable_pair(&mut driver);
    driver.refuse = Some(ErrorCode::NotEnoughReplicas);
    let token = join_as(&mut driver, "", "a", true);
    assert_eq!(driver.joined(token).error, ErrorCode::CoordinatorNotAvailable);
    driver.refuse = None;
    let token = join_as(&mut driver, &a.member_id, "a", true);
    assert!(driver.is_waiting(token), "the leader's JoinGroup starts a rebalance");
    assert_eq!(driver.state(), "PreparingRebalance");
}

#[test]
fn it_may_be_away_for_a_rebalance_but_not_for_its_session() {
    let mut driver = Driver::new(prompt_config());
    let (a, b) = stable_pair(&mut driver);
    let token = join_as(&mut driver, &a.member_id, "a", true);
    driver.advance(i64::from(SESSION_MS) - 1);
    assert!(driver.is_waiting(token));
    driver.advance(1);
    let response = driver.joined(token);
    assert_eq!(response.members.len(), 1, "b's session ended, so the join phase need not wait for it any longer");
    assert_eq!(driver.heartbeat_as(&b.member_id, Some("b"), b.generation_id), ErrorCode::UnknownMemberId);
}

#[test]
fn one_that_stays_away_for_the_whole_join_phase_keeps_its_place() {
    let mut driver = Driver::new(prompt_config());
    let (a, b) = stable_pair(&mut driver);
    let token = join_as(&mut driver, &a.member_id, "a", true);
    for _ in 0..REBALANCE_MS / 5_000 {
        let code = driver.heartbeat_as(&b.member_id, Some("b"), b.generation_id);
        assert_eq!(code, ErrorCode::RebalanceInProgress);
        driver.advance(5_000);
    }
    assert_eq!(driver.joined(token).members.len(), 2);
}

#[test]
fn two_processes_with_one_instance_id_the_later_one_is_right() {
    let mut driver = Driver::new(prompt_config());
    let (a, _) = stable_pair(&mut driver);
    let first = join_as(&mut driver, &a.member_id, "a", true);
    let second = join_as(&mut driver, "", "a", true);
    assert_eq!(driver.joined(first).error, ErrorCode::FencedInstanceId);
    assert!(driver.is_waiting(second), "the rebalance goes on with the later one");
}

#[test]
fn one_that_comes_back_with_other_protocols_starts_a_rebalance() {
    let mut driver = Driver::new(prompt_config());
    let protocols = |first: &str, second: &str| vec![protocol(first, b""), protocol(second, b"")];
    let mut a = driver.join_request("");
    (a.group_instance_id, a.protocols) = (Some("a".into()), protocols("range", "sticky"));
    let token = driver.send(GroupRequest::Join(a.clone()));
    driver.advance(20);
    let joined = driver.joined(token);
    let sync = sync_as(&mut driver, &joined.member_id, "a", joined.generation_id);
    assert!(driver.synced(sync).error.is_none());
    a.protocols = protocols("sticky", "range");
    let token = driver.send(GroupRequest::Join(a));
    let response = driver.joined(token);
    assert_eq!(response.generation_id, joined.generation_id + 1);
    assert_eq!(response.protocol_name.as_deref(), Some("sticky"));
}

#[test]
fn an_administrator_removes_it_by_its_instance_id() {
    let mut driver = Driver::new(prompt_config());
    let (_, b) = stable_pair(&mut driver);
    assert_eq!(driver.leave("", Some("nobody")).members[0].1, ErrorCode::UnknownMemberId);
    assert_eq!(driver.leave("other", Some("b")).members[0].1, ErrorCode::FencedInstanceId);
    assert_eq!(driver.leave("", Some("b")).members[0].1, ErrorCode::None);
    assert_eq!(driver.state(), "PreparingRebalance");
    assert_eq!(driver.heartbeat_as(&b.member_id, Some("b"), b.generation_id), ErrorCode::UnknownMemberId);
}

/// Found by the simulation: the former self came back to life here, while the log had the new one.
#[test]
fn a_return_that_is_committed_late_stays() {
    let mut driver = Driver::new(prompt_config());
    let (_, b) = stable_pair(&mut driver);
    driver.hold_commits = true;
    let token = join_as(&mut driver, "", "b", true);
    driver.advance(driver.config.offsets_commit_timeout_ms);
    assert_eq!(driver.joined(token).error, ErrorCode::CoordinatorNotAvailable);
    driver.hold_commits = false;
    driver.commit();
    assert_eq!(driver.shard.describe(GROUP), driver.fail_over().shard.describe(GROUP));
    assert_eq!(driver.heartbeat_as(&b.member_id, Some("b"), b.generation_id), ErrorCode::FencedInstanceId);
}
