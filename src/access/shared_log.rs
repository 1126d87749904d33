//! The log as one process's parts share it: pages ask it to be durable, transactions end in it, changes stand in it.

use std::cell::RefCell;
use std::rc::Rc;

use super::rmgr;
use super::wal_writer::WalWriterBell;
use crate::ipc::Proc;
use crate::report::Result;
use crate::storage::LogBarrier;
use crate::txn;
use crate::txn::TransactionWords;
use crate::txn::locks::OwnerIndex;
use crate::txn::log::{CommitLog, RecordKind};
use crate::txn::snapshot::Durable;
use crate::wal::{Inserted, Lsn, Place, RecordBuilder, Room, Wal, WalSession};

/// A process's way into the log, for several owners. None of them keeps it borrowed while it calls another.
#[derive(Clone)]
pub struct SharedLog<'s> {
    wal: &'s Wal<'s>,
    me: &'s Proc<'s>,
    bell: Option<WalWriterBell<'s>>,
    words: Option<TransactionWords<'s>>,
    inner: Rc<RefCell<Inner<'s>>>,
}

struct Inner<'s> {
    session: WalSession<'s, 's>,
    builder: RecordBuilder,
    /// Of the record that [`CommitLog::prepare`] was asked for.
    room: Option<Room<'s, 's>>,
    /// Where the last record of a transaction begins.
    last_start: crate::wal::Lsn,
}

impl<'s> SharedLog<'s> {
    /// Over this way into the log.
    pub fn new(me: &'s Proc<'s>, session: WalSession<'s, 's>) -> Self {
        let wal = session.wal();
        let inner =
            Inner { session, builder: RecordBuilder::new(), room: None, last_start: crate::wal::Lsn::new(0) };
        Self { wal, me, bell: None, words: None, inner: Rc::new(RefCell::new(inner)) }
    }

    /// With a WAL writer to be woken for what nobody waits for.
    #[must_use]
    pub fn with_bell(mut self, bell: WalWriterBell<'s>) -> Self {
        self.bell = Some(bell);
        self
    }

    /// With transactions among which a commit may wait for others' records (`commit_delay`).
    #[must_use]
    pub fn with_transactions(mut self, words: TransactionWords<'s>) -> Self {
        self.words = Some(words);
        self
    }

    /// The log.
    pub fn wal(&self) -> &'s Wal<'s> {
        self.wal
    }

    /// The process.
    pub fn process(&self) -> &'s Proc<'s> {
        self.me
    }

    /// What only the process's own loop does with the log: checkpoints, segments, settings.
    pub fn with<R>(&self, f: impl FnOnce(&mut WalSession<'s, 's>) -> R) -> R {
        f(&mut self.inner.borrow_mut().session)
    }

    /// Makes the log durable up to `lsn`.
    pub fn make_durable(&self, lsn: Lsn) -> Result<()> {
        if lsn <= self.wal.durable() {
            return Ok(());
        }
        self.inner.borrow_mut().session.flush(lsn)
    }

    /// Inserts a record that changes no page.
    pub fn log(&self, rmgr: crate::wal::RmgrId, info: u8, xid: u64, main: &[u8]) -> Result<Place> {
        let mut inner = self.inner.borrow_mut();
        let Inner { session, builder, .. } = &mut *inner;
        builder.begin(rmgr, info, xid);
        builder.main(main);
        session.log(builder)
    }

    /// Room for a record of at most `len` bytes, and a buffer to compose it in without allocating.
    pub(super) fn prepare(&self, len: usize) -> Result<Room<'s, 's>> {
        let mut inner = self.inner.borrow_mut();
        let room = inner.session.prepare(len)?;
        inner.builder.make_room(len);
        Ok(room)
    }

    /// Composes a record and inserts it, again for a later epoch if a checkpoint began meanwhile.
    pub(super) fn insert(
        &self,
        room: &Room<'s, 's>,
        mut compose: impl FnMut(&mut RecordBuilder, crate::wal::Epoch),
    ) -> Place {
        let mut inner = self.inner.borrow_mut();
        let Inner { session, builder, .. } = &mut *inner;
        let mut epoch = self.wal.epoch();
        loop {
            compose(builder, epoch);
            builder.for_epoch(epoch);
            match session.insert(builder, room) {
                Inserted::At(place) => return place,
                Inserted::Recompose(next) => epoch = next,
            }
        }
    }
}

/// The number of the log in the transactions' words.
pub(crate) fn to_txn(lsn: Lsn) -> txn::Lsn {
    txn::Lsn::new(lsn.bytes())
}

/// The number of the transactions in the log's words.
pub(crate) fn to_wal(lsn: txn::Lsn) -> Lsn {
    Lsn::new(lsn.bytes())
}

impl LogBarrier for SharedLog<'_> {
    fn flush_to(&mut self, lsn: u64) -> Result<()> {
        self.make_durable(Lsn::new(lsn))
    }

    fn is_durable(&self, lsn: u64) -> bool {
        lsn <= self.wal.durable().bytes()
    }
}

impl Durable for SharedLog<'_> {
    fn durable(&self) -> txn::Lsn {
        to_txn(self.wal.durable())
    }
}

impl CommitLog for SharedLog<'_> {
    fn prepare(&mut self, len: usize) -> Result<()> {
        // Header, and what encoding adds.
        let room = SharedLog::prepare(self, len + 64)?;
        self.inner.borrow_mut().room = Some(room);
        Ok(())
    }

    fn insert(&mut self, kind: RecordKind, record: &[u8], note: &mut dyn FnMut(txn::Lsn)) -> txn::Lsn {
        let mut inner = self.inner.borrow_mut();
        let Inner { session, builder, room, last_start } = &mut *inner;
        let room = room.take().expect("the record was prepared for");
        let xid = record.first_chunk().map_or(0, |xid| u64::from_le_bytes(*xid));
        builder.begin(rmgr::TRANSACTION, kind as u8, xid);
        builder.main(record);
        session.begin_commit();
        let inserted = session.insert_noting(builder, &room, |place| note(to_txn(place.end)));
        session.end_commit();
        match inserted {
            Inserted::At(place) => {
                *last_start = place.start;
                to_txn(place.end)
            }
            Inserted::Recompose(_) => unreachable!("a record without pages depends on no epoch"),
        }
    }

    fn last_start(&self) -> txn::Lsn {
        to_txn(self.inner.borrow().last_start)
    }

    fn flush(&mut self, lsn: txn::Lsn) -> Result<()> {
        let mut inner = self.inner.borrow_mut();
        // Counted only where somebody wants to wait for them.
        let others = match self.words.filter(|_| inner.session.delays_commits()) {
            Some(words) => words.running_beside(OwnerIndex::of_process(self.me.id().slot())),
            None => 0,
        };
        inner.session.flush_commit(to_wal(lsn), others)
    }

    fn leave(&mut self, _: txn::Lsn) {
        if let Some(bell) = &self.bell {
            bell.ring(self.me, self.wal);
        }
    }
}
