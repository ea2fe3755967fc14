//! The drivers: how each is started, and how its lines are read.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::peer::Broker;
use super::{Outcome, Step};
use crate::prepare::Prepared;
use crate::rings;
use crate::shell::{Cmd, root, signal_group, wait_at_most};

/// The longest that one driver may take: its steps are bounded by 40 s each, and most take a second.
const LIMIT: Duration = Duration::from_secs(540);

/// One foreign client.
#[derive(Debug)]
pub(super) struct Driver {
    pub(super) name: &'static str,
    /// Program and first arguments, or what is lacking to start it.
    command: Result<Vec<PathBuf>, &'static str>,
    env: Vec<(&'static str, PathBuf)>,
}

/// Every driver in the order of the table; with `full` the older versions too.
pub(super) fn all(prepared: &Prepared, full: bool) -> Vec<Driver> {
    let compat = root().join("compat");
    let python = |interpreter: &Option<PathBuf>, file: &str| match interpreter {
        Some(interpreter) => Ok(vec![interpreter.clone(), compat.join("python").join(file)]),
        None => Err("its packages are not there"),
    };
    let node = |name, modules: &Option<PathBuf>, file: &str| Driver {
        name,
        command: match modules {
            Some(_) => Ok(vec!["node".into(), compat.join("node").join(file)]),
            None => Err("its packages are not there"),
        },
        env: modules.iter().map(|dir| ("NODE_PATH", dir.clone())).collect(),
    };
    let plain = |name, command| Driver { name, command, env: Vec::new() };
    let go = |file: &str| prepared.go.as_ref().map(|dir| vec![dir.join(file)]).ok_or("it could not be built");
    let mut drivers = vec![
        Driver {
            name: "ottla",
            command: Ok(vec![compat.join("ottla/driver.sh")]),
            env: vec![("OTTLA", rings::ottla())],
        },
        plain(
            "kcat",
            if prepared.kcat { Ok(vec![compat.join("kcat/driver.sh")]) } else { Err("kcat is not installed") },
        ),
        Driver {
            name: "java",
            command: prepared
                .tools
                .as_ref()
                .map(|_| vec![compat.join("java/driver.sh")])
                .ok_or("Kafka's tools are not there"),
            env: prepared.tools.iter().map(|dir| ("OTTLA_KAFKA_TOOLS", dir.clone())).collect(),
        },
        plain("confluent-kafka", python(&prepared.python, "confluent_driver.py")),
        plain("kafka-python", python(&prepared.python, "kafka_python_driver.py")),
        plain("aiokafka", python(&prepared.python, "aiokafka_driver.py")),
        node("kafkajs", &prepared.node_modules, "kafkajs_driver.js"),
        plain("kafka-go", go("kafkago")),
        plain("confluent-kafka-go", go("confluent")),
    ];
    if full {
        drivers.push(node("kafka-javascript", &prepared.node_modules_full, "confluent_driver.js"));
        drivers.push(plain("old-confluent-kafka", python(&prepared.old_python, "confluent_driver.py")));
        drivers.push(plain("old-kafka-python", python(&prepared.old_python, "kafka_python_driver.py")));
    }
    drivers
}

impl Driver {
    /// Runs it against the broker; `Err` says what is lacking to start it. A driver that breaks or hangs has a failed step for that.
    pub(super) fn run(&self, broker: &Broker, dir: &Path, args: &[&str]) -> Result<Outcome, String> {
        let command = self.command.as_ref().map_err(ToString::to_string)?;
        let log = dir.join(format!("{}{}.log", self.name, args.concat()));
        println!("--> {}", self.name);
        let start = Instant::now();
        let mut cmd = Cmd::new(&command[0])
            .args(&command[1..])
            .args(args)
            .env("OTTLA_BOOTSTRAP", &broker.bootstrap)
            .env("OTTLA_CONTROLLER", &broker.controller)
            .env("OTTLA_DATA", &broker.data)
            .env("OTTLA_PREFIX", format!("c-{}", self.name));
        for (key, value) in &self.env {
            cmd = cmd.env(key, value);
        }
        let mut child = cmd.spawn_to(&log).map_err(|e| format!("{e:#}"))?;
        let ended = wait_at_most(&mut child, LIMIT).map_err(|e| e.to_string())?;
        if ended.is_none() {
            signal_group(&child, "-TERM");
            std::thread::sleep(Duration::from_secs(1));
            signal_group(&child, "-KILL");
            let _ = child.wait();
        }
        let mut outcome = read(&std::fs::read_to_string(&log).unwrap_or_default());
        let clean = ended.is_some_and(|status| status.success());
        if !clean && outcome.steps.iter().all(|s| s.ok) {
            let detail =
                ended.map_or(format!("still running after {} s", LIMIT.as_secs()), |s| format!("ended with {s}"));
            outcome.steps.push(Step { name: "driver".into(), ok: false, detail });
        }
        if outcome.client.is_empty() {
            outcome.client = self.name.to_owned();
        }
        for step in &outcome.steps {
            println!("    {:<16} {:<5} {}", step.name, if step.ok { "ok" } else { "FAIL" }, step.detail);
        }
        println!("<-- {}: {:.1} s", self.name, start.elapsed().as_secs_f64());
        Ok(outcome)
    }
}

/// Reads the `CLIENT` and `STEP` lines.
pub(super) fn read(text: &str) -> Outcome {
    let mut outcome = Outcome::default();
    for line in text.lines() {
        if let Some(client) = line.strip_prefix("CLIENT ") {
            // The name may have a space and so may the version, which begins with a digit or a v before one.
            let version_at =
                client.match_indices(' ').map(|(at, _)| at + 1).find(|&at| starts_a_version(&client[at..]));
            let (name, version) = version_at.map_or((client, ""), |at| (client[..at].trim_end(), &client[at..]));
            (outcome.client, outcome.version) = (name.to_owned(), version.to_owned());
        } else if let Some(step) = line.strip_prefix("STEP ") {
            let mut words = step.splitn(3, ' ');
            let (name, result, detail) = (words.next(), words.next(), words.next());
            outcome.steps.push(Step {
                name: name.unwrap_or_default().to_owned(),
                ok: result == Some("ok"),
                detail: detail.unwrap_or_default().to_owned(),
            });
        }
    }
    outcome
}

fn starts_a_version(text: &str) -> bool {
    text.strip_prefix('v').unwrap_or(text).starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_client_and_step_lines_among_others() {
        let outcome = read(
            "noise\nCLIENT confluent-kafka (Python) 2.16.1 (librdkafka 2.16.0)\nSTEP none ok 200 records\nSTEP acks-0 fail got 0 of 4\n",
        );
        assert_eq!(outcome.client, "confluent-kafka (Python)");
        assert_eq!(outcome.version, "2.16.1 (librdkafka 2.16.0)");
        assert_eq!(outcome.steps.len(), 2);
        assert!(outcome.steps[0].ok && !outcome.steps[1].ok);
        assert_eq!(outcome.steps[1].detail, "got 0 of 4");
        assert_eq!(read("CLIENT segmentio/kafka-go v0.4.51").version, "v0.4.51");
    }
}
