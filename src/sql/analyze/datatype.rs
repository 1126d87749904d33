//! Types as statements write them.

use sqlparser::ast::{CharacterLength, DataType, ExactNumberInfo, ObjectNamePart, TimezoneInfo};

use crate::report::{Result, SqlState};
use crate::sql::types::{Type, names};

use super::{Analyzer, object_name};

impl Analyzer<'_> {
    /// The type and its length or precision (-1 without).
    pub(super) fn data_type(&self, ty: &DataType, at: Option<u32>) -> Result<(Type, i32)> {
        use DataType as D;
        let plain = |ty: Type| Ok((ty, -1));
        match ty {
            D::Bool | D::Boolean => plain(Type::BOOL),
            D::SmallInt(None) | D::Int2(None) => plain(Type::INT2),
            D::Int(None) | D::Integer(None) | D::Int4(None) => plain(Type::INT4),
            D::BigInt(None) | D::Int8(None) => plain(Type::INT8),
            D::Real | D::Float4 => plain(Type::FLOAT4),
            D::Float8 | D::DoublePrecision | D::Float(ExactNumberInfo::None) | D::Double(_) => {
                plain(Type::FLOAT8)
            }
            D::Float(ExactNumberInfo::Precision(bits)) => {
                plain(if *bits < 25 { Type::FLOAT4 } else { Type::FLOAT8 })
            }
            D::Numeric(info) | D::Decimal(info) | D::Dec(info) => self.numeric_type(info, at),
            D::Text => plain(Type::TEXT),
            D::Varchar(len) | D::CharacterVarying(len) | D::CharVarying(len) => {
                self.string_type(Type::VARCHAR, len.as_ref(), "varchar", at)
            }
            D::Char(len) | D::Character(len) => match len {
                None => Ok((Type::BPCHAR, 5)),
                len => self.string_type(Type::BPCHAR, len.as_ref(), "char", at),
            },
            D::Bytea => plain(Type::BYTEA),
            D::Uuid => plain(Type::UUID),
            D::JSON => plain(Type::JSON),
            D::JSONB => plain(Type::JSONB),
            D::Regclass => plain(Type::REGCLASS),
            D::Date => plain(Type::DATE),
            D::Time(precision, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
                Ok((Type::TIME, precision_of(*precision)))
            }
            D::Timestamp(precision, zone) => Ok((
                match zone {
                    TimezoneInfo::None | TimezoneInfo::WithoutTimeZone => Type::TIMESTAMP,
                    _ => Type::TIMESTAMPTZ,
                },
                precision_of(*precision),
            )),
            D::Interval { precision, .. } => Ok((Type::INTERVAL, precision_of(*precision))),
            D::Array(element) => {
                use sqlparser::ast::ArrayElemTypeDef as E;
                let (E::SquareBracket(element, _) | E::AngleBracket(element) | E::Parenthesis(element)) =
                    element
                else {
                    return self.unknown_type("array", at);
                };
                let (element, typmod) = self.data_type(element, at)?;
                // An array of arrays is an array of more dimensions.
                let array = if element.element().is_some() { Some(element) } else { element.array() };
                array.map(|array| (array, typmod)).map_or_else(|| self.unknown_type("array", at), Ok)
            }
            D::Custom(name, modifiers) => {
                let at = at.or_else(|| {
                    name.0
                        .first()
                        .and_then(ObjectNamePart::as_ident)
                        .and_then(|part| self.place_of(part.span))
                });
                let quoted = name
                    .0
                    .last()
                    .and_then(ObjectNamePart::as_ident)
                    .is_some_and(|part| part.quote_style.is_some());
                self.named_type(&object_name(name), quoted, modifiers, at)
            }
            other => self.named_type(&[other.to_string().to_lowercase()], false, &[], at),
        }
    }

    fn named_type(
        &self,
        name: &[String],
        quoted: bool,
        modifiers: &[String],
        at: Option<u32>,
    ) -> Result<(Type, i32)> {
        let known = match name {
            [name] if quoted => Type::by_name(name),
            [name] => names::by_sql_name(name),
            [schema, name] if schema == "pg_catalog" => {
                Type::by_name(name).or_else(|| names::by_sql_name(name))
            }
            _ => None,
        };
        let Some(ty) = known.filter(|ty| !ty.is_polymorphic()) else {
            return self.unknown_type(&name.join("."), at);
        };
        let number = |index: usize| modifiers.get(index).and_then(|text| text.trim().parse::<u64>().ok());
        match (ty, number(0)) {
            (Type::NUMERIC, Some(precision)) => {
                let scale = number(1).unwrap_or(0) as i64;
                self.numeric_type(&ExactNumberInfo::PrecisionAndScale(precision, scale), at)
            }
            (Type::VARCHAR | Type::BPCHAR, Some(length)) => {
                let length = CharacterLength::IntegerLength { length, unit: None };
                self.string_type(ty, Some(&length), &ty.name(), at)
            }
            (Type::TIME | Type::TIMESTAMP | Type::TIMESTAMPTZ | Type::INTERVAL, precision) => {
                Ok((ty, precision_of(precision)))
            }
            _ => Ok((ty, -1)),
        }
    }

    fn unknown_type<T>(&self, name: &str, at: Option<u32>) -> Result<T> {
        let message = format!("type \"{name}\" does not exist");
        Err(self.error_at(at, SqlState::UNDEFINED_OBJECT, message))
    }

    fn string_type(
        &self,
        ty: Type,
        len: Option<&CharacterLength>,
        name: &str,
        at: Option<u32>,
    ) -> Result<(Type, i32)> {
        let invalid = |message: String| Err(self.error_at(at, SqlState::INVALID_PARAMETER_VALUE, message));
        match len {
            Some(CharacterLength::IntegerLength { length: 0, .. }) => {
                invalid(format!("length for type {name} must be at least 1"))
            }
            Some(CharacterLength::IntegerLength { length, .. }) if *length > 10_485_760 => {
                invalid(format!("length for type {name} cannot exceed 10485760"))
            }
            Some(CharacterLength::IntegerLength { length, .. }) => Ok((ty, *length as i32 + 4)),
            _ => Ok((ty, -1)),
        }
    }

    fn numeric_type(&self, info: &ExactNumberInfo, at: Option<u32>) -> Result<(Type, i32)> {
        let (precision, scale) = match info {
            ExactNumberInfo::None => return Ok((Type::NUMERIC, -1)),
            ExactNumberInfo::Precision(precision) => (*precision, 0),
            ExactNumberInfo::PrecisionAndScale(precision, scale) => (*precision, *scale),
        };
        if !(1..=1000).contains(&precision) {
            let message = format!("NUMERIC precision {precision} must be between 1 and 1000");
            return Err(self.error_at(at, SqlState::INVALID_PARAMETER_VALUE, message));
        }
        if !(-1000..=1000).contains(&scale) {
            let message = format!("NUMERIC scale {scale} must be between -1000 and 1000");
            return Err(self.error_at(at, SqlState::INVALID_PARAMETER_VALUE, message));
        }
        Ok((Type::NUMERIC, ((precision as i32) << 16 | (scale as i32 & 0x7FF)) + 4))
    }
}

/// Clocks have six digits behind the point at most.
fn precision_of(precision: Option<u64>) -> i32 {
    precision.map_or(-1, |precision| precision.min(6) as i32)
}
