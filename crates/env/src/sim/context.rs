//! Who is asking: every thread of a simulation knows its world, its host and, unless it is the executor's own, its
//! baton.

use std::cell::RefCell;
use std::sync::Arc;

use super::host::HostState;
use super::rng::Rng;
use super::thread::Baton;
use super::world::World;

thread_local! {
    static CURRENT: RefCell<Option<Context>> = const { RefCell::new(None) };
}

#[derive(Clone, Debug)]
pub(super) struct Context {
    pub(super) world: Arc<World>,
    pub(super) host: usize,
    /// Which life of the host; an older one may no longer touch disk and network.
    pub(super) life: u64,
    /// Set on threads made by `task::thread`.
    pub(super) baton: Option<Arc<Baton>>,
}

impl Context {
    /// # Panics
    /// Outside of a simulation: with `--cfg sim` there is no other world.
    pub(super) fn current() -> Self {
        Self::try_current().expect("with --cfg sim, env works only inside Sim::run")
    }

    pub(super) fn try_current() -> Option<Self> {
        CURRENT.with_borrow(Clone::clone)
    }

    /// Whether the current world has this bug planted.
    pub(super) fn has_planted(bug: &str) -> bool {
        CURRENT.with_borrow(|current| current.as_ref().is_some_and(|context| context.world.has_planted(bug)))
    }

    pub(super) fn of_host(world: &Arc<World>, host: usize) -> Self {
        let life = world.state.lock().hosts[host].life;
        Self { world: Arc::clone(world), host, life, baton: None }
    }

    /// Makes this the thread's context until the guard is dropped.
    pub(super) fn enter(self) -> Entered {
        Entered(CURRENT.replace(Some(self)))
    }

    pub(super) fn with_host<T>(&self, act: impl FnOnce(&mut HostState, &mut Rng) -> T) -> T {
        let state = &mut *self.world.state.lock();
        act(&mut state.hosts[self.host], &mut state.rng)
    }
}

/// Gives the thread its former context back.
pub(super) struct Entered(Option<Context>);

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}
