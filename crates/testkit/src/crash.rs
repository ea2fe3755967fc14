//! The crash ring: `kill -9` in a loop under load, and a judgement of what the clients saw.
//!
//! ```text
//!   producers ──────────┐                                  ┌── members of a group, which commit what they have read
//!   (idempotent, plain) ├──>  broker: kill -9, start, …  ──┤
//!                       │                                  └── at the end: everything, from the beginning
//!                       └────────────> history ───> checker::check_all
//! ```
//!
//! Clients are never told of a crash; they retry as they do in the world.

mod load;
mod members;
mod reader;

use std::sync::Arc;
use std::time::Duration;

use ottla_client::admin::NewTopic;
use ottla_client::{Admin, ClientConfig, Error};
use ottla_env::task::StopSignal;
use ottla_env::time::{Instant, sleep};
use ottla_env::{random, task};

use crate::history::{Delivery, Event, History, Recorder};
use crate::process::{ProcessError, Program, Server};

const TOPIC: &str = "crash";
const PARTITIONS: i32 = 4;
/// How each producer sends.
const PRODUCERS: [Delivery; 3] = [Delivery::Idempotent, Delivery::Idempotent, Delivery::Plain];
const MEMBERS: usize = 2;
/// How long a broker lives, in milliseconds: at least and at most. A JVM needs longer until it does anything.
const LIFE_MS: (u64, u64) = (200, 1_500);
const KAFKA_LIFE_MS: (u64, u64) = (8_000, 12_000);
/// Properties on top: small segments, so that every life rolls some.
const PROPERTIES: [(&str, &str); 3] =
    [("log.segment.bytes", "1048576"), ("offsets.topic.num.partitions", "3"), ("auto.create.topics.enable", "false")];

/// Why the ring could not be run to its end. What it found out is in the history instead.
#[derive(Debug, thiserror::Error)]
pub enum CrashError {
    /// The broker did not come back, or could not be started at all.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A client could not do what it has to do outside of the crashes.
    #[error("{0}")]
    Client(#[from] Error),
    /// A task of the ring ended early.
    #[error(transparent)]
    Task(#[from] task::JoinError),
}

/// What the ring has seen.
#[derive(Debug)]
pub struct Outcome {
    /// To be judged.
    pub history: History,
    /// How often the broker was killed.
    pub kills: u32,
    /// The broker, stopped cleanly; its directory is removed with it.
    pub server: Server,
}

/// Runs the ring for about `duration`, and then what follows: everything is acknowledged, the broker is killed once more,
/// and all partitions are read.
///
/// # Errors
/// [`CrashError`].
pub async fn run(program: Program, duration: Duration) -> Result<Outcome, CrashError> {
    let life_ms = if matches!(program, Program::Ottla(_)) { LIFE_MS } else { KAFKA_LIFE_MS };
    let mut server = Server::new(program, &PROPERTIES).await?;
    server.start().await?;
    let config = client(&server);
    create_topic(&config).await?;

    let recorder = Arc::new(Recorder::new());
    let stop = StopSignal::new();
    let producers: Vec<_> = PRODUCERS
        .into_iter()
        .map(|delivery| {
            task::spawn("load", load::produce(config.clone(), delivery, Arc::clone(&recorder), stop.clone()))
        })
        .collect();
    let members: Vec<_> = (0..MEMBERS)
        .map(|n| task::spawn("member", members::consume(config.clone(), n, Arc::clone(&recorder), stop.clone())))
        .collect();

    let kills = kill_in_a_loop(&mut server, life_ms, duration, &recorder).await?;
    stop.stop();
    for task in producers.into_iter().chain(members) {
        task.await??;
    }
    restart(&mut server, &recorder).await?;
    reader::read_everything(&config, &recorder).await?;
    members::ask_committed(&config, &recorder).await?;
    server.stop().await?;
    let recorder = Arc::into_inner(recorder).expect("its other owners have ended");
    Ok(Outcome { history: recorder.into_history(), kills: kills + 1, server })
}

fn client(server: &Server) -> ClientConfig {
    ClientConfig {
        bootstrap_servers: vec![server.address().to_string()],
        // A dead broker refuses at once; what hangs shall not hang for long.
        request_timeout: Duration::from_secs(10),
        ..ClientConfig::default()
    }
}

async fn create_topic(config: &ClientConfig) -> Result<(), CrashError> {
    let topic = NewTopic { name: TOPIC.to_owned(), partitions: Some(PARTITIONS), ..NewTopic::default() };
    let admin = Admin::connect(config).await?;
    for outcome in admin.create_topics(&[topic], false).await?.into_values() {
        outcome?;
    }
    Ok(())
}

async fn kill_in_a_loop(
    server: &mut Server,
    (shortest_ms, longest_ms): (u64, u64),
    duration: Duration,
    recorder: &Recorder,
) -> Result<u32, CrashError> {
    let (began, mut kills) = (Instant::now(), 0);
    while began.elapsed() < duration {
        sleep(Duration::from_millis(shortest_ms + random::below(longest_ms - shortest_ms))).await;
        restart(server, recorder).await?;
        kills += 1;
    }
    Ok(kills)
}

async fn restart(server: &mut Server, recorder: &Recorder) -> Result<(), CrashError> {
    server.kill()?;
    server.start().await?;
    recorder.saw(Event::Restarted);
    Ok(())
}
