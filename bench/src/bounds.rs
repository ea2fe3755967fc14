//! What a row must not exceed: ratios to the floor, to Apache Kafka, to another row of the same broker, or a figure.

use crate::results::{Results, Row};
use crate::spread::median;
use crate::workload::Workload;

/// The brokers in the order of columns and bars.
pub const BROKERS: [&str; 4] = ["floor", "Ottla", "Kafka", "Kafka, tuned"];

/// Most of each; `None` where the row has no such bound.
pub struct Bounds {
    /// In floors.
    pub floors: Option<f64>,
    /// In the cheaper of the two Kafkas.
    pub kafkas: Option<f64>,
    /// Of the figure itself.
    pub figure: Option<f64>,
    /// In that of another row, by its name.
    pub row: Option<(&'static str, f64)>,
}

/// A row that is only looked at.
pub const NONE: Bounds = Bounds { floors: None, kafkas: None, figure: None, row: None };

/// At most so many floors, and so many Kafkas.
pub const fn floors_and_kafkas(floors: f64, kafkas: f64) -> Bounds {
    Bounds { floors: Some(floors), kafkas: Some(kafkas), ..NONE }
}

/// At most so many Kafkas.
pub const fn kafkas(kafkas: f64) -> Bounds {
    Bounds { kafkas: Some(kafkas), ..NONE }
}

/// At most so many Kafkas, and so much.
pub const fn kafkas_and_figure(kafkas: f64, figure: f64) -> Bounds {
    Bounds { kafkas: Some(kafkas), figure: Some(figure), ..NONE }
}

/// At most so much.
pub const fn figure(figure: f64) -> Bounds {
    Bounds { figure: Some(figure), ..NONE }
}

/// At most so many times another row.
pub const fn against(row: &'static str, times: f64) -> Bounds {
    Bounds { row: Some((row, times)), ..NONE }
}

/// Ottla in Kafkas: against the one that costs less.
pub fn in_kafkas(row: &Row) -> Vec<f64> {
    let medians = BROKERS.iter().skip(2).filter_map(|name| Some((median(row.values(name, |run| run.figure))?, name)));
    let cheaper = medians.min_by(|a, b| a.0.total_cmp(&b.0));
    cheaper.map_or(Vec::new(), |(_, name)| row.ratios(name, |run| run.figure))
}

/// A broker's figures in the median of its own in the row that the bound names, if both were measured.
pub fn in_row(workload: &Workload, results: &Results, broker: &str) -> Vec<f64> {
    let values = |name| results.rows.get(name).map_or(Vec::new(), |row| row.values(broker, |run| run.figure));
    let Some(other) = workload.bounds.row.and_then(|(other, _)| median(values(other))) else { return Vec::new() };
    values(workload.name).into_iter().map(|value| value / other).filter(|ratio| ratio.is_finite()).collect()
}

/// A sentence for each bound that the row exceeds.
pub fn exceeded(workload: &Workload, results: &Results) -> Vec<String> {
    let Some(row) = results.rows.get(workload.name) else { return Vec::new() };
    let bounds = &workload.bounds;
    let (other, times) = bounds.row.unzip();
    let in_other = format!("× {}", other.unwrap_or_default());
    let checks = [
        (workload.unit(), bounds.figure, median(row.values("Ottla", |run| run.figure))),
        ("floors", bounds.floors, median(row.ratios("floor", |run| run.figure))),
        ("Kafkas", bounds.kafkas, median(in_kafkas(row))),
        (&in_other, times, median(in_row(workload, results, "Ottla"))),
    ];
    let over = checks.iter().filter_map(|(unit, bound, value)| Some((unit, (*bound)?, (*value)?)));
    over.filter(|(_, bound, value)| value > bound)
        .map(|(unit, bound, value)| format!("{}: {value:.2} {unit}, the bound is {bound:.3}", workload.name))
        .collect()
}

/// The bounds of a row as the report has them.
pub fn text(bounds: &Bounds) -> String {
    let (other, times) = bounds.row.unzip();
    let of_row = other.map_or(String::new(), |other| format!(" × {other}"));
    let all = [(" F", bounds.floors), (" K", bounds.kafkas), ("", bounds.figure), (of_row.as_str(), times)];
    let stated = all.iter().filter_map(|(unit, bound)| {
        let bound = format!("{:.3}", (*bound)?);
        Some(format!("{}{unit}", bound.trim_end_matches('0').trim_end_matches('.')))
    });
    let stated: Vec<_> = stated.collect();
    if stated.is_empty() { "–".to_owned() } else { stated.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::WORKLOADS;

    /// Figures of the rounds by broker.
    type Figures<'a> = [(&'a str, &'a [f64])];

    /// Results as an older harness wrote them, without what runs have learnt to tell since.
    fn results(rows: &[(&str, &Figures<'_>)]) -> Results {
        let run = |figure: f64| {
            serde_json::json!({"figure": figure, "per_second": 1.0, "peak_mib": 1.0, "switches": 1.0, "written": 1.0,
                "read_mib": 0.0, "longest_gap_us": 7})
        };
        let row = |brokers: &Figures<'_>| {
            let rounds = (0..brokers[0].1.len()).map(|round| {
                let runs = brokers.iter().map(|(broker, figures)| ((*broker).to_owned(), run(figures[round])));
                serde_json::Value::Object(runs.collect())
            });
            serde_json::json!({"date": "2026-01-01", "commit": "abc", "machine": "m", "load": ["0", "0"],
                "rounds": rounds.collect::<Vec<_>>()})
        };
        let rows = rows.iter().map(|(name, brokers)| ((*name).to_owned(), row(brokers))).collect();
        serde_json::from_value(serde_json::json!({"rows": serde_json::Value::Object(rows)})).unwrap()
    }

    fn workload(name: &str) -> &'static Workload {
        WORKLOADS.iter().find(|workload| workload.name == name).unwrap()
    }

    #[test]
    fn a_row_is_held_against_the_median_of_another_one_of_the_same_broker() {
        let of = |many: &'static [f64]| {
            results(&[
                ("w2-16", &[("Ottla", &[90.0, 100.0, 500.0]), ("Kafka", &[1.0, 1.0, 1.0])]),
                ("w2-10k", &[("Ottla", many), ("Kafka", &[9.0, 9.0, 9.0])]),
            ])
        };
        assert_eq!(in_row(workload("w2-10k"), &of(&[120.0, 130.0, 900.0]), "Ottla"), [1.2, 1.3, 9.0]);
        assert!(exceeded(workload("w2-10k"), &of(&[120.0, 130.0, 900.0])).is_empty(), "the bound itself is allowed");
        let told = exceeded(workload("w2-10k"), &of(&[120.0, 131.0, 900.0]));
        assert_eq!(told, ["w2-10k: 1.31 × w2-16, the bound is 1.300"]);
        let alone = results(&[("w2-10k", &[("Ottla", &[9.0])])]);
        assert!(exceeded(workload("w2-10k"), &alone).is_empty(), "nothing to hold it against");
    }

    #[test]
    fn the_cheaper_kafka_and_the_floor_are_the_measure() {
        let results = results(&[(
            "w3-rtt-p50",
            &[("floor", &[10.0]), ("Ottla", &[16.0]), ("Kafka", &[30.0]), ("Kafka, tuned", &[40.0])],
        )]);
        assert_eq!(
            exceeded(workload("w3-rtt-p50"), &results),
            ["w3-rtt-p50: 1.60 floors, the bound is 1.500", "w3-rtt-p50: 0.53 Kafkas, the bound is 0.500"]
        );
    }

    #[test]
    fn bounds_are_told_without_noughts() {
        assert_eq!(text(&NONE), "–");
        assert_eq!(text(&against("w2-16", 1.3)), "1.3 × w2-16");
        assert_eq!(text(&floors_and_kafkas(2.0, 0.25)), "2 F, 0.25 K");
    }
}
