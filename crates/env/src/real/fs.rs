//! The system's files, through std and rustix.

use std::fs::{FileTimes, OpenOptions};
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use crate::fs::{DirEntry, Space, named};

/// An open file. Closed when dropped, without a sync.
#[derive(Debug)]
pub struct File {
    file: std::fs::File,
    /// Only for error messages; stays the name that it was opened by.
    path: Box<Path>,
}

impl File {
    /// Opens an existing file for reading.
    ///
    /// # Errors
    /// Those of open(2).
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::open_with(path.as_ref(), OpenOptions::new().read(true))
    }

    /// Opens an existing file for reading and writing.
    ///
    /// # Errors
    /// Those of open(2).
    pub fn open_rw(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::open_with(path.as_ref(), OpenOptions::new().read(true).write(true))
    }

    /// Opens a file for reading and writing, and creates it if it is missing; its content stays. The new name is
    /// durable after [`sync_dir`].
    ///
    /// # Errors
    /// Those of open(2).
    pub fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::open_with(path.as_ref(), OpenOptions::new().read(true).write(true).create(true).truncate(false))
    }

    /// As [`File::create`], but the file must not exist yet.
    ///
    /// # Errors
    /// Those of open(2); `AlreadyExists` among them.
    pub fn create_new(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::open_with(path.as_ref(), OpenOptions::new().read(true).write(true).create_new(true))
    }

    fn open_with(path: &Path, options: &OpenOptions) -> io::Result<Self> {
        let file = options.open(path).map_err(|error| named("open", path, error))?;
        Ok(Self { file, path: path.into() })
    }

    /// The path that it was opened by.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// One read; returns how much was read, 0 at the end of the file.
    ///
    /// # Errors
    /// Those of pread(2).
    pub fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        retry(|| self.file.read_at(buf, offset)).map_err(|error| named("read", &self.path, error))
    }

    /// Writes all of `buf` at `offset`, into the page cache. A gap before it reads as zeros.
    ///
    /// # Errors
    /// Those of pwrite(2). Some of the bytes may then be in the file.
    pub fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(buf, offset).map_err(|error| named("write", &self.path, error))
    }

    /// Writes all of `bufs`, one after the other, from `offset`, in as few calls as the system allows. Uses up `bufs`.
    ///
    /// # Errors
    /// Those of pwritev(2). Some of the bytes may then be in the file.
    pub fn write_all_vectored_at(&self, bufs: &mut [IoSlice<'_>], offset: u64) -> io::Result<()> {
        let (mut bufs, mut offset) = (bufs, offset);
        // Empty slices at the front would make a write of nothing look like a full disk.
        IoSlice::advance_slices(&mut bufs, 0);
        while !bufs.is_empty() {
            match retry(|| self.pwritev(bufs, offset)) {
                Ok(0) => return Err(named("write", &self.path, io::ErrorKind::WriteZero.into())),
                Ok(n) => {
                    IoSlice::advance_slices(&mut bufs, n);
                    offset += n as u64;
                }
                Err(error) => return Err(named("write", &self.path, error)),
            }
        }
        Ok(())
    }

    fn pwritev(&self, bufs: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        /// What POSIX promises a system to take (IOV_MAX is at least 16; Linux and the BSDs have 1024).
        const MAX_SLICES: usize = 1024;
        #[cfg(not(target_vendor = "apple"))]
        return Ok(rustix::io::pwritev(&self.file, &bufs[..bufs.len().min(MAX_SLICES)], offset)?);
        #[cfg(target_vendor = "apple")]
        return self.file.write_at(bufs.first().map_or(&[], |buf| &**buf), offset);
    }

    /// Length in bytes.
    ///
    /// # Errors
    /// Those of fstat(2).
    // A file can be empty without anybody asking for it.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> io::Result<u64> {
        self.file.metadata().map(|metadata| metadata.len()).map_err(|error| named("stat", &self.path, error))
    }

    /// Cuts the file, or extends it with zeros. Durable after [`File::sync_all`].
    ///
    /// # Errors
    /// Those of ftruncate(2).
    pub fn set_len(&self, len: u64) -> io::Result<()> {
        retry(|| self.file.set_len(len)).map_err(|error| named("truncate", &self.path, error))
    }

    /// Makes content and length durable. After an error nothing is known about what was written since the last
    /// successful sync, and a second try may lie: give the file up.
    ///
    /// # Errors
    /// Those of fdatasync(2).
    pub fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data().map_err(|error| named("sync", &self.path, error))
    }

    /// As [`File::sync_data`], and the other attributes too.
    ///
    /// # Errors
    /// Those of fsync(2).
    pub fn sync_all(&self) -> io::Result<()> {
        self.file.sync_all().map_err(|error| named("sync", &self.path, error))
    }

    /// Allocates disk blocks for a range without changing the length, so that a later write there is cheaper and
    /// cannot meet a full disk.
    ///
    /// # Errors
    /// Those of fallocate(2); `Unsupported` where the system or the file system has no such thing.
    pub fn reserve(&self, offset: u64, len: u64) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        {
            let keep_size = rustix::fs::FallocateFlags::KEEP_SIZE;
            retry(|| Ok(rustix::fs::fallocate(&self.file, keep_size, offset, len)?))
                .map_err(|error| named("reserve", &self.path, error))
        }
        #[cfg(not(target_os = "linux"))]
        {
            let _ = (offset, len);
            Err(named("reserve", &self.path, io::ErrorKind::Unsupported.into()))
        }
    }

    /// Asks the system to read a range ahead, in the background. A hint: errors are of no consequence.
    pub fn will_need(&self, offset: u64, len: u64) {
        #[cfg(target_os = "linux")]
        if let Some(len) = std::num::NonZeroU64::new(len) {
            let _ = rustix::fs::fadvise(&self.file, offset, Some(len), rustix::fs::Advice::WillNeed);
        }
        #[cfg(not(target_os = "linux"))]
        let _ = (offset, len);
    }

    /// Whether a range can be read without waiting for the disk, as far as can be told: it looks at the first and
    /// last byte and one in every 128 KiB between. True where the system cannot tell.
    #[must_use]
    pub fn is_cached(&self, offset: u64, len: u64) -> bool {
        let Some(last) = len.checked_sub(1).map(|before_end| offset.saturating_add(before_end)) else { return true };
        let mut at = offset;
        while at < last {
            if !self.byte_is_cached(at) {
                return false;
            }
            at = at.saturating_add(PROBE_STEP);
        }
        self.byte_is_cached(last)
    }

    #[cfg(target_os = "linux")]
    fn byte_is_cached(&self, offset: u64) -> bool {
        let mut byte = [0];
        let mut bufs = [io::IoSliceMut::new(&mut byte)];
        let no_wait = rustix::io::ReadWriteFlags::NOWAIT;
        rustix::io::preadv2(&self.file, &mut bufs, offset, no_wait) != Err(rustix::io::Errno::AGAIN)
    }

    #[cfg(not(target_os = "linux"))]
    fn byte_is_cached(&self, _offset: u64) -> bool {
        true
    }
}

/// Distance of the probes of [`File::is_cached`]: Linux reads ahead, and evicts, in pieces of about this size.
const PROBE_STEP: u64 = 128 * 1024;

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// Renames a file or directory, replacing a file at the new name. Durable after [`sync_dir`] of both directories.
///
/// # Errors
/// Those of rename(2), naming both paths.
pub fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
    let (from, to) = (from.as_ref(), to.as_ref());
    let both = |error: io::Error| {
        io::Error::new(error.kind(), format!("rename {} to {}: {error}", from.display(), to.display()))
    };
    std::fs::rename(from, to).map_err(both)
}

/// Removes a file's name. Durable after [`sync_dir`]; open handles go on working.
///
/// # Errors
/// Those of unlink(2).
pub fn remove_file(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    std::fs::remove_file(path).map_err(|error| named("remove", path, error))
}

/// Removes a directory and what is in it. Not atomic; durable after [`sync_dir`] of its parent.
///
/// # Errors
/// Those of the removals; some of it may then be gone.
pub fn remove_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    std::fs::remove_dir_all(path).map_err(|error| named("remove", path, error))
}

/// Creates a directory and those above it that are missing. Durable after [`sync_dir`] of each parent.
///
/// # Errors
/// Those of mkdir(2); an existing directory is none.
pub fn create_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    std::fs::create_dir_all(path).map_err(|error| named("create", path, error))
}

/// The names in a directory, sorted. A name that disappears meanwhile is left out.
///
/// # Errors
/// Those of reading it.
pub fn read_dir(path: impl AsRef<Path>) -> io::Result<Vec<DirEntry>> {
    let path = path.as_ref();
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(path).map_err(|error| named("list", path, error))? {
        let entry = entry.map_err(|error| named("list", path, error))?;
        let (is_dir, len) = match kind_and_len(&entry) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(named("stat", &entry.path(), error)),
        };
        if let Ok(name) = entry.file_name().into_string() {
            entries.push(DirEntry { name, is_dir, len });
        }
    }
    entries.sort_unstable();
    Ok(entries)
}

/// Of a directory's entry. What the listing itself tells is not asked for again, and the rest not by its whole path: a start lists
/// thousands of directories.
fn kind_and_len(entry: &std::fs::DirEntry) -> io::Result<(bool, u64)> {
    let kind = entry.file_type()?;
    if kind.is_dir() {
        return Ok((true, 0));
    }
    let metadata = if kind.is_symlink() { std::fs::metadata(entry.path())? } else { entry.metadata()? };
    Ok((metadata.is_dir(), if metadata.is_dir() { 0 } else { metadata.len() }))
}

/// Makes the names in a directory durable: those created, renamed and removed before.
///
/// # Errors
/// Those of opening and syncing it; as after a failed [`File::sync_data`], nothing is known then.
pub fn sync_dir(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    std::fs::File::open(path).and_then(|dir| dir.sync_all()).map_err(|error| named("sync", path, error))
}

/// Makes everything durable that was written on the file system of a path, files and names, in one go: for whoever would
/// have to sync thousands of files.
///
/// # Errors
/// Those of syncfs(2), after which nothing is known; `Unsupported` where the system has no such thing, or does not tell of
/// errors.
pub fn sync_file_system(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    #[cfg(target_os = "linux")]
    return std::fs::File::open(path)
        .and_then(|dir| Ok(rustix::fs::syncfs(&dir)?))
        .map_err(|error| named("sync file system of", path, error));
    #[cfg(not(target_os = "linux"))]
    return Err(named("sync file system of", path, io::ErrorKind::Unsupported.into()));
}

/// Whether a file or directory has this name; false also when it cannot be told.
#[must_use]
pub fn exists(path: impl AsRef<Path>) -> bool {
    path.as_ref().exists()
}

/// Length in bytes of the file at a path.
///
/// # Errors
/// Those of stat(2).
pub fn file_len(path: impl AsRef<Path>) -> io::Result<u64> {
    let path = path.as_ref();
    std::fs::metadata(path).map(|metadata| metadata.len()).map_err(|error| named("stat", path, error))
}

/// When the content at a path last changed, in milliseconds since the Unix epoch.
///
/// # Errors
/// Those of stat(2).
pub fn modified_ms(path: impl AsRef<Path>) -> io::Result<i64> {
    let path = path.as_ref();
    let modified = std::fs::metadata(path).and_then(|metadata| metadata.modified());
    let since_epoch = modified.map_err(|error| named("stat", path, error))?.duration_since(UNIX_EPOCH);
    Ok(i64::try_from(since_epoch.unwrap_or_default().as_millis()).unwrap_or(i64::MAX))
}

/// Sets when the content at a path last changed, for a file that takes the place of another. Kept in step with the
/// content by nothing: a crash may lose it.
///
/// # Errors
/// Those of open(2) and utimensat(2).
pub fn set_modified_ms(path: impl AsRef<Path>, ms: i64) -> io::Result<()> {
    let path = path.as_ref();
    let modified = UNIX_EPOCH + Duration::from_millis(u64::try_from(ms).unwrap_or(0));
    let file = OpenOptions::new().write(true).open(path).map_err(|error| named("open", path, error))?;
    file.set_times(FileTimes::new().set_modified(modified)).map_err(|error| named("touch", path, error))
}

/// The room on the file system that holds a path.
///
/// # Errors
/// Those of statvfs(2).
pub fn space(path: impl AsRef<Path>) -> io::Result<Space> {
    let path = path.as_ref();
    let stat = rustix::fs::statvfs(path).map_err(|errno| named("stat", path, errno.into()))?;
    Ok(Space {
        total: stat.f_blocks.saturating_mul(stat.f_frsize),
        available: stat.f_bavail.saturating_mul(stat.f_frsize),
    })
}
