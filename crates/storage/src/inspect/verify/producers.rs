//! Producers and transactions: what the batches say, and beside it what `.txnindex` and `.snapshot` files say.
//!
//! The state is built as a broker builds it, from the first batch on. What began before that, and what compaction has
//! taken, is not known here; it is believed where it cannot be contradicted.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use super::reporter::Reporter;
use crate::batch_scan::BatchAt;
use crate::error::StorageError;
use crate::inspect::finding::{Finding, Severity, Watcher};
use crate::inspect::index_files::TransactionIndexFile;
use crate::inspect::producers::{SnapshotProducer, read_producers};
use crate::producer_state::{Marker, ProducerEntry, ProducerState};
use crate::transaction_index::{AbortedTransaction, ENTRY_BYTES};

/// Producers that are followed; a log with more is only checked batch by batch.
pub(super) const PRODUCERS_MAX: usize = 1_000_000;
/// Bytes of a snapshot before its first producer, and of each.
const SNAPSHOT_HEAD: u64 = 10;
const SNAPSHOT_ENTRY: u64 = 46;

const REBUILD: &str = "while the broker is stopped, remove .kafka_cleanshutdown and recovery-point-offset-checkpoint: the next start reads every batch and writes the index anew";
const REMOVE_SNAPSHOT: &str = "remove the file while the broker is stopped: the next start reads the batches behind the snapshot before it instead";

/// See the module.
pub(super) struct ProducerCheck {
    state: ProducerState,
    followed: bool,
    /// Snapshots not yet reached: their offsets and files.
    snapshots: VecDeque<(i64, PathBuf)>,
    /// First offset of the log.
    first: Option<i64>,
    /// Whether records may be missing: compaction was here, or something could not be read.
    pub(super) lenient: bool,
}

/// The transaction index of the segment in hand.
pub(super) struct TransactionCheck {
    path: PathBuf,
    entries: VecDeque<(u64, AbortedTransaction)>,
}

impl ProducerCheck {
    pub(super) fn new(snapshots: VecDeque<(i64, PathBuf)>, lenient: bool) -> Self {
        Self { state: ProducerState::default(), followed: true, snapshots, first: None, lenient }
    }

    /// A sound batch comes next. `bytes` are its own.
    pub(super) fn batch(
        &mut self,
        log: &Path,
        at: &BatchAt,
        bytes: &[u8],
        index: &mut TransactionCheck,
        reporter: &mut Reporter<'_>,
    ) {
        self.first.get_or_insert(at.header.base_offset);
        self.snapshots_up_to(at.header.base_offset, reporter);
        if !self.followed || !at.header.has_producer_id() {
            return;
        }
        let marker = if at.header.is_control() { Marker::read(bytes) } else { None };
        let aborted = self.state.replay(&at.header, marker);
        if let Some(marker) = marker {
            // Every marker counts as replicated: only what is open is asked for here.
            self.state.set_high_watermark(i64::MAX);
            if !marker.commit {
                self.aborted(log, at, aborted, index, reporter);
            }
        }
        if self.state.len() > PRODUCERS_MAX {
            self.followed = false;
            self.state = ProducerState::default();
            let problem = format!(
                "more than {PRODUCERS_MAX} producers: transaction indexes and snapshots from here on are not compared"
            );
            reporter.found(Finding::new(Severity::Note, log, problem).at(at.position));
        }
    }

    /// An abort marker, and what its transaction was as far as the batches tell.
    fn aborted(
        &self,
        log: &Path,
        at: &BatchAt,
        known: Option<AbortedTransaction>,
        index: &mut TransactionCheck,
        reporter: &mut Reporter<'_>,
    ) {
        let offset = at.header.base_offset;
        index.skip_below(offset, self.lenient, reporter);
        let noted = index.entries.front().copied().filter(|(_, t)| t.last_offset == offset);
        if noted.is_some() {
            index.entries.pop_front();
        }
        let producer_id = at.header.producer_id;
        match (noted, known) {
            (Some((n, t)), _) if t.producer_id != producer_id => {
                let problem = format!(
                    "entry {n} says producer {}, the marker at offset {offset} is of producer {producer_id}",
                    t.producer_id
                );
                index.complain(n, &t, Severity::Damage, problem, reporter);
            }
            (Some((n, t)), Some(known)) if t.first_offset != known.first_offset => {
                // The first records may be gone: below the start of the log, or compacted.
                let earlier = t.first_offset < known.first_offset;
                if !(earlier && (self.lenient || self.first.is_some_and(|first| t.first_offset < first))) {
                    let problem = format!(
                        "entry {n} says that the transaction began at {}, its first batch is at {}",
                        t.first_offset, known.first_offset
                    );
                    index.complain(n, &t, Severity::Damage, problem, reporter);
                }
            }
            (Some((n, t)), Some(known)) if !self.lenient && self.hides(&t, &known) => {
                let problem = format!(
                    "entry {n} says that the last stable offset was {}, it was {}",
                    t.last_stable_offset, known.last_stable_offset
                );
                index.complain(n, &t, Severity::Repairable, problem, reporter);
            }
            (Some((n, t)), None) if !self.lenient && self.first.is_some_and(|first| t.first_offset >= first) => {
                let problem = format!(
                    "entry {n} says that producer {producer_id} had a transaction open from {} on, but there is no batch of it",
                    t.first_offset
                );
                index.complain(n, &t, Severity::Repairable, problem, reporter);
            }
            (None, Some(known)) => {
                let problem = format!(
                    "the transaction of producer {producer_id} from offset {} to {offset} was aborted, but {} does not say so: consumers would take its records for committed",
                    known.first_offset,
                    index.path.file_name().unwrap_or_default().display()
                );
                reporter.found(
                    Finding::new(Severity::Damage, log, problem)
                        .at(at.position)
                        .offset(known.first_offset)
                        .remedy(REBUILD),
                );
            }
            (Some(_), Some(_) | None) | (None, None) => {}
        }
    }

    /// Whether a last stable offset is another one than the batches say. A transaction from before the start of the log may
    /// have kept it lower.
    fn hides(&self, noted: &AbortedTransaction, known: &AbortedTransaction) -> bool {
        let stable = noted.last_stable_offset;
        stable != known.last_stable_offset && self.first.is_none_or(|first| stable >= first || stable < 0)
    }

    /// Compares snapshots of all batches below `offset`, which have passed.
    fn snapshots_up_to(&mut self, offset: i64, reporter: &mut Reporter<'_>) {
        while let Some((at, _)) = self.snapshots.front()
            && *at <= offset
        {
            if let Some((at, path)) = self.snapshots.pop_front() {
                self.snapshot(at, &path, reporter);
            }
        }
    }

    /// The log ends at `end`.
    pub(super) fn end(&mut self, end: i64, running: bool, reporter: &mut Reporter<'_>) {
        self.snapshots_up_to(end, reporter);
        for (at, path) in std::mem::take(&mut self.snapshots) {
            if !running {
                let problem = format!("it speaks of offsets up to {at}, but the log ends at {end}");
                let remedy = "the next start removes it; if the log was longer once, checkpoints above its end say so";
                reporter.found(Finding::new(Severity::Repairable, &path, problem).offset(end).remedy(remedy));
            }
        }
    }

    fn snapshot(&self, offset: i64, path: &Path, reporter: &mut Reporter<'_>) {
        let producers = match read_producers(path) {
            Ok(producers) => producers,
            Err(StorageError::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => return,
            Err(error) => {
                let problem = match error {
                    StorageError::Corrupt { reason, .. } => format!("it cannot be used: {reason}"),
                    other => other.to_string(),
                };
                let remedy = "the next start removes it and reads the batches behind the snapshot before it instead";
                reporter.found(Finding::new(Severity::Repairable, path, problem).remedy(remedy));
                return;
            }
        };
        reporter.read(SNAPSHOT_HEAD + producers.len() as u64 * SNAPSHOT_ENTRY);
        let Some(first) = self.first.filter(|first| *first < offset && self.followed) else { return };
        for (n, noted) in producers.iter().enumerate() {
            if let Some(problem) = self.contradiction(noted, first, offset) {
                let position = SNAPSHOT_HEAD + n as u64 * SNAPSHOT_ENTRY;
                let finding = Finding::new(Severity::Repairable, path, problem).at(position).offset(offset);
                reporter.found(finding.remedy(REMOVE_SNAPSHOT));
            }
        }
        let known: std::collections::BTreeSet<i64> = producers.iter().map(|p| p.producer_id).collect();
        for (id, entry) in self.state.entries() {
            if let Some(start) = entry.transaction_start.filter(|_| !known.contains(&id) && !self.lenient) {
                let problem = format!("producer {id} has a transaction open from offset {start} on, but is not in it");
                reporter.found(Finding::new(Severity::Repairable, path, problem).offset(start).remedy(REMOVE_SNAPSHOT));
            }
        }
    }

    /// What of a snapshot's producer the batches contradict.
    fn contradiction(&self, noted: &SnapshotProducer, first: i64, snapshot: i64) -> Option<String> {
        let id = noted.producer_id;
        let noted_last = noted.last_batch.map(|batch| batch.last_offset);
        if noted_last.is_some_and(|last| last >= snapshot) {
            return Some(format!(
                "it says that the last batch of producer {id} ends with {}, above itself",
                noted_last.unwrap_or(-1)
            ));
        }
        let entry: Option<&ProducerEntry> = self.state.entry(id);
        let last = entry.and_then(ProducerEntry::last);
        let told = |offset: Option<i64>| offset.map_or("none".to_owned(), |offset| offset.to_string());
        let missing_is_fine = self.lenient || noted_last.is_none_or(|last| last < first);
        let differs = match (last.map(|b| b.last_offset), noted_last) {
            (Some(seen), Some(noted)) if seen < noted => !missing_is_fine,
            (None, Some(_)) => !missing_is_fine,
            (seen, noted) => seen != noted,
        };
        if differs {
            let seen = told(last.map(|b| b.last_offset));
            return Some(format!(
                "it says that the last batch of producer {id} ends with {}, in the log it is {seen}",
                told(noted_last)
            ));
        }
        if let (Some(seen), Some(batch)) = (last, noted.last_batch)
            && seen.last_offset == batch.last_offset
            && (seen.last_sequence, entry.map(|e| e.epoch)) != (batch.last_sequence, Some(noted.epoch))
        {
            return Some(format!(
                "it says sequence {} and epoch {} for producer {id}, its last batch has {} and {}",
                batch.last_sequence,
                noted.epoch,
                seen.last_sequence,
                entry.map_or(-1, |e| e.epoch)
            ));
        }
        let open = entry.and_then(|e| e.transaction_start);
        let fine = match (open, noted.transaction_start) {
            (Some(seen), Some(noted)) => seen == noted || (noted < seen && (self.lenient || noted < first)),
            (None, Some(noted)) => self.lenient || noted < first,
            (Some(_), None) => self.lenient,
            (None, None) => true,
        };
        (!fine).then(|| {
            format!(
                "it says that the open transaction of producer {id} began at {}, in the log at {}",
                told(noted.transaction_start),
                told(open)
            )
        })
    }
}

impl TransactionCheck {
    /// Reads the index of a segment; one that does not exist is empty.
    pub(super) fn open(path: PathBuf, exists: bool, running: bool, reporter: &mut Reporter<'_>) -> Self {
        let mut check = Self { path, entries: VecDeque::new() };
        if exists && let Err(error) = check.load(reporter) {
            reporter.unreadable(&check.path, &error, running);
        }
        check
    }

    fn load(&mut self, reporter: &mut Reporter<'_>) -> std::io::Result<()> {
        let mut file = TransactionIndexFile::open(&self.path)?;
        reporter.read(file.len() * ENTRY_BYTES as u64);
        if file.odd_bytes() > 0 {
            let problem = format!("it ends with {} bytes that are no entry", file.odd_bytes());
            let position = file.len() * ENTRY_BYTES as u64;
            reporter.found(Finding::new(Severity::Repairable, &self.path, problem).at(position).remedy(REBUILD));
        }
        let mut before = i64::MIN;
        for n in 0..file.len() {
            let (version, t) = file.entry(n)?;
            if version != 0 {
                self.complain(
                    n,
                    &t,
                    Severity::Damage,
                    format!("entry {n} has version {version}; 0 is known"),
                    reporter,
                );
            } else if t.first_offset > t.last_offset || t.last_offset < before || t.first_offset < 0 {
                let problem = format!(
                    "entry {n} (offsets {} to {}) does not come after the one before it",
                    t.first_offset, t.last_offset
                );
                self.complain(n, &t, Severity::Damage, problem, reporter);
            } else {
                before = t.last_offset;
                self.entries.push_back((n, t));
            }
        }
        Ok(())
    }

    /// Entries whose marker has not come.
    fn skip_below(&mut self, offset: i64, compacted: bool, reporter: &mut Reporter<'_>) {
        while let Some((n, t)) = self.entries.front().copied().filter(|(_, t)| t.last_offset < offset) {
            self.entries.pop_front();
            if !compacted {
                let problem = format!(
                    "entry {n} names the abort marker of producer {} at offset {}, where there is none",
                    t.producer_id, t.last_offset
                );
                self.complain(n, &t, Severity::Damage, problem, reporter);
            }
        }
    }

    /// The segment ends. Where something of it could not be read, so could its markers.
    pub(super) fn end(mut self, compacted: bool, lenient: bool, reporter: &mut Reporter<'_>) {
        self.skip_below(i64::MAX, compacted || lenient, reporter);
    }

    fn complain(
        &self,
        n: u64,
        t: &AbortedTransaction,
        severity: Severity,
        problem: String,
        reporter: &mut Reporter<'_>,
    ) {
        let finding = Finding::new(severity, &self.path, problem).at(n * ENTRY_BYTES as u64).offset(t.first_offset);
        reporter.found(finding.remedy(REBUILD));
    }
}
