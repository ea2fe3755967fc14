//! `ottla topic create|list|describe|delete|alter`.

mod alter;
mod create;
mod delete;
mod describe;
mod list;

use std::process::ExitCode;

use clap::Subcommand;

/// A verb about topics.
#[derive(Debug, Subcommand)]
pub(crate) enum TopicCommand {
    /// Create topics
    Create(create::CreateArgs),
    /// List topics
    List(list::ListArgs),
    /// Show partitions, replicas, offsets and properties of topics
    Describe(describe::DescribeArgs),
    /// Delete topics with all their records
    Delete(delete::DeleteArgs),
    /// Add partitions to a topic, or change its properties
    Alter(alter::AlterArgs),
}

pub(crate) async fn run(command: TopicCommand) -> anyhow::Result<ExitCode> {
    match command {
        TopicCommand::Create(args) => create::run(args).await,
        TopicCommand::List(args) => list::run(args).await,
        TopicCommand::Describe(args) => describe::run(args).await,
        TopicCommand::Delete(args) => delete::run(args).await,
        TopicCommand::Alter(args) => alter::run(args).await,
    }
}
