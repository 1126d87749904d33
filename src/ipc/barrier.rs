//! The barrier: its members go on when all of them have arrived. Members come and go.
//!
//! Each member has a word that only it writes (or who handles its death), with its slot's tag and the last phase it
//! arrived in, so nothing is counted that a death could falsify. One word holds the phase and a count of changes. Whoever
//! changes anything moves that count and then looks at all members; if all have arrived, it moves the phase, with a
//! compare-and-swap that fails if anything changed since it began to look. Of two that arrive last, the later one to move
//! the count sees the other's arrival.

use shmem_layout::primitives::BARRIER_MEMBERS;
use shmem_layout::{BarrierState, EntryState, ResourceKind, SlotIndex};

use super::condition_variable::ConditionVariable;
use super::proc::{Entry, LedgerFull, Proc, WaitEnd};
use super::stop_points::StopPoint;
use super::wait_event::WaitEvent;
use crate::sync::{Monotonic, Ordering};

const PHASE_SHIFT: u32 = 32;
const CHANGES: u64 = (1 << PHASE_SHIFT) - 1;

/// Why a process could not become a member.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AttachError {
    /// All places are taken.
    #[error("the barrier has {BARRIER_MEMBERS} members already")]
    Full,
    /// Nothing more can be accounted for.
    #[error(transparent)]
    Ledger(#[from] LedgerFull),
}

const fn phase_of(word: u64) -> u32 {
    (word >> PHASE_SHIFT) as u32
}

const fn member(tag: u16, arrived_in: u32) -> u64 {
    (arrived_in as u64) << PHASE_SHIFT | tag as u64
}

/// A barrier in shared memory.
#[derive(Clone, Copy, Debug)]
pub struct Barrier<'s> {
    state: &'s BarrierState,
}

impl<'s> Barrier<'s> {
    /// The barrier over this state.
    pub fn new(state: &'s BarrierState) -> Self {
        Self { state }
    }

    /// The phase it is in; moves on, and wraps, when all members have arrived.
    pub fn phase(self) -> u32 {
        phase_of(self.state.state.load(Ordering::Acquire))
    }

    /// Number of members.
    pub fn members(self) -> usize {
        self.state.members.iter().filter(|m| m.load(Ordering::Acquire) != 0).count()
    }

    /// Becomes a member, not arrived yet; the phase cannot move without it from here on.
    pub fn attach<'p>(self, me: &'p Proc<'s>) -> Result<Member<'p, 's>, AttachError> {
        let entry = me.take(ResourceKind::Barrier, self.state)?;
        let tag = me.id().slot().tag();
        for (place, word) in self.state.members.iter().enumerate() {
            let not_arrived = member(tag, self.phase().wrapping_sub(1));
            if word.compare_exchange(0, not_arrived, Ordering::AcqRel, Ordering::Relaxed).is_err() {
                continue;
            }
            me.note(&entry, EntryState::Held);
            // From this change on whoever counts sees the member; the phase may have moved until then.
            let phase = phase_of(self.change());
            word.store(member(tag, phase.wrapping_sub(1)), Ordering::Release);
            return Ok(Member { barrier: self, me, entry, place, phase });
        }
        me.free(&entry);
        Err(AttachError::Full)
    }

    /// Moves the count of changes; the word as it is now.
    fn change(self) -> u64 {
        let moved = |word: u64| Some(word & !CHANGES | word.wrapping_add(1) & CHANGES);
        let before = self.state.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, moved);
        moved(before.unwrap_or_else(|word| word)).expect("always moves")
    }

    /// Moves the phase if all members have arrived in it.
    fn advance_if_complete(self, me: &Proc<'_>) {
        let seen = self.state.state.load(Ordering::Acquire);
        let phase = phase_of(seen);
        let has_arrived = |word: u64| word == 0 || phase_of(word) == phase;
        if !self.state.members.iter().all(|m| has_arrived(m.load(Ordering::Acquire))) {
            return;
        }
        let next = u64::from(phase.wrapping_add(1)) << PHASE_SHIFT | seen & CHANGES;
        // Who makes this fail has changed something and looks in turn.
        if self.state.state.compare_exchange(seen, next, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            me.stop_point(StopPoint::BarrierMoved);
            ConditionVariable::new(&self.state.moved).broadcast(me);
        }
    }

    /// Takes a dead member out; the others need not wait for it any more. `true` if it was a member.
    pub(super) fn undo_dead(self, me: &Proc<'_>, slot: SlotIndex) -> bool {
        let mut was_member = false;
        for word in &self.state.members {
            if word.load(Ordering::Acquire) as u16 == slot.tag() {
                word.store(0, Ordering::Release);
                was_member = true;
            }
        }
        self.change();
        self.advance_if_complete(me);
        // The dead member may have moved the phase and not got to say so.
        ConditionVariable::new(&self.state.moved).broadcast(me);
        was_member
    }
}

/// A membership; dropping it leaves the barrier, for which the others then do not wait.
pub struct Member<'p, 's> {
    barrier: Barrier<'s>,
    me: &'p Proc<'s>,
    entry: Entry,
    place: usize,
    phase: u32,
}

impl Member<'_, '_> {
    /// The phase that this member has not arrived in yet, or waits in.
    pub fn phase(&self) -> u32 {
        self.phase
    }

    /// Arrives, and waits until all members have.
    ///
    /// # Errors
    /// At an interrupt or the deadline; the arrival stands, and calling this again waits for the same phase.
    pub fn arrive_and_wait(&mut self, deadline: Option<Monotonic>) -> Result<(), WaitEnd> {
        let Barrier { state } = self.barrier;
        let arrived = member(self.me.id().slot().tag(), self.phase);
        if state.members[self.place].swap(arrived, Ordering::AcqRel) != arrived {
            self.me.stop_point(StopPoint::BarrierArrived);
            self.barrier.change();
            self.barrier.advance_if_complete(self.me);
        }
        let is_over = || self.barrier.phase() != self.phase;
        ConditionVariable::new(&state.moved).wait_until(self.me, deadline, WaitEvent::BARRIER, is_over)?;
        self.phase = self.phase.wrapping_add(1);
        Ok(())
    }
}

impl Drop for Member<'_, '_> {
    fn drop(&mut self) {
        self.me.note(&self.entry, EntryState::Releasing);
        self.barrier.state.members[self.place].store(0, Ordering::Release);
        self.barrier.change();
        self.barrier.advance_if_complete(self.me);
        self.me.free(&self.entry);
    }
}

#[cfg(all(test, model))]
mod models {
    use super::*;
    use crate::ipc::model_world::{World, spawn};
    use crate::sync::run_model;

    /// Two members pass two phases together: neither is ever a phase ahead.
    #[test]
    fn members_keep_step() {
        run_model("barrier::members_keep_step", Some(2), 20_000, || {
            let world = World::new(2);
            let walk = |world: &World, me: &Proc<'_>| {
                let other = 1 - me.id().slot().index();
                let mut member = Barrier::new(&world.barrier).attach(me).unwrap();
                // Both are members before either arrives.
                world.words[me.id().slot().index()].store(1, Ordering::Release);
                while world.words[other].load(Ordering::Acquire) == 0 {
                    crate::sync::yield_now();
                }
                for step in 2..4 {
                    world.words[me.id().slot().index()].store(step, Ordering::Relaxed);
                    member.arrive_and_wait(None).expect("nobody interrupts");
                    let theirs = world.words[other].load(Ordering::Relaxed);
                    assert!(theirs >= step, "went on at {step} while the other was at {theirs}");
                }
            };
            let other = spawn(&world, 1, walk);
            world.run(0, walk);
            other.join().unwrap();
        });
    }

    /// A member leaves while another waits for it.
    #[test]
    fn leaving_lets_others_go() {
        run_model("barrier::leaving_lets_others_go", Some(2), 20_000, || {
            let world = World::new(2);
            let leaver = spawn(&world, 1, |world, me| {
                drop(Barrier::new(&world.barrier).attach(me).unwrap());
            });
            world.run(0, |world, me| {
                let mut member = Barrier::new(&world.barrier).attach(me).unwrap();
                member.arrive_and_wait(None).expect("nobody interrupts");
            });
            leaver.join().unwrap();
        });
    }
}
