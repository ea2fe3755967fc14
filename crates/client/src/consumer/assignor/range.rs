//! `range`: of each topic every member gets a contiguous range, the first members one more when it does not come out even.

use std::collections::BTreeMap;

use super::{Assignments, GroupMember, give};
use crate::TopicPartition;

pub(super) fn assign(members: &[&GroupMember], partitions: &BTreeMap<String, i32>, shares: &mut Assignments) {
    for (topic, count) in partitions {
        let takers: Vec<&&GroupMember> = members.iter().filter(|m| m.topics.contains(topic)).collect();
        let (count, n) = ((*count).max(0), takers.len() as i32);
        if n == 0 {
            continue;
        }
        let mut next = 0;
        for (i, member) in takers.into_iter().enumerate() {
            let end = next + count / n + i32::from((i as i32) < count % n);
            (next..end).for_each(|p| give(shares, member, TopicPartition::new(topic.as_str(), p)));
            next = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Assignor;
    use super::super::tests::{member, share, topics};

    #[test]
    fn each_topic_is_cut_into_ranges_and_the_first_members_get_the_rest() {
        let members = [member("b", &["t", "u"], &[]), member("a", &["t", "u"], &[]), member("c", &["u"], &[])];
        let shares = Assignor::Range.assign(&members, &topics(&[("t", 3), ("u", 2)]));
        assert_eq!(share(&shares, "a"), ["t-0", "t-1", "u-0"]);
        assert_eq!(share(&shares, "b"), ["t-2", "u-1"]);
        assert!(share(&shares, "c").is_empty());
    }
}
