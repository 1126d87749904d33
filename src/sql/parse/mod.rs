//! From a query string to trees: a lexer and a grammar read top down, both PostgreSQL's.
//!
//! [`lexer`] cuts the text, [`parser`] walks over the pieces, and each other file knows one part of the grammar. Trees say
//! what is written and where; what it means, `analyze` finds out.

mod alter;
mod calls;
mod change;
mod constraints;
mod create;
mod definition_parts;
mod from;
pub mod keywords;
mod lexer;
mod maintenance;
mod operators;
mod parser;
mod primary;
mod query;
mod roles;
pub mod source;
pub mod statement;
mod strings;
#[cfg(test)]
mod tests;
pub mod tree;
pub mod tree_ddl;
mod types;
mod utility;
mod utility_set;

use std::sync::Arc;

use crate::report::{Report, Result, SqlState};

use parser::Parser;
pub use source::Source;
pub use statement::{Planned, Statement, Utility};

/// One statement of a query string.
#[derive(Debug)]
pub struct Parsed {
    /// What it says.
    pub statement: Statement,
    /// Where it stands, for positions.
    pub source: Source,
    /// What is to be told about it before it runs.
    pub notices: Vec<Report>,
}

/// Texts longer than this may make trees that are too deep for dropping them on any stack.
const LONG_TEXT: usize = 2000;
/// Enough for dropping the deepest tree.
const DROP_STACK: usize = 16 * 1024 * 1024;

impl Drop for Parsed {
    fn drop(&mut self) {
        if self.source.text.len() > LONG_TEXT {
            let empty = Statement::Utility(Utility::Unlisten);
            let statement = std::mem::replace(&mut self.statement, empty);
            stacker::maybe_grow(DROP_STACK / 2, DROP_STACK, || drop(statement));
        }
    }
}

/// Parses a whole query string: no statement of it runs if one is malformed. Empty statements are left out.
pub fn parse(text: &str) -> Result<Vec<Parsed>> {
    let lexed = lexer::lex(text);
    statements(text, &lexed).map_err(|mut report| {
        report.position = report.position.map(|byte| source::position(text, byte));
        report
    })
}

fn statements(text: &str, lexed: &lexer::Lexed) -> Result<Vec<Parsed>> {
    let shared: Arc<str> = text.into();
    let mut parser = Parser::new(text, lexed);
    let mut statements = Vec::new();
    loop {
        while parser.take(lexer::Kind::Semicolon) {}
        if parser.kind() == lexer::Kind::End {
            return Ok(statements);
        }
        let start = parser.here();
        let statement = parser.statement()?;
        if !parser.at_end() {
            return Err(parser.unexpected());
        }
        let source = Source { text: shared.clone(), start, end: parser.here() };
        let notices = std::mem::take(&mut parser.notices);
        statements.push(Parsed { statement, source, notices });
    }
}

/// A statement of one prepared text; more than one is refused.
pub fn parse_one(text: &str) -> Result<Option<Parsed>> {
    let mut statements = parse(text)?;
    if statements.len() > 1 {
        return Err(Report::error(
            SqlState::SYNTAX_ERROR,
            "cannot insert multiple commands into a prepared statement",
        ));
    }
    Ok(statements.pop())
}
