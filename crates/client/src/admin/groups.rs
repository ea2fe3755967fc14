//! Groups: list, describe, delete; their committed offsets: read, set, delete.

use std::collections::{BTreeMap, BTreeSet};

use ottla_protocol::messages::delete_groups_request::DeleteGroupsRequest;
use ottla_protocol::messages::describe_groups_request::DescribeGroupsRequest;
use ottla_protocol::messages::describe_groups_response::DescribedGroupMember;
use ottla_protocol::messages::list_groups_request::ListGroupsRequest;
use ottla_protocol::messages::offset_delete_request::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};

use super::Admin;
use crate::TopicPartition;
use crate::cluster::Lane;
use crate::consumer::{OffsetAndMetadata, decode_assignment};
use crate::coordinator::Coordinator;
use crate::error::{Error, check};
use crate::offsets::{Committer, commit, fetch_committed};
use crate::topic_partition::by_topic;

/// The protocol type of groups of consumers.
const CONSUMER: &str = "consumer";

/// A group in a list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListedGroup {
    /// Group id.
    pub id: String,
    /// What its members do: `consumer`, `connect` or another; empty for a group that only has offsets.
    pub protocol_type: String,
    /// State, such as `Stable` or `Empty`; empty when the cluster is too old to say.
    pub state: String,
    /// `classic` or `consumer`; empty when the cluster is too old to say.
    pub group_type: String,
}

/// A group and its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedGroup {
    /// Group id.
    pub id: String,
    /// State, such as `Stable` or `Empty`.
    pub state: String,
    /// What its members do, as `consumer`.
    pub protocol_type: String,
    /// The assignor that the members agreed on.
    pub protocol: String,
    /// Members.
    pub members: Vec<DescribedMember>,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedMember {
    /// Member id.
    pub id: String,
    /// `group.instance.id` of a static member.
    pub instance_id: Option<String>,
    /// `client.id`.
    pub client_id: String,
    /// Where it connects from.
    pub client_host: String,
    /// Partitions of a consumer.
    pub assigned: BTreeSet<TopicPartition>,
}

impl Admin {
    /// All groups. Every broker is asked, for each knows the groups that it coordinates.
    ///
    /// # Errors
    /// When a broker cannot be reached: without it the list would be incomplete.
    pub async fn list_groups(&self) -> Result<Vec<ListedGroup>, Error> {
        let brokers: Vec<i32> = self.cluster.view().brokers.keys().copied().collect();
        let mut groups = Vec::new();
        for broker in brokers {
            let found = self.retrying("listing groups", || self.list_groups_of(broker)).await?;
            groups.extend(found);
        }
        groups.sort();
        groups.dedup();
        Ok(groups)
    }

    async fn list_groups_of(&self, broker: i32) -> Result<Vec<ListedGroup>, Error> {
        let connection = self.cluster.broker(Lane::General, broker).await?;
        let response = connection.send(&ListGroupsRequest::default()).await?;
        let decoded = response.decode()?;
        check(decoded.error_code, || format!("groups of broker {broker}"), None)?;
        let group = |g: &ottla_protocol::messages::list_groups_response::ListedGroup<'_>| ListedGroup {
            id: g.group_id.to_owned(),
            protocol_type: g.protocol_type.to_owned(),
            state: g.group_state.to_owned(),
            group_type: g.group_type.to_owned(),
        };
        Ok(decoded.groups.iter().map(group).collect())
    }

    fn coordinator(&self, group: &str) -> Coordinator {
        Coordinator::new(self.cluster.clone(), group)
    }

    /// A group of the classic protocol with its members.
    ///
    /// # Errors
    /// When it does not exist, may not be described, or its coordinator does not answer.
    pub async fn describe_group(&self, group: &str) -> Result<DescribedGroup, Error> {
        let coordinator = self.coordinator(group);
        coordinator
            .retrying("describing a group", || async {
                let request = DescribeGroupsRequest { groups: vec![group], ..Default::default() };
                let response = coordinator.connection().await?.send(&request).await;
                let response = response.map_err(|e| coordinator.lost(e))?;
                let decoded = response.decode()?;
                let found = decoded.groups.first();
                let found = found.ok_or_else(|| Error::IllegalState(format!("no answer about group {group}")))?;
                coordinator.check(found.error_code)?;
                Ok(DescribedGroup {
                    id: found.group_id.to_owned(),
                    state: found.group_state.to_owned(),
                    protocol_type: found.protocol_type.to_owned(),
                    protocol: found.protocol_data.to_owned(),
                    members: found.members.iter().map(|m| member(m, found.protocol_type)).collect(),
                })
            })
            .await
    }

    /// Deletes a group without members, with its offsets.
    ///
    /// # Errors
    /// When it has members, does not exist, or its coordinator does not answer.
    pub async fn delete_group(&self, group: &str) -> Result<(), Error> {
        let coordinator = self.coordinator(group);
        coordinator
            .retrying("deleting a group", || async {
                let request = DeleteGroupsRequest { groups_names: vec![group], ..Default::default() };
                let response = coordinator.connection().await?.send(&request).await;
                let response = response.map_err(|e| coordinator.lost(e))?;
                for result in &response.decode()?.results {
                    coordinator.check(result.error_code)?;
                }
                Ok(())
            })
            .await
    }

    /// All committed offsets of a group.
    ///
    /// # Errors
    /// When they may not be read, or the coordinator does not answer.
    pub async fn group_offsets(&self, group: &str) -> Result<BTreeMap<TopicPartition, OffsetAndMetadata>, Error> {
        let coordinator = self.coordinator(group);
        coordinator.retrying("fetching committed offsets", || fetch_committed(&coordinator, None, false)).await
    }

    /// Sets committed offsets of a group without members.
    ///
    /// # Errors
    /// When it has members, or the coordinator does not answer.
    pub async fn alter_group_offsets(
        &self,
        group: &str,
        offsets: &BTreeMap<TopicPartition, OffsetAndMetadata>,
    ) -> Result<(), Error> {
        let coordinator = self.coordinator(group);
        let outsider = Committer::outsider();
        coordinator.retrying("committing offsets", || commit(&coordinator, &outsider, offsets)).await
    }

    /// Deletes committed offsets of topics that no member subscribes to.
    ///
    /// # Errors
    /// When a member subscribes to one, or the coordinator does not answer.
    pub async fn delete_group_offsets(&self, group: &str, partitions: &BTreeSet<TopicPartition>) -> Result<(), Error> {
        let coordinator = self.coordinator(group);
        coordinator
            .retrying("deleting committed offsets", || async {
                let request = OffsetDeleteRequest {
                    group_id: coordinator.group(),
                    topics: offset_delete_topics(partitions),
                    ..Default::default()
                };
                let response = coordinator.connection().await?.send(&request).await;
                let response = response.map_err(|e| coordinator.lost(e))?;
                let decoded = response.decode()?;
                coordinator.check(decoded.error_code)?;
                for topic in &decoded.topics {
                    for p in &topic.partitions {
                        check(p.error_code, || format!("{}-{}", topic.name, p.partition_index), None)?;
                    }
                }
                Ok(())
            })
            .await
    }
}

fn offset_delete_topics(partitions: &BTreeSet<TopicPartition>) -> Vec<OffsetDeleteRequestTopic<'_>> {
    let partition = |(partition_index, ())| OffsetDeleteRequestPartition { partition_index, ..Default::default() };
    by_topic(partitions.iter().map(|tp| (tp, ())))
        .into_iter()
        .map(|(name, list)| OffsetDeleteRequestTopic {
            name,
            partitions: list.into_iter().map(partition).collect(),
            ..Default::default()
        })
        .collect()
}

fn member(m: &DescribedGroupMember<'_>, protocol_type: &str) -> DescribedMember {
    // Other protocol types, as Connect's, encode their assignments in their own way.
    let assigned = (protocol_type == CONSUMER).then(|| decode_assignment(m.member_assignment).unwrap_or_default());
    DescribedMember {
        id: m.member_id.to_owned(),
        instance_id: m.group_instance_id.map(str::to_owned),
        client_id: m.client_id.to_owned(),
        client_host: m.client_host.trim_start_matches('/').to_owned(),
        assigned: assigned.unwrap_or_default(),
    }
}
