//! The parser's complaints in PostgreSQL's words.

use sqlparser::parser::ParserError;
use sqlparser::tokenizer::{Location, TokenizerError};

use crate::report::{Report, ReportExt, Result, SqlState};

use super::source::{Source, byte_at, position};

/// A syntax error at a token, or at the end of the input.
pub fn near(source: &Source, location: Location) -> Box<Report> {
    let tokens = source.tokens.iter().chain(&source.end);
    let found = tokens.clone().find(|token| token.span.start >= location && location.line > 0);
    let found = found.or(if location.line == 0 { source.end.as_ref() } else { None });
    match found.or(source.end.as_ref()) {
        Some(token) => {
            let message = format!("syntax error at or near \"{}\"", source.token_text(token));
            Report::error(SqlState::SYNTAX_ERROR, message).at(source.position(token.span.start))
        }
        None => {
            let end = source.text.chars().count() as u32 + 1;
            Report::error(SqlState::SYNTAX_ERROR, "syntax error at end of input").at(end)
        }
    }
}

/// What `sqlparser`'s parser says, which has the place only in its text.
pub fn of_parser(source: &Source, error: &ParserError) -> Box<Report> {
    let message = match error {
        ParserError::RecursionLimitExceeded => return too_deep(),
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => message,
    };
    match location_in(message) {
        Some(location) => near(source, location),
        None => near(source, Location { line: 0, column: 0 }),
    }
}

/// PostgreSQL's refusal of what nests too deep.
pub fn too_deep() -> Box<Report> {
    Report::error(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded")
}

fn location_in(message: &str) -> Option<Location> {
    let (_, place) = message.rsplit_once(" at Line: ")?;
    let (line, column) = place.split_once(", Column: ")?;
    Some(Location { line: line.parse().ok()?, column: column.trim().parse().ok()? })
}

/// A text that cannot be cut into tokens.
pub fn of_tokenizer(text: &str, error: &TokenizerError) -> Box<Report> {
    let at = byte_at(text, error.location);
    let start = position(text, error.location);
    let rest = &text[at..];
    let what = if error.message.contains("Unterminated dollar-quoted") {
        "unterminated dollar-quoted string"
    } else if error.message.contains("multi-line comment") {
        "unterminated /* comment"
    } else if rest.starts_with('"') {
        "unterminated quoted identifier"
    } else if error.message.to_ascii_lowercase().contains("unterminated") {
        "unterminated quoted string"
    } else {
        "syntax error"
    };
    Report::error(SqlState::SYNTAX_ERROR, format!("{what} at or near \"{rest}\"")).at(start)
}

/// Refuses a statement that is known and not there yet.
pub fn not_supported<T>(what: &str) -> Result<T> {
    Err(Report::not_supported(format!("{what} is not supported yet")))
}
