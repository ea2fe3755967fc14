//! What the storage layer does not know of the metadata log: whether `quorum-state` and the records of the log and of its
//! snapshots can be understood by this release.

use std::path::{Path, PathBuf};

use ottla_controller::raft::ElectionState;
use ottla_env::fs;
use ottla_metadata::records::MetadataRecord;
use ottla_protocol::record_batch::{MAGIC, records};
use ottla_storage::inspect::{BatchAt, BatchFile, Finding, PartitionFiles, Severity, Step};

/// The directory of the log.
const PARTITION: &str = "__cluster_metadata-0";
const QUORUM_STATE: &str = "quorum-state";
/// Records that are told; a log of a newer release may have many that are unknown.
const TOLD_MAX: usize = 20;
/// What a batch may unpack to; the quorum writes at most 8 MiB.
const UNPACKED_MAX: usize = 64 << 20;

/// Gives what is wrong in the metadata log below `dir`, a log directory or that of the log itself. Batches that are damaged are
/// passed over: they are told already.
pub(super) fn check(dir: &Path, found: &mut dyn FnMut(Finding)) -> std::io::Result<()> {
    let own = dir.canonicalize().is_ok_and(|path| path.ends_with(PARTITION));
    let dir = if own { dir.to_owned() } else { dir.join(PARTITION) };
    if !fs::exists(&dir) {
        return Ok(());
    }
    quorum_state(&dir.join(QUORUM_STATE), found);
    let files = PartitionFiles::list(&dir)?;
    let logs = files.segments.iter().map(|segment| format!("{:020}.log", segment.base_offset));
    let snapshots = files.checkpoints.iter().map(|(name, _)| name.clone());
    let mut told = 0;
    for name in logs.chain(snapshots) {
        let path = dir.join(name);
        match BatchFile::open(&path) {
            Ok(mut file) => batches(&path, &mut file, &mut told, found)?,
            // A running controller removes segments and snapshots that are not needed any more.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn quorum_state(path: &Path, found: &mut dyn FnMut(Finding)) {
    // A directory that was formatted and never started has none.
    let Ok(text) = fs::read_to_string(path) else { return };
    if let Err(error) = ElectionState::from_json(&text) {
        found(finding(
            path.to_owned(),
            None,
            None,
            error.to_string(),
            "no node starts with it, since it does not know any more whom it has voted for; a voter whose disk is lost is removed from the quorum and added anew with an empty directory",
        ));
    }
}

fn batches(path: &Path, file: &mut BatchFile, told: &mut usize, found: &mut dyn FnMut(Finding)) -> std::io::Result<()> {
    let mut scratch = Vec::new();
    while let Step::Batch(at) = file.next_step()? {
        if at.header.magic < MAGIC || at.header.is_control() || !file.crc_fits(&at)? {
            continue;
        }
        for (offset, reason) in unknown(&at, file.bytes(&at)?, &mut scratch) {
            *told += 1;
            if *told <= TOLD_MAX {
                found(finding(
                    path.to_owned(),
                    Some(at.position),
                    Some(offset),
                    reason,
                    "a node of this release cannot start with it; one of the release that wrote it can",
                ));
            }
        }
    }
    Ok(())
}

/// Records that are none of this release: their offsets, and why not.
fn unknown(at: &BatchAt, bytes: &[u8], scratch: &mut Vec<u8>) -> Vec<(i64, String)> {
    let mut unknown = Vec::new();
    let Ok(records) = records(bytes, scratch, UNPACKED_MAX) else { return unknown };
    for record in records {
        // What is not well formed is told already.
        let Ok(record) = record else { return unknown };
        match record.value.map(MetadataRecord::decode) {
            Some(Ok(_)) => {}
            Some(Err(error)) => unknown.push((at.header.offset_of(&record), error.to_string())),
            None => unknown.push((at.header.offset_of(&record), "a metadata record without a value".to_owned())),
        }
    }
    unknown
}

fn finding(path: PathBuf, position: Option<u64>, offset: Option<i64>, problem: String, remedy: &str) -> Finding {
    Finding { severity: Severity::Damage, path, position, offset, problem, remedy: remedy.to_owned() }
}
