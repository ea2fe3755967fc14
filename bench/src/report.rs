//! The results in words, tables and one picture.

use std::fmt::Write as _;

use crate::MAX_STOLEN_PERCENT;
use crate::plot::{self, Bar};
use crate::results::{Results, Row};
use crate::run::Run;
use crate::workload::{WORKLOADS, Workload};

/// The brokers in the order of columns and bars.
pub const BROKERS: [&str; 4] = ["floor", "Ottla", "Kafka", "Kafka, tuned"];

/// Median, smallest and largest.
#[derive(Clone, Copy)]
struct Spread {
    median: f64,
    min: f64,
    max: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        Some(Self { median: *values.get(values.len() / 2)?, min: *values.first()?, max: *values.last()? })
    }

    fn text(self) -> String {
        let digits = if self.median < 10.0 { 2 } else { 0 };
        format!("{:.digits$} ({:.digits$}–{:.digits$})", self.median, self.min, self.max)
    }
}

fn cell(values: Vec<f64>) -> String {
    Spread::of(values).map_or("–".to_owned(), Spread::text)
}

fn median(values: Vec<f64>) -> Option<f64> {
    Spread::of(values).map(|spread| spread.median)
}

/// Ottla in Kafkas: against the one that costs less.
fn against_kafka(row: &Row) -> Vec<f64> {
    let cheaper = BROKERS.iter().skip(2).filter_map(|name| Some((median(row.values(name, |run| run.figure))?, name)));
    let cheaper = cheaper.min_by(|a, b| a.0.total_cmp(&b.0));
    cheaper.map_or(Vec::new(), |(_, name)| row.ratios(name, |run| run.figure))
}

/// A sentence for each bound that the row exceeds.
pub fn exceeded(workload: &Workload, row: &Row) -> Vec<String> {
    let checks = [
        (workload.unit(), workload.bounds.figure, median(row.values("Ottla", |run| run.figure))),
        ("floors", workload.bounds.floors, median(row.ratios("floor", |run| run.figure))),
        ("Kafkas", workload.bounds.kafkas, median(against_kafka(row))),
    ];
    let over = checks.iter().filter_map(|(unit, bound, value)| Some((unit, (*bound)?, (*value)?)));
    over.filter(|(_, bound, value)| value > bound)
        .map(|(unit, bound, value)| format!("{}: {value:.2} {unit}, the bound is {bound:.3}", workload.name))
        .collect()
}

fn bounds_text(workload: &Workload) -> String {
    let bounds = [(" F", workload.bounds.floors), (" K", workload.bounds.kafkas), ("", workload.bounds.figure)];
    let stated = bounds.iter().filter_map(|(unit, bound)| {
        let bound = format!("{:.3}", (*bound)?);
        Some(format!("{}{unit}", bound.trim_end_matches('0').trim_end_matches('.')))
    });
    let stated: Vec<_> = stated.collect();
    if stated.is_empty() { "–".to_owned() } else { stated.join(", ") }
}

/// The whole report, in Markdown.
pub fn text(results: &Results, notes: &str) -> String {
    let mut text = String::from(
        "# Results\n\nWritten by `cargo xtask bench` from `results.json`. Run after run in alternating order; each figure is the \
         median of the rounds with\nthe smallest and the largest. Ratios are taken within a round, so that they survive a machine \
         whose speed drifts. The floor\n(`bench/floor`) is the least that a broker can do for the same client; Kafka is Apache Kafka \
         4.4.0, as shipped and tuned for two cores,\nand the ratio is to the cheaper one. Throughput on few cores is the client's, \
         and stands here only to show that it did not break\ndown.\n\n![Ottla beside the floor and Apache Kafka](results.svg)\n\n",
    );
    text.push_str(
        "| workload | unit | floor | Ottla | Kafka | Kafka, tuned | **in floors** | **in Kafkas** | bounds |\n",
    );
    text.push_str("|---|---|---|---|---|---|---|---|---|\n");
    for (workload, row) in rows(results) {
        let _ = write!(text, "| {} | {} ", workload.title, workload.unit());
        for broker in BROKERS {
            let _ = write!(text, "| {} ", cell(row.values(broker, |run| run.figure)));
        }
        let _ = writeln!(
            text,
            "| **{}** | **{}** | {} |",
            cell(row.ratios("floor", |run| run.figure)),
            cell(against_kafka(row)),
            bounds_text(workload),
        );
    }
    text.push_str("\n## What else was seen\n\n");
    text.push_str("| workload | throughput, in floors | peak RSS, MiB: Ottla, Kafka | switches per 1000 messages: floor, Ottla, Kafka | written bytes per message: Ottla, Kafka | broker CPU, ns/message: Ottla, Kafka | MiB read: Ottla, Kafka | rounds | when, commit, load |\n");
    text.push_str("|---|---|---|---|---|---|---|---|---|\n");
    for (workload, row) in rows(results) {
        let of = |broker, value: fn(&Run) -> f64| cell(row.values(broker, value));
        let _ = writeln!(
            text,
            "| {} | {} | {}, {} | {}, {}, {} | {}, {} | {}, {} | {}, {} | {} | {}, {}, {}→{} |",
            workload.name,
            cell(row.ratios("floor", |run| run.per_second)),
            of("Ottla", |run| run.peak_mib),
            of("Kafka", |run| run.peak_mib),
            of("floor", |run| run.switches),
            of("Ottla", |run| run.switches),
            of("Kafka", |run| run.switches),
            of("Ottla", |run| run.written),
            of("Kafka", |run| run.written),
            of("Ottla", |run| run.cpu_ns),
            of("Kafka", |run| run.cpu_ns),
            of("Ottla", |run| run.read_mib),
            of("Kafka", |run| run.read_mib),
            row.rounds.len(),
            row.date,
            row.commit,
            row.load[0],
            row.load[1],
        );
    }
    let runs = || results.rows.values().flat_map(|row| row.rounds.iter().flat_map(|round| round.values()));
    let gap = runs().map(|run| run.longest_gap_us).max().unwrap_or(0);
    let mut machines: Vec<_> = results.rows.values().map(|row| row.machine.as_str()).collect();
    machines.dedup();
    let _ = write!(
        text,
        "\nMachine: {}. acks=all; rdkafka_performance of librdkafka 2.12.1 sends and reads, but for the start, which a probe of\nours \
         measures. CPU is user and system time by the process's clock. Rounds with more than {MAX_STOLEN_PERCENT} % stolen time are \
         repeated; a\nspinning thread was kept waiting for {gap} us at most in the seconds before the runs.\n{notes}",
        machines.join("; "),
    );
    text
}

/// The picture: per row, the medians of its figure as bars.
pub fn picture(results: &Results) -> String {
    let groups = rows(results).map(|(workload, row)| {
        let bars = BROKERS.iter().filter_map(|name| {
            let value = median(row.values(name, |run| run.figure))?;
            Some(Bar { name, value })
        });
        (format!("{} ({})", workload.title, workload.unit()), bars.collect())
    });
    plot::svg(&groups.collect::<Vec<_>>())
}

fn rows(results: &Results) -> impl Iterator<Item = (&'static Workload, &Row)> {
    WORKLOADS.iter().filter_map(|workload| Some((workload, results.rows.get(workload.name)?)))
}
