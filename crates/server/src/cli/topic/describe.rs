//! `ottla topic describe`.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Args;
use ottla_client::admin::{Admin, ConfigEntry, ConfigResource, ConfigSource, OffsetSpec};
use ottla_client::cluster::{PartitionView, TopicView};
use ottla_client::{Error, TopicPartition};
use ottla_protocol::ErrorCode;
use serde::Serialize;

use crate::cli::connect::ConnectArgs;
use crate::output::{OutputArgs, Table};

/// Flags of `describe`.
#[derive(Debug, Args)]
pub(crate) struct DescribeArgs {
    /// Names
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
    /// Show all properties, not only those that were set
    #[arg(long)]
    all_configs: bool,
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Serialize)]
struct Described {
    name: String,
    topic_id: String,
    internal: bool,
    partitions: Vec<Partition>,
    configs: BTreeMap<String, Option<String>>,
}

#[derive(Serialize)]
struct Partition {
    partition: i32,
    leader: i32,
    leader_epoch: i32,
    replicas: Vec<i32>,
    isr: Vec<i32>,
    start_offset: Option<i64>,
    end_offset: Option<i64>,
}

pub(super) async fn run(args: DescribeArgs) -> anyhow::Result<ExitCode> {
    let admin = args.connect.admin().await?;
    let mut described = Vec::new();
    for topic in admin.describe_topics(&args.topics).await? {
        if topic.error != ErrorCode::None {
            return Err(Error::broker(format!("topic {}", topic.name), topic.error.code(), None).into());
        }
        described.push(describe(&admin, &topic, args.all_configs).await?);
    }
    args.output.show(&described, || described.iter().flat_map(tables).collect())?;
    Ok(ExitCode::SUCCESS)
}

async fn describe(admin: &Admin, topic: &TopicView, all_configs: bool) -> anyhow::Result<Described> {
    let starts = offsets(admin, topic, OffsetSpec::Earliest).await?;
    let ends = offsets(admin, topic, OffsetSpec::Latest).await?;
    let configs = admin.describe_configs(&ConfigResource::Topic(topic.name.to_string())).await?;
    let wanted = |c: &ConfigEntry| all_configs || c.source == ConfigSource::Topic;
    let partition = |p: &PartitionView| Partition {
        partition: p.partition,
        leader: p.leader,
        leader_epoch: p.leader_epoch,
        replicas: p.replicas.clone(),
        isr: p.isr.clone(),
        start_offset: starts.get(&p.partition).copied(),
        end_offset: ends.get(&p.partition).copied(),
    };
    Ok(Described {
        name: topic.name.to_string(),
        topic_id: topic.id.to_string(),
        internal: topic.is_internal,
        partitions: topic.partitions.iter().map(partition).collect(),
        configs: configs.into_iter().filter(wanted).map(|c| (c.name, c.value)).collect(),
    })
}

/// Offsets of the partitions that have a leader to tell them.
async fn offsets(admin: &Admin, topic: &TopicView, spec: OffsetSpec) -> Result<BTreeMap<i32, i64>, Error> {
    let led = topic.partitions.iter().filter(|p| p.leader >= 0);
    let wanted = led.map(|p| (TopicPartition::new(&*topic.name, p.partition), spec)).collect();
    let found = admin.list_offsets(&wanted).await?;
    Ok(found.into_iter().filter_map(|(tp, outcome)| Some((tp.partition, outcome.ok()?.offset))).collect())
}

fn tables(t: &Described) -> Vec<Table> {
    let title = format!("topic {}, id {}, {} partitions", t.name, t.topic_id, t.partitions.len());
    let head = ["PARTITION", "LEADER", "EPOCH", "REPLICAS", "ISR", "START", "END"];
    let mut partitions = Table::new(&head).titled(title);
    let ids = |ids: &[i32]| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let known = |n: Option<i64>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
    for p in &t.partitions {
        let leader = if p.leader >= 0 { p.leader.to_string() } else { "none".to_owned() };
        let (start, end) = (known(p.start_offset), known(p.end_offset));
        let epoch = p.leader_epoch.to_string();
        partitions.row([p.partition.to_string(), leader, epoch, ids(&p.replicas), ids(&p.isr), start, end]);
    }
    if t.configs.is_empty() {
        return vec![partitions];
    }
    let mut configs = Table::new(&["PROPERTY", "VALUE"]);
    for (name, value) in &t.configs {
        configs.row([name.clone(), value.clone().unwrap_or("-".to_owned())]);
    }
    vec![partitions, configs]
}
