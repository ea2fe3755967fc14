//! Partitions whose logs could not be made, or opened, for want of space or descriptors: they answer as those of a failed log directory
//! do, and are tried again. Apache Kafka takes the whole directory offline then, until a restart.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ottla_metadata::image::{MetadataImage, TopicImage};

use super::{Held, ReplicaManager, Topic, Topics};

impl ReplicaManager {
    /// Whether a partition waits for space or descriptors.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.is_waiting.load(Ordering::Acquire)
    }

    /// Tries again to open what waits for space or descriptors. True if something is online now that was not. The image is asked
    /// for when no publication can be under way, so that it is that of the partitions.
    pub fn open_waiting(&self, image: impl FnOnce() -> Arc<MetadataImage>) -> bool {
        let _one_at_a_time = self.changing.lock();
        if !self.is_waiting.swap(false, Ordering::AcqRel) {
            return false;
        }
        let image = image();
        let mut topics = Topics::clone(&self.topics.load());
        let ids = topics.by_id.iter().filter(|(_, topic)| topic.waiting().is_some()).map(|(id, _)| *id);
        // What the image does not know any more goes with its publication.
        let waiting: Vec<&Arc<TopicImage>> = ids.filter_map(|id| image.topics.by_id(id)).collect();
        let mut opened = self.open_logs(&image, &waiting, &topics, false, |held| held.is_some_and(Held::is_waiting));
        let mut online = 0;
        for of_image in waiting {
            let Some(mut topic) = topics.by_id.get(&of_image.id).map(|topic| Topic::clone(topic)) else { continue };
            for (index, held) in topic.partitions.iter_mut().filter(|(_, held)| held.is_waiting()) {
                let registration = of_image.partitions.get(index);
                let Some(registration) = registration.filter(|r| r.replicas.contains(&self.config.node_id)) else {
                    continue;
                };
                *held = self.hold_partition(of_image, *index, registration, Some(&*held), &mut opened, false);
                online += usize::from(matches!(held, Held::Online(_)));
            }
            let topic = Arc::new(topic);
            topics.by_name.insert(Arc::clone(&topic.name), Arc::clone(&topic));
            topics.by_id.insert(of_image.id, topic);
        }
        self.topics.store(Arc::new(topics));
        if online > 0 {
            tracing::info!(partitions = online, "partitions that waited for space or descriptors are served");
        }
        online > 0
    }
}
