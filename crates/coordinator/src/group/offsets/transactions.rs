//! Offsets committed inside transactions, as a log that Apache Kafka wrote holds them: they count once the transaction's
//! COMMIT marker follows, and never after an ABORT marker.
//!
//! Ottla writes none yet. It must read them all the same, or a group that moves here would fall back to older offsets.

use std::collections::{BTreeMap, BTreeSet};

use super::{OffsetAndMetadata, OffsetKey, Offsets};

/// Offsets of transactions whose end has not been seen.
#[derive(Debug, Default)]
pub(crate) struct OpenTransactions {
    /// By producer id. `None`: a transaction that deletes the offset.
    by_producer: BTreeMap<i64, BTreeMap<OffsetKey, Option<OffsetAndMetadata>>>,
    /// Producers whose transaction may change an offset.
    by_offset: BTreeMap<OffsetKey, BTreeSet<i64>>,
}

impl OpenTransactions {
    /// Whether an open transaction may change this offset.
    pub(crate) fn may_change(&self, group: &str, topic: &str, partition: i32) -> bool {
        !self.by_offset.is_empty() && self.by_offset.contains_key(&OffsetKey::new(group, topic, partition))
    }

    /// Whether an open transaction may change any offset of the group.
    pub(super) fn may_change_group(&self, group: &str) -> bool {
        self.by_offset.keys().any(|key| *key.group == *group)
    }

    /// A later commit outside a transaction wins over what is still open: the transaction's offset lies before it.
    pub(super) fn overtaken(&mut self, key: &OffsetKey) {
        for producer in self.by_offset.get(key).into_iter().flatten() {
            if let Some(offsets) = self.by_producer.get_mut(producer) {
                offsets.remove(key);
            }
        }
    }

    fn hold(&mut self, producer_id: i64, key: OffsetKey, value: Option<OffsetAndMetadata>) {
        self.by_offset.entry(key.clone()).or_default().insert(producer_id);
        self.by_producer.entry(producer_id).or_default().insert(key, value);
    }

    fn end(&mut self, producer_id: i64) -> BTreeMap<OffsetKey, Option<OffsetAndMetadata>> {
        self.by_offset.retain(|_, producers| {
            producers.remove(&producer_id);
            !producers.is_empty()
        });
        self.by_producer.remove(&producer_id).unwrap_or_default()
    }
}

impl Offsets {
    /// Replays a record of a transaction.
    pub(crate) fn load_transactional(&mut self, producer_id: i64, key: OffsetKey, value: Option<OffsetAndMetadata>) {
        self.transactions.hold(producer_id, key, value);
    }

    /// Replays the marker that ends a transaction; returns the offsets that now count.
    pub(crate) fn load_marker(&mut self, producer_id: i64, commit: bool) -> Vec<OffsetKey> {
        let offsets = self.transactions.end(producer_id);
        if !commit {
            return Vec::new();
        }
        let keys = offsets.keys().cloned().collect();
        for (key, value) in offsets {
            self.change(&key, |cell| cell.load(value));
        }
        keys
    }

    /// Whether an open transaction may change any offset of the group, so that the group must stay.
    pub(crate) fn has_open_transaction(&self, group: &str) -> bool {
        self.transactions.may_change_group(group)
    }
}
