//! Arrays: elements in row-major order, with PostgreSQL's dimensions and lower bounds.

use super::{Datum, Type};

/// An array of any number of dimensions; none if it is empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Type of the elements.
    pub element: Type,
    /// Length and lower bound of each dimension.
    pub dimensions: Vec<(i32, i32)>,
    /// The elements, the last dimension's index running fastest.
    pub items: Vec<Datum>,
}

impl Array {
    /// An array of one dimension, from 1; of none if there are no items.
    pub fn of(element: Type, items: Vec<Datum>) -> Self {
        let dimensions = if items.is_empty() { Vec::new() } else { vec![(items.len() as i32, 1)] };
        Self { element, dimensions, items }
    }

    /// The element with these subscripts, NULL outside the bounds or with the wrong number of subscripts.
    pub fn get(&self, subscripts: &[i32]) -> Datum {
        if subscripts.len() != self.dimensions.len() {
            return Datum::Null;
        }
        let mut at = 0usize;
        for (&subscript, &(length, lower)) in subscripts.iter().zip(&self.dimensions) {
            let offset = i64::from(subscript) - i64::from(lower);
            if offset < 0 || offset >= i64::from(length) {
                return Datum::Null;
            }
            at = at * length as usize + offset as usize;
        }
        self.items.get(at).cloned().unwrap_or(Datum::Null)
    }

    /// The part of an array of one dimension between two subscripts, numbered from 1 again.
    pub fn slice(&self, from: Option<i32>, to: Option<i32>) -> Self {
        let &[(length, lower)] = self.dimensions.as_slice() else {
            return Self::of(self.element, Vec::new());
        };
        let first = i64::from(from.unwrap_or(lower).max(lower)) - i64::from(lower);
        let end = (i64::from(to.unwrap_or(i32::MAX)) - i64::from(lower) + 1).min(i64::from(length));
        let items = if first < end { self.items[first as usize..end as usize].to_vec() } else { Vec::new() };
        Self::of(self.element, items)
    }
}
