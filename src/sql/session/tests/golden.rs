//! Statements and what PostgreSQL 18 answers to them, line by line.
//!
//! The `.out` files beside this one hold, behind each `> statement`, its answer: columns with their types' OIDs and
//! typmods, rows, command tags, errors with SQLSTATE, message and position (`@`), notices before the tag, and
//! ReadyForQuery's byte. They were written by a PostgreSQL 18.4 with `timezone = UTC`. Where tuskd answers something
//! else on purpose, a line `# tuskd: why` stands above the statement, and the answer is tuskd's.

use crate::sql::session::Session;

use super::mock::{MockHost, Transcript, report_lines};

/// What a session answers to a query string.
fn answer(session: &mut Session, host: &mut MockHost, statement: &str) -> Vec<String> {
    let mut transcript = Transcript::default();
    let result = session.simple_query(host, statement, &mut transcript);
    let mut lines = transcript.lines;
    // Notices are sent as they come, which is before the tag of the statement that gives them.
    let notices: Vec<String> = host.notices.drain(..).flat_map(|notice| report_lines(&notice)).collect();
    let at = lines.len() - usize::from(!lines.is_empty() && result.is_ok());
    lines.splice(at..at, notices);
    if let Err(report) = result {
        lines.extend(report_lines(&report));
    }
    lines.push(format!("ready {}", char::from(session.status())));
    lines
}

fn check(file: &str) {
    let mut session = Session::new();
    let mut host = MockHost::new();
    let mut made = String::new();
    for line in file.lines() {
        if let Some(statement) = line.strip_prefix("> ") {
            made.push_str(&format!("{line}\n"));
            for line in answer(&mut session, &mut host, statement) {
                made.push_str(&format!("  {line}\n"));
            }
        } else if !line.starts_with("  ") {
            made.push_str(&format!("{line}\n"));
        }
    }
    if made != file {
        let wrong = difference(file, &made);
        panic!("answers differ from PostgreSQL's:\n{wrong}");
    }
}

/// The statements whose answers differ, with both answers.
fn difference(expected: &str, made: &str) -> String {
    let blocks = |text: &str| -> Vec<String> { text.split("\n> ").map(str::to_owned).collect() };
    let pairs = blocks(expected).into_iter().zip(blocks(made));
    let differing = pairs.filter(|(a, b)| a.trim_end() != b.trim_end());
    differing
        .map(|(a, b)| format!("> {a}\n  --- but was:\n{}\n", b.split_once('\n').map_or("", |x| x.1)))
        .collect()
}

#[test]
fn expressions() {
    check(include_str!("expressions.out"));
}

#[test]
fn queries() {
    check(include_str!("queries.out"));
}

#[test]
fn statements() {
    check(include_str!("statements.out"));
}
