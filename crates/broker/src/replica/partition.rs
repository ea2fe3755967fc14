//! One replica of one partition: is this broker the leader in that epoch, may it append, how far may who read.
//!
//! ```text
//!   log start              last stable offset   high watermark            log end offset
//!      ├───── read_committed ─────┤─ read_uncommitted ─┤────── followers only ──────┤
//! ```

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arc_swap::ArcSwap;
use ottla_metadata::image::PartitionRegistration;
use ottla_protocol::Uuid;
use ottla_storage::{AppendError, AppendInfo, AppendOrigin, Log, ReadError, ReadInfo, Replacement, StorageError};
use parking_lot::RwLock;

use super::read::{Read, ReadOutcome, ReadRefused, Reader, Visible};
use super::role::Role;
use crate::purgatory::WatchList;

/// A partition of which this broker holds a replica.
#[derive(Debug)]
pub struct Partition {
    /// Topic.
    pub topic: Arc<str>,
    /// Topic id.
    pub topic_id: Uuid,
    /// Number within the topic.
    pub index: i32,
    me: i32,
    /// Another one after a move to another log directory.
    log: ArcSwap<Log>,
    role: RwLock<Role>,
    /// Woken when the high watermark moves: consumers can read more.
    readable: Arc<WatchList>,
    /// Woken when the log end offset moves: followers can fetch more.
    appended: Arc<WatchList>,
    /// Woken when the high watermark reaches what a producer waits for.
    committed: Arc<WatchList>,
    /// Woken when what may be acknowledged reaches what a producer waits for; see [`super::group_commit`].
    pub(super) synced: Arc<WatchList>,
    /// Whether somebody syncs the log at the moment.
    pub(super) syncing: AtomicBool,
}

/// What this broker is not, or what is wrong with the epoch that a request names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotLeader {
    /// Another broker leads, or none.
    #[error("broker {leader} leads in epoch {leader_epoch}")]
    Follower {
        /// The leader, -1 for none.
        leader: i32,
        /// Its epoch.
        leader_epoch: i32,
    },
    /// The request's epoch is over.
    #[error("epoch {0} is the current one; the request's is older")]
    Fenced(i32),
    /// The request's epoch is not known here yet.
    #[error("epoch {0} is the current one; the request's is newer")]
    Unknown(i32),
}

/// Why an append did not happen.
#[derive(Debug, thiserror::Error)]
pub enum AppendRefused {
    /// Not the leader.
    #[error(transparent)]
    NotLeader(#[from] NotLeader),
    /// acks=all with an ISR below `min.insync.replicas`.
    #[error("{isr} replicas are in sync; min.insync.replicas wants {wanted}")]
    NotEnoughReplicas {
        /// In-sync replicas.
        isr: usize,
        /// Wanted.
        wanted: usize,
    },
    /// The log refused.
    #[error(transparent)]
    Log(#[from] AppendError),
}

/// What followed from an append.
#[derive(Debug, Clone, Copy)]
pub struct Appended {
    /// The log's answer.
    pub info: AppendInfo,
    /// Whether the records are committed already: the high watermark has passed them.
    pub committed: bool,
    /// Whether they are as durable as the topic asks for before a leader may acknowledge them alone.
    pub synced: bool,
}

impl Partition {
    /// A replica over its log, in the role that the registration gives it.
    ///
    /// # Errors
    /// When the start of a leadership cannot be noted in the log's directory.
    pub fn new(
        topic: Arc<str>,
        topic_id: Uuid,
        index: i32,
        me: i32,
        log: Arc<Log>,
        registration: &PartitionRegistration,
    ) -> Result<Self, StorageError> {
        let none = Role::Follower { leader: -1, leader_epoch: -1 };
        let partition = Self {
            topic,
            topic_id,
            index,
            me,
            log: ArcSwap::new(log),
            role: RwLock::new(none),
            readable: Arc::default(),
            appended: Arc::default(),
            committed: Arc::default(),
            synced: Arc::default(),
            syncing: AtomicBool::new(false),
        };
        partition.assign(registration)?;
        Ok(partition)
    }

    /// Topic id and number.
    #[must_use]
    pub fn place(&self) -> (Uuid, i32) {
        (self.topic_id, self.index)
    }

    /// The log now. Whoever holds it for long may find that it is deleted: see [`Self::has_moved_from`].
    #[must_use]
    pub fn log(&self) -> Arc<Log> {
        self.log.load_full()
    }

    /// Whether another log has taken the place of this one, in another log directory.
    #[must_use]
    pub fn has_moved_from(&self, log: &Arc<Log>) -> bool {
        !Arc::ptr_eq(&self.log.load(), log)
    }

    /// Puts the copy of the log in its place. False if it has not caught up. Appends wait meanwhile, and it blocks for several
    /// syncs. Kafka: `maybeReplaceCurrentWithFutureReplica`.
    ///
    /// # Errors
    /// See [`Replacement::finish`].
    pub fn replace_log(&self, replacement: Replacement<'_>) -> Result<bool, StorageError> {
        let role = self.role.write();
        let Some(log) = replacement.finish()? else { return Ok(false) };
        self.log.store(log);
        drop(role);
        // Who looked at the old log meanwhile looks again.
        self.advance_high_watermark();
        self.wake_all();
        Ok(true)
    }

    /// Raises the log start, durably, and gives where it is then. Blocks for a sync.
    ///
    /// # Errors
    /// As [`Log::delete_records_before`].
    pub fn delete_records_before(&self, offset: i64) -> Result<i64, StorageError> {
        // Held, so that the log is not exchanged for its copy before the copy can know of it.
        let _no_exchange = self.role.read();
        let log = self.log();
        log.delete_records_before(offset)?;
        Ok(log.log_start_offset())
    }

    /// The role now.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role.read().clone()
    }

    /// Followers that wait for more to fetch.
    #[must_use]
    pub fn appended(&self) -> &Arc<WatchList> {
        &self.appended
    }

    /// Consumers that wait for more to read.
    #[must_use]
    pub fn readable(&self) -> &Arc<WatchList> {
        &self.readable
    }

    /// Those who wait for records to be committed.
    #[must_use]
    pub fn committed(&self) -> &Arc<WatchList> {
        &self.committed
    }

    /// Those who wait for records to be as durable as the topic asks for.
    #[must_use]
    pub fn synced(&self) -> &Arc<WatchList> {
        &self.synced
    }

    /// Takes the role that a registration gives.
    ///
    /// # Errors
    /// When the start of a leadership cannot be noted in the log's directory.
    pub fn assign(&self, registration: &PartitionRegistration) -> Result<(), StorageError> {
        let mut role = self.role.write();
        let log = self.log();
        let next = Role::assigned(Some(&role), registration, self.me, log.log_end_offset());
        if let Role::Leader(leader) = &next {
            log.start_leader_epoch(leader.leader_epoch)?;
        }
        let changed_hands = leader_epoch(&role) != leader_epoch(&next);
        *role = next;
        drop(role);
        self.advance_high_watermark();
        if changed_hands {
            self.wake_all();
        }
        Ok(())
    }

    /// Leads no more and follows nobody: the partition is deleted, or its log cannot be used. Whoever waits here hears so
    /// at once, and nothing is appended any more.
    pub fn retire(&self) {
        let mut role = self.role.write();
        *role = Role::Follower { leader: -1, leader_epoch: leader_epoch(&role) };
        drop(role);
        self.wake_all();
    }

    /// Wakes everybody who waits here: the leadership moved, or the partition goes.
    pub fn wake_all(&self) {
        self.readable.wake_all();
        self.appended.wake_all();
        self.committed.wake_all();
        self.synced.wake_all();
    }

    /// The leader epoch, if this broker leads in the epoch that the request names.
    ///
    /// # Errors
    /// When it does not.
    pub fn check_leader(&self, current_leader_epoch: i32) -> Result<i32, NotLeader> {
        leads(&self.role.read(), current_leader_epoch)
    }

    /// How far a lookup of offsets by `reader` may see (Kafka: `Partition.fetchOffsetForTimestamp`).
    ///
    /// # Errors
    /// When this broker does not lead in the epoch that the request names; a [`Reader::Debugger`] minds only the epoch.
    pub fn visible(&self, reader: Reader, current_leader_epoch: i32) -> Result<Visible, NotLeader> {
        let role = self.role.read();
        let leader_epoch = answers(&role, reader, current_leader_epoch)?;
        let is_consumer = matches!(reader, Reader::Uncommitted | Reader::Committed);
        let end_may_go_back = match &*role {
            Role::Leader(leader) => is_consumer && self.log().high_watermark() < leader.start_offset,
            Role::Follower { .. } => false,
        };
        Ok(Visible { leader_epoch, end: end_for(&self.log(), reader), end_may_go_back })
    }

    /// Appends batches as the leader. `acks_all` asks for enough replicas in sync first. A sync that the topic asks for
    /// (`flush.messages`) is begun, not waited for.
    ///
    /// # Errors
    /// [`AppendRefused`]; nothing was appended then.
    pub fn append(
        self: &Arc<Self>,
        batches: &mut [u8],
        acks_all: bool,
        origin: AppendOrigin,
        now_ms: i64,
    ) -> Result<Appended, AppendRefused> {
        // Held over the append, so that a leadership that ends meanwhile ends after it.
        let role = self.role.read();
        let leader = match &*role {
            Role::Leader(leader) => leader,
            Role::Follower { leader, leader_epoch } => {
                return Err(NotLeader::Follower { leader: *leader, leader_epoch: *leader_epoch }.into());
            }
        };
        let log = self.log.load();
        if acks_all {
            let wanted = leader.effective_min_isr(log.config().min_insync_replicas);
            if leader.isr.len() < wanted {
                return Err(AppendRefused::NotEnoughReplicas { isr: leader.isr.len(), wanted });
            }
        }
        let info = log.append_as_leader(batches, leader.leader_epoch, origin, now_ms)?;
        drop((role, log));
        // Perhaps another one already, which has the records too.
        let log = self.log.load();
        if log.is_flush_due() {
            self.sync_soon();
        }
        self.advance_high_watermark();
        self.appended.reached(log.log_end_offset());
        let committed = log.high_watermark() > info.last_offset;
        Ok(Appended { info, committed, synced: log.ack_offset() > info.last_offset })
    }

    /// Reads for a consumer or a follower.
    ///
    /// # Errors
    /// [`ReadRefused`].
    pub fn read(&self, read: &Read, now_ms: i64) -> Result<ReadOutcome, ReadRefused> {
        loop {
            let log = self.log();
            match self.read_from(&log, read, now_ms) {
                // It was exchanged for its copy in another directory while we looked.
                Err(ReadRefused::Log(ReadError::Storage(StorageError::Deleted { .. })))
                    if self.has_moved_from(&log) => {}
                outcome => return outcome,
            }
        }
    }

    fn read_from(&self, log: &Arc<Log>, read: &Read, now_ms: i64) -> Result<ReadOutcome, ReadRefused> {
        answers(&self.role.read(), read.reader, read.current_leader_epoch)?;
        if read.last_fetched_epoch >= 0 {
            let end = log.end_offset_for_epoch(read.last_fetched_epoch);
            if end.epoch < read.last_fetched_epoch || end.end_offset < read.offset {
                return Ok(ReadOutcome::Diverging { epoch: end.epoch, end_offset: end.end_offset });
            }
        }
        let end = end_for(log, read.reader);
        if let Reader::Follower { id } = read.reader
            && (log.log_start_offset()..=log.log_end_offset()).contains(&read.offset)
        {
            // Before the read, so that the answer tells the high watermark that follows from it.
            self.follower_fetched(id, read.offset, now_ms)?;
        }
        let Read { offset, max_bytes, at_least_one_batch, .. } = *read;
        let found: Option<ReadInfo> = match (read.reader, read.may_wait) {
            (Reader::Committed, true) => Some(log.read_committed(offset, max_bytes, at_least_one_batch)?),
            (Reader::Committed, false) => log.read_committed_cached(offset, max_bytes, at_least_one_batch)?,
            (Reader::Uncommitted | Reader::Follower { .. } | Reader::Debugger, true) => {
                Some(log.read(offset, max_bytes, end, at_least_one_batch)?)
            }
            (Reader::Uncommitted | Reader::Follower { .. } | Reader::Debugger, false) => {
                log.read_cached(offset, max_bytes, end, at_least_one_batch)?
            }
        };
        Ok(found.map_or(ReadOutcome::Cold, |info| ReadOutcome::Records(info, Arc::clone(log))))
    }

    fn follower_fetched(&self, id: i32, offset: i64, now_ms: i64) -> Result<(), ReadRefused> {
        let mut role = self.role.write();
        let leader = match &mut *role {
            Role::Leader(leader) => leader,
            Role::Follower { leader, leader_epoch } => {
                return Err(NotLeader::Follower { leader: *leader, leader_epoch: *leader_epoch }.into());
            }
        };
        if !leader.follower_fetched(id, offset, self.log().log_end_offset(), now_ms) {
            return Err(ReadRefused::NoSuchReplica(id));
        }
        drop(role);
        self.advance_high_watermark();
        Ok(())
    }

    /// The leader's own part in the high watermark is what it may acknowledge: with `flush.messages` that is what is synced.
    pub(super) fn advance_high_watermark(&self) {
        let role = self.role.read();
        let log = self.log.load();
        let watermark = match &*role {
            Role::Leader(leader) => leader.high_watermark(log.ack_offset(), log.config().min_insync_replicas),
            Role::Follower { .. } => None,
        };
        drop(role);
        if let Some(watermark) = watermark
            && log.set_high_watermark(watermark)
        {
            self.committed.reached(watermark);
            self.readable.reached(watermark);
        }
    }
}

/// How far a reader may see.
fn end_for(log: &Log, reader: Reader) -> i64 {
    match reader {
        Reader::Uncommitted => log.high_watermark(),
        Reader::Committed => log.last_stable_offset(),
        Reader::Follower { .. } | Reader::Debugger => log.log_end_offset(),
    }
}

fn leader_epoch(role: &Role) -> i32 {
    match role {
        Role::Leader(leader) => leader.leader_epoch,
        Role::Follower { leader_epoch, .. } => *leader_epoch,
    }
}

/// The leader epoch, if the reader may be answered in this role.
fn answers(role: &Role, reader: Reader, asked: i32) -> Result<i32, NotLeader> {
    match leads(role, asked) {
        Err(NotLeader::Follower { leader_epoch, .. }) if reader == Reader::Debugger => Ok(leader_epoch),
        outcome => outcome,
    }
}

fn leads(role: &Role, asked: i32) -> Result<i32, NotLeader> {
    let current = leader_epoch(role);
    if asked >= 0 && asked < current {
        return Err(NotLeader::Fenced(current));
    }
    if asked > current {
        return Err(NotLeader::Unknown(current));
    }
    match role {
        Role::Leader(_) => Ok(current),
        Role::Follower { leader, leader_epoch } => {
            Err(NotLeader::Follower { leader: *leader, leader_epoch: *leader_epoch })
        }
    }
}
