//! `ottla group reset-offsets`.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Args;
use ottla_client::admin::{Admin, OffsetSpec};
use ottla_client::{OffsetAndMetadata, TopicPartition};
use serde::Serialize;

use crate::cli::connect::ConnectArgs;
use crate::output::{self, OutputArgs, Table};

/// Flags of `reset-offsets`.
#[derive(Debug, Args)]
pub(crate) struct ResetOffsetsArgs {
    /// The group
    group: String,
    /// A topic, or topic:partition; may be given again [default: all that have committed offsets]
    #[arg(long = "topic", short = 't', value_name = "TOPIC[:PARTITION]")]
    topics: Vec<String>,
    #[command(flatten)]
    target: Target,
    /// Do it, instead of only showing it
    #[arg(long)]
    execute: bool,
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Where to go.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Target {
    /// To the first record
    #[arg(long)]
    to_earliest: bool,
    /// To the end
    #[arg(long)]
    to_latest: bool,
    /// To an offset
    #[arg(long, value_name = "OFFSET")]
    to_offset: Option<i64>,
    /// To the first record of at least this time, in milliseconds since 1970
    #[arg(long, value_name = "MS")]
    to_timestamp: Option<i64>,
    /// So many records forward, or back if negative
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    shift_by: Option<i64>,
}

#[derive(Serialize)]
struct Moved {
    topic: String,
    partition: i32,
    from: Option<i64>,
    to: i64,
}

pub(super) async fn run(args: ResetOffsetsArgs) -> anyhow::Result<ExitCode> {
    let admin = args.connect.admin().await?;
    let committed = admin.group_offsets(&args.group).await?;
    let partitions = partitions(&args, &admin, &committed).await?;
    let moves = plan(&args.target, &admin, &partitions, &committed).await?;
    if args.execute {
        let offsets =
            moves.iter().map(|m| (TopicPartition::new(m.topic.as_str(), m.partition), OffsetAndMetadata::new(m.to)));
        admin.alter_group_offsets(&args.group, &offsets.collect()).await?;
    }
    args.output.show(&moves, || {
        let mut table = Table::new(&["TOPIC", "PARTITION", "FROM", "TO"]).titled(format!("group {}", args.group));
        for m in &moves {
            let from = m.from.map_or_else(|| "-".to_owned(), |n| n.to_string());
            table.row([m.topic.clone(), m.partition.to_string(), from, m.to.to_string()]);
        }
        vec![table]
    })?;
    if !args.execute {
        output::note("nothing was changed; add --execute to do it");
    }
    Ok(ExitCode::SUCCESS)
}

async fn partitions(
    args: &ResetOffsetsArgs,
    admin: &Admin,
    committed: &BTreeMap<TopicPartition, OffsetAndMetadata>,
) -> anyhow::Result<Vec<TopicPartition>> {
    if args.topics.is_empty() {
        anyhow::ensure!(!committed.is_empty(), "group {} has no committed offsets; name a --topic", args.group);
        return Ok(committed.keys().cloned().collect());
    }
    let mut all = Vec::new();
    for text in &args.topics {
        let one = text.rsplit_once(':').and_then(|(topic, p)| Some(TopicPartition::new(topic, p.parse().ok()?)));
        if let Some(tp) = one {
            all.push(tp);
            continue;
        }
        for topic in admin.describe_topics(std::slice::from_ref(text)).await? {
            if topic.partitions.is_empty() {
                return Err(ottla_client::Error::broker(format!("topic {text}"), topic.error.code(), None).into());
            }
            all.extend(topic.partitions.iter().map(|p| TopicPartition::new(text.as_str(), p.partition)));
        }
    }
    Ok(all)
}

/// The new offsets, kept between the start and the end of each log.
async fn plan(
    target: &Target,
    admin: &Admin,
    partitions: &[TopicPartition],
    committed: &BTreeMap<TopicPartition, OffsetAndMetadata>,
) -> anyhow::Result<Vec<Moved>> {
    let starts = offsets(admin, partitions, OffsetSpec::Earliest).await?;
    let ends = offsets(admin, partitions, OffsetSpec::Latest).await?;
    let times = match target.to_timestamp {
        Some(ms) => offsets(admin, partitions, OffsetSpec::Timestamp(ms)).await?,
        None => BTreeMap::new(),
    };
    let mut moves = Vec::new();
    for tp in partitions {
        let (start, end) = (starts.get(tp).copied().unwrap_or(0), ends.get(tp).copied().unwrap_or(0));
        let from = committed.get(tp).map(|o| o.offset);
        let wanted = match (target.to_offset, target.shift_by, target.to_timestamp) {
            (Some(offset), ..) => offset,
            (_, Some(by), _) => from.unwrap_or(start).saturating_add(by),
            // After the last record there is no such time: the end.
            (.., Some(_)) => times.get(tp).copied().filter(|o| *o >= 0).unwrap_or(end),
            _ if target.to_latest => end,
            _ => start,
        };
        let (topic, partition) = (tp.topic.to_string(), tp.partition);
        moves.push(Moved { topic, partition, from, to: wanted.clamp(start, end.max(start)) });
    }
    Ok(moves)
}

async fn offsets(
    admin: &Admin,
    partitions: &[TopicPartition],
    spec: OffsetSpec,
) -> anyhow::Result<BTreeMap<TopicPartition, i64>> {
    let wanted = partitions.iter().map(|tp| (tp.clone(), spec)).collect();
    let found = admin.list_offsets(&wanted).await?;
    found.into_iter().map(|(tp, outcome)| Ok((tp, outcome?.offset))).collect()
}
