//! What happened in a run: a fingerprint of all of it, and the last events in words.

use std::collections::VecDeque;
use std::fmt;

/// How many events are kept in words.
const KEPT: usize = 400;

/// The record of a run. Two runs of one seed are equal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trace {
    /// A hash of all events in order.
    pub fingerprint: u64,
    /// How many there were.
    pub events: u64,
    /// The last of them, each with its time in nanoseconds.
    pub last: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Recorder {
    fingerprint: u64,
    events: u64,
    last: VecDeque<String>,
    print: Print,
}

/// What of the events is printed, as `OTTLA_SIM_TRACE` says.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Print {
    /// It is not set.
    Nothing,
    /// `effects`: what changes something, what fails, and what scenarios note.
    Effects,
    /// Anything else.
    Everything,
}

impl Print {
    fn from_environment() -> Self {
        match std::env::var("OTTLA_SIM_TRACE") {
            Err(_) => Self::Nothing,
            Ok(what) if what == "effects" => Self::Effects,
            Ok(_) => Self::Everything,
        }
    }

    /// Prints an event that is only a look only if everything is wanted.
    fn event(self, line: &str) {
        let (at, what) = line.split_once(' ').unwrap_or(("", line));
        let is_look = ["stat ", "read ", "list ", "open "].iter().any(|look| what.starts_with(look));
        match self {
            Self::Nothing => {}
            Self::Effects if is_look && what.ends_with("Ok(())") => {}
            Self::Effects => {
                let us = at.parse::<u64>().unwrap_or(0) / 1_000;
                match what.strip_prefix("note ") {
                    Some(note) => eprintln!("{us:>12} us ── {note}"),
                    None => eprintln!("{us:>12} us      {what}"),
                }
            }
            Self::Everything => eprintln!("{line}"),
        }
    }
}

impl Recorder {
    pub(super) fn new() -> Self {
        let print = Print::from_environment();
        Self { fingerprint: 0xcbf2_9ce4_8422_2325, events: 0, last: VecDeque::with_capacity(KEPT), print }
    }

    pub(super) fn note(&mut self, now_ns: u64, what: fmt::Arguments<'_>) {
        // The strings of events that fall out are used again: a long run does not allocate for its trace.
        let mut line = if self.last.len() == KEPT { self.last.pop_front().unwrap_or_default() } else { String::new() };
        line.clear();
        fmt::Write::write_fmt(&mut line, format_args!("{now_ns} {what}")).expect("a String takes everything");
        for byte in line.bytes() {
            self.fingerprint = (self.fingerprint ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.events += 1;
        self.print.event(&line);
        self.last.push_back(line);
    }

    pub(super) fn snapshot(&self) -> Trace {
        Trace { fingerprint: self.fingerprint, events: self.events, last: self.last.iter().cloned().collect() }
    }
}
