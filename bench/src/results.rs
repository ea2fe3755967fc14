//! `bench/results.json`: every row's last complete measurement, written as soon as it is there, so that a run can be interrupted
//! and rows can be measured again one by one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::run::Run;
use crate::workload::Shape;

/// All rows by name.
#[derive(Default, Serialize, Deserialize)]
pub struct Results {
    /// Rows by the name of their workload.
    pub rows: BTreeMap<String, Row>,
}

/// One row's measurement.
#[derive(Clone, Serialize, Deserialize)]
pub struct Row {
    /// Day of the measurement, UTC.
    pub date: String,
    /// What was measured, as git describes it.
    pub commit: String,
    /// Processor, cores, memory, kernel.
    pub machine: String,
    /// Load average before and after.
    pub load: [String; 2],
    /// Per round, per broker by name.
    pub rounds: Vec<BTreeMap<String, Run>>,
}

impl Row {
    /// The same measurement with the figure that a shape shows.
    pub fn showing(&self, shape: &Shape) -> Self {
        let mut row = self.clone();
        let runs = row.rounds.iter_mut().flat_map(BTreeMap::values_mut);
        runs.for_each(|run| run.figure = shape.figure(run));
        row
    }

    /// Values of one broker over the rounds.
    pub fn values(&self, broker: &str, value: fn(&Run) -> f64) -> Vec<f64> {
        self.rounds.iter().filter_map(|round| round.get(broker)).map(value).collect()
    }

    /// Ottla against another broker, within each round.
    pub fn ratios(&self, broker: &str, value: fn(&Run) -> f64) -> Vec<f64> {
        let pairs = self.rounds.iter().filter_map(|round| Some((round.get("Ottla")?, round.get(broker)?)));
        pairs.map(|(ottla, other)| value(ottla) / value(other)).filter(|ratio| ratio.is_finite()).collect()
    }
}

/// Where they lie.
pub fn path(root: &Path) -> PathBuf {
    root.join("bench/results.json")
}

/// What former runs have left; nothing if there is no file.
pub fn read(root: &Path) -> Result<Results> {
    let path = path(root);
    match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| format!("{} is not ours", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Results::default()),
        Err(error) => Err(error.into()),
    }
}

/// Replaces the file.
pub fn write(root: &Path, results: &Results) -> Result<()> {
    let new = path(root).with_extension("json.tmp");
    std::fs::write(&new, serde_json::to_string_pretty(results)? + "\n")?;
    Ok(std::fs::rename(new, path(root))?)
}
