//! The results in words, tables and one picture.

use std::fmt::Write as _;

use crate::MAX_STOLEN_PERCENT;
use crate::bounds::{self, BROKERS, in_kafkas, in_row};
use crate::plot::{self, Bar};
use crate::results::{Results, Row};
use crate::rows::WORKLOADS;
use crate::run::Run;
use crate::spread::{cell, median};
use crate::workload::Workload;

/// The whole report, in Markdown.
pub fn text(results: &Results, notes: &str) -> String {
    let mut text = String::from(
        "# Results\n\nWritten by `cargo xtask bench` from `results.json`. Run after run in alternating order; each figure is the \
         median of the rounds with\nthe smallest and the largest. Ratios are taken within a round, so that they survive a machine \
         whose speed drifts. The floor\n(`bench/floor`) is the least that a broker can do for the same client; Kafka is Apache Kafka \
         4.4.0, as shipped and tuned for two cores,\nand the ratio is to the cheaper one. Throughput on few cores is the client's, \
         and stands here only to show that it did not break\ndown.\n\n![Ottla beside the floor and Apache Kafka](results.svg)\n\n",
    );
    figures(&mut text, results);
    against_rows(&mut text, results);
    latencies(&mut text, results);
    what_else(&mut text, results);
    let runs = || results.rows.values().flat_map(|row| row.rounds.iter().flat_map(|round| round.values()));
    let gap = runs().map(|run| run.longest_gap_us).max().unwrap_or(0);
    let mut machines: Vec<_> = results.rows.values().map(|row| row.machine.as_str()).collect();
    machines.dedup();
    let _ = write!(
        text,
        "\nMachine: {}.\n\nacks=all; rdkafka_performance is that of librdkafka 2.12.1; our loader (`bench/src/loader.rs`) has a fixed rate or \
         one request in\nflight, and its latencies count from when a request was due. CPU is user and system time by the process's \
         clock. Rounds with more\nthan {MAX_STOLEN_PERCENT} % stolen time are repeated; a spinning thread was kept waiting for \
         {gap} us at most in the seconds before the runs.\n{notes}",
        machines.join("; "),
    );
    text
}

/// The rows' own figures.
fn figures(text: &mut String, results: &Results) {
    text.push_str(
        "| workload | loaded by | unit | floor | Ottla | Kafka | Kafka, tuned | **in floors** | **in Kafkas** | bounds |\n",
    );
    text.push_str("|---|---|---|---|---|---|---|---|---|---|\n");
    for (workload, row) in rows(results) {
        let _ = write!(text, "| {} | {} | {} ", workload.title, workload.loader(), workload.unit());
        for broker in BROKERS {
            let _ = write!(text, "| {} ", cell(row.values(broker, |run| run.figure)));
        }
        let _ = writeln!(
            text,
            "| **{}** | **{}** | {} |",
            cell(row.ratios("floor", |run| run.figure)),
            cell(in_kafkas(row)),
            bounds::text(&workload.bounds),
        );
    }
}

/// Rows that are bounded by others: each broker's figures in the median of its own in the other row.
fn against_rows(text: &mut String, results: &Results) {
    text.push_str("\n## Rows beside rows\n\n| workload | in | floor | **Ottla** | Kafka | Kafka, tuned | bound |\n");
    text.push_str("|---|---|---|---|---|---|---|\n");
    for (workload, _) in rows(results) {
        let Some((other, times)) = workload.bounds.row else { continue };
        let [floor, ottla, kafka, tuned] = BROKERS.map(|broker| cell(in_row(workload, results, broker)));
        let _ = writeln!(text, "| {} | {other} | {floor} | **{ottla}** | {kafka} | {tuned} | {times} |", workload.name);
    }
}

/// Percentiles of the rows that tell any.
fn latencies(text: &mut String, results: &Results) {
    text.push_str("\n## Latencies\n\np50 / p99 / p99.9 in microseconds, medians of the rounds.\n\n");
    text.push_str("| workload | floor | Ottla | Kafka | Kafka, tuned |\n|---|---|---|---|---|\n");
    let percentiles: [fn(&Run) -> f64; 3] = [|run| run.latency_us[0], |run| run.latency_us[1], |run| run.latency_us[2]];
    for (workload, row) in rows(results) {
        let cells = BROKERS.map(|broker| {
            let medians = percentiles.map(|percentile| median(row.values(broker, percentile)).filter(|us| *us > 0.0));
            let told: Vec<_> = medians.iter().flatten().map(|us| format!("{us:.0}")).collect();
            if told.is_empty() { "–".to_owned() } else { told.join(" / ") }
        });
        if cells.iter().any(|cell| cell != "–") {
            let _ = writeln!(text, "| {} | {} |", workload.name, cells.join(" | "));
        }
    }
}

fn what_else(text: &mut String, results: &Results) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results;

    #[test]
    fn what_was_measured_before_is_still_told() {
        let results = results::read(&crate::root()).unwrap();
        assert!(!results.rows.is_empty(), "bench/results.json holds the rows of the last runs");
        let (text, picture) = (text(&results, ""), picture(&results));
        for name in results.rows.keys() {
            let workload =
                WORKLOADS.iter().find(|workload| workload.name == name).expect("a row keeps its name for ever");
            assert!(text.contains(&format!("| {} |", workload.title)), "{} is not in the report", workload.name);
            assert!(picture.contains(workload.title), "{} is not in the picture", workload.name);
        }
    }
}
