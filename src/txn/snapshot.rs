//! Snapshots: a snapshot is an LSN, and a transaction is visible if its commit LSN is at or below it.
//!
//! What a new snapshot may see is what is durable, or what somebody was told is committed, whichever is more. Who computes
//! the horizon, below which nobody looks, loads that position first and scans the slots behind it; who takes a snapshot
//! publishes a lower bound first and loads the position behind that. All of these are sequentially consistent, so either
//! the scan meets the bound, or the snapshot is no older than the position that the scan began with.
//!
//! Row locks are released before the commit is durable. So a session may come to know commits that its snapshot would not
//! show: it has *met* them, and its next snapshot is at least as young. While what it saw is not durable, nothing it says
//! may depend on it: [`Transactions::durable_before_answer`].

use super::between_store_and_load;
use super::lsn::Lsn;
use super::table::{Fate, StateMap, TransactionWords, Transactions};
use super::xid::Xid;
use crate::sync::Ordering::SeqCst;

/// How far the log is durable.
pub trait Durable {
    /// LSN up to which everything is. Loaded with sequential consistency.
    fn durable(&self) -> Lsn;
}

impl<F: Fn() -> Lsn> Durable for F {
    fn durable(&self) -> Lsn {
        self()
    }
}

/// What a transaction or a statement sees.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Snapshot {
    lsn: Lsn,
}

impl Snapshot {
    /// What was committed up to here.
    pub const fn at(lsn: Lsn) -> Self {
        Self { lsn }
    }

    /// Its LSN.
    pub const fn lsn(self) -> Lsn {
        self.lsn
    }

    /// Whether it shows what was committed by a record that ends at `commit`.
    pub fn covers(self, commit: Lsn) -> bool {
        commit <= self.lsn
    }
}

impl TransactionWords<'_> {
    /// What a snapshot taken now would show: what is durable, or acknowledged without that.
    pub fn visible(&self, log: &impl Durable) -> Lsn {
        log.durable().max(Lsn::new(self.shared.acknowledged.load(SeqCst)))
    }

    /// An asynchronous commit is being acknowledged: whoever comes next sees it.
    pub fn acknowledge(&self, lsn: Lsn) {
        self.shared.acknowledged.fetch_max(lsn.bytes(), SeqCst);
    }

    /// Nobody's snapshot, and no snapshot to come, is older than this: versions that were dead at this LSN are dead for
    /// all.
    pub fn horizon(&self, log: &impl Durable) -> Lsn {
        let now = self.visible(log);
        between_store_and_load();
        let published = self.slots.iter().map(|slot| Lsn::new(slot.snapshot.load(SeqCst)));
        published.filter(|lsn| lsn.is_valid()).fold(now, Lsn::min)
    }
}

impl<M: StateMap> Transactions<'_, '_, M> {
    /// Takes a snapshot, which is at least as young as `met`, and publishes it. `oldest` is the oldest that this process
    /// has besides; it stays the published one.
    pub fn take_snapshot(&self, log: &impl Durable, met: Lsn, oldest: Option<Snapshot>) -> Snapshot {
        let word = &self.words.slot(self.owner()).snapshot;
        if oldest.is_some() {
            // What is published already is a bound for this one too.
            return Snapshot { lsn: self.words.visible(log).max(met) };
        }
        // Any position is a bound, but zero says that there is no snapshot.
        let bound = self.words.visible(log).max(Lsn::new(1));
        word.store(bound.bytes(), SeqCst);
        between_store_and_load();
        let lsn = self.words.visible(log).max(met).max(bound);
        word.store(lsn.bytes(), SeqCst);
        Snapshot { lsn }
    }

    /// The oldest snapshot that this process still has.
    pub fn publish_oldest(&self, oldest: Option<Snapshot>) {
        let bytes = oldest.map_or(0, |snapshot| snapshot.lsn.bytes());
        self.words.slot(self.owner()).snapshot.store(bytes, SeqCst);
    }

    /// Whether a snapshot shows what a transaction of another session did.
    pub fn shows(&self, snapshot: Snapshot, xid: Xid) -> Result<bool, M::Error> {
        Ok(match self.settled_fate(xid)? {
            Fate::Committed(lsn) => snapshot.covers(lsn),
            Fate::CommittedLongAgo => true,
            Fate::Aborted | Fate::Running(_) | Fate::Committing(_) => false,
        })
    }

    /// Up to where the log must be durable before rows, an error or a transaction's end may leave for the client of a
    /// session that has seen what was committed up to `seen`; `None`: all may go. The bare tag of a statement that
    /// changed rows may always go.
    ///
    /// An asynchronous commit that was acknowledged may be seen before it is durable, a synchronous one may not; which of
    /// them are in `seen` is not known, so the last synchronous one is what counts.
    pub fn durable_before_answer(&self, log: &impl Durable, seen: Lsn) -> Option<Lsn> {
        let synchronous = Lsn::new(self.words.shared.synchronous.load(SeqCst));
        let needed = seen.min(synchronous);
        (needed > log.durable()).then_some(needed)
    }
}
