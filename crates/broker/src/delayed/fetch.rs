//! A fetch looks at its partitions, on the pool if that means to wait for the disk; if it finds too little it subscribes to them, looks again, and sleeps until something
//! changes or its time is up.

use std::sync::Arc;
use std::time::Duration;

use ottla_env::task;
use ottla_env::time::{self, Instant};
use ottla_protocol::ErrorCode;
use ottla_storage::{Log, ReadInfo};

use crate::context::RequestContext;
use crate::fetch_session::{FetchPlan, Target, Told};
use crate::handlers::partition_errors;
use crate::purgatory::{Subscription, Waiter};
use crate::replica::partition::Partition;
use crate::replica::read::{Read, ReadOutcome, Reader};
use crate::security::authorizer::{Operation, Resource};

/// What a fetch allows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) reader: Reader,
    /// Bytes of records in the whole answer, but for one batch.
    pub(crate) max_bytes: i32,
    /// Bytes worth an answer before the time is up.
    pub(crate) min_bytes: i32,
    /// The time.
    pub(crate) max_wait_ms: i32,
}

/// A fetch that is not answered at once.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) cx: Arc<RequestContext>,
    pub(crate) plan: Arc<FetchPlan>,
    pub(crate) limits: Limits,
}

/// What was found in one partition.
#[derive(Debug)]
pub(crate) enum FoundPartition {
    Records(ReadInfo),
    Diverging { epoch: i32, end_offset: i64 },
    Failed(ErrorCode),
}

/// What was found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) partitions: Vec<FoundPartition>,
    /// Bytes of records.
    pub(crate) bytes: usize,
    /// Of which partitions, by their place, nobody in this process has looked at the bytes yet, and the logs that they are of.
    unverified: Vec<(usize, Arc<Log>)>,
}

impl FoundPartition {
    fn bytes(&self) -> usize {
        match self {
            Self::Records(ReadInfo { slice: Some(slice), .. }) => slice.len as usize,
            Self::Records(_) | Self::Diverging { .. } | Self::Failed(_) => 0,
        }
    }

    pub(crate) fn error(&self) -> Option<ErrorCode> {
        match self {
            Self::Failed(code) => Some(*code),
            Self::Records(_) | Self::Diverging { .. } => None,
        }
    }

    /// For the session: whether it must be listed, whether it has records, and what is told of it.
    pub(crate) fn facts(&self) -> (bool, bool, Told) {
        match self {
            Self::Records(info) => {
                let told = Told {
                    high_watermark: info.high_watermark,
                    last_stable_offset: info.last_stable_offset,
                    log_start_offset: info.log_start_offset,
                };
                (false, info.slice.is_some(), told)
            }
            Self::Diverging { .. } | Self::Failed(_) => {
                (true, false, Told { high_watermark: -1, last_stable_offset: -1, log_start_offset: -1 })
            }
        }
    }
}

impl Found {
    /// Whether this is worth an answer now.
    pub(crate) fn is_enough(&self, limits: &Limits) -> bool {
        let wanted = usize::try_from(limits.min_bytes.min(limits.max_bytes)).unwrap_or(0);
        limits.max_wait_ms <= 0
            || self.partitions.is_empty()
            || self.bytes >= wanted
            || self.partitions.iter().any(|p| !matches!(p, FoundPartition::Records(_)))
    }

    /// Whether everything may be sent as it is.
    pub(crate) fn is_verified(&self) -> bool {
        self.unverified.is_empty()
    }

    /// Looks at what nobody has looked at, on the pool: checksums are computed, and cold pages read.
    pub(crate) async fn verified(mut self) -> Self {
        if self.is_verified() {
            return self;
        }
        task::blocking("verify", move || {
            for (place, log) in std::mem::take(&mut self.unverified) {
                let Some(FoundPartition::Records(info)) = self.partitions.get_mut(place) else { continue };
                if let Err(cause) = log.verify(info)
                    && let Some(found) = self.partitions.get_mut(place)
                {
                    *found = FoundPartition::Failed(partition_errors::read(&cause));
                }
            }
            self.bytes = self.partitions.iter().map(FoundPartition::bytes).sum();
            self
        })
        .await
    }
}

/// Looks at all partitions, in order, within the limits, without waiting for the disk; `None` if that cannot be.
pub(crate) fn look(cx: &RequestContext, targets: &[Target], limits: &Limits) -> Option<Found> {
    look_at_all(cx, targets, limits, false)
}

/// As [`look`], on the pool if need be.
pub(crate) async fn look_patiently(asked: &Asked) -> Found {
    if let Some(found) = look(&asked.cx, &asked.plan.targets, &asked.limits) {
        return found;
    }
    let asked = Asked::clone(asked);
    let look = move || look_at_all(&asked.cx, &asked.plan.targets, &asked.limits, true);
    task::blocking("search", look).await.expect("who may wait finds out")
}

fn look_at_all(cx: &RequestContext, targets: &[Target], limits: &Limits, may_wait: bool) -> Option<Found> {
    let mut found = Found { partitions: Vec::with_capacity(targets.len()), bytes: 0, unverified: Vec::new() };
    let now_ms = time::monotonic_ms();
    for target in targets {
        let left = usize::try_from(limits.max_bytes).unwrap_or(0).saturating_sub(found.bytes);
        let read = Read {
            offset: target.fetch_offset,
            current_leader_epoch: target.current_leader_epoch,
            last_fetched_epoch: target.last_fetched_epoch,
            max_bytes: u32::try_from(target.max_bytes).unwrap_or(0).min(u32::try_from(left).unwrap_or(u32::MAX)),
            at_least_one_batch: found.bytes == 0,
            reader: limits.reader,
            may_wait,
        };
        let looked = match find(cx, target, read.reader) {
            Ok(partition) => partition.read(&read, now_ms).map_err(|cause| partition_errors::read_refused(&cause)),
            Err(code) => Err(code),
        };
        let result = match looked {
            Ok(ReadOutcome::Records(info, log)) => {
                if !info.is_verified() {
                    found.unverified.push((found.partitions.len(), log));
                }
                FoundPartition::Records(info)
            }
            Ok(ReadOutcome::Diverging { epoch, end_offset }) => FoundPartition::Diverging { epoch, end_offset },
            // The disk would have to be waited for, and must not be.
            Ok(ReadOutcome::Cold) => return None,
            Err(code) => FoundPartition::Failed(code),
        };
        found.bytes += result.bytes();
        found.partitions.push(result);
    }
    Some(found)
}

fn find(cx: &RequestContext, target: &Target, reader: Reader) -> Result<Arc<Partition>, ErrorCode> {
    let replicas = &cx.broker.replicas;
    // An id is looked up each time: a session may have named it before this broker knew it, or outlive its topic.
    let topic = match &target.topic {
        _ if !target.topic_id.is_zero() => replicas.topic_name(target.topic_id).ok_or(ErrorCode::UnknownTopicId)?,
        Some(name) => Arc::clone(name),
        None => return Err(ErrorCode::UnknownTopicId),
    };
    // A follower has shown that it is one, and holds every topic that it replicates.
    let is_follower = matches!(reader, Reader::Follower { .. });
    if !is_follower && !cx.authorized(Operation::Read, Resource::Topic(&topic)) {
        return Err(ErrorCode::TopicAuthorizationFailed);
    }
    replicas.find(&topic, target.index).map_err(partition_errors::missing)
}

/// Waits until there is enough, or the time is up, and gives what is there then.
pub(crate) async fn wait(asked: &Asked) -> Found {
    let Asked { cx, plan, limits } = asked;
    let targets = &plan.targets;
    let due = Instant::now() + Duration::from_millis(u64::try_from(limits.max_wait_ms).unwrap_or(0));
    let waiter = Waiter::new();
    let _subscriptions: Vec<Subscription> = targets
        .iter()
        .filter_map(|t| Some(subscribe(&*find(cx, t, limits.reader).ok()?, t, limits, &waiter)))
        .collect();
    loop {
        let found = look_patiently(asked).await;
        let left = due.saturating_duration_since(Instant::now());
        if found.is_enough(limits) || left.is_zero() || time::timeout(left, waiter.woken()).await.is_err() {
            return found;
        }
    }
}

fn subscribe(partition: &Partition, target: &Target, limits: &Limits, waiter: &Arc<Waiter>) -> Subscription {
    let list = match limits.reader {
        Reader::Follower { .. } | Reader::Debugger => partition.appended(),
        Reader::Uncommitted | Reader::Committed => partition.readable(),
    };
    list.subscribe(target.fetch_offset + 1, waiter)
}
