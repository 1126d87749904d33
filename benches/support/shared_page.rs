//! A page of memory that a forked peer shares with us, handed out as plain atomics.
//!
//! # Safety
//!
//! The page is mapped until [`SharedPage`] is dropped and is borrowed from it; all-zero bytes are
//! valid atomics; several processes may use atomics of one mapping as several threads would.
use std::ffi::c_void;
use std::ops::Deref;
use std::ptr::{self, NonNull};
use std::sync::atomic::AtomicU32;

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// The words of a page.
const WORDS: usize = 1024;

/// Words per cache line: words this far apart do not disturb each other.
pub const LINE: usize = 16;

/// One page, zeroed, MAP_SHARED: after a fork, parent and child have it in common.
pub struct SharedPage {
    base: NonNull<c_void>,
}

impl SharedPage {
    /// Maps a page.
    pub fn new() -> Self {
        let (access, shared) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        // SAFETY: without a fixed address, the kernel picks one where nothing is mapped.
        let base = unsafe { mmap_anonymous(ptr::null_mut(), WORDS * 4, access, shared) };
        let base = base.expect("mapping a page");
        Self { base: NonNull::new(base).expect("mmap returns no null pointer") }
    }

    /// The page's address, for what is not made of words.
    pub fn as_ptr(&self) -> *mut c_void {
        self.base.as_ptr()
    }
}

impl Deref for SharedPage {
    type Target = [AtomicU32; WORDS];

    fn deref(&self) -> &Self::Target {
        // SAFETY: the page is mapped, aligned, zeroed at first, and written only through atomics,
        // unless its owner uses `as_ptr`, and then uses nothing else.
        unsafe { self.base.cast().as_ref() }
    }
}

impl Drop for SharedPage {
    fn drop(&mut self) {
        // SAFETY: we mapped it, and who borrowed it from us is gone.
        unsafe { munmap(self.base.as_ptr(), WORDS * 4) }.expect("unmapping a page");
    }
}
