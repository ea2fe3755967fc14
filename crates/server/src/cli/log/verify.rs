//! `ottla log verify`: everything in a log directory held against everything else.
//!
//! Kafka has nothing like it: its dump tool shows what is there and leaves the judgement to the reader.

mod metadata;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use indicatif::ProgressBar;
use ottla_storage::inspect::{self, Ended, Finding, Severity, Totals, Watcher};
use serde::Serialize;

use crate::exit;
use crate::output::{self, Format, OutputArgs, bytes_of};

/// Findings that are kept for JSON and YAML; more are counted only. A table tells each as it is found.
const KEPT_MAX: usize = 100_000;

/// Flags of `verify`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Exit codes:
  0  nothing is wrong; notes perhaps
  1  the directory could not be verified
  6  records are damaged: lost, unreadable, or served wrongly
  7  something is wrong, but no record is lost by it

Nothing is written, locked or put right, so the broker may be running; the ends of its logs then move while they are \
read, and are judged leniently. Stop it for a full judgement.")]
pub(crate) struct VerifyArgs {
    /// A log directory, or the directory of one partition in it
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Tell notes too: what is worth knowing though nothing is wrong
    #[arg(long)]
    notes: bool,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Serialize)]
struct Verified {
    directory: String,
    /// running, clean or unclean; null where it cannot be told.
    state: Option<&'static str>,
    findings: Vec<Told>,
    totals: Sums,
}

#[derive(Serialize)]
struct Told {
    severity: &'static str,
    file: String,
    position: Option<u64>,
    offset: Option<i64>,
    problem: String,
    remedy: Option<String>,
}

#[derive(Serialize)]
struct Sums {
    partitions: u64,
    segments: u64,
    batches: u64,
    records: u64,
    bytes: u64,
    damage: u64,
    repairable: u64,
    notes: u64,
}

/// Verifies a directory.
pub(super) fn run(args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    let context = || format!("cannot verify {}", args.dir.display());
    let bar = output::byte_bar(inspect::bytes_to_read(&args.dir).with_context(context)?);
    let mut teller = Teller { args, bar, kept: Vec::new(), failed: None };
    let verified = inspect::verify(&args.dir, &mut teller);
    let mut in_metadata = 0;
    let metadata = metadata::check(&args.dir, &mut |finding| {
        in_metadata += 1;
        teller.found(finding);
    });
    teller.bar.finish_and_clear();
    if let Some(error) = teller.failed {
        return Err(error.into());
    }
    let (ended, mut totals) = verified.with_context(context)?;
    metadata.with_context(context)?;
    totals.damage += in_metadata;
    if args.output.format == Format::Table {
        summary(args, ended, &totals)?;
    } else {
        let verified = Verified {
            directory: args.dir.display().to_string(),
            state: ended.map(state),
            findings: teller.kept,
            totals: sums(&totals),
        };
        args.output.show(&verified, Vec::new)?;
    }
    Ok(ExitCode::from(match (totals.damage, totals.repairable) {
        (0, 0) => exit::DONE,
        (0, _) => exit::REPAIRABLE,
        _ => exit::DAMAGE,
    }))
}

/// Tells findings as they come, beneath them how far the reading is.
struct Teller<'a> {
    args: &'a VerifyArgs,
    bar: ProgressBar,
    kept: Vec<Told>,
    /// Why telling went wrong: stdout is closed.
    failed: Option<io::Error>,
}

impl Watcher for Teller<'_> {
    fn begin(&mut self, what: &str) {
        self.bar.set_message(what.to_owned());
    }

    fn read(&mut self, bytes: u64) {
        self.bar.inc(bytes);
    }

    fn found(&mut self, finding: Finding) {
        if finding.severity == Severity::Note && !self.args.notes && self.args.output.format == Format::Table {
            return;
        }
        if self.args.output.format == Format::Table {
            let text = text(&finding);
            let told = self.bar.suspend(|| io::stdout().lock().write_all(text.as_bytes()));
            self.failed = self.failed.take().or(told.err());
        } else if self.kept.len() < KEPT_MAX {
            self.kept.push(Told {
                severity: finding.severity.name(),
                file: finding.path.display().to_string(),
                position: finding.position,
                offset: finding.offset,
                problem: finding.problem,
                remedy: Some(finding.remedy).filter(|remedy| !remedy.is_empty()),
            });
        }
    }
}

fn text(f: &Finding) -> String {
    let colours = output::colours(&io::stdout());
    let plain = if colours { "\x1b[0m" } else { "" };
    let colour = match f.severity {
        _ if !colours => "",
        Severity::Damage => "\x1b[31;1m",
        Severity::Repairable => "\x1b[33;1m",
        Severity::Note => "\x1b[1m",
    };
    let mut text = format!("{colour}{}{plain}: {}", f.severity.name(), f.path.display());
    let mut place = Vec::new();
    place.extend(f.position.map(|position| format!("position {position}")));
    place.extend(f.offset.map(|offset| format!("offset {offset}")));
    if !place.is_empty() {
        text += &format!(", {}", place.join(", "));
    }
    text += &format!("\n  {}\n", f.problem);
    if !f.remedy.is_empty() {
        text += &format!("  remedy: {}\n", f.remedy);
    }
    text
}

fn summary(args: &VerifyArgs, ended: Option<Ended>, t: &Totals) -> anyhow::Result<()> {
    let how = match ended {
        Some(Ended::Running(0)) => "in use by another process",
        Some(Ended::Running(_)) => "in use by a running process",
        Some(Ended::Cleanly) => "stopped cleanly",
        Some(Ended::Otherwise) => "not stopped cleanly",
        None => "outside of a log directory",
    };
    let count = |n: u64, what: &str, many: &str| if n == 1 { format!("1 {what}") } else { format!("{n} {many}") };
    let read = format!(
        "{} in {} of {}, {}",
        count(t.records, "record", "records"),
        count(t.batches, "batch", "batches"),
        count(t.partitions, "partition", "partitions"),
        bytes_of(t.bytes)
    );
    let verdict = if t.damage + t.repairable == 0 {
        "nothing is wrong".to_owned()
    } else {
        format!("{} damaged, {} repairable", t.damage, t.repairable)
    };
    let notes = match t.notes {
        0 => String::new(),
        n if args.notes => format!(", {}", count(n, "note", "notes")),
        n => format!(", {} (--notes tells)", count(n, "note", "notes")),
    };
    writeln!(io::stdout().lock(), "{} ({how}): {read}: {verdict}{notes}", args.dir.display())?;
    Ok(())
}

fn state(ended: Ended) -> &'static str {
    match ended {
        Ended::Running(_) => "running",
        Ended::Cleanly => "clean",
        Ended::Otherwise => "unclean",
    }
}

fn sums(t: &Totals) -> Sums {
    Sums {
        partitions: t.partitions,
        segments: t.segments,
        batches: t.batches,
        records: t.records,
        bytes: t.bytes,
        damage: t.damage,
        repairable: t.repairable,
        notes: t.notes,
    }
}
