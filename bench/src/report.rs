//! The results in words and tables.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use crate::machine::Machine;
use crate::meter::Run;
use crate::workload::Workload;
use crate::{MAX_RATIO, MAX_STOLEN_PERCENT, Round};

/// Median, smallest and largest.
#[derive(Clone, Copy)]
struct Spread {
    median: f64,
    min: f64,
    max: f64,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let median = *values.get(values.len() / 2)?;
        Some(Self { median, min: *values.first()?, max: *values.last()? })
    }

    fn text(self, digits: usize) -> String {
        format!("{:.digits$} ({:.digits$}–{:.digits$})", self.median, self.min, self.max)
    }
}

/// Ottla's broker CPU per message in floors, the median of the rounds; `None` without Ottla.
pub fn median_ratio(rounds: &[Round]) -> Option<f64> {
    ratios(rounds, |run| run.cpu_ns).map(|spread| spread.median)
}

fn ratios(rounds: &[Round], value: impl Fn(&Run) -> f64) -> Option<Spread> {
    let pairs = rounds.iter().filter_map(|round| Some((round.first()?, round.get(1)?)));
    Spread::of(pairs.map(|(floor, ottla)| value(ottla) / value(floor)))
}

fn column(rounds: &[Round], index: usize, value: impl Fn(&Run) -> f64, digits: usize) -> String {
    let runs = rounds.iter().filter_map(|round| round.get(index));
    Spread::of(runs.map(value)).map_or("–".to_owned(), |spread| spread.text(digits))
}

/// The whole report, in Markdown.
pub fn text(results: &[(&Workload, Vec<Round>)], before: &Machine, after: &Machine, root: &Path) -> String {
    let mut text = String::from(
        "# Results\n\nWritten by `cargo xtask bench`. Broker CPU per message of Ottla and of the floor broker (`bench/floor`: \
         the least that a broker can do\nfor the same client), run after run in alternating order; each figure is the median \
         of the rounds with the smallest and the\nlargest. The ratio is taken within a round, so that it survives a machine \
         whose speed drifts. Throughput on few cores is\nthe client's, and stands here only to show that it did not break \
         down.\n\n",
    );
    let (what, commit) = (&before.what, commit(root));
    let _ = writeln!(text, "{what}; load {} before and {} after; commit {commit}.\n", before.load, after.load);
    text.push_str(
        "| workload | floor, ns/msg | Ottla, ns/msg | **CPU ratio** | throughput ratio | peak RSS, MiB | rounds |\n",
    );
    text.push_str("|---|---|---|---|---|---|---|\n");
    for (workload, rounds) in results {
        let ratio = |spread: Option<Spread>| spread.map_or("–".to_owned(), |spread| spread.text(2));
        let _ = writeln!(
            text,
            "| {} | {} | {} | **{}** | {} | {} | {} |",
            workload.title,
            column(rounds, 0, |run| run.cpu_ns, 0),
            column(rounds, 1, |run| run.cpu_ns, 0),
            ratio(ratios(rounds, |run| run.cpu_ns)),
            ratio(ratios(rounds, |run| run.per_second)),
            column(rounds, 1, |run| run.peak_mib, 0),
            rounds.len()
        );
    }
    let gap = results.iter().flat_map(|(_, rounds)| rounds.iter().flatten()).map(|run| run.longest_gap_us).max();
    let _ = writeln!(
        text,
        "\nOne producer, one partition, acks=all, no compression, rdkafka_performance of librdkafka 2.12.1. CPU is user and \
         system time by\nthe process's clock. Rounds with more than {MAX_STOLEN_PERCENT} % stolen time are repeated; a \
         spinning thread was kept waiting for {} us at\nmost in the seconds before the runs. The bound is {MAX_RATIO} \
         floors.",
        gap.unwrap_or(0)
    );
    text
}

fn commit(root: &Path) -> String {
    let output =
        Command::new("git").args(["describe", "--always", "--dirty", "--abbrev=10"]).current_dir(root).output();
    output.map_or("unknown".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
