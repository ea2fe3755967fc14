//! `ottla produce`: a record for each line of standard input.
//!
//! ```text
//!   stdin thread ──lines──> send ──deliveries──> report
//! ```
//!
//! Both queues are bounded, so a fast input waits for a slow cluster. The first record that fails ends the input.

use std::io::{self, BufRead, IsTerminal};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};
use ottla_client::{Delivery, Error, Producer, ProducerRecord};
use ottla_env::task;
use tokio::sync::mpsc;

use super::connect::{ConnectArgs, key_value};
use crate::output;

/// Lines read ahead.
const LINES_AHEAD: usize = 1024;
/// Records sent and not yet acknowledged.
const DELIVERIES_AHEAD: usize = 16_384;
/// How long the last records may take.
const CLOSE_PATIENCE: Duration = Duration::from_secs(130);

/// When a record counts as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum AcksArg {
    /// Nobody is asked.
    #[value(name = "0")]
    None,
    /// The leader has it.
    #[value(name = "1")]
    Leader,
    /// All in-sync replicas have it.
    #[value(name = "all", alias = "-1")]
    All,
}

/// Write records: one for each line of standard input
#[derive(Debug, Args)]
pub(crate) struct ProduceArgs {
    /// Topic
    topic: String,
    /// What stands between key and value on a line; without it lines are values
    #[arg(long, short = 'K', value_name = "TEXT")]
    key_separator: Option<String>,
    /// The key of all records
    #[arg(long, short = 'k', conflicts_with = "key_separator")]
    key: Option<String>,
    /// Write empty values as null: tombstones on a compacted topic
    #[arg(long, short = 'Z')]
    null_values: bool,
    /// A header of all records; may be given again
    #[arg(long = "header", short = 'H', value_name = "KEY=VALUE", value_parser = key_value)]
    headers: Vec<(String, String)>,
    /// The partition of all records [default: chosen by key, as Java's producer does]
    #[arg(long, short = 'p')]
    partition: Option<i32>,
    /// When a record counts as written
    #[arg(long, value_enum, default_value = "all")]
    acks: AcksArg,
    /// Codec: none, gzip, snappy, lz4 or zstd
    #[arg(long, short = 'z', default_value = "none")]
    compression: String,
    /// Let retries make duplicates and change the order; always so with --acks 0 or 1
    #[arg(long)]
    no_idempotence: bool,
    /// Print where each record was written
    #[arg(long, short = 'v')]
    verbose: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) async fn run(args: ProduceArgs) -> anyhow::Result<ExitCode> {
    let acks = match args.acks {
        AcksArg::None => "0",
        AcksArg::Leader => "1",
        AcksArg::All => "all",
    };
    let idempotent = args.acks == AcksArg::All && !args.no_idempotence;
    let idempotence = if idempotent { "true" } else { "false" };
    let defaults =
        [("acks", acks), ("compression.type", args.compression.as_str()), ("enable.idempotence", idempotence)];
    let producer = Producer::connect(args.connect.producer(&defaults)?).await?;
    if io::stdin().is_terminal() {
        output::note("one record a line; end with Ctrl-D");
    }
    let (deliveries, reported) = mpsc::channel(DELIVERIES_AHEAD);
    let report = task::spawn("produce-report", report(reported, args.verbose));
    let sent = send_lines(&args, &producer, deliveries).await;
    producer.close(CLOSE_PATIENCE).await?;
    let written = report.await.context("the report of deliveries ended early")?;
    sent?;
    let written = written?;
    if !args.verbose {
        output::note(&format!("{written} records written to {}", args.topic));
    }
    Ok(ExitCode::SUCCESS)
}

/// Sends until the input ends, a signal comes, or a record failed.
async fn send_lines(args: &ProduceArgs, producer: &Producer, deliveries: mpsc::Sender<Delivery>) -> anyhow::Result<()> {
    let mut lines = stdin_lines()?;
    let headers: Vec<(&str, Option<&[u8]>)> =
        args.headers.iter().map(|(key, value)| (key.as_str(), Some(value.as_bytes()))).collect();
    let mut number = 0u64;
    loop {
        let line = tokio::select! {
            biased;
            () = task::signal::terminate() => return Ok(()),
            line = lines.recv() => line,
        };
        let Some(line) = line else { return Ok(()) };
        let line = line.context("standard input cannot be read")?;
        number += 1;
        let (key, value) = match &args.key_separator {
            None => (args.key.as_ref().map(String::as_bytes), &line[..]),
            Some(separator) => {
                let (key, value) = split_once(&line, separator.as_bytes())
                    .with_context(|| format!("line {number} has no key separator `{separator}`"))?;
                (Some(key), value)
            }
        };
        let record = ProducerRecord {
            topic: &args.topic,
            partition: args.partition,
            key,
            value: (!(args.null_values && value.is_empty())).then_some(value),
            headers: &headers,
            timestamp_ms: None,
        };
        // The report ends at the first failure and tells it.
        if deliveries.send(producer.send(record).await?).await.is_err() {
            return Ok(());
        }
    }
}

/// Waits for deliveries in the order of sending; counts them.
async fn report(mut deliveries: mpsc::Receiver<Delivery>, verbose: bool) -> Result<u64, Error> {
    let progress = output::counter("records written", !verbose && !io::stdin().is_terminal());
    let mut written = 0;
    while let Some(delivery) = deliveries.recv().await {
        let at = delivery.wait().await?;
        written += 1;
        progress.inc(1);
        if verbose {
            output::note(&format!("{}-{} offset {}", at.topic, at.partition, at.offset));
        }
    }
    progress.finish_and_clear();
    Ok(written)
}

/// Lines of standard input without their ends, read by a thread of its own: a terminal may keep it waiting for ever.
fn stdin_lines() -> anyhow::Result<mpsc::Receiver<io::Result<Vec<u8>>>> {
    let (sender, receiver) = mpsc::channel(LINES_AHEAD);
    task::thread("stdin", move || {
        let mut stdin = io::stdin().lock();
        loop {
            let mut line = Vec::new();
            let read = match stdin.read_until(b'\n', &mut line) {
                Ok(0) => return,
                Ok(_) => {
                    let end = if line.ends_with(b"\r\n") { 2 } else { usize::from(line.ends_with(b"\n")) };
                    line.truncate(line.len() - end);
                    Ok(line)
                }
                Err(e) => Err(e),
            };
            let failed = read.is_err();
            if sender.blocking_send(read).is_err() || failed {
                return;
            }
        }
    })?;
    Ok(receiver)
}

fn split_once<'a>(line: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = line.windows(separator.len().max(1)).position(|w| w == separator)?;
    Some((line.get(..at)?, line.get(at + separator.len()..)?))
}

#[cfg(test)]
mod tests {
    use super::split_once;

    #[test]
    fn a_line_is_split_at_the_first_separator() {
        assert_eq!(split_once(b"a:b:c", b":"), Some((&b"a"[..], &b"b:c"[..])));
        assert_eq!(split_once(b"a=>b", b"=>"), Some((&b"a"[..], &b"b"[..])));
        assert_eq!(split_once(b":b", b":"), Some((&b""[..], &b"b"[..])));
        assert_eq!(split_once(b"ab", b":"), None);
        assert_eq!(split_once(b"", b":"), None);
    }
}
