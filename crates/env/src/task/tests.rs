use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::time::{Instant, sleep, sleep_thread};

fn runtime() -> Runtime {
    Runtime::new(2).expect("a runtime")
}

#[test]
fn a_task_returns_its_value() {
    runtime().block_on(async {
        assert_eq!(spawn("adder", async { 1 + 1 }).await, Ok(2));
    });
}

#[test]
fn panics_and_aborts_are_told_apart_by_name() {
    runtime().block_on(async {
        let panicked = spawn("fragile", async { panic!("number {}", 7) });
        assert_eq!(panicked.await, Err::<(), _>(JoinError::Panicked("fragile", "number 7".to_owned())));
        let endless = spawn("endless", sleep(Duration::from_secs(3_600)));
        assert!(!endless.is_finished());
        endless.abort();
        assert_eq!(endless.await, Err(JoinError::Aborted("endless")));
    });
}

#[test]
fn blocking_work_is_bounded() {
    let (running, peak) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    runtime().block_on(async {
        let tasks: Vec<_> = (0..MAX_BLOCKING * 3)
            .map(|_| {
                let (running, peak) = (Arc::clone(&running), Arc::clone(&peak));
                let work = move || {
                    peak.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    sleep_thread(Duration::from_millis(5));
                    running.fetch_sub(1, Ordering::SeqCst);
                };
                spawn("caller", blocking("work", work))
            })
            .collect();
        for task in tasks {
            task.await.expect("finished");
        }
    });
    let peak = peak.load(Ordering::SeqCst);
    assert!((2..=MAX_BLOCKING).contains(&peak), "{peak} at once");
}

#[test]
fn a_panic_of_blocking_work_reaches_its_caller() {
    runtime().block_on(async {
        let task = spawn("caller", blocking("work", || panic!("inside")));
        assert_eq!(task.await, Err::<(), _>(JoinError::Panicked("caller", "inside".to_owned())));
    });
}

#[test]
fn blocking_here_lets_the_others_go_on() {
    Runtime::new(1).expect("a runtime").block_on(async {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        // The only worker waits for the other task, which therefore needs another thread.
        let waiting = spawn("waiting", async move { blocking_here(|| receiver.recv_timeout(Duration::from_secs(60))) });
        let sending = spawn("sending", async move { sender.send(7) });
        assert_eq!(waiting.await, Ok(Ok(7)));
        sending.await.expect("no panic").expect("received");
    });
    assert_eq!(blocking_here(|| 3), 3, "outside of a runtime, too");
}

#[test]
fn a_stop_signal_ends_a_waiting_thread_early() {
    let stop = StopSignal::new();
    assert!(!stop.wait_ms(1));
    let seen = stop.clone();
    let began = Instant::now();
    let flusher = thread("flusher", move || while !seen.wait_timeout(Duration::from_secs(3_600)) {}).expect("a thread");
    stop.stop();
    flusher.join().expect("no panic");
    assert!(stop.is_stopped() && began.elapsed() < Duration::from_secs(60));
}

#[test]
fn a_panic_of_a_thread_is_told_by_join() {
    let fragile = thread("fragile", || panic!("down")).expect("a thread");
    assert_eq!(fragile.join(), Err(JoinError::Panicked("fragile", "down".to_owned())));
}

#[test]
fn a_signal_is_awaited_twice() {
    runtime().block_on(async {
        let own = rustix::process::getpid();
        for signal in [rustix::process::Signal::TERM, rustix::process::Signal::INT] {
            let mut terminated = std::pin::pin!(super::signal::terminate());
            // The first poll starts listening; a signal before it would end the test process.
            let first = std::future::poll_fn(|cx| Poll::Ready(terminated.as_mut().poll(cx))).await;
            assert!(first.is_pending());
            rustix::process::kill_process(own, signal).expect("sent");
            crate::time::timeout(Duration::from_secs(60), terminated).await.expect("seen");
        }
    });
}
