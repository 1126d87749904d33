//! Oversized values: a row that is long has its longest variable values compressed, and, if that is not enough, stored
//! elsewhere in pieces (PostgreSQL's TOAST).
//!
//! | value in a row | bytes |
//! | --- | --- |
//! | [`Datum::Compressed`] | length before (four bytes), an LZ4 block |
//! | [`Datum::External`] | number of the value (eight), its stored length (four), 1 if that is compressed |
//!
//! Where pieces are kept is a [`ChunkStore`]'s affair. [`HeapChunks`] keeps them as rows of a companion heap, with an index
//! that the caller brings.

use std::borrow::Cow;
use std::cell::Cell;

use super::insert::check_length;
use super::tuple::{MAX_TUPLE, TUPLE_HEADER};
use super::{Heap, Outcome, Writing};
use crate::access::ctid::Ctid;
use crate::access::engine::StoreSession;
use crate::access::row::{ColumnStorage, Datum, RowLayout, RowReader, has_external};
use crate::report::{Report, Result, SqlState};
use crate::txn::Xid;

/// Rows up to here stay as they are: four of them fit a page.
pub const TARGET: usize = 2032 - TUPLE_HEADER;

/// Bytes of a piece: with its header, four of them fit a page.
pub const CHUNK: usize = 1980;

/// Shorter values are left alone.
const SHORTEST: usize = 32;

/// Bytes of a value's place.
const POINTER: usize = 13;

/// Longest value.
const MAX_VALUE: usize = 1 << 30;

/// What may be done to a column's values, as `ALTER TABLE … SET STORAGE` says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Strategy {
    /// Nothing.
    Plain,
    /// Stored elsewhere, not compressed.
    External,
    /// Compressed, and stored elsewhere.
    #[default]
    Extended,
    /// Compressed; stored elsewhere only if the row does not fit a page otherwise.
    Main,
}

/// Where pieces of values are kept.
pub trait ChunkStore {
    /// A number that no value has.
    fn new_value(&mut self, session: &mut StoreSession<'_, '_>) -> Result<u64>;

    /// Keeps a piece; pieces of a value are counted from 0.
    fn put(&mut self, session: &mut StoreSession<'_, '_>, value: u64, chunk: u32, bytes: &[u8])
    -> Result<()>;

    /// Appends a piece to `to`; `false`: there is none.
    fn get(
        &mut self,
        session: &mut StoreSession<'_, '_>,
        value: u64,
        chunk: u32,
        to: &mut Vec<u8>,
    ) -> Result<bool>;

    /// Deletes a piece; `false`: there is none.
    fn remove(&mut self, session: &mut StoreSession<'_, '_>, value: u64, chunk: u32) -> Result<bool>;
}

fn corrupted(what: &str) -> Box<Report> {
    Report::error(SqlState::DATA_CORRUPTED, what)
}

/// A value stored elsewhere: its number, its stored length, whether it is compressed.
fn read_pointer(pointer: &[u8]) -> Result<(u64, usize, bool)> {
    let parts = || {
        let bytes: &[u8; POINTER] = pointer.try_into().ok()?;
        let value = u64::from_le_bytes(*bytes.first_chunk()?);
        let length = u32::from_le_bytes(*bytes[8..].first_chunk()?) as usize;
        (length <= MAX_VALUE && bytes[12] <= 1).then_some((value, length, bytes[12] == 1))
    };
    parts().ok_or_else(|| corrupted("invalid pointer to a value stored out of line"))
}

/// Compresses a value; `None` if that saves nothing.
fn compress(bytes: &[u8]) -> Option<Vec<u8>> {
    if bytes.len() > MAX_VALUE {
        return None;
    }
    let mut compressed = vec![0; 4 + lz4_flex::block::get_maximum_output_size(bytes.len())];
    compressed[..4].copy_from_slice(&(bytes.len() as u32).to_le_bytes());
    let length = lz4_flex::block::compress_into(bytes, &mut compressed[4..]).ok()?;
    compressed.truncate(4 + length);
    (compressed.len() + 4 < bytes.len()).then_some(compressed)
}

fn decompress(bytes: &[u8]) -> Result<Vec<u8>> {
    let invalid = || corrupted("compressed data is corrupt");
    let (length, block) = bytes.split_first_chunk().ok_or_else(invalid)?;
    let length = u32::from_le_bytes(*length) as usize;
    // LZ4 makes at most some 255 bytes of one.
    if length > MAX_VALUE || length > block.len().saturating_mul(256) {
        return Err(invalid());
    }
    let mut value = vec![0; length];
    match lz4_flex::block::decompress_into(block, &mut value) {
        Ok(written) if written == length => Ok(value),
        _ => Err(invalid()),
    }
}

/// A value while its row is made shorter.
struct Value<'v> {
    datum: Datum<'v>,
    /// The value's own bytes, in place of the datum's.
    made: Option<Made>,
    strategy: Strategy,
    may_shrink: bool,
}

enum Made {
    Compressed(Vec<u8>),
    External([u8; POINTER]),
}

impl Value<'_> {
    fn as_datum(&self) -> Datum<'_> {
        match &self.made {
            None => self.datum,
            Some(Made::Compressed(bytes)) => Datum::Compressed(bytes),
            Some(Made::External(bytes)) => Datum::External(bytes),
        }
    }

    /// Bytes that it has in the row and that might go.
    fn length(&self) -> usize {
        match self.as_datum() {
            Datum::Bytes(bytes) | Datum::Compressed(bytes) => bytes.len(),
            _ => 0,
        }
    }
}

/// A row being made shorter.
struct Shrinking<'l, 'v> {
    layout: &'l RowLayout,
    values: Vec<Value<'v>>,
    row: Vec<u8>,
}

impl<'l, 'v> Shrinking<'l, 'v> {
    fn new(layout: &'l RowLayout, values: &[Datum<'v>], strategies: &[Strategy]) -> Self {
        let of = |(i, datum): (usize, &Datum<'v>)| {
            let is_variable = layout.columns().get(i).is_some_and(|c| c.storage == ColumnStorage::Variable);
            let strategy = strategies.get(i).copied().unwrap_or_default();
            Value { datum: *datum, made: None, strategy, may_shrink: is_variable }
        };
        Self { layout, values: values.iter().enumerate().map(of).collect(), row: Vec::new() }
    }

    fn encode(&mut self) -> Result<usize> {
        self.row.clear();
        let values: Vec<_> = self.values.iter().map(Value::as_datum).collect();
        self.layout.encode(&values, &mut self.row)?;
        Ok(self.row.len())
    }

    /// The longest value that something may be done to.
    fn longest(&mut self, may: impl Fn(&Value<'_>) -> bool) -> Option<&mut Value<'v>> {
        let candidates = self.values.iter_mut().filter(|value| value.may_shrink && may(value));
        candidates.filter(|value| value.length() > SHORTEST).max_by_key(|value| value.length())
    }

    fn compress_down_to(&mut self, target: usize) -> Result<()> {
        let may = |value: &Value<'_>| {
            let is_plain = matches!(value.as_datum(), Datum::Bytes(_));
            is_plain && matches!(value.strategy, Strategy::Extended | Strategy::Main)
        };
        let mut tried = Vec::new();
        while self.encode()? > target {
            let Some(value) = self.longest(may) else { break };
            match value.datum {
                Datum::Bytes(bytes) => match compress(bytes) {
                    Some(compressed) => value.made = Some(Made::Compressed(compressed)),
                    None => {
                        // Not for this, but it may yet be stored elsewhere.
                        value.may_shrink = false;
                        tried.push(std::ptr::from_ref(bytes));
                    }
                },
                _ => value.may_shrink = false,
            }
        }
        for value in &mut self.values {
            if let Datum::Bytes(bytes) = value.datum {
                value.may_shrink |= tried.contains(&std::ptr::from_ref(bytes));
            }
        }
        Ok(())
    }

    fn store_down_to(
        &mut self,
        target: usize,
        session: &mut StoreSession<'_, '_>,
        store: &mut dyn ChunkStore,
        may: impl Fn(Strategy) -> bool,
    ) -> Result<()> {
        while self.encode()? > target {
            let Some(value) = self.longest(|value| may(value.strategy)) else { break };
            let (bytes, is_compressed) = match value.as_datum() {
                Datum::Bytes(bytes) => (bytes, false),
                Datum::Compressed(bytes) => (bytes, true),
                _ => break,
            };
            let number = store.new_value(session)?;
            for (chunk, piece) in (0..).zip(bytes.chunks(CHUNK)) {
                store.put(session, number, chunk, piece)?;
            }
            let mut pointer = [0; POINTER];
            pointer[..8].copy_from_slice(&number.to_le_bytes());
            pointer[8..12].copy_from_slice(&(bytes.len() as u32).to_le_bytes());
            pointer[12] = is_compressed.into();
            value.made = Some(Made::External(pointer));
        }
        Ok(())
    }
}

/// A row of these values that fits a page, its longest ones compressed or stored elsewhere. `strategies` are by column;
/// columns without one are extended.
///
/// # Errors
/// 54000 `row is too big: size N, maximum size M` if it cannot be made short enough.
pub fn encode_row(
    layout: &RowLayout,
    values: &[Datum<'_>],
    strategies: &[Strategy],
    session: &mut StoreSession<'_, '_>,
    store: Option<&mut dyn ChunkStore>,
) -> Result<Vec<u8>> {
    let mut row = Shrinking::new(layout, values, strategies);
    if row.encode()? <= TARGET {
        return Ok(row.row);
    }
    row.compress_down_to(TARGET)?;
    if let Some(store) = store {
        let most = MAX_TUPLE - TUPLE_HEADER;
        let is_eager = |strategy| matches!(strategy, Strategy::Extended | Strategy::External);
        row.store_down_to(TARGET, session, store, is_eager)?;
        row.store_down_to(most, session, store, |strategy| strategy == Strategy::Main)?;
    }
    row.encode()?;
    check_length(&row.row)?;
    Ok(row.row)
}

/// A value's own bytes: as they are in the row, decompressed, or brought from elsewhere.
///
/// # Errors
/// XX001 if they are damaged, or pieces are missing.
pub fn value_bytes<'v>(
    datum: Datum<'v>,
    session: &mut StoreSession<'_, '_>,
    store: Option<&mut dyn ChunkStore>,
) -> Result<Cow<'v, [u8]>> {
    match (datum, store) {
        (Datum::Bytes(bytes), _) => Ok(Cow::Borrowed(bytes)),
        (Datum::Compressed(bytes), _) => decompress(bytes).map(Cow::Owned),
        (Datum::External(pointer), Some(store)) => {
            let (value, length, is_compressed) = read_pointer(pointer)?;
            let stored = read_chunks(session, store, value, length)?;
            Ok(Cow::Owned(if is_compressed { decompress(&stored)? } else { stored }))
        }
        (Datum::External(_), None) => {
            Err(corrupted("a value is stored out of line, but there is no place for such"))
        }
        _ => Err(Report::error(SqlState::INTERNAL_ERROR, "a value of fixed length has no bytes")),
    }
}

fn read_chunks(
    session: &mut StoreSession<'_, '_>,
    store: &mut dyn ChunkStore,
    value: u64,
    length: usize,
) -> Result<Vec<u8>> {
    let mut stored = Vec::new();
    for chunk in 0..length.div_ceil(CHUNK) as u32 {
        let expected = (length - stored.len()).min(CHUNK);
        let before = stored.len();
        if !store.get(session, value, chunk, &mut stored)? {
            return Err(corrupted(&format!("missing chunk number {chunk} for toast value {value}")));
        }
        let size = stored.len() - before;
        if size != expected {
            let what = format!(
                "unexpected chunk size {size} (expected {expected}) in chunk {chunk} for toast value {value}"
            );
            return Err(corrupted(&what));
        }
    }
    Ok(stored)
}

/// Deletes what a row that goes has stored elsewhere, but for values that its new version keeps.
///
/// # Errors
/// XX001 if either row is damaged.
pub fn remove_values(
    layout: &RowLayout,
    old: &[u8],
    new: Option<&[u8]>,
    session: &mut StoreSession<'_, '_>,
    store: &mut dyn ChunkStore,
) -> Result<()> {
    if !has_external(old) {
        return Ok(());
    }
    let kept = new.map_or(Ok(Vec::new()), |row| external_values(layout, row))?;
    let mut gone = external_values(layout, old)?;
    // Columns of one row may share a value.
    gone.sort_unstable();
    gone.dedup();
    for (value, length) in gone {
        if kept.iter().any(|(other, _)| *other == value) {
            continue;
        }
        for chunk in 0..length.div_ceil(CHUNK) as u32 {
            store.remove(session, value, chunk)?;
        }
    }
    Ok(())
}

/// Numbers and stored lengths of a row's values that are elsewhere.
///
/// # Errors
/// XX001 if the row is damaged.
pub fn external_values(layout: &RowLayout, row: &[u8]) -> Result<Vec<(u64, usize)>> {
    if !has_external(row) {
        return Ok(Vec::new());
    }
    let mut reader = RowReader::new(layout, row)?;
    let mut values = Vec::new();
    for column in 0..reader.stored() {
        if let Datum::External(pointer) = reader.get(column)? {
            let (value, length, _) = read_pointer(pointer)?;
            values.push((value, length));
        }
    }
    Ok(values)
}

/// An index of pieces: by value's number and piece.
pub trait ChunkIndex {
    /// Adds an entry.
    fn insert(&mut self, session: &mut StoreSession<'_, '_>, key: (u64, u32), ctid: Ctid) -> Result<()>;

    /// Where the row of a piece is; the last one that was added, if dead ones are there too.
    fn find(&mut self, session: &mut StoreSession<'_, '_>, key: (u64, u32)) -> Result<Option<Ctid>>;

    /// The highest number, from the first to before the second, of which there is a piece; dead ones count.
    fn last(&mut self, session: &mut StoreSession<'_, '_>, range: (u64, u64)) -> Result<Option<u64>>;
}

/// Values that one id of a transaction has numbers for.
const PER_ID: u64 = 1 << 20;

fn first_number(xid: Xid) -> Result<u64> {
    let exhausted =
        || Report::error(SqlState::PROGRAM_LIMIT_EXCEEDED, "out of numbers for values stored out of line");
    xid.number().checked_mul(PER_ID).ok_or_else(exhausted)
}

/// Where a transaction's numbers begin, once it has used those of its own id: kept from one row to the next.
#[derive(Debug, Default)]
pub struct Numbers(Cell<Option<(Xid, u64)>>);

/// Pieces as rows of a companion heap: number, piece, bytes.
///
/// A value's number is never used twice: it is made from the id of the transaction that stores it. Its rows live as long as
/// the row that names it is seen by anybody. So pieces are read whoever made them.
pub struct HeapChunks<'h, I> {
    heap: &'h Heap,
    index: I,
    numbers: &'h Numbers,
    layout: RowLayout,
    /// The command that writes.
    pub command: u32,
}

impl<'h, I: ChunkIndex> HeapChunks<'h, I> {
    /// In this heap, found by this index.
    pub fn new(heap: &'h Heap, index: I, numbers: &'h Numbers, command: u32) -> Self {
        let layout = RowLayout::of(&[ColumnStorage::Int64, ColumnStorage::Int32, ColumnStorage::Variable]);
        Self { heap, index, numbers, layout, command }
    }
}

impl<I: ChunkIndex> ChunkStore for HeapChunks<'_, I> {
    fn new_value(&mut self, session: &mut StoreSession<'_, '_>) -> Result<u64> {
        let xid = session.transaction.xid()?;
        let known = self.numbers.0.get().filter(|(owner, _)| *owner == xid);
        let first = known.map_or_else(|| first_number(xid), |(_, first)| Ok(first))?;
        match self.index.last(session, (first, first.saturating_add(PER_ID)))? {
            None => return Ok(first),
            Some(last) if last - first < PER_ID - 1 => return Ok(last + 1),
            Some(_) => {}
        }
        // All are used. A part of the transaction that did nothing else has an id, and so as many more.
        session.transaction.savepoint();
        let part = session.transaction.xid();
        session.transaction.release_savepoint();
        let first = first_number(part?)?;
        self.numbers.0.set(Some((xid, first)));
        Ok(first)
    }

    fn put(
        &mut self,
        session: &mut StoreSession<'_, '_>,
        value: u64,
        chunk: u32,
        bytes: &[u8],
    ) -> Result<()> {
        let mut row = Vec::with_capacity(bytes.len() + 32);
        let values = [Datum::Int64(value as i64), Datum::Int32(chunk as i32), Datum::Bytes(bytes)];
        self.layout.encode(&values, &mut row)?;
        let ctid = self.heap.insert(session, &row, self.command)?;
        self.index.insert(session, (value, chunk), ctid)
    }

    fn get(
        &mut self,
        session: &mut StoreSession<'_, '_>,
        value: u64,
        chunk: u32,
        to: &mut Vec<u8>,
    ) -> Result<bool> {
        let Some(ctid) = self.index.find(session, (value, chunk))? else { return Ok(false) };
        let layout = &self.layout;
        let read = self.heap.fetch_version(session, ctid, |tuple| {
            let mut reader = RowReader::new(layout, tuple.row())?;
            let is_it =
                reader.get(0)? == Datum::Int64(value as i64) && reader.get(1)? == Datum::Int32(chunk as i32);
            let Datum::Bytes(bytes) = reader.get(2)? else { return Ok(false) };
            if is_it {
                to.extend_from_slice(bytes);
            }
            Ok(is_it)
        })?;
        read.unwrap_or(Ok(false))
    }

    fn remove(&mut self, session: &mut StoreSession<'_, '_>, value: u64, chunk: u32) -> Result<bool> {
        let Some(ctid) = self.index.find(session, (value, chunk))? else { return Ok(false) };
        // Nobody else deletes it: who may delete the row that names it holds that row.
        let mut writing = Writing::at_once(self.command.saturating_add(1));
        Ok(matches!(self.heap.delete(session, ctid, &mut writing)?, Outcome::Done(())))
    }
}
