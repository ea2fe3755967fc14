//! `ottla group list`.

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use crate::cli::connect::ConnectArgs;
use crate::output::{OutputArgs, Table};

/// Flags of `list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Serialize)]
struct Listed {
    group: String,
    state: String,
    #[serde(rename = "type")]
    group_type: String,
    protocol_type: String,
}

pub(super) async fn run(args: ListArgs) -> anyhow::Result<ExitCode> {
    let groups = args.connect.admin().await?.list_groups().await?;
    let listed: Vec<Listed> = groups
        .into_iter()
        .map(|g| Listed { group: g.id, state: g.state, group_type: g.group_type, protocol_type: g.protocol_type })
        .collect();
    args.output.show(&listed, || {
        let mut table = Table::new(&["GROUP", "STATE", "TYPE", "PROTOCOL TYPE"]);
        let known = |s: &String| if s.is_empty() { "-".to_owned() } else { s.clone() };
        for g in &listed {
            table.row([g.group.clone(), known(&g.state), known(&g.group_type), known(&g.protocol_type)]);
        }
        vec![table]
    })?;
    Ok(ExitCode::SUCCESS)
}
