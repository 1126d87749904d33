//! Statements that are no queries: transactions, prepared statements, and what is refused.

use sqlparser::ast;
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;

use crate::report::Result;
use crate::sql::host::AlterSystem;

use super::cursor::Cursor;
use super::statement::{ExplainOptions, Modes, Utility};
use super::{errors, utility_set};

/// Reads a statement that is no query; `None` if it is one.
pub fn parse(cursor: &mut Cursor<'_>) -> Result<Option<Utility>> {
    let Some(first) = cursor.word_at(0).map(str::to_ascii_lowercase) else {
        return match cursor.peek() {
            Some(Token::LParen) => Ok(None),
            _ => Err(cursor.unexpected()),
        };
    };
    if matches!(first.as_str(), "select" | "values" | "with" | "table") {
        return Ok(None);
    }
    if let Some(refused) = refused(&first, cursor)? {
        return Ok(Some(refused));
    }
    let start = cursor.at;
    cursor.at += 1;
    let utility = match first.as_str() {
        "show" => utility_set::show(cursor)?,
        "set" => utility_set::set(cursor)?,
        "reset" => utility_set::reset(cursor)?,
        "begin" => begin(cursor, false)?,
        "start" => {
            cursor.expect_word("transaction")?;
            modes_to_end(cursor).map(|modes| Utility::Begin(modes, true))?
        }
        "commit" | "end" => end(cursor, Utility::Commit)?,
        "rollback" | "abort" => rollback(cursor)?,
        "savepoint" => Utility::Savepoint(cursor.name()?),
        "release" => {
            cursor.take_word("savepoint");
            Utility::Release(cursor.name()?)
        }
        "prepare" => prepare(cursor)?,
        "execute" => execute(cursor)?,
        "deallocate" => {
            cursor.take_word("prepare");
            Utility::Deallocate(all_or_name(cursor)?)
        }
        "discard" => discard(cursor)?,
        "explain" => explain(cursor)?,
        "close" => Utility::Close(all_or_name(cursor)?),
        "unlisten" => {
            cursor.next();
            Utility::Unlisten
        }
        "alter" => alter_system(cursor)?,
        _ => {
            cursor.at = start;
            return Err(cursor.unexpected());
        }
    };
    cursor.expect_end()?;
    Ok(Some(utility))
}

fn all_or_name(cursor: &mut Cursor<'_>) -> Result<Option<String>> {
    if cursor.take_word("all") { Ok(None) } else { cursor.name().map(Some) }
}

/// Statements that PostgreSQL has and tuskd does not: named by their first words.
fn refused(first: &str, cursor: &mut Cursor<'_>) -> Result<Option<Utility>> {
    let second = cursor.word_at(1).unwrap_or("").to_ascii_uppercase();
    let first_upper = first.to_ascii_uppercase();
    let name = match first {
        "create" | "drop" if second == "OR" => format!("CREATE {}", object_kind(cursor, 3)),
        "create" | "drop" => format!("{first_upper} {}", object_kind(cursor, 1)),
        "alter" if second != "SYSTEM" => format!("ALTER {}", object_kind(cursor, 1)),
        "insert" => return missing_table(cursor, &["insert", "into"]).map(Some),
        "update" => return missing_table(cursor, &["update"]).map(Some),
        "delete" => return missing_table(cursor, &["delete", "from"]).map(Some),
        "truncate" => return missing_table(cursor, &["truncate"]).map(Some),
        "merge" => return missing_table(cursor, &["merge", "into"]).map(Some),
        "listen" | "notify" | "copy" | "declare" | "fetch" | "move" | "lock" | "vacuum" | "analyze"
        | "cluster" | "reindex" | "grant" | "revoke" | "comment" | "security" | "call" | "do"
        | "checkpoint" | "load" | "reassign" | "refresh" | "import" => first_upper,
        "prepare" if second == "TRANSACTION" => "PREPARE TRANSACTION".to_owned(),
        "commit" | "rollback" if second == "PREPARED" => format!("{first_upper} PREPARED"),
        _ => return Ok(None),
    };
    Ok(Some(Utility::Refused(name)))
}

/// `TABLE` in `CREATE UNLOGGED TABLE`, `MATERIALIZED VIEW`, `USER MAPPING` and the like.
fn object_kind(cursor: &Cursor<'_>, from: usize) -> String {
    let word = |ahead: usize| cursor.word_at(ahead).unwrap_or("").to_ascii_uppercase();
    let mut at = from;
    while matches!(
        word(at).as_str(),
        "TEMP" | "TEMPORARY" | "UNLOGGED" | "GLOBAL" | "LOCAL" | "UNIQUE" | "RECURSIVE"
    ) {
        at += 1;
    }
    let first = word(at);
    let two = ["MATERIALIZED", "USER", "FOREIGN", "TEXT", "EVENT", "ACCESS", "OPERATOR", "DEFAULT"];
    let second_kinds =
        ["VIEW", "MAPPING", "TABLE", "DATA", "SEARCH", "TRIGGER", "METHOD", "CLASS", "FAMILY", "PRIVILEGES"];
    if two.contains(&first.as_str()) && second_kinds.contains(&word(at + 1).as_str()) {
        return format!("{first} {}", word(at + 1));
    }
    first
}

fn missing_table(cursor: &mut Cursor<'_>, words: &[&str]) -> Result<Utility> {
    for word in words {
        cursor.expect_word(word)?;
    }
    if words == ["truncate"] {
        cursor.take_word("table");
    }
    cursor.take_word("only");
    let position = cursor.position();
    let mut name = cursor.name()?;
    while cursor.take(&Token::Period) {
        name = format!("{name}.{}", cursor.name()?);
    }
    Ok(Utility::MissingTable(name, position))
}

fn begin(cursor: &mut Cursor<'_>, start: bool) -> Result<Utility> {
    _ = cursor.take_word("work") || cursor.take_word("transaction");
    modes_to_end(cursor).map(|modes| Utility::Begin(modes, start))
}

fn modes_to_end(cursor: &mut Cursor<'_>) -> Result<Modes> {
    if cursor.at_end() { Ok(Modes::default()) } else { modes(cursor) }
}

/// At least one mode, with or without commas between them.
pub fn modes(cursor: &mut Cursor<'_>) -> Result<Modes> {
    let mut modes = Modes::default();
    loop {
        if cursor.take_words(&["isolation", "level"]) {
            modes.isolation = Some(isolation(cursor)?);
        } else if cursor.take_words(&["read", "only"]) {
            modes.read_only = Some(true);
        } else if cursor.take_words(&["read", "write"]) {
            modes.read_only = Some(false);
        } else if cursor.take_words(&["not", "deferrable"]) {
            modes.deferrable = Some(false);
        } else if cursor.take_word("deferrable") {
            modes.deferrable = Some(true);
        } else {
            return Err(cursor.unexpected());
        }
        if !cursor.take(&Token::Comma) && cursor.at_end() {
            return Ok(modes);
        }
    }
}

fn isolation(cursor: &mut Cursor<'_>) -> Result<&'static str> {
    let levels: [(&[&str], &str); 4] = [
        (&["read", "uncommitted"], "read uncommitted"),
        (&["read", "committed"], "read committed"),
        (&["repeatable", "read"], "repeatable read"),
        (&["serializable"], "serializable"),
    ];
    let level = levels.into_iter().find(|(words, _)| cursor.take_words(words));
    level.map(|(_, name)| name).ok_or_else(|| cursor.unexpected())
}

/// `[WORK|TRANSACTION] [AND [NO] CHAIN]`.
fn end(cursor: &mut Cursor<'_>, make: fn(bool) -> Utility) -> Result<Utility> {
    _ = cursor.take_word("work") || cursor.take_word("transaction");
    let mut chain = false;
    if cursor.take_word("and") {
        chain = !cursor.take_word("no");
        cursor.expect_word("chain")?;
    }
    Ok(make(chain))
}

fn rollback(cursor: &mut Cursor<'_>) -> Result<Utility> {
    let start = cursor.at;
    _ = cursor.take_word("work") || cursor.take_word("transaction");
    if cursor.take_word("to") {
        cursor.take_word("savepoint");
        return cursor.name().map(Utility::RollbackTo);
    }
    cursor.at = start;
    end(cursor, Utility::Rollback)
}

/// A parser over the rest of the statement.
fn parser<'a>(cursor: &Cursor<'_>, dialect: &'a PostgreSqlDialect) -> Parser<'a> {
    Parser::new(dialect).with_tokens_with_locations(cursor.source.tokens[cursor.at..].to_vec())
}

fn prepare(cursor: &mut Cursor<'_>) -> Result<Utility> {
    let name = cursor.name()?;
    let mut types = Vec::new();
    if cursor.take(&Token::LParen) {
        let dialect = PostgreSqlDialect {};
        let mut parser = parser(cursor, &dialect);
        loop {
            types.push(parser.parse_data_type().map_err(|error| errors::of_parser(cursor.source, &error))?);
            if !parser.consume_token(&Token::Comma) {
                break;
            }
        }
        let left = parser.peek_token();
        let at = cursor.source.tokens.iter().position(|token| token.span == left.span);
        cursor.at = at.unwrap_or(cursor.source.tokens.len());
        cursor.expect(&Token::RParen)?;
    }
    cursor.expect_word("as")?;
    let inner = inner_query(cursor)?;
    Ok(match inner {
        Inner::Query(query) => Utility::Prepare(name, types, Box::new(query)),
        Inner::Other(utility) => utility,
    })
}

#[expect(clippy::large_enum_variant, reason = "made once per statement and taken apart at once")]
enum Inner {
    Query(ast::Query),
    Other(Utility),
}

/// The query of a statement around it; a table's name where it would change one.
fn inner_query(cursor: &mut Cursor<'_>) -> Result<Inner> {
    let first = cursor.word_at(0).unwrap_or("").to_ascii_lowercase();
    if matches!(first.as_str(), "insert" | "update" | "delete" | "merge") {
        let utility = refused(&first, cursor)?;
        cursor.at = cursor.source.tokens.len();
        return utility.map(Inner::Other).ok_or_else(|| cursor.unexpected());
    }
    if !matches!(first.as_str(), "select" | "values" | "with" | "table")
        && cursor.peek() != Some(&Token::LParen)
    {
        return Err(cursor.unexpected());
    }
    let query = super::query(cursor.source, cursor.at)?;
    cursor.at = cursor.source.tokens.len();
    Ok(Inner::Query(query))
}

fn execute(cursor: &mut Cursor<'_>) -> Result<Utility> {
    let name = cursor.name()?;
    let mut arguments = Vec::new();
    if super::chains::longest(&cursor.source.tokens) > super::chains::MAX_CHAIN {
        return Err(errors::too_deep());
    }
    if cursor.take(&Token::LParen) {
        let dialect = PostgreSqlDialect {};
        let mut parser = parser(cursor, &dialect);
        loop {
            arguments.push(parser.parse_expr().map_err(|error| errors::of_parser(cursor.source, &error))?);
            if !parser.consume_token(&Token::Comma) {
                break;
            }
        }
        if !parser.consume_token(&Token::RParen) || parser.peek_token().token != Token::EOF {
            return Err(errors::near(cursor.source, parser.peek_token().span.start));
        }
        cursor.at = cursor.source.tokens.len();
    }
    Ok(Utility::Execute(name, arguments))
}

fn discard(cursor: &mut Cursor<'_>) -> Result<Utility> {
    let kinds = [
        ("all", "DISCARD ALL"),
        ("plans", "DISCARD PLANS"),
        ("sequences", "DISCARD SEQUENCES"),
        ("temp", "DISCARD TEMP"),
        ("temporary", "DISCARD TEMP"),
    ];
    let kind = kinds.into_iter().find(|(word, _)| cursor.take_word(word));
    kind.map(|(_, tag)| Utility::Discard(tag)).ok_or_else(|| cursor.unexpected())
}

fn explain(cursor: &mut Cursor<'_>) -> Result<Utility> {
    let mut options = ExplainOptions { costs: true, ..ExplainOptions::default() };
    let listed = matches!(
        cursor.word_at(1).map(str::to_ascii_lowercase).as_deref(),
        Some(
            "analyze"
                | "verbose"
                | "costs"
                | "buffers"
                | "timing"
                | "summary"
                | "settings"
                | "format"
                | "wal"
                | "memory"
                | "generic_plan"
                | "serialize"
        )
    );
    if listed && cursor.take(&Token::LParen) {
        loop {
            explain_option(cursor, &mut options)?;
            if !cursor.take(&Token::Comma) {
                break;
            }
        }
        cursor.expect(&Token::RParen)?;
    } else {
        options.analyze = cursor.take_word("analyze") || cursor.take_word("analyse");
        options.verbose = cursor.take_word("verbose");
    }
    Ok(match inner_query(cursor)? {
        Inner::Query(query) => Utility::Explain(options, Box::new(query)),
        Inner::Other(utility) => utility,
    })
}

fn explain_option(cursor: &mut Cursor<'_>, options: &mut ExplainOptions) -> Result<()> {
    let name = cursor.name()?;
    let mut on = true;
    if !matches!(cursor.peek(), Some(Token::Comma | Token::RParen)) {
        let value = match cursor.string() {
            Some(text) => text,
            None => cursor.next().map(|token| token.token.to_string()).unwrap_or_default(),
        };
        if name == "format" && !value.eq_ignore_ascii_case("text") {
            return errors::not_supported(&format!("EXPLAIN (FORMAT {})", value.to_ascii_uppercase()));
        }
        on = crate::sql::types::input::boolean(&value).unwrap_or(name == "format");
    }
    match name.as_str() {
        "analyze" => options.analyze = on,
        "costs" => options.costs = on,
        "verbose" => options.verbose = on,
        _ => {}
    }
    Ok(())
}

fn alter_system(cursor: &mut Cursor<'_>) -> Result<Utility> {
    cursor.expect_word("system")?;
    if cursor.take_word("reset") {
        let change = match all_or_setting(cursor)? {
            None => AlterSystem::ResetAll,
            Some(name) => AlterSystem::Reset(name),
        };
        return Ok(Utility::AlterSystem(change));
    }
    cursor.expect_word("set")?;
    let name = utility_set::setting_name(cursor)?;
    let value = utility_set::assigned(cursor)?;
    Ok(Utility::AlterSystem(match value {
        Some(value) => AlterSystem::Set(name, value),
        None => AlterSystem::Reset(name),
    }))
}

fn all_or_setting(cursor: &mut Cursor<'_>) -> Result<Option<String>> {
    if cursor.take_word("all") { Ok(None) } else { utility_set::setting_name(cursor).map(Some) }
}
