//! Functions that ask or tell the server: signals, sleeping, files, the state of things.

use crate::report::{Report, Result, SqlState};
use crate::sql::types::calendar::{INFINITY, MICROS_PER_SECOND, MINUS_INFINITY};
use crate::sql::types::{Datum, Type};

use super::arithmetic::float;
use super::integers::whole;
use super::strings::text;
use super::{Call, Function, dates, function};

fn backend_pid(call: &mut Call<'_, '_>, _: &[Datum]) -> Result<Datum> {
    Ok(Datum::Int4(call.ctx.host.facts().pid))
}

fn sleep_seconds(call: &mut Call<'_, '_>, seconds: f64) -> Result<Datum> {
    let micros = seconds * MICROS_PER_SECOND as f64;
    if micros > 0.0 {
        let deadline = call.ctx.host.now().saturating_add(micros as i64);
        call.ctx.host.sleep_until(deadline)?;
    }
    call.ctx.host.check_interrupts()?;
    Ok(Datum::Void)
}

fn sleep(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    sleep_seconds(call, float(&args[0]))
}

fn sleep_for(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let deadline = dates::add_to(
        &Datum::Timestamptz(call.ctx.host.now()),
        &dates::interval(&args[0]),
        &call.ctx.formats,
    )?;
    sleep_until(call, &[deadline])
}

fn sleep_until(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    match dates::micros(&args[0]) {
        MINUS_INFINITY => Ok(Datum::Void),
        deadline => {
            let now = call.ctx.host.now();
            sleep_seconds(
                call,
                deadline.saturating_sub(now).min(INFINITY / 2) as f64 / MICROS_PER_SECOND as f64,
            )
        }
    }
}

fn pid_of(datum: &Datum) -> i32 {
    whole(datum) as i32
}

fn cancel_backend(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    call.ctx.host.cancel_backend(pid_of(&args[0])).map(Datum::Bool)
}

fn terminate_backend(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let timeout = whole(&args[1]);
    if timeout < 0 {
        return Err(Report::error(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "\"timeout\" must not be negative"));
    }
    call.ctx.host.terminate_backend(pid_of(&args[0]), timeout).map(Datum::Bool)
}

fn reload_conf(call: &mut Call<'_, '_>, _: &[Datum]) -> Result<Datum> {
    call.ctx.host.reload_conf().map(Datum::Bool)
}

fn rotate_logfile(call: &mut Call<'_, '_>, _: &[Datum]) -> Result<Datum> {
    call.ctx.host.rotate_logfile().map(Datum::Bool)
}

fn postmaster_start_time(call: &mut Call<'_, '_>, _: &[Datum]) -> Result<Datum> {
    Ok(Datum::Timestamptz(call.ctx.host.facts().postmaster_start))
}

fn conf_load_time(call: &mut Call<'_, '_>, _: &[Datum]) -> Result<Datum> {
    Ok(Datum::Timestamptz(call.ctx.host.conf_load_time()))
}

fn postmaster_alive(call: &mut Call<'_, '_>, _: &[Datum]) -> Result<Datum> {
    Ok(Datum::Bool(call.ctx.host.postmaster_alive()))
}

fn is_in_recovery(call: &mut Call<'_, '_>, _: &[Datum]) -> Result<Datum> {
    Ok(Datum::Bool(call.ctx.host.is_in_recovery()))
}

fn current_logfile(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let format = args.first().filter(|format| !format.is_null()).map(text);
    if let Some(format) = format
        && !matches!(format, "stderr" | "csvlog" | "jsonlog")
    {
        use crate::report::ReportExt;
        let message = format!("log format \"{format}\" is not supported");
        return Err(Report::error(SqlState::INVALID_PARAMETER_VALUE, message)
            .with_hint("The supported log formats are \"stderr\", \"csvlog\", and \"jsonlog\"."));
    }
    Ok(Datum::opt_text(call.ctx.host.current_logfile(format)))
}

fn client_addr(call: &mut Call<'_, '_>, _: &[Datum]) -> Result<Datum> {
    Ok(Datum::opt_text(call.ctx.host.facts().client.as_ref().map(|client| client.0.as_str())))
}

fn client_port(call: &mut Call<'_, '_>, _: &[Datum]) -> Result<Datum> {
    Ok(call.ctx.host.facts().client.as_ref().map_or(Datum::Null, |client| Datum::Int4(client.1)))
}

fn server_addr(call: &mut Call<'_, '_>, _: &[Datum]) -> Result<Datum> {
    Ok(Datum::opt_text(call.ctx.host.facts().server.as_ref().map(|server| server.0.as_str())))
}

fn server_port(call: &mut Call<'_, '_>, _: &[Datum]) -> Result<Datum> {
    Ok(call.ctx.host.facts().server.as_ref().map_or(Datum::Null, |server| Datum::Int4(server.1)))
}

const TZ: Type = Type::TIMESTAMPTZ;

/// The functions' rows. `pg_postmaster_alive` is tuskd's own, with an OID that PostgreSQL leaves to its users.
pub const FUNCTIONS: &[Function] = &[
    function("pg_backend_pid", 2026, &[], Type::INT4, backend_pid).stable(),
    function("pg_sleep", 2626, &[Type::FLOAT8], Type::VOID, sleep).volatile(),
    function("pg_sleep_for", 3935, &[Type::INTERVAL], Type::VOID, sleep_for).volatile(),
    function("pg_sleep_until", 3936, &[TZ], Type::VOID, sleep_until).volatile(),
    function("pg_cancel_backend", 2171, &[Type::INT4], Type::BOOL, cancel_backend).volatile(),
    function("pg_terminate_backend", 2096, &[Type::INT4, Type::INT8], Type::BOOL, terminate_backend)
        .volatile()
        .defaults(1),
    function("pg_reload_conf", 2621, &[], Type::BOOL, reload_conf).volatile(),
    function("pg_rotate_logfile", 2622, &[], Type::BOOL, rotate_logfile).volatile(),
    function("pg_postmaster_start_time", 2560, &[], TZ, postmaster_start_time).stable(),
    function("pg_conf_load_time", 2034, &[], TZ, conf_load_time).stable(),
    function("pg_postmaster_alive", 16_000, &[], Type::BOOL, postmaster_alive).volatile(),
    function("pg_is_in_recovery", 3810, &[], Type::BOOL, is_in_recovery).volatile(),
    function("pg_current_logfile", 3800, &[], Type::TEXT, current_logfile).lax().volatile(),
    function("pg_current_logfile", 3801, &[Type::TEXT], Type::TEXT, current_logfile).lax().volatile(),
    function("inet_client_addr", 2196, &[], Type::INET, client_addr).lax().stable(),
    function("inet_client_port", 2197, &[], Type::INT4, client_port).lax().stable(),
    function("inet_server_addr", 2198, &[], Type::INET, server_addr).lax().stable(),
    function("inet_server_port", 2199, &[], Type::INT4, server_port).lax().stable(),
];
