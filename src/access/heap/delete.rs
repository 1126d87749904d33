//! Deleting rows.

use super::Heap;
use super::change::HeapKind;
use super::claim::{Claim, Outcome, Writing, new_xmax};
use super::ended::mask_of;
use super::tuple::{NewXmax, RowLock};
use crate::access::ctid::Ctid;
use crate::access::engine::StoreSession;
use crate::report::Result;

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
        let mask = mask_of(claimed.page.page(), ctid.line);
        let new = new_xmax(session.store, xid, (&claimed.holders, claimed.lock), true, mask)?;
        // What an update that was rolled back left there leads nowhere.
        let new = NewXmax { next: Some(ctid), cmax: writing.command, ..new };
        self.write_end(session.store, HeapKind::Delete, xid, (&mut claimed.page, ctid.line), new)?;
        Ok(Outcome::Done(()))
    }
}
