//! Heartbeat, the end of a session, and LeaveGroup: how a group learns who is still there.

use ottla_protocol::ErrorCode;

use super::{ClassicGroup, State};
use crate::group::api::{HeartbeatRequest, LeaveRequest, LeaveResponse, LeavingMember};
use crate::turn::Turn;

impl ClassicGroup {
    /// Handles Heartbeat. REBALANCE_IN_PROGRESS is how members learn that they should join again.
    pub(crate) fn heartbeat(&mut self, request: &HeartbeatRequest, turn: &mut Turn<'_>) -> ErrorCode {
        if let Err(error) = self.validate_member(&request.member_id, request.group_instance_id.as_deref()) {
            return error;
        }
        if request.generation_id != self.generation_id {
            return ErrorCode::IllegalGeneration;
        }
        match self.state {
            State::Empty => ErrorCode::UnknownMemberId,
            State::PreparingRebalance => {
                self.restart_session(&request.member_id, turn);
                ErrorCode::RebalanceInProgress
            }
            // Between JoinGroup and SyncGroup a member may already send heartbeats.
            State::CompletingRebalance | State::Stable => {
                self.restart_session(&request.member_id, turn);
                ErrorCode::None
            }
        }
    }

    /// A session ended, or an id that was handed out was not used.
    pub(crate) fn session_ended(&mut self, member_id: &str, turn: &mut Turn<'_>) {
        if self.pending_members.remove(member_id) {
            self.maybe_complete_join_without(turn);
            return;
        }
        // A member that waits for the group is alive; a new one is not believed for ever, as it may have hung up.
        let is_gone = self.members.get(member_id).is_some_and(|m| m.is_new || !m.is_waiting());
        if is_gone {
            tracing::debug!(group = %self.id, member = member_id, "session ended");
            self.remove_member(member_id, turn);
            self.after_departure(turn);
        }
    }

    /// Handles LeaveGroup.
    pub(crate) fn leave(&mut self, request: &LeaveRequest, turn: &mut Turn<'_>) -> LeaveResponse {
        let members: Vec<(LeavingMember, ErrorCode)> =
            request.members.iter().map(|m| (m.clone(), self.leave_one(m, turn))).collect();
        if members.iter().any(|(_, error)| error.is_none()) {
            self.after_departure(turn);
        }
        LeaveResponse { error: ErrorCode::None, members }
    }

    fn leave_one(&mut self, leaving: &LeavingMember, turn: &mut Turn<'_>) -> ErrorCode {
        let instance = leaving.group_instance_id.as_deref();
        if leaving.member_id.is_empty() {
            // An administrator removes a static member by its instance id (KIP-345).
            let Some(member_id) = instance.and_then(|i| self.static_members.get(i)).cloned() else {
                return ErrorCode::UnknownMemberId;
            };
            self.remove_member(&member_id, turn);
            return ErrorCode::None;
        }
        if !self.pending_members.contains(leaving.member_id.as_str())
            && let Err(error) = self.validate_member(&leaving.member_id, instance)
        {
            return error;
        }
        self.remove_member(&leaving.member_id, turn);
        ErrorCode::None
    }

    /// Members are gone: the rest shares their work, or need not wait for them any longer.
    fn after_departure(&mut self, turn: &mut Turn<'_>) {
        match self.state {
            State::Empty => {}
            State::Stable | State::CompletingRebalance => self.rebalance_or_complete_join(turn),
            State::PreparingRebalance => self.maybe_complete_join(turn),
        }
    }

    /// An id that was handed out is void: the join phase waited for it, an initial delay included.
    fn maybe_complete_join_without(&mut self, turn: &mut Turn<'_>) {
        if self.state == State::PreparingRebalance && self.has_all_members_joined() {
            self.complete_join(turn);
        }
    }

    /// Whether this client may commit offsets to the group; else why not.
    pub(crate) fn validate_commit(
        &self,
        member_id: &str,
        group_instance_id: Option<&str>,
        generation_id: i32,
    ) -> Result<(), ErrorCode> {
        if generation_id < 0 && self.state == State::Empty {
            // An administrator, or a consumer that assigns itself.
            return Ok(());
        }
        if generation_id < 0 && member_id.is_empty() && group_instance_id.is_none() {
            return Err(ErrorCode::UnknownMemberId);
        }
        self.validate_member(member_id, group_instance_id)?;
        if generation_id != self.generation_id {
            return Err(ErrorCode::IllegalGeneration);
        }
        if self.state == State::CompletingRebalance {
            // It knows the new generation but not yet its assignment, so it cannot speak for any partition.
            return Err(ErrorCode::RebalanceInProgress);
        }
        Ok(())
    }

    /// A commit is a sign of life too.
    pub(crate) fn has_committed(&self, member_id: &str, turn: &mut Turn<'_>) {
        if matches!(self.state, State::Stable | State::PreparingRebalance) {
            self.restart_session(member_id, turn);
        }
    }
}
