//! Runs one ready task at a time, chosen by the seed; when none is ready, jumps to the next timer.
//!
//! [`block_on`] is the loop, and it nests: a task that calls something blocking (joins a thread, say) runs the others
//! from inside its own poll until that is done. A task being polled has its future taken out, so nobody polls it twice.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Wake, Waker};

use parking_lot::Mutex;

use super::MAX_STEPS;
use super::context::Context;
use super::world::World;

pub(super) type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

pub(super) struct Task {
    pub(super) name: &'static str,
    pub(super) host: usize,
    pub(super) life: u64,
    /// Absent while it is being polled.
    pub(super) future: Option<BoxFuture>,
    pub(super) aborted: bool,
}

impl std::fmt::Debug for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} on host {}", self.name, self.host)
    }
}

/// The tasks that have been woken. Apart from the state, because wakers are called from everywhere.
#[derive(Debug, Default)]
pub(super) struct Ready(Mutex<BTreeSet<u64>>);

impl Ready {
    pub(super) fn push(&self, task: u64) {
        self.0.lock().insert(task);
    }
}

struct TaskWaker {
    task: u64,
    ready: Arc<Ready>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.ready.push(self.task);
    }
}

/// Adds a task to a host; it is ready at once.
pub(super) fn add(world: &World, name: &'static str, host: usize, future: BoxFuture) -> u64 {
    let state = &mut *world.state.lock();
    let task = state.next_task;
    state.next_task += 1;
    let life = state.hosts[host].life;
    state.tasks.insert(task, Task { name, host, life, future: Some(future), aborted: false });
    state.note(format_args!("spawn {task} {name} on {host}"));
    world.ready.push(task);
    task
}

/// Has a task dropped when it is its turn.
pub(super) fn abort(world: &World, task: u64) {
    if let Some(task) = world.state.lock().tasks.get_mut(&task) {
        task.aborted = true;
    }
    world.ready.push(task);
}

/// Drives `future` and everything else until `future` is done. `None` only on a thread that is being killed.
pub(super) fn block_on<F: Future>(future: F) -> Option<F::Output> {
    let context = Context::current();
    if let Some(baton) = &context.baton {
        return baton.block_on(future);
    }
    let mut future = pin!(future);
    let woken = Arc::new(Flag(Mutex::new(true)));
    let waker = Waker::from(Arc::clone(&woken));
    loop {
        if std::mem::take(&mut *woken.0.lock())
            && let Poll::Ready(output) = future.as_mut().poll(&mut TaskContext::from_waker(&waker))
        {
            return Some(output);
        }
        if *woken.0.lock() {
            continue;
        }
        if !step(&context.world) && !*woken.0.lock() {
            let waiting = format!("{:?}", context.world.state.lock().tasks.values().collect::<Vec<_>>());
            panic!("nothing can run any more; waiting: {waiting}");
        }
    }
}

struct Flag(Mutex<bool>);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        *self.0.lock() = true;
    }
}

/// One step: fires what is due, then polls one ready task, or advances the clock. False if there is nothing at all.
fn step(world: &Arc<World>) -> bool {
    fire_timers(world);
    let Some(task) = choose(world) else {
        let next = world.state.lock().timers.first_key_value().map(|((at, _), _)| *at);
        if let Some(at) = next {
            let state = &mut *world.state.lock();
            state.now_ns = state.now_ns.max(at);
        }
        return next.is_some();
    };
    poll_task(world, task);
    true
}

fn fire_timers(world: &World) {
    let mut due = Vec::new();
    {
        let state = &mut *world.state.lock();
        while let Some(entry) = state.timers.first_entry()
            && entry.key().0 <= state.now_ns
        {
            due.push(entry.remove());
        }
    }
    due.into_iter().for_each(Waker::wake);
}

fn choose(world: &World) -> Option<u64> {
    let state = &mut *world.state.lock();
    let ready = &mut *world.ready.0.lock();
    if ready.is_empty() {
        return None;
    }
    let chosen = *ready.iter().nth(state.rng.index(ready.len()))?;
    ready.remove(&chosen);
    Some(chosen)
}

/// What a step costs on the virtual clock, so that a loop that never waits still lets time pass.
const STEP_NS: u64 = 1_000;

fn poll_task(world: &Arc<World>, id: u64) {
    let (mut future, context, aborted) = {
        let state = &mut *world.state.lock();
        let Some(task) = state.tasks.get_mut(&id) else { return };
        let Some(future) = task.future.take() else {
            state.woken_meanwhile.insert(id);
            return;
        };
        let (name, aborted) = (task.name, task.aborted);
        let context = Context { world: Arc::clone(world), host: task.host, life: task.life, baton: None };
        state.steps += 1;
        assert!(state.steps < MAX_STEPS, "the run has taken {MAX_STEPS} steps; last was {name}");
        state.spend_ns(STEP_NS);
        state.note(format_args!("run {id} {name}"));
        (future, context, aborted)
    };

    let _entered = context.enter();
    let waker = Waker::from(Arc::new(TaskWaker { task: id, ready: Arc::clone(&world.ready) }));
    let done = aborted || future.as_mut().poll(&mut TaskContext::from_waker(&waker)).is_ready();

    let finished = {
        let state = &mut *world.state.lock();
        let woken = state.woken_meanwhile.remove(&id);
        match state.tasks.get_mut(&id) {
            Some(task) if !done && !task.aborted => {
                task.future = Some(future);
                if woken {
                    world.ready.push(id);
                }
                None
            }
            _ => {
                state.tasks.remove(&id);
                Some(future)
            }
        }
    };
    drop(finished);
}

/// Ends the tasks and threads of a host. One that is being polled (because it asked for this) ends when it waits next.
pub(super) fn end_host(world: &Arc<World>, host: usize) {
    end_tasks(world, |task| task.host == host);
}

/// Ends all tasks and threads.
pub(super) fn end_everything(world: &Arc<World>) {
    end_tasks(world, |_| true);
}

fn end_tasks(world: &Arc<World>, doomed: impl Fn(&Task) -> bool) {
    loop {
        let next = {
            let state = &mut *world.state.lock();
            // One that is being polled is only marked, once.
            let alive = |task: &Task| task.future.is_some() || !task.aborted;
            let next = state.tasks.iter().find(|(_, task)| alive(task) && doomed(task)).map(|(id, _)| *id);
            next.and_then(|id| {
                let task = state.tasks.get_mut(&id)?;
                task.aborted = true;
                let context = Context { world: Arc::clone(world), host: task.host, life: task.life, baton: None };
                let future = task.future.take();
                if future.is_some() {
                    state.tasks.remove(&id);
                }
                Some((future, context))
            })
        };
        let Some((future, context)) = next else { return };
        // Destructors may call env, in the name of the host that they belonged to.
        let _entered = context.enter();
        drop(future);
    }
}
