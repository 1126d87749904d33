//! Linux, one file per kernel interface. The only home of raw system calls.
//!
//! Nothing here knows what tuskd does with it: no locks, no kinds of process, no SQL. Each file that
//! needs `unsafe` says so in its own `# Safety` paragraph.

// Points in time of `CLOCK_MONOTONIC`, which every deadline here is given in.
pub mod clock;
// The program's own code on huge pages, so that children inherit it whole.
pub mod code;
// Hints to the processor's cache.
pub mod cpu;
// Users, and becoming another.
pub mod credentials;
// Readiness of descriptors, for where there is no ring.
pub mod epoll;
// A counter behind a descriptor, to wake a process that sleeps in epoll.
pub mod eventfd;
// Files whose writes and syncs somebody may want to see, or to fail.
pub mod file;
// Sleeping on a word of memory and waking the sleepers; shared between processes by default.
pub mod futex;
// Memory with a descriptor, sealed in size, and what the kernel says of its huge pages.
pub mod memfd;
// Mappings shared with the processes forked later.
pub mod mmap;
// Processes held by descriptor, and how they ended.
pub mod pidfd;
// A pipe whose hang-up tells that a process and all its I/O are gone.
pub mod pipe;
// Fork, and what a process sets for itself.
pub mod process;
// What `ps` shows as a process's command line.
pub mod proctitle;
// Telling systemd how the server is.
pub mod sd_notify;
// Shell commands that settings name.
pub mod shell;
// Masks, handlers, and signals read from a descriptor.
pub mod signal;
// Sockets, without waiting for them.
pub mod socket;
// Small readers of /proc and /sys.
pub mod sysinfo;
// io_uring as tuskd uses it: one ring per process, entered once per round trip.
pub mod uring;
