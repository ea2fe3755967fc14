//! Deadlines by key: one deadline per key, and the earliest at hand.
//!
//! There is no wheel and no task: the shard says when it next wants to be woken, and the driver sleeps until then. A
//! heartbeat moves one deadline, which costs the logarithm of the number of members.

use std::collections::{BTreeMap, BTreeSet};

/// What is due when.
#[derive(Debug)]
pub(crate) struct Timers<K> {
    by_key: BTreeMap<K, i64>,
    by_time: BTreeSet<(i64, K)>,
}

impl<K: Ord + Clone> Timers<K> {
    pub(crate) fn new() -> Self {
        Self { by_key: BTreeMap::new(), by_time: BTreeSet::new() }
    }

    /// Sets or moves the deadline of a key.
    pub(crate) fn schedule(&mut self, key: K, at_ms: i64) {
        if let Some(before) = self.by_key.insert(key.clone(), at_ms) {
            self.by_time.remove(&(before, key.clone()));
        }
        self.by_time.insert((at_ms, key));
    }

    /// Sets the deadline of a key unless it has one.
    pub(crate) fn schedule_if_absent(&mut self, key: K, at_ms: i64) {
        if !self.by_key.contains_key(&key) {
            self.schedule(key, at_ms);
        }
    }

    /// Forgets the deadline of a key.
    pub(crate) fn cancel(&mut self, key: &K) {
        if let Some(at) = self.by_key.remove(key) {
            self.by_time.remove(&(at, key.clone()));
        }
    }

    /// Takes out the earliest key that is due.
    pub(crate) fn pop_due(&mut self, now_ms: i64) -> Option<K> {
        if self.by_time.first()?.0 > now_ms {
            return None;
        }
        let (_, key) = self.by_time.pop_first()?;
        self.by_key.remove(&key);
        Some(key)
    }

    /// When the earliest is due.
    pub(crate) fn next_ms(&self) -> Option<i64> {
        self.by_time.first().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_due_once_at_its_last_deadline() {
        let mut timers = Timers::new();
        timers.schedule("a", 10);
        timers.schedule("b", 5);
        timers.schedule("a", 20);
        timers.schedule_if_absent("a", 1);
        timers.schedule("c", 7);
        timers.cancel(&"c");
        assert_eq!(timers.next_ms(), Some(5));
        assert_eq!((timers.pop_due(15), timers.pop_due(15)), (Some("b"), None));
        assert_eq!((timers.pop_due(20), timers.pop_due(99), timers.next_ms()), (Some("a"), None, None));
    }
}
