//! The consumer's side of a group: subscribing, giving partitions up and taking them over.
//!
//! Eager assignors (range, roundrobin): everything is given up before a join. Cooperative: everything is kept during the
//! join, then what moves elsewhere is given up and the group rebalances once more (KIP-429). Either way positions are
//! committed before partitions go, if `enable.auto.commit` is set.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::group::{Heartbeat, Joined, Membership};
use super::record::OffsetAndMetadata;
use super::{Consumer, Event};
use crate::TopicPartition;
use crate::error::Error;

/// What happens to a subscriber's partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rebalance {
    /// These came.
    Assigned(BTreeSet<TopicPartition>),
    /// These go; their offsets can still be committed from elsewhere, and are if `enable.auto.commit` is set.
    Revoked(BTreeSet<TopicPartition>),
    /// These are gone already: the group went on without this consumer.
    Lost(BTreeSet<TopicPartition>),
}

pub(super) type Listener = Box<dyn FnMut(Rebalance) + Send>;

/// What a subscriber knows of its group.
pub(super) struct Group {
    membership: Arc<Membership>,
    topics: BTreeSet<String>,
    joining: bool,
    /// Of the leader: the partitions that it assigned.
    led: Option<BTreeMap<String, i32>>,
    /// Positions of partitions given up after a cooperative join; committed before the next one.
    to_commit: BTreeMap<TopicPartition, OffsetAndMetadata>,
    _heartbeat: Heartbeat,
}

impl Group {
    pub(super) fn membership(&self) -> Arc<Membership> {
        Arc::clone(&self.membership)
    }

    pub(super) fn is_joining(&self) -> bool {
        self.joining
    }

    pub(super) fn topics(&self) -> impl Iterator<Item = &str> {
        self.topics.iter().map(String::as_str)
    }
}

impl Consumer {
    /// Shares the partitions of topics with the other members of `group.id`. They are assigned within [`Self::poll`].
    ///
    /// # Errors
    /// When there is no `group.id`.
    pub fn subscribe<'t>(&mut self, topics: impl IntoIterator<Item = &'t str>) -> Result<(), Error> {
        let topics: BTreeSet<String> = topics.into_iter().map(str::to_owned).collect();
        topics.iter().for_each(|t| self.cluster.use_topic(t));
        match &mut self.group {
            Some(group) => {
                group.topics = topics;
                group.membership.want_join();
            }
            None => {
                let coordinator = self.group_coordinator()?;
                let membership = Membership::new(coordinator, Arc::clone(&self.config));
                let heartbeat = Heartbeat::start(Arc::clone(&membership));
                self.set_assignment(BTreeSet::new());
                self.group = Some(Group {
                    membership,
                    topics,
                    joining: false,
                    led: None,
                    to_commit: BTreeMap::new(),
                    _heartbeat: heartbeat,
                });
            }
        }
        Ok(())
    }

    /// Gives all partitions back and leaves the group.
    ///
    /// # Errors
    /// When the last commit or the leave fails; the consumer is out of the group all the same, at the latest when its
    /// session times out.
    pub async fn unsubscribe(&mut self) -> Result<(), Error> {
        let Some(membership) = self.group.as_ref().map(Group::membership) else { return Ok(()) };
        let committed = match self.config.enable_auto_commit && !self.assignment.partitions().is_empty() {
            true => self.commit().await,
            false => Ok(()),
        };
        self.group = None;
        self.give_up(BTreeSet::new(), Rebalance::Revoked);
        membership.leave("the consumer unsubscribed").await?;
        committed
    }

    /// Is called within `poll` when partitions come and go.
    pub fn on_rebalance(&mut self, listener: impl FnMut(Rebalance) + Send + 'static) {
        self.on_rebalance = Some(Box::new(listener));
    }

    fn tell(&mut self, rebalance: Rebalance) {
        if let Some(listener) = &mut self.on_rebalance {
            listener(rebalance);
        }
    }

    /// Keeps only `kept` and tells what went.
    fn give_up(&mut self, kept: BTreeSet<TopicPartition>, how: fn(BTreeSet<TopicPartition>) -> Rebalance) {
        let gone: BTreeSet<TopicPartition> = self.assignment.partitions().difference(&kept).cloned().collect();
        if !gone.is_empty() {
            self.tell(how(gone));
        }
        self.set_assignment(kept);
    }

    /// Joins when a join is due.
    pub(super) fn drive_group(&mut self) {
        let Some(group) = &self.group else { return };
        let membership = group.membership();
        membership.touch();
        if group.joining {
            return;
        }
        if membership.take_lost() {
            self.give_up(BTreeSet::new(), Rebalance::Lost);
        }
        if membership.wants_join() || self.led_topics_changed() {
            self.start_join(membership);
        }
    }

    /// The leader has the group rebalance when a topic gets more partitions or appears.
    fn led_topics_changed(&self) -> bool {
        let Some(led) = self.group.as_ref().and_then(|g| g.led.as_ref()) else { return false };
        let view = self.cluster.view();
        led.iter().any(|(topic, count)| {
            view.topic(topic).is_some_and(|t| !t.partitions.is_empty() && t.partitions.len() as i32 != *count)
        })
    }

    fn start_join(&mut self, membership: Arc<Membership>) {
        let mut to_commit = if self.config.enable_auto_commit { self.positions() } else { BTreeMap::new() };
        if !membership.is_cooperative() {
            self.give_up(BTreeSet::new(), Rebalance::Revoked);
        }
        let owned = self.assignment.partitions();
        let Some(group) = &mut self.group else { return };
        to_commit.append(&mut group.to_commit);
        group.joining = true;
        group.led = None;
        let topics = group.topics.clone();
        self.waiting.push(Box::pin(async move { Event::Joined(membership.join(topics, owned, to_commit).await) }));
    }

    pub(super) fn joined(&mut self, outcome: Result<Joined, Error>) {
        let Some(group) = &mut self.group else { return };
        group.joining = false;
        let joined = match outcome {
            Ok(joined) => joined,
            Err(e) => {
                self.failed = Some(e);
                return;
            }
        };
        group.led = joined.led;
        let membership = group.membership();
        let before = self.assignment.partitions();
        let stays: BTreeSet<TopicPartition> = before.intersection(&joined.assigned).cloned().collect();
        if stays != before {
            // Somebody waits for what we give up: commit it, then have the group rebalance again.
            let mut positions = if self.config.enable_auto_commit { self.positions() } else { BTreeMap::new() };
            positions.retain(|tp, _| !stays.contains(tp));
            if let Some(group) = &mut self.group {
                group.to_commit = positions;
            }
            self.give_up(stays, Rebalance::Revoked);
            membership.want_join();
        }
        let came: BTreeSet<TopicPartition> = joined.assigned.difference(&before).cloned().collect();
        self.set_assignment(joined.assigned);
        self.tell(Rebalance::Assigned(came));
    }
}
