//! Incremental fetch sessions (KIP-227): a client names its partitions once, later only what changed, and is answered
//! only with what changed.
//!
//! ```text
//!   (id 0, epoch 0)   full fetch, asks for a session        (id n, epoch -1)  closes session n, full fetch
//!   (id 0, epoch -1)  full fetch without one                (id n, epoch k)   incremental, k counts the requests
//! ```
//!
//! The cache has a bounded number of slots. A new session takes the place of the one that was not used for longest, if
//! that was more than two minutes, or of a smaller one; else the client is told id 0 and goes on with full fetches.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use ottla_env::collections::HashMap;
use ottla_env::random;
use ottla_protocol::{ErrorCode, Uuid};
use parking_lot::Mutex;

/// A session unused for this long may lose its slot to any other.
const EVICTION_MS: i64 = 120_000;

/// A partition that a fetch asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Topic name; `None` when the request named an id that is not known.
    pub topic: Option<Arc<str>>,
    /// Topic id; zero when the request named it by name.
    pub topic_id: Uuid,
    /// Partition.
    pub index: i32,
    /// First offset wanted.
    pub fetch_offset: i64,
    /// Bytes wanted at most.
    pub max_bytes: i32,
    /// Leader epoch the client believes in; -1 for any.
    pub current_leader_epoch: i32,
    /// Epoch of its last record; -1 for unknown.
    pub last_fetched_epoch: i32,
}

/// Names a partition within a session: by id when the request has ids, by name otherwise.
type Key = (Uuid, Option<Arc<str>>, i32);

impl Target {
    fn key(&self) -> Key {
        let name = if self.topic_id.is_zero() { self.topic.clone() } else { None };
        (self.topic_id, name, self.index)
    }
}

/// What the client was last told of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// High watermark.
    pub high_watermark: i64,
    /// Last stable offset.
    pub last_stable_offset: i64,
    /// Log start offset.
    pub log_start_offset: i64,
}

#[derive(Debug)]
struct Cached {
    target: Target,
    told: Option<Told>,
}

#[derive(Debug)]
struct Session {
    next_epoch: i32,
    by_id: bool,
    last_used_ms: i64,
    cached: BTreeMap<Key, Cached>,
    /// The order in which partitions are served; those that gave data go to the end, so that all get their turn.
    order: VecDeque<Key>,
}

/// The session part of a fetch request, still to be looked up.
#[derive(Debug)]
pub struct SessionRequest {
    /// Session id; 0 for none.
    pub id: i32,
    /// Session epoch.
    pub epoch: i32,
    /// Whether topics are named by id (version 13 and above).
    pub by_id: bool,
    /// Partitions listed.
    pub targets: Vec<Target>,
    /// Partitions forgotten: name or id, and number.
    pub forgotten: Vec<(Option<Arc<str>>, Uuid, i32)>,
}

/// What a fetch has to look at, and how it is answered.
#[derive(Debug)]
pub struct FetchPlan {
    /// All partitions to look at, in order.
    pub targets: Vec<Target>,
    session: Option<(i32, Arc<Mutex<Session>>)>,
    incremental: bool,
}

/// All sessions of a broker.
#[derive(Debug)]
pub struct FetchSessions {
    slots: usize,
    sessions: Mutex<HashMap<i32, Arc<Mutex<Session>>>>,
}

impl FetchSessions {
    /// An empty cache of `slots` (`max.incremental.fetch.session.cache.slots`).
    #[must_use]
    pub fn new(slots: usize) -> Self {
        Self { slots, sessions: Mutex::default() }
    }

    /// How many sessions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sessions.lock().len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Finds out what a request has to look at.
    ///
    /// # Errors
    /// FETCH_SESSION_ID_NOT_FOUND, INVALID_FETCH_SESSION_EPOCH or FETCH_SESSION_TOPIC_ID_ERROR, for the whole answer.
    pub fn plan(&self, request: SessionRequest, now_ms: i64) -> Result<FetchPlan, ErrorCode> {
        if request.epoch > 0 {
            return self.incremental(request, now_ms);
        }
        if request.id != 0 {
            self.sessions.lock().remove(&request.id);
        }
        let wants_session = request.epoch == 0 && !request.targets.is_empty();
        let session = if wants_session { self.open(&request, now_ms) } else { None };
        Ok(FetchPlan { targets: request.targets, session, incremental: false })
    }

    fn incremental(&self, request: SessionRequest, now_ms: i64) -> Result<FetchPlan, ErrorCode> {
        let found = self.sessions.lock().get(&request.id).cloned();
        let session = found.ok_or(ErrorCode::FetchSessionIdNotFound)?;
        let mut s = session.lock();
        if s.next_epoch != request.epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        if s.by_id != request.by_id {
            return Err(ErrorCode::FetchSessionTopicIdError);
        }
        s.next_epoch = if request.epoch == i32::MAX { 1 } else { request.epoch + 1 };
        s.last_used_ms = now_ms;
        for (topic, topic_id, index) in request.forgotten {
            let name = if topic_id.is_zero() { topic } else { None };
            s.cached.remove(&(topic_id, name, index));
        }
        let Session { order, cached, .. } = &mut *s;
        order.retain(|key| cached.contains_key(key));
        for target in request.targets {
            s.put(target);
        }
        let targets = s.order.iter().filter_map(|key| s.cached.get(key)).map(|c| c.target.clone()).collect();
        drop(s);
        Ok(FetchPlan { targets, session: Some((request.id, session)), incremental: true })
    }

    fn open(&self, request: &SessionRequest, now_ms: i64) -> Option<(i32, Arc<Mutex<Session>>)> {
        let mut sessions = self.sessions.lock();
        if sessions.len() >= self.slots {
            let victim = victim(&sessions, request.targets.len(), now_ms)?;
            sessions.remove(&victim);
        }
        let mut session = Session {
            next_epoch: 1,
            by_id: request.by_id,
            last_used_ms: now_ms,
            cached: BTreeMap::new(),
            order: VecDeque::new(),
        };
        for target in &request.targets {
            session.put(target.clone());
        }
        let id = loop {
            let id = i32::try_from(random::below(i32::MAX as u64 - 1)).unwrap_or(0) + 1;
            if !sessions.contains_key(&id) {
                break id;
            }
        };
        let session = Arc::new(Mutex::new(session));
        sessions.insert(id, Arc::clone(&session));
        Some((id, session))
    }
}

/// The session that gives its slot to a new one of `size` partitions: unused for long, or the smallest if smaller.
fn victim(sessions: &HashMap<i32, Arc<Mutex<Session>>>, size: usize, now_ms: i64) -> Option<i32> {
    let facts = |(id, s): (&i32, &Arc<Mutex<Session>>)| {
        let s = s.lock();
        (s.last_used_ms, s.cached.len(), *id)
    };
    let (last_used_ms, _, oldest) = sessions.iter().map(facts).min()?;
    if now_ms - last_used_ms > EVICTION_MS {
        return Some(oldest);
    }
    let (_, smallest_size, smallest) = sessions.iter().map(facts).min_by_key(|(_, len, id)| (*len, *id))?;
    (smallest_size < size).then_some(smallest)
}

impl Session {
    fn put(&mut self, target: Target) {
        let key = target.key();
        match self.cached.get_mut(&key) {
            Some(cached) => cached.target = target,
            None => {
                self.cached.insert(key.clone(), Cached { target, told: None });
                self.order.push_back(key);
            }
        }
    }
}

impl FetchPlan {
    /// The session id of the answer; 0 for none.
    #[must_use]
    pub fn session_id(&self) -> i32 {
        self.session.as_ref().map_or(0, |(id, _)| *id)
    }

    /// Which partitions the answer lists: all of a full fetch; of an incremental one those with records, with an error
    /// or with something new to tell. `found` says for each target whether it must be listed anyway, whether it has
    /// records, and what would be told.
    #[must_use]
    pub fn listed(&self, found: &[(bool, bool, Told)]) -> Vec<bool> {
        let Some((_, session)) = &self.session else { return vec![true; found.len()] };
        let mut s = session.lock();
        let mut listed = Vec::with_capacity(found.len());
        let mut served = BTreeSet::new();
        for (target, (must, has_records, now)) in self.targets.iter().zip(found) {
            let key = target.key();
            let told = s.cached.get(&key).and_then(|c| c.told);
            let list = !self.incremental || *must || *has_records || told != Some(*now);
            if let Some(cached) = s.cached.get_mut(&key).filter(|_| list) {
                // After an error everything is told again.
                cached.told = (!*must).then_some(*now);
            }
            if *has_records && self.incremental {
                served.insert(key);
            }
            listed.push(list);
        }
        if !served.is_empty() {
            // In their order, so that what was not served comes first next time.
            let (last, first): (VecDeque<_>, VecDeque<_>) = s.order.drain(..).partition(|key| served.contains(key));
            s.order = first;
            s.order.extend(last);
        }
        listed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(topic: &str, index: i32, fetch_offset: i64) -> Target {
        Target {
            topic: Some(topic.into()),
            topic_id: Uuid::ZERO,
            index,
            fetch_offset,
            max_bytes: 100,
            current_leader_epoch: -1,
            last_fetched_epoch: -1,
        }
    }

    fn request(id: i32, epoch: i32, targets: Vec<Target>) -> SessionRequest {
        SessionRequest { id, epoch, by_id: false, targets, forgotten: Vec::new() }
    }

    const TOLD: Told = Told { high_watermark: 7, last_stable_offset: 7, log_start_offset: 0 };

    #[test]
    fn an_incremental_answer_lists_only_what_changed() {
        let sessions = FetchSessions::new(10);
        let full = sessions.plan(request(0, 0, vec![target("a", 0, 0), target("a", 1, 0)]), 0).expect("a full fetch");
        let id = full.session_id();
        assert!(id > 0);
        assert_eq!(full.listed(&[(false, false, TOLD), (false, false, TOLD)]), [true, true]);

        let second = sessions.plan(request(id, 1, vec![target("a", 1, 5)]), 0).expect("epoch 1");
        assert_eq!(second.targets, [target("a", 0, 0), target("a", 1, 5)]);
        assert_eq!(second.listed(&[(false, false, TOLD), (false, false, TOLD)]), [false, false]);

        let third = sessions.plan(request(id, 2, vec![]), 0).expect("epoch 2");
        let moved = Told { high_watermark: 8, ..TOLD };
        assert_eq!(third.listed(&[(false, true, moved), (true, false, TOLD)]), [true, true]);
        let fourth = sessions.plan(request(id, 3, vec![]), 0).expect("epoch 3");
        assert_eq!(fourth.targets[0].index, 1, "the partition that gave records went to the end");
        assert_eq!(
            fourth.listed(&[(false, false, TOLD), (false, false, moved)]),
            [true, false],
            "told again after an error"
        );
    }

    #[test]
    fn epochs_and_ids_are_checked_and_a_final_epoch_closes() {
        let sessions = FetchSessions::new(10);
        let id = sessions.plan(request(0, 0, vec![target("a", 0, 0)]), 0).expect("a full fetch").session_id();
        assert_eq!(sessions.plan(request(id, 2, vec![]), 0).err(), Some(ErrorCode::InvalidFetchSessionEpoch));
        assert_eq!(sessions.plan(request(id ^ 1, 1, vec![]), 0).err(), Some(ErrorCode::FetchSessionIdNotFound));
        let by_id = SessionRequest { by_id: true, ..request(id, 1, vec![]) };
        assert_eq!(sessions.plan(by_id, 0).err(), Some(ErrorCode::FetchSessionTopicIdError));
        let forget = SessionRequest { forgotten: vec![(Some("a".into()), Uuid::ZERO, 0)], ..request(id, 1, vec![]) };
        assert!(sessions.plan(forget, 0).expect("epoch 1").targets.is_empty());
        assert!(sessions.plan(request(id, -1, vec![]), 0).is_ok());
        assert_eq!(sessions.plan(request(id, 2, vec![]), 0).err(), Some(ErrorCode::FetchSessionIdNotFound));
    }

    #[test]
    fn a_full_cache_declines_unless_a_session_is_stale_or_smaller() {
        let sessions = FetchSessions::new(1);
        let open =
            |targets: Vec<Target>, now| sessions.plan(request(0, 0, targets), now).expect("a full fetch").session_id();
        assert!(open(vec![target("a", 0, 0)], 0) > 0);
        assert_eq!(open(vec![target("b", 0, 0)], 1), 0, "neither stale nor smaller");
        assert!(open(vec![target("b", 0, 0), target("b", 1, 0)], 2) > 0, "larger");
        assert!(open(vec![target("c", 0, 0)], EVICTION_MS + 3) > 0, "stale");
        assert_eq!(sessions.len(), 1);
    }
}
