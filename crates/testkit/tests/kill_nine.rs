//! Nothing acknowledged is lost, repeated or reordered, compaction keeps the last value of each key, and no committed offset goes
//! back, however often the broker is killed under load.
//!
//! `OTTLA_BIN` names the binary (`cargo xtask crash` and `cargo xtask test` set it); `OTTLA_KAFKA_HOME`, a directory with
//! Apache Kafka's jars under `server/`, puts Kafka in its place, to try the ring itself. `OTTLA_CRASH_SECONDS` is how long
//! it is killed, `OTTLA_CRASH_LIFE_MS` how long it lives at most.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use ottla_env::task::Runtime;
use ottla_testkit::checker::{check_all, check_compacted};
use ottla_testkit::crash::{self, Outcome};
use ottla_testkit::history::{Event, History};
use ottla_testkit::process::Program;

const DEFAULT_SECONDS: u64 = 20;
/// Violations printed; the first ones tell most.
const SHOWN: usize = 20;

fn program() -> Option<Program> {
    let path = |name: &str| std::env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
    path("OTTLA_BIN").map(Program::Ottla).or_else(|| path("OTTLA_KAFKA_HOME").map(Program::Kafka))
}

#[test]
fn what_was_acknowledged_survives_kill_nine() {
    let Some(program) = program() else {
        println!("NOT RUN: the crash ring needs the ottla binary in OTTLA_BIN");
        return;
    };
    // What the clients say at the level of RUST_LOG: `RUST_LOG=ottla_client=debug` tells why one is slow.
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let duration = Duration::from_secs(number("OTTLA_CRASH_SECONDS").unwrap_or(DEFAULT_SECONDS));
    let longest_life = number("OTTLA_CRASH_LIFE_MS").map(Duration::from_millis);
    let runtime = Runtime::new(2).expect("a runtime");
    let ring = runtime.block_on(crash::run(program, duration, longest_life));
    let Outcome { history, compacted, kills, mut server } =
        ring.unwrap_or_else(|error| panic!("the ring broke: {error}"));
    let (of_everything, of_keys) = (Counts::of(&history), Counts::of(&compacted));
    println!("crash ring: {kills} kills; {of_everything}; compacted: {of_keys}");

    let violations = [check_all(&history), check_compacted(&compacted)].concat();
    if !violations.is_empty() {
        let directory = server.keep_directory().display().to_string();
        let shown: Vec<_> = violations.iter().take(SHOWN).map(ToString::to_string).collect();
        panic!("{} violations, the first:\n{}\nthe broker's files: {directory}", violations.len(), shown.join("\n"));
    }
    // A ring in which nothing happened proves nothing.
    assert!(of_everything.acknowledged > of_everything.sent / 2 && of_everything.committed > 0);
    assert!(of_everything.at_the_end >= of_everything.acknowledged);
    assert!(of_keys.acknowledged > of_keys.sent / 2);
    assert!(of_keys.at_the_end < of_keys.acknowledged / 2, "nothing was compacted");
}

/// How often each thing was seen.
struct Counts {
    sent: usize,
    acknowledged: usize,
    read: usize,
    committed: usize,
    at_the_end: usize,
}

impl Counts {
    fn of(history: &History) -> Self {
        let count = |is: fn(&Event) -> bool| history.events.iter().filter(|event| is(event)).count();
        Self {
            sent: count(|event| matches!(event, Event::Sent(_))),
            acknowledged: count(|event| matches!(event, Event::Acknowledged { .. })),
            read: count(|event| matches!(event, Event::Read { .. })),
            committed: count(|event| matches!(event, Event::Committed { .. })),
            at_the_end: history.final_records().count(),
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sent, acknowledged, read, committed, at_the_end } = self;
        write!(f, "{sent} sent, {acknowledged} acknowledged, {read} read, {committed} commits, {at_the_end} at the end")
    }
}
