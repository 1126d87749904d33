//! Cuts in the order of entries, and where entries and pivots stand from them.
//!
//! A search looks for a cut: just before, or just behind, all entries that begin with some values, or at one entry. Pivots
//! are cuts too: just before all entries that begin with what they have.

use std::cmp::Ordering;

use super::key::{First, KeyShape};
use super::node::{Broken, Entry, Looked, Node};
use crate::access::ctid::Ctid;
use crate::access::row::{Datum, RowReader};

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
        let (mut low, mut high) = (node.first(), node.last() + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.compare(node.entry(middle)?)? {
                Ordering::Greater => low = middle + 1,
                Ordering::Less | Ordering::Equal => high = middle,
            }
        }
        Ok(low)
    }

    /// Line of an inner page's entry whose child has the cut: the last pivot that is not behind it, or, leaning left, the
    /// last before it.
    #[inline]
    pub fn child(&self, node: Node<'_>, leans_left: bool) -> Looked<u16> {
        // The first entry is below everything.
        let (mut low, mut high) = (node.first() + 1, node.last() + 1);
        if node.count() == 0 {
            return Err(Broken::Corrupted);
        }
        while low < high {
            let middle = low + (high - low) / 2;
            match self.compare(node.entry(middle)?)? {
                Ordering::Greater => low = middle + 1,
                Ordering::Equal if !leans_left => low = middle + 1,
                Ordering::Less | Ordering::Equal => high = middle,
            }
        }
        Ok(low - 1)
    }

    /// Whether the cut is beyond a page's high key: it is on some page to the right.
    #[inline]
    pub fn is_beyond(&self, node: Node<'_>, leans_left: bool) -> Looked<bool> {
        let Some(high_key) = node.high_key() else { return Ok(false) };
        let ordering = self.compare(high_key?)?;
        Ok(ordering == Ordering::Greater || (ordering == Ordering::Equal && !leans_left))
    }
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
