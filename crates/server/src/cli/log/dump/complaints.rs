//! What a dump found to disagree, told on stderr when all files are printed, file by file.

use std::path::{Path, absolute};

use super::sink::Sink;

/// So many of a kind are kept for each file; more are counted only.
const KEPT_MAX: usize = 10_000;

/// Two numbers that ought to agree.
type Pair = (i64, i64);

/// The disagreements of one kind in one file.
#[derive(Debug)]
struct Of {
    file: String,
    pairs: Vec<Pair>,
    more: u64,
}

/// Disagreements of one kind.
#[derive(Debug, Default)]
struct Kind(Vec<Of>);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    offsets: Kind,
    timestamps: Kind,
    order: Kind,
    not_found: Kind,
    gaps: Kind,
}

impl Kind {
    fn add(&mut self, path: &Path, pair: Pair) {
        let file = absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string();
        if self.0.last().is_none_or(|of| of.file != file) {
            self.0.push(Of { file, pairs: Vec::new(), more: 0 });
        }
        if let Some(of) = self.0.last_mut() {
            if of.pairs.len() < KEPT_MAX {
                of.pairs.push(pair);
            } else {
                of.more += 1;
            }
        }
    }

    fn print(
        &self,
        sink: &mut Sink,
        head: impl Fn(&str) -> String,
        line: impl Fn(&Pair) -> String,
    ) -> anyhow::Result<()> {
        for of in &self.0 {
            sink.remark(&head(&of.file))?;
            for pair in &of.pairs {
                sink.remark(&line(pair))?;
            }
            if of.more > 0 {
                sink.remark(&format!("  and {} more", of.more))?;
            }
        }
        Ok(())
    }
}

impl Complaints {
    /// An entry of an offset index says another offset than the batch that it points to.
    pub(super) fn offset_mismatch(&mut self, path: &Path, index: i64, log: i64) {
        self.offsets.add(path, (index, log));
    }

    /// An entry of a time index says another timestamp than its batch.
    pub(super) fn timestamp_mismatch(&mut self, path: &Path, index: i64, log: i64) {
        self.timestamps.add(path, (index, log));
    }

    /// An entry of a time index is not larger than the one before.
    pub(super) fn out_of_order(&mut self, path: &Path, index: i64, before: i64) {
        self.order.add(path, (index, before));
    }

    /// No batch ends with the offset of a time index's entry.
    pub(super) fn offset_not_found(&mut self, path: &Path, index: i64, log: i64) {
        self.not_found.add(path, (index, log));
    }

    /// Two records that follow each other, but their offsets do not.
    pub(super) fn gap(&mut self, path: &Path, before: i64, after: i64) {
        self.gaps.add(path, (before, after));
    }

    /// Tells all.
    pub(super) fn print(&self, sink: &mut Sink) -> anyhow::Result<()> {
        self.offsets.print(
            sink,
            |file| format!("Mismatches in :{file}"),
            |(index, log)| format!("  Index offset: {index}, log offset: {log}"),
        )?;
        self.timestamps.print(
            sink,
            |file| format!("Found timestamp mismatch in :{file}"),
            |(index, log)| format!("  Index timestamp: {index}, log timestamp: {log}"),
        )?;
        self.order.print(
            sink,
            |file| format!("Found out of order timestamp in :{file}"),
            |(index, before)| format!("  Index timestamp: {index}, Previously indexed timestamp: {before}"),
        )?;
        self.not_found.print(
            sink,
            |_| "The following indexed offsets are not found in the log.".to_owned(),
            |(index, log)| format!("Indexed offset: {index}, found log offset: {log}"),
        )?;
        self.gaps.print(
            sink,
            |file| format!("Non-consecutive offsets in {file}"),
            |(before, after)| format!("  {before} is followed by {after}"),
        )
    }
}
