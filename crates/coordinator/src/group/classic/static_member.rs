//! A static member comes back without its member id (KIP-345): it takes the place of its former self, in a stable group
//! without a rebalance.

use std::sync::Arc;

use ottla_protocol::ErrorCode;

use super::{ClassicGroup, State};
use crate::group::api::{GroupResponse, JoinRequest, JoinResponse, SyncResponse};
use crate::group::records::Record;
use crate::runtime::Token;
use crate::turn::{After, ReplacedMember, Timer, Turn, write_error};

impl ClassicGroup {
    /// Gives the place of `old_id` to `new_id`. Requests of the old one that wait are fenced: two processes hold the same
    /// instance id, and the later one is right.
    pub(super) fn replace_static_member(
        &mut self,
        old_id: &str,
        new_id: Arc<str>,
        mut request: JoinRequest,
        token: Token,
        turn: &mut Turn<'_>,
    ) {
        let leader_before = self.leader.clone();
        self.fence(old_id, turn);
        let Some(before) = self.rename_member(old_id, new_id.clone(), turn) else { return };
        self.restart_session(&new_id, turn);
        let skip_assignment_supported = request.skip_assignment_supported;
        request.member_id = new_id.to_string();
        self.update_member(request, token, turn);
        match self.state {
            State::Stable if self.select_protocol() == self.protocol_name => {
                let replaced = ReplacedMember {
                    group: self.id.clone(),
                    before,
                    new_id,
                    token,
                    leader_before,
                    skip_assignment_supported,
                };
                let picture = Record::Group(self.id.clone(), Some(self.to_stored(None)));
                turn.write(&[picture], After::StaticMember(Box::new(replaced)));
            }
            // The next generation would choose another protocol.
            State::Stable => self.rebalance_or_complete_join(turn),
            // The leader may be assigning to the old id at this moment.
            State::CompletingRebalance => self.prepare_rebalance(turn),
            State::PreparingRebalance | State::Empty => self.maybe_complete_join(turn),
        }
    }

    /// The picture with the new id is committed: the member hears that it is back. A leader of version 9 and later is told
    /// to keep the assignment; an older one is told the former leader, so that it does not think it leads.
    pub(crate) fn static_member_written(&mut self, replaced: &ReplacedMember, turn: &mut Turn<'_>) {
        if !self.waits_for(&replaced.new_id, replaced.token) {
            return;
        }
        let mut response = self.join_response(&replaced.new_id);
        if replaced.skip_assignment_supported {
            response.skip_assignment = self.is_leader(&replaced.new_id);
        } else {
            response.members.clear();
            response.leader = replaced.leader_before.as_deref().unwrap_or_default().to_owned();
        }
        self.answer_return(replaced, response, turn);
    }

    /// It is not known in time whether the picture is committed: the member may try again. It keeps its new place, as the
    /// picture is in the log and may be what the next coordinator finds.
    pub(crate) fn static_member_late(&mut self, replaced: &ReplacedMember, error: ErrorCode, turn: &mut Turn<'_>) {
        if self.waits_for(&replaced.new_id, replaced.token) {
            self.answer_return(replaced, JoinResponse::error("", write_error(error)), turn);
        }
    }

    /// The picture was not written: the former self is back, and the member may try again.
    pub(crate) fn static_member_not_written(
        &mut self,
        replaced: ReplacedMember,
        error: ErrorCode,
        turn: &mut Turn<'_>,
    ) {
        if !self.waits_for(&replaced.new_id, replaced.token) {
            return;
        }
        self.answer_return(&replaced, JoinResponse::error("", write_error(error)), turn);
        let was_leader = self.is_leader(&replaced.new_id);
        turn.timers.cancel(&Timer::Member(self.id.clone(), replaced.new_id.clone()));
        self.take_member(&replaced.new_id);
        let old_id = replaced.before.id.clone();
        self.insert_member(replaced.before);
        if was_leader {
            self.leader = Some(old_id.clone());
        }
        self.restart_session(&old_id, turn);
    }

    /// The fate of its picture is known, whatever was written after it.
    fn answer_return(&mut self, replaced: &ReplacedMember, response: JoinResponse, turn: &mut Turn<'_>) {
        self.take_join(&replaced.new_id);
        turn.reply_now(replaced.token, GroupResponse::Join(response));
    }

    fn waits_for(&self, member_id: &str, token: Token) -> bool {
        self.members.get(member_id).is_some_and(|m| m.join == Some(token))
    }

    fn fence(&mut self, member_id: &str, turn: &mut Turn<'_>) {
        self.answer_join(member_id, JoinResponse::error(member_id, ErrorCode::FencedInstanceId), turn);
        if let Some(token) = self.members.get_mut(member_id).and_then(|m| m.sync.take()) {
            turn.reply(token, GroupResponse::Sync(SyncResponse::error(ErrorCode::FencedInstanceId)));
        }
    }

    /// Gives a member another id; returns it as it was.
    fn rename_member(&mut self, old_id: &str, new_id: Arc<str>, turn: &mut Turn<'_>) -> Option<super::Member> {
        let was_leader = self.is_leader(old_id);
        let owed_sync = self.pending_sync.contains(old_id);
        turn.timers.cancel(&Timer::Member(self.id.clone(), old_id.into()));
        let before = self.take_member(old_id)?;
        let mut member = before.clone();
        member.id = new_id.clone();
        self.insert_member(member);
        if was_leader {
            self.leader = Some(new_id.clone());
        }
        if owed_sync {
            self.pending_sync.insert(new_id);
        }
        Some(before)
    }
}
