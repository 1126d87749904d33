//! Reading one row, by the address that an index has of it.

use super::Heap;
use super::tuple::{TupleRef, damaged};
use crate::access::ctid::Ctid;
use crate::access::engine::StoreSession;
use crate::access::visibility::{Dirty, Fates, ReadView, VacuumState, Visibility, for_vacuum, members};
use crate::report::Result;
use crate::storage::buffer::SharedPage;
use crate::storage::ids::BufferTag;
use crate::storage::page::{ItemState, PageRef};

/// What is at an address that an index has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fetched<R> {
    /// A version that the view shows, and what was made of it.
    Row(Ctid, R),
    /// None.
    Nothing {
        /// Nobody will ever see any: the index's entry can go.
        is_dead: bool,
    },
}

impl<R> Fetched<R> {
    /// What was made of the version.
    pub fn row(self) -> Option<R> {
        match self {
            Self::Row(_, row) => Some(row),
            Self::Nothing { .. } => None,
        }
    }
}

/// The versions of a row on one page, from the line that indexes know.
pub(super) struct Chain<'a> {
    page: PageRef<'a>,
    line: u16,
    is_first: bool,
    /// Who replaced the version before; the next one is its work, or it is another row's.
    by: Option<u64>,
    left: u16,
}

impl<'a> Chain<'a> {
    pub fn new(page: PageRef<'a>, line: u16) -> Self {
        let left = if page.is_new() { 0 } else { page.lines() };
        Self { page, line, is_first: true, by: None, left }
    }

    /// The next version and its line; `None` at the end.
    #[inline]
    pub fn next(
        &mut self,
        fates: &Fates<'_, '_>,
        tag: impl Fn() -> BufferTag,
    ) -> Result<Option<(u16, TupleRef<'a>)>> {
        // A damaged chain may be a circle.
        if self.left == 0 || self.line == 0 || self.line > self.page.lines() {
            return Ok(None);
        }
        self.left -= 1;
        let mut item = self.page.item(self.line).map_err(|_| damaged(tag(), self.line))?;
        let mut is_root = self.is_first;
        if let (ItemState::Redirect(to), true) = (item.state, self.is_first) {
            (self.line, is_root) = (to, false);
            item = self.page.item(to).map_err(|_| damaged(tag(), to))?;
        }
        self.is_first = false;
        let Some(tuple) = TupleRef::new(self.page, &item) else { return Ok(None) };
        let is_other_row = self.by.is_some_and(|by| by != tuple.xmin()) || is_root && tuple.is_heap_only();
        if is_other_row {
            return Ok(None);
        }
        let line = self.line;
        self.line = 0;
        if tuple.is_hot_updated() {
            let updater = members(fates, tuple)?.into_iter().find(|member| member.updates);
            self.by = Some(updater.map_or(0, |member| member.xid.number()));
            self.line = tuple.ctid().map_or(0, |next| next.line);
        }
        Ok(Some((line, tuple)))
    }
}

impl Heap {
    /// Looks for the version of a row that a view shows, from the address that an index has, and has `read` make of it
    /// what is wanted.
    pub fn fetch<R>(
        &self,
        session: &mut StoreSession<'_, '_>,
        view: ReadView,
        ctid: Ctid,
        read: impl FnOnce(TupleRef<'_>) -> R,
    ) -> Result<Fetched<R>> {
        self.fetch_with(session, &Fates::new(session.store), view, ctid, read)
    }

    /// The same for many rows, with what is known of transactions.
    pub fn fetch_with<'t, 's, R>(
        &self,
        session: &mut StoreSession<'t, 's>,
        fates: &Fates<'t, 's>,
        view: ReadView,
        ctid: Ctid,
        read: impl FnOnce(TupleRef<'_>) -> R,
    ) -> Result<Fetched<R>> {
        let store = session.store;
        let is_serializable = session.transaction.serializable().is_some();
        let pin = self.pin_for_line(store, ctid)?;
        let page = self.lock_pruned(store, fates, pin)?;
        let (mut past, mut found) = (Vec::new(), None);
        let visibility = Visibility::new(session, fates);
        let mut chain = Chain::new(page.page(), ctid.line);
        while let Some((line, tuple)) = chain.next(fates, || page.pin().tag())? {
            let is_seen = visibility.sees(view, &page, tuple)?;
            if is_serializable {
                past.extend(visibility.past(view, tuple, is_seen)?);
            }
            if is_seen {
                found = Some((line, tuple));
                break;
            }
        }
        if is_serializable {
            if let Some((line, _)) = found {
                self.note_read(session, Some(Ctid::new(ctid.block, line)))?;
            }
            self.note_past(session, &past)?;
        }
        if let Some((line, tuple)) = found {
            return Ok(Fetched::Row(Ctid::new(ctid.block, line), read(tuple)));
        }
        Ok(Fetched::Nothing { is_dead: is_dead(fates, &page, ctid.line)? })
    }

    /// The version at this very address, whoever may see it: for those who were led there by a newer version's `ctid`, by a
    /// conflict, or by their own insertion.
    pub fn fetch_version<R>(
        &self,
        session: &StoreSession<'_, '_>,
        ctid: Ctid,
        read: impl FnOnce(TupleRef<'_>) -> R,
    ) -> Result<Option<R>> {
        let pin = self.pin(session.store, ctid.block)?;
        let page = pin.lock_shared();
        if page.page().is_new() || ctid.line > page.page().lines() {
            return Ok(None);
        }
        let item = page.page().item(ctid.line).map_err(|_| damaged(page.pin().tag(), ctid.line))?;
        Ok(TupleRef::new(page.page(), &item).map(read))
    }

    /// Whether a row that an index leads to is there, for a unique check, with its address: not as a view shows it, but as it
    /// is, or will be when others have ended. What it learns is told to the session.
    pub fn fetch_dirty(&self, session: &mut StoreSession<'_, '_>, ctid: Ctid) -> Result<(Ctid, Dirty)> {
        let fates = Fates::new(session.store);
        let pin = self.pin(session.store, ctid.block)?;
        let page = pin.lock_shared();
        let mut found = (ctid, Dirty::Dead);
        {
            let visibility = Visibility::new(session, &fates);
            let mut chain = Chain::new(page.page(), ctid.line);
            while let Some((line, tuple)) = chain.next(&fates, || page.pin().tag())? {
                let state = visibility.dirty(tuple)?;
                if state != Dirty::Dead {
                    found = (Ctid::new(ctid.block, line), state);
                    break;
                }
            }
        }
        session.transaction.meet(fates.take_met());
        Ok(found)
    }
}

/// Whether no version of a chain will ever be seen.
fn is_dead(fates: &Fates<'_, '_>, page: &SharedPage<'_, '_>, line: u16) -> Result<bool> {
    let mut chain = Chain::new(page.page(), line);
    while let Some((_, tuple)) = chain.next(fates, || page.pin().tag())? {
        if !matches!(for_vacuum(fates, tuple)?, VacuumState::Dead { .. }) {
            return Ok(false);
        }
    }
    Ok(true)
}
