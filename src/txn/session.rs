//! One session's transactions: levels of savepoints, ids given out when they are needed, snapshots, ends.

// Commits as others have them, for the bench that shows the difference.
#[cfg(feature = "late-release")]
mod late;

use std::collections::BTreeMap;

use super::locks::OwnerIndex;
use super::log::{CommitLog, RecordKind};
use super::lsn::Lsn;
use super::record::EndRecord;
use super::serializable::{Granularity, SerialTables, Serializable};
use super::snapshot::Snapshot;
use super::table::{StateMap, Transactions};
use super::xid::{State, Xid};
use crate::ipc::Proc;
use crate::ipc::stop_points::StopPoint;
use crate::report::{Report, Result};

/// Isolation levels; read uncommitted is read committed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Isolation {
    /// Each statement has its own snapshot.
    #[default]
    ReadCommitted,
    /// One snapshot for all statements.
    RepeatableRead,
    /// The same, and as if transactions ran one after the other.
    Serializable,
}

/// How a transaction commits.
#[derive(Clone, Debug, Default)]
pub struct CommitOptions {
    /// Whether it is acknowledged when it is durable, or before.
    pub synchronous: bool,
    /// When, in microseconds since 2000-01-01.
    pub time: i64,
    /// What the layers above have to do because of it, for redo and for whoever completes it after a death.
    pub actions: Vec<u8>,
}

/// A transaction, or a savepoint within it.
#[derive(Debug, Default)]
struct Level {
    xid: Option<Xid>,
    /// Parts that were released into it, parents before their own parts.
    children: Vec<Xid>,
}

/// A session's transactions.
pub struct TransactionSession<'t, 'a, 's, M, L> {
    transactions: &'t Transactions<'a, 's, M>,
    log: L,
    serial: (SerialTables<'s>, Granularity),
    serializable: Option<Serializable<'s>>,
    isolation: Isolation,
    is_read_only: bool,
    levels: Vec<Level>,
    /// Snapshots in use, and by how many.
    snapshots: BTreeMap<Snapshot, u32>,
    /// The transaction's own, if the isolation level has one.
    of_transaction: Option<Snapshot>,
    /// The highest commit LSN met outside a snapshot.
    met: Lsn,
    /// The highest LSN that anything said by this session since the last answer may depend on.
    seen: Lsn,
    /// Why a part that was to be rolled back was not: the whole transaction can only be rolled back.
    doomed: Option<Box<Report>>,
}

impl<'t, 'a, 's, M, L> TransactionSession<'t, 'a, 's, M, L>
where
    M: StateMap<Error = Box<Report>>,
    L: CommitLog,
{
    /// A session without a transaction.
    pub fn new(
        transactions: &'t Transactions<'a, 's, M>,
        log: L,
        serial: (SerialTables<'s>, Granularity),
    ) -> Self {
        Self {
            transactions,
            log,
            serial,
            serializable: None,
            isolation: Isolation::default(),
            is_read_only: false,
            levels: Vec::new(),
            snapshots: BTreeMap::new(),
            of_transaction: None,
            met: Lsn::INVALID,
            seen: Lsn::INVALID,
            doomed: None,
        }
    }

    /// The transaction has nothing in it that was to be rolled back.
    pub(super) fn check_whole(&self) -> Result<()> {
        self.doomed.clone().map_or(Ok(()), Err)
    }

    /// The log.
    pub fn log(&mut self) -> &mut L {
        &mut self.log
    }

    /// Begins a transaction. `is_read_only`: it was declared to write nothing, which frees a serializable one of many
    /// dangers.
    pub fn begin(&mut self, isolation: Isolation, is_read_only: bool) {
        debug_assert!(self.levels.is_empty(), "one transaction at a time");
        self.isolation = isolation;
        self.is_read_only = is_read_only;
        self.levels.push(Level::default());
    }

    /// What a serializable transaction tells of its reads and writes to; `None` at the other levels, and before its first
    /// snapshot.
    pub fn serializable(&mut self) -> Option<&mut Serializable<'s>> {
        self.serializable.as_mut()
    }

    pub(super) fn is_serializable(&self) -> bool {
        self.isolation == Isolation::Serializable
    }

    pub(super) fn transactions(&self) -> &'t Transactions<'a, 's, M> {
        self.transactions
    }

    pub(super) fn me(&self) -> &'a Proc<'s> {
        self.transactions.me
    }

    pub(super) fn owner(&self) -> OwnerIndex {
        self.transactions.owner()
    }

    /// All parts that have not been rolled back, those of open savepoints included, which are released by this.
    pub(super) fn all_children(&mut self) -> Vec<Xid> {
        while self.levels.len() > 1 {
            self.release_savepoint();
        }
        self.levels.first().map_or_else(Vec::new, |level| level.children.clone())
    }

    /// Begins a savepoint; its depth, for the locks taken within. The transaction itself has depth 1.
    pub fn savepoint(&mut self) -> u32 {
        self.levels.push(Level::default());
        self.depth()
    }

    /// Depth of the innermost savepoint.
    pub fn depth(&self) -> u32 {
        self.levels.len() as u32
    }

    /// The id that the transaction has already.
    pub fn top_xid(&self) -> Option<Xid> {
        self.levels.first()?.xid
    }

    /// The transaction's own id, given out if need be, whatever savepoints are open.
    pub fn assign_top(&mut self) -> Result<Xid> {
        self.check_whole()?;
        if let Some(xid) = self.top_xid() {
            return Ok(xid);
        }
        let xid = self.transactions.assign()?;
        self.levels.first_mut().expect("a transaction has begun").xid = Some(xid);
        if let Some(serializable) = &self.serializable {
            serializable.set_xid(self.transactions.me, xid);
        }
        Ok(xid)
    }

    /// The id for what is written now, given out if need be, with those of the levels around it.
    pub fn xid(&mut self) -> Result<Xid> {
        self.check_whole()?;
        let had_none = self.top_xid().is_none();
        let mut above = None;
        for level in &mut self.levels {
            if level.xid.is_none() {
                level.xid = Some(match above {
                    None => self.transactions.assign()?,
                    Some(parent) => self.transactions.assign_child(parent)?,
                });
            }
            above = level.xid;
        }
        if let (true, Some(xid), Some(serializable)) = (had_none, self.top_xid(), &self.serializable) {
            serializable.set_xid(self.transactions.me, xid);
        }
        Ok(above.expect("a transaction has begun"))
    }

    /// Whether an id is this transaction's or that of a part which has not been rolled back.
    pub fn is_own(&self, xid: Xid) -> bool {
        self.levels.iter().any(|level| level.xid == Some(xid) || level.children.contains(&xid))
    }

    /// The innermost savepoint is released: what it did belongs to the level above.
    pub fn release_savepoint(&mut self) {
        let level = self.levels.pop().expect("a savepoint");
        let above = self.levels.last_mut().expect("a savepoint is within a transaction");
        above.children.extend(level.xid);
        above.children.extend(level.children);
    }

    /// The innermost savepoint is rolled back, with a record that says so: a checkpoint may have written that these parts
    /// belong to the transaction, and a start would find them committed with it.
    ///
    /// # Errors
    /// If there is no room for that record, or the map cannot be read: the level is gone, and nothing but a rollback of the
    /// whole transaction is possible any more, which everything else ends with.
    pub fn abort_savepoint(&mut self) -> Result<()> {
        let aborted = self.abort_innermost();
        match &aborted {
            Ok(()) => drop(self.levels.pop()),
            Err(report) => {
                // Kept with the others, to be named in the transaction's own abort record.
                self.release_savepoint();
                self.doomed.get_or_insert_with(|| report.clone());
            }
        }
        aborted
    }

    fn abort_innermost(&mut self) -> Result<()> {
        let level = self.levels.last().expect("a savepoint");
        let Some(xid) = level.xid else { return Ok(()) };
        let children = level.children.clone();
        let record = EndRecord { xid, time: EndRecord::NO_TIME, children, actions: Vec::new() };
        let bytes = record.encode();
        self.log.prepare(bytes.len())?;
        // Before the record: a checkpoint whose redo begins behind the record must write them as rolled back, since it is
        // the transaction's commit that will be replayed, and that alone.
        self.transactions.stamp_children(&record.children, State::Aborted, Lsn::INVALID)?;
        self.transactions.map.store(xid, State::Aborted, Lsn::INVALID)?;
        self.log.insert(RecordKind::Abort, &bytes, &mut |_| ());
        self.transactions.announce_end();
        Ok(())
    }

    /// The snapshot for a statement; [`Self::drop_snapshot`] ends its use.
    ///
    /// # Errors
    /// 53200 if there are too many serializable transactions.
    pub fn statement_snapshot(&mut self) -> Result<Snapshot> {
        self.check_whole()?;
        if let Some(snapshot) = self.of_transaction {
            return Ok(self.use_snapshot(snapshot));
        }
        let oldest = self.snapshots.keys().next().copied();
        let take = || self.transactions.take_snapshot(&self.log, self.met, oldest);
        let snapshot = if self.isolation == Isolation::Serializable {
            let ((tables, granularity), me) = (self.serial, self.transactions.me);
            let (serializable, snapshot) =
                tables.begin(me, self.transactions.owner(), self.is_read_only, granularity, take)?;
            // Its id may be older than its snapshot, if a lock was taken or a savepoint written first.
            self.top_xid().into_iter().for_each(|xid| serializable.set_xid(me, xid));
            self.serializable = Some(serializable);
            snapshot
        } else {
            take()
        };
        if self.isolation > Isolation::ReadCommitted {
            self.of_transaction = Some(self.use_snapshot(snapshot));
        }
        Ok(self.use_snapshot(snapshot))
    }

    /// A snapshot of now, whatever the isolation level: for definitions, which are looked up as they are.
    pub fn latest_snapshot(&mut self) -> Snapshot {
        let oldest = self.snapshots.keys().next().copied();
        let snapshot = self.transactions.take_snapshot(&self.log, self.met, oldest);
        self.use_snapshot(snapshot)
    }

    /// One more use of a snapshot, by a cursor for instance.
    pub fn use_snapshot(&mut self, snapshot: Snapshot) -> Snapshot {
        *self.snapshots.entry(snapshot).or_default() += 1;
        self.seen = self.seen.max(snapshot.lsn());
        snapshot
    }

    /// A use of a snapshot ends.
    pub fn drop_snapshot(&mut self, snapshot: Snapshot) {
        let was_oldest = self.snapshots.keys().next() == Some(&snapshot);
        let Some(uses) = self.snapshots.get_mut(&snapshot) else { return };
        *uses -= 1;
        if *uses == 0 {
            self.snapshots.remove(&snapshot);
            if was_oldest {
                self.transactions.publish_oldest(self.snapshots.keys().next().copied());
            }
        }
    }

    /// A commit was met outside a snapshot: after a wait for a row, in a re-check, in a unique check.
    pub fn meet(&mut self, commit: Lsn) {
        self.met = self.met.max(commit);
        self.seen = self.seen.max(commit);
    }

    /// Up to where the log must be durable before anything but a bare tag is said to the client.
    pub fn durable_before_answer(&self) -> Option<Lsn> {
        self.transactions.durable_before_answer(&self.log, self.seen)
    }

    /// Makes durable what an answer may depend on.
    pub fn make_answerable(&mut self) -> Result<()> {
        if let Some(needed) = self.durable_before_answer() {
            self.log.flush(needed)?;
        }
        self.seen = Lsn::INVALID;
        Ok(())
    }

    /// Commits. `None`: it had no id, so there is nothing to be made durable. Row locks are released before the commit is
    /// durable; table locks and all else are the caller's, behind this.
    ///
    /// # Errors
    /// Before the record is in the log: the transaction is as it was, and is to be rolled back. Behind that (a failed
    /// flush): it is committed here and perhaps not on disk; the log's severity says that the server cannot go on.
    pub fn commit(&mut self, options: CommitOptions) -> Result<Option<Lsn>> {
        self.check_whole()?;
        while self.levels.len() > 1 {
            self.release_savepoint();
        }
        if let Some(serializable) = &self.serializable {
            serializable.decide(self.transactions.me)?;
        }
        let Some(xid) = self.top_xid() else {
            self.make_answerable()?;
            let snapshot = self.of_transaction.map_or(Lsn::INVALID, Snapshot::lsn);
            self.end_serializable(Some(snapshot));
            self.finish();
            return Ok(None);
        };
        let children = std::mem::take(&mut self.levels[0].children);
        let CommitOptions { synchronous, time, actions } = options;
        let record = EndRecord { xid, time, children, actions };
        let lsn = match self.insert_commit(&record, synchronous) {
            Ok(lsn) => lsn,
            Err(report) => {
                self.levels[0].children = record.children;
                return Err(report);
            }
        };
        self.end_serializable(Some(lsn));
        self.transactions.announce_end();
        // If a page of theirs cannot be read: they are found through their parent, as before.
        let _ = self.transactions.stamp_children(&record.children, State::Committed(lsn), lsn);
        self.transactions.me.stop_point(StopPoint::CommitReleased);
        if synchronous {
            self.log.flush(lsn)?;
        } else {
            self.make_answerable()?;
            self.transactions.words().acknowledge(lsn);
            self.log.leave(lsn);
        }
        self.transactions.me.stop_point(StopPoint::CommitDurable);
        self.transactions.forget();
        self.finish();
        Ok(Some(lsn))
    }

    fn insert_commit(&mut self, record: &EndRecord, synchronous: bool) -> Result<Lsn> {
        let (transactions, xid) = (self.transactions, record.xid);
        let bytes = record.encode();
        self.log.prepare(bytes.len())?;
        transactions.map.pin(xid, transactions.owner())?;
        let _section = transactions.me.critical_section();
        transactions.mark_committing(xid);
        transactions.me.stop_point(StopPoint::CommitMarked);
        let mut stamp = |lsn| transactions.stamp(xid, lsn, synchronous);
        Ok(self.log.insert(RecordKind::Commit, &bytes, &mut stamp))
    }

    /// Rolls back.
    ///
    /// # Errors
    /// If that could not be written to the map: it is rolled back all the same, since nobody has its id any more.
    pub fn abort(&mut self, time: i64) -> Result<()> {
        let parts = self.levels.iter().skip(1).filter_map(|level| level.xid);
        let mut children: Vec<_> =
            self.levels.iter().flat_map(|level| level.children.iter().copied()).chain(parts).collect();
        children.sort_unstable();
        let mut aborted = Ok(());
        if let Some(xid) = self.top_xid() {
            let record = EndRecord { xid, time, children, actions: Vec::new() };
            aborted = abort_with(self.transactions, &mut self.log, &record);
            self.transactions.announce_end();
            self.transactions.forget();
        }
        self.end_serializable(None);
        self.finish();
        aborted
    }

    /// The serializable transaction, if it was one, committed by a record that ends there, or rolled back.
    fn end_serializable(&mut self, commit: Option<Lsn>) {
        let (ended, me) = (self.serializable.take(), self.transactions.me);
        match (ended, commit) {
            (Some(serializable), Some(lsn)) => serializable.committed(me, lsn),
            (Some(serializable), None) => serializable.aborted(me),
            (None, _) => {}
        }
    }

    /// The transaction is over; what its answer depends on stays to be made durable.
    pub(super) fn finish(&mut self) {
        self.levels.clear();
        self.doomed = None;
        self.snapshots.clear();
        self.of_transaction = None;
        self.transactions.publish_oldest(None);
    }
}

/// Writes the abort record of a transaction, if the log takes one, and stamps it and its parts.
pub(super) fn abort_with<M, L>(
    transactions: &Transactions<'_, '_, M>,
    log: &mut L,
    record: &EndRecord,
) -> Result<()>
where
    M: StateMap<Error = Box<Report>>,
    L: CommitLog,
{
    let bytes = record.encode();
    // Without a record it is rolled back all the same: that is what a start makes of ids whose end it does not find.
    let lsn = match log.prepare(bytes.len()) {
        Ok(()) => log.insert(RecordKind::Abort, &bytes, &mut |_| ()),
        Err(_) => Lsn::INVALID,
    };
    transactions.me.stop_point(StopPoint::AbortLogged);
    transactions.stamp_children(&record.children, State::Aborted, lsn)?;
    transactions.map.store(record.xid, State::Aborted, lsn)
}
