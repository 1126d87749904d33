//! What a dead owner held and waited for is given back.
//!
//! Everything is found by the owner's place in shared memory, so this needs nothing of the dead process but that it died
//! outside critical sections. It may be repeated from the start by somebody else: what is done is found done.

use shmem_layout::LockOwner;
use shmem_layout::locks::LOCK_PARTITIONS;

use super::table::{Hold, Locks, OwnerIndex, Part, get};
use crate::ipc::Proc;
use crate::sync::Ordering;

impl<'s> Locks<'s> {
    /// Gives back everything that `dead` holds, waits for, or was about to take, and wakes whoever that helps.
    pub fn release_all_of(&self, me: &Proc<'s>, dead: OwnerIndex) {
        let own = self.owner(dead);
        // Before the table: what somebody moves there from a word in the meantime is found there behind this.
        own.fast.iter().for_each(|word| word.store(0, Ordering::SeqCst));
        for partition in 0..LOCK_PARTITIONS {
            let part = self.part(me, partition);
            let woken = part.release_all_of(me, dead);
            drop(part);
            self.wake(me, &woken);
        }
        {
            let _section = me.critical_section();
            self.drop_pending(dead);
        }
        own.wait_xid.store(0, Ordering::Release);
        own.wait_xid_owner.store(0, Ordering::Release);
        own.wait_status.store(LockOwner::IDLE, Ordering::Release);
        own.database.store(0, Ordering::SeqCst);
        self.wake_granted(me);
    }

    /// Wakes all who have their lock and may not know: the dead one may have granted it and not got to wake them.
    fn wake_granted(&self, me: &Proc<'_>) {
        for index in 0..self.owners() as u32 {
            let owner = OwnerIndex::new(index);
            if self.owner(owner).wait_status.load(Ordering::Acquire) == LockOwner::GRANTED {
                self.wait_word(owner).broadcast(me);
            }
        }
    }
}

impl Part<'_, '_> {
    fn release_all_of(&self, me: &Proc<'_>, dead: OwnerIndex) -> Vec<OwnerIndex> {
        let own = self.locks.owner(dead);
        let mut all_woken = Vec::new();
        loop {
            let holder = get(&own.holders[self.partition]);
            if holder == 0 {
                return all_woken;
            }
            let hold = Hold { entry: get(&self.holder(holder).entry), holder };
            let waits_here = own.wait_status.load(Ordering::Acquire) == LockOwner::WAITING
                && get(&own.wait_entry) == hold.entry;
            if waits_here {
                // Leaving the queue frees the holder if it has nothing; so look at the list anew.
                all_woken.extend(self.leave_queue(me, hold, dead));
                continue;
            }
            let mut woken = self.room_for_waiters(hold.entry);
            let section = me.critical_section();
            self.held(holder).iter().for_each(|mode| self.ungrant(hold, mode));
            self.grant_waiters(hold.entry, &mut woken);
            self.drop_if_idle(hold);
            drop(section);
            all_woken.extend(woken);
        }
    }
}
