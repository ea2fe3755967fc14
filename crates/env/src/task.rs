//! Tasks and threads: everything that runs at the same time as something else.
//!
//! Tasks share the workers of a [`Runtime`] and never block. What blocks runs on [`blocking`], a small pool for work
//! that ends, or on a [`thread`] of its own for work that goes on. `docs/design/threads.md` lists them all.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::platform::task as platform;
pub use crate::platform::task::{Runtime, StopSignal};

/// How many pieces of [`blocking`] work run at once, process-wide; the others wait their turn.
pub const MAX_BLOCKING: usize = 16;

/// Why a task or thread has no result.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum JoinError {
    /// It was aborted, or its runtime ended.
    #[error("task {0} was aborted")]
    Aborted(&'static str),
    /// It panicked.
    #[error("task {0} panicked: {1}")]
    Panicked(&'static str, String),
}

/// A running task. Dropping the handle leaves the task running.
#[derive(Debug)]
pub struct JoinHandle<T>(platform::JoinHandle<T>);

impl<T> JoinHandle<T> {
    /// Drops the task at the next point where it waits.
    pub fn abort(&self) {
        self.0.abort();
    }

    #[cfg(sim)]
    pub(crate) fn simulated(handle: platform::JoinHandle<T>) -> Self {
        Self(handle)
    }

    /// Whether the task has ended, in whatever way.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

/// Starts a task on the current runtime. `name` appears in its [`JoinError`].
///
/// # Panics
/// Outside of a runtime.
pub fn spawn<F>(name: &'static str, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    JoinHandle(platform::spawn(name, future))
}

/// Runs `work`, which may block, on the pool ([`MAX_BLOCKING`] at once). Work that has started is finished even if
/// the caller is dropped.
///
/// # Panics
/// With the panic of `work`.
pub async fn blocking<T: Send + 'static>(name: &'static str, work: impl FnOnce() -> T + Send + 'static) -> T {
    platform::blocking(name, work).await
}

/// Runs `work`, which may block, on the calling thread, and lets another thread go on with the other tasks of the worker
/// if it is one. For blocking work in the middle of code that is not async and rarely blocks; else use [`blocking`],
/// whose waiting line has a bound.
pub fn blocking_here<T>(work: impl FnOnce() -> T) -> T {
    platform::blocking_here(work)
}

/// A running thread. Dropping the handle leaves it running.
#[derive(Debug)]
pub struct Thread(platform::Thread);

impl Thread {
    /// Waits for its end. It blocks: from a task only through [`blocking`].
    ///
    /// # Errors
    /// If it panicked.
    pub fn join(self) -> Result<(), JoinError> {
        self.0.join()
    }
}

/// Starts a thread for work that goes on, such as a flusher. Between two pieces of work it waits on a [`StopSignal`].
///
/// # Errors
/// If the system has no thread to give.
pub fn thread(name: &'static str, body: impl FnOnce() + Send + 'static) -> io::Result<Thread> {
    platform::thread(name, body).map(Thread)
}

/// Lets other tasks run first.
pub async fn yield_now() {
    platform::yield_now().await;
}

impl StopSignal {
    /// As [`StopSignal::wait_timeout`], for work that comes at an interval: false (go on) once `interval` has passed.
    #[must_use]
    pub fn wait_ms(&self, interval_ms: i64) -> bool {
        self.wait_timeout(Duration::from_millis(u64::try_from(interval_ms).unwrap_or(0)))
    }
}

/// What the outside asks of the process.
pub mod signal {
    /// Waits for SIGTERM or SIGINT. Signals between two calls are not lost.
    pub async fn terminate() {
        super::platform::terminate().await;
    }
}

/// What a panic said, for the message of [`JoinError::Panicked`].
pub(crate) fn panic_message(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message").to_owned()
}

#[cfg(all(test, not(sim)))]
mod tests;
