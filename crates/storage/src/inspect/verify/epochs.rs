//! `leader-epoch-checkpoint` beside the epochs in the batches.

use std::path::{Path, PathBuf};

use ottla_env::fs;
use ottla_protocol::record_batch::MAGIC;

use super::log_end::Loss;
use super::reporter::Reporter;
use crate::batch_scan::BatchAt;
use crate::inspect::finding::{Finding, Severity, Watcher};
use crate::leader_epoch_cache::{self, EpochStart, LeaderEpochCache};

/// What makes recovery write the file anew, in Apache Kafka too.
const REBUILD: &str = "while the broker is stopped, remove this file, .kafka_cleanshutdown and recovery-point-offset-checkpoint: the next start reads every batch and writes the epochs anew";

/// See the module.
pub(super) struct EpochCheck {
    path: PathBuf,
    /// None when there is nothing to compare with.
    cache: Option<LeaderEpochCache>,
    missing: bool,
    /// A process that did not stop cleanly, or has not stopped, writes the file before the recovery point passes an epoch.
    trusted_below: i64,
    /// The epoch of the last batch, and the last one that was complained of.
    last: i32,
    complained: Option<i32>,
    /// The batch before, if the largest epoch so far came with it, and that of the batches before.
    raised: Option<(PathBuf, BatchAt, i32)>,
    /// There was a batch whose epoch the file must have.
    wanted: bool,
}

impl EpochCheck {
    pub(super) fn open(dir: &Path, trusted_below: i64, reporter: &mut Reporter<'_>) -> Self {
        let path = dir.join(leader_epoch_cache::FILE_NAME);
        let missing = !fs::exists(&path);
        // Kafka makes an empty one for a log that nothing was appended to.
        let empty = fs::file_len(&path).is_ok_and(|len| len == 0);
        let cache = match fs::read_to_string(&path) {
            Ok(_) if empty => Some(LeaderEpochCache::default()),
            _ if missing => None,
            Err(error) => {
                reporter.unreadable(&path, &error, false);
                None
            }
            Ok(text) => match LeaderEpochCache::from_text(&text) {
                Ok(cache) => {
                    check_order(&path, &text, &cache, reporter);
                    Some(cache)
                }
                Err(reason) => {
                    let problem = format!("it cannot be understood: {reason}");
                    let remedy =
                        "Ottla's next start reads the epochs from the batches; for Apache Kafka, ".to_owned() + REBUILD;
                    reporter.found(Finding::new(Severity::Repairable, &path, problem).remedy(remedy));
                    None
                }
            },
        };
        Self { path, cache, missing, trusted_below, last: -1, complained: None, raised: None, wanted: false }
    }

    /// The next sound batch of the log. `lenient`: some before it may be missing.
    pub(super) fn batch(&mut self, log: &Path, at: &BatchAt, lenient: bool, reporter: &mut Reporter<'_>) {
        let epoch = at.header.partition_leader_epoch;
        if at.header.magic < MAGIC || epoch < 0 {
            return;
        }
        let offset = at.header.base_offset;
        self.descends(log, at, reporter);
        // The first batch of the log may be in the midst of its epoch.
        let begins = self.last >= 0 && epoch > self.last && !lenient;
        if epoch > self.last {
            self.raised = Some((PathBuf::from(log), *at, self.last));
            self.last = epoch;
        } else {
            self.raised = None;
        }
        if offset >= self.trusted_below {
            return;
        }
        self.wanted = true;
        let Some(cache) = &self.cache else { return };
        let noted = cache.epoch_at(offset);
        if noted != Some(epoch) && self.complained != Some(epoch) {
            self.complained = Some(epoch);
            let noted = noted.map_or("none".to_owned(), |e| e.to_string());
            let problem = format!("it says that offset {offset} is of leader epoch {noted}, its batch is of {epoch}");
            reporter.found(Finding::new(Severity::Repairable, &self.path, problem).offset(offset).remedy(REBUILD));
        } else if begins
            && let Some(start) = cache.entries().iter().find(|e| e.epoch == epoch).map(|e| e.start_offset)
            && start != offset
        {
            let problem =
                format!("it says that leader epoch {epoch} begins with offset {start}, its first batch with {offset}");
            reporter.found(Finding::new(Severity::Repairable, &self.path, problem).offset(offset).remedy(REBUILD));
        }
    }

    /// Epochs never descend. If only the batch before is above this one, it is that one whose epoch is wrong.
    fn descends(&mut self, log: &Path, at: &BatchAt, reporter: &mut Reporter<'_>) {
        let epoch = at.header.partition_leader_epoch;
        if epoch >= self.last {
            return;
        }
        let (path, wrong, problem) = match self.raised.take() {
            Some((path, before, earlier)) if earlier <= epoch => {
                let problem = format!("the batch is of leader epoch {}, the ones around it of {epoch}", self.last);
                self.last = earlier;
                (path, before, problem)
            }
            Some(_) | None => {
                let problem = format!("the batch is of leader epoch {epoch}, the one before it of {}", self.last);
                (log.to_owned(), *at, problem)
            }
        };
        let finding = Finding::new(Severity::Damage, path, problem).at(wrong.position).offset(wrong.header.base_offset);
        reporter.found(finding.remedy(
            "a truncation was lost here, the file is older than its neighbours, or a bit of it was lost; if another replica has the partition, let this one be copied anew: stop the broker, remove the partition's directory, start",
        ));
    }

    /// The log ends at `end`.
    pub(super) fn end(&self, end: i64, loss: Loss, reporter: &mut Reporter<'_>) {
        if self.missing && self.wanted {
            let problem = format!("the file is missing, though batches are of leader epochs up to {}", self.last);
            reporter.found(Finding::new(Severity::Repairable, &self.path, problem).remedy(REBUILD));
        }
        let latest = self.cache.as_ref().and_then(LeaderEpochCache::latest);
        if let Some(EpochStart { epoch, start_offset }) = latest.filter(|l| l.start_offset > end) {
            let problem = format!("leader epoch {epoch} begins at offset {start_offset}, but the log ends at {end}");
            loss.report(&self.path, end, problem, reporter);
        }
    }
}

/// Reading drops entries that contradict each other, so fewer are left then.
fn check_order(path: &Path, text: &str, cache: &LeaderEpochCache, reporter: &mut Reporter<'_>) {
    let lines = text.lines().skip(2).filter(|line| !line.is_empty()).count();
    if cache.entries().len() != lines {
        let problem = format!("{lines} epochs are listed, but only {} of them ascend", cache.entries().len());
        reporter.found(Finding::new(Severity::Repairable, path, problem).remedy(REBUILD));
    }
}
