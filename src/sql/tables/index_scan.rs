//! Reading a table by one of its indexes.

use std::sync::Arc;

use super::Access;
use super::batch::{RowBatch, SystemValues};
use super::open::OpenTable;
use crate::access::Ctid;
use crate::access::btree::{Direction, ScanKey, ScanOp, ScanOptions};
use crate::access::heap::Fetched;
use crate::access::row::RowReader;
use crate::access::visibility::{Fates, ReadView};
use crate::catalog::descriptor::RelationDescriptor;
use crate::report::{Report, Result, SqlState};
use crate::sql::types::Datum;
use crate::sql::types::stored::{Codec, Scratch};

/// Rows of the first batch; the following ones are longer each.
const FIRST: usize = 16;
const MOST: usize = 4096;

/// A condition on a column of an index.
#[derive(Clone, PartialEq, Debug)]
pub struct IndexCondition {
    /// Which, from 0.
    pub column: usize,
    /// How its value is to stand to this one.
    pub op: ScanOp,
    /// The value, of the column's type.
    pub value: Datum,
}

/// Where a scan of an index goes on.
#[derive(Default)]
pub struct IndexCursor {
    /// The entry that was given out last: its row and its address.
    last: Option<(Vec<u8>, Ctid)>,
    is_over: bool,
    batches: u32,
}

impl<'t, 's> Access<'_, 't, 's> {
    /// Puts the next rows that a view shows and that meet all conditions into `batch`, in the order of the index; `false`:
    /// there are no more.
    pub fn index_scan(
        &mut self,
        relation: &Arc<RelationDescriptor>,
        (index, direction): (usize, Direction),
        conditions: &[IndexCondition],
        cursor: &mut IndexCursor,
        view: ReadView,
        batch: &mut RowBatch,
    ) -> Result<bool> {
        batch.clear();
        if cursor.is_over {
            return Ok(false);
        }
        let open = self.table(relation)?;
        let limit = (FIRST << cursor.batches.min(16)).min(MOST);
        cursor.batches += 1;
        let resume = match &cursor.last {
            Some((row, _)) => resume_at(&open, (index, direction), conditions, row)?,
            None => None,
        };
        let values: Vec<Datum> = resume
            .iter()
            .map(|key| key.value.clone())
            .chain(conditions.iter().map(|key| key.value.clone()))
            .collect();
        let parts = resume.iter().chain(conditions);
        let codecs: Vec<Codec> = parts.clone().map(|key| open.keys[index].1[key.column]).collect();
        let mut scratch = Scratch::default();
        let stored = scratch.encode(&values, &codecs);
        let keys: Vec<ScanKey<'_>> =
            parts.zip(stored).map(|(key, value)| ScanKey::new(key.column, key.op, value)).collect();
        self.read_index(&open, (index, direction), &keys, cursor, view, limit, batch)?;
        Ok(!batch.is_empty())
    }

    #[expect(clippy::too_many_arguments, reason = "a scan's parts, which stand together nowhere else")]
    fn read_index(
        &mut self,
        open: &OpenTable<'t, 's>,
        (index, direction): (usize, Direction),
        keys: &[ScanKey<'_>],
        cursor: &mut IndexCursor,
        view: ReadView,
        limit: usize,
        batch: &mut RowBatch,
    ) -> Result<()> {
        let session = &mut *self.cx.session;
        let fates = Fates::new(session.store);
        let options = ScanOptions { with_rows: true, keeps_pin: false };
        let mut entries = open.table.indexes()[index].tree().scan(keys, options);
        let mut passed = cursor.last.is_none();
        let mut is_over = true;
        while let Some(entry) = entries.next(direction)? {
            let key = entries.row().unwrap_or_default();
            if !passed {
                passed = cursor.last.as_ref().is_some_and(|(row, at)| *at == entry && row == key);
                continue;
            }
            let push = |tuple: crate::access::heap::tuple::TupleRef<'_>| {
                (tuple.row().to_vec(), SystemValues::of(tuple))
            };
            match open.table.heap().fetch_with(session, &fates, view, entry, push)? {
                Fetched::Row(ctid, (row, system)) => {
                    batch.push(ctid, &row, system);
                    if batch.len() >= limit {
                        cursor.last = Some((key.to_vec(), entry));
                        is_over = false;
                        break;
                    }
                }
                Fetched::Nothing { is_dead: true } => entries.kill_current(),
                Fetched::Nothing { is_dead: false } => {}
            }
        }
        if !passed {
            // The entry's row is seen by the view, so nobody may have taken it out.
            let message = format!("index \"{}\" has lost an entry", open.relation.indexes[index].name);
            return Err(Report::error(SqlState::INDEX_CORRUPTED, message));
        }
        cursor.is_over = is_over;
        entries.end()
    }
}

/// A bound that spares a scan most of what it has given out already: on the first column that no equality binds.
fn resume_at(
    open: &OpenTable<'_, '_>,
    (index, direction): (usize, Direction),
    conditions: &[IndexCondition],
    row: &[u8],
) -> Result<Option<IndexCondition>> {
    let descriptor = &open.relation.indexes[index];
    let is_bound = |column: usize| {
        conditions.iter().any(|key| key.column == column && matches!(key.op, ScanOp::Equal | ScanOp::IsNull))
    };
    let Some(column) = (0..descriptor.keys.len()).find(|column| !is_bound(*column)) else { return Ok(None) };
    let (layout, codecs) = &open.keys[index];
    let mut reader = RowReader::new(layout, row)?;
    let value = crate::sql::types::stored::decode(reader.get(column)?, codecs[column])?;
    if value.is_null() {
        return Ok(None);
    }
    let key = &descriptor.keys[column];
    // Where nulls stand in the direction of the scan, a bound would leave them out.
    let nulls_follow = key.nulls_first != (direction == Direction::Forward);
    let has_bound = conditions.iter().any(|key| key.column == column && key.op != ScanOp::IsNotNull);
    if nulls_follow && !has_bound {
        return Ok(None);
    }
    let rises = key.is_descending != (direction == Direction::Forward);
    let op = if rises { ScanOp::GreaterEqual } else { ScanOp::LessEqual };
    Ok(Some(IndexCondition { column, op, value }))
}
