//! What a replica must never forget of elections, and the file `quorum-state` that keeps it (Kafka's `QuorumStateData`).
//!
//! ```text
//! v0 (kraft.version 0)  {"clusterId":"","leaderId":1,"leaderEpoch":1,"votedId":-1,"appliedOffset":0,
//!                        "currentVoters":[{"voterId":1}],"data_version":0}
//! v1 (kraft.version 1)  {"leaderId":1,"leaderEpoch":1,"votedId":-1,"votedDirectoryId":"AAAA...","data_version":1}
//! ```

use ottla_protocol::ids::Uuid;
use serde::{Deserialize, Serialize};

use super::voters::ReplicaKey;

/// The election state of one replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ElectionState {
    /// The latest epoch seen.
    pub epoch: i32,
    /// Its leader, when known.
    pub leader_id: Option<i32>,
    /// Who has this replica's vote in that epoch.
    pub voted: Option<ReplicaKey>,
}

/// Why a `quorum-state` file is not understood.
#[derive(Debug, thiserror::Error)]
pub enum QuorumStateError {
    /// Not the JSON that Kafka writes.
    #[error("not a quorum-state: {0}")]
    Json(#[from] serde_json::Error),
    /// A version from a newer release.
    #[error("quorum-state has data_version {0}, which this release does not know")]
    Version(i16),
    /// A directory id that is none.
    #[error("quorum-state: {0}")]
    DirectoryId(#[from] ottla_protocol::ids::ParseUuidError),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct FileV0 {
    cluster_id: String,
    leader_id: i32,
    leader_epoch: i32,
    voted_id: i32,
    applied_offset: i64,
    current_voters: Option<Vec<FileVoter>>,
    #[serde(rename = "data_version")]
    data_version: i16,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct FileVoter {
    voter_id: i32,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct FileV1 {
    leader_id: i32,
    leader_epoch: i32,
    voted_id: i32,
    voted_directory_id: String,
    #[serde(rename = "data_version")]
    data_version: i16,
}

/// The one field that every version has.
#[derive(Deserialize)]
struct Version {
    data_version: i16,
}

impl ElectionState {
    /// The content of the file. kraft.version 0 has the form without directory ids, which names the voters instead.
    ///
    /// # Errors
    /// None in practice: the types have a JSON form.
    pub fn to_json(&self, kraft_version: i16, voters: &[i32]) -> Result<String, QuorumStateError> {
        let leader_id = self.leader_id.unwrap_or(-1);
        let voted_id = self.voted.map_or(-1, |v| v.id);
        let json = if kraft_version == 0 {
            serde_json::to_string(&FileV0 {
                cluster_id: String::new(),
                leader_id,
                leader_epoch: self.epoch,
                voted_id,
                applied_offset: 0,
                current_voters: Some(voters.iter().map(|id| FileVoter { voter_id: *id }).collect()),
                data_version: 0,
            })?
        } else {
            serde_json::to_string(&FileV1 {
                leader_id,
                leader_epoch: self.epoch,
                voted_id,
                voted_directory_id: self.voted.map_or(Uuid::ZERO, |v| v.directory()).to_string(),
                data_version: 1,
            })?
        };
        Ok(json)
    }

    /// Reads either form.
    ///
    /// # Errors
    /// [`QuorumStateError`] when it is neither; then nothing is known of promises made, and the replica must not start.
    pub fn from_json(text: &str) -> Result<Self, QuorumStateError> {
        let known = |id: i32| (id >= 0).then_some(id);
        match serde_json::from_str::<Version>(text)?.data_version {
            0 => {
                let file: FileV0 = serde_json::from_str(text)?;
                let voted = known(file.voted_id).map(ReplicaKey::of_id);
                Ok(Self { epoch: file.leader_epoch.max(0), leader_id: known(file.leader_id), voted })
            }
            1 => {
                let file: FileV1 = serde_json::from_str(text)?;
                let directory: Uuid = file.voted_directory_id.parse()?;
                let voted = known(file.voted_id).map(|id| ReplicaKey::new(id, directory));
                Ok(Self { epoch: file.leader_epoch.max(0), leader_id: known(file.leader_id), voted })
            }
            other => Err(QuorumStateError::Version(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Kafka 4.4.0 left them after a start of one static and one dynamic voter.
    const KAFKA_V0: &str = r#"{"clusterId":"","leaderId":1,"leaderEpoch":1,"votedId":-1,"appliedOffset":0,"currentVoters":[{"voterId":1}],"data_version":0}"#;
    const KAFKA_V1: &str =
        r#"{"leaderId":1,"leaderEpoch":1,"votedId":-1,"votedDirectoryId":"AAAAAAAAAAAAAAAAAAAAAA","data_version":1}"#;

    #[test]
    fn both_forms_are_kafkas_to_the_byte() {
        let leader = ElectionState { epoch: 1, leader_id: Some(1), voted: None };
        assert_eq!(leader.to_json(0, &[1]).expect("writes"), KAFKA_V0);
        assert_eq!(leader.to_json(1, &[1]).expect("writes"), KAFKA_V1);
        assert_eq!(ElectionState::from_json(KAFKA_V0).expect("reads"), leader);
        assert_eq!(ElectionState::from_json(KAFKA_V1).expect("reads"), leader);
    }

    #[test]
    fn a_vote_survives_with_its_directory() {
        let voted = ElectionState { epoch: 7, leader_id: None, voted: Some(ReplicaKey::new(3, Uuid([9; 16]))) };
        let json = voted.to_json(1, &[]).expect("writes");
        assert_eq!(ElectionState::from_json(&json).expect("reads"), voted);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        assert!(matches!(ElectionState::from_json(r#"{"data_version":2}"#), Err(QuorumStateError::Version(2))));
        assert!(ElectionState::from_json("").is_err());
        assert!(ElectionState::from_json(r#"{"data_version":1,"leaderId":1}"#).is_err());
    }
}
