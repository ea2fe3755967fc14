//! Hashed maps whose order depends on nothing but the seed.
//!
//! One seed serves the whole process: drawn from the kernel at the first use (so that a client cannot choose names
//! that collide), or from the seed of the simulation (so that a run can be repeated). Make them with `default()`:
//! `new()` exists only for hashbrown's own hasher. Where the order of iteration can be seen from outside, use a
//! `BTreeMap` all the same.

use std::hash::BuildHasher;

/// A hash map with the process's seed.
pub type HashMap<K, V> = hashbrown::HashMap<K, V, SeededState>;
/// A hash set with the process's seed.
pub type HashSet<K> = hashbrown::HashSet<K, SeededState>;

/// Builds the hashers of [`HashMap`] and [`HashSet`].
#[derive(Clone, Debug)]
pub struct SeededState(foldhash::fast::FixedState);

impl Default for SeededState {
    fn default() -> Self {
        Self(foldhash::fast::FixedState::with_seed(crate::platform::random::hash_seed()))
    }
}

impl BuildHasher for SeededState {
    type Hasher = foldhash::fast::FoldHasher<'static>;

    fn build_hasher(&self) -> Self::Hasher {
        self.0.build_hasher()
    }
}

#[cfg(all(test, not(sim)))]
mod tests {
    use super::*;

    #[test]
    fn two_maps_of_one_process_hash_alike() {
        let (a, b) = (SeededState::default(), SeededState::default());
        assert_eq!(a.hash_one("topic-1"), b.hash_one("topic-1"));
        assert_ne!(a.hash_one("topic-1"), a.hash_one("topic-2"));
    }
}
