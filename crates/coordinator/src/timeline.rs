//! A value in two readings: what is committed, and what the last write made of it.
//!
//! ```text
//!   committed ── set(w1, a) ── set(w2, None) ──> latest
//!             settle(w1): a is committed;  undo(w2): as if w2 had never been
//! ```
//!
//! Requests are decided on the latest value, reads are answered from the committed one (Kafka's `TimelineHashMap`, which
//! keeps a snapshot of everything instead; we keep only what differs).

use crate::runtime::WriteId;

/// A value, or its absence, and its versions that are not committed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Versioned<V> {
    committed: Option<V>,
    /// Oldest first. Nearly always empty.
    pending: Vec<(WriteId, Option<V>)>,
}

impl<V> Default for Versioned<V> {
    fn default() -> Self {
        Self { committed: None, pending: Vec::new() }
    }
}

impl<V> Versioned<V> {
    /// As the last write left it.
    pub(crate) fn latest(&self) -> Option<&V> {
        self.pending.last().map_or(self.committed.as_ref(), |(_, value)| value.as_ref())
    }

    /// As the last committed write left it.
    pub(crate) fn committed(&self) -> Option<&V> {
        self.committed.as_ref()
    }

    /// Changes it by a write that is not committed yet.
    pub(crate) fn set(&mut self, write: WriteId, value: Option<V>) {
        self.pending.push((write, value));
    }

    /// Changes it by a record of a log that is loaded.
    pub(crate) fn load(&mut self, value: Option<V>) {
        self.committed = value;
    }

    /// The write is committed, and so are all before it.
    pub(crate) fn settle(&mut self, write: WriteId) {
        let until = self.pending.partition_point(|(id, _)| *id <= write);
        if let Some((_, value)) = self.pending.drain(..until).next_back() {
            self.committed = value;
        }
    }

    /// The write was not appended.
    pub(crate) fn undo(&mut self, write: WriteId) {
        self.pending.retain(|(id, _)| *id != write);
    }

    /// Whether neither reading has a value, so that it need not be kept.
    pub(crate) fn is_gone(&self) -> bool {
        self.committed.is_none() && self.pending.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::WriteQueue;

    #[test]
    fn readings_differ_until_the_write_is_settled_or_undone() {
        let mut queue: WriteQueue<(), ()> = WriteQueue::new();
        let (w1, w2, w3) = (queue.push((), 0), queue.push((), 0), queue.push((), 0));
        let mut value = Versioned::default();
        value.load(Some(1));
        value.set(w1, Some(2));
        value.set(w2, Some(3));
        value.set(w3, None);
        assert_eq!((value.committed(), value.latest()), (Some(&1), None));
        value.undo(w2);
        value.settle(w1);
        assert_eq!((value.committed(), value.latest()), (Some(&2), None));
        value.settle(w3);
        assert!(value.is_gone());
    }
}
