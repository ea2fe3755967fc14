//! A log directory goes from one broker to the other and back, and each time nothing of it may be lost.
//!
//! ```text
//!   Kafka:  fill, portrait ─ stop or kill ─> Ottla:  portrait =, more, portrait ─ stop or kill ─> Kafka:  portrait =, go on
//!   Ottla:  fill, portrait ─ stop or kill ─> Kafka:  portrait =, more, portrait ─ stop or kill ─> Ottla:  portrait =
//! ```
//! One process of the Java client (`compat/java/exchange`) lives through all of it, with an idempotent producer that goes on
//! where it was and a transaction that stays open. A portrait is everything that a client can see of a broker. Each directory
//! that Ottla leaves is also judged by Kafka's DumpLogSegments.

mod conversation;
mod judge;
mod portrait;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::peer::{Broker, Peer, Place, Quorum};
use super::{Outcome, Step};
use crate::prepare::Prepared;
use crate::shell::{Cmd, has, root};
use conversation::Conversation;
use portrait::Portrait;

/// How a broker ends before the other one gets its directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Stop,
    Kill,
}

/// One way of a directory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Route {
    pub(super) name: &'static str,
    first: Peer,
    end: End,
    quorum: Quorum,
    extra: &'static [(&'static str, &'static str)],
}

/// Few partitions of the internal topics, and a cleaner that comes at once.
const PLAIN: &[(&str, &str)] = &[
    ("offsets.topic.num.partitions", "3"),
    ("transaction.state.log.num.partitions", "2"),
    ("share.coordinator.state.topic.num.partitions", "2"),
    ("log.cleaner.backoff.ms", "300"),
    ("log.initial.task.delay.ms", "500"),
];

/// A metadata snapshot every few records, so that each broker starts from the other's.
const SNAPSHOTS: &[(&str, &str)] = &[("metadata.log.max.record.bytes.between.snapshots", "2000")];

const fn route(name: &'static str, first: Peer, end: End) -> Route {
    Route { name, first, end, quorum: Quorum::Static, extra: &[] }
}

const ROUTES: [Route; 4] = [
    route("exchange-kafka-ottla-kafka-stop", Peer::Kafka, End::Stop),
    route("exchange-kafka-ottla-kafka-kill", Peer::Kafka, End::Kill),
    route("exchange-ottla-kafka-ottla-stop", Peer::Ottla, End::Stop),
    route("exchange-ottla-kafka-ottla-kill", Peer::Ottla, End::Kill),
];

const MORE_ROUTES: [Route; 3] = [
    Route { extra: SNAPSHOTS, ..route("exchange-kafka-ottla-kafka-snapshots", Peer::Kafka, End::Kill) },
    Route { extra: SNAPSHOTS, ..route("exchange-ottla-kafka-ottla-snapshots", Peer::Ottla, End::Stop) },
    Route { quorum: Quorum::Dynamic, ..route("exchange-kafka-ottla-kafka-dynamic", Peer::Kafka, End::Stop) },
];

/// Every way; with `full` the longer ones too.
pub(super) fn all(full: bool) -> Vec<Route> {
    let more: &[Route] = if full { &MORE_ROUTES } else { &[] };
    ROUTES.iter().chain(more).copied().collect()
}

impl Route {
    /// Goes it; `Err` says what is lacking to start.
    pub(super) fn run(&self, prepared: &Prepared, dir: &Path) -> Result<Outcome, String> {
        let (Some(server), Some(tools)) = (&prepared.server, &prepared.tools) else {
            return Err("Apache Kafka's jars are not there".to_owned());
        };
        let classes = compile(server, dir).map_err(|e| format!("{e:#}"))?;
        println!("--> {}", self.name);
        let start = Instant::now();
        let mut way = Way {
            route: self,
            prepared,
            tools,
            dir: dir.join(self.name),
            outcome: Outcome { client: self.name.to_owned(), ..Outcome::default() },
        };
        if let Err(e) = way.go(server, &classes) {
            way.note("way", Err(e));
        }
        println!("<-- {}: {:.1} s", self.name, start.elapsed().as_secs_f64());
        Ok(way.outcome)
    }
}

/// Compiles the Java side, once a run.
fn compile(server: &Path, dir: &Path) -> Result<PathBuf> {
    let classes = dir.join("exchange-classes");
    if classes.exists() {
        return Ok(classes);
    }
    if !has("javac") {
        bail!("javac is not installed");
    }
    let mut sources: Vec<PathBuf> = std::fs::read_dir(root().join("compat/java/exchange"))?
        .map(|entry| entry.map(|e| e.path()))
        .collect::<Result<_, _>>()?;
    sources.retain(|path| path.extension().is_some_and(|e| e == "java"));
    let class_path = format!("{}/*", server.display());
    Cmd::new("javac").args(["-nowarn", "-cp", &class_path, "-d"]).args([&classes]).args(&sources).output()?;
    Ok(classes)
}

/// One way while it is gone.
struct Way<'a> {
    route: &'a Route,
    prepared: &'a Prepared,
    tools: &'a Path,
    dir: PathBuf,
    outcome: Outcome,
}

impl Way<'_> {
    fn go(&mut self, server: &Path, classes: &Path) -> Result<()> {
        std::fs::create_dir_all(&self.dir)?;
        let place = Place::new(&self.dir, self.route.quorum, &[PLAIN, self.route.extra].concat())?;
        let (first, other) = match self.route.first {
            Peer::Kafka => (Peer::Kafka, Peer::Ottla),
            Peer::Ottla => (Peer::Ottla, Peer::Kafka),
        };
        let mut java = Conversation::begin(server, classes, &self.dir.join("java.log"))?;

        let broker = self.start(first, &place, 1)?;
        self.say(&mut java, &format!("connect {}", place.bootstrap()))?;
        self.say(&mut java, "fill")?;
        self.say(&mut java, if first == Peer::Kafka { "fill-kafka" } else { "cleaned" })?;
        let filled = self.portrait(&mut java, "1-filled")?;
        self.end(broker, first, 1);

        let broker = self.start(other, &place, 2)?;
        let found = self.portrait(&mut java, "2-found")?;
        self.compare("found-all", portrait::differences(&filled, &found));
        self.say(&mut java, &format!("more {}", if other == Peer::Kafka { "kafka" } else { "ottla" }))?;
        if other == Peer::Kafka {
            self.say(&mut java, "fill-kafka")?;
        }
        let more = self.portrait(&mut java, "3-more")?;
        if other == Peer::Ottla {
            self.compare("untouched", portrait::touched(&found, &more));
        }
        self.end(broker, other, 2);

        let broker = self.start(first, &place, 3)?;
        let back = self.portrait(&mut java, "4-back")?;
        self.compare("back-with-all", portrait::differences(&more, &back));
        if first == Peer::Kafka {
            self.compare("unserved-as-before", portrait::unserved_differences(&filled, &more, &back));
            self.say(&mut java, "resume")?;
        } else {
            self.say(&mut java, "more again")?;
        }
        self.end(broker, first, 3);
        Ok(())
    }

    fn note(&mut self, name: &str, result: Result<String>) {
        let (ok, detail) = match result {
            Ok(detail) => (true, detail),
            Err(e) => (false, format!("{e:#}").replace('\n', " | ")),
        };
        println!("    {name:<24} {:<5} {detail}", if ok { "ok" } else { "FAIL" });
        self.outcome.steps.push(Step { name: name.to_owned(), ok, detail });
    }

    fn start(&mut self, peer: Peer, place: &Place, stage: u8) -> Result<Broker> {
        let broker = Broker::start(peer, self.prepared, place, &format!("{stage}-{peer:?}.log"));
        let broker = broker.with_context(|| format!("stage {stage}, {peer:?}"))?;
        self.note(&format!("start-{stage}"), Ok(format!("{peer:?}")));
        Ok(broker)
    }

    /// Ends the broker as the route says, the last one cleanly, and lets Kafka's tool judge what Ottla leaves.
    fn end(&mut self, mut broker: Broker, peer: Peer, stage: u8) {
        let ended = if self.route.end == End::Kill && stage < 3 { broker.kill() } else { broker.stop() };
        let words = broker.last_words();
        self.note(&format!("end-{stage}"), ended.map(|()| String::new()).with_context(|| words));
        // For a look at what the next one was given. Unused parts of Kafka's indexes are holes.
        let copied = Cmd::new("cp").args(["-r", "--sparse=always"]).args([&broker.data]);
        if let Err(e) = copied.args([self.dir.join(format!("data-after-{stage}"))]).run() {
            self.note(&format!("copy-{stage}"), Err(e));
        }
        if peer == Peer::Ottla {
            for (name, judged) in judge::all(self.tools, &broker.data) {
                self.note(&format!("{name}-{stage}"), judged);
            }
        }
    }

    fn say(&mut self, java: &mut Conversation, verb: &str) -> Result<()> {
        for step in java.say(verb)? {
            let result = if step.ok { Ok(step.detail) } else { Err(anyhow::anyhow!(step.detail)) };
            self.note(&step.name, result);
        }
        Ok(())
    }

    fn portrait(&mut self, java: &mut Conversation, name: &str) -> Result<Portrait> {
        let file = self.dir.join(format!("{name}.facts"));
        self.say(java, &format!("portrait {}", file.display()))?;
        let text = std::fs::read_to_string(&file).with_context(|| format!("no portrait {}", file.display()))?;
        Ok(Portrait::parse(&text))
    }

    fn compare(&mut self, name: &str, (facts, differences): (usize, Vec<String>)) {
        const TOLD: usize = 8;
        let result = if differences.is_empty() {
            Ok(format!("{facts} facts"))
        } else {
            let told = differences.iter().take(TOLD).cloned().collect::<Vec<_>>().join(" | ");
            Err(anyhow::anyhow!("{} of {facts} facts differ: {told}", differences.len()))
        };
        let written = std::fs::write(self.dir.join(format!("{name}.differences")), differences.join("\n"));
        self.note(name, result.and_then(|told| written.map(|()| told).map_err(Into::into)));
    }
}
