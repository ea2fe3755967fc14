//! `ottla log dump|info|verify`: what lies in the files of a log directory, and whether it is sound. Reads files, not brokers.

mod dump;
mod info;
mod verify;

use std::process::ExitCode;

use clap::Subcommand;

/// A verb about the files of logs.
#[derive(Debug, Subcommand)]
pub(crate) enum LogCommand {
    /// Print what files of a log hold, as Kafka's kafka-dump-log does
    Dump(dump::DumpArgs),
    /// Show a log directory or a partition at a glance: segments, sizes, times, offsets, what is compacted
    Info(info::InfoArgs),
    /// Read everything in a log directory and say what is wrong, where, and what to do about it
    Verify(verify::VerifyArgs),
}

/// Runs the verb.
pub(crate) fn run(command: &LogCommand) -> anyhow::Result<ExitCode> {
    match command {
        LogCommand::Dump(args) => dump::run(args),
        LogCommand::Info(args) => info::run(args),
        LogCommand::Verify(args) => verify::run(args),
    }
}
