//! ListOffsets and DeleteRecords: from and to the leaders of partitions.

use std::collections::BTreeMap;

use ottla_protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};

use super::Admin;
use crate::TopicPartition;
use crate::cluster::Lane;
use crate::config::IsolationLevel;
use crate::error::{Error, check};
use crate::offsets::{FoundOffset, leader_unknown, list_offsets};
use crate::topic_partition::by_topic;

/// Which offset of a partition is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetSpec {
    /// The log start.
    Earliest,
    /// The end of what consumers may read.
    Latest,
    /// That of the record with the largest timestamp (KIP-734).
    MaxTimestamp,
    /// That of the first record of at least this time, in milliseconds since the Unix epoch; -1 if there is none.
    Timestamp(i64),
}

impl OffsetSpec {
    fn timestamp(self) -> i64 {
        match self {
            Self::Latest => -1,
            Self::Earliest => -2,
            Self::MaxTimestamp => -3,
            Self::Timestamp(ms) => ms.max(0),
        }
    }
}

impl Admin {
    /// Offsets of partitions, asked for again while leaders change.
    ///
    /// # Errors
    /// When no broker can be reached. Other failures are those of their partition.
    pub async fn list_offsets(
        &self,
        wanted: &BTreeMap<TopicPartition, OffsetSpec>,
    ) -> Result<BTreeMap<TopicPartition, Result<FoundOffset, Error>>, Error> {
        let mut left: BTreeMap<TopicPartition, i64> =
            wanted.iter().map(|(tp, spec)| (tp.clone(), spec.timestamp())).collect();
        let mut found = BTreeMap::new();
        let mut attempts = crate::cluster::Attempts::new(&self.cluster, "listing offsets");
        wanted.keys().for_each(|tp| self.cluster.use_topic(&tp.topic));
        loop {
            if self.cluster.needs_refresh() {
                self.cluster.refresh(crate::cluster::Topics::Used, false).await?;
            }
            found.extend(list_offsets(&self.cluster, &left, IsolationLevel::ReadUncommitted).await);
            left.retain(|tp, _| matches!(found.get(tp), Some(Err(e)) if e.is_retriable()));
            let Some(Err(e)) = left.keys().next().and_then(|tp| found.get(tp)) else { return Ok(found) };
            if attempts.wait_after(e.clone()).await.is_err() {
                return Ok(found);
            }
        }
    }

    /// Deletes the records before an offset of each partition; -1 means all that consumers may read. Returns the new log
    /// starts.
    ///
    /// # Errors
    /// When a leader cannot be reached, or refuses.
    pub async fn delete_records(
        &self,
        before: &BTreeMap<TopicPartition, i64>,
    ) -> Result<BTreeMap<TopicPartition, Result<i64, Error>>, Error> {
        before.keys().for_each(|tp| self.cluster.use_topic(&tp.topic));
        let view = self.cluster.refresh(crate::cluster::Topics::Used, false).await?;
        let mut outcomes = BTreeMap::new();
        let mut leaders: BTreeMap<i32, Vec<(&TopicPartition, i64)>> = BTreeMap::new();
        for (tp, offset) in before {
            match view.leader(&tp.topic, tp.partition) {
                Some((leader, _)) => leaders.entry(leader).or_default().push((tp, *offset)),
                None => drop(outcomes.insert(tp.clone(), Err(leader_unknown(tp)))),
            }
        }
        for (leader, partitions) in leaders {
            let topics = by_topic(partitions).into_iter().map(|(name, list)| DeleteRecordsTopic {
                name,
                partitions: list
                    .into_iter()
                    .map(|(partition_index, offset)| DeleteRecordsPartition {
                        partition_index,
                        offset,
                        ..Default::default()
                    })
                    .collect(),
                ..Default::default()
            });
            let request =
                DeleteRecordsRequest { topics: topics.collect(), timeout_ms: self.timeout_ms(), ..Default::default() };
            let response = self.cluster.broker(Lane::General, leader).await?.send(&request).await?;
            for topic in &response.decode()?.topics {
                for p in &topic.partitions {
                    let tp = TopicPartition::new(topic.name, p.partition_index);
                    let outcome = check(p.error_code, || tp.to_string(), None).map(|()| p.low_watermark);
                    outcomes.insert(tp, outcome);
                }
            }
        }
        Ok(outcomes)
    }
}
