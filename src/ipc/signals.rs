//! Signals that raise interrupts: `kill -INT` does to a process what [`Proc::interrupt`] does.
//!
//! A handler takes no argument, so it finds the process's slot through the one static of the runtime. It may land between
//! any two instructions of the process, also inside a sleep, and a sleep that it lands in may go on: it is restarted
//! (futexes), or its end is hidden (a ring that has just submitted). So it sets the own latch *and wakes*, as another
//! process would: the bit keeps a sleep from beginning, the wake-up ends one that has begun.
//!
//! The handlers stay installed when [`with_handlers`] is over, and do nothing then: a process on its last steps is not to
//! be ended by SIGTERM's default effect.
//!
//! # Safety
//!
//! The static points at a `Target` on the stack of [`with_handlers`], which takes it back before it returns, by unwinding
//! too, and waits for handlers that are running in other threads. What the target refers to outlives that frame. The
//! handler itself makes no allocation, takes no lock and does not panic.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::io;
use std::ptr::null_mut;
use std::sync::atomic::AtomicPtr;

use shmem_layout::ProcessSlot;

use super::interrupts::Interrupts;
use super::last_words::LastWords;
use super::latch::Latch;
use super::proc::Proc;
use crate::os::process::{self, Pid};
use crate::os::signal::{self, Signal};
use crate::sync::{AtomicU32, Ordering, fence, yield_now};

/// Highest signal number and one.
const SIGNALS: usize = 65;

/// Where handlers find the current process; null: nowhere.
static CURRENT: AtomicPtr<Target<'static>> = AtomicPtr::new(null_mut());

/// Handlers that may be using the target.
static RUNNING: AtomicU32 = AtomicU32::new(0);

/// What a handler needs.
struct Target<'s> {
    slot: &'s ProcessSlot,
    /// Offset of the own latch's word, for `waking_in_handler`.
    latch_offset: u64,
    /// A child between fork and exec still has the handlers, and must not raise its parent's interrupts.
    pid: Pid,
    interrupts: [Interrupts; SIGNALS],
    /// What SIGQUIT says to the client.
    last_words: &'s LastWords<'s>,
}

/// Runs `f`, which is to be the rest of the process's life, with each signal of `map` raising its interrupts in the
/// process's own slot. The signals need not be unblocked yet. Fails with `AlreadyExists` inside of itself, and with
/// `InvalidInput` for `KILL` and `STOP`.
pub fn with_handlers<R>(me: &Proc<'_>, map: &[(Signal, Interrupts)], f: impl FnOnce() -> R) -> io::Result<R> {
    run_with(me, map, &LastWords::none(), f)
}

/// [`with_handlers`], and SIGQUIT ends the process at once with exit code 2, as PostgreSQL's processes leave on it: no
/// destructor, no handler of exits. Before, it says `last_words` to the client, if there is one.
pub fn with_handlers_and_quit<R>(
    me: &Proc<'_>,
    map: &[(Signal, Interrupts)],
    last_words: &LastWords<'_>,
    f: impl FnOnce() -> R,
) -> io::Result<R> {
    run_with(me, map, last_words, || {
        // SAFETY: see the module.
        unsafe { signal::install_handler(Signal::QUIT, quit) }?;
        Ok(f())
    })?
}

fn run_with<R>(
    me: &Proc<'_>,
    map: &[(Signal, Interrupts)],
    last_words: &LastWords<'_>,
    f: impl FnOnce() -> R,
) -> io::Result<R> {
    let mut interrupts = [Interrupts::NONE; SIGNALS];
    for (signal, raised) in map {
        interrupts[signal.as_raw() as usize] = *raised;
    }
    let target = Target {
        slot: me.slot(),
        latch_offset: me.offset_of(me.latch().word()).bytes(),
        pid: process::pid(),
        interrupts,
        last_words,
    };
    let _published = Published::new(&target)?;
    for (signal, _) in map {
        // SAFETY: see the module.
        unsafe { signal::install_handler(*signal, handler) }?;
    }
    Ok(f())
}

/// Takes the static back when dropped.
struct Published;

impl Published {
    fn new(target: &Target<'_>) -> io::Result<Self> {
        let wanted = std::ptr::from_ref(target).cast_mut().cast();
        RUNNING.fetch_add(1, Ordering::SeqCst);
        let before = CURRENT.load(Ordering::SeqCst);
        // SAFETY: counted like a handler, so the target is there: this process's, or a copy of the parent's if this one was
        // forked inside of `with_handlers`.
        let is_taken = unsafe { before.as_ref() }.is_some_and(|target| target.pid == process::pid());
        RUNNING.fetch_sub(1, Ordering::SeqCst);
        let swap = || CURRENT.compare_exchange(before, wanted, Ordering::SeqCst, Ordering::SeqCst);
        if is_taken || swap().is_err() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        Ok(Self)
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        CURRENT.store(null_mut(), Ordering::SeqCst);
        // A handler counts itself before it looks, so either it finds nothing or it is waited for. Those of this thread
        // are through already.
        while RUNNING.load(Ordering::SeqCst) != 0 {
            yield_now();
        }
    }
}

extern "C" fn handler(signal: c_int) {
    signal::preserving_errno(|| {
        RUNNING.fetch_add(1, Ordering::SeqCst);
        // SAFETY: the target is there as long as this handler is counted, see `Published`.
        if let Some(target) = unsafe { CURRENT.load(Ordering::SeqCst).as_ref() } {
            target.raise(signal as usize);
        }
        RUNNING.fetch_sub(1, Ordering::SeqCst);
    });
}

extern "C" fn quit(_signal: c_int) {
    // SAFETY: this thread never goes on, and it is the process's only one, so the target stays.
    if let Some(target) = unsafe { CURRENT.load(Ordering::SeqCst).as_ref() }
        && process::pid() == target.pid
    {
        target.last_words.say();
    }
    process::exit_now(2)
}

impl Target<'_> {
    fn raise(&self, signal: usize) {
        let Some(interrupts) = self.interrupts.get(signal) else { return };
        if process::pid() != self.pid {
            return;
        }
        self.slot.interrupts.fetch_or(interrupts.bits(), Ordering::Release);
        let latch = Latch::of(self.slot);
        // Handlers interrupt each other; the word is the same for all, so the inner one gives back what it found.
        let note = &self.slot.waking_in_handler;
        let before = note.swap(self.latch_offset, Ordering::Relaxed);
        fence(Ordering::Release);
        latch.set();
        note.store(before, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::ipc::slots::SlotTable;
    use crate::ipc::wait_set::IoMethod;
    use crate::ipc::{Ipc, WaitEvent, WaitSet};
    use crate::shmem::{HugePages, Plan, Segment};
    use crate::sync::Monotonic;

    /// Signals that are ignored by default, so that one that comes late does no harm.
    const MAP: [(Signal, Interrupts); 2] =
        [(Signal::WINCH, Interrupts::CANCEL), (Signal::CONT, Interrupts::RELOAD)];

    /// Sends a signal to this process, of which any thread may take it, until it is seen or some time is over.
    fn kill(signal: Signal) {
        rustix::process::kill_process(process::pid(), signal).unwrap();
    }

    /// One test, as there is one static: the bits arrive, sleeps of all kinds end, and the handler goes.
    #[test]
    fn signals_become_interrupts() {
        let plan = Plan::new(&Ipc::region_specs(8)).unwrap();
        let segment = Segment::create(&plan, HugePages::Off, None).unwrap();
        let ipc = Ipc::open(&segment).unwrap();
        let me = ipc.proc(SlotTable::new(ipc.slots()).claim(1).unwrap());
        with_handlers(&me, &MAP, || {
            kill(Signal::WINCH);
            while me.pending_interrupts() != Interrupts::CANCEL {
                yield_now();
            }
            assert!(
                matches!(with_handlers(&me, &MAP, || ()), Err(e) if e.kind() == io::ErrorKind::AlreadyExists)
            );
            kill(Signal::CONT);
            while !me.pending_interrupts().contains(Interrupts::RELOAD) {
                yield_now();
            }
            let all = Interrupts::CANCEL | Interrupts::RELOAD;
            assert_eq!(me.take_interrupts(Interrupts::ALL), all);
            me.latch().wait(&me, None, WaitEvent::LATCH).unwrap();
            // The handler may still be between the bits and the latch.
            while me.slot().waking_in_handler.load(Ordering::SeqCst) != 0 {
                yield_now();
            }
            me.latch().reset();
            ends_sleeps(&me);
        })
        .unwrap();
        let before = me.latch().is_set();
        kill(Signal::WINCH);
        thread::sleep(Duration::from_millis(5));
        assert_eq!((me.pending_interrupts(), me.latch().is_set()), (Interrupts::NONE, before));
        with_handlers(&me, &[(Signal::KILL, Interrupts::CANCEL)], || ()).unwrap_err();
        with_handlers(&me, &MAP, || ()).unwrap();
    }

    fn ends_sleeps(me: &Proc<'_>) {
        let deadline = || Some(Monotonic::now().saturating_add(Duration::from_secs(10)));
        let signal_in_a_while = || {
            thread::sleep(Duration::from_millis(5));
            kill(Signal::WINCH);
        };
        let take = || {
            me.latch().reset();
            me.take_interrupts(Interrupts::ALL)
        };
        for method in [IoMethod::Auto, IoMethod::Sync] {
            let mut set = WaitSet::new(me, method.choose().unwrap(), None).unwrap();
            for _ in 0..10 {
                thread::scope(|scope| {
                    scope.spawn(signal_in_a_while);
                    let wakeup = set.wait(me, &[], deadline(), WaitEvent::LATCH).unwrap();
                    assert!(wakeup.latch_set && !wakeup.timed_out);
                });
                assert_eq!(take(), Interrupts::CANCEL);
            }
        }
        thread::scope(|scope| {
            scope.spawn(signal_in_a_while);
            me.latch().wait(me, deadline(), WaitEvent::LATCH).unwrap();
        });
        assert_eq!(take(), Interrupts::CANCEL);
    }
}
