//! `partition.metadata`: the topic id of a partition's directory. Kafka class: `PartitionMetadataFile`.
//!
//! ```text
//! version: 0
//! topic_id: MkU3OEVBNTcwNTJENDM2Qg
//! ```
//! Synced before anything in its directory counts as durable ([`crate::log_folder`]).

use std::path::Path;

use ottla_env::fs::{self, File};
use ottla_protocol::Uuid;

use crate::checkpoint::text_of;
use crate::error::StorageError;

/// Name of the file.
pub(crate) const FILE_NAME: &str = "partition.metadata";

/// Writes the file into `folder`, where there is none; [`sync`] makes it durable.
pub(crate) fn write_unsynced(folder: &Path, topic_id: Uuid) -> Result<(), StorageError> {
    let file = File::create(folder.join(FILE_NAME)).map_err(StorageError::Open)?;
    file.set_len(0)?;
    Ok(file.write_all_at(format!("version: 0\ntopic_id: {topic_id}\n").as_bytes(), 0)?)
}

/// Waits until the device has the file's content, if there is one; its name is the directory's.
pub(crate) fn sync(folder: &Path) -> Result<(), StorageError> {
    if !fs::exists(folder.join(FILE_NAME)) {
        return Ok(());
    }
    Ok(File::open_rw(folder.join(FILE_NAME)).map_err(StorageError::Open)?.sync_all()?)
}

/// The topic id in `folder`; None when the file is missing, or holds nothing, zeros, or only the beginning of what it is to
/// hold: it was being made when the process or the power went, is of Kafka before 2.8, or a stray.
pub(crate) fn read(folder: &Path) -> Result<Option<Uuid>, StorageError> {
    let path = folder.join(FILE_NAME);
    let Some(text) = text_of(&path)? else { return Ok(None) };
    let corrupt = |reason: String| StorageError::Corrupt { path: path.clone(), reason };
    let text = text.map_err(corrupt)?;
    // Zeros stand for what was not written yet.
    let text = text.trim_end_matches('\0');
    if is_half_made(text) {
        return Ok(None);
    }
    let mut version = None;
    let mut topic_id = None;
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        match line.split_once(':').map(|(key, value)| (key.trim(), value.trim())) {
            Some(("version", value)) => version = Some(value),
            Some(("topic_id", value)) => topic_id = Some(value.parse::<Uuid>().map_err(|e| corrupt(e.to_string()))?),
            Some(_) | None => return Err(corrupt(format!("`{line}` is neither version nor topic_id"))),
        }
    }
    match (version, topic_id) {
        (Some("0"), Some(id)) => Ok(Some(id)),
        (Some("0"), None) => Err(corrupt("topic_id is missing".to_owned())),
        (Some(other), _) => Err(corrupt(format!("version `{other}` is not 0"))),
        (None, _) => Err(corrupt("version is missing".to_owned())),
    }
}

fn is_half_made(text: &str) -> bool {
    const HEAD: &str = "version: 0\ntopic_id: ";
    const ID_CHARS: usize = 22;
    match text.strip_prefix(HEAD) {
        Some(id) => id.len() < ID_CHARS && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'),
        None => HEAD.starts_with(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(read(dir.path()).expect("a missing file is None"), None);
        let id = Uuid(*b"0123456789abcdef");
        for lost in [&b""[..], &[0; 44], b"vers", b"version: 0\ntopic_id: AAAA\0\0"] {
            fs::write_atomically(dir.path().join(FILE_NAME), lost).expect("written");
            assert_eq!(read(dir.path()).expect("what was not synced is, too"), None);
        }
        write_unsynced(dir.path(), id).expect("written");
        sync(dir.path()).expect("synced");
        assert_eq!(read(dir.path()).expect("read"), Some(id));
        let texts: [&[u8]; 4] = [
            b"version: 1\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ\n",
            b"version: 0\n\n",
            b"version: 0\ntopic_id: x\n",
            b"version: 0\ntopic_id: AAAAAAA\xc1AAAAAAAAAAAAAQ\n",
        ];
        for text in texts {
            fs::write_atomically(dir.path().join(FILE_NAME), text).expect("written");
            assert!(matches!(read(dir.path()), Err(StorageError::Corrupt { .. })), "{text:?}");
        }
    }
}
