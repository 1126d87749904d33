//! The title under which `ps` and `top` show a process.
//!
//! Linux keeps no title: /proc/PID/cmdline reads the memory where exec put the arguments, which is only as
//! long as they were. [`ProcessTitle::init`] tells the kernel of a roomier area of our own
//! (`PR_SET_MM_MAP`), and from then on a change of title is a few bytes written to memory, without a
//! system call; backends do that for every statement. The area is private, so a forked child continues
//! with a copy of its parent's title and changes its own.
//!
//! The kernel takes the area for a command line as long as its last byte is NUL (otherwise it reads on into
//! the environment). Two NULs at least end the title, so that tools which split a command line at NULs
//! find an empty argument and not a part of an older title.
//!
//! # Safety
//!
//! `PR_SET_MM_MAP` sets all borders of the address space at once, the heap's end included: written from
//! old numbers it would let the heap shrink under its users. So `init` acts only while no other thread can
//! allocate, and reads that end last. The area, once announced, is never unmapped.
#![allow(unsafe_code)]

use std::fs;
use std::io;
use std::ptr::{self, NonNull, null_mut};

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use rustix::param::page_size;

use super::process::check_single_threaded;
use super::sysinfo::invalid;

/// NULs kept behind every title.
const TERMINATOR: usize = 2;

/// The title area of this process.
#[derive(Debug)]
pub struct ProcessTitle {
    area: NonNull<u8>,
    /// Bytes of the area, terminator included.
    size: usize,
    /// Bytes from the start beyond which the area is all NUL.
    used: usize,
    placement: Placement,
}

/// Where titles are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Placement {
    /// In an area of our own, as long as asked for.
    OwnPages,
    /// Over the arguments, as the kernel refused to look elsewhere: titles are cut to their length.
    Arguments,
    /// Nowhere: /proc is missing, or other threads were running.
    Nowhere,
}

impl ProcessTitle {
    /// Makes room for titles of `capacity` bytes, rounded up to whole pages. Call it once, early, while
    /// the process has one thread, and after the arguments were collected: where the kernel refuses
    /// `PR_SET_MM_MAP` they are overwritten. It shows the old command line until the first title is set.
    ///
    /// Never fails, since a title is not worth ending for; [`ProcessTitle::placement`] tells what it came
    /// to.
    pub fn init(capacity: usize) -> Self {
        if check_single_threaded().is_err() {
            return Self::nowhere();
        }
        // SAFETY: there is no other thread.
        unsafe { Self::place(capacity) }
    }

    /// # Safety
    ///
    /// No other thread allocates, or reads the arguments, meanwhile.
    unsafe fn place(capacity: usize) -> Self {
        let Ok(mut map) = MemoryMap::read() else {
            return Self::nowhere();
        };
        // SAFETY: the caller's promise.
        match unsafe { Self::own_pages(&mut map, capacity) } {
            Ok(title) => title,
            Err(_) => Self::over_arguments(&map),
        }
    }

    /// # Safety
    ///
    /// As for [`ProcessTitle::place`].
    unsafe fn own_pages(map: &mut MemoryMap, capacity: usize) -> io::Result<Self> {
        let size = capacity.saturating_add(TERMINATOR).checked_next_multiple_of(page_size());
        let size = size.ok_or(io::ErrorKind::InvalidInput)?;
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: without FIXED the kernel chooses unused addresses.
        let area = unsafe { mmap_anonymous(null_mut(), size, access, MapFlags::PRIVATE)? };
        let area: *mut u8 = area.cast();
        let used = map.arguments_len().min(size - TERMINATOR);
        // SAFETY: the kernel says that the arguments lie there, nobody changes them meanwhile, and the
        // new area, at least `used` bytes long, is apart from them.
        unsafe { ptr::copy_nonoverlapping(map.arguments(), area, used) };
        map.arg_start = area.addr() as u64;
        map.arg_end = map.arg_start + size as u64;
        // SAFETY: the map was read from the kernel, only the arguments were moved, and those to an area
        // that stays mapped; the heap cannot move, by the caller's promise.
        if let Err(error) = unsafe { map.install() } {
            // SAFETY: the kernel refused, so nobody else knows of the area.
            let _ = unsafe { munmap(area.cast(), size) };
            return Err(error);
        }
        Ok(Self {
            area: NonNull::new(area).expect("the kernel maps nothing at address 0"),
            size,
            used,
            placement: Placement::OwnPages,
        })
    }

    fn over_arguments(map: &MemoryMap) -> Self {
        match NonNull::new(map.arguments()) {
            Some(area) if map.arguments_len() > TERMINATOR => Self {
                area,
                size: map.arguments_len(),
                used: map.arguments_len(),
                placement: Placement::Arguments,
            },
            _ => Self::nowhere(),
        }
    }

    fn nowhere() -> Self {
        Self { area: NonNull::dangling(), size: 0, used: 0, placement: Placement::Nowhere }
    }

    /// Where titles go.
    pub fn placement(&self) -> Placement {
        self.placement
    }

    /// The longest title in bytes; [`ProcessTitle::set`] cuts longer ones.
    pub fn capacity(&self) -> usize {
        self.size.saturating_sub(TERMINATOR)
    }

    /// Shows `title`, cut between characters to the capacity. Writes memory only: `title`, and NULs up to
    /// the length of the one before. A reader in that moment may see some of both.
    pub fn set(&mut self, title: &str) {
        let title = &title[..title.floor_char_boundary(self.capacity())];
        let stale = self.used.saturating_sub(title.len());
        // SAFETY: the area has `size` bytes, of which the title takes at most `size - TERMINATOR` and the
        // stale ones end at `used` <= `size`. This process writes there from here only, and no
        // reference into it exists.
        unsafe {
            let area = self.area.as_ptr();
            area.copy_from_nonoverlapping(title.as_ptr(), title.len());
            area.add(title.len()).write_bytes(0, stale);
        }
        self.used = title.len();
    }
}

/// The kernel's `struct prctl_mm_map`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct MemoryMap {
    start_code: u64,
    end_code: u64,
    start_data: u64,
    end_data: u64,
    start_brk: u64,
    brk: u64,
    start_stack: u64,
    arg_start: u64,
    arg_end: u64,
    env_start: u64,
    env_end: u64,
    auxv: u64,
    auxv_size: u32,
    exe_fd: u32,
}

const _: () = assert!(size_of::<MemoryMap>() == 12 * 8 + 2 * 4);

/// Leaves the program's file as it is.
const NO_FILE: u32 = u32::MAX;

impl MemoryMap {
    /// Reads all but `brk`, which changes as the heap grows and is read when it is needed.
    fn read() -> io::Result<Self> {
        Self::parse(&fs::read_to_string("/proc/self/stat")?)
    }

    fn parse(stat: &str) -> io::Result<Self> {
        // The second field is the program's name in parentheses, and may itself hold any of ") (".
        let (_, fields) = stat.rsplit_once(')').ok_or_else(|| invalid(stat))?;
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        // Numbered as in proc_pid_stat(5), where the field behind the name is the third.
        let field = |number: usize| {
            let value = fields.get(number - 3).and_then(|field| field.parse().ok());
            value.ok_or_else(|| invalid(stat))
        };
        Ok(Self {
            start_code: field(26)?,
            end_code: field(27)?,
            start_data: field(45)?,
            end_data: field(46)?,
            start_brk: field(47)?,
            brk: 0,
            start_stack: field(28)?,
            arg_start: field(48)?,
            arg_end: field(49)?,
            env_start: field(50)?,
            env_end: field(51)?,
            // No new auxiliary vector: the old one stays.
            auxv: 0,
            auxv_size: 0,
            exe_fd: NO_FILE,
        })
    }

    fn arguments(&self) -> *mut u8 {
        ptr::with_exposed_provenance_mut(self.arg_start as usize)
    }

    fn arguments_len(&self) -> usize {
        self.arg_end.saturating_sub(self.arg_start) as usize
    }

    /// Hands the map to the kernel. Fails with `EINVAL` without CONFIG_CHECKPOINT_RESTORE, with `EPERM`
    /// under some security modules.
    ///
    /// # Safety
    ///
    /// The borders are those of this process, or lie around memory that stays mapped. No other thread
    /// allocates meanwhile.
    unsafe fn install(&mut self) -> io::Result<()> {
        // SAFETY: an increment of 0 changes nothing.
        self.brk = unsafe { libc::sbrk(0) }.addr() as u64;
        let map: *const Self = self;
        // SAFETY: the struct is the kernel's, of the size given; the contents are the caller's promise, and
        // nothing has allocated since the heap's end was read.
        let result = unsafe { libc::prctl(libc::PR_SET_MM, libc::PR_SET_MM_MAP, map, size_of::<Self>(), 0) };
        match result {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// The test below, in a process of its own: changing this one's heap border while other tests
    /// allocate would be unsound.
    #[test]
    fn ps_shows_the_title() {
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "os::proctitle::tests::in_own_process"])
            .args(["--ignored", "--test-threads=1", "--nocapture"])
            .env(IN_OWN_PROCESS, "1")
            .status();
        assert!(status.unwrap().success());
    }

    const IN_OWN_PROCESS: &str = "TUSKD_TEST_PROCESS_TITLE";

    fn command_line() -> Vec<u8> {
        fs::read("/proc/self/cmdline").unwrap()
    }

    fn shown_by_ps() -> String {
        let pid = std::process::id().to_string();
        let output = Command::new("ps").args(["-ww", "-o", "args=", "-p", &pid]).output();
        String::from_utf8(output.unwrap().stdout).unwrap().trim_end().to_owned()
    }

    #[test]
    #[ignore = "run by ps_shows_the_title"]
    fn in_own_process() {
        if std::env::var_os(IN_OWN_PROCESS).is_none() {
            return;
        }
        let environment = fs::read("/proc/self/environ").unwrap();
        let before = command_line();
        // SAFETY: libtest's main thread sleeps until this, the only test, is done.
        let mut title = unsafe { ProcessTitle::place(5000) };
        assert!(command_line().starts_with(before.trim_ascii_end()));
        if title.placement() != Placement::OwnPages {
            eprintln!("skipped: PR_SET_MM_MAP is refused here");
            return;
        }
        assert!(title.capacity() >= 5000);
        let long = format!("tuskd: ann shop [local] {}", "x".repeat(4900));
        for text in [long.as_str(), "tuskd: checkpointer", "tuskd: (a) ünï", &long] {
            title.set(text);
            let shown = command_line();
            assert!(shown.starts_with(text.as_bytes()));
            assert!(shown[text.len()..].len() >= TERMINATOR);
            assert!(shown[text.len()..].iter().all(|byte| *byte == 0));
            assert_eq!(shown_by_ps(), text);
        }
        assert_eq!(fs::read("/proc/self/environ").unwrap(), environment);
        // The heap still grows.
        assert_eq!(vec![1_u8; 100_000].len(), 100_000);
    }

    #[test]
    fn other_threads_prevent_it() {
        assert_eq!(ProcessTitle::init(100).placement(), Placement::Nowhere);
        ProcessTitle::nowhere().set("has no effect");
    }

    #[test]
    fn over_arguments_titles_are_cut() {
        let mut arguments = *b"tuskd\0-D\0/data\0";
        let mut map = MemoryMap::read().unwrap();
        map.arg_start = arguments.as_mut_ptr().expose_provenance() as u64;
        map.arg_end = map.arg_start + arguments.len() as u64;
        let mut title = ProcessTitle::over_arguments(&map);
        assert_eq!(title.placement(), Placement::Arguments);
        title.set("tuskd: ann");
        // SAFETY: the array is alive; only `title` wrote to it, through its address.
        let shown = || unsafe { ptr::read_volatile(&raw const arguments) };
        assert_eq!(&shown(), b"tuskd: ann\0\0\0\0\0");
        title.set("tuskd: 12345é");
        assert_eq!(&shown(), b"tuskd: 12345\0\0\0");
    }

    #[test]
    fn names_with_parentheses_are_skipped() {
        let mut stat = "1 (a) (b) S".to_owned();
        for number in 4..=52 {
            stat += &format!(" {number}");
        }
        let map = MemoryMap::parse(&stat).unwrap();
        assert_eq!((map.start_code, map.start_stack, map.arg_start), (26, 28, 48));
        assert_eq!(map.env_end, 51);
        assert!(MemoryMap::parse("1 (a) S 4").is_err());
    }
}
