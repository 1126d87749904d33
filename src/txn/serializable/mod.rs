//! Serializable transactions: snapshot isolation, with dependencies watched (serializable snapshot isolation, by Cahill,
//! Röhm and Fekete, and Ports and Grittner's paper on PostgreSQL).
//!
//! A transaction *depends* on a concurrent one if it read what that has written over: it must come before it in any serial
//! order. An anomaly needs two such steps in a row, first → pivot → last, where the last is the first of the three to
//! commit. So whoever would complete such a row is rolled back, or the pivot is doomed: some of those that are rolled back
//! would have done no harm, and none that does harm commits.
//!
//! `reads` remembers who read what, `conflicts` who depends on whom. A committed transaction is remembered as long as a
//! running one is concurrent with it. One lock guards all of it. Concurrency is told by LSNs, as visibility is; who decided
//! first, by a sequence that moves under the lock.

mod conflicts;
mod reads;
mod regions;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use shmem_layout::{LockBucket, SerialRead, SerialShared, SerialTransaction};

use super::locks::OwnerIndex;
use super::lsn::Lsn;
use super::snapshot::Snapshot;
use super::xid::Xid;
use crate::ipc::{LwLock, LwLockGuard, Mode, Proc, WaitEvent};
use crate::report::{Report, ReportExt, Result, SqlState};
use crate::sync::Ordering::Relaxed;

pub use reads::ReadTag;

/// The tables, as all processes share them.
#[derive(Clone, Copy)]
pub struct SerialTables<'s> {
    shared: &'s SerialShared,
    transactions: &'s [SerialTransaction],
    buckets: &'s [LockBucket],
    reads: &'s [SerialRead],
}

/// The tables while their lock is held.
struct Tables<'p, 's> {
    all: SerialTables<'s>,
    _guard: LwLockGuard<'p, 's>,
}

/// How fine reads are remembered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Granularity {
    /// Tuples of one page before the page is remembered instead (`max_pred_locks_per_page`).
    pub tuples_per_page: u32,
    /// Pages and tuples of one relation before the relation is (`max_pred_locks_per_relation`).
    pub reads_per_relation: u32,
}

/// A serializable transaction, as its own session knows it.
pub struct Serializable<'s> {
    tables: SerialTables<'s>,
    number: u32,
    granularity: Granularity,
    taken: HashSet<ReadTag>,
    on_page: HashMap<ReadTag, u32>,
    on_relation: HashMap<ReadTag, u32>,
}

/// Why a transaction must not go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Danger {
    /// It was doomed, and noticed it by reading.
    DoomedReading,
    /// It was doomed, and noticed it by writing.
    DoomedWriting,
    /// It was doomed, and noticed it at its end.
    DoomedCommitting,
    /// By writing it would become the pivot, or make a pivot of one that cannot be stopped.
    Writing,
    /// By reading it would make a pivot of this one, which cannot be stopped.
    Reading(u32),
    /// By committing it would make a pivot of one that cannot be stopped.
    Committing,
}

impl Danger {
    /// 40001, with the reason that PostgreSQL gives for it.
    fn report(self) -> Box<Report> {
        failure(&match self {
            Self::DoomedReading => {
                "Canceled on identification as a pivot, during conflict out checking".to_string()
            }
            Self::DoomedWriting => {
                "Canceled on identification as a pivot, during conflict in checking".to_string()
            }
            Self::DoomedCommitting => {
                "Canceled on identification as a pivot, during commit attempt".to_string()
            }
            Self::Writing => "Canceled on identification as a pivot, during write".to_string(),
            Self::Reading(pivot) => format!("Canceled on conflict out to pivot {pivot}, during read"),
            Self::Committing => "Canceled on commit attempt with conflict in from prepared pivot".to_string(),
        })
    }
}

fn failure(reason: &str) -> Box<Report> {
    let message = "could not serialize access due to read/write dependencies among transactions";
    Report::error(SqlState::SERIALIZATION_FAILURE, message)
        .with_detail(format!("Reason code: {reason}."))
        .with_hint("The transaction might succeed if retried.")
}

fn out_of_memory() -> Box<Report> {
    Report::error(SqlState::OUT_OF_MEMORY, "out of shared memory")
        .with_hint("You might need to increase \"max_pred_locks_per_transaction\".")
}

impl<'s> SerialTables<'s> {
    fn lock<'p>(&self, me: &'p Proc<'s>) -> Tables<'p, 's> {
        let lock = LwLock::new(&self.shared.lock, WaitEvent::SERIALIZABLE);
        Tables { all: *self, _guard: lock.acquire(me, Mode::Exclusive) }
    }

    /// Begins a serializable transaction; `take` takes its snapshot, at a moment at which none of those concurrent with it
    /// can be forgotten.
    ///
    /// # Errors
    /// 53200 if too many are running or remembered.
    pub fn begin(
        &self,
        me: &Proc<'s>,
        owner: OwnerIndex,
        is_read_only: bool,
        granularity: Granularity,
        take: impl FnOnce() -> Snapshot,
    ) -> Result<(Serializable<'s>, Snapshot)> {
        let tables = self.lock(me);
        let free = |t: &SerialTransaction| t.state.load(Relaxed) == SerialTransaction::FREE;
        let index = self.transactions.iter().position(free).ok_or_else(out_of_memory)?;
        let snapshot = take();
        let _section = me.critical_section();
        let own = &self.transactions[index];
        own.flags.store(if is_read_only { SerialTransaction::READ_ONLY } else { 0 }, Relaxed);
        own.owner.store(owner.number(), Relaxed);
        own.snapshot.store(snapshot.lsn().bytes(), Relaxed);
        for word in [&own.xid, &own.commit_lsn, &own.prepared, &own.committed, &own.earliest_out] {
            word.store(0, Relaxed);
        }
        own.state.store(SerialTransaction::ACTIVE, Relaxed);
        drop(tables);
        let number = index as u32 + 1;
        let (on_page, on_relation) = (HashMap::new(), HashMap::new());
        let taken = HashSet::new();
        Ok((Serializable { tables: *self, number, granularity, taken, on_page, on_relation }, snapshot))
    }

    /// Ends what a dead owner ran: forgotten if it had not committed; `commit` is the LSN of its commit if it had.
    pub fn end_for_the_dead(&self, me: &Proc<'s>, dead: OwnerIndex, commit: Option<Lsn>) {
        let tables = self.lock(me);
        let _section = me.critical_section();
        for (index, transaction) in self.transactions.iter().enumerate() {
            let is_open = matches!(
                transaction.state.load(Relaxed),
                SerialTransaction::ACTIVE | SerialTransaction::PREPARED
            );
            if is_open && transaction.owner.load(Relaxed) == dead.number() {
                match commit {
                    Some(lsn) => tables.finish(index as u32 + 1, lsn),
                    None => tables.forget(index as u32 + 1, true),
                }
            }
        }
        tables.forget_old();
    }
}

impl<'s> Serializable<'s> {
    /// It has an id now.
    pub fn set_xid(&self, me: &Proc<'s>, xid: Xid) {
        let tables = self.tables.lock(me);
        tables.transaction(self.number).xid.store(xid.number(), Relaxed);
    }

    /// It is about to read something: a relation, a page (of an index, where a row would be), a tuple.
    ///
    /// # Errors
    /// 40001 if it is doomed; 53200.
    pub fn read(&mut self, me: &Proc<'s>, tag: ReadTag) -> Result<()> {
        if tag.coarser().chain([tag]).any(|tag| self.taken.contains(&tag)) {
            return Ok(());
        }
        let tag = self.promoted(tag);
        let tables = self.tables.lock(me);
        if tables.is_doomed(self.number) {
            return Err(Danger::DoomedReading.report());
        }
        let section = me.critical_section();
        let is_remembered = tables.remember(self.number, tag);
        drop(section);
        if !is_remembered {
            return Err(out_of_memory());
        }
        self.taken.insert(tag);
        Ok(())
    }

    /// The tag to be remembered: a coarser one if there are too many fine ones.
    fn promoted(&mut self, tag: ReadTag) -> ReadTag {
        let mut tag = tag;
        if let Some(page) = tag.page().filter(|page| *page != tag) {
            let count = self.on_page.entry(page).or_default();
            *count += 1;
            if *count > self.granularity.tuples_per_page {
                tag = page;
            }
        }
        let relation = tag.relation();
        if tag != relation {
            let count = self.on_relation.entry(relation).or_default();
            *count += 1;
            if *count > self.granularity.reads_per_relation {
                tag = relation;
            }
        }
        tag
    }

    /// It has read past what a concurrent transaction wrote: it did not see that one's version, or saw one that that has
    /// deleted.
    ///
    /// # Errors
    /// 40001.
    pub fn read_past(&self, me: &Proc<'s>, writer: Xid) -> Result<()> {
        let tables = self.tables.lock(me);
        if tables.is_doomed(self.number) {
            return Err(Danger::DoomedReading.report());
        }
        let Some(writer) = tables.by_xid(writer).filter(|writer| *writer != self.number) else {
            return Ok(());
        };
        if !tables.are_concurrent(self.number, writer) {
            return Ok(());
        }
        let section = me.critical_section();
        let result = tables.depend(self.number, writer, self.number);
        drop(section);
        result.map_err(Danger::report)
    }

    /// It is about to write a tuple; others may have read that, its page, or its relation.
    ///
    /// # Errors
    /// 40001.
    pub fn write(&self, me: &Proc<'s>, tag: ReadTag) -> Result<()> {
        let tables = self.tables.lock(me);
        if tables.is_doomed(self.number) {
            return Err(Danger::DoomedWriting.report());
        }
        let section = me.critical_section();
        let result = tag.coarser().chain([tag]).try_for_each(|tag| tables.depend_readers(tag, self.number));
        drop(section);
        result.map_err(Danger::report)
    }

    /// Decides whether it may commit; afterwards nobody dooms it any more. Before COMMITTING is marked.
    ///
    /// # Errors
    /// 40001.
    pub fn decide(&self, me: &Proc<'s>) -> Result<()> {
        let tables = self.tables.lock(me);
        let section = me.critical_section();
        let result = tables.decide(self.number);
        drop(section);
        result.map_err(Danger::report)
    }

    /// It has committed, by a record that ends here. For one that wrote nothing: the LSN of its snapshot.
    pub fn committed(self, me: &Proc<'s>, lsn: Lsn) {
        let tables = self.tables.lock(me);
        let _section = me.critical_section();
        tables.finish(self.number, lsn);
        tables.forget_old();
    }

    /// It has rolled back.
    pub fn aborted(self, me: &Proc<'s>) {
        let tables = self.tables.lock(me);
        let _section = me.critical_section();
        tables.forget(self.number, true);
        tables.forget_old();
    }
}
