//! The ring of a message queue in the checker's cells.
//!
//! # Safety
//! Under loom each byte is a `loom::cell::UnsafeCell`, which reports any access that another thread's races with; that is
//! what the models are for. Under shuttle, which does not look for data races, each byte is an atomic.
#![cfg_attr(loom, allow(unsafe_code))]

#[cfg(loom)]
type ByteCell = loom::cell::UnsafeCell<u8>;
#[cfg(shuttle)]
type ByteCell = shuttle::sync::atomic::AtomicU8;

/// See `shmem::RingBytes`.
pub struct RingBytes(Vec<ByteCell>);

// SAFETY: the checker itself reports two accesses to a byte that nothing orders.
#[cfg(loom)]
unsafe impl Sync for RingBytes {}
// SAFETY: plain bytes.
#[cfg(loom)]
unsafe impl Send for RingBytes {}

impl RingBytes {
    /// A ring of `len` zeroes.
    pub fn new(len: usize) -> Self {
        Self((0..len).map(|_| ByteCell::new(0)).collect())
    }

    /// Bytes in the ring.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    fn cell(&self, position: u64) -> &ByteCell {
        &self.0[(position % self.0.len() as u64) as usize]
    }

    /// Copies `bytes` in at `position`.
    pub fn write(&self, position: u64, bytes: &[u8]) {
        for (position, byte) in (position..).zip(bytes) {
            #[cfg(loom)]
            // SAFETY: the pointer is valid; loom reports a racing access.
            self.cell(position).with_mut(|cell| unsafe { *cell = *byte });
            #[cfg(shuttle)]
            self.cell(position).store(*byte, crate::sync::Ordering::Relaxed);
        }
    }

    /// Copies bytes out from `position` on.
    pub fn read(&self, position: u64, bytes: &mut [u8]) {
        for (position, byte) in (position..).zip(bytes) {
            #[cfg(loom)]
            // SAFETY: the pointer is valid; loom reports a racing access.
            self.cell(position).with(|cell| *byte = unsafe { *cell });
            #[cfg(shuttle)]
            {
                *byte = self.cell(position).load(crate::sync::Ordering::Relaxed);
            }
        }
    }
}
