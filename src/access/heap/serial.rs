//! What serializable transactions tell of their reads and writes. Others pay one look.

use super::Heap;
use crate::access::ctid::Ctid;
use crate::access::engine::{Store, StoreSession};
use crate::report::Result;
use crate::txn::serializable::ReadTag;
use crate::txn::{State, StateMap, Xid};

impl Heap {
    fn read_tag(&self, ctid: Option<Ctid>) -> ReadTag {
        let (database, relation) = self.options().relation;
        match ctid {
            Some(ctid) => ReadTag::of_tuple(database, relation, ctid.block.get(), ctid.line),
            None => ReadTag::of_relation(database, relation),
        }
    }

    /// A version, or (`None`) a new row, is about to be written. With the page locked, so that no reader slips in between.
    pub(super) fn note_write(&self, session: &mut StoreSession<'_, '_>, ctid: Option<Ctid>) -> Result<()> {
        let me = session.store.me;
        match session.transaction.serializable() {
            Some(serializable) => serializable.write(me, self.read_tag(ctid)),
            None => Ok(()),
        }
    }

    /// A version, or (`None`) all of the heap, is read. A version with its page locked.
    pub(super) fn note_read(&self, session: &mut StoreSession<'_, '_>, ctid: Option<Ctid>) -> Result<()> {
        let me = session.store.me;
        match session.transaction.serializable() {
            Some(serializable) => serializable.read(me, self.read_tag(ctid)),
            None => Ok(()),
        }
    }

    /// What these wrote was not seen.
    pub(super) fn note_past(&self, session: &mut StoreSession<'_, '_>, writers: &[Xid]) -> Result<()> {
        let store = session.store;
        let Some(serializable) = session.transaction.serializable() else { return Ok(()) };
        writers.iter().try_for_each(|writer| serializable.read_past(store.me, whole(store, *writer)?))
    }
}

/// The transaction that an id is a part of. Of a part that has ended that is not known any more.
fn whole(store: &Store<'_>, part: Xid) -> Result<Xid> {
    let mut xid = part;
    while let State::Child(parent) = store.transactions.map().load(xid)?
        && parent < xid
    {
        xid = parent;
    }
    Ok(xid)
}
