//! `ottla group list|describe|delete|reset-offsets`.

mod delete;
mod describe;
mod list;
mod reset_offsets;

use std::process::ExitCode;

use clap::Subcommand;

/// A verb about groups.
#[derive(Debug, Subcommand)]
pub(crate) enum GroupCommand {
    /// List groups
    List(list::ListArgs),
    /// Show the members of groups, their offsets and how far they are behind
    Describe(describe::DescribeArgs),
    /// Delete groups without members, with their offsets
    Delete(delete::DeleteArgs),
    /// Move the offsets of a group without members; only shows what it would do without --execute
    ResetOffsets(reset_offsets::ResetOffsetsArgs),
}

pub(crate) async fn run(command: GroupCommand) -> anyhow::Result<ExitCode> {
    match command {
        GroupCommand::List(args) => list::run(args).await,
        GroupCommand::Describe(args) => describe::run(args).await,
        GroupCommand::Delete(args) => delete::run(args).await,
        GroupCommand::ResetOffsets(args) => reset_offsets::run(args).await,
    }
}
