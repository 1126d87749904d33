//! Command line of tuskd: reads the arguments, then makes one call.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A PostgreSQL-compatible database server whose process runtime is built for Linux.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Forks a few processes over shared memory and prints how long they take to wake each other.
    Demo,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Demo => tuskd::demo::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tuskd: {error}");
            ExitCode::FAILURE
        }
    }
}
