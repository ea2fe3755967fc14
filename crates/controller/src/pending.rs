//! Responses that are decided and wait for the records that they tell of.

use std::collections::VecDeque;

use ottla_metadata::controller_door::DoorError;
use tokio::sync::oneshot;

/// Where the answer to a request goes.
pub(crate) type Reply = oneshot::Sender<Result<Vec<u8>, DoorError>>;

/// What a response waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// It has no records of its own, and may tell of some that are not committed yet.
    Committed,
    /// It has records, which are to be published on this node as well.
    Loaded,
}

#[derive(Debug)]
struct Response {
    /// It leaves when everything below is committed, or loaded.
    end_offset: i64,
    reply: Reply,
    body: Vec<u8>,
}

/// All responses that wait, each kind in the order of its offsets.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    until_committed: VecDeque<Response>,
    until_loaded: VecDeque<Response>,
}

impl Pending {
    /// Adds one that tells of records below `end_offset`.
    pub(crate) fn add(&mut self, until: Until, end_offset: i64, reply: Reply, body: Vec<u8>) {
        let waiting = match until {
            Until::Committed => &mut self.until_committed,
            Until::Loaded => &mut self.until_loaded,
        };
        waiting.push_back(Response { end_offset, reply, body });
    }

    /// Everything below `offset` is committed.
    pub(crate) fn committed(&mut self, offset: i64) {
        answer(&mut self.until_committed, offset);
    }

    /// Everything below `offset` is loaded.
    pub(crate) fn loaded(&mut self, offset: i64) {
        answer(&mut self.until_loaded, offset);
    }

    /// Leadership is lost: what was decided may never be.
    pub(crate) fn give_up(&mut self) {
        for response in self.until_committed.drain(..).chain(self.until_loaded.drain(..)) {
            // Whoever has gone need not be told.
            let _ = response.reply.send(Err(DoorError::NotController));
        }
    }
}

fn answer(waiting: &mut VecDeque<Response>, offset: i64) {
    while let Some(Response { reply, body, .. }) = waiting.pop_front_if(|response| response.end_offset <= offset) {
        // Whoever has gone need not be told.
        let _ = reply.send(Ok(body));
    }
}
