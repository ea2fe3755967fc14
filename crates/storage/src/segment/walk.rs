//! A walk over every byte of a range, from batch to batch, which tells the sound ones from the damaged.
//!
//! A checksum covers a batch from its attributes on. Base offset and leader epoch lie before it, so they are held against
//! the neighbours': of two batches that contradict each other the one is believed that continues what came before both; if
//! neither does, neither is.

use ottla_env::fs::File;

use super::Segment;
use super::integrity::DamagedRange;
use super::resync::{self, Resync};
use super::verify::{Bounds, Until};
use crate::batch_reader::{BatchReader, Step};
use crate::batch_scan::BatchAt;
use crate::error::StorageError;

/// How far offsets and epochs have come.
#[derive(Debug, Clone, Copy)]
struct Reached {
    next_offset: i64,
    epoch: i32,
}

impl Reached {
    /// Whether `at` may come next. Its epoch counts below the offset `durable` only: behind it, a crash may have brought
    /// back what an earlier leader wrote, which is for recovery to judge.
    fn fits(&self, at: &BatchAt, durable: i64) -> bool {
        let header = &at.header;
        let epoch_fits = header.partition_leader_epoch >= self.epoch || header.base_offset >= durable;
        header.base_offset >= self.next_offset && epoch_fits
    }

    fn behind(at: &BatchAt) -> Self {
        Self { next_offset: at.header.next_offset(), epoch: at.header.partition_leader_epoch }
    }
}

/// Which of two batches is believed.
#[derive(Debug, Clone, Copy)]
enum Believed {
    Last,
    This,
    Neither,
}

/// One walk over batches.
pub(super) struct Walk<'a> {
    segment: &'a Segment,
    file: &'a File,
    size: u64,
    bounds: &'a Bounds,
    reader: BatchReader<'a>,
    /// Up to the last batch but one.
    before: Reached,
    /// Up to the last batch.
    after: Reached,
    /// The last batch, while the next one may still prove it wrong.
    last: Option<BatchAt>,
    /// Position of a batch that the walk began with, of which it does not know what came before.
    anchor: Option<u64>,
    /// Damage whose end is not known yet: position, first offset, reason.
    open: Option<(u64, i64, String)>,
    damaged: Vec<DamagedRange>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        segment: &'a Segment,
        file: &'a File,
        size: u64,
        bounds: &'a Bounds,
        anchor: Option<BatchAt>,
    ) -> Self {
        let start = anchor.as_ref().map_or(0, |at| at.position);
        let next_offset = anchor.as_ref().map_or(segment.base_offset, |at| at.header.base_offset);
        // -1 is the epoch of batches from before epochs.
        let reached = Reached { next_offset, epoch: -1 };
        Self {
            segment,
            file,
            size,
            bounds,
            reader: BatchReader::new(file, start, size),
            before: reached,
            after: reached,
            last: None,
            anchor: anchor.as_ref().map(|at| at.position),
            open: None,
            damaged: Vec::new(),
        }
    }

    /// Walks until everything before `until` is known to be sound or damaged, which takes the batch behind it. Gives how
    /// far it came; None if the batch that it began with is not to be relied on.
    pub(super) fn run(mut self, until: &Until) -> Result<Option<(u64, Vec<DamagedRange>)>, StorageError> {
        loop {
            let position = self.reader.position();
            match self.reader.next()? {
                Step::Batch(at) => {
                    if !self.batch(at, until.offset) {
                        return Ok(None);
                    }
                    let beyond = at.position >= until.position || at.header.base_offset >= until.offset;
                    if beyond && self.open.is_none() {
                        // The last one has no neighbour behind it yet.
                        return Ok(Some((at.position, self.damaged)));
                    }
                }
                Step::Broken if self.open.is_none() && self.after.next_offset >= until.offset => {
                    return Ok(Some((position, self.damaged)));
                }
                Step::Broken => {
                    self.damage(position, "its checksum does not fit its bytes");
                    self.resync(position)?;
                }
                Step::End => {
                    self.end();
                    return Ok(Some((self.size, self.damaged)));
                }
            }
        }
    }

    fn limit(&self) -> i64 {
        self.bounds.next_segment.unwrap_or(i64::MAX)
    }

    /// False if the anchor is not to be relied on.
    fn batch(&mut self, at: BatchAt, durable: i64) -> bool {
        const CONTRADICTS: &str = "its offset or leader epoch contradicts those around it";
        // Beyond what was durable although something below it is missing: nothing can have been appended there.
        let jumps = !self.bounds.compacted && self.after.next_offset < durable && at.header.base_offset >= durable;
        let jumps = jumps && at.header.base_offset > self.after.next_offset && self.open.is_none();
        let possible = at.header.last_offset_delta >= 0 && at.header.next_offset() <= self.limit() && !jumps;
        if possible && self.after.fits(&at, durable) {
            self.close(at.position, at.header.base_offset);
            self.before = self.after;
            self.after = Reached::behind(&at);
            self.last = Some(at);
            return true;
        }
        let last = self.last.filter(|_| possible && self.before.fits(&at, durable));
        match last.map(|last| (last, self.believed(&last, &at))) {
            None | Some((_, Believed::Last)) => self.damage(at.position, CONTRADICTS),
            Some((last, _)) if self.anchor == Some(last.position) => return false,
            Some((last, Believed::This)) => {
                self.after = self.before;
                self.damage(last.position, CONTRADICTS);
                self.close(at.position, at.header.base_offset);
                self.after = Reached::behind(&at);
                self.last = Some(at);
            }
            Some((last, Believed::Neither)) => {
                self.after = self.before;
                self.damage(last.position, CONTRADICTS);
            }
        }
        true
    }

    /// Which of two batches that contradict each other continues what came before them.
    fn believed(&self, last: &BatchAt, this: &BatchAt) -> Believed {
        let (last, this) = (&last.header, &this.header);
        let (last_continues, this_continues) = if this.base_offset < last.next_offset() {
            let behind_last = self.before.next_offset.saturating_add(i64::from(last.last_offset_delta) + 1);
            (last.base_offset == self.before.next_offset, this.base_offset == behind_last)
        } else {
            let epoch = self.before.epoch;
            (last.partition_leader_epoch == epoch, this.partition_leader_epoch == epoch)
        };
        match (last_continues, this_continues) {
            (true, _) => Believed::Last,
            (false, true) => Believed::This,
            (false, false) => Believed::Neither,
        }
    }

    fn damage(&mut self, position: u64, reason: &str) {
        self.last = None;
        self.open.get_or_insert((position, self.after.next_offset, reason.to_owned()));
    }

    /// Damage ends where a sound batch begins, or the file.
    fn close(&mut self, end_position: u64, end_offset: i64) {
        if let Some((position, first_offset, reason)) = self.open.take() {
            let segment = self.segment.base_offset;
            self.damaged.push(DamagedRange { segment, first_offset, end_offset, position, end_position, reason });
        }
    }

    fn resync(&mut self, position: u64) -> Result<(), StorageError> {
        let search = Resync {
            file: self.file,
            index: &self.segment.offsets,
            position,
            size: self.size,
            offsets: self.after.next_offset..self.limit(),
        };
        self.reader.seek(resync::find(&search)?);
        Ok(())
    }

    /// At the end of the file the next segment should go on.
    fn end(&mut self) {
        if let Some(last) = self.last
            && self.bounds.next_segment.is_none()
            && last.header.base_offset > self.before.next_offset
            && (self.before.next_offset + 1..last.header.next_offset()).contains(&self.bounds.given)
        {
            // No batch follows that could contradict it, but offsets are missing before it that were given, and it ends
            // beyond them. If none is known to have been given there, the gap may be a leader's.
            self.after = self.before;
            self.damage(last.position, "its offset lies beyond the end of the log");
        }
        let given = self.bounds.next_segment.unwrap_or(self.bounds.given.max(self.after.next_offset + 1));
        if self.open.is_some() {
            self.close(self.size, given);
        } else if self.bounds.next_segment.is_some_and(|next| self.after.next_offset < next)
            && !self.bounds.may_have_gap
        {
            self.damage(self.size, "the file ends before the next segment begins");
            self.close(self.size, given);
        }
    }
}
