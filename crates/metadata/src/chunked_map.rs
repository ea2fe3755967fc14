//! A sorted map whose clone is cheap and shares what is not changed: [`ChunkedMap`].
//!
//! ```text
//!   chunks: Arc<Vec<Arc<Vec<(K, V)>>>>     at most CHUNK_MAX entries in a chunk, ascending within and across chunks
//! ```
//!
//! An image of ten thousand topics is replaced at every change of metadata. A change in one entry copies one chunk and the
//! list of chunks (ten thousand entries make about 160), and nothing else.

use std::fmt;
use std::sync::Arc;

/// Entries in a chunk before it is split in two.
const CHUNK_MAX: usize = 128;

type Chunk<K, V> = Arc<Vec<(K, V)>>;

/// See the module.
pub struct ChunkedMap<K, V> {
    /// No chunk is empty.
    chunks: Arc<Vec<Chunk<K, V>>>,
    len: usize,
}

impl<K, V> Clone for ChunkedMap<K, V> {
    fn clone(&self) -> Self {
        Self { chunks: Arc::clone(&self.chunks), len: self.len }
    }
}

impl<K, V> Default for ChunkedMap<K, V> {
    fn default() -> Self {
        Self { chunks: Arc::default(), len: 0 }
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for ChunkedMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.chunks.iter().flat_map(|c| c.iter()).map(|(k, v)| (k, v))).finish()
    }
}

impl<K: PartialEq, V: PartialEq> PartialEq for ChunkedMap<K, V> {
    fn eq(&self, other: &Self) -> bool {
        let (mine, theirs) = (self.chunks.iter().flat_map(|c| c.iter()), other.chunks.iter().flat_map(|c| c.iter()));
        Arc::ptr_eq(&self.chunks, &other.chunks) || self.len == other.len && mine.eq(theirs)
    }
}

/// Where a key is, or would be.
enum Place {
    Found {
        chunk: usize,
        at: usize,
    },
    Vacant {
        chunk: usize,
        at: usize,
    },
    /// There are no chunks.
    Empty,
}

impl<K: Ord + Clone, V: Clone> ChunkedMap<K, V> {
    fn place<Q: Ord + ?Sized>(&self, key: &Q) -> Place
    where
        K: std::borrow::Borrow<Q>,
    {
        if self.chunks.is_empty() {
            return Place::Empty;
        }
        let after = self.chunks.partition_point(|c| c.first().is_some_and(|(k, _)| k.borrow() <= key));
        let chunk = after.saturating_sub(1);
        match self.chunks.get(chunk).map_or(Err(0), |c| c.binary_search_by(|(k, _)| k.borrow().cmp(key))) {
            Ok(at) => Place::Found { chunk, at },
            Err(at) => Place::Vacant { chunk, at },
        }
    }

    /// How many entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The value of a key.
    #[must_use]
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: std::borrow::Borrow<Q>,
    {
        match self.place(key) {
            Place::Found { chunk, at } => self.chunks.get(chunk)?.get(at).map(|(_, v)| v),
            Place::Vacant { .. } | Place::Empty => None,
        }
    }

    /// The value of a key, to be changed; copies its chunk if another clone shares it.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: std::borrow::Borrow<Q>,
    {
        let Place::Found { chunk, at } = self.place(key) else { return None };
        let chunk = Arc::make_mut(&mut self.chunks).get_mut(chunk)?;
        Arc::make_mut(chunk).get_mut(at).map(|(_, v)| v)
    }

    /// Sets the value of a key; gives back the one it replaces.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let place = self.place(&key);
        let chunks = Arc::make_mut(&mut self.chunks);
        let (chunk, at) = match place {
            Place::Found { chunk, at } => {
                return Some(std::mem::replace(&mut Arc::make_mut(&mut chunks[chunk])[at].1, value));
            }
            Place::Vacant { chunk, at } => (chunk, at),
            Place::Empty => {
                chunks.push(Arc::default());
                (0, 0)
            }
        };
        let entries = Arc::make_mut(&mut chunks[chunk]);
        entries.insert(at, (key, value));
        if entries.len() > CHUNK_MAX {
            let upper = entries.split_off(CHUNK_MAX / 2);
            chunks.insert(chunk + 1, Arc::new(upper));
        }
        self.len += 1;
        None
    }

    /// Removes a key; gives back its value.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: std::borrow::Borrow<Q>,
    {
        let Place::Found { chunk, at } = self.place(key) else { return None };
        let chunks = Arc::make_mut(&mut self.chunks);
        let entries = Arc::make_mut(&mut chunks[chunk]);
        let (_, value) = entries.remove(at);
        if entries.is_empty() {
            chunks.remove(chunk);
        }
        self.len -= 1;
        Some(value)
    }

    /// The entries, ascending by key.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.chunks.iter().flat_map(|c| c.iter()).map(|(k, v)| (k, v))
    }

    /// The entries whose key is `from` or above, ascending.
    pub fn iter_from<Q: Ord + ?Sized>(&self, from: &Q) -> impl Iterator<Item = (&K, &V)>
    where
        K: std::borrow::Borrow<Q>,
    {
        let (chunk, at) = match self.place(from) {
            Place::Found { chunk, at } | Place::Vacant { chunk, at } => (chunk, at),
            Place::Empty => (0, 0),
        };
        self.chunks.iter().skip(chunk).flat_map(|c| c.iter()).skip(at).map(|(k, v)| (k, v))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        /// Does what a `BTreeMap` does, whatever is inserted and removed, and an older clone stays as it was.
        #[test]
        fn behaves_as_a_sorted_map(steps in prop::collection::vec((any::<bool>(), 0u16..600, any::<u8>()), 0..1500)) {
            let (mut map, mut model) = (ChunkedMap::default(), BTreeMap::new());
            let mut older = Vec::new();
            for (at, (insert, key, value)) in steps.into_iter().enumerate() {
                if at % 300 == 0 {
                    older.push((map.clone(), model.clone()));
                }
                if insert || at % 3 != 0 {
                    prop_assert_eq!(map.insert(key, value), model.insert(key, value));
                } else {
                    prop_assert_eq!(map.remove(&key), model.remove(&key));
                }
                if let Some(v) = map.get_mut(&(key / 2)) {
                    *v = v.wrapping_add(1);
                    *model.get_mut(&(key / 2)).unwrap() = *v;
                }
            }
            older.push((map, model));
            for (map, model) in older {
                prop_assert_eq!(map.len(), model.len());
                prop_assert!(map.iter().eq(model.iter()));
                prop_assert!(map.iter_from(&250).eq(model.range(250..)));
                prop_assert!((0..600).all(|k| map.get(&k) == model.get(&k)));
            }
        }
    }

    #[test]
    fn a_change_copies_one_chunk() {
        let mut map = ChunkedMap::default();
        for key in 0..10_000u32 {
            map.insert(key, Arc::new(key));
        }
        let before = map.clone();
        map.insert(5_000, Arc::new(1));
        let shared = map.chunks.iter().zip(before.chunks.iter()).filter(|(a, b)| Arc::ptr_eq(a, b)).count();
        assert_eq!(shared, before.chunks.len() - 1);
    }
}
