//! `ottla log dump|verify`: what lies in the files of a log directory, and whether it is sound. Reads files, not brokers.

mod dump;
mod verify;

use std::process::ExitCode;

use clap::Subcommand;

/// A verb about the files of logs.
#[derive(Debug, Subcommand)]
pub(crate) enum LogCommand {
    /// Print what files of a log hold, as Kafka's kafka-dump-log does
    Dump(dump::DumpArgs),
    /// Read everything in a log directory and say what is wrong, where, and what to do about it
    Verify(verify::VerifyArgs),
}

/// Runs the verb.
pub(crate) fn run(command: &LogCommand) -> anyhow::Result<ExitCode> {
    match command {
        LogCommand::Dump(args) => dump::run(args),
        LogCommand::Verify(args) => verify::run(args),
    }
}
