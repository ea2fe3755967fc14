//! What the loader waits for: any of its sockets, or the moment when the next request is due.

use std::os::fd::AsFd;
use std::time::Instant;

use anyhow::{Result, ensure};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

/// Told at once by an `epoll_wait`.
const EVENTS: usize = 256;
/// A broker that says nothing for so long says nothing any more.
const PATIENCE_MS: u16 = 60_000;
const TIMER: u64 = u64::MAX;

/// An epoll with a timer in it, since its own waits count milliseconds.
pub struct Poller {
    epoll: Epoll,
    timer: TimerFd,
    events: Vec<EpollEvent>,
    /// What the timer was set to last.
    alarm: Option<Instant>,
}

impl Poller {
    /// With no sockets yet.
    pub fn new() -> Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK)?;
        epoll.add(&timer, EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, TIMER))?;
        Ok(Self { epoll, timer, events: vec![EpollEvent::empty(); EVENTS], alarm: None })
    }

    /// Adds a socket, which is told by its number each time that it has something to read or takes something again.
    pub fn add(&self, socket: &impl AsFd, number: usize) -> Result<()> {
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLET;
        Ok(self.epoll.add(socket, EpollEvent::new(flags, number as u64))?)
    }

    /// Waits for sockets until a moment, and gives the numbers of those that woke it.
    pub fn wait(&mut self, until: Option<Instant>, ready: &mut Vec<usize>) -> Result<()> {
        ready.clear();
        self.set_alarm(until)?;
        let events = self.epoll.wait(&mut self.events, PATIENCE_MS)?;
        ensure!(events > 0, "the broker was silent for {} s", PATIENCE_MS / 1_000);
        let sockets = self.events.iter().take(events).map(EpollEvent::data).filter(|number| *number != TIMER);
        ready.extend(sockets.map(|number| number as usize));
        Ok(())
    }

    fn set_alarm(&mut self, until: Option<Instant>) -> Result<()> {
        if let Some(until) = until.filter(|_| until != self.alarm) {
            let rest = until.saturating_duration_since(Instant::now());
            // Zero would be no alarm at all.
            let rest = TimeSpec::from_duration(rest.max(std::time::Duration::from_nanos(1)));
            self.timer.set(Expiration::OneShot(rest), TimerSetTimeFlags::empty())?;
        }
        self.alarm = until;
        Ok(())
    }
}
