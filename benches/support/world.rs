//! tuskd's shared memory for a bench: a segment, and the processes that have slots in it.
use tuskd::ipc::slots::SlotTable;
use tuskd::ipc::{Ipc, Proc};
use tuskd::shmem::{HugePages, Plan, RegionSpec, Segment};

use shmem_layout::ProcessId;

/// Version of the regions that benches add.
pub const VERSION: u32 = 1;

/// A segment of its own. It is leaked, since what borrows from it lives as long as the process.
pub struct World {
    ipc: &'static Ipc<'static>,
    slots: SlotTable<'static>,
}

impl World {
    /// For so many processes, with more regions behind the runtime's own. Make it before the forks.
    pub fn new(max_processes: usize, more: &[RegionSpec]) -> Self {
        let plan = Plan::new(&[Ipc::region_specs(max_processes), more.to_vec()].concat());
        let plan = plan.expect("a bench's regions are few and small");
        let segment = Segment::create(&plan, HugePages::Try, None).expect("making a segment");
        let segment: &'static Segment = Box::leak(Box::new(segment));
        let ipc = Ipc::open(segment).expect("opening what was planned");
        let ipc: &'static Ipc = Box::leak(Box::new(ipc));
        Self { ipc, slots: SlotTable::new(ipc.slots()) }
    }

    /// Gives out a slot; before the fork of the process that is to have it.
    pub fn claim(&mut self) -> ProcessId {
        self.slots.claim(1).expect("a slot for each process")
    }

    /// The calling process as the one that has this slot; once per slot.
    pub fn enter(&self, id: ProcessId) -> &'static Proc<'static> {
        Box::leak(Box::new(self.ipc.proc(id)))
    }

    /// The segment, for the regions that the bench added.
    pub fn segment(&self) -> &'static Segment {
        self.ipc.segment()
    }
}
