//! Texts: lengths, parts, padding, searching.

use crate::report::{Report, Result, SqlState};
use crate::sql::types::{Datum, Type};

use super::integers::whole;
use super::{Call, Function, function};

/// The longest text or array that is made, as in PostgreSQL.
pub const MAX_BYTES: usize = 0x3FFF_FFFF;

/// A text argument.
pub fn text(datum: &Datum) -> &str {
    match datum {
        Datum::Text(text) => text,
        _ => "",
    }
}

/// A `bytea` argument.
pub fn bytes(datum: &Datum) -> &[u8] {
    match datum {
        Datum::Bytea(bytes) => bytes,
        _ => &[],
    }
}

/// Refuses what would be too long.
pub fn too_long() -> Box<Report> {
    Report::error(SqlState::PROGRAM_LIMIT_EXCEEDED, "requested length too large")
}

fn length(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    Ok(Datum::Int4(match &args[0] {
        Datum::Bytea(bytes) => bytes.len() as i32,
        other => text(other).chars().count() as i32,
    }))
}

fn bpchar_length(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    Ok(Datum::Int4(text(&args[0]).trim_end_matches(' ').chars().count() as i32))
}

fn octets(args: &[Datum]) -> i32 {
    match &args[0] {
        Datum::Bytea(bytes) => bytes.len() as i32,
        other => text(other).len() as i32,
    }
}

fn octet_length(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    Ok(Datum::Int4(octets(args)))
}

fn bit_length(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    Ok(Datum::Int4(octets(args).saturating_mul(8)))
}

fn upper(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    Ok(Datum::text(text(&args[0]).to_uppercase()))
}

fn lower(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    Ok(Datum::text(text(&args[0]).to_lowercase()))
}

fn initcap(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let mut out = String::new();
    let mut inside = false;
    for c in text(&args[0]).chars() {
        if inside {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
        inside = c.is_alphanumeric();
    }
    Ok(Datum::text(out))
}

/// Where a part begins and ends, from 0, of a whole that has `len` units.
fn part(from: i64, length: Option<i64>, len: usize) -> Result<(usize, usize)> {
    let start = from - 1;
    let end = match length {
        Some(length) if length < 0 => {
            return Err(Report::error(SqlState::SUBSTRING_ERROR, "negative substring length not allowed"));
        }
        Some(length) => start.saturating_add(length),
        None => i64::MAX,
    };
    let bound = |at: i64| at.clamp(0, len as i64) as usize;
    Ok((bound(start), bound(end).max(bound(start))))
}

fn substring(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let (from, length) = (whole(&args[1]), args.get(2).map(whole));
    if let Datum::Bytea(bytes) = &args[0] {
        let (start, end) = part(from, length, bytes.len())?;
        return Ok(Datum::Bytea(bytes[start..end].into()));
    }
    let text = text(&args[0]);
    let (start, end) = part(from, length, text.chars().count())?;
    Ok(Datum::text(text.chars().skip(start).take(end - start).collect::<String>()))
}

fn position(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    if let (Datum::Bytea(hay), Datum::Bytea(needle)) = (&args[0], &args[1]) {
        let found = if needle.is_empty() {
            Some(0)
        } else {
            hay.windows(needle.len()).position(|part| *part == **needle)
        };
        return Ok(Datum::Int4(found.map_or(0, |at| at as i32 + 1)));
    }
    let (hay, needle) = (text(&args[0]), text(&args[1]));
    Ok(Datum::Int4(hay.find(needle).map_or(0, |at| hay[..at].chars().count() as i32 + 1)))
}

fn replace(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let (from, to) = (text(&args[1]), text(&args[2]));
    if from.is_empty() {
        return Ok(args[0].clone());
    }
    Ok(Datum::text(text(&args[0]).replace(from, to)))
}

fn set_of(args: &[Datum]) -> &str {
    args.get(1).map_or(" ", text)
}

fn btrim(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let set = set_of(args);
    Ok(Datum::text(text(&args[0]).trim_matches(|c| set.contains(c))))
}

fn ltrim(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let set = set_of(args);
    Ok(Datum::text(text(&args[0]).trim_start_matches(|c| set.contains(c))))
}

fn rtrim(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let set = set_of(args);
    Ok(Datum::text(text(&args[0]).trim_end_matches(|c| set.contains(c))))
}

/// The text cut or the fill of characters that make it `length` long.
fn padding(args: &[Datum]) -> Result<(String, String)> {
    let length = whole(&args[1]).max(0) as usize;
    let fill = args.get(2).map_or(" ", text);
    let count = text(&args[0]).chars().count();
    let kept: String = text(&args[0]).chars().take(length).collect();
    if count >= length || fill.is_empty() {
        return Ok((kept, String::new()));
    }
    if length > MAX_BYTES / 4 {
        return Err(too_long());
    }
    Ok((kept, fill.chars().cycle().take(length - count).collect()))
}

fn lpad(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    padding(args).map(|(kept, fill)| Datum::text(fill + &kept))
}

fn rpad(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    padding(args).map(|(kept, fill)| Datum::text(kept + &fill))
}

/// How many characters a count keeps; a negative one counts from the other end.
fn kept_count(args: &[Datum]) -> (usize, usize) {
    let len = text(&args[0]).chars().count();
    let count = whole(&args[1]);
    let kept = if count < 0 { (len as i64 + count).max(0) } else { count.min(len as i64) };
    (kept as usize, len)
}

fn left(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let (kept, _) = kept_count(args);
    Ok(Datum::text(text(&args[0]).chars().take(kept).collect::<String>()))
}

fn right(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let (kept, len) = kept_count(args);
    Ok(Datum::text(text(&args[0]).chars().skip(len - kept).collect::<String>()))
}

fn repeat(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let count = whole(&args[1]).max(0) as usize;
    match text(&args[0]).len().checked_mul(count) {
        Some(len) if len <= MAX_BYTES => Ok(Datum::text(text(&args[0]).repeat(count))),
        _ => Err(too_long()),
    }
}

fn reverse(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    if let Datum::Bytea(bytes) = &args[0] {
        return Ok(Datum::Bytea(bytes.iter().rev().copied().collect()));
    }
    Ok(Datum::text(text(&args[0]).chars().rev().collect::<String>()))
}

fn split_part(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let (whole_text, delimiter, number) = (text(&args[0]), text(&args[1]), whole(&args[2]));
    let parts: Vec<&str> = match delimiter {
        "" => vec![whole_text],
        _ => whole_text.split(delimiter).collect(),
    };
    let index = match number {
        0 => return Err(Report::error(SqlState::INVALID_PARAMETER_VALUE, "field position must not be zero")),
        number if number > 0 => number - 1,
        number => parts.len() as i64 + number,
    };
    let found = usize::try_from(index).ok().and_then(|index| parts.get(index));
    Ok(Datum::text(*found.unwrap_or(&"")))
}

fn overlay(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let (source, new, from) = (text(&args[0]), text(&args[1]), whole(&args[2]));
    let length = args.get(3).map_or(new.chars().count() as i64, whole);
    if from <= 0 {
        return Err(Report::error(SqlState::SUBSTRING_ERROR, "negative substring length not allowed"));
    }
    let head: String = source.chars().take(from as usize - 1).collect();
    let tail: String = source.chars().skip((from - 1).saturating_add(length).max(0) as usize).collect();
    Ok(Datum::text(head + new + &tail))
}

fn translate(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let from: Vec<char> = text(&args[1]).chars().collect();
    let to: Vec<char> = text(&args[2]).chars().collect();
    let change = |c: char| match from.iter().position(|&other| other == c) {
        Some(at) => to.get(at).copied(),
        None => Some(c),
    };
    Ok(Datum::text(text(&args[0]).chars().filter_map(change).collect::<String>()))
}

fn starts_with(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    Ok(Datum::Bool(text(&args[0]).starts_with(text(&args[1]))))
}

const T: Type = Type::TEXT;
const B: Type = Type::BYTEA;
const I: Type = Type::INT4;

/// The functions' rows.
pub const FUNCTIONS: &[Function] = &[
    function("length", 1317, &[T], I, length),
    function("length", 1318, &[Type::BPCHAR], I, bpchar_length),
    function("length", 2010, &[B], I, length),
    function("char_length", 1381, &[T], I, length),
    function("char_length", 1372, &[Type::BPCHAR], I, bpchar_length),
    function("character_length", 1369, &[T], I, length),
    function("character_length", 1367, &[Type::BPCHAR], I, bpchar_length),
    function("octet_length", 1374, &[T], I, octet_length),
    function("octet_length", 1375, &[Type::BPCHAR], I, octet_length),
    function("octet_length", 720, &[B], I, octet_length),
    function("bit_length", 1811, &[T], I, bit_length),
    function("bit_length", 1810, &[B], I, bit_length),
    function("upper", 871, &[T], T, upper),
    function("lower", 870, &[T], T, lower),
    function("initcap", 872, &[T], T, initcap),
    function("substr", 877, &[T, I, I], T, substring),
    function("substr", 883, &[T, I], T, substring),
    function("substr", 2085, &[B, I, I], B, substring),
    function("substr", 2086, &[B, I], B, substring),
    function("substring", 936, &[T, I, I], T, substring),
    function("substring", 937, &[T, I], T, substring),
    function("substring", 2012, &[B, I, I], B, substring),
    function("substring", 2013, &[B, I], B, substring),
    function("position", 849, &[T, T], I, position),
    function("position", 2014, &[B, B], I, position),
    function("strpos", 868, &[T, T], I, position),
    function("replace", 2087, &[T, T, T], T, replace),
    function("btrim", 884, &[T, T], T, btrim),
    function("btrim", 885, &[T], T, btrim),
    function("ltrim", 875, &[T, T], T, ltrim),
    function("ltrim", 881, &[T], T, ltrim),
    function("rtrim", 876, &[T, T], T, rtrim),
    function("rtrim", 882, &[T], T, rtrim),
    function("lpad", 873, &[T, I, T], T, lpad),
    function("lpad", 879, &[T, I], T, lpad),
    function("rpad", 874, &[T, I, T], T, rpad),
    function("rpad", 880, &[T, I], T, rpad),
    function("left", 3060, &[T, I], T, left),
    function("right", 3061, &[T, I], T, right),
    function("repeat", 1622, &[T, I], T, repeat),
    function("reverse", 3062, &[T], T, reverse),
    function("reverse", 6382, &[B], B, reverse),
    function("split_part", 2088, &[T, T, I], T, split_part),
    function("overlay", 1404, &[T, T, I, I], T, overlay),
    function("overlay", 1405, &[T, T, I], T, overlay),
    function("translate", 878, &[T, T, T], T, translate),
    function("starts_with", 3696, &[T, T], Type::BOOL, starts_with),
];
