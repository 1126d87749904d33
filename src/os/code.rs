//! The program's own code on huge pages.
//!
//! A forked child has none of the page tables of the program's file: it takes a fault for every 64 kB of code it runs, and
//! the kernel takes all of them apart when it ends. For a process that lives for one connection that is a fifth of its
//! life. Code in huge pages of anonymous memory is inherited with one entry per 2 MB, so that no child ever faults on it.
//!
//! The price: the pages are no file's any more, so profilers find no symbols for them and a core file has them too. Where
//! the kernel gives no huge pages (`transparent_hugepage/enabled`), or a policy forbids such memory, everything stays as
//! it was.
//!
//! # Safety
//!
//! Only read-only mappings of the program's file are replaced, by a copy with the same bytes and the same protection, in
//! one `mremap`: no instruction can see a time in between. The caller is the process's only thread, so nobody maps or
//! unmaps meanwhile. Bytes of a read-only mapping of a running program do not change (the kernel refuses to write to it).
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::fs;
use std::io;
use std::ptr;

use rustix::mm::{
    Advice, MapFlags, MprotectFlags, MremapFlags, ProtFlags, madvise, mmap_anonymous, mprotect, mremap_fixed,
    munmap,
};

use super::mmap::huge_bytes_between;
use super::process::check_single_threaded;

/// What one entry of a page table covers where the tables end early.
const HUGE: usize = 2 << 20;

/// A mapping that can be replaced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Part {
    start: usize,
    end: usize,
    is_code: bool,
}

/// Moves the program's code and constants to huge pages, as far as they fill such pages; how many bytes.
///
/// # Errors
///
/// Other threads run, /proc is missing, or the kernel has no huge page or does not let us; parts may have moved.
pub fn move_to_huge_pages() -> io::Result<usize> {
    check_single_threaded().map_err(io::Error::other)?;
    let program = fs::read_link("/proc/self/exe")?;
    let maps = fs::read_to_string("/proc/self/maps")?;
    let mut moved = 0;
    for part in parts(&maps, &program.to_string_lossy()) {
        // SAFETY: there is no other thread; `parts` finds read-only mappings of the program's file only.
        unsafe { replace(part) }?;
        moved += part.end - part.start;
    }
    Ok(moved)
}

/// The huge pages that lie within the program's read-only mappings in front of its data; those behind hold what the
/// loader wrote.
fn parts(maps: &str, program: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (Some(range), Some(access)) = (words.next(), words.next()) else { break };
        if words.nth(3) != Some(program) {
            continue;
        }
        let is_code = match access {
            "r--p" => false,
            "r-xp" => true,
            _ => break,
        };
        let Some((start, end)) = range.split_once('-') else { break };
        let address = |text| usize::from_str_radix(text, 16);
        let (Ok(start), Ok(end)) = (address(start), address(end)) else { break };
        let (start, end) = (start.next_multiple_of(HUGE), end / HUGE * HUGE);
        if start < end {
            parts.push(Part { start, end, is_code });
        }
        if is_code {
            break;
        }
    }
    parts
}

/// # Safety
///
/// The part is mapped from a file, read-only, and this is the only thread.
unsafe fn replace(part: Part) -> io::Result<()> {
    let length = part.end - part.start;
    let writable = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: without FIXED the kernel chooses unused addresses.
    let room = unsafe { mmap_anonymous(ptr::null_mut(), length + HUGE, writable, MapFlags::PRIVATE) }?;
    let ahead = room.addr().next_multiple_of(HUGE) - room.addr();
    let copy = room.cast::<u8>().wrapping_add(ahead).cast::<c_void>();
    // SAFETY: the range was mapped above and nobody else knows of it.
    let made = unsafe { fill(copy, part, length) };
    // SAFETY: the same; what `mremap_fixed` moved away is not part of these ranges any more.
    unsafe {
        let place = ptr::with_exposed_provenance_mut(part.start);
        let moved = made.and_then(|()| {
            let flags = MremapFlags::MAYMOVE;
            Ok(mremap_fixed(copy, length, length, flags, place)?)
        });
        if moved.is_err() {
            let _ = munmap(copy, length);
        }
        if ahead > 0 {
            let _ = munmap(room, ahead);
        }
        if ahead < HUGE {
            let _ = munmap(copy.cast::<u8>().wrapping_add(length).cast(), HUGE - ahead);
        }
        moved.map(|_| ())
    }
}

/// Copies the part to `copy`, and gives it the same protection, if the kernel gave huge pages for it.
///
/// # Safety
///
/// `copy` is `length` bytes of private memory of which nobody knows.
unsafe fn fill(copy: *mut c_void, part: Part, length: usize) -> io::Result<()> {
    // SAFETY: the caller's memory, and as long; the part is readable and stays mapped.
    unsafe {
        madvise(copy, length, Advice::LinuxHugepage)?;
        let from = ptr::with_exposed_provenance::<u8>(part.start);
        ptr::copy_nonoverlapping(from, copy.cast(), length);
    }
    if huge_bytes_between(copy.addr(), copy.addr() + length)? < length as u64 {
        // In small pages every fork would copy an entry for each.
        return Err(io::Error::from(io::ErrorKind::Unsupported));
    }
    let access = if part.is_code { MprotectFlags::READ | MprotectFlags::EXEC } else { MprotectFlags::READ };
    // SAFETY: the caller's memory.
    unsafe { Ok(mprotect(copy, length, access)?) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_huge_pages_in_front_of_the_data_are_taken() {
        let maps = "\
7f0000000000-7f0000465000 r--p 00000000 fe:00 7  /usr/bin/tuskd
7f0000465000-7f0000eaa000 r-xp 00465000 fe:00 7  /usr/bin/tuskd
7f0000eaa000-7f0001f4c000 r--p 00eaa000 fe:00 7  /usr/bin/tuskd
7f0001f4c000-7f0001f4d000 rw-p 00f4c000 fe:00 7  /usr/bin/tuskd
";
        let (rodata, code) = (
            Part { start: 0x7f00_0000_0000, end: 0x7f00_0040_0000, is_code: false },
            Part { start: 0x7f00_0060_0000, end: 0x7f00_00e0_0000, is_code: true },
        );
        assert_eq!(parts(maps, "/usr/bin/tuskd"), [rodata, code]);
        assert_eq!(parts(maps, "/usr/bin/other"), []);
        assert_eq!(parts("nonsense", "/usr/bin/tuskd"), []);
    }

    #[test]
    fn a_process_with_threads_is_left_alone() {
        // The test's runner has threads of its own.
        std::thread::spawn(|| assert!(move_to_huge_pages().is_err())).join().unwrap();
    }
}
