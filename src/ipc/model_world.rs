//! A small world for the models: some process slots, one of each primitive, some words, shared by threads that play
//! processes.

use std::sync::Arc;

use shmem_layout::{
    BarrierState, ConditionVariableWord, Generation, LwLockState, Phase, ProcessId, ProcessSlot, QueueHeader,
    SemaphoreState, SlotIndex,
};

use super::model_surroundings::Surroundings;
use super::proc::Proc;
use crate::sync::{AtomicU32, Ordering, thread};

/// What the threads of a model share.
pub struct World {
    slots: Vec<ProcessSlot>,
    pub words: Vec<AtomicU32>,
    pub condition: ConditionVariableWord,
    pub lock: LwLockState,
    pub semaphore: SemaphoreState,
    pub barrier: BarrierState,
    pub queue: QueueHeader,
}

impl World {
    /// A world of `processes`, all running.
    pub fn new(processes: usize) -> Arc<Self> {
        let slots: Vec<ProcessSlot> = (0..processes).map(|_| ProcessSlot::default()).collect();
        for slot in &slots {
            slot.generation.store(1, Ordering::Relaxed);
            slot.phase.store(Phase::Running as u32, Ordering::Relaxed);
        }
        Arc::new(Self {
            slots,
            words: (0..processes).map(|_| AtomicU32::new(0)).collect(),
            condition: ConditionVariableWord::default(),
            lock: LwLockState::default(),
            semaphore: SemaphoreState::default(),
            barrier: BarrierState::default(),
            queue: QueueHeader::default(),
        })
    }

    /// The slot's index.
    pub fn slot(&self, index: usize) -> SlotIndex {
        SlotIndex::new(index).expect("a small world")
    }

    /// All slots.
    pub fn slots(&self) -> &[ProcessSlot] {
        &self.slots
    }

    /// The process id of a slot.
    pub fn process(&self, index: usize) -> ProcessId {
        ProcessId::new(self.slot(index), Generation(1))
    }

    /// Runs `f` as the process of slot `index`, on this thread.
    pub fn run<R>(&self, index: usize, f: impl FnOnce(&Self, &Proc<'_>) -> R) -> R {
        let me = Proc::new(self.process(index), &self.slots, 0, Surroundings::default());
        f(self, &me)
    }
}

/// Runs `f` as the process of slot `index`, on a thread of its own.
pub fn spawn(
    world: &Arc<World>,
    index: usize,
    f: impl FnOnce(&World, &Proc<'_>) + Send + 'static,
) -> thread::JoinHandle<()> {
    let world = Arc::clone(world);
    thread::spawn(move || world.run(index, f))
}
