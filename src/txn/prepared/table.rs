//! Which prepared transactions there are: their places, names, and who is busy with them.

use shmem_layout::{PreparedShared, PreparedTransaction};

use super::{Finisher, no_such};
use crate::ipc::{LwLock, LwLockGuard, Mode, Proc, WaitEvent};
use crate::report::{Report, ReportExt, Result, SqlState};
use crate::shmem::{RegionSpec, Segment, SegmentError};
use crate::sync::Ordering::{Acquire, Relaxed};
use crate::txn::locks::{Locks, OwnerIndex};
use crate::txn::lsn::Lsn;
use crate::txn::xid::Xid;

const VERSION: u32 = 1;

/// Bytes of the longest name, and one.
const GID_SIZE: usize = 200;

/// Prepared transactions, as all processes share them.
#[derive(Clone, Copy)]
pub struct PreparedTransactions<'s> {
    shared: &'s PreparedShared,
    places: &'s [PreparedTransaction],
    locks: Locks<'s>,
}

/// A row of `pg_prepared_xacts`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PreparedRow {
    /// Its id.
    pub xid: Xid,
    /// Its name.
    pub gid: String,
    /// When it was prepared, in microseconds since 2000-01-01.
    pub prepared: i64,
    /// Role that prepared it.
    pub role: u32,
    /// Database it belongs to.
    pub database: u32,
    /// What its locks belong to.
    pub owner: OwnerIndex,
}

impl<'s> PreparedTransactions<'s> {
    /// What the plan of a segment must hold for `max_prepared_transactions`.
    pub fn region_specs(prepared: usize) -> Vec<RegionSpec> {
        vec![
            RegionSpec::of::<PreparedShared>("prepared", VERSION, 1),
            RegionSpec::of::<PreparedTransaction>("prepared places", VERSION, prepared),
        ]
    }

    /// Finds the regions of a segment that was planned with [`Self::region_specs`].
    pub fn open(segment: &'s Segment, locks: Locks<'s>) -> std::result::Result<Self, SegmentError> {
        let [shared] = segment.region::<PreparedShared>("prepared", VERSION)? else {
            return Err(SegmentError::Region { name: "prepared".into(), problem: "has a wrong size".into() });
        };
        Ok(Self { shared, places: segment.region("prepared places", VERSION)?, locks })
    }

    /// Whether there is no transaction that is prepared or about to be.
    pub fn is_unused(&self) -> bool {
        self.places.iter().all(|place| place.state.load(Acquire) == PreparedTransaction::FREE)
    }

    /// The lock table.
    pub fn locks(&self) -> Locks<'s> {
        self.locks
    }

    /// The owner of the locks of a place: they stand behind those of processes.
    pub fn owner_of(&self, place: usize) -> OwnerIndex {
        OwnerIndex::new((self.locks.owners() - self.places.len() + place) as u32)
    }

    fn lock<'p>(&self, me: &'p Proc<'s>) -> LwLockGuard<'p, 's> {
        LwLock::new(&self.shared.lock, WaitEvent::TWO_PHASE_STATE).acquire(me, Mode::Exclusive)
    }

    /// Takes a place and a name for a transaction that is about to be prepared.
    pub(super) fn reserve(
        &self,
        me: &Proc<'s>,
        worker: OwnerIndex,
        gid: &str,
        of: Finisher,
        time: i64,
    ) -> Result<usize> {
        if gid.len() >= GID_SIZE {
            let message = format!("transaction identifier \"{gid}\" is too long");
            return Err(Report::error(SqlState::INVALID_PARAMETER_VALUE, message));
        }
        if self.places.is_empty() {
            let disabled = "prepared transactions are disabled";
            return Err(Report::error(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, disabled)
                .with_hint("Set \"max_prepared_transactions\" to a nonzero value."));
        }
        let _guard = self.lock(me);
        if self.find(gid).is_some() {
            let message = format!("transaction identifier \"{gid}\" is already in use");
            return Err(Report::error(SqlState::DUPLICATE_OBJECT, message));
        }
        let is_free = |place: &PreparedTransaction| place.state.load(Relaxed) == PreparedTransaction::FREE;
        let Some(index) = self.places.iter().position(is_free) else {
            let (full, limit) = ("maximum number of prepared transactions reached", self.places.len());
            let hint = format!("Increase \"max_prepared_transactions\" (currently {limit}).");
            return Err(Report::error(SqlState::OUT_OF_MEMORY, full).with_hint(hint));
        };
        let place = &self.places[index];
        let mut padded = [0; GID_SIZE];
        padded[..gid.len()].copy_from_slice(gid.as_bytes());
        for (word, bytes) in place.gid.iter().zip(padded.as_chunks::<8>().0) {
            word.store(u64::from_le_bytes(*bytes), Relaxed);
        }
        place.gid_len.store(gid.len() as u32, Relaxed);
        place.role.store(of.role, Relaxed);
        place.database.store(of.database, Relaxed);
        place.time.store(time as u64, Relaxed);
        place.xid.store(0, Relaxed);
        place.worker.store(worker.number(), Relaxed);
        place.state.store(PreparedTransaction::PREPARING, Relaxed);
        Ok(index)
    }

    /// The transaction of a place is prepared now.
    pub(super) fn publish(&self, me: &Proc<'s>, place: usize, xid: Xid, record: Lsn) {
        let _guard = self.lock(me);
        let place = &self.places[place];
        place.record.store(record.bytes(), Relaxed);
        place.xid.store(xid.number(), Relaxed);
        place.state.store(PreparedTransaction::PREPARED, Relaxed);
        place.worker.store(0, Relaxed);
    }

    /// A place is nobody's again.
    pub(super) fn free(&self, me: &Proc<'s>, place: usize) {
        let _guard = self.lock(me);
        self.places[place].state.store(PreparedTransaction::FREE, Relaxed);
        self.places[place].worker.store(0, Relaxed);
    }

    /// Claims a prepared transaction to end it; its id, by which its state is found.
    ///
    /// # Errors
    /// 42704, 55000, 42501, 0A000, in PostgreSQL's words.
    pub fn claim(&self, me: &Proc<'s>, worker: OwnerIndex, gid: &str, by: Finisher) -> Result<Xid> {
        let _guard = self.lock(me);
        let place = self.find(gid).map(|index| &self.places[index]);
        let is_prepared = |p: &&PreparedTransaction| p.state.load(Relaxed) == PreparedTransaction::PREPARED;
        let place = place.filter(is_prepared).ok_or_else(|| no_such(gid))?;
        if place.worker.load(Relaxed) != 0 {
            let message = format!("prepared transaction with identifier \"{gid}\" is busy");
            return Err(Report::error(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message));
        }
        if !by.is_superuser && place.role.load(Relaxed) != by.role {
            let denied = "permission denied to finish prepared transaction";
            return Err(Report::error(SqlState::INSUFFICIENT_PRIVILEGE, denied)
                .with_hint("Must be superuser or the user that prepared the transaction."));
        }
        if place.database.load(Relaxed) != by.database {
            return Err(Report::not_supported("prepared transaction belongs to another database")
                .with_hint("Connect to the database where the transaction was prepared to finish it."));
        }
        let xid = Xid::new(place.xid.load(Relaxed)).ok_or_else(|| no_such(gid))?;
        place.worker.store(worker.number(), Relaxed);
        Ok(xid)
    }

    /// Where the record of a transaction that this worker has claimed begins in the log; `None`: before the server's start.
    ///
    /// # Errors
    /// XX000 if it is not claimed.
    pub fn record_of(&self, me: &Proc<'s>, worker: OwnerIndex, xid: Xid) -> Result<Option<Lsn>> {
        let place = self.claimed(me, worker, xid)?;
        let record = self.places[place].record.load(Relaxed);
        Ok((record != 0).then(|| Lsn::new(record)))
    }

    /// A transaction that this worker has claimed stays prepared.
    pub fn give_up(&self, me: &Proc<'s>, worker: OwnerIndex, xid: Xid) {
        if let Ok(place) = self.claimed(me, worker, xid) {
            self.unclaim(me, place);
        }
    }

    /// The place of a transaction that this worker has claimed.
    pub(super) fn claimed(&self, me: &Proc<'s>, worker: OwnerIndex, xid: Xid) -> Result<usize> {
        let _guard = self.lock(me);
        let is_it = |p: &PreparedTransaction| {
            p.xid.load(Relaxed) == xid.number()
                && p.worker.load(Relaxed) == worker.number()
                && p.state.load(Relaxed) == PreparedTransaction::PREPARED
        };
        self.places.iter().position(is_it).ok_or_else(|| {
            let message = format!("prepared transaction {xid} was not claimed");
            Report::error(SqlState::INTERNAL_ERROR, message)
        })
    }

    /// A transaction that was claimed stays prepared.
    pub(super) fn unclaim(&self, me: &Proc<'s>, place: usize) {
        let _guard = self.lock(me);
        self.places[place].worker.store(0, Relaxed);
    }

    /// All prepared transactions (`pg_prepared_xacts`).
    pub fn rows(&self, me: &Proc<'s>) -> Vec<PreparedRow> {
        let _guard = self.lock(me);
        let row = |(index, place): (usize, &PreparedTransaction)| {
            let xid = Xid::new(place.xid.load(Relaxed))?;
            (place.state.load(Relaxed) == PreparedTransaction::PREPARED).then(|| PreparedRow {
                xid,
                gid: gid_of(place),
                prepared: place.time.load(Relaxed) as i64,
                role: place.role.load(Relaxed),
                database: place.database.load(Relaxed),
                owner: self.owner_of(index),
            })
        };
        self.places.iter().enumerate().filter_map(row).collect()
    }

    fn find(&self, gid: &str) -> Option<usize> {
        let is_it = |place: &PreparedTransaction| {
            place.state.load(Relaxed) != PreparedTransaction::FREE && gid_of(place) == gid
        };
        self.places.iter().position(is_it)
    }
}

fn gid_of(place: &PreparedTransaction) -> String {
    let bytes: Vec<u8> = place.gid.iter().flat_map(|word| word.load(Relaxed).to_le_bytes()).collect();
    let len = (place.gid_len.load(Relaxed) as usize).min(GID_SIZE);
    String::from_utf8_lossy(&bytes[..len]).into_owned()
}
