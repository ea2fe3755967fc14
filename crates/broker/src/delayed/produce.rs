//! A produce request with acks=all waits until the high watermark of every partition has passed its records; one with
//! acks=1 only until they are as durable as their topic asks for.

use std::sync::Arc;
use std::time::Duration;

use ottla_env::time::{self, Instant};
use ottla_protocol::ErrorCode;

use crate::handlers::produce::Outcome;
use crate::purgatory::{Subscription, Waiter};
use crate::replica::partition::Partition;
use crate::replica::role::Role;

/// What has to pass the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// The high watermark: acks=all.
    Committed,
    /// The sync that `flush.messages` asks for: acks=1.
    Synced,
}

/// What one partition waits for.
#[derive(Debug)]
pub(crate) struct Wait {
    partition: Arc<Partition>,
    /// The offset that has to be passed.
    required: i64,
    /// By what.
    until: Until,
    /// Epoch in which they were appended.
    leader_epoch: i32,
    waiter: Arc<Waiter>,
    _subscription: Subscription,
}

impl Wait {
    /// Subscribes at once, so that nothing is missed until [`wait`] looks.
    pub(crate) fn new(partition: Arc<Partition>, required: i64, until: Until) -> Self {
        let waiter = Waiter::new();
        let list = match until {
            Until::Committed => partition.committed(),
            Until::Synced => partition.synced(),
        };
        let subscription = list.subscribe(required, &waiter);
        let leader_epoch = partition.check_leader(-1).unwrap_or(-1);
        Self { partition, required, until, leader_epoch, waiter, _subscription: subscription }
    }

    /// The code once it is known; `None` while it is not.
    fn verdict(&self) -> Option<ErrorCode> {
        let log = self.partition.log();
        if log.dir().check_online().is_err() {
            // After a failed sync nobody knows what the device has.
            return Some(ErrorCode::KafkaStorageError);
        }
        match self.partition.role() {
            Role::Leader(leader) if leader.leader_epoch == self.leader_epoch && self.until == Until::Synced => {
                (log.ack_offset() >= self.required).then_some(ErrorCode::None)
            }
            Role::Leader(leader) if leader.leader_epoch == self.leader_epoch => {
                if log.high_watermark() < self.required {
                    return None;
                }
                let wanted = leader.effective_min_isr(log.config().min_insync_replicas);
                let enough = leader.isr.len() >= wanted;
                Some(if enough { ErrorCode::None } else { ErrorCode::NotEnoughReplicasAfterAppend })
            }
            Role::Leader(_) | Role::Follower { .. } => Some(ErrorCode::NotLeaderOrFollower),
        }
    }

    async fn done(&self) -> ErrorCode {
        loop {
            if let Some(code) = self.verdict() {
                return code;
            }
            self.waiter.woken().await;
        }
    }
}

/// Waits for all of them, at most `timeout_ms` together, and notes in `outcomes` which were not committed.
pub(crate) async fn wait(waits: &[(usize, Wait)], timeout_ms: i32, outcomes: &mut [Outcome]) {
    let due = Instant::now() + Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0));
    for (i, wait) in waits {
        let left = due.saturating_duration_since(Instant::now());
        let code = match time::timeout(left, wait.done()).await {
            Ok(code) => code,
            Err(_) => wait.verdict().unwrap_or(ErrorCode::RequestTimedOut),
        };
        if let Some(outcome) = outcomes.get_mut(*i).filter(|_| !code.is_none()) {
            outcome.not_committed(code);
        }
    }
}
