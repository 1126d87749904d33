//! The processor's cache.
//!
//! # Safety
//! A prefetch is a hint: it reads nothing that the program could see, and no address makes it fail.
#![allow(unsafe_code)]

/// Asks the processor for the cache line at an address, which it then has sooner than who needs it would wait for it.
#[inline]
pub fn prefetch(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: see the module.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}
