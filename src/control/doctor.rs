//! `tuskd doctor`: what makes this machine slow or dangerous for a server, what each finding costs, and the exact command
//! that mends it.
//!
//! It changes nothing but for a scratch file in the data directory's file system, which it takes away again, and needs
//! neither a server nor root; what it may not read it leaves out.

mod cpu;
mod disk;
mod kernel;
mod limits;
mod memory;
mod report;

use std::path::{Path, PathBuf};

use super::data_directory;
use super::getopt::{self, Opt, flag, long_flag, value};
use super::help;
use super::program::{Failure, Outcome, say};
use report::{Check, Verdict};

const OPTIONS: &[Opt] = &[value('D', "pgdata"), long_flag("json"), flag('?', "help")];

/// The command. Fails (exit code 1) only if something is bad.
pub fn main(args: &[String]) -> Outcome {
    let parsed = getopt::parse(OPTIONS, false, args).map_err(Failure::getopt)?;
    if parsed.has("help") {
        say(&help::tuskd());
        return Ok(0);
    }
    if let Some(operand) = parsed.operands.first() {
        return Err(Failure::usage(format!("too many command-line arguments (first is \"{operand}\")")));
    }
    let data_dir = data_directory::named(parsed.last("pgdata"), Some(data_directory::DEFAULT))
        .unwrap_or_else(|| PathBuf::from(data_directory::DEFAULT));
    let checks = examine(&data_directory::absolute(&data_dir));
    say(&if parsed.has("json") { report::json(&checks) } else { report::text(&checks) });
    Ok(u8::from(report::worst(&checks) == Verdict::Bad))
}

fn examine(data_dir: &Path) -> Vec<Check> {
    let needed = memory::needed_bytes(data_dir);
    let mut checks = kernel::checks();
    checks.extend(cpu::checks());
    checks.extend(memory::checks(data_dir, needed));
    checks.extend(limits::checks());
    checks.extend(disk::checks(data_dir));
    checks
}
