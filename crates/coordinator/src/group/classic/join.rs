//! JoinGroup: who may join, and what a join means in each state.

use ottla_protocol::{ErrorCode, Uuid};

use super::{ClassicGroup, Member, State};
use crate::group::api::{GroupResponse, JoinRequest, JoinResponse};
use crate::group::config::NEW_MEMBER_JOIN_TIMEOUT_MS;
use crate::runtime::Token;
use crate::turn::{Timer, Turn};

impl ClassicGroup {
    /// Handles JoinGroup. The answer comes when the join phase is over, unless it is an error or repeats a generation.
    pub(crate) fn join(&mut self, request: JoinRequest, token: Token, turn: &mut Turn<'_>) {
        if !self.accepts(&request.member_id, turn.config.max_size) {
            self.remove_member(&request.member_id, turn);
            refuse(token, "", ErrorCode::GroupMaxSizeReached, turn);
            // It was perhaps the one that the others waited for.
            self.maybe_complete_join(turn);
        } else if !self.supports(&request.protocol_type, &request.protocols) {
            refuse(token, &request.member_id, ErrorCode::InconsistentGroupProtocol, turn);
        } else if request.member_id.is_empty() {
            self.join_new(request, token, turn);
        } else {
            self.join_again(request, token, turn);
        }
    }

    /// Whether there is room. While members join, those that wait are counted rather than all: the group may be larger
    /// than a limit that was lowered, and the last to rejoin are then left out.
    fn accepts(&self, member_id: &str, max_size: usize) -> bool {
        match self.state {
            State::Empty => true,
            State::PreparingRebalance => {
                self.members.get(member_id).is_some_and(|m| m.join.is_some()) || self.awaiting_join < max_size
            }
            State::CompletingRebalance | State::Stable => {
                self.members.contains_key(member_id) || self.members.len() < max_size
            }
        }
    }

    /// A member without id: it gets one, and joins with it now or, from version 4 on, when it comes back (KIP-394).
    fn join_new(&mut self, request: JoinRequest, token: Token, turn: &mut Turn<'_>) {
        let instance = request.group_instance_id.as_deref();
        let member_id = format!("{}-{}", instance.unwrap_or(&request.client_id), hyphenated(request.random));
        if let Some(holder) = instance.and_then(|instance| self.static_members.get(instance)).cloned() {
            self.replace_static_member(&holder, member_id.into(), request, token, turn);
        } else if instance.is_none() && request.known_member_id_required {
            let session = Timer::Member(self.id.clone(), member_id.as_str().into());
            turn.schedule(session, i64::from(request.session_timeout_ms));
            self.pending_members.insert(member_id.as_str().into());
            refuse(token, &member_id, ErrorCode::MemberIdRequired, turn);
        } else {
            self.add_member(&member_id, request, token, turn);
        }
    }

    fn add_member(&mut self, member_id: &str, request: JoinRequest, token: Token, turn: &mut Turn<'_>) {
        if self.state == State::PreparingRebalance && self.previous_state == State::Empty {
            self.new_member_added = true;
        }
        self.insert_member(Member::new(member_id.into(), request, token));
        turn.schedule(Timer::Member(self.id.clone(), member_id.into()), NEW_MEMBER_JOIN_TIMEOUT_MS);
        self.rebalance_or_complete_join(turn);
    }

    /// A member with an id: one that was just told it, or one that joins again.
    fn join_again(&mut self, request: JoinRequest, token: Token, turn: &mut Turn<'_>) {
        if self.pending_members.contains(request.member_id.as_str()) {
            if request.group_instance_id.is_some() {
                // Ids are only handed out to dynamic members, so this one is not whom it says.
                return refuse(token, &request.member_id, ErrorCode::UnknownMemberId, turn);
            }
            let member_id = request.member_id.clone();
            return self.add_member(&member_id, request, token, turn);
        }
        if let Err(error) = self.validate_member(&request.member_id, request.group_instance_id.as_deref()) {
            return refuse(token, &request.member_id, error, turn);
        }
        let same = self.members.get(request.member_id.as_str()).is_some_and(|m| m.protocols == request.protocols);
        match self.state {
            // It perhaps lost the answer: it gets it again.
            State::CompletingRebalance if same => self.repeat_generation(&request.member_id, token, turn),
            // The leader's wish is a command: what it assigns by may have changed without its metadata.
            State::Stable if same && !self.is_leader(&request.member_id) => {
                self.repeat_generation(&request.member_id, token, turn);
            }
            State::PreparingRebalance | State::CompletingRebalance | State::Stable => {
                self.update_member(request, token, turn);
                self.rebalance_or_complete_join(turn);
            }
            State::Empty => refuse(token, &request.member_id, ErrorCode::UnknownMemberId, turn),
        }
    }

    /// The answer that a member of this generation got.
    fn repeat_generation(&self, member_id: &str, token: Token, turn: &mut Turn<'_>) {
        turn.reply(token, GroupResponse::Join(self.join_response(member_id)));
    }

    /// Takes over what a member says about itself now, and lets it wait.
    pub(super) fn update_member(&mut self, request: JoinRequest, token: Token, turn: &mut Turn<'_>) {
        let member_id = request.member_id;
        if let Some(mut member) = self.members.remove(member_id.as_str()) {
            self.discount_protocols(&member);
            member.protocols = request.protocols;
            member.session_timeout_ms = request.session_timeout_ms;
            member.rebalance_timeout_ms = request.rebalance_timeout_ms;
            self.count_protocols(&member);
            self.members.insert(member.id.clone(), member);
            self.await_join(&member_id, token, turn);
        }
    }

    /// What a member hears of this generation; the leader also hears who the members are.
    pub(super) fn join_response(&self, member_id: &str) -> JoinResponse {
        let members = if self.is_leader(member_id) { self.joined_members() } else { Vec::new() };
        JoinResponse {
            error: ErrorCode::None,
            generation_id: self.generation_id,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            leader: self.leader.as_deref().unwrap_or_default().to_owned(),
            skip_assignment: false,
            member_id: member_id.to_owned(),
            members,
        }
    }
}

fn refuse(token: Token, member_id: &str, error: ErrorCode, turn: &mut Turn<'_>) {
    turn.reply(token, GroupResponse::Join(JoinResponse::error(member_id, error)));
}

/// A version 4 uuid as Java's `UUID` shows it.
fn hyphenated(random: Uuid) -> String {
    let hex: String = Uuid::from_random_bytes(random.0).0.iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_id_ends_in_a_version_4_uuid() {
        assert_eq!(hyphenated(Uuid([0xff; 16])), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }
}
