//! Bits that rot while no process runs: of batches that were on the device, as far as the recovery point says so.
//!
//! ```text
//!   stored   ├─ batch ─┼─ batch ─┼▓ rotten ▓┼─ batch ─┤        nothing else is lost, no offset is given twice
//!   read     ├─ batch ─┼─ batch ─┼─ damaged ┼─ batch ─┤        or as it was, where a copy from before took the log's place
//! ```
//! Only what a checksum covers rots, in one place of a log at a time; the other bytes are for the sweep of damage
//! (`corruption_sweep`). And only batches without a producer, so that what must be known of producers and of transactions stays
//! as exact as without rot. Of other files, the two indexes that guide searches rot, and nobody shall notice.

use std::ops::Range;
use std::path::PathBuf;

use ottla_env::fs;
use ottla_env::sim::{host, note};
use ottla_protocol::record_batch::{self, BatchHeader};
use ottla_storage::{Log, checkpoint};

use crate::chance;
use crate::model::{Batch, Part, read_past};
use crate::run::{End, Run};

/// What of a disk goes bad at once, in bytes: a sector, or what a smaller one would be.
const BLOCKS: [usize; 3] = [16, 64, 512];
/// Places that are tried until one may rot.
const TRIES: usize = 8;
/// Files that guide a search and decide nothing.
const INDEXES: [&str; 2] = [".index", ".timeindex"];

/// A file of a log.
struct Stored {
    /// Of which partition.
    at: usize,
    path: PathBuf,
    bytes: Vec<u8>,
    /// What ends behind may not be on the device.
    durable: i64,
}

/// A file as it has become, and the first offsets of the batches that this has changed.
struct Rotten {
    range: Range<usize>,
    bytes: Vec<u8>,
    batches: Vec<i64>,
}

impl Stored {
    /// Its batches and where they lie.
    fn batches(&self) -> Vec<(Range<usize>, BatchHeader)> {
        let mut end = 0;
        let place = |(header, bytes): (BatchHeader, &[u8])| {
            end += bytes.len();
            (end - bytes.len()..end, header)
        };
        record_batch::batches(&self.bytes).map_while(Result::ok).map(place).collect()
    }

    /// A bit of the first `len` bytes changes, or a block of them becomes zeros.
    fn damaged(&self, len: usize) -> (Range<usize>, Vec<u8>) {
        let (mut bytes, at) = (self.bytes.clone(), chance(len as u64));
        let range = if chance(2) == 0 {
            bytes[at] ^= 1 << chance(8);
            at..at + 1
        } else {
            let block = BLOCKS[chance(BLOCKS.len() as u64)];
            let range = at / block * block..(at / block * block + block).min(len);
            bytes[range.clone()].fill(0);
            range
        };
        (range, bytes)
    }

    /// Whatever of an index. None if it is empty.
    fn rot_anywhere(&self) -> Option<Rotten> {
        let (range, bytes) = (!self.bytes.is_empty()).then(|| self.damaged(self.bytes.len()))?;
        Some(Rotten { bytes: bytes[range.clone()].to_vec(), range, batches: Vec::new() })
    }

    /// Of a file of batches. None if anything would change that must not, or that no checksum covers.
    fn rot(&self) -> Option<Rotten> {
        let batches = self.batches();
        let len = batches.last().filter(|_| self.durable > 0)?.0.end;
        let (range, bytes) = self.damaged(len);
        let is_changed = |at: &Range<usize>| bytes[at.clone()] != self.bytes[at.clone()];
        let changed: Vec<_> = batches.iter().filter(|(at, _)| is_changed(at)).collect();
        let may_rot = |(at, header): &&(Range<usize>, BatchHeader)| {
            header.next_offset() <= self.durable && !header.has_producer_id() && !is_whole(&bytes[at.clone()])
        };
        // Behind a batch that does not say any more where it ends, the next is known by the one that follows it.
        let follow =
            |(at, header): &&(Range<usize>, BatchHeader)| at.start >= range.end && header.next_offset() <= self.durable;
        let says_end = |(at, _): &&(Range<usize>, BatchHeader)| !is_changed(&(at.start + 8..at.start + 12));
        let is_found = changed.iter().all(says_end) || batches.iter().filter(follow).count() >= 2;
        let may_all = is_found && !changed.is_empty() && changed.iter().all(may_rot);
        let batches = changed.iter().map(|(_, header)| header.base_offset).collect();
        may_all.then(|| Rotten { bytes: bytes[range.clone()].to_vec(), range, batches })
    }
}

/// Whether bytes are one batch that has the checksum that it states.
fn is_whole(bytes: &[u8]) -> bool {
    let is_one = |header: BatchHeader| header.size_bytes() == bytes.len();
    BatchHeader::read(bytes).is_ok_and(is_one) && record_batch::check_crc(bytes)
}

impl Run {
    /// A process has ended, and before the next one starts something of a log rots.
    pub(crate) fn rot(&mut self, end: Option<End>) {
        if end == Some(End::Killed) {
            // Time passes: what was written is on the device, recovery points included.
            fs::sync_file_system("/").expect("the disk is sound");
        }
        let of_index = chance(3) == 0;
        let kinds: &[&str] = if of_index { &INDEXES } else { &[".log"] };
        let files = self.files(kinds);
        for _ in 0..TRIES {
            let Some(file) = (!files.is_empty()).then(|| &files[chance(files.len() as u64)]) else { return };
            if let Some(rotten) = if of_index { file.rot_anywhere() } else { file.rot() } {
                let Range { start, end } = rotten.range;
                note(&format!(
                    "{start}..{end} of {} rots, of the batches at {:?}",
                    file.path.display(),
                    rotten.batches
                ));
                host("main").rot_file(&file.path, start as u64, &rotten.bytes).expect("there");
                self.parts[file.at].rotten.extend(rotten.batches);
                self.has_rotted |= !of_index;
                self.unseen = Some(file.at);
                return;
            }
        }
    }

    /// All files of these kinds of partitions whose batches are sound.
    fn files(&self, kinds: &[&str]) -> Vec<Stored> {
        let mut files = Vec::new();
        for dir in &self.dirs {
            let noted = checkpoint::read(&dir.join("recovery-point-offset-checkpoint")).expect("sound");
            for (at, part) in self.parts.iter().enumerate().filter(|(_, part)| part.exists && part.rotten.is_empty()) {
                let folder = dir.join(format!("{}-{}", part.topic, part.partition));
                let point = noted.get(&(std::sync::Arc::from(part.topic), part.partition)).copied().unwrap_or(0);
                let entries = if fs::exists(&folder) { fs::read_dir(&folder).expect("listed") } else { Vec::new() };
                let is_of_kind = |name: &str| kinds.iter().any(|kind| name.ends_with(kind));
                for entry in entries.into_iter().filter(|entry| is_of_kind(&entry.name)) {
                    let path = folder.join(entry.name);
                    let bytes = fs::read(&path).expect("read");
                    files.push(Stored { at, path, bytes, durable: point.min(part.durable) });
                }
            }
        }
        files
    }
}

impl Part {
    /// Whether something of what is stored of a batch has rotted.
    pub(crate) fn has_rotted(&self, batch: &Batch) -> bool {
        self.rotten.contains(&batch.header.base_offset)
    }

    /// Whether it has rotted and reaches beyond `offset`, which lies within it perhaps.
    pub(crate) fn is_rotten_behind(&self, batch: &Batch, offset: i64) -> bool {
        self.has_rotted(batch) && batch.header.next_offset() > offset
    }

    /// Whether gaps between its batches are told to nobody.
    fn is_or_was_compacted(&self) -> bool {
        self.was_compacted || self.config.cleanup_policy.compact
    }

    /// What is told to be damaged has rotted, and is no more than that.
    pub(crate) fn check_damage(&self, (first, end): (i64, i64)) {
        assert!(
            self.rotten.range(first..end).next().is_some(),
            "nothing has rotted of {first}..{end}: {:?}",
            self.rotten
        );
        let within = |batch: &&Batch| batch.header.base_offset < end && batch.header.next_offset() > first;
        let sound = self.visible().filter(within).find(|batch| !self.has_rotted(batch));
        assert!(sound.is_none(), "{first}..{end} is told to be damaged, with {:?}", sound.map(|batch| batch.header));
    }

    /// The log tells of no damage but what has rotted.
    pub(crate) fn check_damaged(&self, log: &Log) {
        log.damaged().iter().for_each(|range| self.check_damage((range.first_offset, range.end_offset)));
    }

    /// Reads to the end, as a consumer that goes on behind what it is told to be damaged. What has rotted is told, or there.
    pub(crate) fn read(&self, log: &Log, from: i64) -> Vec<Vec<u8>> {
        let mut told = Vec::new();
        let found = read_past(log, from, |range| told.push(range));
        self.check_told(log, from, &found, &told);
        found
    }

    /// Of what was read from an offset on, and told to be damaged meanwhile: what has rotted is told, or there.
    pub(crate) fn check_told(&self, log: &Log, from: i64, found: &[Vec<u8>], told: &[(i64, i64)]) {
        told.iter().for_each(|range| self.check_damage(*range));
        let base_of = |bytes: &Vec<u8>| BatchHeader::read(bytes).expect("a batch").base_offset;
        let rotten = self.visible().filter(|batch| self.has_rotted(batch)).map(|batch| batch.header.base_offset);
        for base in rotten.filter(|base| (from..log.log_end_offset()).contains(base)) {
            let is_told = told.iter().any(|(first, end)| (*first..*end).contains(&base));
            // In a compacted topic one that says to be smaller leaves a gap as compaction does.
            let is_known = is_told || self.is_or_was_compacted() || found.iter().any(|bytes| base_of(bytes) == base);
            assert!(is_known, "the batch at {base} has rotted and is passed over without a word");
        }
    }

    /// What a fetch should bring that brought this, of what there is from its offset on: without what has rotted there, where
    /// that cannot be told from a gap.
    pub(crate) fn without_passed_over<'a>(&self, wanted: Vec<&'a Batch>, found: &[Batch]) -> Vec<&'a Batch> {
        let rotten = wanted.iter().take_while(|batch| self.has_rotted(batch)).count();
        let goes_on = wanted.get(rotten).map(|batch| batch.header.base_offset);
        let is_there = |first: &Batch| Some(first.header.base_offset) == goes_on;
        let is_passed = rotten > 0 && self.is_or_was_compacted() && found.first().is_none_or(is_there);
        if is_passed { wanted.into_iter().skip(rotten).collect() } else { wanted }
    }
}
