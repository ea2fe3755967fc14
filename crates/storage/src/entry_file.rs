//! A file of sorted entries of one size: the common ground of the three indexes.
//!
//! ```text
//!   on disk                                   pending (memory)
//!   ├─ entry ─┼─ entry ─┼─ ... ─┼─ entry ─┤   ├─ entry ─┼─ entry ─┤ <- push
//! ```
//! New entries wait in memory until [`PENDING_MAX`] of them are written in one go; a flush writes them before it syncs. No
//! memory map and no lasting descriptor: a search opens the file, reads a handful of entries and one page, and closes it.
//! Kafka preallocates an index to `segment.index.bytes` and cuts it when the segment rolls; here the file simply grows,
//! which Kafka's loading and its DumpLogSegments take as well, since they go by the file's length.

use std::path::PathBuf;
use std::sync::Arc;

use ottla_env::fs::{self, File};
use parking_lot::{Mutex, RwLock};

use crate::access::Access;
use crate::error::StorageError;
use crate::log_folder::LogFolder;

/// Entries in memory before they are written: of an offset index with the usual interval, 2 MiB of log.
const PENDING_MAX: usize = 512;
/// Bytes read at once at the end of a search.
const PAGE_BYTES: u64 = 4096;

/// See the module.
#[derive(Debug)]
pub(crate) struct EntryFile<const N: usize> {
    folder: Arc<LogFolder>,
    /// Changes while the file is renamed; whoever opens the file holds it meanwhile, so that no other can have the name.
    name: RwLock<String>,
    tail: Mutex<Tail<N>>,
}

#[derive(Debug)]
struct Tail<const N: usize> {
    on_disk: u64,
    pending: Vec<[u8; N]>,
    /// The file was changed, and the device may not have it.
    unsynced: bool,
}

impl<const N: usize> EntryFile<N> {
    /// The file `name` with `entries` entries on disk; it need not exist when there are none.
    pub(crate) fn new(folder: Arc<LogFolder>, name: String, entries: u64) -> Self {
        Self {
            folder,
            name: RwLock::new(name),
            tail: Mutex::new(Tail { on_disk: entries, pending: Vec::new(), unsynced: false }),
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.file(&self.name.read())
    }

    /// Takes another name before there is a file.
    pub(crate) fn set_name(&self, name: String) {
        *self.name.write() = name;
    }

    /// Renames the file, if there is one. Gives its new path then.
    pub(crate) fn rename(&self, to: String) -> Result<Option<PathBuf>, StorageError> {
        let mut name = self.name.write();
        let (from, path) = (self.folder.file(&name), self.folder.file(&to));
        let exists = fs::exists(&from);
        if exists {
            fs::rename(from, &path)?;
        }
        *name = to;
        Ok(exists.then_some(path))
    }

    fn open(&self) -> Result<File, StorageError> {
        let name = self.name.read();
        File::open(self.folder.file(&name)).map_err(StorageError::Open)
    }

    fn create(&self) -> Result<File, StorageError> {
        let name = self.name.read();
        File::create(self.folder.file(&name)).map_err(StorageError::Open)
    }

    /// Entries, pending ones included.
    pub(crate) fn len(&self) -> u64 {
        let tail = self.tail.lock();
        tail.on_disk + tail.pending.len() as u64
    }

    /// Appends an entry; the caller keeps the order.
    pub(crate) fn push(&self, entry: [u8; N]) -> Result<(), StorageError> {
        let mut tail = self.tail.lock();
        tail.pending.push(entry);
        if tail.pending.len() >= PENDING_MAX { self.write_out(&mut tail) } else { Ok(()) }
    }

    fn write_out(&self, tail: &mut Tail<N>) -> Result<(), StorageError> {
        if tail.pending.is_empty() {
            return Ok(());
        }
        let file = self.create()?;
        tail.unsynced = true;
        file.write_all_at(tail.pending.as_flattened(), tail.on_disk * N as u64)?;
        tail.on_disk += tail.pending.len() as u64;
        tail.pending.clear();
        Ok(())
    }

    /// Writes what is pending, and an empty file if there was never an entry.
    pub(crate) fn write_pending(&self) -> Result<(), StorageError> {
        self.write_out(&mut self.tail.lock())
    }

    /// Writes what is pending and waits until the device has everything that this process has changed.
    pub(crate) fn sync(&self) -> Result<(), StorageError> {
        self.write_pending()?;
        self.sync_written()
    }

    /// Waits until the device has what this process has changed in the file. What is pending stays in memory, so that it
    /// takes no space.
    pub(crate) fn sync_written(&self) -> Result<(), StorageError> {
        let mut tail = self.tail.lock();
        if !tail.unsynced {
            return Ok(());
        }
        tail.unsynced = false;
        drop(tail);
        let synced = self.create().and_then(|file| Ok(file.sync_data()?));
        synced.inspect_err(|_| self.tail.lock().unsynced = true)
    }

    /// Keeps the first `entries` entries.
    pub(crate) fn truncate(&self, entries: u64) -> Result<(), StorageError> {
        let mut tail = self.tail.lock();
        // Also if nothing goes: it comes before a scan, of what an earlier process may have left in the page cache.
        tail.unsynced = true;
        if entries >= tail.on_disk {
            let keep = usize::try_from(entries - tail.on_disk).unwrap_or(usize::MAX);
            tail.pending.truncate(keep);
            return Ok(());
        }
        tail.pending.clear();
        tail.on_disk = entries;
        let file = self.create()?;
        Ok(file.set_len(entries * N as u64)?)
    }

    /// Whether the last entry that satisfies `before` is in memory: of what was appended last.
    pub(crate) fn is_pending(&self, before: impl Fn(&[u8; N]) -> bool) -> bool {
        self.tail.lock().pending.first().is_some_and(before)
    }

    /// The last entry.
    pub(crate) fn last(&self) -> Result<Option<[u8; N]>, StorageError> {
        let len = {
            let tail = self.tail.lock();
            if let Some(entry) = tail.pending.last() {
                return Ok(Some(*entry));
            }
            tail.on_disk
        };
        let Some(last) = len.checked_sub(1) else { return Ok(None) };
        let file = self.open()?;
        self.entry_at(&file, last).map(Some)
    }

    /// All entries. Only for small files.
    pub(crate) fn all(&self) -> Result<Vec<[u8; N]>, StorageError> {
        let tail = self.tail.lock();
        let mut bytes = Vec::new();
        if tail.on_disk > 0 {
            let name = self.name.read();
            bytes = fs::read(self.folder.file(&name))?;
        }
        let (entries, _) = bytes.as_chunks::<N>();
        let on_disk = usize::try_from(tail.on_disk).unwrap_or(usize::MAX);
        Ok(entries.iter().take(on_disk).chain(&tail.pending).copied().collect())
    }

    /// Some of the entries from `first` on, at most a page; none behind the last.
    pub(crate) fn page(&self, first: u64, access: Access) -> Result<Vec<[u8; N]>, StorageError> {
        let tail = self.tail.lock();
        let in_memory = |from: u64| {
            let from = usize::try_from(from - tail.on_disk).unwrap_or(usize::MAX);
            tail.pending.get(from..).unwrap_or_default().to_vec()
        };
        if first >= tail.on_disk {
            return Ok(in_memory(first));
        }
        let count = (tail.on_disk - first).min(PAGE_BYTES / N as u64);
        let mut entries = vec![[0; N]; usize::try_from(count).unwrap_or(0)];
        let path = self.path();
        let file = File::open(&path).map_err(StorageError::Open)?;
        access.check(&file, first * N as u64, count * N as u64)?;
        file.read_exact_at(entries.as_flattened_mut(), first * N as u64)?;
        Ok(entries)
    }

    /// Removes the file, and what is pending.
    pub(crate) fn remove(&self) -> Result<(), StorageError> {
        let mut tail = self.tail.lock();
        tail.pending.clear();
        tail.on_disk = 0;
        match fs::remove_file(self.path()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Searches a list of which a prefix satisfies `before`: the prefix's length, and its last entry.
    pub(crate) fn search(
        &self,
        access: Access,
        before: impl Fn(&[u8; N]) -> bool,
    ) -> Result<(u64, Option<[u8; N]>), StorageError> {
        let on_disk = {
            let tail = self.tail.lock();
            let in_memory = tail.pending.partition_point(&before);
            if let Some(entry) = in_memory.checked_sub(1).and_then(|i| tail.pending.get(i)) {
                return Ok((tail.on_disk + in_memory as u64, Some(*entry)));
            }
            tail.on_disk
        };
        if on_disk == 0 {
            return Ok((0, None));
        }
        let file = self.open()?;
        self.search_file(&file, access, on_disk, before)
    }

    /// Halves by pages, looking at each page's first entry, then reads the one page that holds the border.
    fn search_file(
        &self,
        file: &File,
        access: Access,
        entries: u64,
        before: impl Fn(&[u8; N]) -> bool,
    ) -> Result<(u64, Option<[u8; N]>), StorageError> {
        let per_page = PAGE_BYTES / N as u64;
        let (mut low, mut high) = (0, entries.div_ceil(per_page));
        while low < high {
            let middle = low + (high - low) / 2;
            access.check(file, middle * per_page * N as u64, N as u64)?;
            if before(&self.entry_at(file, middle * per_page)?) { low = middle + 1 } else { high = middle }
        }
        let Some(page) = low.checked_sub(1) else { return Ok((0, None)) };
        let first = page * per_page;
        let mut bytes = [0; PAGE_BYTES as usize];
        let (chunks, _) = bytes.as_chunks_mut::<N>();
        let count = usize::try_from((entries - first).min(per_page)).unwrap_or(0);
        let chunks = chunks.get_mut(..count).unwrap_or_default();
        let bytes = chunks.as_flattened_mut();
        access.check(file, first * N as u64, bytes.len() as u64)?;
        file.read_exact_at(bytes, first * N as u64)?;
        let found = chunks.partition_point(before);
        Ok((first + found as u64, found.checked_sub(1).and_then(|i| chunks.get(i)).copied()))
    }

    fn entry_at(&self, file: &File, index: u64) -> Result<[u8; N], StorageError> {
        let mut entry = [0; N];
        file.read_exact_at(&mut entry, index * N as u64)?;
        Ok(entry)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::log_dir::LogDir;
    use crate::meta_properties::MetaProperties;

    /// A formatted log directory with one partition's directory in it.
    pub(crate) fn folder(dir: &std::path::Path) -> Arc<LogFolder> {
        let meta = MetaProperties { version: 1, cluster_id: "c".to_owned(), node_id: 1, directory_id: None };
        meta.write(dir).expect("formatted");
        let path = dir.join("t-0");
        fs::create_dir_all(&path).expect("created");
        LogFolder::new(LogDir::open(dir).expect("locked"), path)
    }

    #[test]
    fn a_search_finds_the_border_wherever_the_entries_lie() {
        let dir = tempfile::tempdir().expect("a directory");
        let folder = folder(dir.path());
        // Several pages on disk and a pending tail; entries are 0, 2, 4, ...
        for count in [0u64, 1, 2, 511, 512, 513, 2 * 512 + 7, 3 * 512] {
            let index = EntryFile::<8>::new(Arc::clone(&folder), format!("{count}.index"), 0);
            for n in 0..count {
                index.push((2 * n).to_be_bytes()).expect("pushed");
            }
            assert_eq!(index.len(), count);
            for wanted in [0, 1, 2, 3, 511, 1021, 1022, 1023, 1024, 1025, 2 * count, 2 * count + 9] {
                let (found, last) =
                    index.search(Access::MayWait, |e| u64::from_be_bytes(*e) <= wanted).expect("searched");
                let expected = (wanted / 2 + 1).min(count);
                assert_eq!(found, expected, "{wanted} in {count}");
                assert_eq!(last.map(u64::from_be_bytes), expected.checked_sub(1).map(|n| 2 * n));
            }
        }
    }

    #[test]
    fn truncation_reaches_into_the_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let index = EntryFile::<8>::new(folder(dir.path()), "x.index".to_owned(), 0);
        for n in 0..700u64 {
            index.push(n.to_be_bytes()).expect("pushed");
        }
        index.truncate(600).expect("cut in memory");
        assert_eq!(index.last().expect("read").map(u64::from_be_bytes), Some(599));
        index.truncate(100).expect("cut on disk");
        assert_eq!(index.last().expect("read").map(u64::from_be_bytes), Some(99));
        assert_eq!(fs::file_len(index.path()).expect("there"), 800);
        index.push(100u64.to_be_bytes()).expect("pushed");
        index.sync().expect("synced");
        assert_eq!(index.all().expect("read").len(), 101);
    }
}
