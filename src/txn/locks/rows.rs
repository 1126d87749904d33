//! The lock table as `pg_locks` shows it.

use std::time::Duration;

use shmem_layout::LockOwner;
use shmem_layout::locks::LOCK_PARTITIONS;

use super::deadlock::pid_of;
use super::mode::LockMode;
use super::table::{Locks, OwnerIndex, Part, get};
use super::tag::LockTag;
use crate::ipc::{Mode, Proc};
use crate::sync::{Monotonic, Ordering};

/// One row: a lock in one mode, held or waited for by one owner.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LockRow {
    /// What is locked.
    pub tag: LockTag,
    /// Who has it, or waits.
    pub owner: OwnerIndex,
    /// Process id of that, 0: a prepared transaction.
    pub pid: u32,
    /// How.
    pub mode: LockMode,
    /// Whether it has it.
    pub granted: bool,
    /// Whether by the fast path.
    pub fast_path: bool,
    /// How long it has waited.
    pub waited: Option<Duration>,
}

impl<'s> Locks<'s> {
    /// All locks held and waited for, those of the table as they were at one moment.
    pub fn rows(&self, me: &Proc<'s>) -> Vec<LockRow> {
        let mut rows = Vec::new();
        for index in 0..self.owners() as u32 {
            let owner = OwnerIndex::new(index);
            let row = |(tag, mode)| LockRow {
                tag,
                owner,
                pid: pid_of(me, owner),
                mode,
                granted: true,
                fast_path: true,
                waited: None,
            };
            rows.extend(self.fast_locks(owner).map(row));
        }
        // All at once, so that nothing is shown twice or half.
        let parts: Vec<_> = (0..LOCK_PARTITIONS).map(|n| self.part_in(me, n, Mode::Shared)).collect();
        parts.iter().for_each(|part| part.rows(me, &mut rows));
        rows
    }
}

impl Part<'_, '_> {
    fn rows(&self, me: &Proc<'_>, rows: &mut Vec<LockRow>) {
        for index in 0..self.locks.owners() as u32 {
            let owner = OwnerIndex::new(index);
            let own = self.locks.owner(owner);
            let mut next = get(&own.holders[self.partition]);
            while next != 0 {
                let entry = get(&self.holder(next).entry);
                let is_waiting = own.wait_status.load(Ordering::Acquire) == LockOwner::WAITING
                    && get(&own.wait_entry) == entry;
                if let Some(tag) = self.tag(entry) {
                    let row = |mode, granted, waited| LockRow {
                        tag,
                        owner,
                        pid: pid_of(me, owner),
                        mode,
                        granted,
                        fast_path: false,
                        waited,
                    };
                    rows.extend(self.held(next).iter().map(|mode| row(mode, true, None)));
                    let started = Monotonic::from_nanos(own.wait_started_ns.load(Ordering::Relaxed));
                    let waited = Monotonic::now().saturating_since(started);
                    rows.extend(is_waiting.then(|| row(self.wanted_by(owner), false, Some(waited))));
                }
                next = get(&self.holder(next).next_of_owner);
            }
        }
    }
}
