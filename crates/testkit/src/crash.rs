//! The crash ring: `kill -9` in a loop under load, and a judgement of what the clients saw.
//!
//! ```text
//!   producers ──────────┐                                  ┌── members of a group, which commit what they have read
//!   (idempotent, plain) ├──>  broker: kill -9, start, …  ──┼── a reader of the compacted topic
//!                       │                                  └── at the end: everything, from the beginning
//!                       └────> a history of each topic ───> checker::check_all, checker::check_compacted
//! ```
//!
//! One topic keeps everything, the other is compacted all the time. Clients are never told of a crash; they retry as they do
//! in the world.

mod load;
mod members;
mod reader;

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use ottla_client::admin::NewTopic;
use ottla_client::{Admin, ClientConfig, Error};
use ottla_env::task::StopSignal;
use ottla_env::time::{Instant, sleep};
use ottla_env::{random, task};

use crate::history::{Delivery, Event, History, Recorder};
use crate::process::{ProcessError, Program, Server};

/// Keeps everything.
const TOPIC: &str = "crash";
/// Keeps the last value of each key.
const COMPACTED: &str = "crash-compacted";
/// Of each topic.
const PARTITIONS: i32 = 4;
/// How each producer sends.
const PRODUCERS: [Delivery; 3] = [Delivery::Idempotent, Delivery::Idempotent, Delivery::Plain];
const COMPACTED_PRODUCERS: [Delivery; 2] = [Delivery::Idempotent, Delivery::Plain];
const MEMBERS: usize = 2;
/// How long a broker lives, in milliseconds. A JVM needs longer until it does anything.
const LIFE_MS: RangeInclusive<u64> = 200..=1_500;
const KAFKA_LIFE_MS: RangeInclusive<u64> = 8_000..=12_000;
/// Properties on top: what rolls once in a minute is not killed while it rolls, and a cleaner that rests for 15 s never gets to
/// clean.
const PROPERTIES: [(&str, &str); 5] = [
    ("log.segment.bytes", "1048576"),
    ("log.roll.ms", "500"),
    ("log.cleaner.backoff.ms", "50"),
    ("offsets.topic.num.partitions", "3"),
    ("auto.create.topics.enable", "false"),
];
const COMPACTED_CONFIGS: [(&str, &str); 3] =
    [("cleanup.policy", "compact"), ("segment.ms", "100"), ("min.cleanable.dirty.ratio", "0.01")];

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
    /// Of the topic that keeps everything; to be judged by `check_all`.
    pub history: History,
    /// Of the compacted topic; to be judged by `check_compacted`.
    pub compacted: History,
    /// How often the broker was killed.
    pub kills: u32,
    /// The broker, stopped cleanly; its directory is removed with it.
    pub server: Server,
}

/// Runs the ring for about `duration`, and then what follows: everything is acknowledged, the broker is killed once more,
/// and all partitions are read. A broker lives no longer than `longest_life`, if that is given, but 200 ms at least.
///
/// # Errors
/// [`CrashError`].
pub async fn run(program: Program, duration: Duration, longest_life: Option<Duration>) -> Result<Outcome, CrashError> {
    let usual = if matches!(program, Program::Ottla(_)) { LIFE_MS } else { KAFKA_LIFE_MS };
    let longest_ms = longest_life.map_or(*usual.end(), |life| u64::try_from(life.as_millis()).unwrap_or(u64::MAX));
    let life_ms = *usual.start()..=longest_ms.max(*usual.start());
    let mut server = Server::new(program, &PROPERTIES).await?;
    server.start().await?;
    let config = client(&server);
    create_topics(&config).await?;

    let (history, compacted) = (Arc::new(Recorder::new()), Arc::new(Recorder::new()));
    let stop = StopSignal::new();
    let mut clients = Vec::new();
    for (topic, deliveries, recorder) in
        [(TOPIC, PRODUCERS.as_slice(), &history), (COMPACTED, &COMPACTED_PRODUCERS, &compacted)]
    {
        for delivery in deliveries {
            let load = load::produce(config.clone(), topic, *delivery, Arc::clone(recorder), stop.clone());
            clients.push(task::spawn("load", load));
        }
    }
    for n in 0..MEMBERS {
        clients.push(task::spawn("member", members::consume(config.clone(), n, Arc::clone(&history), stop.clone())));
    }
    let follower = reader::follow(config.clone(), COMPACTED, Arc::clone(&compacted), stop.clone());
    clients.push(task::spawn("follower", follower));

    let recorders = [&*history, &*compacted];
    let kills = kill_in_a_loop(&mut server, life_ms, duration, recorders).await?;
    stop.stop();
    for task in clients {
        task.await??;
    }
    restart(&mut server, recorders).await?;
    reader::read_everything(&config, TOPIC, &history).await?;
    reader::read_everything(&config, COMPACTED, &compacted).await?;
    members::ask_committed(&config, &history).await?;
    server.stop().await?;
    let seen = |recorder| Arc::into_inner(recorder).map(Recorder::into_history).expect("its other owners have ended");
    Ok(Outcome { history: seen(history), compacted: seen(compacted), kills: kills + 1, server })
}

fn client(server: &Server) -> ClientConfig {
    ClientConfig {
        bootstrap_servers: vec![server.address().to_string()],
        // A dead broker refuses at once; what hangs shall not hang for long.
        request_timeout: Duration::from_secs(10),
        ..ClientConfig::default()
    }
}

async fn create_topics(config: &ClientConfig) -> Result<(), CrashError> {
    let configs = COMPACTED_CONFIGS.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let new = |name: &str| NewTopic { name: name.to_owned(), partitions: Some(PARTITIONS), ..NewTopic::default() };
    let admin = Admin::connect(config).await?;
    let topics = [new(TOPIC), NewTopic { configs, ..new(COMPACTED) }];
    for outcome in admin.create_topics(&topics, false).await?.into_values() {
        outcome?;
    }
    Ok(())
}

async fn kill_in_a_loop(
    server: &mut Server,
    life_ms: RangeInclusive<u64>,
    duration: Duration,
    recorders: [&Recorder; 2],
) -> Result<u32, CrashError> {
    let (began, mut kills) = (Instant::now(), 0);
    while began.elapsed() < duration {
        let life_ms = life_ms.start() + random::below(life_ms.end() - life_ms.start() + 1);
        sleep(Duration::from_millis(life_ms)).await;
        restart(server, recorders).await?;
        kills += 1;
    }
    Ok(kills)
}

async fn restart(server: &mut Server, recorders: [&Recorder; 2]) -> Result<(), CrashError> {
    server.kill()?;
    server.start().await?;
    recorders.into_iter().for_each(|recorder| recorder.saw(Event::Restarted));
    Ok(())
}
