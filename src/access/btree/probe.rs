//! Cuts in the order of entries, and where entries and pivots stand from them.
//!
//! A search looks for a cut: just before, or just behind, all entries that begin with some values, or at one entry. Pivots
//! are cuts too: just before all entries that begin with what they have.

use std::cmp::Ordering;

use super::key::{First, KeyShape};
use super::node::{Broken, Entry, Looked, Node};
use crate::access::ctid::Ctid;
use crate::access::row::{Datum, RowReader};

/// On a page with more entries than this, one looks first where the wanted one would be if all were evenly spread.
const WORTH_A_GUESS: u16 = 16;

/// Which side of the entries that have a probe's values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Edge {
    Before,
    After,
    /// Among them: at the entry of this row. The probe has values of all key columns.
    At(Ctid),
}

#[derive(Clone, Copy)]
enum Number {
    Int32(i32),
    Int64(i64),
    Other,
}

/// A cut that is looked for.
#[derive(Clone, Copy)]
pub(super) struct Probe<'k> {
    shape: &'k KeyShape,
    values: &'k [Datum<'k>],
    edge: Edge,
    /// The first value, if its order needs no call.
    number: Number,
}

impl<'k> Probe<'k> {
    /// At the entries that begin with these values, which are at most as many as key columns.
    pub fn new(shape: &'k KeyShape, values: &'k [Datum<'k>], edge: Edge) -> Self {
        let number = match (shape.first(), values.first()) {
            (First::Int32, Some(Datum::Int32(value))) => Number::Int32(*value),
            (First::Int64, Some(Datum::Int64(value))) => Number::Int64(*value),
            _ => Number::Other,
        };
        Self { shape, values, edge, number }
    }

    /// Behind all entries with the same values.
    pub fn behind(self) -> Self {
        Self { edge: Edge::After, ..self }
    }

    /// Where the cut stands from an entry or a pivot: `Less`, it is before it.
    #[inline]
    pub fn compare(&self, entry: Entry<'_>) -> Looked<Ordering> {
        let row = entry.row();
        match self.number {
            Number::Int32(value) => {
                if let Some(stored) = first_number::<4>(row) {
                    let ordering = value.cmp(&i32::from_le_bytes(stored));
                    if ordering != Ordering::Equal {
                        return Ok(ordering);
                    }
                    if self.values.len() == 1 && self.shape.key_columns() == 1 {
                        return Ok(self.tie(entry, 1));
                    }
                }
            }
            Number::Int64(value) => {
                if let Some(stored) = first_number::<8>(row) {
                    let ordering = value.cmp(&i64::from_le_bytes(stored));
                    if ordering != Ordering::Equal {
                        return Ok(ordering);
                    }
                    if self.values.len() == 1 && self.shape.key_columns() == 1 {
                        return Ok(self.tie(entry, 1));
                    }
                }
            }
            Number::Other => {}
        }
        self.compare_columns(entry)
    }

    fn compare_columns(&self, entry: Entry<'_>) -> Looked<Ordering> {
        let mut row = RowReader::new(self.shape.layout(), entry.row()).map_err(|_| Broken::Corrupted)?;
        let stored = row.stored().min(self.shape.key_columns());
        for (column, value) in self.values.iter().enumerate() {
            if column >= stored {
                return Ok(Ordering::Greater);
            }
            let other = row.get(column).map_err(|_| Broken::Corrupted)?;
            if !self.shape.fits(column, other) {
                return Err(Broken::Corrupted);
            }
            let ordering = self.shape.order(column).compare(*value, other);
            if ordering != Ordering::Equal {
                return Ok(ordering);
            }
        }
        Ok(self.tie(entry, stored))
    }

    /// Where it stands from an entry with the same values, which has `stored` key columns.
    #[inline]
    fn tie(&self, entry: Entry<'_>, stored: usize) -> Ordering {
        match (self.edge, entry.ctid()) {
            (Edge::Before, None) if stored == self.values.len() => Ordering::Equal,
            (Edge::Before, _) => Ordering::Less,
            (Edge::After, _) | (Edge::At(_), None) => Ordering::Greater,
            (Edge::At(own), Some(other)) => own.cmp(&other),
        }
    }

    /// Line of a page's first entry that is at the cut or behind it; one more than the last if there is none.
    #[inline]
    pub fn position(&self, node: Node<'_>) -> Looked<u16> {
        match self.guess(node, node.first())? {
            Some(guess) => self.position_near(node, guess),
            None => first_without(node.first(), node.last() + 1, |line| self.is_behind(node, line)),
        }
    }

    /// The same, looked for from a line on, both ways: what is near the line is most likely in the processor's cache.
    #[inline]
    pub fn position_near(&self, node: Node<'_>, near: u16) -> Looked<u16> {
        first_without_near((node.first(), node.last() + 1), near, |line| self.is_behind(node, line))
    }

    /// Whether the cut is behind the entry at a line.
    #[inline]
    fn is_behind(&self, node: Node<'_>, line: u16) -> Looked<bool> {
        Ok(self.compare(node.entry(line)?)?.is_gt())
    }

    /// Where on a page the first number would be if those there were evenly spread; `None` for what has no such place. The
    /// first entry and the high key mostly lie side by side, so that this costs one access to memory in place of many. Lines
    /// before `first` do not count, nor is it worth while for few.
    #[inline]
    fn guess(&self, node: Node<'_>, first: u16) -> Looked<Option<u16>> {
        let count = (node.last() + 1).saturating_sub(first);
        if count <= WORTH_A_GUESS || matches!(self.number, Number::Other) {
            return Ok(None);
        }
        let end = match node.high_key() {
            Some(high_key) => high_key?,
            None => node.entry(node.last())?,
        };
        let start = node.entry(first)?;
        let number = |entry: Entry<'_>| match self.number {
            Number::Int32(_) => first_number(entry.row()).map(|bytes| f64::from(i32::from_le_bytes(bytes))),
            Number::Int64(_) => first_number(entry.row()).map(|bytes| i64::from_le_bytes(bytes) as f64),
            Number::Other => None,
        };
        let wanted = match self.number {
            Number::Int32(value) => value.into(),
            Number::Int64(value) => value as f64,
            Number::Other => return Ok(None),
        };
        let (Some(start), Some(end)) = (number(start), number(end)) else { return Ok(None) };
        if end <= start {
            return Ok(None);
        }
        let place = ((wanted - start) / (end - start)).clamp(0.0, 1.0) * f64::from(count);
        Ok(Some((first + place as u16).min(node.last())))
    }

    /// Line of an inner page's entry whose child has the cut: the last pivot that is not behind it, or, leaning left, the
    /// last before it.
    #[inline]
    pub fn child(&self, node: Node<'_>, leans_left: bool) -> Looked<u16> {
        if node.count() == 0 {
            return Err(Broken::Corrupted);
        }
        // The first entry is below everything.
        let (low, high) = (node.first() + 1, node.last() + 1);
        let is_before = |line| {
            let ordering = self.compare(node.entry(line)?)?;
            Ok(ordering == Ordering::Greater || (ordering == Ordering::Equal && !leans_left))
        };
        let behind = match self.guess(node, low)? {
            Some(guess) => first_without_near((low, high), guess, is_before)?,
            None => first_without(low, high, is_before)?,
        };
        Ok(behind - 1)
    }

    /// Whether the cut is beyond a page's high key: it is on some page to the right.
    #[inline]
    pub fn is_beyond(&self, node: Node<'_>, leans_left: bool) -> Looked<bool> {
        let Some(high_key) = node.high_key() else { return Ok(false) };
        let ordering = self.compare(high_key?)?;
        Ok(ordering == Ordering::Greater || (ordering == Ordering::Equal && !leans_left))
    }
}

/// The first line from `low` to before `high` of which something is not true that is true of all lines before it; `high` if
/// there is none.
#[inline]
fn first_without(mut low: u16, mut high: u16, is_true: impl Fn(u16) -> Looked<bool>) -> Looked<u16> {
    while low < high {
        let middle = low + (high - low) / 2;
        if is_true(middle)? {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

/// The same, looked for from a line on, both ways in growing steps.
#[inline]
fn first_without_near(
    (mut low, mut high): (u16, u16),
    near: u16,
    is_true: impl Fn(u16) -> Looked<bool>,
) -> Looked<u16> {
    let mut step = 1;
    if near < high && is_true(near)? {
        low = near + 1;
        while low + step < high && is_true(low + step)? {
            low += step + 1;
            step *= 2;
        }
        high = high.min(low + step);
    } else {
        high = near.min(high);
        while high >= low + step && !is_true(high - step)? {
            high -= step;
            step *= 2;
        }
        low = low.max(high.saturating_sub(step));
    }
    first_without(low, high, is_true)
}

/// The first value of a row without nulls, if it is a number of `N` bytes.
#[inline]
fn first_number<const N: usize>(row: &[u8]) -> Option<[u8; N]> {
    // Bit 15 of the row's first word: there are nulls. No columns: below everything.
    let (word, values) = row.split_first_chunk::<2>()?;
    if word[1] & 0x80 != 0 || *word == [0, 0] {
        return None;
    }
    values.first_chunk().copied()
}

/// The first `columns` values of a key row.
pub(super) fn values_of<'a>(shape: &'a KeyShape, row: &'a [u8], columns: usize) -> Looked<Vec<Datum<'a>>> {
    let mut reader = RowReader::new(shape.layout(), row).map_err(|_| Broken::Corrupted)?;
    let columns = columns.min(reader.stored());
    let values = (0..columns).map(|column| {
        let value = reader.get(column).map_err(|_| Broken::Corrupted)?;
        if shape.fits(column, value) { Ok(value) } else { Err(Broken::Corrupted) }
    });
    values.collect()
}

/// The cut that a pivot is.
pub(super) struct Pivot<'a> {
    values: Vec<Datum<'a>>,
    edge: Edge,
}

impl<'a> Pivot<'a> {
    /// Of an entry or a pivot.
    pub fn of(shape: &'a KeyShape, entry: Entry<'a>) -> Looked<Self> {
        let values = values_of(shape, entry.row(), shape.key_columns())?;
        let edge = match entry.ctid() {
            Some(_) if values.len() < shape.key_columns() => return Err(Broken::Corrupted),
            Some(ctid) => Edge::At(ctid),
            None => Edge::Before,
        };
        Ok(Self { values, edge })
    }

    /// To be looked for.
    pub fn probe<'k>(&'k self, shape: &'k KeyShape) -> Probe<'k> {
        Probe::new(shape, &self.values, self.edge)
    }
}

#[cfg(test)]
mod tests {
    use super::super::key::{KeyOrder, KeyShape};
    use super::super::node::{self, NONE, NodeFlags, Special, put_entry};
    use super::*;
    use crate::access::row::ColumnStorage;
    use crate::storage::ids::BlockNumber;

    /// However numbers are spread, guesses and steps end where halving does.
    #[test]
    fn positions_are_those_of_a_plain_search() {
        let shape = KeyShape::new(&[(ColumnStorage::Int64, KeyOrder::ASCENDING)], &[]);
        let spreads: [&dyn Fn(i64) -> i64; 5] = [&|n| n, &|n| n * n * n, &|n| n / 7, &|_| 5, &|n| {
            if n < 150 { i64::MIN + n } else { i64::MAX - 400 + n }
        }];
        for (which, spread) in spreads.iter().enumerate() {
            for count in [0, 1, 17, 290] {
                let items: Vec<_> = (0..count)
                    .map(|n| {
                        let (mut item, mut row) = (Vec::new(), Vec::new());
                        shape.layout().encode(&[Datum::Int64(spread(n))], &mut row).expect("a number");
                        put_entry(&mut item, Ctid::new(BlockNumber::ZERO, n as u16 + 1), &row);
                        item
                    })
                    .collect();
                let special =
                    Special { left: NONE, right: NONE, level: 0, flags: NodeFlags::LEAF, deleted_at: 0 };
                let page = node::built(&special, items.iter().map(Vec::as_slice)).expect("they fit");
                let node = Node::new(page.view()).expect("a page of the tree");
                let wanted = (0..count).flat_map(|n| [spread(n).saturating_sub(1), spread(n)]);
                for wanted in wanted.chain([i64::MIN, -1, 0, 1000, i64::MAX]) {
                    for edge in [Edge::Before, Edge::After, Edge::At(Ctid::new(BlockNumber::ZERO, 100))] {
                        let values = [Datum::Int64(wanted)];
                        let probe = Probe::new(&shape, &values, edge);
                        let plain =
                            first_without(node.first(), node.last() + 1, |line| probe.is_behind(node, line));
                        assert_eq!(probe.position(node), plain, "{which}: {wanted}, {edge:?}");
                        for near in [1, count as u16 / 2 + 1, count as u16, count as u16 + 1] {
                            assert_eq!(probe.position_near(node, near.max(1)), plain, "from {near}");
                        }
                    }
                }
            }
        }
    }
}
