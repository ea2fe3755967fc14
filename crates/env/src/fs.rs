//! Files and directories. Positional only, no cursor; every error names its path.
//!
//! Durability is never implied. Bytes are safe after [`File::sync_data`] or [`File::sync_all`]; a name (created,
//! renamed or removed) is safe after [`sync_dir`] of its directory. [`write_atomically`] and [`create_dir_durably`] do all of it.
//!
//! All calls block. Appends to the page cache and reads of cached pages may run on a network task; syncs, cold reads
//! ([`File::is_cached`] tells), recovery and deletion belong on [`crate::task::blocking`] or a thread.

use std::io;
use std::path::{Path, PathBuf};

pub use crate::platform::fs::{
    File, create_dir_all, exists, file_len, modified_ms, read_dir, remove_dir_all, remove_file, rename,
    set_modified_ms, space, sync_dir, sync_file_system,
};
pub use crate::platform::lock::{FileLock, lock, lock_holder};

/// One name in a directory, as [`read_dir`] lists it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct DirEntry {
    /// The name without its directory. Names that are not UTF-8 are none of ours and are left out.
    pub name: String,
    /// True for a directory (or a link to one).
    pub is_dir: bool,
    /// Length in bytes; 0 for a directory.
    pub len: u64,
}

/// The room on the file system that holds a path.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Space {
    /// Bytes in all.
    pub total: u64,
    /// Bytes that this process may still use.
    pub available: u64,
}

/// The whole content of a file.
///
/// # Errors
/// Those of opening and reading it.
pub fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let path = path.as_ref();
    let file = File::open(path)?;
    let len = usize::try_from(file.len()?).map_err(|_| named("read", path, io::ErrorKind::FileTooLarge.into()))?;
    let mut content = Vec::new();
    content.try_reserve_exact(len).map_err(|_| named("read", path, io::ErrorKind::OutOfMemory.into()))?;
    content.resize(len, 0);
    let got = file.read_full_at(&mut content, 0)?;
    content.truncate(got);
    Ok(content)
}

/// The whole content of a file that holds UTF-8.
///
/// # Errors
/// As [`read`], and `InvalidData` if it is not UTF-8.
pub fn read_to_string(path: impl AsRef<Path>) -> io::Result<String> {
    let path = path.as_ref();
    let not_utf8 = |_| named("read", path, io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"));
    String::from_utf8(read(path)?).map_err(not_utf8)
}

/// Replaces a file so that a crash leaves the old content or the new one, never a mixture: writes `<path>.tmp`, syncs
/// it, renames it over `path`, syncs the directory. When it returns, the new content is durable.
///
/// # Errors
/// Those of the steps; the old content is then still in place unless only the last step failed.
#[cfg_attr(sim, track_caller)]
pub fn write_atomically(path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> io::Result<()> {
    let path = path.as_ref();
    let temporary = temporary(path);
    let file = File::create(&temporary)?;
    file.set_len(0)?;
    file.write_all_at(content.as_ref(), 0)?;
    file.sync_all()?;
    drop(file);
    rename(&temporary, path)?;
    sync_dir(parent(path))
}

/// Creates a directory and those above it that are missing, and makes the names of those that were missing durable.
///
/// # Errors
/// Those of the steps.
#[cfg_attr(sim, track_caller)]
pub fn create_dir_durably(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    let is_missing = |dir: &&Path| !dir.as_os_str().is_empty() && !exists(dir);
    let missing: Vec<&Path> = path.ancestors().take_while(is_missing).collect();
    create_dir_all(path)?;
    // Those above first, so that none is safe before what leads to it.
    for made in missing.into_iter().rev() {
        sync_dir(parent(made))?;
    }
    Ok(())
}

/// As [`write_atomically`], but nothing of it is durable until somebody syncs the file system: a crash may leave the new
/// name without its content.
///
/// # Errors
/// Those of the steps.
pub fn replace_unsynced(path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> io::Result<()> {
    let path = path.as_ref();
    let temporary = temporary(path);
    let file = File::create(&temporary)?;
    file.set_len(0)?;
    file.write_all_at(content.as_ref(), 0)?;
    rename(&temporary, path)
}

fn temporary(path: &Path) -> PathBuf {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    PathBuf::from(temporary)
}

impl File {
    /// Reads until `buf` is full or the file ends; returns how much was read.
    ///
    /// # Errors
    /// Those of reading.
    pub fn read_full_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buf.len() {
            match self.read_at(&mut buf[filled..], offset + filled as u64)? {
                0 => break,
                n => filled += n,
            }
        }
        Ok(filled)
    }

    /// Fills `buf` from `offset`.
    ///
    /// # Errors
    /// Those of reading, and `UnexpectedEof` if the file ends before `buf` is full.
    pub fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let wanted = buf.len();
        let got = self.read_full_at(buf, offset)?;
        if got < wanted {
            let what = format!("it ends {} bytes short of {}", wanted - got, offset + wanted as u64);
            return Err(named("read", self.path(), io::Error::new(io::ErrorKind::UnexpectedEof, what)));
        }
        Ok(())
    }
}

/// The directory that a path lies in; `.` for a bare name.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) => Path::new("."),
        None => path,
    }
}

/// The same error, with the operation and the path in its message and the kind kept.
pub(crate) fn named(operation: &str, path: &Path, error: io::Error) -> io::Error {
    let text = format!("{operation} {}: {error}", path.display());
    io::Error::new(error.kind(), Named { text, os_error: error.raw_os_error() })
}

/// Whether it is the device that failed (EIO), rather than that space, descriptors, names or rights are missing.
#[must_use]
pub fn is_device_failure(error: &io::Error) -> bool {
    let named = error.get_ref().and_then(|inner| inner.downcast_ref::<Named>());
    let os_error = named.map_or_else(|| error.raw_os_error(), |named| named.os_error);
    os_error == Some(rustix::io::Errno::IO.raw_os_error())
}

/// An error of the system in words that name the file.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
struct Named {
    text: String,
    os_error: Option<i32>,
}

#[cfg(all(test, not(sim)))]
mod tests;
