//! Bytes that are no sound batch: where the log goes on behind them, and what that means.

use std::io;
use std::path::Path;

use ottla_protocol::record_batch::{BatchHeader, HEADER_BYTES};

use crate::inspect::batch_file::{BatchFile, Step};
use crate::inspect::directory::Ended;
use crate::inspect::finding::{Finding, Severity};

/// Places that look like a batch and are computed through, before the search for the next sound one is given up.
const CANDIDATES_MAX: usize = 1000;
/// Bytes looked through at once.
const PIECE_BYTES: usize = 1 << 20;
/// Where the magic stands in a batch.
const MAGIC_AT: usize = 16;

/// A range of the file without a sound batch.
pub(super) struct Broken<'a> {
    pub(super) log: &'a Path,
    pub(super) start: u64,
    /// Where it ends.
    pub(super) end: u64,
    /// What was seen at its start.
    pub(super) seen: String,
    /// The offset that was expected there.
    pub(super) offset: i64,
    /// The base offset of the sound batch that follows in this file.
    pub(super) next: Option<i64>,
    /// Whether these are the first bytes of a batch that the end of the file cuts.
    pub(super) cut: bool,
    /// Whether every byte is zero.
    pub(super) zeros: bool,
}

/// Where the next sound batch begins, at or behind `from`: one whose checksum fits and whose offset is possible.
pub(in crate::inspect) fn next_sound(
    file: &mut BatchFile,
    from: u64,
    offsets: std::ops::Range<i64>,
) -> io::Result<Option<(u64, i64)>> {
    let mut candidates = 0;
    let mut piece_at = from;
    while piece_at + HEADER_BYTES as u64 <= file.len() {
        let piece = file.raw(piece_at, PIECE_BYTES)?;
        let (mut found, scanned) = (Vec::new(), piece.len().saturating_sub(HEADER_BYTES - 1));
        for skip in 0..scanned {
            // Far cheaper than reading a head, and true of every 256th byte only.
            if piece.get(skip + MAGIC_AT) == Some(&2) && piece.get(skip..).is_some_and(|b| plausible(b, &offsets)) {
                found.push(piece_at + skip as u64);
            }
        }
        if scanned == 0 {
            return Ok(None);
        }
        for position in found {
            candidates += 1;
            if candidates > CANDIDATES_MAX {
                return Ok(None);
            }
            if let Some(offset) = sound_at(file, position)? {
                return Ok(Some((position, offset)));
            }
        }
        piece_at += scanned as u64;
    }
    Ok(None)
}

fn plausible(bytes: &[u8], offsets: &std::ops::Range<i64>) -> bool {
    BatchHeader::read(bytes).is_ok_and(|h| {
        offsets.contains(&h.base_offset)
            && h.last_offset_delta >= 0
            && h.attributes & !0x7f == 0
            && h.producer_epoch >= -1
    })
}

/// The base offset of the sound batch at `position`, if there is one.
pub(super) fn sound_at(file: &mut BatchFile, position: u64) -> io::Result<Option<i64>> {
    file.seek(position);
    match file.next_step()? {
        Step::Batch(at) if file.crc_fits(&at)? => Ok(Some(at.header.base_offset)),
        Step::Batch(_) | Step::End | Step::Cut { .. } | Step::Broken { .. } => Ok(None),
    }
}

impl Broken<'_> {
    /// What it means where the process ended so, and everything up to `recovery_point` was synced.
    pub(super) fn finding(&self, ended: Ended, recovery_point: i64, last_segment: bool) -> Finding {
        let bytes = self.end - self.start;
        let at_end = self.next.is_none() && last_segment;
        let (severity, problem, remedy) = match ended {
            Ended::Running(_) if at_end && (self.cut || self.zeros) => {
                let what = if self.zeros { "zeros, preallocated perhaps" } else { "a batch that is being written" };
                (Severity::Note, format!("the last {bytes} bytes are {what}"), String::new())
            }
            Ended::Otherwise if self.offset >= recovery_point => {
                let problem = format!("{bytes} bytes are no sound batch: {}", self.seen);
                (Severity::Repairable, problem, self.will_be_cut(recovery_point))
            }
            Ended::Running(_) | Ended::Cleanly | Ended::Otherwise => {
                let problem =
                    format!("{bytes} bytes are no sound batch, though they were written whole once: {}", self.seen);
                (Severity::Damage, problem, self.lost())
            }
        };
        Finding::new(severity, self.log, problem).at(self.start).offset(self.offset).remedy(remedy)
    }

    fn will_be_cut(&self, recovery_point: i64) -> String {
        let behind = if self.next.is_some() { ", and with it the sound batches behind" } else { "" };
        format!(
            "the last process did not stop cleanly, and this lies behind the recovery point {recovery_point}: the next start cuts the log here{behind}"
        )
    }

    fn lost(&self) -> String {
        let range = match self.next {
            Some(next) if next > self.offset + 1 => format!("offsets {} to {}", self.offset, next - 1),
            Some(_) => format!("offset {}", self.offset),
            None => format!("offsets from {} on", self.offset),
        };
        format!(
            "{range} cannot be read here; if another replica has the partition, let this one be copied anew: stop the broker, remove the partition's directory, start; otherwise consumers go on behind them"
        )
    }
}
