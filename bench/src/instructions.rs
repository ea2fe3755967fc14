//! A gate that no noise of the machine touches: instructions that the broker executes for a request, counted by valgrind.
//!
//! The release binary runs under callgrind while a client outside of it sends one request after the other. The difference between
//! many requests and few, divided by their number, is what one costs: start and stop cancel out. Requests fit into one read and answers
//! into one write, so that nothing depends on how the kernel cuts them. (`rep movsb`, of large copies, counts once for each byte.)
//!
//! `bench/instructions.json` has the numbers that are the rule, and says for which compiler, C library and processor they hold: on
//! another machine nothing is compared. `cargo xtask bench --instructions --write` writes them anew. Not part of the test command
//! yet: a request of one record is counted with one wake-up of a thread more or less, which is a tenth of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::broker::Kind;
use crate::wire::{self, Connection};

/// A rise above this fails.
const TOLERANCE_PERCENT: f64 = 2.0;
/// The smallest of so many counts is taken: what threads do beside the request only adds.
const COUNTS: usize = 3;
/// And of so many more, if that is too much: a busy machine wakes threads more often.
const COUNTS_IN_DOUBT: usize = 5;
const TOPIC: &str = "gate";

struct Measure {
    /// As `instructions.json` says it.
    name: &'static str,
    /// Records of a batch, and bytes of a value.
    batch: (u32, usize),
    /// Whether it is read back instead of written.
    is_fetch: bool,
    /// Few and many requests.
    requests: [u64; 2],
}

const MEASURES: [Measure; 4] = [
    Measure { name: "produce, 16 records of 1 KB", batch: (16, 1_024), is_fetch: false, requests: [200, 1_700] },
    Measure { name: "produce, 150 records of 100 B", batch: (150, 100), is_fetch: false, requests: [200, 1_700] },
    Measure { name: "produce, 1 record of 100 B", batch: (1, 100), is_fetch: false, requests: [500, 4_500] },
    Measure { name: "fetch, 16 KB", batch: (15, 1_024), is_fetch: true, requests: [500, 3_500] },
];

/// The rule.
#[derive(Serialize, Deserialize)]
struct Rule {
    /// Where it holds.
    machine: String,
    /// Instructions a request, by the name of what is measured.
    counts: BTreeMap<String, u64>,
}

/// Counts, and compares with the rule; writes it instead if told to.
pub fn gate(root: &Path, ottla: &Kind, write: bool) -> Result<()> {
    let path = root.join("bench/instructions.json");
    let machine = machine()?;
    if write {
        let counted = MEASURES.iter().map(|measure| Ok((measure.name.to_owned(), least(ottla, measure, COUNTS)?)));
        let rule = Rule { machine, counts: counted.collect::<Result<_>>()? };
        return Ok(std::fs::write(path, serde_json::to_string_pretty(&rule)? + "\n")?);
    }
    let rule: Rule = serde_json::from_slice(&std::fs::read(&path).with_context(|| path.display().to_string())?)?;
    if rule.machine != machine {
        println!(
            "NOT RUN: instructions are not compared: they were counted on {}, and this is {machine}",
            rule.machine
        );
        return Ok(());
    }
    let mut complaints = Vec::new();
    for measure in &MEASURES {
        let wanted = rule.counts.get(measure.name).copied();
        let mut counted = least(ottla, measure, COUNTS)?;
        if complaint(measure.name, wanted, counted).is_some() {
            counted = counted.min(least(ottla, measure, COUNTS_IN_DOUBT)?);
        }
        complaints.extend(complaint(measure.name, wanted, counted));
    }
    ensure!(complaints.is_empty(), "{}", complaints.join("\n"));
    println!("test result: ok. {} passed; 0 failed; 0 ignored", MEASURES.len());
    Ok(())
}

/// The compiler, the C library, whose copies depend on the processor, and that.
fn machine() -> Result<String> {
    let first_line = |program: &str| -> Result<String> {
        let output = Command::new(program).arg("--version").output().with_context(|| program.to_owned())?;
        Ok(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned())
    };
    let cpu = std::fs::read_to_string("/proc/cpuinfo")?;
    let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let cpu = cpu.trim_start_matches([' ', '\t', ':']);
    Ok(format!("{cpu}, {}, {}, {}", first_line("rustc")?, first_line("ldd")?, first_line("valgrind")?))
}

/// A sentence if a count is not as the rule says.
fn complaint(name: &str, rule: Option<u64>, counted: u64) -> Option<String> {
    let Some(rule) = rule else {
        return Some(format!("{name}: no number in bench/instructions.json; it is {counted}"));
    };
    let percent = (counted as f64 - rule as f64) * 100.0 / rule as f64;
    if percent < -TOLERANCE_PERCENT {
        println!("{name}: {percent:.1} %: write {counted} into bench/instructions.json, so that the gain is kept");
    }
    (percent > TOLERANCE_PERCENT).then(|| {
        format!(
            "{name}: {counted} instructions a request, {percent:.1} % more than the {rule} of bench/instructions.json. If that is \
             meant, write {counted} there and say in the commit what it buys"
        )
    })
}

/// The smallest of some counts.
fn least(ottla: &Kind, measure: &Measure, counts: usize) -> Result<u64> {
    let counts = (0..counts).map(|_| slope(ottla, measure)).collect::<Result<Vec<_>>>()?;
    let least = counts.iter().copied().min().context("counted at least once")?;
    println!("{:32} {least} instructions a request (of {counts:?})", measure.name);
    Ok(least)
}

/// What one request more costs.
fn slope(ottla: &Kind, measure: &Measure) -> Result<u64> {
    let [few, many] = measure.requests;
    let less = count(ottla, measure, few)?;
    Ok(count(ottla, measure, many)?.saturating_sub(less) / (many - few))
}

/// Instructions of a whole life with so many requests.
fn count(ottla: &Kind, measure: &Measure, requests: u64) -> Result<u64> {
    // One thread that answers, so that none wakes another.
    let home = ottla.home(&["num.network.threads=1"])?;
    let broker = home.start_counted()?;
    let mut connection = Connection::open()?;
    connection.make_topic(TOPIC, 1)?;
    let batch = wire::batch(measure.batch.0, measure.batch.1);
    // So many that a reader meets an index and batches around its own.
    for _ in 0..100 {
        ensure!(connection.produce_batch(TOPIC, 0..1, &batch)?, "a record was not acknowledged");
    }
    for request in 0..requests {
        if measure.is_fetch {
            let offset = (request % 100) as i64 * i64::from(measure.batch.0);
            let len = connection.fetch(TOPIC, offset, batch.len() as u32)?;
            ensure!(len > batch.len(), "the answer has {len} bytes");
        } else {
            ensure!(connection.produce_batch(TOPIC, 0..1, &batch)?, "a record was not acknowledged");
        }
    }
    broker.stop()?;
    home.counted()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_the_tolerance_is_told() {
        assert_eq!(complaint("fetch", Some(1_000), 1_020), None);
        assert_eq!(complaint("fetch", Some(1_000), 500), None);
        let told = complaint("fetch", Some(1_000), 1_021).unwrap_or_default();
        assert!(told.contains("2.1 % more than the 1000"), "{told}");
        assert!(complaint("fetch", None, 7).unwrap_or_default().contains("it is 7"));
    }
}
