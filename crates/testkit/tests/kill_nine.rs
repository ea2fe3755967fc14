//! Nothing acknowledged is lost, repeated or reordered, and no committed offset goes back, however often the broker is
//! killed under load.
//!
//! `OTTLA_BIN` names the binary (`cargo xtask crash` and `cargo xtask test` set it); `OTTLA_KAFKA_HOME`, a directory with
//! Apache Kafka's jars under `server/`, puts Kafka in its place, to try the ring itself. `OTTLA_CRASH_SECONDS` is how long
//! it is killed.

use std::path::PathBuf;
use std::time::Duration;

use ottla_env::task::Runtime;
use ottla_testkit::checker::check_all;
use ottla_testkit::crash::{self, Outcome};
use ottla_testkit::history::Event;
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
    let seconds = std::env::var("OTTLA_CRASH_SECONDS").ok().and_then(|text| text.parse().ok());
    let duration = Duration::from_secs(seconds.unwrap_or(DEFAULT_SECONDS));
    let runtime = Runtime::new(2).expect("a runtime");
    let Outcome { history, kills, mut server } =
        runtime.block_on(crash::run(program, duration)).unwrap_or_else(|error| panic!("the ring broke: {error}"));

    let count = |is: fn(&Event) -> bool| history.events.iter().filter(|event| is(event)).count();
    let sent = count(|event| matches!(event, Event::Sent(_)));
    let acknowledged = count(|event| matches!(event, Event::Acknowledged { .. }));
    let read = count(|event| matches!(event, Event::Read { .. }));
    let committed = count(|event| matches!(event, Event::Committed { .. }));
    println!("crash ring: {kills} kills, {sent} sent, {acknowledged} acknowledged, {read} read, {committed} commits");

    let violations = check_all(&history);
    if !violations.is_empty() {
        let directory = server.keep_directory().display().to_string();
        let shown: Vec<_> = violations.iter().take(SHOWN).map(ToString::to_string).collect();
        panic!("{} violations, the first:\n{}\nthe broker's files: {directory}", violations.len(), shown.join("\n"));
    }
    // A ring in which nothing happened proves nothing.
    assert!(acknowledged > sent / 2 && committed > 0 && history.final_records().count() >= acknowledged);
}
