//! What runs in each of the postmaster's children: one list of kinds, one context, one file per kind.

pub mod access;
pub mod activity;
pub mod archiver;
pub mod autovacuum;
pub mod background_worker;
pub mod cancel_keys;
pub mod connections;
pub mod context;
pub mod kinds;
pub mod logger;
pub mod server;
pub mod settings;
pub mod spare_count;
pub mod store;
pub mod title;
pub mod workers;

mod backend;
mod background_writer;
mod checkpointer;
mod connection;
mod metrics;
mod shared_text;
mod spare;
mod startup;
mod statistics;
mod wal_writer;

pub use backend::{quit_messages, serve_accepted};
pub use context::ProcessContext;
pub use kinds::Kind;
pub use spare::accept;
