//! OffsetCommit and OffsetDelete, decided.

use ottla_protocol::ErrorCode;

use super::{OffsetAndMetadata, OffsetKey};
use crate::group::Group;
use crate::group::api::{
    CommitPartition, CommitTopic, GroupResponse, OffsetCommitRequest, OffsetDeleteRequest, OffsetDeleteResponse,
    TopicResult,
};
use crate::group::classic::{ClassicGroup, State};
use crate::group::config::MAX_STRING_BYTES;
use crate::group::records::Record;
use crate::runtime::{Now, Token};
use crate::shard::GroupShard;
use crate::turn::After;

impl GroupShard {
    /// Handles OffsetCommit. A group that does not exist comes to be, as a simple group, if a non-member commits to it.
    pub(crate) fn commit_offsets(&mut self, request: &OffsetCommitRequest, token: Token, now: Now) {
        if let Err(error) = self.validate_commit(request, now) {
            let response = GroupResponse::OffsetCommit(request.all_partitions(error));
            return self.turn(now).reply(token, response);
        }
        let mut records = Vec::new();
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in &request.topics {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for partition in &topic.partitions {
                if self.metadata_fits(&partition.metadata) {
                    partitions.push((partition.partition, ErrorCode::None));
                    records.push(offset_record(request, topic, partition, now));
                } else {
                    partitions.push((partition.partition, ErrorCode::OffsetMetadataTooLarge));
                }
            }
            topics.push(TopicResult { name: topic.name.clone(), topic_id: topic.topic_id, partitions });
        }
        if !records.is_empty() {
            self.write(&records, After::Nothing, now);
        }
        self.turn(now).reply(token, GroupResponse::OffsetCommit(topics));
    }

    /// Whether the broker's limit, and the string of a record, have room for a note.
    fn metadata_fits(&self, metadata: &str) -> bool {
        let units = metadata.encode_utf16().count();
        units <= self.config().offset_metadata_max_bytes && metadata.len() <= MAX_STRING_BYTES
    }

    fn validate_commit(&mut self, request: &OffsetCommitRequest, now: Now) -> Result<(), ErrorCode> {
        let (groups, mut turn) = self.groups_and_turn(now);
        let instance = request.group_instance_id.as_deref();
        match groups.get(request.group_id.as_str()) {
            None if request.generation_id < 0 => Ok(()),
            None if request.group_id_not_found_supported => Err(ErrorCode::GroupIdNotFound),
            None => Err(ErrorCode::IllegalGeneration),
            Some(Group::Classic(group)) => {
                group.validate_commit(&request.member_id, instance, request.generation_id)?;
                group.has_committed(&request.member_id, &mut turn);
                Ok(())
            }
            // Its members cannot speak to us; an administrator may set offsets of a group without members.
            Some(Group::Other(group)) if request.generation_id < 0 && group.is_empty() => Ok(()),
            Some(Group::Other(_)) => Err(ErrorCode::UnknownMemberId),
        }
    }

    /// Handles OffsetDelete: offsets of topics that the group is not subscribed to.
    pub(crate) fn delete_offsets(&mut self, request: &OffsetDeleteRequest, token: Token, now: Now) {
        let group = match self.groups().get(request.group_id.as_str()) {
            Some(Group::Classic(group)) => group,
            // A group of another kind may use the topic without our knowing.
            Some(Group::Other(_)) => return self.refuse_delete(ErrorCode::NonEmptyGroup, token, now),
            None => return self.refuse_delete(ErrorCode::GroupIdNotFound, token, now),
        };
        if group.state() != State::Empty && !group.is_consumer_group() {
            return self.refuse_delete(ErrorCode::NonEmptyGroup, token, now);
        }
        let mut records = Vec::new();
        let topics = request.topics.iter().map(|t| self.delete_topic_offsets(group, t, &mut records)).collect();
        if !records.is_empty() {
            self.write(&records, After::Nothing, now);
        }
        let response = OffsetDeleteResponse { error: ErrorCode::None, topics };
        self.turn(now).reply(token, GroupResponse::OffsetDelete(response));
    }

    fn refuse_delete(&mut self, error: ErrorCode, token: Token, now: Now) {
        let response = OffsetDeleteResponse { error, topics: Vec::new() };
        self.turn(now).reply(token, GroupResponse::OffsetDelete(response));
    }

    fn delete_topic_offsets(
        &self,
        group: &ClassicGroup,
        (name, partitions): &(String, Vec<i32>),
        records: &mut Vec<Record>,
    ) -> TopicResult {
        let in_use = group.is_subscribed_to(name);
        let delete = |partition: &i32| {
            if in_use {
                return (*partition, ErrorCode::GroupSubscribedToTopic);
            }
            if self.offsets().latest(group.id(), name, *partition).is_some() {
                records.push(Record::OffsetCommit(OffsetKey::new(group.id(), name, *partition), None));
            }
            (*partition, ErrorCode::None)
        };
        let partitions = partitions.iter().map(delete).collect();
        TopicResult { name: name.clone(), topic_id: ottla_protocol::Uuid::ZERO, partitions }
    }
}

fn offset_record(request: &OffsetCommitRequest, topic: &CommitTopic, partition: &CommitPartition, now: Now) -> Record {
    let value = OffsetAndMetadata {
        offset: partition.offset,
        leader_epoch: partition.leader_epoch,
        metadata: partition.metadata.as_str().into(),
        commit_timestamp_ms: now.wall_ms,
        expire_timestamp_ms: request.retention_time_ms.map(|retention| now.wall_ms.saturating_add(retention)),
        topic_id: topic.topic_id,
    };
    Record::OffsetCommit(OffsetKey::new(&request.group_id, &topic.name, partition.partition), Some(value))
}
