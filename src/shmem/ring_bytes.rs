//! The bytes of a message queue's ring: copied in by one process and out by another, never at the same time.
//!
//! # Safety
//! The bytes sit in `UnsafeCell`s and are only touched through raw pointers within their bounds. That writer and reader
//! are never at the same bytes at once is the queue's protocol (`ipc::queue`), proved by its models, where this type is
//! made of the checker's cells; a process that breaks the protocol garbles a message, which is bytes and nothing else.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;

/// A ring of bytes in shared memory; positions count on and on, and wrap at its length.
#[repr(transparent)]
pub struct RingBytes([UnsafeCell<u8>]);

// SAFETY: bytes have no invalid values, and the queue's protocol keeps two accesses to one byte apart.
unsafe impl Sync for RingBytes {}

impl RingBytes {
    /// The ring at `start`.
    ///
    /// # Safety
    /// `len` bytes from `start` stay mapped for `'s` and are used as this ring only.
    pub(super) unsafe fn from_raw<'s>(start: *mut u8, len: usize) -> &'s Self {
        let bytes = std::ptr::slice_from_raw_parts(start.cast::<UnsafeCell<u8>>(), len);
        // SAFETY: the caller's promise; `RingBytes` is transparent over the slice.
        unsafe { &*(bytes as *const Self) }
    }

    /// Bytes in the ring.
    #[expect(clippy::len_without_is_empty, reason = "no ring is empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Copies `bytes` in at `position`; at most the ring's length.
    #[inline]
    pub fn write(&self, position: u64, bytes: &[u8]) {
        let (start, until_end) = self.place(position, bytes.len());
        let ring = self.0.as_ptr().cast::<u8>().cast_mut();
        // SAFETY: `place` checked that both parts lie within the ring; `bytes` is private memory and so elsewhere.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), ring.add(start), until_end);
            std::ptr::copy_nonoverlapping(bytes.as_ptr().add(until_end), ring, bytes.len() - until_end);
        }
    }

    /// Copies bytes out from `position` on; at most the ring's length.
    #[inline]
    pub fn read(&self, position: u64, bytes: &mut [u8]) {
        let (start, until_end) = self.place(position, bytes.len());
        let ring = self.0.as_ptr().cast::<u8>();
        // SAFETY: as in `write`.
        unsafe {
            std::ptr::copy_nonoverlapping(ring.add(start), bytes.as_mut_ptr(), until_end);
            std::ptr::copy_nonoverlapping(ring, bytes.as_mut_ptr().add(until_end), bytes.len() - until_end);
        }
    }

    /// Fills with zeroes from `position` on; at most the ring's length.
    pub fn zero(&self, position: u64, len: usize) {
        let (start, until_end) = self.place(position, len);
        let ring = self.0.as_ptr().cast::<u8>().cast_mut();
        // SAFETY: as in `write`.
        unsafe {
            ring.add(start).write_bytes(0, until_end);
            ring.write_bytes(0, len - until_end);
        }
    }

    /// Address of the byte at `position` and how many bytes follow before the ring's end, for the kernel to read. What
    /// other processes write there meanwhile, the kernel may see or not.
    pub fn place_for_io(&self, position: u64) -> (*const u8, usize) {
        let (start, until_end) = self.place(position, self.len());
        (self.0.as_ptr().cast::<u8>().wrapping_add(start), until_end)
    }

    /// Where `len` bytes at `position` begin, and how many of them lie before the ring's end.
    #[inline]
    fn place(&self, position: u64, len: usize) -> (usize, usize) {
        assert!(len <= self.len(), "{len} bytes in a ring of {}", self.len());
        let start = (position % self.len() as u64) as usize;
        (start, len.min(self.len() - start))
    }
}
