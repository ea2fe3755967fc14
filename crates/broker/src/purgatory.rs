//! Where requests wait for something to happen to a partition.
//!
//! A waiter subscribes to every partition it cares for *before* it looks whether it may go, so nothing that happens in
//! between is missed; a change wakes exactly those who wait for that partition and that much.
//!
//! ```text
//!   subscribe ─> look ─> enough? yes: go
//!                  ^        no: wait ─> woken or time is up ─┐
//!                  └──────────────────────────────────────────┘
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// One waiting request, woken by any of its subscriptions.
#[derive(Debug, Default)]
pub struct Waiter {
    woken: AtomicBool,
    notify: Notify,
}

impl Waiter {
    /// A waiter.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Wakes it.
    pub fn wake(&self) {
        self.woken.store(true, Ordering::SeqCst);
        self.notify.notify_one();
    }

    /// Resolves once it was woken since the last time.
    pub async fn woken(&self) {
        while !self.woken.swap(false, Ordering::SeqCst) {
            self.notify.notified().await;
        }
    }
}

/// Those who wait for an offset of one partition.
#[derive(Debug, Default)]
pub struct WatchList {
    /// Number of waiters, so that nobody's lock is taken when nobody waits.
    len: AtomicUsize,
    waiters: Mutex<Vec<(i64, Arc<Waiter>)>>,
}

impl WatchList {
    /// Adds a waiter that is to be woken when the watched offset reaches `offset`; gone when the guard is dropped.
    #[must_use]
    pub fn subscribe(self: &Arc<Self>, offset: i64, waiter: &Arc<Waiter>) -> Subscription {
        self.waiters.lock().push((offset, Arc::clone(waiter)));
        self.len.fetch_add(1, Ordering::SeqCst);
        Subscription { list: Arc::clone(self), waiter: Arc::clone(waiter) }
    }

    /// Wakes those whose offset is reached.
    pub fn reached(&self, offset: i64) {
        if self.len.load(Ordering::SeqCst) == 0 {
            return;
        }
        for (wanted, waiter) in self.waiters.lock().iter() {
            if *wanted <= offset {
                waiter.wake();
            }
        }
    }

    /// Wakes everybody: what they wait for may never happen now (another leader, a deleted partition).
    pub fn wake_all(&self) {
        self.reached(i64::MAX);
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len.load(Ordering::SeqCst)
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A place in a [`WatchList`].
#[derive(Debug)]
pub struct Subscription {
    list: Arc<WatchList>,
    waiter: Arc<Waiter>,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut waiters = self.list.waiters.lock();
        if let Some(at) = waiters.iter().position(|(_, w)| Arc::ptr_eq(w, &self.waiter)) {
            waiters.swap_remove(at);
            self.list.len.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    fn is_woken(waiter: &Waiter) -> bool {
        pin!(waiter.woken()).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn a_change_wakes_exactly_those_whose_offset_is_reached() {
        let list = Arc::new(WatchList::default());
        let (near, far) = (Waiter::new(), Waiter::new());
        let subscriptions = (list.subscribe(5, &near), list.subscribe(9, &far));
        list.reached(5);
        assert!(is_woken(&near) && !is_woken(&far));
        assert!(!is_woken(&near), "woken once");
        list.wake_all();
        assert!(is_woken(&near) && is_woken(&far));
        drop(subscriptions);
        assert!(list.is_empty());
        list.reached(100);
        assert!(!is_woken(&near));
    }

    /// The wake-up of a fetch that found too little must not get lost between its look and its wait.
    #[test]
    fn a_change_between_subscribing_and_waiting_is_seen() {
        let list = Arc::new(WatchList::default());
        let waiter = Waiter::new();
        let _subscription = list.subscribe(1, &waiter);
        list.reached(1);
        assert!(is_woken(&waiter));
    }
}
