//! Closes connections that are idle, half open, or feed their frames in drops.
//!
//! A connection only stores numbers while it works; one task per broker looks at all of them every few seconds. So no
//! request arms a timer, and ten thousand idle connections cost one short walk.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use ottla_env::collections::HashMap;
use ottla_env::time;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::connection::ReadBuffer;

/// How often all connections are looked at.
const PERIOD: Duration = Duration::from_secs(5);
/// How long a response may stand still before its connection is closed, and what a frame gets on top of its size.
pub const STALL_MS: i64 = 30_000;
/// How long an idle connection keeps its read buffer.
const KEEP_BUFFER_MS: i64 = 3_000;
/// A frame must arrive at this rate at least, in bytes per millisecond, on top of [`STALL_MS`].
const MIN_RATE: i64 = 16;

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Waiting for the first byte of a frame.
    Idle = 0,
    /// In the middle of a frame; how long that may take is said by [`Pulse::frame_awaited`].
    Reading = 1,
    /// Waiting for the peer to take an answer.
    Writing = 2,
    /// Waiting for an answer of ours; may take as long as it takes.
    Working = 3,
}

/// A connection's numbers.
#[derive(Debug)]
pub struct Pulse {
    phase: AtomicU8,
    /// Monotonic milliseconds of the last byte or the start of the phase.
    since_ms: AtomicI64,
    /// When the current frame must be whole.
    frame_due_ms: AtomicI64,
    closed: AtomicBool,
    close: Notify,
    /// The read buffer of an idle connection, which may be dropped.
    parked: Mutex<Option<ReadBuffer>>,
}

impl Pulse {
    fn new() -> Self {
        Self {
            phase: AtomicU8::new(Phase::Idle as u8),
            since_ms: AtomicI64::new(time::monotonic_ms()),
            frame_due_ms: AtomicI64::new(i64::MAX),
            closed: AtomicBool::new(false),
            close: Notify::new(),
            parked: Mutex::new(None),
        }
    }

    /// Leaves an empty read buffer here while nothing is read.
    pub(super) fn park(&self, buffer: &mut ReadBuffer) {
        if buffer.bytes.capacity() > 0 {
            let empty = ReadBuffer { bytes: BytesMut::new(), permit: buffer.permit.empty() };
            *self.parked.lock() = Some(std::mem::replace(buffer, empty));
        }
    }

    /// Takes the read buffer back, if it is still there.
    pub(super) fn unpark(&self, buffer: &mut ReadBuffer) {
        if let Some(parked) = self.parked.lock().take() {
            *buffer = parked;
        }
    }

    /// Notes that the connection is now in `phase`, and alive.
    pub fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
        self.since_ms.store(time::monotonic_ms(), Ordering::Relaxed);
    }

    /// Notes that the peer took or gave something: the connection is alive.
    pub fn progress(&self) {
        self.since_ms.store(time::monotonic_ms(), Ordering::Relaxed);
    }

    /// Notes that `size` bytes of a frame are still to come, and so when they must be here.
    pub fn frame_awaited(&self, size: usize) {
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        self.frame_due_ms.store(time::monotonic_ms().saturating_add(STALL_MS + size / MIN_RATE), Ordering::Relaxed);
    }

    /// Notes that no part of a frame is awaited from the peer: it is whole, or waits for memory of ours.
    pub fn frame_not_awaited(&self) {
        self.frame_due_ms.store(i64::MAX, Ordering::Relaxed);
    }

    /// Resolves when the connection is to be closed.
    pub async fn closing(&self) {
        loop {
            let notified = self.close.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if self.closed.load(Ordering::SeqCst) {
                return;
            }
            notified.await;
        }
    }

    /// Asks the connection to close.
    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.close.notify_waiters();
    }

    /// Why it should be closed at `now_ms`, if it should.
    fn overdue(&self, now_ms: i64, max_idle_ms: i64) -> Option<&'static str> {
        let still_ms = now_ms.saturating_sub(self.since_ms.load(Ordering::Relaxed));
        let phase = self.phase.load(Ordering::Relaxed);
        if phase == Phase::Idle as u8 && max_idle_ms >= 0 && still_ms > max_idle_ms {
            return Some("no request for connections.max.idle.ms");
        }
        // Whatever else the connection does: a parked fetch must not shelter half a frame.
        if now_ms > self.frame_due_ms.load(Ordering::Relaxed) {
            return Some("its frame arrives too slowly");
        }
        (phase == Phase::Writing as u8 && still_ms > STALL_MS).then_some("it does not take its answers")
    }
}

/// All open connections.
#[derive(Debug, Default)]
pub struct Connections {
    open: Mutex<HashMap<u64, Arc<Pulse>>>,
}

impl Connections {
    /// Adds one.
    pub fn add(&self, id: u64) -> Arc<Pulse> {
        let pulse = Arc::new(Pulse::new());
        self.open.lock().insert(id, Arc::clone(&pulse));
        pulse
    }

    /// Takes one out.
    pub fn remove(&self, id: u64) {
        self.open.lock().remove(&id);
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.lock().len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Asks all to close.
    pub fn close_all(&self) {
        for pulse in self.open.lock().values() {
            pulse.close();
        }
    }

    /// Closes what is overdue.
    pub fn reap(&self, now_ms: i64, max_idle_ms: i64) {
        for pulse in self.open.lock().values() {
            if let Some(cause) = pulse.overdue(now_ms, max_idle_ms) {
                tracing::debug!(cause, "closing a connection");
                pulse.close();
            } else if now_ms.saturating_sub(pulse.since_ms.load(Ordering::Relaxed)) > KEEP_BUFFER_MS {
                // A connection that goes on gets a new one.
                drop(pulse.parked.lock().take());
            }
        }
    }
}

/// Looks at all connections for ever.
pub async fn run(connections: Arc<Connections>, max_idle_ms: i64) {
    loop {
        time::sleep(PERIOD).await;
        connections.reap(time::monotonic_ms(), max_idle_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_phase_has_its_own_patience() {
        let pulse = Pulse::new();
        pulse.enter(Phase::Idle);
        let t = pulse.since_ms.load(Ordering::Relaxed);
        assert!(pulse.overdue(t + 600_000, 600_000).is_none());
        assert!(pulse.overdue(t + 600_001, 600_000).is_some());
        assert!(pulse.overdue(t + i64::MAX / 2, -1).is_none(), "-1 switches the limit off");
        pulse.enter(Phase::Working);
        assert!(pulse.overdue(t + 10_000_000, 600_000).is_none());
        pulse.frame_awaited(160_000);
        let due = pulse.frame_due_ms.load(Ordering::Relaxed);
        assert!(pulse.overdue(due, 600_000).is_none());
        assert!(pulse.overdue(due + 1, 600_000).is_some(), "half a frame behind a request that waits");
        pulse.frame_not_awaited();
        assert!(pulse.overdue(due + 1, 600_000).is_none());
        pulse.enter(Phase::Writing);
        let t = pulse.since_ms.load(Ordering::Relaxed);
        assert!(pulse.overdue(t + STALL_MS, 600_000).is_none());
        assert!(pulse.overdue(t + STALL_MS + 1, 600_000).is_some(), "an answer that is not taken");
    }
}
