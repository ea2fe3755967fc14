//! `ottla consume`: reads records until it is stopped, or as far as the flags say.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};
use indicatif::ProgressBar;
use ottla_client::{Consumer, ConsumerRecord, Error, TopicPartition};
use ottla_env::task::signal;
use ottla_env::time::Instant;

use super::connect::ConnectArgs;
use super::record_format::{Columns, RecordFormat};
use crate::output;

/// One poll waits at most this long, so that ends and timeouts are noticed.
const POLL: Duration = Duration::from_millis(200);

/// How records look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shape {
    /// The value, after the columns that were asked for.
    Text,
    /// One JSON object a line.
    Json,
}

/// Read records of topics
#[derive(Debug, Args)]
pub(crate) struct ConsumeArgs {
    /// Topics
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
    /// Read as a member of this group, beginning at its committed offsets
    #[arg(long, short = 'g')]
    group: Option<String>,
    /// Begin at the first record; in a group only where no offset is committed
    #[arg(long, conflicts_with = "offset")]
    from_beginning: bool,
    /// Begin at: an offset, -N for the last N of each partition, `earliest`, `latest`, or @MS for a time in milliseconds
    #[arg(long, value_name = "WHERE", allow_hyphen_values = true, conflicts_with = "group")]
    offset: Option<Start>,
    /// Read only this partition; may be given again
    #[arg(long = "partition", short = 'p', conflicts_with = "group")]
    partitions: Vec<i32>,
    /// Stop after this many records
    #[arg(long, short = 'n', value_name = "N")]
    max_messages: Option<u64>,
    /// Stop after this many seconds without a record
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<f64>,
    /// Stop at the end instead of waiting for more
    #[arg(long, short = 'e')]
    exit: bool,
    /// Read also records of transactions that are not finished or were aborted
    #[arg(long)]
    read_uncommitted: bool,
    #[command(flatten)]
    shape: ShapeArgs,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// Flags of how records look.
#[derive(Debug, Args)]
struct ShapeArgs {
    /// How records look
    #[arg(long = "output", short = 'o', value_enum, default_value = "text", help_heading = "Output")]
    shape: Shape,
    /// A format of your own: %t topic, %p partition, %o offset, %T timestamp, %k key, %s value, %K and %S their lengths,
    /// %h headers
    #[arg(long, short = 'f', value_name = "FORMAT", help_heading = "Output")]
    format: Option<String>,
    /// Show keys
    #[arg(long, help_heading = "Output")]
    print_key: bool,
    /// Show timestamps
    #[arg(long, help_heading = "Output")]
    print_timestamp: bool,
    /// Show offsets
    #[arg(long, help_heading = "Output")]
    print_offset: bool,
    /// Show partitions
    #[arg(long, help_heading = "Output")]
    print_partition: bool,
    /// Show headers
    #[arg(long, help_heading = "Output")]
    print_headers: bool,
    /// What stands between columns
    #[arg(long, default_value = "\t", hide_default_value = true, help_heading = "Output")]
    key_separator: String,
}

impl ShapeArgs {
    fn record_format(&self) -> anyhow::Result<RecordFormat> {
        if let Some(format) = &self.format {
            return RecordFormat::parse(format).map_err(anyhow::Error::msg);
        }
        let columns = Columns {
            timestamp: self.print_timestamp,
            partition: self.print_partition,
            offset: self.print_offset,
            headers: self.print_headers,
            key: self.print_key,
        };
        Ok(match self.shape {
            Shape::Json => RecordFormat::Json,
            Shape::Text => RecordFormat::columns(columns, &self.key_separator),
        })
    }
}

/// Where to begin in each partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    Earliest,
    Latest,
    Offset(i64),
    /// So many before the end.
    Last(i64),
    Timestamp(i64),
}

impl FromStr for Start {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |_| format!("`{text}` is no place: an offset, -N, earliest, latest or @MILLISECONDS is expected");
        Ok(match text {
            "earliest" | "beginning" => Self::Earliest,
            "latest" | "end" => Self::Latest,
            text => match text.strip_prefix('@') {
                Some(ms) => Self::Timestamp(ms.parse().map_err(wrong)?),
                None => match text.parse::<i64>().map_err(wrong)? {
                    n if n < 0 => Self::Last(n.saturating_neg()),
                    n => Self::Offset(n),
                },
            },
        })
    }
}

pub(super) async fn run(args: ConsumeArgs) -> anyhow::Result<ExitCode> {
    let format = args.shape.record_format()?;
    let reset = if args.from_beginning { "earliest" } else { "latest" };
    let isolation = if args.read_uncommitted { "read_uncommitted" } else { "read_committed" };
    let mut defaults =
        vec![("auto.offset.reset", reset), ("isolation.level", isolation), ("allow.auto.create.topics", "false")];
    defaults.extend(args.group.as_deref().map(|group| ("group.id", group)));
    let mut consumer = Consumer::connect(args.connect.consumer(&defaults)?).await?;
    check_topics(&args, &consumer).await?;
    match args.group {
        Some(_) => consumer.subscribe(args.topics.iter().map(String::as_str))?,
        None => begin(&args, &mut consumer).await?,
    }
    let read = read(&args, &format, &mut consumer).await;
    consumer.close().await?;
    read?;
    Ok(ExitCode::SUCCESS)
}

/// A topic that does not exist is said at once rather than waited for.
async fn check_topics(args: &ConsumeArgs, consumer: &Consumer) -> anyhow::Result<()> {
    let admin = ottla_client::Admin::with_cluster(consumer.cluster().clone());
    for topic in admin.describe_topics(&args.topics).await? {
        if topic.partitions.is_empty() {
            return Err(Error::broker(format!("topic {}", topic.name), topic.error.code(), None).into());
        }
    }
    Ok(())
}

/// Assigns the partitions and goes where the flags say.
async fn begin(args: &ConsumeArgs, consumer: &mut Consumer) -> anyhow::Result<()> {
    let patience = consumer.cluster().config().default_api_timeout;
    let mut partitions = Vec::new();
    for topic in &args.topics {
        let view = consumer.cluster().topic(topic, false, patience).await?;
        let wanted = |p: i32| args.partitions.is_empty() || args.partitions.contains(&p);
        let there: Vec<i32> = view.partitions.iter().map(|p| p.partition).collect();
        if let Some(missing) = args.partitions.iter().find(|p| !there.contains(p)) {
            anyhow::bail!("topic {topic} has no partition {missing}; it has 0 to {}", there.len() - 1);
        }
        partitions.extend(there.into_iter().filter(|p| wanted(*p)).map(|p| TopicPartition::new(topic.as_str(), p)));
    }
    let start = match args.offset {
        Some(start) => start,
        None if args.from_beginning => Start::Earliest,
        None => Start::Latest,
    };
    consumer.assign(partitions.iter().cloned());
    let lasts = match start {
        Start::Last(n) => last_offsets(consumer, &partitions, n).await?,
        _ => Vec::new(),
    };
    for (tp, offset) in lasts {
        consumer.seek(&tp, offset)?;
    }
    for tp in &partitions {
        match start {
            Start::Earliest => consumer.seek_to_beginning(tp)?,
            Start::Latest => consumer.seek_to_end(tp)?,
            Start::Offset(offset) => consumer.seek(tp, offset)?,
            Start::Timestamp(ms) => consumer.seek_to_timestamp(tp, ms)?,
            Start::Last(_) => {}
        }
    }
    Ok(())
}

async fn last_offsets(
    consumer: &Consumer,
    partitions: &[TopicPartition],
    n: i64,
) -> anyhow::Result<Vec<(TopicPartition, i64)>> {
    use ottla_client::admin::OffsetSpec;
    let admin = ottla_client::Admin::with_cluster(consumer.cluster().clone());
    let all = |spec| partitions.iter().map(|tp| (tp.clone(), spec)).collect();
    let (starts, ends) =
        (admin.list_offsets(&all(OffsetSpec::Earliest)).await?, admin.list_offsets(&all(OffsetSpec::Latest)).await?);
    let mut offsets = Vec::new();
    for (tp, end) in ends {
        let start = starts.get(&tp).cloned().transpose()?.map_or(0, |s| s.offset);
        offsets.push((tp, (end?.offset - n).max(start)));
    }
    Ok(offsets)
}

async fn read(args: &ConsumeArgs, format: &RecordFormat, consumer: &mut Consumer) -> anyhow::Result<()> {
    let idle_limit = args.timeout.map(Duration::try_from_secs_f64).transpose()?;
    let progress = output::counter("records read", !io::stdout().is_terminal());
    let mut left = args.max_messages.unwrap_or(u64::MAX);
    let mut last_record = Instant::now();
    let mut out = Vec::new();
    while left > 0 {
        let records = tokio::select! {
            biased;
            () = signal::terminate() => break,
            records = consumer.poll(POLL) => records?,
        };
        if !records.is_empty() {
            last_record = Instant::now();
            let written = write(&records, left, format, &mut out, &progress)?;
            left -= written;
            // What was polled and not written must not be committed: back to the first of it in each partition.
            for record in records.iter().skip(usize::try_from(written).unwrap_or(usize::MAX)).rev() {
                consumer.seek(&record.topic_partition(), record.offset)?;
            }
        } else if args.exit && is_at_end(consumer) || idle_limit.is_some_and(|limit| last_record.elapsed() >= limit) {
            break;
        }
    }
    progress.finish_and_clear();
    Ok(())
}

/// Writes at most `most` records; returns how many.
fn write(
    records: &[ConsumerRecord],
    most: u64,
    format: &RecordFormat,
    out: &mut Vec<u8>,
    progress: &ProgressBar,
) -> anyhow::Result<u64> {
    out.clear();
    let mut count = 0;
    for record in records.iter().take(usize::try_from(most).unwrap_or(usize::MAX)) {
        format.write(out, record);
        count += 1;
    }
    let mut stdout = io::stdout().lock();
    stdout.write_all(out)?;
    stdout.flush()?;
    progress.inc(count);
    Ok(count)
}

/// Whether every partition is read up to the end of what consumers may read.
fn is_at_end(consumer: &Consumer) -> bool {
    let assigned = consumer.assignment();
    !assigned.is_empty()
        && assigned.iter().all(|tp| match (consumer.position(tp), consumer.high_watermark(tp)) {
            (Some(position), Some(end)) => position >= end,
            _ => false,
        })
}

#[cfg(test)]
mod tests {
    use super::Start;

    #[test]
    fn places_to_begin_at() {
        let parse = |text: &str| text.parse::<Start>();
        assert_eq!(parse("earliest"), Ok(Start::Earliest));
        assert_eq!(parse("12"), Ok(Start::Offset(12)));
        assert_eq!(parse("-5"), Ok(Start::Last(5)));
        assert_eq!(parse("@1000"), Ok(Start::Timestamp(1000)));
        assert!(parse("soon").is_err() && parse("@x").is_err());
    }
}
