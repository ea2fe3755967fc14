//! Locks between processes, by POSIX record locks: those that Java's `FileChannel.tryLock` takes, so that Ottla and
//! Apache Kafka exclude each other on one directory.
//!
//! POSIX gives these locks two properties that a caller must know of. They belong to the process, so that a second
//! request of the same process would succeed: a table of the paths held here refuses it. And they end when *any*
//! descriptor of the file is closed in the process: nobody else may open a lock file.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use rustix::fs::FlockOperation;
use rustix::io::Errno;

use super::fs::File;
use crate::fs::named;

static HELD: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// A held lock; given back when dropped, and by the system when the process ends in whatever way.
#[derive(Debug)]
pub struct FileLock {
    /// Closing it ends the lock.
    file: Option<File>,
    canonical: PathBuf,
}

/// Locks a file, creating it if it is missing, without waiting. `None` if another process, or this one, holds it.
///
/// # Errors
/// Those of opening and locking the file.
pub fn lock(path: impl AsRef<Path>) -> io::Result<Option<FileLock>> {
    let path = path.as_ref();
    let directory = std::fs::canonicalize(crate::fs::parent(path)).map_err(|error| named("lock", path, error))?;
    let name = path.file_name().ok_or_else(|| named("lock", path, io::ErrorKind::InvalidInput.into()))?;
    let canonical = directory.join(name);

    // Held throughout, and looked at before the file is opened: closing a second descriptor would free the lock.
    let mut held = HELD.lock();
    if held.contains(&canonical) {
        return Ok(None);
    }
    let file = File::create(path)?;
    match rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {
            held.insert(canonical.clone());
            Ok(Some(FileLock { file: Some(file), canonical }))
        }
        Err(Errno::AGAIN | Errno::ACCESS) => Ok(None),
        Err(errno) => Err(named("lock", path, errno.into())),
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Closed under the table's mutex: were it closed later, it would end a lock granted meanwhile.
        let mut held = HELD.lock();
        self.file = None;
        held.remove(&self.canonical);
    }
}
