//! Work on many logs at once, with a bound on threads: opening and closing wait mostly for the disk.

use std::collections::VecDeque;
use std::sync::Arc;

use ottla_env::task;
use parking_lot::Mutex;

/// Runs `work` on every job with at most `threads` threads, and waits for all of them. Results come in no order.
pub(crate) fn run<J, R>(threads: usize, jobs: Vec<J>, work: impl Fn(J) -> R + Send + Sync + 'static) -> Vec<R>
where
    J: Send + 'static,
    R: Send + 'static,
{
    let threads = threads.clamp(1, jobs.len().max(1));
    if threads == 1 {
        return jobs.into_iter().map(work).collect();
    }
    let shared = Arc::new(Shared { jobs: Mutex::new(VecDeque::from(jobs)), results: Mutex::new(Vec::new()) });
    let work = Arc::new(work);
    let helper = |_| {
        let (shared, work) = (Arc::clone(&shared), Arc::clone(&work));
        task::thread("storage", move || shared.drain(&*work)).ok()
    };
    let helpers: Vec<_> = (1..threads).filter_map(helper).collect();
    shared.drain(&*work);
    for helper in helpers {
        if let Err(error) = helper.join() {
            tracing::error!(%error, "a thread that worked on logs ended early");
        }
    }
    std::mem::take(&mut *shared.results.lock())
}

struct Shared<J, R> {
    jobs: Mutex<VecDeque<J>>,
    results: Mutex<Vec<R>>,
}

impl<J, R> Shared<J, R> {
    fn drain(&self, work: &impl Fn(J) -> R) {
        loop {
            let Some(job) = self.jobs.lock().pop_front() else { return };
            let result = work(job);
            self.results.lock().push(result);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::run;

    #[test]
    fn every_job_is_done_once() {
        for threads in [0, 1, 3, 100] {
            let mut done = run(threads, (0..50).collect(), |n: i32| n * 2);
            done.sort_unstable();
            assert_eq!(done, (0..50).map(|n| n * 2).collect::<Vec<_>>());
        }
        assert!(run(4, Vec::<i32>::new(), |n| n).is_empty());
    }
}
