//! Pages on their way from files ahead of who will ask for them: read by io_uring, several at once, into private memory.
//!
//! What is read ahead is in no buffer yet. Whoever comes to a page first, this session or another, makes a buffer its own as
//! ever, and this session then takes what is here instead of reading. So nobody waits for I/O of a session that does
//! something else meanwhile, and who dies leaves nothing.
//!
//! What was read is believed only if no relation's file was written since it was asked for ([`Flight::writes`]). The page was
//! in no buffer then, so that no write of it was on its way either.
//!
//! # Safety
//! The kernel writes to a flight's pages from [`Ahead::ask`] until its completion is taken in [`Ahead::land`]. Meanwhile the
//! flight is not `Landed`, and nobody looks at its pages or frees them: their memory is a vector that is neither grown nor
//! dropped before all flights have landed, which `Drop` waits for.
#![allow(unsafe_code)]

use std::os::fd::{AsFd, AsRawFd};
use std::rc::Rc;

use io_uring::{opcode, types};

use crate::os::file::DataFile;
use crate::os::uring::{Ring, probe};
use crate::storage::ids::{BufferTag, PAGE_SIZE};
use crate::storage::page::PageBuf;

/// Reads that can be on their way, or wait to be taken.
const FLIGHTS: u32 = 64;

/// Who asks, and how far on its way it will take the pages: a scan's block, a record's number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::storage) struct Place {
    pub owner: u64,
    pub at: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Free,
    Flying,
    /// So many pages are here.
    Landed(usize),
}

/// Blocks that follow each other.
struct Flight {
    state: State,
    first: BufferTag,
    count: usize,
    pages: Vec<PageBuf>,
    /// Keeps the descriptor open.
    file: Option<Rc<DataFile>>,
    /// `StorageShared::writes` when they were asked for.
    writes: u64,
    place: Place,
}

impl Flight {
    /// Place of a page among them.
    fn index_of(&self, tag: BufferTag) -> Option<usize> {
        let is_fork = self.state != State::Free && self.first.rel_fork() == tag.rel_fork();
        let index = tag.block.get().checked_sub(self.first.block.get())? as usize;
        (is_fork && index < self.count).then_some(index)
    }
}

/// A session's reads ahead.
pub(in crate::storage) struct Ahead {
    ring: Ring,
    flights: Vec<Flight>,
    flying: usize,
    owners: u64,
}

/// Where in a file blocks are, and what was written when they were asked for.
pub(in crate::storage) struct Wanted {
    pub file: Rc<DataFile>,
    pub offset: u64,
    pub first: BufferTag,
    pub count: usize,
    pub writes: u64,
}

impl Ahead {
    /// `None`: there is no ring to be had.
    pub fn new() -> Option<Self> {
        let ring = probe().is_full().then(|| Ring::new(FLIGHTS).ok()).flatten()?;
        Some(Self { ring, flights: Vec::new(), flying: 0, owners: 0 })
    }

    /// Somebody who is going to ask.
    pub fn owner(&mut self) -> u64 {
        self.owners += 1;
        self.owners
    }

    /// Asks for blocks; they are on their way with the next [`Self::submit`]. `false`: too many are already.
    pub fn ask(&mut self, wanted: Wanted, place: Place) -> bool {
        let Wanted { file, offset, first, count, writes } = wanted;
        let Some(number) = self.free() else { return false };
        let flight = &mut self.flights[number];
        if flight.pages.len() < count {
            flight.pages.resize_with(count, || PageBuf([0; PAGE_SIZE]));
        }
        let fd = types::Fd(file.as_fd().as_raw_fd());
        let to = PageBuf::bytes_of(&mut flight.pages[..count]);
        let read = opcode::Read::new(fd, to.as_mut_ptr(), to.len() as u32).offset(offset);
        // SAFETY: the pages and the file stay until the completion is taken, see the module.
        if unsafe { self.ring.push(read.build().user_data(number as u64)) }.is_err() {
            return false;
        }
        (flight.state, flight.first, flight.count) = (State::Flying, first, count);
        (flight.file, flight.writes, flight.place) = (Some(file), writes, place);
        self.flying += 1;
        true
    }

    fn free(&mut self) -> Option<usize> {
        if let Some(number) = self.flights.iter().position(|flight| flight.state == State::Free) {
            return Some(number);
        }
        if self.flights.len() == FLIGHTS as usize {
            return None;
        }
        self.flights.push(Flight {
            state: State::Free,
            first: BufferTag::from_words((0, 0, 0))?,
            count: 0,
            pages: Vec::new(),
            file: None,
            writes: 0,
            place: Place { owner: 0, at: 0 },
        });
        Some(self.flights.len() - 1)
    }

    /// Hands all that was asked for to the kernel, and learns what has landed.
    pub fn submit(&mut self) {
        if self.ring.has_queued() {
            // What the kernel does not take now goes with the next call, or is waited for.
            let _ = self.ring.get_events_nowait();
        }
        self.land();
    }

    /// Takes completions.
    fn land(&mut self) {
        for done in self.ring.completions() {
            self.flying -= 1;
            let flight = &mut self.flights[done.user_data as usize];
            // What could not be read, or only in part, is read again by who needs it, and fails there.
            flight.state = State::Landed(usize::try_from(done.result).unwrap_or(0) / PAGE_SIZE);
            flight.file = None;
        }
    }

    /// The flight of a page and the page's place in it, waited for if need be; `None`: it was not asked for, or in vain.
    pub fn find(&mut self, tag: BufferTag) -> Option<(usize, usize)> {
        let mut flights = self.flights.iter().enumerate();
        let (number, index) = flights.find_map(|(number, flight)| Some((number, flight.index_of(tag)?)))?;
        while self.flights[number].state == State::Flying {
            let _ = self.ring.submit_and_wait(1, None).ok()?;
            self.land();
        }
        matches!(self.flights[number].state, State::Landed(pages) if index < pages).then_some((number, index))
    }

    /// Pages of a flight that [`Self::find`] found, from that place on, and what was written when they were asked for.
    pub fn pages(&self, (number, index): (usize, usize)) -> (&[PageBuf], u64) {
        let flight = &self.flights[number];
        let landed = if let State::Landed(pages) = flight.state { pages } else { 0 };
        (&flight.pages[index.min(landed)..landed], flight.writes)
    }

    /// Somebody is beyond this place: what it asked for before is not needed any more.
    pub fn passed(&mut self, place: Place) {
        for flight in &mut self.flights {
            let is_over = flight.place.owner == place.owner && flight.place.at < place.at;
            if is_over && matches!(flight.state, State::Landed(_)) {
                flight.state = State::Free;
            }
        }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        while self.flying > 0 {
            if self.ring.submit_and_wait(1, None).is_err() {
                // The kernel may still write to them.
                std::mem::forget(std::mem::take(&mut self.flights));
                return;
            }
            self.land();
        }
    }
}

#[cfg(test)]
mod tests;
