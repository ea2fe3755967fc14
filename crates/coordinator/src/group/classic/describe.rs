//! A group as outsiders see it, and as it is written down and read back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_protocol::ErrorCode;

use super::{CONSUMER_PROTOCOL_TYPE, ClassicGroup, Member, State};
use crate::group::api::{DescribedGroup, DescribedMember, JoinedMember, ListedGroup, Opaque, Protocol};
use crate::group::records::{StoredGroup, StoredMember};
use crate::turn::Turn;

impl ClassicGroup {
    /// DescribeGroups.
    pub(crate) fn describe(&self) -> DescribedGroup {
        let stable = if self.state == State::Stable { self.protocol_name.as_deref() } else { None };
        DescribedGroup {
            error: ErrorCode::None,
            error_message: None,
            group_id: self.id.to_string(),
            state: self.state.name(),
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            protocol_name: stable.unwrap_or_default().to_owned(),
            members: self.members.values().map(|m| describe_member(m, stable)).collect(),
        }
    }

    /// ListGroups.
    pub(crate) fn list(&self) -> ListedGroup {
        ListedGroup {
            group_id: self.id.to_string(),
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            state: self.state.name(),
            group_type: "classic",
        }
    }

    /// The members, for the leader to assign to.
    pub(super) fn joined_members(&self) -> Vec<JoinedMember> {
        let protocol = self.protocol_name.as_deref().unwrap_or_default();
        let joined = |m: &Member| JoinedMember {
            member_id: m.id.to_string(),
            group_instance_id: m.group_instance_id.clone(),
            metadata: m.metadata(protocol),
        };
        self.members.values().map(joined).collect()
    }

    /// Whether its members use `topic`; a consumer group whose subscriptions cannot be read may use any.
    pub(crate) fn is_subscribed_to(&self, topic: &str) -> bool {
        self.subscribed_topics.as_ref().map_or(self.is_consumer_group(), |topics| topics.contains(topic))
    }

    pub(crate) fn is_consumer_group(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER_PROTOCOL_TYPE)
    }

    /// From when the retention of an offset counts, given when it was committed; `None` while its offsets do not expire.
    pub(crate) fn retention_base_ms(&self, commit_timestamp_ms: i64) -> Option<i64> {
        match (&self.protocol_type, self.state) {
            // Nobody manages the group: each offset counts from its commit.
            (None, _) => Some(commit_timestamp_ms),
            (Some(_), State::Empty) => Some(self.state_since_ms.unwrap_or(commit_timestamp_ms)),
            // Topics that members no longer subscribe to.
            (Some(_), State::Stable) if self.is_consumer_group() && self.subscribed_topics.is_some() => {
                Some(commit_timestamp_ms)
            }
            (Some(_), _) => None,
        }
    }

    /// The picture for the next coordinator; with the assignment that is about to be handed out, or the one that is.
    pub(crate) fn to_stored(&self, assignment: Option<&BTreeMap<Arc<str>, Opaque>>) -> StoredGroup {
        let protocol = self.protocol_name.as_deref().unwrap_or_default();
        let assigned = |m: &Member| match assignment {
            Some(assignment) => assignment.get(&m.id).cloned().unwrap_or_default(),
            None => m.assignment.clone(),
        };
        let stored = |m: &Member| StoredMember {
            member_id: m.id.to_string(),
            group_instance_id: m.group_instance_id.clone(),
            client_id: m.client_id.clone(),
            client_host: m.client_host.clone(),
            rebalance_timeout_ms: m.rebalance_timeout_ms,
            session_timeout_ms: m.session_timeout_ms,
            subscription: m.metadata(protocol),
            assignment: assigned(m),
        };
        StoredGroup {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation: self.generation_id,
            protocol: self.protocol_name.clone(),
            leader: self.leader.as_deref().map(str::to_owned),
            state_since_ms: self.state_since_ms,
            members: self.members.values().map(stored).collect(),
        }
    }

    /// The group of a picture: stable if it has members, though nobody has been heard of yet.
    pub(crate) fn from_stored(id: Arc<str>, stored: StoredGroup) -> Self {
        let mut group = Self::simple(id, None);
        group.state = if stored.members.is_empty() { State::Empty } else { State::Stable };
        group.previous_state = group.state;
        group.state_since_ms = stored.state_since_ms;
        group.generation_id = stored.generation;
        group.leader = stored.leader.map(Into::into);
        let protocol = stored.protocol.clone().unwrap_or_default();
        for member in stored.members {
            group.insert_member(loaded_member(member, &stored.protocol_type, &protocol));
        }
        group.protocol_type = (!stored.protocol_type.is_empty()).then_some(stored.protocol_type);
        group.protocol_name = stored.protocol;
        group.subscribed_topics = group.compute_subscribed_topics();
        group
    }

    /// The group is ours now: sessions start; a group beyond the size limit is made to shrink.
    pub(crate) fn loaded(&mut self, turn: &mut Turn<'_>) {
        let ids: BTreeSet<Arc<str>> = self.members.keys().cloned().collect();
        for member_id in ids {
            self.restart_session(&member_id, turn);
        }
        if self.members.len() > turn.config.max_size {
            self.prepare_rebalance(turn);
        }
    }
}

fn describe_member(member: &Member, stable_protocol: Option<&str>) -> DescribedMember {
    DescribedMember {
        member_id: member.id.to_string(),
        group_instance_id: member.group_instance_id.clone(),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        metadata: stable_protocol.map(|name| member.metadata(name)).unwrap_or_default(),
        assignment: if stable_protocol.is_some() { member.assignment.clone() } else { Opaque::default() },
    }
}

fn loaded_member(member: StoredMember, protocol_type: &str, protocol: &str) -> Member {
    Member {
        id: member.member_id.into(),
        group_instance_id: member.group_instance_id,
        client_id: member.client_id,
        client_host: member.client_host,
        session_timeout_ms: member.session_timeout_ms,
        rebalance_timeout_ms: member.rebalance_timeout_ms,
        protocol_type: protocol_type.to_owned(),
        protocols: vec![Protocol { name: protocol.to_owned(), metadata: member.subscription }],
        assignment: member.assignment,
        is_new: false,
        join: None,
        sync: None,
    }
}
