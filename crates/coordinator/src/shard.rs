//! [`GroupShard`]: the groups of one partition of `__consumer_offsets`, and the contract with whoever drives it.
//!
//! ```text
//!            replay, replay_marker ... loaded          a log is read into an empty shard, then sessions start
//!   request(token, request, now) ─┐
//!   tick(now) ────────────────────┼─> effects, in order: Write { write, records }, Reply { token, response }
//!   delete_topics(..) ────────────┘
//!   written(write, offset | code) ──> effects                at once after each Write, before anything else
//!   committed(high watermark) ──────> effects
//!   resign(code) ───────────────────> replies to all who wait; the shard is used up
//! ```
//!
//! State changes when records are decided, so that the next request is decided on it; replies leave when the records are
//! committed; a write that is refused is undone. Offsets are read as committed. What changes is changed by `replay`
//! functions alone, the same for a log that is loaded and for a record that is written; except that a classic group is
//! itself the state, of which records are pictures (see [`classic`](crate::group)).
//!
//! The driver must append writes in the order of their effects, report each with [`GroupShard::written`], and call
//! [`GroupShard::tick`] when [`GroupShard::next_deadline_ms`] has come.

mod read;
mod replay;

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_protocol::{ErrorCode, Uuid};

use crate::group::Group;
use crate::group::api::{GroupRequest, GroupResponse, JoinRequest, JoinResponse, SyncResponse};
use crate::group::classic::{ClassicGroup, State};
use crate::group::config::{GroupConfig, MAX_STRING_BYTES};
use crate::group::offsets::Offsets;
use crate::group::records::{CoordinatorRecord, Record, StoredGroup};
use crate::runtime::{Now, Token, WriteId};
use crate::timer::Timers;
use crate::turn::{After, GroupWrites, Timer, Turn, write_error};

/// What the driver is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Append these records, together in one batch, and report with [`GroupShard::written`].
    Write {
        /// Names the write.
        write: WriteId,
        /// Never empty.
        records: Vec<CoordinatorRecord>,
    },
    /// Answer a request.
    Reply {
        /// The request's.
        token: Token,
        /// The answer.
        response: GroupResponse,
    },
}

/// See the module.
#[derive(Debug)]
pub struct GroupShard {
    config: GroupConfig,
    groups: BTreeMap<Arc<str>, Group>,
    offsets: Offsets,
    timers: Timers<Timer>,
    writes: GroupWrites,
    out: Vec<Effect>,
}

impl GroupShard {
    /// A shard without groups; a log may be replayed into it.
    #[must_use]
    pub fn new(config: GroupConfig) -> Self {
        Self {
            config,
            groups: BTreeMap::new(),
            offsets: Offsets::default(),
            timers: Timers::new(),
            writes: GroupWrites::new(),
            out: Vec::new(),
        }
    }

    /// Handles a request. Its reply is an effect of this call or of a later one; there is exactly one.
    pub fn request(&mut self, token: Token, request: GroupRequest, now: Now) -> Vec<Effect> {
        match request {
            GroupRequest::Join(request) => self.join(request, token, now),
            GroupRequest::Sync(request) => {
                let (groups, mut turn) = self.groups_and_turn(now);
                match groups.get_mut(request.group_id.as_str()) {
                    Some(Group::Classic(group)) => group.sync(request, token, &mut turn),
                    Some(Group::Other(_)) | None => {
                        turn.reply(token, GroupResponse::Sync(SyncResponse::error(ErrorCode::UnknownMemberId)));
                    }
                }
            }
            GroupRequest::Heartbeat(request) => {
                let (groups, mut turn) = self.groups_and_turn(now);
                let error = match groups.get_mut(request.group_id.as_str()) {
                    Some(Group::Classic(group)) => group.heartbeat(&request, &mut turn),
                    Some(Group::Other(_)) | None => ErrorCode::UnknownMemberId,
                };
                turn.reply(token, GroupResponse::Heartbeat(error));
            }
            GroupRequest::Leave(request) => {
                let (groups, mut turn) = self.groups_and_turn(now);
                let response = match groups.get_mut(request.group_id.as_str()) {
                    Some(Group::Classic(group)) => group.leave(&request, &mut turn),
                    Some(Group::Other(_)) | None => request.nobody_known(),
                };
                turn.reply(token, GroupResponse::Leave(response));
            }
            GroupRequest::OffsetCommit(request) => self.commit_offsets(&request, token, now),
            GroupRequest::OffsetDelete(request) => self.delete_offsets(&request, token, now),
            GroupRequest::Delete(request) => self.delete_groups(request.groups, token, now),
        }
        self.run_due(now)
    }

    /// JoinGroup: a member without id makes a group that does not exist.
    fn join(&mut self, request: JoinRequest, token: Token, now: Now) {
        let session = self.config.min_session_timeout_ms..=self.config.max_session_timeout_ms;
        let refusal = if request.group_id.is_empty() {
            Some(ErrorCode::InvalidGroupId)
        } else if !session.contains(&request.session_timeout_ms) {
            Some(ErrorCode::InvalidSessionTimeout)
        } else if !names_fit(&request) {
            Some(ErrorCode::InvalidRequest)
        } else {
            None
        };
        if let Some(error) = refusal {
            let response = GroupResponse::Join(JoinResponse::error(&request.member_id, error));
            return self.turn(now).reply_now(token, response);
        }
        let id: Arc<str> = request.group_id.as_str().into();
        if !self.groups.contains_key(&id) && request.member_id.is_empty() {
            // Written before the member is looked at, so that its answer waits until the group is committed.
            self.write(&[Record::Group(id.clone(), Some(StoredGroup::new(now.wall_ms)))], After::Nothing, now);
        }
        let (groups, mut turn) = self.groups_and_turn(now);
        let error = match groups.get_mut(&id) {
            Some(Group::Classic(group)) => return group.join(request, token, &mut turn),
            Some(Group::Other(_)) => ErrorCode::InconsistentGroupProtocol,
            None => ErrorCode::UnknownMemberId,
        };
        let member_id = if error == ErrorCode::InconsistentGroupProtocol { "" } else { &request.member_id };
        turn.reply(token, GroupResponse::Join(JoinResponse::error(member_id, error)));
    }

    /// DeleteGroups: groups without members go, with their offsets, in one write.
    fn delete_groups(&mut self, ids: Vec<String>, token: Token, now: Now) {
        let mut records = Vec::new();
        let mut results: Vec<(String, ErrorCode)> = Vec::with_capacity(ids.len());
        for id in ids {
            let error = match self.groups.get(id.as_str()) {
                _ if results.iter().any(|(before, _)| *before == id) => ErrorCode::GroupIdNotFound,
                Some(Group::Classic(group)) if group.state() == State::Empty => {
                    records.extend(self.offsets.tombstones_of_group(group.id()));
                    records.push(Record::Group(group.id().clone(), None));
                    ErrorCode::None
                }
                Some(Group::Classic(_)) => ErrorCode::NonEmptyGroup,
                Some(Group::Other(group)) if group.is_empty() => ErrorCode::GroupDeletionFailed,
                Some(Group::Other(_)) => ErrorCode::NonEmptyGroup,
                None => ErrorCode::GroupIdNotFound,
            };
            results.push((id, error));
        }
        if !records.is_empty() {
            self.write(&records, After::Nothing, now);
        }
        self.turn(now).reply(token, GroupResponse::Delete(results));
    }

    /// Does what is due. To be called when [`Self::next_deadline_ms`] has come; earlier does no harm.
    pub fn tick(&mut self, now: Now) -> Vec<Effect> {
        self.run_due(now)
    }

    /// When the next [`Self::tick`] is due, by the monotonic clock; `None` while nothing is waited for.
    #[must_use]
    pub fn next_deadline_ms(&self) -> Option<i64> {
        [self.timers.next_ms(), self.writes.next_deadline_ms()].into_iter().flatten().min()
    }

    /// Offset of the record whose commitment is waited for next: [`Self::committed`] is to be called when the high
    /// watermark is above it.
    #[must_use]
    pub fn awaited_offset(&self) -> Option<i64> {
        self.writes.oldest_offset()
    }

    /// Topics were deleted: name and id (zero if not known) of each. Their offsets go.
    pub fn topics_deleted(&mut self, topics: &[(&str, Uuid)], now: Now) -> Vec<Effect> {
        self.delete_topics(topics, now);
        self.take_effects()
    }

    fn run_due(&mut self, now: Now) -> Vec<Effect> {
        while let Some((write, replies)) = self.writes.pop_late(now.monotonic_ms) {
            let then = std::mem::replace(&mut write.then, After::Nothing);
            self.late(then, replies, now);
        }
        while let Some(timer) = self.timers.pop_due(now.monotonic_ms) {
            match timer {
                Timer::ExpireOffsets => self.expire(now),
                Timer::Join(id) => self.with_group(&id, now, ClassicGroup::join_deadline),
                Timer::Sync(id) => self.with_group(&id, now, ClassicGroup::sync_deadline),
                Timer::Member(id, member_id) => {
                    self.with_group(&id, now, |group, turn| group.session_ended(&member_id, turn));
                }
            }
        }
        self.take_effects()
    }

    /// A write was appended, with its last record at this offset, or refused with this code.
    pub fn written(&mut self, write: WriteId, result: Result<i64, ErrorCode>, now: Now) -> Vec<Effect> {
        match result {
            Ok(last_offset) => self.writes.written(write, last_offset),
            Err(error) => {
                if let Some(settled) = self.writes.failed(write) {
                    self.undo(settled.id, &settled.write.offsets, &settled.write.created, error, now);
                    self.fail(settled.write.then, settled.replies, error, now);
                }
            }
        }
        self.take_effects()
    }

    /// All records below this offset are committed.
    pub fn committed(&mut self, high_watermark: i64, now: Now) -> Vec<Effect> {
        while let Some(settled) = self.writes.pop_committed(high_watermark) {
            for key in &settled.write.offsets {
                self.offsets.settle(settled.id, key);
            }
            for id in &settled.write.created {
                if let Some(Group::Classic(group)) = self.groups.get_mut(id)
                    && group.created_by() == Some(settled.id)
                {
                    group.set_created_by(None);
                }
            }
            for (token, response) in settled.replies {
                self.out.push(Effect::Reply { token, response });
            }
            match settled.write.then {
                After::Nothing | After::Deleted(_) => {}
                After::Assignment { group: id, generation, assignment } => {
                    self.with_group(&id, now, |group, turn| group.assignment_written(generation, assignment, turn));
                }
                After::StaticMember(replaced) => {
                    let id = replaced.group.clone();
                    self.with_group(&id, now, |group, turn| group.static_member_written(&replaced, turn));
                }
            }
        }
        self.take_effects()
    }

    /// Answers everything that waits: another broker leads the partition now (NOT_COORDINATOR), or this one goes down.
    #[must_use]
    pub fn resign(mut self, error: ErrorCode) -> Vec<Effect> {
        for (token, response) in self.writes.take_replies() {
            self.out.push(Effect::Reply { token, response: response.failed(error) });
        }
        let (groups, mut turn) = self.groups_and_turn(Now::default());
        for group in groups.values_mut() {
            if let Group::Classic(group) = group {
                group.dismiss(error, &mut turn);
            }
        }
        self.take_effects()
    }

    /// A write is not committed in time, but its records lie in the log and may be later: those who wait hear that it is not
    /// known, and ask again; nothing is undone.
    fn late(&mut self, then: After, replies: Vec<(Token, GroupResponse)>, now: Now) {
        let error = ErrorCode::RequestTimedOut;
        match then {
            After::StaticMember(replaced) => {
                self.fail(After::Nothing, replies, error, now);
                let id = replaced.group.clone();
                self.with_group(&id, now, |group, turn| group.static_member_late(&replaced, error, turn));
            }
            After::Deleted(_) => self.fail(After::Nothing, replies, error, now),
            // Members rebalance; the assignment, should it be committed, is that of a generation that is over.
            After::Nothing | After::Assignment { .. } => self.fail(then, replies, error, now),
        }
    }

    /// Those who wait for a write hear that it failed, and what was to follow it does not.
    fn fail(&mut self, then: After, replies: Vec<(Token, GroupResponse)>, error: ErrorCode, now: Now) {
        for (token, response) in replies {
            let response = response.failed(write_error(error));
            self.out.push(Effect::Reply { token, response });
        }
        match then {
            After::Nothing => {}
            After::Assignment { group: id, generation, .. } => {
                self.with_group(&id, now, |group, turn| group.assignment_not_written(generation, error, turn));
            }
            After::StaticMember(replaced) => {
                let id = replaced.group.clone();
                self.with_group(&id, now, |group, turn| group.static_member_not_written(*replaced, error, turn));
            }
            After::Deleted(deleted) => {
                for group in deleted {
                    self.groups.insert(group.id().clone(), Group::Classic(Box::new(group)));
                }
            }
        }
    }

    /// Does something to a classic group, if it is still there.
    fn with_group(&mut self, id: &str, now: Now, act: impl FnOnce(&mut ClassicGroup, &mut Turn<'_>)) {
        let (groups, mut turn) = self.groups_and_turn(now);
        if let Some(Group::Classic(group)) = groups.get_mut(id) {
            act(group, &mut turn);
        }
    }

    fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.out)
    }

    pub(crate) fn config(&self) -> &GroupConfig {
        &self.config
    }

    pub(crate) fn groups(&self) -> &BTreeMap<Arc<str>, Group> {
        &self.groups
    }

    pub(crate) fn offsets(&self) -> &Offsets {
        &self.offsets
    }

    pub(crate) fn turn(&mut self, now: Now) -> Turn<'_> {
        self.groups_and_turn(now).1
    }

    /// The groups, and what else a decision about one of them uses.
    pub(crate) fn groups_and_turn(&mut self, now: Now) -> (&mut BTreeMap<Arc<str>, Group>, Turn<'_>) {
        let turn =
            Turn { now, config: &self.config, timers: &mut self.timers, writes: &mut self.writes, out: &mut self.out };
        (&mut self.groups, turn)
    }
}

/// Whether all names fit into records (see [`MAX_STRING_BYTES`]).
fn names_fit(request: &JoinRequest) -> bool {
    let instance = request.group_instance_id.as_deref().unwrap_or_default();
    let names = [&request.group_id, &request.client_id, &request.member_id, &request.protocol_type, instance];
    names.iter().all(|name| name.len() <= MAX_STRING_BYTES)
        && request.protocols.iter().all(|p| p.name.len() <= MAX_STRING_BYTES)
}
