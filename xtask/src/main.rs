//! Development commands of tuskd, run as `cargo xtask COMMAND`: reads the arguments, then makes one call.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

mod bench_report;
mod ci;
mod differ;
mod documents;
mod fuzz_protocol;
mod layout;
mod models;
mod perf;
mod scenario;
mod syscalls;
mod tidy;
mod torture;
mod versus;
mod workspace;

/// Development commands of tuskd.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything a change must pass: format, clippy, tidy, tests, models, docs, benches that build.
    Ci,
    /// Checks the rules that neither rustc nor clippy knows: layers, homes of unsafe code, dead files, links.
    Tidy,
    /// Power failures and kills, again and again.
    Torture {
        #[command(subcommand)]
        torture: torture::Torture,
    },
    /// Runs the library's unit tests under the model checkers loom and shuttle.
    Models {
        /// Explore only as much as a test run on every change can afford.
        #[arg(long)]
        bounded: bool,
        /// Only tests whose name contains this.
        filter: Option<String>,
    },
    /// Prints the map of the shared memory segment.
    Layout {
        /// Number of process slots the segment is laid out for.
        #[arg(long, default_value_t = 128)]
        max_processes: u32,
        /// Print a C header of the shared types instead.
        #[arg(long)]
        header: bool,
    },
    /// Prints what `cargo bench` measured: ratios to the references, targets, then absolute figures.
    BenchReport {
        /// A saved copy of an earlier `criterion` folder, to show each figure's change against it.
        #[arg(long, value_name = "DIR")]
        baseline_dir: Option<PathBuf>,
    },
    /// Profiles a bench or any command with perf: a flame graph, and the functions that took most time.
    Perf(perf::Arguments),
    /// Counts system calls per operation and process role, by strace.
    Syscalls {
        /// Scenarios to run; all of them when none is named.
        scenarios: Vec<String>,
    },
    /// Feeds changed streams to the wire codec's decoders; a seed repeats what failed.
    FuzzProtocol(fuzz_protocol::Arguments),
    /// Checks each fact of the source documents that is due so far against servers of its own.
    Documents {
        /// Only facts that contain this.
        filter: Option<String>,
    },
    /// Runs files of statements on tuskd and PostgreSQL 18 and shows where their answers differ.
    Differ(differ::Arguments),
    /// Measures tuskd beside PostgreSQL 18; ratios first.
    #[command(subcommand)]
    Versus(versus::Comparison),
    /// Runs one scenario COUNT times; `syscalls` starts this under strace.
    #[command(hide = true)]
    Scenario {
        /// Its name in the table of `scenario.rs`.
        name: String,
        /// How many operations to perform.
        count: u64,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Ci => ci::run(),
        Command::Tidy => tidy::run(),
        Command::Torture { torture } => torture::run(&torture),
        Command::Models { bounded, filter } => models::run(bounded, filter.as_deref()),
        Command::Layout { max_processes, header } => layout::run(max_processes, header),
        Command::BenchReport { baseline_dir } => bench_report::run(baseline_dir.as_deref()),
        Command::Perf(arguments) => perf::run(&arguments),
        Command::Syscalls { scenarios } => syscalls::run(&scenarios),
        Command::FuzzProtocol(arguments) => fuzz_protocol::run(&arguments),
        Command::Documents { filter } => documents::run(filter.as_deref()),
        Command::Differ(arguments) => differ::run(&arguments),
        Command::Versus(comparison) => versus::run(&comparison),
        Command::Scenario { name, count } => scenario::run(&name, count),
    }
}
