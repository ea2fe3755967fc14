//! Standing for leader, voting, winning and losing.

use std::collections::{BTreeMap, BTreeSet};

use ottla_protocol::error_code::ErrorCode;

use super::event::{
    BeginQuorumEpochRequest, EndQuorumEpochRequest, ReplyId, Request, RequestId, Response, VoteRequest,
};
use super::role::{Campaign, Resigned, Role, Unattached};
use super::voters::ReplicaKey;
use super::{Effect, ElectionState, RaftCore};

impl RaftCore {
    /// No leader is known in `epoch`, which is not below ours.
    pub(super) fn become_unattached(&mut self, epoch: i32, now_ms: i64) {
        // An epoch that rises again and again must not keep a replica from ever standing: time already waited counts.
        let deadline_ms = match &self.role {
            Role::Unattached(u) if u.deadline_ms != i64::MAX => u.deadline_ms,
            Role::Follower(f) if epoch > self.election.epoch => f.deadline_ms.min(self.election_deadline(now_ms)),
            _ => self.election_deadline(now_ms),
        };
        if epoch > self.election.epoch {
            self.set_election(ElectionState { epoch, leader_id: None, voted: None });
        }
        self.leave_role(Role::Unattached(Unattached { deadline_ms, probe: None }));
        self.leader_changed();
    }

    /// Ends a role; fetches that waited for this replica as a leader are told.
    pub(super) fn leave_role(&mut self, next: Role) {
        if let Role::Leader(leader) = std::mem::replace(&mut self.role, next) {
            for parked in leader.parked {
                let response = self.fetch_refusal(ErrorCode::NotLeaderOrFollower);
                self.reply(parked.reply, response);
            }
        }
    }

    pub(super) fn leader_changed(&mut self) {
        self.effects.push(Effect::LeaderChanged { leader_id: self.leader_id(), epoch: self.election.epoch });
    }

    fn election_deadline(&mut self, now_ms: i64) -> i64 {
        let timeout = self.options.election_timeout_ms;
        now_ms + timeout + self.random.below(timeout)
    }

    /// A voter stands; an observer looks for the leader at the next voter.
    pub(super) fn unattached_timeout(&mut self, now_ms: i64) {
        if self.is_voter() {
            return self.stand(now_ms);
        }
        let others: Vec<i32> =
            self.voters.latest().iter().map(|v| v.key.id).filter(|id| *id != self.local.id).collect();
        let chosen = self.random.below(others.len() as i64) as usize;
        let probe = others.get(chosen).map(|to| {
            let request = self.fetch_request();
            self.send(*to, Request::Fetch(request))
        });
        let deadline_ms = self.election_deadline(now_ms);
        self.role = Role::Unattached(Unattached { deadline_ms, probe });
    }

    /// The leader is missed. While a snapshot takes the log's place this replica cannot say what it has, so it waits.
    pub(super) fn stand(&mut self, now_ms: i64) {
        if self.installing.is_none() {
            return self.become_prospective(now_ms);
        }
        let deadline = self.election_deadline(now_ms);
        match &mut self.role {
            Role::Unattached(unattached) => unattached.deadline_ms = deadline,
            Role::Follower(follower) => follower.deadline_ms = deadline,
            Role::Prospective(_) | Role::Candidate(_) | Role::Leader(_) | Role::Resigned(_) => {}
        }
    }

    fn become_prospective(&mut self, now_ms: i64) {
        if self.voters.latest().is_only(self.local) {
            return self.become_candidate(now_ms);
        }
        let campaign = self.campaign(true, now_ms);
        self.leave_role(Role::Prospective(campaign));
        self.leader_changed();
    }

    pub(super) fn become_candidate(&mut self, now_ms: i64) {
        let Some(epoch) = self.election.epoch.checked_add(1) else {
            return self.fatal("the epochs are used up".to_owned());
        };
        // Durable before anybody hears of it: a replica that forgot its own vote could vote twice.
        self.set_election(ElectionState { epoch, leader_id: None, voted: Some(self.local) });
        if self.voters.latest().majority() == 1 {
            return self.become_leader(BTreeSet::from([self.local.id]), now_ms);
        }
        let campaign = self.campaign(false, now_ms);
        self.leave_role(Role::Candidate(campaign));
        self.leader_changed();
    }

    fn campaign(&mut self, pre_vote: bool, now_ms: i64) -> Campaign {
        let deadline_ms = self.election_deadline(now_ms);
        let others: Vec<i32> =
            self.voters.latest().iter().map(|v| v.key.id).filter(|id| *id != self.local.id).collect();
        let asked: BTreeMap<_, _> = others.into_iter().map(|id| (self.ask_for_vote(id, pre_vote), id)).collect();
        let granted = BTreeSet::from([self.local.id]);
        Campaign { deadline_ms, granted, rejected: BTreeSet::new(), asked, retry_at_ms: BTreeMap::new() }
    }

    fn ask_for_vote(&mut self, to: i32, pre_vote: bool) -> RequestId {
        let request = VoteRequest {
            cluster_id: Some(self.options.cluster_id.clone()),
            voter: Some(self.voters.latest().key_of(to)),
            candidate: self.local,
            epoch: self.election.epoch,
            last_epoch: self.log.last_epoch(),
            last_offset: self.log.end_offset(),
            pre_vote,
        };
        self.send(to, Request::Vote(request))
    }

    pub(super) fn campaign_tick(&mut self, now_ms: i64) {
        let (Role::Prospective(campaign) | Role::Candidate(campaign)) = &mut self.role else { return };
        if now_ms >= campaign.deadline_ms {
            return self.campaign_lost(now_ms);
        }
        let due: Vec<i32> = campaign.retry_at_ms.iter().filter(|(_, at)| **at <= now_ms).map(|(id, _)| *id).collect();
        campaign.retry_at_ms.retain(|_, at| *at > now_ms);
        let pre_vote = matches!(self.role, Role::Prospective(_));
        let asked: Vec<_> = due.into_iter().map(|id| (self.ask_for_vote(id, pre_vote), id)).collect();
        if let Role::Prospective(campaign) | Role::Candidate(campaign) = &mut self.role {
            campaign.asked.extend(asked);
        }
    }

    /// A candidate first finds out whether it has a chance in the next epoch. A prospective one goes back to the leader it
    /// knew, if any, and otherwise waits for another turn.
    fn campaign_lost(&mut self, now_ms: i64) {
        match (&self.role, self.leader_id()) {
            (Role::Candidate(_), _) => self.become_prospective(now_ms),
            (_, Some(leader_id)) => self.become_follower(leader_id, self.election.epoch, now_ms),
            (_, None) => self.become_unattached(self.election.epoch, now_ms),
        }
    }

    pub(super) fn vote_response(&mut self, request: RequestId, from: i32, response: Option<&Response>, now_ms: i64) {
        let pre_vote = matches!(self.role, Role::Prospective(_));
        let voters = self.voters.latest();
        let (Role::Prospective(campaign) | Role::Candidate(campaign)) = &mut self.role else { return };
        campaign.asked.remove(&request);
        match response {
            Some(Response::Vote { standing, granted }) if standing.error == ErrorCode::None => {
                let tally = if *granted { &mut campaign.granted } else { &mut campaign.rejected };
                tally.insert(from);
            }
            _ => {
                campaign.retry_at_ms.insert(from, now_ms + self.options.retry_backoff_ms);
                return;
            }
        }
        let granted = campaign.granted.iter().filter(|id| voters.get(**id).is_some()).count();
        let rejected = campaign.rejected.iter().filter(|id| voters.get(**id).is_some()).count();
        if granted >= voters.majority() {
            if pre_vote {
                self.become_candidate(now_ms);
            } else {
                let granting = std::mem::take(&mut campaign.granted);
                self.become_leader(granting, now_ms);
            }
        } else if voters.len() - rejected < voters.majority() {
            let pause = self.random.below(self.options.election_backoff_max_ms);
            campaign.deadline_ms = campaign.deadline_ms.min(now_ms + pause);
        }
    }

    pub(super) fn answer_vote(&mut self, reply: ReplyId, request: &VoteRequest, now_ms: i64) {
        let granted = match self.vote(request, now_ms) {
            Ok(granted) => granted,
            Err(error) => {
                let standing = self.standing(error);
                return self.reply(reply, Response::Vote { standing, granted: false });
            }
        };
        let standing = self.standing(ErrorCode::None);
        self.reply(reply, Response::Vote { standing, granted });
    }

    fn vote(&mut self, request: &VoteRequest, now_ms: i64) -> Result<bool, ErrorCode> {
        let well_formed = request.last_offset >= 0
            && (0..=request.epoch).contains(&request.last_epoch)
            && request.candidate.id >= 0
            && request.candidate != self.local;
        if !well_formed {
            return Err(ErrorCode::InvalidRequest);
        }
        if let Some(error) = self.refusal(request.cluster_id.as_deref(), request.epoch, request.voter) {
            return Err(error);
        }
        if request.epoch > self.election.epoch {
            self.become_unattached(request.epoch, now_ms);
        }
        let granted = self.would_vote_for(request);
        if granted && !request.pre_vote && self.election.voted.is_none() {
            self.set_election(ElectionState { voted: Some(request.candidate), ..self.election });
            if let Role::Unattached(unattached) = &mut self.role {
                // Give the candidate the time to win.
                let timeout = self.options.election_timeout_ms;
                unattached.deadline_ms = now_ms + timeout + self.random.below(timeout);
            }
        }
        Ok(granted)
    }

    /// Whether the candidate gets the vote (or would): its log must hold all that ours does, so that nothing committed is
    /// lost, and nobody else may have the vote of this epoch.
    fn would_vote_for(&self, request: &VoteRequest) -> bool {
        let up_to_date = (request.last_epoch, request.last_offset) >= (self.log.last_epoch(), self.log.end_offset());
        if request.pre_vote {
            return up_to_date
                && match &self.role {
                    Role::Leader(_) => false,
                    Role::Follower(f) => !f.fetched,
                    Role::Unattached(_) | Role::Prospective(_) | Role::Candidate(_) | Role::Resigned(_) => true,
                };
        }
        match &self.role {
            Role::Unattached(_) | Role::Prospective(_) if self.election.leader_id.is_none() => {
                match self.election.voted {
                    Some(voted) => same_replica(voted, request.candidate),
                    None => up_to_date,
                }
            }
            _ => false,
        }
    }

    pub(super) fn answer_begin(&mut self, reply: ReplyId, request: &BeginQuorumEpochRequest, now_ms: i64) {
        let refusal = self.refusal(request.cluster_id.as_deref(), request.epoch, request.voter);
        let bad = request.leader_id < 0 || request.leader_id == self.local.id;
        let error = if bad { Some(ErrorCode::InvalidRequest) } else { refusal };
        if error.is_none() {
            self.observe(Some(request.leader_id), request.epoch, now_ms);
            // The leader itself speaks, so it is worth following again.
            if !self.failed && !matches!(self.role, Role::Follower(_)) {
                self.become_follower(request.leader_id, request.epoch, now_ms);
            }
        }
        let standing = self.standing(error.unwrap_or(ErrorCode::None));
        self.reply(reply, Response::BeginQuorumEpoch(standing));
    }

    pub(super) fn answer_end(&mut self, reply: ReplyId, request: &EndQuorumEpochRequest, now_ms: i64) {
        let refusal = self.refusal(request.cluster_id.as_deref(), request.epoch, None);
        let bad = request.leader_id < 0 || request.leader_id == self.local.id;
        let error = if bad { Some(ErrorCode::InvalidRequest) } else { refusal };
        if error.is_none() {
            self.observe(Some(request.leader_id), request.epoch, now_ms);
            let pause = self.succession_pause(&request.preferred);
            if let Role::Follower(follower) = &mut self.role {
                follower.fetched = false;
                follower.deadline_ms = follower.deadline_ms.min(now_ms + pause);
            }
        }
        let standing = self.standing(error.unwrap_or(ErrorCode::None));
        self.reply(reply, Response::EndQuorumEpoch(standing));
    }

    /// The most up to date of the successors stands at once; each after it leaves it more time.
    fn succession_pause(&mut self, preferred: &[ReplicaKey]) -> i64 {
        let place = preferred.iter().position(|k| k.id == self.local.id).unwrap_or(preferred.len());
        if place == 0 {
            return 0;
        }
        let exponent = u32::try_from(place).unwrap_or(u32::MAX).min(10);
        let longest = (self.options.retry_backoff_ms << exponent).min(self.options.election_backoff_max_ms);
        longest / 2 + self.random.below(longest / 2 + 1)
    }

    /// A leader that must not lead its epoch any more: waits until the others have had their chance, then leaves it.
    pub(super) fn become_resigned(&mut self, now_ms: i64) {
        let deadline_ms = self.election_deadline(now_ms);
        self.leave_role(Role::Resigned(Resigned { deadline_ms }));
        self.leader_changed();
    }
}

/// Directory ids are compared where both are known: a vote of a static quorum has none.
fn same_replica(a: ReplicaKey, b: ReplicaKey) -> bool {
    a.id == b.id && (a.directory_id.is_none() || b.directory_id.is_none() || a.directory_id == b.directory_id)
}
