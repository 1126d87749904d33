//! The state word of a buffer: pins, usage, flags, and who does I/O. `shmem_layout::BufferDescriptor` has its bits.
//!
//! There is no lock around a descriptor. What must change together stands in the one word and changes by compare-and-swap:
//!
//! - A pin by tag is taken only while `TAG_VALID` is set, and `TAG_VALID` is taken away only while there is one pin, the
//!   taker's. So the tag of a buffer that was pinned this way does not change, whichever came first. The tag is compared
//!   *after* pinning, as the buffer may have become another page's before.
//! - Who wants a frame for another page takes the only pin of one that has none; from then on nobody else can do the same.
//! - I/O is begun by putting one's slot into the word while nobody's is there.

use shmem_layout::{BufferDescriptor, ResourceKind};

use crate::ipc::Proc;
use crate::ipc::proc::{LedgerFull, Registration};
use crate::ipc::stop_points::StopPoint;
use crate::storage::ids::BufferTag;
use crate::sync::Ordering::{AcqRel, Acquire, Relaxed, Release};

pub(super) const PINS: u64 = (1 << 18) - 1;
pub(super) const ONE_PIN: u64 = 1;
pub(super) const ONE_USE: u64 = 1 << 18;
pub(super) const USAGE: u64 = 0xf << 18;
pub(super) const MAX_USAGE: u64 = 5;
pub(super) const TAG_VALID: u64 = 1 << 24;
pub(super) const VALID: u64 = 1 << 25;
pub(super) const DIRTY: u64 = 1 << 26;
pub(super) const REDIRTIED: u64 = 1 << 27;
pub(super) const CHECKPOINT: u64 = 1 << 28;
pub(super) const PIN_WAITED: u64 = 1 << 29;
pub(super) const BLOCKED: u64 = 1 << 30;
pub(super) const PERMANENT: u64 = 1 << 31;
pub(super) const IO_WAITED: u64 = 1 << 32;
pub(super) const IO_WRITES: u64 = 1 << 33;
pub(super) const IO_SHIFT: u32 = 48;
pub(super) const IO_OWNER: u64 = 0xffff << IO_SHIFT;

/// What a buffer has while nobody has it: nothing but usage, and `BLOCKED` while somebody recounts.
pub(super) const OF_PAGE: u64 = TAG_VALID | VALID | DIRTY | REDIRTIED | CHECKPOINT | PERMANENT;

pub(super) fn pins(state: u64) -> u64 {
    state & PINS
}

pub(super) fn usage(state: u64) -> u64 {
    (state & USAGE) / ONE_USE
}

fn used_once_more(state: u64, limit: u64) -> u64 {
    if usage(state) < limit { state + ONE_USE } else { state }
}

/// How a pin counts for the clock hand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Use {
    /// As one more use.
    More,
    /// As the only use: what passes through a ring must not look popular.
    Once,
    /// Not at all: who only writes it does not use it.
    No,
}

impl Use {
    fn limit(self) -> u64 {
        match self {
            Self::More => MAX_USAGE,
            Self::Once => 1,
            Self::No => 0,
        }
    }
}

/// A pin of this process in the ledger.
pub(in crate::storage) struct Pinned<'s> {
    registration: Registration<'s, 's>,
}

/// Changes the state by `change` until it is `None`: the state before and after.
#[inline]
pub(super) fn update(
    descriptor: &BufferDescriptor,
    mut change: impl FnMut(u64) -> Option<u64>,
) -> Result<(u64, u64), u64> {
    let mut state = descriptor.state.load(Acquire);
    loop {
        let Some(next) = change(state) else { return Err(state) };
        match descriptor.state.compare_exchange_weak(state, next, AcqRel, Acquire) {
            Ok(_) => return Ok((state, next)),
            Err(now) => state = now,
        }
    }
}

/// Pins a buffer if its tag is valid. `None`: it has none (any more), or somebody recounts its pins.
#[inline]
pub(super) fn pin_tagged<'s>(
    me: &'s Proc<'s>,
    descriptor: &'s BufferDescriptor,
    how: Use,
) -> Result<Option<Pinned<'s>>, LedgerFull> {
    let registration = me.register(ResourceKind::Pin, descriptor)?;
    let pinned = update(descriptor, |state| {
        (state & TAG_VALID != 0 && state & BLOCKED == 0).then(|| used_once_more(state + ONE_PIN, how.limit()))
    });
    Ok(finish_pin(me, registration, pinned.is_ok()))
}

/// Takes the only pin of a buffer that nobody pins and nobody has used since the hand last came by.
pub(super) fn pin_unused<'s>(
    me: &'s Proc<'s>,
    descriptor: &'s BufferDescriptor,
    most_usage: u64,
) -> Result<Option<Pinned<'s>>, LedgerFull> {
    let registration = me.register(ResourceKind::Pin, descriptor)?;
    let pinned = update(descriptor, |state| {
        (pins(state) == 0 && usage(state) <= most_usage && state & BLOCKED == 0).then_some(state + ONE_PIN)
    });
    Ok(finish_pin(me, registration, pinned.is_ok()))
}

#[inline]
fn finish_pin<'s>(me: &Proc<'_>, registration: Registration<'s, 's>, is_taken: bool) -> Option<Pinned<'s>> {
    if !is_taken {
        // Dropped, the entry is free again: nothing was taken.
        return None;
    }
    me.stop_point(StopPoint::BufferPinned);
    registration.held();
    Some(Pinned { registration })
}

/// Gives the pin back, and gives up I/O that was begun and not ended: an error or a panic came between. `true`: somebody
/// waits for that, or for one pin to be left, whom the caller wakes.
#[inline]
#[must_use]
pub(super) fn unpin(me: &Proc<'_>, descriptor: &BufferDescriptor, pinned: Pinned<'_>) -> bool {
    pinned.registration.releasing();
    let change = |state: u64| {
        let mut next = state - ONE_PIN;
        if pins(next) <= 1 {
            next &= !PIN_WAITED;
        }
        if does_io(me, state) {
            next &= !(IO_OWNER | IO_WRITES | IO_WAITED);
        }
        Some(next)
    };
    let waited = PIN_WAITED | IO_WAITED;
    let wakes = update(descriptor, change).is_ok_and(|(before, after)| (before ^ after) & waited != 0);
    me.stop_point(StopPoint::BufferUnpinned);
    wakes
}

/// Takes the tag away from a buffer of which the caller has the only pin. `false`: somebody else pins it, it is dirty, or
/// there is I/O.
pub(super) fn untag(descriptor: &BufferDescriptor, even_if_dirty: bool) -> bool {
    let change = |state: u64| {
        let is_mine = pins(state) == 1 && state & IO_OWNER == 0;
        (is_mine && (even_if_dirty || state & DIRTY == 0)).then_some(state & !(OF_PAGE | USAGE))
    };
    update(descriptor, change).is_ok()
}

/// Makes the tag valid of a buffer of which the caller has the only pin, and begins I/O of it.
pub(super) fn make_tagged(me: &Proc<'_>, descriptor: &BufferDescriptor, is_permanent: bool) {
    let flags = TAG_VALID | if is_permanent { PERMANENT } else { 0 } | io_owner(me);
    let _ = update(descriptor, |state| Some(state & !(USAGE | OF_PAGE) | ONE_USE | flags));
}

/// The bits that say that this process does I/O.
fn io_owner(me: &Proc<'_>) -> u64 {
    u64::from(me.id().slot().tag()) << IO_SHIFT
}

/// Whether this process does the buffer's I/O.
pub(super) fn does_io(me: &Proc<'_>, state: u64) -> bool {
    state & IO_OWNER == io_owner(me)
}

/// What came of an attempt to begin I/O.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Io {
    /// It is this process's to do.
    Begun,
    /// It has been done.
    NotNeeded,
    /// Somebody else does it.
    Busy,
}

/// Begins to read a buffer that the caller pins.
pub(super) fn begin_read(me: &Proc<'_>, descriptor: &BufferDescriptor) -> Io {
    let change = |state: u64| (state & (VALID | IO_OWNER) == 0).then(|| state | io_owner(me));
    match update(descriptor, change) {
        Ok(_) => Io::Begun,
        Err(state) if state & VALID != 0 => Io::NotNeeded,
        Err(_) => Io::Busy,
    }
}

/// Begins to write a buffer that the caller pins, with its content lock held.
pub(super) fn begin_write(me: &Proc<'_>, descriptor: &BufferDescriptor) -> Io {
    let change = |state: u64| {
        let is_wanted = state & (VALID | DIRTY) == VALID | DIRTY;
        (is_wanted && state & IO_OWNER == 0).then(|| state & !REDIRTIED | IO_WRITES | io_owner(me))
    };
    match update(descriptor, change) {
        Ok(_) => Io::Begun,
        Err(state) if state & (VALID | DIRTY) != VALID | DIRTY => Io::NotNeeded,
        Err(_) => Io::Busy,
    }
}

/// How I/O ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum IoEnd {
    /// The page is in the buffer.
    Read,
    /// The page is in the file.
    Written,
    /// Neither.
    Failed,
}

/// Ends this process's I/O. Whether somebody waits, whom the caller wakes.
#[must_use]
pub(super) fn end_io(me: &Proc<'_>, descriptor: &BufferDescriptor, end: IoEnd) -> bool {
    let change = |state: u64| {
        let next = state & !(IO_OWNER | IO_WRITES | IO_WAITED);
        debug_assert!(does_io(me, state), "it is another's");
        Some(match end {
            IoEnd::Read => next | VALID,
            IoEnd::Written if state & REDIRTIED == 0 => next & !(DIRTY | CHECKPOINT),
            IoEnd::Written | IoEnd::Failed => next,
        })
    };
    update(descriptor, change).is_ok_and(|(before, _)| before & IO_WAITED != 0)
}

/// Says that the content is newer than the file; the caller holds it exclusively. Whether it was not before.
#[inline]
pub(super) fn make_dirty(descriptor: &BufferDescriptor) -> bool {
    let wanted = DIRTY | REDIRTIED;
    if descriptor.state.load(Relaxed) & wanted == wanted {
        return false;
    }
    descriptor.state.fetch_or(wanted, AcqRel) & DIRTY == 0
}

/// The tag; of a buffer that the caller pins, or else to be looked at again.
#[inline]
pub(super) fn tag_of(descriptor: &BufferDescriptor) -> Option<BufferTag> {
    BufferTag::from_words(tag_words(descriptor))
}

#[inline]
fn tag_words(descriptor: &BufferDescriptor) -> (u64, u64, u32) {
    let BufferDescriptor { tag_place, tag_block, tag_fork, .. } = descriptor;
    (tag_place.load(Relaxed), tag_block.load(Relaxed), tag_fork.load(Relaxed))
}

/// Whether a buffer that the caller pins is this page's.
#[inline]
pub(super) fn has_tag(descriptor: &BufferDescriptor, tag: BufferTag) -> bool {
    tag_words(descriptor) == tag.to_words()
}

/// Stores the tag of a buffer that the caller has the only pin of, and which has none.
pub(super) fn set_tag(descriptor: &BufferDescriptor, tag: BufferTag) {
    let (place, block, fork) = tag.to_words();
    descriptor.tag_place.store(place, Relaxed);
    descriptor.tag_block.store(block, Relaxed);
    // What makes it valid is a release operation on the state.
    descriptor.tag_fork.store(fork, Release);
}

#[cfg(all(test, model))]
mod models;
#[cfg(all(test, not(model)))]
mod tests;
