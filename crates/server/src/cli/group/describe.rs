//! `ottla group describe`: who reads what, and how far behind.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use clap::Args;
use ottla_client::admin::{Admin, DescribedGroup, DescribedMember, OffsetSpec};
use ottla_client::{Error, TopicPartition};
use ottla_protocol::ErrorCode;
use serde::Serialize;

use crate::cli::connect::ConnectArgs;
use crate::output::{OutputArgs, Table};

/// Flags of `describe`.
#[derive(Debug, Args)]
pub(crate) struct DescribeArgs {
    /// Groups
    #[arg(required = true, value_name = "GROUP")]
    groups: Vec<String>,
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Serialize)]
struct Described {
    group: String,
    state: String,
    assignor: String,
    members: usize,
    total_lag: i64,
    partitions: Vec<Partition>,
}

#[derive(Serialize)]
struct Partition {
    topic: String,
    partition: i32,
    committed_offset: Option<i64>,
    end_offset: Option<i64>,
    lag: Option<i64>,
    member_id: Option<String>,
    client_id: Option<String>,
    host: Option<String>,
}

pub(super) async fn run(args: DescribeArgs) -> anyhow::Result<ExitCode> {
    let admin = args.connect.admin().await?;
    let mut described = Vec::new();
    for group in &args.groups {
        described.push(describe(&admin, group).await?);
    }
    args.output.show(&described, || described.iter().map(table).collect())?;
    Ok(ExitCode::SUCCESS)
}

async fn describe(admin: &Admin, group: &str) -> anyhow::Result<Described> {
    let found = admin.describe_group(group).await?;
    let committed = admin.group_offsets(group).await?;
    // Kafka before 4.0 describes a group that it does not know as a dead one.
    if found.state == "Dead" && committed.is_empty() {
        return Err(Error::broker(format!("group {group}"), ErrorCode::GroupIdNotFound.code(), None).into());
    }
    let owners = owners(&found);
    let all: BTreeSet<TopicPartition> = committed.keys().chain(owners.keys().copied()).cloned().collect();
    let wanted = all.iter().map(|tp| (tp.clone(), OffsetSpec::Latest)).collect();
    let ends = admin.list_offsets(&wanted).await?;
    let partition = |tp: &TopicPartition| {
        let committed_offset = committed.get(tp).map(|o| o.offset);
        let end_offset = ends.get(tp).and_then(|o| o.as_ref().ok()).map(|o| o.offset);
        let owner = owners.get(tp);
        Partition {
            topic: tp.topic.to_string(),
            partition: tp.partition,
            committed_offset,
            end_offset,
            lag: committed_offset.zip(end_offset).map(|(committed, end)| (end - committed).max(0)),
            member_id: owner.map(|m| m.id.clone()),
            client_id: owner.map(|m| m.client_id.clone()),
            host: owner.map(|m| m.client_host.clone()),
        }
    };
    let partitions: Vec<Partition> = all.iter().map(partition).collect();
    Ok(Described {
        group: found.id.clone(),
        state: found.state.clone(),
        assignor: found.protocol.clone(),
        members: found.members.len(),
        total_lag: partitions.iter().filter_map(|p| p.lag).sum(),
        partitions,
    })
}

fn owners(group: &DescribedGroup) -> BTreeMap<&TopicPartition, &DescribedMember> {
    group.members.iter().flat_map(|m| m.assigned.iter().map(move |tp| (tp, m))).collect()
}

fn table(d: &Described) -> Table {
    let assignor = if d.assignor.is_empty() { String::new() } else { format!(", assignor {}", d.assignor) };
    let title =
        format!("group {}, {}, {} members{assignor}, {} records behind", d.group, d.state, d.members, d.total_lag);
    let head = ["TOPIC", "PARTITION", "COMMITTED", "END", "LAG", "MEMBER", "HOST", "CLIENT"];
    let mut table = Table::new(&head).titled(title);
    let number = |n: Option<i64>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
    let text = |s: &Option<String>| s.clone().unwrap_or("-".to_owned());
    for p in &d.partitions {
        let offsets = [number(p.committed_offset), number(p.end_offset), number(p.lag)];
        let place = [p.topic.clone(), p.partition.to_string()];
        table.row(place.into_iter().chain(offsets).chain([text(&p.member_id), text(&p.host), text(&p.client_id)]));
    }
    table
}
