//! Inserting rows.

use super::Heap;
use super::change::{self, HeapKind, Maps};
use super::space::{next_line, put};
use super::tuple::{self, MAX_TUPLE, Mask, NewTuple, TUPLE_HEADER, check_id};
use crate::access::change::{BlockUse, Change};
use crate::access::ctid::Ctid;
use crate::access::engine::StoreSession;
use crate::access::rmgr::HEAP;
use crate::report::{Report, Result, SqlState};
use crate::storage::buffer::ExclusivePage;

/// Refuses a row that does not fit a page.
pub(super) fn check_length(row: &[u8]) -> Result<()> {
    let (size, most) = (row.len() + TUPLE_HEADER, MAX_TUPLE);
    if size <= most {
        return Ok(());
    }
    let message = format!("row is too big: size {size}, maximum size {most}");
    Err(Report::error(SqlState::PROGRAM_LIMIT_EXCEEDED, message))
}

/// What redo does with the page that a new version goes to.
pub(super) fn use_of(page: &ExclusivePage<'_, '_>) -> BlockUse {
    if page.page().is_new() { BlockUse::Init } else { BlockUse::Modify }
}

impl Heap {
    /// Inserts a row, made by [`RowLayout::encode`](crate::access::row::RowLayout::encode): its address.
    ///
    /// # Errors
    /// 54000 `row is too big: size N, maximum size M`; 40001 of a serializable transaction; 53100 if the disk is full.
    pub fn insert(&self, session: &mut StoreSession<'_, '_>, row: &[u8], command: u32) -> Result<Ctid> {
        check_length(row)?;
        let xmin = check_id(session.transaction.xid()?.number())?;
        self.note_write(session, None)?;
        let store = session.store;
        let mut page = self.page_for(store, TUPLE_HEADER + row.len(), None)?;
        let ctid = Ctid::new(page.pin().block(), next_line(page.page()));
        let new = NewTuple { xmin, xmax: 0, mask: Mask::default(), cmin: command };
        let (tuple, data) = &mut *self.cleared_scratch();
        new.encode(ctid, row, tuple);
        change::put_version(new, ctid.line, row, data);
        let mut maps = Maps::of(self, store, &[&page])?;
        let used = use_of(&page);
        let change = Change::new(HEAP, HeapKind::Insert as u8, xmin).block(0, &mut page, used, data);
        let (change, cleared) = maps.add_to(change, [Some(ctid.block), None]);
        self.apply(store, change, |pages| {
            put(&mut pages.page(0), ctid.line, tuple);
            cleared.clear(pages, 1);
        })?;
        Ok(ctid)
    }

    /// Takes back a row that this transaction inserted by this very command, and that nobody else may have seen: for
    /// insertions that find a conflict in an index behind the row.
    ///
    /// # Errors
    /// XX000 if it is another's.
    pub fn retract(&self, session: &mut StoreSession<'_, '_>, ctid: Ctid) -> Result<()> {
        let xid = session.transaction.xid()?.number();
        let store = session.store;
        let mut page = self.pin(store, ctid.block)?.lock_exclusive();
        let item = page.page().item(ctid.line).ok();
        let is_own = item
            .and_then(|item| tuple::TupleRef::new(page.page(), &item))
            .is_some_and(|tuple| tuple.xmin() == xid && tuple.xmax() == 0);
        if !is_own {
            return Err(Report::error(SqlState::INTERNAL_ERROR, format!("row {ctid} cannot be taken back")));
        }
        let data = ctid.line.to_le_bytes();
        let change = Change::new(HEAP, HeapKind::Retract as u8, xid);
        let change = change.block(0, &mut page, BlockUse::Modify, &data);
        self.apply(store, change, |pages| {
            let mut page = pages.page(0);
            tuple::retract(&mut page, ctid.line);
            change::note_prunable(&mut page, xid);
        })
    }
}
