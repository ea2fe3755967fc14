//! Moves between the log directories of a node.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each scenario uses a part of it")]

use std::path::{Path, PathBuf};

use ottla_client::TopicPartition;
use ottla_client::admin::ReplicaInfo;
use ottla_env::fs;
use ottla_protocol::ErrorCode;

use crate::support::{Node, names};

const NODE: i32 = 1;

/// Two directories that are not there yet, and `log.dirs` for both.
pub fn two_dirs(below: &Path) -> ([PathBuf; 2], String) {
    let dirs = ["a", "b"].map(|name| below.join(name));
    let log_dirs = format!("{},{}", dirs[0].display(), dirs[1].display());
    (dirs, log_dirs)
}

/// Asks for a move, and gives the code that it is answered with.
pub async fn alter(node: &Node, topic: &str, partition: i32, dir: &Path) -> ErrorCode {
    let tp = TopicPartition::new(topic, partition);
    let wanted = [(tp.clone(), dir.display().to_string())].into();
    let mut outcomes = node.admin().await.alter_replica_log_dirs(NODE, &wanted).await.unwrap();
    match outcomes.remove(&tp).unwrap() {
        Ok(()) => ErrorCode::None,
        Err(error) => error.code().unwrap(),
    }
}

/// What the node says of a partition in a directory.
pub async fn replica_in(node: &Node, topic: &str, dir: &Path) -> Option<ReplicaInfo> {
    let dirs = node.admin().await.describe_log_dirs(NODE).await.unwrap();
    let described = dirs.into_iter().find(|d| Path::new(&d.path) == dir).unwrap();
    described.replicas.get(&TopicPartition::new(topic, 0)).cloned()
}

/// Whether partition 0 lies there, and nowhere else.
pub async fn lies_in(node: &Node, topic: &str, dir: &Path, other: &Path) -> bool {
    let there = replica_in(node, topic, dir).await.is_some_and(|replica| !replica.is_future);
    there && replica_in(node, topic, other).await.is_none() && fs::exists(dir.join(format!("{topic}-0")))
}

/// How many copies are on their way into a directory.
pub fn copies_in(dir: &Path) -> usize {
    names(dir, "-future").len()
}
