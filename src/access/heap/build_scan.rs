//! Reading all rows for a new index, with the addresses that indexes know: those of rows' first versions on a page.

use super::Heap;
use super::fetch::Chain;
use super::tuple::{TupleRef, damaged};
use crate::access::ctid::Ctid;
use crate::access::engine::StoreSession;
use crate::access::visibility::{Dirty, Fates, Visibility};
use crate::report::Result;
use crate::storage::ids::BlockNumber;
use crate::storage::page::{ItemState, PageRef};

impl Heap {
    /// Hands every row out that is there or may come to be, as its newest version is. Nobody else writes meanwhile.
    ///
    /// Older versions of a row on its page are found by the same address: a snapshot from before the index may find them
    /// under the newest version's key.
    pub fn for_each_row(
        &self,
        session: &mut StoreSession<'_, '_>,
        mut f: impl FnMut(&mut StoreSession<'_, '_>, Ctid, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let blocks = self.blocks(session.store)?;
        let mut rows = Vec::new();
        for block in (0..blocks).filter_map(BlockNumber::new) {
            self.rows_of(session, block, &mut rows)?;
            for (line, row) in rows.drain(..) {
                f(session, Ctid::new(block, line), &row)?;
            }
        }
        Ok(())
    }

    fn rows_of(
        &self,
        session: &StoreSession<'_, '_>,
        block: BlockNumber,
        rows: &mut Vec<(u16, Vec<u8>)>,
    ) -> Result<()> {
        let fates = Fates::new(session.store);
        let pin = self.pin(session.store, block)?;
        let page = pin.lock_shared();
        if page.page().is_new() {
            return Ok(());
        }
        let tag = page.pin().tag();
        let visibility = Visibility::new(session, &fates);
        for line in 1..=page.page().lines() {
            if !is_root(page.page(), line).map_err(|_| damaged(tag, line))? {
                continue;
            }
            let mut chain = Chain::new(page.page(), line);
            let mut newest = None;
            while let Some((_, tuple)) = chain.next(&fates, || tag)? {
                if visibility.dirty(tuple)? != Dirty::Dead {
                    newest = Some(tuple.row().to_vec());
                }
            }
            rows.extend(newest.map(|row| (line, row)));
        }
        Ok(())
    }
}

/// Whether an index may have a line's address.
fn is_root(page: PageRef<'_>, line: u16) -> std::result::Result<bool, crate::storage::page::Damage> {
    let item = page.item(line)?;
    Ok(match item.state {
        ItemState::Redirect(_) => true,
        ItemState::Normal => TupleRef::new(page, &item).is_some_and(|tuple| !tuple.is_heap_only()),
        _ => false,
    })
}
