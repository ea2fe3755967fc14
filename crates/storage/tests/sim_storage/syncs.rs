//! Each sync of a directory that the storage asks for is left out, and the model of `run.rs`, or a story, has to object. One that
//! nobody misses fails this test until it is found out whether it is superfluous, or the runs do not look at what hangs on it.
//!
//! ```text
//!   OTTLA_OFTEN="log/flush.rs sync_up_to" cargo xtask sim storage 7 crates/storage/src/log/flush.rs:79
//!                                                        one run without one of them, with all that happens in it
//! ```
//! A place is the function that asks; `#[track_caller]` hands on who asked it. `docs/design/durability.md` says of each what a crash
//! would do without it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use ottla_env::sim::Sim;
use parking_lot::Mutex;

use crate::hunt::{self, Flaw};
use crate::many::{on_all_cores, once};
use crate::operations::Operation::{self, CreateTopic, DeleteTopic, Flush, Move, VisitCheckpoints};
use crate::{cut_short, names, run, stories};

/// Which operations make it likely that a sync is missed by the runs.
pub(crate) const OFTEN: &[(&str, &[Operation])] = &[
    ("checkpoint.rs write", &[VisitCheckpoints]),
    ("log/flush.rs sync_up_to", &[Flush]),
    ("log/truncate.rs rename_replaced", &[Move]),
    ("log_folder.rs settle 1", &[CreateTopic]),
    ("log_folder.rs settle 2", &[CreateTopic, Flush]),
    ("log_manager/remove.rs delete_all", &[CreateTopic, DeleteTopic]),
];

/// Those that the runs come by too rarely, and who misses them.
const STORIES: &[(&str, fn())] = &[
    ("clean_shutdown.rs take 1", stories::take_a_mark_twice),
    ("loader.rs load", names::an_index_is_built_again),
    ("log/copy.rs become_current", names::a_log_moves_from_a_directory_that_fails),
    ("log/copy.rs clear_the_way", names::a_log_moves_where_a_directory_lies),
    ("log/flush.rs write_epochs", names::an_epoch_begins),
    ("log/replace.rs swap 1", cut_short::compactions_are_cut_short),
    ("log/replace.rs swap 2", cut_short::compactions_are_cut_short),
    ("log/replace.rs swap 3", cut_short::compactions_are_cut_short),
    ("log/replace.rs swap 4", cut_short::compactions_are_cut_short),
    ("log/replace.rs swap 5", cut_short::compactions_are_cut_short),
    ("log/replace.rs swap 6", cut_short::compactions_are_cut_short),
    ("log/truncate.rs cut_files", names::a_log_is_cut),
    ("log/truncate.rs delete_old_segments 1", names::retention_on_a_full_disk),
    ("log/truncate.rs delete_old_segments 2", names::records_are_deleted),
    ("log/truncate.rs replace_segments", names::all_is_replaced_on_a_full_disk),
    ("log_manager/moves.rs remove_future", names::a_move_is_called_off),
    ("log_manager/remove.rs remove_at_once", names::one_of_two_copies_goes),
    ("meta_properties.rs write", names::a_directory_is_formatted),
    ("recovery.rs cut", stories::cut_a_segment_off_twice),
    ("swap_files.rs finish", cut_short::compactions_are_cut_short),
    ("swap_files.rs put_in_place 1", cut_short::compactions_are_cut_short),
    ("swap_files.rs put_in_place 2", cut_short::compactions_are_cut_short),
    ("swap_files.rs put_in_place 3", cut_short::compactions_are_cut_short),
    ("swap_files.rs sweep", stories::cut_a_segment_off_twice),
    ("swap_files.rs take_back", cut_short::take_a_broken_half_back),
    ("swap_files.rs undo", cut_short::compactions_are_cut_short),
];

/// Seeds that are tried. Most syncs are missed within the first hundred.
const SEEDS_MAX: u64 = 2_000;
/// Runs that collect places, beside those of the stories.
const RUNS: usize = 200;
/// Where the storage lies in the repository.
const SOURCES: &str = "crates/storage/src/";
const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../");
const DURABILITY: &str = include_str!("../../../../docs/design/durability.md");

/// File and line.
type Place = (&'static str, u32);

#[test]
fn every_directory_sync_is_missed() {
    let places = named(&passed());
    no_place_is_passed_by(&places);
    the_table_names_each(&places);
    let known = OFTEN.iter().map(|(name, _)| *name).chain(STORIES.iter().map(|(name, _)| *name));
    for name in known {
        assert!(places.contains_key(name), "{name} asks for no sync of a directory");
    }
    let flaws: Vec<Flaw<'_>> = places.iter().map(|(name, place)| flaw(name, *place)).collect();
    hunt::all("syncs of directories", SEEDS_MAX, &flaws);
}

fn flaw(name: &str, place: Place) -> Flaw<'_> {
    fn of<T: Copy>(rows: &[(&str, T)], name: &str) -> Option<T> {
        rows.iter().find(|(row, _)| *row == name).map(|(_, value)| *value)
    }
    let often = of(OFTEN, name).unwrap_or_default();
    let scenario: Box<dyn Fn() + Sync> = match of(STORIES, name) {
        Some(story) => Box::new(story),
        None => Box::new(move || run::run_with(often)),
    };
    Flaw { name, sim: Box::new(move |seed| Sim::without_dir_sync(seed, place)), scenario }
}

/// The places that runs and stories come by.
fn passed() -> BTreeSet<Place> {
    let usual: fn() = || run::run_with(&[]);
    let stories = STORIES.iter().flat_map(|(_, story)| std::iter::repeat_n(*story, 30));
    let scenarios = std::iter::repeat_n(usual, RUNS).chain(stories);
    let jobs: Vec<(u64, fn())> = (1..).zip(scenarios).collect();
    let (next, found) = (AtomicUsize::new(0), Mutex::new(BTreeSet::new()));
    on_all_cores(|| {
        while let Some((seed, scenario)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let sim = Sim::new(*seed);
            assert_eq!(once(&sim, scenario), Ok(()), "seed {seed}");
            found.lock().extend(sim.dir_syncs());
        }
    });
    found.into_inner().into_iter().filter(|(file, _)| file.starts_with(SOURCES)).collect()
}

/// Each by its file and function, and by a number if the function has several.
fn named(places: &BTreeSet<Place>) -> BTreeMap<String, Place> {
    let mut by_function: BTreeMap<(&str, String), Vec<Place>> = BTreeMap::new();
    for (file, line) in places {
        let function = functions(&source(file)).into_iter().take_while(|found| found.line <= *line).last();
        let name = function.map(|function| function.name).unwrap_or_default();
        by_function.entry((*file, name)).or_default().push((*file, *line));
    }
    let mut named = BTreeMap::new();
    for ((file, function), places) in by_function {
        let name = format!("{} {function}", file.trim_start_matches(SOURCES));
        let only = places.len() == 1;
        let number = |n: usize| if only { String::new() } else { format!(" {n}") };
        named.extend((1..).zip(places).map(|(n, place)| (name.clone() + &number(n), place)));
    }
    named
}

/// What asks for a sync in the sources has been passed, or hands on who asked.
fn no_place_is_passed_by(places: &BTreeMap<String, Place>) {
    let passed: BTreeSet<Place> = places.values().copied().collect();
    for file in files(SOURCES) {
        let text = source(&file);
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let functions = functions(code);
        for (line, code) in (1..).zip(code.lines()) {
            let asks = ["fs::sync_dir(", "fs::write_atomically(", "fs::create_dir_durably("];
            let asks = asks.iter().any(|call| code.contains(call)) && !code.trim_start().starts_with("//");
            let around = functions.iter().take_while(|found| found.line <= line).last();
            let hands_on = around.is_some_and(|function| function.hands_on);
            let is_passed = passed.iter().any(|place| (place.0, place.1) == (file.as_str(), line));
            assert!(!asks || hands_on || is_passed, "no run comes by {file}:{line}: {}", code.trim());
        }
    }
}

/// The table of `durability.md` has them all, and no others.
fn the_table_names_each(places: &BTreeMap<String, Place>) {
    let names = DURABILITY.split("\n## Names\n").nth(1).and_then(|rest| rest.split("\n## ").next());
    let words = names.expect("a section").split('`').skip(1).step_by(2);
    let told: BTreeSet<&str> = words.filter(|word| word.contains(".rs ")).collect();
    let found: BTreeSet<&str> = places.keys().map(String::as_str).collect();
    assert_eq!(told, found, "what docs/design/durability.md says of names, and what the storage does");
}

/// Where a function begins, and whether its callers are the places.
struct Function {
    name: String,
    line: u32,
    hands_on: bool,
}

fn functions(source: &str) -> Vec<Function> {
    let (mut found, mut hands_on) = (Vec::new(), false);
    for (line, code) in (1..).zip(source.lines()) {
        let code = code.trim_start();
        hands_on |= code.starts_with("#[cfg_attr(sim, track_caller)]");
        let Some((before, rest)) = code.split_once("fn ") else { continue };
        if before.is_empty() || before.starts_with("pub") {
            let name = rest.split(['(', '<']).next().unwrap_or_default().to_owned();
            found.push(Function { name, line, hands_on });
            hands_on = false;
        }
    }
    found
}

#[expect(clippy::disallowed_methods, reason = "the sources are no part of the simulation")]
fn source(file: &str) -> String {
    std::fs::read_to_string(Path::new(REPOSITORY).join(file)).expect("a source of the storage")
}

/// The sources below a directory, by their paths in the repository.
#[expect(clippy::disallowed_methods, reason = "the sources are no part of the simulation")]
fn files(dir: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(Path::new(REPOSITORY).join(dir)).expect("listed") {
        let entry = entry.expect("listed");
        let path = format!("{dir}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            found.extend(files(&format!("{path}/")));
        } else if !path.ends_with("_tests.rs") {
            found.push(path);
        }
    }
    found
}
