//! `SET`, `SHOW` and `RESET`, in all their spellings.

use sqlparser::tokenizer::Token;

use crate::report::{Report, Result, SqlState};
use crate::sql::host::Scope;

use super::cursor::Cursor;
use super::statement::{SetTarget, Utility};
use super::utility::modes;

/// `a.b`, in lower case unless quoted.
pub fn setting_name(cursor: &mut Cursor<'_>) -> Result<String> {
    let mut name = cursor.name()?;
    while cursor.take(&Token::Period) {
        name = format!("{name}.{}", cursor.name()?);
    }
    Ok(name)
}

/// The settings behind the names that the grammar has words of its own for.
fn special_name(cursor: &mut Cursor<'_>) -> Option<&'static str> {
    let names: [(&[&str], &str); 3] = [
        (&["time", "zone"], "timezone"),
        (&["transaction", "isolation", "level"], "transaction_isolation"),
        (&["session", "authorization"], "session_authorization"),
    ];
    names.into_iter().find(|(words, _)| cursor.take_words(words)).map(|(_, name)| name)
}

pub fn show(cursor: &mut Cursor<'_>) -> Result<Utility> {
    if cursor.take_word("all") {
        return Ok(Utility::Show(None));
    }
    match special_name(cursor) {
        Some(name) => Ok(Utility::Show(Some(name.to_owned()))),
        None => setting_name(cursor).map(|name| Utility::Show(Some(name))),
    }
}

pub fn reset(cursor: &mut Cursor<'_>) -> Result<Utility> {
    if cursor.take_word("all") {
        return Ok(Utility::Reset(None));
    }
    match special_name(cursor) {
        Some(name) => Ok(Utility::Reset(Some(name.to_owned()))),
        None => setting_name(cursor).map(|name| Utility::Reset(Some(name))),
    }
}

pub fn set(cursor: &mut Cursor<'_>) -> Result<Utility> {
    if cursor.take_words(&["session", "characteristics", "as", "transaction"]) {
        return Ok(Utility::Set(Scope::Session, SetTarget::SessionCharacteristics(modes(cursor)?)));
    }
    let session_authorization = cursor.is_word("session")
        && cursor.word_at(1).is_some_and(|word| word.eq_ignore_ascii_case("authorization"));
    let mut scope = Scope::Session;
    if cursor.take_word("local") {
        scope = Scope::Local;
    } else if !session_authorization && cursor.is_word("session") && cursor.word_at(1).is_some() {
        cursor.next();
    }
    let target = if cursor.take_word("transaction") {
        if cursor.is_word("snapshot") {
            return super::errors::not_supported("SET TRANSACTION SNAPSHOT");
        }
        SetTarget::Transaction(modes(cursor)?)
    } else {
        let (name, value) = assignment(cursor)?;
        SetTarget::Setting(name, value)
    };
    Ok(Utility::Set(scope, target))
}

fn assignment(cursor: &mut Cursor<'_>) -> Result<(String, Option<String>)> {
    if cursor.take_words(&["time", "zone"]) {
        return Ok(("timezone".to_owned(), zone(cursor)?));
    }
    if cursor.take_word("names") {
        let value = if cursor.at_end() || cursor.take_word("default") { None } else { Some(value(cursor)?) };
        return Ok(("client_encoding".to_owned(), value));
    }
    if cursor.take_words(&["session", "authorization"]) {
        let value = if cursor.take_word("default") { None } else { Some(value(cursor)?) };
        return Ok(("session_authorization".to_owned(), value));
    }
    // These have a form without `TO`.
    let short = [("role", "role"), ("schema", "search_path"), ("catalog", "database")];
    for (word, name) in short {
        let followed =
            !matches!(cursor.source.tokens.get(cursor.at + 1).map(|token| &token.token), Some(Token::Eq))
                && !cursor.word_at(1).is_some_and(|word| word.eq_ignore_ascii_case("to"));
        if followed && cursor.take_word(word) {
            return Ok((name.to_owned(), Some(value(cursor)?)));
        }
    }
    let name = setting_name(cursor)?;
    Ok((name, assigned(cursor)?))
}

/// What stands behind `TO` or `=`: a list of values, or `DEFAULT`.
pub fn assigned(cursor: &mut Cursor<'_>) -> Result<Option<String>> {
    if !cursor.take(&Token::Eq) && !cursor.take_word("to") {
        return Err(cursor.unexpected());
    }
    if cursor.take_word("default") {
        return Ok(None);
    }
    let mut values = vec![value(cursor)?];
    while cursor.take(&Token::Comma) {
        values.push(value(cursor)?);
    }
    if let [one] = values.as_slice() {
        return Ok(Some(one.clone()));
    }
    let quoted: Vec<String> = values.iter().map(|value| crate::sql::functions::quote_ident(value)).collect();
    Ok(Some(quoted.join(", ")))
}

/// A word, string or number.
fn value(cursor: &mut Cursor<'_>) -> Result<String> {
    if let Some(text) = cursor.string() {
        return Ok(text);
    }
    let start = cursor.at;
    let sign = if cursor.take(&Token::Minus) {
        "-"
    } else {
        cursor.take(&Token::Plus);
        ""
    };
    if let Some(Token::Number(digits, _)) = cursor.peek() {
        cursor.next();
        return Ok(format!("{sign}{digits}"));
    }
    if cursor.at > start {
        return Err(cursor.unexpected());
    }
    cursor.name()
}

/// `LOCAL`, `DEFAULT`, a name, a number of hours, or an interval.
fn zone(cursor: &mut Cursor<'_>) -> Result<Option<String>> {
    if cursor.take_word("local") || cursor.take_word("default") {
        return Ok(None);
    }
    if cursor.take_word("interval") {
        let text = cursor.string().ok_or_else(|| cursor.unexpected())?;
        while !cursor.at_end() {
            cursor.next();
        }
        let interval = crate::sql::types::interval::parse(&text).map_err(|_| {
            Report::error(
                SqlState::INVALID_DATETIME_FORMAT,
                format!("invalid input syntax for type interval: \"{text}\""),
            )
        })?;
        let seconds = interval.micros / 1_000_000;
        let (sign, other) = if seconds < 0 { ('-', '+') } else { ('+', '-') };
        let (hours, minutes) = (seconds.abs() / 3600, seconds.abs() / 60 % 60);
        return Ok(Some(format!("<{sign}{hours:02}:{minutes:02}>{other}{hours:02}:{minutes:02}")));
    }
    value(cursor).map(Some)
}
