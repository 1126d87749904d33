//! `cargo xtask differ FILE.sql…`: the same statements on tuskd and on PostgreSQL 18, and where their answers differ.
//!
//! Each file is a session of its own on both. `--record` writes PostgreSQL's answers beside the file (`FILE.out`), by
//! which tests check tuskd where there is no PostgreSQL, and the statements that tuskd answers otherwise
//! (`FILE.missing`): those tests fail if one of them is answered right and still listed.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use tuskd::protocol::client::transcript;

use crate::versus::client::{Came, Client};
use crate::versus::server::{Programs, Server, Workplace};

/// What to compare.
#[derive(clap::Args)]
pub struct Arguments {
    /// Files of statements; without any, those of tests/differ.
    files: Vec<PathBuf>,
    /// Write PostgreSQL's answers to FILE.out.
    #[arg(long)]
    record: bool,
    /// Take tuskd's debug build, which is built faster.
    #[arg(long)]
    debug: bool,
}

/// Compares.
pub fn run(arguments: &Arguments) -> Result<()> {
    let files = if arguments.files.is_empty() { all_files()? } else { arguments.files.clone() };
    let workplace = Workplace::new("differ")?;
    let postgres = Programs::postgres(&workplace)?;
    let tuskd = Programs::tuskd(&workplace, !arguments.debug)?;
    let settings = ["timezone=UTC"];
    let postgres = Server::start(&workplace, &postgres, "pg", &settings)?;
    let tuskd = Server::start(&workplace, &tuskd, "ours", &settings)?;
    let (mut statements, mut differing) = (0, 0);
    for file in files {
        let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let (theirs, ours) = (answers(&postgres, &text)?, answers(&tuskd, &text)?);
        statements += theirs.len();
        let mut missing = String::new();
        for (theirs, ours) in theirs.iter().zip(&ours) {
            if theirs != ours {
                differing += 1;
                missing.extend(theirs.split_inclusive('\n').filter(|line| line.starts_with("> ")));
                println!("{}:\n{theirs}  --- tuskd:\n{}", file.display(), behind_statement(ours));
            }
        }
        if arguments.record {
            fs::write(file.with_extension("out"), theirs.concat())?;
            fs::write(file.with_extension("missing"), missing)?;
        }
    }
    println!("differ: {statements} statements, {differing} answered differently");
    if differing > 0 && !arguments.record {
        bail!("{differing} of {statements} answers differ");
    }
    Ok(())
}

fn all_files() -> Result<Vec<PathBuf>> {
    let folder = crate::workspace::root().join("tests/differ");
    let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    let mut files: Vec<_> =
        paths.into_iter().filter(|path| path.extension().is_some_and(|e| e == "sql")).collect();
    files.sort();
    Ok(files)
}

/// Each statement and its answer. A session that the server ends is begun anew.
fn answers(server: &Server, file: &str) -> Result<Vec<String>> {
    let mut client = Client::of(server)?;
    let mut all = Vec::new();
    for statement in transcript::statements(file) {
        let mut answer = String::new();
        for line in statement.trim_end().lines() {
            writeln!(answer, "> {line}")?;
        }
        let mut lines = Vec::new();
        let came = client.transcribe(&statement, &mut lines)?;
        for line in lines {
            writeln!(answer, "  {line}")?;
        }
        if came == Came::Closed {
            writeln!(answer, "  closed")?;
            client = Client::of(server)?;
        }
        all.push(answer);
    }
    Ok(all)
}

fn behind_statement(answer: &str) -> String {
    answer.lines().filter(|line| !line.starts_with("> ")).map(|line| format!("{line}\n")).collect()
}
