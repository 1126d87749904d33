//! The buffer pool: pages of relations in shared memory.
//!
//! - `state`: the descriptors' state words: pins, flags, I/O. `mapping`: which page is in which buffer. Both run under the
//!   model checkers.
//! - `frames`: the bytes, and the content locks that lead to them. `pinned`: what a session sees of both.
//! - `read`, `victim`, `write`, `extend`, `discard`: a page's ways in and out. `bulk`: many pages in a row. `ahead`,
//!   `read_ahead`: what is on its way before anybody asks for it.
//! - `checkpoint`: writing for the checkpointer and the background writer. `death`: what a dead process leaves behind.

#[cfg(not(model))]
mod ahead;
#[cfg(not(model))]
mod bulk;
#[cfg(not(model))]
mod checkpoint;
#[cfg(not(model))]
mod death;
#[cfg(not(model))]
mod discard;
#[cfg(not(model))]
mod extend;
#[cfg(not(model))]
mod frames;
mod mapping;
#[cfg(not(model))]
mod pinned;
#[cfg(not(model))]
mod pins;
#[cfg(not(model))]
mod pool;
#[cfg(not(model))]
mod read;
#[cfg(not(model))]
mod read_ahead;
#[cfg(not(model))]
mod ring;
mod state;
#[cfg(all(test, not(model)))]
pub(super) mod tests;
#[cfg(not(model))]
mod victim;
#[cfg(not(model))]
mod write;

#[cfg(not(model))]
pub(super) use self::pins::Pins;
#[cfg(not(model))]
pub(super) use self::read_ahead::Reads;
#[cfg(not(model))]
pub use self::{
    bulk::SequentialRead,
    checkpoint::{BackgroundWriter, BufferStatus, Pace, Unpaced, Written},
    death::Stuck,
    pinned::{ExclusivePage, PinnedBuffer, SharedPage},
    pool::{BufferPool, Totals},
    read::ReadOptions,
    read_ahead::AheadUser,
    ring::{BufferRing, RingKind},
};
