//! Functions and operators of arrays.

use std::sync::Arc;

use crate::report::{Report, Result, SqlState};
use crate::sql::types::compare::compare;
use crate::sql::types::output::text_of;
use crate::sql::types::{Array, Datum, Type};

use super::integers::whole;
use super::strings::text;
use super::{Call, Function, Operator, function};

fn array(datum: &Datum) -> Option<&Array> {
    match datum {
        Datum::Array(array) => Some(array),
        _ => None,
    }
}

fn items(datum: &Datum) -> &[Datum] {
    array(datum).map_or(&[], |array| &array.items)
}

fn dimension(args: &[Datum]) -> Option<&(i32, i32)> {
    let index = usize::try_from(whole(&args[1])).ok()?.checked_sub(1)?;
    array(&args[0])?.dimensions.get(index)
}

fn opt(value: Option<i32>) -> Result<Datum> {
    Ok(value.map_or(Datum::Null, Datum::Int4))
}

fn array_length(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    opt(dimension(args).map(|dimension| dimension.0))
}

fn array_lower(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    opt(dimension(args).map(|dimension| dimension.1))
}

fn array_upper(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    opt(dimension(args).map(|(length, lower)| lower + length - 1))
}

fn array_ndims(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    opt(array(&args[0]).map(|array| array.dimensions.len() as i32).filter(|&count| count > 0))
}

fn cardinality(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    Ok(Datum::Int4(items(&args[0]).len() as i32))
}

fn array_to_string(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let (Some(array), false) = (array(&args[0]), args[1].is_null()) else {
        return Ok(Datum::Null);
    };
    let null = args.get(2).filter(|null| !null.is_null()).map(text);
    let parts = array.items.iter().filter_map(|item| match item {
        Datum::Null => null.map(str::to_owned),
        item => Some(text_of(item, array.element, &call.ctx.formats)),
    });
    Ok(Datum::text(parts.collect::<Vec<_>>().join(text(&args[1]))))
}

fn string_to_array(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    if args[0].is_null() {
        return Ok(Datum::Null);
    }
    let source = text(&args[0]);
    let null = args.get(2).filter(|null| !null.is_null()).map(text);
    let item = |part: &str| if null == Some(part) { Datum::Null } else { Datum::text(part) };
    let parts: Vec<Datum> = match (&args[1], source) {
        (_, "") => Vec::new(),
        (Datum::Null, source) => source.chars().map(|c| item(&c.to_string())).collect(),
        (delimiter, source) if text(delimiter).is_empty() => vec![item(source)],
        (delimiter, source) => source.split(text(delimiter)).map(item).collect(),
    };
    Ok(Datum::array(Type::TEXT, parts))
}

/// One dimension or none; more are not joined with elements.
fn flat(datum: &Datum) -> Result<(Vec<Datum>, i32)> {
    match array(datum) {
        None => Ok((Vec::new(), 1)),
        Some(array) if array.dimensions.len() > 1 => {
            Err(Report::error(SqlState::DATA_EXCEPTION, "argument must be empty or one-dimensional array"))
        }
        Some(array) => Ok((array.items.clone(), array.dimensions.first().map_or(1, |dimension| dimension.1))),
    }
}

fn element_of(call: &Call<'_, '_>) -> Type {
    call.result.element().unwrap_or(Type::TEXT)
}

fn from_lower(element: Type, items: Vec<Datum>, lower: i32) -> Datum {
    let mut array = Array::of(element, items);
    if let Some(dimension) = array.dimensions.first_mut() {
        dimension.1 = lower;
    }
    Datum::Array(Arc::new(array))
}

fn array_append(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let (mut items, lower) = flat(&args[0])?;
    items.push(args[1].clone());
    Ok(from_lower(element_of(call), items, lower))
}

fn array_prepend(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let (mut items, lower) = flat(&args[1])?;
    items.insert(0, args[0].clone());
    Ok(from_lower(element_of(call), items, lower))
}

fn array_cat(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let (a, b) = match (array(&args[0]), array(&args[1])) {
        (None, None) => return Ok(Datum::Null),
        (None, Some(_)) => return Ok(args[1].clone()),
        (Some(_), None) => return Ok(args[0].clone()),
        (Some(a), Some(b)) => (a, b),
    };
    if b.dimensions.is_empty() {
        return Ok(args[0].clone());
    }
    if a.dimensions.is_empty() {
        return Ok(args[1].clone());
    }
    let mut dimensions = a.dimensions.clone();
    if a.dimensions.len() == b.dimensions.len() && a.dimensions[1..] == b.dimensions[1..] {
        dimensions[0].0 += b.dimensions[0].0;
    } else if a.dimensions.len() == b.dimensions.len() + 1 && a.dimensions[1..] == b.dimensions[..] {
        dimensions[0].0 += 1;
    } else if b.dimensions.len() == a.dimensions.len() + 1 && b.dimensions[1..] == a.dimensions[..] {
        dimensions = b.dimensions.clone();
        dimensions[0].0 += 1;
    } else {
        return Err(Report::error(SqlState::ARRAY_SUBSCRIPT_ERROR, "cannot concatenate incompatible arrays"));
    }
    let items = a.items.iter().chain(&b.items).cloned().collect();
    Ok(Datum::Array(Arc::new(Array { element: element_of(call), dimensions, items })))
}

fn array_position(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let Some(array) = array(&args[0]) else {
        return Ok(Datum::Null);
    };
    let lower = array.dimensions.first().map_or(1, |dimension| dimension.1);
    let skipped = args.get(2).map_or(0, |start| (whole(start) - i64::from(lower)).max(0) as usize);
    let same = |item: &Datum| match (item.is_null(), args[1].is_null()) {
        (false, false) => compare(item, &args[1], &call.ctx.formats).is_eq(),
        (a, b) => a && b,
    };
    opt(array.items.iter().skip(skipped).position(same).map(|at| (at + skipped) as i32 + lower))
}

fn array_remove(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    if array(&args[0]).is_none() {
        return Ok(Datum::Null);
    }
    let (items, _) = flat(&args[0])?;
    let same = |item: &Datum| match (item.is_null(), args[1].is_null()) {
        (false, false) => compare(item, &args[1], &call.ctx.formats).is_eq(),
        (a, b) => a && b,
    };
    Ok(Datum::array(element_of(call), items.into_iter().filter(|item| !same(item)).collect()))
}

fn contains(call: &Call<'_, '_>, a: &[Datum], b: &[Datum]) -> bool {
    b.iter().all(|wanted| {
        !wanted.is_null()
            && a.iter().any(|item| !item.is_null() && compare(item, wanted, &call.ctx.formats).is_eq())
    })
}

fn array_contains(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    Ok(Datum::Bool(contains(call, items(&args[0]), items(&args[1]))))
}

fn array_contained(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    Ok(Datum::Bool(contains(call, items(&args[1]), items(&args[0]))))
}

fn array_overlap(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let wanted = items(&args[1]);
    let overlaps = items(&args[0]).iter().any(|item| contains(call, wanted, std::slice::from_ref(item)));
    Ok(Datum::Bool(overlaps))
}

const A: Type = Type::ANYARRAY;
const CA: Type = Type::ANYCOMPATIBLEARRAY;
const C: Type = Type::ANYCOMPATIBLE;
const T: Type = Type::TEXT;

const fn lax(name: &'static str, left: Type, right: Type, body: super::Implementation) -> Operator {
    Operator { name, left: Some(left), right, result: CA, strict: false, body }
}

/// The operators' rows.
pub const OPERATORS: &[Operator] = &[
    lax("||", CA, C, array_append),
    lax("||", C, CA, array_prepend),
    lax("||", CA, CA, array_cat),
    super::operator("@>", A, A, Type::BOOL, array_contains),
    super::operator("<@", A, A, Type::BOOL, array_contained),
    super::operator("&&", A, A, Type::BOOL, array_overlap),
];

/// The functions' rows.
pub const FUNCTIONS: &[Function] = &[
    function("array_length", 2176, &[A, Type::INT4], Type::INT4, array_length),
    function("array_lower", 2091, &[A, Type::INT4], Type::INT4, array_lower),
    function("array_upper", 2092, &[A, Type::INT4], Type::INT4, array_upper),
    function("array_ndims", 748, &[A], Type::INT4, array_ndims),
    function("cardinality", 3179, &[A], Type::INT4, cardinality),
    function("array_to_string", 395, &[A, T], T, array_to_string).stable(),
    function("array_to_string", 384, &[A, T, T], T, array_to_string).lax().stable(),
    function("string_to_array", 394, &[T, T], Type::TEXT_ARRAY, string_to_array).lax(),
    function("string_to_array", 376, &[T, T, T], Type::TEXT_ARRAY, string_to_array).lax(),
    function("array_append", 378, &[CA, C], CA, array_append).lax(),
    function("array_prepend", 379, &[C, CA], CA, array_prepend).lax(),
    function("array_cat", 383, &[CA, CA], CA, array_cat).lax(),
    function("array_position", 3277, &[CA, C], Type::INT4, array_position).lax(),
    function("array_position", 3278, &[CA, C, Type::INT4], Type::INT4, array_position).lax(),
    function("array_remove", 3167, &[CA, C], CA, array_remove).lax(),
];
