//! Locks that outlive their session: handed to a prepared transaction, and taken again for it at a start.

use std::collections::HashMap;

use shmem_layout::locks::LOCK_PARTITIONS;

use super::mode::LockMode;
use super::report::out_of_shared_memory;
use super::session::LockSession;
use super::table::{Full, Hold, Locks, OwnerIndex, get, set};
use super::tag::LockTag;
use crate::ipc::Proc;
use crate::report::{Report, Result};

impl<'s> LockSession<'s> {
    /// The transaction's locks, as its prepared state is to name them. They are in the table then, where they can be
    /// handed on.
    ///
    /// # Errors
    /// 0A000 for a lock that the session holds beside the transaction; 53200.
    pub fn locks_to_prepare(&self, me: &Proc<'s>) -> Result<Vec<(LockTag, LockMode)>> {
        let mut by: HashMap<LockTag, (bool, bool)> = HashMap::new();
        for (tag, _, by_transaction, by_session) in self.held() {
            let seen = by.entry(tag).or_default();
            *seen = (seen.0 | by_transaction, seen.1 | by_session);
        }
        if by.values().any(|both| *both == (true, true)) {
            return Err(Report::not_supported(
                "cannot PREPARE while holding both session-level and transaction-level locks on the same object",
            ));
        }
        let mut locks: Vec<_> = self.held().filter(|lock| lock.2).map(|lock| (lock.0, lock.1)).collect();
        locks.sort_unstable();
        for (tag, _) in &locks {
            if let Some((_, relation)) = tag.as_local_relation() {
                let moved = self.table().move_fast(me, self.owner(), *tag, relation);
                moved.map_err(|Full| out_of_shared_memory())?;
            }
        }
        Ok(locks)
    }

    /// Hands the locks that [`Self::locks_to_prepare`] named to a prepared transaction, which holds none yet.
    pub fn hand_over(&mut self, me: &Proc<'s>, locks: &[(LockTag, LockMode)], to: OwnerIndex) {
        self.table().change_owner(me, locks, self.owner(), to);
        self.forget_transaction();
    }
}

impl<'s> Locks<'s> {
    /// Every lock of `locks`, which one owner has in the table, belongs to another from now on.
    fn change_owner(&self, me: &Proc<'s>, locks: &[(LockTag, LockMode)], from: OwnerIndex, to: OwnerIndex) {
        for partition in 0..LOCK_PARTITIONS {
            let part = self.part(me, partition);
            let of_part = locks.iter().map(|(tag, _)| tag.to_raw());
            for raw in of_part.filter(|raw| raw.hash() as usize % LOCK_PARTITIONS == partition) {
                if let Some(hold) = part.find_hold(raw, from) {
                    let _section = me.critical_section();
                    part.change_owner(hold, from, to);
                }
            }
        }
    }

    /// Takes locks for a prepared transaction that was found at the start: whoever had them before has them again, so
    /// nothing can be in their way.
    ///
    /// # Errors
    /// 53200.
    pub fn restore(&self, me: &Proc<'s>, owner: OwnerIndex, locks: &[(LockTag, LockMode)]) -> Result<()> {
        for (tag, mode) in locks {
            let is_counted = mode.is_strong() && tag.as_local_relation().is_some();
            if is_counted {
                self.begin_strong(me, owner, tag.to_raw());
            }
            let granted = {
                let part = self.part_of(me, tag.to_raw());
                let _section = me.critical_section();
                part.make_hold(tag.to_raw(), owner).map(|hold| {
                    if !part.held(hold.holder).has(*mode) {
                        part.grant(hold, *mode);
                    }
                })
            };
            if is_counted {
                self.end_strong(me, owner, *tag);
            }
            granted.map_err(|Full| out_of_shared_memory())?;
        }
        Ok(())
    }
}

impl super::table::Part<'_, '_> {
    /// Moves a holder from the list of one owner to that of another. Within a critical section.
    fn change_owner(&self, hold: Hold, from: OwnerIndex, to: OwnerIndex) {
        let holder = self.holder(hold.holder);
        let (next, before) = (get(&holder.next_of_owner), get(&holder.before_of_owner));
        match before {
            0 => set(&self.locks.owner(from).holders[self.partition], next),
            _ => set(&self.holder(before).next_of_owner, next),
        }
        if next != 0 {
            set(&self.holder(next).before_of_owner, before);
        }
        let first = &self.locks.owner(to).holders[self.partition];
        set(&holder.owner, to.number());
        set(&holder.before_of_owner, 0);
        set(&holder.next_of_owner, get(first));
        if get(first) != 0 {
            set(&self.holder(get(first)).before_of_owner, hold.holder);
        }
        set(first, hold.holder);
    }
}
