//! Groups of protocols that are not served here: consumer (KIP-848), share (KIP-932) and streams (KIP-1071) groups, known
//! only by their records in a log that Apache Kafka wrote.
//!
//! Their records are left as they lie: never expired, tombstoned or rewritten, so that Apache Kafka, or a later Ottla, finds
//! them again. Towards clients such a group is what a group of another type is for Kafka: listed with its type, not a
//! classic group, not to be joined by the classic protocol.

use std::collections::BTreeSet;
use std::sync::Arc;

use ottla_protocol::reader::{DecodeError, Reader};

use super::records::Record;

/// A protocol that is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OtherKind {
    Consumer,
    Share,
    Streams,
}

impl OtherKind {
    /// The kind of group a record type belongs to.
    pub(crate) fn of_record(record_type: i16) -> Option<Self> {
        match record_type {
            3..=8 | 16 => Some(Self::Consumer),
            9..=15 => Some(Self::Share),
            17..=23 => Some(Self::Streams),
            _ => None,
        }
    }

    /// Kafka's name of the type, which is also the protocol type that such a group lists.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Consumer => "consumer",
            Self::Share => "share",
            Self::Streams => "streams",
        }
    }

    /// Types of the records that a group, and a member, of the kind always has.
    fn essential_records(self) -> (i16, i16) {
        match self {
            Self::Consumer => (3, 5),
            Self::Share => (11, 10),
            Self::Streams => (17, 19),
        }
    }

    /// Reads the group, and the member where it matters, from a key: they come first in all of them.
    pub(crate) fn decode_key(
        self,
        record_type: i16,
        key: &mut Reader<'_>,
        tombstone: bool,
    ) -> Result<Record, DecodeError> {
        let group = key.string(false, "groupId")?.into();
        let (of_a_group, of_a_member) = self.essential_records();
        let member = if record_type == of_a_member { Some(key.string(false, "memberId")?.into()) } else { None };
        Ok(Record::Other { kind: self, group, of_the_group: record_type == of_a_group, member, tombstone })
    }
}

/// What is known of such a group.
#[derive(Debug)]
pub(crate) struct OtherGroup {
    pub(crate) kind: OtherKind,
    members: BTreeSet<Arc<str>>,
}

impl OtherGroup {
    pub(crate) fn new(kind: OtherKind) -> Self {
        Self { kind, members: BTreeSet::new() }
    }

    /// Notes a member, or that it is gone.
    pub(crate) fn replay_member(&mut self, member: Arc<str>, tombstone: bool) {
        if tombstone {
            self.members.remove(&member);
        } else {
            self.members.insert(member);
        }
    }

    /// Whether the records name no member.
    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Kafka's name of its state, as far as its records tell.
    pub(crate) fn state_name(&self) -> &'static str {
        if self.is_empty() { "Empty" } else { "Unknown" }
    }
}
