//! `ottla log info`: a log directory or one partition at a glance.

mod picture;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use ottla_storage::inspect::{
    Checkpoints, Directory, Ended, Finding, PartitionSummary, SegmentSummary, Severity, Watcher,
};
use serde::Serialize;

use crate::logging::Utc;
use crate::output::{self, OutputArgs, Table, bytes_of};

/// Where a server without configuration keeps its data.
const DEFAULT_DIRECTORY: &str = "ottla-data";

/// Flags of `info`.
#[derive(Debug, Args)]
pub(crate) struct InfoArgs {
    /// A log directory, for all its partitions, or the directory of one partition, for its segments
    #[arg(value_name = "DIR", default_value = DEFAULT_DIRECTORY)]
    dir: PathBuf,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Serialize)]
struct Overview {
    directory: String,
    cluster_id: Option<String>,
    node_id: Option<i32>,
    directory_id: Option<String>,
    state: &'static str,
    bytes: u64,
    partitions: Vec<Partition>,
    set_aside: Vec<String>,
}

#[derive(Serialize)]
struct Partition {
    partition: String,
    topic_id: Option<String>,
    bytes: u64,
    start_offset: i64,
    end_offset: i64,
    high_watermark: Option<i64>,
    recovery_point: Option<i64>,
    clean_until: Option<i64>,
    dirty_bytes: Option<u64>,
    first_timestamp: Option<i64>,
    last_timestamp: Option<i64>,
    producer_snapshots: u64,
    leftovers: u64,
    leader_epochs: Vec<Epoch>,
    segments: Vec<Segment>,
}

#[derive(Serialize)]
struct Epoch {
    epoch: i32,
    start_offset: i64,
}

#[derive(Serialize)]
struct Segment {
    base_offset: i64,
    end_offset: i64,
    bytes: u64,
    first_timestamp: Option<i64>,
    last_timestamp: Option<i64>,
    index_entries: Option<u64>,
    time_index_entries: Option<u64>,
    aborted_transactions: u64,
}

/// Shows a directory.
pub(super) fn run(args: &InfoArgs) -> anyhow::Result<ExitCode> {
    let dir = &args.dir;
    let entries = ottla_env::fs::read_dir(dir).with_context(|| format!("cannot look into {}", dir.display()))?;
    if entries.iter().any(|entry| !entry.is_dir && entry.name.ends_with(".log")) {
        one(dir, &args.output)?;
    } else {
        all(dir, &args.output)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn one(dir: &Path, output: &OutputArgs) -> anyhow::Result<()> {
    let name = dir.canonicalize()?.file_name().unwrap_or_default().display().to_string();
    let parent = dir.join("..");
    // Without its log directory a partition is shown by its own files.
    let known = match ottla_env::fs::exists(parent.join("meta.properties")) {
        true => Directory::read(&parent, &mut Remarks)?.checkpoints_of(&name),
        false => Checkpoints::default(),
    };
    let summary = PartitionSummary::read(dir, known)?;
    let shown = partition(&name, &summary);
    output.show(&shown, || details(&name, &summary))
}

fn all(dir: &Path, output: &OutputArgs) -> anyhow::Result<()> {
    let directory = Directory::read(dir, &mut Remarks)?;
    let mut partitions = Vec::with_capacity(directory.partitions.len());
    for name in &directory.partitions {
        match PartitionSummary::read(&directory.path.join(name), directory.checkpoints_of(name)) {
            Ok(summary) => partitions.push(partition(name, &summary)),
            // Deleted since it was listed.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("cannot look into {name}")),
        }
    }
    let meta = directory.meta.as_ref();
    let overview = Overview {
        directory: dir.display().to_string(),
        cluster_id: meta.map(|m| m.cluster_id.clone()),
        node_id: meta.map(|m| m.node_id),
        directory_id: meta.and_then(|m| m.directory_id).map(|id| id.to_string()),
        state: match directory.ended {
            Ended::Running(_) => "running",
            Ended::Cleanly => "clean",
            Ended::Otherwise => "unclean",
        },
        bytes: partitions.iter().map(|p| p.bytes).sum(),
        partitions,
        set_aside: directory.set_aside,
    };
    output.show(&overview, || vec![table(&overview)])
}

fn partition(name: &str, s: &PartitionSummary) -> Partition {
    Partition {
        partition: name.to_owned(),
        topic_id: s.topic_id.map(|id| id.to_string()),
        bytes: s.bytes(),
        start_offset: s.start_offset(),
        end_offset: s.end_offset(),
        high_watermark: s.checkpoints.high_watermark,
        recovery_point: s.checkpoints.recovery_point,
        clean_until: s.checkpoints.clean_until,
        dirty_bytes: s.dirty_bytes,
        first_timestamp: s.timestamps().map(|t| t.0),
        last_timestamp: s.timestamps().map(|t| t.1),
        producer_snapshots: s.snapshots,
        leftovers: s.leftovers,
        leader_epochs: s.epochs.iter().map(|e| Epoch { epoch: e.epoch, start_offset: e.start_offset }).collect(),
        segments: s.segments.iter().map(segment).collect(),
    }
}

fn segment(s: &SegmentSummary) -> Segment {
    Segment {
        base_offset: s.files.base_offset,
        end_offset: s.end_offset,
        bytes: s.files.log,
        first_timestamp: s.timestamps.map(|t| t.0),
        last_timestamp: s.timestamps.map(|t| t.1),
        index_entries: s.files.index.map(|_| s.offset_entries),
        time_index_entries: s.files.time_index.map(|_| s.time_entries),
        aborted_transactions: s.aborted,
    }
}

fn table(o: &Overview) -> Table {
    let state = match o.state {
        "running" => "in use by a running process",
        "clean" => "stopped cleanly",
        _ => "not stopped cleanly",
    };
    let node = o.node_id.map_or("no node".to_owned(), |id| format!("node {id}"));
    let cluster = o.cluster_id.as_deref().map_or(String::new(), |id| format!(" of cluster {id}"));
    let segments: usize = o.partitions.iter().map(|p| p.segments.len()).sum();
    let title = format!(
        "{}: {node}{cluster}, {state}; {}, {}, {}",
        o.directory,
        count(o.partitions.len(), "partition"),
        count(segments, "segment"),
        bytes_of(o.bytes)
    );
    let head =
        ["PARTITION", "SEGMENTS", "SIZE", "START", "END", "HIGH WATERMARK", "RECOVERY POINT", "DIRTY", "FROM", "TO"];
    let mut table = Table::new(&head).titled(title);
    for p in &o.partitions {
        table.row([
            p.partition.clone(),
            p.segments.len().to_string(),
            bytes_of(p.bytes),
            p.start_offset.to_string(),
            p.end_offset.to_string(),
            known(p.high_watermark),
            known(p.recovery_point),
            dirty(p),
            time(p.first_timestamp),
            time(p.last_timestamp),
        ]);
    }
    table
}

/// How much of a compacted partition the cleaner has not been through.
fn dirty(p: &Partition) -> String {
    let Some(dirty) = p.dirty_bytes else { return "-".to_owned() };
    let share = if p.bytes == 0 { 0.0 } else { dirty as f64 * 100.0 / p.bytes as f64 };
    format!("{share:.0}%")
}

fn details(name: &str, s: &PartitionSummary) -> Vec<Table> {
    let id = s.topic_id.map_or(String::new(), |id| format!(", topic id {id}"));
    let picture = Table::new(&[]).titled(format!(
        "{name}{id}, {}, {}, {}\n\n{}",
        count(s.segments.len(), "segment"),
        bytes_of(s.bytes()),
        count(s.snapshots as usize, "producer snapshot"),
        picture::draw(s).trim_end()
    ));
    let mut segments = Table::new(&["SEGMENT", "END", "SIZE", "FROM", "TO", "INDEX", "TIME INDEX", "ABORTED"]);
    for s in &s.segments {
        let s = segment(s);
        let entries = |n: Option<u64>| n.map_or("missing".to_owned(), |n| n.to_string());
        segments.row([
            s.base_offset.to_string(),
            s.end_offset.to_string(),
            bytes_of(s.bytes),
            time(s.first_timestamp),
            time(s.last_timestamp),
            entries(s.index_entries),
            entries(s.time_index_entries),
            s.aborted_transactions.to_string(),
        ]);
    }
    let mut tables = vec![picture, segments];
    if !s.epochs.is_empty() {
        let mut epochs = Table::new(&["LEADER EPOCH", "BEGINS"]);
        for epoch in &s.epochs {
            epochs.row([epoch.epoch.to_string(), epoch.start_offset.to_string()]);
        }
        tables.push(epochs);
    }
    tables
}

fn count(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

fn known(n: Option<i64>) -> String {
    n.map_or("-".to_owned(), |n| n.to_string())
}

fn time(ms: Option<i64>) -> String {
    ms.map_or("-".to_owned(), |ms| Utc(ms).to_string())
}

/// Says on stderr what of the directory's own files cannot be understood.
struct Remarks;

impl Watcher for Remarks {
    fn begin(&mut self, _: &str) {}
    fn read(&mut self, _: u64) {}
    fn found(&mut self, finding: Finding) {
        if finding.severity > Severity::Note {
            output::note(&format!("warning: {}: {}", finding.path.display(), finding.problem));
        }
    }
}
