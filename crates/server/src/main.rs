//! `ottla`: the one binary.

mod serve;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Debug, Parser)]
#[command(name = "ottla", version, about)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Runs a node
    Server(serve::ServerArgs),
}

fn main() -> ExitCode {
    tracing_subscriber::fmt().init();
    match Cli::parse().verb {
        Verb::Server(args) => serve::run(&args).unwrap_or_else(|error| {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }),
    }
}
