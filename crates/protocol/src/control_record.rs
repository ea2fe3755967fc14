//! Keys of the records in control batches: transaction markers and what the KRaft quorum writes about itself.
//!
//! A key is `version i16 | type i16`. The values are generated messages: `end_txn_marker`, `leader_change_message`,
//! `snapshot_header_record`, `snapshot_footer_record`, `k_raft_version_record`, `voters_record`.

/// What a control record says (`org.apache.kafka.common.record.internal.ControlRecordType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i16)]
pub enum ControlRecordType {
    /// The transaction of the batch's producer was aborted (KIP-98).
    Abort = 0,
    /// It was committed.
    Commit = 1,
    /// A leader of the quorum begins its epoch (KIP-595).
    LeaderChange = 2,
    /// First record of a snapshot (KIP-630).
    SnapshotHeader = 3,
    /// Last record of a snapshot.
    SnapshotFooter = 4,
    /// The version of the quorum's own protocol (KIP-853).
    KRaftVersion = 5,
    /// The voters from here on (KIP-853).
    KRaftVoters = 6,
}

impl ControlRecordType {
    /// Every type.
    pub const ALL: [Self; 7] = [
        Self::Abort,
        Self::Commit,
        Self::LeaderChange,
        Self::SnapshotHeader,
        Self::SnapshotFooter,
        Self::KRaftVersion,
        Self::KRaftVoters,
    ];

    /// The type that a record's key names, whatever version the key has; `None` for a type of a newer Kafka and for a key
    /// that is too short.
    #[must_use]
    pub fn from_key(key: &[u8]) -> Option<Self> {
        let (_version, rest) = key.split_first_chunk::<2>()?;
        let code = i16::from_be_bytes(*rest.first_chunk::<2>()?);
        Self::ALL.into_iter().find(|t| *t as i16 == code)
    }

    /// The key, at the only version that there is.
    #[must_use]
    pub fn key(self) -> [u8; 4] {
        let [high, low] = (self as i16).to_be_bytes();
        [0, 0, high, low]
    }
}

#[cfg(test)]
mod tests {
    use super::ControlRecordType;

    #[test]
    fn a_key_names_its_type() {
        for t in ControlRecordType::ALL {
            assert_eq!(ControlRecordType::from_key(&t.key()), Some(t));
        }
        assert_eq!(ControlRecordType::from_key(&[0, 0, 0, 7]), None);
        assert_eq!(ControlRecordType::from_key(&[0, 0, 0]), None);
    }
}
