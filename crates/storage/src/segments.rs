//! The segments of one log in the order of their base offsets. Never empty once a log is open; the last one is active.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::segment::Segment;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Segments(BTreeMap<i64, Arc<Segment>>);

impl Segments {
    pub(crate) fn insert(&mut self, segment: Arc<Segment>) {
        self.0.insert(segment.base_offset(), segment);
    }

    pub(crate) fn remove(&mut self, base_offset: i64) -> Option<Arc<Segment>> {
        self.0.remove(&base_offset)
    }

    /// The segment that is appended to.
    pub(crate) fn active(&self) -> Option<&Arc<Segment>> {
        self.0.last_key_value().map(|(_, segment)| segment)
    }

    pub(crate) fn first(&self) -> Option<&Arc<Segment>> {
        self.0.first_key_value().map(|(_, segment)| segment)
    }

    /// The segment that holds `offset`, if any does.
    pub(crate) fn floor(&self, offset: i64) -> Option<&Arc<Segment>> {
        self.0.range(..=offset).next_back().map(|(_, segment)| segment)
    }

    /// The segment behind the one that begins at `base_offset`.
    pub(crate) fn after(&self, base_offset: i64) -> Option<&Arc<Segment>> {
        self.0.range(base_offset + 1..).next().map(|(_, segment)| segment)
    }

    /// Whether this very segment is still part of the log.
    pub(crate) fn holds(&self, segment: &Arc<Segment>) -> bool {
        self.0.get(&segment.base_offset()).is_some_and(|held| Arc::ptr_eq(held, segment))
    }

    /// From the one that holds `offset` on.
    pub(crate) fn from(&self, offset: i64) -> impl DoubleEndedIterator<Item = &Arc<Segment>> {
        let first = self.floor(offset).map_or(offset, |segment| segment.base_offset());
        self.0.range(first..).map(|(_, segment)| segment)
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Arc<Segment>> {
        self.0.values()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes out those that begin at or after `offset`.
    pub(crate) fn split_off(&mut self, offset: i64) -> Vec<Arc<Segment>> {
        self.0.split_off(&offset).into_values().collect()
    }

    /// Bytes of all batches.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.iter().map(|segment| segment.size()).sum()
    }
}
