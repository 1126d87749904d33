//! The postmaster's children: who runs in which slot, who has ended, whose I/O is still on its way.

use std::os::fd::{AsFd, OwnedFd};

use shmem_layout::{ProcessId, SlotIndex};

use crate::ipc::hangup::HangupWatch;
use crate::os::epoll::{Epoll, Interest};
use crate::os::pidfd::{ExitStatus, PidFd};
use crate::os::process::{self, Pid};
use crate::os::signal::Signal;
use crate::process::kinds::{KINDS, Kind, Stops};

/// Where a descriptor's events come from, as epoll gives it back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// The signalfd.
    Signals,
    /// The eventfd that children write.
    Eventfd,
    /// A listening socket.
    Listener(usize),
    /// The logger ended.
    Logger,
    /// The child of a slot ended.
    Child(SlotIndex),
    /// All I/O of the child of a slot is over.
    Hangup(SlotIndex),
}

const TAG_SHIFT: u32 = 32;

impl Source {
    /// For epoll.
    pub fn to_word(self) -> u64 {
        let (tag, index) = match self {
            Self::Signals => (0, 0),
            Self::Eventfd => (1, 0),
            Self::Listener(index) => (2, index),
            Self::Logger => (3, 0),
            Self::Child(slot) => (4, slot.index()),
            Self::Hangup(slot) => (5, slot.index()),
        };
        (tag << TAG_SHIFT) | index as u64
    }

    /// From epoll.
    pub fn from_word(word: u64) -> Option<Self> {
        let index = word as u32 as usize;
        Some(match word >> TAG_SHIFT {
            0 => Self::Signals,
            1 => Self::Eventfd,
            2 => Self::Listener(index),
            3 => Self::Logger,
            4 => Self::Child(SlotIndex::new(index)?),
            5 => Self::Hangup(SlotIndex::new(index)?),
            _ => return None,
        })
    }
}

/// One child.
pub struct Entry {
    /// Slot and generation.
    pub id: ProcessId,
    /// What it was forked as; a spare that took a client says in its slot that it is a backend now.
    pub kind: Kind,
    /// Its process id.
    pub pid: Pid,
    pidfd: PidFd,
    hangup: HangupWatch,
    /// Whether epoll has the hang-up: after an orderly exit it is there before anybody looks.
    is_hangup_watched: bool,
    /// How it ended, while its I/O is not over yet.
    pub ended: Option<ExitStatus>,
}

/// All of them. They lie close together, as each child looks through them once.
pub struct Children {
    entries: Vec<Entry>,
    /// Where in `entries` the child of a slot is.
    places: Vec<Option<u32>>,
    /// How many of each kind run, as they were forked.
    running: [usize; KINDS.len()],
    /// Slots of those that run and were forked as spares.
    spares: Vec<SlotIndex>,
}

impl Children {
    /// None yet, in so many slots.
    pub fn new(slots: usize) -> Self {
        Self { entries: Vec::new(), places: vec![None; slots], running: [0; KINDS.len()], spares: Vec::new() }
    }

    /// Adds a child that was just forked, and watches its end and its hang-up.
    pub fn add(
        &mut self,
        epoll: &Epoll,
        id: ProcessId,
        kind: Kind,
        child: crate::os::process::Child,
        hangup: HangupWatch,
    ) -> std::io::Result<()> {
        epoll.add(child.pidfd.as_fd(), Source::Child(id.slot()).to_word(), Interest::IN)?;
        let entry = Entry {
            id,
            kind,
            pid: child.pid,
            pidfd: child.pidfd,
            hangup,
            is_hangup_watched: false,
            ended: None,
        };
        self.places[id.slot().index()] = Some(self.entries.len() as u32);
        self.entries.push(entry);
        self.running[kind as usize - 1] += 1;
        if kind == Kind::SpareBackend {
            self.spares.push(id.slot());
        }
        Ok(())
    }

    /// In a child: gives up all descriptors. There are two for each sibling, so they are not closed one by one.
    pub fn close(self) {
        let of_entry = |entry: Entry| [OwnedFd::from(entry.pidfd), OwnedFd::from(entry.hangup)];
        let mut entries = self.entries.into_iter();
        process::close_together(entries.by_ref().flat_map(of_entry));
        // To free memory is to write to it, and so to copy what is still the postmaster's too.
        std::mem::forget((entries, self.places, self.spares));
    }

    /// The child of a slot.
    pub fn get(&self, slot: SlotIndex) -> Option<&Entry> {
        let place = (*self.places.get(slot.index())?)?;
        self.entries.get(place as usize)
    }

    fn get_mut(&mut self, slot: SlotIndex) -> Option<&mut Entry> {
        let place = (*self.places.get(slot.index())?)?;
        self.entries.get_mut(place as usize)
    }

    fn remove(&mut self, slot: SlotIndex) -> Option<ProcessId> {
        let place = self.places[slot.index()].take()?;
        let entry = self.entries.swap_remove(place as usize);
        if let Some(moved) = self.entries.get(place as usize) {
            self.places[moved.id.slot().index()] = Some(place);
        }
        Some(entry.id)
    }

    /// Those that run.
    pub fn running(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.ended.is_none())
    }

    /// Those that run and were forked as spares, most of which have a client by now.
    pub fn forked_as_spares(&self) -> impl Iterator<Item = &Entry> {
        self.spares.iter().filter_map(|slot| self.get(*slot))
    }

    /// Those of a kind that run.
    pub fn count(&self, kind: Kind) -> usize {
        self.running[kind as usize - 1]
    }

    /// The child of this process id.
    pub fn by_pid(&self, pid: i32) -> Option<&Entry> {
        self.running().find(|entry| entry.pid.as_raw_nonzero().get() == pid)
    }

    /// Whether nobody runs who is to leave in one of these steps.
    pub fn all_gone(&self, steps: &[Stops]) -> bool {
        !self.running().any(|entry| steps.contains(&entry.kind.info().stops))
    }

    /// Whether nobody is left, nor anybody's I/O.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Sends a signal to those that `choose` picks.
    pub fn signal(&self, signal: Signal, choose: impl Fn(&Entry) -> bool) {
        for entry in self.running().filter(|entry| choose(entry)) {
            // One that has just ended will be reaped.
            let _ = entry.pidfd.send_signal(signal);
        }
    }

    /// Learns how the child of a slot ended. `None` if it has not ended. [`Self::forget`] comes next.
    pub fn reap(&mut self, epoll: &Epoll, slot: SlotIndex) -> Option<ExitStatus> {
        let entry = self.get_mut(slot).filter(|entry| entry.ended.is_none())?;
        let status = entry.pidfd.try_wait().ok().flatten()?;
        let _ = epoll.remove(entry.pidfd.as_fd());
        entry.ended = Some(status);
        let kind = entry.kind;
        self.running[kind as usize - 1] -= 1;
        self.spares.retain(|spare| *spare != slot);
        Some(status)
    }

    /// Forgets a child that has ended if its I/O is over; its id, if it is. Else watches for the end of its I/O.
    pub fn forget(&mut self, epoll: &Epoll, slot: SlotIndex) -> Option<ProcessId> {
        let entry = self.get_mut(slot).filter(|entry| entry.ended.is_some())?;
        if entry.hangup.is_over().unwrap_or(false) {
            if entry.is_hangup_watched {
                let _ = epoll.remove(entry.hangup.as_fd());
            }
            return self.remove(slot);
        }
        if !entry.is_hangup_watched {
            // Nothing is asked for: a hang-up is reported anyway.
            let word = Source::Hangup(slot).to_word();
            entry.is_hangup_watched = epoll.add(entry.hangup.as_fd(), word, Interest::empty()).is_ok();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_survive_epoll() {
        let slot = SlotIndex::new(77).unwrap();
        for source in [
            Source::Signals,
            Source::Eventfd,
            Source::Listener(3),
            Source::Logger,
            Source::Child(slot),
            Source::Hangup(slot),
        ] {
            assert_eq!(Source::from_word(source.to_word()), Some(source));
        }
        assert_eq!(Source::from_word(u64::MAX), None);
    }
}
