//! Files of statements, and what PostgreSQL 18 answers to them (`tests/differ/`, written by `cargo xtask differ --record`).

use std::fs;
use std::path::PathBuf;

use tuskd::protocol::client::transcript;

use super::client::Client;
use super::limits::owner;
use crate::harness::{Test, tests};
use crate::server::TestServer;

/// The tests of this module.
pub const TESTS: &[Test] = tests![answers_are_postgresqls];

/// Statements that are known to be answered otherwise stand in `FILE.missing`. One that is answered right and still stands
/// there fails too, so that the list stays true.
fn answers_are_postgresqls() {
    let server = TestServer::start("timezone = 'UTC'\n");
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/differ");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .expect("there are files")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    let mut wrong = String::new();
    for file in files {
        let read = |extension: &str| fs::read_to_string(file.with_extension(extension)).expect("recorded");
        let (expected, missing) = (read("out"), read("missing"));
        let mut client = Client::session(&server, &owner());
        let mut rest = expected.as_str();
        for statement in transcript::statements(&read("sql")) {
            let shown: String = statement.trim_end().lines().map(|line| format!("> {line}\n")).collect();
            let answer = client.transcript(&statement);
            let behind =
                rest.strip_prefix(&shown).expect("FILE.out is of an older FILE.sql: record it again");
            let end = behind.find("\n> ").map_or(behind.len(), |end| end + 1);
            let is_right = behind[..end] == answer;
            rest = &behind[end..];
            match (is_right, missing.contains(&shown)) {
                (true, true) => wrong += &format!("{shown}  is answered right and stands in FILE.missing\n"),
                (false, false) => wrong += &format!("{shown}{answer}"),
                _ => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
