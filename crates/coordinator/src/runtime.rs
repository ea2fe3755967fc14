//! Writes between being decided and being committed, and the replies that wait for them (Kafka's `CoordinatorRuntime`).
//!
//! ```text
//!   push ──> written(last offset) ──> committed: the high watermark passed it ──> replies leave
//!        └─> failed: the append was refused ──> what it changed is undone, replies become errors
//!        └─> late: not committed in offsets.commit.timeout.ms ──> replies become errors, the records stay
//! ```
//!
//! One rule covers all replies: a reply leaves when everything that was written before it is committed, so no client hears
//! of something that a new leader might not know. A reply that finds no write on its way leaves at once.

use std::collections::VecDeque;

/// Whom a reply is for: the driver's number of a waiting request.
pub type Token = u64;

/// What time it is, in two clocks. They are kept apart because the wall clock may be set while we run: sessions must not
/// end because of that, and a record must not say when this process started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Milliseconds of a clock that never goes back: for deadlines.
    pub monotonic_ms: i64,
    /// Milliseconds since the Unix epoch: for what is written into records.
    pub wall_ms: i64,
}

/// A write of a shard; ascending in the order in which writes are to be appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WriteId(u64);

/// A write, what is known about it, and who waits.
#[derive(Debug)]
struct Waiting<W, R> {
    id: WriteId,
    /// Offset of its last record, once it is appended.
    last_offset: Option<i64>,
    /// When it counts as late; `None` once it was found late and nobody waits.
    deadline_ms: Option<i64>,
    write: W,
    replies: Vec<(Token, R)>,
}

/// A write that left the queue.
#[derive(Debug)]
pub(crate) struct Settled<W, R> {
    pub(crate) id: WriteId,
    pub(crate) write: W,
    pub(crate) replies: Vec<(Token, R)>,
}

/// The writes of a shard that are not committed yet, oldest first. `W` is what the shard remembers of a write, `R` its
/// replies.
#[derive(Debug)]
pub(crate) struct WriteQueue<W, R> {
    next: u64,
    waiting: VecDeque<Waiting<W, R>>,
}

impl<W, R> WriteQueue<W, R> {
    pub(crate) fn new() -> Self {
        Self { next: 0, waiting: VecDeque::new() }
    }

    /// Adds a write, which is to be appended after all that were added before.
    pub(crate) fn push(&mut self, write: W, deadline_ms: i64) -> WriteId {
        let id = WriteId(self.next);
        self.next += 1;
        self.waiting.push_back(Waiting {
            id,
            last_offset: None,
            deadline_ms: Some(deadline_ms),
            write,
            replies: Vec::new(),
        });
        id
    }

    /// Lets a reply wait for the last write, at most until `deadline_ms`; gives it back when there is no write.
    pub(crate) fn park(&mut self, token: Token, reply: R, deadline_ms: i64) -> Option<R> {
        let Some(last) = self.waiting.back_mut() else { return Some(reply) };
        last.replies.push((token, reply));
        // A write that was found late is late again for those who come after.
        last.deadline_ms.get_or_insert(deadline_ms);
        None
    }

    /// What the shard remembers of a write that still waits.
    pub(crate) fn get_mut(&mut self, id: WriteId) -> Option<&mut W> {
        self.waiting.iter_mut().find(|w| w.id == id).map(|w| &mut w.write)
    }

    /// Notes where the last record of a write lies.
    pub(crate) fn written(&mut self, id: WriteId, last_offset: i64) {
        if let Some(waiting) = self.waiting.iter_mut().find(|w| w.id == id) {
            waiting.last_offset = Some(last_offset);
        }
    }

    /// Takes out a write that was not appended.
    pub(crate) fn failed(&mut self, id: WriteId) -> Option<Settled<W, R>> {
        let at = self.waiting.iter().position(|w| w.id == id)?;
        self.waiting.remove(at).map(Waiting::settle)
    }

    /// Takes out the oldest write if all its records lie below `high_watermark`.
    pub(crate) fn pop_committed(&mut self, high_watermark: i64) -> Option<Settled<W, R>> {
        let last_offset = self.waiting.front()?.last_offset?;
        if last_offset >= high_watermark {
            return None;
        }
        self.waiting.pop_front().map(Waiting::settle)
    }

    /// Offset of the last record of the oldest write.
    pub(crate) fn oldest_offset(&self) -> Option<i64> {
        self.waiting.front()?.last_offset
    }

    /// The first write that is late by `now_ms`, with the replies that waited for it.
    pub(crate) fn pop_late(&mut self, now_ms: i64) -> Option<(&mut W, Vec<(Token, R)>)> {
        let late = self.waiting.iter_mut().find(|w| w.deadline_ms.is_some_and(|at| at <= now_ms))?;
        late.deadline_ms = None;
        Some((&mut late.write, std::mem::take(&mut late.replies)))
    }

    /// When the next write becomes late.
    pub(crate) fn next_deadline_ms(&self) -> Option<i64> {
        self.waiting.iter().filter_map(|w| w.deadline_ms).min()
    }

    /// Takes out every reply that waits.
    pub(crate) fn take_replies(&mut self) -> Vec<(Token, R)> {
        self.waiting.iter_mut().flat_map(|w| std::mem::take(&mut w.replies)).collect()
    }
}

impl<W, R> Waiting<W, R> {
    fn settle(self) -> Settled<W, R> {
        Settled { id: self.id, write: self.write, replies: self.replies }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_waits_for_the_last_write_only_and_leaves_in_the_order_of_commits() {
        let mut queue: WriteQueue<&str, char> = WriteQueue::new();
        assert_eq!(queue.park(1, 'a', 900), Some('a'), "nothing is on its way");
        let first = queue.push("first", 100);
        assert_eq!(queue.park(2, 'b', 900), None);
        let second = queue.push("second", 110);
        assert_eq!(queue.park(3, 'c', 900), None);
        queue.written(first, 10);
        queue.written(second, 12);

        assert!(queue.pop_committed(10).is_none(), "the high watermark is exclusive");
        let settled = queue.pop_committed(12).unwrap();
        assert_eq!((settled.write, settled.replies), ("first", vec![(2, 'b')]));
        assert!(queue.pop_committed(12).is_none());
        assert_eq!(queue.pop_committed(13).unwrap().replies, vec![(3, 'c')]);
    }

    #[test]
    fn a_late_write_gives_up_its_replies_once_and_is_still_committed_later() {
        let mut queue: WriteQueue<&str, char> = WriteQueue::new();
        let id = queue.push("slow", 100);
        queue.written(id, 5);
        assert_eq!(queue.park(1, 'a', 900), None);
        assert!(queue.pop_late(99).is_none());
        assert_eq!(queue.pop_late(100).unwrap().1, vec![(1, 'a')]);
        assert!(queue.pop_late(200).is_none() && queue.next_deadline_ms().is_none());
        assert_eq!(queue.park(2, 'b', 300), None);
        assert!(queue.pop_late(299).is_none());
        assert_eq!(queue.pop_late(300).unwrap().1, vec![(2, 'b')]);
        assert_eq!(queue.pop_committed(6).unwrap().write, "slow");
    }

    #[test]
    fn a_write_that_was_not_appended_holds_nobody_back() {
        let mut queue: WriteQueue<&str, char> = WriteQueue::new();
        let first = queue.push("first", 100);
        let second = queue.push("second", 100);
        assert_eq!(queue.failed(first).unwrap().write, "first");
        queue.written(second, 3);
        assert_eq!(queue.pop_committed(4).unwrap().write, "second");
    }
}
