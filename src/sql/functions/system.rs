//! Functions about the session and the system: names, types, versions, identifiers.

use crate::report::Result;
use crate::sql::types::output::text_of;
use crate::sql::types::{Datum, Type};

use super::integers::whole;
use super::strings::text;
use super::{Call, Function, function};

fn version(call: &mut Call<'_, '_>, _: &[Datum]) -> Result<Datum> {
    Ok(Datum::text(call.ctx.host.facts().version.as_str()))
}

fn current_user(call: &mut Call<'_, '_>, _: &[Datum]) -> Result<Datum> {
    Ok(Datum::text(call.ctx.host.facts().user.as_str()))
}

fn session_user(call: &mut Call<'_, '_>, _: &[Datum]) -> Result<Datum> {
    Ok(Datum::text(call.ctx.host.facts().session_user.as_str()))
}

fn system_user(call: &mut Call<'_, '_>, _: &[Datum]) -> Result<Datum> {
    Ok(Datum::opt_text(call.ctx.host.facts().system_user.as_deref()))
}

fn current_database(call: &mut Call<'_, '_>, _: &[Datum]) -> Result<Datum> {
    Ok(Datum::text(call.ctx.host.facts().database.as_str()))
}

/// The schemas of `search_path` that exist: `public`, and `pg_catalog`.
fn schemas(call: &Call<'_, '_>) -> Result<Vec<String>> {
    let path = call.ctx.host.show("search_path")?.unwrap_or_else(|| "\"$user\", public".to_owned());
    let names = path.split(',').map(|name| name.trim().trim_matches('"').to_owned());
    Ok(names.filter(|name| matches!(name.as_str(), "public" | "pg_catalog")).collect())
}

fn current_schema(call: &mut Call<'_, '_>, _: &[Datum]) -> Result<Datum> {
    Ok(Datum::opt_text(schemas(call)?.first().map(String::as_str)))
}

fn current_schemas(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let mut names = schemas(call)?;
    if args[0] == Datum::Bool(true) && !names.iter().any(|name| name == "pg_catalog") {
        names.insert(0, "pg_catalog".to_owned());
    }
    Ok(Datum::array(Type::NAME, names.into_iter().map(Datum::text).collect()))
}

fn current_query(call: &mut Call<'_, '_>, _: &[Datum]) -> Result<Datum> {
    Ok(Datum::Text(call.ctx.query.clone()))
}

fn typeof_any(call: &mut Call<'_, '_>, _: &[Datum]) -> Result<Datum> {
    Ok(Datum::Oid(call.arg_types[0].oid()))
}

fn format_type(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let Datum::Oid(oid) = args[0] else {
        return Ok(Datum::Null);
    };
    if oid == 0 {
        return Ok(Datum::text("-"));
    }
    let Some(ty) = Type::from_oid(oid) else {
        return Ok(Datum::text("???"));
    };
    let typmod = if args[1].is_null() { -1 } else { whole(&args[1]) as i32 };
    Ok(Datum::text(typed_name(ty, typmod)))
}

/// A type's name with its length or precision.
fn typed_name(ty: Type, typmod: i32) -> String {
    let name = ty.sql_name();
    match ty {
        _ if typmod < 0 => name,
        Type::VARCHAR | Type::BPCHAR => format!("{name}({})", typmod - 4),
        Type::NUMERIC => {
            format!("{name}({},{})", (typmod - 4) >> 16, (((typmod - 4) & 0x7FF) ^ 0x400) - 0x400)
        }
        Type::INTERVAL => format!("{name}({typmod})"),
        Type::TIME | Type::TIMESTAMP | Type::TIMESTAMPTZ => match name.split_once(' ') {
            Some((head, tail)) => format!("{head}({typmod}) {tail}"),
            None => name,
        },
        _ => name,
    }
}

fn encoding_to_char(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    Ok(Datum::text(match whole(&args[0]) {
        0 => "SQL_ASCII",
        6 => "UTF8",
        8 => "LATIN1",
        _ => "",
    }))
}

fn database_encoding(_: &mut Call<'_, '_>, _: &[Datum]) -> Result<Datum> {
    Ok(Datum::text("UTF8"))
}

fn client_encoding(call: &mut Call<'_, '_>, _: &[Datum]) -> Result<Datum> {
    Ok(Datum::text(call.ctx.host.show("client_encoding")?.unwrap_or_else(|| "UTF8".to_owned())))
}

fn no_oid(_: &mut Call<'_, '_>, _: &[Datum]) -> Result<Datum> {
    Ok(Datum::Oid(0))
}

fn no_bool(_: &mut Call<'_, '_>, _: &[Datum]) -> Result<Datum> {
    Ok(Datum::Bool(false))
}

/// What binary form a value has in storage, with its header.
fn column_size(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let ty = call.arg_types[0];
    let size = match (&args[0], ty.len()) {
        (_, len) if len > 0 => i32::from(len),
        (value, _) => text_of(value, ty, &call.ctx.formats).len() as i32 + 4,
    };
    Ok(Datum::Int4(size))
}

fn size_pretty(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let mut size = i128::from(whole(&args[0]));
    let mut unit = 0;
    const UNITS: [&str; 6] = ["bytes", "kB", "MB", "GB", "TB", "PB"];
    if size.abs() < 10 * 1024 {
        return Ok(Datum::text(format!("{size} bytes")));
    }
    // One bit more than shown is kept until the end, for rounding.
    size >>= 9;
    unit += 1;
    while size.abs() >= 20 * 1024 - 1 && unit + 1 < UNITS.len() {
        size >>= 10;
        unit += 1;
    }
    let rounded = (size + size.signum()) / 2;
    Ok(Datum::text(format!("{rounded} {}", UNITS[unit])))
}

fn random_uuid(call: &mut Call<'_, '_>, _: &[Datum]) -> Result<Datum> {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&call.ctx.host.random().to_be_bytes());
    bytes[8..].copy_from_slice(&call.ctx.host.random().to_be_bytes());
    bytes[6] = bytes[6] & 0x0F | 0x40;
    bytes[8] = bytes[8] & 0x3F | 0x80;
    Ok(Datum::Uuid(bytes))
}

fn inet_host(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    Ok(Datum::text(crate::sql::types::inet::host(text(&args[0]))))
}

/// The functions' rows.
pub const FUNCTIONS: &[Function] = {
    use Type as T;
    &[
        function("version", 89, &[], T::TEXT, version).stable(),
        function("current_user", 745, &[], T::NAME, current_user).stable(),
        function("session_user", 746, &[], T::NAME, session_user).stable(),
        function("system_user", 6311, &[], T::TEXT, system_user).stable(),
        function("current_database", 861, &[], T::NAME, current_database).stable(),
        function("current_schema", 1402, &[], T::NAME, current_schema).stable(),
        function("current_schemas", 1403, &[T::BOOL], T::NAME_ARRAY, current_schemas).stable(),
        function("current_query", 817, &[], T::TEXT, current_query).lax().volatile(),
        function("pg_typeof", 1619, &[T::ANY], T::REGTYPE, typeof_any).lax().stable(),
        function("format_type", 1081, &[T::OID, T::INT4], T::TEXT, format_type).lax().stable(),
        function("pg_encoding_to_char", 1597, &[T::INT4], T::NAME, encoding_to_char).stable(),
        function("getdatabaseencoding", 1039, &[], T::NAME, database_encoding).stable(),
        function("pg_client_encoding", 810, &[], T::NAME, client_encoding).stable(),
        function("pg_my_temp_schema", 2854, &[], T::OID, no_oid).stable(),
        function("pg_jit_available", 315, &[], T::BOOL, no_bool).volatile(),
        function("pg_column_size", 1269, &[T::ANY], T::INT4, column_size).stable(),
        function("pg_size_pretty", 2288, &[T::INT8], T::TEXT, size_pretty),
        function("gen_random_uuid", 3432, &[], T::UUID, random_uuid).volatile(),
        function("host", 699, &[T::INET], T::TEXT, inet_host),
    ]
};
