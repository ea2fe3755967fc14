//! Requests and answers of groups: owned, in Kafka's words, without versions. What a version changes is a field here (such
//! as [`JoinRequest::known_member_id_required`]), which the handlers of the broker fill in.
//!
//! What changes a group is a [`GroupRequest`] and gets its [`GroupResponse`] as an effect, perhaps much later. What only
//! reads is asked of the shard directly: [`OffsetFetchTopics`], [`DescribedGroup`], [`ListedGroup`].

use std::sync::Arc;

use ottla_protocol::{ErrorCode, Uuid};

/// Bytes that the coordinator passes on without looking into them: subscriptions, assignments.
pub type Opaque = Arc<[u8]>;

/// What may change a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupRequest {
    /// JoinGroup.
    Join(JoinRequest),
    /// SyncGroup.
    Sync(SyncRequest),
    /// Heartbeat.
    Heartbeat(HeartbeatRequest),
    /// LeaveGroup.
    Leave(LeaveRequest),
    /// OffsetCommit.
    OffsetCommit(OffsetCommitRequest),
    /// OffsetDelete.
    OffsetDelete(OffsetDeleteRequest),
    /// DeleteGroups.
    Delete(DeleteGroupsRequest),
}

/// The answer to the [`GroupRequest`] of the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupResponse {
    /// JoinGroup.
    Join(JoinResponse),
    /// SyncGroup.
    Sync(SyncResponse),
    /// Heartbeat.
    Heartbeat(ErrorCode),
    /// LeaveGroup.
    Leave(LeaveResponse),
    /// OffsetCommit: topics and partitions in the order of the request.
    OffsetCommit(Vec<TopicResult>),
    /// OffsetDelete.
    OffsetDelete(OffsetDeleteResponse),
    /// DeleteGroups: a code per group, in the order of the request.
    Delete(Vec<(String, ErrorCode)>),
}

/// A protocol (for a consumer: a partition assignor) that a member can speak, with its metadata (its subscription).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protocol {
    /// Name, such as `range`.
    pub name: String,
    /// Metadata for it.
    pub metadata: Opaque,
}

/// JoinGroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinRequest {
    /// Group.
    pub group_id: String,
    /// Member id; empty for a new member.
    pub member_id: String,
    /// `group.instance.id` of a static member (KIP-345).
    pub group_instance_id: Option<String>,
    /// Client id of the connection's request.
    pub client_id: String,
    /// Address of the client as Kafka writes it: `/127.0.0.1`.
    pub client_host: String,
    /// Session timeout.
    pub session_timeout_ms: i32,
    /// Rebalance timeout; version 0 has none and uses the session timeout.
    pub rebalance_timeout_ms: i32,
    /// `consumer`, `connect`, …
    pub protocol_type: String,
    /// Most preferred first.
    pub protocols: Vec<Protocol>,
    /// Version 4 and later: a new dynamic member is first told its id (KIP-394).
    pub known_member_id_required: bool,
    /// Version 9 and later: a leader may be told to keep the assignment (KIP-814).
    pub skip_assignment_supported: bool,
    /// Random, for the member id if one is made.
    pub random: Uuid,
}

/// Answer to [`JoinRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinResponse {
    /// Code.
    pub error: ErrorCode,
    /// Generation; -1 without one.
    pub generation_id: i32,
    /// Protocol type of the group.
    pub protocol_type: Option<String>,
    /// The protocol that was chosen.
    pub protocol_name: Option<String>,
    /// Member id of the leader; empty without one.
    pub leader: String,
    /// The leader need not assign: it got its own assignment back.
    pub skip_assignment: bool,
    /// Member id.
    pub member_id: String,
    /// All members, for the leader only.
    pub members: Vec<JoinedMember>,
}

/// A member in the list that a leader gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinedMember {
    /// Member id.
    pub member_id: String,
    /// `group.instance.id`.
    pub group_instance_id: Option<String>,
    /// Metadata for the chosen protocol.
    pub metadata: Opaque,
}

/// SyncGroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncRequest {
    /// Group.
    pub group_id: String,
    /// Generation.
    pub generation_id: i32,
    /// Member id.
    pub member_id: String,
    /// `group.instance.id`.
    pub group_instance_id: Option<String>,
    /// Protocol type, if the version has it (KIP-559).
    pub protocol_type: Option<String>,
    /// Protocol, if the version has it (KIP-559).
    pub protocol_name: Option<String>,
    /// From the leader: assignment per member id.
    pub assignments: Vec<(String, Opaque)>,
}

/// Answer to [`SyncRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncResponse {
    /// Code.
    pub error: ErrorCode,
    /// Protocol type of the group.
    pub protocol_type: Option<String>,
    /// Its protocol.
    pub protocol_name: Option<String>,
    /// What this member is assigned.
    pub assignment: Opaque,
}

/// Heartbeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeartbeatRequest {
    /// Group.
    pub group_id: String,
    /// Generation.
    pub generation_id: i32,
    /// Member id.
    pub member_id: String,
    /// `group.instance.id`.
    pub group_instance_id: Option<String>,
}

/// LeaveGroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaveRequest {
    /// Group.
    pub group_id: String,
    /// Who leaves.
    pub members: Vec<LeavingMember>,
}

/// A member that leaves; named by instance id alone when an administrator removes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeavingMember {
    /// Member id; empty when removed by instance id.
    pub member_id: String,
    /// `group.instance.id`.
    pub group_instance_id: Option<String>,
}

/// Answer to [`LeaveRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaveResponse {
    /// Code for all.
    pub error: ErrorCode,
    /// Code per member, in the order of the request.
    pub members: Vec<(LeavingMember, ErrorCode)>,
}

/// OffsetCommit. Topics exist and ids are resolved: the handler answers those that do not itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetCommitRequest {
    /// Group.
    pub group_id: String,
    /// Generation; -1 from clients that are not members.
    pub generation_id: i32,
    /// Member id; empty from clients that are not members.
    pub member_id: String,
    /// `group.instance.id`.
    pub group_instance_id: Option<String>,
    /// How long to keep the offsets (versions 2 to 4); `None` for the broker's retention.
    pub retention_time_ms: Option<i64>,
    /// Version 9 and later: an unknown group is GROUP_ID_NOT_FOUND, not ILLEGAL_GENERATION.
    pub group_id_not_found_supported: bool,
    /// What to commit.
    pub topics: Vec<CommitTopic>,
}

/// Offsets of a topic to commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitTopic {
    /// Name.
    pub name: String,
    /// Id; zero if not known.
    pub topic_id: Uuid,
    /// Offsets.
    pub partitions: Vec<CommitPartition>,
}

/// An offset to commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitPartition {
    /// Partition.
    pub partition: i32,
    /// Offset of the next record to read.
    pub offset: i64,
    /// Leader epoch of the last record read; -1 if not known.
    pub leader_epoch: i32,
    /// The client's note.
    pub metadata: String,
}

/// Codes of a topic's partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicResult {
    /// Name.
    pub name: String,
    /// Id; zero if the request had none.
    pub topic_id: Uuid,
    /// Code per partition.
    pub partitions: Vec<(i32, ErrorCode)>,
}

/// OffsetDelete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetDeleteRequest {
    /// Group.
    pub group_id: String,
    /// Topics and partitions.
    pub topics: Vec<(String, Vec<i32>)>,
}

/// Answer to [`OffsetDeleteRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetDeleteResponse {
    /// Code for all.
    pub error: ErrorCode,
    /// Code per partition; empty when `error` is set.
    pub topics: Vec<TopicResult>,
}

/// DeleteGroups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteGroupsRequest {
    /// Ids of groups, all of which belong to this shard.
    pub groups: Vec<String>,
}

/// What to fetch: `None` for every partition the group committed.
pub type OffsetFetchTopics = Option<Vec<(String, Vec<i32>)>>;

/// Offsets of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedTopic {
    /// Name.
    pub name: String,
    /// Offsets.
    pub partitions: Vec<FetchedOffset>,
}

/// A committed offset, or that there is none: offset -1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedOffset {
    /// Partition.
    pub partition: i32,
    /// Committed offset; -1 for none.
    pub offset: i64,
    /// Leader epoch that was committed; -1 for none.
    pub leader_epoch: i32,
    /// The client's note.
    pub metadata: String,
    /// UNSTABLE_OFFSET_COMMIT while a transaction is open that may change it and the request wants stable offsets.
    pub error: ErrorCode,
}

/// DescribeGroups, one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedGroup {
    /// GROUP_ID_NOT_FOUND for one that is not a classic group; versions before 6 hide it behind the state `Dead`.
    pub error: ErrorCode,
    /// Sentence for the error.
    pub error_message: Option<String>,
    /// Group.
    pub group_id: String,
    /// Kafka's name of the state.
    pub state: &'static str,
    /// Protocol type.
    pub protocol_type: String,
    /// Protocol, while stable.
    pub protocol_name: String,
    /// Members; metadata and assignment only while stable.
    pub members: Vec<DescribedMember>,
}

/// A member as described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedMember {
    /// Member id.
    pub member_id: String,
    /// `group.instance.id`.
    pub group_instance_id: Option<String>,
    /// Client id.
    pub client_id: String,
    /// Client host.
    pub client_host: String,
    /// Metadata for the group's protocol.
    pub metadata: Opaque,
    /// Assignment.
    pub assignment: Opaque,
}

/// ListGroups, one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedGroup {
    /// Group.
    pub group_id: String,
    /// Protocol type; empty for a simple group.
    pub protocol_type: String,
    /// Kafka's name of the state.
    pub state: &'static str,
    /// Kafka's name of the group's type.
    pub group_type: &'static str,
}

impl GroupResponse {
    /// The same answer turned into a failure: its records were not committed. Parts that were errors already stay so.
    pub(crate) fn failed(self, error: ErrorCode) -> Self {
        let worse = |was: ErrorCode| if was.is_none() { error } else { was };
        match self {
            // The member id that was handed out is forgotten with the group that was not written.
            Self::Join(r) if r.error == ErrorCode::MemberIdRequired => Self::Join(JoinResponse::error("", error)),
            Self::Join(r) => Self::Join(JoinResponse::error(&r.member_id, worse(r.error))),
            Self::Sync(r) => Self::Sync(SyncResponse::error(worse(r.error))),
            Self::Heartbeat(was) => Self::Heartbeat(worse(was)),
            Self::Leave(r) => Self::Leave(LeaveResponse { error: worse(r.error), members: Vec::new() }),
            Self::OffsetCommit(mut topics) => {
                topics.iter_mut().flat_map(|t| &mut t.partitions).for_each(|(_, was)| *was = worse(*was));
                Self::OffsetCommit(topics)
            }
            Self::OffsetDelete(r) => {
                Self::OffsetDelete(OffsetDeleteResponse { error: worse(r.error), topics: Vec::new() })
            }
            Self::Delete(groups) => Self::Delete(groups.into_iter().map(|(g, was)| (g, worse(was))).collect()),
        }
    }
}

impl JoinResponse {
    /// An answer that only says why not.
    #[must_use]
    pub fn error(member_id: &str, error: ErrorCode) -> Self {
        Self {
            error,
            generation_id: -1,
            protocol_type: None,
            protocol_name: None,
            leader: String::new(),
            skip_assignment: false,
            member_id: member_id.to_owned(),
            members: Vec::new(),
        }
    }
}

impl SyncResponse {
    /// An answer that only says why not.
    #[must_use]
    pub fn error(error: ErrorCode) -> Self {
        Self { error, protocol_type: None, protocol_name: None, assignment: Opaque::default() }
    }
}

impl LeaveRequest {
    /// The answer of a group that does not exist.
    pub(crate) fn nobody_known(&self) -> LeaveResponse {
        let unknown = |m: &LeavingMember| (m.clone(), ErrorCode::UnknownMemberId);
        LeaveResponse { error: ErrorCode::None, members: self.members.iter().map(unknown).collect() }
    }
}

impl OffsetCommitRequest {
    /// One code for every partition.
    pub(crate) fn all_partitions(&self, error: ErrorCode) -> Vec<TopicResult> {
        let codes = |topic: &CommitTopic| topic.partitions.iter().map(|p| (p.partition, error)).collect();
        self.topics
            .iter()
            .map(|topic| TopicResult { name: topic.name.clone(), topic_id: topic.topic_id, partitions: codes(topic) })
            .collect()
    }
}
