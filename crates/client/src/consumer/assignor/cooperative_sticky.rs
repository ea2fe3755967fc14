//! `cooperative-sticky`: as balanced as subscriptions allow, moving as little as possible (KIP-54, KIP-429).
//!
//! Three steps: everybody keeps what is rightly theirs; what nobody has goes to the member with the least; then single
//! partitions move from members with more to members with at least two less, until there are none. A partition that
//! changes hands is given to nobody in this round: its owner must give it up first, and then the group rebalances again.

use std::collections::BTreeMap;

use super::{Assignments, GroupMember, give};
use crate::TopicPartition;

pub(super) fn assign(members: &[&GroupMember], partitions: &BTreeMap<String, i32>, shares: &mut Assignments) {
    keep_owned(members, partitions, shares);
    give_unowned(members, partitions, shares);
    while move_one(members, shares) {}
    withhold_what_others_own(members, shares);
}

fn exists(partitions: &BTreeMap<String, i32>, tp: &TopicPartition) -> bool {
    partitions.get(&*tp.topic).is_some_and(|count| (0..*count).contains(&tp.partition))
}

/// A partition claimed twice belongs to the later generation; claimed twice in one generation, to nobody.
fn keep_owned(members: &[&GroupMember], partitions: &BTreeMap<String, i32>, shares: &mut Assignments) {
    let mut owners: BTreeMap<&TopicPartition, (i32, Option<&GroupMember>)> = BTreeMap::new();
    for member in members {
        for tp in member.owned.iter().filter(|tp| member.topics.contains(&*tp.topic) && exists(partitions, tp)) {
            let claim = owners.entry(tp).or_insert((member.generation, Some(member)));
            match member.generation.cmp(&claim.0) {
                std::cmp::Ordering::Greater => *claim = (member.generation, Some(member)),
                std::cmp::Ordering::Equal if claim.1.is_some_and(|m| m.id != member.id) => claim.1 = None,
                _ => {}
            }
        }
    }
    for (tp, (_, owner)) in owners {
        if let Some(member) = owner {
            give(shares, member, tp.clone());
        }
    }
}

fn load(shares: &Assignments, member: &GroupMember) -> usize {
    shares.get(&member.id).map_or(0, |s| s.len())
}

fn give_unowned(members: &[&GroupMember], partitions: &BTreeMap<String, i32>, shares: &mut Assignments) {
    for (topic, count) in partitions {
        for p in 0..*count {
            let tp = TopicPartition::new(topic.as_str(), p);
            if shares.values().any(|s| s.contains(&tp)) {
                continue;
            }
            let takers = members.iter().filter(|m| m.topics.contains(topic));
            if let Some(member) = takers.min_by_key(|m| load(shares, m)) {
                give(shares, member, tp);
            }
        }
    }
}

/// Moves one partition if that makes the shares more even; each move does, so this ends.
fn move_one(members: &[&GroupMember], shares: &mut Assignments) -> bool {
    let mut by_load: Vec<&GroupMember> = members.to_vec();
    by_load.sort_by_key(|m| load(shares, m));
    for from in by_load.iter().rev() {
        for to in by_load.iter().take_while(|to| load(shares, to) + 1 < load(shares, from)) {
            let share = shares.get(&from.id);
            let wanted = share.and_then(|s| s.iter().rev().find(|tp| to.topics.contains(&*tp.topic))).cloned();
            if let Some(tp) = wanted {
                if let Some(share) = shares.get_mut(&from.id) {
                    share.remove(&tp);
                }
                give(shares, to, tp);
                return true;
            }
        }
    }
    false
}

fn withhold_what_others_own(members: &[&GroupMember], shares: &mut Assignments) {
    for owner in members {
        for (id, share) in shares.iter_mut().filter(|(id, _)| **id != owner.id) {
            // A claim that lost to a later generation was given up already; its member may still be about to hear so.
            let rightful = members.iter().any(|m| m.id == *id && m.generation > owner.generation);
            share.retain(|tp| rightful && holds(members, id, tp) || !owner.owned.contains(tp));
        }
    }
}

fn holds(members: &[&GroupMember], id: &str, tp: &TopicPartition) -> bool {
    members.iter().any(|m| m.id == id && m.owned.contains(tp))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::tests::{member, share, topics};
    use super::super::{Assignor, GroupMember};

    const ASSIGNOR: Assignor = Assignor::CooperativeSticky;

    #[test]
    fn a_new_member_gets_nothing_that_somebody_still_reads_and_its_share_in_the_next_round() {
        let all = topics(&[("t", 4)]);
        let a = member("a", &["t"], &[("t", 0), ("t", 1), ("t", 2), ("t", 3)]);
        let b = member("b", &["t"], &[]);
        let first = ASSIGNOR.assign(&[a.clone(), b.clone()], &all);
        assert_eq!(share(&first, "a"), ["t-0", "t-1"]);
        assert!(share(&first, "b").is_empty());
        let after = GroupMember { owned: first["a"].clone(), ..a };
        let second = ASSIGNOR.assign(&[after, b], &all);
        assert_eq!(share(&second, "a"), ["t-0", "t-1"]);
        assert_eq!(share(&second, "b"), ["t-2", "t-3"]);
    }

    #[test]
    fn when_a_member_leaves_only_its_partitions_move() {
        let members = [member("a", &["t"], &[("t", 0), ("t", 1)]), member("b", &["t"], &[("t", 2), ("t", 3)])];
        let shares = ASSIGNOR.assign(&members, &topics(&[("t", 6)]));
        assert_eq!(share(&shares, "a"), ["t-0", "t-1", "t-4"]);
        assert_eq!(share(&shares, "b"), ["t-2", "t-3", "t-5"]);
    }

    #[test]
    fn a_claim_of_an_older_generation_yields_and_two_of_the_same_cancel_each_other() {
        let mut late = member("a", &["t"], &[("t", 0)]);
        late.generation = 0;
        let shares = ASSIGNOR.assign(&[late, member("b", &["t"], &[("t", 0)])], &topics(&[("t", 1)]));
        assert_eq!(share(&shares, "b"), ["t-0"]);
        let both = [member("a", &["t"], &[("t", 0)]), member("b", &["t"], &[("t", 0)])];
        let shares = ASSIGNOR.assign(&both, &topics(&[("t", 1)]));
        assert!(shares.values().all(BTreeSet::is_empty), "given to nobody until both have let go");
    }

    #[test]
    fn shares_are_as_even_as_the_subscriptions_allow() {
        let members = [member("a", &["t", "u"], &[]), member("b", &["t"], &[]), member("c", &["u"], &[])];
        let shares = ASSIGNOR.assign(&members, &topics(&[("t", 4), ("u", 2)]));
        let sizes: Vec<usize> = shares.values().map(BTreeSet::len).collect();
        assert_eq!(sizes.iter().sum::<usize>(), 6);
        assert!(sizes.iter().all(|n| *n == 2), "{shares:?}");
    }
}
