//! One turn of a shard: what a decision may use besides the state it is about, namely the time, the settings, the timers,
//! and a way to write and to reply.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_protocol::ErrorCode;

use crate::group::api::{GroupResponse, Opaque};
use crate::group::classic::{ClassicGroup, Member};
use crate::group::config::GroupConfig;
use crate::group::offsets::OffsetKey;
use crate::group::records::Record;
use crate::runtime::{Now, Token, WriteId, WriteQueue};
use crate::shard::Effect;
use crate::timer::Timers;

/// What a shard waits for. Keys name groups and members by id, so a deadline of something that is gone finds nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// The join phase of a group ends.
    Join(Arc<str>),
    /// The members of a group that have not synced are dropped.
    Sync(Arc<str>),
    /// A member's session ends; also for members that were told an id and have not used it.
    Member(Arc<str>, Arc<str>),
    /// Offsets are searched for expired ones.
    ExpireOffsets,
}

/// What happens once a write is committed, or was refused.
#[derive(Debug)]
pub(crate) enum After {
    /// Nothing but what its records say.
    Nothing,
    /// The leader's assignment becomes the group's, and members hear of it.
    Assignment { group: Arc<str>, generation: i32, assignment: BTreeMap<Arc<str>, Opaque> },
    /// A static member that took the place of its former self hears so.
    StaticMember(Box<ReplacedMember>),
    /// Groups that were deleted; they come back if the write is refused.
    Deleted(Vec<ClassicGroup>),
}

/// A static member that came back under a new member id (KIP-345).
#[derive(Debug)]
pub(crate) struct ReplacedMember {
    pub(crate) group: Arc<str>,
    /// As it was before, to be put back if the write is refused.
    pub(crate) before: Member,
    pub(crate) new_id: Arc<str>,
    pub(crate) token: Token,
    /// Leader before, who may have been this member.
    pub(crate) leader_before: Option<Arc<str>>,
    pub(crate) skip_assignment_supported: bool,
}

/// What a shard remembers of a write until it is committed.
#[derive(Debug)]
pub(crate) struct GroupWrite {
    pub(crate) then: After,
    /// Offsets it changed.
    pub(crate) offsets: Vec<OffsetKey>,
    /// Groups it created.
    pub(crate) created: Vec<Arc<str>>,
}

/// The writes of a shard of groups.
pub(crate) type GroupWrites = WriteQueue<GroupWrite, GroupResponse>;

/// See the module.
pub(crate) struct Turn<'a> {
    pub(crate) now: Now,
    pub(crate) config: &'a GroupConfig,
    pub(crate) timers: &'a mut Timers<Timer>,
    pub(crate) writes: &'a mut GroupWrites,
    pub(crate) out: &'a mut Vec<Effect>,
}

impl Turn<'_> {
    /// Replies once everything that was written so far is committed.
    pub(crate) fn reply(&mut self, token: Token, response: GroupResponse) {
        let deadline_ms = self.late_ms();
        if let Some(response) = self.writes.park(token, response, deadline_ms) {
            self.reply_now(token, response);
        }
    }

    /// Replies with what is known to be committed.
    pub(crate) fn reply_now(&mut self, token: Token, response: GroupResponse) {
        self.out.push(Effect::Reply { token, response });
    }

    /// Has records appended.
    pub(crate) fn write(&mut self, records: &[Record], then: After) -> WriteId {
        let write = GroupWrite { then, offsets: Vec::new(), created: Vec::new() };
        let id = self.writes.push(write, self.late_ms());
        self.out.push(Effect::Write { write: id, records: records.iter().filter_map(Record::encode).collect() });
        id
    }

    /// Until when what is decided now should be committed.
    fn late_ms(&self) -> i64 {
        self.now.monotonic_ms.saturating_add(self.config.offsets_commit_timeout_ms)
    }

    /// Sets a deadline `after_ms` from now.
    pub(crate) fn schedule(&mut self, timer: Timer, after_ms: i64) {
        self.timers.schedule(timer, self.now.monotonic_ms.saturating_add(after_ms));
    }
}

/// The code a client gets when its records were not appended or not committed in time
/// (`GroupMetadataManager.appendGroupMetadataErrorToResponseError`).
pub(crate) fn write_error(error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::UnknownTopicOrPartition | ErrorCode::NotEnoughReplicas | ErrorCode::RequestTimedOut => {
            ErrorCode::CoordinatorNotAvailable
        }
        ErrorCode::NotLeaderOrFollower | ErrorCode::KafkaStorageError => ErrorCode::NotCoordinator,
        ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge | ErrorCode::InvalidFetchSize => {
            ErrorCode::UnknownServerError
        }
        other => other,
    }
}
