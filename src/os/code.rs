//! The program's own code on huge pages.
//!
//! A forked child has none of the page tables of the program's file: it takes a fault for every 64 kB of code it runs, and
//! the kernel takes all of them apart when it ends. For a process that lives for one connection that is a fifth of its
//! life. Code in huge pages of anonymous memory is inherited with one entry per 2 MB, so that no child ever faults on it.
//! The same goes for what the loader has relocated and then made read-only: those pages are the process's own already, and
//! each fork copies, each exit drops an entry for every 4 kB of them.
//!
//! The price: the pages are no file's any more, so profilers find no symbols for them and a core file has them too. Where
//! the kernel gives no huge pages (`transparent_hugepage/enabled`), or a policy forbids such memory, everything stays as
//! it was.
//!
//! # Safety
//!
//! Only read-only mappings of the program's file are replaced, by a copy with the same bytes and the same protection, in
//! one `mremap`: no instruction can see a time in between. The caller is the process's only thread, so nobody maps or
//! unmaps meanwhile. Bytes of a read-only mapping of a running program do not change: the kernel refuses to write to the
//! file, and the loader is done with what it has made read-only.
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

/// A mapping that can be replaced, widened or cut to whole huge pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Part {
    /// What is replaced.
    start: usize,
    end: usize,
    /// What of it holds the program; the rest is nobody's.
    from: usize,
    to: usize,
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

/// The program's read-only mappings, in whole huge pages: constants, code, and behind the code what the loader wrote.
fn parts(maps: &str, program: &str) -> Vec<Part> {
    let areas: Vec<Area<'_>> = maps.lines().map_while(Area::parse).collect();
    let of_program = |at: &usize| areas[*at].file == Some(program);
    let mut parts = Vec::new();
    for at in (0..areas.len()).filter(of_program) {
        let is_code = match areas[at].access {
            "r--p" => false,
            "r-xp" => true,
            _ => break,
        };
        let (from, to) = (areas[at].start, areas[at].end);
        let floor = at.checked_sub(1).map_or(0, |before| areas[before].end);
        let ceiling = areas.get(at + 1).map_or(usize::MAX, |behind| behind.start);
        // What lies between the segments is nobody's if the linker aligned them to huge pages.
        let widened = (from / HUGE * HUGE, to.next_multiple_of(HUGE));
        let start = if widened.0 >= floor { widened.0 } else { from.next_multiple_of(HUGE) };
        let end = if widened.1 <= ceiling { widened.1 } else { to / HUGE * HUGE };
        if start < end {
            parts.push(Part { start, end, from: from.max(start), to: to.min(end), is_code });
        }
    }
    parts
}

/// A line of /proc/self/maps.
struct Area<'a> {
    start: usize,
    end: usize,
    access: &'a str,
    file: Option<&'a str>,
}

impl<'a> Area<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let address = |text| usize::from_str_radix(text, 16).ok();
        let (start, end) = (address(start)?, address(end)?);
        Some(Self { start, end, access: words.next()?, file: words.nth(3) })
    }
}

/// # Safety
///
/// `from` to `to` of the part is mapped from a file, read-only, the rest of it is unmapped, and this is the only thread.
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
        let from = ptr::with_exposed_provenance::<u8>(part.from);
        let to = copy.cast::<u8>().add(part.from - part.start);
        ptr::copy_nonoverlapping(from, to, part.to - part.from);
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
    fn only_whole_huge_pages_of_what_is_read_only_are_taken() {
        let maps = "\
7f0000000000-7f0000465000 r--p 00000000 fe:00 7  /usr/bin/tuskd
7f0000465000-7f0000eaa000 r-xp 00465000 fe:00 7  /usr/bin/tuskd
7f0000eaa000-7f0001f4c000 r--p 00eaa000 fe:00 7  /usr/bin/tuskd
7f0001f4c000-7f0001f4d000 rw-p 00f4c000 fe:00 7  /usr/bin/tuskd
";
        let part = |start, end, is_code| Part { start, end, from: start, to: end, is_code };
        let rodata = part(0x7f00_0000_0000, 0x7f00_0040_0000, false);
        let code = part(0x7f00_0060_0000, 0x7f00_00e0_0000, true);
        let relocated = part(0x7f00_0100_0000, 0x7f00_01e0_0000, false);
        assert_eq!(parts(maps, "/usr/bin/tuskd"), [rodata, code, relocated]);
        let aligned = "\
7f0000000000-7f0000465000 r--p 00000000 fe:00 7  /usr/bin/tuskd
7f0000601000-7f0001046000 r-xp 00601000 fe:00 7  /usr/bin/tuskd
7f0001200000-7f000128f000 r--p 01000000 fe:00 7  /usr/bin/tuskd
7f0001400000-7f0001501000 rw-p 01200000 fe:00 7  /usr/bin/tuskd
";
        let rodata = Part { to: 0x7f00_0046_5000, ..part(0x7f00_0000_0000, 0x7f00_0060_0000, false) };
        let code = Part {
            from: 0x7f00_0060_1000,
            to: 0x7f00_0104_6000,
            ..part(0x7f00_0060_0000, 0x7f00_0120_0000, true)
        };
        let relocated = Part { to: 0x7f00_0128_f000, ..part(0x7f00_0120_0000, 0x7f00_0140_0000, false) };
        assert_eq!(
            parts(aligned, "/usr/bin/tuskd"),
            [rodata, code, relocated],
            "what nobody has is taken too"
        );
        assert_eq!(parts(maps, "/usr/bin/other"), []);
        assert_eq!(parts("nonsense", "/usr/bin/tuskd"), []);
    }

    #[test]
    fn a_process_with_threads_is_left_alone() {
        // The test's runner has threads of its own.
        std::thread::spawn(|| assert!(move_to_huge_pages().is_err())).join().unwrap();
    }
}
