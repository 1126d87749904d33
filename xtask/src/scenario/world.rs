//! The processes of a scenario and the shared memory they have in common.

use std::hint::spin_loop;
use std::process;

use anyhow::{Context, Result, ensure};
use shmem_layout::{ConditionVariableWord, LatchWord, LwLockState, ProcessId, ProcessSlot, QueueHeader};
use tuskd::ipc::slots::SlotTable;
use tuskd::ipc::{Ipc, Proc};
use tuskd::os::process::{Child, Fork, exit_now, fork, pin_to_cpu, set_parent_death_signal};
use tuskd::os::signal::Signal;
use tuskd::shmem::{HugePages, Plan, RegionSpec, Segment};
use tuskd::sync::Ordering;

/// Version of the regions added here.
const VERSION: u32 = 1;

/// Bytes of a queue's ring.
const RING: usize = 64 * 1024;

/// One of everything in a segment. It is leaked, since what borrows from it lives as long as the process.
pub struct World {
    ipc: &'static Ipc<'static>,
    slots: SlotTable<'static>,
}

impl World {
    /// For so many processes; before the forks.
    pub fn new(max_processes: usize) -> Result<Self> {
        let mut specs = Ipc::region_specs(max_processes);
        specs.extend([
            RegionSpec::of::<LwLockState>("locks", VERSION, 1),
            RegionSpec::of::<ConditionVariableWord>("conditions", VERSION, 1),
            RegionSpec::sized("queues", VERSION, size_of::<QueueHeader>() + RING, 1),
            // Plain counters; any word will do.
            RegionSpec::of::<LatchWord>("counters", VERSION, 2),
        ]);
        let segment = Segment::create(&Plan::new(&specs)?, HugePages::Try, None)?;
        let segment: &'static Segment = Box::leak(Box::new(segment));
        let ipc: &'static Ipc = Box::leak(Box::new(Ipc::open(segment)?));
        Ok(Self { ipc, slots: SlotTable::new(ipc.slots()) })
    }

    /// Gives out a slot; before the fork of the process that is to have it.
    pub fn claim(&mut self) -> Result<ProcessId> {
        self.slots.claim(1).context("no free slot")
    }

    /// The calling process as the one that has this slot; once per slot.
    pub fn enter(&self, id: ProcessId) -> &'static Proc<'static> {
        Box::leak(Box::new(self.ipc.proc(id)))
    }

    /// The slot of a process.
    pub fn slot(&self, id: ProcessId) -> &'static ProcessSlot {
        &self.ipc.slots()[id.slot().index()]
    }

    /// The lock.
    pub fn lock(&self) -> Result<&'static LwLockState> {
        Ok(&self.ipc.segment().region("locks", VERSION)?[0])
    }

    /// The condition variable.
    pub fn condition(&self) -> Result<&'static ConditionVariableWord> {
        Ok(&self.ipc.segment().region("conditions", VERSION)?[0])
    }

    /// The queue.
    pub fn queue(&self) -> Result<tuskd::ipc::queue::Queue<'static>> {
        let (header, ring) = self.ipc.segment().queue("queues", VERSION, 0)?;
        Ok(tuskd::ipc::queue::Queue::new(header, ring))
    }

    /// Two counters.
    pub fn counters(&self) -> Result<[&'static tuskd::sync::AtomicU32; 2]> {
        let words = self.ipc.segment().region::<LatchWord>("counters", VERSION)?;
        Ok([&words[0].word, &words[1].word])
    }
}

/// Tells `syscalls` that process `pid` plays `role`; processes of one role are added up.
fn announce(role: &str, pid: u32) {
    println!("role {role} {pid}");
}

/// The calling process plays `role`.
pub fn play(role: &str) {
    announce(role, process::id());
}

/// Forks a process that plays `role`: it runs `body` and ends.
pub fn fork_role(role: &str, body: impl FnOnce() -> Result<()>) -> Result<Role> {
    match fork()? {
        Fork::Parent(child) => {
            announce(role, child.pid.as_raw_nonzero().get().cast_unsigned());
            Ok(Role { name: role.to_owned(), child })
        }
        Fork::Child => {
            let result =
                set_parent_death_signal(Some(Signal::KILL)).map_err(Into::into).and_then(|()| body());
            if let Err(error) = &result {
                eprintln!("{role}: {error:#}");
            }
            exit_now(i32::from(result.is_err()))
        }
    }
}

/// A forked process.
pub struct Role {
    name: String,
    child: Child,
}

impl Role {
    /// Waits until it is through.
    pub fn finish(self) -> Result<()> {
        let status = self.child.pidfd.wait()?;
        ensure!(status.is_success(), "{} {status}", self.name);
        Ok(())
    }
}

/// Keeps this process, and those it forks, on one CPU, so that they take turns.
pub fn stay_on_one_cpu() -> Result<()> {
    Ok(pin_to_cpu(0)?)
}

/// Waits, without system calls, until the process of `slot` has said that it sleeps on its latch, and that is not set.
pub fn spin_until_asleep(slot: &ProcessSlot) {
    spin_until(|| slot.latch.word.load(Ordering::Acquire) == LatchWord::WAITING);
}

/// Waits without system calls.
pub fn spin_until(condition: impl Fn() -> bool) {
    while !condition() {
        spin_loop();
    }
}
