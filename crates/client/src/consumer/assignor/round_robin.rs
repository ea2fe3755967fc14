//! `roundrobin`: all partitions of all topics in turn, passing over members that do not want the topic.

use std::collections::BTreeMap;

use super::{Assignments, GroupMember, give};
use crate::TopicPartition;

pub(super) fn assign(members: &[&GroupMember], partitions: &BTreeMap<String, i32>, shares: &mut Assignments) {
    let mut turn = 0;
    for (topic, count) in partitions {
        for p in 0..*count {
            let order = members.iter().cycle().skip(turn).take(members.len()).enumerate();
            let taker = order.into_iter().find(|(_, m)| m.topics.contains(topic));
            let Some((passed, member)) = taker else { break };
            give(shares, member, TopicPartition::new(topic.as_str(), p));
            turn = (turn + passed + 1) % members.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Assignor;
    use super::super::tests::{member, share, topics};

    #[test]
    fn partitions_go_around_and_over_members_that_do_not_want_them() {
        let members = [member("a", &["t"], &[]), member("b", &["t", "u"], &[]), member("c", &["t", "u"], &[])];
        let shares = Assignor::RoundRobin.assign(&members, &topics(&[("t", 4), ("u", 3), ("v", 1)]));
        assert_eq!(share(&shares, "a"), ["t-0", "t-3"]);
        assert_eq!(share(&shares, "b"), ["t-1", "u-0", "u-2"]);
        assert_eq!(share(&shares, "c"), ["t-2", "u-1"]);
    }
}
