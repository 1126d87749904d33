//! Values.

use std::sync::Arc;

use super::{Array, Numeric};

/// A value, or NULL. Which type it is of is known from the analysed tree.
#[derive(Clone, Debug, PartialEq)]
pub enum Datum {
    /// No value.
    Null,
    /// `boolean`.
    Bool(bool),
    /// `smallint`.
    Int2(i16),
    /// `integer`.
    Int4(i32),
    /// `bigint`.
    Int8(i64),
    /// `real`.
    Float4(f32),
    /// `double precision`.
    Float8(f64),
    /// `numeric`.
    Numeric(Arc<Numeric>),
    /// Every type whose value is its text: `text`, `varchar`, `bpchar`, `name`, `json`, `jsonb`, `inet`, `unknown`.
    Text(Arc<str>),
    /// `"char"`.
    Char(u8),
    /// `bytea`.
    Bytea(Arc<[u8]>),
    /// `oid`, `xid` and the `reg…` types.
    Oid(u32),
    /// `pg_lsn` and `xid8`.
    U64(u64),
    /// `tid`: block and line.
    Tid(u32, u16),
    /// `date`: days since 2000-01-01; the extremes are the infinities.
    Date(i32),
    /// `time`: microseconds since midnight.
    Time(i64),
    /// `timestamp`: microseconds since 2000-01-01; the extremes are the infinities.
    Timestamp(i64),
    /// `timestamptz`: the same, in UTC.
    Timestamptz(i64),
    /// `interval`.
    Interval(Interval),
    /// `uuid`.
    Uuid([u8; 16]),
    /// An array.
    Array(Arc<Array>),
    /// A row, whose types stand beside the values.
    Record(Arc<[(super::Type, Datum)]>),
    /// `void`, which prints as nothing.
    Void,
}

/// Months, days and microseconds, which do not add up to each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interval {
    /// Months.
    pub months: i32,
    /// Days.
    pub days: i32,
    /// Microseconds.
    pub micros: i64,
}

/// A row of values.
pub type Row = Vec<Datum>;

impl Datum {
    /// A text value.
    pub fn text(text: impl Into<Arc<str>>) -> Self {
        Self::Text(text.into())
    }

    /// A numeric value.
    pub fn numeric(value: Numeric) -> Self {
        Self::Numeric(Arc::new(value))
    }

    /// An array of one dimension.
    pub fn array(element: super::Type, items: Vec<Datum>) -> Self {
        Self::Array(Arc::new(Array::of(element, items)))
    }

    /// A text, or NULL.
    pub fn opt_text(text: Option<impl Into<Arc<str>>>) -> Self {
        text.map_or(Self::Null, Self::text)
    }

    /// Whether it is NULL.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}
