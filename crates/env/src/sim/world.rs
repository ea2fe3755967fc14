//! The state of a run: clock, randomness, timers, tasks, hosts, network, trace.
//!
//! One mutex guards it. It is never contended (one thread runs at a time) and never held while anything foreign is
//! called: not while a future is polled or dropped, not while a waker is woken.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;

use parking_lot::Mutex;

use super::executor::{Ready, Task};
use super::host::HostState;
use super::meanwhile::Meanwhile;
use super::network::Network;
use super::rng::Rng;
use super::trace::{Recorder, Trace};

/// The index of the host that scenarios run on.
pub(super) const MAIN: usize = 0;

/// 2026-01-01 00:00:00 UTC: what the wall clock shows when a simulation starts.
pub(super) const WALL_CLOCK_START_MS: i64 = 1_767_225_600_000;

#[derive(Debug)]
pub(super) struct World {
    seed: u64,
    planted: Option<String>,
    /// How often the planted bug was asked for.
    planted_reached: AtomicU64,
    /// The file and line whose syncs of directories do nothing.
    left_out: Option<(String, u32)>,
    pub(super) ready: Arc<Ready>,
    pub(super) state: Mutex<State>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) now_ns: u64,
    pub(super) steps: u64,
    pub(super) rng: Rng,
    pub(super) recorder: Recorder,
    pub(super) timers: BTreeMap<(u64, u64), Waker>,
    pub(super) next_timer: u64,
    pub(super) tasks: BTreeMap<u64, Task>,
    pub(super) next_task: u64,
    /// Tasks that were woken while they were being polled.
    pub(super) woken_meanwhile: BTreeSet<u64>,
    pub(super) hosts: Vec<HostState>,
    pub(super) network: Network,
    /// Panics of tasks that nobody waits for.
    pub(super) lost_panics: Vec<String>,
    /// Where syncs of directories were asked for.
    dir_syncs: BTreeSet<(&'static str, u32)>,
    /// What is to happen during a sync of a file.
    pub(super) meanwhile: Meanwhile,
}

impl World {
    pub(super) fn new(seed: u64, planted: Option<&str>, left_out: Option<(&str, u32)>) -> Arc<Self> {
        let state = State {
            now_ns: 0,
            steps: 0,
            rng: Rng::new(super::rng::mix(seed)),
            recorder: Recorder::new(),
            timers: BTreeMap::new(),
            next_timer: 0,
            tasks: BTreeMap::new(),
            next_task: 0,
            woken_meanwhile: BTreeSet::new(),
            hosts: vec![HostState::new("main")],
            network: Network::default(),
            lost_panics: Vec::new(),
            dir_syncs: BTreeSet::new(),
            meanwhile: Meanwhile::default(),
        };
        Arc::new(Self {
            seed,
            planted: planted.map(str::to_owned),
            planted_reached: AtomicU64::new(0),
            left_out: left_out.map(|(file, line)| (file.to_owned(), line)),
            ready: Arc::new(Ready::default()),
            state: Mutex::new(state),
        })
    }

    pub(super) fn has_planted(&self, bug: &str) -> bool {
        let has = self.planted.as_deref() == Some(bug);
        if has {
            self.planted_reached.fetch_add(1, Ordering::Relaxed);
        }
        has
    }

    pub(super) fn planted_reached(&self) -> u64 {
        self.planted_reached.load(Ordering::Relaxed)
    }

    /// A directory is about to be synced. True: nothing shall come of it.
    pub(super) fn note_dir_sync(&self, caller: &'static Location<'static>) -> bool {
        let place = (caller.file(), caller.line());
        self.state.lock().dir_syncs.insert(place);
        self.left_out.as_ref().is_some_and(|(file, line)| (file.as_str(), *line) == place)
    }

    pub(super) fn dir_syncs(&self) -> BTreeSet<(&'static str, u32)> {
        self.state.lock().dir_syncs.clone()
    }

    /// A file is being synced: does what was to happen meanwhile.
    pub(super) fn pass_sync(&self) {
        let due = self.state.lock().meanwhile.take_due();
        if let Some(act) = due {
            act();
        }
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    pub(super) fn trace(&self) -> Trace {
        self.state.lock().recorder.snapshot()
    }

    pub(super) fn note(&self, what: fmt::Arguments<'_>) {
        self.state.lock().note(what);
    }

    pub(super) fn fail_on_lost_panics(&self) {
        let lost = std::mem::take(&mut self.state.lock().lost_panics);
        assert!(lost.is_empty(), "tasks that nobody waited for panicked: {}", lost.join("; "));
    }
}

impl State {
    pub(super) fn note(&mut self, what: fmt::Arguments<'_>) {
        self.recorder.note(self.now_ns, what);
    }

    /// Lets time pass, as a call does that blocks its thread: between `at_least` and twice as much.
    pub(super) fn spend_ns(&mut self, at_least: u64) {
        self.now_ns += at_least + self.rng.below(at_least.max(1));
    }

    pub(super) fn wall_clock_ms(&self) -> i64 {
        WALL_CLOCK_START_MS + i64::try_from(self.now_ns / 1_000_000).expect("2^64 ns are fewer than 2^63 ms")
    }
}
