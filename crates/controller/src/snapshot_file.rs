//! Snapshots of the metadata log: `<end offset, 20 digits>-<epoch, 10 digits>.checkpoint`, a file of record batches (KIP-630).
//!
//! ```text
//!   control batch   SnapshotHeader, and in a dynamic quorum KRaftVersion and Voters
//!   data batches    the records that make the image
//!   control batch   SnapshotFooter
//! ```
//!
//! Offsets within the file count from 0 and mean nothing. `00000000000000000000-0000000000.checkpoint` is what formatting
//! writes: the voters, and the feature levels with which the first leader begins the log.

use std::path::{Path, PathBuf};

use ottla_env::fs;
use ottla_metadata::records::MetadataRecord;
use ottla_protocol::writer::EncodeError;

use crate::batches::{BatchFault, BatchPlace, decode_batches, encode_control, encode_records};
use crate::control_records::Control;
use crate::raft::{ControlRecord, SnapshotId, VoterSet};

const SUFFIX: &str = ".checkpoint";
/// Ends the name of a snapshot that is being fetched.
const PART_SUFFIX: &str = ".checkpoint.part";

/// Records in one data batch of a snapshot.
const RECORDS_PER_BATCH: usize = 1000;

/// Why a snapshot cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The file.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Its content.
    #[error("{}: {source}", path.display())]
    Content {
        /// Which.
        path: PathBuf,
        /// Why.
        source: BatchFault,
    },
    /// It has no header or no footer, so it was not written to its end.
    #[error("{}: the snapshot is not complete", path.display())]
    Incomplete {
        /// Which.
        path: PathBuf,
    },
    /// A record that cannot be written.
    #[error("a record of the snapshot cannot be encoded: {0}")]
    Encode(#[from] EncodeError),
}

/// What a snapshot says.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) kraft_version: i16,
    pub(crate) voters: Option<VoterSet>,
    pub(crate) records: Vec<MetadataRecord>,
}

/// What is written around the records.
#[derive(Debug)]
pub(crate) struct SnapshotHead {
    pub(crate) id: SnapshotId,
    /// Now.
    pub(crate) timestamp_ms: i64,
    /// Append time of the last batch covered.
    pub(crate) last_contained_log_timestamp_ms: i64,
    /// kraft.version 0 leaves version and voters out.
    pub(crate) kraft_version: i16,
    pub(crate) voters: Option<VoterSet>,
}

/// The file's name.
pub(crate) fn file_name(id: SnapshotId) -> String {
    format!("{:020}-{:010}{SUFFIX}", id.end_offset, id.epoch)
}

/// The name under which a fetched snapshot is collected.
pub(crate) fn part_file_name(id: SnapshotId) -> String {
    format!("{:020}-{:010}{PART_SUFFIX}", id.end_offset, id.epoch)
}

/// The snapshot that a file's name names.
fn parse_name(name: &str) -> Option<SnapshotId> {
    let (offset, epoch) = name.strip_suffix(SUFFIX)?.split_once('-')?;
    let digits = |text: &str, n: usize| text.len() == n && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(offset, 20) || !digits(epoch, 10) {
        return None;
    }
    Some(SnapshotId { end_offset: offset.parse().ok()?, epoch: epoch.parse().ok()? })
}

/// The complete snapshots of a metadata directory, oldest first.
pub(crate) fn list(dir: &Path) -> Result<Vec<SnapshotId>, SnapshotError> {
    let entries = fs::read_dir(dir).map_err(|source| SnapshotError::Io { path: dir.to_owned(), source })?;
    let mut ids: Vec<SnapshotId> = entries.iter().filter_map(|e| parse_name(&e.name)).collect();
    ids.sort_unstable();
    Ok(ids)
}

/// Removes what an interrupted fetch or write left behind.
pub(crate) fn remove_partial(dir: &Path) -> Result<(), SnapshotError> {
    let entries = fs::read_dir(dir).map_err(|source| SnapshotError::Io { path: dir.to_owned(), source })?;
    for entry in entries.iter().filter(|e| e.name.ends_with(PART_SUFFIX)) {
        let path = dir.join(&entry.name);
        fs::remove_file(&path).map_err(|source| SnapshotError::Io { path, source })?;
    }
    Ok(())
}

/// The bytes of a snapshot.
pub(crate) fn encode(
    head: &SnapshotHead,
    records: &[MetadataRecord],
    metadata_version: i16,
) -> Result<Vec<u8>, EncodeError> {
    let mut first =
        vec![Control::SnapshotHeader { last_contained_log_timestamp_ms: head.last_contained_log_timestamp_ms }];
    if head.kraft_version > 0 {
        first.push(Control::Quorum(ControlRecord::KRaftVersion(head.kraft_version)));
        first.extend(head.voters.clone().map(|v| Control::Quorum(ControlRecord::Voters(v))));
    }
    let mut place = BatchPlace { base_offset: 0, epoch: head.id.epoch, timestamp_ms: head.timestamp_ms };
    let mut bytes = encode_control(place, &first)?;
    place.base_offset += first.len() as i64;
    for chunk in records.chunks(RECORDS_PER_BATCH) {
        bytes.extend(encode_records(place, chunk, metadata_version)?);
        place.base_offset += chunk.len() as i64;
    }
    bytes.extend(encode_control(place, &[Control::SnapshotFooter])?);
    Ok(bytes)
}

/// Writes a snapshot: it is complete and synced, or not there.
pub(crate) fn write(dir: &Path, id: SnapshotId, bytes: &[u8]) -> Result<(), SnapshotError> {
    let path = dir.join(file_name(id));
    fs::write_atomically(&path, bytes).map_err(|source| SnapshotError::Io { path, source })
}

/// Reads a snapshot.
pub(crate) fn read(dir: &Path, id: SnapshotId) -> Result<Snapshot, SnapshotError> {
    read_file(&dir.join(file_name(id)))
}

/// Reads a file of a snapshot's form.
pub(crate) fn read_file(path: &Path) -> Result<Snapshot, SnapshotError> {
    let bytes = fs::read(path).map_err(|source| SnapshotError::Io { path: path.to_owned(), source })?;
    decode(&bytes, path)
}

fn decode(bytes: &[u8], path: &Path) -> Result<Snapshot, SnapshotError> {
    let mut snapshot = Snapshot::default();
    let (mut begun, mut ended) = (false, false);
    for batch in decode_batches(bytes) {
        let batch = batch.map_err(|source| SnapshotError::Content { path: path.to_owned(), source })?;
        snapshot.records.extend(batch.records);
        for (_, control) in batch.control {
            match control {
                Control::SnapshotHeader { .. } => begun = true,
                Control::SnapshotFooter => ended = true,
                Control::Quorum(ControlRecord::KRaftVersion(version)) => snapshot.kraft_version = version,
                Control::Quorum(ControlRecord::Voters(set)) => snapshot.voters = Some(set),
                Control::Quorum(ControlRecord::LeaderChange { .. }) => {}
            }
        }
    }
    if begun && ended { Ok(snapshot) } else { Err(SnapshotError::Incomplete { path: path.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_metadata::records::FeatureLevelRecord;

    fn records(count: i16) -> Vec<MetadataRecord> {
        (0..count).map(|level| FeatureLevelRecord { name: "f".into(), feature_level: level }.into()).collect()
    }

    fn head(kraft_version: i16) -> SnapshotHead {
        SnapshotHead {
            id: SnapshotId { end_offset: 12, epoch: 3 },
            timestamp_ms: 5,
            last_contained_log_timestamp_ms: 4,
            kraft_version,
            voters: Some(VoterSet::default()),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().expect("a directory");
        for (kraft_version, voters) in [(0, None), (1, Some(VoterSet::default()))] {
            let head = head(kraft_version);
            let bytes = encode(&head, &records(2500), 33).expect("encodes");
            write(dir.path(), head.id, &bytes).expect("written");
            let snapshot = read(dir.path(), head.id).expect("read");
            assert_eq!((snapshot.kraft_version, snapshot.voters), (kraft_version, voters));
            assert_eq!(snapshot.records, records(2500));
        }
        assert_eq!(list(dir.path()).expect("listed"), vec![SnapshotId { end_offset: 12, epoch: 3 }]);
    }

    #[test]
    fn a_snapshot_cut_short_or_altered_is_refused() {
        let path = Path::new("x");
        let bytes = encode(&head(1), &records(3), 33).expect("encodes");
        assert!(decode(&bytes, path).is_ok());
        for cut in 0..bytes.len() {
            assert!(decode(&bytes[..cut], path).is_err(), "cut at {cut}");
        }
        let mut altered = bytes.clone();
        let last = altered.len() - 1;
        altered[last] ^= 1;
        assert!(decode(&altered, path).is_err());
    }

    #[test]
    fn names_are_kafkas() {
        assert_eq!(file_name(SnapshotId { end_offset: 0, epoch: 0 }), "00000000000000000000-0000000000.checkpoint");
        assert_eq!(
            parse_name("00000000000000000007-0000000002.checkpoint"),
            Some(SnapshotId { end_offset: 7, epoch: 2 })
        );
        for name in ["bootstrap.checkpoint", "00000000000000000007-0000000002.checkpoint.part", "7-2.checkpoint"] {
            assert_eq!(parse_name(name), None);
        }
    }
}
