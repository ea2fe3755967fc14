//! One partition of `__consumer_offsets` in one leader epoch: its shard, and the requests that wait on it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use ottla_coordinator::group::api::{GroupRequest, GroupResponse};
use ottla_coordinator::group::config::GroupConfig;
use ottla_coordinator::{CoordinatorRecord, Effect, GroupShard, Now};
use ottla_protocol::record_batch::{BatchBuilder, BatchOptions};
use ottla_protocol::{ErrorCode, Uuid};
use ottla_storage::AppendOrigin;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::handlers::partition_errors;
use crate::purgatory::{Subscription, Waiter};
use crate::replica::partition::Partition;

/// See the module.
#[derive(Debug)]
pub(crate) struct Slot {
    partition: Arc<Partition>,
    leader_epoch: i32,
    /// The driver's: woken when a record is committed that the shard waits for.
    waiter: Arc<Waiter>,
    /// Woken when the slot ends, for whoever loads it.
    ended: Arc<Waiter>,
    state: Mutex<State>,
}

/// Lives from leadership to leadership: `Loading`, then `Serving` (or `Failed`), at last `Ended`.
#[derive(Debug)]
enum State {
    Loading {
        config: GroupConfig,
        /// Topics that were deleted meanwhile: their offsets are to go once they are known.
        deleted: Vec<(Arc<str>, Uuid)>,
    },
    Serving(Box<Serving>),
    /// The log could not be replayed; the log says why.
    Failed,
    Ended,
}

#[derive(Debug)]
struct Serving {
    shard: GroupShard,
    waiting: BTreeMap<u64, oneshot::Sender<GroupResponse>>,
    /// Set while records wait to be committed.
    commits: Option<Subscription>,
}

/// Replies that leave once the slot's lock is given back.
type Replies = Vec<(oneshot::Sender<GroupResponse>, GroupResponse)>;

impl Slot {
    pub(super) fn new(partition: Arc<Partition>, leader_epoch: i32, config: GroupConfig, waiter: Arc<Waiter>) -> Self {
        let state = Mutex::new(State::Loading { config, deleted: Vec::new() });
        Self { partition, leader_epoch, waiter, ended: Waiter::new(), state }
    }

    pub(super) fn ended(&self) -> &Arc<Waiter> {
        &self.ended
    }

    pub(super) fn partition(&self) -> &Arc<Partition> {
        &self.partition
    }

    pub(super) fn leader_epoch(&self) -> i32 {
        self.leader_epoch
    }

    /// The settings for the shard that is to be loaded; `None` if the slot has ended meanwhile.
    pub(super) fn config(&self) -> Option<GroupConfig> {
        match &*self.state.lock() {
            State::Loading { config, .. } => Some(config.clone()),
            State::Serving(_) | State::Failed | State::Ended => None,
        }
    }

    /// The log is replayed and committed: requests are served from now on.
    pub(super) fn serve(&self, shard: GroupShard, now: Now) {
        let mut state = self.state.lock();
        let State::Loading { deleted, .. } = &mut *state else { return };
        let deleted = std::mem::take(deleted);
        let mut serving = Box::new(Serving { shard, waiting: BTreeMap::new(), commits: None });
        let mut effects = serving.shard.loaded(now);
        effects.extend(serving.forget(&deleted, now));
        let replies = serving.carry_out(self, effects, now);
        *state = State::Serving(serving);
        drop(state);
        send(replies);
    }

    /// The log cannot be replayed.
    pub(super) fn fail(&self) {
        let mut state = self.state.lock();
        if matches!(*state, State::Loading { .. }) {
            *state = State::Failed;
        }
    }

    /// The leadership is over: everybody who waits hears so, and nothing is appended any more.
    pub(super) fn end(&self, error: ErrorCode) {
        let before = std::mem::replace(&mut *self.state.lock(), State::Ended);
        self.ended.wake();
        if let State::Serving(serving) = before {
            let Serving { shard, mut waiting, .. } = *serving;
            for effect in shard.resign(error) {
                if let Effect::Reply { token, response } = effect
                    && let Some(sender) = waiting.remove(&token)
                {
                    send(vec![(sender, response)]);
                }
            }
        }
    }

    /// Hands a request to the shard; the reply comes through the receiver.
    pub(super) fn request(
        &self,
        token: u64,
        request: GroupRequest,
        now: Now,
    ) -> Result<oneshot::Receiver<GroupResponse>, ErrorCode> {
        let (sender, receiver) = oneshot::channel();
        self.act(now, |serving| {
            serving.waiting.insert(token, sender);
            serving.shard.request(token, request, now)
        })?;
        Ok(receiver)
    }

    /// Has the shard decide something, and carries it out.
    fn act(&self, now: Now, act: impl FnOnce(&mut Serving) -> Vec<Effect>) -> Result<(), ErrorCode> {
        let mut state = self.state.lock();
        let serving = serving(&mut state)?;
        let effects = act(serving);
        let replies = serving.carry_out(self, effects, now);
        drop(state);
        send(replies);
        Ok(())
    }

    /// Reads from the shard.
    ///
    /// # Errors
    /// COORDINATOR_LOAD_IN_PROGRESS or NOT_COORDINATOR.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&GroupShard) -> T) -> Result<T, ErrorCode> {
        serving(&mut self.state.lock()).map(|serving| read(&serving.shard))
    }

    /// Does what is due, and passes the high watermark on.
    pub(super) fn turn(&self, now: Now) {
        // A slot that does not serve has nothing to do.
        let _ = self.act(now, |serving| match serving.shard.next_deadline_ms() {
            Some(at) if at <= now.monotonic_ms => serving.shard.tick(now),
            Some(_) | None => Vec::new(),
        });
    }

    /// Topics were deleted: so are their offsets.
    pub(super) fn topics_deleted(&self, topics: &[(Arc<str>, Uuid)], now: Now) {
        if let State::Loading { deleted, .. } = &mut *self.state.lock() {
            return deleted.extend_from_slice(topics);
        }
        // A slot that has ended leaves them to the next coordinator.
        let _ = self.act(now, |serving| serving.forget(topics, now));
    }

    /// When [`Self::turn`] is due; the end of time while nothing is.
    pub(super) fn next_deadline_ms(&self) -> i64 {
        match &*self.state.lock() {
            State::Serving(serving) => serving.shard.next_deadline_ms().unwrap_or(i64::MAX),
            State::Loading { .. } | State::Failed | State::Ended => i64::MAX,
        }
    }

    /// Appends records as one batch; the offset of the last one.
    fn append(&self, records: &[CoordinatorRecord], now: Now) -> Result<i64, ErrorCode> {
        let epoch = self.partition.check_leader(-1).map_err(partition_errors::not_leader)?;
        if epoch != self.leader_epoch {
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        let mut batch = BatchBuilder::new(BatchOptions { leader_epoch: epoch, ..BatchOptions::default() });
        for record in records {
            batch.append(now.wall_ms, Some(&record.key), record.value.as_deref(), &[]);
        }
        let mut bytes = batch.build();
        match self.partition.append(&mut bytes, true, AppendOrigin::Coordinator, now.wall_ms) {
            Ok(appended) => Ok(appended.info.last_offset),
            Err(cause) => {
                tracing::warn!(partition = self.partition.index, %cause, "group records are not appended");
                Err(partition_errors::append_refused(&cause))
            }
        }
    }
}

impl Serving {
    /// Carries out effects, and those that follow from them, in order.
    fn carry_out(&mut self, slot: &Slot, effects: Vec<Effect>, now: Now) -> Replies {
        let mut replies = Vec::new();
        let mut queue = VecDeque::from(effects);
        loop {
            while let Some(effect) = queue.pop_front() {
                match effect {
                    Effect::Reply { token, response } => {
                        if let Some(sender) = self.waiting.remove(&token) {
                            replies.push((sender, response));
                        }
                    }
                    Effect::Write { write, records } => {
                        let result = slot.append(&records, now);
                        queue.extend(self.shard.written(write, result, now));
                    }
                }
            }
            self.commits = None;
            let Some(offset) = self.shard.awaited_offset() else { return replies };
            // Subscribed before we look, so that no commit is missed.
            self.commits = Some(slot.partition.committed().subscribe(offset + 1, &slot.waiter));
            let high_watermark = slot.partition.log().high_watermark();
            if high_watermark <= offset {
                return replies;
            }
            queue.extend(self.shard.committed(high_watermark, now));
        }
    }

    fn forget(&mut self, topics: &[(Arc<str>, Uuid)], now: Now) -> Vec<Effect> {
        let topics: Vec<(&str, Uuid)> = topics.iter().map(|(name, id)| (&**name, *id)).collect();
        self.shard.topics_deleted(&topics, now)
    }
}

fn serving(state: &mut State) -> Result<&mut Serving, ErrorCode> {
    match state {
        State::Serving(serving) => Ok(serving),
        State::Loading { .. } => Err(ErrorCode::CoordinatorLoadInProgress),
        State::Failed | State::Ended => Err(ErrorCode::NotCoordinator),
    }
}

fn send(replies: Replies) {
    for (sender, response) in replies {
        // Whoever asked may have hung up.
        let _ = sender.send(response);
    }
}
