//! The `kalamdb` command.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use kalamdb_server::cli::{ExportArgs, ImportArgs, SqlArgs};
use kalamdb_server::config::ServeArgs;
use kalamdb_server::{cli, serve};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A SQL-first, real-time table store that speaks Arrow end to end.
#[derive(Parser)]
#[command(name = "kalamdb", version, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Starts the server
    Serve(Box<ServeArgs>),
    /// Runs SQL against a server: a shell, or one text with -c
    Sql(SqlArgs),
    Import(Box<ImportArgs>),
    Export(Box<ExportArgs>),
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Serve(arguments) => report(serve::run(&arguments)),
        Command::Sql(arguments) => run_client(cli::run(arguments)),
        Command::Import(arguments) => run_client(cli::import::run(*arguments)),
        Command::Export(arguments) => run_client(cli::export::run(*arguments)),
    }
}

fn run_client(client: impl Future<Output = ExitCode>) -> ExitCode {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(client),
        Err(error) => report(Err(error.into())),
    }
}

fn report(outcome: anyhow::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kalamdb: {}", told(&error));
            ExitCode::FAILURE
        }
    }
}

/// What went wrong, every cause once: many errors repeat their cause in their own words.
fn told(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.contains(&cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause);
    }
    text
}
