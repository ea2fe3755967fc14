//! `count`: a gate that no noise of the machine touches, the instructions that the broker executes for a request.
//!
//! `crates/broker/benches/request_cost.rs` runs under valgrind's callgrind with many requests and with few; the difference, divided
//! by their number, is what one costs: start and stop cancel out. Requests fit into one read and answers into one write, so that
//! nothing depends on how the kernel cuts them. (`rep movsb`, of large copies, counts once for each byte.)
//!
//! `bench/instructions.txt` has the numbers that are the rule, and says for which processor, compiler and C library they hold: on
//! another machine nothing is compared. `cargo xtask count --write` writes them anew.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};

use crate::count::Count;
use crate::shell::{Cmd, has, root};

/// A rise above this fails.
const TOLERANCE_PERCENT: u64 = 2;

struct Measure {
    /// As `instructions.txt` says it.
    name: &'static str,
    /// `request_cost`'s first arguments: the kind, records of a batch, bytes of a value.
    request: [&'static str; 3],
    /// Few and many requests.
    requests: [u64; 2],
}

const MEASURES: [Measure; 4] = [
    Measure { name: "produce, 16 records of 1 KB", request: ["produce", "16", "1024"], requests: [200, 1_700] },
    Measure { name: "produce, 150 records of 100 B", request: ["produce", "150", "100"], requests: [200, 1_700] },
    Measure { name: "produce, 1 record of 100 B", request: ["produce", "1", "100"], requests: [500, 4_500] },
    Measure { name: "fetch, 16 KB", request: ["fetch", "15", "1024"], requests: [500, 3_500] },
];

/// What may be counted, and where.
struct Rule {
    machine: String,
    /// Instructions a request, by the name of what is measured.
    counts: BTreeMap<String, u64>,
}

/// The verb, and a ring of the test command.
pub(crate) fn gate(count: &mut Count) -> Result<()> {
    if !has("valgrind") {
        count.not_run("the gate of counted instructions: valgrind is not installed");
        return Ok(());
    }
    let (rule, machine) = (Rule::read()?, machine()?);
    if rule.machine != machine {
        let why = format!("they were counted on {}, and this is {machine}", rule.machine);
        count.not_run(&format!("instructions are not compared: {why}"));
        return Ok(());
    }
    for measure in &MEASURES {
        match complaint(measure.name, rule.counts.get(measure.name).copied(), slope(measure)?) {
            None => count.passed += 1,
            Some(complaint) => {
                count.failed += 1;
                println!("{complaint}");
            }
        }
    }
    if count.failed > 0 {
        bail!("{} counts of instructions are not as the rule says", count.failed);
    }
    Ok(())
}

/// Counts, and makes that the rule.
pub(crate) fn write() -> Result<()> {
    let counted = MEASURES.iter().map(|measure| Ok((measure.name.to_owned(), slope(measure)?)));
    let rule = Rule { machine: machine()?, counts: counted.collect::<Result<_>>()? };
    Ok(std::fs::write(Rule::path(), rule.to_text())?)
}

impl Rule {
    fn path() -> PathBuf {
        root().join("bench/instructions.txt")
    }

    fn read() -> Result<Self> {
        let path = Self::path();
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Self::parse(&text)
            .with_context(|| format!("{} is not as `cargo xtask count --write` writes it", path.display()))
    }

    fn parse(text: &str) -> Option<Self> {
        let (machine, counts) = text.split_once('\n')?;
        let counts = counts.lines().map(|line| {
            let (count, name) = line.trim_start().split_once("  ")?;
            Some((name.to_owned(), count.parse().ok()?))
        });
        Some(Self { machine: machine.to_owned(), counts: counts.collect::<Option<_>>()? })
    }

    fn to_text(&self) -> String {
        let counts = self.counts.iter().map(|(name, count)| format!("{count:>8}  {name}\n"));
        format!("{}\n{}", self.machine, counts.collect::<String>())
    }
}

/// The processor, the compiler, the C library, whose copies depend on the processor, and valgrind.
fn machine() -> Result<String> {
    let first_line = |program: &str| -> Result<String> {
        Ok(Cmd::new(program).args(["--version"]).output()?.lines().next().unwrap_or_default().to_owned())
    };
    let cpu = std::fs::read_to_string("/proc/cpuinfo")?;
    let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let cpu = cpu.trim_start_matches([' ', '\t', ':']);
    Ok(format!("{cpu}, {}, {}, {}", first_line("rustc")?, first_line("ldd")?, first_line("valgrind")?))
}

/// A sentence if a count is not as the rule says.
fn complaint(name: &str, rule: Option<u64>, counted: u64) -> Option<String> {
    let Some(rule) = rule else {
        return Some(format!("{name}: no number in bench/instructions.txt; it is {counted}"));
    };
    if counted * 100 < rule * (100 - TOLERANCE_PERCENT) {
        println!("{name}: {counted} instead of {rule}: `cargo xtask count --write`, so that the gain is kept");
    }
    (counted * 100 > rule * (100 + TOLERANCE_PERCENT)).then(|| {
        format!(
            "{name}: {counted} instructions a request, more than {TOLERANCE_PERCENT} % above the {rule} of \
             bench/instructions.txt. If that is meant, write {counted} there and say in the commit what it buys"
        )
    })
}

/// What one request more costs.
fn slope(measure: &Measure) -> Result<u64> {
    let [few, many] = measure.requests;
    let slope = count(measure, many)?.saturating_sub(count(measure, few)?) / (many - few);
    println!("{:32} {slope} instructions a request", measure.name);
    Ok(slope)
}

/// Instructions of a whole life with so many requests.
fn count(measure: &Measure, requests: u64) -> Result<u64> {
    const RUNNER: &str =
        "target.'cfg(all())'.runner = ['valgrind', '--tool=callgrind', '--callgrind-out-file=/dev/null']";
    let cmd = Cmd::cargo([
        "--config",
        RUNNER,
        "bench",
        "--quiet",
        "--package",
        "ottla-broker",
        "--bench",
        "request_cost",
        "--",
    ]);
    let said = cmd.args(measure.request).args([requests.to_string()]).output_of_both()?;
    let counted = said.lines().find_map(|line| line.split_once("Collected : "));
    let count = counted.with_context(|| format!("callgrind counted nothing:\n{said}"))?.1.trim().parse()?;
    ensure!(count > 0, "callgrind counted no instruction:\n{said}");
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_the_tolerance_is_told() {
        assert_eq!(complaint("fetch", Some(1_000), 1_020), None);
        assert_eq!(complaint("fetch", Some(1_000), 500), None);
        let told = complaint("fetch", Some(1_000), 1_021).unwrap_or_default();
        assert!(told.contains("1021 instructions a request") && told.contains("above the 1000"), "{told}");
        assert!(complaint("fetch", None, 7).unwrap_or_default().contains("it is 7"));
    }

    #[test]
    fn the_rule_survives_its_text() {
        let rule = Rule { machine: "a, b".to_owned(), counts: [("fetch, 16 KB".to_owned(), 12_095)].into() };
        let read = Rule::parse(&rule.to_text()).expect("its own text");
        assert_eq!((read.machine, read.counts), (rule.machine, rule.counts));
        assert!(Rule::parse("a machine\nmany  fetch\n").is_none());
    }
}
