//! Locking rows.

use super::Heap;
use super::change::{self, HeapKind, Maps, end_bytes};
use super::claim::{Claim, Outcome, Writing, new_xmax};
use super::delete::mask_of;
use super::tuple::{NewXmax, RowLock};
use crate::access::change::{BlockUse, Change};
use crate::access::ctid::Ctid;
use crate::access::engine::StoreSession;
use crate::access::rmgr::HEAP;
use crate::report::Result;

impl Heap {
    /// Locks a version of a row until the transaction ends, or goes back to before its innermost savepoint.
    pub fn lock(
        &self,
        session: &mut StoreSession<'_, '_>,
        ctid: Ctid,
        lock: RowLock,
        writing: &mut Writing<'_, '_>,
    ) -> Result<Outcome<()>> {
        let xid = session.transaction.xid()?;
        let claim = Claim { ctid, lock: &|_| Ok(lock), other: None };
        let mut claimed = match self.claim(session, &claim, writing)? {
            Outcome::Done(claimed) => claimed,
            Outcome::Conflict(conflict) => return Ok(Outcome::Conflict(conflict)),
        };
        let is_own = |xid| session.transaction.is_own(xid);
        if claimed.holders.iter().any(|member| is_own(member.xid) && member.lock >= lock) {
            return Ok(Outcome::Done(()));
        }
        let store = session.store;
        let mask = mask_of(claimed.page.page(), ctid.line);
        let new = new_xmax(store, xid, &claimed, false, mask)?;
        let new = NewXmax { next: Some(ctid), ..new };
        let data = end_bytes(ctid.line, new, ctid);
        let mut maps = Maps::of(self, store, &[&claimed.page])?;
        let change = Change::new(HEAP, HeapKind::Lock as u8, xid.number());
        let change = change.block(0, &mut claimed.page, BlockUse::Modify, &data);
        let (change, cleared) = maps.add_to(change, [Some(ctid.block), None]);
        self.apply(store, change, |pages| {
            change::end(&mut pages.page(0), ctid.line, new, xid.number());
            cleared.clear(pages, 1);
        })?;
        Ok(Outcome::Done(()))
    }
}
