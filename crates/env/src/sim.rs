//! The simulated platform (`--cfg sim`): one thread of control, virtual time, every choice drawn from a seed.
//!
//! ```text
//!            Sim::run(scenario)                    runs on the host "main"
//!                 │
//!        ┌────────┴─────────┐   picks one of the ready tasks at random; when none is ready,
//!        │    executor      │   jumps to the next timer; when there is none either, it is stuck: panic
//!        └──┬────────────┬──┘
//!         tasks       threads   (system threads, but only the one that holds the baton runs)
//!           │            │
//!   clock · random · disk of each host · network between hosts        one `World`, one trace
//! ```
//!
//! A run is a function of its seed and of the code: [`Trace`] proves it (`tests/sim_replay.rs`). What would break that
//! is whatever the seed does not reach: std's hash maps, addresses, unbiased `select!`, a thread that blocks on
//! anything but this crate (it would keep the baton). Locks must not be held while a thread waits here.
//!
//! What the disk keeps at a power cut is what was synced; of the rest, each write and each name is kept, dropped or
//! torn by the seed ([`Host::power_cut`], `sim/disk.rs`).
#![allow(clippy::disallowed_methods)]

mod context;
mod disk;
mod executor;
mod faults;
mod file;
pub(crate) mod fs;
mod host;
pub(crate) mod lock;
mod meanwhile;
pub(crate) mod net;
mod network;
pub(crate) mod planted;
pub(crate) mod process;
pub(crate) mod random;
mod rng;
pub(crate) mod task;
mod thread;
pub(crate) mod time;
mod trace;
mod world;

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;

pub use faults::{DiskFaults, DiskOperation};
pub use host::{Host, host};
pub use network::Link;
pub use trace::Trace;

use context::Context;
use world::World;

/// One simulated run.
#[derive(Debug)]
pub struct Sim {
    world: Arc<World>,
}

impl Sim {
    /// A world in which nothing has happened yet: one host, `main`, with an empty disk.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { world: World::new(seed, None, None) }
    }

    /// As [`Sim::new`], with a bug planted: [`crate::planted::is`] is true for its name.
    #[must_use]
    pub fn with_planted(seed: u64, bug: &str) -> Self {
        Self { world: World::new(seed, Some(bug), None) }
    }

    /// As [`Sim::new`], but the directories that one place of the code asks to have synced are not: what hangs on it shows,
    /// since a power cut takes it as likely as not.
    /// A place is a file, as `file!()` names it, and a line; of a function with `#[track_caller]`, its caller's.
    #[must_use]
    pub fn without_dir_sync(seed: u64, (file, line): (&str, u32)) -> Self {
        Self { world: World::new(seed, None, Some((file, line))) }
    }

    /// The places that have asked for a directory to be synced, by file and line.
    #[must_use]
    pub fn dir_syncs(&self) -> BTreeSet<(&'static str, u32)> {
        self.world.dir_syncs()
    }

    /// How often the code came by the planted bug.
    #[must_use]
    pub fn planted_reached(&self) -> u64 {
        self.world.planted_reached()
    }

    /// Runs a scenario to its end on the host `main`, then ends every task and thread that is left. May be called
    /// again: clock, disks and network go on from where they were.
    ///
    /// # Panics
    /// With the scenario's own panic, with that of a task whose handle was dropped, and when nothing can run any more
    /// or the run exceeds [`MAX_STEPS`]. The seed is printed on the way.
    pub fn run<F: Future>(&self, scenario: F) -> F::Output {
        let _tell_seed = TellSeed(self.world.seed());
        let entered = Context::of_host(&self.world, world::MAIN).enter();
        // The scenario's future is dropped before the tasks: both may hold files and streams.
        let output = executor::block_on(scenario).expect("the scenario's own thread is not killed");
        executor::end_everything(&self.world);
        drop(entered);
        self.world.fail_on_lost_panics();
        output
    }

    /// What has happened so far.
    #[must_use]
    pub fn trace(&self) -> Trace {
        self.world.trace()
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        // After a panic of the scenario its tasks are still there, and hold the world that holds them.
        let _entered = Context::of_host(&self.world, world::MAIN).enter();
        executor::end_everything(&self.world);
    }
}

/// Prints the seed if the scenario panics.
struct TellSeed(u64);

impl Drop for TellSeed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("simulation failed with seed {}; replay: cargo xtask sim {}", self.0, self.0);
        }
    }
}

/// How many times a run may let a task or thread go on. A run that needs more is taken for an endless loop.
pub const MAX_STEPS: u64 = 50_000_000;

/// A power cut of the current host's disk while its tasks live on: every file that it holds open is lost to it, and
/// what was not synced is kept, dropped or torn. For scenarios that play the restarting process themselves.
pub fn crash() {
    Context::current().with_host(|host, rng| host.disk.power_cut(rng));
}

/// The end of the current process alone, as after `kill -9`, while its tasks live on: every file that it holds open is
/// lost to it, and the disk keeps all that was written.
pub fn kill() {
    Context::current().with_host(|host, _| host.disk.forget_handles());
}

/// Appoints the death of the current process: before the `nth` (from 1) effect on its disk from now on (a write, a change
/// of length or name, a sync) the disk stops. Everything asked of it from then on fails and changes nothing, until
/// [`crash`] or [`kill`] says how the process ended. The write that is cut off may have left a part of itself.
///
/// A result that the process gave after that moment was never heard by anybody: look at [`is_dying`] first.
pub fn die_at_effect(nth: u64) {
    Context::current().with_host(|host, _| host.disk.faults.stop_at(nth));
}

/// As [`die_at_effect`], but before the `nth` (from 1) sync of a directory: all that was done since the one before is open then.
pub fn die_at_dir_sync(nth: u64) {
    Context::current().with_host(|host, _| host.disk.faults.stop_at_dir_sync(nth));
}

/// Whether the moment of [`die_at_effect`] has come.
#[must_use]
pub fn is_dying() -> bool {
    Context::current().with_host(|host, _| host.disk.faults.is_stopped())
}

/// What another thread does while the current one waits for the device: once, during the `nth` (from 1) sync of a file from now
/// on. It must not want a lock that the one who syncs holds.
pub fn meanwhile(nth: u64, act: impl FnOnce() + Send + 'static) {
    Context::current().world.state.lock().meanwhile.set(nth, Box::new(act));
}

/// How many effects the current host's disk has seen, for scenarios that visit each.
#[must_use]
pub fn disk_effects() -> u64 {
    Context::current().with_host(|host, _| host.disk.faults.effects())
}

/// Tells the trace about something that the scenario did.
pub fn note(what: &str) {
    Context::current().world.note(format_args!("note {what}"));
}

/// The seeds that a simulated test shall run: `OTTLA_SEED` (one), else `OTTLA_SEEDS` of them (else `default_count`),
/// counted from `OTTLA_FIRST_SEED` (else from 1).
#[must_use]
pub fn seeds(default_count: u64) -> Vec<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = number("OTTLA_SEED") {
        return vec![seed];
    }
    let first = number("OTTLA_FIRST_SEED").unwrap_or(1);
    (first..first.saturating_add(number("OTTLA_SEEDS").unwrap_or(default_count))).collect()
}
