//! One file of a directory, and what happens to it.

use std::fmt;

use super::Random;
use super::files::Files;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Damage {
    FlippedBit,
    ZeroedBlock,
    CutOff,
    OlderCopy,
    Missing,
}

pub(crate) const DAMAGES: [Damage; 5] =
    [Damage::FlippedBit, Damage::ZeroedBlock, Damage::CutOff, Damage::OlderCopy, Damage::Missing];

/// What was done to which file.
#[derive(Debug, Clone)]
pub(crate) struct Harm<Kind> {
    pub(crate) path: String,
    pub(crate) kind: Kind,
    pub(crate) damage: Damage,
    /// Where, for those that have a place: byte and bit, or the first byte and the length.
    pub(crate) place: (usize, usize),
}

impl<Kind> fmt::Display for Harm<Kind> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {:?} of {}", self.damage, self.place, self.path)
    }
}

/// Draws a kind, one of its files, and a damage that changes it; gives the damaged directory.
pub(crate) fn harm<Kind: Copy + Ord>(
    files: &Files,
    older: &Files,
    random: &mut Random,
    kind_of: impl Fn(&str) -> Kind,
) -> (Harm<Kind>, Files) {
    let mut kinds: Vec<_> = files.keys().map(|path| kind_of(path)).collect();
    kinds.sort_unstable();
    kinds.dedup();
    loop {
        let kind = *random.one_of(&kinds);
        let of_kind: Vec<_> = files.keys().filter(|path| kind_of(path) == kind).collect();
        let path = (*random.one_of(&of_kind)).clone();
        let damage = *random.one_of(&DAMAGES);
        let mut damaged = files.clone();
        if let Some(place) = apply(&mut damaged, &path, damage, older, random)
            && damaged != *files
        {
            return (Harm { path, kind, damage, place }, damaged);
        }
        // A file that is empty, or was not there earlier, can only go missing.
    }
}

/// None if the damage cannot be done to this file.
fn apply(files: &mut Files, path: &str, damage: Damage, older: &Files, random: &mut Random) -> Option<(usize, usize)> {
    let bytes = files.get_mut(path)?;
    match damage {
        Damage::Missing => {
            files.remove(path);
            return Some((0, 0));
        }
        Damage::OlderCopy => {
            bytes.clone_from(older.get(path)?);
            return Some((0, 0));
        }
        Damage::FlippedBit | Damage::ZeroedBlock | Damage::CutOff if bytes.is_empty() => return None,
        Damage::FlippedBit => {
            let (at, bit) = (random.below(bytes.len()), random.below(8));
            bytes[at] ^= 1 << bit;
            return Some((at, bit));
        }
        Damage::CutOff => bytes.truncate(random.below(bytes.len())),
        Damage::ZeroedBlock => {
            let block = *random.one_of(&[16, 64, 512]);
            let at = random.below(bytes.len()) / block * block;
            let end = (at + block).min(bytes.len());
            bytes[at..end].fill(0);
            return Some((at, block));
        }
    }
    Some((bytes.len(), 0))
}
