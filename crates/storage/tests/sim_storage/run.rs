//! The life of a broker's log directories: processes come and go, the log manager is stepped through by hand.
//!
//! Every process may be appointed to die before some effect on its disk, in the middle of whatever it does then, its own
//! start included. What was under way may have happened or not; everything that was answered before must hold.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use ottla_env::sim::{DiskFaults, crash, die_at_effect, host, is_dying, kill, note};
use ottla_env::{fs, random, time};
use ottla_protocol::Uuid;
use ottla_storage::meta_properties::MetaProperties;
use ottla_storage::{
    AppendError, CleanerConfig, Log, LogConfig, LogManager, LogManagerOptions, NotedReplica, ReadError, StorageError,
};
use parking_lot::Mutex;

use crate::model::{Batch, Part};
use crate::operations::{Operation, Weights};
use crate::{chance, settings};

pub(crate) const TOPICS: [&str; 3] = ["a", "b-1", "c"];
/// Bytes of a disk that does not get full.
const PLENTY: u64 = 1 << 40;

/// How a process ended.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// Stopped, and noted as clean.
    Clean,
    /// Stopped, noted as clean, and then the power went.
    CleanThenPowerCut,
    /// kill -9: the page cache stays.
    Killed,
    PowerCut,
}

/// What an operation may have done although nobody heard of it.
#[derive(Debug)]
pub(crate) enum InFlight {
    Nothing,
    /// These may be there, or the first of them.
    Append(Vec<Batch>),
    /// Everything behind the offset may be gone.
    Cut(i64),
    /// Everything may be gone, and the log begin at the offset.
    Anything(i64),
    /// The log may start as late as this.
    Start(i64),
}

/// Why an operation did not happen.
#[derive(Debug)]
pub(crate) enum Failure {
    Storage(StorageError),
    Refused(String),
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl From<AppendError> for Failure {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Storage(error) => Self::Storage(error),
            other => Self::Refused(other.to_string()),
        }
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Storage(error) => Self::Storage(error),
            other => Self::Refused(other.to_string()),
        }
    }
}

type Configs = Arc<Mutex<BTreeMap<&'static str, Arc<LogConfig>>>>;

pub(crate) struct Run {
    pub(crate) dirs: Vec<PathBuf>,
    /// What the cluster's metadata knows.
    pub(crate) parts: Vec<Part>,
    pub(crate) configs: Configs,
    pub(crate) weights: Weights,
    pub(crate) coordinator_epoch: i32,
    cleaner: CleanerConfig,
    topics_made: u64,
    /// Topics of whose deletion everybody has heard.
    pub(crate) deleted: BTreeSet<Uuid>,
    broker_epoch: i64,
    /// A stop or a start was cut short: some directories may bear the mark of a clean stop.
    mark_is_open: bool,
    full: bool,
    /// Something rots before the next process starts.
    pub(crate) rot_is_due: bool,
    /// Whether batches of any partition have ever rotted.
    pub(crate) has_rotted: bool,
    /// Of this partition something has rotted, and nobody has looked since.
    pub(crate) unseen: Option<usize>,
    /// Operations of the device of this directory fail.
    broken: Option<(PathBuf, DiskFaults)>,
    /// Absent only between the end of one and the start of the next.
    manager: Option<Arc<LogManager>>,
}

/// One run from its seed, with some operations more often than others.
pub(crate) fn run_with(often: &[Operation]) {
    let mut run = Run::new(Weights::draw(often));
    run.start(None);
    // What compaction does wrong shows late: in what a pass makes of what others have left.
    let length = if run.weights.favours_compaction() { 3 } else { 1 };
    for step in 0..length * (20 + chance(60)) {
        note(&format!("step {step}"));
        run.step();
    }
    run.restart(End::Clean);
    run.check_tidiness();
}

impl Run {
    fn new(weights: Weights) -> Self {
        let dirs: Vec<_> = (0..=chance(3)).map(|n| PathBuf::from(format!("/d{n}"))).collect();
        for (n, dir) in (0u8..).zip(&dirs) {
            fs::create_dir_all(dir).expect("created");
            let directory_id = Some(Uuid([n + 1; 16]));
            let meta = MetaProperties { version: 1, cluster_id: "c".to_owned(), node_id: 1, directory_id };
            meta.write(dir).expect("formatted");
        }
        fs::sync_dir("/").expect("synced");
        Self {
            dirs,
            parts: Vec::new(),
            configs: Configs::default(),
            weights,
            coordinator_epoch: 0,
            cleaner: settings::draw_cleaner(),
            topics_made: 0,
            deleted: BTreeSet::new(),
            broker_epoch: 0,
            mark_is_open: false,
            full: false,
            rot_is_due: false,
            has_rotted: false,
            unseen: None,
            broken: None,
            manager: None,
        }
    }

    pub(crate) fn manager(&self) -> &Arc<LogManager> {
        self.manager.as_ref().expect("a process runs")
    }

    pub(crate) fn log(&self, at: usize) -> Arc<Log> {
        let part = &self.parts[at];
        self.manager().get(part.topic, part.partition).expect("the log is open")
    }

    /// A partition whose directory works.
    pub(crate) fn any_part(&self) -> Option<usize> {
        let works = |at: &usize| self.parts[*at].exists && self.log(*at).dir().check_online().is_ok();
        let usable: Vec<_> = (0..self.parts.len()).filter(works).collect();
        (!usable.is_empty()).then(|| usable[chance(usable.len() as u64)])
    }

    pub(crate) fn config(&self, topic: &'static str) -> Arc<LogConfig> {
        let draw = if self.weights.favours_compaction() { settings::draw_compacted } else { settings::draw };
        Arc::clone(self.configs.lock().entry(topic).or_insert_with(draw))
    }

    pub(crate) fn new_topic_id(&mut self) -> Uuid {
        self.topics_made += 1;
        let mut id = *b"topic id........";
        id[8..].copy_from_slice(&self.topics_made.to_be_bytes());
        Uuid(id)
    }

    /// Looks at the outcome of an operation on a partition; gives its result if it happened.
    pub(crate) fn settle<T>(&mut self, at: usize, result: Result<T, impl Into<Failure>>, open: InFlight) -> Option<T> {
        if is_dying() {
            self.leave_open(at, open);
            self.die();
            return None;
        }
        match result.map_err(Into::into) {
            Ok(value) => Some(value),
            Err(Failure::Storage(error)) => {
                note(&format!("failed: {error}"));
                if self.log(at).dir().check_online().is_err() {
                    let is_append = matches!(open, InFlight::Append(_));
                    assert!(
                        self.is_broken() || !is_append,
                        "nothing is broken, but the directory went offline: {error}"
                    );
                    self.leave_open(at, open);
                } else {
                    assert!(
                        self.full || matches!(error, StorageError::Open(_)),
                        "{error}, but the directory is online"
                    );
                }
                None
            }
            Err(Failure::Refused(reason)) => panic!("refused: {reason}"),
        }
    }

    fn leave_open(&mut self, at: usize, open: InFlight) {
        let part = &mut self.parts[at];
        match open {
            InFlight::Nothing => {}
            InFlight::Append(batches) => part.add_ghosts(batches),
            InFlight::Cut(offset) => part.may_be_cut_at(offset),
            InFlight::Anything(offset) => part.may_be_anything(offset),
            InFlight::Start(offset) => part.start = part.start.max(offset),
        }
    }

    /// What a log says of its own durability counts from the moment that it says so.
    pub(crate) fn hear_promises(&mut self, at: usize) {
        let flushed = self.log(at).flushed_offset();
        // Of a log without records it says nothing.
        if flushed > self.parts[at].start {
            self.parts[at].promised(flushed);
        }
    }

    /// After whatever was done: the process may have died of it, or a directory gone offline.
    pub(crate) fn after_step(&mut self) {
        if is_dying() {
            return self.die();
        }
        for at in (0..self.parts.len()).filter(|at| self.parts[*at].exists).collect::<Vec<_>>() {
            if self.log(at).dir().check_online().is_ok() {
                self.hear_promises(at);
                self.parts[at].check_offsets(&self.log(at));
            }
        }
    }

    /// A device has failed: only a restart of the machine makes what it holds certain again.
    pub(crate) fn must_reboot(&self) -> bool {
        self.manager().log_dirs().iter().any(|dir| dir.check_online().is_err())
    }

    /// From now until the next start, some operations fail: everywhere, or in one directory.
    pub(crate) fn break_disk(&mut self) {
        let rate = || u32::try_from(chance(2)).expect("0 or 1") * 100_000;
        let faults = DiskFaults {
            write_errors: rate(),
            sync_errors: rate(),
            name_errors: rate(),
            read_errors: rate() / 4,
            short_reads: 100_000,
            short_writes: 200_000,
            ..DiskFaults::default()
        };
        let dir = &self.dirs[chance(self.dirs.len() as u64)];
        note(&format!("the device of {} fails: {faults:?}", dir.display()));
        self.broken = Some((dir.clone(), faults));
        host("main").set_disk_faults_below(dir, faults);
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// Does something of which the device shall know nothing: the model looks.
    pub(crate) fn with_a_sound_disk<T>(&self, act: impl FnOnce() -> T) -> T {
        host("main").set_disk_faults(DiskFaults::default());
        let done = act();
        if let Some((dir, faults)) = &self.broken {
            host("main").set_disk_faults_below(dir, *faults);
        }
        done
    }

    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    fn heal_disk(&mut self) {
        host("main").set_disk_faults(DiskFaults::default());
        host("main").set_disk_capacity(PLENTY);
        (self.full, self.broken) = (false, None);
    }

    /// The disk is as good as full, or has room again.
    pub(crate) fn fill_or_free_disk(&mut self) {
        self.full = !self.full;
        host("main").set_disk_capacity(PLENTY);
        if self.full {
            // Only a disk that can be filled is counted.
            host("main").set_disk_capacity(PLENTY - 1);
            let space = fs::space("/").expect("known");
            host("main").set_disk_capacity(space.total - space.available + random::below(2_000));
        }
        note(if self.full { "the disk is nearly full" } else { "there is room again" });
    }

    /// The appointed moment has come.
    pub(crate) fn die(&mut self) {
        let end = if self.must_reboot() || chance(2) == 0 { End::PowerCut } else { End::Killed };
        self.end_process(end);
        self.start(Some(end));
    }

    pub(crate) fn restart(&mut self, end: End) {
        let mut end = if self.must_reboot() { End::PowerCut } else { end };
        if matches!(end, End::Clean | End::CleanThenPowerCut) {
            let stays_full = self.full && !self.is_broken() && chance(2) == 0;
            if !stays_full {
                self.heal_disk();
            }
            self.broker_epoch += 1;
            self.parts.iter_mut().for_each(Part::may_note);
            let stopped = self.manager().stop(self.broker_epoch);
            if is_dying() {
                self.mark_is_open = true;
                return self.die();
            }
            match stopped {
                Ok(()) => {
                    for part in &mut self.parts {
                        part.durable = if part.exists { part.end } else { part.durable };
                    }
                }
                Err(error) if stays_full && error.may_pass() => {
                    note(&format!("the stop is not clean: {error}"));
                    end = if chance(2) == 0 { End::PowerCut } else { End::Killed };
                }
                Err(error) => panic!("nothing hinders a clean stop: {error}"),
            }
        }
        self.end_process(end);
        self.start(Some(end));
    }

    fn end_process(&mut self, end: End) {
        note(&format!("the process ends: {end:?}"));
        self.manager = None;
        match end {
            End::Clean => {}
            End::Killed => kill(),
            End::PowerCut | End::CleanThenPowerCut => crash(),
        }
        self.heal_disk();
    }

    /// A new process opens what the last one left, and may die while it does.
    fn start(&mut self, end: Option<End>) {
        if std::mem::take(&mut self.rot_is_due) {
            self.rot(end);
        }
        let mut end = end;
        let mut power_cut = end != Some(End::Killed) && end != Some(End::Clean);
        loop {
            // A log that was made is durable once it is flushed.
            let stays = |part: &Part| part.exists && (!power_cut || part.durable > part.start);
            let before: Vec<bool> = self.parts.iter().map(stays).collect();
            if chance(4) == 0 {
                die_at_effect(1 + random::below(30));
            }
            self.lose_checkpoints(end);
            let opened = LogManager::open(self.options());
            let died = match opened {
                Ok(manager) => {
                    self.manager = Some(manager);
                    !self.meet_metadata(&before)
                }
                Err(_) if is_dying() => true,
                Err(error) => panic!("log directories can always be opened: {error}"),
            };
            if !died {
                break;
            }
            self.mark_is_open |= matches!(end, Some(End::Clean | End::CleanThenPowerCut));
            let again = if chance(2) == 0 { End::PowerCut } else { End::Killed };
            self.end_process(again);
            power_cut |= again == End::PowerCut;
            end = match end {
                // It lost what was promised to a kill, if the last one did not already.
                Some(End::Killed) if again == End::PowerCut => Some(End::PowerCut),
                Some(End::Clean | End::CleanThenPowerCut) => Some(End::Killed),
                other => other,
            };
        }
        self.compare(end);
        // Where it shall die: not this time, soon, or later.
        match chance(4) {
            0 => die_at_effect(u64::MAX / 2),
            1 => die_at_effect(1 + random::below(20)),
            _ => die_at_effect(1 + random::below(300)),
        }
    }

    fn options(&self) -> LogManagerOptions {
        let configs = Arc::clone(&self.configs);
        let known: Vec<_> = self.parts.iter().map(|part| (part.topic, part.partition, part.id)).collect();
        LogManagerOptions {
            dirs: self.dirs.clone(),
            noted_of: Box::new(move |topic, partition| {
                let (.., topic_id) = *known.iter().find(|part| (part.0, part.1) == (topic, partition))?;
                Some(NotedReplica { topic_id, directory: Uuid::UNASSIGNED_DIRECTORY })
            }),
            config_of: Box::new(move |topic| {
                let configs = configs.lock();
                configs.get(topic).map_or_else(|| Arc::new(LogConfig::default()), Arc::clone)
            }),
            recovery_threads: 1,
            cleaner: self.cleaner.clone(),
            ..LogManagerOptions::default()
        }
    }

    /// Checkpoints only save work: sometimes they are lost.
    fn lose_checkpoints(&mut self, end: Option<End>) {
        // What rotted would count as torn.
        let is_sound = self.parts.iter().all(|part| part.rotten.is_empty());
        if matches!(end, Some(End::Killed | End::PowerCut)) && chance(6) == 0 && is_sound {
            let path = self.dirs[0].join("recovery-point-offset-checkpoint");
            if fs::exists(&path) && !is_dying() {
                note("the recovery points are lost");
                let _dying = fs::remove_file(path).and_then(|()| fs::sync_dir(&self.dirs[0]));
            }
        }
    }

    /// What a broker does at its start: logs that metadata does not know are set aside, those that it knows are opened or
    /// made. False if the process died meanwhile.
    fn meet_metadata(&mut self, existed: &[bool]) -> bool {
        let manager = Arc::clone(self.manager());
        let known: Vec<_> = self.parts.iter().map(|part| (part.topic, part.partition, part.id)).collect();
        let opened = |part: &Part| manager.get(part.topic, part.partition).is_some();
        let opened: Vec<bool> = self.parts.iter().map(opened).collect();
        manager.set_strays_aside(|log| {
            assert!(!self.deleted.contains(&log.topic_id()), "{} was deleted, and is back", log.path().display());
            !known.contains(&(log.topic(), log.partition(), log.topic_id()))
        });
        for (at, existed) in existed.iter().enumerate() {
            let part = &self.parts[at];
            assert!(!existed || opened[at] || is_dying(), "{}-{} is not there", part.topic, part.partition);
            let made = manager.create(part.topic, part.partition, part.id, Arc::clone(&part.config));
            if is_dying() {
                return false;
            }
            made.expect("created");
            self.parts[at].exists = true;
        }
        !is_dying()
    }

    /// Every log holds what it must after such an end.
    fn compare(&mut self, end: Option<End>) {
        let clean = matches!(end, Some(End::Clean | End::CleanThenPowerCut));
        let mark = self.manager().clean_broker_epoch();
        if !self.mark_is_open {
            assert_eq!(mark, clean.then_some(self.broker_epoch), "broker epoch of the clean stop");
        }
        self.mark_is_open = false;
        let unseen = self.unseen.take().filter(|_| clean && chance(2) == 0);
        for at in 0..self.parts.len() {
            let log = self.log(at);
            let part = &mut self.parts[at];
            note(&format!("{}-{}: {}..{}", part.topic, part.partition, log.log_start_offset(), log.log_end_offset()));
            if unseen == Some(at) {
                // Whoever comes first finds out.
                part.restarted(&log);
                let next = part.random_fetch(&log);
                part.check_fetch(&log, next);
            } else if clean {
                part.check_whole(&log);
                let scanned = log.recovery_report().bytes_scanned;
                assert!(scanned == 0 || !part.rotten.is_empty(), "a clean start scans nothing, but {scanned} bytes");
                part.check_times(&log);
                part.restarted(&log);
            } else {
                part.adopt(&log, end != Some(End::Killed));
                part.check_epochs(&log);
            }
            // A leadership ended with the process.
            part.epoch += 1;
            part.check_offsets(&log);
            if unseen != Some(at) {
                part.check_all_committed(&log);
            }
            let is_called_off =
                !self.parts[at].may_move && self.manager().future(log.topic(), log.partition()).is_some();
            assert!(!is_called_off, "{}-{} moves, but nobody wants that", log.topic(), log.partition());
            self.hear_promises(at);
            self.probe_producers(at);
        }
    }

    /// After a clean start with nothing left to do, the directories hold nothing that is not needed.
    fn check_tidiness(&mut self) {
        // The final start may have been one from a crash: appoint no more.
        die_at_effect(u64::MAX / 2);
        time::sleep_thread(std::time::Duration::from_secs(600));
        self.manager().visit_idle(time::wall_clock_ms());
        for dir in &self.dirs {
            let removed = |name: &str| name.ends_with("-delete");
            assert!(
                !fs::read_dir(dir).expect("listed").iter().any(|entry| removed(&entry.name)),
                "deleted logs are left"
            );
        }
        for at in 0..self.parts.len() {
            for file in fs::read_dir(self.log(at).path()).expect("listed") {
                let leftover =
                    [".deleted", ".cleaned", ".swap", ".tmp"].iter().any(|suffix| file.name.ends_with(suffix));
                assert!(!leftover, "{} is left", file.name);
            }
        }
    }
}
