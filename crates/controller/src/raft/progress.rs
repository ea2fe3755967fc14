//! How far the other replicas have come, as their fetches tell the leader.

use std::collections::BTreeMap;

use super::event::RequestId;
use super::voters::{ReplicaKey, VoterSet};

/// An observer that has not fetched for so long is forgotten (Kafka: `OBSERVER_SESSION_TIMEOUT_MS`).
const OBSERVER_SESSION_TIMEOUT_MS: i64 = 300_000;

/// Observers remembered at most; what lies beyond is served but not listed.
const OBSERVERS_MAX: usize = 4096;

/// One replica's position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplicaProgress {
    /// Who.
    pub key: ReplicaKey,
    /// Its log end offset; `None` before its first fetch in this epoch.
    pub end_offset: Option<i64>,
    /// When it last fetched; -1 never.
    pub last_fetch_ms: i64,
    /// When it last had everything; -1 never.
    pub last_caught_up_ms: i64,
    /// The leader's log end offset at its last fetch.
    leader_end_at_last_fetch: i64,
}

impl ReplicaProgress {
    fn new(key: ReplicaKey) -> Self {
        Self { key, end_offset: None, last_fetch_ms: -1, last_caught_up_ms: -1, leader_end_at_last_fetch: -1 }
    }

    /// A replica is caught up now when it has all there is, and was caught up at its last fetch when it now has all that
    /// there was then.
    fn fetched(&mut self, offset: i64, leader_end: i64, now_ms: i64) {
        if offset >= leader_end {
            self.last_caught_up_ms = self.last_caught_up_ms.max(now_ms);
        } else if self.last_fetch_ms > 0 && offset >= self.leader_end_at_last_fetch {
            self.last_caught_up_ms = self.last_caught_up_ms.max(self.last_fetch_ms);
        }
        self.end_offset = Some(offset);
        self.last_fetch_ms = self.last_fetch_ms.max(now_ms);
        self.leader_end_at_last_fetch = leader_end;
    }
}

/// When a voter is next told who leads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Greeting {
    pub(super) due_ms: i64,
    pub(super) request: Option<RequestId>,
}

/// The positions of all replicas but the leader.
#[derive(Debug, Default)]
pub(super) struct Progress {
    voters: BTreeMap<i32, ReplicaProgress>,
    observers: BTreeMap<ReplicaKey, ReplicaProgress>,
    pub(super) greetings: BTreeMap<i32, Greeting>,
}

impl Progress {
    /// Adopts a set of voters; `local` is the leader itself.
    pub(super) fn set_voters(&mut self, set: &VoterSet, local: i32, now_ms: i64) {
        self.voters.retain(|id, progress| set.get(*id).is_some_and(|v| v.key == progress.key));
        self.greetings.retain(|id, _| set.get(*id).is_some());
        for voter in set.iter().filter(|v| v.key.id != local) {
            let seen = self.observers.remove(&voter.key);
            self.voters.entry(voter.key.id).or_insert_with(|| seen.unwrap_or(ReplicaProgress::new(voter.key)));
            self.greetings.entry(voter.key.id).or_insert(Greeting { due_ms: now_ms, request: None });
        }
    }

    /// Notes a fetch, of a voter (then the result is true) or an observer.
    pub(super) fn fetched(
        &mut self,
        key: ReplicaKey,
        is_voter: bool,
        offset: i64,
        leader_end: i64,
        now_ms: i64,
    ) -> bool {
        if is_voter && let Some(voter) = self.voters.get_mut(&key.id) {
            voter.fetched(offset, leader_end, now_ms);
            return true;
        }
        self.observers.retain(|_, o| o.last_fetch_ms + OBSERVER_SESSION_TIMEOUT_MS > now_ms);
        if self.observers.len() < OBSERVERS_MAX || self.observers.contains_key(&key) {
            let observer = self.observers.entry(key).or_insert_with(|| ReplicaProgress::new(key));
            observer.fetched(offset, leader_end, now_ms);
        }
        false
    }

    /// A voter's acknowledged offset; -1 when none.
    pub(super) fn voter_offset(&self, id: i32) -> i64 {
        self.voters.get(&id).and_then(|v| v.end_offset).unwrap_or(-1)
    }

    pub(super) fn voters(&self) -> impl Iterator<Item = &ReplicaProgress> {
        self.voters.values()
    }

    /// Observers that fetched lately.
    pub(super) fn observers(&self, now_ms: i64) -> impl Iterator<Item = &ReplicaProgress> {
        self.observers.values().filter(move |o| o.last_fetch_ms + OBSERVER_SESSION_TIMEOUT_MS > now_ms)
    }
}
