//! `ottla topic alter`.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Args;
use ottla_client::admin::{ConfigChange, ConfigResource};
use serde::Serialize;

use crate::cli::connect::{ConnectArgs, key_value};
use crate::output::OutputArgs;

/// Flags of `alter`.
#[derive(Debug, Args)]
#[group(id = "change", required = true, multiple = true, args = ["partitions", "set", "unset"])]
pub(crate) struct AlterArgs {
    /// Name
    topic: String,
    /// The new total of partitions, more than now; keys go to other partitions afterwards
    #[arg(long, short = 'p')]
    partitions: Option<i32>,
    /// Set a property; may be given again
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    set: Vec<(String, String)>,
    /// Set a property back to its default; may be given again
    #[arg(long, value_name = "KEY")]
    unset: Vec<String>,
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Serialize)]
struct Altered<'a> {
    name: &'a str,
    partitions: Option<i32>,
    set: BTreeMap<&'a str, &'a str>,
    unset: &'a [String],
}

pub(super) async fn run(args: AlterArgs) -> anyhow::Result<ExitCode> {
    let admin = args.connect.admin().await?;
    let set = args.set.iter().map(|(key, value)| (key.clone(), ConfigChange::Set(value.clone())));
    let unset = args.unset.iter().map(|key| (key.clone(), ConfigChange::Delete));
    let changes: Vec<(String, ConfigChange)> = set.chain(unset).collect();
    if !changes.is_empty() {
        admin.alter_configs(&ConfigResource::Topic(args.topic.clone()), &changes, false).await?;
    }
    if let Some(total) = args.partitions {
        for outcome in admin.create_partitions(&BTreeMap::from([(args.topic.clone(), total)])).await?.into_values() {
            outcome?;
        }
    }
    let altered = Altered {
        name: &args.topic,
        partitions: args.partitions,
        set: args.set.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect(),
        unset: &args.unset,
    };
    args.output.done(&altered, &format!("altered topic {}", args.topic))?;
    Ok(ExitCode::SUCCESS)
}
