//! `.kafka_cleanshutdown`: that everything was synced before the process ended, and the broker epoch it had then, which
//! the next registration tells the controller (KIP-966). Removed at start. Kafka class: `CleanShutdownFileHandler`.

use std::path::Path;

use ottla_env::{fs, planted};

use crate::checkpoint::text_of;
use crate::error::StorageError;

/// Name of the file.
pub(crate) const FILE_NAME: &str = ".kafka_cleanshutdown";
/// Broker epoch when none is known: the process never registered, or the file is of Kafka before 3.7.
pub(crate) const NO_BROKER_EPOCH: i64 = -1;

/// Writes the file.
pub(crate) fn write(dir: &Path, broker_epoch: i64) -> Result<(), StorageError> {
    let path = dir.join(FILE_NAME);
    let json = format!("{{\"version\":0,\"brokerEpoch\":{broker_epoch}}}");
    Ok(fs::write_atomically(&path, json)?)
}

/// Reads and removes the file. None: the shutdown was not clean. A file that cannot be understood is still a sign of a
/// clean shutdown (Kafka before 3.7 left it empty), only without an epoch.
pub(crate) fn take(dir: &Path) -> Result<Option<i64>, StorageError> {
    let path = dir.join(FILE_NAME);
    let Some(text) = text_of(&path)? else {
        // A process before this one may have taken it and died before that was durable.
        fs::sync_dir(dir)?;
        return Ok(None);
    };
    if !planted::is("the mark of a clean stop stays") {
        fs::remove_file(&path)?;
    }
    // Before anything is written: a crash during this run must not find the mark of the last one.
    fs::sync_dir(dir)?;
    Ok(Some(text.ok().and_then(|text| broker_epoch(&text)).unwrap_or(NO_BROKER_EPOCH)))
}

/// The number behind `"brokerEpoch":`.
fn broker_epoch(json: &str) -> Option<i64> {
    let (_, rest) = json.split_once("\"brokerEpoch\"")?;
    let number = rest.trim_start().strip_prefix(':')?.trim_start();
    let end = number.find(|c: char| c != '-' && !c.is_ascii_digit()).unwrap_or(number.len());
    number.get(..end)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_taken_once() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(take(dir.path()).expect("nothing there"), None);
        write(dir.path(), 77).expect("written");
        assert_eq!(take(dir.path()).expect("there"), Some(77));
        assert_eq!(take(dir.path()).expect("gone"), None);
        fs::write_atomically(dir.path().join(FILE_NAME), b"").expect("written");
        assert_eq!(take(dir.path()).expect("an empty file of old"), Some(NO_BROKER_EPOCH));
        fs::write_atomically(dir.path().join(FILE_NAME), b"{\xff}").expect("written");
        assert_eq!(take(dir.path()).expect("no text, and no error of the device"), Some(NO_BROKER_EPOCH));
    }

    #[test]
    fn spaces_in_the_json_do_not_matter() {
        assert_eq!(broker_epoch("{ \"brokerEpoch\" : -1 , \"version\":0}"), Some(-1));
        assert_eq!(broker_epoch("{\"version\":0}"), None);
    }
}
