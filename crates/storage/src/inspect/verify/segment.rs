//! One segment: every batch from front to back, with its indexes beside it.

use std::io;
use std::path::{Path, PathBuf};

use super::broken::{self, Broken};
use super::offset_index::OffsetIndexCheck;
use super::partition::Partition;
use super::producers::TransactionCheck;
use super::records;
use super::reporter::Reporter;
use super::time_index::TimeIndexCheck;
use crate::batch_scan::BatchAt;
use crate::file_names::{INDEX, LOG, TIME_INDEX, TXN_INDEX};
use crate::inspect::batch_file::{BatchFile, Step};
use crate::inspect::finding::{Finding, Severity, Watcher};
use crate::inspect::partition_files::SegmentEntry;
use crate::inspect::window::first_not_zero;

const COPY_ANEW: &str = "if another replica has the partition, let this one be copied anew: stop the broker, remove the partition's directory, start";

/// A segment while it is read.
struct Walk<'p, 'r, 'w> {
    p: &'p mut Partition,
    reporter: &'r mut Reporter<'w>,
    log: PathBuf,
    base_offset: i64,
    next_base: Option<i64>,
    /// The smallest offset that the next batch may begin with.
    expected: i64,
    /// The batch before, and what was expected of it.
    before: Option<(BatchAt, i64)>,
    offsets: OffsetIndexCheck,
    times: TimeIndexCheck,
    aborted: TransactionCheck,
    /// Something could not be read.
    torn: bool,
}

/// Reads a segment; the one behind it begins with `next_base`.
pub(super) fn verify(p: &mut Partition, entry: &SegmentEntry, next_base: Option<i64>, reporter: &mut Reporter<'_>) {
    let base = entry.base_offset;
    let log = p.files.file(base, LOG);
    let running = p.running();
    let mut file = match BatchFile::open(&log) {
        Ok(file) => file,
        Err(error) => return reporter.unreadable(&log, &error, running),
    };
    reporter.totals_mut().segments += 1;
    follows(p, &log, base, reporter);
    // Ottla keeps the last entries of an active segment in memory, and a killed process loses them: they are not missed.
    let wanted = entry.log > 0;
    let (index, time_index, txn_index) =
        (p.files.file(base, INDEX), p.files.file(base, TIME_INDEX), p.files.file(base, TXN_INDEX));
    let mut walk = Walk {
        offsets: OffsetIndexCheck::open(index, entry.index.is_some(), wanted, running, reporter),
        times: TimeIndexCheck::open(time_index, entry.time_index.is_some(), wanted, running, reporter),
        aborted: TransactionCheck::open(txn_index, entry.txn_index.is_some(), running, reporter),
        p,
        reporter,
        log,
        base_offset: base,
        next_base,
        expected: base,
        before: None,
        torn: false,
    };
    if let Err(error) = walk.batches(&mut file) {
        walk.reporter.unreadable(&walk.log, &error, running);
        walk.torn = true;
    }
    walk.end(file.len());
}

/// Whether the segment begins where the one before it ends.
fn follows(p: &mut Partition, log: &Path, base: i64, reporter: &mut Reporter<'_>) {
    let Some(end) = p.next_offset else { return };
    if base < end {
        let problem = format!("the segment begins with offset {base}, but the one before it ends with {}", end - 1);
        reporter.found(Finding::new(Severity::Damage, log, problem).offset(base).remedy(COPY_ANEW));
    } else if base > end {
        let problem = format!("offsets {end} to {} are missing between this segment and the one before it", base - 1);
        p.hole(Finding::new(Severity::Damage, log, problem).offset(end).remedy(
            "a segment was lost, or the end of one; if another replica has the partition, let this one be copied anew: stop the broker, remove the partition's directory, start",
        ));
    }
}

impl Walk<'_, '_, '_> {
    fn batches(&mut self, file: &mut BatchFile) -> io::Result<()> {
        loop {
            let (start, seen, cut) = match file.next_step()? {
                Step::End => return Ok(()),
                Step::Batch(at) if file.crc_fits(&at)? => {
                    self.batch(file, &at)?;
                    continue;
                }
                Step::Batch(at) => {
                    let seen = format!(
                        "the checksum of the batch of offsets {} to {} does not fit",
                        at.header.base_offset,
                        at.header.last_offset()
                    );
                    if at.end() == file.len() || broken::sound_at(file, at.end())?.is_some() {
                        self.broken(file, at.position, at.end(), seen, false)?;
                        continue;
                    }
                    (at.position, seen, false)
                }
                Step::Cut { position, bytes } => {
                    (position, format!("a batch begins, but the file ends {bytes} bytes further"), true)
                }
                Step::Broken { position, error } => (position, error.to_string(), false),
            };
            let offsets = self.expected..self.next_base.unwrap_or(i64::MAX);
            let end = broken::next_sound(file, start + 1, offsets)?.map_or(file.len(), |(position, _)| position);
            self.broken(file, start, end, seen, cut && end == file.len())?;
        }
    }

    /// A range without a sound batch, behind which the file is read on.
    fn broken(&mut self, file: &mut BatchFile, start: u64, end: u64, seen: String, cut: bool) -> io::Result<()> {
        let next = if end < file.len() { broken::sound_at(file, end)? } else { None };
        let zeros = all_zeros(file, start, end)?;
        let broken = Broken { log: &self.log, start, end, seen, offset: self.expected, next, cut, zeros };
        let recovery_point = self.p.known.recovery_point.unwrap_or(0);
        self.reporter.read(end - start);
        self.reporter.found(broken.finding(self.p.ended, recovery_point, self.next_base.is_none()));
        self.torn = true;
        // What the hole does to the offsets is said already.
        self.before = None;
        self.expected = next.unwrap_or(self.expected).max(self.expected);
        self.offsets.pass_over(end, self.reporter);
        self.times.pass_over(self.expected, 0..0, self.reporter);
        self.p.producers.lenient = true;
        file.seek(end);
        Ok(())
    }

    /// A batch whose checksum fits.
    fn batch(&mut self, file: &mut BatchFile, at: &BatchAt) -> io::Result<()> {
        self.reporter.read(at.header.size_bytes() as u64);
        self.reporter.totals_mut().batches += 1;
        let expected = self.expected;
        let in_place = self.place(at);
        let bytes = file.bytes(at)?;
        match records::check(&at.header, bytes, &mut self.p.window) {
            Ok(inside) => {
                self.reporter.totals_mut().records += inside.records;
                if inside.hollow {
                    self.p.set_compacted();
                }
                if let Some((stated, largest)) = inside.timestamps {
                    let problem = format!(
                        "the batch says that its largest timestamp is {stated}, but it is {largest}; searches by time go by what it says"
                    );
                    self.reporter.found(
                        Finding::new(Severity::Note, &self.log, problem).at(at.position).offset(at.header.base_offset),
                    );
                }
            }
            Err(reason) => {
                let problem = format!("the checksum of the batch fits, but its records are not well formed: {reason}");
                self.reporter.found(Finding::new(Severity::Damage, &self.log, problem).at(at.position).offset(at.header.base_offset).remedy(
                    "it was written so: other replicas have the same; consumers that stop here go on behind it by hand",
                ));
            }
        }
        if in_place {
            self.offsets.batch(at, self.reporter);
            self.times.batch(at, self.reporter);
            self.p.epochs.batch(&self.log, at, self.p.producers.lenient, self.reporter);
            self.p.producers.batch(&self.log, at, bytes, &mut self.aborted, self.reporter);
        } else {
            let end = after(expected, at);
            self.offsets.pass_over(at.end(), self.reporter);
            self.times.pass_over(end, at.header.base_offset..at.header.next_offset(), self.reporter);
            self.p.producers.lenient = true;
        }
        Ok(())
    }

    /// Whether the batch's offsets, which are outside of its checksum, are those that its place in the log demands.
    fn place(&mut self, at: &BatchAt) -> bool {
        let (base, last) = (at.header.base_offset, at.header.last_offset());
        let (expected, before) = (self.expected, self.before.take());
        self.before = Some((*at, expected));
        self.expected = at.header.next_offset();
        if at.header.last_offset_delta < 0 || self.next_base.is_some_and(|next| last >= next) {
            let next = self
                .next_base
                .map_or("each other".to_owned(), |next| format!("the next segment, which begins with {next}"));
            self.misplaced(at, format!("the batch's offsets {base} to {last} run into {next}"));
            self.expected = after(expected, at);
            return false;
        }
        if base > expected && !self.p.compacted {
            let problem = format!(
                "offsets {expected} to {} are missing before this batch, though nothing says that the log was ever compacted",
                base - 1
            );
            let finding = Finding::new(Severity::Damage, &self.log, problem).at(at.position).offset(expected);
            self.p.hole(finding.remedy(COPY_ANEW));
            return false;
        }
        if base >= expected {
            return true;
        }
        // If it fits behind the batch before the last, it is the last that says a wrong offset, and the hole there was none.
        if let Some((before, wanted)) = before.filter(|(before, wanted)| base == after(*wanted, before)) {
            self.p.holes.retain(|hole| hole.path != self.log || hole.position != Some(before.position));
            let stated = before.header.base_offset;
            self.misplaced(&before, format!("the batch says base offset {stated}, its neighbours put it at {wanted}"));
            return true;
        }
        self.misplaced(
            at,
            format!("the batch begins with offset {base}, but the one before it ends with {}", expected - 1),
        );
        self.expected = after(expected, at);
        false
    }

    fn misplaced(&mut self, at: &BatchAt, problem: String) {
        let finding = Finding::new(Severity::Damage, &self.log, problem).at(at.position).offset(at.header.base_offset);
        self.reporter.found(finding.remedy(COPY_ANEW));
    }

    fn end(self, size: u64) {
        let Self { p, reporter, base_offset, next_base, expected, offsets, times, aborted, torn, .. } = self;
        let settled = next_base.is_some_and(|next| next <= p.settled_below);
        let moving = p.running() && !settled;
        let lenient = torn || moving;
        offsets.end(size, lenient, reporter);
        times.end(settled && !torn, lenient, reporter);
        aborted.end(p.producers.lenient, lenient, reporter);
        // What could not be read up to the next segment is told; what comes behind is not held against it again.
        let end = if torn { next_base.unwrap_or(expected) } else { expected };
        p.next_offset = Some(end.max(base_offset));
    }
}

/// The offset after a batch that begins with `offset`.
fn after(offset: i64, at: &BatchAt) -> i64 {
    offset.saturating_add(i64::from(at.header.last_offset_delta.max(0)) + 1)
}

fn all_zeros(file: &mut BatchFile, start: u64, end: u64) -> io::Result<bool> {
    let mut at = start;
    while at < end {
        let len = usize::try_from(end - at).unwrap_or(usize::MAX).min(1 << 20);
        let piece = file.raw(at, len)?;
        if piece.is_empty() || first_not_zero(piece).is_some() {
            return Ok(false);
        }
        at += piece.len() as u64;
    }
    Ok(true)
}
