//! Types by the names that SQL has for them.

use super::Type;

/// The type of a name as `format_type` prints it or `pg_type` has it, or one of SQL's other names.
pub fn by_sql_name(name: &str) -> Option<Type> {
    let name = name.trim();
    if let Some(element) = name.strip_suffix("[]") {
        return by_sql_name(element)?.array();
    }
    let name = name.strip_prefix("pg_catalog.").unwrap_or(name);
    if let Some(quoted) = name.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        return Type::by_name(quoted);
    }
    let lower = name.to_ascii_lowercase();
    let alias = match lower.as_str() {
        "int" | "integer" => Type::INT4,
        "smallint" => Type::INT2,
        "bigint" => Type::INT8,
        "real" => Type::FLOAT4,
        "double precision" | "float" => Type::FLOAT8,
        "boolean" => Type::BOOL,
        "decimal" | "dec" => Type::NUMERIC,
        "character varying" => Type::VARCHAR,
        "character" | "char" => Type::BPCHAR,
        "timestamp with time zone" => Type::TIMESTAMPTZ,
        "timestamp without time zone" => Type::TIMESTAMP,
        "time without time zone" => Type::TIME,
        _ => return Type::by_name(&lower),
    };
    Some(alias)
}
