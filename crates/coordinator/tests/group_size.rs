//! `group.max.size`.

mod harness;

use harness::{Driver, prompt_config};
use ottla_coordinator::group::config::GroupConfig;
use ottla_protocol::ErrorCode;

fn at_most(max_size: usize) -> GroupConfig {
    GroupConfig { max_size, ..prompt_config() }
}

#[test]
fn a_full_group_takes_nobody_in() {
    let mut driver = Driver::new(at_most(2));
    let (ids, generation) = driver.stable_group(2);
    let token = driver.send_join("");
    let response = driver.joined(token);
    assert_eq!((response.error, response.member_id.as_str()), (ErrorCode::GroupMaxSizeReached, ""));
    assert_eq!(driver.heartbeat(&ids[0], generation), ErrorCode::None, "nobody is disturbed");
    driver.leave(&ids[1], None);
    driver.new_member_id();
}

#[test]
fn a_group_larger_than_a_lowered_limit_shrinks_when_it_is_loaded() {
    let mut driver = Driver::new(prompt_config());
    let (ids, _) = driver.stable_group(3);
    let mut next = Driver::loaded(at_most(2), driver.log.clone(), driver.now_ms);
    assert_eq!(next.state(), "PreparingRebalance");
    let tokens: Vec<u64> = ids.iter().map(|id| next.send_join(id)).collect();
    let responses: Vec<_> = tokens.into_iter().map(|t| next.joined(t)).collect();
    let codes: Vec<ErrorCode> = responses.iter().map(|r| r.error).collect();
    assert_eq!(
        codes,
        [ErrorCode::None, ErrorCode::None, ErrorCode::GroupMaxSizeReached],
        "the last to come is left out"
    );
}
