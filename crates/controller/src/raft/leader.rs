//! Leading: the first records of an epoch, what is committed, keeping the voters informed, giving up.

use std::collections::BTreeSet;

use super::event::{BeginQuorumEpochRequest, ControlRecord, EndQuorumEpochRequest, Request, RequestId};
use super::progress::{Greeting, Progress};
use super::role::{Leader, Role};
use super::voters::ReplicaKey;
use super::{Effect, ElectionState, RaftCore, SnapshotId};

impl RaftCore {
    pub(super) fn become_leader(&mut self, granting: BTreeSet<i32>, now_ms: i64) {
        // No vote is kept: the epoch has its leader, and a restart finds this replica resigned in it.
        self.set_election(ElectionState { epoch: self.election.epoch, leader_id: Some(self.local.id), voted: None });
        let mut progress = Progress::default();
        progress.set_voters(self.voters.latest(), self.local.id, now_ms);
        self.leave_role(Role::Leader(Leader {
            epoch_start_offset: self.log.end_offset(),
            progress,
            parked: Vec::new(),
            majority_deadline_ms: self.majority_deadline(now_ms),
            fetched_since: BTreeSet::new(),
        }));
        self.append_first_records(&granting, now_ms);
        self.leader_changed();
        self.leader_tick(now_ms);
    }

    /// The LeaderChange record, and after the very first election of a dynamic quorum the voters that until then stood only
    /// in the bootstrap snapshot: from here on the log alone tells them.
    fn append_first_records(&mut self, granting: &BTreeSet<i32>, now_ms: i64) {
        let voters = self.voters.latest().clone();
        let mut records = vec![ControlRecord::LeaderChange {
            leader_id: self.local.id,
            voters: voters.iter().map(|v| v.key).collect(),
            granting_voters: granting.iter().map(|id| voters.key_of(*id)).collect(),
        }];
        let kraft_version = self.voters.kraft_version();
        if kraft_version > 0 && self.voters.latest_offset() == Some(-1) {
            records.push(ControlRecord::KRaftVersion(kraft_version));
            records.push(ControlRecord::Voters(voters));
        }
        let base_offset = self.log.end_offset();
        let epoch = self.election.epoch;
        for (offset, record) in (base_offset..).zip(&records) {
            self.note_control(offset, record);
        }
        self.log.append(epoch, base_offset + records.len() as i64);
        self.effects.push(Effect::AppendControl { base_offset, epoch, timestamp_ms: now_ms, records });
    }

    /// What a control record in the log says about the quorum takes effect at once, committed or not (KIP-853).
    pub(super) fn note_control(&mut self, offset: i64, record: &ControlRecord) {
        match record {
            ControlRecord::LeaderChange { .. } => {}
            ControlRecord::KRaftVersion(version) => self.voters.add_version(offset, *version),
            ControlRecord::Voters(set) => self.voters.add_voters(offset, set.clone()),
        }
    }

    pub(super) fn append(&mut self, epoch: i32, record_count: u32, bytes: Vec<u8>, now_ms: i64) {
        if !self.is_leader() || epoch != self.election.epoch || record_count == 0 {
            return;
        }
        let base_offset = self.log.end_offset();
        self.log.append(epoch, base_offset + i64::from(record_count));
        self.effects.push(Effect::Append { base_offset, bytes });
        self.answer_parked(now_ms);
    }

    pub(super) fn synced(&mut self, end_offset: i64, generation: u64, now_ms: i64) {
        self.log.synced(end_offset, generation);
        match &self.role {
            Role::Leader(_) => self.advance_high_watermark(now_ms),
            Role::Follower(_) => self.maybe_fetch(now_ms),
            _ => {}
        }
    }

    /// The high watermark is the largest offset that a majority of the voters has synced, but it stays where it is until
    /// that covers a record of this epoch: records of earlier ones may be lost to another leader even when a majority has
    /// them (Raft, figure 8).
    pub(super) fn advance_high_watermark(&mut self, now_ms: i64) {
        let Role::Leader(leader) = &self.role else { return };
        let local = self.local.id;
        let synced = self.log.synced_offset();
        let offset_of = |id| if id == local { synced } else { leader.progress.voter_offset(id) };
        let voters = self.voters.latest();
        let mut offsets: Vec<i64> = voters.iter().map(|v| offset_of(v.key.id)).collect();
        offsets.sort_unstable_by(|a, b| b.cmp(a));
        let Some(committed) = offsets.get(voters.majority() - 1).copied() else { return };
        if committed > leader.epoch_start_offset && self.high_watermark.is_none_or(|hw| committed > hw) {
            self.high_watermark = Some(committed);
            self.effects.push(Effect::HighWatermark(committed));
            self.answer_parked(now_ms);
        }
    }

    fn majority_deadline(&self, now_ms: i64) -> i64 {
        if self.voters.latest().is_only(self.local) { i64::MAX } else { now_ms + self.options.fetch_timeout_ms * 3 / 2 }
    }

    /// A voter fetched: when a majority (this replica included) has, the leader is not cut off.
    pub(super) fn note_voter_fetch(&mut self, id: i32, now_ms: i64) {
        let others_needed = self.voters.latest().majority() - usize::from(self.is_voter());
        let deadline = self.majority_deadline(now_ms);
        let Role::Leader(leader) = &mut self.role else { return };
        if let Some(greeting) = leader.progress.greetings.get_mut(&id) {
            greeting.due_ms = now_ms + self.options.fetch_timeout_ms;
        }
        leader.fetched_since.insert(id);
        if leader.fetched_since.len() >= others_needed {
            leader.fetched_since.clear();
            leader.majority_deadline_ms = deadline;
        }
    }

    pub(super) fn leader_tick(&mut self, now_ms: i64) {
        let Role::Leader(leader) = &self.role else { return };
        if now_ms >= leader.majority_deadline_ms {
            return self.resign(now_ms);
        }
        self.answer_parked(now_ms);
        self.greet_voters(now_ms);
    }

    /// Tells voters that have not fetched lately who leads.
    fn greet_voters(&mut self, now_ms: i64) {
        let Role::Leader(leader) = &self.role else { return };
        let due = |g: &Greeting| g.request.is_none() && g.due_ms <= now_ms;
        let ids: Vec<i32> = leader.progress.greetings.iter().filter(|(_, g)| due(g)).map(|(id, _)| *id).collect();
        for id in ids {
            let request = BeginQuorumEpochRequest {
                cluster_id: Some(self.options.cluster_id.clone()),
                voter: Some(self.voters.latest().key_of(id)),
                leader_id: self.local.id,
                epoch: self.election.epoch,
            };
            let sent = self.send(id, Request::BeginQuorumEpoch(request));
            if let Role::Leader(leader) = &mut self.role
                && let Some(greeting) = leader.progress.greetings.get_mut(&id)
            {
                greeting.request = Some(sent);
            }
        }
    }

    pub(super) fn greeting_response(&mut self, request: RequestId, from: i32, answered: bool, now_ms: i64) {
        let pause = if answered { self.options.fetch_timeout_ms / 2 } else { self.options.retry_backoff_ms };
        let Role::Leader(leader) = &mut self.role else { return };
        if let Some(greeting) = leader.progress.greetings.get_mut(&from)
            && greeting.request == Some(request)
        {
            *greeting = Greeting { due_ms: greeting.due_ms.max(now_ms + pause), request: None };
        }
    }

    /// Steps down and tells the others, the most up to date first. Does nothing unless this replica leads.
    pub(super) fn resign(&mut self, now_ms: i64) {
        let Role::Leader(leader) = &self.role else { return };
        let mut successors: Vec<(i64, ReplicaKey)> =
            leader.progress.voters().map(|v| (v.end_offset.unwrap_or(-1), v.key)).collect();
        successors.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        let preferred: Vec<ReplicaKey> = successors.into_iter().map(|(_, key)| key).collect();
        for key in &preferred {
            let request = EndQuorumEpochRequest {
                cluster_id: Some(self.options.cluster_id.clone()),
                leader_id: self.local.id,
                epoch: self.election.epoch,
                preferred: preferred.clone(),
            };
            self.send(key.id, Request::EndQuorumEpoch(request));
        }
        self.become_resigned(now_ms);
    }

    /// A snapshot makes the log before it dispensable.
    pub(super) fn snapshot_written(&mut self, id: SnapshotId) {
        if self.high_watermark.is_none_or(|hw| id.end_offset > hw) {
            return self.fatal(format!("a snapshot up to {} holds records that are not committed", id.end_offset));
        }
        self.log.snapshot_written(id);
        self.effects.push(Effect::DeleteLogBefore { offset: self.log.start_offset() });
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        Event, FetchRequest, LogView, RaftOptions, ReplyId, Response, Standing, Voter, VoterHistory, VoterSet,
    };
    use super::*;
    use ottla_protocol::error_code::ErrorCode;

    const FIRST: ReplicaKey = ReplicaKey { id: 1, directory_id: Some([1; 16]) };
    const SECOND: ReplicaKey = ReplicaKey { id: 2, directory_id: Some([2; 16]) };

    fn core(keys: &[ReplicaKey], log: LogView, election: ElectionState) -> RaftCore {
        let voter =
            |key: &ReplicaKey| Voter { key: *key, endpoints: vec![], min_kraft_version: 0, max_kraft_version: 1 };
        let mut history = VoterHistory::new(VoterSet::default());
        history.add_version(-1, 1);
        history.add_voters(-1, VoterSet::new(keys.iter().map(voter)));
        RaftCore::new(RaftOptions::new("cluster", 1), FIRST, election, log, history)
    }

    fn empty_log() -> LogView {
        LogView::new(0, 0, vec![], None)
    }

    /// Elects the first of two voters; the second is this test's hand.
    fn leader_of_two(log: LogView, election: ElectionState) -> RaftCore {
        let mut core = core(&[FIRST, SECOND], log, election);
        core.step(Event::Start, 0);
        let mut effects = core.step(Event::Tick, core.next_deadline_ms().expect("it will stand"));
        for pre_vote in [true, false] {
            let asked = effects.iter().find_map(|e| match e {
                Effect::Send { request_id, to: 2, request: Request::Vote(v) } if v.pre_vote == pre_vote => {
                    Some(*request_id)
                }
                _ => None,
            });
            let standing = Standing { error: ErrorCode::None, leader_id: None, epoch: core.election().epoch };
            let response = Some(Response::Vote { standing, granted: true });
            effects = core.step(Event::Response { request: asked.expect("asked"), from: 2, response }, 2000);
        }
        assert!(core.is_leader());
        core
    }

    fn fetch_of_second(core: &mut RaftCore, fetch_offset: i64, last_fetched_epoch: i32) -> Vec<Effect> {
        let request = FetchRequest {
            cluster_id: None,
            replica: Some(SECOND),
            current_epoch: core.election().epoch,
            fetch_offset,
            last_fetched_epoch,
            high_watermark: None,
            max_wait_ms: 500,
            max_bytes: 1000,
        };
        core.step(Event::Request { reply: ReplyId(1), request: Request::Fetch(request) }, 2100)
    }

    fn committed(effects: &[Effect]) -> Option<i64> {
        effects.iter().find_map(|e| if let Effect::HighWatermark(offset) = e { Some(*offset) } else { None })
    }

    #[test]
    fn one_voter_leads_at_once_but_commits_only_what_is_synced() {
        let mut core = core(&[FIRST], empty_log(), ElectionState::default());
        let effects = core.step(Event::Start, 0);
        assert!(core.is_leader());
        assert_eq!(core.election(), &ElectionState { epoch: 1, leader_id: Some(1), voted: None });
        assert_eq!(committed(&effects), None);
        // LeaderChange, kraft.version and the voters of the bootstrap snapshot.
        assert_eq!(core.log().end_offset(), 3);
        assert_eq!(core.next_deadline_ms(), None, "a lone leader has nothing to wait for");
        let effects = core.step(Event::Synced { end_offset: 3, generation: 0 }, 1);
        assert_eq!(committed(&effects), Some(3));
    }

    #[test]
    fn the_voters_are_written_into_the_log_once() {
        let mut core = core(&[FIRST], empty_log(), ElectionState::default());
        core.step(Event::Start, 0);
        assert_eq!(core.voters().latest_offset(), Some(2));
        let mut again = RaftCore::new(
            RaftOptions::new("cluster", 1),
            FIRST,
            *core.election(),
            LogView::new(0, 3, vec![(1, 0)], None),
            core.voters().clone(),
        );
        again.step(Event::Start, 0);
        assert_eq!((again.log().end_offset(), again.election().epoch), (4, 2));
    }

    #[test]
    fn a_second_voter_driven_by_hand_moves_the_high_watermark() {
        let mut core = leader_of_two(empty_log(), ElectionState::default());
        let end = core.log().end_offset();
        let effects = core.step(Event::Append { epoch: 1, record_count: 2, bytes: vec![1] }, 2000);
        assert!(matches!(effects.first(), Some(Effect::Append { base_offset, .. }) if *base_offset == end));
        // Synced here, unknown there: one of two is no majority.
        assert_eq!(committed(&core.step(Event::Synced { end_offset: end + 2, generation: 0 }, 2001)), None);
        assert_eq!(committed(&fetch_of_second(&mut core, 0, 0)), None);
        assert_eq!(committed(&fetch_of_second(&mut core, end, 1)), Some(end));
        assert_eq!(committed(&fetch_of_second(&mut core, end + 2, 1)), Some(end + 2));
    }

    #[test]
    fn what_the_follower_has_but_the_leader_has_not_synced_is_not_committed() {
        let mut core = leader_of_two(empty_log(), ElectionState::default());
        let end = core.log().end_offset();
        assert_eq!(committed(&fetch_of_second(&mut core, end, 1)), None);
        assert_eq!(committed(&core.step(Event::Synced { end_offset: end, generation: 0 }, 2200)), Some(end));
    }

    #[test]
    fn records_of_an_earlier_epoch_commit_only_together_with_one_of_this_epoch() {
        let log = LogView::new(0, 5, vec![(2, 0)], None);
        let mut core = leader_of_two(log, ElectionState { epoch: 2, leader_id: None, voted: None });
        let end = core.log().end_offset();
        core.step(Event::Synced { end_offset: end, generation: 0 }, 2001);
        assert_eq!(committed(&fetch_of_second(&mut core, 5, 2)), None, "a majority has 5 records, all of epoch 2");
        assert_eq!(committed(&fetch_of_second(&mut core, end, 3)), Some(end));
    }
}
