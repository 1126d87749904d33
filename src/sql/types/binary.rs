//! Values on the wire: as text, and in PostgreSQL's binary forms.

use std::sync::Arc;

use num_bigint::BigInt;
use num_traits::{Signed, ToPrimitive, Zero};

use crate::report::{Report, Result, SqlState};

use super::calendar::MICROS_PER_DAY;
use super::numeric::ten_to;
use super::{Array, Datum, Formats, Interval, Numeric, Type, Wire, inet, output};

/// Appends a value, without its length. NULL has no form: the caller says it by the length -1.
pub fn encode(datum: &Datum, ty: Type, wire: Wire, formats: &Formats, out: &mut Vec<u8>) -> Result<()> {
    match wire {
        Wire::Text => {
            if let Datum::Text(text) = datum {
                out.extend(text.as_bytes());
            } else {
                let mut text = String::new();
                output::write_text(datum, ty, formats, &mut text);
                out.extend(text.as_bytes());
            }
            Ok(())
        }
        Wire::Binary => send(datum, ty, out),
    }
}

fn send(datum: &Datum, ty: Type, out: &mut Vec<u8>) -> Result<()> {
    match datum {
        Datum::Null | Datum::Void => {}
        Datum::Bool(value) => out.push(u8::from(*value)),
        Datum::Int2(value) => out.extend(value.to_be_bytes()),
        Datum::Int4(value) | Datum::Date(value) => out.extend(value.to_be_bytes()),
        Datum::Int8(value) | Datum::Time(value) | Datum::Timestamp(value) | Datum::Timestamptz(value) => {
            out.extend(value.to_be_bytes());
        }
        Datum::Float4(value) => out.extend(value.to_be_bytes()),
        Datum::Float8(value) => out.extend(value.to_be_bytes()),
        Datum::Numeric(value) => send_numeric(value, out),
        Datum::Text(text) if ty == Type::INET => send_inet(text, out),
        Datum::Text(text) => {
            if ty == Type::JSONB {
                out.push(1);
            }
            out.extend(text.as_bytes());
        }
        Datum::Char(byte) => out.push(*byte),
        Datum::Bytea(bytes) => out.extend(&**bytes),
        Datum::Oid(oid) => out.extend(oid.to_be_bytes()),
        Datum::U64(value) => out.extend(value.to_be_bytes()),
        Datum::Tid(block, line) => {
            out.extend(block.to_be_bytes());
            out.extend(line.to_be_bytes());
        }
        Datum::Interval(interval) => {
            out.extend(interval.micros.to_be_bytes());
            out.extend(interval.days.to_be_bytes());
            out.extend(interval.months.to_be_bytes());
        }
        Datum::Uuid(bytes) => out.extend(bytes),
        Datum::Array(array) => send_array(array, out)?,
        Datum::Record(fields) => {
            out.extend((fields.len() as i32).to_be_bytes());
            for (ty, field) in fields.iter() {
                out.extend(ty.oid().to_be_bytes());
                send_item(field, *ty, out)?;
            }
        }
    }
    Ok(())
}

fn send_inet(text: &str, out: &mut Vec<u8>) {
    if let Some((family, bits, address)) = inet::parts(text) {
        out.extend([family, bits, 0, address.len() as u8]);
        out.extend(address);
    }
}

fn send_item(item: &Datum, ty: Type, out: &mut Vec<u8>) -> Result<()> {
    if item.is_null() {
        out.extend((-1i32).to_be_bytes());
        return Ok(());
    }
    let at = out.len();
    out.extend([0; 4]);
    send(item, ty, out)?;
    let len = (out.len() - at - 4) as i32;
    out[at..at + 4].copy_from_slice(&len.to_be_bytes());
    Ok(())
}

fn send_array(array: &Array, out: &mut Vec<u8>) -> Result<()> {
    out.extend((array.dimensions.len() as i32).to_be_bytes());
    out.extend(i32::from(array.items.iter().any(Datum::is_null)).to_be_bytes());
    out.extend(array.element.oid().to_be_bytes());
    for (length, lower) in &array.dimensions {
        out.extend(length.to_be_bytes());
        out.extend(lower.to_be_bytes());
    }
    array.items.iter().try_for_each(|item| send_item(item, array.element, out))
}

/// Groups of four digits, the first of them at a power of 10,000.
fn send_numeric(value: &Numeric, out: &mut Vec<u8>) {
    let special = |sign: u16, out: &mut Vec<u8>| {
        out.extend([0, 0, 0, 0]);
        out.extend(sign.to_be_bytes());
        out.extend([0, 0]);
    };
    let (digits, scale) = match value {
        Numeric::Finite { digits, scale } => (digits, *scale),
        Numeric::NaN => return special(0xC000, out),
        Numeric::Infinity => return special(0xD000, out),
        Numeric::MinusInfinity => return special(0xF000, out),
    };
    let padding = (4 - scale % 4) % 4;
    let (_, mut groups) = (digits.abs() * ten_to(padding)).to_radix_be_groups();
    let behind_point = i64::from((scale + padding) / 4);
    let mut weight = groups.len() as i64 - behind_point - 1;
    while groups.first() == Some(&0) {
        groups.remove(0);
        weight -= 1;
    }
    while groups.last() == Some(&0) {
        groups.pop();
    }
    if groups.is_empty() {
        weight = 0;
    }
    let sign: u16 = if digits.is_negative() { 0x4000 } else { 0 };
    out.extend((groups.len() as i16).to_be_bytes());
    out.extend((weight as i16).to_be_bytes());
    out.extend(sign.to_be_bytes());
    out.extend((scale as u16).to_be_bytes());
    groups.iter().for_each(|group| out.extend(group.to_be_bytes()));
}

/// Groups of four decimal digits of a number, the greatest first.
trait Groups {
    fn to_radix_be_groups(&self) -> (usize, Vec<i16>);
}

impl Groups for BigInt {
    fn to_radix_be_groups(&self) -> (usize, Vec<i16>) {
        let text = self.to_str_radix(10);
        let padded = format!("{text:0>width$}", width = text.len().div_ceil(4) * 4);
        let groups: Vec<i16> = padded
            .as_bytes()
            .chunks(4)
            .map(|chunk| chunk.iter().fold(0, |group, c| group * 10 + i16::from(c - b'0')))
            .collect();
        (groups.len(), groups)
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        if self.0.len() < len {
            return Err(Report::error(SqlState::PROTOCOL_VIOLATION, "insufficient data left in message"));
        }
        let (head, rest) = self.0.split_at(len);
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N)?);
        Ok(bytes)
    }

    fn i16(&mut self) -> Result<i16> {
        self.array().map(i16::from_be_bytes)
    }

    fn i32(&mut self) -> Result<i32> {
        self.array().map(i32::from_be_bytes)
    }

    fn i64(&mut self) -> Result<i64> {
        self.array().map(i64::from_be_bytes)
    }
}

fn invalid(message: &str) -> Box<Report> {
    Report::error(SqlState::INVALID_BINARY_REPRESENTATION, message)
}

/// Reads a value of a type from its binary form; all bytes must be used.
pub fn receive(bytes: &[u8], ty: Type) -> Result<Datum> {
    let mut reader = Reader(bytes);
    let datum = read(&mut reader, ty)?;
    if !reader.0.is_empty() {
        return Err(invalid("incorrect binary data format"));
    }
    Ok(datum)
}

fn read(reader: &mut Reader<'_>, ty: Type) -> Result<Datum> {
    if let Some(element) = ty.element() {
        return read_array(reader, element).map(|array| Datum::Array(Arc::new(array)));
    }
    Ok(match ty {
        Type::BOOL => Datum::Bool(reader.array::<1>()?[0] != 0),
        Type::INT2 => Datum::Int2(reader.i16()?),
        Type::INT4 => Datum::Int4(reader.i32()?),
        Type::INT8 => Datum::Int8(reader.i64()?),
        Type::FLOAT4 => Datum::Float4(reader.array().map(f32::from_be_bytes)?),
        Type::FLOAT8 => Datum::Float8(reader.array().map(f64::from_be_bytes)?),
        Type::NUMERIC => Datum::numeric(read_numeric(reader)?),
        Type::CHAR => Datum::Char(reader.array::<1>()?[0]),
        Type::BYTEA => Datum::Bytea(reader.take(reader.0.len())?.into()),
        Type::TID => Datum::Tid(reader.i32()? as u32, reader.i16()? as u16),
        _ if ty.is_object_name() => Datum::Oid(reader.i32()? as u32),
        Type::OID | Type::XID | Type::CID => Datum::Oid(reader.i32()? as u32),
        Type::XID8 | Type::PG_LSN => Datum::U64(reader.i64()? as u64),
        Type::DATE => Datum::Date(reader.i32()?),
        Type::TIME => {
            let micros = reader.i64()?;
            if !(0..=MICROS_PER_DAY).contains(&micros) {
                return Err(Report::error(SqlState::DATETIME_FIELD_OVERFLOW, "time out of range"));
            }
            Datum::Time(micros)
        }
        Type::TIMESTAMP => Datum::Timestamp(reader.i64()?),
        Type::TIMESTAMPTZ => Datum::Timestamptz(reader.i64()?),
        Type::INTERVAL => {
            let (micros, days, months) = (reader.i64()?, reader.i32()?, reader.i32()?);
            Datum::Interval(Interval { months, days, micros })
        }
        Type::UUID => Datum::Uuid(reader.array()?),
        Type::JSONB if reader.array::<1>()?[0] != 1 => {
            return Err(invalid("unsupported jsonb version number"));
        }
        Type::JSON | Type::JSONB => {
            let text = read_text(reader)?;
            return super::input::parse(&text, ty, &Formats::default(), 0);
        }
        ty if ty.is_string() || ty == Type::UNKNOWN => Datum::text(read_text(reader)?),
        _ => {
            return Err(Report::error(
                SqlState::UNDEFINED_FUNCTION,
                format!("no binary input function available for type {ty}"),
            ));
        }
    })
}

fn read_text(reader: &mut Reader<'_>) -> Result<String> {
    let bytes = reader.take(reader.0.len())?;
    utf8(bytes).map(str::to_owned)
}

/// Bytes as text, refused as PostgreSQL refuses bytes that are no UTF-8.
pub fn utf8(bytes: &[u8]) -> Result<&str> {
    let bad = |bytes: &[u8]| {
        let shown: Vec<String> = bytes.iter().map(|byte| format!("0x{byte:02x}")).collect();
        Report::error(
            SqlState::CHARACTER_NOT_IN_REPERTOIRE,
            format!("invalid byte sequence for encoding \"UTF8\": {}", shown.join(" ")),
        )
    };
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let wanted = match bytes[at] {
            0xF0.. => 4,
            0xE0.. => 3,
            0xC0.. => 2,
            _ => 1,
        };
        bad(&bytes[at..bytes.len().min(at + wanted)])
    })?;
    if text.contains('\0') { Err(bad(&[0])) } else { Ok(text) }
}

fn read_array(reader: &mut Reader<'_>, element: Type) -> Result<Array> {
    let dimension_count = reader.i32()?;
    if !(0..=6).contains(&dimension_count) {
        return Err(invalid("invalid number of array dimensions"));
    }
    _ = reader.i32()?;
    if reader.i32()? as u32 != element.oid() {
        return Err(Report::error(SqlState::DATATYPE_MISMATCH, "binary data has wrong array element type"));
    }
    let mut dimensions = Vec::new();
    let mut count = usize::from(dimension_count > 0);
    for _ in 0..dimension_count {
        let (length, lower) = (reader.i32()?, reader.i32()?);
        let length_fits = usize::try_from(length).ok().and_then(|length| count.checked_mul(length));
        // Every element has at least its length word, so no more can be there than the message has room for.
        count = length_fits
            .filter(|&count| count <= reader.0.len() / 4 + 1)
            .ok_or_else(|| invalid("insufficient data left in message"))?;
        dimensions.push((length, lower));
    }
    let mut items = Vec::with_capacity(count);
    for _ in 0..count {
        let len = reader.i32()?;
        items.push(match usize::try_from(len) {
            Ok(len) => receive(reader.take(len)?, element)?,
            Err(_) => Datum::Null,
        });
    }
    Ok(if items.is_empty() { Array::of(element, items) } else { Array { element, dimensions, items } })
}

fn read_numeric(reader: &mut Reader<'_>) -> Result<Numeric> {
    let (count, weight) = (reader.i16()?, reader.i16()?);
    let (sign, scale) = (reader.i16()? as u16, reader.i16()? as u16);
    let negative = match sign {
        0 => false,
        0x4000 => true,
        0xC000 => return Ok(Numeric::NaN),
        0xD000 => return Ok(Numeric::Infinity),
        0xF000 => return Ok(Numeric::MinusInfinity),
        _ => return Err(invalid("invalid sign in external \"numeric\" value")),
    };
    if scale > 0x3FFF {
        return Err(invalid("invalid scale in external \"numeric\" value"));
    }
    let mut digits = BigInt::zero();
    for _ in 0..count.max(0) {
        let group = reader.i16()?;
        if !(0..10_000).contains(&group) {
            return Err(invalid("invalid digit in external \"numeric\" value"));
        }
        digits = digits * 10_000 + group;
    }
    let exponent = (i64::from(weight) - i64::from(count) + 1) * 4;
    let signed = if negative { -digits } else { digits };
    let number = if exponent >= 0 {
        Numeric::Finite { digits: signed * ten_to(exponent.to_u32().unwrap_or(0)), scale: 0 }
    } else {
        Numeric::Finite { digits: signed, scale: (-exponent).to_u32().unwrap_or(0) }
    };
    Ok(number.round(i64::from(scale)))
}

#[cfg(test)]
mod tests {
    use super::super::input;
    use super::*;

    #[test]
    fn binary_forms_come_back() {
        let formats = Formats::default();
        for (ty, text) in [
            (Type::BOOL, "t"),
            (Type::INT2, "-2"),
            (Type::INT4, "70000"),
            (Type::INT8, "-5000000000"),
            (Type::FLOAT8, "1.5"),
            (Type::NUMERIC, "12345.678"),
            (Type::NUMERIC, "-0.00001200"),
            (Type::NUMERIC, "100000000"),
            (Type::NUMERIC, "0"),
            (Type::NUMERIC, "NaN"),
            (Type::TEXT, "hé"),
            (Type::BYTEA, "\\x00ff"),
            (Type::DATE, "2024-02-29"),
            (Type::TIMESTAMPTZ, "2024-02-29 12:00:00+00"),
            (Type::INTERVAL, "1 mon 2 days 03:00:00"),
            (Type::UUID, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
            (Type::JSONB, "{\"a\": 1}"),
            (Type::INT4.array().unwrap(), "{{1,2},{NULL,4}}"),
        ] {
            let datum = input::parse(text, ty, &formats, 0).unwrap();
            let mut bytes = Vec::new();
            encode(&datum, ty, Wire::Binary, &formats, &mut bytes).unwrap();
            let back = receive(&bytes, ty).unwrap();
            assert_eq!(output::text_of(&back, ty, &formats), text);
            if !bytes.is_empty() && ty.len() > 0 {
                assert!(receive(&bytes[1..], ty).is_err(), "{ty}: a short message");
            }
        }
    }

    #[test]
    fn a_numeric_s_bytes_are_postgresql_s() {
        let mut bytes = Vec::new();
        let datum = Datum::numeric("12345.678".parse().unwrap());
        send(&datum, Type::NUMERIC, &mut bytes).unwrap();
        assert_eq!(bytes, [0, 3, 0, 1, 0, 0, 0, 3, 0, 1, 0x09, 0x29, 0x1A, 0x7C]);
    }
}
