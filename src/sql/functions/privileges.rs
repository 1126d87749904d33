//! `has_…_privilege` and its kin: superusers may do everything; what others may do is not known without a catalog.

use crate::report::{Report, Result};
use crate::sql::types::{Datum, Type};

use super::{Call, Function, function};

fn may(call: &mut Call<'_, '_>, _: &[Datum]) -> Result<Datum> {
    if call.ctx.host.facts().superuser {
        return Ok(Datum::Bool(true));
    }
    Err(Report::not_supported("privileges of roles other than superusers are not supported yet"))
}

const T: Type = Type::TEXT;
const B: Type = Type::BOOL;

/// The functions' rows.
pub const FUNCTIONS: &[Function] = &[
    function("has_database_privilege", 2250, &[Type::NAME, T, T], B, may).stable(),
    function("has_database_privilege", 2251, &[Type::NAME, Type::OID, T], B, may).stable(),
    function("has_database_privilege", 2254, &[T, T], B, may).stable(),
    function("has_database_privilege", 2255, &[Type::OID, T], B, may).stable(),
    function("pg_has_role", 2705, &[Type::NAME, Type::NAME, T], B, may).stable(),
    function("pg_has_role", 2709, &[Type::NAME, T], B, may).stable(),
    function("pg_has_role", 2710, &[Type::OID, T], B, may).stable(),
];
