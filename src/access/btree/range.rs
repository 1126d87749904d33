//! What a scan looks for: conditions on columns, and the two cuts between which the entries lie that can meet them.

use std::cmp::Ordering;

use super::key::KeyShape;
use super::node::{Broken, Entry, Looked};
use super::probe::{Edge, Probe};
use crate::access::row::{Datum, RowReader};

/// How a column's value is to stand to that of a condition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ScanOp {
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `=`
    Equal,
    /// `>=`
    GreaterEqual,
    /// `>`
    Greater,
    /// `IS NULL`; the condition's value does not matter.
    IsNull,
    /// `IS NOT NULL`; the condition's value does not matter.
    IsNotNull,
}

impl ScanOp {
    fn needs_no_value(self) -> bool {
        matches!(self, Self::IsNull | Self::IsNotNull)
    }

    fn accepts(self, ordering: Ordering) -> bool {
        match self {
            Self::Less => ordering.is_lt(),
            Self::LessEqual => ordering.is_le(),
            Self::Equal => ordering.is_eq(),
            Self::GreaterEqual => ordering.is_ge(),
            Self::Greater => ordering.is_gt(),
            Self::IsNull | Self::IsNotNull => false,
        }
    }
}

/// A condition on a key column. With a null value it is never met, as in SQL.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ScanKey<'k> {
    /// Which, from 0.
    pub column: usize,
    /// How.
    pub op: ScanOp,
    /// To what.
    pub value: Datum<'k>,
}

impl<'k> ScanKey<'k> {
    /// This column, so, to that.
    pub fn new(column: usize, op: ScanOp, value: Datum<'k>) -> Self {
        Self { column, op, value }
    }
}

/// Values of a cut; few of them need no memory of their own.
#[derive(Clone, Debug)]
struct Values<'k> {
    few: [Datum<'k>; FEW],
    len: usize,
    /// All of them if they are not few.
    many: Vec<Datum<'k>>,
}

/// Key columns that most look-ups have at most.
const FEW: usize = 2;

impl<'k> Values<'k> {
    const fn new() -> Self {
        Self { few: [Datum::Null; FEW], len: 0, many: Vec::new() }
    }

    fn push(&mut self, value: Datum<'k>) {
        if self.len < FEW {
            self.few[self.len] = value;
        } else {
            if self.many.is_empty() {
                self.many.extend_from_slice(&self.few);
            }
            self.many.push(value);
        }
        self.len += 1;
    }

    #[inline]
    fn as_slice(&self) -> &[Datum<'k>] {
        if self.len <= FEW { &self.few[..self.len] } else { &self.many }
    }
}

/// A cut.
#[derive(Clone, Debug)]
struct Cut<'k> {
    values: Values<'k>,
    edge: Edge,
}

/// The entries between two cuts that meet the other conditions.
#[derive(Clone, Debug)]
pub(super) struct Range<'k> {
    start: Cut<'k>,
    /// `None`: at the values of the start, behind what has them.
    end: Option<Cut<'k>>,
    filters: Vec<ScanKey<'k>>,
    /// Nothing can meet the conditions.
    pub is_empty: bool,
}

impl<'k> Range<'k> {
    /// Of conditions that are all to be met.
    pub fn new(shape: &KeyShape, keys: &[ScanKey<'k>]) -> Self {
        let mut prefix = Values::new();
        let mut filters = Vec::new();
        let is_empty = keys.iter().any(|key| !key.op.needs_no_value() && key.value.is_null());
        let mut column = 0;
        while let Some(at) = keys
            .iter()
            .position(|key| key.column == column && matches!(key.op, ScanOp::Equal | ScanOp::IsNull))
        {
            let key = keys[at];
            prefix.push(if key.op == ScanOp::IsNull { Datum::Null } else { key.value });
            let others = keys.iter().enumerate().filter(|(i, key)| *i != at && key.column == column);
            filters.extend(others.map(|(_, key)| *key));
            column += 1;
            if column == shape.key_columns() {
                break;
            }
        }
        let bounds = Bounds::of(shape, keys, column);
        filters.extend(keys.iter().filter(|key| key.column > column));
        filters.extend(bounds.others.iter());
        if bounds.lower.is_none() && bounds.upper.is_none() {
            let start = Cut { values: prefix, edge: Edge::Before };
            return Self { start, end: None, filters, is_empty };
        }
        let cut = |mut values: Values<'k>, bound: Option<(Datum<'k>, Edge)>, edge| {
            if let Some((value, _)) = bound {
                values.push(value);
            }
            Cut { values, edge: bound.map_or(edge, |(_, edge)| edge) }
        };
        let start = cut(prefix.clone(), bounds.lower, Edge::Before);
        Self { start, end: Some(cut(prefix, bounds.upper, Edge::After)), filters, is_empty }
    }

    /// Where the entries begin.
    pub fn start<'p>(&'p self, shape: &'p KeyShape) -> Probe<'p> {
        Probe::new(shape, self.start.values.as_slice(), self.start.edge)
    }

    /// Where they end.
    pub fn end<'p>(&'p self, shape: &'p KeyShape) -> Probe<'p> {
        match &self.end {
            Some(end) => Probe::new(shape, end.values.as_slice(), end.edge),
            None => self.start(shape).behind(),
        }
    }

    /// Whether every entry between the cuts meets the conditions.
    pub fn is_exact(&self) -> bool {
        self.filters.is_empty()
    }

    /// Whether an entry between the cuts meets the other conditions.
    pub fn accepts(&self, shape: &KeyShape, entry: Entry<'_>) -> Looked<bool> {
        let mut row = RowReader::new(shape.layout(), entry.row()).map_err(|_| Broken::Corrupted)?;
        for key in &self.filters {
            let value = row.get(key.column).map_err(|_| Broken::Corrupted)?;
            let is_met = match (key.op, value.is_null()) {
                (ScanOp::IsNull, is_null) => is_null,
                (ScanOp::IsNotNull, is_null) => !is_null,
                (_, true) => false,
                (op, false) => {
                    let order = shape.order(key.column);
                    let ordering = order.compare(value, key.value);
                    op.accepts(if order.is_descending { ordering.reverse() } else { ordering })
                }
            };
            if !is_met {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// What bounds the first column that has no equality.
struct Bounds<'k> {
    lower: Option<(Datum<'k>, Edge)>,
    upper: Option<(Datum<'k>, Edge)>,
    /// Conditions that a tighter one made needless, or that nothing came of; they are looked at again, which does no harm.
    others: Vec<ScanKey<'k>>,
}

impl<'k> Bounds<'k> {
    fn of(shape: &KeyShape, keys: &[ScanKey<'k>], column: usize) -> Self {
        let mut bounds = Self { lower: None, upper: None, others: Vec::new() };
        let mut has_no_nulls = false;
        if column >= shape.key_columns() {
            return bounds;
        }
        let order = shape.order(column);
        for key in keys.iter().filter(|key| key.column == column) {
            // In the order of the index: a descending column begins with what is greatest.
            let (is_lower, edge) = match key.op {
                ScanOp::Greater => (!order.is_descending, Edge::After),
                ScanOp::GreaterEqual => (!order.is_descending, Edge::Before),
                ScanOp::Less => (order.is_descending, Edge::Before),
                ScanOp::LessEqual => (order.is_descending, Edge::After),
                ScanOp::IsNotNull => {
                    has_no_nulls = true;
                    continue;
                }
                ScanOp::Equal | ScanOp::IsNull => continue,
            };
            let edge = if order.is_descending { opposite(edge) } else { edge };
            has_no_nulls = true;
            let bound = if is_lower { &mut bounds.lower } else { &mut bounds.upper };
            match bound {
                None => *bound = Some((key.value, edge)),
                Some(_) => bounds.others.push(*key),
            }
        }
        if has_no_nulls && order.nulls_first && bounds.lower.is_none() {
            bounds.lower = Some((Datum::Null, Edge::After));
        }
        if has_no_nulls && !order.nulls_first && bounds.upper.is_none() {
            bounds.upper = Some((Datum::Null, Edge::Before));
        }
        bounds
    }
}

fn opposite(edge: Edge) -> Edge {
    match edge {
        Edge::Before => Edge::After,
        Edge::After => Edge::Before,
        Edge::At(_) => edge,
    }
}
