//! Tokio's multi-threaded runtime and the system's threads.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::signal::unix::{Signal, SignalKind};
use tokio::sync::Semaphore;

use crate::task::{JoinError, MAX_BLOCKING, panic_message};

#[derive(Debug)]
pub(crate) struct JoinHandle<T> {
    name: &'static str,
    handle: tokio::task::JoinHandle<T>,
}

impl<T> JoinHandle<T> {
    pub(crate) fn abort(&self) {
        self.handle.abort();
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let name = self.name;
        Pin::new(&mut self.handle).poll(cx).map_err(|error| match error.try_into_panic() {
            Ok(payload) => JoinError::Panicked(name, panic_message(&*payload)),
            Err(_) => JoinError::Aborted(name),
        })
    }
}

pub(crate) fn spawn<F>(name: &'static str, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    JoinHandle { name, handle: tokio::spawn(future) }
}

/// Keeps the waiting line of [`blocking`] on our side of tokio's pool, whose queue has no bound.
static BLOCKING_PERMITS: Semaphore = Semaphore::const_new(MAX_BLOCKING);

pub(crate) async fn blocking<T: Send + 'static>(name: &'static str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let permit = BLOCKING_PERMITS.acquire().await.expect("the semaphore is never closed");
    let outcome = tokio::task::spawn_blocking(move || {
        let _until_done = permit;
        work()
    })
    .await;
    match outcome.map_err(tokio::task::JoinError::try_into_panic) {
        Ok(value) => value,
        Err(Ok(payload)) => std::panic::resume_unwind(payload),
        // Tokio cancels blocking work only when it shuts down before the work began. There is nobody left to answer.
        Err(Err(cancelled)) => panic!("{name} found the runtime shut down: {cancelled}"),
    }
}

pub(crate) fn blocking_here<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current() {
        Ok(runtime) if runtime.runtime_flavor() == RuntimeFlavor::MultiThread => tokio::task::block_in_place(work),
        // A thread of its own, or a test's single-threaded runtime, which has nobody to hand its tasks to.
        Ok(_) | Err(_) => work(),
    }
}

#[derive(Debug)]
pub(crate) struct Thread {
    name: &'static str,
    handle: std::thread::JoinHandle<()>,
}

impl Thread {
    pub(crate) fn join(self) -> Result<(), JoinError> {
        self.handle.join().map_err(|payload| JoinError::Panicked(self.name, panic_message(&*payload)))
    }
}

pub(crate) fn thread(name: &'static str, body: impl FnOnce() + Send + 'static) -> io::Result<Thread> {
    let handle = std::thread::Builder::new().name(name.to_owned()).spawn(body)?;
    Ok(Thread { name, handle })
}

pub(crate) async fn yield_now() {
    tokio::task::yield_now().await;
}

/// A request to stop (or, cleared again, to wake up), on which threads wait between two pieces of work. Clones share
/// the request.
#[derive(Clone, Debug, Default)]
pub struct StopSignal(Arc<(Mutex<bool>, Condvar)>);

impl StopSignal {
    /// A request not yet made.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the request and wakes whoever waits.
    pub fn stop(&self) {
        *self.0.0.lock() = true;
        self.0.1.notify_all();
    }

    /// Whether the request has been made.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        *self.0.0.lock()
    }

    /// Blocks the thread until the request is made, at most for `duration`; returns whether it has been made.
    #[must_use]
    pub fn wait_timeout(&self, duration: Duration) -> bool {
        let mut stopped = self.0.0.lock();
        self.0.1.wait_while_for(&mut stopped, |stopped| !*stopped, duration);
        *stopped
    }
}

/// A tokio runtime; its tasks end when it is dropped, blocking work that has begun is waited for.
#[derive(Debug)]
pub struct Runtime(tokio::runtime::Runtime);

impl Runtime {
    /// Starts `worker_threads` workers (at least one).
    ///
    /// # Errors
    /// If the system has no threads or descriptors to give.
    pub fn new(worker_threads: usize) -> io::Result<Self> {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(worker_threads.max(1))
            // Room for what comes without a permit.
            .max_blocking_threads(MAX_BLOCKING + MAX_LOOKUPS + MAX_STAND_INS)
            .thread_name("ottla-worker")
            .enable_all()
            .build()
            .map(Self)
    }

    /// Runs `future` on the calling thread, beside the tasks it spawns.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }

    /// Ends all tasks, and waits at most `patience` for blocking work that has begun.
    pub fn shut_down(self, patience: Duration) {
        self.0.shutdown_timeout(patience);
    }
}

/// How many name lookups run beside [`MAX_BLOCKING`] pieces of blocking work.
const MAX_LOOKUPS: usize = 4;

/// How many threads stand in for workers that block in [`blocking_here`]; with all of them blocked, tasks wait.
const MAX_STAND_INS: usize = 16;

/// SIGTERM and SIGINT, listened to from the first call on.
static SIGNALS: tokio::sync::Mutex<Option<(Signal, Signal)>> = tokio::sync::Mutex::const_new(None);

pub(crate) async fn terminate() {
    let mut signals = SIGNALS.lock().await;
    if signals.is_none() {
        let listen = |kind| tokio::signal::unix::signal(kind).expect("SIGTERM and SIGINT may be caught");
        *signals = Some((listen(SignalKind::terminate()), listen(SignalKind::interrupt())));
    }
    if let Some((terminate, interrupt)) = signals.as_mut() {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}
