//! Settings as functions.

use crate::report::{Report, Result, SqlState};
use crate::sql::host::Scope;
use crate::sql::types::{Datum, Type};

use super::strings::text;
use super::{Call, Function, function};

/// PostgreSQL's refusal of a name that is no setting.
pub fn unrecognized(name: &str) -> Box<Report> {
    Report::error(SqlState::UNDEFINED_OBJECT, format!("unrecognized configuration parameter \"{name}\""))
}

fn current_setting(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let name = text(&args[0]);
    match call.ctx.host.show(name)? {
        Some(value) => Ok(Datum::text(value)),
        None if args.get(1) == Some(&Datum::Bool(true)) => Ok(Datum::Null),
        None => Err(unrecognized(name)),
    }
}

fn set_config(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    if args[0].is_null() {
        return Err(Report::error(SqlState::NULL_VALUE_NOT_ALLOWED, "SET requires parameter name"));
    }
    let name = text(&args[0]);
    let value = if args[1].is_null() { None } else { Some(text(&args[1])) };
    let scope = if args[2] == Datum::Bool(true) { Scope::Local } else { Scope::Session };
    call.ctx.host.set(name, value, scope)?;
    match call.ctx.host.show(name)? {
        Some(value) => Ok(Datum::text(value)),
        None => Err(unrecognized(name)),
    }
}

/// The functions' rows.
pub const FUNCTIONS: &[Function] = &[
    function("current_setting", 2077, &[Type::TEXT], Type::TEXT, current_setting).stable(),
    function("current_setting", 3294, &[Type::TEXT, Type::BOOL], Type::TEXT, current_setting).stable(),
    function("set_config", 2078, &[Type::TEXT, Type::TEXT, Type::BOOL], Type::TEXT, set_config)
        .lax()
        .volatile(),
];
