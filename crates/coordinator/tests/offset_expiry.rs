//! `offsets.retention.minutes` after a group has become empty (or after the last commit of a simple group) its offsets go,
//! looked for every `offsets.retention.check.interval.ms`.

mod harness;

use harness::{Driver, prompt_config};
use ottla_coordinator::group::config::GroupConfig;
use ottla_protocol::ErrorCode;

#[test]
fn offsets_expire() {
    let config =
        GroupConfig { offsets_retention_ms: 100_000, offsets_retention_check_interval_ms: 10_000, ..prompt_config() };
    let mut driver = Driver::loaded(config, Vec::new(), 1_000_000);
    assert_eq!(driver.commit_offset("", -1, "topic", 5), ErrorCode::None);
    driver.advance(90_000);
    assert_eq!(driver.offset("topic"), 5, "kept within the retention");
    driver.advance(25_000);
    assert_eq!(driver.offset("topic"), -1, "gone with the next look after it");
    assert_eq!(driver.state(), "Dead", "and so is the group, which had nothing else");
}
