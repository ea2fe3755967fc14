//! An incremental fetch session with one broker (KIP-227): the broker remembers which partitions we fetch, so that a
//! request names only what changed. Pure.
//!
//! ```text
//!   full (id 0, epoch 0) ──> broker gives id n ──> incremental (n, 1), (n, 2) ... ──error──> full again
//! ```

use std::collections::BTreeMap;

use ottla_protocol::Uuid;

use crate::TopicPartition;

/// The epoch of a full request that asks for a new session.
const INITIAL_EPOCH: i32 = 0;

/// What we want of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) topic_id: Uuid,
    pub(super) offset: i64,
    pub(super) leader_epoch: i32,
}

/// A request to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) session_id: i32,
    pub(super) session_epoch: i32,
    /// Partitions to name: all of a full request, those that changed of an incremental one.
    pub(super) named: Vec<(TopicPartition, Wanted)>,
    /// Partitions that the broker shall forget, with the topic id it knows them by.
    pub(super) forgotten: Vec<(TopicPartition, Uuid)>,
    /// Every partition that the answer may be about.
    pub(super) all: BTreeMap<TopicPartition, Wanted>,
}

/// What the broker remembers of us.
#[derive(Debug, Default)]
pub(super) struct FetchSession {
    id: i32,
    epoch: i32,
    known: BTreeMap<TopicPartition, Wanted>,
}

impl FetchSession {
    /// Plans the next request, which must be answered or failed before the one after it is planned.
    pub(super) fn plan(&mut self, wanted: BTreeMap<TopicPartition, Wanted>) -> Plan {
        if self.epoch == INITIAL_EPOCH {
            self.known = wanted.clone();
            let named = wanted.iter().map(|(tp, w)| (tp.clone(), *w)).collect();
            return Plan { session_id: 0, session_epoch: INITIAL_EPOCH, named, forgotten: Vec::new(), all: wanted };
        }
        let named = wanted.iter().filter(|(tp, w)| self.known.get(*tp) != Some(*w));
        let named = named.map(|(tp, w)| (tp.clone(), *w)).collect();
        // A topic made anew has another id; the old one must be forgotten by its own.
        let gone = self.known.iter().filter(|(tp, k)| wanted.get(*tp).is_none_or(|w| w.topic_id != k.topic_id));
        let forgotten = gone.map(|(tp, k)| (tp.clone(), k.topic_id)).collect();
        self.known = wanted.clone();
        Plan { session_id: self.id, session_epoch: self.epoch, named, forgotten, all: wanted }
    }

    /// The broker answered without a top-level error, with this session id; 0 means that it keeps no session.
    pub(super) fn answered(&mut self, session_id: i32) {
        self.id = session_id;
        self.epoch = match (session_id, self.epoch) {
            (0, _) => INITIAL_EPOCH,
            (_, i32::MAX) => 1,
            (_, epoch) => epoch + 1,
        };
    }

    /// The request failed or the session is gone: begin with a full request.
    pub(super) fn failed(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(list: &[(i32, u8, i64)]) -> BTreeMap<TopicPartition, Wanted> {
        let one = |(p, id, offset): &(i32, u8, i64)| {
            (TopicPartition::new("t", *p), Wanted { topic_id: Uuid([*id; 16]), offset: *offset, leader_epoch: 0 })
        };
        list.iter().map(one).collect()
    }

    fn named(plan: &Plan) -> Vec<i32> {
        plan.named.iter().map(|(tp, _)| tp.partition).collect()
    }

    #[test]
    fn only_what_changed_is_named_once_the_broker_remembers() {
        let mut session = FetchSession::default();
        let full = session.plan(wanted(&[(0, 1, 0), (1, 1, 0)]));
        assert_eq!((full.session_id, full.session_epoch, named(&full)), (0, 0, vec![0, 1]));
        session.answered(77);
        let next = session.plan(wanted(&[(0, 1, 5), (1, 1, 0)]));
        assert_eq!((next.session_id, next.session_epoch, named(&next)), (77, 1, vec![0]));
        assert_eq!(next.all.len(), 2);
        session.answered(77);
        let fewer = session.plan(wanted(&[(0, 1, 5)]));
        assert_eq!((fewer.session_epoch, named(&fewer)), (2, vec![]));
        assert_eq!(fewer.forgotten, [(TopicPartition::new("t", 1), Uuid([1; 16]))]);
    }

    #[test]
    fn a_topic_made_anew_is_forgotten_by_its_old_id_and_named_by_the_new_one() {
        let mut session = FetchSession::default();
        session.plan(wanted(&[(0, 1, 9)]));
        session.answered(77);
        let plan = session.plan(wanted(&[(0, 2, 0)]));
        assert_eq!(plan.forgotten, [(TopicPartition::new("t", 0), Uuid([1; 16]))]);
        assert_eq!(named(&plan), [0]);
    }

    #[test]
    fn without_a_session_or_after_a_failure_everything_is_named_again() {
        let mut session = FetchSession::default();
        session.plan(wanted(&[(0, 1, 0)]));
        session.answered(0);
        assert_eq!(session.plan(wanted(&[(0, 1, 0)])).session_epoch, 0);
        session.answered(5);
        session.failed();
        let plan = session.plan(wanted(&[(0, 1, 0)]));
        assert_eq!((plan.session_id, plan.session_epoch, named(&plan)), (0, 0, vec![0]));
    }

    #[test]
    fn epochs_go_from_the_largest_to_one_not_to_zero() {
        let mut session = FetchSession { id: 5, epoch: i32::MAX, known: BTreeMap::new() };
        session.answered(5);
        assert_eq!(session.epoch, 1);
    }
}
