//! Replicas that move between the log directories of this broker (KIP-113, KIP-858). Kafka classes:
//! `ReplicaAlterLogDirsManager`, `ReplicaAlterLogDirsThread`.
//!
//! ```text
//!   copying ──caught up──> Queued: AssignReplicasToDirs is on its way ──metadata notes the new directory──> Accepted
//!      ^                      │ refused, or nobody knows: asked again                                          │ caught up
//!      └── goes on meanwhile ─┘                                                          exchanged <───────────┘
//! ```
//! The controller is told before the exchange: a directory that fails then takes along what metadata says of it. What it knows is
//! read from the metadata, not from its answer, which may be lost. A move that ends otherwise after it was told is taken back.
//!
//! Each worker copies its share of the moves by turns, a chunk at a time, on the pool for what blocks.

mod pace;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ottla_env::{task, time};
use ottla_protocol::Uuid;
use ottla_storage::{Copied, CopyError, Log, LogManager, ReadError, StorageError};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::assignments::DirectoryAssignments;
use super::partition::Partition;
use crate::broker::Broker;
use crate::purgatory::Waiter;
use pace::Pace;

/// Bytes that are copied at once: what a worker holds in memory, but for a larger batch. As `replica.fetch.max.bytes` is by
/// default.
const CHUNK: u32 = 1 << 20;
/// How long a worker rests when its moves have caught up, or wait for space or for the controller.
const REST: Duration = Duration::from_millis(50);
/// How long metadata may take to follow the controller's answer before it is told again.
const TOLD_AGAIN_MS: i64 = 1_000;

/// How far the controller knows of a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Promotion {
    /// Not at all.
    None,
    /// It is being told, since then.
    Queued { since_ms: i64 },
}

/// One replica that moves.
#[derive(Debug, Clone)]
struct Move {
    /// Which asking it was: what came of an earlier one says nothing of this.
    number: usize,
    partition: Arc<Partition>,
    promotion: Promotion,
    worker: usize,
}

impl Move {
    fn place(&self) -> Place {
        (Arc::clone(&self.partition.topic), self.partition.index)
    }
}

/// Topic and partition.
type Place = (Arc<str>, i32);

/// What came of one step.
#[derive(Debug)]
enum Step {
    Copied(u64),
    /// Nothing to do at the moment.
    Rests,
    /// It is where it was to go.
    Done,
    /// It does not go on, and stays where it is.
    Ended,
}

/// See the module.
#[derive(Debug)]
pub struct ReplicaMoves {
    logs: Arc<LogManager>,
    assignments: Arc<DirectoryAssignments>,
    moves: Mutex<BTreeMap<Place, Move>>,
    /// One for each worker.
    waiters: Vec<Arc<Waiter>>,
    begun: AtomicUsize,
    pace: Mutex<Pace>,
}

impl ReplicaMoves {
    /// Of these logs, with `threads` workers; None for one per log directory (`num.replica.alter.log.dirs.threads`).
    #[must_use]
    pub fn new(logs: Arc<LogManager>, assignments: Arc<DirectoryAssignments>, threads: Option<i64>) -> Self {
        let workers = threads.and_then(|n| usize::try_from(n).ok()).unwrap_or(logs.log_dirs().len()).max(1);
        Self {
            logs,
            assignments,
            moves: Mutex::default(),
            waiters: (0..workers).map(|_| Waiter::new()).collect(),
            begun: AtomicUsize::new(0),
            pace: Mutex::default(),
        }
    }

    /// A copy of the partition's log is there and goes on.
    pub fn add(&self, partition: &Arc<Partition>) {
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        let mut moves = self.moves.lock();
        let place = (Arc::clone(&partition.topic), partition.index);
        match moves.get_mut(&place).filter(|known| Arc::ptr_eq(&known.partition, partition)) {
            // It may have ended in the eyes of its worker, which has not said so yet.
            Some(known) => known.number = number,
            None => {
                let (promotion, worker) = (Promotion::None, number % self.waiters.len());
                moves.insert(place, Move { number, partition: Arc::clone(partition), promotion, worker });
            }
        }
        drop(moves);
        self.waiters.iter().for_each(|waiter| waiter.wake());
    }

    /// The replica stays where it is. What the controller was told is taken back.
    pub fn cancel(&self, topic: &str, index: i32) {
        let Some(gone) = self.moves.lock().remove(&(Arc::from(topic), index)) else { return };
        self.take_back(&gone);
    }

    /// The replica goes, and there is nothing left to tell of it.
    pub fn drop_move(&self, topic: &str, index: i32) {
        self.moves.lock().remove(&(Arc::from(topic), index));
    }

    fn take_back(&self, gone: &Move) {
        let log = gone.partition.log();
        if gone.promotion != Promotion::None && log.dir().check_online().is_ok() {
            self.assignments.assign(gone.partition.place(), log.directory_id());
        }
    }

    /// Whether the controller is told, or knows, that the replica will lie elsewhere than it does.
    #[must_use]
    pub fn is_promoting(&self, topic: &Arc<str>, index: i32) -> bool {
        let moves = self.moves.lock();
        moves.get(&(Arc::clone(topic), index)).is_some_and(|known| known.promotion != Promotion::None)
    }

    /// How many workers there are.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.waiters.len()
    }

    /// Works on its share of the moves until `stopping`.
    pub(crate) async fn run(self: Arc<Self>, worker: usize, broker: Arc<Broker>, mut stopping: watch::Receiver<bool>) {
        let waiter = self.waiters.get(worker).map_or_else(Waiter::new, Arc::clone);
        while !*stopping.borrow() {
            let mine: Vec<Move> = self.moves.lock().values().filter(|m| m.worker == worker).cloned().collect();
            let mut rests = true;
            for moving in &mine {
                if *stopping.borrow() {
                    return;
                }
                rests &= !self.take_turn(moving, &broker, &mut stopping).await;
            }
            let idle = async { if mine.is_empty() { waiter.woken().await } else { time::sleep(REST).await } };
            if rests {
                tokio::select! {
                    biased;
                    _ = stopping.wait_for(|stop| *stop) => return,
                    () = idle => {}
                }
            }
        }
    }

    /// One chunk of one move, once it may be copied. True if there may be more at once.
    async fn take_turn(
        self: &Arc<Self>,
        moving: &Move,
        broker: &Arc<Broker>,
        stopping: &mut watch::Receiver<bool>,
    ) -> bool {
        let Some(max_bytes) = self.may_copy(broker, stopping).await else { return false };
        let noted = noted_directory(broker, &moving.partition);
        let (moves, moving_now) = (Arc::clone(self), moving.clone());
        let manager = Arc::clone(&broker.replicas);
        let step = task::blocking("move a replica", move || {
            let partition = &moving_now.partition;
            let step = moves.step(&moving_now, noted, max_bytes);
            if matches!(step, Step::Ended) && moves.logs.get(&partition.topic, partition.index).is_none() {
                manager.partition_failed(partition);
            }
            step
        });
        match step.await {
            Step::Copied(bytes) => self.pace.lock().copied(bytes),
            Step::Rests => return false,
            Step::Done => drop(self.forget(moving)),
            Step::Ended => {
                if let Some(gone) = self.forget(moving) {
                    self.take_back(&gone);
                }
            }
        }
        true
    }

    /// Rests as the throttle asks for; gives how much may be copied then. None when the broker stops.
    async fn may_copy(&self, broker: &Broker, stopping: &mut watch::Receiver<bool>) -> Option<u32> {
        loop {
            let rate = broker.dynamic_config.load().alter_log_dirs_max_bytes_per_second;
            let rate = rate.and_then(|rate| u64::try_from(rate).ok());
            let rest = self.pace.lock().rest(time::monotonic_ms(), rate);
            if rest.is_zero() {
                // Of a low rate no long bursts.
                return Some(rate.map_or(CHUNK, |rate| CHUNK.min(u32::try_from(rate).unwrap_or(CHUNK))));
            }
            tokio::select! {
                biased;
                _ = stopping.wait_for(|stop| *stop) => return None,
                () = time::sleep(rest) => {}
            }
        }
    }

    fn forget(&self, ended: &Move) -> Option<Move> {
        let mut moves = self.moves.lock();
        let is_it = moves.get(&ended.place()).is_some_and(|known| known.number == ended.number);
        if is_it { moves.remove(&ended.place()) } else { None }
    }

    /// Blocks for the disk. `noted` is the directory that metadata notes for the replica.
    fn step(&self, moving: &Move, noted: Option<Uuid>, max_bytes: u32) -> Step {
        let partition = &moving.partition;
        let Some(future) = self.logs.future(&partition.topic, partition.index) else { return Step::Ended };
        let log = partition.log();
        let max_bytes = max_bytes.min(u32::try_from(log.config().segment_bytes).unwrap_or(CHUNK));
        match future.copy_from(&log, max_bytes) {
            Ok(Copied::Bytes(bytes)) => Step::Copied(bytes),
            Ok(Copied::CaughtUp) => self.promote(moving, &future, noted),
            Err(error) => self.after(&log, &future, &error),
        }
    }

    fn promote(&self, moving: &Move, future: &Arc<Log>, noted: Option<Uuid>) -> Step {
        let partition = &moving.partition;
        let directory = future.directory_id();
        // A directory without an id cannot be told of.
        if !directory.is_zero() && noted != Some(directory) {
            let now_ms = time::monotonic_ms();
            let is_due = match moving.promotion {
                Promotion::None => true,
                Promotion::Queued { since_ms } => {
                    now_ms - since_ms >= TOLD_AGAIN_MS && !self.assignments.is_pending(partition.place())
                }
            };
            if is_due && self.set_promotion(moving, Promotion::Queued { since_ms: now_ms }) {
                self.assignments.assign(partition.place(), directory);
            }
            return Step::Rests;
        }
        if moving.promotion == Promotion::None && !self.set_promotion(moving, Promotion::Queued { since_ms: 0 }) {
            return Step::Rests;
        }
        let Some(replacement) = self.logs.replacement(&partition.topic, partition.index) else { return Step::Ended };
        match partition.replace_log(replacement) {
            Ok(true) => Step::Done,
            Ok(false) => Step::Copied(0),
            Err(error) => self.after(&partition.log(), future, &CopyError::Storage(error)),
        }
    }

    /// What follows from a failure.
    fn after(&self, log: &Log, future: &Arc<Log>, error: &CopyError) -> Step {
        let (topic, partition, to) = (log.topic(), log.partition(), future.dir().path().display());
        if error.may_pass() {
            tracing::warn!(%topic, partition, %to, %error, "a move to another log directory waits for space or descriptors");
            return Step::Rests;
        }
        match error {
            CopyError::Read(ReadError::Storage(StorageError::Deleted { .. }))
            | CopyError::Storage(StorageError::Deleted { .. }) => {}
            _ => {
                tracing::error!(%topic, partition, %to, %error,
                    "a move to another log directory is given up until it is asked for again");
                if let Err(error) = self.logs.give_up(future) {
                    tracing::error!(%topic, partition, %to, %error, "the copy of the log is left to the next start");
                }
            }
        }
        Step::Ended
    }

    /// False if the move was called off meanwhile, or asked for again.
    fn set_promotion(&self, moving: &Move, promotion: Promotion) -> bool {
        let mut moves = self.moves.lock();
        let known = moves.get_mut(&moving.place()).filter(|known| known.number == moving.number);
        known.map(|known| known.promotion = promotion).is_some()
    }
}

/// The directory that metadata notes for this broker's replica.
fn noted_directory(broker: &Broker, partition: &Partition) -> Option<Uuid> {
    let image = broker.image();
    let topic = image.topics.by_id(partition.topic_id)?;
    topic.partitions.get(&partition.index)?.directory_of(broker.config.node_id)
}
