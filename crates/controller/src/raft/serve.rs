//! How a leader answers those who fetch.
//!
//! A fetch names the end of the fetcher's log and the epoch of its last record. If that is a prefix of our log, the fetch
//! acknowledges it (a follower fetches only when what it has is synced) and is answered with what follows; an empty answer
//! is held back until something changes. If it is not, the answer says where the logs part, or which snapshot to begin with.

use ottla_protocol::error_code::ErrorCode;

use super::event::{
    FetchContent, FetchRequest, FetchResponse, FetchSnapshotRequest, FetchSnapshotResponse, ReplyId, Response,
};
use super::log_view::Validation;
use super::role::{Parked, Role};
use super::{Effect, RaftCore};

/// Fetches held back at most; one more is answered at once.
const PARKED_MAX: usize = 10_000;

impl RaftCore {
    pub(super) fn answer_fetch(&mut self, reply: ReplyId, request: &FetchRequest, now_ms: i64) {
        if let Some(error) = self.fetch_error(request) {
            let response = self.fetch_refusal(error);
            return self.reply(reply, response);
        }
        let content = match self.log.validate(request.fetch_offset, request.last_fetched_epoch) {
            Validation::Diverging(end) => FetchContent::Diverging(end),
            Validation::Snapshot(id) => FetchContent::Snapshot(id),
            Validation::Valid => return self.answer_valid_fetch(reply, request, now_ms),
        };
        let response = Response::Fetch(FetchResponse { content, ..self.fetch_head() });
        self.reply(reply, response);
    }

    fn fetch_error(&self, request: &FetchRequest) -> Option<ErrorCode> {
        if request.fetch_offset < 0 || request.last_fetched_epoch < 0 {
            return Some(ErrorCode::InvalidRequest);
        }
        self.fetcher_error(request.cluster_id.as_deref(), request.current_epoch)
    }

    fn fetcher_error(&self, cluster_id: Option<&str>, epoch: i32) -> Option<ErrorCode> {
        if let Some(error) = self.refusal(cluster_id, epoch, None) {
            Some(error)
        } else if epoch > self.election.epoch {
            Some(ErrorCode::UnknownLeaderEpoch)
        } else if !self.is_leader() {
            Some(ErrorCode::NotLeaderOrFollower)
        } else {
            None
        }
    }

    fn answer_valid_fetch(&mut self, reply: ReplyId, request: &FetchRequest, now_ms: i64) {
        let told = self.high_watermark;
        if let Some(key) = request.replica {
            self.note_fetch(key, request.fetch_offset, now_ms);
        }
        // A fetcher that says which high watermark it knows is told of a newer one at once (KIP-1166). One that does not
        // say gets it with the next answer, so one that moved by this very fetch must not wait.
        let news = match request.high_watermark {
            Some(known) => self.high_watermark.is_some_and(|hw| hw > known),
            None => self.high_watermark != told,
        };
        let parked = Parked {
            reply,
            fetch_offset: request.fetch_offset,
            max_bytes: request.max_bytes,
            deadline_ms: now_ms.saturating_add(i64::from(request.max_wait_ms)),
        };
        let nothing_new = request.fetch_offset >= self.log.end_offset() && !news && request.max_wait_ms > 0;
        match &mut self.role {
            Role::Leader(leader) if nothing_new && leader.parked.len() < PARKED_MAX => leader.parked.push(parked),
            _ => self.answer_from_log(&parked),
        }
    }

    fn note_fetch(&mut self, key: super::ReplicaKey, offset: i64, now_ms: i64) {
        let is_voter = self.voters.latest().contains(key) && key.id != self.local.id;
        let log_end = self.log.end_offset();
        let Role::Leader(leader) = &mut self.role else { return };
        leader.progress.set_voters(self.voters.latest(), self.local.id, now_ms);
        if leader.progress.fetched(key, is_voter, offset, log_end, now_ms) {
            self.note_voter_fetch(key.id, now_ms);
            self.advance_high_watermark(now_ms);
        }
    }

    fn answer_from_log(&mut self, parked: &Parked) {
        let response = self.fetch_head();
        self.effects.push(Effect::ReplyRecords {
            reply: parked.reply,
            response,
            fetch_offset: parked.fetch_offset,
            max_bytes: parked.max_bytes,
        });
    }

    /// Answers the fetches for which there is something now, or whose time is up.
    pub(super) fn answer_parked(&mut self, now_ms: i64) {
        // A high watermark that moved in this step is news to everybody who waits.
        let (end, told) = (self.log.end_offset(), self.effects.iter().any(|e| matches!(e, Effect::HighWatermark(_))));
        let Role::Leader(leader) = &mut self.role else { return };
        let ready = |p: &mut Parked| told || p.fetch_offset < end || p.deadline_ms <= now_ms;
        let due: Vec<Parked> = leader.parked.extract_if(.., ready).collect();
        for parked in &due {
            self.answer_from_log(parked);
        }
    }

    fn fetch_head(&self) -> FetchResponse {
        FetchResponse {
            standing: self.standing(ErrorCode::None),
            high_watermark: self.high_watermark.unwrap_or(-1),
            log_start_offset: self.log.start_offset(),
            content: FetchContent::Batches(Vec::new()),
        }
    }

    pub(super) fn fetch_refusal(&self, error: ErrorCode) -> Response {
        Response::Fetch(FetchResponse {
            standing: self.standing(error),
            high_watermark: -1,
            log_start_offset: -1,
            content: FetchContent::Batches(Vec::new()),
        })
    }

    pub(super) fn answer_fetch_snapshot(&mut self, reply: ReplyId, request: FetchSnapshotRequest, now_ms: i64) {
        let negative = request.position < 0 || request.id.end_offset < 0 || request.id.epoch < 0;
        let error = if negative {
            Some(ErrorCode::InvalidRequest)
        } else {
            self.fetcher_error(request.cluster_id.as_deref(), request.current_epoch)
        };
        if let Some(error) = error {
            let response = FetchSnapshotResponse {
                standing: self.standing(error),
                id: request.id,
                size: 0,
                position: request.position,
                bytes: Vec::new(),
            };
            return self.reply(reply, Response::FetchSnapshot(response));
        }
        if let Some(key) = request.replica.filter(|k| k.id != self.local.id && self.voters.latest().contains(*k)) {
            self.note_voter_fetch(key.id, now_ms);
        }
        self.effects.push(Effect::ReplySnapshot { reply, request });
    }
}
