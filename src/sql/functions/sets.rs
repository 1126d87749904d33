//! Functions that return rows.

use crate::report::{Report, Result, SqlState};
use crate::sql::types::{Datum, Interval, Type, interval};

use super::arithmetic::{numeric, numeric_result};
use super::integers::whole;
use super::{Call, Function, SetRows, dates, set};

fn zero_step() -> Box<Report> {
    Report::error(SqlState::INVALID_PARAMETER_VALUE, "step size cannot equal zero")
}

fn series(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<SetRows> {
    let (start, stop, step) = (whole(&args[0]), whole(&args[1]), args.get(2).map_or(1, whole));
    if step == 0 {
        return Err(zero_step());
    }
    let narrow = call.result == Type::INT4;
    let numbers = std::iter::successors(Some(start), move |number| number.checked_add(step));
    let within = numbers.take_while(move |number| if step > 0 { *number <= stop } else { *number >= stop });
    Ok(Box::new(
        within.map(move |number| Ok(if narrow { Datum::Int4(number as i32) } else { Datum::Int8(number) })),
    ))
}

fn numeric_series(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<SetRows> {
    let (start, stop) = (numeric(&args[0]), numeric(&args[1]));
    let step = args.get(2).map_or_else(|| crate::sql::types::Numeric::from_int(1), numeric);
    if step.is_zero() {
        return Err(zero_step());
    }
    let up = step.signum() > 0;
    let numbers = std::iter::successors(Some(start), move |number| number.add(&step).ok());
    let within = numbers.take_while(move |number| {
        let order = number.compare(&stop);
        if up { order.is_le() } else { order.is_ge() }
    });
    Ok(Box::new(within.map(|number| numeric_result(Ok(number)))))
}

fn time_series(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<SetRows> {
    let step = if let Datum::Interval(step) = &args[2] { *step } else { Interval::default() };
    let direction = interval::comparable(&step).signum();
    if direction == 0 {
        return Err(zero_step());
    }
    let formats = call.ctx.formats.clone();
    let stop = dates::micros(&args[1]);
    let mut next = Some(Ok(args[0].clone()));
    Ok(Box::new(std::iter::from_fn(move || {
        let current = match next.take()? {
            Ok(current) => current,
            Err(report) => return Some(Err(report)),
        };
        let micros = dates::micros(&current);
        if (direction > 0 && micros > stop) || (direction < 0 && micros < stop) {
            return None;
        }
        next = Some(dates::add_to(&current, &step, &formats));
        Some(Ok(current))
    })))
}

fn unnest(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<SetRows> {
    let items = if let Datum::Array(array) = &args[0] { array.items.clone() } else { Vec::new() };
    Ok(Box::new(items.into_iter().map(Ok)))
}

fn string_to_table(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<SetRows> {
    let (source, delimiter) = (super::strings::text(&args[0]), super::strings::text(&args[1]));
    let parts: Vec<Datum> = match delimiter {
        _ if source.is_empty() => Vec::new(),
        "" => vec![Datum::text(source)],
        _ => source.split(delimiter).map(Datum::text).collect(),
    };
    Ok(Box::new(parts.into_iter().map(Ok)))
}

fn generate_subscripts(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<SetRows> {
    let Datum::Array(array) = &args[0] else {
        return Ok(Box::new(std::iter::empty()));
    };
    let dimension = usize::try_from(whole(&args[1])).ok().and_then(|at| at.checked_sub(1));
    let Some(&(length, lower)) = dimension.and_then(|at| array.dimensions.get(at)) else {
        return Ok(Box::new(std::iter::empty()));
    };
    Ok(Box::new((lower..lower + length).map(|subscript| Ok(Datum::Int4(subscript)))))
}

const I4: Type = Type::INT4;
const I8: Type = Type::INT8;
const N: Type = Type::NUMERIC;
const TS: Type = Type::TIMESTAMP;
const TZ: Type = Type::TIMESTAMPTZ;
const IV: Type = Type::INTERVAL;

/// The functions' rows.
pub const FUNCTIONS: &[Function] = &[
    set("generate_series", 1066, &[I4, I4, I4], I4, series),
    set("generate_series", 1067, &[I4, I4], I4, series),
    set("generate_series", 1068, &[I8, I8, I8], I8, series),
    set("generate_series", 1069, &[I8, I8], I8, series),
    set("generate_series", 3259, &[N, N, N], N, numeric_series),
    set("generate_series", 3260, &[N, N], N, numeric_series),
    set("generate_series", 938, &[TS, TS, IV], TS, time_series),
    set("generate_series", 939, &[TZ, TZ, IV], TZ, time_series).stable(),
    set("unnest", 2331, &[Type::ANYARRAY], Type::ANYELEMENT, unnest),
    set("string_to_table", 6160, &[Type::TEXT, Type::TEXT], Type::TEXT, string_to_table),
    set("generate_subscripts", 1192, &[Type::ANYARRAY, I4], I4, generate_subscripts),
];
