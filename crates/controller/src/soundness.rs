//! Whether the metadata log may be opened as it lies there. Recovery cuts a log at the first batch that is not whole; what is
//! cut off here are topics, whose partitions would be set aside next. So nothing goes that was on the device once.
//!
//! ```text
//!        snapshot's end           noted as synced              first fault
//!   ├──────────┼─────────────────────────┼───────────────────────────┼───────
//!    not needed │ must be there           │ was being written, perhaps: cut there, and told
//! ```
//! It is noted in `recovery-point-offset-checkpoint`, as for any log: at the start, at a stop, and within a second after
//! whatever was synced. Without a note, because Apache Kafka was the last to use the directory, a fault is believed to be a torn
//! end only if nothing sound follows.

use std::path::{Path, PathBuf};

use ottla_env::fs;
use ottla_storage::inspect::{Extent, Fault, extent};

use crate::error::ControllerError;
use crate::format::BOOTSTRAP;
use crate::quorum_store::QUORUM_STATE_FILE;
use crate::quorum_wire::METADATA_TOPIC;
use crate::snapshot_file::file_name;

/// What else the directory says of the log.
#[derive(Debug)]
pub(crate) struct Claims {
    /// Of the log.
    pub(crate) folder: PathBuf,
    /// The file with the note.
    pub(crate) notes: PathBuf,
    /// Everything below was on the device; None if nothing is noted.
    pub(crate) noted: Option<i64>,
    /// Everything below is in the newest snapshot.
    pub(crate) loaded: i64,
    /// Epoch of the last election that is remembered.
    pub(crate) epoch: i32,
}

/// How the log is to be opened.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sound {
    /// Everything below was on the device, and is there if it is needed.
    pub(crate) durable: i64,
    /// Where the log ends, or is to be cut.
    pub(crate) end_offset: i64,
}

/// Why the log is not opened: something is missing that was on the device.
#[derive(Debug, thiserror::Error)]
pub enum Loss {
    /// Bytes are not what they were.
    #[error(
        "{}: the metadata log is damaged at byte {}, where record {} should begin: {}. {proof}, so that this is no torn end. \
         To have all topics and settings back, put a sound copy of the file in place. To go on without that record and all behind \
         it, cut the file there (truncate -s {}), and move the .log files behind it out of the folder{}",
        fault.path.display(), fault.position, fault.offset, fault.reason, fault.position, lowered(notes, *noted, fault.offset)
    )]
    Damaged {
        /// Where.
        fault: Box<Fault>,
        /// Why it cannot be the end of an append that was cut off.
        proof: String,
        /// The file with the note.
        notes: PathBuf,
        /// The note.
        noted: Option<i64>,
    },
    /// The end is missing.
    #[error(
        "{}: the metadata log ends with this file at offset {end}, but everything below {noted} was on the device, says {}. To have \
         the missing topics and settings back, put a sound copy of the file in place, or the files behind it. To go on \
         without them, leave everything as it is{}",
        path.display(), notes.display(), lowered(notes, Some(*noted), *end)
    )]
    Short {
        /// The last file.
        path: PathBuf,
        /// Where the log ends.
        end: i64,
        /// Where it must not end before.
        noted: i64,
        /// The file with the note.
        notes: PathBuf,
    },
    /// There is no segment, or an empty one in place of all.
    #[error(
        "{}: the metadata log is gone, but {proof}. Put its .log files back; to begin a new cluster instead, name an empty \
         directory in metadata.log.dir and log.dirs",
        folder.display()
    )]
    Gone {
        /// Where it should be.
        folder: PathBuf,
        /// What shows that there was one.
        proof: String,
    },
    /// Log and snapshot leave a gap.
    #[error(
        "{}: the metadata log begins at offset {first}, and the newest snapshot there ends at {loaded}. What lies between is \
         in a snapshot that is missing, {first:020}-….checkpoint or a later one, or in .log files: put them back",
        folder.display()
    )]
    Gap {
        /// Where both should be.
        folder: PathBuf,
        /// Where the log begins.
        first: i64,
        /// Where the snapshot ends; 0 if there is none.
        loaded: i64,
    },
}

/// What else is to be done by whoever goes on without the end of the log. The file has the recovery points of partitions too, so it
/// stays: without one, the first torn batch of a partition would count as its end.
fn lowered(notes: &Path, noted: Option<i64>, end: i64) -> String {
    let Some(noted) = noted.filter(|noted| *noted > end) else { return String::new() };
    format!("; and in {} change `{METADATA_TOPIC} 0 {noted}` to `{METADATA_TOPIC} 0 {end}`", notes.display())
}

/// Looks at every batch that is needed.
pub(crate) fn check(claims: &Claims) -> Result<Sound, ControllerError> {
    let found = look(&claims.folder, claims.loaded)?;
    let sound = judge(claims, &found)?;
    if let Some(fault) = &found.fault {
        tracing::warn!(
            path = %fault.path.display(), position = fault.position, offset = fault.offset, reason = fault.reason,
            "the metadata log ends with what was being written when the last process ended; it is cut off"
        );
    }
    Ok(sound)
}

fn look(folder: &Path, needed: i64) -> Result<Extent, ControllerError> {
    if !fs::exists(folder) {
        return Ok(Extent::default());
    }
    extent(folder, needed).map_err(|source| ControllerError::Io { path: folder.to_owned(), source })
}

fn judge(claims: &Claims, found: &Extent) -> Result<Sound, Loss> {
    let (Some(first), Some(last_file)) = (found.first_offset, &found.last_file) else {
        return without_log(claims);
    };
    if first > claims.loaded {
        return Err(Loss::Gap { folder: claims.folder.clone(), first, loaded: claims.loaded });
    }
    let notes = || claims.notes.clone();
    let durable = claims.loaded.max(claims.noted.unwrap_or(0));
    if let Some(fault) = &found.fault {
        let proof = match (claims.noted, fault.goes_on_at) {
            _ if fault.offset < durable => format!("Everything below {durable} was on the device"),
            (None, Some(offset)) => format!("Behind it lies a sound batch, of offset {offset}"),
            _ => return Ok(Sound { durable, end_offset: fault.offset }),
        };
        return Err(Loss::Damaged { fault: Box::new(fault.clone()), proof, notes: notes(), noted: claims.noted });
    }
    let end = found.end_offset;
    if let Some(noted) = claims.noted.filter(|noted| *noted > end.max(claims.loaded)) {
        return Err(Loss::Short { path: last_file.clone(), end, noted, notes: notes() });
    }
    // A process of Apache Kafka that ended before the first record of its first election leaves an epoch of 1.
    if end.max(claims.loaded) == 0 && claims.noted.is_none() && claims.epoch > 1 {
        return Err(gone(
            claims,
            format!("{QUORUM_STATE_FILE} tells of epoch {}, which begins with a record", claims.epoch),
        ));
    }
    // A log that ends below the snapshot is given up.
    Ok(Sound { durable: durable.min(end), end_offset: end.max(claims.loaded) })
}

/// A directory that was just formatted has no log yet, and so has one that was formatted by hand.
fn without_log(claims: &Claims) -> Result<Sound, Loss> {
    if claims.epoch > 0 {
        return Err(gone(claims, format!("{QUORUM_STATE_FILE} tells of epoch {}", claims.epoch)));
    }
    if let Some(noted) = claims.noted.filter(|_| !is_formatted_anew(&claims.folder)) {
        let notes = claims.notes.display();
        return Err(gone(claims, format!("everything below offset {noted} was on the device, says {notes}")));
    }
    Ok(Sound { durable: claims.loaded, end_offset: claims.loaded })
}

fn gone(claims: &Claims, proof: String) -> Loss {
    Loss::Gone { folder: claims.folder.clone(), proof }
}

/// Whether there is nothing but what formatting writes: the note is of a cluster that was here before.
fn is_formatted_anew(folder: &Path) -> bool {
    let bootstrap = file_name(BOOTSTRAP);
    fs::read_dir(folder).is_ok_and(|entries| entries.iter().map(|entry| &entry.name).eq([&bootstrap]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(noted: Option<i64>, loaded: i64, epoch: i32) -> Claims {
        Claims { folder: "/d/__cluster_metadata-0".into(), notes: "/d/notes".into(), noted, loaded, epoch }
    }

    fn found(first: i64, end_offset: i64, fault: Option<Option<i64>>) -> Extent {
        let path = PathBuf::from("/d/__cluster_metadata-0/7.log");
        let fault = fault.map(|goes_on_at| Fault {
            path: path.clone(),
            position: 70,
            offset: end_offset,
            reason: "zeros".to_owned(),
            goes_on_at,
        });
        Extent { first_offset: Some(first), end_offset, last_file: Some(path), fault }
    }

    fn refused(claims: &Claims, found: &Extent) -> String {
        judge(claims, found).expect_err("refused").to_string()
    }

    #[test]
    fn a_torn_end_behind_what_is_noted_is_cut() {
        let cut = Sound { durable: 20, end_offset: 20 };
        assert_eq!(judge(&claims(Some(20), 0, 1), &found(0, 20, Some(None))).expect("opened"), cut);
        // Of what was written while the last sync ran, a device may keep the end and lose the beginning.
        assert_eq!(judge(&claims(Some(20), 0, 1), &found(0, 20, Some(Some(22)))).expect("opened"), cut);
        let unnoted = Sound { durable: 0, end_offset: 20 };
        assert_eq!(judge(&claims(None, 0, 1), &found(0, 20, Some(None))).expect("opened"), unnoted);
    }

    #[test]
    fn what_was_on_the_device_is_not_cut() {
        let said = refused(&claims(Some(21), 0, 1), &found(0, 20, Some(None)));
        for word in ["7.log", "byte 70", "record 20", "below 21", "truncate -s 70", "/d/notes"] {
            assert!(said.contains(word), "no {word} in: {said}");
        }
        let said = refused(&claims(None, 0, 1), &found(0, 20, Some(Some(22))));
        assert!(said.contains("a sound batch, of offset 22"), "{said}");
        let said = refused(&claims(Some(21), 0, 1), &found(0, 20, None));
        assert!(said.contains("ends with this file at offset 20") && said.contains("below 21"), "{said}");
        // The log begins below the snapshot, and nothing sound is left of it.
        assert!(refused(&claims(None, 30, 1), &found(0, 20, Some(None))).contains("below 30"));
    }

    #[test]
    fn a_snapshot_stands_for_what_lies_below() {
        let whole = Sound { durable: 20, end_offset: 30 };
        assert_eq!(judge(&claims(Some(25), 30, 1), &found(0, 20, None)).expect("opened"), whole);
        let said = refused(&claims(Some(25), 20, 1), &found(30, 40, None));
        assert!(said.contains("begins at offset 30") && said.contains("ends at 20"), "{said}");
    }

    #[test]
    fn a_log_that_is_gone_is_missed() {
        let none = Extent::default();
        assert!(refused(&claims(Some(4), 0, 0), &none).contains("below offset 4"));
        assert!(refused(&claims(None, 30, 2), &none).contains("epoch 2"));
        assert!(refused(&claims(None, 0, 2), &found(0, 0, None)).contains("epoch 2"));
        let new = Sound { durable: 0, end_offset: 0 };
        assert_eq!(judge(&claims(None, 0, 0), &none).expect("formatted"), new);
        assert_eq!(judge(&claims(Some(0), 0, 1), &found(0, 0, None)).expect("killed before its first record"), new);
    }
}
