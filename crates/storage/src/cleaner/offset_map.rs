//! The last offset of each key in the part of a log that is not compacted yet, in memory of a fixed size: keys are known by
//! their hash. Kafka class: `SkimpyOffsetMap`.
//!
//! ```text
//!   slot, 16 bytes    │ 64 bits of the hash │ 24 more bits │ 40 bits: offset - first offset + 1 │     all 0: free
//!                       also choose the slot; if it is taken, the next ones are looked at
//! ```
//! Kafka's slots take 24 bytes, for 128 bits of MD5. Here 88 bits tell keys apart: with eight million keys, which fill
//! the default memory, two collide in one of 10^13 passes. A map is made for one pass, no larger than the pass can need.
//!
//! Nearly every look at a slot misses every cache, and whoever waits for one before asking for the next waits for all of them.
//! So keys come in groups of [`TOGETHER`]: their hashes first, then [`OffsetMap::fetch`] for all of them, whose misses overlap,
//! and only then what depends on what a slot holds.

use super::key_hash::KeyHash;

const SLOT_BYTES: u64 = 16;
const OFFSET_BITS: u32 = 40;
const OFFSET_MASK: u64 = (1 << OFFSET_BITS) - 1;

/// Keys that are looked up together.
pub(super) const TOGETHER: usize = 64;

/// A key as the map knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hashed {
    high: u64,
    /// Its upper bits, where a slot has the offset in the lower ones.
    tag: u64,
}

/// How large a map may get.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct MapBounds {
    /// Bytes.
    pub(crate) memory: u64,
    /// Share of slots that may be taken.
    pub(crate) load_factor: f64,
}

/// The map has no room for one more key.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

/// See the module.
#[derive(Debug)]
pub(super) struct OffsetMap {
    slots: Vec<[u64; 2]>,
    used: usize,
    used_max: usize,
    first_offset: i64,
    latest_offset: i64,
    hash: KeyHash,
}

impl OffsetMap {
    /// A map for the records at `first_offset..end`, within the bounds. It has room for one key at least.
    pub(super) fn new(first_offset: i64, end: i64, bounds: &MapBounds, secret: [u8; 16]) -> Self {
        let load = if bounds.load_factor.is_finite() { bounds.load_factor.clamp(0.01, 0.99) } else { 0.9 };
        let records = u64::try_from(end.saturating_sub(first_offset)).unwrap_or(0);
        // Twice the records: collisions are rare then, and memory is taken only as far as keys come. With a low load factor
        // more, so that the bound alone ends a pass early.
        let wanted = (records as f64 * (1.0 / load).max(2.0)) as u64;
        let wanted = wanted.saturating_add(16);
        let count = wanted.min(bounds.memory / SLOT_BYTES).max(2);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        // One slot always stays free, where a search ends.
        let used_max = ((count as f64 * load) as usize).clamp(1, count - 1);
        Self {
            slots: vec![[0; 2]; count],
            used: 0,
            used_max,
            first_offset,
            latest_offset: -1,
            hash: KeyHash::new(secret),
        }
    }

    /// A key's hash.
    pub(super) fn hashed(&self, key: &[u8]) -> Hashed {
        let (high, low) = self.hash.of(key);
        Hashed { high, tag: low & !OFFSET_MASK }
    }

    /// Brings the slots of these keys into the caches.
    pub(super) fn fetch(&self, keys: impl Iterator<Item = Hashed>) {
        let slots = keys.filter_map(|key| self.slots.get(self.start(key.high)));
        // Nothing branches on what is read here, so that no read waits for another.
        std::hint::black_box(slots.fold(0, |sum, slot| sum ^ slot[0]));
    }

    /// Notes that `key` has a record at `offset`, which is not below any other.
    pub(super) fn put(&mut self, key: Hashed, offset: i64) -> Result<(), Full> {
        let relative = u64::try_from(offset - self.first_offset).map_err(|_| Full)? + 1;
        if relative > OFFSET_MASK {
            return Err(Full);
        }
        let Hashed { high, tag } = key;
        let mut at = self.start(high);
        let full = self.used >= self.used_max;
        loop {
            let slot = self.slots.get_mut(at).ok_or(Full)?;
            let is_free = *slot == [0; 2];
            if is_free && full {
                return Err(Full);
            }
            if is_free || (slot[0] == high && slot[1] & !OFFSET_MASK == tag) {
                *slot = [high, tag | relative];
                self.used += usize::from(is_free);
                self.latest_offset = offset;
                return Ok(());
            }
            at = self.after(at);
        }
    }

    /// The last offset of `key`, if it has one.
    pub(super) fn get(&self, key: Hashed) -> Option<i64> {
        let Hashed { high, tag } = key;
        let mut at = self.start(high);
        loop {
            match self.slots.get(at)? {
                [0, 0] => return None,
                [h, rest] if *h == high && rest & !OFFSET_MASK == tag => {
                    let relative = i64::try_from(rest & OFFSET_MASK).ok()?;
                    return Some(self.first_offset + relative - 1);
                }
                _ => at = self.after(at),
            }
        }
    }

    fn start(&self, hash: u64) -> usize {
        ((u128::from(hash) * self.slots.len() as u128) >> 64) as usize
    }

    fn after(&self, at: usize) -> usize {
        if at + 1 == self.slots.len() { 0 } else { at + 1 }
    }

    /// The offset up to which, itself included, every record is in the map; -1 before the first.
    pub(super) fn latest_offset(&self) -> i64 {
        self.latest_offset
    }

    /// Records up to `offset` have been looked at, also those without a key.
    pub(super) fn advance_to(&mut self, offset: i64) {
        self.latest_offset = self.latest_offset.max(offset);
    }

    /// How many keys there are.
    pub(super) fn len(&self) -> usize {
        self.used
    }

    /// Share of the slots that are taken.
    pub(super) fn utilization(&self) -> f64 {
        self.used as f64 / self.slots.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(map: &mut OffsetMap, key: &[u8], offset: i64) -> Result<(), Full> {
        let key = map.hashed(key);
        map.put(key, offset)
    }

    fn get(map: &OffsetMap, key: &[u8]) -> Option<i64> {
        map.get(map.hashed(key))
    }

    const BOUNDS: MapBounds = MapBounds { memory: 1 << 20, load_factor: 0.9 };

    #[test]
    fn the_last_offset_of_each_key_counts() {
        let mut map = OffsetMap::new(1_000, 11_000, &BOUNDS, [7; 16]);
        for offset in 1_000..11_000i64 {
            put(&mut map, format!("key-{}", offset % 500).as_bytes(), offset).unwrap();
        }
        assert_eq!((map.len(), map.latest_offset()), (500, 10_999));
        for n in 0..500 {
            assert_eq!(get(&map, format!("key-{n}").as_bytes()), Some(10_500 + n));
        }
        assert_eq!(get(&map, b"key-500"), None);
        assert_eq!(get(&map, b""), None);
        put(&mut map, b"", 11_000).unwrap();
        assert_eq!(get(&map, b""), Some(11_000), "an empty key is a key");
    }

    #[test]
    fn memory_is_bounded_and_a_full_map_still_takes_known_keys() {
        let bounds = MapBounds { memory: 100 * SLOT_BYTES, load_factor: 0.9 };
        let mut map = OffsetMap::new(0, i64::MAX, &bounds, [1; 16]);
        for n in 0..90i64 {
            put(&mut map, &n.to_be_bytes(), n).unwrap();
        }
        assert_eq!(put(&mut map, &90i64.to_be_bytes(), 90), Err(Full));
        assert_eq!(map.latest_offset(), 89);
        put(&mut map, &5i64.to_be_bytes(), 90).unwrap();
        assert_eq!((get(&map, &5i64.to_be_bytes()), get(&map, &90i64.to_be_bytes())), (Some(90), None));
        assert!((map.utilization() - 0.9).abs() < 1e-9);
    }

    #[test]
    fn a_small_pass_takes_little_memory_and_odd_bounds_still_make_progress() {
        assert!(OffsetMap::new(50, 60, &MapBounds { memory: 1 << 30, load_factor: 0.9 }, [0; 16]).slots.len() < 100);
        for load_factor in [0.0, -1.0, 7.0, f64::NAN, f64::INFINITY] {
            let mut map = OffsetMap::new(0, 10, &MapBounds { memory: 0, load_factor }, [0; 16]);
            put(&mut map, b"a", 0).unwrap();
            assert_eq!((put(&mut map, b"b", 1), get(&map, b"a"), get(&map, b"b")), (Err(Full), Some(0), None));
        }
    }

    #[test]
    fn a_low_load_factor_takes_more_slots_not_fewer_keys() {
        let bounds = MapBounds { memory: 1 << 20, load_factor: 0.01 };
        let mut map = OffsetMap::new(0, 500, &bounds, [3; 16]);
        (0..500i64).for_each(|n| put(&mut map, &n.to_be_bytes(), n).unwrap());
        let mut bounded = OffsetMap::new(0, 1_000, &bounds, [3; 16]);
        let taken = (0..1_000i64).take_while(|n| put(&mut bounded, &n.to_be_bytes(), *n).is_ok()).count();
        assert_eq!(taken, (1 << 20) / 16 / 100, "one of a hundred slots of a MiB");
    }

    #[test]
    fn an_offset_too_far_from_the_first_ends_the_map() {
        let mut map = OffsetMap::new(0, i64::MAX, &BOUNDS, [0; 16]);
        let last = (1i64 << OFFSET_BITS) - 2;
        put(&mut map, b"a", last).unwrap();
        assert_eq!((get(&map, b"a"), put(&mut map, b"a", last + 1)), (Some(last), Err(Full)));
    }
}
