//! `ottla group delete`.

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use crate::cli::connect::ConnectArgs;
use crate::output::{OutputArgs, confirm};

/// Flags of `delete`.
#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    /// Groups
    #[arg(required = true, value_name = "GROUP")]
    groups: Vec<String>,
    /// Do not ask
    #[arg(long, short = 'y')]
    yes: bool,
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Serialize)]
struct Deleted<'a> {
    group: &'a str,
    deleted: bool,
}

pub(super) async fn run(args: DeleteArgs) -> anyhow::Result<ExitCode> {
    let admin = args.connect.admin().await?;
    confirm(&format!("Delete {} with all committed offsets?", args.groups.join(", ")), args.yes)?;
    for group in &args.groups {
        admin.delete_group(group).await?;
        args.output.done(&Deleted { group, deleted: true }, &format!("deleted group {group}"))?;
    }
    Ok(ExitCode::SUCCESS)
}
