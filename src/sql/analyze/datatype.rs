//! Types as statements write them.

use crate::report::{Result, SqlState};
use crate::sql::parse::tree::{ExprKind, TypeName};
use crate::sql::types::Type;

use super::Analyzer;

/// The longest texts and the most digits that types may ask for.
const MAX_LENGTH: i64 = 10_485_760;
const MAX_PRECISION: i64 = 1000;

impl Analyzer<'_> {
    /// The type and its length or precision (-1 without).
    pub(super) fn data_type(&self, ty: &TypeName) -> Result<(Type, i32)> {
        let at = Some(ty.at);
        if ty.set_of || ty.of_column {
            let what = if ty.set_of { "SETOF here" } else { "%TYPE" };
            return self.not_supported(at, what);
        }
        let known = match ty.names.as_slice() {
            [name] => Type::by_name(name),
            [schema, name] if schema == "pg_catalog" => Type::by_name(name),
            _ => None,
        };
        let Some(element) = known.filter(|ty| !ty.is_polymorphic()) else {
            let message = format!("type \"{}\" does not exist", ty.names.join("."));
            return Err(self.error_at(at, SqlState::UNDEFINED_OBJECT, message));
        };
        let typmod = self.typmod(element, ty)?;
        if ty.dimensions == 0 {
            return Ok((element, typmod));
        }
        // An array of arrays is an array of more dimensions.
        let array = if element.element().is_some() { Some(element) } else { element.array() };
        match array {
            Some(array) => Ok((array, typmod)),
            None => {
                let message = format!("type \"{}[]\" does not exist", ty.names.join("."));
                Err(self.error_at(at, SqlState::UNDEFINED_OBJECT, message))
            }
        }
    }

    /// What the numbers behind a type's name say.
    fn typmod(&self, ty: Type, written: &TypeName) -> Result<i32> {
        if written.modifiers.is_empty() {
            return Ok(-1);
        }
        let at = Some(written.at);
        let takes = matches!(
            ty,
            Type::NUMERIC
                | Type::VARCHAR
                | Type::BPCHAR
                | Type::TIME
                | Type::TIMESTAMP
                | Type::TIMESTAMPTZ
                | Type::INTERVAL
        );
        if !takes {
            let message = format!("type modifier is not allowed for type \"{}\"", ty.name());
            return Err(self.error_at(at, SqlState::SYNTAX_ERROR, message));
        }
        let mut numbers = Vec::new();
        for modifier in &written.modifiers {
            let text = match &modifier.kind {
                ExprKind::Number(text) | ExprKind::String(text) => text.clone(),
                ExprKind::Column(parts) if parts.len() == 1 => parts[0].clone(),
                _ => {
                    let message = "type modifiers must be simple constants or identifiers";
                    return Err(self.error_at(at, SqlState::SYNTAX_ERROR, message));
                }
            };
            numbers.push(
                text.trim().parse::<i64>().ok().filter(|number| i32::try_from(*number).is_ok()).ok_or_else(
                    || {
                        let message = format!("invalid input syntax for type integer: \"{text}\"");
                        self.error_at(at, SqlState::INVALID_TEXT_REPRESENTATION, message)
                    },
                )?,
            );
        }
        match ty {
            Type::NUMERIC => self.numeric_typmod(&numbers, at),
            Type::VARCHAR | Type::BPCHAR => {
                self.length_typmod(&numbers, if ty == Type::VARCHAR { "varchar" } else { "char" }, at)
            }
            _ => self.precision_typmod(&numbers, at),
        }
    }

    fn invalid(&self, at: Option<u32>, message: impl Into<String>) -> Result<i32> {
        Err(self.error_at(at, SqlState::INVALID_PARAMETER_VALUE, message))
    }

    fn length_typmod(&self, numbers: &[i64], name: &str, at: Option<u32>) -> Result<i32> {
        match numbers {
            [..=0] => self.invalid(at, format!("length for type {name} must be at least 1")),
            [length] if *length > MAX_LENGTH => {
                self.invalid(at, format!("length for type {name} cannot exceed {MAX_LENGTH}"))
            }
            [length] => Ok(*length as i32 + 4),
            _ => self.invalid(at, "invalid type modifier"),
        }
    }

    fn numeric_typmod(&self, numbers: &[i64], at: Option<u32>) -> Result<i32> {
        let (precision, scale) = match numbers {
            [precision] => (*precision, 0),
            [precision, scale] => (*precision, *scale),
            _ => return self.invalid(at, "invalid NUMERIC type modifier"),
        };
        if !(1..=MAX_PRECISION).contains(&precision) {
            let message = format!("NUMERIC precision {precision} must be between 1 and {MAX_PRECISION}");
            return self.invalid(at, message);
        }
        if !(-MAX_PRECISION..=MAX_PRECISION).contains(&scale) {
            let message =
                format!("NUMERIC scale {scale} must be between -{MAX_PRECISION} and {MAX_PRECISION}");
            return self.invalid(at, message);
        }
        Ok(((precision as i32) << 16 | (scale as i32 & 0x7FF)) + 4)
    }

    /// Clocks have six digits behind the point at most.
    fn precision_typmod(&self, numbers: &[i64], at: Option<u32>) -> Result<i32> {
        match numbers {
            [digits] if *digits >= 0 => Ok((*digits).min(6) as i32),
            _ => self.invalid(at, "invalid type modifier"),
        }
    }
}
