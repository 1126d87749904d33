//! Nodes that compare rows: sorting, uniqueness, and rows of two inputs set against each other.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::report::Result;
use crate::sql::analyze::tree::{self, SortKey};
use crate::sql::types::compare::compare;
use crate::sql::types::{Datum, Formats, Row};

use super::{BoxNode, Context, Node};

/// Compares by a key's column.
pub fn compare_key(a: &[Datum], b: &[Datum], key: &SortKey, formats: &Formats) -> Ordering {
    let (a, b) = (&a[key.column], &b[key.column]);
    match (a.is_null(), b.is_null()) {
        (true, true) => Ordering::Equal,
        (true, false) if key.nulls_first => Ordering::Less,
        (true, false) => Ordering::Greater,
        (false, true) if key.nulls_first => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) if key.descending => compare(b, a, formats),
        (false, false) => compare(a, b, formats),
    }
}

/// Compares by all keys.
pub fn compare_keys(a: &[Datum], b: &[Datum], keys: &[SortKey], formats: &Formats) -> Ordering {
    keys.iter()
        .map(|key| compare_key(a, b, key, formats))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// Compares whole rows, NULLs equal and last.
pub fn compare_rows(a: &[Datum], b: &[Datum], formats: &Formats) -> Ordering {
    let columns = a.iter().zip(b).map(|(a, b)| compare(a, b, formats));
    columns.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

fn read_all(input: &mut BoxNode, ctx: &mut Context<'_>) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    while let Some(row) = input.next(ctx)? {
        rows.push(row);
    }
    Ok(rows)
}

/// Sorted rows.
pub struct Sort {
    input: BoxNode,
    keys: Arc<[SortKey]>,
    kept: usize,
    rows: Option<std::vec::IntoIter<Row>>,
}

impl Sort {
    pub fn new(input: BoxNode, keys: Arc<[SortKey]>, kept: usize) -> Self {
        Self { input, keys, kept, rows: None }
    }
}

impl Node for Sort {
    fn next(&mut self, ctx: &mut Context<'_>) -> Result<Option<Row>> {
        ctx.host.check_interrupts()?;
        if self.rows.is_none() {
            let mut rows = read_all(&mut self.input, ctx)?;
            rows.sort_by(|a, b| compare_keys(a, b, &self.keys, &ctx.formats));
            self.rows = Some(rows.into_iter());
        }
        let mut row = self.rows.as_mut().and_then(Iterator::next);
        if let Some(row) = &mut row {
            row.truncate(self.kept);
        }
        Ok(row)
    }
}

/// Rows without their like, the first of each kept, in the order they came.
pub struct Unique {
    input: BoxNode,
    keys: Option<Arc<[usize]>>,
    rows: Option<std::vec::IntoIter<Row>>,
}

impl Unique {
    pub fn new(input: BoxNode, keys: Option<Arc<[usize]>>) -> Self {
        Self { input, keys, rows: None }
    }

    fn unique(&self, rows: Vec<Row>, formats: &Formats) -> Vec<Row> {
        let order = |a: &Row, b: &Row| match &self.keys {
            None => compare_rows(a, b, formats),
            Some(keys) => {
                let columns = keys.iter().map(|&key| compare(&a[key], &b[key], formats));
                columns.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
            }
        };
        let mut numbered: Vec<(usize, Row)> = rows.into_iter().enumerate().collect();
        numbered.sort_by(|(i, a), (j, b)| order(a, b).then(i.cmp(j)));
        numbered.dedup_by(|(_, later), (_, first)| order(later, first).is_eq());
        numbered.sort_by_key(|(number, _)| *number);
        numbered.into_iter().map(|(_, row)| row).collect()
    }
}

impl Node for Unique {
    fn next(&mut self, ctx: &mut Context<'_>) -> Result<Option<Row>> {
        ctx.host.check_interrupts()?;
        if self.rows.is_none() {
            let rows = read_all(&mut self.input, ctx)?;
            self.rows = Some(self.unique(rows, &ctx.formats).into_iter());
        }
        Ok(self.rows.as_mut().and_then(Iterator::next))
    }
}

/// `INTERSECT` and `EXCEPT`.
pub struct SetOperation {
    operation: tree::SetOperation,
    all: bool,
    left: BoxNode,
    right: BoxNode,
    rows: Option<std::vec::IntoIter<Row>>,
}

impl SetOperation {
    pub fn new(operation: tree::SetOperation, all: bool, left: BoxNode, right: BoxNode) -> Self {
        Self { operation, all, left, right, rows: None }
    }

    fn combine(&self, mut left: Vec<Row>, mut right: Vec<Row>, formats: &Formats) -> Vec<Row> {
        left.sort_by(|a, b| compare_rows(a, b, formats));
        right.sort_by(|a, b| compare_rows(a, b, formats));
        let mut out = Vec::new();
        let mut right = right.into_iter().peekable();
        let mut left = left.into_iter().peekable();
        while let Some(row) = left.next() {
            let same = |other: &Row| compare_rows(other, &row, formats).is_eq();
            let mut count = 1;
            while left.next_if(same).is_some() {
                count += 1;
            }
            while right.next_if(|other| compare_rows(other, &row, formats).is_lt()).is_some() {}
            let mut others = 0;
            while right.next_if(same).is_some() {
                others += 1;
            }
            let kept: usize = match (self.operation, self.all) {
                (tree::SetOperation::Intersect, true) => count.min(others),
                (tree::SetOperation::Intersect, false) => others.min(1),
                (_, true) => count.saturating_sub(others),
                (_, false) => usize::from(others == 0),
            };
            out.extend(std::iter::repeat_n(row, kept));
        }
        out
    }
}

impl Node for SetOperation {
    fn next(&mut self, ctx: &mut Context<'_>) -> Result<Option<Row>> {
        ctx.host.check_interrupts()?;
        if self.rows.is_none() {
            let left = read_all(&mut self.left, ctx)?;
            let right = read_all(&mut self.right, ctx)?;
            self.rows = Some(self.combine(left, right, &ctx.formats).into_iter());
        }
        Ok(self.rows.as_mut().and_then(Iterator::next))
    }
}
