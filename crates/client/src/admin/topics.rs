//! Topics: create, list, describe, delete, add partitions.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_protocol::Uuid;
use ottla_protocol::messages::create_partitions_request::{CreatePartitionsRequest, CreatePartitionsTopic};
use ottla_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use ottla_protocol::messages::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use ottla_protocol::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};

use super::Admin;
use crate::cluster::{ClusterView, TopicView};
use crate::error::{Error, check};

/// From this version on topics may be deleted by id, and are listed in another field.
const FIRST_DELETE_WITH_IDS: i16 = 6;

/// A topic to be created.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewTopic {
    /// Name.
    pub name: String,
    /// Number of partitions; the broker's `num.partitions` when there is none.
    pub partitions: Option<i32>,
    /// Replicas of each; the broker's `default.replication.factor` when there is none.
    pub replication_factor: Option<i16>,
    /// Broker ids by partition, instead of the two above.
    pub assignments: BTreeMap<i32, Vec<i32>>,
    /// Topic properties.
    pub configs: BTreeMap<String, String>,
}

/// A topic that was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedTopic {
    /// Topic id; zero when the cluster is too old to have one.
    pub id: Uuid,
    /// Number of partitions; -1 when the cluster does not say.
    pub partitions: i32,
    /// Replicas of each; -1 when the cluster does not say.
    pub replication_factor: i16,
}

impl Admin {
    /// Creates topics, or with `validate_only` only says whether that would succeed.
    ///
    /// # Errors
    /// When no broker can be reached; a topic's own failure is in its outcome.
    pub async fn create_topics(
        &self,
        topics: &[NewTopic],
        validate_only: bool,
    ) -> Result<BTreeMap<String, Result<CreatedTopic, Error>>, Error> {
        let request = CreateTopicsRequest {
            topics: topics.iter().map(creatable).collect(),
            timeout_ms: self.timeout_ms(),
            validate_only,
            ..Default::default()
        };
        let response = self.ask_any(&request).await?;
        let outcome = |t: &ottla_protocol::messages::create_topics_response::CreatableTopicResult<'_>| {
            check(t.error_code, || format!("topic {}", t.name), t.error_message).map(|()| CreatedTopic {
                id: t.topic_id,
                partitions: t.num_partitions,
                replication_factor: t.replication_factor,
            })
        };
        self.cluster.mark_stale();
        Ok(response.decode()?.topics.iter().map(|t| (t.name.to_owned(), outcome(t))).collect())
    }

    /// Names of all topics, internal ones included, with their ids and partitions.
    ///
    /// # Errors
    /// When no broker answers.
    pub async fn list_topics(&self) -> Result<Vec<Arc<TopicView>>, Error> {
        Ok(self.metadata(None).await?.topics.into_values().collect())
    }

    /// Topics by name; one that does not exist has an error in its view.
    ///
    /// # Errors
    /// When no broker answers.
    pub async fn describe_topics(&self, names: &[String]) -> Result<Vec<Arc<TopicView>>, Error> {
        Ok(self.metadata(Some(names)).await?.topics.into_values().collect())
    }

    async fn metadata(&self, names: Option<&[String]>) -> Result<ClusterView, Error> {
        self.retrying("fetching metadata", || async {
            let topic = |name| MetadataRequestTopic { name: Some(name), ..Default::default() };
            let request = MetadataRequest {
                topics: names.map(|n| n.iter().map(String::as_str).map(topic).collect()),
                allow_auto_topic_creation: false,
                ..Default::default()
            };
            let response = self.ask_any(&request).await?;
            let decoded = response.decode()?;
            check(decoded.error_code, || "metadata".to_owned(), None)?;
            let mut view = ClusterView::default();
            view.merge(&decoded, true);
            Ok(view)
        })
        .await
    }

    /// Deletes topics by name.
    ///
    /// # Errors
    /// When no broker can be reached; a topic's own failure is in its outcome.
    pub async fn delete_topics(&self, names: &[String]) -> Result<BTreeMap<String, Result<(), Error>>, Error> {
        let connection = self.cluster.any_broker().await?;
        let version = connection.version::<DeleteTopicsRequest<'_>>()?;
        let by_state = version >= FIRST_DELETE_WITH_IDS;
        let state = |name| DeleteTopicState { name: Some(name), ..Default::default() };
        let names = names.iter().map(String::as_str);
        let request = DeleteTopicsRequest {
            topics: if by_state { names.clone().map(state).collect() } else { Vec::new() },
            topic_names: if by_state { Vec::new() } else { names.collect() },
            timeout_ms: self.timeout_ms(),
            ..Default::default()
        };
        let response = connection.send_at(version, &request, self.cluster.config().request_timeout).await?;
        self.cluster.mark_stale();
        let decoded = response.decode()?;
        Ok(decoded
            .responses
            .iter()
            .map(|t| {
                let name = t.name.unwrap_or_default();
                (name.to_owned(), check(t.error_code, || format!("topic {name}"), t.error_message))
            })
            .collect())
    }

    /// Raises the number of partitions of topics to a new total.
    ///
    /// # Errors
    /// When no broker can be reached; a topic's own failure is in its outcome.
    pub async fn create_partitions(
        &self,
        totals: &BTreeMap<String, i32>,
    ) -> Result<BTreeMap<String, Result<(), Error>>, Error> {
        let topics = totals.iter().map(|(name, count)| CreatePartitionsTopic {
            name,
            count: *count,
            assignments: None,
            ..Default::default()
        });
        let request = CreatePartitionsRequest {
            topics: topics.collect(),
            timeout_ms: self.timeout_ms(),
            validate_only: false,
            ..Default::default()
        };
        let response = self.ask_any(&request).await?;
        self.cluster.mark_stale();
        let decoded = response.decode()?;
        Ok(decoded
            .results
            .iter()
            .map(|t| (t.name.to_owned(), check(t.error_code, || format!("topic {}", t.name), t.error_message)))
            .collect())
    }
}

fn creatable(topic: &NewTopic) -> CreatableTopic<'_> {
    // With an assignment by hand Kafka wants -1 in both numbers.
    let by_hand = !topic.assignments.is_empty();
    CreatableTopic {
        name: &topic.name,
        num_partitions: topic.partitions.filter(|_| !by_hand).unwrap_or(-1),
        replication_factor: topic.replication_factor.filter(|_| !by_hand).unwrap_or(-1),
        assignments: topic
            .assignments
            .iter()
            .map(|(partition_index, broker_ids)| CreatableReplicaAssignment {
                partition_index: *partition_index,
                broker_ids: broker_ids.clone(),
                ..Default::default()
            })
            .collect(),
        configs: topic
            .configs
            .iter()
            .map(|(name, value)| CreatableTopicConfig { name, value: Some(value), ..Default::default() })
            .collect(),
        ..Default::default()
    }
}
