//! Command line of tuskd: makes one call.

use std::process::ExitCode;

fn main() -> ExitCode {
    tuskd::control::main(std::env::args_os())
}
