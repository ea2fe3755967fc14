//! One budget for all bytes that clients make the broker hold: frames being read and handled, their decoded forms, and
//! responses being sent.
//!
//! A connection asks before it grows its buffer. When the budget is spent it stops reading, so TCP slows the client
//! down. One frame may always go on: the oldest half-read one. Without that rule many half-read frames could hold the
//! whole budget while none of them can be finished.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// The budget; cheap to clone.
#[derive(Debug, Clone)]
pub struct Memory(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limit: usize,
    used: AtomicUsize,
    waiting: AtomicUsize,
    freed: Notify,
    next_age: AtomicU64,
    half_read: Mutex<BTreeSet<u64>>,
}

/// Bytes that count until this is dropped.
#[derive(Debug)]
pub struct MemoryPermit {
    memory: Memory,
    bytes: AtomicUsize,
}

/// A frame whose first bytes arrived; ages are given in the order of first bytes.
#[derive(Debug)]
pub struct HalfReadFrame {
    memory: Memory,
    age: u64,
}

impl Memory {
    /// A budget of `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(Shared {
            limit,
            used: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            freed: Notify::new(),
            next_age: AtomicU64::new(0),
            half_read: Mutex::new(BTreeSet::new()),
        }))
    }

    /// Bytes held now.
    #[must_use]
    pub fn used(&self) -> usize {
        self.0.used.load(Ordering::Relaxed)
    }

    /// Counts `bytes` without asking: for what exists already.
    #[must_use]
    pub fn permit(&self, bytes: usize) -> MemoryPermit {
        self.0.used.fetch_add(bytes, Ordering::Relaxed);
        MemoryPermit { memory: self.clone(), bytes: AtomicUsize::new(bytes) }
    }

    /// Registers a frame that will take more than one read.
    #[must_use]
    pub fn half_read_frame(&self) -> HalfReadFrame {
        let age = self.0.next_age.fetch_add(1, Ordering::Relaxed);
        self.0.half_read.lock().insert(age);
        HalfReadFrame { memory: self.clone(), age }
    }

    /// Waits until `permit` may grow by `bytes`, then counts them. The oldest half-read frame never waits.
    pub async fn grow(&self, permit: &MemoryPermit, bytes: usize, frame: Option<&HalfReadFrame>) {
        if self.try_grow(permit, bytes, frame) {
            return;
        }
        self.0.waiting.fetch_add(1, Ordering::SeqCst);
        let _waiting = WaitingGuard(self);
        loop {
            // Subscribe before looking, so that nothing freed in between is missed.
            let freed = self.0.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            if self.try_grow(permit, bytes, frame) {
                return;
            }
            freed.await;
        }
    }

    fn try_grow(&self, permit: &MemoryPermit, bytes: usize, frame: Option<&HalfReadFrame>) -> bool {
        let fits = self
            .0
            .used
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |used| {
                used.checked_add(bytes).filter(|wanted| *wanted <= self.0.limit)
            })
            .is_ok();
        let oldest = || frame.is_some_and(|f| self.0.half_read.lock().first() == Some(&f.age));
        if fits {
            permit.bytes.fetch_add(bytes, Ordering::Relaxed);
        } else if oldest() {
            permit.add(bytes);
        } else {
            return false;
        }
        true
    }

    fn free(&self, bytes: usize) {
        self.0.used.fetch_sub(bytes, Ordering::SeqCst);
        if self.0.waiting.load(Ordering::SeqCst) > 0 {
            self.0.freed.notify_waiters();
        }
    }
}

struct WaitingGuard<'a>(&'a Memory);

impl Drop for WaitingGuard<'_> {
    fn drop(&mut self) {
        self.0.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

impl MemoryPermit {
    /// Another permit of the same budget that counts nothing yet.
    #[must_use]
    pub fn empty(&self) -> Self {
        Self { memory: self.memory.clone(), bytes: AtomicUsize::new(0) }
    }

    /// Counts more bytes without asking.
    pub fn add(&self, bytes: usize) {
        if bytes > 0 {
            self.memory.0.used.fetch_add(bytes, Ordering::Relaxed);
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    /// Counts down to `bytes`.
    pub fn shrink_to(&self, bytes: usize) {
        let now = self.bytes.load(Ordering::Relaxed);
        if now > bytes {
            self.bytes.store(bytes, Ordering::Relaxed);
            self.memory.free(now - bytes);
        }
    }

    /// Bytes counted.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Drop for MemoryPermit {
    fn drop(&mut self) {
        self.memory.free(*self.bytes.get_mut());
    }
}

impl Drop for HalfReadFrame {
    fn drop(&mut self) {
        self.memory.0.half_read.lock().remove(&self.age);
        // Whoever is the oldest now may go on.
        if self.memory.0.waiting.load(Ordering::SeqCst) > 0 {
            self.memory.0.freed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn poll<F: Future>(f: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        f.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_spent_budget_stops_all_but_the_oldest_half_read_frame() {
        let memory = Memory::new(100);
        let (old, young) = (memory.half_read_frame(), memory.half_read_frame());
        let (a, b) = (memory.permit(60), memory.permit(40));
        let mut young_grows = pin!(memory.grow(&b, 10, Some(&young)));
        assert!(poll(young_grows.as_mut()).is_pending());
        assert!(poll(pin!(memory.grow(&a, 30, Some(&old)))).is_ready(), "the oldest overdraws");
        assert_eq!(memory.used(), 130);
        drop((a, old));
        assert!(poll(young_grows.as_mut()).is_ready());
        assert_eq!((memory.used(), b.bytes()), (50, 50));
    }

    #[test]
    fn when_the_oldest_is_done_the_next_oldest_may_go_on() {
        let memory = Memory::new(10);
        let (old, young) = (memory.half_read_frame(), memory.half_read_frame());
        let held = memory.permit(10);
        let b = memory.permit(0);
        let mut grows = pin!(memory.grow(&b, 5, Some(&young)));
        assert!(poll(grows.as_mut()).is_pending());
        drop(old);
        assert!(poll(grows.as_mut()).is_ready());
        drop(held);
        assert_eq!(memory.used(), 5);
    }
}
