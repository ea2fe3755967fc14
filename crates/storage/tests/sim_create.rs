//! Logs that are made in great numbers without a sync each, and the power: what was flushed is there, with its topic id; of
//! what was not, a directory may be there or not, and is made again.
//!
//! ```text
//!   RUSTFLAGS="--cfg sim" OTTLA_SEED=7 cargo test --target-dir target/sim -p ottla-storage --test sim_create
//! ```
#![cfg(sim)]

mod support;

use std::path::Path;
use std::sync::Arc;

use ottla_env::sim::{Sim, crash, seeds};
use ottla_env::{fs, random};
use ottla_storage::{LogManager, Placement, WantedLog};
use support::*;

/// So many that a clean stop syncs their file system instead of each.
const PARTITIONS: i32 = 48;

/// What was done to a log before the power went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Idle,
    Appended,
    Rolled,
    Flushed,
}

fn manager() -> Arc<LogManager> {
    LogManager::open(options(&[Path::new("/data")])).expect("a directory can always be opened")
}

fn wanted() -> Vec<WantedLog> {
    let wanted = |partition| WantedLog {
        topic: Arc::from(TOPIC),
        partition,
        topic_id: topic_id(),
        config: small(300),
        placement: Placement::Anywhere,
    };
    (0..PARTITIONS).map(wanted).collect()
}

fn scenario() {
    fs::create_dir_all("/data").expect("made");
    format(Path::new("/data"));
    fs::sync_dir("/").expect("synced");
    let before = manager();
    let logs = before.create_all(wanted());
    let mut fates = Vec::new();
    for log in logs.iter().flatten() {
        let fate = [Fate::Idle, Fate::Appended, Fate::Rolled, Fate::Flushed][random::below(4) as usize];
        for _ in 0..if fate == Fate::Rolled { 9 } else { usize::from(fate != Fate::Idle) } {
            append(log, batch(1, "a record of some length"));
        }
        if fate == Fate::Flushed {
            log.flush().expect("flushed");
        }
        fates.push(fate);
    }
    let ends: Vec<i64> = logs.iter().flatten().map(|log| log.log_end_offset()).collect();
    let is_clean = random::below(2) == 0;
    if is_clean {
        before.stop(7).expect("stopped");
    }
    drop((logs, before));
    crash();
    let after = manager();
    assert_eq!(after.clean_broker_epoch(), is_clean.then_some(7));
    if is_clean {
        for (log, end) in after.create_all(wanted()).into_iter().zip(&ends) {
            assert_eq!(log.expect("there").log_end_offset(), *end, "a clean stop loses nothing");
        }
    }
    for (log, fate) in after.create_all(wanted()).into_iter().zip(fates) {
        let log = log.expect("it is there, or made again");
        assert_eq!(log.topic_id(), topic_id());
        match fate {
            Fate::Idle => assert_eq!(log.log_end_offset(), 0),
            Fate::Appended => assert!(log.log_end_offset() <= 1),
            // Some of the tail may be lost; a log that begins in its middle would be another one.
            Fate::Rolled => assert_eq!(log.log_start_offset(), 0),
            Fate::Flushed => assert_eq!(log.log_end_offset(), 1, "what was flushed is there"),
        }
    }
    after.stop(-1).expect("stopped");
}

#[test]
fn what_was_flushed_outlives_the_power() {
    for seed in seeds(60) {
        Sim::new(seed).run(async { scenario() });
    }
}
