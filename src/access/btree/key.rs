//! What entries are ordered by: columns one after the other, each with its order, then the row's address.

use std::cmp::Ordering;

use crate::access::row::{Column, ColumnStorage, Datum, RowLayout};

/// Compares two values that are not null.
#[derive(Clone, Copy, Debug)]
pub enum Comparison {
    /// As the column is stored: numbers by value (floats with NaN above all), bytes one by one.
    Physical,
    /// As a type says that is more than its bytes. It gets whatever was stored, compressed values too.
    Custom(fn(Datum<'_>, Datum<'_>) -> Ordering),
}

/// The order of a column.
#[derive(Clone, Copy, Debug)]
pub struct KeyOrder {
    /// How values compare.
    pub comparison: Comparison,
    /// `DESC`.
    pub is_descending: bool,
    /// `NULLS FIRST`.
    pub nulls_first: bool,
}

impl KeyOrder {
    /// `ASC NULLS LAST`, as the column is stored.
    pub const ASCENDING: Self =
        Self { comparison: Comparison::Physical, is_descending: false, nulls_first: false };

    /// `DESC NULLS FIRST`, as the column is stored.
    pub const DESCENDING: Self =
        Self { comparison: Comparison::Physical, is_descending: true, nulls_first: true };

    /// Where `a` stands from `b` in the index.
    #[inline]
    pub fn compare(&self, a: Datum<'_>, b: Datum<'_>) -> Ordering {
        match (a.is_null(), b.is_null()) {
            (false, false) => self.compare_values(a, b),
            (true, true) => Ordering::Equal,
            (a_is_null, _) if a_is_null == self.nulls_first => Ordering::Less,
            _ => Ordering::Greater,
        }
    }

    fn compare_values(&self, a: Datum<'_>, b: Datum<'_>) -> Ordering {
        let ordering = match self.comparison {
            Comparison::Physical => physical(a, b),
            Comparison::Custom(compare) => compare(a, b),
        };
        if self.is_descending { ordering.reverse() } else { ordering }
    }
}

fn physical(a: Datum<'_>, b: Datum<'_>) -> Ordering {
    match (a, b) {
        (Datum::Int64(a), Datum::Int64(b)) => a.cmp(&b),
        (Datum::Int32(a), Datum::Int32(b)) => a.cmp(&b),
        (Datum::Bytes(a), Datum::Bytes(b)) => a.cmp(b),
        (Datum::Int16(a), Datum::Int16(b)) => a.cmp(&b),
        (Datum::Bool(a), Datum::Bool(b)) => a.cmp(&b),
        (Datum::Float32(a), Datum::Float32(b)) => floats(a.into(), b.into()),
        (Datum::Float64(a), Datum::Float64(b)) => floats(a, b),
        // Values are checked against their columns where they come in; nothing else has an order.
        _ => Ordering::Equal,
    }
}

/// NaN is above all numbers and equal to itself, and zero has no sign.
fn floats(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// The columns of an index: those that are compared, then those that are only stored.
#[derive(Clone, Debug)]
pub struct KeyShape {
    layout: RowLayout,
    orders: Box<[KeyOrder]>,
    first: First,
}

/// First columns whose order needs no call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum First {
    Int32,
    Int64,
    Other,
}

/// Columns that an index can have, as PostgreSQL has it.
pub const MAX_KEY_COLUMNS: usize = 32;

impl KeyShape {
    /// Of key columns with their orders, and included columns.
    ///
    /// # Panics
    /// Without key columns, and beyond [`MAX_KEY_COLUMNS`], which whoever makes indexes refuses.
    pub fn new(keys: &[(ColumnStorage, KeyOrder)], included: &[ColumnStorage]) -> Self {
        let columns = keys.len() + included.len();
        assert!(!keys.is_empty() && columns <= MAX_KEY_COLUMNS, "{columns} columns in an index");
        let storages = keys.iter().map(|(storage, _)| storage).chain(included);
        let layout = RowLayout::new(storages.map(|storage| Column::new(*storage)).collect());
        let is_plain = !keys[0].1.is_descending && matches!(keys[0].1.comparison, Comparison::Physical);
        let first = match keys[0].0 {
            ColumnStorage::Int32 if is_plain => First::Int32,
            ColumnStorage::Int64 if is_plain => First::Int64,
            _ => First::Other,
        };
        Self { layout, orders: keys.iter().map(|(_, order)| *order).collect(), first }
    }

    /// How rows of it are stored.
    pub fn layout(&self) -> &RowLayout {
        &self.layout
    }

    /// Number of columns that are compared.
    pub fn key_columns(&self) -> usize {
        self.orders.len()
    }

    /// The order of a key column, from 0.
    pub fn order(&self, column: usize) -> KeyOrder {
        self.orders[column]
    }

    pub(super) fn first(&self) -> First {
        self.first
    }

    /// Whether a value can stand in a column.
    pub(super) fn fits(&self, column: usize, value: Datum<'_>) -> bool {
        let storage = self.layout.columns()[column].storage;
        match (storage, value) {
            (_, Datum::Null)
            | (ColumnStorage::Bool, Datum::Bool(_))
            | (ColumnStorage::Int16, Datum::Int16(_))
            | (ColumnStorage::Int32, Datum::Int32(_))
            | (ColumnStorage::Int64, Datum::Int64(_))
            | (ColumnStorage::Float32, Datum::Float32(_))
            | (ColumnStorage::Float64, Datum::Float64(_))
            | (ColumnStorage::Variable, Datum::Bytes(_)) => true,
            (ColumnStorage::Fixed(length), Datum::Bytes(bytes)) => bytes.len() == usize::from(length),
            // Bytes that are compressed have no order by themselves.
            (ColumnStorage::Variable, Datum::Compressed(_)) => {
                let order = self.orders.get(column);
                order.is_none_or(|order| matches!(order.comparison, Comparison::Custom(_)))
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_nulls_stand_where_the_order_says() {
        use Ordering::{Equal, Greater, Less};
        let (up, down) = (KeyOrder::ASCENDING, KeyOrder::DESCENDING);
        let up_first = KeyOrder { nulls_first: true, ..up };
        let (one, two) = (Datum::Int32(1), Datum::Int32(2));
        let nan = Datum::Float64(f64::NAN);
        let backwards =
            KeyOrder { comparison: Comparison::Custom(|a, b| physical(b, a)), ..KeyOrder::ASCENDING };
        for (order, a, b, expected) in [
            (up, one, two, Less),
            (down, one, two, Greater),
            (backwards, one, two, Greater),
            (up, one, Datum::Null, Less),
            (up_first, one, Datum::Null, Greater),
            (down, one, Datum::Null, Greater),
            (down, Datum::Null, Datum::Null, Equal),
            (up, nan, Datum::Float64(f64::INFINITY), Greater),
            (up, nan, nan, Equal),
            (up, Datum::Float64(-0.0), Datum::Float64(0.0), Equal),
            (up, Datum::Bytes(b"a"), Datum::Bytes(b"ab"), Less),
            (up, Datum::Bytes(b"\xff"), Datum::Bytes(b"a"), Greater),
            (up, Datum::Int16(-1), Datum::Int16(1), Less),
            (up, Datum::Bool(true), Datum::Bool(false), Greater),
        ] {
            assert_eq!(order.compare(a, b), expected, "{a:?} and {b:?} in {order:?}");
        }
    }
}
