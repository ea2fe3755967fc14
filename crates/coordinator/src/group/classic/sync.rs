//! SyncGroup: the leader's assignment, written down and handed out.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_protocol::ErrorCode;

use super::{ClassicGroup, State};
use crate::group::api::{GroupResponse, Opaque, SyncRequest, SyncResponse};
use crate::group::records::Record;
use crate::runtime::Token;
use crate::turn::{After, Timer, Turn, write_error};

impl ClassicGroup {
    /// Handles SyncGroup. While the generation has no assignment yet, the answer waits for the leader's to be committed.
    pub(crate) fn sync(&mut self, request: SyncRequest, token: Token, turn: &mut Turn<'_>) {
        if let Err(error) = self.validate_sync(&request) {
            return turn.reply(token, GroupResponse::Sync(SyncResponse::error(error)));
        }
        match self.state {
            State::Empty => turn.reply(token, GroupResponse::Sync(SyncResponse::error(ErrorCode::UnknownMemberId))),
            State::PreparingRebalance => {
                turn.reply(token, GroupResponse::Sync(SyncResponse::error(ErrorCode::RebalanceInProgress)));
            }
            State::CompletingRebalance => {
                self.await_sync(&request.member_id, token, turn);
                if self.is_leader(&request.member_id) && !self.writing_assignment {
                    self.write_assignment(request.assignments, turn);
                }
            }
            State::Stable => {
                self.has_synced(&request.member_id, turn);
                turn.reply(token, GroupResponse::Sync(self.sync_response(&request.member_id)));
            }
        }
    }

    fn validate_sync(&self, request: &SyncRequest) -> Result<(), ErrorCode> {
        self.validate_member(&request.member_id, request.group_instance_id.as_deref())?;
        if request.generation_id != self.generation_id {
            return Err(ErrorCode::IllegalGeneration);
        }
        let differ = |asked: &Option<String>, is: &Option<String>| asked.is_some() && is.is_some() && asked != is;
        if differ(&request.protocol_type, &self.protocol_type) || differ(&request.protocol_name, &self.protocol_name) {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        Ok(())
    }

    /// Lets a SyncGroup wait. One that waited before lost its connection, or its client would not ask again.
    fn await_sync(&mut self, member_id: &str, token: Token, turn: &mut Turn<'_>) {
        let Some(member) = self.members.get_mut(member_id) else { return };
        if let Some(before) = member.sync.replace(token) {
            turn.reply(before, GroupResponse::Sync(SyncResponse::error(ErrorCode::RebalanceInProgress)));
        }
        self.has_synced(member_id, turn);
    }

    fn has_synced(&mut self, member_id: &str, turn: &mut Turn<'_>) {
        self.pending_sync.remove(member_id);
        if self.pending_sync.is_empty() {
            turn.timers.cancel(&Timer::Sync(self.id.clone()));
        }
    }

    /// Writes the generation down. Members that the leader left out are assigned nothing; assignments of others are dropped.
    fn write_assignment(&mut self, assignments: Vec<(String, Opaque)>, turn: &mut Turn<'_>) {
        let mut assignment: BTreeMap<Arc<str>, Opaque> =
            self.members.keys().map(|id| (id.clone(), Opaque::default())).collect();
        for (member_id, bytes) in assignments {
            if let Some(place) = assignment.get_mut(member_id.as_str()) {
                *place = bytes;
            }
        }
        let picture = Record::Group(self.id.clone(), Some(self.to_stored(Some(&assignment))));
        let then = After::Assignment { group: self.id.clone(), generation: self.generation_id, assignment };
        self.writing_assignment = true;
        turn.write(&[picture], then);
    }

    /// The assignment is committed: the group is stable, unless it has moved on.
    pub(crate) fn assignment_written(
        &mut self,
        generation: i32,
        mut assignment: BTreeMap<Arc<str>, Opaque>,
        turn: &mut Turn<'_>,
    ) {
        if self.state != State::CompletingRebalance || self.generation_id != generation {
            return;
        }
        self.writing_assignment = false;
        for member in self.members.values_mut() {
            member.assignment = assignment.remove(&member.id).unwrap_or_default();
        }
        self.answer_syncs(None, turn);
        self.transition_to(State::Stable, turn.now);
        tracing::debug!(group = %self.id, generation, members = self.members.len(), "stable");
    }

    /// The assignment was not committed: members hear why and join again.
    pub(crate) fn assignment_not_written(&mut self, generation: i32, error: ErrorCode, turn: &mut Turn<'_>) {
        if self.state == State::CompletingRebalance && self.generation_id == generation {
            self.clear_assignment(write_error(error), turn);
            self.rebalance_or_complete_join(turn);
        }
    }

    /// Forgets the assignment; whoever waits for it hears why.
    pub(super) fn clear_assignment(&mut self, error: ErrorCode, turn: &mut Turn<'_>) {
        self.writing_assignment = false;
        for member in self.members.values_mut() {
            member.assignment = Opaque::default();
        }
        self.answer_syncs(Some(error), turn);
    }

    /// Answers every SyncGroup that waits. Sessions start anew: one that ended while its member waited was overlooked.
    fn answer_syncs(&mut self, error: Option<ErrorCode>, turn: &mut Turn<'_>) {
        let is_waiting = |m: &&super::Member| m.sync.is_some();
        let waiting: Vec<Arc<str>> = self.members.values().filter(is_waiting).map(|m| m.id.clone()).collect();
        for member_id in waiting {
            let response = error.map_or_else(|| self.sync_response(&member_id), SyncResponse::error);
            if let Some(token) = self.members.get_mut(&member_id).and_then(|m| m.sync.take()) {
                turn.reply_now(token, GroupResponse::Sync(response));
            }
            self.restart_session(&member_id, turn);
        }
    }

    fn sync_response(&self, member_id: &str) -> SyncResponse {
        SyncResponse {
            error: ErrorCode::None,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            assignment: self.members.get(member_id).map(|m| m.assignment.clone()).unwrap_or_default(),
        }
    }
}
