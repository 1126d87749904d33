//! A segment with what transactions share, for unit tests: one process that plays several.

use shmem_layout::ProcessId;

use super::locks::regions::LockTableSize;
use super::locks::{LockSession, Locks};
use crate::ipc::slots::SlotTable;
use crate::ipc::{Ipc, Proc};
use crate::shmem::{HugePages, Plan, Segment};

/// Processes that a world has.
pub const PROCESSES: usize = 8;

/// Prepared transactions that a world has room for.
pub const PREPARED: usize = 4;

/// The world; leaked, since it lives as long as its test.
pub struct World {
    pub ipc: &'static Ipc<'static>,
    pub locks: Locks<'static>,
    ids: Vec<ProcessId>,
}

impl World {
    /// A world with room for so many locks per owner.
    pub fn new(locks_per_transaction: usize) -> Self {
        let size = LockTableSize { processes: PROCESSES, prepared: PREPARED, locks_per_transaction };
        let mut specs = Ipc::region_specs(PROCESSES);
        specs.extend(Locks::region_specs(size));
        let plan = Plan::new(&specs).expect("the regions fit");
        let segment = Segment::create(&plan, HugePages::Off, None).unwrap_or_else(|e| panic!("{e}"));
        let segment: &'static Segment = Box::leak(Box::new(segment));
        let ipc: &'static Ipc<'static> = Box::leak(Box::new(Ipc::open(segment).expect("just made")));
        let mut table = SlotTable::new(ipc.slots());
        let ids = (0..PROCESSES).map(|_| table.claim(1).expect("a free slot")).collect();
        for (i, slot) in ipc.slots().iter().enumerate() {
            slot.pid.store(100 + i as u32, crate::sync::Ordering::Relaxed);
        }
        let locks = Locks::open(segment).unwrap_or_else(|e| panic!("{e}"));
        Self { ipc, locks, ids }
    }

    /// Process `index`.
    pub fn proc(&self, index: usize) -> Proc<'static> {
        self.ipc.proc(self.ids[index])
    }

    /// Process `index`, connected to database 5.
    pub fn session(&self, index: usize) -> (Proc<'static>, LockSession<'static>) {
        let me = self.proc(index);
        let session = LockSession::new(self.locks, &me, 5);
        (me, session)
    }
}
