//! From a query string to statements: tokens and trees are `sqlparser`'s for queries; what only sets, shows or controls
//! is read here from the same tokens, since its grammar is small and PostgreSQL's own.
//!
//! Nothing behind this module but `analyze` sees `sqlparser`'s trees.

mod chains;
mod cursor;
mod errors;
pub mod source;
pub mod statement;
mod utility;
mod utility_set;

use sqlparser::ast;
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use crate::report::{Report, Result, SqlState};

use cursor::Cursor;
pub use source::Source;
pub use statement::{Statement, Utility};

/// How deep a query's expressions may be nested while parsing.
const MAX_NESTING: usize = 1000;

/// One statement of a query string.
#[derive(Debug)]
pub struct Parsed {
    /// What it says.
    pub statement: Statement,
    /// Where it stands, for positions.
    pub source: Source,
}

/// Parses a whole query string: no statement of it runs if one is malformed. Empty statements are left out.
pub fn parse(text: &str) -> Result<Vec<Parsed>> {
    let dialect = PostgreSqlDialect {};
    let tokens = Tokenizer::new(&dialect, text)
        .tokenize_with_location()
        .map_err(|error| errors::of_tokenizer(text, &error))?;
    let mut statements = Vec::new();
    let mut current: Vec<TokenWithSpan> = Vec::new();
    for token in tokens {
        if token.token == Token::SemiColon {
            statements.extend(statement(text, std::mem::take(&mut current), Some(&token))?);
        } else {
            current.push(token);
        }
    }
    statements.extend(statement(text, current, None)?);
    Ok(statements)
}

fn statement(text: &str, tokens: Vec<TokenWithSpan>, end: Option<&TokenWithSpan>) -> Result<Option<Parsed>> {
    let source = Source::new(text, tokens, end.cloned());
    if source.tokens.is_empty() {
        return Ok(None);
    }
    let mut cursor = Cursor::new(&source);
    let statement = match utility::parse(&mut cursor)? {
        Some(utility) => Statement::Utility(utility),
        None => Statement::Query(Box::new(query(&source, 0)?)),
    };
    Ok(Some(Parsed { statement, source }))
}

/// The query that begins at a token of the statement and goes to its end.
fn query(source: &Source, from: usize) -> Result<ast::Query> {
    if chains::longest(&source.tokens[from..]) > chains::MAX_CHAIN {
        return Err(errors::too_deep());
    }
    let dialect = PostgreSqlDialect {};
    let mut parser = Parser::new(&dialect)
        .with_recursion_limit(MAX_NESTING)
        .with_tokens_with_locations(with_trim_characters(source.tokens[from..].to_vec()));
    let query = parser.parse_query().map_err(|error| errors::of_parser(source, &error))?;
    let left = parser.peek_token();
    if left.token != Token::EOF {
        return Err(errors::near(source, left.span.start));
    }
    Ok(*query)
}

/// `TRIM(LEADING FROM x)` leaves out what to trim, which `sqlparser` wants to see: spaces.
fn with_trim_characters(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let is = |token: &TokenWithSpan, names: &[&str]| {
        matches!(&token.token, Token::Word(word)
            if word.quote_style.is_none() && names.iter().any(|name| word.value.eq_ignore_ascii_case(name)))
    };
    let mut at = 3;
    while at < tokens.len() {
        if is(&tokens[at], &["from"])
            && is(&tokens[at - 1], &["leading", "trailing", "both"])
            && tokens[at - 2].token == Token::LParen
            && is(&tokens[at - 3], &["trim"])
        {
            let span = tokens[at].span;
            tokens.insert(at, TokenWithSpan { token: Token::SingleQuotedString(" ".to_owned()), span });
        }
        at += 1;
    }
    tokens
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_strings_are_split_at_semicolons() {
        for (text, count) in [("", 0), (" ; -- x\n;", 0), ("select 1", 1), ("select ';'; show all;", 2)] {
            assert_eq!(parse(text).unwrap().len(), count, "{text}");
        }
    }

    #[test]
    fn syntax_errors_are_worded_and_placed_as_postgresql_does() {
        for (text, message, position) in [
            ("select 1 from", "syntax error at end of input", 14),
            ("selec 1", "syntax error at or near \"selec\"", 1),
            ("select * fro x", "syntax error at or near \"x\"", 14),
            ("select (1", "syntax error at end of input", 10),
            ("select 1; select )", "syntax error at or near \")\"", 18),
            ("select 'abc", "unterminated quoted string at or near \"'abc\"", 8),
            ("begin foo", "syntax error at or near \"foo\"", 7),
            ("set x", "syntax error at end of input", 6),
            ("select 1;;;select 2 from;", "syntax error at or near \";\"", 25),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!((error.message.as_str(), error.position), (message, Some(position)), "{text}");
            assert_eq!(error.sqlstate, SqlState::SYNTAX_ERROR);
        }
    }
}
