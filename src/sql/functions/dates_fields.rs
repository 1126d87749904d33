//! Fields of dates and intervals: `extract`, `date_trunc`, `age`, and making dates from numbers.

use crate::report::{Report, ReportExt, Result, SqlState};
use crate::sql::types::calendar::{
    Civil, INFINITY, JULIAN_2000, MICROS_PER_DAY, MICROS_PER_SECOND, MINUS_INFINITY, checked_days,
    civil_of_micros, days_in_month, days_of, micros_of, weekday,
};
use crate::sql::types::{Datum, Interval, Numeric, Type};

use super::arithmetic::{float, numeric};
use super::dates::{interval, micros, zone_named};
use super::integers::whole;
use super::strings::text;
use super::{Call, Function, function};

/// A number with this many digits behind the point, counted in its last digit.
fn decimal(value: i128, scale: u32) -> Datum {
    Datum::numeric(Numeric::Finite { digits: value.into(), scale })
}

fn unsupported(field: &str, ty: Type) -> Box<Report> {
    let known = canonical(field).is_some();
    let message = if known {
        format!("unit \"{field}\" not supported for type {ty}")
    } else {
        format!("unit \"{field}\" not recognized for type {ty}")
    };
    let state = if known { SqlState::FEATURE_NOT_SUPPORTED } else { SqlState::INVALID_PARAMETER_VALUE };
    Report::error(state, message)
}

/// A field's one name.
fn canonical(field: &str) -> Option<&'static str> {
    Some(match field {
        "microseconds" | "microsecond" | "usec" | "usecs" | "us" => "microseconds",
        "milliseconds" | "millisecond" | "msec" | "msecs" | "ms" => "milliseconds",
        "second" | "seconds" | "sec" | "secs" | "s" => "second",
        "minute" | "minutes" | "min" | "mins" | "m" => "minute",
        "hour" | "hours" | "hr" | "hrs" | "h" => "hour",
        "day" | "days" | "d" => "day",
        "week" | "weeks" | "w" => "week",
        "month" | "months" | "mon" | "mons" => "month",
        "quarter" | "qtr" => "quarter",
        "year" | "years" | "yr" | "yrs" | "y" => "year",
        "decade" | "decades" | "dec" | "decs" => "decade",
        "century" | "centuries" | "c" | "cent" => "century",
        "millennium" | "millennia" | "mil" | "mils" => "millennium",
        "dow" => "dow",
        "isodow" => "isodow",
        "doy" => "doy",
        "isoyear" => "isoyear",
        "epoch" => "epoch",
        "julian" => "julian",
        "timezone" => "timezone",
        "timezone_hour" => "timezone_hour",
        "timezone_minute" => "timezone_minute",
        _ => return None,
    })
}

fn centuries(year: i32, length: i32) -> i32 {
    if year > 0 { (year + length - 1) / length } else { -((length - 1 - (year - 1)) / length) }
}

/// ISO year and week of a day.
pub fn iso_week(days: i64) -> (i32, i64) {
    // The week belongs to the year of its Thursday.
    let thursday = days - (i64::from(weekday(days)) + 6) % 7 + 3;
    let year = civil_of_micros(thursday * MICROS_PER_DAY).year;
    (year, (thursday - days_of(year, 1, 1)) / 7 + 1)
}

/// Fields of clock time.
fn clock_field(field: &str, clock: i64) -> Option<Datum> {
    let seconds = clock / MICROS_PER_SECOND;
    Some(match field {
        "microseconds" => decimal(i128::from(clock % (60 * MICROS_PER_SECOND)), 0),
        "milliseconds" => decimal(i128::from(clock % (60 * MICROS_PER_SECOND)), 3),
        "second" => decimal(i128::from(clock % (60 * MICROS_PER_SECOND)), 6),
        "minute" => decimal(i128::from(seconds / 60 % 60), 0),
        "hour" => decimal(i128::from(seconds / 3600), 0),
        _ => return None,
    })
}

fn date_field(field: &str, civil: &Civil, days: i64) -> Option<Datum> {
    let year = civil.year;
    let shown_year = if year > 0 { year } else { year - 1 };
    let value = match field {
        "day" => i64::from(civil.day),
        "month" => i64::from(civil.month),
        "quarter" => i64::from((civil.month - 1) / 3 + 1),
        "year" => i64::from(shown_year),
        "decade" => i64::from(year.div_euclid(10)),
        "century" => i64::from(centuries(year, 100)),
        "millennium" => i64::from(centuries(year, 1000)),
        "dow" => i64::from(weekday(days)),
        "isodow" => (i64::from(weekday(days)) + 6) % 7 + 1,
        "doy" => days - days_of(year, 1, 1) + 1,
        "week" => iso_week(days).1,
        "isoyear" => match i64::from(iso_week(days).0) {
            year if year > 0 => year,
            year => year - 1,
        },
        _ => return None,
    };
    Some(decimal(i128::from(value), 0))
}

fn point_field(call: &Call<'_, '_>, field: &str, value: &Datum) -> Result<Datum> {
    let ty = call.arg_types[1];
    let name = canonical(field).ok_or_else(|| unsupported(field, ty))?;
    let at = micros(value);
    if at == INFINITY || at == MINUS_INFINITY {
        return Ok(infinite_field(name, at));
    }
    let offset = if ty == Type::TIMESTAMPTZ { call.ctx.formats.zone.at_instant(at).0 } else { 0 };
    let local = at + i64::from(offset) * MICROS_PER_SECOND;
    let civil = civil_of_micros(local);
    let days = local.div_euclid(MICROS_PER_DAY);
    let of_date = if ty == Type::TIME { None } else { date_field(name, &civil, days) };
    let of_clock = if ty == Type::DATE { None } else { clock_field(name, civil.micros) };
    let found = of_date.or(of_clock).or_else(|| match (name, ty) {
        ("epoch", Type::TIME) => Some(decimal(i128::from(at), 6)),
        ("epoch", Type::DATE) => Some(decimal(i128::from(days + 10_957) * 86_400, 0)),
        ("epoch", _) => Some(decimal(i128::from(at) + 946_684_800_000_000, 6)),
        ("julian", Type::DATE) => Some(decimal(i128::from(days + JULIAN_2000), 0)),
        ("julian", Type::TIMESTAMP | Type::TIMESTAMPTZ) => {
            let whole = Numeric::from_int(days + JULIAN_2000);
            let part = Numeric::from_int(civil.micros).divide(&Numeric::from_int(MICROS_PER_DAY));
            part.and_then(|part| whole.add(&part)).ok().map(Datum::numeric)
        }
        ("timezone", Type::TIMESTAMPTZ) => Some(decimal(i128::from(offset), 0)),
        ("timezone_hour", Type::TIMESTAMPTZ) => Some(decimal(i128::from(offset / 3600), 0)),
        ("timezone_minute", Type::TIMESTAMPTZ) => Some(decimal(i128::from(offset / 60 % 60), 0)),
        _ => None,
    });
    found.ok_or_else(|| unsupported(field, ty))
}

/// What grows without end is infinite with its point; what comes again is not known.
fn infinite_field(name: &str, at: i64) -> Datum {
    match name {
        "year" | "decade" | "century" | "millennium" | "isoyear" | "epoch" | "julian" => {
            Datum::numeric(if at == INFINITY { Numeric::Infinity } else { Numeric::MinusInfinity })
        }
        _ => Datum::Null,
    }
}

fn interval_field(field: &str, value: &Interval) -> Result<Datum> {
    let name = canonical(field).ok_or_else(|| unsupported(field, Type::INTERVAL))?;
    let (years, months) = (value.months / 12, value.months % 12);
    let whole = match name {
        "day" => value.days,
        "week" => value.days / 7,
        "month" => months,
        "quarter" => months / 3 + 1,
        "year" => years,
        "decade" => years / 10,
        "century" => years / 100,
        "millennium" => years / 1000,
        "epoch" => {
            let months = i128::from(years) * 36_525 * 864 + i128::from(months) * 30 * 86_400;
            let seconds = months + i128::from(value.days) * 86_400;
            return Ok(decimal(seconds * 1_000_000 + i128::from(value.micros), 6));
        }
        _ => return clock_field(name, value.micros).ok_or_else(|| unsupported(field, Type::INTERVAL)),
    };
    Ok(decimal(i128::from(whole), 0))
}

fn extract(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let field = text(&args[0]).to_lowercase();
    match &args[1] {
        Datum::Interval(value) => interval_field(&field, value),
        value => point_field(call, &field, value),
    }
}

/// The same as a float.
fn date_part(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    match extract(call, args)? {
        Datum::Null => Ok(Datum::Null),
        number => Ok(Datum::Float8(numeric(&number).to_f64())),
    }
}

fn truncated(field: &str, local: i64, ty: Type) -> Result<i64> {
    let name = canonical(field).ok_or_else(|| unsupported(field, ty))?;
    let civil = civil_of_micros(local);
    let days = local.div_euclid(MICROS_PER_DAY);
    let unit = |unit: i64| local - local.rem_euclid(unit);
    let first = |year: i32, month: u32| micros_of(year, month, 1);
    let by = |length: i32| {
        let number = centuries(civil.year, length);
        first(if number > 0 { (number - 1) * length + 1 } else { number * length + 1 }, 1)
    };
    Ok(match name {
        "microseconds" => local,
        "milliseconds" => unit(1000),
        "second" => unit(MICROS_PER_SECOND),
        "minute" => unit(60 * MICROS_PER_SECOND),
        "hour" => unit(3600 * MICROS_PER_SECOND),
        "day" => unit(MICROS_PER_DAY),
        "week" => (days - (i64::from(weekday(days)) + 6) % 7) * MICROS_PER_DAY,
        "month" => first(civil.year, civil.month),
        "quarter" => first(civil.year, (civil.month - 1) / 3 * 3 + 1),
        "year" => first(civil.year, 1),
        "decade" => first(civil.year.div_euclid(10) * 10, 1),
        "century" => by(100),
        "millennium" => by(1000),
        _ => return Err(unsupported(field, ty)),
    })
}

fn date_trunc(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let field = text(&args[0]).to_lowercase();
    let ty = call.arg_types[1];
    let at = micros(&args[1]);
    match &args[1] {
        Datum::Interval(value) => truncated_interval(&field, value),
        value if at == INFINITY || at == MINUS_INFINITY => Ok(value.clone()),
        Datum::Timestamptz(_) => {
            let zone = match args.get(2) {
                Some(name) => zone_named(text(name))?,
                None => call.ctx.formats.zone.clone(),
            };
            let local = truncated(&field, at + i64::from(zone.at_instant(at).0) * MICROS_PER_SECOND, ty)?;
            Ok(Datum::Timestamptz(local - i64::from(zone.at_local(local)) * MICROS_PER_SECOND))
        }
        _ => truncated(&field, at, ty).map(Datum::Timestamp),
    }
}

fn truncated_interval(field: &str, value: &Interval) -> Result<Datum> {
    let name = canonical(field).ok_or_else(|| unsupported(field, Type::INTERVAL))?;
    let months = |count: i32| Interval { months: value.months / count * count, ..Interval::default() };
    let clock = |unit: i64| Interval { micros: value.micros / unit * unit, ..*value };
    Ok(Datum::Interval(match name {
        "microseconds" => *value,
        "milliseconds" => clock(1000),
        "second" => clock(MICROS_PER_SECOND),
        "minute" => clock(60 * MICROS_PER_SECOND),
        "hour" => clock(3600 * MICROS_PER_SECOND),
        "day" => Interval { micros: 0, ..*value },
        "month" => months(1),
        "quarter" => months(3),
        "year" => months(12),
        "decade" => months(120),
        "century" => months(1200),
        "millennium" => months(12_000),
        _ => {
            return Err(
                unsupported(field, Type::INTERVAL).with_detail("Months usually have fractional weeks.")
            );
        }
    }))
}

/// Years, months and days from the second point to the first.
fn age_between(later: i64, earlier: i64) -> Interval {
    if later < earlier {
        return crate::sql::types::interval::negate(&age_between(earlier, later));
    }
    let (a, b) = (civil_of_micros(later), civil_of_micros(earlier));
    let mut months = i64::from(a.year - b.year) * 12 + i64::from(a.month) - i64::from(b.month);
    let mut days = i64::from(a.day) - i64::from(b.day);
    let mut micros = a.micros - b.micros;
    if micros < 0 {
        micros += MICROS_PER_DAY;
        days -= 1;
    }
    if days < 0 {
        // The month that is not complete is as long as the earlier point's.
        days += i64::from(days_in_month(b.year, b.month));
        months -= 1;
    }
    Interval { months: months as i32, days: days as i32, micros }
}

fn age(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let local = |datum: &Datum| match datum {
        Datum::Timestamptz(micros) => {
            micros + i64::from(call.ctx.formats.zone.at_instant(*micros).0) * MICROS_PER_SECOND
        }
        other => micros(other),
    };
    let (later, earlier) = match args {
        [one] => {
            let now = local(&Datum::Timestamptz(call.ctx.times.transaction));
            (now - now.rem_euclid(MICROS_PER_DAY), local(one))
        }
        [a, b, ..] => (local(a), local(b)),
        [] => (0, 0),
    };
    if args.iter().any(|arg| matches!(micros(arg), INFINITY | MINUS_INFINITY)) {
        return Err(Report::error(SqlState::DATETIME_FIELD_OVERFLOW, "interval out of range"));
    }
    Ok(Datum::Interval(age_between(later, earlier)))
}

fn make_date(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let (year, month, day) = (whole(&args[0]), whole(&args[1]), whole(&args[2]));
    let days = || {
        let year = i32::try_from(if year < 0 { year + 1 } else { year }).ok().filter(|_| year != 0)?;
        let within = (-4713..5_874_898).contains(&year);
        checked_days(year, u32::try_from(month).ok()?, u32::try_from(day).ok()?).filter(|_| within)
    };
    days().map(|days| Datum::Date(days as i32)).ok_or_else(|| {
        let message = format!("date field value out of range: {year}-{month:02}-{day:02}");
        Report::error(SqlState::DATETIME_FIELD_OVERFLOW, message)
    })
}

fn make_interval(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let part = |index: usize| args.get(index).map_or(0, whole);
    let seconds = args.get(6).map_or(0.0, float);
    let made = || {
        let micros = (part(4) * 3600 + part(5) * 60).checked_mul(MICROS_PER_SECOND)?;
        let fraction = (seconds * 1e6).round_ties_even();
        Some(Interval {
            months: i32::try_from(part(0) * 12 + part(1)).ok()?,
            days: i32::try_from(part(2) * 7 + part(3)).ok()?,
            micros: (fraction.abs() < 9e18).then_some(fraction as i64)?.checked_add(micros)?,
        })
    };
    made()
        .map(Datum::Interval)
        .ok_or_else(|| Report::error(SqlState::DATETIME_FIELD_OVERFLOW, "interval out of range"))
}

fn justify_hours(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let value = interval(&args[0]);
    let (days, micros) = (value.micros / MICROS_PER_DAY, value.micros % MICROS_PER_DAY);
    Ok(Datum::Interval(Interval { days: value.days.saturating_add(days as i32), micros, ..value }))
}

fn justify_days(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let value = interval(&args[0]);
    Ok(Datum::Interval(Interval {
        months: value.months.saturating_add(value.days / 30),
        days: value.days % 30,
        ..value
    }))
}

/// The functions' rows.
pub const FUNCTIONS: &[Function] = {
    use Type as T;
    const TX: Type = Type::TEXT;
    &[
        function("extract", 6199, &[TX, T::DATE], T::NUMERIC, extract),
        function("extract", 6200, &[TX, T::TIME], T::NUMERIC, extract),
        function("extract", 6202, &[TX, T::TIMESTAMP], T::NUMERIC, extract),
        function("extract", 6203, &[TX, T::TIMESTAMPTZ], T::NUMERIC, extract).stable(),
        function("extract", 6204, &[TX, T::INTERVAL], T::NUMERIC, extract),
        function("date_part", 1384, &[TX, T::DATE], T::FLOAT8, date_part),
        function("date_part", 1385, &[TX, T::TIME], T::FLOAT8, date_part),
        function("date_part", 2021, &[TX, T::TIMESTAMP], T::FLOAT8, date_part),
        function("date_part", 1171, &[TX, T::TIMESTAMPTZ], T::FLOAT8, date_part).stable(),
        function("date_part", 1172, &[TX, T::INTERVAL], T::FLOAT8, date_part),
        function("date_trunc", 2020, &[TX, T::TIMESTAMP], T::TIMESTAMP, date_trunc),
        function("date_trunc", 1217, &[TX, T::TIMESTAMPTZ], T::TIMESTAMPTZ, date_trunc).stable(),
        function("date_trunc", 1284, &[TX, T::TIMESTAMPTZ, TX], T::TIMESTAMPTZ, date_trunc),
        function("date_trunc", 1218, &[TX, T::INTERVAL], T::INTERVAL, date_trunc),
        function("age", 1199, &[T::TIMESTAMPTZ, T::TIMESTAMPTZ], T::INTERVAL, age),
        function("age", 1386, &[T::TIMESTAMPTZ], T::INTERVAL, age).stable(),
        function("age", 2058, &[T::TIMESTAMP, T::TIMESTAMP], T::INTERVAL, age),
        function("age", 2059, &[T::TIMESTAMP], T::INTERVAL, age).stable(),
        function("make_date", 3846, &[T::INT4, T::INT4, T::INT4], T::DATE, make_date),
        function(
            "make_interval",
            3464,
            &[T::INT4, T::INT4, T::INT4, T::INT4, T::INT4, T::INT4, T::FLOAT8],
            T::INTERVAL,
            make_interval,
        )
        .defaults(7),
        function("justify_hours", 1175, &[T::INTERVAL], T::INTERVAL, justify_hours),
        function("justify_days", 1295, &[T::INTERVAL], T::INTERVAL, justify_days),
    ]
};
