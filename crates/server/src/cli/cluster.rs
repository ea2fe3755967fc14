//! `ottla cluster describe`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::connect::ConnectArgs;
use crate::output::{OutputArgs, Table};

/// A verb about the cluster.
#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Show the cluster id and the brokers
    Describe(DescribeArgs),
}

/// Flags of `describe`.
#[derive(Debug, Args)]
pub(crate) struct DescribeArgs {
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Serialize)]
struct Cluster {
    cluster_id: String,
    controller_id: i32,
    brokers: Vec<Broker>,
}

#[derive(Serialize)]
struct Broker {
    id: i32,
    address: String,
    rack: Option<String>,
    fenced: bool,
}

pub(crate) async fn run(command: ClusterCommand) -> anyhow::Result<ExitCode> {
    let ClusterCommand::Describe(args) = command;
    let found = args.connect.admin().await?.describe_cluster().await?;
    let brokers = found.brokers.into_iter().map(|b| Broker {
        id: b.id,
        address: b.address.to_string(),
        rack: b.rack,
        fenced: b.is_fenced,
    });
    let cluster =
        Cluster { cluster_id: found.cluster_id, controller_id: found.controller_id, brokers: brokers.collect() };
    args.output.show(&cluster, || {
        let title =
            format!("cluster {}, requests for the controller go to {}", cluster.cluster_id, cluster.controller_id);
        let mut table = Table::new(&["BROKER", "ADDRESS", "RACK", "STATE"]).titled(title);
        for b in &cluster.brokers {
            let state = if b.fenced { "fenced" } else { "active" };
            table.row([b.id.to_string(), b.address.clone(), b.rack.clone().unwrap_or("-".into()), state.to_owned()]);
        }
        vec![table]
    })?;
    Ok(ExitCode::SUCCESS)
}
