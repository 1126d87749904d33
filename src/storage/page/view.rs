//! A page's bytes, wherever they lie: in private memory or in a shared buffer.
//!
//! # Safety
//! A view is a pointer to [`PAGE_SIZE`] bytes that live for `'a`. Into shared memory only the buffer pool makes one, for as
//! long as a content lock is held: shared for [`PageRef`], exclusive for [`PageMut`]. So what a [`PageRef`] reads does not
//! change, but for hint words, which holders of a shared lock set with
//! `set_hint`. Those are read by value, one
//! word at a time, never through a reference: whoever asks for a slice leaves hint words out of it. Everything else is
//! bounds-checked here, so that no number found on a page leads outside of it.
#![allow(unsafe_code)]

use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use crate::storage::ids::PAGE_SIZE;

/// A page in private memory.
#[derive(Clone)]
#[repr(C, align(8192))]
pub struct PageBuf(pub [u8; PAGE_SIZE]);

impl PageBuf {
    /// A page of zeroes.
    pub fn zeroed() -> Box<Self> {
        let mut page = Box::<Self>::new_uninit();
        // SAFETY: zeroes are valid bytes, and the box has room for the page.
        unsafe {
            page.as_mut_ptr().cast::<u8>().write_bytes(0, PAGE_SIZE);
            page.assume_init()
        }
    }

    /// Pages that follow each other, as bytes.
    pub fn bytes_of(pages: &mut [Self]) -> &mut [u8] {
        // SAFETY: a page is its bytes and nothing else, so that pages in a row are bytes in a row.
        unsafe { std::slice::from_raw_parts_mut(pages.as_mut_ptr().cast(), pages.len() * PAGE_SIZE) }
    }

    /// To be read.
    pub fn view(&self) -> PageRef<'_> {
        PageRef { start: NonNull::from(&self.0).cast(), bytes: PhantomData }
    }

    /// To be changed.
    pub fn view_mut(&mut self) -> PageMut<'_> {
        PageMut { start: NonNull::from(&mut self.0).cast(), bytes: PhantomData }
    }
}

/// Sets bits of a hint word of a page in shared memory, which begins at an even offset.
///
/// # Safety
/// `start` is a page in shared memory whose content lock is held, and which stays mapped.
#[inline]
pub(in crate::storage) unsafe fn set_hint(start: NonNull<u8>, offset: usize, bits: u16) {
    assert!(offset.is_multiple_of(2) && offset <= PAGE_SIZE - 2, "no hint word at {offset}");
    // SAFETY: within the page and aligned, since pages are; while others can see the page, hint words are changed in this
    // way only, and read by value.
    let word = unsafe { AtomicU16::from_ptr(start.as_ptr().add(offset).cast()) };
    word.fetch_or(bits.to_le(), Ordering::Relaxed);
}

/// A page to be read.
#[derive(Clone, Copy)]
pub struct PageRef<'a> {
    start: NonNull<u8>,
    bytes: PhantomData<&'a [u8]>,
}

/// A page to be changed.
pub struct PageMut<'a> {
    start: NonNull<u8>,
    bytes: PhantomData<&'a mut [u8]>,
}

macro_rules! readers {
    ($($name:ident $type:ty;)*) => {
        $(#[doc = concat!("The little-endian `", stringify!($type), "` at an offset.\n\n# Panics\nIf it does not lie within the page.")]
        #[inline]
        pub fn $name(self, offset: usize) -> $type {
            assert!(offset <= PAGE_SIZE - size_of::<$type>(), "{offset} is outside of the page");
            // SAFETY: within the page, as just checked; any bytes are a number.
            let value = unsafe { self.start.as_ptr().add(offset).cast::<$type>().read_unaligned() };
            <$type>::from_le(value)
        })*
    };
}

impl<'a> PageRef<'a> {
    /// Over a page in shared memory.
    ///
    /// # Safety
    /// See the module.
    pub(in crate::storage) unsafe fn from_raw(start: NonNull<u8>) -> Self {
        Self { start, bytes: PhantomData }
    }

    readers! {
        u8_at u8;
        u16_at u16;
        u32_at u32;
        u64_at u64;
    }

    /// `length` bytes from `offset` on; without hint words, see the module. `None` if they do not lie within the page.
    #[inline]
    pub fn get(self, offset: usize, length: usize) -> Option<&'a [u8]> {
        if offset > PAGE_SIZE || length > PAGE_SIZE - offset {
            return None;
        }
        // SAFETY: within the page; nobody changes it, see the module.
        Some(unsafe { std::slice::from_raw_parts(self.start.as_ptr().add(offset), length) })
    }

    /// The same.
    ///
    /// # Panics
    /// If they do not lie within the page.
    #[inline]
    pub fn slice(self, offset: usize, length: usize) -> &'a [u8] {
        match self.get(offset, length) {
            Some(bytes) => bytes,
            None => panic!("{length} bytes at {offset} are outside of the page"),
        }
    }

    /// Copies the whole page out.
    pub fn copy_to(self, page: &mut PageBuf) {
        // SAFETY: both have a page's bytes, and private memory is elsewhere. A hint word that is set meanwhile is copied
        // before or after, being one aligned word.
        unsafe { std::ptr::copy_nonoverlapping(self.start.as_ptr(), page.0.as_mut_ptr(), PAGE_SIZE) };
    }
}

macro_rules! writers {
    ($($name:ident $type:ty;)*) => {
        $(#[doc = concat!("Stores a little-endian `", stringify!($type), "`.\n\n# Panics\nIf it does not lie within the page.")]
        #[inline]
        pub fn $name(&mut self, offset: usize, value: $type) {
            assert!(offset <= PAGE_SIZE - size_of::<$type>(), "{offset} is outside of the page");
            // SAFETY: within the page, as just checked, and this view is the only one.
            unsafe { self.start.as_ptr().add(offset).cast::<$type>().write_unaligned(value.to_le()) };
        })*
    };
}

impl PageMut<'_> {
    /// Over a page in shared memory.
    ///
    /// # Safety
    /// See the module.
    pub(in crate::storage) unsafe fn from_raw(start: NonNull<u8>) -> Self {
        Self { start, bytes: PhantomData }
    }

    /// To be read.
    #[inline]
    pub fn as_ref(&self) -> PageRef<'_> {
        PageRef { start: self.start, bytes: PhantomData }
    }

    /// The same page, for a while.
    #[inline]
    pub fn reborrow(&mut self) -> PageMut<'_> {
        PageMut { start: self.start, bytes: PhantomData }
    }

    writers! {
        put_u8 u8;
        put_u16 u16;
        put_u32 u32;
        put_u64 u64;
    }

    /// `length` bytes from `offset` on, to be changed.
    ///
    /// # Panics
    /// If they do not lie within the page.
    #[inline]
    pub fn slice_mut(&mut self, offset: usize, length: usize) -> &mut [u8] {
        let fits = offset <= PAGE_SIZE && length <= PAGE_SIZE - offset;
        assert!(fits, "{length} bytes at {offset} are outside of the page");
        // SAFETY: within the page, and this view is the only one.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr().add(offset), length) }
    }

    /// All of it, to be changed.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.slice_mut(0, PAGE_SIZE)
    }

    /// Copies `length` bytes from one place of the page to another, which may overlap.
    pub fn copy_within(&mut self, from: usize, to: usize, length: usize) {
        self.bytes_mut().copy_within(from..from + length, to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_little_endian_anywhere() {
        let mut page = PageBuf::zeroed();
        let mut view = page.view_mut();
        view.put_u64(13, 0x0102_0304_0506_0708);
        view.put_u8(8191, 9);
        let view = page.view();
        assert_eq!(
            (view.u8_at(13), view.u16_at(13), view.u32_at(17), view.u64_at(13) as u8),
            (8, 0x708, 0x0102_0304, 8)
        );
        assert_eq!((view.u8_at(8191), view.get(8191, 1), view.get(8191, 2)), (9, Some(&[9][..]), None));
        assert_eq!(
            (view.get(8192, 0), view.get(8193, 0), view.get(1, usize::MAX)),
            (Some(&[][..]), None, None)
        );
    }

    #[test]
    #[should_panic(expected = "8189 is outside of the page")]
    fn a_number_across_the_end_is_refused() {
        PageBuf::zeroed().view().u32_at(8189);
    }

    #[test]
    #[should_panic(expected = "2 bytes at 8191 are outside of the page")]
    fn writing_across_the_end_is_refused() {
        PageBuf::zeroed().view_mut().slice_mut(8191, 2);
    }
}
