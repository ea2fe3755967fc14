//! Many runs on all cores, and what came of them: failures are gathered by where they were noticed.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

use ottla_env::sim::Sim;
use parking_lot::Mutex;

thread_local! {
    /// While a run is watched: where its first panic was, and what it said.
    static WATCHED: RefCell<Option<Option<String>>> = const { RefCell::new(None) };
}

/// The panics of a run that is watched are told by whoever watches.
fn watch_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let text = info.payload_as_str().unwrap_or("no message");
            let at = info.location().map_or_else(String::new, |at| format!("{}:{}", at.file(), at.line()));
            let unwatched = WATCHED.with_borrow_mut(|watched| match watched {
                Some(first) => {
                    first.get_or_insert_with(|| format!("{at}: {text}"));
                    false
                }
                None => true,
            });
            if unwatched || std::env::var_os("OTTLA_SEED").is_some() {
                usual(info);
            }
        }));
    });
}

/// Runs a scenario once. `Err`: where something was noticed, and what.
pub(crate) fn once(sim: &Sim, scenario: impl FnOnce()) -> Result<(), String> {
    watch_panics();
    WATCHED.set(Some(None));
    let ended = catch_unwind(AssertUnwindSafe(|| sim.run(async { scenario() })));
    let panic = WATCHED.take().flatten();
    ended.map_err(|_| panic.unwrap_or_else(|| "a panic without a message".to_owned()))
}

/// The same work on each core, which shares it among its copies.
// Threads of ottla_env are those of one simulation; these run one each.
#[allow(clippy::disallowed_methods)]
pub(crate) fn on_all_cores(work: impl Fn() + Copy + Send) {
    std::thread::scope(|scope| {
        let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        (0..workers).for_each(|_| drop(scope.spawn(work)));
    });
}

/// With a planted bug, or without the syncs of a directory that `file:line` asks for.
fn with_flaw(seed: u64, flaw: &str) -> Sim {
    let place = flaw.rsplit_once(':').and_then(|(file, line)| Some((file, line.parse().ok()?)));
    place.map_or_else(|| Sim::with_planted(seed, flaw), |place| Sim::without_dir_sync(seed, place))
}

/// Runs one scenario with many seeds; panics with what was noticed, and by which seed first.
pub(crate) fn all(seeds: &[u64], scenario: impl Fn() + Sync) {
    let planted = std::env::var("OTTLA_PLANTED");
    let (next, noticed) = (AtomicUsize::new(0), Mutex::new(BTreeMap::<String, (u64, u64, String)>::new()));
    let work = || {
        while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
            let sim = planted.as_ref().map_or_else(|_| Sim::new(*seed), |flaw| with_flaw(*seed, flaw));
            let Err(what) = once(&sim, &scenario) else { continue };
            let place = what.split(": ").next().unwrap_or_default().to_owned();
            let mut noticed = noticed.lock();
            let (count, first, text) = noticed.entry(place).or_insert_with(|| (0, *seed, what.clone()));
            *count += 1;
            if *seed < *first {
                (*first, *text) = (*seed, what);
            }
        }
    };
    on_all_cores(work);
    let noticed = noticed.into_inner();
    let told: Vec<String> = noticed
        .values()
        .map(|(count, seed, text)| format!("{count} runs, the first with seed {seed}: {text}"))
        .collect();
    assert!(told.is_empty(), "of {} runs:\n{}", seeds.len(), told.join("\n"));
}
