//! `LIKE`, `SIMILAR TO` and regular expressions, through the `regex` crate.
//!
//! PostgreSQL's advanced expressions and the crate's agree on what is used mostly. What the crate cannot do (back
//! references, looking around) is refused as an invalid expression, never matched differently; both prefer the longest
//! match only where PostgreSQL's leftmost-first rules say so, too.

use regex::{Regex, RegexBuilder};

use crate::report::{Report, Result, SqlState};
use crate::sql::types::{Datum, Type};

use super::integers::whole;
use super::strings::text;
use super::{Call, Function, Operator, function, operator};

/// Matches a `LIKE` pattern without recursion: on a mismatch it goes back to the last `%` only.
fn like(value: &str, pattern: &str) -> Result<bool> {
    let value: Vec<char> = value.chars().collect();
    let pattern = like_pieces(pattern)?;
    let (mut v, mut p) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while v < value.len() {
        match pattern.get(p) {
            Some(Piece::Any) => {
                retry = Some((p + 1, v));
                p += 1;
                continue;
            }
            Some(Piece::One) => {
                (v, p) = (v + 1, p + 1);
                continue;
            }
            Some(Piece::Char(c)) if *c == value[v] => {
                (v, p) = (v + 1, p + 1);
                continue;
            }
            _ => {}
        }
        match &mut retry {
            Some((after, from)) => {
                *from += 1;
                (p, v) = (*after, *from);
            }
            None => return Ok(false),
        }
    }
    Ok(pattern[p..].iter().all(|piece| matches!(piece, Piece::Any)))
}

enum Piece {
    Any,
    One,
    Char(char),
}

fn like_pieces(pattern: &str) -> Result<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        pieces.push(match c {
            '%' => Piece::Any,
            '_' => Piece::One,
            '\\' => Piece::Char(chars.next().ok_or_else(|| {
                Report::error(
                    SqlState::INVALID_ESCAPE_SEQUENCE,
                    "LIKE pattern must not end with escape character",
                )
            })?),
            c => Piece::Char(c),
        });
    }
    Ok(pieces)
}

fn like_operator(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    like(text(&args[0]), text(&args[1])).map(Datum::Bool)
}

fn not_like(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    like(text(&args[0]), text(&args[1])).map(|matches| Datum::Bool(!matches))
}

fn ilike(args: &[Datum]) -> Result<bool> {
    like(&text(&args[0]).to_lowercase(), &text(&args[1]).to_lowercase())
}

fn ilike_operator(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    ilike(args).map(Datum::Bool)
}

fn not_ilike(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    ilike(args).map(|matches| Datum::Bool(!matches))
}

/// The pattern with `\` in place of another escape character.
fn like_escape(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let escape = escape_of(text(&args[1]))?;
    let mut out = String::new();
    let mut chars = text(&args[0]).chars();
    while let Some(c) = chars.next() {
        if Some(c) == escape {
            out.push('\\');
            out.extend(chars.next());
        } else if c == '\\' {
            out.push_str("\\\\");
        } else {
            out.push(c);
        }
    }
    Ok(Datum::text(out))
}

fn escape_of(escape: &str) -> Result<Option<char>> {
    use crate::report::ReportExt;
    let mut chars = escape.chars();
    let first = chars.next();
    if chars.next().is_some() {
        return Err(Report::error(SqlState::INVALID_ESCAPE_SEQUENCE, "invalid escape string")
            .with_hint("Escape string must be empty or one character."));
    }
    Ok(first)
}

/// `SIMILAR TO`'s pattern as a regular expression.
fn similar_to_escape(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let escape = match args.get(1) {
        Some(escape) => escape_of(text(escape))?,
        None => Some('\\'),
    };
    let mut out = String::from("^(?:");
    let mut in_class = false;
    let mut chars = text(&args[0]).chars();
    while let Some(c) = chars.next() {
        match c {
            c if Some(c) == escape => {
                if let Some(literal) = chars.next() {
                    out.push_str(&regex::escape(&literal.to_string()));
                }
            }
            '[' => {
                in_class = true;
                out.push('[');
            }
            ']' => {
                in_class = false;
                out.push(']');
            }
            '%' if !in_class => out.push_str("(?s:.*)"),
            '_' if !in_class => out.push_str("(?s:.)"),
            '(' if !in_class => out.push_str("(?:"),
            '.' | '^' | '$' | '\\' if !in_class => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out.push_str(")$");
    Ok(Datum::text(out))
}

/// What the letters of a `flags` argument ask for.
#[derive(Clone, Copy, Default)]
struct Flags {
    insensitive: bool,
    global: bool,
    newline: bool,
    expanded: bool,
    literal: bool,
}

fn flags(letters: &str) -> Result<Flags> {
    let mut flags = Flags::default();
    for letter in letters.chars() {
        match letter {
            'i' => flags.insensitive = true,
            'c' => flags.insensitive = false,
            'g' => flags.global = true,
            'n' | 'm' => flags.newline = true,
            's' => flags.newline = false,
            'x' => flags.expanded = true,
            'q' => flags.literal = true,
            't' | 'e' | 'b' => {}
            _ => {
                let message = format!("invalid regular expression option: \"{letter}\"");
                return Err(Report::error(SqlState::INVALID_PARAMETER_VALUE, message));
            }
        }
    }
    Ok(flags)
}

/// PostgreSQL's escapes that the crate spells differently.
fn translated(pattern: &str) -> String {
    let body = pattern.strip_prefix("***:").unwrap_or(pattern);
    let mut out = String::with_capacity(body.len());
    let mut chars = body.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('m') => out.push_str(r"\b{start}"),
            Some('M') => out.push_str(r"\b{end}"),
            Some('y') => out.push_str(r"\b"),
            Some('Y') => out.push_str(r"\B"),
            Some('Z') => out.push_str(r"\z"),
            Some(other) => {
                out.push('\\');
                out.push(other);
            }
            None => out.push('\\'),
        }
    }
    out
}

fn compile(pattern: &str, flags: Flags) -> Result<Regex> {
    let pattern = if flags.literal { regex::escape(pattern) } else { translated(pattern) };
    RegexBuilder::new(&pattern)
        .case_insensitive(flags.insensitive)
        .multi_line(flags.newline)
        // Without the flag, `.` matches a line's end, too.
        .dot_matches_new_line(!flags.newline)
        .ignore_whitespace(flags.expanded)
        .build()
        .map_err(|error| {
            let reason = error.to_string();
            let reason = reason.lines().last().unwrap_or("").trim_start_matches("error: ");
            let message = format!("invalid regular expression: {}", postgresql_reason(reason));
            Report::error(SqlState::INVALID_REGULAR_EXPRESSION, message)
        })
}

/// What PostgreSQL calls the most usual mistakes; the crate's words for the rest.
fn postgresql_reason(reason: &str) -> &str {
    match reason {
        "unclosed group" | "unopened group" => "parentheses () not balanced",
        "unclosed character class" => "brackets [] not balanced",
        "repetition operator missing expression" => "quantifier operand invalid",
        "invalid character class range, the start must be <= the end" => "invalid character range",
        other => other,
    }
}

fn matches(args: &[Datum], insensitive: bool) -> Result<bool> {
    let flags = Flags { insensitive, ..Flags::default() };
    Ok(compile(text(&args[1]), flags)?.is_match(text(&args[0])))
}

fn regex_match(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    matches(args, false).map(Datum::Bool)
}

fn regex_imatch(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    matches(args, true).map(Datum::Bool)
}

fn regex_not_match(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    matches(args, false).map(|found| Datum::Bool(!found))
}

fn regex_not_imatch(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    matches(args, true).map(|found| Datum::Bool(!found))
}

fn flags_argument(args: &[Datum], index: usize) -> Result<Flags> {
    args.get(index).map_or_else(|| Ok(Flags::default()), |letters| flags(text(letters)))
}

/// `\1` and `\&` of a replacement, filled from a match.
fn expand(replacement: &str, captures: &regex::Captures<'_>, out: &mut String) {
    let mut chars = replacement.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('&') => out.push_str(&captures[0]),
            Some(digit) if digit.is_ascii_digit() => {
                let group = digit as usize - '0' as usize;
                out.push_str(captures.get(group).map_or("", |found| found.as_str()));
            }
            Some('\\') => out.push('\\'),
            Some(other) => {
                out.push('\\');
                out.push(other);
            }
            None => out.push('\\'),
        }
    }
}

fn regexp_replace(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let flags = flags_argument(args, 3)?;
    let regex = compile(text(&args[1]), flags)?;
    let source = text(&args[0]);
    let mut out = String::new();
    let mut copied = 0;
    for captures in regex.captures_iter(source).take(if flags.global { usize::MAX } else { 1 }) {
        let Some(found) = captures.get(0) else { break };
        out.push_str(&source[copied..found.start()]);
        expand(text(&args[2]), &captures, &mut out);
        copied = found.end();
    }
    out.push_str(&source[copied..]);
    Ok(Datum::text(out))
}

/// The groups of a match, or all of it if there are none.
fn groups(captures: &regex::Captures<'_>) -> Vec<Datum> {
    let found = |group: Option<regex::Match<'_>>| Datum::opt_text(group.map(|found| found.as_str()));
    if captures.len() == 1 {
        return vec![found(captures.get(0))];
    }
    captures.iter().skip(1).map(found).collect()
}

fn regexp_match(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let flags = flags_argument(args, 2)?;
    if flags.global {
        use crate::report::ReportExt;
        return Err(Report::error(
            SqlState::INVALID_PARAMETER_VALUE,
            "regexp_match() does not support the \"global\" option",
        )
        .with_hint("Use the regexp_matches function instead."));
    }
    let regex = compile(text(&args[1]), flags)?;
    Ok(match regex.captures(text(&args[0])) {
        Some(captures) => Datum::array(Type::TEXT, groups(&captures)),
        None => Datum::Null,
    })
}

fn regexp_like(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let regex = compile(text(&args[1]), flags_argument(args, 2)?)?;
    Ok(Datum::Bool(regex.is_match(text(&args[0]))))
}

fn regexp_count(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let regex = compile(text(&args[1]), flags_argument(args, 3)?)?;
    let start = args.get(2).map_or(1, whole).max(1) as usize - 1;
    let from: String = text(&args[0]).chars().skip(start).collect();
    Ok(Datum::Int4(regex.find_iter(&from).count() as i32))
}

/// The part that matches; with a group, what that matches.
fn regexp_substring(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let regex = compile(text(&args[1]), Flags::default())?;
    let Some(captures) = regex.captures(text(&args[0])) else {
        return Ok(Datum::Null);
    };
    Ok(groups(&captures).swap_remove(0))
}

fn regexp_split(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let regex = compile(text(&args[1]), flags_argument(args, 2)?)?;
    let parts: Vec<Datum> = regex.split(text(&args[0])).map(Datum::text).collect();
    Ok(Datum::array(Type::TEXT, parts))
}

fn regexp_matches(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<super::SetRows> {
    let flags = flags_argument(args, 2)?;
    let regex = compile(text(&args[1]), flags)?;
    let count = if flags.global { usize::MAX } else { 1 };
    let found = regex.captures_iter(text(&args[0])).take(count);
    let rows: Vec<Result<Datum>> =
        found.map(|captures| Ok(Datum::array(Type::TEXT, groups(&captures)))).collect();
    Ok(Box::new(rows.into_iter()))
}

const T: Type = Type::TEXT;

/// The operators' rows.
pub const OPERATORS: &[Operator] = &[
    operator("~~", T, T, Type::BOOL, like_operator),
    operator("~~", Type::NAME, T, Type::BOOL, like_operator),
    operator("~~", Type::BPCHAR, T, Type::BOOL, like_operator),
    operator("!~~", T, T, Type::BOOL, not_like),
    operator("!~~", Type::NAME, T, Type::BOOL, not_like),
    operator("!~~", Type::BPCHAR, T, Type::BOOL, not_like),
    operator("~~*", T, T, Type::BOOL, ilike_operator),
    operator("~~*", Type::NAME, T, Type::BOOL, ilike_operator),
    operator("~~*", Type::BPCHAR, T, Type::BOOL, ilike_operator),
    operator("!~~*", T, T, Type::BOOL, not_ilike),
    operator("!~~*", Type::NAME, T, Type::BOOL, not_ilike),
    operator("!~~*", Type::BPCHAR, T, Type::BOOL, not_ilike),
    operator("~", T, T, Type::BOOL, regex_match),
    operator("~", Type::NAME, T, Type::BOOL, regex_match),
    operator("~", Type::BPCHAR, T, Type::BOOL, regex_match),
    operator("!~", T, T, Type::BOOL, regex_not_match),
    operator("!~", Type::NAME, T, Type::BOOL, regex_not_match),
    operator("!~", Type::BPCHAR, T, Type::BOOL, regex_not_match),
    operator("~*", T, T, Type::BOOL, regex_imatch),
    operator("~*", Type::NAME, T, Type::BOOL, regex_imatch),
    operator("~*", Type::BPCHAR, T, Type::BOOL, regex_imatch),
    operator("!~*", T, T, Type::BOOL, regex_not_imatch),
    operator("!~*", Type::NAME, T, Type::BOOL, regex_not_imatch),
    operator("!~*", Type::BPCHAR, T, Type::BOOL, regex_not_imatch),
];

/// The functions' rows.
pub const FUNCTIONS: &[Function] = &[
    function("like_escape", 1637, &[T, T], T, like_escape),
    function("similar_to_escape", 1986, &[T, T], T, similar_to_escape),
    function("similar_to_escape", 1987, &[T], T, similar_to_escape),
    function("regexp_replace", 2284, &[T, T, T], T, regexp_replace),
    function("regexp_replace", 2285, &[T, T, T, T], T, regexp_replace),
    function("regexp_match", 3396, &[T, T], Type::TEXT_ARRAY, regexp_match),
    function("regexp_match", 3397, &[T, T, T], Type::TEXT_ARRAY, regexp_match),
    function("regexp_like", 6263, &[T, T], Type::BOOL, regexp_like),
    function("regexp_like", 6264, &[T, T, T], Type::BOOL, regexp_like),
    function("regexp_count", 6254, &[T, T], Type::INT4, regexp_count),
    function("regexp_count", 6255, &[T, T, Type::INT4], Type::INT4, regexp_count),
    function("regexp_count", 6256, &[T, T, Type::INT4, T], Type::INT4, regexp_count),
    function("substring", 2073, &[T, T], T, regexp_substring),
    function("regexp_split_to_array", 2767, &[T, T], Type::TEXT_ARRAY, regexp_split),
    function("regexp_split_to_array", 2768, &[T, T, T], Type::TEXT_ARRAY, regexp_split),
    super::set("regexp_matches", 2763, &[T, T], Type::TEXT_ARRAY, regexp_matches),
    super::set("regexp_matches", 2764, &[T, T, T], Type::TEXT_ARRAY, regexp_matches),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_matches_as_it_should_and_in_time() {
        for (value, pattern, expected) in [
            ("abc", "a%", true),
            ("abc", "a_c", true),
            ("abc", "b", false),
            ("", "%", true),
            ("a%c", "a\\%c", true),
            ("abc", "a\\%c", false),
            ("aXbXc", "%X%X%", true),
        ] {
            assert_eq!(like(value, pattern).unwrap(), expected, "{value} like {pattern}");
        }
        assert!(like("a", "a\\").is_err());
        assert!(!like(&"a".repeat(20_000), "%a%a%a%a%a%a%a%a%b").unwrap());
    }
}
