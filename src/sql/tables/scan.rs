//! Reading a table from its first block to its last.

use std::rc::Rc;
use std::sync::Arc;

use super::Access;
use super::TableShape;
use super::batch::{RowBatch, SystemValues};
use crate::access::Ctid;
use crate::access::heap::Fetched;
use crate::access::row::Datum;
use crate::access::visibility::ReadView;
use crate::catalog::descriptor::{RelationDescriptor, RelationKind};
use crate::catalog::fixed;
use crate::report::Result;
use crate::storage::buffer::BufferRing;
use crate::storage::ids::BlockNumber;

/// Blocks that are read at once: their rows stay in a core's own cache until they are looked at.
const BLOCKS: u32 = 16;

/// Where a scan goes on.
#[derive(Default)]
pub struct TableCursor {
    next: u32,
    /// Blocks that there were when it began.
    end: Option<u32>,
    ring: Option<BufferRing>,
}

impl<'t, 's> Access<'_, 't, 's> {
    /// Puts the next rows that a view shows into `batch`; `false`: there are no more. `with_headers`: what is in their
    /// headers is wanted, too.
    pub fn scan(
        &mut self,
        relation: &Arc<RelationDescriptor>,
        cursor: &mut TableCursor,
        view: ReadView,
        with_headers: bool,
        batch: &mut RowBatch,
    ) -> Result<bool> {
        batch.clear();
        let open = self.table(relation)?;
        let heap = open.table.heap();
        let session = &mut *self.cx.session;
        let end = match cursor.end {
            Some(end) => end,
            None => {
                cursor.ring = heap.scan_ring(session.store)?;
                *cursor.end.insert(heap.blocks(session.store)?)
            }
        };
        while cursor.next < end && batch.is_empty() {
            let stop = end.min(cursor.next + BLOCKS);
            let mut scan = heap.scan_blocks(session, view, cursor.ring.as_mut(), (cursor.next, stop));
            cursor.next = stop;
            while scan.next_page(session)? {
                for row in scan.rows() {
                    batch.push(row.ctid, row.bytes, SystemValues::default());
                }
            }
        }
        if with_headers && !batch.is_empty() {
            self.add_headers(relation, batch)?;
        }
        Ok(!batch.is_empty())
    }

    /// All rows of a relation that is no heap: a catalog that the program has the rows of, or a sequence.
    pub fn made_rows(
        &mut self,
        relation: &Arc<RelationDescriptor>,
        batch: &mut RowBatch,
    ) -> Result<Rc<TableShape>> {
        batch.clear();
        let shape = self.table(relation)?.shape.clone();
        let rows = match relation.kind {
            RelationKind::Sequence => {
                let counter = self.cx.sequence_counter(relation.oid)?;
                let values = [
                    Datum::Int64(counter.last),
                    Datum::Int64(counter.logged),
                    Datum::Bool(counter.is_called),
                ];
                vec![values.into_iter().map(Datum::to_owned).collect()]
            }
            _ => fixed::rows(relation.oid).unwrap_or_default(),
        };
        let (mut bytes, address) = (Vec::new(), Ctid::new(BlockNumber::ZERO, 1));
        for row in rows {
            let values: Vec<Datum<'_>> = row.iter().map(crate::access::OwnedDatum::as_datum).collect();
            bytes.clear();
            shape.layout.encode(&values, &mut bytes)?;
            batch.push(address, &bytes, SystemValues::default());
        }
        Ok(shape)
    }

    /// Looks up what rows' headers say; few statements ask.
    fn add_headers(&mut self, relation: &Arc<RelationDescriptor>, batch: &mut RowBatch) -> Result<()> {
        let open = self.table(relation)?;
        let mut with = RowBatch::default();
        while let Some(row) = batch.next_row() {
            let header = open.table.heap().fetch_version(self.cx.session, row.ctid, SystemValues::of)?;
            with.push(row.ctid, row.bytes, header.unwrap_or_default());
        }
        *batch = with;
        Ok(())
    }

    /// The version at an address, if a view shows it.
    pub fn fetch(
        &mut self,
        relation: &Arc<RelationDescriptor>,
        ctid: Ctid,
        view: ReadView,
        batch: &mut RowBatch,
    ) -> Result<bool> {
        batch.clear();
        let open = self.table(relation)?;
        let blocks = open.table.heap().blocks(self.cx.session.store)?;
        if ctid.block.get() >= blocks || ctid.line == 0 {
            return Ok(false);
        }
        let push =
            |tuple: crate::access::heap::tuple::TupleRef<'_>| (tuple.row().to_vec(), SystemValues::of(tuple));
        let fetched = open.table.heap().fetch(self.cx.session, view, ctid, push)?;
        if let Fetched::Row(at, (row, system)) = fetched
            && at == ctid
        {
            batch.push(at, &row, system);
        }
        Ok(!batch.is_empty())
    }

    /// The version at an address, whoever may see it: one that a conflict led to and that is locked by now.
    pub fn fetch_version(
        &mut self,
        relation: &Arc<RelationDescriptor>,
        ctid: Ctid,
        batch: &mut RowBatch,
    ) -> Result<bool> {
        batch.clear();
        let open = self.table(relation)?;
        let push = |tuple: crate::access::heap::tuple::TupleRef<'_>| {
            batch.push(ctid, tuple.row(), SystemValues::of(tuple));
        };
        Ok(open.table.heap().fetch_version(self.cx.session, ctid, push)?.is_some())
    }
}
