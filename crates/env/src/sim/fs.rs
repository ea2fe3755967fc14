//! The doors of `crate::fs` to the simulated disk of the current host.

use std::io::{self, IoSlice};
use std::path::{Component, Path};
use std::sync::Arc;

use rustix::io::Errno;

use super::context::Context;
use super::disk::{DirNode, Disk, DiskOperation, FileNode, Node, NodeId, ROOT};
use super::rng::Rng;
use super::world::World;
use crate::fs::{DirEntry, Space, named};

/// What a sync costs at least.
const SYNC_NS: u64 = 100_000;

/// An open file of a simulated host. After a kill or power cut of the host every call fails.
#[derive(Debug)]
pub struct File {
    world: Arc<World>,
    host: usize,
    generation: u64,
    node: NodeId,
    writable: bool,
    path: Box<Path>,
}

#[derive(Copy, Clone, PartialEq, Eq)]
enum Mode {
    Read,
    Existing,
    Create,
    CreateNew,
}

impl File {
    /// Opens an existing file for reading.
    ///
    /// # Errors
    /// As of open(2).
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::open_with(path.as_ref(), Mode::Read)
    }

    /// Opens an existing file for reading and writing.
    ///
    /// # Errors
    /// As of open(2).
    pub fn open_rw(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::open_with(path.as_ref(), Mode::Existing)
    }

    /// Opens a file for reading and writing, and creates it if it is missing; its content stays.
    ///
    /// # Errors
    /// As of open(2).
    pub fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::open_with(path.as_ref(), Mode::Create)
    }

    /// As [`File::create`], but the file must not exist yet.
    ///
    /// # Errors
    /// As of open(2); `AlreadyExists` among them.
    pub fn create_new(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::open_with(path.as_ref(), Mode::CreateNew)
    }

    fn open_with(path: &Path, mode: Mode) -> io::Result<Self> {
        let opened = on_disk("open", path, |disk, rng, wall_ms| {
            let (dir, name) = place(disk, path)?;
            let existing = disk.dir(dir).and_then(|dir| dir.current.get(&name).copied());
            match existing.map(|id| (id, disk.node(id))) {
                Some(_) if mode == Mode::CreateNew => Err(Errno::EXIST),
                Some((_, Some(Node::Dir(_)))) => Err(Errno::ISDIR),
                Some((id, _)) => Ok((id, disk.generation)),
                None if matches!(mode, Mode::Create | Mode::CreateNew) => {
                    fail_sometimes(disk, DiskOperation::Name, rng)?;
                    Ok((disk.create(dir, &name, Node::File(FileNode::new(wall_ms))), disk.generation))
                }
                None => Err(Errno::NOENT),
            }
        });
        let (node, generation) = opened?;
        let Context { world, host, .. } = Context::current();
        Ok(Self { world, host, generation, node, writable: mode != Mode::Read, path: path.into() })
    }

    /// The path that it was opened by.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn node(&self) -> NodeId {
        self.node
    }

    /// Acts on the file, if the host has not died since it was opened.
    fn act<T>(&self, operation: &str, act: impl FnOnce(&mut Disk, &mut Rng, i64) -> Result<T, Errno>) -> io::Result<T> {
        let state = &mut *self.world.state.lock();
        let wall_ms = state.wall_clock_ms();
        let disk = &mut state.hosts[self.host].disk;
        let result =
            if disk.generation == self.generation { act(disk, &mut state.rng, wall_ms) } else { Err(Errno::IO) };
        let outcome = result.as_ref().map(|_| ()).map_err(|errno| errno.raw_os_error());
        state.note(format_args!("{operation} {} {outcome:?}", self.path.display()));
        result.map_err(|errno| named(operation, &self.path, errno.into()))
    }

    fn file<'a>(&self, disk: &'a mut Disk) -> Result<&'a mut FileNode, Errno> {
        disk.file(self.node).ok_or(Errno::IO)
    }

    /// How long the file may become.
    fn room(&self, disk: &mut Disk) -> Result<u64, Errno> {
        let len = self.file(disk)?.current.len() as u64;
        Ok(len.saturating_add(disk.capacity.saturating_sub(disk.used())))
    }

    /// One read; returns how much was read, 0 at the end of the file. May return less than there is.
    ///
    /// # Errors
    /// EIO, injected or after a crash.
    pub fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.act("read", |disk, rng, _| {
            fail_sometimes(disk, DiskOperation::Read, rng)?;
            let short = rng.per_million(disk.faults.short_reads);
            let content = &self.file(disk)?.current;
            let start = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
            let mut len = buf.len().min(content.len() - start);
            if short && len > 1 {
                len = 1 + rng.index(len - 1);
            }
            buf[..len].copy_from_slice(&content[start..start + len]);
            Ok(len)
        })
    }

    /// Writes all of `buf` at `offset`. A gap before it reads as zeros.
    ///
    /// # Errors
    /// EIO or ENOSPC; some of the bytes are then in the file.
    pub fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.act("write", |disk, rng, wall_ms| {
            if !self.writable {
                return Err(Errno::BADF);
            }
            let start = usize::try_from(offset).map_err(|_| Errno::FBIG)?;
            let (mut len, mut failure) = (buf.len(), None);
            if disk.fails(DiskOperation::Write, rng) {
                (len, failure) = (rng.index(buf.len() + 1), Some(Errno::IO));
            }
            let room = self.room(disk)?;
            if (start + len) as u64 > room {
                (len, failure) =
                    (usize::try_from(room).unwrap_or(usize::MAX).saturating_sub(start), Some(Errno::NOSPC));
            }
            let file = self.file(disk)?;
            file.modified_ms = wall_ms;
            if len > 0 {
                file.write(start, &buf[..len]);
            }
            failure.map_or(Ok(()), Err)
        })
    }

    /// Writes all of `bufs`, one after the other, from `offset`, as one write. Uses up `bufs`.
    ///
    /// # Errors
    /// As [`File::write_all_at`].
    pub fn write_all_vectored_at(&self, bufs: &mut [IoSlice<'_>], offset: u64) -> io::Result<()> {
        let bytes: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter().copied()).collect();
        self.write_all_at(&bytes, offset)
    }

    /// Length in bytes.
    ///
    /// # Errors
    /// EIO after a crash.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> io::Result<u64> {
        self.act("stat", |disk, _, _| Ok(self.file(disk)?.current.len() as u64))
    }

    /// Cuts the file, or extends it with zeros.
    ///
    /// # Errors
    /// EIO or ENOSPC.
    pub fn set_len(&self, len: u64) -> io::Result<()> {
        self.act("truncate", |disk, rng, wall_ms| {
            if !self.writable {
                return Err(Errno::INVAL);
            }
            fail_sometimes(disk, DiskOperation::Write, rng)?;
            // A hole takes no room, but the simulated disk keeps its zeros: bound them.
            if len > self.room(disk)? {
                return Err(Errno::NOSPC);
            }
            let file = self.file(disk)?;
            file.modified_ms = wall_ms;
            file.set_len(usize::try_from(len).map_err(|_| Errno::FBIG)?);
            Ok(())
        })
    }

    /// Makes content and length durable. After an error, what was pending is durable or lost for good, by the seed.
    ///
    /// # Errors
    /// EIO, injected or after a crash.
    pub fn sync_data(&self) -> io::Result<()> {
        let result = self.act("sync", |disk, rng, _| {
            let failed = disk.fails(DiskOperation::Sync, rng);
            let file = self.file(disk)?;
            if failed {
                file.fail_sync(rng);
                return Err(Errno::IO);
            }
            file.sync();
            Ok(())
        });
        self.world.state.lock().spend_ns(SYNC_NS);
        result
    }

    /// As [`File::sync_data`].
    ///
    /// # Errors
    /// As [`File::sync_data`].
    pub fn sync_all(&self) -> io::Result<()> {
        self.sync_data()
    }

    /// Checks that there is room for a range.
    ///
    /// # Errors
    /// ENOSPC if not; EIO.
    pub fn reserve(&self, offset: u64, len: u64) -> io::Result<()> {
        self.act("reserve", |disk, rng, _| {
            fail_sometimes(disk, DiskOperation::Write, rng)?;
            let fits = offset.saturating_add(len) <= self.room(disk)?;
            if fits { Ok(()) } else { Err(Errno::NOSPC) }
        })
    }

    /// Nothing: there is no cache to fill.
    pub fn will_need(&self, _offset: u64, _len: u64) {}

    /// True in three of four cases, by the seed, so that both paths are taken.
    #[must_use]
    pub fn is_cached(&self, _offset: u64, _len: u64) -> bool {
        self.world.state.lock().rng.below(4) > 0
    }
}

fn fail_sometimes(disk: &mut Disk, operation: DiskOperation, rng: &mut Rng) -> Result<(), Errno> {
    if disk.fails(operation, rng) { Err(Errno::IO) } else { Ok(()) }
}

/// Acts on the current host's disk, unless the caller belongs to an earlier life of the host.
pub(super) fn on_disk<T>(
    operation: &str,
    path: &Path,
    act: impl FnOnce(&mut Disk, &mut Rng, i64) -> Result<T, Errno>,
) -> io::Result<T> {
    let context = Context::current();
    let state = &mut *context.world.state.lock();
    let wall_ms = state.wall_clock_ms();
    let host = &mut state.hosts[context.host];
    let result = if host.life == context.life { act(&mut host.disk, &mut state.rng, wall_ms) } else { Err(Errno::IO) };
    let outcome = result.as_ref().map(|_| ()).map_err(|errno| errno.raw_os_error());
    state.note(format_args!("{operation} {} {outcome:?}", path.display()));
    result.map_err(|errno| named(operation, path, errno.into()))
}

/// The names that a path consists of, from the root; relative paths start there too.
fn names(path: &Path) -> Result<Vec<String>, Errno> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => names.push(name.to_str().ok_or(Errno::ILSEQ)?.to_owned()),
            Component::ParentDir => drop(names.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    Ok(names)
}

fn walk(disk: &Disk, names: &[String]) -> Result<NodeId, Errno> {
    names
        .iter()
        .try_fold(ROOT, |dir, name| disk.dir(dir).ok_or(Errno::NOTDIR)?.current.get(name).copied().ok_or(Errno::NOENT))
}

/// The node at a path.
fn find(disk: &Disk, path: &Path) -> Result<NodeId, Errno> {
    walk(disk, &names(path)?)
}

/// The directory of a path, which must exist, and its last name.
fn place(disk: &Disk, path: &Path) -> Result<(NodeId, String), Errno> {
    let mut names = names(path)?;
    let name = names.pop().ok_or(Errno::INVAL)?;
    let dir = walk(disk, &names)?;
    if disk.dir(dir).is_none() {
        return Err(Errno::NOTDIR);
    }
    Ok((dir, name))
}

/// Renames a file or directory, replacing a file (or an empty directory by a directory) at the new name.
///
/// # Errors
/// As of rename(2).
pub fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
    let (from, to) = (from.as_ref(), to.as_ref());
    on_disk("rename", from, |disk, rng, _| {
        let (source, target) = (place(disk, from)?, place(disk, to)?);
        let node = find(disk, from)?;
        let moves_dir = disk.dir(node).is_some();
        if moves_dir && names(to)?.starts_with(&names(from)?) && source != target {
            return Err(Errno::INVAL);
        }
        if let Ok(replaced) = find(disk, to) {
            match (moves_dir, disk.dir(replaced)) {
                (true, None) => return Err(Errno::NOTDIR),
                (false, Some(_)) => return Err(Errno::ISDIR),
                (true, Some(dir)) if !dir.current.is_empty() && replaced != node => return Err(Errno::NOTEMPTY),
                _ => {}
            }
        }
        fail_sometimes(disk, DiskOperation::Name, rng)?;
        if source != target {
            disk.rename(source, target, node);
        }
        Ok(())
    })
}

/// Removes a file's name.
///
/// # Errors
/// As of unlink(2).
pub fn remove_file(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    on_disk("remove", path, |disk, rng, _| {
        let (dir, name) = place(disk, path)?;
        if disk.dir(find(disk, path)?).is_some() {
            return Err(Errno::ISDIR);
        }
        fail_sometimes(disk, DiskOperation::Name, rng)?;
        disk.unlink(dir, &name);
        Ok(())
    })
}

/// Removes a directory and what is in it, one name after the other.
///
/// # Errors
/// As of the removals; some of it may then be gone.
pub fn remove_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    on_disk("remove", path, |disk, rng, _| {
        let (dir, name) = place(disk, path)?;
        let node = find(disk, path)?;
        remove_below(disk, rng, node)?;
        fail_sometimes(disk, DiskOperation::Name, rng)?;
        disk.unlink(dir, &name);
        Ok(())
    })
}

fn remove_below(disk: &mut Disk, rng: &mut Rng, dir: NodeId) -> Result<(), Errno> {
    let entries = disk.dir(dir).ok_or(Errno::NOTDIR)?.current.clone();
    for (name, node) in entries {
        if disk.dir(node).is_some() {
            remove_below(disk, rng, node)?;
        }
        fail_sometimes(disk, DiskOperation::Name, rng)?;
        disk.unlink(dir, &name);
    }
    Ok(())
}

/// Creates a directory and those above it that are missing.
///
/// # Errors
/// As of mkdir(2).
pub fn create_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    on_disk("create", path, |disk, rng, _| {
        let mut dir = ROOT;
        let names = names(path)?;
        for (position, name) in names.iter().enumerate() {
            let existing = disk.dir(dir).ok_or(Errno::NOTDIR)?.current.get(name).copied();
            dir = match existing {
                Some(id) if disk.dir(id).is_some() => id,
                Some(_) if position + 1 == names.len() => return Err(Errno::EXIST),
                Some(_) => return Err(Errno::NOTDIR),
                None => {
                    fail_sometimes(disk, DiskOperation::Name, rng)?;
                    disk.create(dir, name, Node::Dir(DirNode::default()))
                }
            };
        }
        Ok(())
    })
}

/// The names in a directory, sorted.
///
/// # Errors
/// As of opening it.
pub fn read_dir(path: impl AsRef<Path>) -> io::Result<Vec<DirEntry>> {
    let path = path.as_ref();
    on_disk("list", path, |disk, rng, _| {
        fail_sometimes(disk, DiskOperation::Read, rng)?;
        let dir = disk.dir(find(disk, path)?).ok_or(Errno::NOTDIR)?;
        let entry = |(name, node): (&String, &NodeId)| {
            let len = match disk.node(*node) {
                Some(Node::File(file)) => Some(file.current.len() as u64),
                _ => None,
            };
            DirEntry { name: name.clone(), is_dir: len.is_none(), len: len.unwrap_or(0) }
        };
        Ok(dir.current.iter().map(entry).collect())
    })
}

/// Makes the names in a directory durable.
///
/// # Errors
/// EIO, injected; names may then be durable or not.
pub fn sync_dir(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    let result = on_disk("sync", path, |disk, rng, _| {
        let dir = find(disk, path)?;
        fail_sometimes(disk, DiskOperation::Sync, rng)?;
        disk.sync_dir(dir);
        Ok(())
    });
    Context::current().world.state.lock().spend_ns(SYNC_NS);
    result
}

/// Whether a file or directory has this name.
#[must_use]
pub fn exists(path: impl AsRef<Path>) -> bool {
    let path = path.as_ref();
    on_disk("stat", path, |disk, _, _| find(disk, path)).is_ok()
}

fn with_file<T>(path: &Path, look: impl FnOnce(&FileNode) -> T) -> io::Result<T> {
    on_disk("stat", path, |disk, _, _| {
        let node = find(disk, path)?;
        disk.file(node).map(|file| look(file)).ok_or(Errno::ISDIR)
    })
}

/// Length in bytes of the file at a path.
///
/// # Errors
/// As of stat(2).
pub fn file_len(path: impl AsRef<Path>) -> io::Result<u64> {
    with_file(path.as_ref(), |file| file.current.len() as u64)
}

/// When the content at a path last changed, in milliseconds since the Unix epoch.
///
/// # Errors
/// As of stat(2).
pub fn modified_ms(path: impl AsRef<Path>) -> io::Result<i64> {
    with_file(path.as_ref(), |file| file.modified_ms)
}

/// The room on the disk.
///
/// # Errors
/// As of statvfs(2).
pub fn space(path: impl AsRef<Path>) -> io::Result<Space> {
    let path = path.as_ref();
    on_disk("stat", path, |disk, _, _| {
        find(disk, path)?;
        Ok(Space { total: disk.capacity, available: disk.capacity.saturating_sub(disk.used()) })
    })
}
