//! Deleting rows.

use super::Heap;
use super::change::{self, HeapKind, Maps, end_bytes};
use super::claim::{Claim, Outcome, Writing, new_xmax};
use super::tuple::{Mask, NewXmax, RowLock, TupleRef};
use crate::access::change::{BlockUse, Change};
use crate::access::ctid::Ctid;
use crate::access::engine::StoreSession;
use crate::access::rmgr::HEAP;
use crate::report::Result;

/// The mask of a line that is known to have a version.
pub(super) fn mask_of(page: crate::storage::page::PageRef<'_>, line: u16) -> Mask {
    let item = page.item(line).ok();
    item.and_then(|item| TupleRef::new(page, &item)).map_or(Mask::default(), TupleRef::mask)
}

impl Heap {
    /// Deletes a version of a row.
    pub fn delete(
        &self,
        session: &mut StoreSession<'_, '_>,
        ctid: Ctid,
        writing: &mut Writing<'_, '_>,
    ) -> Result<Outcome<()>> {
        let xid = session.transaction.xid()?;
        let claim = Claim { ctid, lock: &|_| Ok(RowLock::Update), other: None };
        let mut claimed = match self.claim(session, &claim, writing)? {
            Outcome::Done(claimed) => claimed,
            Outcome::Conflict(conflict) => return Ok(Outcome::Conflict(conflict)),
        };
        self.note_write(session, Some(ctid))?;
        let store = session.store;
        let mask = mask_of(claimed.page.page(), ctid.line);
        let new = new_xmax(store, xid, &claimed, true, mask)?;
        // What an update that was rolled back left there leads nowhere.
        let new = NewXmax { next: Some(ctid), cmax: writing.command, ..new };
        let data = end_bytes(ctid.line, new, ctid);
        let mut maps = Maps::of(self, store, &[&claimed.page])?;
        let change = Change::new(HEAP, HeapKind::Delete as u8, xid.number());
        let change = change.block(0, &mut claimed.page, BlockUse::Modify, &data);
        let (change, cleared) = maps.add_to(change, [Some(ctid.block), None]);
        self.apply(store, change, |pages| {
            change::end(&mut pages.page(0), ctid.line, new, xid.number());
            cleared.clear(pages, 1);
        })?;
        Ok(Outcome::Done(()))
    }
}
