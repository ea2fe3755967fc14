//! A member joins again. Asked of Apache Kafka 4.4: the leader's JoinGroup starts a rebalance, a follower's with the same
//! metadata repeats the generation, and so does one that lost its answer while the group completes its rebalance.

mod harness;

use harness::{Driver, prompt_config, protocol};
use ottla_coordinator::group::api::GroupRequest;
use ottla_protocol::ErrorCode;

#[test]
fn a_follower_with_nothing_new_gets_the_generation_again() {
    let mut driver = Driver::new(prompt_config());
    let (ids, generation) = driver.stable_group(2);
    let token = driver.send_join(&ids[1]);
    let response = driver.joined(token);
    assert_eq!((response.error, response.generation_id, response.members.len()), (ErrorCode::None, generation, 0));
    assert_eq!(response.leader, ids[0]);
    assert_eq!(driver.state(), "Stable");
}

#[test]
fn a_follower_with_news_starts_a_rebalance() {
    let mut driver = Driver::new(prompt_config());
    let (ids, generation) = driver.stable_group(2);
    let mut request = driver.join_request(&ids[1]);
    request.protocols = vec![protocol("range", b"another subscription")];
    let follower = driver.send(GroupRequest::Join(request));
    assert!(driver.is_waiting(follower));
    assert_eq!(driver.heartbeat(&ids[0], generation), ErrorCode::RebalanceInProgress);
    let leader = driver.send_join(&ids[0]);
    let response = driver.joined(leader);
    assert_eq!(response.generation_id, generation + 1);
    let news = response.members.iter().find(|m| m.member_id == ids[1]).expect("a member");
    assert_eq!(&*news.metadata, b"another subscription");
    assert_eq!(driver.joined(follower).generation_id, generation + 1);
}

#[test]
fn the_leader_starts_a_rebalance_whatever_it_says() {
    let mut driver = Driver::new(prompt_config());
    let (ids, generation) = driver.stable_group(2);
    let leader = driver.send_join(&ids[0]);
    assert!(driver.is_waiting(leader));
    assert_eq!(driver.state(), "PreparingRebalance");
    let follower = driver.send_join(&ids[1]);
    assert_eq!(driver.joined(leader).generation_id, generation + 1);
    assert_eq!(driver.joined(follower).generation_id, generation + 1);
}

#[test]
fn a_lost_answer_is_repeated_while_the_rebalance_completes() {
    let mut driver = Driver::new(prompt_config());
    let (ids, generation) = driver.stable_group(2);
    let tokens: Vec<u64> = ids.iter().map(|id| driver.send_join(id)).collect();
    let first = driver.joined(tokens[0]);
    let again = driver.send_join(&ids[0]);
    assert_eq!(driver.joined(again), first);
    assert_eq!((first.generation_id, first.members.len()), (generation + 1, 2), "the leader is told the members again");
}

#[test]
fn a_second_connection_takes_the_place_of_a_request_that_waits() {
    let mut driver = Driver::new(prompt_config());
    let (ids, generation) = driver.stable_group(2);
    let lost = driver.send_join(&ids[0]);
    let kept = driver.send_join(&ids[0]);
    assert_eq!(driver.joined(lost).error, ErrorCode::RebalanceInProgress);
    driver.send_join(&ids[1]);
    assert_eq!(driver.joined(kept).generation_id, generation + 1);
}

#[test]
fn news_while_the_rebalance_completes_starts_another() {
    let mut driver = Driver::new(prompt_config());
    let (ids, generation) = driver.stable_group(2);
    let tokens: Vec<u64> = ids.iter().map(|id| driver.send_join(id)).collect();
    tokens.into_iter().for_each(|t| assert!(driver.joined(t).error.is_none()));
    let sync = driver.send_sync(&ids[1], generation + 1, &[]);
    let mut request = driver.join_request(&ids[0]);
    request.protocols = vec![protocol("range", b"news")];
    driver.send(GroupRequest::Join(request));
    assert_eq!(driver.synced(sync).error, ErrorCode::RebalanceInProgress, "who waits in SyncGroup is sent back");
    assert_eq!(driver.state(), "PreparingRebalance");
}
