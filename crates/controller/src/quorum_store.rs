//! The files of the metadata directory, and how a replica is put together out of them at start.
//!
//! ```text
//!   <metadata.log.dir>/__cluster_metadata-0/
//!     00000000000000000000.log …                        the log
//!     00000000000000000000-0000000000.checkpoint        the bootstrap snapshot, then later ones
//!     quorum-state                                      epoch, leader, vote
//!   <metadata.log.dir>/recovery-point-offset-checkpoint   up to where the log is on the device ([`crate::soundness`])
//! ```

use std::path::{Path, PathBuf};

use ottla_env::fs;
use ottla_metadata::{MetadataLoader, MetadataRecord};
use ottla_storage::OpenOptions;

use crate::batches::decode_batches;
use crate::control_records::Control;
use crate::error::ControllerError;
use crate::format::BOOTSTRAP;
use crate::metadata_log::MetadataLog;
use crate::options::QuorumOptions;
use crate::raft::{ControlRecord, ElectionState, LogView, RaftCore, ReplicaKey, SnapshotId, VoterHistory};
use crate::snapshot_file::{self, Snapshot, SnapshotError};
use crate::soundness::{self, Claims, Sound};

/// The file of the election state.
pub(crate) const QUORUM_STATE_FILE: &str = "quorum-state";

/// Written by the formatting of earlier releases, into the log directory itself.
const EARLIER_BOOTSTRAP_FILE: &str = "bootstrap.checkpoint";

/// Snapshots kept: the newest, and the one before it for whoever is just fetching it.
const SNAPSHOTS_KEPT: usize = 2;

/// Bytes read at a time when the log is gone through at start.
const SCAN_BYTES: u32 = 1 << 20;

/// A replica as it lies on disk, ready for its driver.
pub(crate) struct Opened {
    pub(crate) core: RaftCore,
    pub(crate) log: MetadataLog,
    pub(crate) dir: PathBuf,
    /// Records below this are in the loader: those of the newest snapshot.
    pub(crate) loaded: i64,
}

/// Puts a replica together: the newest snapshot goes into the loader, the voters come from it and from the log behind it,
/// or, where neither names any, from the configuration.
///
/// What the log holds must be known, not believed: every batch is looked at, before anything is changed.
pub(crate) fn open(
    quorum: QuorumOptions,
    local: ReplicaKey,
    loader: &MetadataLoader,
) -> Result<Opened, ControllerError> {
    let dir = MetadataLog::folder(&quorum.dir);
    let mut voters = VoterHistory::new(quorum.voters);
    let newest = load_newest(&dir, &mut voters, loader)?;
    let loaded = newest.map_or(0, |id| id.end_offset);
    let election = read_election(&dir)?;
    let claims = Claims {
        folder: dir.clone(),
        notes: quorum.dir.recovery_points_path(),
        noted: MetadataLog::noted(&quorum.dir)?,
        loaded,
        epoch: election.epoch,
    };
    let sound = soundness::check(&claims)?;
    let options = OpenOptions { recovery_point: sound.durable, log_start_offset: loaded, ..OpenOptions::default() };
    let log = MetadataLog::open(&quorum.dir, quorum.segment_bytes, quorum.segment_ms, options)?;
    adjust(&log, &sound, loaded)?;
    let epochs = scan(&log, loaded, &mut voters)?;
    check_voters(&voters, local)?;
    let view = LogView::new(log.start_offset(), log.end_offset(), epochs, newest);
    tell_older_election(&dir, &election, &view);
    // What was found is on the device before anything is appended behind it.
    log.sync()?;
    log.note_synced()?;
    let core = RaftCore::new(quorum.raft, local, election, view, voters);
    Ok(Opened { core, log, dir, loaded })
}

/// Loads the newest snapshot, if there is one, and gives its id. That of formatting holds no state.
fn load_newest(
    dir: &Path,
    voters: &mut VoterHistory,
    loader: &MetadataLoader,
) -> Result<Option<SnapshotId>, ControllerError> {
    if !fs::exists(dir) {
        return Ok(None);
    }
    snapshot_file::remove_partial(dir)?;
    let newest = snapshot_file::list(dir)?.last().copied();
    if let Some(id) = newest {
        let snapshot = snapshot_file::read(dir, id).map_err(|error| match error {
            SnapshotError::Content { .. } | SnapshotError::Incomplete { .. } => ControllerError::NewestSnapshot(error),
            // Of the file itself that says nothing.
            SnapshotError::Io { .. } | SnapshotError::Encode(_) => error.into(),
        })?;
        note_snapshot(voters, id, &snapshot);
        if id != BOOTSTRAP {
            loader.load_snapshot(id.end_offset - 1, id.epoch, snapshot.records)?;
        }
    }
    Ok(newest)
}

/// Lets the log end where it is sound, and begin no earlier than a snapshot of which it lacks the end: one was fetched from
/// the leader, and the process ended before the log was emptied.
fn adjust(log: &MetadataLog, sound: &Sound, loaded: i64) -> Result<(), ControllerError> {
    log.truncate_to(sound.end_offset)?;
    if log.end_offset() < loaded {
        log.restart_at(loaded)?;
    }
    if log.end_offset() != sound.end_offset {
        let (found, end) = (sound.end_offset, log.end_offset());
        return Err(ControllerError::Broken(format!(
            "its log is whole up to offset {found}, but was opened up to {end}"
        )));
    }
    Ok(())
}

/// An election state is saved before anything is appended in its epoch.
fn tell_older_election(dir: &Path, election: &ElectionState, view: &LogView) {
    if election.epoch < view.last_epoch() {
        tracing::warn!(
            path = %dir.join(QUORUM_STATE_FILE).display(), epoch = election.epoch, last_epoch = view.last_epoch(),
            "the file is gone, or older than the log; the epoch is taken from the log, and no vote is remembered"
        );
    }
}

fn note_snapshot(voters: &mut VoterHistory, id: SnapshotId, snapshot: &Snapshot) {
    let offset = id.end_offset - 1;
    voters.add_version(offset, snapshot.kraft_version);
    if let Some(set) = &snapshot.voters {
        voters.add_voters(offset, set.clone());
    }
}

/// Goes through the log for the epochs of its batches, and for the voters named behind what the snapshot tells.
fn scan(log: &MetadataLog, loaded: i64, voters: &mut VoterHistory) -> Result<Vec<(i32, i64)>, ControllerError> {
    let mut epochs: Vec<(i32, i64)> = Vec::new();
    let mut from = log.start_offset();
    while from < log.end_offset() {
        let bytes = log.read(from, SCAN_BYTES)?;
        let before = from;
        for batch in decode_batches(&bytes) {
            let batch = batch?;
            let epoch = batch.header.partition_leader_epoch;
            if epochs.last().is_none_or(|(last, _)| *last < epoch) {
                epochs.push((epoch, batch.header.base_offset));
            }
            for (offset, control) in batch.control.into_iter().filter(|(offset, _)| *offset >= loaded) {
                match control {
                    Control::Quorum(ControlRecord::KRaftVersion(version)) => voters.add_version(offset, version),
                    Control::Quorum(ControlRecord::Voters(set)) => voters.add_voters(offset, set),
                    _ => {}
                }
            }
            from = batch.header.next_offset();
        }
        if from == before {
            return Err(ControllerError::Broken(format!("the metadata log cannot be read from offset {from} on")));
        }
    }
    Ok(epochs)
}

/// Only a quorum of this node alone is served so far.
fn check_voters(voters: &VoterHistory, local: ReplicaKey) -> Result<(), ControllerError> {
    let latest = voters.latest();
    if latest.is_only(local) {
        return Ok(());
    }
    if latest.is_empty() {
        return Err(ControllerError::NoVoters);
    }
    if latest.len() == 1 && latest.get(local.id).is_some() {
        return Err(ControllerError::OtherDirectory(local.id));
    }
    Err(ControllerError::OtherVoters(latest.iter().map(|v| v.key.id).collect()))
}

/// The records of formatting: in the bootstrap snapshot, or in the file that releases before 4.4 wrote; none when the
/// directory was formatted by hand.
pub(crate) fn bootstrap_records(dir: &Path) -> Result<Vec<MetadataRecord>, ControllerError> {
    if fs::exists(dir.join(snapshot_file::file_name(BOOTSTRAP))) {
        return Ok(snapshot_file::read(dir, BOOTSTRAP)?.records);
    }
    let earlier = dir.parent().map(|parent| parent.join(EARLIER_BOOTSTRAP_FILE)).filter(|path| fs::exists(path));
    Ok(earlier.map(|path| snapshot_file::read_file(&path)).transpose()?.map(|s| s.records).unwrap_or_default())
}

fn read_election(dir: &Path) -> Result<ElectionState, ControllerError> {
    let path = dir.join(QUORUM_STATE_FILE);
    if !fs::exists(&path) {
        return Ok(ElectionState::default());
    }
    let bytes = fs::read(&path).map_err(|source| ControllerError::Io { path: path.clone(), source })?;
    ElectionState::from_json(&String::from_utf8_lossy(&bytes))
        .map_err(|source| ControllerError::QuorumState { path, source })
}

/// Makes the election state durable.
pub(crate) fn save_election(
    dir: &Path,
    state: &ElectionState,
    kraft_version: i16,
    voters: &[i32],
) -> Result<(), ControllerError> {
    let path = dir.join(QUORUM_STATE_FILE);
    let json = state.to_json(kraft_version, voters);
    let json = json.map_err(|source| ControllerError::QuorumState { path: path.clone(), source })?;
    fs::write_atomically(&path, json).map_err(|source| ControllerError::Io { path, source })
}

/// A piece of a snapshot and the size of the whole; `None` when it does not reach so far.
pub(crate) fn read_snapshot_chunk(
    dir: &Path,
    id: SnapshotId,
    position: i64,
    max_bytes: u32,
) -> std::io::Result<Option<(i64, Vec<u8>)>> {
    let file = fs::File::open(dir.join(snapshot_file::file_name(id)))?;
    let size = file.len()?;
    let Some(position) = u64::try_from(position).ok().filter(|p| *p < size) else { return Ok(None) };
    let mut bytes = vec![0; (size - position).min(u64::from(max_bytes)) as usize];
    file.read_exact_at(&mut bytes, position)?;
    Ok(Some((i64::try_from(size).unwrap_or(i64::MAX), bytes)))
}

/// Writes a piece of a snapshot that is being fetched.
pub(crate) fn write_snapshot_chunk(
    dir: &Path,
    id: SnapshotId,
    position: i64,
    bytes: &[u8],
) -> Result<(), ControllerError> {
    let path = dir.join(snapshot_file::part_file_name(id));
    let write = || {
        let file = fs::File::create(&path)?;
        if position == 0 {
            file.set_len(0)?;
        }
        file.write_all_at(bytes, position.unsigned_abs())
    };
    write().map_err(|source| ControllerError::Io { path: path.clone(), source })
}

/// Gives a snapshot that was fetched its name, and reads it.
pub(crate) fn finish_snapshot(dir: &Path, id: SnapshotId) -> Result<Snapshot, ControllerError> {
    let (part, whole) = (dir.join(snapshot_file::part_file_name(id)), dir.join(snapshot_file::file_name(id)));
    let finish = || {
        fs::File::open_rw(&part)?.sync_all()?;
        fs::rename(&part, &whole)?;
        fs::sync_dir(dir)
    };
    finish().map_err(|source| ControllerError::Io { path: part.clone(), source })?;
    Ok(snapshot_file::read(dir, id)?)
}

/// Removes all snapshots but the newest ones.
pub(crate) fn delete_old_snapshots(dir: &Path) -> Result<(), ControllerError> {
    let ids = snapshot_file::list(dir)?;
    let old = ids.len().saturating_sub(SNAPSHOTS_KEPT);
    for id in ids.into_iter().take(old) {
        let path = dir.join(snapshot_file::file_name(id));
        fs::remove_file(&path).map_err(|source| ControllerError::Io { path, source })?;
    }
    Ok(())
}
