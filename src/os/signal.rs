//! Signals: masks, dispositions, handlers, and a descriptor to read them from.
//!
//! The postmaster blocks what it handles and reads it from a [`SignalFd`] beside its other events; the
//! other processes install handlers that set bits and wake their latch. A forked child inherits mask
//! and dispositions, so it sets its own before it unblocks anything.
//!
//! # Safety
//!
//! libc's signal calls read and write structs of their own, all of which live on the stack here and are
//! filled in whole. What runs inside a handler is the caller's promise; see [`install_handler`].
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::io;
use std::mem::{self, MaybeUninit};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::{null, null_mut};

use bytemuck::{Pod, Zeroable};
use rustix::io::Errno;
use rustix::process::Pid;

/// A signal by name, such as `Signal::TERM`.
pub use rustix::process::Signal;

/// Signals, as a mask has them.
#[derive(Clone, Copy)]
pub struct SignalSet(libc::sigset_t);

impl SignalSet {
    /// The set without any signal.
    pub fn empty() -> Self {
        let mut set = MaybeUninit::uninit();
        // SAFETY: sigemptyset fills in the whole set, and fails on no address that is valid.
        unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            Self(set.assume_init())
        }
    }

    /// The set of all signals except those that libc keeps for itself.
    pub fn all() -> Self {
        let mut set = MaybeUninit::uninit();
        // SAFETY: sigfillset fills in the whole set, and fails on no address that is valid.
        unsafe {
            libc::sigfillset(set.as_mut_ptr());
            Self(set.assume_init())
        }
    }

    /// This set and `signal`.
    #[must_use]
    pub fn with(mut self, signal: Signal) -> Self {
        // SAFETY: the set is initialised and ours; a `Signal` is a number sigaddset knows.
        unsafe { libc::sigaddset(&mut self.0, signal.as_raw()) };
        self
    }

    /// This set without `signal`.
    #[must_use]
    pub fn without(mut self, signal: Signal) -> Self {
        // SAFETY: the set is initialised and ours; a `Signal` is a number sigdelset knows.
        unsafe { libc::sigdelset(&mut self.0, signal.as_raw()) };
        self
    }

    /// As system calls take it: its first eight bytes are the kernel's set.
    pub(super) fn as_ptr(&self) -> *const libc::sigset_t {
        &self.0
    }

    /// Whether `signal` is in the set.
    pub fn contains(&self, signal: Signal) -> bool {
        // SAFETY: the set is initialised.
        unsafe { libc::sigismember(&self.0, signal.as_raw()) == 1 }
    }
}

impl<const N: usize> From<[Signal; N]> for SignalSet {
    fn from(signals: [Signal; N]) -> Self {
        signals.into_iter().fold(Self::empty(), Self::with)
    }
}

/// Blocks the signals of `set` besides those blocked already. Returns the mask before.
pub fn block(set: &SignalSet) -> SignalSet {
    change_mask(libc::SIG_BLOCK, set)
}

/// Unblocks the signals of `set`; pending ones arrive before this returns. Returns the mask before.
pub fn unblock(set: &SignalSet) -> SignalSet {
    change_mask(libc::SIG_UNBLOCK, set)
}

/// Blocks the signals of `set` and no others. Returns the mask before.
pub fn set_mask(set: &SignalSet) -> SignalSet {
    change_mask(libc::SIG_SETMASK, set)
}

fn change_mask(how: c_int, set: &SignalSet) -> SignalSet {
    let mut before = SignalSet::empty();
    // SAFETY: both sets are initialised; the call changes the calling thread only.
    let errno = unsafe { libc::pthread_sigmask(how, &set.0, &mut before.0) };
    assert_eq!(errno, 0, "pthread_sigmask fails for an unknown `how` only");
    before
}

/// Makes the kernel discard `signal`. Ignoring `Signal::CHILD` also discards the children's exit
/// statuses. Fails with `InvalidInput` for `KILL` and `STOP`.
pub fn ignore(signal: Signal) -> io::Result<()> {
    // SAFETY: SIG_IGN runs none of our code.
    unsafe { set_action(signal, libc::SIG_IGN, 0) }
}

/// Gives `signal` its default effect back. Fails with `InvalidInput` for `KILL` and `STOP`.
pub fn default(signal: Signal) -> io::Result<()> {
    // SAFETY: SIG_DFL runs none of our code.
    unsafe { set_action(signal, libc::SIG_DFL, 0) }
}

/// Runs `handler` on `signal`. System calls it lands in are restarted, waits on futexes among them (see
/// [`futex`](super::futex)), so that a handler which wants the process to wake has to wake it. Fails with
/// `InvalidInput` for `KILL` and `STOP`.
///
/// # Safety
///
/// `handler` may run between any two instructions of the process. It does only what is async-signal-safe:
/// atomic operations on memory that lives on, and system calls; no allocation, no lock, no panic.
pub unsafe fn install_handler(signal: Signal, handler: extern "C" fn(c_int)) -> io::Result<()> {
    // SAFETY: passed on to the caller.
    unsafe { set_action(signal, handler as *const () as usize, libc::SA_RESTART) }
}

/// Like [`install_handler`], but system calls the signal lands in end with `Interrupted`.
///
/// # Safety
///
/// As for [`install_handler`].
pub unsafe fn install_interrupting_handler(signal: Signal, handler: extern "C" fn(c_int)) -> io::Result<()> {
    // SAFETY: passed on to the caller.
    unsafe { set_action(signal, handler as *const () as usize, 0) }
}

/// Prepares the calling thread for sleeps that [`wake_thread`] ends: blocks the signal that it sends, and has a handler for
/// it that does nothing. The mask to sleep with ([`Epoll::wait_with`](super::epoll::Epoll::wait_with)): the present one,
/// which lets that signal in. Nobody but a sleep lets it in, so one that comes before the sleep is not lost.
pub fn prepare_wakeable() -> io::Result<SignalSet> {
    extern "C" fn nothing(_signal: c_int) {}
    // SAFETY: the handler does nothing.
    unsafe { install_handler(Signal::URG, nothing) }?;
    Ok(block(&SignalSet::from([Signal::URG])).without(Signal::URG))
}

/// The calling thread, as [`wake_thread`] takes it.
pub fn this_thread() -> u32 {
    rustix::thread::gettid().as_raw_nonzero().get().cast_unsigned()
}

/// Ends the sleep of a thread of this or another process that is prepared for it, or its next. Async-signal-safe. A thread
/// that is gone, or not ours to signal, is passed over; one that is not prepared ignores it.
pub fn wake_thread(thread: u32) {
    // SAFETY: the call takes two numbers.
    preserving_errno(|| unsafe { libc::syscall(libc::SYS_tkill, thread, libc::SIGURG) });
}

/// Runs `f`, the body of a handler, so that the code it lands in finds its errno unchanged.
pub fn preserving_errno<R>(f: impl FnOnce() -> R) -> R {
    // SAFETY: the address is that of this thread's errno, which lives as long as the thread.
    let errno = unsafe { *libc::__errno_location() };
    let result = f();
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
    result
}

/// Has `signal` end the process at once with this exit code: no destructor, no handler of exits, nothing written.
pub fn exit_on<const CODE: i32>(signal: Signal) -> io::Result<()> {
    extern "C" fn leave<const CODE: i32>(_signal: c_int) {
        super::process::exit_now(CODE)
    }
    // SAFETY: `_exit` is async-signal-safe.
    unsafe { install_handler(signal, leave::<CODE>) }
}

/// For a handler: sends a message without waiting if at most `most_queued` bytes wait in the socket's queue. Nothing is
/// told about the outcome, and errno is not kept: it is for a handler that ends the process.
pub fn send_in_handler(socket: c_int, message: &[u8], most_queued: usize) {
    let mut queued: c_int = 0;
    // SAFETY: TIOCOUTQ writes one int, ours. Both calls are async-signal-safe, and fail on a descriptor that is no socket.
    unsafe {
        if libc::ioctl(socket, libc::TIOCOUTQ, &mut queued) == 0 && (queued as usize) <= most_queued {
            libc::send(
                socket,
                message.as_ptr().cast(),
                message.len(),
                libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
            );
        }
    }
}

/// # Safety
///
/// `action` is SIG_IGN, SIG_DFL, or an `extern "C" fn(c_int)` that is async-signal-safe.
unsafe fn set_action(signal: Signal, action: usize, flags: c_int) -> io::Result<()> {
    // SAFETY: all fields of a sigaction may be zero: no flags, no restorer, an empty mask.
    let mut request: libc::sigaction = unsafe { mem::zeroed() };
    request.sa_sigaction = action;
    request.sa_flags = flags;
    request.sa_mask = SignalSet::empty().0;
    // SAFETY: the struct is filled in; without SA_SIGINFO the kernel calls the action with one number.
    match unsafe { libc::sigaction(signal.as_raw(), &request, null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Whether `signal` was sent to this process or thread while blocked and has not been taken yet.
pub fn is_pending(signal: Signal) -> bool {
    let mut pending = SignalSet::empty();
    // SAFETY: the set is ours; sigpending fails on no address that is valid.
    unsafe { libc::sigpending(&mut pending.0) };
    pending.contains(signal)
}

/// One signal, taken from a [`SignalFd`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SignalInfo {
    /// Which signal. Several of the same kind may have become one.
    pub signal: Signal,
    /// Who sent it (the child, for `CHILD`); `None` for the kernel or for another pid namespace.
    pub sender_pid: Option<Pid>,
    /// The sender's real user id.
    pub sender_uid: u32,
    /// The kernel's `si_code`: 0 for `kill`, positive when the kernel sent it.
    pub code: i32,
}

/// A descriptor that is readable while one of its signals is pending; non-blocking, closed on exec.
/// A child that inherits it reads its own signals from it.
#[derive(Debug)]
pub struct SignalFd(OwnedFd);

/// Makes a descriptor for the signals of `set`, which must be blocked, or else they act as usual.
pub fn signalfd(set: &SignalSet) -> io::Result<SignalFd> {
    let flags = libc::SFD_NONBLOCK | libc::SFD_CLOEXEC;
    // SAFETY: the set is initialised; -1 asks for a new descriptor.
    let fd = unsafe { libc::signalfd(-1, &set.0, flags) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new and nobody else's.
    Ok(SignalFd(unsafe { OwnedFd::from_raw_fd(fd) }))
}

impl SignalFd {
    /// Takes one pending signal, if there is any. Call it until it returns `None`. Signals without a name
    /// (the realtime ones, which tuskd gives no meaning) are taken and passed over.
    pub fn read(&self) -> io::Result<Option<SignalInfo>> {
        let mut raw = RawInfo::zeroed();
        loop {
            match rustix::io::read(&self.0, bytemuck::bytes_of_mut(&mut raw)) {
                Ok(read) if read == size_of::<RawInfo>() => {}
                Ok(read) => return Err(io::Error::other(format!("signalfd gave {read} bytes"))),
                Err(Errno::AGAIN) => return Ok(None),
                Err(errno) => return Err(errno.into()),
            }
            if let Some(info) = raw.to_info() {
                return Ok(Some(info));
            }
        }
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The beginning of the kernel's `struct signalfd_siginfo`, and its 128 bytes.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct RawInfo {
    signal: u32,
    errno: i32,
    code: i32,
    pid: u32,
    uid: u32,
    rest: [u32; 27],
}

const _: () = assert!(size_of::<RawInfo>() == size_of::<libc::signalfd_siginfo>());
const _: () = assert!(size_of::<RawInfo>() == 128);

impl RawInfo {
    fn to_info(self) -> Option<SignalInfo> {
        Some(SignalInfo {
            signal: Signal::from_named_raw(self.signal as i32)?,
            sender_pid: Pid::from_raw(self.pid as i32),
            sender_uid: self.uid,
            code: self.code,
        })
    }
}

/// What a signal does now, for messages and tests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Disposition {
    /// Its default effect.
    Default,
    /// Nothing.
    Ignored,
    /// A handler runs.
    Handled,
}

/// Looks up what `signal` does.
pub fn disposition(signal: Signal) -> Disposition {
    // SAFETY: all fields of a sigaction may be zero.
    let mut current: libc::sigaction = unsafe { mem::zeroed() };
    // SAFETY: a null request changes nothing; the result goes to a struct of ours.
    unsafe { libc::sigaction(signal.as_raw(), null(), &mut current) };
    match current.sa_sigaction {
        libc::SIG_DFL => Disposition::Default,
        libc::SIG_IGN => Disposition::Ignored,
        _ => Disposition::Handled,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_hold_what_was_put_in() {
        let set = SignalSet::from([Signal::TERM, Signal::CHILD]);
        assert!(set.contains(Signal::TERM));
        assert!(!set.contains(Signal::HUP));
        assert!(!set.without(Signal::TERM).contains(Signal::TERM));
        assert!(SignalSet::all().contains(Signal::HUP));
    }

    /// To the calling thread, so that no other thread of the test program can take it.
    fn raise(signal: Signal) {
        // SAFETY: raise has no requirements; the tests block or handle the signal first.
        assert_eq!(unsafe { libc::raise(signal.as_raw()) }, 0);
    }

    #[test]
    fn a_blocked_signal_is_read_from_the_descriptor() {
        let set = SignalSet::from([Signal::USR1]);
        let before = block(&set);
        let fd = signalfd(&set).unwrap();
        assert_eq!(fd.read().unwrap(), None);
        raise(Signal::USR1);
        assert!(is_pending(Signal::USR1));
        let info = fd.read().unwrap().unwrap();
        assert_eq!(info.signal, Signal::USR1);
        assert_eq!(info.sender_pid, Some(rustix::process::getpid()));
        assert_eq!(fd.read().unwrap(), None);
        set_mask(&before);
    }

    #[test]
    fn realtime_signals_are_passed_over() {
        let before = set_mask(&SignalSet::all());
        let fd = signalfd(&SignalSet::all()).unwrap();
        // SAFETY: raise has no requirements, and the signal is blocked.
        assert_eq!(unsafe { libc::raise(libc::SIGRTMIN() + 1) }, 0);
        raise(Signal::HUP);
        assert_eq!(fd.read().unwrap().unwrap().signal, Signal::HUP);
        assert_eq!(fd.read().unwrap(), None);
        set_mask(&before);
    }

    extern "C" fn nothing(_signal: c_int) {}

    #[test]
    fn handlers_come_and_go() {
        let usr2 = SignalSet::from([Signal::USR2]);
        // SAFETY: the handler does nothing.
        unsafe { install_handler(Signal::USR2, nothing) }.unwrap();
        assert_eq!(disposition(Signal::USR2), Disposition::Handled);
        let before = block(&usr2);
        raise(Signal::USR2);
        assert!(is_pending(Signal::USR2));
        // By default this signal would end the test program here.
        unblock(&usr2);
        assert!(!is_pending(Signal::USR2));
        set_mask(&before);
        ignore(Signal::USR2).unwrap();
        assert_eq!(disposition(Signal::USR2), Disposition::Ignored);
        raise(Signal::USR2);
        // SAFETY: as above.
        unsafe { install_interrupting_handler(Signal::USR2, nothing) }.unwrap();
        raise(Signal::USR2);
        default(Signal::USR2).unwrap();
        assert_eq!(disposition(Signal::USR2), Disposition::Default);
        assert_eq!(ignore(Signal::KILL).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
