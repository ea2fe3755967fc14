//! `ottla topic delete`.

use std::process::ExitCode;

use clap::Args;
use ottla_protocol::ErrorCode;
use serde::Serialize;

use crate::cli::connect::ConnectArgs;
use crate::output::{OutputArgs, confirm};

/// Flags of `delete`.
#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    /// Names
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
    /// Do nothing about topics that do not exist
    #[arg(long)]
    if_exists: bool,
    /// Do not ask
    #[arg(long, short = 'y')]
    yes: bool,
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Serialize)]
struct Deleted {
    name: String,
    deleted: bool,
}

pub(super) async fn run(args: DeleteArgs) -> anyhow::Result<ExitCode> {
    let admin = args.connect.admin().await?;
    confirm(&format!("Delete {} with all records?", args.topics.join(", ")), args.yes)?;
    let mut first_error = None;
    for (name, outcome) in admin.delete_topics(&args.topics).await? {
        match outcome {
            Ok(()) => {
                let sentence = format!("deleted topic {name}");
                args.output.done(&Deleted { name, deleted: true }, &sentence)?;
            }
            Err(e) if args.if_exists && e.code() == Some(ErrorCode::UnknownTopicOrPartition) => {
                let sentence = format!("there is no topic {name}");
                args.output.done(&Deleted { name, deleted: false }, &sentence)?;
            }
            Err(e) => drop(first_error.get_or_insert(e)),
        }
    }
    match first_error {
        Some(e) => Err(e.into()),
        None => Ok(ExitCode::SUCCESS),
    }
}
