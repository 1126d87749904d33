//! Reading all rows, page by page.
//!
//! Under one shared lock a page is copied, and the versions found that the view shows; so rows are given out without a lock
//! or a pin, and nothing is allocated for any of them.

use super::Heap;
use super::tuple::{TupleRef, damaged};
use crate::access::ctid::Ctid;
use crate::access::engine::{Store, StoreSession};
use crate::access::visibility::{Fates, ReadView, Visibility};
use crate::report::Result;
use crate::storage::buffer::{BufferRing, ReadOptions, RingKind, SequentialRead, SharedPage};
use crate::storage::ids::{BlockNumber, Fork};
use crate::storage::page::{ItemState, PageBuf, PageFlags, PageRef};
use crate::txn::Xid;

/// A row that a scan shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row<'a> {
    /// Where its version is.
    pub ctid: Ctid,
    /// The row.
    pub bytes: &'a [u8],
}

#[derive(Clone, Copy)]
struct Found {
    line: u16,
    offset: u16,
    length: u16,
}

/// A scan of a heap, or of a part of it.
pub struct Scan<'h, 't, 's, 'r> {
    heap: &'h Heap,
    view: ReadView,
    pages: SequentialRead<'t, 's, 'r>,
    fates: Fates<'t, 's>,
    copy: Box<PageBuf>,
    block: BlockNumber,
    found: Vec<Found>,
    /// How many of them were given out.
    given: usize,
    has_begun: bool,
}

impl Heap {
    /// A ring for a scan, if the heap is so large that it would push out what others use.
    pub fn scan_ring(&self, store: &Store<'_>) -> Result<Option<BufferRing>> {
        let pool = store.storage.pool().len();
        let is_large = self.blocks(store)? as usize > pool / 4;
        Ok(is_large.then(|| BufferRing::new(RingKind::BulkRead, pool)))
    }

    /// A scan of all there is now.
    pub fn scan<'h, 't, 's, 'r>(
        &'h self,
        session: &StoreSession<'t, 's>,
        view: ReadView,
        ring: Option<&'r mut BufferRing>,
    ) -> Result<Scan<'h, 't, 's, 'r>> {
        let end = self.blocks(session.store)?;
        Ok(self.scan_blocks(session, view, ring, (0, end)))
    }

    /// A scan of the blocks from the first to before the second, which exist.
    pub fn scan_blocks<'h, 't, 's, 'r>(
        &'h self,
        session: &StoreSession<'t, 's>,
        view: ReadView,
        ring: Option<&'r mut BufferRing>,
        (first, end): (u32, u32),
    ) -> Scan<'h, 't, 's, 'r> {
        let options = ReadOptions { ring, is_permanent: self.options().is_logged };
        let pages = SequentialRead::new(&session.store.storage, self.fork(Fork::Main), first, end, options);
        Scan {
            heap: self,
            view,
            pages,
            fates: Fates::new(session.store),
            copy: PageBuf::zeroed(),
            block: BlockNumber::ZERO,
            found: Vec::with_capacity(256),
            given: 0,
            has_begun: false,
        }
    }
}

impl<'t, 's> Scan<'_, 't, 's, '_> {
    /// The next row; `None` at the end.
    ///
    /// # Errors
    /// As reading pages; XX001 for a damaged page; 40001 of a serializable transaction.
    #[inline]
    pub fn next(&mut self, session: &mut StoreSession<'t, 's>) -> Result<Option<Row<'_>>> {
        while self.given == self.found.len() {
            if !self.next_page(session)? {
                return Ok(None);
            }
        }
        let found = self.found[self.given];
        self.given += 1;
        Ok(Some(row(self.copy.view(), self.block, found)))
    }

    /// Goes on to the next page with rows, whose rows are then [`Self::rows`]; `false` at the end.
    pub fn next_page(&mut self, session: &mut StoreSession<'t, 's>) -> Result<bool> {
        if !self.has_begun {
            self.has_begun = true;
            self.heap.note_read(session, None)?;
        }
        loop {
            let Some(pin) = self.pages.next_page()? else { return Ok(false) };
            self.block = pin.block();
            self.found.clear();
            self.given = 0;
            let page = self.heap.lock_pruned(session.store, &self.fates, pin)?;
            if page.page().is_new() {
                continue;
            }
            page.page().copy_to(&mut self.copy);
            let past = self.look_at(session, &page)?;
            drop(page);
            if !past.is_empty() {
                self.heap.note_past(session, &past)?;
            }
            if !self.found.is_empty() {
                return Ok(true);
            }
        }
    }

    /// The rows of the page that [`Self::next_page`] went on to.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        let (page, block) = (self.copy.view(), self.block);
        self.found.iter().map(move |found| row(page, block, *found))
    }

    /// Notes the versions that the view shows; those who wrote what it does not show, if that matters.
    fn look_at(&mut self, session: &mut StoreSession<'t, 's>, page: &SharedPage<'_, '_>) -> Result<Vec<Xid>> {
        let is_serializable = session.transaction.serializable().is_some();
        let visibility = Visibility::new(session, &self.fates);
        let view = page.page();
        let is_all_visible = view.flags().contains(PageFlags::ALL_VISIBLE);
        let mut past = Vec::new();
        for line in 1..=view.lines() {
            let item = view.item(line).map_err(|_| damaged(page.pin().tag(), line))?;
            let Some(tuple) = TupleRef::new(view, &item) else {
                if item.state == ItemState::Normal {
                    return Err(damaged(page.pin().tag(), line));
                }
                continue;
            };
            let is_seen = is_all_visible || visibility.sees(self.view, page, tuple)?;
            if is_serializable && !is_all_visible {
                past.extend(visibility.past(self.view, tuple, is_seen)?);
            }
            if is_seen {
                let (offset, length) = tuple.row_place();
                self.found.push(Found { line, offset, length });
            }
        }
        Ok(past)
    }
}

#[inline]
fn row(page: PageRef<'_>, block: BlockNumber, found: Found) -> Row<'_> {
    let bytes = page.slice(found.offset.into(), found.length.into());
    Row { ctid: Ctid::new(block, found.line), bytes }
}
