//! `cargo xtask versus`: PostgreSQL 18 beside tuskd, both started here, measured in alternation; ratios come first.

pub mod client;
mod connect;
mod load;
mod redo;
pub mod server;

use std::path::PathBuf;

use anyhow::Result;

/// What to compare.
#[derive(clap::Subcommand)]
pub enum Comparison {
    /// New connections per second, memory of idle sessions, round trips of one busy session.
    Connect {
        /// How long each single measurement takes.
        #[arg(long, default_value_t = 2)]
        seconds: u64,
        /// Measurements of each figure; the table has their medians.
        #[arg(long, default_value_t = 5)]
        rounds: usize,
    },
    /// Recovery from the death of all processes, of simple updates of two million rows.
    Redo {
        /// How many transactions each has to recover.
        #[arg(long, default_value_t = 300_000)]
        transactions: u64,
        /// Recoveries of each; the table has their medians.
        #[arg(long, default_value_t = 5)]
        rounds: usize,
    },
    /// One client process of a measurement; prints how many operations it made.
    #[command(hide = true)]
    Load {
        /// Path of the server's Unix socket.
        socket: PathBuf,
        /// What to do over and over.
        operation: load::Operation,
        /// For how long.
        seconds: u64,
    },
}

/// Runs it.
pub fn run(comparison: &Comparison) -> Result<()> {
    match comparison {
        Comparison::Connect { seconds, rounds } => connect::run(*seconds, (*rounds).max(1)),
        Comparison::Redo { transactions, rounds } => redo::run(*transactions, (*rounds).max(1)),
        Comparison::Load { socket, operation, seconds } => load::run(socket, *operation, *seconds),
    }
}
