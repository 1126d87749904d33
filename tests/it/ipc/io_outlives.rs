//! I/O outlives its process: a killed writer's ring goes on reading from shared memory after the process was reaped. First
//! the hazard itself, then the protocol against it: the ledger names the buffer, and until the hang-up nobody changes it.
//!
//! # Safety
//! The buffer is memory of the segment, which lives as long as the test's process. It is written through raw pointers by
//! one process at a time, apart from the kernel, whose reading at the wrong time is what is shown.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::ptr::NonNull;

use io_uring::{opcode, types};
use shmem_layout::ResourceKind;
use tuskd::ipc::Proc;
use tuskd::ipc::hangup::{HangupWatch, Lifeline, hangup_pipe};
use tuskd::os::uring::{self, Ring};
use tuskd::sync::{Monotonic, Ordering};

use crate::harness::{Skip, Test, tests};
use crate::world::{Worker, World, soon};

/// The tests of this module.
pub const TESTS: &[Test] = tests![
    a_buffer_changed_after_the_reaping_reaches_the_file: 120,
    a_buffer_changed_after_the_hangup_does_not: 120,
    the_hangup_of_a_process_without_a_ring_is_its_death,
    an_orderly_exit_hangs_up_at_once,
];

/// Bytes of each write; many, so that some are still on their way when their process dies.
const WRITE: usize = 1 << 20;
const WRITES: usize = 64;
const ALIGN: usize = 4096;
const ROUNDS: usize = 15;
const OLD: u8 = b'A';
const NEW: u8 = b'B';

fn need_ring() -> Result<(), Skip> {
    let support = uring::probe();
    if support.is_full() { Ok(()) } else { Err(Skip(format!("io_uring: {support}"))) }
}

/// The buffer's part that is aligned for direct I/O.
fn buffer(world: World) -> NonNull<u8> {
    let bytes = world.ipc.segment().item("buffers", 1, 0).expect("the world has one");
    let start = bytes.cast::<u8>();
    let skip = start.as_ptr().align_offset(ALIGN);
    assert!(skip + WRITE * WRITES <= bytes.len());
    // SAFETY: within the item, as just checked.
    unsafe { start.add(skip) }
}

/// Fills the buffer, its end first, since the last writes are on their way longest.
fn fill(world: World, byte: u8) {
    for i in (0..WRITES).rev() {
        // SAFETY: the buffer has so many parts, and no other process writes them.
        unsafe { buffer(world).add(i * WRITE).as_ptr().write_bytes(byte, WRITE) };
    }
}

struct Scratch(PathBuf);

impl Scratch {
    /// A file that has its full length already: a direct write that makes a file longer is waited for by the file system,
    /// and then nothing is on its way when its process dies.
    fn new() -> Self {
        let name = format!("io-outlives-{}", std::process::id());
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&path, vec![OLD; WRITE * WRITES]).expect("the disk has room");
        File::open(&path).and_then(|f| f.sync_all()).expect("the disk works");
        Self(path)
    }

    fn open_direct(&self) -> Result<File, Skip> {
        let mut options = OpenOptions::new();
        options.write(true).custom_flags(libc::O_DIRECT);
        options.open(&self.0).map_err(|e| Skip(format!("no direct I/O on this file system: {e}")))
    }

    fn has(&self, byte: u8) -> bool {
        let mut bytes = Vec::new();
        File::open(&self.0).and_then(|mut f| f.read_to_end(&mut bytes)).expect("the file is there");
        bytes.contains(&byte)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Forks a writer that says so and submits all its writes; it never waits for them.
fn fork_writer(world: World, file: &File) -> (Worker, HangupWatch) {
    fork_with_pipe(world, |me, mut lifeline| {
        let buffer = buffer(world);
        // SAFETY: a reference to one byte of the segment, of which only the address is used.
        let first = unsafe { buffer.as_ref() };
        let registration = me.register(ResourceKind::Io, first).expect("the ledger is empty");
        registration.held();
        let mut ring = Ring::new(WRITES as u32).expect("probed");
        lifeline.register(&mut ring, None).expect("a new ring");
        for i in 0..WRITES {
            // SAFETY: within the buffer.
            let part = unsafe { buffer.add(i * WRITE) };
            let write = opcode::Write::new(types::Fd(file.as_raw_fd()), part.as_ptr(), WRITE as u32);
            // SAFETY: the buffer is shared memory, which outlives this process; that is the point.
            unsafe { ring.push(write.offset((i * WRITE) as u64).build()) }.expect("room for all");
        }
        world.number(0).store(1, Ordering::Release);
        ring.submit().expect("submitted");
        me.latch().wait(me, None, tuskd::ipc::WaitEvent::LATCH).expect("no deadline");
    })
}

fn fork_with_pipe(world: World, work: impl FnOnce(&Proc<'static>, Lifeline)) -> (Worker, HangupWatch) {
    let placeholder = shmem_layout::ProcessId::from_word(1).expect("slot 0");
    let (watch, lifeline) = hangup_pipe(placeholder).expect("a pipe");
    let mut lifeline = Some(lifeline);
    let worker = world.fork(|me| work(me, lifeline.take().expect("given once")));
    // The parent's copy would keep the pipe open.
    drop(lifeline);
    (worker, watch)
}

/// One round: a writer is killed in the middle, its buffer is changed at once or behind the hang-up. Whether the change
/// reached the file.
fn round(file: &Scratch, pause_us: u64, behind_hangup: bool) -> Result<bool, Skip> {
    let world = World::new();
    let me = world.join();
    fill(world, OLD);
    let (writer, watch) = fork_writer(world, &file.open_direct()?);
    while world.number(0).load(Ordering::Acquire) == 0 {
        std::thread::yield_now();
    }
    // Anywhere in the submitting, or a little behind it.
    std::thread::sleep(std::time::Duration::from_micros(pause_us));
    world.kill(&writer);
    let left = world.clean_up(&me, &writer).expect("outside critical sections");
    let offset = buffer(world).as_ptr() as usize - world.ipc.segment().base();
    assert_eq!(left.len(), 1, "the ledger names the buffer that is busy");
    assert_eq!((left[0].kind, left[0].offset.bytes()), (ResourceKind::Io, offset as u64));
    if behind_hangup {
        assert!(watch.wait_over(Some(soon(20))).expect("a pipe"));
    }
    fill(world, NEW);
    assert!(watch.wait_over(Some(soon(20))).expect("a pipe"));
    Ok(file.has(NEW))
}

fn a_buffer_changed_after_the_reaping_reaches_the_file() -> Result<(), Skip> {
    need_ring()?;
    let file = Scratch::new();
    for i in 1..=ROUNDS {
        if round(&file, 200 * i as u64, false)? {
            println!("the hazard showed in round {i}");
            return Ok(());
        }
    }
    Err(Skip(format!("this disk was too fast to show the hazard in {ROUNDS} rounds")))
}

fn a_buffer_changed_after_the_hangup_does_not() -> Result<(), Skip> {
    need_ring()?;
    let file = Scratch::new();
    for i in 1..=ROUNDS {
        assert!(!round(&file, 200 * i as u64, true)?, "round {i}: a write read the buffer after the hang-up");
    }
    Ok(())
}

fn the_hangup_of_a_process_without_a_ring_is_its_death() {
    let world = World::new();
    let (worker, watch) = fork_with_pipe(world, |me, _lifeline| {
        me.latch().wait(me, None, tuskd::ipc::WaitEvent::LATCH).expect("no deadline");
    });
    assert!(!watch.is_over().expect("a pipe"));
    world.kill(&worker);
    assert!(watch.wait_over(Some(soon(5))).expect("a pipe"));
}

fn an_orderly_exit_hangs_up_at_once() -> Result<(), Skip> {
    need_ring()?;
    let world = World::new();
    let (worker, watch) = fork_with_pipe(world, |_, mut lifeline| {
        let mut ring = Ring::new(8).expect("probed");
        lifeline.register(&mut ring, None).expect("a new ring");
        ring.unregister_files().expect("nothing is in flight");
    });
    world.reap(worker);
    let in_time = Monotonic::now().saturating_add(std::time::Duration::from_millis(15));
    assert!(watch.wait_over(Some(in_time)).expect("a pipe"), "a killed process takes 36 ms and more");
    let _ = watch.as_fd();
    Ok(())
}
