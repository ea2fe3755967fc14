//! What was fetched and not yet handed out, in the order in which it came.

use std::collections::VecDeque;

use super::decode::FetchedRecords;
use crate::TopicPartition;

#[derive(Debug, Default)]
pub(super) struct Buffer {
    queue: VecDeque<FetchedRecords>,
}

impl Buffer {
    pub(super) fn push(&mut self, fetched: FetchedRecords) {
        self.queue.push_back(fetched);
    }

    pub(super) fn front_mut(&mut self) -> Option<&mut FetchedRecords> {
        self.queue.front_mut()
    }

    pub(super) fn pop_front(&mut self) {
        self.queue.pop_front();
    }

    /// Drops what belongs to other partitions than those for which `keep` is true.
    pub(super) fn retain(&mut self, keep: impl Fn(&TopicPartition) -> bool) {
        self.queue.retain(|fetched| keep(fetched.topic_partition()));
    }

    /// Bytes of batches not yet opened.
    pub(super) fn bytes(&self) -> usize {
        self.queue.iter().map(FetchedRecords::bytes_left).sum()
    }
}
