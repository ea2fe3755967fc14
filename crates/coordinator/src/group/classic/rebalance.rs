//! The phases of a rebalance, and the deadlines that end them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_protocol::ErrorCode;
use ottla_protocol::message::Message;
use ottla_protocol::messages::consumer_protocol_subscription::ConsumerProtocolSubscription;
use ottla_protocol::reader::Reader;

use super::{CONSUMER_PROTOCOL_TYPE, ClassicGroup, InitialDelay, State};
use crate::group::records::Record;
use crate::turn::{After, Timer, Turn};

impl ClassicGroup {
    /// Something changed: starts a rebalance, or moves the one that runs on.
    pub(super) fn rebalance_or_complete_join(&mut self, turn: &mut Turn<'_>) {
        match self.state {
            State::Empty | State::CompletingRebalance | State::Stable => self.prepare_rebalance(turn),
            State::PreparingRebalance => self.maybe_complete_join(turn),
        }
    }

    /// Asks all members to join. An empty group waits a while for more of them; that delay is the only thing that ends its
    /// join phase, even if all that are known have joined.
    pub(super) fn prepare_rebalance(&mut self, turn: &mut Turn<'_>) {
        if self.state == State::CompletingRebalance {
            self.clear_assignment(ErrorCode::RebalanceInProgress, turn);
        }
        turn.timers.cancel(&Timer::Sync(self.id.clone()));
        let is_initial = self.state == State::Empty;
        self.transition_to(State::PreparingRebalance, turn.now);
        tracing::debug!(group = %self.id, generation = self.generation_id, initial = is_initial, "preparing to rebalance");
        if is_initial {
            let delay_ms = i64::from(turn.config.initial_rebalance_delay_ms);
            let remaining_ms = (self.rebalance_timeout_ms() - delay_ms).max(0);
            self.initial_delay = Some(InitialDelay { delay_ms, remaining_ms });
            self.new_member_added = false;
            turn.schedule(Timer::Join(self.id.clone()), delay_ms);
        } else if self.has_all_members_joined() {
            self.complete_join(turn);
        } else {
            let at = turn.now.monotonic_ms.saturating_add(self.rebalance_timeout_ms());
            turn.timers.schedule_if_absent(Timer::Join(self.id.clone()), at);
        }
    }

    /// Ends the join phase if nobody is missing.
    pub(super) fn maybe_complete_join(&mut self, turn: &mut Turn<'_>) {
        let is_join_phase = self.state == State::PreparingRebalance && self.previous_state != State::Empty;
        if is_join_phase && self.has_all_members_joined() {
            self.complete_join(turn);
        }
    }

    /// The deadline of the join phase: an initial delay is extended while members keep coming, up to the rebalance timeout.
    pub(crate) fn join_deadline(&mut self, turn: &mut Turn<'_>) {
        match self.initial_delay {
            Some(InitialDelay { delay_ms, remaining_ms }) if self.new_member_added && remaining_ms != 0 => {
                self.new_member_added = false;
                let next_ms = i64::from(turn.config.initial_rebalance_delay_ms).min(remaining_ms);
                let remaining_ms = (remaining_ms - delay_ms).max(0);
                self.initial_delay = Some(InitialDelay { delay_ms: next_ms, remaining_ms });
                turn.schedule(Timer::Join(self.id.clone()), next_ms);
            }
            _ => self.complete_join(turn),
        }
    }

    /// Ends the join phase: who has not joined is out, unless it is static; the rest is the next generation.
    pub(super) fn complete_join(&mut self, turn: &mut Turn<'_>) {
        if self.state != State::PreparingRebalance {
            return;
        }
        turn.timers.cancel(&Timer::Join(self.id.clone()));
        let is_absent = |m: &&super::Member| m.join.is_none() && m.group_instance_id.is_none();
        let absent: Vec<Arc<str>> = self.members.values().filter(is_absent).map(|m| m.id.clone()).collect();
        for member_id in &absent {
            self.remove_member(member_id, turn);
        }
        if !self.elect_leader_who_joined() && !self.members.is_empty() {
            // Only static members, none of whom is here: their sessions will end, or they come back.
            turn.schedule(Timer::Join(self.id.clone()), self.rebalance_timeout_ms().max(1));
            return;
        }
        self.initial_delay = None;
        self.start_generation(turn);
    }

    /// If the leader has not joined, another one who has takes its place. False if nobody has joined.
    fn elect_leader_who_joined(&mut self) -> bool {
        let has_joined = |id: &Arc<str>| self.members.get(id).is_some_and(|m| m.join.is_some());
        if self.leader.as_ref().is_some_and(has_joined) {
            return true;
        }
        match self.members.values().find(|m| m.join.is_some()) {
            Some(member) => {
                self.leader = Some(member.id.clone());
                true
            }
            None => false,
        }
    }

    fn start_generation(&mut self, turn: &mut Turn<'_>) {
        // Generations are positive; after two thousand million of them they start again.
        self.generation_id = self.generation_id.checked_add(1).unwrap_or(1);
        self.pending_sync.clear();
        if self.members.is_empty() {
            self.protocol_name = None;
            self.subscribed_topics = self.compute_subscribed_topics();
            self.transition_to(State::Empty, turn.now);
            turn.write(&[Record::Group(self.id.clone(), Some(self.to_stored(None)))], After::Nothing);
            return;
        }
        self.protocol_name = self.select_protocol();
        self.subscribed_topics = self.compute_subscribed_topics();
        self.transition_to(State::CompletingRebalance, turn.now);
        tracing::debug!(group = %self.id, generation = self.generation_id, members = self.members.len(), "joined");
        let ids: Vec<Arc<str>> = self.members.keys().cloned().collect();
        for member_id in ids {
            let response = self.join_response(&member_id);
            self.answer_join(&member_id, response, turn);
            self.restart_session(&member_id, turn);
            if let Some(member) = self.members.get_mut(&member_id) {
                member.is_new = false;
            }
            self.pending_sync.insert(member_id);
        }
        turn.schedule(Timer::Sync(self.id.clone()), self.rebalance_timeout_ms());
    }

    /// Every member votes for the first of its protocols that all support; the most votes win, ties go to the first name.
    pub(super) fn select_protocol(&self) -> Option<String> {
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.members.values() {
            if let Some(choice) = member.protocols.iter().find(|p| self.is_candidate(&p.name)) {
                *votes.entry(&choice.name).or_default() += 1;
            }
        }
        let most = votes.values().copied().max()?;
        votes.into_iter().find(|(_, count)| *count == most).map(|(name, _)| name.to_owned())
    }

    /// Topics of all subscriptions, if the metadata is a consumer's and can be read. They keep offsets from expiring.
    pub(super) fn compute_subscribed_topics(&self) -> Option<BTreeSet<String>> {
        if self.protocol_type.as_deref() != Some(CONSUMER_PROTOCOL_TYPE) {
            return None;
        }
        if self.members.is_empty() {
            return Some(BTreeSet::new());
        }
        let protocol = self.protocol_name.as_deref()?;
        let mut topics = BTreeSet::new();
        for member in self.members.values() {
            topics.extend(subscription_topics(&member.metadata(protocol))?);
        }
        Some(topics)
    }

    /// The time for SyncGroup is up: who has not synced is out.
    pub(crate) fn sync_deadline(&mut self, turn: &mut Turn<'_>) {
        if matches!(self.state, State::CompletingRebalance | State::Stable) && !self.pending_sync.is_empty() {
            for member_id in std::mem::take(&mut self.pending_sync) {
                self.remove_member(&member_id, turn);
            }
            self.prepare_rebalance(turn);
        }
    }
}

/// Topics in a `ConsumerProtocolSubscription`: a version, then the message. Newer versions only add fields at the end.
fn subscription_topics(metadata: &[u8]) -> Option<Vec<String>> {
    let mut reader = Reader::new(metadata);
    let version = reader.i16().ok().filter(|v| *v >= ConsumerProtocolSubscription::MIN_VERSION)?;
    let version = version.min(ConsumerProtocolSubscription::MAX_VERSION);
    let subscription = ConsumerProtocolSubscription::decode(&mut reader, version).ok()?;
    Some(subscription.topics.into_iter().map(str::to_owned).collect())
}
