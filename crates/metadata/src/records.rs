//! The records of the metadata log (KIP-631), in owned form, and their frame.
//!
//! A record value in `__cluster_metadata-0` is
//!
//! ```text
//!   uvarint frame version (1) | uvarint record id | uvarint record version | body, as messages/*_record.kmsg describes it
//! ```
//!
//! (`org.apache.kafka.server.common.serialization.AbstractApiMessageSerde`). The generated types borrow from the log's
//! bytes; images live longer than those, so every record has an owned twin in [`owned`], field by field the same. Tagged
//! fields that Kafka 4.4 does not define are not kept: images have no place for them, in Kafka neither.
//!
//! Which version of a record a cluster writes depends on its finalized `metadata.version`: [`MetadataRecord::version_at`].

pub mod owned;

pub use owned::*;

use ottla_protocol::message::Message;
use ottla_protocol::reader::{DecodeError, Reader};
use ottla_protocol::writer::{EncodeError, Writer};

/// Version of the frame around each record; Kafka never had another.
const FRAME_VERSION: u32 = 1;

/// The newest `metadata.version` of Kafka 4.4 that is fit for production: 4.4-IV2.
pub const LATEST_METADATA_VERSION: i16 = 33;

/// The oldest `metadata.version` that Kafka 4 still runs with: 3.3-IV3.
pub const MINIMUM_METADATA_VERSION: i16 = 7;

/// Why bytes are no metadata record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The frame around the record is of another version.
    #[error("metadata record frame version {0} is not known; only version 1 is")]
    FrameVersion(u32),
    /// A record that Kafka 4.4 does not define.
    #[error("metadata record id {0} is not known to Kafka 4.4; was this log written by a newer release?")]
    UnknownId(u32),
    /// A version that the record does not have.
    #[error("{record} has no version {version}; was this log written by a newer release?")]
    UnknownVersion {
        /// Kafka's name of the record.
        record: &'static str,
        /// Version in the frame.
        version: u32,
    },
    /// The body is not the record.
    #[error("{record}: {source}")]
    Body {
        /// Kafka's name of the record.
        record: &'static str,
        /// What is wrong.
        source: DecodeError,
    },
    /// The frame itself is cut short.
    #[error("metadata record frame: {0}")]
    Frame(#[from] DecodeError),
    /// Bytes are left over after the record.
    #[error("{record}: {left} bytes are left over after the record")]
    Trailing {
        /// Kafka's name of the record.
        record: &'static str,
        /// How many.
        left: usize,
    },
}

/// Defines [`MetadataRecord`] and its codec. A row is `Variant(Type) since [the metadata.version from which version 1, 2,
/// … of the record is written]`.
macro_rules! metadata_records {
    ($($variant:ident($kind:ident) since [$($since:literal),*],)*) => {
        /// One record of the metadata log.
        #[derive(Debug, Clone, PartialEq)]
        #[allow(missing_docs, reason = "each variant is documented at its type")]
        pub enum MetadataRecord {
            $($variant($kind),)*
        }

        $(impl From<$kind> for MetadataRecord {
            fn from(record: $kind) -> Self {
                Self::$variant(record)
            }
        })*

        impl MetadataRecord {
            /// Kafka's name of the record, such as `PartitionChangeRecord`.
            #[must_use]
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => <$kind as Wire<'_>>::Borrowed::NAME,)*
                }
            }

            /// The record's id in the frame.
            #[must_use]
            pub fn id(&self) -> i16 {
                match self {
                    $(Self::$variant(_) => id_of::<<$kind as Wire<'_>>::Borrowed>(),)*
                }
            }

            /// The version in which a cluster of this finalized `metadata.version` writes the record
            /// (`MetadataVersion.partitionRecordVersion` and its like).
            #[must_use]
            pub fn version_at(&self, metadata_version: i16) -> i16 {
                let since: &[i16] = match self {
                    $(Self::$variant(_) => &[$($since),*],)*
                };
                since.iter().take_while(|level| **level <= metadata_version).count() as i16
            }

            fn decode_body(id: u32, version: u32, r: &mut Reader<'_>) -> Result<Self, RecordError> {
                $(if id == id_of::<<$kind as Wire<'_>>::Borrowed>() as u32 {
                    return decode_as::<$kind>(version, r).map(Self::$variant);
                })*
                Err(RecordError::UnknownId(id))
            }

            fn encode_body(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
                match self {
                    $(Self::$variant(record) => record.lend().encode(w, version),)*
                }
            }
        }
    };
}

metadata_records! {
    RegisterBroker(RegisterBrokerRecord) since [7, 8, 17, 30],
    UnregisterBroker(UnregisterBrokerRecord) since [],
    Topic(TopicRecord) since [],
    Partition(PartitionRecord) since [17, 23],
    Config(ConfigRecord) since [],
    PartitionChange(PartitionChangeRecord) since [17, 23],
    FenceBroker(FenceBrokerRecord) since [],
    UnfenceBroker(UnfenceBrokerRecord) since [],
    RemoveTopic(RemoveTopicRecord) since [],
    DelegationToken(DelegationTokenRecord) since [],
    UserScramCredential(UserScramCredentialRecord) since [],
    FeatureLevel(FeatureLevelRecord) since [],
    ClientQuota(ClientQuotaRecord) since [],
    ProducerIds(ProducerIdsRecord) since [],
    BrokerRegistrationChange(BrokerRegistrationChangeRecord) since [7, 17, 30],
    AccessControlEntry(AccessControlEntryRecord) since [],
    RemoveAccessControlEntry(RemoveAccessControlEntryRecord) since [],
    NoOp(NoOpRecord) since [],
    ZkMigrationState(ZkMigrationStateRecord) since [],
    RemoveUserScramCredential(RemoveUserScramCredentialRecord) since [],
    BeginTransaction(BeginTransactionRecord) since [],
    EndTransaction(EndTransactionRecord) since [],
    AbortTransaction(AbortTransactionRecord) since [],
    RemoveDelegationToken(RemoveDelegationTokenRecord) since [],
    RegisterController(RegisterControllerRecord) since [],
    ClearElr(ClearElrRecord) since [],
    UnregisterController(UnregisterControllerRecord) since [],
}

fn id_of<'a, M: Message<'a>>() -> i16 {
    M::API_KEY.expect("every metadata record's definition states its id")
}

fn decode_as<'a, K: Wire<'a, Borrowed: Message<'a>>>(version: u32, r: &mut Reader<'a>) -> Result<K, RecordError> {
    let record = K::Borrowed::NAME;
    let known = i16::try_from(version).ok().filter(|v| (0..=K::Borrowed::MAX_VERSION).contains(v));
    let version = known.ok_or(RecordError::UnknownVersion { record, version })?;
    K::Borrowed::decode(r, version).map(K::own).map_err(|source| RecordError::Body { record, source })
}

impl MetadataRecord {
    /// Reads a record's value as it stands in the log.
    ///
    /// # Errors
    /// [`RecordError`] when the bytes are no record of Kafka 4.4.
    pub fn decode(value: &[u8]) -> Result<Self, RecordError> {
        let mut r = Reader::new(value);
        let frame = r.uvarint()?;
        if frame != FRAME_VERSION {
            return Err(RecordError::FrameVersion(frame));
        }
        let (id, version) = (r.uvarint()?, r.uvarint()?);
        let record = Self::decode_body(id, version, &mut r)?;
        match r.remaining() {
            0 => Ok(record),
            left => Err(RecordError::Trailing { record: record.name(), left }),
        }
    }

    /// The value to append to the log of a cluster whose features are Kafka 4.4's.
    ///
    /// # Errors
    /// [`EncodeError`] when a string is longer than the protocol allows.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        self.encode_at(LATEST_METADATA_VERSION)
    }

    /// The value to append to the log of a cluster with this finalized `metadata.version`. What that level cannot
    /// express (replica directories before 3.7-IV2, eligible leader replicas before 4.0-IV1, cordoned directories before
    /// 4.3-IV0) is left out, as Kafka does.
    ///
    /// # Errors
    /// [`EncodeError`] when a string is longer than the protocol allows.
    pub fn encode_at(&self, metadata_version: i16) -> Result<Vec<u8>, EncodeError> {
        let version = self.version_at(metadata_version);
        let mut w = Writer::new();
        w.uvarint(FRAME_VERSION);
        w.uvarint(u32::from(self.id().unsigned_abs()));
        w.uvarint(u32::from(version.unsigned_abs()));
        match self.narrowed_to(version) {
            Some(narrowed) => narrowed.encode_body(&mut w, version)?,
            None => self.encode_body(&mut w, version)?,
        }
        Ok(w.into_bytes())
    }

    /// A copy without the fields that this version of the record lacks; `None` when nothing needs to go.
    fn narrowed_to(&self, version: i16) -> Option<Self> {
        match self {
            Self::Partition(record) if version < 2 => {
                let mut record = record.clone();
                record.eligible_leader_replicas = None;
                record.last_known_elr = None;
                if version < 1 {
                    record.directories = Vec::new();
                }
                Some(Self::Partition(record))
            }
            Self::PartitionChange(record) if version < 2 => {
                let mut record = record.clone();
                record.eligible_leader_replicas = None;
                record.last_known_elr = None;
                if version < 1 {
                    record.directories = None;
                }
                Some(Self::PartitionChange(record))
            }
            Self::RegisterBroker(record) if version < 4 => {
                let mut record = record.clone();
                record.cordoned_log_dirs = None;
                if version < 3 {
                    record.log_dirs = Vec::new();
                }
                Some(Self::RegisterBroker(record))
            }
            Self::BrokerRegistrationChange(record) if version < 3 => {
                let mut record = record.clone();
                record.cordoned_log_dirs = None;
                if version < 2 {
                    record.log_dirs = Vec::new();
                }
                Some(Self::BrokerRegistrationChange(record))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_protocol::Uuid;

    fn partition() -> PartitionRecord {
        PartitionRecord {
            partition_id: 3,
            topic_id: Uuid(*b"0123456789abcdef"),
            replicas: vec![1, 2],
            isr: vec![1],
            leader: 1,
            leader_epoch: 4,
            partition_epoch: 7,
            directories: vec![Uuid([1; 16]), Uuid([2; 16])],
            eligible_leader_replicas: Some(vec![2]),
            ..PartitionRecord::default()
        }
    }

    #[test]
    fn the_frame_is_kafkas() {
        // Frame version 1, FeatureLevelRecord (12) version 0, compact string, int16, no tagged fields.
        let record = MetadataRecord::from(FeatureLevelRecord { name: "metadata.version".into(), feature_level: 33 });
        let mut expected = vec![1, 12, 0, 17];
        expected.extend_from_slice(b"metadata.version");
        expected.extend_from_slice(&[0, 33, 0]);
        assert_eq!(record.encode(), Ok(expected.clone()));
        assert_eq!(MetadataRecord::decode(&expected), Ok(record));
    }

    #[test]
    fn what_a_level_cannot_express_is_left_out() {
        let full = partition();
        let record = MetadataRecord::from(full.clone());
        assert_eq!(MetadataRecord::decode(&record.encode().unwrap()), Ok(record.clone()));

        let decoded = MetadataRecord::decode(&record.encode_at(17).unwrap()).unwrap();
        assert_eq!(decoded, PartitionRecord { eligible_leader_replicas: None, ..full.clone() }.into());

        let decoded = MetadataRecord::decode(&record.encode_at(MINIMUM_METADATA_VERSION).unwrap()).unwrap();
        let oldest = PartitionRecord { eligible_leader_replicas: None, directories: vec![], ..full };
        assert_eq!(decoded, oldest.into());
    }

    #[test]
    fn bad_bytes_are_named() {
        assert_eq!(MetadataRecord::decode(&[2, 12, 0]), Err(RecordError::FrameVersion(2)));
        assert_eq!(MetadataRecord::decode(&[1, 99, 0]), Err(RecordError::UnknownId(99)));
        assert_eq!(
            MetadataRecord::decode(&[1, 20, 5]),
            Err(RecordError::UnknownVersion { record: "NoOpRecord", version: 5 })
        );
        assert_eq!(
            MetadataRecord::decode(&[1, 20, 0, 0, 9]),
            Err(RecordError::Trailing { record: "NoOpRecord", left: 1 })
        );
        let whole = MetadataRecord::from(partition()).encode().unwrap();
        for cut in 0..whole.len() {
            assert!(MetadataRecord::decode(&whole[..cut]).is_err(), "cut at {cut}");
        }
    }
}
