//! Files of a simulated disk.

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;

use super::context::Context;
use super::disk::{Disk, FileNode, Node, NodeId};
use super::faults::DiskOperation;
use super::fs;
use super::rng::Rng;
use super::world::World;
use crate::fs::named;

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
        let opened = fs::on_disk("open", path, |disk, rng, wall_ms| {
            let (dir, name) = fs::place(disk, path)?;
            let existing = disk.dir(dir).and_then(|dir| dir.current.get(&name).copied());
            match existing.map(|id| (id, disk.node(id))) {
                Some(_) if mode == Mode::CreateNew => Err(Errno::EXIST),
                Some((_, Some(Node::Dir(_)))) => Err(Errno::ISDIR),
                Some((id, _)) => Ok((id, disk.generation)),
                None if matches!(mode, Mode::Create | Mode::CreateNew) => {
                    fs::fail_sometimes(disk, DiskOperation::Name, rng)?;
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
        let result = if disk.generation == self.generation {
            disk.faults.begin(&self.path).and_then(|()| act(disk, &mut state.rng, wall_ms))
        } else {
            Err(Errno::IO)
        };
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
        Ok(len.saturating_add(disk.free()))
    }

    /// One read; returns how much was read, 0 at the end of the file. May return less than there is.
    ///
    /// # Errors
    /// EIO, injected or after a crash.
    pub fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.act("read", |disk, rng, _| {
            fs::fail_sometimes(disk, DiskOperation::Read, rng)?;
            let rates = disk.faults.rates();
            let (short, rots) = (rng.per_million(rates.short_reads), rng.per_million(rates.bit_rot));
            let file = self.file(disk)?;
            let start = usize::try_from(offset).unwrap_or(usize::MAX).min(file.current.len());
            let mut len = buf.len().min(file.current.len() - start);
            if rots {
                file.rot(start..start + len, rng);
            }
            let content = &file.current;
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
            let mut at = usize::try_from(offset).map_err(|_| Errno::FBIG)?;
            let mut rest = buf;
            loop {
                let short = rest.len() > 1 && rng.per_million(disk.faults.rates().short_writes);
                let len = if short { 1 + rng.index(rest.len() - 1) } else { rest.len() };
                let piece = rest.split_off(..len).unwrap_or_default();
                self.write_piece(disk, rng, wall_ms, (at, piece), rest.len() + piece.len() < buf.len())?;
                at += piece.len();
                if rest.is_empty() {
                    return Ok(());
                }
            }
        })
    }

    /// What the system takes at once. Of a piece that fails, a part is in the file.
    fn write_piece(
        &self,
        disk: &mut Disk,
        rng: &mut Rng,
        wall_ms: i64,
        (start, piece): (usize, &[u8]),
        goes_on: bool,
    ) -> Result<(), Errno> {
        let (mut len, mut failure) = (piece.len(), None);
        if disk.faults.effect().is_err() || disk.faults.fails(DiskOperation::Write, rng) {
            (len, failure) = (rng.index(piece.len() + 1), Some(Errno::IO));
        }
        let room = self.room(disk)?;
        if (start + len) as u64 > room {
            (len, failure) = (usize::try_from(room).unwrap_or(usize::MAX).saturating_sub(start), Some(Errno::NOSPC));
        }
        let file = self.file(disk)?;
        file.modified_ms = wall_ms;
        match (len, goes_on) {
            (0, _) => {}
            (_, false) => file.write(start, &piece[..len]),
            (_, true) => file.write_on(start, &piece[..len]),
        }
        failure.map_or(Ok(()), Err)
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
            fs::fail_sometimes(disk, DiskOperation::Write, rng)?;
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
        self.world.pass_sync();
        let result = self.act("sync", |disk, rng, _| {
            disk.faults.effect()?;
            let failed = disk.faults.fails(DiskOperation::Sync, rng);
            let file = self.file(disk)?;
            if failed {
                file.fail_sync(rng);
                return Err(Errno::IO);
            }
            file.sync();
            Ok(())
        });
        self.world.state.lock().spend_ns(fs::SYNC_NS);
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
            fs::fail_sometimes(disk, DiskOperation::Write, rng)?;
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
