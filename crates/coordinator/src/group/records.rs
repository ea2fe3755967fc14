//! The records of `__consumer_offsets`, in the versions that Kafka 4.4 writes.
//!
//! ```text
//!   key    i16 type, then the key message at version 0        1 OffsetCommit   2 GroupMetadata   (0 OffsetCommit, legacy)
//!   value  i16 version, then the value message                OffsetCommit 4, or 1 with an expiry   GroupMetadata 3
//!          null: a tombstone
//! ```
//!
//! Types 3 to 23 belong to the consumer, share and streams protocols (KIP-848, 932, 1071). They are read only as far as
//! their group, and never written: see `other_kinds`.

use std::sync::Arc;

use ottla_protocol::Uuid;
use ottla_protocol::message::Message;
use ottla_protocol::messages::group_metadata_key::GroupMetadataKey;
use ottla_protocol::messages::group_metadata_value::{GroupMetadataValue, MemberMetadata};
use ottla_protocol::messages::legacy_offset_commit_key::LegacyOffsetCommitKey;
use ottla_protocol::messages::legacy_offset_commit_value::LegacyOffsetCommitValue;
use ottla_protocol::messages::offset_commit_key::OffsetCommitKey;
use ottla_protocol::messages::offset_commit_value::OffsetCommitValue;
use ottla_protocol::reader::{DecodeError, Reader};
use ottla_protocol::writer::{EncodeError, Writer};

use super::api::Opaque;
use super::offsets::{OffsetAndMetadata, OffsetKey};
use super::other_kinds::OtherKind;

/// Version of [`OffsetCommitValue`] for an offset with an expiry of its own: the only one that has the field.
const OFFSET_COMMIT_VALUE_WITH_EXPIRY: i16 = 1;
/// Version of [`OffsetCommitValue`] otherwise (`GroupCoordinatorRecordHelpers.offsetCommitValueVersion`).
const OFFSET_COMMIT_VALUE: i16 = 4;
/// Version of [`GroupMetadataValue`].
const GROUP_METADATA_VALUE: i16 = 3;
/// Record type of offsets before Kafka 0.11.
const LEGACY_OFFSET_COMMIT: i16 = 0;
/// Record type of offsets.
const OFFSET_COMMIT: i16 = 1;
/// Record type of classic groups.
const GROUP_METADATA: i16 = 2;

/// A record to append: key and value as they go into the batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoordinatorRecord {
    /// Key.
    pub key: Vec<u8>,
    /// Value; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
}

impl CoordinatorRecord {
    /// Bytes of key and value.
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        self.key.len() + self.value.as_ref().map_or(0, Vec::len)
    }
}

/// A record that cannot be read: the log and this code disagree, which no retry mends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A record without key.
    #[error("a coordinator record has no key")]
    NoKey,
    /// Bytes that are not what the type says.
    #[error("coordinator record of type {record_type}: {source}")]
    Malformed {
        /// Type.
        record_type: i16,
        /// What is wrong.
        source: DecodeError,
    },
    /// A value of a version that is not known.
    #[error("coordinator record of type {record_type} has a value of version {version}, which is not known")]
    UnknownVersion {
        /// Type.
        record_type: i16,
        /// Version.
        version: i16,
    },
}

/// A classic group as it is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredGroup {
    pub(crate) protocol_type: String,
    pub(crate) generation: i32,
    pub(crate) protocol: Option<String>,
    pub(crate) leader: Option<String>,
    /// When the group entered its state; `None` in old records.
    pub(crate) state_since_ms: Option<i64>,
    pub(crate) members: Vec<StoredMember>,
}

impl StoredGroup {
    /// A new group, which nobody has joined yet.
    pub(crate) fn new(now_ms: i64) -> Self {
        Self {
            protocol_type: String::new(),
            generation: 0,
            protocol: None,
            leader: None,
            state_since_ms: Some(now_ms),
            members: Vec::new(),
        }
    }
}

/// A member as it is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredMember {
    pub(crate) member_id: String,
    pub(crate) group_instance_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) rebalance_timeout_ms: i32,
    pub(crate) session_timeout_ms: i32,
    pub(crate) subscription: Opaque,
    pub(crate) assignment: Opaque,
}

/// A record as a state machine sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Record {
    /// An offset, or that it is gone.
    OffsetCommit(OffsetKey, Option<OffsetAndMetadata>),
    /// A classic group, or that it is gone.
    Group(Arc<str>, Option<StoredGroup>),
    /// Something about a group of another kind.
    Other {
        kind: OtherKind,
        group: Arc<str>,
        /// Whether the record is the one that a group of that kind always has.
        of_the_group: bool,
        /// The member, if the record is the one that a member of that kind always has.
        member: Option<Arc<str>>,
        tombstone: bool,
    },
    /// Of a type that Kafka 4.4 does not know; it skips them too.
    Unknown(i16),
}

impl Record {
    /// Reads a record of the log.
    pub(crate) fn decode(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<Self, RecordError> {
        let key = key.ok_or(RecordError::NoKey)?;
        let mut key = Reader::new(key);
        let record_type = key.i16().map_err(|source| RecordError::Malformed { record_type: -1, source })?;
        match record_type {
            LEGACY_OFFSET_COMMIT => decode_legacy_offset(&mut key, value),
            OFFSET_COMMIT => decode_offset(&mut key, value),
            GROUP_METADATA => decode_group(&mut key, value),
            _ => match OtherKind::of_record(record_type) {
                Some(kind) => kind
                    .decode_key(record_type, &mut key, value.is_none())
                    .map_err(|source| malformed(record_type, source)),
                None => Ok(Self::Unknown(record_type)),
            },
        }
    }

    /// Bytes of the names in its key.
    pub(crate) fn name_bytes(&self) -> usize {
        match self {
            Self::OffsetCommit(key, _) => key.group.len() + key.topic.len(),
            Self::Group(group, _) | Self::Other { group, .. } => group.len(),
            Self::Unknown(_) => 0,
        }
    }

    /// Writes the record. Strings were bounded when they came in, so they fit.
    pub(crate) fn encode(&self) -> Option<CoordinatorRecord> {
        let encoded = match self {
            Self::OffsetCommit(key, value) => encode_offset(key, value.as_ref()),
            Self::Group(group, value) => encode_group(group, value.as_ref()),
            Self::Other { .. } | Self::Unknown(_) => return None,
        };
        Some(encoded.expect("names are at most MAX_STRING_BYTES long"))
    }
}

fn malformed(record_type: i16, source: DecodeError) -> RecordError {
    RecordError::Malformed { record_type, source }
}

/// Reads a key message of version 0.
fn key_message<'a, M: Message<'a>>(record_type: i16, key: &mut Reader<'a>) -> Result<M, RecordError> {
    M::decode(key, 0).map_err(|source| malformed(record_type, source))
}

/// Reads a value message with the version in front.
fn value_message<'a, M: Message<'a>>(record_type: i16, value: &'a [u8]) -> Result<(M, i16), RecordError> {
    let mut reader = Reader::new(value);
    let version = reader.i16().map_err(|source| malformed(record_type, source))?;
    if !(M::MIN_VERSION..=M::MAX_VERSION).contains(&version) {
        return Err(RecordError::UnknownVersion { record_type, version });
    }
    let message = M::decode(&mut reader, version).map_err(|source| malformed(record_type, source))?;
    Ok((message, version))
}

fn decode_legacy_offset(key: &mut Reader<'_>, value: Option<&[u8]>) -> Result<Record, RecordError> {
    let key: LegacyOffsetCommitKey<'_> = key_message(LEGACY_OFFSET_COMMIT, key)?;
    let value = match value {
        None => None,
        Some(value) => {
            let (value, _) = value_message::<LegacyOffsetCommitValue<'_>>(LEGACY_OFFSET_COMMIT, value)?;
            Some(OffsetAndMetadata {
                offset: value.offset,
                leader_epoch: -1,
                metadata: value.metadata.into(),
                commit_timestamp_ms: value.commit_timestamp,
                expire_timestamp_ms: None,
                topic_id: Uuid::ZERO,
            })
        }
    };
    Ok(Record::OffsetCommit(OffsetKey::new(key.group, key.topic, key.partition), value))
}

fn decode_offset(key: &mut Reader<'_>, value: Option<&[u8]>) -> Result<Record, RecordError> {
    let key: OffsetCommitKey<'_> = key_message(OFFSET_COMMIT, key)?;
    let value = match value {
        None => None,
        Some(value) => {
            let (value, _) = value_message::<OffsetCommitValue<'_>>(OFFSET_COMMIT, value)?;
            Some(OffsetAndMetadata {
                offset: value.offset,
                leader_epoch: value.leader_epoch,
                metadata: value.metadata.into(),
                commit_timestamp_ms: value.commit_timestamp,
                expire_timestamp_ms: (value.expire_timestamp != -1).then_some(value.expire_timestamp),
                topic_id: value.topic_id,
            })
        }
    };
    Ok(Record::OffsetCommit(OffsetKey::new(key.group, key.topic, key.partition), value))
}

fn decode_group(key: &mut Reader<'_>, value: Option<&[u8]>) -> Result<Record, RecordError> {
    let key: GroupMetadataKey<'_> = key_message(GROUP_METADATA, key)?;
    let value = match value {
        None => None,
        Some(value) => {
            let (value, _) = value_message::<GroupMetadataValue<'_>>(GROUP_METADATA, value)?;
            Some(StoredGroup {
                protocol_type: value.protocol_type.to_owned(),
                generation: value.generation,
                protocol: value.protocol.map(str::to_owned),
                leader: value.leader.map(str::to_owned),
                state_since_ms: (value.current_state_timestamp != -1).then_some(value.current_state_timestamp),
                members: value.members.iter().map(stored_member).collect(),
            })
        }
    };
    Ok(Record::Group(key.group.into(), value))
}

fn stored_member(member: &MemberMetadata<'_>) -> StoredMember {
    // Records before version 1 have no rebalance timeout: the session timeout took its place.
    let rebalance_timeout_ms =
        if member.rebalance_timeout == -1 { member.session_timeout } else { member.rebalance_timeout };
    StoredMember {
        member_id: member.member_id.to_owned(),
        group_instance_id: member.group_instance_id.map(str::to_owned),
        client_id: member.client_id.to_owned(),
        client_host: member.client_host.to_owned(),
        rebalance_timeout_ms,
        session_timeout_ms: member.session_timeout,
        subscription: member.subscription.into(),
        assignment: member.assignment.into(),
    }
}

/// The bytes of a key or value: a number in front, then the message.
fn bytes_of<'a, M: Message<'a>>(number: i16, message: &M, version: i16) -> Result<Vec<u8>, EncodeError> {
    let mut writer = Writer::with_capacity(64);
    writer.i16(number);
    message.encode(&mut writer, version)?;
    Ok(writer.into_bytes())
}

fn encode_offset(key: &OffsetKey, value: Option<&OffsetAndMetadata>) -> Result<CoordinatorRecord, EncodeError> {
    let message =
        OffsetCommitKey { group: &key.group, topic: &key.topic, partition: key.partition, ..Default::default() };
    let encode_value = |value: &OffsetAndMetadata| {
        let version =
            if value.expire_timestamp_ms.is_some() { OFFSET_COMMIT_VALUE_WITH_EXPIRY } else { OFFSET_COMMIT_VALUE };
        let message = OffsetCommitValue {
            offset: value.offset,
            leader_epoch: value.leader_epoch,
            metadata: &value.metadata,
            commit_timestamp: value.commit_timestamp_ms,
            expire_timestamp: value.expire_timestamp_ms.unwrap_or(-1),
            topic_id: value.topic_id,
            ..Default::default()
        };
        bytes_of(version, &message, version)
    };
    Ok(CoordinatorRecord { key: bytes_of(OFFSET_COMMIT, &message, 0)?, value: value.map(encode_value).transpose()? })
}

fn encode_group(group: &str, value: Option<&StoredGroup>) -> Result<CoordinatorRecord, EncodeError> {
    let key = GroupMetadataKey { group, ..Default::default() };
    let encode_value = |value: &StoredGroup| {
        let message = GroupMetadataValue {
            protocol_type: &value.protocol_type,
            generation: value.generation,
            protocol: value.protocol.as_deref(),
            leader: value.leader.as_deref(),
            current_state_timestamp: value.state_since_ms.unwrap_or(-1),
            members: value.members.iter().map(member_metadata).collect(),
            ..Default::default()
        };
        bytes_of(GROUP_METADATA_VALUE, &message, GROUP_METADATA_VALUE)
    };
    Ok(CoordinatorRecord { key: bytes_of(GROUP_METADATA, &key, 0)?, value: value.map(encode_value).transpose()? })
}

fn member_metadata(member: &StoredMember) -> MemberMetadata<'_> {
    MemberMetadata {
        member_id: &member.member_id,
        group_instance_id: member.group_instance_id.as_deref(),
        client_id: &member.client_id,
        client_host: &member.client_host,
        rebalance_timeout: member.rebalance_timeout_ms,
        session_timeout: member.session_timeout_ms,
        subscription: &member.subscription,
        assignment: &member.assignment,
        ..Default::default()
    }
}

#[cfg(test)]
#[path = "records_tests.rs"]
mod tests;
