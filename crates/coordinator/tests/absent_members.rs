//! Members that do not answer: sessions, the rebalance timeout, the time for SyncGroup, ids that are never used.

mod harness;

use harness::{Driver, REBALANCE_MS, SESSION_MS, prompt_config};
use ottla_protocol::ErrorCode;

#[test]
fn a_session_ends_without_heartbeats_and_lasts_with_them() {
    let mut driver = Driver::new(prompt_config());
    let (ids, generation) = driver.stable_group(2);
    for _ in 0..5 {
        driver.advance(i64::from(SESSION_MS) - 1);
        assert_eq!(driver.heartbeat(&ids[0], generation), ErrorCode::None);
        assert_eq!(driver.heartbeat(&ids[1], generation), ErrorCode::None);
    }
    driver.advance(i64::from(SESSION_MS) - 1);
    assert_eq!(driver.heartbeat(&ids[0], generation), ErrorCode::None);
    driver.advance(1);
    assert_eq!(driver.state(), "PreparingRebalance");
    assert_eq!(driver.heartbeat(&ids[1], generation), ErrorCode::UnknownMemberId);
    assert_eq!(driver.heartbeat(&ids[0], generation), ErrorCode::RebalanceInProgress);
    let token = driver.send_join(&ids[0]);
    assert_eq!(driver.joined(token).members.len(), 1);
}

#[test]
fn a_commit_is_a_sign_of_life() {
    let mut driver = Driver::new(prompt_config());
    let (ids, generation) = driver.stable_group(1);
    for offset in 0..5 {
        driver.advance(i64::from(SESSION_MS) - 1);
        assert_eq!(driver.commit_offset(&ids[0], generation, "t", offset), ErrorCode::None);
    }
    assert_eq!(driver.state(), "Stable");
}

#[test]
fn who_does_not_join_in_time_is_out() {
    let mut driver = Driver::new(prompt_config());
    let (ids, generation) = driver.stable_group(3);
    let tokens: Vec<u64> = ids[..2].iter().map(|id| driver.send_join(id)).collect();
    // The third goes on with heartbeats, but does not join.
    for _ in 0..REBALANCE_MS / 5_000 - 1 {
        driver.advance(5_000);
        assert_eq!(driver.heartbeat(&ids[2], generation), ErrorCode::RebalanceInProgress);
    }
    assert!(driver.is_waiting(tokens[0]), "members that wait in JoinGroup need no heartbeats");
    driver.advance(5_000);
    let members = driver.joined(tokens[0]).members;
    assert_eq!(members.len(), 2);
    assert_eq!(driver.heartbeat(&ids[2], generation + 1), ErrorCode::UnknownMemberId);
}

#[test]
fn if_the_leader_does_not_join_another_leads() {
    let mut driver = Driver::new(prompt_config());
    let (ids, generation) = driver.stable_group(2);
    let mut request = driver.join_request(&ids[1]);
    request.protocols[0].metadata = b"news"[..].into();
    let token = driver.send(ottla_coordinator::group::api::GroupRequest::Join(request));
    driver.advance(i64::from(REBALANCE_MS));
    let response = driver.joined(token);
    assert_eq!((response.leader.as_str(), response.generation_id), (ids[1].as_str(), generation + 1));
    assert_eq!(response.members.len(), 1);
}

#[test]
fn who_joins_but_does_not_sync_is_out_after_the_rebalance_timeout() {
    let mut driver = Driver::new(prompt_config());
    let (ids, generation) = driver.stable_group(2);
    let tokens: Vec<u64> = ids.iter().map(|id| driver.send_join(id)).collect();
    tokens.into_iter().for_each(|t| assert!(driver.joined(t).error.is_none()));
    let generation = generation + 1;
    let sync = driver.send_sync(&ids[0], generation, &[]);
    assert_eq!(driver.synced(sync).error, ErrorCode::None);
    for _ in 0..REBALANCE_MS / 5_000 {
        assert_eq!(driver.heartbeat(&ids[0], generation), ErrorCode::None);
        assert_eq!(driver.heartbeat(&ids[1], generation), ErrorCode::None, "a heartbeat does not replace SyncGroup");
        driver.advance(5_000);
    }
    assert_eq!(driver.heartbeat(&ids[1], generation), ErrorCode::UnknownMemberId);
    assert_eq!(driver.heartbeat(&ids[0], generation), ErrorCode::RebalanceInProgress);
}

#[test]
fn a_rebalance_waits_for_an_id_that_was_handed_out_until_its_session_ends() {
    let mut driver = Driver::new(prompt_config());
    let (ids, generation) = driver.stable_group(1);
    let unused = driver.new_member_id();
    let token = driver.send_join(&ids[0]);
    assert!(driver.is_waiting(token), "{unused} may come at any moment");
    driver.advance(i64::from(SESSION_MS));
    assert_eq!(driver.joined(token).generation_id, generation + 1);
    let late = driver.send_join(&unused);
    assert_eq!(driver.joined(late).error, ErrorCode::UnknownMemberId);
}

#[test]
fn a_group_whose_members_all_vanish_is_empty_and_written_so() {
    let mut driver = Driver::new(prompt_config());
    let (_, generation) = driver.stable_group(2);
    driver.advance(i64::from(SESSION_MS) + i64::from(REBALANCE_MS));
    assert_eq!(driver.state(), "Empty");
    let next = driver.fail_over();
    assert_eq!(next.state(), "Empty");
    let mut next = next;
    let (_, after) = next.stable_group(1);
    assert!(after > generation, "generations do not go back with the coordinator");
}
