//! The files of one partition's directory, sorted by what they are.

use std::io;
use std::path::{Path, PathBuf};

use ottla_env::fs;

use crate::file_names::{
    CLEANED, DELETED, INDEX, LOG, SNAPSHOT, SWAP, TEMPORARY, TIME_INDEX, TXN_INDEX, offset_file, parse_offset_file,
};

/// Suffix of a snapshot of the metadata log.
const CHECKPOINT: &str = ".checkpoint";

/// A segment's files; None where one is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentEntry {
    /// Its base offset.
    pub base_offset: i64,
    /// Bytes of `.log`.
    pub log: u64,
    /// Bytes of `.index`.
    pub index: Option<u64>,
    /// Bytes of `.timeindex`.
    pub time_index: Option<u64>,
    /// Bytes of `.txnindex`.
    pub txn_index: Option<u64>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct PartitionFiles {
    /// The directory.
    pub path: PathBuf,
    /// Segments by base offset.
    pub segments: Vec<SegmentEntry>,
    /// Offsets of producer snapshots, ascending, and their bytes.
    pub snapshots: Vec<(i64, u64)>,
    /// Names of snapshots of the metadata log, and their bytes.
    pub checkpoints: Vec<(String, u64)>,
    /// Names of index files without a `.log`.
    pub orphans: Vec<String>,
    /// Names of what a deletion, a compaction or a replacement left behind.
    pub leftovers: Vec<String>,
}

impl PartitionFiles {
    /// Lists a directory.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn list(path: &Path) -> io::Result<Self> {
        let mut files = Self { path: path.to_owned(), ..Self::default() };
        let entries = fs::read_dir(path)?;
        for entry in entries.iter().filter(|entry| !entry.is_dir) {
            let name = entry.name.as_str();
            if [DELETED, CLEANED, SWAP, TEMPORARY].iter().any(|suffix| name.ends_with(suffix)) {
                files.leftovers.push(entry.name.clone());
            } else if name.ends_with(CHECKPOINT) {
                files.checkpoints.push((entry.name.clone(), entry.len));
            } else if let Some((base_offset, LOG)) = parse_offset_file(name) {
                let empty =
                    SegmentEntry { base_offset, log: entry.len, index: None, time_index: None, txn_index: None };
                files.segments.push(empty);
            } else if let Some((offset, SNAPSHOT)) = parse_offset_file(name) {
                files.snapshots.push((offset, entry.len));
            }
        }
        files.segments.sort_by_key(|segment| segment.base_offset);
        files.snapshots.sort_unstable();
        files.checkpoints.sort();
        files.leftovers.sort();
        for entry in &entries {
            let Some((base, suffix @ (INDEX | TIME_INDEX | TXN_INDEX))) = parse_offset_file(&entry.name) else {
                continue;
            };
            match files.segments.binary_search_by_key(&base, |segment| segment.base_offset) {
                Ok(at) => {
                    let Some(segment) = files.segments.get_mut(at) else { continue };
                    match suffix {
                        INDEX => segment.index = Some(entry.len),
                        TIME_INDEX => segment.time_index = Some(entry.len),
                        _ => segment.txn_index = Some(entry.len),
                    }
                }
                Err(_) => files.orphans.push(entry.name.clone()),
            }
        }
        files.orphans.sort();
        Ok(files)
    }

    /// The path of a file of a segment.
    pub(super) fn file(&self, offset: i64, suffix: &str) -> PathBuf {
        self.path.join(offset_file(offset, suffix))
    }

    /// Bytes that an inspection of every file reads.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let of = |s: &SegmentEntry| s.log + [s.index, s.time_index, s.txn_index].into_iter().flatten().sum::<u64>();
        let segments: u64 = self.segments.iter().map(of).sum();
        segments + self.checkpoints.iter().map(|c| c.1).sum::<u64>() + self.snapshots.iter().map(|s| s.1).sum::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_sorted_by_what_they_are() {
        let dir = tempfile::tempdir().expect("a directory");
        for name in [
            "00000000000000000007.log",
            "00000000000000000000.log",
            "00000000000000000000.index",
            "00000000000000000000.timeindex",
            "00000000000000000003.index",
            "00000000000000000007.snapshot",
            "00000000000000000005-0000000001.checkpoint",
            "00000000000000000000.log.deleted",
            "leader-epoch-checkpoint",
            // Last: writing a file makes and renames its own.
            "leader-epoch-checkpoint.tmp",
        ] {
            fs::write_atomically(dir.path().join(name), name).expect("written");
        }
        let files = PartitionFiles::list(dir.path()).expect("listed");
        let bases: Vec<_> = files.segments.iter().map(|s| (s.base_offset, s.index.is_some())).collect();
        assert_eq!(bases, [(0, true), (7, false)]);
        assert_eq!((files.snapshots.len(), files.checkpoints.len()), (1, 1));
        assert_eq!(files.orphans, ["00000000000000000003.index"]);
        assert_eq!(files.leftovers, ["00000000000000000000.log.deleted", "leader-epoch-checkpoint.tmp"]);
    }
}
