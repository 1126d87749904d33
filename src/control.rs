//! The command line: what this program does under which name, and with which arguments.
//!
//! Called as `tuskd` it has commands; called as `postgres`, `postmaster`, `pg_ctl`, `initdb`, `pg_isready`,
//! `pg_controldata` or `pg_checksums` (links that `tuskd install-links` makes) it takes that program's arguments and answers with its words and exit codes, since
//! scripts, packages and test suites look at both.
//!
//! Architecture invariant: nothing below uses this; a server can be run without it by `postmaster::run`.

mod checksums;
mod controldata;
mod ctl;
mod data_directory;
mod doctor;
mod getopt;
mod help;
pub mod init;
mod instance;
mod isready;
mod links;
mod pid_file;
mod program;
mod server;
mod top;
mod user;
mod waldump;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use crate::process::Kind;
use ctl::Spelling;
use program::{Failure, Outcome, Program, Style, complain, say};

/// What a slot's `kind` says.
pub fn kind_name(kind: u32) -> Option<&'static str> {
    Kind::from_number(kind).map(|kind| kind.info().backend_type)
}

/// Does what the command line asks; `args` begins with the program's name.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut words = Vec::new();
    for arg in args {
        match arg.into_string() {
            Ok(word) => words.push(word),
            Err(arg) => {
                complain(&format!("tuskd: argument {arg:?} is not valid UTF-8\n"));
                return ExitCode::FAILURE;
            }
        }
    }
    let argv0 = if words.is_empty() { "tuskd".to_owned() } else { words.remove(0) };
    let name = Path::new(&argv0).file_name().map(|name| name.to_string_lossy().into_owned());
    let program = |name, style| Program::new(&argv0, name, name, style);
    match name.as_deref() {
        Some("postgres") => server::main(&program("postgres", Style::Plain), &words),
        Some("postmaster") => server::main(&program("postmaster", Style::Plain), &words),
        Some("pg_ctl") => {
            let program = program("pg_ctl", Style::Plain);
            program.finish(ctl::main(&program, &words, Spelling::PgCtl))
        }
        Some("initdb") => {
            let program = program("initdb", Style::Tagged);
            program.finish(init::main(&program, &words, None))
        }
        Some("pg_isready") => {
            let program = program("pg_isready", Style::Tagged);
            program.finish(isready::main(&program, &words))
        }
        Some("pg_controldata") => {
            let program = program("pg_controldata", Style::Tagged);
            program.finish(controldata::main(&program, &words, None))
        }
        Some("pg_checksums") => {
            let program = program("pg_checksums", Style::Tagged);
            program.finish(checksums::main(&program, &words, None))
        }
        _ => tuskd(&argv0, &words),
    }
}

/// `tuskd COMMAND …`.
fn tuskd(argv0: &str, words: &[String]) -> ExitCode {
    let program = |command, style| Program::new(argv0, "tuskd", command, style);
    let tagged = |command| program(command, Style::Tagged);
    let rest = words.get(1..).unwrap_or_default();
    let Some(command) = words.first() else {
        complain(&help::tuskd());
        return ExitCode::FAILURE;
    };
    let (program, outcome): (Program, Outcome) = match command.as_str() {
        "run" => return server::run(&tagged("tuskd run"), rest),
        "init" => {
            let program = tagged("tuskd init");
            let outcome = init::main(&program, rest, Some(data_directory::DEFAULT));
            (program, outcome)
        }
        "start" | "stop" | "restart" | "reload" | "status" | "promote" | "logrotate" | "kill" => {
            let program = program("tuskd", Style::Plain);
            let outcome = ctl::main(&program, words, Spelling::Tuskd);
            (program, outcome)
        }
        "isready" => {
            let program = tagged("tuskd isready");
            let outcome = isready::main(&program, rest);
            (program, outcome)
        }
        "top" => (tagged("tuskd top"), top::main(rest, kind_name)),
        "doctor" => (tagged("tuskd doctor"), doctor::main(rest)),
        "waldump" => (tagged("tuskd waldump"), waldump::main(rest, &crate::access::describe::rmgrs())),
        "controldata" => {
            let program = tagged("tuskd controldata");
            let outcome = controldata::main(&program, rest, Some(data_directory::DEFAULT));
            (program, outcome)
        }
        "checksums" => {
            let program = tagged("tuskd checksums");
            let outcome = checksums::main(&program, rest, Some(data_directory::DEFAULT));
            (program, outcome)
        }
        "install-links" => (tagged("tuskd install-links"), links::main(rest)),
        "demo" => (tagged("tuskd"), demo()),
        "--help" | "-?" | "-h" | "help" => {
            say(&help::tuskd());
            return ExitCode::SUCCESS;
        }
        "--version" | "-V" | "version" => {
            say(&help::version("tuskd"));
            return ExitCode::SUCCESS;
        }
        "single" => (tagged("tuskd"), Err(Failure::new("single-user mode is not supported"))),
        other => (tagged("tuskd"), Err(Failure::usage(format!("unrecognized command \"{other}\"")))),
    };
    program.finish(outcome)
}

fn demo() -> Outcome {
    crate::demo::run().map(|()| 0).map_err(|error| Failure::new(error.to_string()))
}
