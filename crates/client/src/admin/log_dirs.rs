//! Log directories of a broker: what lies in them, and moving replicas between them (KIP-113).

use std::collections::BTreeMap;

use ottla_protocol::messages::alter_replica_log_dirs_request::{
    AlterReplicaLogDir, AlterReplicaLogDirTopic, AlterReplicaLogDirsRequest,
};
use ottla_protocol::messages::describe_log_dirs_request::DescribeLogDirsRequest;

use super::Admin;
use crate::cluster::Lane;
use crate::error::{Error, check};
use crate::topic_partition::TopicPartition;

/// A replica in a log directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaInfo {
    /// Bytes of its log.
    pub size_bytes: i64,
    /// Of a copy, how far its end lags behind that of its log; -1 if that is offline. Otherwise how far the log end lags behind
    /// the high watermark.
    pub offset_lag: i64,
    /// Whether it is the copy of a replica that moves here.
    pub is_future: bool,
}

/// A log directory.
#[derive(Debug, Clone)]
pub struct LogDirDescription {
    /// Its path on the broker.
    pub path: String,
    /// Why nothing is told of it.
    pub error: Option<Error>,
    /// The replicas in it.
    pub replicas: BTreeMap<TopicPartition, ReplicaInfo>,
}

impl Admin {
    /// The log directories of a broker with all that lies in them.
    ///
    /// # Errors
    /// When the broker cannot be reached, or refuses.
    pub async fn describe_log_dirs(&self, broker: i32) -> Result<Vec<LogDirDescription>, Error> {
        let request = DescribeLogDirsRequest { topics: None, ..DescribeLogDirsRequest::default() };
        let response = self.cluster.broker(Lane::General, broker).await?.send(&request).await?;
        let decoded = response.decode()?;
        check(decoded.error_code, || format!("broker {broker}"), None)?;
        let mut dirs = Vec::with_capacity(decoded.results.len());
        for dir in &decoded.results {
            let mut replicas = BTreeMap::new();
            for topic in &dir.topics {
                for p in &topic.partitions {
                    let (size_bytes, offset_lag, is_future) = (p.partition_size, p.offset_lag, p.is_future_key);
                    let info = ReplicaInfo { size_bytes, offset_lag, is_future };
                    replicas.insert(TopicPartition::new(topic.name, p.partition_index), info);
                }
            }
            let error = check(dir.error_code, || dir.log_dir.to_owned(), None).err();
            dirs.push(LogDirDescription { path: dir.log_dir.to_owned(), error, replicas });
        }
        Ok(dirs)
    }

    /// Has a broker move replicas to other log directories of its own, each named by its path. It answers when the moves have
    /// begun; [`Self::describe_log_dirs`] tells how far they are. A move to where the replica lies calls off one that is under way.
    ///
    /// # Errors
    /// When the broker cannot be reached. Each replica has its own outcome.
    pub async fn alter_replica_log_dirs(
        &self,
        broker: i32,
        wanted: &BTreeMap<TopicPartition, String>,
    ) -> Result<BTreeMap<TopicPartition, Result<(), Error>>, Error> {
        let mut by_dir: BTreeMap<&str, BTreeMap<&str, Vec<i32>>> = BTreeMap::new();
        for (tp, path) in wanted {
            by_dir.entry(path).or_default().entry(&tp.topic).or_default().push(tp.partition);
        }
        let dirs = by_dir.into_iter().map(|(path, topics)| {
            let topic = |(name, partitions)| AlterReplicaLogDirTopic { name, partitions, ..Default::default() };
            AlterReplicaLogDir { path, topics: topics.into_iter().map(topic).collect(), ..Default::default() }
        });
        let request = AlterReplicaLogDirsRequest { dirs: dirs.collect(), ..Default::default() };
        let response = self.cluster.broker(Lane::General, broker).await?.send(&request).await?;
        let mut outcomes = BTreeMap::new();
        for topic in &response.decode()?.results {
            for p in &topic.partitions {
                let tp = TopicPartition::new(topic.topic_name, p.partition_index);
                let outcome = check(p.error_code, || tp.to_string(), None);
                outcomes.insert(tp, outcome);
            }
        }
        Ok(outcomes)
    }
}
