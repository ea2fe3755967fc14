//! Hosts: each has a name, an address, a disk, and tasks that can be ended from outside.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::task::Waker;

use tokio::sync::Notify;

use super::context::Context;
use super::disk::Disk;
use super::faults::{DiskFaults, DiskOperation};
use super::network::Link;
use super::world::{State, World};
use super::{executor, fs, task};
use crate::task::JoinHandle;

#[derive(Debug)]
pub(super) struct HostState {
    pub(super) name: String,
    /// Counts kills and power cuts; what belongs to an earlier life is dead.
    pub(super) life: u64,
    pub(super) disk: Disk,
    /// SIGTERMs not yet seen by [`crate::task::signal::terminate`].
    pub(super) terminations: Arc<Notify>,
}

impl HostState {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), life: 0, disk: Disk::default(), terminations: Arc::new(Notify::new()) }
    }
}

/// The address of the host with this index.
pub(super) fn address_of(index: usize) -> IpAddr {
    let last = u8::try_from(index + 1).expect("a simulation has few hosts");
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, last))
}

/// A host of the running simulation. The scenario itself runs on the one named `main`.
#[derive(Clone, Debug)]
pub struct Host {
    world: Arc<World>,
    index: usize,
}

/// The host of this name; made, with an empty disk, if there is none yet.
#[must_use]
pub fn host(name: &str) -> Host {
    let world = Context::current().world;
    let index = {
        let hosts = &mut world.state.lock().hosts;
        hosts.iter().position(|host| host.name == name).unwrap_or_else(|| {
            hosts.push(HostState::new(name));
            hosts.len() - 1
        })
    };
    Host { world, index }
}

impl Host {
    /// Its address; its name resolves to it.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        address_of(self.index)
    }

    /// Starts a task on it, as [`crate::task::spawn`] does on the current host: what the task does happens there.
    pub fn spawn<F>(&self, name: &'static str, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        JoinHandle::simulated(task::spawn_on(&self.world, self.index, name, future))
    }

    /// Runs something that does not wait, such as a look at its disk, in its name.
    pub fn enter<T>(&self, act: impl FnOnce() -> T) -> T {
        let _entered = Context::of_host(&self.world, self.index).enter();
        act()
    }

    /// Delivers SIGTERM: [`crate::task::signal::terminate`] returns there.
    pub fn terminate(&self) {
        let terminations = Arc::clone(&self.world.state.lock().hosts[self.index].terminations);
        terminations.notify_one();
    }

    /// `kill -9` of its process: tasks and threads end, connections are closed after what was sent; the disk keeps all
    /// that was written.
    pub fn kill(&self) {
        self.end("kill", |state, host| {
            state.hosts[host].disk.forget_handles();
            Vec::new()
        });
    }

    /// The power goes: tasks and threads end, connections are reset, and the disk keeps only what was synced; of the
    /// rest each write and each name is kept, dropped or torn by the seed.
    pub fn power_cut(&self) {
        self.end("power cut", |state, host| {
            state.hosts[host].disk.power_cut(&mut state.rng);
            state.network.end_host(host)
        });
    }

    fn end(&self, what: &str, act: impl FnOnce(&mut State, usize) -> Vec<Waker>) {
        // Disk and network come first: destructors of what is ended must not write any more.
        let wakers = {
            let state = &mut *self.world.state.lock();
            state.note(format_args!("{what} of host {}", self.index));
            let host = &mut state.hosts[self.index];
            host.life += 1;
            host.terminations = Arc::new(Notify::new());
            act(state, self.index)
        };
        wakers.into_iter().for_each(Waker::wake);
        executor::end_host(&self.world, self.index);
        // What nobody owned, such as connections that were never accepted.
        let wakers = self.world.state.lock().network.end_host(self.index);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Makes operations of its disk fail at random from now on.
    pub fn set_disk_faults(&self, faults: DiskFaults) {
        self.world.state.lock().hosts[self.index].disk.faults.set(faults, None);
    }

    /// As [`Host::set_disk_faults`], for files in one directory only: the host has several devices, and one is failing.
    pub fn set_disk_faults_below(&self, dir: impl AsRef<Path>, faults: DiskFaults) {
        self.world.state.lock().hosts[self.index].disk.faults.set(faults, Some(dir.as_ref()));
    }

    /// Makes the `nth` (from 1) operation of a kind fail from now on, once.
    pub fn fail_disk_at(&self, operation: DiskOperation, nth: u64) {
        self.world.state.lock().hosts[self.index].disk.faults.fail_at(operation, nth);
    }

    /// Lets a file of its disk hold other bytes from `offset` on, as a medium does whose bits rot: nobody wrote them, no sync
    /// is owed for them, and no loss of power takes them back. The file gets no longer.
    ///
    /// # Errors
    /// When there is no such file.
    pub fn rot_file(&self, path: impl AsRef<Path>, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.enter(|| fs::rot(path.as_ref(), offset, bytes))
    }

    /// Sizes its disk, in bytes of file content; writes beyond fail as on a full disk.
    pub fn set_disk_capacity(&self, bytes: u64) {
        self.world.state.lock().hosts[self.index].disk.capacity = bytes;
    }

    /// How bytes travel from it to `to`.
    pub fn set_link(&self, to: &Self, link: Link) {
        let wakers = {
            let state = &mut *self.world.state.lock();
            state.network.set_link(self.index, to.index, link, state.now_ns)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Cuts both directions: bytes on the way and those sent from now on wait for [`Host::heal`].
    pub fn partition(&self, other: &Self) {
        self.set_link(other, Link { cut: true, ..Link::default() });
        other.set_link(self, Link { cut: true, ..Link::default() });
    }

    /// Restores both directions.
    pub fn heal(&self, other: &Self) {
        self.set_link(other, Link::default());
        other.set_link(self, Link::default());
    }
}
