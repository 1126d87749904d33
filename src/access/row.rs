//! Physical rows: values of fixed and variable length one behind the other, as heaps and indexes keep them.
//!
//! ```text
//! 0             2
//! columns, flag | null bitmap, if there are nulls | values
//! ```
//!
//! The first word has the number of columns, in bit 14 whether a value is stored elsewhere, and in bit 15 whether there is a
//! bitmap, whose bit `i` is set if column `i` is null. Numbers are little-endian and begin at multiples of their size, counted from where the values begin; variable
//! values begin anywhere:
//!
//! | first byte | what follows |
//! | --- | --- |
//! | bit 0 set | the rest of it is a length of 0 to 126, then so many bytes |
//! | bit 0 clear | a word of four bytes, this one included: bit 1 compressed, bit 2 stored elsewhere, the rest a length; then so many bytes |
//!
//! A row may have fewer columns than its layout, if it is older than the last of them: those are read as what their column
//! says ([`Column::missing`]). Nothing that is read is believed: bytes that are no such row are XX001, never a panic.

use crate::report::{Report, Result, SqlState};

/// Most columns that a row can have.
pub const MAX_COLUMNS: usize = 1664;

/// Longest variable value with a header of one byte.
pub const MAX_SHORT: usize = 126;

/// Bytes of the header of a row without nulls.
pub const ROW_HEADER: usize = 2;

const HAS_NULLS: u16 = 1 << 15;
const HAS_EXTERNAL: u16 = 1 << 14;
const COMPRESSED: u32 = 1 << 1;
const EXTERNAL: u32 = 1 << 2;
const LENGTH_SHIFT: u32 = 3;

/// How a column's values are stored.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ColumnStorage {
    /// A byte, 0 or 1.
    Bool,
    /// Two bytes.
    Int16,
    /// Four bytes.
    Int32,
    /// Eight bytes.
    Int64,
    /// Four bytes.
    Float32,
    /// Eight bytes.
    Float64,
    /// So many bytes.
    Fixed(u16),
    /// Bytes behind their length.
    Variable,
}

impl ColumnStorage {
    /// Bytes of a value, and what its place is a multiple of; `None`: it says its length itself.
    const fn fixed(self) -> Option<(usize, usize)> {
        Some(match self {
            Self::Bool => (1, 1),
            Self::Int16 => (2, 2),
            Self::Int32 | Self::Float32 => (4, 4),
            Self::Int64 | Self::Float64 => (8, 8),
            Self::Fixed(length) => (length as usize, 1),
            Self::Variable => return None,
        })
    }
}

/// A value. Text, numbers without bounds, arrays are bytes here.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Datum<'a> {
    /// No value.
    Null,
    /// Of [`ColumnStorage::Bool`].
    Bool(bool),
    /// Of [`ColumnStorage::Int16`].
    Int16(i16),
    /// Of [`ColumnStorage::Int32`].
    Int32(i32),
    /// Of [`ColumnStorage::Int64`].
    Int64(i64),
    /// Of [`ColumnStorage::Float32`].
    Float32(f32),
    /// Of [`ColumnStorage::Float64`].
    Float64(f64),
    /// Of [`ColumnStorage::Fixed`] or [`ColumnStorage::Variable`].
    Bytes(&'a [u8]),
    /// A variable value that is compressed, in the words of who compressed it.
    Compressed(&'a [u8]),
    /// A variable value that is stored elsewhere: where, in the words of who stored it.
    External(&'a [u8]),
}

/// A value of its own.
#[derive(Clone, PartialEq, Debug)]
pub enum OwnedDatum {
    /// Without bytes.
    Plain(Datum<'static>),
    /// [`Datum::Bytes`].
    Bytes(Box<[u8]>),
    /// [`Datum::Compressed`].
    Compressed(Box<[u8]>),
    /// [`Datum::External`].
    External(Box<[u8]>),
}

impl OwnedDatum {
    /// The value.
    pub fn as_datum(&self) -> Datum<'_> {
        match self {
            Self::Plain(datum) => *datum,
            Self::Bytes(bytes) => Datum::Bytes(bytes),
            Self::Compressed(bytes) => Datum::Compressed(bytes),
            Self::External(bytes) => Datum::External(bytes),
        }
    }
}

impl Datum<'_> {
    /// The value, copied.
    pub fn to_owned(self) -> OwnedDatum {
        OwnedDatum::Plain(match self {
            Self::Bytes(bytes) => return OwnedDatum::Bytes(bytes.into()),
            Self::Compressed(bytes) => return OwnedDatum::Compressed(bytes.into()),
            Self::External(bytes) => return OwnedDatum::External(bytes.into()),
            Self::Null => Datum::Null,
            Self::Bool(value) => Datum::Bool(value),
            Self::Int16(value) => Datum::Int16(value),
            Self::Int32(value) => Datum::Int32(value),
            Self::Int64(value) => Datum::Int64(value),
            Self::Float32(value) => Datum::Float32(value),
            Self::Float64(value) => Datum::Float64(value),
        })
    }

    /// Whether it has no value.
    pub fn is_null(self) -> bool {
        matches!(self, Self::Null)
    }
}

/// A column, as its values are stored.
#[derive(Clone, PartialEq, Debug)]
pub struct Column {
    /// How.
    pub storage: ColumnStorage,
    /// What rows have that are older than the column; `None`: null.
    pub missing: Option<OwnedDatum>,
}

impl Column {
    /// A column that is null in older rows.
    pub const fn new(storage: ColumnStorage) -> Self {
        Self { storage, missing: None }
    }
}

#[derive(Clone, Copy, Debug)]
struct Plan {
    storage: ColumnStorage,
    /// Where its values begin in a row without nulls, for columns before which there is no variable one.
    offset: u32,
}

/// The columns of a relation, prepared for reading and writing rows.
#[derive(Clone, Debug)]
pub struct RowLayout {
    plans: Box<[Plan]>,
    /// Columns that have an offset.
    at_once: usize,
    columns: Box<[Column]>,
}

impl RowLayout {
    /// Of these columns.
    ///
    /// # Panics
    /// Beyond [`MAX_COLUMNS`], which whoever makes relations refuses.
    pub fn new(columns: Vec<Column>) -> Self {
        assert!(columns.len() <= MAX_COLUMNS, "{} columns", columns.len());
        let mut plans = Vec::with_capacity(columns.len());
        let (mut offset, mut at_once, mut is_fixed) = (0_usize, 0, true);
        for column in &columns {
            let begins = column.storage.fixed().map_or(offset, |(_, align)| offset.next_multiple_of(align));
            plans.push(Plan { storage: column.storage, offset: begins as u32 });
            if is_fixed {
                at_once += 1;
            }
            match column.storage.fixed() {
                Some((length, _)) => offset = begins + length,
                None => is_fixed = false,
            }
        }
        Self { plans: plans.into(), at_once, columns: columns.into() }
    }

    /// Of columns that are null in older rows.
    pub fn of(storages: &[ColumnStorage]) -> Self {
        Self::new(storages.iter().copied().map(Column::new).collect())
    }

    /// The columns.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Appends a row to `to`. There are at most as many values as columns.
    ///
    /// # Errors
    /// XX000 for values that are not their columns'.
    pub fn encode(&self, values: &[Datum<'_>], to: &mut Vec<u8>) -> Result<()> {
        if values.len() > self.plans.len() {
            return Err(misfit(self.plans.len(), "no such column"));
        }
        let has_nulls = values.iter().any(|value| value.is_null());
        let has_external = values.iter().any(|value| matches!(value, Datum::External(_)));
        let flags = if has_nulls { HAS_NULLS } else { 0 } | if has_external { HAS_EXTERNAL } else { 0 };
        let word = values.len() as u16 | flags;
        to.extend_from_slice(&word.to_le_bytes());
        if has_nulls {
            let bitmap = to.len();
            to.resize(bitmap + values.len().div_ceil(8), 0);
            for (i, _) in values.iter().enumerate().filter(|(_, value)| value.is_null()) {
                to[bitmap + i / 8] |= 1 << (i % 8);
            }
        }
        let start = to.len();
        for (i, (value, plan)) in values.iter().zip(&self.plans).enumerate() {
            if !value.is_null() {
                encode_value(plan.storage, *value, start, to).ok_or_else(|| misfit(i, "of another type"))?;
            }
        }
        Ok(())
    }
}

fn encode_value(storage: ColumnStorage, value: Datum<'_>, start: usize, to: &mut Vec<u8>) -> Option<()> {
    let mut put = |align: usize, bytes: &[u8]| {
        to.resize(start + (to.len() - start).next_multiple_of(align), 0);
        to.extend_from_slice(bytes);
    };
    match (storage, value) {
        (ColumnStorage::Bool, Datum::Bool(value)) => put(1, &[value.into()]),
        (ColumnStorage::Int16, Datum::Int16(value)) => put(2, &value.to_le_bytes()),
        (ColumnStorage::Int32, Datum::Int32(value)) => put(4, &value.to_le_bytes()),
        (ColumnStorage::Int64, Datum::Int64(value)) => put(8, &value.to_le_bytes()),
        (ColumnStorage::Float32, Datum::Float32(value)) => put(4, &value.to_le_bytes()),
        (ColumnStorage::Float64, Datum::Float64(value)) => put(8, &value.to_le_bytes()),
        (ColumnStorage::Fixed(length), Datum::Bytes(bytes)) if bytes.len() == length as usize => {
            put(1, bytes);
        }
        (ColumnStorage::Variable, Datum::Bytes(bytes)) if bytes.len() <= MAX_SHORT => {
            put(1, &[(bytes.len() as u8) << 1 | 1]);
            put(1, bytes);
        }
        (ColumnStorage::Variable, Datum::Bytes(bytes)) => put_long(bytes, 0, to)?,
        (ColumnStorage::Variable, Datum::Compressed(bytes)) => put_long(bytes, COMPRESSED, to)?,
        (ColumnStorage::Variable, Datum::External(bytes)) => put_long(bytes, EXTERNAL, to)?,
        _ => return None,
    }
    Some(())
}

fn put_long(bytes: &[u8], flags: u32, to: &mut Vec<u8>) -> Option<()> {
    let length = u32::try_from(bytes.len()).ok().filter(|length| *length <= u32::MAX >> LENGTH_SHIFT)?;
    to.extend_from_slice(&(length << LENGTH_SHIFT | flags).to_le_bytes());
    to.extend_from_slice(bytes);
    Some(())
}

#[cold]
fn misfit(column: usize, what: &str) -> Box<Report> {
    Report::error(SqlState::INTERNAL_ERROR, format!("value {} of a row is {what}", column + 1))
}

#[cold]
fn damaged(column: usize) -> Box<Report> {
    let message = format!("a stored row is damaged at column {}", column + 1);
    Report::error(SqlState::DATA_CORRUPTED, message)
}

/// Whether a row says that a value of it is stored elsewhere, so that most rows need not be looked through for such.
#[inline]
pub fn has_external(row: &[u8]) -> bool {
    row.first_chunk().is_some_and(|word| u16::from_le_bytes(*word) & HAS_EXTERNAL != 0)
}

/// A stored row, read column by column; in order it costs least.
#[derive(Clone, Debug)]
pub struct RowReader<'l, 'a> {
    layout: &'l RowLayout,
    /// Empty: no nulls.
    bitmap: &'a [u8],
    values: &'a [u8],
    stored: usize,
    /// The column that the walk has come to, and where it may begin.
    column: usize,
    offset: usize,
}

impl<'l, 'a> RowReader<'l, 'a> {
    /// Over a row's bytes.
    ///
    /// # Errors
    /// XX001 if they cannot be a row of this layout.
    #[inline]
    pub fn new(layout: &'l RowLayout, bytes: &'a [u8]) -> Result<Self> {
        let Some((word, rest)) = bytes.split_first_chunk() else { return Err(damaged(0)) };
        let word = u16::from_le_bytes(*word);
        let stored = usize::from(word & !(HAS_NULLS | HAS_EXTERNAL));
        let bitmap = if word & HAS_NULLS != 0 { stored.div_ceil(8) } else { 0 };
        if stored > layout.plans.len() || bitmap > rest.len() {
            return Err(damaged(stored));
        }
        let (bitmap, values) = rest.split_at(bitmap);
        Ok(Self { layout, bitmap, values, stored, column: 0, offset: 0 })
    }

    /// Columns that the row itself has.
    pub fn stored(&self) -> usize {
        self.stored
    }

    /// Whether a column that the row has is null.
    #[inline]
    fn is_null(&self, column: usize) -> bool {
        self.bitmap.get(column / 8).is_some_and(|byte| byte >> (column % 8) & 1 != 0)
    }

    /// The value of a column of the layout, from 0.
    ///
    /// # Errors
    /// XX001 if the row is damaged there, or before.
    ///
    /// # Panics
    /// If the layout has no such column.
    #[inline]
    pub fn get(&mut self, column: usize) -> Result<Datum<'a>>
    where
        'l: 'a,
    {
        if column < self.layout.at_once && self.bitmap.is_empty() && column < self.stored {
            let Plan { storage, offset } = self.layout.plans[column];
            return match read_value(storage, self.values, offset as usize) {
                Some((value, _)) => Ok(value),
                None => Err(damaged(column)),
            };
        }
        self.walk(column)
    }

    fn walk(&mut self, column: usize) -> Result<Datum<'a>>
    where
        'l: 'a,
    {
        if column >= self.stored {
            let missing = self.layout.columns[column].missing.as_ref();
            return Ok(missing.map_or(Datum::Null, OwnedDatum::as_datum));
        }
        if self.is_null(column) {
            return Ok(Datum::Null);
        }
        if column < self.column {
            (self.column, self.offset) = (0, 0);
        }
        while self.column < column {
            if !self.is_null(self.column) {
                self.offset = self.read(self.column)?.1;
            }
            self.column += 1;
        }
        // The place stays at this column's beginning, so that it may be asked for again.
        Ok(self.read(column)?.0)
    }

    fn read(&self, column: usize) -> Result<(Datum<'a>, usize)> {
        let storage = self.layout.plans[column].storage;
        let offset = storage.fixed().map_or(self.offset, |(_, align)| self.offset.next_multiple_of(align));
        read_value(storage, self.values, offset).ok_or_else(|| damaged(column))
    }

    /// Whether bytes behind the last value are none: for checks of stored data.
    ///
    /// # Errors
    /// XX001 if the row is damaged anywhere.
    pub fn check(&mut self) -> Result<()>
    where
        'l: 'a,
    {
        let mut end = 0;
        for column in 0..self.stored {
            self.walk(column)?;
            if !self.is_null(column) {
                end = self.read(column)?.1;
            }
        }
        if end == self.values.len() { Ok(()) } else { Err(damaged(self.stored)) }
    }
}

/// A value that begins at `offset`, and where it ends.
#[inline]
fn read_value(storage: ColumnStorage, values: &[u8], offset: usize) -> Option<(Datum<'_>, usize)> {
    #[inline]
    fn number<const N: usize>(values: &[u8], offset: usize) -> Option<[u8; N]> {
        values.get(offset..)?.first_chunk().copied()
    }
    Some(match storage {
        ColumnStorage::Int32 => (Datum::Int32(i32::from_le_bytes(number(values, offset)?)), offset + 4),
        ColumnStorage::Int64 => (Datum::Int64(i64::from_le_bytes(number(values, offset)?)), offset + 8),
        ColumnStorage::Bool => match number(values, offset)? {
            [0] => (Datum::Bool(false), offset + 1),
            [1] => (Datum::Bool(true), offset + 1),
            _ => return None,
        },
        ColumnStorage::Int16 => (Datum::Int16(i16::from_le_bytes(number(values, offset)?)), offset + 2),
        ColumnStorage::Float32 => (Datum::Float32(f32::from_le_bytes(number(values, offset)?)), offset + 4),
        ColumnStorage::Float64 => (Datum::Float64(f64::from_le_bytes(number(values, offset)?)), offset + 8),
        ColumnStorage::Fixed(length) => {
            let end = offset + usize::from(length);
            (Datum::Bytes(values.get(offset..end)?), end)
        }
        ColumnStorage::Variable => read_variable(values, offset)?,
    })
}

fn read_variable(values: &[u8], offset: usize) -> Option<(Datum<'_>, usize)> {
    let first = *values.get(offset)?;
    if first & 1 != 0 {
        let (start, length) = (offset + 1, usize::from(first >> 1));
        // A length of 127 is never written.
        let bytes = values.get(start..start + length).filter(|_| length <= MAX_SHORT)?;
        return Some((Datum::Bytes(bytes), start + length));
    }
    let word = u32::from_le_bytes(*values.get(offset..)?.first_chunk()?);
    let (start, length) = (offset + 4, (word >> LENGTH_SHIFT) as usize);
    let bytes = values.get(start..start + length)?;
    let value = match word & (COMPRESSED | EXTERNAL) {
        0 => Datum::Bytes(bytes),
        COMPRESSED => Datum::Compressed(bytes),
        EXTERNAL => Datum::External(bytes),
        _ => return None,
    };
    Some((value, start + length))
}

#[cfg(test)]
mod tests;
