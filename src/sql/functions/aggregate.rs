//! Aggregates.

use num_bigint::BigInt;

use crate::report::{Report, Result, SqlState};
use crate::sql::types::compare::compare;
use crate::sql::types::{Datum, Formats, Interval, Numeric, Type};

use super::arithmetic::{float, numeric, numeric_result};
use super::integers::whole;
use super::{Function, aggregate};

/// What an aggregate computes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AggregateKind {
    /// How many inputs there are, or how many that are not NULL.
    Count,
    /// Their sum.
    Sum,
    /// Their mean.
    Avg,
    /// The smallest.
    Min,
    /// The greatest.
    Max,
    /// Texts or bytes with a delimiter between them.
    StringAgg,
    /// An array of them.
    ArrayAgg,
    /// Whether all are true.
    BoolAnd,
    /// Whether any is.
    BoolOr,
}

/// One aggregate on its way through the rows.
pub struct Accumulator {
    kind: AggregateKind,
    ty: Type,
    count: i64,
    whole: BigInt,
    value: Datum,
    items: Vec<Datum>,
}

impl Accumulator {
    /// Before the first row.
    pub fn new(kind: AggregateKind, ty: Type) -> Self {
        Self { kind, ty, count: 0, whole: BigInt::ZERO, value: Datum::Null, items: Vec::new() }
    }

    /// Takes a row's inputs.
    pub fn add(&mut self, inputs: &[Datum], formats: &Formats) -> Result<()> {
        let input = inputs.first().unwrap_or(&Datum::Void);
        if self.kind == AggregateKind::ArrayAgg {
            self.items.push(input.clone());
            return Ok(());
        }
        if input.is_null() {
            return Ok(());
        }
        self.count += 1;
        match self.kind {
            AggregateKind::Count | AggregateKind::ArrayAgg => {}
            AggregateKind::Sum | AggregateKind::Avg => self.add_number(input)?,
            AggregateKind::Min => self.keep(input, std::cmp::Ordering::Less, formats),
            AggregateKind::Max => self.keep(input, std::cmp::Ordering::Greater, formats),
            AggregateKind::StringAgg => {
                if self.count > 1 {
                    self.items.push(inputs.get(1).cloned().unwrap_or(Datum::Null));
                }
                self.items.push(input.clone());
            }
            AggregateKind::BoolAnd | AggregateKind::BoolOr => {
                let deciding = Datum::Bool(self.kind == AggregateKind::BoolOr);
                if self.value != deciding {
                    self.value = input.clone();
                }
            }
        }
        Ok(())
    }

    fn keep(&mut self, input: &Datum, wanted: std::cmp::Ordering, formats: &Formats) {
        if self.value.is_null() || compare(input, &self.value, formats) == wanted {
            self.value = input.clone();
        }
    }

    fn add_number(&mut self, input: &Datum) -> Result<()> {
        match input {
            Datum::Int2(_) | Datum::Int4(_) | Datum::Int8(_) => self.whole += whole(input),
            Datum::Float4(_) | Datum::Float8(_) => {
                let sum = float(&self.value) + float(input);
                if sum.is_infinite() && !float(input).is_infinite() && !float(&self.value).is_infinite() {
                    return Err(Report::error(
                        SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                        "value out of range: overflow",
                    ));
                }
                self.value = Datum::Float8(sum);
            }
            Datum::Numeric(number) if self.value.is_null() => self.value = Datum::Numeric(number.clone()),
            Datum::Numeric(number) => self.value = numeric_result(numeric(&self.value).add(number))?,
            Datum::Interval(interval) => {
                let sum = if let Datum::Interval(sum) = self.value { sum } else { Interval::default() };
                self.value = Datum::Interval(super::dates::add_intervals(&sum, interval)?);
            }
            _ => {}
        }
        Ok(())
    }

    /// Behind the last row.
    pub fn finish(self) -> Result<Datum> {
        match self.kind {
            AggregateKind::Count => Ok(Datum::Int8(self.count)),
            AggregateKind::Sum if self.count > 0 => self.sum(),
            AggregateKind::Avg if self.count > 0 => self.average(),
            AggregateKind::StringAgg if self.count > 0 => Ok(joined(&self.items)),
            AggregateKind::ArrayAgg if !self.items.is_empty() => Ok(self.array()),
            _ => Ok(self.value),
        }
    }

    fn sum(self) -> Result<Datum> {
        match self.ty {
            Type::INT8 => i64::try_from(&self.whole)
                .map(Datum::Int8)
                .map_err(|_| super::integers::out_of_range(Type::INT8)),
            Type::NUMERIC if self.value.is_null() => Ok(Datum::numeric(Numeric::from_int(self.whole))),
            Type::FLOAT4 => super::arithmetic::float_result(float(&self.value), Type::FLOAT4, &[], true),
            _ => Ok(self.value),
        }
    }

    fn average(self) -> Result<Datum> {
        let count = Numeric::from_int(self.count);
        match &self.value {
            Datum::Null => numeric_result(Numeric::from_int(self.whole).divide(&count)),
            Datum::Numeric(sum) => numeric_result(sum.divide(&count)),
            Datum::Interval(sum) => {
                super::dates::divide_interval(sum, self.count as f64).map(Datum::Interval)
            }
            sum => Ok(Datum::Float8(float(sum) / self.count as f64)),
        }
    }

    /// Arrays of arrays are arrays of one more dimension.
    fn array(self) -> Datum {
        let element = self.ty.element().unwrap_or(Type::TEXT);
        if let Some(Datum::Array(first)) = self.items.first() {
            let mut dimensions = vec![(self.items.len() as i32, 1)];
            dimensions.extend(first.dimensions.iter().copied());
            let items = self.items.iter().flat_map(|item| match item {
                Datum::Array(array) => array.items.clone(),
                _ => Vec::new(),
            });
            let items = items.collect();
            return Datum::Array(std::sync::Arc::new(crate::sql::types::Array {
                element: first.element,
                dimensions,
                items,
            }));
        }
        Datum::array(element, self.items)
    }
}

fn joined(items: &[Datum]) -> Datum {
    if matches!(items.first(), Some(Datum::Bytea(_))) {
        let bytes: Vec<u8> = items
            .iter()
            .filter_map(|item| if let Datum::Bytea(bytes) = item { Some(bytes.to_vec()) } else { None })
            .flatten()
            .collect();
        return Datum::Bytea(bytes.into());
    }
    let texts =
        items.iter().filter_map(|item| if let Datum::Text(text) = item { Some(&**text) } else { None });
    Datum::text(texts.collect::<String>())
}

/// The aggregates' rows.
pub const FUNCTIONS: &[Function] = {
    use AggregateKind as K;
    use Type as T;
    &[
        aggregate("count", 2803, &[], T::INT8, K::Count),
        aggregate("count", 2147, &[T::ANY], T::INT8, K::Count),
        aggregate("sum", 2107, &[T::INT8], T::NUMERIC, K::Sum),
        aggregate("sum", 2108, &[T::INT4], T::INT8, K::Sum),
        aggregate("sum", 2109, &[T::INT2], T::INT8, K::Sum),
        aggregate("sum", 2110, &[T::FLOAT4], T::FLOAT4, K::Sum),
        aggregate("sum", 2111, &[T::FLOAT8], T::FLOAT8, K::Sum),
        aggregate("sum", 2113, &[T::INTERVAL], T::INTERVAL, K::Sum),
        aggregate("sum", 2114, &[T::NUMERIC], T::NUMERIC, K::Sum),
        aggregate("avg", 2100, &[T::INT8], T::NUMERIC, K::Avg),
        aggregate("avg", 2101, &[T::INT4], T::NUMERIC, K::Avg),
        aggregate("avg", 2102, &[T::INT2], T::NUMERIC, K::Avg),
        aggregate("avg", 2103, &[T::NUMERIC], T::NUMERIC, K::Avg),
        aggregate("avg", 2104, &[T::FLOAT4], T::FLOAT8, K::Avg),
        aggregate("avg", 2105, &[T::FLOAT8], T::FLOAT8, K::Avg),
        aggregate("avg", 2106, &[T::INTERVAL], T::INTERVAL, K::Avg),
        aggregate("max", 2050, &[T::ANYARRAY], T::ANYARRAY, K::Max),
        aggregate("max", 2115, &[T::INT8], T::INT8, K::Max),
        aggregate("max", 2116, &[T::INT4], T::INT4, K::Max),
        aggregate("max", 2117, &[T::INT2], T::INT2, K::Max),
        aggregate("max", 2118, &[T::OID], T::OID, K::Max),
        aggregate("max", 2119, &[T::FLOAT4], T::FLOAT4, K::Max),
        aggregate("max", 2120, &[T::FLOAT8], T::FLOAT8, K::Max),
        aggregate("max", 2122, &[T::DATE], T::DATE, K::Max),
        aggregate("max", 2123, &[T::TIME], T::TIME, K::Max),
        aggregate("max", 2126, &[T::TIMESTAMP], T::TIMESTAMP, K::Max),
        aggregate("max", 2127, &[T::TIMESTAMPTZ], T::TIMESTAMPTZ, K::Max),
        aggregate("max", 2128, &[T::INTERVAL], T::INTERVAL, K::Max),
        aggregate("max", 2129, &[T::TEXT], T::TEXT, K::Max),
        aggregate("max", 2130, &[T::NUMERIC], T::NUMERIC, K::Max),
        aggregate("max", 2244, &[T::BPCHAR], T::BPCHAR, K::Max),
        aggregate("max", 3564, &[T::INET], T::INET, K::Max),
        aggregate("max", 4189, &[T::PG_LSN], T::PG_LSN, K::Max),
        aggregate("max", 6395, &[T::BYTEA], T::BYTEA, K::Max),
        aggregate("min", 2051, &[T::ANYARRAY], T::ANYARRAY, K::Min),
        aggregate("min", 2131, &[T::INT8], T::INT8, K::Min),
        aggregate("min", 2132, &[T::INT4], T::INT4, K::Min),
        aggregate("min", 2133, &[T::INT2], T::INT2, K::Min),
        aggregate("min", 2134, &[T::OID], T::OID, K::Min),
        aggregate("min", 2135, &[T::FLOAT4], T::FLOAT4, K::Min),
        aggregate("min", 2136, &[T::FLOAT8], T::FLOAT8, K::Min),
        aggregate("min", 2138, &[T::DATE], T::DATE, K::Min),
        aggregate("min", 2139, &[T::TIME], T::TIME, K::Min),
        aggregate("min", 2142, &[T::TIMESTAMP], T::TIMESTAMP, K::Min),
        aggregate("min", 2143, &[T::TIMESTAMPTZ], T::TIMESTAMPTZ, K::Min),
        aggregate("min", 2144, &[T::INTERVAL], T::INTERVAL, K::Min),
        aggregate("min", 2145, &[T::TEXT], T::TEXT, K::Min),
        aggregate("min", 2146, &[T::NUMERIC], T::NUMERIC, K::Min),
        aggregate("min", 2245, &[T::BPCHAR], T::BPCHAR, K::Min),
        aggregate("min", 3565, &[T::INET], T::INET, K::Min),
        aggregate("min", 4190, &[T::PG_LSN], T::PG_LSN, K::Min),
        aggregate("min", 6396, &[T::BYTEA], T::BYTEA, K::Min),
        aggregate("string_agg", 3538, &[T::TEXT, T::TEXT], T::TEXT, K::StringAgg),
        aggregate("string_agg", 3545, &[T::BYTEA, T::BYTEA], T::BYTEA, K::StringAgg),
        aggregate("array_agg", 2335, &[T::ANYNONARRAY], T::ANYARRAY, K::ArrayAgg),
        aggregate("array_agg", 4053, &[T::ANYARRAY], T::ANYARRAY, K::ArrayAgg),
        aggregate("bool_and", 2517, &[T::BOOL], T::BOOL, K::BoolAnd),
        aggregate("bool_or", 2518, &[T::BOOL], T::BOOL, K::BoolOr),
        aggregate("every", 2519, &[T::BOOL], T::BOOL, K::BoolAnd),
    ]
};
