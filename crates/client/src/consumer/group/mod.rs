//! Membership in a classic consumer group: join, sync, heartbeats, leave.
//!
//! ```text
//!   Out ──join──> Joining ──JoinGroup, SyncGroup──> Member(generation)
//!    ^                                                  │ heartbeat: rebalance in progress -> wants_join
//!    └──────────── member or generation unknown ────────┘
//! ```
//!
//! [`Membership`] is shared by the consumer, which joins from within `poll`, and the heartbeat task, which only reports:
//! it never takes partitions away by itself.

mod heartbeat;
pub(crate) mod protocol;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ottla_env::time::Instant;
use ottla_env::{random, time};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use ottla_protocol::messages::join_group_response::JoinGroupResponse;
use ottla_protocol::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use ottla_protocol::messages::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::assignor::{Assignments, Assignor, GroupMember};
use super::record::OffsetAndMetadata;
use crate::TopicPartition;
use crate::cluster::Topics;
use crate::config::ConsumerConfig;
use crate::coordinator::Coordinator;
use crate::error::Error;
use crate::offsets::{self, Committer};
pub(super) use heartbeat::Heartbeat;
use protocol::Subscription;

/// The protocol type of consumers.
const PROTOCOL_TYPE: &str = "consumer";
/// On top of the rebalance timeout, for the answer to a join to arrive.
const JOIN_GRACE: Duration = Duration::from_secs(5);
/// The first version of LeaveGroup that names several members.
const FIRST_LEAVE_WITH_MEMBERS: i16 = 3;

/// Where a member stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Out,
    Joining,
    Member,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    member_id: String,
    generation: i32,
    /// The group rebalances, or our subscription changed.
    wants_join: bool,
    /// The group went on without us: what we own belongs to others now.
    lost: bool,
    polled_at: Instant,
}

/// One consumer's place in its group.
#[derive(Debug)]
pub(super) struct Membership {
    coordinator: Arc<Coordinator>,
    config: Arc<ConsumerConfig>,
    state: Mutex<State>,
    /// Wakes poll when the heartbeat has news.
    pub(super) news: Notify,
}

/// The outcome of a join.
#[derive(Debug)]
pub(super) struct Joined {
    pub(super) assigned: BTreeSet<TopicPartition>,
    /// Of the leader: topics and their partitions as they were when it assigned them.
    pub(super) led: Option<BTreeMap<String, i32>>,
}

impl Membership {
    pub(super) fn new(coordinator: Arc<Coordinator>, config: Arc<ConsumerConfig>) -> Arc<Self> {
        let state = State {
            phase: Phase::Out,
            member_id: String::new(),
            generation: -1,
            wants_join: true,
            lost: false,
            polled_at: Instant::now(),
        };
        Arc::new(Self { coordinator, config, state: Mutex::new(state), news: Notify::new() })
    }

    /// Whether the whole group rebalances without stopping: only if every assignor we offer allows it.
    pub(super) fn is_cooperative(&self) -> bool {
        self.config.assignors.iter().all(|a| a.is_cooperative())
    }

    /// Notes that the application polls.
    pub(super) fn touch(&self) {
        self.state.lock().polled_at = Instant::now();
    }

    /// Whether a join is due.
    pub(super) fn wants_join(&self) -> bool {
        self.state.lock().wants_join
    }

    /// Makes the next poll join.
    pub(super) fn want_join(&self) {
        self.state.lock().wants_join = true;
    }

    /// Whether the group went on without us; asks once.
    pub(super) fn take_lost(&self) -> bool {
        std::mem::take(&mut self.state.lock().lost)
    }

    /// In whose name offsets are committed.
    pub(super) fn committer(&self) -> Committer {
        let state = self.state.lock();
        Committer {
            generation: state.generation,
            member_id: state.member_id.clone(),
            instance_id: self.config.group_instance_id.clone(),
        }
    }

    /// Joins with this subscription; first commits `to_commit` while the old generation still counts. Tries until it
    /// succeeds or fails for good.
    pub(super) async fn join(
        self: Arc<Self>,
        topics: BTreeSet<String>,
        owned: BTreeSet<TopicPartition>,
        to_commit: BTreeMap<TopicPartition, OffsetAndMetadata>,
    ) -> Result<Joined, Error> {
        if let Err(e) = offsets::commit(&self.coordinator, &self.committer(), &to_commit).await {
            tracing::warn!(error = %e, "offsets could not be committed before the rebalance; records may be read again");
        }
        let mut backoff = self.coordinator.backoff();
        loop {
            {
                let mut state = self.state.lock();
                (state.phase, state.wants_join) = (Phase::Joining, false);
            }
            match self.join_once(&topics, &owned).await {
                Ok(joined) => return Ok(joined),
                Err(e) if self.may_try_again(&e) => {
                    tracing::debug!(error = %e, "joining the group again");
                    if e.code() != Some(ErrorCode::MemberIdRequired) {
                        time::sleep(backoff.next(random::next_u64())).await;
                    }
                }
                Err(e) => {
                    let mut state = self.state.lock();
                    (state.phase, state.wants_join) = (Phase::Out, true);
                    return Err(e);
                }
            }
        }
    }

    /// Adapts to a refusal; says whether another attempt makes sense.
    fn may_try_again(&self, e: &Error) -> bool {
        let mut state = self.state.lock();
        match e.code() {
            Some(ErrorCode::UnknownMemberId) => {
                state.member_id.clear();
                state.generation = -1;
                true
            }
            Some(ErrorCode::IllegalGeneration) => {
                state.generation = -1;
                true
            }
            Some(ErrorCode::MemberIdRequired | ErrorCode::RebalanceInProgress) => true,
            _ => e.is_retriable(),
        }
    }

    async fn join_once(&self, topics: &BTreeSet<String>, owned: &BTreeSet<TopicPartition>) -> Result<Joined, Error> {
        let connection = self.coordinator.connection().await?;
        let (member_id, generation) = {
            let state = self.state.lock();
            (state.member_id.clone(), state.generation)
        };
        let subscription = Subscription { topics: topics.clone(), owned: owned.clone(), generation };
        let metadata = subscription.encode(&self.config.client.client_rack).map_err(crate::ConnectionError::from)?;
        let protocol =
            |a: &Assignor| JoinGroupRequestProtocol { name: a.name(), metadata: &metadata, ..Default::default() };
        let request = JoinGroupRequest {
            group_id: self.coordinator.group(),
            session_timeout_ms: millis(self.config.session_timeout),
            rebalance_timeout_ms: millis(self.config.max_poll_interval),
            member_id: &member_id,
            group_instance_id: self.config.group_instance_id.as_deref(),
            protocol_type: PROTOCOL_TYPE,
            protocols: self.config.assignors.iter().map(protocol).collect(),
            ..Default::default()
        };
        let version = connection.version::<JoinGroupRequest<'_>>()?;
        let timeout = (self.config.max_poll_interval + JOIN_GRACE).max(self.coordinator.request_timeout());
        let response = connection.send_at(version, &request, timeout).await;
        let response = response.map_err(|e| self.coordinator.lost(e))?;
        let joined = response.decode()?;
        if !joined.member_id.is_empty() {
            self.state.lock().member_id = joined.member_id.to_owned();
        }
        self.coordinator.check(joined.error_code)?;
        self.state.lock().generation = joined.generation_id;
        let leads = joined.leader == joined.member_id && !joined.skip_assignment;
        let (shares, led) = if leads { self.assign(&joined).await? } else { (Assignments::new(), None) };
        let assigned = self.sync(&joined, shares).await?;
        self.become_member();
        Ok(Joined { assigned, led })
    }

    /// As the leader: shares the partitions of all topics that members want.
    async fn assign(
        &self,
        joined: &JoinGroupResponse<'_>,
    ) -> Result<(Assignments, Option<BTreeMap<String, i32>>), Error> {
        let name = joined.protocol_name.unwrap_or_default();
        let assignor = Assignor::from_name(name).ok_or_else(|| {
            Error::IllegalState(format!("the group chose the assignor {name}, which we did not offer"))
        })?;
        let mut members = Vec::new();
        for member in &joined.members {
            let subscription = Subscription::decode(member.metadata)
                .map_err(|e| Error::IllegalState(format!("the subscription of {}: {e}", member.member_id)))?;
            members.push(GroupMember {
                id: member.member_id.to_owned(),
                instance_id: member.group_instance_id.map(str::to_owned),
                topics: subscription.topics,
                owned: subscription.owned,
                generation: subscription.generation,
            });
        }
        let partitions = self.partitions_of(members.iter().flat_map(|m| &m.topics)).await?;
        Ok((assignor.assign(&members, &partitions), Some(partitions)))
    }

    async fn partitions_of<'t>(
        &self,
        topics: impl Iterator<Item = &'t String>,
    ) -> Result<BTreeMap<String, i32>, Error> {
        let cluster = self.coordinator.cluster();
        let topics: BTreeSet<&String> = topics.collect();
        topics.iter().for_each(|t| cluster.use_topic(t));
        let view = match topics.iter().all(|t| cluster.view().topic(t).is_some()) {
            true => cluster.view(),
            false => cluster.refresh(Topics::Used, self.config.allow_auto_create_topics).await?,
        };
        Ok(topics.into_iter().filter_map(|t| Some((t.clone(), view.topic(t)?.partitions.len() as i32))).collect())
    }

    async fn sync(
        &self,
        joined: &JoinGroupResponse<'_>,
        shares: Assignments,
    ) -> Result<BTreeSet<TopicPartition>, Error> {
        let connection = self.coordinator.connection().await?;
        let version = connection.version::<SyncGroupRequest<'_>>()?;
        let mut encoded = Vec::new();
        for (id, share) in &shares {
            encoded.push((id, protocol::encode_assignment(share).map_err(crate::ConnectionError::from)?));
        }
        let request = SyncGroupRequest {
            group_id: self.coordinator.group(),
            generation_id: joined.generation_id,
            member_id: joined.member_id,
            group_instance_id: self.config.group_instance_id.as_deref(),
            protocol_type: Some(PROTOCOL_TYPE),
            protocol_name: joined.protocol_name,
            assignments: encoded
                .iter()
                .map(|(member_id, assignment)| SyncGroupRequestAssignment {
                    member_id,
                    assignment,
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        };
        let timeout = (self.config.max_poll_interval + JOIN_GRACE).max(self.coordinator.request_timeout());
        let response = connection.send_at(version, &request, timeout).await;
        let response = response.map_err(|e| self.coordinator.lost(e))?;
        let synced = response.decode()?;
        self.coordinator.check(synced.error_code)?;
        protocol::decode_assignment(synced.assignment)
            .map_err(|e| Error::IllegalState(format!("the assignment that the group's leader sent: {e}")))
    }

    fn become_member(&self) {
        let mut state = self.state.lock();
        state.phase = Phase::Member;
        state.lost = false;
    }

    /// Leaves, unless the member is static: its place stays its own until the session times out (KIP-345).
    pub(super) async fn leave(&self, reason: &str) -> Result<(), Error> {
        let member_id = {
            let mut state = self.state.lock();
            state.phase = Phase::Out;
            state.generation = -1;
            std::mem::take(&mut state.member_id)
        };
        if self.config.group_instance_id.is_some() || member_id.is_empty() {
            return Ok(());
        }
        let connection = self.coordinator.connection().await?;
        let version = connection.version::<LeaveGroupRequest<'_>>()?;
        let group_id = self.coordinator.group();
        let request = if version >= FIRST_LEAVE_WITH_MEMBERS {
            let member = MemberIdentity { member_id: &member_id, reason: Some(reason), ..Default::default() };
            LeaveGroupRequest { group_id, members: vec![member], ..Default::default() }
        } else {
            LeaveGroupRequest { group_id, member_id: &member_id, ..Default::default() }
        };
        let response = connection.send_at(version, &request, self.coordinator.request_timeout()).await?;
        self.coordinator.check(response.decode()?.error_code)
    }
}

fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
