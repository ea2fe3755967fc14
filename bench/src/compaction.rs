//! The row of compaction: the same log for every broker, written by the harness itself, and what each says of its pass over it.
//!
//! ```text
//!   template: segments without indexes ── links ──> bench-0-0, bench-0-1, anew for every round
//!   start ─> pass over one: code and caches are warm ─> CPU clock ─> pass over the other: measured ─> CPU clock ─> stop
//! ```
//! How long a pass took is in the line that each broker logs about it.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::batch::BatchWriter;
use crate::broker::{Broker, Home, Kind};
use crate::client::Load;
use crate::machine;
use crate::run::{Run, measured};
use crate::stage::{Stage, TOPIC};
use crate::wire::Connection;

/// What a broker says once it has compacted a log: Ottla, then Apache Kafka.
const DONE: [&str; 2] = ["log is compacted", "MB of log processed in "];
/// Beyond the defaults, which are alike: what is new is compacted, at once.
const PROPERTIES: [&str; 2] = ["log.cleanup.policy=compact", "log.cleaner.backoff.ms=100"];
const PARTITIONS: u32 = 2;
const PATIENCE: Duration = Duration::from_secs(900);
/// `segment.bytes`, about
const SEGMENT_BYTES: u64 = 1 << 30;
/// A batch of a producer with the default `batch.size`.
const BATCH_RECORDS: u64 = 130;
const VALUE_BYTES: usize = 88;

/// A directory with two partitions of the topic, and beside them the log that both get.
pub fn prepare<'a>(kind: &'a Kind, records: u64, keys: u64) -> Result<Stage<'a>> {
    println!("{}: making a log of {records} records", kind.name);
    let home = kind.home(&PROPERTIES)?;
    let broker = home.start()?;
    let mut connection = Connection::open()?;
    connection.make_topic(TOPIC, PARTITIONS)?;
    broker.stop()?;
    std::fs::create_dir_all(template(&home))?;
    write_log(&template(&home), records, keys)?;
    Ok(Stage { home, partitions: PARTITIONS })
}

/// Both partitions are compacted; the second pass is measured.
pub fn run(stage: &Stage<'_>, records: u64) -> Result<Run> {
    let home = &stage.home;
    let bytes = place(home, records)?;
    machine::sync()?;
    let mut broker = home.start()?;
    wait_for(home, &mut broker, 1)?;
    let mut milliseconds = 0.0;
    let run = measured(&mut broker, |broker| {
        milliseconds = wait_for(home, broker, 2)?;
        Ok(Load { messages: records, milliseconds: milliseconds as u64, ..Load::default() })
    })?;
    let run = Run { figure: milliseconds * 1e6 / bytes as f64, ..run };
    broker.stop()?;
    Ok(run)
}

/// Waits for the n-th pass and gives its milliseconds.
fn wait_for(home: &Home<'_>, broker: &mut Broker, n: usize) -> Result<f64> {
    let began = Instant::now();
    loop {
        let log = std::fs::read(home.path().join("broker.log"))?;
        let log = String::from_utf8_lossy(&log);
        let is_done = |line: &&str| DONE.iter().any(|words| line.contains(words));
        if let Some(line) = log.lines().filter(is_done).nth(n - 1) {
            return milliseconds(line).with_context(|| format!("no time in {line:?}"));
        }
        broker.check_alive()?;
        ensure!(began.elapsed() < PATIENCE, "no pass number {n} within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// `… ms=1234 …` of Ottla, `… 1,140.0 MB of log processed in 12.3 seconds (…` of Apache Kafka.
fn milliseconds(line: &str) -> Option<f64> {
    if let Some((_, rest)) = line.split_once(" ms=") {
        return rest.split_whitespace().next()?.parse().ok();
    }
    let (_, rest) = line.split_once("processed in ")?;
    let seconds: f64 = rest.split_whitespace().next()?.replace(',', "").parse().ok()?;
    Some(seconds * 1_000.0)
}

fn template(home: &Home<'_>) -> PathBuf {
    home.path().join("template")
}

/// Gives both partitions of a stopped broker the log, as if it had written it; its bytes. Links, so that a pass finds in memory
/// what the one before has read: nobody writes to a closed segment.
fn place(home: &Home<'_>, records: u64) -> Result<u64> {
    let data = home.path().join("data");
    let mut bytes = 0;
    for partition in 0..PARTITIONS {
        bytes = 0;
        let directory = data.join(format!("{TOPIC}-{partition}"));
        for file in std::fs::read_dir(&directory)? {
            let file = file?;
            if file.file_name() != "partition.metadata" {
                std::fs::remove_file(file.path())?;
            }
        }
        let mut segments: Vec<_> = std::fs::read_dir(template(home))?.collect::<Result<_, _>>()?;
        segments.sort_by_key(std::fs::DirEntry::file_name);
        let active = segments.len().saturating_sub(1);
        for (n, segment) in segments.iter().enumerate() {
            let to = directory.join(segment.file_name());
            if n == active {
                std::fs::copy(segment.path(), to)?;
            } else {
                bytes += segment.metadata()?.len();
                std::fs::hard_link(segment.path(), to)?;
            }
        }
        std::fs::write(directory.join("leader-epoch-checkpoint"), "0\n1\n0 0\n")?;
    }
    let end = i64::try_from(whole_batches(records) * BATCH_RECORDS)?;
    for (name, offset) in [
        ("recovery-point-offset-checkpoint", Some(end)),
        ("replication-offset-checkpoint", Some(end)),
        ("cleaner-offset-checkpoint", None),
        ("log-start-offset-checkpoint", None),
    ] {
        note(&data.join(name), offset)?;
    }
    Ok(bytes)
}

/// Sets the partitions' offset in a checkpoint file, or takes it away.
fn note(file: &Path, offset: Option<i64>) -> Result<()> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let of_others = |line: &&str| !line.starts_with(&format!("{TOPIC} "));
    let mut lines: Vec<String> = text.lines().skip(2).filter(of_others).map(str::to_owned).collect();
    lines.extend((0..PARTITIONS).filter_map(|partition| Some(format!("{TOPIC} {partition} {}", offset?))));
    let text = lines.iter().fold(format!("0\n{}\n", lines.len()), |text, line| text + line + "\n");
    Ok(std::fs::write(file, text)?)
}

fn whole_batches(records: u64) -> u64 {
    // One more for the active segment, which is not compacted.
    records.div_ceil(BATCH_RECORDS) + 1
}

/// Batches of records of 100 bytes, their keys drawn evenly: always the same ones.
fn write_log(directory: &Path, records: u64, keys: u64) -> Result<()> {
    let mut writer = BatchWriter::new();
    let mut state = 88_172_645_463_325_252_u64;
    let mut draw = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let (batches, mut written) = (whole_batches(records), u64::MAX);
    let mut file: Option<BufWriter<std::fs::File>> = None;
    for n in 0..batches {
        let base_offset = n * BATCH_RECORDS;
        if written >= SEGMENT_BYTES - (64 << 10) || n + 1 == batches {
            if let Some(mut full) = file.take() {
                full.flush()?;
            }
            let name = directory.join(format!("{base_offset:020}.log"));
            file = Some(BufWriter::with_capacity(1 << 20, std::fs::File::create(name)?));
            written = 0;
        }
        let batch = batch(&mut writer, base_offset, keys, &mut draw);
        file.as_mut().context("a segment was begun")?.write_all(&batch)?;
        written += batch.len() as u64;
    }
    file.context("a segment was begun")?.flush()?;
    Ok(())
}

fn batch(writer: &mut BatchWriter, base_offset: u64, keys: u64, draw: &mut impl FnMut() -> u64) -> Vec<u8> {
    const TIMESTAMP_MS: i64 = 1_700_000_000_000;
    let mut value = Vec::with_capacity(VALUE_BYTES);
    for _ in 0..BATCH_RECORDS {
        let key = format!("user-{:07}", draw() % keys);
        value.clear();
        (0..VALUE_BYTES / 8).for_each(|_| value.extend(draw().to_be_bytes()));
        writer.add(Some(key.as_bytes()), &value);
    }
    writer.finish(base_offset as i64, 0, TIMESTAMP_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_of_both_brokers_are_understood() {
        let ottla = "INFO log is compacted topic=bench-0 partition=1 from=0 throttled_ms=0 ms=7145";
        assert_eq!(milliseconds(ottla), Some(7_145.0));
        assert_eq!(milliseconds("\t1,140.0 MB of log processed in 1,012.3 seconds (1.1 MB/sec)."), Some(1_012_300.0));
        assert_eq!(milliseconds("nothing"), None);
    }
}
