//! `ottla topic list`.

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use crate::cli::connect::ConnectArgs;
use crate::output::{OutputArgs, Table};

/// Flags of `list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Show internal topics too
    #[arg(long)]
    internal: bool,
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Serialize)]
struct Listed {
    name: String,
    topic_id: String,
    partitions: usize,
    replication_factor: usize,
    internal: bool,
}

pub(super) async fn run(args: ListArgs) -> anyhow::Result<ExitCode> {
    let topics = args.connect.admin().await?.list_topics().await?;
    let listed: Vec<Listed> = topics
        .iter()
        .filter(|t| args.internal || !t.is_internal)
        .map(|t| Listed {
            name: t.name.to_string(),
            topic_id: t.id.to_string(),
            partitions: t.partitions.len(),
            replication_factor: t.partitions.iter().map(|p| p.replicas.len()).max().unwrap_or(0),
            internal: t.is_internal,
        })
        .collect();
    args.output.show(&listed, || {
        let mut table = Table::new(&["TOPIC", "PARTITIONS", "REPLICATION FACTOR"]);
        for t in &listed {
            table.row([t.name.clone(), t.partitions.to_string(), t.replication_factor.to_string()]);
        }
        vec![table]
    })?;
    Ok(ExitCode::SUCCESS)
}
