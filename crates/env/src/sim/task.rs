//! Tasks, threads and blocking work on the simulation's executor.

use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use parking_lot::Mutex;

use super::context::Context;
use super::executor::{self, block_on};
use super::thread::ThreadTask;
use super::world::World;
use crate::task::{JoinError, panic_message};

/// Where a task leaves its result.
struct Outcome<T> {
    result: Option<Result<T, JoinError>>,
    finished: bool,
    waiting: Option<Waker>,
}

type Shared<T> = Arc<Mutex<Outcome<T>>>;

#[derive(Debug)]
pub(crate) struct JoinHandle<T> {
    world: Arc<World>,
    task: u64,
    name: &'static str,
    outcome: Shared<T>,
}

impl<T> std::fmt::Debug for Outcome<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outcome").field("finished", &self.finished).finish_non_exhaustive()
    }
}

impl<T> JoinHandle<T> {
    pub(crate) fn abort(&self) {
        if !self.is_finished() {
            executor::abort(&self.world, self.task);
        }
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.outcome.lock().finished
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let mut outcome = self.outcome.lock();
        if outcome.finished {
            return Poll::Ready(outcome.result.take().unwrap_or(Err(JoinError::Aborted(self.name))));
        }
        outcome.waiting = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// A task's future, with the place for its result; dropped before its end, it says so.
struct Running<F: Future> {
    name: &'static str,
    world: Arc<World>,
    future: Option<Pin<Box<F>>>,
    outcome: Shared<F::Output>,
}

impl<F: Future> Running<F> {
    fn finish(&mut self, result: Result<F::Output, JoinError>) {
        // What the future holds is dropped before anybody learns that it has ended.
        self.future = None;
        if let Err(JoinError::Panicked(name, message)) = &result
            && Arc::strong_count(&self.outcome) == 1
        {
            self.world.state.lock().lost_panics.push(format!("{name}: {message}"));
        }
        let waiting = {
            let mut outcome = self.outcome.lock();
            outcome.result = Some(result);
            outcome.finished = true;
            outcome.waiting.take()
        };
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }
}

impl<F: Future> Future for Running<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        let Some(future) = self.future.as_mut() else { return Poll::Ready(()) };
        let result = match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(output)) => Ok(output),
            Err(payload) => Err(JoinError::Panicked(self.name, panic_message(&*payload))),
        };
        self.finish(result);
        Poll::Ready(())
    }
}

// The future is boxed: moving `Running` does not move it.
impl<F: Future> Unpin for Running<F> {}

impl<F: Future> Drop for Running<F> {
    fn drop(&mut self) {
        if self.future.is_some() {
            self.finish(Err(JoinError::Aborted(self.name)));
        }
    }
}

pub(super) fn spawn_on<F>(world: &Arc<World>, host: usize, name: &'static str, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let outcome = Arc::new(Mutex::new(Outcome { result: None, finished: false, waiting: None }));
    let running =
        Running { name, world: Arc::clone(world), future: Some(Box::pin(future)), outcome: Arc::clone(&outcome) };
    let task = executor::add(world, name, host, Box::pin(running));
    JoinHandle { world: Arc::clone(world), task, name, outcome }
}

pub(crate) fn spawn<F>(name: &'static str, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let context = Context::current();
    spawn_on(&context.world, context.host, name, future)
}

/// What handing work to the pool and back costs.
const BLOCKING_HOP: Duration = Duration::from_micros(20);

/// Runs the work as a task of its own, so that others come between, and so that it is finished even if the caller is
/// dropped.
pub(crate) async fn blocking<T: Send + 'static>(name: &'static str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let outcome = spawn(name, async move {
        super::time::sleep(BLOCKING_HOP).await;
        catch_unwind(AssertUnwindSafe(work))
    });
    match outcome.await {
        Ok(Ok(value)) => value,
        Ok(Err(payload)) => std::panic::resume_unwind(payload),
        Err(error) => panic!("{name} found its host gone: {error}"),
    }
}

pub(crate) fn blocking_here<T>(work: impl FnOnce() -> T) -> T {
    work()
}

#[derive(Debug)]
pub(crate) struct Thread(JoinHandle<()>);

impl Thread {
    pub(crate) fn join(self) -> Result<(), JoinError> {
        let name = self.0.name;
        block_on(self.0).unwrap_or(Err(JoinError::Aborted(name)))
    }
}

pub(crate) fn thread(name: &'static str, body: impl FnOnce() + Send + 'static) -> io::Result<Thread> {
    Ok(Thread(spawn(name, ThreadTask::start(name, body)?)))
}

pub(crate) async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A request to stop, on which threads wait between two pieces of work. Clones share the request.
#[derive(Clone, Debug)]
pub struct StopSignal(Arc<tokio::sync::watch::Sender<bool>>);

impl Default for StopSignal {
    fn default() -> Self {
        Self(Arc::new(tokio::sync::watch::Sender::new(false)))
    }
}

impl StopSignal {
    /// A request not yet made.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the request and wakes whoever waits.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }

    /// Whether the request has been made.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        *self.0.borrow()
    }

    /// Blocks the thread until the request is made, at most for `duration`; returns whether it has been made.
    #[must_use]
    pub fn wait_timeout(&self, duration: Duration) -> bool {
        let mut request = self.0.subscribe();
        let made = super::time::timeout(duration, async move { request.wait_for(|made| *made).await.is_ok() });
        // A thread that is being killed stops, too.
        block_on(made).is_none_or(|made| made.unwrap_or(false))
    }
}

/// Stands for a runtime; tasks run on the simulation's executor.
#[derive(Debug)]
pub struct Runtime(());

impl Runtime {
    /// There is one thread of control, whatever `worker_threads` says.
    ///
    /// # Errors
    /// None.
    pub fn new(_worker_threads: usize) -> io::Result<Self> {
        Ok(Self(()))
    }

    /// Runs `future` and everything else until `future` is done.
    ///
    /// # Panics
    /// On a thread that is being killed.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        block_on(future).expect("not called by destructors of a killed thread")
    }

    /// Nothing: tasks end with their host.
    pub fn shut_down(self, _patience: Duration) {}
}

pub(crate) async fn terminate() {
    let signals = Context::current().with_host(|host, _| Arc::clone(&host.terminations));
    signals.notified().await;
}
