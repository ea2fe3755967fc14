//! What this process knows of the soundness of a segment's bytes.
//!
//! ```text
//!   0            checked            damaged                    suffix                 size
//!   ├──────────────┼─ not looked at ─┼▓▓▓▓▓┼─ not looked at ─────┼─ appended or checked ─┤
//! ```
//! A slice that begins at or behind `suffix` is sent without a look: one comparison. What lies before was written by an
//! earlier process; it is checked once, before it is first sent. Some checked ranges are remembered, not all: one that is
//! forgotten is checked again.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

/// Checked ranges remembered besides the suffix.
const RANGES_MAX: usize = 16;
/// Damaged ranges told apart in one segment; beyond it, what lies between two of them counts as damaged too.
const DAMAGED_MAX: usize = 1024;

/// A part of a log whose records cannot be read. It is neither served nor cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedRange {
    /// Base offset of the segment, which names its file.
    pub segment: i64,
    /// First offset that cannot be read.
    pub first_offset: i64,
    /// First offset behind it that can.
    pub end_offset: i64,
    /// Where the damaged bytes begin in the `.log` file.
    pub position: u64,
    /// Where they end; `position` when the bytes are not there at all.
    pub end_position: u64,
    /// How it was found out.
    pub reason: String,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Integrity {
    suffix: AtomicU64,
    damaged: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Checked ranges below the suffix, ascending, none touching another.
    checked: Vec<(u64, u64)>,
    /// Ascending.
    damaged: Vec<DamagedRange>,
    /// Counts the changes of the segment's end, during which a check would see bytes of before and after.
    cuts: u64,
}

/// What a check found out, to be noted if the file was not cut meanwhile.
#[derive(Debug)]
pub(super) struct Findings {
    pub(super) cuts: u64,
    /// What was looked at.
    pub(super) from: u64,
    pub(super) to: u64,
    /// What of it is damaged.
    pub(super) damaged: Vec<DamagedRange>,
}

impl Integrity {
    /// Nothing below `size` was looked at.
    pub(super) fn new(size: u64) -> Self {
        Self { suffix: AtomicU64::new(size), damaged: AtomicBool::new(false), state: Mutex::default() }
    }

    /// Whether everything from `position` on is known to be sound.
    pub(super) fn is_sound_from(&self, position: u64) -> bool {
        position >= self.suffix.load(Ordering::Acquire)
    }

    /// Whether all of `from..to` was looked at, whatever was found.
    pub(super) fn is_checked(&self, from: u64, to: u64) -> bool {
        let suffix = self.suffix.load(Ordering::Acquire);
        from >= suffix || self.state.lock().checked.iter().any(|(a, b)| *a <= from && (to <= *b || *b >= suffix))
    }

    /// Everything from `position` on is read, or written, by whoever calls, but for what is known to be damaged.
    pub(super) fn sound_from(&self, position: u64) {
        self.state.lock().add_suffix(position, &self.suffix);
    }

    /// Whether any part is known to be damaged.
    pub(super) fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Acquire)
    }

    /// The damaged parts, ascending.
    pub(super) fn damaged(&self) -> Vec<DamagedRange> {
        if self.is_damaged() { self.state.lock().damaged.clone() } else { Vec::new() }
    }

    /// How often the end was changed; to be asked before a check begins.
    pub(super) fn cuts(&self) -> u64 {
        self.state.lock().cuts
    }

    /// Takes over what a check found; gives what was not known. `None`: the file was cut meanwhile, look again.
    pub(super) fn note(&self, findings: Findings) -> Option<Vec<DamagedRange>> {
        let mut state = self.state.lock();
        if state.cuts != findings.cuts {
            return None;
        }
        let suffix = self.suffix.load(Ordering::Acquire);
        let start = state.add_checked(findings.from, findings.to, suffix);
        let new: Vec<_> = findings.damaged.into_iter().filter(|range| state.add_damaged(range)).collect();
        state.add_suffix(start, &self.suffix);
        self.damaged.store(!state.damaged.is_empty(), Ordering::Release);
        Some(new)
    }

    /// The segment ends at `position` and `offset` now, or is about to.
    pub(super) fn cut(&self, position: u64, offset: i64) {
        let mut state = self.state.lock();
        state.cuts += 1;
        for (_, to) in &mut state.checked {
            *to = (*to).min(position);
        }
        state.checked.retain(|(from, to)| from < to);
        state.damaged.retain(|range| range.position <= position && range.first_offset < offset);
        for range in &mut state.damaged {
            range.end_position = range.end_position.min(position);
            range.end_offset = range.end_offset.min(offset);
        }
        self.damaged.store(!state.damaged.is_empty(), Ordering::Release);
        self.suffix.fetch_min(position, Ordering::AcqRel);
    }
}

impl State {
    /// The suffix is sent without a look: it begins behind all damage.
    fn add_suffix(&mut self, start: u64, suffix: &AtomicU64) {
        let sound = self.damaged.last().map_or(0, |last| last.end_position);
        if start < sound {
            self.checked.push((start, sound));
        }
        suffix.store(start.max(sound), Ordering::Release);
    }

    /// Adds a checked range, and gives where the suffix begins now.
    fn add_checked(&mut self, from: u64, to: u64, suffix: u64) -> u64 {
        let (mut from, mut to) = (from, to);
        self.checked.retain(|(a, b)| {
            let apart = *b < from || *a > to;
            if !apart {
                (from, to) = (from.min(*a), to.max(*b));
            }
            apart
        });
        if to >= suffix {
            return from.min(suffix);
        }
        if self.checked.len() >= RANGES_MAX
            && let Some(smallest) = (0..self.checked.len()).min_by_key(|i| self.checked.get(*i).map(|(a, b)| b - a))
        {
            self.checked.remove(smallest);
        }
        self.checked.push((from, to));
        self.checked.sort_unstable();
        suffix
    }

    /// Adds a damaged range; false if it was known.
    fn add_damaged(&mut self, range: &DamagedRange) -> bool {
        let known = |old: &DamagedRange| old.first_offset <= range.first_offset && range.end_offset <= old.end_offset;
        if self.damaged.iter().any(known) {
            return false;
        }
        let within = |old: &DamagedRange| range.first_offset <= old.first_offset && old.end_offset <= range.end_offset;
        self.damaged.retain(|old| !within(old));
        self.damaged.push(range.clone());
        self.damaged.sort_by_key(|range| (range.position, range.first_offset));
        if self.damaged.len() > DAMAGED_MAX
            && let (Some(last), Some(before)) = (self.damaged.pop(), self.damaged.last_mut())
        {
            (before.end_offset, before.end_position) = (last.end_offset, last.end_position);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn damage(first_offset: i64, end_offset: i64, position: u64, end_position: u64) -> DamagedRange {
        DamagedRange { segment: 0, first_offset, end_offset, position, end_position, reason: String::new() }
    }

    fn check(integrity: &Integrity, from: u64, to: u64, damaged: Vec<DamagedRange>) -> Option<Vec<DamagedRange>> {
        integrity.note(Findings { cuts: integrity.cuts(), from, to, damaged })
    }

    #[test]
    fn checked_ranges_grow_into_the_suffix() {
        let integrity = Integrity::new(100);
        assert!(integrity.is_sound_from(100) && !integrity.is_sound_from(99));
        check(&integrity, 20, 40, Vec::new()).expect("noted");
        check(&integrity, 60, 70, Vec::new()).expect("noted");
        assert!(integrity.is_checked(25, 40) && !integrity.is_checked(25, 41) && !integrity.is_checked(50, 65));
        check(&integrity, 40, 60, Vec::new()).expect("noted");
        assert!(integrity.is_checked(20, 70));
        check(&integrity, 65, 100, Vec::new()).expect("noted");
        assert!(integrity.is_sound_from(20) && !integrity.is_sound_from(19));
    }

    #[test]
    fn what_is_damaged_is_told_once_and_never_part_of_the_suffix() {
        let integrity = Integrity::new(100);
        let broken = damage(5, 7, 50, 60);
        assert_eq!(check(&integrity, 0, 100, vec![broken.clone()]), Some(vec![broken.clone()]));
        assert_eq!(check(&integrity, 0, 100, vec![broken.clone()]), Some(Vec::new()), "known");
        assert!(integrity.is_sound_from(60) && !integrity.is_sound_from(59));
        assert!(integrity.is_checked(0, 100));
        assert_eq!(integrity.damaged(), [broken]);
    }

    #[test]
    fn a_cut_takes_its_part_and_voids_a_check_that_runs() {
        let integrity = Integrity::new(100);
        check(&integrity, 0, 100, vec![damage(5, 9, 50, 60)]).expect("noted");
        let cuts = integrity.cuts();
        integrity.cut(55, 7);
        assert_eq!(integrity.damaged(), [damage(5, 7, 50, 55)]);
        assert_eq!(integrity.note(Findings { cuts, from: 0, to: 10, damaged: Vec::new() }), None);
        integrity.cut(50, 5);
        assert!(!integrity.is_damaged());
    }

    #[test]
    fn ranges_are_bounded() {
        let integrity = Integrity::new(1 << 40);
        for n in 0..100 {
            check(&integrity, 10 * n, 10 * n + 5, Vec::new()).expect("noted");
        }
        assert_eq!(integrity.state.lock().checked.len(), RANGES_MAX);
        for n in 0..2000u64 {
            let at = i64::try_from(10 * n).expect("small");
            check(&integrity, 0, 1, vec![damage(at, at + 1, 10 * n, 10 * n + 1)]).expect("noted");
        }
        let damaged = integrity.damaged();
        assert_eq!((damaged.len(), damaged.last().map(|d| d.end_offset)), (DAMAGED_MAX, Some(19_991)));
    }
}
