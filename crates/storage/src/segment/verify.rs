//! The look at every byte of a range, once, before it is sent: sendfile never sees what it sends.
//!
//! ```text
//!    anchor      batch   batch      ▓▓▓▓▓▓▓▓▓▓▓     batch            next segment
//!   ├──────────┼───────┼───────────┼▓▓▓▓▓▓▓▓▓▓▓▓▓▓┼───────────┼ … ┤├────────────
//!    an index   offsets and epochs   no checksum    the first whole batch that
//!    entry      never fall           fits           goes on behind the damage
//! ```

use std::sync::Arc;

use ottla_env::fs::File;
use ottla_env::planted;

use super::Segment;
use super::integrity::{DamagedRange, Findings};
use super::walk::Walk;
use crate::access::Access;
use crate::batch_scan::BatchAt;
use crate::error::StorageError;

/// What lies around the range that is looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Base offset of the next segment; None: this one is the last.
    pub(crate) next_segment: Option<i64>,
    /// Whether offsets may be missing between this segment and the next: compaction took them, or they lie below the log
    /// start.
    pub(crate) may_have_gap: bool,
    /// Whether offsets may be missing anywhere, because compaction takes records.
    pub(crate) compacted: bool,
    /// Offsets below were given to records: if the end of the last segment is damaged, the damage reaches up to here.
    pub(crate) given: i64,
}

/// Where a look begins: a little before.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Around {
    /// The batch that holds an offset.
    Offset(i64),
    /// A position in the file.
    Position(u64),
}

impl Around {
    /// Whether it does not lie before a batch.
    fn lies_behind(&self, at: &BatchAt) -> bool {
        match *self {
            Self::Offset(offset) => at.header.base_offset <= offset,
            Self::Position(position) => at.position <= position,
        }
    }
}

/// Where a look ends: with the first batch that lies beyond one of them. What is behind the offset need not be whole.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Until {
    pub(crate) position: u64,
    pub(crate) offset: i64,
}

impl Until {
    /// The end of the segment.
    pub(crate) const END: Self = Self { position: u64::MAX, offset: i64::MAX };

    /// A position.
    pub(crate) fn position(position: u64) -> Self {
        Self { position, ..Self::END }
    }
}

impl Segment {
    /// Whether a slice that begins with `first` may be sent to whoever asked for `offset` without a look at its bytes.
    pub(crate) fn is_sound(&self, first: &BatchAt, end: u64, offset: i64) -> bool {
        // Offsets missing at the start of a slice are compaction's, or the batch before it lies about its offsets.
        let from = if first.header.base_offset <= offset { first.position } else { first.position.saturating_sub(1) };
        let is_believed = planted::is("what an earlier process wrote is sent unseen");
        is_believed || self.integrity.is_sound_from(from) || self.integrity.is_checked(from, end)
    }

    /// Looks at every byte from shortly before a batch up to `until`, and remembers what it found. True if damage was found
    /// that was not known.
    pub(crate) fn verify(&self, around: Around, until: Until, bounds: &Bounds) -> Result<bool, StorageError> {
        let file = self.file()?;
        loop {
            let cuts = self.integrity.cuts();
            let size = self.size();
            let anchor = self.anchor(&file, around, size)?;
            let mut anchor = anchor;
            let mut walked = Walk::new(self, &file, size, bounds, anchor).run(&until);
            if matches!(walked, Ok(None)) {
                anchor = None;
                walked = Walk::new(self, &file, size, bounds, anchor).run(&until);
            }
            if self.integrity.cuts() != cuts {
                // The file was cut meanwhile; what was read may be of before and after.
                continue;
            }
            let Some((to, damaged)) = walked? else { continue };
            let from = anchor.as_ref().map_or(0, |at| at.position);
            if let Some(new) = self.integrity.note(Findings { cuts, from, to, damaged }) {
                new.iter().for_each(|range| self.tell(range));
                return Ok(!new.is_empty());
            }
        }
    }

    /// Does `act`, which goes from head to head. Where it finds none, the damage is looked at, and it is done again.
    pub(crate) fn examined<T>(
        &self,
        bounds: impl Fn() -> Bounds,
        mut act: impl FnMut() -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        loop {
            match act() {
                Err(StorageError::NoBatch { path, position, reason }) => {
                    let (until, bounds) = (Until::position(position + 1), bounds());
                    // The head that says that a batch lies there may itself lie far before.
                    let is_new = self.verify(Around::Position(position), until, &bounds)?
                        || self.verify(Around::Position(0), until, &bounds)?;
                    if !is_new {
                        return Err(StorageError::NoBatch { path, position, reason });
                    }
                }
                other => return other,
            }
        }
    }

    /// Notes that records are missing which once were there.
    pub(crate) fn note_lost(&self, first_offset: i64, end_offset: i64, reason: String) {
        self.note_damage(self.size(), first_offset, end_offset, reason);
    }

    /// Notes that nothing from a position on is to be believed.
    pub(crate) fn note_damaged_end(&self, position: u64, first_offset: i64, bounds: &Bounds) {
        let end_offset = bounds.next_segment.unwrap_or(bounds.given.max(first_offset + 1));
        self.note_damage(position, first_offset, end_offset, "the batches contradict each other".to_owned());
    }

    fn note_damage(&self, position: u64, first_offset: i64, end_offset: i64, reason: String) {
        let (segment, end_position) = (self.base_offset, self.size());
        let range = DamagedRange { segment, first_offset, end_offset, position, end_position, reason };
        let damaged = vec![range];
        let findings = Findings { cuts: self.integrity.cuts(), from: position, to: end_position, damaged };
        for range in self.integrity.note(findings).iter().flatten() {
            self.tell(range);
        }
    }

    fn tell(&self, range: &DamagedRange) {
        self.folder.dir.count_damage();
        tracing::error!(
            path = %self.log_path().display(), first_offset = range.first_offset, end_offset = range.end_offset,
            position = range.position, end_position = range.end_position, reason = range.reason,
            "records are damaged on disk: reads from first_offset to before end_offset are answered with an error, \
             everything else is served. To go on, consumers seek to end_offset; to have the records back, stop the broker \
             and put a sound copy of the file in place"
        );
    }

    /// The batch that a look begins with: one index entry before the one that a search begins at, so that every batch that
    /// may be sent has a neighbour before it. None: the segment's first.
    fn anchor(&self, file: &Arc<File>, around: Around, size: u64) -> Result<Option<BatchAt>, StorageError> {
        let floor = match around {
            Around::Offset(offset) => self.offsets.floor(offset, Access::MayWait)?,
            Around::Position(position) => self.offsets.floor_position(position, Access::MayWait)?,
        };
        let Some(floor) = floor else { return Ok(None) };
        let before = match floor.position.checked_sub(1) {
            Some(before) => self.offsets.floor_position(before, Access::MayWait)?,
            None => None,
        };
        match before {
            Some(entry) if self.is_true(file, &entry, size, Access::MayWait)? => {
                match self.scanner(file, entry.position, size).next() {
                    Err(StorageError::NoBatch { .. }) => Ok(None),
                    // A wrong entry led to this one, and past what is to be looked at.
                    Ok(Some(at)) if !around.lies_behind(&at) => Ok(None),
                    other => other,
                }
            }
            Some(_) | None => Ok(None),
        }
    }
}
