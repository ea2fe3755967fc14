//! Control records of the metadata log and of snapshots as bytes: the record's key is `(version i16 = 0, type i16)`, its
//! value a message that begins with its own version.

use ottla_protocol::control_record::ControlRecordType;
use ottla_protocol::message::Message;
use ottla_protocol::messages::{
    k_raft_version_record, leader_change_message, snapshot_footer_record, snapshot_header_record, voters_record,
};
use ottla_protocol::reader::{DecodeError, Reader};
use ottla_protocol::writer::{EncodeError, Writer};

use crate::raft::{ControlRecord, Endpoint, ReplicaKey, Voter, VoterSet};

/// Key and value of a record.
pub(crate) type KeyValue = (Vec<u8>, Vec<u8>);

/// Any control record that the metadata log or a snapshot may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Control {
    /// One that concerns the quorum.
    Quorum(ControlRecord),
    /// First record of a snapshot.
    SnapshotHeader {
        /// Append time of the last batch that the snapshot covers.
        last_contained_log_timestamp_ms: i64,
    },
    /// Last record of a snapshot.
    SnapshotFooter,
}

impl Control {
    /// Reads a control record; `None` for a type that this release does not know, or that belongs to other logs.
    ///
    /// # Errors
    /// When key or value are not what their type says.
    pub(crate) fn decode(key: &[u8], value: &[u8]) -> Result<Option<Self>, DecodeError> {
        let version = Reader::new(value).i16();
        let r = &mut Reader::new(value);
        Ok(Some(match ControlRecordType::from_key(key) {
            Some(ControlRecordType::LeaderChange) => {
                Self::Quorum(leader_change(&leader_change_message::LeaderChangeMessage::decode(r, version?)?))
            }
            Some(ControlRecordType::SnapshotHeader) => {
                let header = snapshot_header_record::SnapshotHeaderRecord::decode(r, version?)?;
                Self::SnapshotHeader { last_contained_log_timestamp_ms: header.last_contained_log_timestamp }
            }
            Some(ControlRecordType::SnapshotFooter) => Self::SnapshotFooter,
            Some(ControlRecordType::KRaftVersion) => {
                let record = k_raft_version_record::KRaftVersionRecord::decode(r, version?)?;
                Self::Quorum(ControlRecord::KRaftVersion(record.k_raft_version))
            }
            Some(ControlRecordType::KRaftVoters) => {
                Self::Quorum(ControlRecord::Voters(voters(&voters_record::VotersRecord::decode(r, version?)?)))
            }
            Some(ControlRecordType::Abort | ControlRecordType::Commit) | None => return Ok(None),
        }))
    }

    /// Key and value of a control record.
    ///
    /// # Errors
    /// When a name in it is longer than the protocol allows.
    pub(crate) fn encode(&self) -> Result<KeyValue, EncodeError> {
        let (kind, value) = match self {
            Self::Quorum(ControlRecord::LeaderChange { leader_id, voters, granting_voters }) => {
                let voter = |k: &ReplicaKey| leader_change_message::Voter { voter_id: k.id, ..Default::default() };
                let message = leader_change_message::LeaderChangeMessage {
                    leader_id: *leader_id,
                    voters: voters.iter().map(voter).collect(),
                    granting_voters: granting_voters.iter().map(voter).collect(),
                    ..Default::default()
                };
                (ControlRecordType::LeaderChange, bytes(&message)?)
            }
            Self::Quorum(ControlRecord::KRaftVersion(version)) => {
                let record =
                    k_raft_version_record::KRaftVersionRecord { k_raft_version: *version, ..Default::default() };
                (ControlRecordType::KRaftVersion, bytes(&record)?)
            }
            Self::Quorum(ControlRecord::Voters(set)) => (ControlRecordType::KRaftVoters, bytes(&voters_message(set))?),
            Self::SnapshotHeader { last_contained_log_timestamp_ms } => {
                let header = snapshot_header_record::SnapshotHeaderRecord {
                    last_contained_log_timestamp: *last_contained_log_timestamp_ms,
                    ..Default::default()
                };
                (ControlRecordType::SnapshotHeader, bytes(&header)?)
            }
            Self::SnapshotFooter => {
                (ControlRecordType::SnapshotFooter, bytes(&snapshot_footer_record::SnapshotFooterRecord::default())?)
            }
        };
        Ok((kind.key().to_vec(), value))
    }
}

/// Every message here is written at version 0, which is what Kafka 4.4 writes at both kraft.versions.
fn bytes<'a, M: Message<'a>>(message: &M) -> Result<Vec<u8>, EncodeError> {
    let mut w = Writer::new();
    message.encode(&mut w, 0)?;
    Ok(w.into_bytes())
}

fn leader_change(message: &leader_change_message::LeaderChangeMessage<'_>) -> ControlRecord {
    let key = |v: &leader_change_message::Voter<'_>| ReplicaKey::new(v.voter_id, v.voter_directory_id);
    ControlRecord::LeaderChange {
        leader_id: message.leader_id,
        voters: message.voters.iter().map(key).collect(),
        granting_voters: message.granting_voters.iter().map(key).collect(),
    }
}

fn voters(record: &voters_record::VotersRecord<'_>) -> VoterSet {
    VoterSet::new(record.voters.iter().map(|v| {
        Voter {
            key: ReplicaKey::new(v.voter_id, v.voter_directory_id),
            endpoints: v
                .endpoints
                .iter()
                .map(|e| Endpoint { listener: e.name.to_owned(), host: e.host.to_owned(), port: e.port })
                .collect(),
            min_kraft_version: v.k_raft_version_feature.min_supported_version,
            max_kraft_version: v.k_raft_version_feature.max_supported_version,
        }
    }))
}

fn voters_message(set: &VoterSet) -> voters_record::VotersRecord<'_> {
    voters_record::VotersRecord {
        voters: set
            .iter()
            .map(|v| voters_record::Voter {
                voter_id: v.key.id,
                voter_directory_id: v.key.directory(),
                endpoints: v
                    .endpoints
                    .iter()
                    .map(|e| voters_record::Endpoint {
                        name: &e.listener,
                        host: &e.host,
                        port: e.port,
                        ..Default::default()
                    })
                    .collect(),
                k_raft_version_feature: voters_record::KRaftVersionFeature {
                    min_supported_version: v.min_kraft_version,
                    max_supported_version: v.max_kraft_version,
                    ..Default::default()
                },
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_protocol::ids::Uuid;

    /// Key and value of the voters record that Kafka 4.4.0 wrote into the bootstrap snapshot of `format --standalone`.
    const KAFKA_KEY: &[u8] = &[0, 0, 0, 6];
    const KAFKA_VALUE: &str = "0000020000000130cb2b4dcc344c36b10b99aa12c004d9020b434f4e54524f4c4c45520a3132372e302e302e314bd40000000001000000";

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).expect("hex")).collect()
    }

    #[test]
    fn a_voters_record_of_kafka_survives_reading_and_writing() {
        let value = hex(KAFKA_VALUE);
        let control = Control::decode(KAFKA_KEY, &value).expect("decodes").expect("known");
        let Control::Quorum(ControlRecord::Voters(set)) = &control else { panic!("{control:?}") };
        let voter = set.get(1).expect("voter 1");
        assert_eq!(voter.key.directory(), "MMsrTcw0TDaxC5mqEsAE2Q".parse::<Uuid>().expect("uuid"));
        assert_eq!((voter.endpoints[0].host.as_str(), voter.endpoints[0].port), ("127.0.0.1", 19412));
        assert_eq!(control.encode().expect("encodes"), (KAFKA_KEY.to_vec(), value));
    }

    #[test]
    fn others_survive_writing_and_reading() {
        let leader_change = ControlRecord::LeaderChange {
            leader_id: 1,
            voters: vec![ReplicaKey::of_id(1), ReplicaKey::of_id(2)],
            granting_voters: vec![ReplicaKey::of_id(2)],
        };
        for control in [
            Control::Quorum(leader_change),
            Control::Quorum(ControlRecord::KRaftVersion(1)),
            Control::SnapshotHeader { last_contained_log_timestamp_ms: 77 },
            Control::SnapshotFooter,
        ] {
            let (key, value) = control.encode().expect("encodes");
            assert_eq!(Control::decode(&key, &value), Ok(Some(control)));
        }
        assert_eq!(Control::decode(&[0, 0, 0, 99], &[]), Ok(None));
        assert!(Control::decode(&[0, 0, 0, 2], &[]).is_err());
    }
}
