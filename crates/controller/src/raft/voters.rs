//! Who votes: replicas named by (id, directory id) as in KIP-853, the set of them, and its history in the log.
//!
//! A voter set takes effect when it is appended, not when it is committed, so a truncation must be able to take it back:
//! that is what [`VoterHistory`] is for. In a static quorum (`controller.quorum.voters`, kraft.version 0) the set comes
//! from the configuration, no directory ids are known and the log never mentions it.

use std::collections::BTreeMap;

use ottla_protocol::ids::Uuid;

/// A replica of the metadata partition: its node id and, when known, the id of its metadata directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaKey {
    /// Node id.
    pub id: i32,
    /// Directory id; `None` in static quorums and old request versions.
    pub directory_id: Option<DirectoryKey>,
}

/// The sixteen bytes of a directory id, ordered so that keys can live in ordered maps.
pub type DirectoryKey = [u8; 16];

impl ReplicaKey {
    /// A key; the zero uuid means "not known".
    #[must_use]
    pub fn new(id: i32, directory_id: Uuid) -> Self {
        Self { id, directory_id: (directory_id.0 != [0; 16]).then_some(directory_id.0) }
    }

    /// A key of which only the id is known.
    #[must_use]
    pub fn of_id(id: i32) -> Self {
        Self { id, directory_id: None }
    }

    /// The directory id as the wire carries it: zero when unknown.
    #[must_use]
    pub fn directory(&self) -> Uuid {
        Uuid(self.directory_id.unwrap_or([0; 16]))
    }
}

/// Where a listener of a voter is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Listener name, such as `CONTROLLER`.
    pub listener: String,
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// One voter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voter {
    /// Its key.
    pub key: ReplicaKey,
    /// Its listeners.
    pub endpoints: Vec<Endpoint>,
    /// Lowest kraft.version it supports.
    pub min_kraft_version: i16,
    /// Highest kraft.version it supports.
    pub max_kraft_version: i16,
}

/// The replicas whose majority commits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VoterSet {
    voters: BTreeMap<i32, Voter>,
}

impl VoterSet {
    /// A set; of two voters with one id the later wins.
    #[must_use]
    pub fn new(voters: impl IntoIterator<Item = Voter>) -> Self {
        Self { voters: voters.into_iter().map(|v| (v.key.id, v)).collect() }
    }

    /// Whether this replica votes: its id is in the set, and its directory is the voter's where the set knows one.
    #[must_use]
    pub fn contains(&self, key: ReplicaKey) -> bool {
        self.voters.get(&key.id).is_some_and(|v| v.key.directory_id.is_none() || v.key.directory_id == key.directory_id)
    }

    /// Whether this replica is the whole set.
    #[must_use]
    pub fn is_only(&self, key: ReplicaKey) -> bool {
        self.voters.len() == 1 && self.contains(key)
    }

    /// Replicas needed to elect or to commit.
    #[must_use]
    pub fn majority(&self) -> usize {
        self.voters.len() / 2 + 1
    }

    /// Number of voters.
    #[must_use]
    pub fn len(&self) -> usize {
        self.voters.len()
    }

    /// Whether nobody votes (an observer that has not read the voters yet).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.voters.is_empty()
    }

    /// One voter.
    #[must_use]
    pub fn get(&self, id: i32) -> Option<&Voter> {
        self.voters.get(&id)
    }

    /// All, in the order of ids.
    pub fn iter(&self) -> impl Iterator<Item = &Voter> {
        self.voters.values()
    }

    /// The key to address a voter with: `id` and what the set knows of its directory.
    #[must_use]
    pub fn key_of(&self, id: i32) -> ReplicaKey {
        self.voters.get(&id).map_or_else(|| ReplicaKey::of_id(id), |v| v.key)
    }
}

/// The voter sets and kraft.versions of the log, each from the offset of its record on.
#[derive(Debug, Clone)]
pub struct VoterHistory {
    /// What holds before any record: the configured set (static) or nothing.
    configured: VoterSet,
    /// `(offset, set)`, ascending; a snapshot's set counts at the snapshot's last offset (`-1` for the bootstrap one).
    sets: Vec<(i64, VoterSet)>,
    /// `(offset, kraft.version)`, ascending.
    versions: Vec<(i64, i16)>,
}

impl VoterHistory {
    /// A history that starts with the configured voters.
    #[must_use]
    pub fn new(configured: VoterSet) -> Self {
        Self { configured, sets: Vec::new(), versions: Vec::new() }
    }

    /// The set in effect now.
    #[must_use]
    pub fn latest(&self) -> &VoterSet {
        self.sets.last().map_or(&self.configured, |(_, set)| set)
    }

    /// Offset of the record that made the set in effect; `-1` when it came from the bootstrap snapshot, `None` when it is
    /// the configured one.
    #[must_use]
    pub fn latest_offset(&self) -> Option<i64> {
        self.sets.last().map(|(offset, _)| *offset)
    }

    /// The set in effect at an offset (inclusive), for a snapshot that ends there.
    #[must_use]
    pub fn at(&self, offset: i64) -> Option<&VoterSet> {
        self.sets.iter().rev().find(|(o, _)| *o <= offset).map(|(_, set)| set)
    }

    /// The kraft.version in effect now; 0 without a record.
    #[must_use]
    pub fn kraft_version(&self) -> i16 {
        self.versions.last().map_or(0, |(_, v)| *v)
    }

    /// The kraft.version in effect at an offset.
    #[must_use]
    pub fn kraft_version_at(&self, offset: i64) -> i16 {
        self.versions.iter().rev().find(|(o, _)| *o <= offset).map_or(0, |(_, v)| *v)
    }

    /// Notes a VotersRecord.
    pub fn add_voters(&mut self, offset: i64, set: VoterSet) {
        self.sets.retain(|(o, _)| *o < offset);
        self.sets.push((offset, set));
    }

    /// Notes a KRaftVersionRecord.
    pub fn add_version(&mut self, offset: i64, version: i16) {
        self.versions.retain(|(o, _)| *o < offset);
        self.versions.push((offset, version));
    }

    /// Forgets what was appended at or after `end_offset`.
    pub fn truncate_to(&mut self, end_offset: i64) {
        self.sets.retain(|(o, _)| *o < end_offset);
        self.versions.retain(|(o, _)| *o < end_offset);
    }

    /// Forgets everything: a snapshot takes the log's place.
    pub fn clear(&mut self) {
        self.sets.clear();
        self.versions.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voter(id: i32, directory: Option<u8>) -> Voter {
        let key = ReplicaKey { id, directory_id: directory.map(|b| [b; 16]) };
        Voter { key, endpoints: vec![], min_kraft_version: 0, max_kraft_version: 1 }
    }

    #[test]
    fn a_replaced_directory_is_no_voter_of_a_dynamic_set_but_is_of_a_static_one() {
        let replaced = ReplicaKey { id: 1, directory_id: Some([9; 16]) };
        assert!(!VoterSet::new([voter(1, Some(1))]).contains(replaced));
        assert!(VoterSet::new([voter(1, None)]).contains(replaced));
    }

    #[test]
    fn truncation_takes_an_uncommitted_voter_set_back() {
        let mut history = VoterHistory::new(VoterSet::default());
        history.add_voters(-1, VoterSet::new([voter(1, Some(1))]));
        history.add_voters(7, VoterSet::new([voter(1, Some(1)), voter(2, Some(2))]));
        assert_eq!(history.latest().majority(), 2);
        history.truncate_to(7);
        assert_eq!((history.latest().len(), history.latest_offset()), (1, Some(-1)));
    }
}
