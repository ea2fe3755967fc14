//! Tasks, threads and time of the simulation.
#![cfg(sim)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ottla_env::sim::{Sim, host};
use ottla_env::task::{self, JoinError, StopSignal};
use ottla_env::time::{self, Elapsed, Instant};
use tokio::sync::{Mutex, mpsc, oneshot};

#[test]
fn an_hour_passes_in_no_time() {
    Sim::new(1).run(async {
        let began = Instant::now();
        let wall_ms = time::wall_clock_ms();
        time::sleep(Duration::from_secs(3_600)).await;
        assert!(began.elapsed() >= Duration::from_secs(3_600));
        assert!((3_600_000..3_601_000).contains(&(time::wall_clock_ms() - wall_ms)));
        assert_eq!(time::timeout(Duration::from_secs(1), std::future::pending::<()>()).await, Err(Elapsed));
        assert_eq!(time::timeout(Duration::from_secs(1), async { 3 }).await, Ok(3));
    });
}

#[test]
fn tokios_channels_and_locks_work() {
    Sim::new(2).run(async {
        let (sender, mut receiver) = mpsc::channel(2);
        let total = Arc::new(Mutex::new(0));
        let counting = Arc::clone(&total);
        let consumer = task::spawn("consumer", async move {
            while let Some(number) = receiver.recv().await {
                let mut total = counting.lock().await;
                task::yield_now().await;
                *total += number;
            }
        });
        for number in 1..=100_u64 {
            sender.send(number).await.expect("received");
        }
        drop(sender);
        consumer.await.expect("finished");
        assert_eq!(*total.lock().await, 5_050);
    });
}

#[test]
fn threads_run_beside_tasks_and_end_on_request() {
    Sim::new(3).run(async {
        let (stop, turns) = (StopSignal::new(), Arc::new(AtomicU64::new(0)));
        let (stopped, counted) = (stop.clone(), Arc::clone(&turns));
        let thread = task::thread("ticker", move || {
            while !stopped.wait_timeout(Duration::from_secs(1)) {
                counted.fetch_add(1, Ordering::Relaxed);
            }
        })
        .expect("a thread");
        time::sleep(Duration::from_millis(10_500)).await;
        assert_eq!(turns.load(Ordering::Relaxed), 10);
        stop.stop();
        // Blocks the scenario itself, which the executor survives by running the others meanwhile.
        thread.join().expect("no panic");
        let began = Instant::now();
        time::sleep_thread(Duration::from_secs(5));
        assert!(began.elapsed() >= Duration::from_secs(5));
    });
}

#[test]
fn aborts_and_panics_are_seen() {
    Sim::new(4).run(async {
        let endless = task::spawn("endless", std::future::pending::<()>());
        endless.abort();
        assert_eq!(endless.await, Err(JoinError::Aborted("endless")));
        let fragile = task::spawn("fragile", async { panic!("down") });
        assert_eq!(fragile.await, Err::<(), _>(JoinError::Panicked("fragile", "down".to_owned())));
        let thread = task::thread("thread", || panic!("below")).expect("a thread");
        assert_eq!(thread.join(), Err(JoinError::Panicked("thread", "below".to_owned())));
        assert_eq!(task::blocking("work", || 7).await, 7);
    });
}

#[test]
#[should_panic(expected = "tasks that nobody waited for panicked: lost: alone")]
fn a_panic_that_nobody_waits_for_fails_the_run() {
    Sim::new(5).run(async {
        drop(task::spawn("lost", async { panic!("alone") }));
        time::sleep(Duration::from_secs(1)).await;
    });
}

#[test]
#[should_panic(expected = "nothing can run any more; waiting: [stuck on host 0]")]
fn a_deadlock_is_told() {
    Sim::new(6).run(async {
        let (_sender, receiver) = oneshot::channel::<()>();
        drop(task::spawn("stuck", async move { drop(receiver.await) }));
        std::future::pending::<()>().await;
    });
}

/// Counts its drops.
struct Guard(Arc<AtomicU64>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn killing_a_host_ends_its_tasks_and_threads_and_no_others() {
    Sim::new(7).run(async {
        let drops = Arc::new(AtomicU64::new(0));
        let victim = host("victim");
        let guard = Guard(Arc::clone(&drops));
        let doomed = victim.spawn("doomed", async move {
            let inner = Guard(Arc::clone(&guard.0));
            task::thread("below", move || {
                let _held = inner;
                time::sleep_thread(Duration::from_secs(1_000_000));
                unreachable!("it is killed before");
            })
            .expect("a thread");
            std::future::pending::<()>().await;
            drop(guard);
        });
        let survivor = task::spawn("survivor", async { time::sleep(Duration::from_secs(2)).await });
        time::sleep(Duration::from_secs(1)).await;
        victim.kill();
        assert_eq!(drops.load(Ordering::Relaxed), 2);
        assert_eq!(doomed.await, Err(JoinError::Aborted("doomed")));
        survivor.await.expect("it lives on another host");
        let reborn = victim.spawn("reborn", async { task::signal::terminate().await });
        victim.terminate();
        reborn.await.expect("terminated");
    });
}
