//! The transaction of a dead process is rolled back, or seen through to its end if its commit record was written.
//!
//! Each step may be repeated by another cleaner: the map says what is done already, and the slot is emptied last. The
//! caller knows that the process died outside critical sections and that its I/O is over.

use super::locks::OwnerIndex;
use super::log::CommitLog;
use super::lsn::Lsn;
use super::record::EndRecord;
use super::session::abort_with;
use super::table::{Fate, StateMap, Transactions};
use super::xid::{State, Xid};
use crate::report::{Report, Result, SqlState};
use crate::sync::Ordering::SeqCst;

/// What a dead process's transaction came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Remains {
    /// It had no id, or its end was complete.
    Nothing,
    /// It is rolled back.
    Aborted(Xid),
    /// It is committed by the record that ends here; what that record asks for (files, caches, messages) is to be done,
    /// and then [`Transactions::bury`] is to be called.
    ToComplete(Xid, Lsn),
}

impl<M: StateMap<Error = Box<Report>>> Transactions<'_, '_, M> {
    /// Ends the transaction of a dead owner.
    ///
    /// # Errors
    /// XX000 if it died between marking its commit and stamping it, which is inside a critical section: only a crash
    /// restart helps. And what reading the map ends with.
    pub fn end_for_the_dead(&self, log: &mut impl CommitLog, dead: OwnerIndex, time: i64) -> Result<Remains> {
        self.words.slot(dead).snapshot.store(0, SeqCst);
        let Some(xid) = self.words.xid_of(dead) else {
            // It was being given an id that nobody has heard of.
            self.forget_of(dead);
            return Ok(Remains::Nothing);
        };
        match self.map.load(xid)? {
            State::Committing(_) => {
                let message = format!("transaction {xid} was left in the middle of its commit");
                Err(Report::error(SqlState::INTERNAL_ERROR, message))
            }
            State::Committed(lsn) => {
                self.words.ended(dead).broadcast(self.me);
                Ok(Remains::ToComplete(xid, lsn))
            }
            State::Running(_) | State::Unknown => {
                // Its parts point to it, so they end with it.
                let record = EndRecord { xid, time, children: Vec::new(), actions: Vec::new() };
                abort_with(self, log, &record)?;
                self.bury(dead);
                Ok(Remains::Aborted(xid))
            }
            State::Aborted | State::Child(_) | State::CommittedLongAgo => {
                self.bury(dead);
                Ok(Remains::Nothing)
            }
        }
    }

    /// All that a dead owner's transaction asked for is done.
    pub fn bury(&self, dead: OwnerIndex) {
        self.words.ended(dead).broadcast(self.me);
        self.forget_of(dead);
        self.words.slot(dead).met.store(0, SeqCst);
    }

    /// What became of the transactions of all owners, for views: an id, its owner, and how far it is.
    pub fn open_transactions(&self) -> Result<Vec<(OwnerIndex, Xid, Fate)>> {
        self.running().map(|(owner, xid)| Ok((owner, xid, self.fate(xid)?))).collect()
    }
}
