//! The KRaft core: one replica of the metadata partition as a pure value. Events in, effects out; no clock, file, socket
//! or task (KIP-595, KIP-853 voters, KIP-996 pre-vote).
//!
//! ```text
//!    requests of other replicas ─┐                    ┌─> replies, requests to other replicas
//!    answers to our requests ────┤   ┌───────────┐    ├─> append, truncate, snapshots      (the driver writes and syncs)
//!    ticks ──────────────────────┼──>│ RaftCore  │────┼─> save the election state          (durable before what follows)
//!    finished syncs, snapshots ──┤   │   .step() │    ├─> the high watermark moved         (the driver hands records on)
//!    records of the application ─┘   └───────────┘    └─> the leader changed
//! ```
//!
//! | File | What it decides |
//! |---|---|
//! | `event`, `effect` | the vocabulary |
//! | `role` | the roles and how they follow each other |
//! | `election` | standing, voting, winning |
//! | `leader` | appending, what is committed, when to give up |
//! | `serve` | how a leader answers Fetch and FetchSnapshot |
//! | `follower` | fetching, diverging, installing a snapshot |
//! | `log_view`, `voters`, `progress`, `quorum_state` | what the core knows of its log, the voters, the others, its promises |
//!
//! Rules that the simulator in `simulation.rs` checks on every seed:
//! - at most one leader in an epoch;
//! - a record counts as committed only when a majority of the voters has it *synced*, and some record of the leader's own
//!   epoch with it; a leader's own copy counts from its sync on, a follower's from the fetch after its sync;
//! - what is committed is in the log of every later leader.

mod effect;
mod election;
mod event;
mod follower;
mod leader;
mod log_view;
mod options;
mod progress;
mod quorum_state;
mod random;
mod role;
mod serve;
#[cfg(test)]
mod simulation;
mod voters;

pub use effect::Effect;
pub use event::{
    Batch, BeginQuorumEpochRequest, ControlRecord, EndQuorumEpochRequest, Event, FetchContent, FetchRequest,
    FetchResponse, FetchSnapshotRequest, FetchSnapshotResponse, OffsetAndEpoch, ReplyId, Request, RequestId, Response,
    SnapshotId, Standing, VoteRequest,
};
pub use log_view::{LogView, Validation};
pub use options::RaftOptions;
pub use progress::ReplicaProgress;
pub use quorum_state::{ElectionState, QuorumStateError};
pub use voters::{DirectoryKey, Endpoint, ReplicaKey, Voter, VoterHistory, VoterSet};

use ottla_protocol::error_code::ErrorCode;

use random::Random;
use role::{Role, Unattached};

/// One replica of the quorum. See the module's drawing.
#[derive(Debug)]
pub struct RaftCore {
    options: RaftOptions,
    local: ReplicaKey,
    election: ElectionState,
    log: LogView,
    voters: VoterHistory,
    role: Role,
    high_watermark: Option<i64>,
    random: Random,
    last_request: u64,
    /// The driver puts this snapshot in the log's place; until then the log's end says nothing.
    installing: Option<SnapshotId>,
    /// Effects of the step under way.
    effects: Vec<Effect>,
    /// An invariant is broken: nothing is done any more.
    failed: bool,
}

impl RaftCore {
    /// A replica as it lies on disk. [`Event::Start`] must be its first event.
    #[must_use]
    pub fn new(
        options: RaftOptions,
        local: ReplicaKey,
        mut election: ElectionState,
        log: LogView,
        voters: VoterHistory,
    ) -> Self {
        if log.last_epoch() > election.epoch {
            // The file was lost or is older than the log, as in a directory that was restored: no vote is remembered.
            election = ElectionState { epoch: log.last_epoch(), leader_id: None, voted: None };
        }
        Self {
            random: Random::new(options.seed),
            high_watermark: log.latest_snapshot().map(|s| s.end_offset),
            role: Role::Unattached(Unattached { deadline_ms: i64::MAX, probe: None }),
            options,
            local,
            election,
            log,
            voters,
            last_request: 0,
            installing: None,
            effects: Vec::new(),
            failed: false,
        }
    }

    /// Takes one event in and returns what is to be done for it, in this order.
    pub fn step(&mut self, event: Event, now_ms: i64) -> Vec<Effect> {
        if self.failed {
            return Vec::new();
        }
        match event {
            Event::Start => self.start(now_ms),
            Event::Tick => self.tick(now_ms),
            Event::Request { reply, request } => self.answer(reply, request, now_ms),
            Event::Response { request, from, response } => self.response(request, from, response, now_ms),
            Event::Append { epoch, record_count, bytes } => self.append(epoch, record_count, bytes, now_ms),
            Event::Synced { end_offset, generation } => self.synced(end_offset, generation, now_ms),
            Event::SnapshotWritten(id) => self.snapshot_written(id),
            Event::SnapshotInstalled { id, voters, kraft_version } => {
                self.snapshot_installed(id, voters, kraft_version, now_ms);
            }
            Event::Resign => self.resign(now_ms),
        }
        std::mem::take(&mut self.effects)
    }

    /// When [`Event::Tick`] is next of use; `None` when nothing will happen by itself.
    #[must_use]
    pub fn next_deadline_ms(&self) -> Option<i64> {
        let deadline = match &self.role {
            Role::Unattached(u) => u.deadline_ms,
            Role::Prospective(c) | Role::Candidate(c) => c.retry_at_ms.values().copied().fold(c.deadline_ms, i64::min),
            Role::Leader(leader) => {
                let parked = leader.parked.iter().map(|p| p.deadline_ms);
                let greetings = leader.progress.greetings.values().filter(|g| g.request.is_none()).map(|g| g.due_ms);
                parked.chain(greetings).fold(leader.majority_deadline_ms, i64::min)
            }
            Role::Follower(f) if f.fetching.is_none() && self.may_fetch() => f.deadline_ms.min(f.fetch_at_ms),
            Role::Follower(f) => f.deadline_ms,
            Role::Resigned(r) => r.deadline_ms,
        };
        (deadline != i64::MAX && !self.failed).then_some(deadline)
    }

    /// This replica.
    #[must_use]
    pub fn local(&self) -> ReplicaKey {
        self.local
    }

    /// The latest epoch, its leader and this replica's vote in it.
    #[must_use]
    pub fn election(&self) -> &ElectionState {
        &self.election
    }

    /// The outline of the log.
    #[must_use]
    pub fn log(&self) -> &LogView {
        &self.log
    }

    /// The voters, and how they came to be.
    #[must_use]
    pub fn voters(&self) -> &VoterHistory {
        &self.voters
    }

    /// Records below this are committed; `None` until that is known.
    #[must_use]
    pub fn high_watermark(&self) -> Option<i64> {
        self.high_watermark
    }

    /// Whether this replica leads.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        matches!(self.role, Role::Leader(_))
    }

    /// The leader of the current epoch, when known and, if it is this replica, still leading.
    #[must_use]
    pub fn leader_id(&self) -> Option<i32> {
        match &self.role {
            Role::Leader(_) => Some(self.local.id),
            Role::Follower(f) => Some(f.leader_id),
            Role::Unattached(_) | Role::Prospective(_) | Role::Candidate(_) | Role::Resigned(_) => {
                self.election.leader_id.filter(|id| *id != self.local.id)
            }
        }
    }

    /// What the leader knows of the other voters; nothing on other replicas.
    pub fn voter_progress(&self) -> impl Iterator<Item = &ReplicaProgress> {
        self.leader().into_iter().flat_map(|l| l.progress.voters())
    }

    /// What the leader knows of observers that fetched within the last five minutes; nothing on other replicas.
    pub fn observer_progress(&self, now_ms: i64) -> impl Iterator<Item = &ReplicaProgress> {
        self.leader().into_iter().flat_map(move |l| l.progress.observers(now_ms))
    }

    fn leader(&self) -> Option<&role::Leader> {
        match &self.role {
            Role::Leader(leader) => Some(leader),
            _ => None,
        }
    }

    fn is_voter(&self) -> bool {
        self.voters.latest().contains(self.local)
    }

    fn start(&mut self, now_ms: i64) {
        if self.voters.latest().is_only(self.local) {
            // Nobody else can hold a newer promise, so there is nothing to wait for.
            return self.become_candidate(now_ms);
        }
        match self.election.leader_id {
            Some(id) if id == self.local.id => self.become_resigned(now_ms),
            Some(id) => self.become_follower(id, self.election.epoch, now_ms),
            None => self.become_unattached(self.election.epoch, now_ms),
        }
    }

    fn tick(&mut self, now_ms: i64) {
        match &self.role {
            Role::Unattached(u) if now_ms >= u.deadline_ms => self.unattached_timeout(now_ms),
            Role::Unattached(_) => {}
            Role::Prospective(_) | Role::Candidate(_) => self.campaign_tick(now_ms),
            Role::Leader(_) => self.leader_tick(now_ms),
            Role::Follower(_) => self.follower_tick(now_ms),
            Role::Resigned(r) if now_ms >= r.deadline_ms => {
                self.become_unattached(self.election.epoch.saturating_add(1), now_ms)
            }
            Role::Resigned(_) => {}
        }
    }

    fn answer(&mut self, reply: ReplyId, request: Request, now_ms: i64) {
        match request {
            Request::Vote(request) => self.answer_vote(reply, &request, now_ms),
            Request::BeginQuorumEpoch(request) => self.answer_begin(reply, &request, now_ms),
            Request::EndQuorumEpoch(request) => self.answer_end(reply, &request, now_ms),
            Request::Fetch(request) => self.answer_fetch(reply, &request, now_ms),
            Request::FetchSnapshot(request) => self.answer_fetch_snapshot(reply, request, now_ms),
        }
    }

    /// An answer first says where the quorum stands; what it says to its question counts only if that question is still ours.
    fn response(&mut self, request: RequestId, from: i32, response: Option<Response>, now_ms: i64) {
        if let Some(response) = &response {
            let standing = response.standing();
            self.observe(standing.leader_id, standing.epoch, now_ms);
        }
        match &self.role {
            Role::Prospective(c) | Role::Candidate(c) if c.asked.contains_key(&request) => {
                self.vote_response(request, from, response.as_ref(), now_ms);
            }
            Role::Unattached(u) if u.probe == Some(request) => {
                // An observer asked a voter who leads; it follows even the leader that did not answer it lately.
                if let Some(id) = self.leader_id() {
                    self.become_follower(id, self.election.epoch, now_ms);
                }
            }
            Role::Leader(_) => self.greeting_response(request, from, response.is_some(), now_ms),
            Role::Follower(f) if f.fetching == Some(request) => self.fetch_response(response, now_ms),
            _ => {}
        }
    }

    /// Learns of an epoch and its leader (Kafka: `maybeTransition`): from a request that was not refused, or from the answer
    /// of a voter that was asked. Only such an answer can show that the quorum has two leaders, which ends this replica.
    fn observe(&mut self, leader_id: Option<i32>, epoch: i32, now_ms: i64) {
        if epoch < self.election.epoch || !self.is_epoch_plausible(epoch) {
            return;
        }
        let leader_id = leader_id.filter(|id| *id != self.local.id);
        if epoch > self.election.epoch {
            return match leader_id {
                Some(id) => self.become_follower(id, epoch, now_ms),
                None => self.become_unattached(epoch, now_ms),
            };
        }
        let Some(id) = leader_id else { return };
        match self.election.leader_id {
            None => self.become_follower(id, epoch, now_ms),
            // Not news; a replica that gave this leader up must not return to it because others still name it.
            Some(known) if known == id => {}
            Some(known) => self.fatal(format!("epoch {epoch} has two leaders, {known} and {id}")),
        }
    }

    fn set_election(&mut self, election: ElectionState) {
        if self.election != election {
            self.election = election;
            self.effects.push(Effect::SaveQuorumState(election));
        }
    }

    fn standing(&self, error: ErrorCode) -> Standing {
        Standing { error, leader_id: self.leader_id(), epoch: self.election.epoch }
    }

    fn reply(&mut self, reply: ReplyId, response: Response) {
        self.effects.push(Effect::Reply { reply, response });
    }

    fn send(&mut self, to: i32, request: Request) -> RequestId {
        self.last_request += 1;
        let request_id = RequestId(self.last_request);
        self.effects.push(Effect::Send { request_id, to, request });
        request_id
    }

    fn fatal(&mut self, reason: String) {
        self.failed = true;
        self.effects.push(Effect::Fatal { reason });
    }

    /// What every request is checked for first: cluster, epoch, and whether it was meant for this replica.
    fn refusal(&self, cluster_id: Option<&str>, epoch: i32, addressed: Option<ReplicaKey>) -> Option<ErrorCode> {
        if cluster_id.is_some_and(|id| id != self.options.cluster_id) {
            Some(ErrorCode::InconsistentClusterId)
        } else if epoch < self.election.epoch {
            Some(ErrorCode::FencedLeaderEpoch)
        } else if addressed.is_some_and(|key| !self.is_addressed(key)) {
            Some(ErrorCode::InvalidVoterKey)
        } else {
            None
        }
    }

    /// Whether a request for `key` is for us; -1 and a missing directory mean "whoever gets it" (old versions).
    fn is_addressed(&self, key: ReplicaKey) -> bool {
        let same_directory = key.directory_id.is_none() || key.directory_id == self.local.directory_id;
        key.id < 0 || (key.id == self.local.id && same_directory)
    }
}
