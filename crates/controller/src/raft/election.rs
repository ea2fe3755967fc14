//! Standing for leader, voting, winning and losing.

use std::collections::{BTreeMap, BTreeSet};

use ottla_protocol::error_code::ErrorCode;

use super::event::{
    BeginQuorumEpochRequest, EndQuorumEpochRequest, ReplyId, Request, RequestId, Response, VoteRequest,
};
use super::role::{Campaign, Resigned, Role, Unattached};
use super::voters::ReplicaKey;
use super::{Effect, ElectionState, RaftCore};

/// Up to here an epoch of another replica is believed whatever ours is: at an election each second it takes 34 years to get
/// there, and as many remain.
const EPOCH_UNCHECKED_MAX: i32 = i32::MAX / 2;

/// Above that, the furthest another replica's epoch may be ahead of ours.
const EPOCH_LEAP_MAX: i32 = 1024;

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
            && request.candidate.id != self.local.id;
        if !well_formed {
            return Err(ErrorCode::InvalidRequest);
        }
        if let Some(error) = self.refusal(request.cluster_id.as_deref(), request.epoch, request.voter) {
            return Err(error);
        }
        if let Some(error) = self.electoral_refusal(request.candidate, request.epoch) {
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
        let error = refusal.or_else(|| self.leader_refusal(request.leader_id, request.epoch));
        if error.is_none() {
            self.observe(Some(request.leader_id), request.epoch, now_ms);
            // The leader itself speaks, so it is worth following again.
            if !matches!(self.role, Role::Follower(_)) {
                self.become_follower(request.leader_id, request.epoch, now_ms);
            }
        }
        let standing = self.standing(error.unwrap_or(ErrorCode::None));
        self.reply(reply, Response::BeginQuorumEpoch(standing));
    }

    pub(super) fn answer_end(&mut self, reply: ReplyId, request: &EndQuorumEpochRequest, now_ms: i64) {
        let refusal = self.refusal(request.cluster_id.as_deref(), request.epoch, None);
        let error = refusal.or_else(|| self.leader_refusal(request.leader_id, request.epoch));
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

    /// Why who says to lead `epoch`, or to have led it, is not believed. One epoch has one leader: a second one that
    /// presents itself is a defect of somebody else's, and no reason for this replica to stop.
    fn leader_refusal(&self, leader_id: i32, epoch: i32) -> Option<ErrorCode> {
        let another_leads = epoch == self.election.epoch && self.election.leader_id.is_some_and(|id| id != leader_id);
        if leader_id < 0 || leader_id == self.local.id || another_leads {
            Some(ErrorCode::InvalidRequest)
        } else {
            self.electoral_refusal(ReplicaKey::of_id(leader_id), epoch)
        }
    }

    /// Why a replica has no say in elections, or its epoch none. Where this replica is the only voter nobody else has.
    ///
    /// Apache Kafka, from KIP-853 on, hears candidates and leaders from outside its voter set as well, since that may be
    /// behind the sender's; so whoever reaches the listener can drive its epoch up. Here no voter can be added yet
    /// (AddRaftVoter), so the set is never behind.
    fn electoral_refusal(&self, from: ReplicaKey, epoch: i32) -> Option<ErrorCode> {
        let is_voter = self.voters.latest().get(from.id).is_some_and(|voter| same_replica(voter.key, from));
        if !is_voter {
            Some(ErrorCode::InconsistentVoterSet)
        } else if !self.is_epoch_plausible(epoch) {
            Some(ErrorCode::InvalidRequest)
        } else {
            None
        }
    }

    /// Whether elections can have led to an epoch that somebody names. Epochs are adopted for good, so no single message
    /// may bring them near their end.
    pub(super) fn is_epoch_plausible(&self, epoch: i32) -> bool {
        epoch <= EPOCH_UNCHECKED_MAX || epoch <= self.election.epoch.saturating_add(EPOCH_LEAP_MAX)
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

#[cfg(test)]
mod tests {
    use super::super::{Event, LogView, RaftOptions, Voter, VoterHistory, VoterSet};
    use super::*;

    /// Replica 1 of these voters, started, in epoch `epoch`: alone it leads the next one.
    fn replica(voters: &[i32], epoch: i32) -> RaftCore {
        let voter = |id: &i32| Voter { key: key(*id), endpoints: vec![], min_kraft_version: 0, max_kraft_version: 1 };
        let election = ElectionState { epoch, leader_id: None, voted: None };
        let log = LogView::new(0, 0, vec![], None);
        let history = VoterHistory::new(VoterSet::new(voters.iter().map(voter)));
        let mut core = RaftCore::new(RaftOptions::new("cluster", 7), key(1), election, log, history);
        core.step(Event::Start, 0);
        core
    }

    fn key(id: i32) -> ReplicaKey {
        ReplicaKey { id, directory_id: Some([id as u8; 16]) }
    }

    fn vote(candidate: ReplicaKey, epoch: i32) -> Request {
        Request::Vote(VoteRequest {
            cluster_id: None,
            voter: Some(ReplicaKey::of_id(-1)),
            candidate,
            epoch,
            last_epoch: 0,
            last_offset: 0,
            pre_vote: false,
        })
    }

    fn begin(leader_id: i32, epoch: i32) -> Request {
        let voter = Some(ReplicaKey::of_id(-1));
        Request::BeginQuorumEpoch(BeginQuorumEpochRequest { cluster_id: None, voter, leader_id, epoch })
    }

    fn end(leader_id: i32, epoch: i32) -> Request {
        Request::EndQuorumEpoch(EndQuorumEpochRequest { cluster_id: None, leader_id, epoch, preferred: vec![] })
    }

    /// The error of the answer, and what else was done.
    fn ask(core: &mut RaftCore, request: Request) -> (ErrorCode, Vec<Effect>) {
        let mut effects = core.step(Event::Request { reply: ReplyId(1), request }, 1);
        let Some(Effect::Reply { response, .. }) = effects.pop() else { panic!("no answer: {effects:?}") };
        (response.standing().error, effects)
    }

    #[test]
    fn nobody_takes_an_only_voters_lead_whatever_they_send() {
        for epoch in [1, 2, i32::MAX - 1, i32::MAX] {
            for id in [-1, 0, 1, 2, i32::MAX] {
                let stranger = ReplicaKey { id, directory_id: Some([9; 16]) };
                for request in [vote(stranger, epoch), vote(key(id), epoch), begin(id, epoch), end(id, epoch)] {
                    let mut core = replica(&[1], 0);
                    let before = *core.election();
                    let told = format!("{request:?}");
                    let (error, effects) = ask(&mut core, request);
                    assert_ne!(error, ErrorCode::None, "{told}");
                    assert!(effects.is_empty(), "{told}: {effects:?}");
                    assert!(core.is_leader() && *core.election() == before, "{told}: {:?}", core.election());
                }
            }
        }
    }

    #[test]
    fn who_is_no_voter_is_told_so() {
        for request in [vote(key(9), 5), begin(9, 5), end(9, 5), begin(9, 0), end(9, 0)] {
            let mut core = replica(&[1, 2, 3], 0);
            assert_eq!(ask(&mut core, request).0, ErrorCode::InconsistentVoterSet);
            assert_eq!(core.election().epoch, 0);
        }
        let replaced = ReplicaKey { id: 2, directory_id: Some([77; 16]) };
        assert_eq!(ask(&mut replica(&[1, 2, 3], 0), vote(replaced, 5)).0, ErrorCode::InconsistentVoterSet);
        assert_eq!(ask(&mut replica(&[1, 2, 3], 0), vote(key(2), 5)).0, ErrorCode::None);
    }

    #[test]
    fn a_second_leader_of_an_epoch_is_refused_and_the_first_one_followed_on() {
        let mut core = replica(&[1, 2, 3], 0);
        assert_eq!(ask(&mut core, begin(2, 5)).0, ErrorCode::None);
        assert_eq!(ask(&mut core, begin(3, 5)).0, ErrorCode::InvalidRequest);
        assert_eq!(ask(&mut core, end(3, 5)).0, ErrorCode::InvalidRequest);
        assert_eq!(core.leader_id(), Some(2));
        assert_eq!(ask(&mut core, begin(3, 6)).0, ErrorCode::None);
        assert_eq!(core.leader_id(), Some(3));
    }

    #[test]
    fn no_message_uses_the_epochs_up() {
        for request in [vote(key(2), i32::MAX), begin(2, i32::MAX), end(2, i32::MAX)] {
            let mut core = replica(&[1, 2, 3], 7);
            assert_eq!(ask(&mut core, request).0, ErrorCode::InvalidRequest);
            assert_eq!(core.election().epoch, 7);
        }
        let mut core = replica(&[1, 2, 3], 7);
        let standing = super::super::Standing { error: ErrorCode::None, leader_id: Some(2), epoch: i32::MAX };
        let response = Some(Response::Vote { standing, granted: false });
        core.step(Event::Response { request: RequestId(1), from: 2, response }, 1);
        assert_eq!(core.election().epoch, 7);
        // A quorum that is old already goes on.
        let mut core = replica(&[1, 2, 3], EPOCH_UNCHECKED_MAX);
        assert_eq!(ask(&mut core, vote(key(2), EPOCH_UNCHECKED_MAX + 3)).0, ErrorCode::None);
        assert_eq!(core.election().epoch, EPOCH_UNCHECKED_MAX + 3);
    }
}
