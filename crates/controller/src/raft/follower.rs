//! Following a leader: fetching its records, cutting back what it does not have, installing its snapshot.
//!
//! The next fetch leaves only when everything fetched before is synced: its offset is an acknowledgement.

use ottla_protocol::error_code::ErrorCode;

use super::event::{
    Batch, FetchContent, FetchRequest, FetchResponse, FetchSnapshotRequest, FetchSnapshotResponse, OffsetAndEpoch,
    Request, Response, SnapshotId,
};
use super::role::{Follower, Role, SnapshotFetch};
use super::voters::VoterSet;
use super::{Effect, ElectionState, RaftCore};

impl RaftCore {
    /// `leader_id`, which is not this replica, leads `epoch`, which is not below ours.
    pub(super) fn become_follower(&mut self, leader_id: i32, epoch: i32, now_ms: i64) {
        let voted = self.election.voted.filter(|_| epoch == self.election.epoch);
        self.set_election(ElectionState { epoch, leader_id: Some(leader_id), voted });
        self.leave_role(Role::Follower(Follower {
            leader_id,
            deadline_ms: now_ms + self.options.fetch_timeout_ms,
            fetched: false,
            fetching: None,
            fetch_at_ms: now_ms,
            snapshot: None,
        }));
        self.leader_changed();
        self.maybe_fetch(now_ms);
    }

    pub(super) fn follower_tick(&mut self, now_ms: i64) {
        let Role::Follower(follower) = &self.role else { return };
        if now_ms < follower.deadline_ms {
            return self.maybe_fetch(now_ms);
        }
        if self.is_voter() {
            self.stand(now_ms);
        } else {
            self.become_unattached(self.election.epoch, now_ms);
            self.unattached_timeout(now_ms);
        }
    }

    /// Whether the log is in a state in which its end may be acknowledged.
    pub(super) fn may_fetch(&self) -> bool {
        self.installing.is_none() && self.log.synced_offset() == self.log.end_offset()
    }

    pub(super) fn maybe_fetch(&mut self, now_ms: i64) {
        let Role::Follower(follower) = &self.role else { return };
        if follower.fetching.is_some() || now_ms < follower.fetch_at_ms || !self.may_fetch() {
            return;
        }
        let (to, snapshot) = (follower.leader_id, follower.snapshot);
        let request = match snapshot {
            Some(snapshot) => Request::FetchSnapshot(FetchSnapshotRequest {
                cluster_id: Some(self.options.cluster_id.clone()),
                replica: Some(self.local),
                current_epoch: self.election.epoch,
                id: snapshot.id,
                position: snapshot.position,
                max_bytes: self.options.fetch_snapshot_max_bytes,
            }),
            None => Request::Fetch(self.fetch_request()),
        };
        let sent = self.send(to, request);
        if let Role::Follower(follower) = &mut self.role {
            follower.fetching = Some(sent);
        }
    }

    pub(super) fn fetch_request(&self) -> FetchRequest {
        FetchRequest {
            cluster_id: Some(self.options.cluster_id.clone()),
            replica: Some(self.local),
            current_epoch: self.election.epoch,
            fetch_offset: self.log.end_offset(),
            last_fetched_epoch: self.log.last_epoch(),
            high_watermark: Some(self.high_watermark.unwrap_or(-1)),
            max_wait_ms: self.options.fetch_max_wait_ms,
            max_bytes: self.options.fetch_max_bytes,
        }
    }

    /// The answer to the fetch under way.
    pub(super) fn fetch_response(&mut self, response: Option<Response>, now_ms: i64) {
        let Role::Follower(follower) = &mut self.role else { return };
        follower.fetching = None;
        let good = |s: super::Standing| s.error == ErrorCode::None && s.epoch == self.election.epoch;
        match response {
            Some(Response::Fetch(fetched)) if good(fetched.standing) => {
                follower.deadline_ms = now_ms + self.options.fetch_timeout_ms;
                follower.fetched = true;
                self.fetched(fetched, now_ms);
            }
            Some(Response::FetchSnapshot(piece)) if good(piece.standing) => {
                follower.deadline_ms = now_ms + self.options.fetch_timeout_ms;
                self.snapshot_piece(piece, now_ms);
            }
            other => {
                if matches!(other, Some(Response::FetchSnapshot(_))) {
                    // The leader has a newer one by now; the next fetch will say which.
                    follower.snapshot = None;
                }
                follower.fetch_at_ms = now_ms + self.options.retry_backoff_ms;
            }
        }
        self.maybe_fetch(now_ms);
    }

    fn fetched(&mut self, response: FetchResponse, now_ms: i64) {
        match response.content {
            FetchContent::Diverging(end) => self.diverged(end),
            FetchContent::Snapshot(id) => self.begin_snapshot(id, now_ms),
            FetchContent::Batches(batches) => {
                for batch in batches {
                    if !self.append_fetched(batch) {
                        return self.pause_fetching(now_ms);
                    }
                }
                self.follow_high_watermark(response.high_watermark);
            }
        }
    }

    /// An answer that cannot be right is not acted upon; the fetch is repeated after a pause.
    fn pause_fetching(&mut self, now_ms: i64) {
        if let Role::Follower(follower) = &mut self.role {
            follower.fetch_at_ms = now_ms + self.options.retry_backoff_ms;
        }
    }

    fn append_fetched(&mut self, batch: Batch) -> bool {
        let follows = batch.base_offset == self.log.end_offset()
            && batch.last_offset >= batch.base_offset
            && batch.epoch >= self.log.last_epoch()
            && batch.epoch <= self.election.epoch;
        let Some(end_offset) = batch.last_offset.checked_add(1).filter(|_| follows) else { return false };
        self.log.append(batch.epoch, end_offset);
        for (offset, record) in &batch.control {
            self.note_control(*offset, record);
        }
        self.effects.push(Effect::AppendFetched(batch));
        true
    }

    fn follow_high_watermark(&mut self, of_leader: i64) {
        let known = of_leader.min(self.log.end_offset());
        if known >= 0 && self.high_watermark.is_none_or(|hw| known > hw) {
            self.high_watermark = Some(known);
            self.effects.push(Effect::HighWatermark(known));
        }
    }

    fn diverged(&mut self, leader_end: OffsetAndEpoch) {
        let end_offset = self.log.truncation_offset(leader_end);
        if self.high_watermark.is_some_and(|hw| end_offset < hw) {
            return self.fatal(format!(
                "the leader wants the log cut back to {end_offset}, which is below the high watermark"
            ));
        }
        self.log.truncate_to(end_offset);
        self.voters.truncate_to(end_offset);
        self.effects.push(Effect::Truncate { end_offset });
    }

    fn begin_snapshot(&mut self, id: SnapshotId, now_ms: i64) {
        let useless = id.end_offset < 0 || id.epoch < 0 || self.high_watermark.is_some_and(|hw| id.end_offset < hw);
        if useless {
            return self.pause_fetching(now_ms);
        }
        if let Role::Follower(follower) = &mut self.role {
            follower.snapshot = Some(SnapshotFetch { id, position: 0 });
        }
    }

    fn snapshot_piece(&mut self, piece: FetchSnapshotResponse, now_ms: i64) {
        let Role::Follower(follower) = &mut self.role else { return };
        let Some(snapshot) = &mut follower.snapshot else { return };
        let length = piece.bytes.len() as i64;
        let fits = piece.id == snapshot.id
            && piece.position == snapshot.position
            && (length > 0 || piece.size == snapshot.position)
            && piece.size >= snapshot.position.saturating_add(length);
        if !fits {
            follower.snapshot = None;
            return self.pause_fetching(now_ms);
        }
        let (id, position) = (snapshot.id, snapshot.position);
        snapshot.position += length;
        let whole = snapshot.position == piece.size;
        self.effects.push(Effect::WriteSnapshotChunk { id, position, bytes: piece.bytes });
        if whole {
            self.installing = Some(id);
            self.effects.push(Effect::InstallSnapshot(id));
        }
    }

    pub(super) fn snapshot_installed(
        &mut self,
        id: SnapshotId,
        voters: Option<VoterSet>,
        kraft_version: i16,
        now_ms: i64,
    ) {
        self.installing = None;
        self.log.snapshot_installed(id);
        self.voters.clear();
        let offset = id.end_offset - 1;
        self.voters.add_version(offset, kraft_version);
        if let Some(voters) = voters {
            self.voters.add_voters(offset, voters);
        }
        self.high_watermark = Some(id.end_offset);
        self.effects.push(Effect::HighWatermark(id.end_offset));
        if let Role::Follower(follower) = &mut self.role {
            follower.snapshot = None;
        }
        self.maybe_fetch(now_ms);
    }
}
