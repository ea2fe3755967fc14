//! The virtual clock.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use super::context::Context;
use super::executor::block_on;
use crate::time::Elapsed;

pub(crate) fn now_ns() -> u64 {
    Context::current().world.state.lock().now_ns
}

pub(crate) fn wall_clock_ms() -> i64 {
    Context::current().world.state.lock().wall_clock_ms()
}

pub(crate) fn sleep(duration: Duration) -> Sleep {
    let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    Sleep { at_ns: now_ns().saturating_add(nanos), timer: None }
}

pub(crate) async fn timeout<F: Future>(duration: Duration, future: F) -> Result<F::Output, Elapsed> {
    let (mut future, mut sleep) = (pin!(future), sleep(duration));
    std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Ok(output)),
        Poll::Pending => Pin::new(&mut sleep).poll(cx).map(|()| Err(Elapsed)),
    })
    .await
}

pub(crate) fn sleep_thread(duration: Duration) {
    // A thread that is being killed does not sleep.
    let _ = block_on(sleep(duration));
}

/// Ready when the clock has reached a time.
#[derive(Debug)]
pub(crate) struct Sleep {
    at_ns: u64,
    timer: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        let world = Context::current().world;
        let state = &mut *world.state.lock();
        if state.now_ns >= self.at_ns {
            return Poll::Ready(());
        }
        let timer = *self.timer.get_or_insert_with(|| {
            state.next_timer += 1;
            state.next_timer
        });
        state.timers.insert((self.at_ns, timer), cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let (Some(timer), Some(context)) = (self.timer, Context::try_current()) {
            // The waker is dropped after the lock is given back.
            let _waker = context.world.state.lock().timers.remove(&(self.at_ns, timer));
        }
    }
}
