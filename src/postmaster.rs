//! The postmaster: the parent of every process of the server.
//!
//! It makes shared memory, forks whoever is wanted, and learns of their ends; it takes no lock that a crashed child could
//! hold, and follows nothing found in shared memory beyond single words, so that no child can take it along. One thread,
//! one epoll: a signalfd, an eventfd that children write, the listening sockets while no spare backend polls them, and two
//! descriptors per child, its pidfd and its hang-up pipe.
//!
//! `state` is the pure table of what follows from what; `server_loop` performs it.

pub mod children;
pub mod listen;
pub mod lock_files;
pub mod options_file;
pub mod state;

mod background_workers;
mod launch;
mod log_pipe;
mod server_loop;
mod start;

pub use start::{Options, run};
