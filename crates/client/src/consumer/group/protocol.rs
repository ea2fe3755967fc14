//! What members of a consumer group tell each other through the coordinator: subscriptions and assignments
//! (`ConsumerProtocolSubscription`, `ConsumerProtocolAssignment`), each behind its version.

use std::collections::BTreeSet;

use ottla_protocol::message::Message;
use ottla_protocol::messages::consumer_protocol_assignment::{
    ConsumerProtocolAssignment, TopicPartition as AssignedPartitions,
};
use ottla_protocol::messages::consumer_protocol_subscription::{
    ConsumerProtocolSubscription, TopicPartition as OwnedPartitions,
};
use ottla_protocol::reader::{DecodeError, Reader};
use ottla_protocol::writer::{EncodeError, Writer};

use crate::TopicPartition;
use crate::topic_partition::by_topic;

const SUBSCRIPTION_VERSION: i16 = 3;
const ASSIGNMENT_VERSION: i16 = 0;

/// A member's subscription, owned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subscription {
    pub(crate) topics: BTreeSet<String>,
    pub(crate) owned: BTreeSet<TopicPartition>,
    /// Generation in which `owned` was assigned; -1 when unknown.
    pub(crate) generation: i32,
}

impl Subscription {
    pub(crate) fn encode(&self, rack: &str) -> Result<Vec<u8>, EncodeError> {
        let owned = by_topic(self.owned.iter().map(|tp| (tp, ())));
        let owned = owned.into_iter().map(|(topic, list)| OwnedPartitions {
            topic,
            partitions: list.into_iter().map(|(p, ())| p).collect(),
            ..Default::default()
        });
        let message = ConsumerProtocolSubscription {
            topics: self.topics.iter().map(String::as_str).collect(),
            owned_partitions: owned.collect(),
            generation_id: self.generation,
            rack_id: (!rack.is_empty()).then_some(rack),
            ..Default::default()
        };
        let mut w = Writer::new();
        w.i16(SUBSCRIPTION_VERSION);
        message.encode(&mut w, SUBSCRIPTION_VERSION)?;
        Ok(w.into_bytes())
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        // A newer version only adds fields at the end.
        let version = r.i16()?.clamp(0, ConsumerProtocolSubscription::MAX_VERSION);
        let message = ConsumerProtocolSubscription::decode(&mut r, version)?;
        let owned = message.owned_partitions.iter();
        Ok(Self {
            topics: message.topics.iter().map(|t| (*t).to_owned()).collect(),
            owned: owned.flat_map(|t| t.partitions.iter().map(|p| TopicPartition::new(t.topic, *p))).collect(),
            generation: message.generation_id,
        })
    }
}

pub(crate) fn encode_assignment(partitions: &BTreeSet<TopicPartition>) -> Result<Vec<u8>, EncodeError> {
    let topics = by_topic(partitions.iter().map(|tp| (tp, ())));
    let topics = topics.into_iter().map(|(topic, list)| AssignedPartitions {
        topic,
        partitions: list.into_iter().map(|(p, ())| p).collect(),
        ..Default::default()
    });
    let message = ConsumerProtocolAssignment { assigned_partitions: topics.collect(), ..Default::default() };
    let mut w = Writer::new();
    w.i16(ASSIGNMENT_VERSION);
    message.encode(&mut w, ASSIGNMENT_VERSION)?;
    Ok(w.into_bytes())
}

/// An empty answer is an empty assignment: the coordinator gives it to members that the leader left out.
pub(crate) fn decode_assignment(bytes: &[u8]) -> Result<BTreeSet<TopicPartition>, DecodeError> {
    if bytes.is_empty() {
        return Ok(BTreeSet::new());
    }
    let mut r = Reader::new(bytes);
    let version = r.i16()?.clamp(0, ConsumerProtocolAssignment::MAX_VERSION);
    let message = ConsumerProtocolAssignment::decode(&mut r, version)?;
    let topics = message.assigned_partitions.iter();
    Ok(topics.flat_map(|t| t.partitions.iter().map(|p| TopicPartition::new(t.topic, *p))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_member_writes_another_reads() {
        let owned = BTreeSet::from([TopicPartition::new("t", 2), TopicPartition::new("u", 0)]);
        let topics = BTreeSet::from(["t".to_owned(), "u".to_owned()]);
        let subscription = Subscription { topics, owned: owned.clone(), generation: 7 };
        let bytes = subscription.encode("rack").expect("encodes");
        assert_eq!(Subscription::decode(&bytes), Ok(subscription));
        assert_eq!(decode_assignment(&encode_assignment(&owned).expect("encodes")), Ok(owned));
        assert_eq!(decode_assignment(&[]), Ok(BTreeSet::new()));
        assert!(Subscription::decode(&[0, 3, 0, 0, 0, 9]).is_err());
    }

    #[test]
    fn an_old_subscription_without_owned_partitions_and_one_of_the_future_are_read() {
        // Version 0: one topic, no user data.
        let old = [0, 0, 0, 0, 0, 1, 0, 1, b't', 0xff, 0xff, 0xff, 0xff];
        let read = Subscription::decode(&old).expect("version 0");
        assert_eq!((read.topics.len(), read.owned.len(), read.generation), (1, 0, -1));
        let mut new = read.encode("").expect("encodes");
        new[1] = 9;
        new.extend([1, 2, 3]);
        assert_eq!(Subscription::decode(&new).expect("version 9").topics, read.topics);
    }
}
