//! A partition of a topic, by name.

use std::fmt;
use std::sync::Arc;

/// A topic's name and a partition's number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// Topic.
    pub topic: Arc<str>,
    /// Partition.
    pub partition: i32,
}

impl TopicPartition {
    /// A partition of a topic.
    #[must_use]
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// Topics, each with its partitions and something about each partition.
pub(crate) type ByTopic<'a, T> = Vec<(&'a str, Vec<(i32, T)>)>;

/// Groups a sorted sequence of partitions by topic, as requests want them.
pub(crate) fn by_topic<'a, T>(partitions: impl IntoIterator<Item = (&'a TopicPartition, T)>) -> ByTopic<'a, T> {
    let mut topics: ByTopic<'a, T> = Vec::new();
    for (tp, value) in partitions {
        match topics.last_mut() {
            Some((topic, list)) if *topic == &*tp.topic => list.push((tp.partition, value)),
            _ => topics.push((&tp.topic, vec![(tp.partition, value)])),
        }
    }
    topics
}
