//! Another coordinator takes over: it knows what is committed, and members go on without noticing.

mod harness;

use harness::{Driver, GROUP, SESSION_MS, prompt_config};
use ottla_coordinator::Effect;
use ottla_coordinator::group::api::{GroupResponse, JoinResponse, SyncResponse};
use ottla_protocol::ErrorCode;

#[test]
fn members_go_on_with_their_generation() {
    let mut driver = Driver::new(prompt_config());
    let (ids, generation) = driver.stable_group(3);
    let before = driver.shard.describe(GROUP);
    let mut next = driver.fail_over();
    assert_eq!(next.shard.describe(GROUP), before, "members, metadata and assignment are those of the log");
    for id in &ids {
        assert_eq!(next.heartbeat(id, generation), ErrorCode::None);
        let sync = next.send_sync(id, generation, &[]);
        assert_eq!(&*next.synced(sync).assignment, id.as_bytes());
    }
    assert_eq!(next.commit_offset(&ids[2], generation, "t", 1), ErrorCode::None);
}

#[test]
fn sessions_begin_when_the_groups_are_loaded() {
    let mut driver = Driver::new(prompt_config());
    let (ids, generation) = driver.stable_group(2);
    let mut next = driver.fail_over();
    next.advance(i64::from(SESSION_MS) - 1);
    assert_eq!(next.heartbeat(&ids[0], generation), ErrorCode::None);
    next.advance(1);
    assert_eq!(next.heartbeat(&ids[0], generation), ErrorCode::RebalanceInProgress, "the other was not heard of");
}

#[test]
fn a_rebalance_that_was_not_written_starts_over() {
    let mut driver = Driver::new(prompt_config());
    let (ids, generation) = driver.stable_group(2);
    let tokens: Vec<u64> = ids.iter().map(|id| driver.send_join(id)).collect();
    tokens.into_iter().for_each(|t| assert!(driver.joined(t).error.is_none()));
    let mut next = driver.fail_over();
    assert_eq!(next.heartbeat(&ids[0], generation + 1), ErrorCode::IllegalGeneration);
    let tokens: Vec<u64> = ids.iter().map(|id| next.send_join(id)).collect();
    assert!(tokens.into_iter().all(|t| next.joined(t).generation_id == generation + 1));
}

#[test]
fn whoever_waits_when_the_coordinator_resigns_hears_so() {
    let mut driver = Driver::new(prompt_config());
    let (ids, generation) = driver.stable_group(2);
    let join = driver.send_join(&ids[0]);
    driver.hold_commits = true;
    let commit = driver.send_commit(&ids[1], generation, "t", 1);
    let effects = driver.shard.resign(ErrorCode::NotCoordinator);
    let reply = |token: u64| {
        let found = effects.iter().find_map(|effect| match effect {
            Effect::Reply { token: t, response } if *t == token => Some(response.clone()),
            _ => None,
        });
        found.expect("answered")
    };
    assert_eq!(reply(join), GroupResponse::Join(JoinResponse::error(&ids[0], ErrorCode::NotCoordinator)));
    let GroupResponse::OffsetCommit(topics) = reply(commit) else { panic!("another answer") };
    assert_eq!(topics[0].partitions[0].1, ErrorCode::NotCoordinator);
    assert_eq!(effects.len(), 2);
}

#[test]
fn whoever_waits_in_sync_group_hears_so_too() {
    let mut driver = Driver::new(prompt_config());
    let (ids, generation) = driver.stable_group(2);
    let tokens: Vec<u64> = ids.iter().map(|id| driver.send_join(id)).collect();
    tokens.into_iter().for_each(|t| assert!(driver.joined(t).error.is_none()));
    let sync = driver.send_sync(&ids[1], generation + 1, &[]);
    let response = GroupResponse::Sync(SyncResponse::error(ErrorCode::NotCoordinator));
    assert_eq!(driver.shard.resign(ErrorCode::NotCoordinator), [Effect::Reply { token: sync, response }]);
}

#[test]
fn an_assignment_that_cannot_be_written_sends_everyone_back() {
    let mut driver = Driver::new(prompt_config());
    let (ids, generation) = driver.stable_group(2);
    let tokens: Vec<u64> = ids.iter().map(|id| driver.send_join(id)).collect();
    tokens.into_iter().for_each(|t| assert!(driver.joined(t).error.is_none()));
    let follower = driver.send_sync(&ids[1], generation + 1, &[]);
    driver.refuse = Some(ErrorCode::NotEnoughReplicas);
    let leader = driver.send_sync(&ids[0], generation + 1, &[]);
    assert_eq!(driver.synced(leader).error, ErrorCode::CoordinatorNotAvailable);
    assert_eq!(driver.synced(follower).error, ErrorCode::CoordinatorNotAvailable);
    assert_eq!(driver.state(), "PreparingRebalance");
}

#[test]
fn a_new_group_that_cannot_be_written_has_never_been() {
    let mut driver = Driver::new(prompt_config());
    driver.refuse = Some(ErrorCode::NotLeaderOrFollower);
    let token = driver.send_join("");
    let response = driver.joined(token);
    assert_eq!((response.error, response.member_id.as_str()), (ErrorCode::NotCoordinator, ""));
    driver.refuse = None;
    assert!(driver.shard.list(&[], &[]).is_empty());
    driver.stable_group(1);
}

/// Found by the simulation: members got the first assignment, the next coordinator read the second.
#[test]
fn a_leader_that_hands_in_twice_is_taken_at_its_first_word() {
    let mut driver = Driver::new(prompt_config());
    let (ids, generation) = driver.stable_group(1);
    let token = driver.send_join(&ids[0]);
    assert!(driver.joined(token).error.is_none());
    driver.hold_commits = true;
    driver.send_sync(&ids[0], generation + 1, &[(&ids[0], b"first")]);
    let second = driver.send_sync(&ids[0], generation + 1, &[(&ids[0], b"second")]);
    driver.hold_commits = false;
    driver.commit();
    assert_eq!(&*driver.synced(second).assignment, b"first");
    assert_eq!(driver.shard.describe(GROUP), driver.fail_over().shard.describe(GROUP));
}
