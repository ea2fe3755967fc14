//! The verbs of `ottla`, one file each. All but `server`, `storage` and `log` are clients like any other: they work with every
//! Kafka cluster.

pub(crate) mod advice;
mod cluster;
mod completions;
mod connect;
mod consume;
mod group;
mod log;
mod produce;
mod record_format;
mod storage;
mod topic;

use std::process::ExitCode;

use clap::Subcommand;
use ottla_env::task::Runtime;

use crate::serve;

/// Threads of a tool: one talks to brokers, one reads or writes.
const TOOL_THREADS: usize = 2;

/// A verb.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a node
    Server(serve::ServerArgs),
    /// Format log directories, show what they are, make an id
    Storage(storage::StorageArgs),
    /// Create, list, describe, delete and alter topics
    #[command(subcommand)]
    Topic(topic::TopicCommand),
    /// Write records: one for each line of standard input
    Produce(produce::ProduceArgs),
    /// Read records of topics
    Consume(consume::ConsumeArgs),
    /// List, describe and delete consumer groups, reset their offsets
    #[command(subcommand)]
    Group(group::GroupCommand),
    /// Describe the cluster
    #[command(subcommand)]
    Cluster(cluster::ClusterCommand),
    /// Look into the files of logs
    #[command(subcommand)]
    Log(log::LogCommand),
    /// Print the completions of a shell
    Completions(completions::CompletionsArgs),
}

impl Command {
    /// A node tells what it does; tools are silent unless something is wrong.
    pub(crate) fn default_log_level(&self) -> &'static str {
        if matches!(self, Self::Server(_)) { "info" } else { "warn" }
    }

    /// Runs it.
    ///
    /// # Errors
    /// Whatever went wrong; [`crate::exit`] tells it.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let tool = |work: std::pin::Pin<Box<dyn Future<Output = anyhow::Result<ExitCode>>>>| {
            Runtime::new(TOOL_THREADS)?.block_on(work)
        };
        match self {
            Self::Server(args) => serve::run(&args),
            Self::Storage(args) => storage::run(&args).map(|()| ExitCode::SUCCESS),
            Self::Log(command) => log::run(&command),
            Self::Topic(command) => tool(Box::pin(topic::run(command))),
            Self::Produce(args) => tool(Box::pin(produce::run(args))),
            Self::Consume(args) => tool(Box::pin(consume::run(args))),
            Self::Group(command) => tool(Box::pin(group::run(command))),
            Self::Cluster(command) => tool(Box::pin(cluster::run(command))),
            Self::Completions(args) => completions::run(&args),
        }
    }
}
