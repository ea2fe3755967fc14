//! What is only read: OffsetFetch, DescribeGroups, ListGroups. Groups whose creation is not committed are not seen.

use ottla_protocol::ErrorCode;

use super::GroupShard;
use crate::group::Group;
use crate::group::api::{DescribedGroup, FetchedTopic, ListedGroup, OffsetFetchTopics};

impl GroupShard {
    /// OffsetFetch of one group. An unknown group, topic or partition has no offset, which is no error.
    #[must_use]
    pub fn fetch_offsets(&self, group_id: &str, topics: &OffsetFetchTopics, require_stable: bool) -> Vec<FetchedTopic> {
        self.offsets.fetch(group_id, topics, require_stable)
    }

    /// DescribeGroups, one group.
    #[must_use]
    pub fn describe(&self, group_id: &str) -> DescribedGroup {
        let sentence = match self.groups.get(group_id) {
            Some(Group::Classic(group)) if group.created_by().is_none() => return group.describe(),
            Some(Group::Other(_)) => format!("Group {group_id} is not a classic group."),
            Some(Group::Classic(_)) | None => format!("Group {group_id} not found."),
        };
        DescribedGroup {
            error: ErrorCode::GroupIdNotFound,
            error_message: Some(sentence),
            group_id: group_id.to_owned(),
            state: "Dead",
            protocol_type: String::new(),
            protocol_name: String::new(),
            members: Vec::new(),
        }
    }

    /// ListGroups: those whose state and type are among the given ones, compared without regard to case; an empty list
    /// means all.
    #[must_use]
    pub fn list(&self, states: &[String], types: &[String]) -> Vec<ListedGroup> {
        let wanted =
            |list: &[String], is: &str| list.is_empty() || list.iter().any(|w| w.trim().eq_ignore_ascii_case(is));
        let seen = |(id, group): (&std::sync::Arc<str>, &Group)| match group {
            Group::Classic(group) => group.created_by().is_none().then(|| group.list()),
            Group::Other(group) => Some(ListedGroup {
                group_id: id.to_string(),
                protocol_type: group.kind.name().to_owned(),
                state: group.state_name(),
                group_type: group.kind.name(),
            }),
        };
        let groups = self.groups.iter().filter_map(seen);
        groups.filter(|g| wanted(states, g.state) && wanted(types, g.group_type)).collect()
    }
}
