//! DescribeLogDirs (35), versions 1-5: the log directories of this broker, how full they are, and which partitions lie
//! there.
//!
//! * Null topics mean all partitions. Every directory is answered, also one without any; an offline one with
//!   KAFKA_STORAGE_ERROR.
//! * From 5 on it is told whether a directory is cordoned.
//! * A replica that moves here is told with `is_future_key`, beside the one in the directory that it comes from.
//! * `offset_lag` is how far the copy's end lags behind its log's; of a replica at its place, how far its log end lags behind
//!   the high watermark, which is 0. -1 for a copy whose log is offline.
//! * Describe on the cluster: else CLUSTER_AUTHORIZATION_FAILED (from 3; no directories before).

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use ottla_env::task;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_log_dirs_request::DescribeLogDirsRequest;
use ottla_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResponse, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use ottla_storage::{DirStatus, Log, LogManager};

use crate::context::{Answer, Refusal, RequestContext};
use crate::security::authorizer::{Operation, Resource};

/// A log, and how far it lags.
type Lagging = (Arc<Log>, i64);
/// The logs of a directory, by topic and partition.
type Logs = BTreeMap<Arc<str>, BTreeMap<i32, Lagging>>;

/// The lag of a copy whose log cannot be asked.
const UNKNOWN_LAG: i64 = -1;

pub(crate) async fn handle(cx: &RequestContext) -> Result<Answer, Refusal> {
    let request: DescribeLogDirsRequest<'_> = cx.decode()?;
    if !cx.authorized(Operation::Describe, Resource::Cluster) {
        let code = ErrorCode::ClusterAuthorizationFailed;
        cx.count_error(code);
        return cx.answer(&DescribeLogDirsResponse { error_code: code.code(), ..DescribeLogDirsResponse::default() });
    }
    let asked: Option<BTreeSet<(&str, i32)>> = request
        .topics
        .as_ref()
        .map(|topics| topics.iter().flat_map(|t| t.partitions.iter().map(|index| (t.topic, *index))).collect());
    let mut by_dir: BTreeMap<PathBuf, Logs> = BTreeMap::new();
    let manager = cx.broker.replicas.logs();
    for log in manager.logs().into_iter().chain(manager.futures()) {
        if asked.as_ref().is_none_or(|asked| asked.contains(&(&**log.topic(), log.partition()))) {
            let logs = by_dir.entry(log.dir().path().to_owned()).or_default();
            let lag = offset_lag(manager, &log);
            logs.entry(Arc::clone(log.topic())).or_default().insert(log.partition(), (log, lag));
        }
    }
    // How full a file system is may take a while to tell.
    let manager = Arc::clone(cx.broker.replicas.logs());
    let dirs = task::blocking("describe log dirs", move || manager.dirs()).await;
    let paths: Vec<String> = dirs.iter().map(|dir| dir.path.display().to_string()).collect();
    let results = dirs.iter().zip(&paths).map(|(dir, path)| result(dir, path, by_dir.get(&dir.path))).collect();
    cx.answer(&DescribeLogDirsResponse { results, ..DescribeLogDirsResponse::default() })
}

fn result<'a>(dir: &DirStatus, log_dir: &'a str, logs: Option<&'a Logs>) -> DescribeLogDirsResult<'a> {
    if dir.error.is_some() {
        return DescribeLogDirsResult {
            error_code: ErrorCode::KafkaStorageError.code(),
            log_dir,
            ..DescribeLogDirsResult::default()
        };
    }
    DescribeLogDirsResult {
        log_dir,
        topics: logs.into_iter().flatten().map(|(name, logs)| topic(name, logs)).collect(),
        total_bytes: dir.total_bytes,
        usable_bytes: dir.usable_bytes,
        is_cordoned: dir.is_cordoned,
        ..DescribeLogDirsResult::default()
    }
}

/// Kafka: `ReplicaManager.getLogEndOffsetLag`.
fn offset_lag(manager: &LogManager, log: &Log) -> i64 {
    if !log.is_future() {
        return (log.high_watermark() - log.log_end_offset()).max(0);
    }
    let current = manager.get(log.topic(), log.partition());
    current.map_or(UNKNOWN_LAG, |current| current.log_end_offset() - log.log_end_offset())
}

fn topic<'a>(name: &'a str, logs: &BTreeMap<i32, Lagging>) -> DescribeLogDirsTopic<'a> {
    let partition = |(index, (log, lag)): (&i32, &Lagging)| DescribeLogDirsPartition {
        partition_index: *index,
        partition_size: i64::try_from(log.size_bytes()).unwrap_or(i64::MAX),
        offset_lag: *lag,
        is_future_key: log.is_future(),
        ..DescribeLogDirsPartition::default()
    };
    DescribeLogDirsTopic { name, partitions: logs.iter().map(partition).collect(), ..DescribeLogDirsTopic::default() }
}
