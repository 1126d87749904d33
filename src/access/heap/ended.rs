//! Saying of a version that it is deleted or locked: one change, of its page.

use super::Heap;
use super::change::{self, HeapKind, Maps, end_bytes};
use super::tuple::{Mask, NewXmax, TupleRef};
use crate::access::change::{BlockUse, Change};
use crate::access::ctid::Ctid;
use crate::access::engine::Store;
use crate::access::rmgr::HEAP;
use crate::report::Result;
use crate::storage::buffer::ExclusivePage;
use crate::storage::page::PageRef;
use crate::txn::Xid;

/// The version of a line, if it has one.
pub(super) fn version_at(page: PageRef<'_>, line: u16) -> Option<TupleRef<'_>> {
    let item = if line <= page.lines() { page.item(line).ok()? } else { return None };
    TupleRef::new(page, &item)
}

/// The mask of a line that is known to have a version.
pub(super) fn mask_of(page: PageRef<'_>, line: u16) -> Mask {
    version_at(page, line).map_or(Mask::default(), TupleRef::mask)
}

impl Heap {
    /// Deletes or locks a version, whose page is locked, in the name of `xid`.
    pub(super) fn write_end<'t, 's>(
        &self,
        store: &'t Store<'s>,
        kind: HeapKind,
        xid: Xid,
        (page, line): (&mut ExclusivePage<'t, 's>, u16),
        new: NewXmax,
    ) -> Result<()> {
        let block = page.pin().block();
        let next = new.next.unwrap_or(Ctid::new(block, line));
        let data = end_bytes(line, new, next);
        let mut maps = Maps::of(self, store, &[page])?;
        let change = Change::new(HEAP, kind as u8, xid.number()).block(0, page, BlockUse::Modify, &data);
        let (change, cleared) = maps.add_to(change, [Some(block), None]);
        self.apply(store, change, |pages| {
            change::end(&mut pages.page(0), line, new, xid.number());
            cleared.clear(pages, 1);
        })
    }
}
