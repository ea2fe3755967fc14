//! Locks between processes: a host runs one, so a lock is held until its holder drops it or the host dies.

use std::io;
use std::path::Path;

use super::context::Context;
use super::fs::{File, on_disk};

/// A held lock; given back when dropped, and when the host dies.
#[derive(Debug)]
pub struct FileLock {
    context: Context,
    file: File,
}

/// Locks a file, creating it if it is missing, without waiting. `None` if it is held.
///
/// # Errors
/// Those of opening the file.
pub fn lock(path: impl AsRef<Path>) -> io::Result<Option<FileLock>> {
    let path = path.as_ref();
    let file = File::create(path)?;
    let free = on_disk("lock", path, |disk, _, _| Ok(disk.locks.insert(file.node())))?;
    Ok(free.then(|| FileLock { context: Context::current(), file }))
}

/// The process that holds the lock of a file, without touching either; None if nobody does or there is no such file. Hosts
/// have no process ids, so the holder's is 0.
///
/// # Errors
/// Those of opening the file.
pub fn lock_holder(path: impl AsRef<Path>) -> io::Result<Option<u32>> {
    let path = path.as_ref();
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    on_disk("ask for the lock of", path, |disk, _, _| Ok(disk.locks.contains(&file.node()).then_some(0)))
}

impl Drop for FileLock {
    fn drop(&mut self) {
        let node = self.file.node();
        let state = &mut *self.context.world.state.lock();
        let disk = &mut state.hosts[self.context.host].disk;
        // After a crash somebody else may hold it.
        if disk.generation == self.file.generation() {
            disk.locks.remove(&node);
        }
    }
}
