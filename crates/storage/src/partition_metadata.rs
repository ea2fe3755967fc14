//! `partition.metadata`: the topic id of a partition's directory. Kafka class: `PartitionMetadataFile`.
//!
//! ```text
//! version: 0
//! topic_id: MkU3OEVBNTcwNTJENDM2Qg
//! ```
//! Written and synced before the first append, so that a directory never holds records of an unknown topic id.

use std::path::Path;

use ottla_env::fs;
use ottla_protocol::Uuid;

use crate::error::StorageError;

/// Name of the file.
pub(crate) const FILE_NAME: &str = "partition.metadata";

/// Writes the file into `folder`.
pub(crate) fn write(folder: &Path, topic_id: Uuid) -> Result<(), StorageError> {
    let path = folder.join(FILE_NAME);
    Ok(fs::write_atomically(&path, format!("version: 0\ntopic_id: {topic_id}\n"))?)
}

/// The topic id in `folder`; None when the file is missing (a directory of Kafka before 2.8, or a stray one).
pub(crate) fn read(folder: &Path) -> Result<Option<Uuid>, StorageError> {
    let path = folder.join(FILE_NAME);
    if !fs::exists(&path) {
        return Ok(None);
    }
    let text = fs::read_to_string(&path)?;
    let corrupt = |reason: String| StorageError::Corrupt { path: path.clone(), reason };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(read(dir.path()).expect("a missing file is None"), None);
        let id = Uuid(*b"0123456789abcdef");
        write(dir.path(), id).expect("written");
        assert_eq!(read(dir.path()).expect("read"), Some(id));
        for text in ["", "version: 1\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ\n", "version: 0\n", "version: 0\ntopic_id: x\n"]
        {
            fs::write_atomically(dir.path().join(FILE_NAME), text.as_bytes()).expect("written");
            assert!(read(dir.path()).is_err(), "{text:?}");
        }
    }
}
