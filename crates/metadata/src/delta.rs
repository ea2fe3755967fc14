//! [`MetadataDelta`]: the way from one image to the next, and what changed on it.
//!
//! ```text
//!   base image ──(replay record, record, …)──> next image
//!                 └─ notes which topics, brokers and resources were touched, so that publishers look at those only
//! ```
//!
//! The next image is built as records come; it shares with its base whatever they leave alone. Kafka's
//! `org.apache.kafka.image.MetadataDelta`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_protocol::Uuid;

use crate::image::{ConfigResource, MetadataImage, ReplayError, TopicImage};
use crate::records::MetadataRecord;

/// What changed in topics.
#[derive(Debug, Default, PartialEq)]
pub struct TopicsDelta {
    /// Topics that exist now and were created or changed, with the numbers of their partitions that were.
    pub changed: BTreeMap<Uuid, BTreeSet<i32>>,
    /// Topics that existed before and no longer do.
    pub deleted: BTreeMap<Uuid, Arc<TopicImage>>,
}

/// See the module.
#[derive(Debug)]
pub struct MetadataDelta {
    base: Arc<MetadataImage>,
    next: MetadataImage,
    topics: TopicsDelta,
    brokers: BTreeSet<i32>,
    controllers: BTreeSet<i32>,
    configs: BTreeSet<ConfigResource>,
}

impl MetadataDelta {
    /// A delta that changes `base`.
    #[must_use]
    pub fn new(base: Arc<MetadataImage>) -> Self {
        let next = (*base).clone();
        Self::between(base, next)
    }

    /// A delta that replaces `base` by the content of a snapshot: replay all of the snapshot's records, then call
    /// [`Self::finish_snapshot`].
    #[must_use]
    pub fn for_snapshot(base: Arc<MetadataImage>) -> Self {
        Self::between(base, MetadataImage::default())
    }

    fn between(base: Arc<MetadataImage>, next: MetadataImage) -> Self {
        Self {
            base,
            next,
            topics: TopicsDelta::default(),
            brokers: BTreeSet::new(),
            controllers: BTreeSet::new(),
            configs: BTreeSet::new(),
        }
    }

    /// The image before.
    #[must_use]
    pub fn base(&self) -> &Arc<MetadataImage> {
        &self.base
    }

    /// The image after what was replayed so far.
    #[must_use]
    pub fn next(&self) -> &MetadataImage {
        &self.next
    }

    /// Topics that changed.
    #[must_use]
    pub fn topics(&self) -> &TopicsDelta {
        &self.topics
    }

    /// Brokers whose registration was made, changed or removed.
    #[must_use]
    pub fn brokers(&self) -> &BTreeSet<i32> {
        &self.brokers
    }

    /// Controllers whose registration was made, changed or removed.
    #[must_use]
    pub fn controllers(&self) -> &BTreeSet<i32> {
        &self.controllers
    }

    /// Resources whose configurations changed.
    #[must_use]
    pub fn configs(&self) -> &BTreeSet<ConfigResource> {
        &self.configs
    }

    /// Whether finalized features changed.
    #[must_use]
    pub fn features_changed(&self) -> bool {
        self.base.features != self.next.features
    }

    /// Applies one record. Begin, end and abort of a metadata transaction are the loader's business and change nothing here.
    ///
    /// # Errors
    /// [`ReplayError`] when the record does not fit the state; the delta must then be thrown away.
    pub fn replay(&mut self, record: &MetadataRecord) -> Result<(), ReplayError> {
        let next = &mut self.next;
        match record {
            MetadataRecord::Topic(r) => {
                next.topics.create(r);
                self.topics.changed.entry(r.topic_id).or_default();
            }
            MetadataRecord::Partition(r) => {
                next.topics.put_partition(r)?;
                self.topics.changed.entry(r.topic_id).or_default().insert(r.partition_id);
            }
            MetadataRecord::PartitionChange(r) => {
                next.topics.change_partition(r)?;
                self.topics.changed.entry(r.topic_id).or_default().insert(r.partition_id);
            }
            MetadataRecord::RemoveTopic(r) => self.remove_topic(r.topic_id)?,
            MetadataRecord::ClearElr(r) => self.clear_elr(&r.topic_name)?,
            MetadataRecord::Config(r) => {
                self.configs.insert(next.configs.set(r)?);
            }
            MetadataRecord::RegisterBroker(r) => {
                next.cluster.register_broker(r);
                self.brokers.insert(r.broker_id);
            }
            MetadataRecord::UnregisterBroker(r) => {
                next.cluster.unregister_broker(r.broker_id, r.broker_epoch)?;
                self.brokers.insert(r.broker_id);
            }
            MetadataRecord::FenceBroker(r) => {
                next.cluster.set_fenced("FenceBrokerRecord", r.id, r.epoch, true)?;
                self.brokers.insert(r.id);
            }
            MetadataRecord::UnfenceBroker(r) => {
                next.cluster.set_fenced("UnfenceBrokerRecord", r.id, r.epoch, false)?;
                self.brokers.insert(r.id);
            }
            MetadataRecord::BrokerRegistrationChange(r) => {
                next.cluster.change_broker(r)?;
                self.brokers.insert(r.broker_id);
            }
            MetadataRecord::RegisterController(r) => {
                next.cluster.register_controller(r);
                self.controllers.insert(r.controller_id);
            }
            MetadataRecord::UnregisterController(r) => {
                next.cluster.unregister_controller(r.controller_id)?;
                self.controllers.insert(r.controller_id);
            }
            MetadataRecord::FeatureLevel(r) => next.features.set(r),
            MetadataRecord::ProducerIds(r) => next.producer_ids.set(r),
            MetadataRecord::ClientQuota(r) => next.client_quotas.set(r),
            MetadataRecord::AccessControlEntry(r) => next.acls.add(r),
            MetadataRecord::RemoveAccessControlEntry(r) => next.acls.remove(r.id)?,
            MetadataRecord::UserScramCredential(r) => next.scram.set(r),
            MetadataRecord::RemoveUserScramCredential(r) => next.scram.remove(r.mechanism, &r.name),
            MetadataRecord::DelegationToken(r) => next.delegation_tokens.set(r),
            MetadataRecord::RemoveDelegationToken(r) => next.delegation_tokens.remove(&r.token_id),
            MetadataRecord::NoOp(_)
            | MetadataRecord::ZkMigrationState(_)
            | MetadataRecord::BeginTransaction(_)
            | MetadataRecord::EndTransaction(_)
            | MetadataRecord::AbortTransaction(_) => {}
        }
        Ok(())
    }

    /// A topic's configurations go with it.
    fn remove_topic(&mut self, id: Uuid) -> Result<(), ReplayError> {
        let topic = self.next.topics.remove(id)?;
        let resource = ConfigResource::topic(&topic.name);
        if self.next.configs.remove(&resource) {
            self.configs.insert(resource);
        }
        self.topics.changed.remove(&id);
        if let Some(before) = self.base.topics.by_id(id) {
            self.topics.deleted.insert(id, Arc::clone(before));
        }
        Ok(())
    }

    /// An empty name means all topics.
    fn clear_elr(&mut self, name: &str) -> Result<(), ReplayError> {
        let topics = &self.next.topics;
        let ids: Vec<Uuid> = match name {
            "" => topics.iter().map(|t| t.id).collect(),
            name => topics.by_name(name).map(|t| t.id).into_iter().collect(),
        };
        for id in ids {
            let partitions = self.next.topics.clear_elr(id)?;
            if !partitions.is_empty() {
                self.topics.changed.entry(id).or_default().extend(partitions);
            }
        }
        Ok(())
    }

    /// Ends the replay of a snapshot: notes as changed what differs from the base, and as deleted what the snapshot lacks.
    pub fn finish_snapshot(&mut self) {
        self.topics = topics_between(&self.base, &self.next);
        let (before, after) = (&self.base.cluster, &self.next.cluster);
        self.brokers = keys_that_differ(&before.brokers, &after.brokers);
        self.controllers = keys_that_differ(&before.controllers, &after.controllers);
        let (before, after) = (&self.base.configs, &self.next.configs);
        self.configs =
            after.iter().filter(|(r, values)| before.of(r) != Some(*values)).map(|(r, _)| r.clone()).collect();
        self.configs.extend(before.iter().filter(|(r, _)| after.of(r).is_none()).map(|(r, _)| r.clone()));
    }

    /// The image after all that was replayed, as of this offset and epoch.
    #[must_use]
    pub fn apply(&self, offset: i64, epoch: i32) -> MetadataImage {
        MetadataImage { offset, epoch, ..self.next.clone() }
    }
}

fn topics_between(before: &MetadataImage, after: &MetadataImage) -> TopicsDelta {
    let mut delta = TopicsDelta::default();
    for topic in after.topics.iter() {
        let old = before.topics.by_id(topic.id);
        if old.is_some_and(|old| Arc::ptr_eq(old, topic)) {
            continue;
        }
        let unchanged = |id: &i32| old.is_some_and(|old| old.partitions.get(id) == topic.partitions.get(id));
        let partitions: BTreeSet<i32> = topic.partitions.keys().filter(|id| !unchanged(id)).copied().collect();
        if old.is_none() || !partitions.is_empty() {
            delta.changed.insert(topic.id, partitions);
        }
    }
    let gone = before.topics.iter().filter(|topic| after.topics.by_id(topic.id).is_none());
    delta.deleted = gone.map(|topic| (topic.id, Arc::clone(topic))).collect();
    delta
}

fn keys_that_differ<V: PartialEq>(before: &BTreeMap<i32, V>, after: &BTreeMap<i32, V>) -> BTreeSet<i32> {
    before.keys().chain(after.keys()).filter(|key| before.get(key) != after.get(key)).copied().collect()
}

#[cfg(test)]
#[path = "delta_tests.rs"]
mod tests;
