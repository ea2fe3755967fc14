//! Committing positions: when the caller says so, and by itself if `enable.auto.commit` is set.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_env::time::Instant;
use ottla_protocol::ErrorCode;

use super::assignment::Place;
use super::rebalance::Group;
use super::record::OffsetAndMetadata;
use super::{Consumer, Event};
use crate::TopicPartition;
use crate::coordinator::Coordinator;
use crate::error::Error;
use crate::offsets::{self, Committer};

impl Consumer {
    /// What the caller got so far of each partition.
    pub(super) fn positions(&self) -> BTreeMap<TopicPartition, OffsetAndMetadata> {
        self.assignment
            .iter()
            .filter_map(|(tp, state)| match state.place {
                Place::At { position, .. } => {
                    let (leader_epoch, metadata) = (state.leader_epoch, String::new());
                    Some((tp.clone(), OffsetAndMetadata { offset: position, leader_epoch, metadata }))
                }
                Place::Committed | Place::Reset(_) => None,
            })
            .collect()
    }

    fn committer(&self) -> Committer {
        self.group.as_ref().map_or_else(Committer::outsider, |g| g.membership().committer())
    }

    /// Commits the positions of all partitions: what was polled so far.
    ///
    /// # Errors
    /// When there is no `group.id`, or the coordinator refuses, as it does after the group has rebalanced without us.
    pub async fn commit(&mut self) -> Result<(), Error> {
        self.commit_offsets(self.positions()).await
    }

    /// Commits these offsets; an offset is the next one to read.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub async fn commit_offsets(&mut self, offsets: BTreeMap<TopicPartition, OffsetAndMetadata>) -> Result<(), Error> {
        let coordinator = self.group_coordinator()?;
        let committer = self.committer();
        self.committed_at = Instant::now();
        coordinator.retrying("committing offsets", || offsets::commit(&coordinator, &committer, &offsets)).await
    }

    /// The committed offsets of partitions; those without one are left out.
    ///
    /// # Errors
    /// When there is no `group.id` or the coordinator refuses.
    pub async fn committed(
        &mut self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, OffsetAndMetadata>, Error> {
        let coordinator = self.group_coordinator()?;
        coordinator
            .retrying("fetching committed offsets", || async {
                offsets::fetch_committed(&coordinator, Some(partitions), true).await
            })
            .await
    }

    pub(super) fn group_coordinator(&self) -> Result<Arc<Coordinator>, Error> {
        self.coordinator.clone().ok_or_else(|| Error::IllegalState("committed offsets need a group.id".to_owned()))
    }

    pub(super) fn start_auto_commit(&mut self) {
        // Between two generations nothing can be committed.
        let joining = self.group.as_ref().is_some_and(Group::is_joining);
        let interval = self.config.auto_commit_interval;
        let due = self.config.enable_auto_commit && !joining && self.committed_at.elapsed() >= interval;
        let Some(coordinator) = self.coordinator.clone().filter(|_| due && !self.committing) else { return };
        self.committed_at = Instant::now();
        let (offsets, committer) = (self.positions(), self.committer());
        if offsets.is_empty() {
            return;
        }
        self.committing = true;
        self.waiting
            .push(Box::pin(async move { Event::Committed(offsets::commit(&coordinator, &committer, &offsets).await) }));
    }

    pub(super) fn auto_committed(&mut self, outcome: Result<(), Error>) {
        self.committing = false;
        match outcome {
            Ok(()) => {}
            // The group is between two generations: positions are committed before partitions are given up.
            Err(e) if e.is_retriable() || e.code() == Some(ErrorCode::RebalanceInProgress) => {
                tracing::debug!(error = %e, "offsets are committed with the next interval");
            }
            Err(e) => tracing::warn!(error = %e, "the automatic commit of offsets failed; it is tried again"),
        }
    }
}
