//! Which segment files are open: as many as the process can afford, however many there are.
//!
//! ```text
//!            hand ──> [ used ] [ - ] [ used ] [ - ] ...        second chance: an entry that was used since the hand came by
//!                       stays    └ closed, the next one      is passed over once, the first that was not is closed
//!                                  takes its place
//! ```
//! A file is opened when it is needed; whoever uses an open one takes no lock but that of its handle. The list is touched only
//! when a file is opened. A [`LogFile`] outlives its descriptor: a fetch that waits to be sent holds no descriptor at all.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use ottla_env::fs::{self, File};
use ottla_env::process;
use parking_lot::Mutex;

use crate::file_names::{LOG, offset_file};
use crate::log_folder::LogFolder;

/// Files that may be open whatever the limit is: appends to one partition while another is read.
const OPEN_MIN: usize = 16;
/// More than this many open files gain nothing.
const OPEN_MAX: usize = 1 << 16;

/// How many segment files a log directory keeps open, given how many directories there are: half of what the process may
/// open. The other half is for connections, indexes and everything else.
pub(crate) fn affordable(directories: usize) -> usize {
    let half = usize::try_from(process::descriptor_limit() / 2).unwrap_or(OPEN_MAX).min(OPEN_MAX);
    (half / directories.max(1)).max(OPEN_MIN)
}

/// The open segment files of a log directory.
#[derive(Debug)]
pub(crate) struct OpenFiles {
    max: AtomicUsize,
    /// Every file that is open, and some that were closed since, or dropped. They lead back to the directory that holds this.
    listed: Mutex<VecDeque<Weak<LogFile>>>,
}

impl OpenFiles {
    pub(crate) fn new(max: usize) -> Self {
        Self { max: AtomicUsize::new(max), listed: Mutex::default() }
    }

    /// Changes the bound; it holds from the next opening on.
    pub(crate) fn set_max(&self, max: usize) {
        self.max.store(max, Ordering::Relaxed);
    }

    /// Lists a file that was just opened, and closes others for it.
    fn opened(&self, file: &Arc<LogFile>) {
        let victims = {
            let mut listed = self.listed.lock();
            if !file.is_listed.swap(true, Ordering::AcqRel) {
                listed.push_back(Arc::downgrade(file));
            }
            self.victims(&mut listed)
        };
        // Not under the list's lock: a handle's is held while its file is opened, which may take a while.
        victims.iter().for_each(|victim| victim.close());
    }

    fn victims(&self, listed: &mut VecDeque<Weak<LogFile>>) -> Vec<Arc<LogFile>> {
        let max = self.max.load(Ordering::Relaxed);
        let mut victims = Vec::new();
        // Twice around, after which none is marked as used.
        let mut looks = listed.len() * 2;
        while listed.len() > max && looks > 0 {
            looks -= 1;
            let Some(oldest) = listed.pop_front() else { break };
            let Some(oldest) = oldest.upgrade() else { continue };
            if oldest.used.swap(false, Ordering::Relaxed) || oldest.is_pinned.load(Ordering::Acquire) {
                listed.push_back(Arc::downgrade(&oldest));
            } else {
                oldest.is_listed.store(false, Ordering::Release);
                victims.push(oldest);
            }
        }
        victims
    }

    /// Closes every file that can be: the system has no descriptor left.
    fn close_all(&self) {
        let listed = std::mem::take(&mut *self.listed.lock());
        for file in listed.iter().filter_map(Weak::upgrade) {
            file.is_listed.store(false, Ordering::Release);
            file.close();
        }
    }
}

/// The `.log` file of a segment, open or not. Follows its partition's directory when that is renamed, and its own name when
/// the segment is deleted, so that whoever holds it can read on until it is removed.
#[derive(Debug)]
pub struct LogFile {
    folder: Arc<LogFolder>,
    base_offset: i64,
    handle: Mutex<Handle>,
    /// Since the hand came by last.
    used: AtomicBool,
    is_listed: AtomicBool,
    /// Its name is about to go, and somebody still reads it.
    is_pinned: AtomicBool,
}

#[derive(Debug, Default)]
struct Handle {
    file: Option<Arc<File>>,
    /// What the name ends with behind Kafka's: nothing, unless a compaction is putting the segment in place, or it was
    /// removed.
    suffix: String,
}

impl LogFile {
    pub(crate) fn new(folder: Arc<LogFolder>, base_offset: i64) -> Arc<Self> {
        Arc::new(Self {
            folder,
            base_offset,
            handle: Mutex::default(),
            used: AtomicBool::new(false),
            is_listed: AtomicBool::new(false),
            is_pinned: AtomicBool::new(false),
        })
    }

    /// The file, opened if it is not. Held for as long as it is used and no longer.
    ///
    /// # Errors
    /// Those of opening it.
    pub fn open(self: &Arc<Self>) -> io::Result<Arc<File>> {
        self.used.store(true, Ordering::Relaxed);
        let mut handle = self.handle.lock();
        if let Some(file) = &handle.file {
            return Ok(Arc::clone(file));
        }
        let file = match self.open_by_name(&handle) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                // For want of descriptors perhaps; those of this directory can be had. Ours is closed already.
                drop(handle);
                self.folder.dir.open_files.close_all();
                handle = self.handle.lock();
                self.open_by_name(&handle)?
            }
            // The partition's directory was renamed in between.
            Err(_) => self.open_by_name(&handle)?,
            Ok(file) => file,
        };
        let file = Arc::new(file);
        handle.file = Some(Arc::clone(&file));
        drop(handle);
        self.folder.dir.open_files.opened(self);
        Ok(file)
    }

    /// Whether [`Self::open`] would not have to open it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.handle.lock().file.is_some()
    }

    /// Where it lies now.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.path_by(&self.handle.lock())
    }

    fn open_by_name(&self, handle: &Handle) -> io::Result<File> {
        File::open_rw(self.path_by(handle))
    }

    fn path_by(&self, handle: &Handle) -> PathBuf {
        self.folder.file(&(offset_file(self.base_offset, LOG) + &handle.suffix))
    }

    /// Takes another suffix before there is a file.
    pub(crate) fn set_suffix(&self, suffix: &str) {
        suffix.clone_into(&mut self.handle.lock().suffix);
    }

    /// Gives the file another suffix, and gives its new path, if there is a file.
    pub(crate) fn rename(&self, suffix: &str) -> io::Result<Option<PathBuf>> {
        let mut handle = self.handle.lock();
        let from = self.path_by(&handle);
        if !fs::exists(&from) {
            return Ok(None);
        }
        let to = self.folder.file(&(offset_file(self.base_offset, LOG) + suffix));
        fs::rename(&from, &to)?;
        // Under the lock: a file that takes the name after this is another one.
        suffix.clone_into(&mut handle.suffix);
        Ok(Some(to))
    }

    /// Gives the descriptor back if nobody asked for it since the last call.
    pub(crate) fn close_if_idle(&self) {
        if !self.used.swap(false, Ordering::Relaxed) {
            self.close();
        }
    }

    /// Gives the descriptor back; the next use opens the file again.
    pub(crate) fn close(&self) {
        if !self.is_pinned.load(Ordering::Acquire) {
            self.handle.lock().file = None;
        }
    }

    /// Renames the file for removal, to a suffix that no other has, and gives its new path. If somebody reads it, it is kept open until they are done: the
    /// name may be gone before.
    pub(crate) fn rename_deleted(self: &Arc<Self>, suffix: &str) -> io::Result<Option<PathBuf>> {
        let in_use = Arc::strong_count(self) > 1;
        // An open descriptor helps them; without one they have until the file is removed.
        if in_use && self.open().is_ok() {
            self.is_pinned.store(true, Ordering::Release);
        }
        self.rename(suffix)
    }
}
