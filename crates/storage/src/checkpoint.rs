//! Files that note one offset per partition: `recovery-point-offset-checkpoint`, `replication-offset-checkpoint`,
//! `log-start-offset-checkpoint` and `cleaner-offset-checkpoint`. Kafka class: `OffsetCheckpointFile`.
//!
//! ```text
//! 0                    version
//! 2                    number of lines that follow
//! orders 0 1042
//! orders 1 998
//! ```
//! They are replaced as a whole and atomically, so that a crash leaves the old or the new one.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ottla_env::{fs, planted};
use parking_lot::Mutex;

use crate::error::StorageError;

/// Up to where each log is synced.
pub(crate) const RECOVERY_POINT: &str = "recovery-point-offset-checkpoint";
/// High watermark of each log.
pub(crate) const HIGH_WATERMARK: &str = "replication-offset-checkpoint";
/// Log start offset where DeleteRecords moved it above the first segment's.
pub(crate) const LOG_START: &str = "log-start-offset-checkpoint";

/// Up to where each log is compacted.
pub(crate) const CLEANER: &str = "cleaner-offset-checkpoint";

/// Offsets by topic and partition.
pub type Offsets = BTreeMap<(Arc<str>, i32), i64>;

/// Replaces the file.
///
/// # Errors
/// When it cannot be written.
pub fn write(path: &Path, offsets: &Offsets) -> Result<(), StorageError> {
    let mut text = format!("0\n{}\n", offsets.len());
    for ((topic, partition), offset) in offsets {
        text.push_str(&format!("{topic} {partition} {offset}\n"));
    }
    if planted::is("a checkpoint is renamed before it is synced") {
        return Ok(fs::replace_unsynced(path, text)?);
    }
    Ok(fs::write_atomically(path, text)?)
}

/// Reads the file; a missing one is empty.
///
/// # Errors
/// When it cannot be read, or is not of the form above.
pub fn read(path: &Path) -> Result<Offsets, StorageError> {
    let Some(text) = text_of(path)? else { return Ok(Offsets::new()) };
    let corrupt = |reason: String| StorageError::Corrupt { path: path.to_owned(), reason };
    let text = text.map_err(corrupt)?;
    let lines = lines_of(&text).map_err(corrupt)?;
    lines
        .map(|line| {
            let mut words = line.split(' ');
            let entry = (|| {
                let topic = words.next().filter(|t| !t.is_empty())?;
                let partition = words.next()?.parse().ok()?;
                let offset = words.next()?.parse().ok()?;
                words.next().is_none().then_some(((Arc::from(topic), partition), offset))
            })();
            entry.ok_or_else(|| corrupt(format!("`{line}` is not `topic partition offset`")))
        })
        .collect()
}

/// One of the files, with what it holds in memory, so that it is written only when that changes.
#[derive(Debug)]
pub(crate) struct CheckpointFile {
    path: PathBuf,
    content: Mutex<Offsets>,
    /// That it cannot be understood was told.
    told: AtomicBool,
}

impl CheckpointFile {
    /// Not read yet.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, content: Mutex::new(Offsets::new()), told: AtomicBool::new(false) }
    }

    /// Reads it. A file that cannot be understood counts as empty: everything is recovered then.
    pub(crate) fn load(&self) -> Result<Offsets, StorageError> {
        let offsets = match read(&self.path) {
            Err(StorageError::Corrupt { path, reason }) => {
                if !self.told.swap(true, Ordering::Relaxed) {
                    tracing::warn!(path = %path.display(), reason, "checkpoint cannot be used");
                }
                Offsets::new()
            }
            other => other?,
        };
        self.content.lock().clone_from(&offsets);
        Ok(offsets)
    }

    /// Replaces it. The offsets are asked for under its lock, so that none is older than a [`Self::lower`] that came before.
    pub(crate) fn replace(&self, offsets: impl FnOnce() -> Offsets) -> Result<(), StorageError> {
        self.replace_beside("", offsets)
    }

    /// As [`Self::replace`], but what it says of the topic `kept` stays: somebody else notes that.
    pub(crate) fn replace_beside(&self, kept: &str, offsets: impl FnOnce() -> Offsets) -> Result<(), StorageError> {
        let mut content = self.content.lock();
        let mut offsets = offsets();
        let stays = content.iter().filter(|((topic, _), _)| &**topic == kept);
        offsets.extend(stays.map(|(key, offset)| (key.clone(), *offset)));
        if *content != offsets {
            write(&self.path, &offsets)?;
            *content = offsets;
        }
        Ok(())
    }

    /// What it says of a partition.
    pub(crate) fn get(&self, topic: &str, partition: i32) -> Option<i64> {
        self.content.lock().get(&(Arc::from(topic), partition)).copied()
    }

    /// Notes an offset of one partition, or that there is none.
    pub(crate) fn set(&self, topic: &str, partition: i32, offset: Option<i64>) -> Result<(), StorageError> {
        let key = (Arc::from(topic), partition);
        let differs = |content: &Offsets| content.get(&key).copied() != offset;
        self.change(differs, |content| {
            match offset {
                Some(offset) => content.insert(key.clone(), offset),
                None => content.remove(&key),
            };
        })
    }

    /// Makes sure that it says no more than `offset` of a partition.
    pub(crate) fn lower(&self, topic: &str, partition: i32, offset: i64) -> Result<(), StorageError> {
        let key = (Arc::from(topic), partition);
        let is_above = |content: &Offsets| content.get(&key).is_some_and(|noted| *noted > offset);
        self.change(is_above, |content| {
            content.insert(key.clone(), offset);
        })
    }

    /// Makes sure that it says no less than `offset` of a partition.
    pub(crate) fn raise(&self, topic: &Arc<str>, partition: i32, offset: i64) -> Result<(), StorageError> {
        let key = (Arc::clone(topic), partition);
        let is_below = |content: &Offsets| content.get(&key).is_none_or(|noted| *noted < offset);
        self.change(is_below, |content| {
            content.insert(key.clone(), offset);
        })
    }

    /// Says nothing of these partitions of a topic any more.
    pub(crate) fn forget(&self, topic: &str, partitions: &BTreeSet<i32>) -> Result<(), StorageError> {
        let is_one = |(noted, partition): &(Arc<str>, i32)| &**noted == topic && partitions.contains(partition);
        self.change(|content| content.keys().any(is_one), |content| content.retain(|key, _| !is_one(key)))
    }

    /// Changes the file if it is needed, and then what is known of it: what could not be written is tried again.
    fn change(&self, is_needed: impl Fn(&Offsets) -> bool, change: impl Fn(&mut Offsets)) -> Result<(), StorageError> {
        let mut content = self.content.lock();
        if is_needed(&content) {
            let mut changed = content.clone();
            change(&mut changed);
            write(&self.path, &changed)?;
            *content = changed;
        }
        Ok(())
    }
}

/// The text of a file; None if there is none. One that holds other bytes is damaged, which says nothing of its device: that is
/// the inner error.
pub(crate) fn text_of(path: &Path) -> Result<Option<Result<String, String>>, StorageError> {
    match fs::read(path) {
        Ok(bytes) => {
            Ok(Some(String::from_utf8(bytes).map_err(|error| format!("it is not UTF-8: {}", error.utf8_error()))))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The lines after the two of the head, checked against the count.
pub(crate) fn lines_of(text: &str) -> Result<impl Iterator<Item = &str>, String> {
    let mut lines = text.lines();
    match lines.next().map(str::trim) {
        Some("0") => {}
        Some(other) => return Err(format!("version `{other}` is not 0")),
        None => return Err("the file is empty".to_owned()),
    }
    let count: usize = lines
        .next()
        .and_then(|line| line.trim().parse().ok())
        .ok_or_else(|| "the second line is no count".to_owned())?;
    let rest = lines.clone().filter(|line| !line.is_empty()).count();
    if rest != count {
        return Err(format!("{count} lines are announced, {rest} are there"));
    }
    Ok(lines.filter(|line| !line.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(RECOVERY_POINT);
        assert_eq!(read(&path).expect("a missing file is empty"), Offsets::new());
        let offsets: Offsets = [((Arc::from("a"), 0), 7), ((Arc::from("b.c"), 11), i64::MAX)].into();
        write(&path, &offsets).expect("written");
        assert_eq!(fs::read_to_string(&path).expect("there"), "0\n2\na 0 7\nb.c 11 9223372036854775807\n");
        assert_eq!(read(&path).expect("read"), offsets);
    }

    #[test]
    fn a_file_is_written_when_its_content_changes() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(RECOVERY_POINT);
        let topic: Arc<str> = Arc::from("a");
        let file = CheckpointFile::new(path.clone());
        file.replace(Offsets::new).expect("nothing to write");
        assert!(!fs::exists(&path));
        file.replace(|| [((Arc::clone(&topic), 0), 7)].into()).expect("written");
        file.lower(&topic, 0, 9).expect("not raised");
        file.lower(&topic, 1, 3).expect("not known");
        assert_eq!(read(&path).expect("read"), [((Arc::clone(&topic), 0), 7)].into());
        file.raise(&topic, 0, 6).expect("not lowered");
        file.raise(&topic, 2, 4).expect("new");
        assert_eq!(read(&path).expect("read"), [((Arc::clone(&topic), 0), 7), ((Arc::clone(&topic), 2), 4)].into());
        file.replace(|| [((Arc::clone(&topic), 0), 7)].into()).expect("written");
        file.lower(&topic, 0, 5).expect("lowered");
        file.raise(&topic, 0, 4).expect("not lowered");
        assert_eq!(CheckpointFile::new(path.clone()).load().expect("read"), [((Arc::clone(&topic), 0), 5)].into());
        file.raise(&topic, 0, 6).expect("raised");
        file.raise(&topic, 1, 1).expect("noted");
        let raised = [((Arc::clone(&topic), 0), 6), ((Arc::clone(&topic), 1), 1)].into();
        assert_eq!(CheckpointFile::new(path.clone()).load().expect("read"), raised);
        file.set(&topic, 1, Some(8)).expect("changed");
        file.set(&topic, 0, None).expect("removed");
        assert_eq!((file.get(&topic, 0), file.get(&topic, 1)), (None, Some(8)));
        assert_eq!(read(&path).expect("read"), [((topic, 1), 8)].into());
    }

    #[test]
    fn what_others_note_stays() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(RECOVERY_POINT);
        let (own, others): (Arc<str>, Arc<str>) = (Arc::from("own"), Arc::from("others"));
        let file = CheckpointFile::new(path.clone());
        file.raise(&others, 0, 7).expect("noted");
        file.raise(&own, 1, 3).expect("noted");
        file.replace_beside("others", || [((Arc::clone(&own), 0), 5)].into()).expect("written");
        assert_eq!(read(&path).expect("read"), [((own, 0), 5), ((others, 0), 7)].into());
    }

    #[test]
    fn a_torn_file_is_told() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(LOG_START);
        for text in ["", "1\n0\n", "0\nx\n", "0\n2\na 0 1\n", "0\n1\na 0\n", "0\n1\na 0 1 2\n"] {
            fs::write_atomically(&path, text.as_bytes()).expect("written");
            assert!(matches!(read(&path), Err(StorageError::Corrupt { .. })), "{text:?}");
        }
        // A flipped bit makes a byte that is no text. It once took the whole log directory offline, as an error of the device.
        fs::write_atomically(&path, b"0\n1\n\xe1 0 1\n").expect("written");
        assert!(matches!(read(&path), Err(StorageError::Corrupt { .. })));
        assert_eq!(CheckpointFile::new(path).load().expect("no error of the device"), Offsets::new());
    }
}
