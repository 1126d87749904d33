//! tuskd's library: the process runtime, in layer order. Each module may use those above it, never those below.
//!
//! The runtime (`shmem_layout`, `os`, `shmem`, `ipc`) knows nothing of SQL and can carry another server.
#![deny(unsafe_code)]

/// Every raw system call: futexes, memfds, signals, pidfds, fork, rings, process titles.
#[cfg(not(model))]
pub mod os;

pub mod sync;

/// The shared memory segment: planned, made, sealed, mapped, attached to, handed out as typed references.
#[cfg(not(model))]
pub mod shmem;

pub mod ipc;

/// A demonstration of the runtime, until there is a server to start.
#[cfg(not(model))]
pub mod demo;
