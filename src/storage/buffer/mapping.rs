//! The table that says which page is in which buffer.
//!
//! Chains of buffers, one per bucket, linked through the descriptors. A chain changes under its partition's lock held
//! exclusively, by one store each: a buffer is linked when its tag stands, and unlinked when its tag is not valid any more.
//! So whoever dies in the middle leaves a chain that is one or the other. What can be left is a buffer in a chain without a
//! valid tag: look-ups pass over it, and who claims it for another page takes it out first (`linked` says of which chain).
//!
//! A look-up tries without the lock first. It may meet a buffer that was moved into another chain under its feet, and so
//! miss what is there, or find the wrong buffer; therefore it pins, compares the tag, and believes nothing but a match. A
//! miss is looked up again under the lock.

use shmem_layout::{BufferBucket, BufferDescriptor, PaddedLock};

use super::state::{self, Pinned, Use};
use crate::ipc::lwlock::LwLockGuard;
use crate::ipc::proc::LedgerFull;
use crate::ipc::stop_points::StopPoint;
use crate::ipc::{LwLock, Mode, Proc, WaitEvent};
use crate::storage::ids::BufferTag;
use crate::sync::Ordering::{Acquire, Relaxed, Release};

/// Number of a buffer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(in crate::storage) struct BufferId(pub u32);

impl BufferId {
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Steps of a look-up without the lock before it gives up: what is moved about under it could lead it in circles.
const STEPS: usize = 16;

/// See the module.
#[derive(Clone, Copy)]
pub(super) struct Mapping<'s> {
    pub descriptors: &'s [BufferDescriptor],
    buckets: &'s [BufferBucket],
    partitions: &'s [PaddedLock],
}

/// What a look-up found.
pub(super) enum Found<'s> {
    /// The page's buffer, pinned.
    Pinned(BufferId, Pinned<'s>),
    /// The page's buffer, which this process has pinned already.
    Held(BufferId),
    /// It is there and cannot be pinned now, as somebody recounts its pins: try again.
    Blocked,
    /// It is not there.
    Missing,
}

impl<'s> Mapping<'s> {
    /// Over the segment's words. The numbers of buckets and partitions are powers of two.
    pub fn new(
        descriptors: &'s [BufferDescriptor],
        buckets: &'s [BufferBucket],
        partitions: &'s [PaddedLock],
    ) -> Self {
        assert!(buckets.len().is_power_of_two() && partitions.len().is_power_of_two());
        assert!(partitions.len() <= buckets.len() && !descriptors.is_empty());
        Self { descriptors, buckets, partitions }
    }

    #[inline]
    pub fn descriptor(&self, buffer: BufferId) -> &'s BufferDescriptor {
        &self.descriptors[buffer.index()]
    }

    #[inline]
    fn bucket_of(&self, tag: BufferTag) -> usize {
        tag.hash() as usize & (self.buckets.len() - 1)
    }

    fn lock_bucket(&self, me: &'s Proc<'s>, bucket: usize, mode: Mode) -> LwLockGuard<'s, 's> {
        let partition = &self.partitions[bucket & (self.partitions.len() - 1)];
        LwLock::new(&partition.lock, WaitEvent::BUFFER_MAPPING).acquire(me, mode)
    }

    /// The buffer behind a link; `None` at the chain's end.
    #[inline]
    fn follow(&self, link: u32) -> Option<(BufferId, &'s BufferDescriptor)> {
        let buffer = BufferId(link.checked_sub(1)?);
        Some((buffer, self.descriptors.get(buffer.index())?))
    }

    /// Finds and pins without a lock. `Missing`: look again with it. `is_held` says which buffers this process pins: their
    /// tags stand, and they are not pinned again. `guessed` is told which buffer it most likely is, as early as can be.
    #[inline]
    pub fn find_optimistically(
        &self,
        me: &'s Proc<'s>,
        tag: BufferTag,
        how: Use,
        is_held: impl Fn(BufferId) -> bool,
        guessed: impl FnOnce(BufferId),
    ) -> Result<Found<'s>, LedgerFull> {
        let mut link = self.buckets[self.bucket_of(tag)].head.load(Acquire);
        if let Some((buffer, _)) = self.follow(link) {
            guessed(buffer);
        }
        for _ in 0..STEPS {
            let Some((buffer, descriptor)) = self.follow(link) else { return Ok(Found::Missing) };
            if state::has_tag(descriptor, tag) {
                if is_held(buffer) && descriptor.state.load(Acquire) & state::TAG_VALID != 0 {
                    return Ok(Found::Held(buffer));
                }
                let Some(pinned) = state::pin_tagged(me, descriptor, how)? else { return Ok(Found::Missing) };
                if state::has_tag(descriptor, tag) {
                    return Ok(Found::Pinned(buffer, pinned));
                }
                self.give_back(me, descriptor, pinned);
                return Ok(Found::Missing);
            }
            link = descriptor.next.load(Acquire);
        }
        Ok(Found::Missing)
    }

    /// Where [`Self::guess`] will look.
    #[inline]
    pub fn bucket_address(&self, tag: BufferTag) -> *const u8 {
        std::ptr::from_ref(&self.buckets[self.bucket_of(tag)]).cast()
    }

    /// The buffer that a page most likely is in, if it is in any.
    #[inline]
    pub fn guess(&self, tag: BufferTag) -> Option<BufferId> {
        let link = self.buckets[self.bucket_of(tag)].head.load(Relaxed);
        self.follow(link).map(|(buffer, _)| buffer)
    }

    /// Whether a page is in a buffer, or about to be; under the lock, so that what was in one all the time is found.
    #[cfg(not(model))]
    pub fn has(&self, me: &'s Proc<'s>, tag: BufferTag) -> bool {
        let bucket = self.bucket_of(tag);
        let is_there = || {
            let mut link = self.buckets[bucket].head.load(Acquire);
            while let Some((_, descriptor)) = self.follow(link) {
                if state::has_tag(descriptor, tag) {
                    return true;
                }
                link = descriptor.next.load(Acquire);
            }
            false
        };
        // Who finds it without the lock need not take that.
        let guessed = self.guess(tag).is_some_and(|buffer| state::has_tag(self.descriptor(buffer), tag));
        guessed || {
            let _guard = self.lock_bucket(me, bucket, Mode::Shared);
            is_there()
        }
    }

    /// Gives a pin back and wakes who waits for that.
    pub fn give_back(&self, me: &Proc<'s>, descriptor: &'s BufferDescriptor, pinned: Pinned<'s>) {
        if state::unpin(me, descriptor, pinned) {
            crate::ipc::ConditionVariable::new(&descriptor.moved).broadcast(me);
        }
    }

    /// Finds and pins under the lock.
    pub fn find(
        &self,
        me: &'s Proc<'s>,
        tag: BufferTag,
        how: Use,
        is_held: impl Fn(BufferId) -> bool,
    ) -> Result<Found<'s>, LedgerFull> {
        let bucket = self.bucket_of(tag);
        let _guard = self.lock_bucket(me, bucket, Mode::Shared);
        self.find_locked(me, tag, how, is_held)
    }

    fn find_locked(
        &self,
        me: &'s Proc<'s>,
        tag: BufferTag,
        how: Use,
        is_held: impl Fn(BufferId) -> bool,
    ) -> Result<Found<'s>, LedgerFull> {
        let mut link = self.buckets[self.bucket_of(tag)].head.load(Acquire);
        while let Some((buffer, descriptor)) = self.follow(link) {
            if state::has_tag(descriptor, tag) {
                // One that is held and about to be put in has no valid tag yet.
                if is_held(buffer) && descriptor.state.load(Acquire) & state::TAG_VALID != 0 {
                    return Ok(Found::Held(buffer));
                }
                if let Some(pinned) = state::pin_tagged(me, descriptor, how)? {
                    return Ok(Found::Pinned(buffer, pinned));
                }
                if descriptor.state.load(Acquire) & state::TAG_VALID != 0 {
                    return Ok(Found::Blocked);
                }
            }
            link = descriptor.next.load(Acquire);
        }
        Ok(Found::Missing)
    }

    /// Puts a buffer, of which the caller has the only pin and which has no tag and is in no chain, into the table, unless
    /// the page is there already: then that one is found. Its I/O is begun.
    pub fn insert(
        &self,
        me: &'s Proc<'s>,
        tag: BufferTag,
        buffer: BufferId,
        options: Insert,
        is_held: impl Fn(BufferId) -> bool,
    ) -> Result<Found<'s>, LedgerFull> {
        let bucket = self.bucket_of(tag);
        let guard = self.lock_bucket(me, bucket, Mode::Exclusive);
        match self.find_locked(me, tag, options.how, is_held)? {
            Found::Missing => {}
            found => return Ok(found),
        }
        let (descriptor, head) = (self.descriptor(buffer), &self.buckets[bucket].head);
        state::set_tag(descriptor, tag);
        descriptor.linked.store(bucket as u32 + 1, Relaxed);
        descriptor.next.store(head.load(Relaxed), Relaxed);
        me.stop_point(StopPoint::BufferClaimed);
        head.store(buffer.0 + 1, Release);
        me.stop_point(StopPoint::BufferLinked);
        state::make_tagged(me, descriptor, options.is_permanent);
        drop(guard);
        Ok(Found::Missing)
    }

    /// Takes the tag away from a buffer of which the caller has the only pin, and the buffer out of the table. `false`, and
    /// nothing happened, if others pin it, it is dirty, or there is I/O.
    pub fn evict(&self, me: &'s Proc<'s>, buffer: BufferId, even_if_dirty: bool) -> bool {
        let descriptor = self.descriptor(buffer);
        let is_tagged = descriptor.state.load(Acquire) & state::TAG_VALID != 0;
        let Some(linked) = descriptor.linked.load(Relaxed).checked_sub(1) else {
            // Never in the table, or taken out in order.
            return !is_tagged || state::untag(descriptor, even_if_dirty);
        };
        let bucket = (linked as usize).min(self.buckets.len() - 1);
        let _guard = self.lock_bucket(me, bucket, Mode::Exclusive);
        if is_tagged && !state::untag(descriptor, even_if_dirty) {
            return false;
        }
        me.stop_point(StopPoint::BufferUntagged);
        self.unlink(buffer, bucket);
        descriptor.linked.store(0, Relaxed);
        true
    }

    /// Takes a buffer out of a chain, if it is there.
    fn unlink(&self, buffer: BufferId, bucket: usize) {
        let mut place = &self.buckets[bucket].head;
        while let Some((at, descriptor)) = self.follow(place.load(Acquire)) {
            if at == buffer {
                place.store(descriptor.next.load(Relaxed), Release);
                return;
            }
            place = &descriptor.next;
        }
    }

    /// Buffers in all chains.
    #[cfg(all(test, model))]
    pub fn linked(&self) -> Vec<BufferId> {
        let mut all = Vec::new();
        for bucket in self.buckets {
            let mut link = bucket.head.load(Acquire);
            while let Some((buffer, descriptor)) = self.follow(link) {
                all.push(buffer);
                link = descriptor.next.load(Acquire);
            }
        }
        all
    }
}

/// How a buffer gets into the table.
#[derive(Clone, Copy)]
pub(super) struct Insert {
    /// How a pin counts of the buffer that is there already.
    pub how: Use,
    /// See `PERMANENT`.
    pub is_permanent: bool,
}
