//! LeaveGroup. Asked of Apache Kafka 4.4: of a group that does not exist every member is UNKNOWN_MEMBER_ID, the answer as
//! a whole is no error.

mod harness;

use harness::{Driver, prompt_config};
use ottla_protocol::ErrorCode;

#[test]
fn the_rest_rebalances_and_the_last_one_leaves_an_empty_group() {
    let mut driver = Driver::new(prompt_config());
    let (ids, generation) = driver.stable_group(2);
    assert_eq!(driver.leave(&ids[0], None).members[0].1, ErrorCode::None);
    assert_eq!(driver.heartbeat(&ids[1], generation), ErrorCode::RebalanceInProgress);
    let token = driver.send_join(&ids[1]);
    let response = driver.joined(token);
    assert_eq!((response.leader.as_str(), response.members.len()), (ids[1].as_str(), 1));
    assert_eq!(driver.leave(&ids[1], None).members[0].1, ErrorCode::None);
    assert_eq!(driver.state(), "Empty");
}

#[test]
fn one_that_leaves_during_the_join_phase_is_not_waited_for() {
    let mut driver = Driver::new(prompt_config());
    let (ids, generation) = driver.stable_group(2);
    let token = driver.send_join(&ids[0]);
    driver.leave(&ids[1], None);
    assert_eq!(driver.joined(token).generation_id, generation + 1);
}

#[test]
fn an_id_that_was_handed_out_can_be_given_back() {
    let mut driver = Driver::new(prompt_config());
    let (ids, _) = driver.stable_group(1);
    let unused = driver.new_member_id();
    assert_eq!(driver.leave(&unused, None).members[0].1, ErrorCode::None);
    let token = driver.send_join(&ids[0]);
    assert!(!driver.is_waiting(token), "nobody waits for it");
}

#[test]
fn its_own_waiting_requests_are_answered() {
    let mut driver = Driver::new(prompt_config());
    let (ids, generation) = driver.stable_group(2);
    let join = driver.send_join(&ids[0]);
    driver.leave(&ids[0], None);
    assert_eq!(driver.joined(join).error, ErrorCode::UnknownMemberId);
    let token = driver.send_join(&ids[1]);
    assert!(driver.joined(token).error.is_none());
    let third = driver.new_member_id();
    let tokens = [driver.send_join(&third), driver.send_join(&ids[1])];
    tokens.into_iter().for_each(|t| assert!(driver.joined(t).error.is_none()));
    let sync = driver.send_sync(&third, generation + 2, &[]);
    driver.leave(&third, None);
    assert_eq!(driver.synced(sync).error, ErrorCode::UnknownMemberId);
}

#[test]
fn who_is_not_there_cannot_leave() {
    let mut driver = Driver::new(prompt_config());
    let response = driver.leave("nobody", None);
    assert_eq!((response.error, response.members[0].1), (ErrorCode::None, ErrorCode::UnknownMemberId));
    driver.stable_group(1);
    assert_eq!(driver.leave("nobody", None).members[0].1, ErrorCode::UnknownMemberId);
    assert_eq!(driver.state(), "Stable");
}
