//! How a group's leader shares partitions among members: Kafka's client-side assignors. Pure.

mod cooperative_sticky;
mod range;
mod round_robin;

use std::collections::{BTreeMap, BTreeSet};

use crate::TopicPartition;

/// An assignor by Kafka's name for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assignor {
    /// Contiguous ranges of each topic.
    Range,
    /// All partitions in turn.
    RoundRobin,
    /// Balanced, with as few moves as possible; only partitions that move stop meanwhile (KIP-429).
    CooperativeSticky,
}

/// A member of the group as its leader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember {
    /// Member id.
    pub id: String,
    /// `group.instance.id` of a static member.
    pub instance_id: Option<String>,
    /// Topics it wants.
    pub topics: BTreeSet<String>,
    /// Partitions that it reads now.
    pub owned: BTreeSet<TopicPartition>,
    /// The generation in which it got them; -1 when unknown.
    pub generation: i32,
}

/// Partitions by member id.
pub type Assignments = BTreeMap<String, BTreeSet<TopicPartition>>;

impl Assignor {
    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Range => "range",
            Self::RoundRobin => "roundrobin",
            Self::CooperativeSticky => "cooperative-sticky",
        }
    }

    /// From the name on the wire, or the name of Kafka's Java class.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name.strip_prefix("org.apache.kafka.clients.consumer.").unwrap_or(name) {
            "range" | "RangeAssignor" => Self::Range,
            "roundrobin" | "RoundRobinAssignor" => Self::RoundRobin,
            "cooperative-sticky" | "CooperativeStickyAssignor" => Self::CooperativeSticky,
            _ => return None,
        })
    }

    /// Whether members keep reading what they own during a rebalance.
    #[must_use]
    pub fn is_cooperative(self) -> bool {
        self == Self::CooperativeSticky
    }

    /// Shares the partitions of topics (name, number of partitions) among members. Every member is in the result.
    #[must_use]
    pub fn assign(self, members: &[GroupMember], partitions: &BTreeMap<String, i32>) -> Assignments {
        // Static members first, by their lasting names: so they keep their share when they come back (KIP-345).
        let mut members: Vec<&GroupMember> = members.iter().collect();
        members.sort_by_key(|m| (m.instance_id.is_none(), m.instance_id.as_deref(), m.id.as_str()));
        let mut shares: Assignments = members.iter().map(|m| (m.id.clone(), BTreeSet::new())).collect();
        match self {
            Self::Range => range::assign(&members, partitions, &mut shares),
            Self::RoundRobin => round_robin::assign(&members, partitions, &mut shares),
            Self::CooperativeSticky => cooperative_sticky::assign(&members, partitions, &mut shares),
        }
        shares
    }
}

/// Gives a partition to a member.
fn give(shares: &mut Assignments, member: &GroupMember, tp: TopicPartition) {
    shares.entry(member.id.clone()).or_default().insert(tp);
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn member(id: &str, topics: &[&str], owned: &[(&str, i32)]) -> GroupMember {
        GroupMember {
            id: id.to_owned(),
            instance_id: None,
            topics: topics.iter().map(|t| (*t).to_owned()).collect(),
            owned: owned.iter().map(|(t, p)| TopicPartition::new(*t, *p)).collect(),
            generation: 1,
        }
    }

    pub(super) fn topics(list: &[(&str, i32)]) -> BTreeMap<String, i32> {
        list.iter().map(|(t, n)| ((*t).to_owned(), *n)).collect()
    }

    pub(super) fn share(shares: &Assignments, id: &str) -> Vec<String> {
        shares[id].iter().map(ToString::to_string).collect()
    }

    #[test]
    fn names_are_kafkas_and_java_s() {
        for assignor in [Assignor::Range, Assignor::RoundRobin, Assignor::CooperativeSticky] {
            assert_eq!(Assignor::from_name(assignor.name()), Some(assignor));
        }
        let java = "org.apache.kafka.clients.consumer.CooperativeStickyAssignor";
        assert_eq!(Assignor::from_name(java), Some(Assignor::CooperativeSticky));
        assert_eq!(Assignor::from_name("uniform"), None);
    }

    #[test]
    fn static_members_come_first_whatever_their_member_id() {
        let mut named = member("z", &["t"], &[]);
        named.instance_id = Some("one".to_owned());
        let shares = Assignor::Range.assign(&[member("a", &["t"], &[]), named], &topics(&[("t", 3)]));
        assert_eq!(share(&shares, "z"), ["t-0", "t-1"]);
        assert_eq!(share(&shares, "a"), ["t-2"]);
    }
}
