//! Rows copied out of pages, to be read without the store.

use super::open::TableShape;
use super::{CTID, SYSTEM_COLUMNS, TABLEOID};
use crate::access::Ctid;
use crate::access::heap::tuple::TupleRef;
use crate::access::row::RowReader;
use crate::report::Result;
use crate::sql::types::stored::decode;
use crate::sql::types::{Datum, Row};

/// What a version's header says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SystemValues {
    /// Who made it.
    pub xmin: u64,
    /// Who deleted, replaced or locked it.
    pub xmax: u64,
    /// The command that made it.
    pub cmin: u32,
    /// The command that deleted it.
    pub cmax: u32,
}

impl SystemValues {
    /// Of a version.
    pub fn of(tuple: TupleRef<'_>) -> Self {
        Self { xmin: tuple.xmin(), xmax: tuple.xmax(), cmin: tuple.cmin(), cmax: tuple.cmax() }
    }
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    ctid: Ctid,
    end: usize,
    system: SystemValues,
}

/// Rows with their addresses, one behind the other.
#[derive(Default, Debug)]
pub struct RowBatch {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    given: usize,
}

impl RowBatch {
    /// Without rows.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
        self.given = 0;
    }

    /// Adds a row.
    pub fn push(&mut self, ctid: Ctid, row: &[u8], system: SystemValues) {
        self.bytes.extend_from_slice(row);
        self.entries.push(Entry { ctid, end: self.bytes.len(), system });
    }

    /// How many rows there are, those that were given out included.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether all were given out.
    pub fn is_spent(&self) -> bool {
        self.given >= self.entries.len()
    }

    /// The next row, if one is left.
    #[inline]
    pub fn next_row(&mut self) -> Option<BatchRow<'_>> {
        let entry = self.entries.get(self.given)?;
        let start = self.given.checked_sub(1).map_or(0, |before| self.entries[before].end);
        self.given += 1;
        Some(BatchRow { ctid: entry.ctid, bytes: &self.bytes[start..entry.end], system: entry.system })
    }
}

/// A row of a batch.
#[derive(Clone, Copy, Debug)]
pub struct BatchRow<'b> {
    /// Where its version is.
    pub ctid: Ctid,
    /// The row.
    pub bytes: &'b [u8],
    /// What its header says.
    pub system: SystemValues,
}

impl BatchRow<'_> {
    /// Reads columns into their places of `to`: pairs of a column, counted through the system columns behind the table's
    /// own, and a place.
    pub fn read(&self, shape: &TableShape, columns: &[(usize, usize)], to: &mut [Datum]) -> Result<()> {
        let mut reader = RowReader::new(&shape.layout, self.bytes)?;
        for &(column, place) in columns {
            to[place] = match shape.codecs.get(column) {
                Some(codec) => decode(reader.get(column)?, *codec)?,
                None => self.system_value(column - shape.codecs.len(), shape.oid),
            };
        }
        Ok(())
    }

    /// All columns of the table.
    pub fn values(&self, shape: &TableShape) -> Result<Row> {
        let mut reader = RowReader::new(&shape.layout, self.bytes)?;
        let columns = shape.codecs.iter().enumerate();
        columns.map(|(column, codec)| decode(reader.get(column)?, *codec)).collect()
    }

    fn system_value(&self, column: usize, table: u32) -> Datum {
        match column {
            CTID => tid(self.ctid),
            1 => Datum::Oid(self.system.xmin as u32),
            2 => Datum::Oid(self.system.cmin),
            3 => Datum::Oid(self.system.xmax as u32),
            4 => Datum::Oid(self.system.cmax),
            TABLEOID => Datum::Oid(table),
            _ => {
                debug_assert!(column < SYSTEM_COLUMNS.len(), "no such system column");
                Datum::Null
            }
        }
    }
}

/// An address as a value.
pub fn tid(ctid: Ctid) -> Datum {
    Datum::Tid(ctid.block.get(), ctid.line)
}
