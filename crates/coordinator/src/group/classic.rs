//! A group of the classic protocol: its state, and the way from one state to the next.
//!
//! ```text
//!             join                    all joined, or time is up            leader's assignment committed
//!   Empty ──────────> PreparingRebalance ──────────> CompletingRebalance ──────────> Stable
//!     ^                 │   ^      ^                        │                          │
//!     └─────────────────┘   │      └────────────────────────┘                          │
//!      nobody left          └── join with news, leave, session timeout ────────────────┘
//! ```
//!
//! The fifth state, Dead, is that of a group that is not there. Eager and cooperative rebalancing (KIP-429) are the same
//! thing here: they differ in what members do between two generations.
//!
//! | file | what happens |
//! |---|---|
//! | `member.rs` | one member, its protocols, its waiting requests |
//! | `join.rs` | JoinGroup |
//! | `static_member.rs` | a static member comes back under a new member id |
//! | `rebalance.rs` | the phases, and their deadlines |
//! | `sync.rs` | SyncGroup |
//! | `liveness.rs` | Heartbeat, sessions, LeaveGroup |
//! | `describe.rs` | what outsiders see, and what is written down |
//!
//! A classic group is decided on directly: its records are a picture of it for the next coordinator, taken when a
//! generation is complete (Kafka's `ClassicGroup` and `GroupMetadataManager` do the same).

mod describe;
mod join;
mod liveness;
mod member;
mod rebalance;
mod static_member;
mod sync;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_protocol::ErrorCode;

pub(crate) use member::Member;

use super::api::{GroupResponse, JoinResponse, Protocol, SyncResponse};
use crate::runtime::{Now, Token, WriteId};
use crate::turn::{Timer, Turn};

/// Protocol type whose metadata is a `ConsumerProtocolSubscription`.
const CONSUMER_PROTOCOL_TYPE: &str = "consumer";

/// State of a group that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// No members; perhaps offsets.
    Empty,
    /// Members are asked to join, and JoinGroup requests wait.
    PreparingRebalance,
    /// All have joined; the leader's assignment is awaited, and SyncGroup requests wait.
    CompletingRebalance,
    /// Everyone may have the assignment.
    Stable,
}

impl State {
    /// Kafka's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

/// The first rebalance of an empty group: how much longer it may be put off.
#[derive(Debug, Clone, Copy)]
struct InitialDelay {
    delay_ms: i64,
    remaining_ms: i64,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct ClassicGroup {
    id: Arc<str>,
    state: State,
    previous_state: State,
    /// When it entered its state; `None` if an old record did not say.
    state_since_ms: Option<i64>,
    generation_id: i32,
    /// `None` for a simple group.
    protocol_type: Option<String>,
    protocol_name: Option<String>,
    leader: Option<Arc<str>>,
    members: BTreeMap<Arc<str>, Member>,
    /// Member id by instance id.
    static_members: BTreeMap<String, Arc<str>>,
    /// Ids that were handed out and not used yet (KIP-394).
    pending_members: BTreeSet<Arc<str>>,
    /// Members of this generation that have not synced.
    pending_sync: BTreeSet<Arc<str>>,
    /// The leader's assignment is being written: a second one would be another than the one that members get.
    writing_assignment: bool,
    /// How many members support a protocol.
    supported: BTreeMap<String, usize>,
    /// How many members wait in JoinGroup.
    awaiting_join: usize,
    /// Topics of all subscriptions; `None` if they cannot be known.
    subscribed_topics: Option<BTreeSet<String>>,
    initial_delay: Option<InitialDelay>,
    /// Whether a member joined since the initial delay was last extended.
    new_member_added: bool,
    /// The write that created it, until that is committed: nobody else hears of the group before.
    created_by: Option<WriteId>,
}

impl ClassicGroup {
    /// A group without members that was never written down: a simple one.
    pub(crate) fn simple(id: Arc<str>, created_by: Option<WriteId>) -> Self {
        Self {
            id,
            state: State::Empty,
            previous_state: State::Empty,
            state_since_ms: None,
            generation_id: 0,
            protocol_type: None,
            protocol_name: None,
            leader: None,
            members: BTreeMap::new(),
            static_members: BTreeMap::new(),
            pending_members: BTreeSet::new(),
            pending_sync: BTreeSet::new(),
            writing_assignment: false,
            supported: BTreeMap::new(),
            awaiting_join: 0,
            subscribed_topics: None,
            initial_delay: None,
            new_member_added: false,
            created_by,
        }
    }

    pub(crate) fn id(&self) -> &Arc<str> {
        &self.id
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    pub(crate) fn created_by(&self) -> Option<WriteId> {
        self.created_by
    }

    /// Notes the write that creates it; `None` once that is committed.
    pub(crate) fn set_created_by(&mut self, write: Option<WriteId>) {
        self.created_by = write;
    }

    fn transition_to(&mut self, state: State, now: Now) {
        self.previous_state = self.state;
        self.state = state;
        self.state_since_ms = Some(now.wall_ms);
    }

    fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    fn has_all_members_joined(&self) -> bool {
        self.members.len() == self.awaiting_join && self.pending_members.is_empty()
    }

    /// The longest rebalance timeout of its members.
    fn rebalance_timeout_ms(&self) -> i64 {
        self.members.values().map(|m| i64::from(m.rebalance_timeout_ms)).max().unwrap_or(0)
    }

    /// Whether a member may join with these protocols (KIP-559 refuses an empty type or list too).
    fn supports(&self, protocol_type: &str, protocols: &[Protocol]) -> bool {
        if self.state == State::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        self.protocol_type.as_deref() == Some(protocol_type) && protocols.iter().any(|p| self.is_candidate(&p.name))
    }

    /// Whether all members speak a protocol.
    fn is_candidate(&self, protocol: &str) -> bool {
        self.supported.get(protocol).copied().unwrap_or(0) == self.members.len()
    }

    /// Whether it is this member that asks; else why not.
    fn validate_member(&self, member_id: &str, group_instance_id: Option<&str>) -> Result<(), ErrorCode> {
        if let Some(instance) = group_instance_id {
            match self.static_members.get(instance) {
                None => return Err(ErrorCode::UnknownMemberId),
                Some(holder) if **holder != *member_id => return Err(ErrorCode::FencedInstanceId),
                Some(_) => {}
            }
        }
        if self.members.contains_key(member_id) { Ok(()) } else { Err(ErrorCode::UnknownMemberId) }
    }

    fn count_protocols(&mut self, member: &Member) {
        for name in member.protocol_names() {
            *self.supported.entry(name.to_owned()).or_default() += 1;
        }
    }

    fn discount_protocols(&mut self, member: &Member) {
        for name in member.protocol_names() {
            if let Some(count) = self.supported.get_mut(name) {
                *count -= 1;
                if *count == 0 {
                    self.supported.remove(name);
                }
            }
        }
    }

    /// Adds a member; the first becomes leader and decides the protocol type.
    fn insert_member(&mut self, member: Member) {
        if self.members.is_empty() {
            self.protocol_type = Some(member.protocol_type.clone());
        }
        if let Some(instance) = &member.group_instance_id {
            self.static_members.insert(instance.clone(), member.id.clone());
        }
        if self.leader.is_none() {
            self.leader = Some(member.id.clone());
        }
        self.count_protocols(&member);
        self.awaiting_join += usize::from(member.join.is_some());
        self.pending_members.remove(&member.id);
        self.members.insert(member.id.clone(), member);
    }

    /// Takes a member out; another becomes leader if it was one. Does not answer what it waits for.
    fn take_member(&mut self, member_id: &str) -> Option<Member> {
        let member = self.members.remove(member_id)?;
        self.discount_protocols(&member);
        self.awaiting_join -= usize::from(member.join.is_some());
        if let Some(instance) = &member.group_instance_id {
            self.static_members.remove(instance);
        }
        if self.is_leader(member_id) {
            self.leader = self.members.keys().next().cloned();
        }
        self.pending_sync.remove(member_id);
        Some(member)
    }

    /// Removes a member, or an id that was handed out, and its deadline. What it waits for is answered UNKNOWN_MEMBER_ID, so
    /// that a client that is still there joins anew.
    fn remove_member(&mut self, member_id: &str, turn: &mut Turn<'_>) {
        self.pending_members.remove(member_id);
        turn.timers.cancel(&Timer::Member(self.id.clone(), member_id.into()));
        let Some(member) = self.take_member(member_id) else { return };
        if let Some(token) = member.join {
            turn.reply(token, GroupResponse::Join(JoinResponse::error("", ErrorCode::UnknownMemberId)));
        }
        if let Some(token) = member.sync {
            turn.reply(token, GroupResponse::Sync(SyncResponse::error(ErrorCode::UnknownMemberId)));
        }
    }

    /// Lets a JoinGroup of a member wait. One that waited before lost its connection, or its client would not ask again.
    fn await_join(&mut self, member_id: &str, token: Token, turn: &mut Turn<'_>) {
        let Some(member) = self.members.get_mut(member_id) else { return };
        match member.join.replace(token) {
            Some(before) => {
                let answer = JoinResponse::error(member_id, ErrorCode::RebalanceInProgress);
                turn.reply(before, GroupResponse::Join(answer));
            }
            None => self.awaiting_join += 1,
        }
    }

    /// Takes a member's JoinGroup, if one waits, to answer it.
    fn take_join(&mut self, member_id: &str) -> Option<Token> {
        let token = self.members.get_mut(member_id)?.join.take()?;
        self.awaiting_join -= 1;
        Some(token)
    }

    /// Answers a member's JoinGroup, if one waits.
    fn answer_join(&mut self, member_id: &str, response: JoinResponse, turn: &mut Turn<'_>) {
        if let Some(token) = self.take_join(member_id) {
            turn.reply(token, GroupResponse::Join(response));
        }
    }

    /// Starts a member's session anew.
    fn restart_session(&self, member_id: &str, turn: &mut Turn<'_>) {
        if let Some(member) = self.members.get(member_id) {
            turn.schedule(Timer::Member(self.id.clone(), member.id.clone()), i64::from(member.session_timeout_ms));
        }
    }

    /// Answers everything that waits with one code: the group is no longer ours, or was never written.
    pub(crate) fn dismiss(&mut self, error: ErrorCode, turn: &mut Turn<'_>) {
        for member in self.members.values_mut() {
            if let Some(token) = member.join.take() {
                turn.reply_now(token, GroupResponse::Join(JoinResponse::error(&member.id, error)));
            }
            if let Some(token) = member.sync.take() {
                turn.reply_now(token, GroupResponse::Sync(SyncResponse::error(error)));
            }
        }
        self.awaiting_join = 0;
    }
}
