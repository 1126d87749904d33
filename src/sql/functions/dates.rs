//! Arithmetic of dates, times and intervals, and the clock.

use crate::report::{Report, Result, SqlState};
use crate::sql::types::calendar::{
    Civil, DATE_INFINITY, DATE_MINUS_INFINITY, INFINITY, MICROS_PER_DAY, MICROS_PER_SECOND, MINUS_INFINITY,
    civil_of_micros, days_in_month, days_of,
};
use crate::sql::types::interval::negate;
use crate::sql::types::{Datum, Formats, Interval, Type, datetime_in};

use super::arithmetic::float;
use super::integers::whole;
use super::{Call, Function, Operator, casts, function, operator, prefix};

/// Microseconds of any point in time.
pub fn micros(datum: &Datum) -> i64 {
    match datum {
        Datum::Timestamp(micros) | Datum::Timestamptz(micros) | Datum::Time(micros) => *micros,
        Datum::Date(DATE_INFINITY) => INFINITY,
        Datum::Date(DATE_MINUS_INFINITY) => MINUS_INFINITY,
        Datum::Date(days) => i64::from(*days).saturating_mul(MICROS_PER_DAY),
        _ => 0,
    }
}

/// An interval argument.
pub fn interval(datum: &Datum) -> Interval {
    if let Datum::Interval(interval) = datum { *interval } else { Interval::default() }
}

fn is_infinite(micros: i64) -> bool {
    micros == INFINITY || micros == MINUS_INFINITY
}

fn out_of_range(what: &str) -> Box<Report> {
    Report::error(SqlState::DATETIME_FIELD_OVERFLOW, format!("{what} out of range"))
}

fn interval_out_of_range() -> Box<Report> {
    out_of_range("interval")
}

/// The sum of two intervals, field by field.
pub fn add_intervals(a: &Interval, b: &Interval) -> Result<Interval> {
    let sum = || {
        Some(Interval {
            months: a.months.checked_add(b.months)?,
            days: a.days.checked_add(b.days)?,
            micros: a.micros.checked_add(b.micros)?,
        })
    };
    sum().ok_or_else(interval_out_of_range)
}

/// The interval times a factor; fractions of months go to days, of days to the time.
pub fn multiply_interval(interval: &Interval, factor: f64) -> Result<Interval> {
    let fits =
        |value: f64, limit: f64| if value.abs() <= limit { Ok(value) } else { Err(interval_out_of_range()) };
    let months = fits(f64::from(interval.months) * factor, f64::from(i32::MAX))?;
    let days = fits(f64::from(interval.days) * factor, f64::from(i32::MAX))?;
    let month_days = round_to_micros((months - months.trunc()) * 30.0);
    let day_rest = round_to_micros(days - days.trunc() + month_days - month_days.trunc());
    let seconds = day_rest * 86_400.0;
    let all_days = days.trunc() + month_days.trunc() + (seconds / 86_400.0).trunc();
    let micros = interval.micros as f64 * factor + (seconds % 86_400.0) * 1e6;
    Ok(Interval {
        months: months.trunc() as i32,
        days: all_days as i32,
        micros: fits(micros, 9.2e18)?.round_ties_even() as i64,
    })
}

fn round_to_micros(value: f64) -> f64 {
    (value * 1e6).round_ties_even() / 1e6
}

/// The interval divided.
pub fn divide_interval(interval: &Interval, divisor: f64) -> Result<Interval> {
    if divisor == 0.0 {
        return Err(super::integers::division_by_zero());
    }
    multiply_interval(interval, 1.0 / divisor)
}

/// A local time with months added: days beyond the month's end become its last.
fn add_months(civil: &Civil, months: i32) -> Option<Civil> {
    let month0 = i64::from(civil.year) * 12 + i64::from(civil.month) - 1 + i64::from(months);
    let year = i32::try_from(month0.div_euclid(12)).ok()?;
    let month = month0.rem_euclid(12) as u32 + 1;
    let day = civil.day.min(days_in_month(year, month));
    Some(Civil { year, month, day, micros: civil.micros })
}

/// Months and days count by the calendar, the rest by the clock.
fn add_calendar(local: i64, interval: &Interval) -> Option<i64> {
    if interval.months == 0 && interval.days == 0 {
        return Some(local);
    }
    let civil = add_months(&civil_of_micros(local), interval.months)?;
    let days = days_of(civil.year, civil.month, civil.day).checked_add(i64::from(interval.days))?;
    days.checked_mul(MICROS_PER_DAY)?.checked_add(civil.micros)
}

/// A point in time plus an interval; a date becomes a timestamp.
pub fn add_to(point: &Datum, interval: &Interval, formats: &Formats) -> Result<Datum> {
    let start = micros(point);
    let fits = |micros: Option<i64>| {
        micros.and_then(|micros| datetime_in::in_range(micros).ok()).ok_or_else(|| out_of_range("timestamp"))
    };
    match point {
        Datum::Time(micros) => {
            Ok(Datum::Time((micros.wrapping_add(interval.micros)).rem_euclid(MICROS_PER_DAY)))
        }
        Datum::Timestamptz(_) if is_infinite(start) => Ok(point.clone()),
        Datum::Timestamptz(micros) => {
            let mut moved = *micros;
            if interval.months != 0 || interval.days != 0 {
                let local = micros + i64::from(formats.zone.at_instant(*micros).0) * MICROS_PER_SECOND;
                let local = fits(add_calendar(local, interval))?;
                moved = local - i64::from(formats.zone.at_local(local)) * MICROS_PER_SECOND;
            }
            fits(moved.checked_add(interval.micros)).map(Datum::Timestamptz)
        }
        _ if is_infinite(start) => Ok(Datum::Timestamp(start)),
        _ => {
            let moved = add_calendar(start, interval).and_then(|moved| moved.checked_add(interval.micros));
            fits(moved).map(Datum::Timestamp)
        }
    }
}

fn plus_interval(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    add_to(&args[0], &interval(&args[1]), &call.ctx.formats)
}

fn interval_plus(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    add_to(&args[1], &interval(&args[0]), &call.ctx.formats)
}

fn minus_interval(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    add_to(&args[0], &negate(&interval(&args[1])), &call.ctx.formats)
}

fn sum_intervals(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    add_intervals(&interval(&args[0]), &interval(&args[1])).map(Datum::Interval)
}

fn subtract_intervals(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    add_intervals(&interval(&args[0]), &negate(&interval(&args[1]))).map(Datum::Interval)
}

fn negate_interval(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    Ok(Datum::Interval(negate(&interval(&args[0]))))
}

fn interval_times(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    multiply_interval(&interval(&args[0]), float(&args[1])).map(Datum::Interval)
}

fn times_interval(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    multiply_interval(&interval(&args[1]), float(&args[0])).map(Datum::Interval)
}

fn interval_over(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    divide_interval(&interval(&args[0]), float(&args[1])).map(Datum::Interval)
}

/// The time between: days and a rest below one, never months.
fn between(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let (a, b) = (micros(&args[0]), micros(&args[1]));
    if is_infinite(a) || is_infinite(b) {
        return Err(out_of_range("interval"));
    }
    let span = a.checked_sub(b).ok_or_else(interval_out_of_range)?;
    let (days, rest) = (span / MICROS_PER_DAY, span % MICROS_PER_DAY);
    Ok(Datum::Interval(Interval { months: 0, days: days as i32, micros: rest }))
}

fn time_between(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    Ok(Datum::Interval(Interval { micros: micros(&args[0]) - micros(&args[1]), ..Interval::default() }))
}

fn days_between(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    match (&args[0], &args[1]) {
        (Datum::Date(a), Datum::Date(b))
            if !is_infinite(micros(&args[0])) && !is_infinite(micros(&args[1])) =>
        {
            Ok(Datum::Int4(a - b))
        }
        _ => Err(Report::error(SqlState::DATETIME_FIELD_OVERFLOW, "cannot subtract infinite dates")),
    }
}

fn move_date(date: &Datum, days: i64) -> Result<Datum> {
    let Datum::Date(start) = date else {
        return Ok(Datum::Null);
    };
    if is_infinite(micros(date)) {
        return Ok(date.clone());
    }
    let moved = i64::from(*start) + days;
    let within = -crate::sql::types::calendar::JULIAN_2000..crate::sql::types::calendar::END_DATE;
    if within.contains(&moved) { Ok(Datum::Date(moved as i32)) } else { Err(out_of_range("date")) }
}

fn date_plus_days(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    move_date(&args[0], whole(&args[1]))
}

fn days_plus_date(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    move_date(&args[1], whole(&args[0]))
}

fn date_minus_days(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    move_date(&args[0], -whole(&args[1]))
}

fn date_plus_time(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let at = micros(&args[0]).saturating_add(micros(&args[1]));
    datetime_in::in_range(at).map(Datum::Timestamp).map_err(|_| out_of_range("timestamp"))
}

fn transaction_time(call: &mut Call<'_, '_>, _: &[Datum]) -> Result<Datum> {
    Ok(Datum::Timestamptz(call.ctx.times.transaction))
}

fn statement_time(call: &mut Call<'_, '_>, _: &[Datum]) -> Result<Datum> {
    Ok(Datum::Timestamptz(call.ctx.times.statement))
}

fn clock_time(call: &mut Call<'_, '_>, _: &[Datum]) -> Result<Datum> {
    Ok(Datum::Timestamptz(call.ctx.host.now()))
}

/// The transaction's time as another type: `CURRENT_DATE` and its kin.
fn now_as(call: &mut Call<'_, '_>, _: &[Datum]) -> Result<Datum> {
    casts::convert_time(Datum::Timestamptz(call.ctx.times.transaction), call.result, call.ctx)
}

/// The zone of a name, or PostgreSQL's refusal.
pub fn zone_named(name: &str) -> Result<crate::sql::types::zone::Zone> {
    crate::sql::types::zone::Zone::by_name(name).ok_or_else(|| {
        Report::error(SqlState::INVALID_PARAMETER_VALUE, format!("time zone \"{name}\" not recognized"))
    })
}

fn in_zone(zone: &crate::sql::types::zone::Zone, value: &Datum) -> Datum {
    match value {
        value if is_infinite(micros(value)) => match value {
            Datum::Timestamptz(micros) => Datum::Timestamp(*micros),
            other => Datum::Timestamptz(micros(other)),
        },
        Datum::Timestamptz(micros) => {
            Datum::Timestamp(micros + i64::from(zone.at_instant(*micros).0) * MICROS_PER_SECOND)
        }
        other => {
            let local = micros(other);
            Datum::Timestamptz(local - i64::from(zone.at_local(local)) * MICROS_PER_SECOND)
        }
    }
}

fn at_time_zone(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    Ok(in_zone(&zone_named(super::strings::text(&args[0]))?, &args[1]))
}

fn at_interval_zone(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let offset = interval(&args[0]);
    let zone = crate::sql::types::zone::Zone::fixed((offset.micros / MICROS_PER_SECOND) as i32);
    match zone.filter(|_| offset.months == 0 && offset.days == 0) {
        Some(zone) => Ok(in_zone(&zone, &args[1])),
        None => Err(Report::error(
            SqlState::INVALID_PARAMETER_VALUE,
            "interval time zone must not include months or days",
        )),
    }
}

fn from_epoch(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let seconds = float(&args[0]);
    if seconds.is_nan() {
        return Err(Report::error(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp cannot be NaN"));
    }
    if seconds.is_infinite() {
        return Ok(Datum::Timestamptz(if seconds > 0.0 { INFINITY } else { MINUS_INFINITY }));
    }
    let micros = ((seconds - 946_684_800.0) * 1e6).round_ties_even();
    let in_range = datetime_in::in_range(micros as i64).map(Datum::Timestamptz);
    in_range.map_err(|_| {
        Report::error(SqlState::DATETIME_FIELD_OVERFLOW, format!("timestamp out of range: \"{seconds}\""))
    })
}

fn is_finite(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    Ok(Datum::Bool(!is_infinite(micros(&args[0]))))
}

const D: Type = Type::DATE;
const T: Type = Type::TIME;
const TS: Type = Type::TIMESTAMP;
const TZ: Type = Type::TIMESTAMPTZ;
const IV: Type = Type::INTERVAL;
const I4: Type = Type::INT4;
const F8: Type = Type::FLOAT8;

/// The operators' rows.
pub const OPERATORS: &[Operator] = &[
    operator("+", D, IV, TS, plus_interval),
    operator("+", TS, IV, TS, plus_interval),
    operator("+", TZ, IV, TZ, plus_interval),
    operator("+", T, IV, T, plus_interval),
    operator("+", IV, D, TS, interval_plus),
    operator("+", IV, TS, TS, interval_plus),
    operator("+", IV, TZ, TZ, interval_plus),
    operator("+", IV, T, T, interval_plus),
    operator("+", IV, IV, IV, sum_intervals),
    operator("+", D, I4, D, date_plus_days),
    operator("+", I4, D, D, days_plus_date),
    operator("+", D, T, TS, date_plus_time),
    operator("+", T, D, TS, date_plus_time),
    operator("-", D, IV, TS, minus_interval),
    operator("-", TS, IV, TS, minus_interval),
    operator("-", TZ, IV, TZ, minus_interval),
    operator("-", T, IV, T, minus_interval),
    operator("-", IV, IV, IV, subtract_intervals),
    operator("-", D, I4, D, date_minus_days),
    operator("-", D, D, I4, days_between),
    operator("-", TS, TS, IV, between),
    operator("-", TZ, TZ, IV, between),
    operator("-", T, T, IV, time_between),
    operator("*", IV, F8, IV, interval_times),
    operator("*", F8, IV, IV, times_interval),
    operator("/", IV, F8, IV, interval_over),
    prefix("-", IV, IV, negate_interval),
];

/// The functions' rows. The grammar's words without parentheses have no OIDs in PostgreSQL: theirs lie above its range.
pub const FUNCTIONS: &[Function] = &[
    function("now", 1299, &[], TZ, transaction_time).stable(),
    function("transaction_timestamp", 2647, &[], TZ, transaction_time).stable(),
    function("statement_timestamp", 2648, &[], TZ, statement_time).stable(),
    function("clock_timestamp", 2649, &[], TZ, clock_time).volatile(),
    function("current_date", 16_001, &[], D, now_as).stable(),
    function("localtime", 16_002, &[], T, now_as).stable(),
    function("localtimestamp", 16_003, &[], TS, now_as).stable(),
    function("timezone", 1159, &[Type::TEXT, TZ], TS, at_time_zone),
    function("timezone", 2069, &[Type::TEXT, TS], TZ, at_time_zone),
    function("timezone", 1026, &[IV, TZ], TS, at_interval_zone),
    function("timezone", 2070, &[IV, TS], TZ, at_interval_zone),
    function("to_timestamp", 1158, &[F8], TZ, from_epoch),
    function("isfinite", 1373, &[D], Type::BOOL, is_finite),
    function("isfinite", 1389, &[TZ], Type::BOOL, is_finite),
    function("isfinite", 2048, &[TS], Type::BOOL, is_finite),
];
