//! Topics and their partitions.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_protocol::Uuid;

use crate::chunked_map::ChunkedMap;
use crate::image::{PartitionRegistration, ReplayError};
use crate::records::{MetadataRecord, PartitionChangeRecord, PartitionRecord, TopicRecord};

/// A topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicImage {
    /// Name.
    pub name: Arc<str>,
    /// Id; another topic of the same name would have another.
    pub id: Uuid,
    /// Partitions, by number.
    pub partitions: BTreeMap<i32, PartitionRegistration>,
}

/// All topics, by id and by name.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TopicsImage {
    by_id: ChunkedMap<Uuid, Arc<TopicImage>>,
    by_name: ChunkedMap<Arc<str>, Uuid>,
}

impl TopicsImage {
    /// The topic of a name.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<&Arc<TopicImage>> {
        self.by_id.get(self.by_name.get(name)?)
    }

    /// The topic of an id.
    #[must_use]
    pub fn by_id(&self, id: Uuid) -> Option<&Arc<TopicImage>> {
        self.by_id.get(&id)
    }

    /// A partition of a topic.
    #[must_use]
    pub fn partition(&self, topic: &str, partition: i32) -> Option<&PartitionRegistration> {
        self.by_name(topic)?.partitions.get(&partition)
    }

    /// All topics, ascending by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<TopicImage>> {
        self.by_name.iter().filter_map(|(_, id)| self.by_id.get(id))
    }

    /// The topics whose name is `from` or sorts after it, ascending.
    pub fn iter_from(&self, from: &str) -> impl Iterator<Item = &Arc<TopicImage>> {
        self.by_name.iter_from(from).filter_map(|(_, id)| self.by_id.get(id))
    }

    /// How many topics.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub(crate) fn create(&mut self, record: &TopicRecord) {
        let name: Arc<str> = record.name.as_str().into();
        self.by_name.insert(Arc::clone(&name), record.topic_id);
        let topic = TopicImage { name, id: record.topic_id, partitions: BTreeMap::new() };
        self.by_id.insert(record.topic_id, Arc::new(topic));
    }

    pub(crate) fn put_partition(&mut self, record: &PartitionRecord) -> Result<(), ReplayError> {
        let (topic_id, id) = (record.topic_id, record.partition_id);
        let unknown = ReplayError::UnknownTopic { record: "PartitionRecord", topic_id };
        let topic = self.by_id.get_mut(&topic_id).ok_or(unknown)?;
        let partition = PartitionRegistration::from_record(record.clone())?;
        Arc::make_mut(topic).partitions.insert(id, partition);
        Ok(())
    }

    pub(crate) fn change_partition(&mut self, record: &PartitionChangeRecord) -> Result<(), ReplayError> {
        let unknown = ReplayError::UnknownTopic { record: "PartitionChangeRecord", topic_id: record.topic_id };
        let topic = Arc::make_mut(self.by_id.get_mut(&record.topic_id).ok_or(unknown)?);
        let Some(partition) = topic.partitions.get_mut(&record.partition_id) else {
            let (topic, partition) = (topic.name.to_string(), record.partition_id);
            return Err(ReplayError::UnknownPartition { topic, partition });
        };
        *partition = partition.merge(record)?;
        Ok(())
    }

    /// Gives back the topic that was removed.
    pub(crate) fn remove(&mut self, topic_id: Uuid) -> Result<Arc<TopicImage>, ReplayError> {
        let unknown = ReplayError::UnknownTopic { record: "RemoveTopicRecord", topic_id };
        let topic = self.by_id.remove(&topic_id).ok_or(unknown)?;
        self.by_name.remove(&topic.name);
        Ok(topic)
    }

    /// Forgets the eligible leader replicas of a topic; gives back the partitions that had some.
    pub(crate) fn clear_elr(&mut self, topic_id: Uuid) -> Result<Vec<i32>, ReplayError> {
        let unknown = ReplayError::UnknownTopic { record: "ClearElrRecord", topic_id };
        let topic = self.by_id.get_mut(&topic_id).ok_or(unknown)?;
        let has_elr = |p: &PartitionRegistration| !p.elr.is_empty() || !p.last_known_elr.is_empty();
        let partitions: Vec<i32> = topic.partitions.iter().filter(|(_, p)| has_elr(p)).map(|(id, _)| *id).collect();
        for partition_id in &partitions {
            self.change_partition(&PartitionChangeRecord {
                partition_id: *partition_id,
                topic_id,
                eligible_leader_replicas: Some(Vec::new()),
                last_known_elr: Some(Vec::new()),
                ..PartitionChangeRecord::default()
            })?;
        }
        Ok(partitions)
    }

    pub(crate) fn write(&self, sink: &mut dyn FnMut(MetadataRecord)) {
        for topic in self.iter() {
            sink(TopicRecord { name: topic.name.to_string(), topic_id: topic.id }.into());
            for (id, partition) in &topic.partitions {
                sink(partition.to_record(topic.id, *id).into());
            }
        }
    }
}
