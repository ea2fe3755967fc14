//! The doors of `crate::fs` to the simulated disk of the current host: names and directories; files are in `file.rs`.

use std::io;
use std::panic::Location;
use std::path::{Component, Path};

use rustix::io::Errno;

use super::context::Context;
use super::disk::{DirNode, Disk, FileNode, Node, NodeId, ROOT};
use super::faults::DiskOperation;
pub use super::file::File;
use super::rng::Rng;
use crate::fs::{DirEntry, Space, named};

/// What a sync costs at least.
pub(super) const SYNC_NS: u64 = 100_000;

/// Comes before an operation, and before each effect of it if it has any.
pub(super) fn fail_sometimes(disk: &mut Disk, operation: DiskOperation, rng: &mut Rng) -> Result<(), Errno> {
    if operation != DiskOperation::Read {
        disk.faults.effect()?;
    }
    if disk.faults.fails(operation, rng) { Err(Errno::IO) } else { Ok(()) }
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
    let result = if host.life == context.life {
        host.disk.faults.begin(path).and_then(|()| act(&mut host.disk, &mut state.rng, wall_ms))
    } else {
        Err(Errno::IO)
    };
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
pub(super) fn place(disk: &Disk, path: &Path) -> Result<(NodeId, String), Errno> {
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

/// Makes the names in a directory durable, unless the scenario wants to know what comes of it when the caller does not
/// ask ([`super::Sim::without_dir_sync`]).
///
/// # Errors
/// EIO, injected; names may then be durable or not.
#[track_caller]
pub fn sync_dir(path: impl AsRef<Path>) -> io::Result<()> {
    let (path, caller) = (path.as_ref(), Location::caller());
    let world = Context::current().world;
    let is_left_out = world.note_dir_sync(caller);
    let result = on_disk("sync", path, |disk, rng, _| {
        let dir = find(disk, path)?;
        disk.faults.pass_dir_sync();
        fail_sometimes(disk, DiskOperation::Sync, rng)?;
        if is_left_out {
            disk.leave_out_sync(dir)
        } else {
            disk.sync_dir(dir)
        }
        Ok(())
    });
    world.state.lock().spend_ns(SYNC_NS);
    result
}

/// Makes everything durable that was written on the disk.
///
/// # Errors
/// EIO, injected; each thing may then be durable or not.
pub fn sync_file_system(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    let result = on_disk("sync", path, |disk, rng, _| {
        find(disk, path)?;
        let failed = fail_sometimes(disk, DiskOperation::Sync, rng);
        disk.sync_everything(failed.is_err().then_some(rng));
        failed
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

/// Sets when the content at a path last changed.
///
/// # Errors
/// As of utimensat(2).
pub fn set_modified_ms(path: impl AsRef<Path>, ms: i64) -> io::Result<()> {
    let path = path.as_ref();
    on_disk("touch", path, |disk, _, _| {
        let node = find(disk, path)?;
        disk.file(node).ok_or(Errno::ISDIR)?.modified_ms = ms;
        Ok(())
    })
}

/// Lets the file at a path hold other bytes from `offset` on, as a medium does that rots.
pub(super) fn rot(path: &Path, offset: u64, bytes: &[u8]) -> io::Result<()> {
    on_disk("rot", path, |disk, _, _| {
        let node = find(disk, path)?;
        let at = usize::try_from(offset).map_err(|_| Errno::FBIG)?;
        disk.file(node).ok_or(Errno::ISDIR)?.rot_to(at, bytes);
        Ok(())
    })
}

/// The room on the disk.
///
/// # Errors
/// As of statvfs(2).
pub fn space(path: impl AsRef<Path>) -> io::Result<Space> {
    let path = path.as_ref();
    on_disk("stat", path, |disk, _, _| {
        find(disk, path)?;
        Ok(Space { total: disk.capacity, available: disk.free() })
    })
}
