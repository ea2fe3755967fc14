//! Threads of a simulation: real ones, of which only the holder of the baton runs.
//!
//! To the executor such a thread is a task. Polling it hands over the baton; when the thread waits (in
//! [`Baton::block_on`]) or ends, the baton comes back. Dropping the task kills the thread: the next wait unwinds it.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};

use parking_lot::{Condvar, Mutex};

use super::context::Context;

#[derive(Debug)]
pub(super) struct Baton {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    with_thread: bool,
    ended: bool,
    killed: bool,
    /// Wakes the task that stands for the thread.
    waker: Waker,
}

/// The payload that unwinds a killed thread.
struct Killed;

impl Baton {
    fn new() -> Arc<Self> {
        let state = State { with_thread: false, ended: false, killed: false, waker: Waker::noop().clone() };
        Arc::new(Self { state: Mutex::new(state), changed: Condvar::new() })
    }

    /// The executor's side: lets the thread run until it waits or ends; true if it has ended.
    fn lend(&self) -> bool {
        let mut state = self.state.lock();
        if !state.ended {
            state.with_thread = true;
            self.changed.notify_all();
            self.changed.wait_while(&mut state, |state| state.with_thread);
        }
        state.ended
    }

    /// The thread's side: gives the baton back and waits for it.
    fn give_back(&self) {
        let mut state = self.state.lock();
        state.with_thread = false;
        self.changed.notify_all();
        self.changed.wait_while(&mut state, |state| !state.with_thread);
    }

    fn is_killed(&self) -> bool {
        self.state.lock().killed
    }

    /// The thread's side: waits for a future. Unwinds the thread if it has been killed; `None` if it is already
    /// unwinding and a destructor wants to wait.
    pub(super) fn block_on<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        loop {
            if self.is_killed() {
                if std::thread::panicking() {
                    return None;
                }
                resume_unwind(Box::new(Killed));
            }
            let waker = self.state.lock().waker.clone();
            if let Poll::Ready(output) = future.as_mut().poll(&mut TaskContext::from_waker(&waker)) {
                return Some(output);
            }
            self.give_back();
        }
    }
}

/// The task that stands for a thread.
pub(super) struct ThreadTask {
    baton: Arc<Baton>,
    handle: Option<std::thread::JoinHandle<()>>,
    /// What `body` panicked with.
    panic: Arc<Mutex<Option<Box<dyn std::any::Any + Send>>>>,
}

impl ThreadTask {
    pub(super) fn start(name: &'static str, body: impl FnOnce() + Send + 'static) -> std::io::Result<Self> {
        let baton = Baton::new();
        let panic = Arc::new(Mutex::new(None));
        let context = Context { baton: Some(Arc::clone(&baton)), ..Context::current() };
        let (own, slot) = (Arc::clone(&baton), Arc::clone(&panic));
        let handle = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let _entered = context.enter();
            {
                let mut state = own.state.lock();
                own.changed.wait_while(&mut state, |state| !state.with_thread);
            }
            if !own.is_killed()
                && let Err(payload) = catch_unwind(AssertUnwindSafe(body))
                && !payload.is::<Killed>()
            {
                *slot.lock() = Some(payload);
            }
            let mut state = own.state.lock();
            state.ended = true;
            state.with_thread = false;
            own.changed.notify_all();
        })?;
        Ok(Self { baton, handle: Some(handle), panic })
    }

    fn reap(&mut self) {
        if let Some(handle) = self.handle.take() {
            handle.join().expect("the body's panics are caught");
        }
    }
}

impl Future for ThreadTask {
    type Output = ();

    /// Panics with the thread's panic, as any task does with its own.
    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        self.baton.state.lock().waker = cx.waker().clone();
        if !self.baton.lend() {
            return Poll::Pending;
        }
        self.reap();
        match self.panic.lock().take() {
            Some(payload) => resume_unwind(payload),
            None => Poll::Ready(()),
        }
    }
}

impl Drop for ThreadTask {
    fn drop(&mut self) {
        self.baton.state.lock().killed = true;
        while !self.baton.lend() {}
        self.reap();
    }
}
