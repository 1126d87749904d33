//! Stand-in for the postmaster: the shape of its entry point, until the server itself is merged.

use std::path::PathBuf;
use std::process::ExitCode;

/// What a server is started with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// The data directory.
    pub data_dir: PathBuf,
    /// Settings of the command line, in order.
    pub settings: Vec<(String, String)>,
    /// Whether somebody sits at the terminal and wants to be told.
    pub foreground_messages: bool,
}

/// Runs the server in this process until it is shut down.
pub fn run(options: Options) -> ExitCode {
    eprintln!("tuskd: the server for \"{}\" is not part of this build", options.data_dir.display());
    ExitCode::FAILURE
}
