//! Runs of a product that has a flaw, until something is said.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use ottla_env::sim::Sim;
use parking_lot::Mutex;

use crate::many::{on_all_cores, once};

/// How a flaw was found.
struct Found {
    /// The first seed, counted from 1.
    seed: u64,
    /// What was said.
    objection: String,
}

/// A flaw to be found.
pub(crate) struct Flaw<'a> {
    pub(crate) name: &'a str,
    /// A simulation of the product that has it.
    pub(crate) sim: Box<dyn Fn(u64) -> Sim + Sync + 'a>,
    /// What is run.
    pub(crate) scenario: Box<dyn Fn() + Sync + 'a>,
}

impl Flaw<'_> {
    /// Runs until something is said. That must be due to the flaw: the same run without it says nothing.
    fn hunt(&self, seeds: u64) -> Option<Found> {
        let found = (1..=seeds).find_map(|seed| {
            let objection = once(&(self.sim)(seed), &self.scenario).err()?;
            Some(Found { seed, objection })
        })?;
        let honest = once(&Sim::new(found.seed), &self.scenario);
        assert_eq!(honest, Ok(()), "seed {}, {:?} or not", found.seed, self.name);
        Some(found)
    }
}

/// Tells how each is found, and fails unless all are, by so many seeds.
pub(crate) fn all(kind: &str, seeds: u64, flaws: &[Flaw<'_>]) {
    let (next, found) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    on_all_cores(|| {
        while let Some(flaw) = flaws.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Some(how) = flaw.hunt(seeds) {
                found.lock().insert(flaw.name, how);
            }
        }
    });
    let found = found.into_inner();
    println!("{} of {} {kind} are found; runs that it took:", found.len(), flaws.len());
    for Flaw { name, .. } in flaws {
        let (seed, objection) =
            found.get(name).map_or(("never".to_owned(), ""), |how| (how.seed.to_string(), &how.objection));
        let objection: String = objection.lines().next().unwrap_or_default().chars().take(100).collect();
        println!("{seed:>6}  {name:<60} {objection}");
    }
    let missed: Vec<&str> = flaws.iter().map(|flaw| flaw.name).filter(|name| !found.contains_key(name)).collect();
    assert!(missed.is_empty(), "nothing objects to: {missed:#?}");
}
