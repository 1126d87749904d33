//! Comparisons, and joining texts.

use std::cmp::Ordering;

use crate::report::Result;
use crate::sql::types::compare::compare;
use crate::sql::types::{Datum, Type};

use super::{Call, Implementation, Operator, operator};

fn order(call: &Call<'_, '_>, args: &[Datum]) -> Ordering {
    if call.arg_types.first() == Some(&Type::BPCHAR) {
        // Trailing spaces of `character(n)` do not count.
        let trimmed = |datum: &Datum| match datum {
            Datum::Text(text) => Datum::text(text.trim_end_matches(' ')),
            other => other.clone(),
        };
        return compare(&trimmed(&args[0]), &trimmed(&args[1]), &call.ctx.formats);
    }
    compare(&args[0], &args[1], &call.ctx.formats)
}

fn equal(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    Ok(Datum::Bool(order(call, args).is_eq()))
}

fn unequal(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    Ok(Datum::Bool(order(call, args).is_ne()))
}

fn less(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    Ok(Datum::Bool(order(call, args).is_lt()))
}

fn greater(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    Ok(Datum::Bool(order(call, args).is_gt()))
}

fn at_most(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    Ok(Datum::Bool(order(call, args).is_le()))
}

fn at_least(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    Ok(Datum::Bool(order(call, args).is_ge()))
}

fn concat(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    if let (Datum::Bytea(a), Datum::Bytea(b)) = (&args[0], &args[1]) {
        return Ok(Datum::Bytea([&**a, &**b].concat().into()));
    }
    let text = |datum: &Datum| if let Datum::Text(text) = datum { text.to_string() } else { String::new() };
    Ok(Datum::text(text(&args[0]) + &text(&args[1])))
}

/// Text joined with the text of anything.
fn concat_any(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let mut joined = String::new();
    for (arg, &ty) in args.iter().zip(call.arg_types) {
        if let Datum::Text(text) = super::casts::convert(arg.clone(), ty, Type::TEXT, true, call.ctx)? {
            joined.push_str(&text);
        }
    }
    Ok(Datum::text(joined))
}

/// Pairs of types that are compared with each other.
const PAIRS: &[(Type, Type)] = {
    use Type as T;
    &[
        (T::BOOL, T::BOOL),
        (T::INT2, T::INT2),
        (T::INT2, T::INT4),
        (T::INT2, T::INT8),
        (T::INT4, T::INT2),
        (T::INT4, T::INT4),
        (T::INT4, T::INT8),
        (T::INT8, T::INT2),
        (T::INT8, T::INT4),
        (T::INT8, T::INT8),
        (T::FLOAT4, T::FLOAT4),
        (T::FLOAT4, T::FLOAT8),
        (T::FLOAT8, T::FLOAT4),
        (T::FLOAT8, T::FLOAT8),
        (T::NUMERIC, T::NUMERIC),
        (T::TEXT, T::TEXT),
        (T::NAME, T::NAME),
        (T::NAME, T::TEXT),
        (T::TEXT, T::NAME),
        (T::BPCHAR, T::BPCHAR),
        (T::CHAR, T::CHAR),
        (T::BYTEA, T::BYTEA),
        (T::OID, T::OID),
        (T::TID, T::TID),
        (T::DATE, T::DATE),
        (T::DATE, T::TIMESTAMP),
        (T::DATE, T::TIMESTAMPTZ),
        (T::TIMESTAMP, T::DATE),
        (T::TIMESTAMP, T::TIMESTAMP),
        (T::TIMESTAMP, T::TIMESTAMPTZ),
        (T::TIMESTAMPTZ, T::DATE),
        (T::TIMESTAMPTZ, T::TIMESTAMP),
        (T::TIMESTAMPTZ, T::TIMESTAMPTZ),
        (T::TIME, T::TIME),
        (T::INTERVAL, T::INTERVAL),
        (T::INET, T::INET),
        (T::UUID, T::UUID),
        (T::PG_LSN, T::PG_LSN),
        (T::XID8, T::XID8),
        (T::JSONB, T::JSONB),
        (T::ANYARRAY, T::ANYARRAY),
        (T::RECORD, T::RECORD),
    ]
};

/// Only equality is defined for these.
const EQUAL_ONLY: &[(Type, Type)] =
    &[(Type::XID, Type::XID), (Type::XID, Type::INT4), (Type::CID, Type::CID)];

const PAIR_COUNT: usize = PAIRS.len() + EQUAL_ONLY.len();

/// An operator's rows for every pair.
const fn rows(name: &'static str, body: Implementation) -> [Operator; PAIR_COUNT] {
    let mut rows = [const { operator("", Type::BOOL, Type::BOOL, Type::BOOL, equal) }; PAIR_COUNT];
    let mut at = 0;
    while at < PAIR_COUNT {
        let (left, right) = if at < PAIRS.len() { PAIRS[at] } else { EQUAL_ONLY[at - PAIRS.len()] };
        rows[at] = operator(name, left, right, Type::BOOL, body);
        at += 1;
    }
    rows
}

const EQUAL: &[Operator] = &rows("=", equal);
const UNEQUAL: &[Operator] = &rows("<>", unequal);
const LESS: &[Operator] = &rows("<", less);
const GREATER: &[Operator] = &rows(">", greater);
const AT_MOST: &[Operator] = &rows("<=", at_most);
const AT_LEAST: &[Operator] = &rows(">=", at_least);

/// The comparison operators of a name.
pub fn comparisons(name: &str) -> &'static [Operator] {
    match name {
        "=" => EQUAL,
        "<>" => UNEQUAL,
        "<" => &LESS[..PAIRS.len()],
        ">" => &GREATER[..PAIRS.len()],
        "<=" => &AT_MOST[..PAIRS.len()],
        ">=" => &AT_LEAST[..PAIRS.len()],
        _ => &[],
    }
}

/// The operators' rows.
pub const OPERATORS: &[Operator] = &[
    operator("||", Type::TEXT, Type::TEXT, Type::TEXT, concat),
    operator("||", Type::BYTEA, Type::BYTEA, Type::BYTEA, concat),
    operator("||", Type::TEXT, Type::ANYNONARRAY, Type::TEXT, concat_any),
    operator("||", Type::ANYNONARRAY, Type::TEXT, Type::TEXT, concat_any),
];
