//! `ottla log dump`: what lies in the files of a log directory. Reads files, not brokers.

mod dump;

use std::process::ExitCode;

use clap::Subcommand;

/// A verb about the files of logs.
#[derive(Debug, Subcommand)]
pub(crate) enum LogCommand {
    /// Print what files of a log hold, as Kafka's kafka-dump-log does
    Dump(dump::DumpArgs),
}

/// Runs the verb.
pub(crate) fn run(command: &LogCommand) -> anyhow::Result<ExitCode> {
    match command {
        LogCommand::Dump(args) => dump::run(args),
    }
}
