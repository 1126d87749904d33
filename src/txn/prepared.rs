//! Two-phase commit: a transaction is given to nobody's hands, under a name, and ended later by whoever names it.
//!
//! Preparing: the name is taken, the state record ([`PreparedState`]) is made durable, then id and locks get the prepared
//! place as their owner. From the record on the transaction outlives its session and the server: a start reads the records
//! of those that have no end yet, from the log or from the state files that a checkpoint made of them, and calls
//! `restore_prepared`.

mod state;
mod table;

pub use state::PreparedState;
pub use table::{PreparedRow, PreparedTransactions};

use super::locks::{LockSession, OwnerIndex};
use super::log::{CommitLog, RecordKind};
use super::lsn::Lsn;
use super::record::EndRecord;
use super::session::TransactionSession;
use super::table::{StateMap, Transactions};
use super::xid::{State, Xid};
use crate::report::{Report, Result, SqlState};
use crate::sync::Ordering::SeqCst;

/// Who ends a prepared transaction, as far as that matters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Finisher {
    /// Role.
    pub role: u32,
    /// Whether it may do anything.
    pub is_superuser: bool,
    /// Database that it is connected to.
    pub database: u32,
}

/// How a prepared transaction ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Finish {
    /// `COMMIT PREPARED`.
    Commit,
    /// `ROLLBACK PREPARED`.
    Rollback,
}

impl<'s, M, L> TransactionSession<'_, '_, 's, M, L>
where
    M: StateMap<Error = Box<Report>>,
    L: CommitLog,
{
    /// Prepares the transaction under `gid`. The session has none behind this; what is in `actions` is handed back when
    /// the transaction ends.
    ///
    /// # Errors
    /// PostgreSQL's, before the record is in the log; the transaction is then to be rolled back.
    pub fn prepare(
        &mut self,
        prepared: &PreparedTransactions<'s>,
        locks: &mut LockSession<'s>,
        (gid, finisher, time): (&str, Finisher, i64),
        actions: Vec<u8>,
    ) -> Result<Xid> {
        self.check_whole()?;
        if self.is_serializable() {
            return Err(Report::not_supported("cannot PREPARE a serializable transaction yet"));
        }
        let place = prepared.reserve(self.me(), self.owner(), gid, finisher, time)?;
        let result = self.prepare_at(prepared, place, locks, (gid, finisher, time), actions);
        if result.is_err() {
            prepared.free(self.me(), place);
        }
        result
    }

    fn prepare_at(
        &mut self,
        prepared: &PreparedTransactions<'s>,
        place: usize,
        locks: &mut LockSession<'s>,
        (gid, finisher, time): (&str, Finisher, i64),
        actions: Vec<u8>,
    ) -> Result<Xid> {
        let me = self.me();
        // Savepoints first, so that the id is the whole transaction's.
        let children = self.all_children();
        let xid = self.xid()?;
        let held = locks.locks_to_prepare(me)?;
        let (role, database) = (finisher.role, finisher.database);
        let state =
            PreparedState { xid, gid: gid.into(), role, database, time, children, locks: held, actions };
        let bytes = state.encode();
        self.log().prepare(bytes.len())?;
        let lsn = self.log().insert(RecordKind::Prepare, &bytes, &mut |_| ());
        let record = self.log().last_start();
        self.log().flush(lsn)?;
        let to = prepared.owner_of(place);
        self.transactions().hand_over(xid, to, lsn)?;
        locks.hand_over(me, &state.locks, to);
        prepared.publish(me, place, xid, record);
        self.finish();
        Ok(xid)
    }
}

impl<'s, M: StateMap<Error = Box<Report>>> Transactions<'_, 's, M> {
    /// This process's transaction belongs to another owner from now on. Who waits for it goes on waiting there.
    fn hand_over(&self, xid: Xid, to: OwnerIndex, lsn: Lsn) -> Result<()> {
        self.words.slot(to).commit_lsn.store(0, SeqCst);
        self.words.slot(to).xid.store(xid.number(), SeqCst);
        self.map.store(xid, State::Running(to), lsn)?;
        self.announce_end();
        self.forget();
        Ok(())
    }

    /// Ends a prepared transaction whose state (read from its record or file) is `state`; it returns once that is durable
    /// and everything it held is given back. What `state.actions` asks for is the caller's.
    ///
    /// # Errors
    /// Before the record is in the log: it is still prepared.
    pub fn finish_prepared(
        &self,
        log: &mut impl CommitLog,
        prepared: &PreparedTransactions<'s>,
        state: &PreparedState,
        how: Finish,
        time: i64,
    ) -> Result<Lsn> {
        let place = prepared.claimed(self.me, self.owner(), state.xid)?;
        let owner = prepared.owner_of(place);
        let ended = self.end_prepared(log, owner, state, how, time);
        match ended {
            Ok(lsn) => {
                prepared.locks().release_all_of(self.me, owner);
                self.forget_of(owner);
                prepared.free(self.me, place);
                Ok(lsn)
            }
            Err(report) => {
                prepared.unclaim(self.me, place);
                Err(report)
            }
        }
    }

    fn end_prepared(
        &self,
        log: &mut impl CommitLog,
        owner: OwnerIndex,
        state: &PreparedState,
        how: Finish,
        time: i64,
    ) -> Result<Lsn> {
        let PreparedState { xid, children, actions, .. } = state;
        let record =
            EndRecord { xid: *xid, time, children: children.clone(), actions: actions.clone() }.encode();
        log.prepare(record.len())?;
        let lsn = if how == Finish::Commit {
            // In this session's name: the prepared place has no process that could pin anything.
            self.map.pin(*xid, self.owner())?;
            let section = self.me.critical_section();
            self.mark_committing_of(owner, *xid);
            let mut stamp = |lsn| self.stamp_of(owner, *xid, lsn, true);
            let lsn = log.insert(RecordKind::CommitPrepared, &record, &mut stamp);
            drop(section);
            // As in an ordinary commit: they are found through their parent as well.
            let _ = self.stamp_children(children, State::Committed(lsn), lsn);
            lsn
        } else {
            let lsn = log.insert(RecordKind::AbortPrepared, &record, &mut |_| ());
            self.stamp_children(children, State::Aborted, lsn)?;
            self.map.store(*xid, State::Aborted, lsn)?;
            lsn
        };
        self.announce_end_of(owner);
        log.flush(lsn)?;
        Ok(lsn)
    }

    /// Takes up a transaction that was prepared before the server started. Before anybody else runs one.
    ///
    /// # Errors
    /// As for taking a place and locks; 53200.
    pub fn restore_prepared(&self, prepared: &PreparedTransactions<'s>, state: &PreparedState) -> Result<()> {
        let finisher = Finisher { role: state.role, is_superuser: true, database: state.database };
        let place = prepared.reserve(self.me, self.owner(), &state.gid, finisher, state.time)?;
        let owner = prepared.owner_of(place);
        prepared.locks().restore(self.me, owner, &state.locks)?;
        self.words.slot(owner).xid.store(state.xid.number(), SeqCst);
        self.map.store(state.xid, State::Running(owner), Lsn::INVALID)?;
        for child in &state.children {
            self.map.store(*child, State::Child(state.xid), Lsn::INVALID)?;
        }
        prepared.publish(self.me, place, state.xid, Lsn::INVALID);
        Ok(())
    }
}

fn no_such(gid: &str) -> Box<Report> {
    let message = format!("prepared transaction with identifier \"{gid}\" does not exist");
    Report::error(SqlState::UNDEFINED_OBJECT, message)
}

#[cfg(test)]
mod tests;
