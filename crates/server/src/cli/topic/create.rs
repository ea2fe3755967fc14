//! `ottla topic create`.

use std::process::ExitCode;

use clap::Args;
use ottla_client::admin::NewTopic;
use ottla_protocol::ErrorCode;
use serde::Serialize;

use crate::cli::connect::{ConnectArgs, key_value};
use crate::output::OutputArgs;

/// Flags of `create`.
#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// Names
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
    /// Number of partitions [default: the broker's num.partitions]
    #[arg(long, short = 'p')]
    partitions: Option<i32>,
    /// Replicas of each partition [default: the broker's default.replication.factor]
    #[arg(long, short = 'r')]
    replication_factor: Option<i16>,
    /// A property of the topics; may be given again
    #[arg(long = "config", short = 'c', value_name = "KEY=VALUE", value_parser = key_value)]
    configs: Vec<(String, String)>,
    /// Do nothing about topics that exist
    #[arg(long)]
    if_not_exists: bool,
    /// Only say whether it would succeed
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Serialize)]
struct Created {
    name: String,
    topic_id: Option<String>,
    partitions: Option<i32>,
    replication_factor: Option<i16>,
    created: bool,
}

pub(super) async fn run(args: CreateArgs) -> anyhow::Result<ExitCode> {
    let new = |name: &String| NewTopic {
        name: name.clone(),
        partitions: args.partitions,
        replication_factor: args.replication_factor,
        configs: args.configs.iter().cloned().collect(),
        ..NewTopic::default()
    };
    let topics: Vec<NewTopic> = args.topics.iter().map(new).collect();
    let outcomes = args.connect.admin().await?.create_topics(&topics, args.dry_run).await?;
    let mut first_error = None;
    for (name, outcome) in outcomes {
        match outcome {
            Ok(t) => {
                let created = Created {
                    topic_id: (!t.id.is_zero()).then(|| t.id.to_string()),
                    partitions: (t.partitions >= 0).then_some(t.partitions),
                    replication_factor: (t.replication_factor >= 0).then_some(t.replication_factor),
                    created: !args.dry_run,
                    name,
                };
                let did = if args.dry_run { "could create" } else { "created" };
                let size = match (created.partitions, created.replication_factor) {
                    (Some(p), Some(r)) => format!(" with {p} partitions, replication factor {r}"),
                    _ => String::new(),
                };
                let sentence = format!("{did} topic {}{size}", created.name);
                args.output.done(&created, &sentence)?;
            }
            Err(e) if args.if_not_exists && e.code() == Some(ErrorCode::TopicAlreadyExists) => {
                let sentence = format!("topic {name} exists already");
                let (partitions, replication_factor) = (None, None);
                let there = Created { name, topic_id: None, partitions, replication_factor, created: false };
                args.output.done(&there, &sentence)?;
            }
            Err(e) => drop(first_error.get_or_insert(e)),
        }
    }
    match first_error {
        Some(e) => Err(e.into()),
        None => Ok(ExitCode::SUCCESS),
    }
}
