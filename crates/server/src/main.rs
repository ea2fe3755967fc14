//! The one binary: a node of the cluster, and the tools for it.
//!
//! ```text
//!   main ──┬── logging      what is told on stderr, and how
//!          └── cli          one file per verb
//!               ├── serve   `ottla server`: a node, from its settings to its stop
//!               └── output  of the tools: tables, JSON, YAML, colours, questions
//! ```
//!
//! Exit codes are in [`exit`].

mod cli;
mod exit;
mod logging;
mod output;
mod serve;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A streaming platform that speaks Apache Kafka's protocol.
#[derive(Debug, Parser)]
#[command(name = "ottla", version, about, after_long_help = exit::HELP, disable_help_subcommand = true)]
pub(crate) struct Ottla {
    #[command(flatten)]
    logging: logging::LoggingArgs,
    #[command(subcommand)]
    command: cli::Command,
}

fn main() -> ExitCode {
    ottla_env::process::refuse_huge_pages();
    let ottla = Ottla::parse();
    if let Err(e) = logging::start(&ottla.logging, ottla.command.default_log_level()) {
        output::error(&e, None);
        return ExitCode::from(exit::USAGE);
    }
    exit::code_of(ottla.command.run())
}
