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
use rustix::process::{Flock, FlockOffsetType, FlockType};

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

/// The process that holds the lock of a file, without touching either; None if nobody does or there is no such file.
///
/// # Errors
/// Those of opening the file and asking the system.
pub fn lock_holder(path: impl AsRef<Path>) -> io::Result<Option<u32>> {
    let path = path.as_ref();
    let directory =
        std::fs::canonicalize(crate::fs::parent(path)).map_err(|error| named("ask for the lock of", path, error))?;
    let name =
        path.file_name().ok_or_else(|| named("ask for the lock of", path, io::ErrorKind::InvalidInput.into()))?;
    // As in `lock`: a lock of this process would end with the descriptor that asks for it.
    let held = HELD.lock();
    if held.contains(&directory.join(name)) {
        return Ok(Some(std::process::id()));
    }
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let wanted = Flock { start: 0, length: 0, pid: None, typ: FlockType::WriteLock, offset_type: FlockOffsetType::Set };
    let found =
        rustix::process::fcntl_getlk(&file, &wanted).map_err(|e| named("ask for the lock of", path, e.into()))?;
    // A holder in another container has no id here, but holds it.
    Ok(found.map(|lock| lock.pid.and_then(|pid| u32::try_from(pid.as_raw_nonzero().get()).ok()).unwrap_or(0)))
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Closed under the table's mutex: were it closed later, it would end a lock granted meanwhile.
        let mut held = HELD.lock();
        self.file = None;
        held.remove(&self.canonical);
    }
}
