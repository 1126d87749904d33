//! tuskd's library: the process runtime, in layer order. Each module may use those above it, never those below.
//!
//! The runtime (`shmem_layout`, `os`, `shmem`, `ipc`) knows nothing of SQL and can carry another server.
#![deny(unsafe_code)]

// Linux: one file per kernel interface.
#[cfg(not(model))]
pub mod os;

// Atomics and futexes, the real ones or the model checker's.
pub mod sync;

// What happened, as PostgreSQL's clients and logs know it: severity, SQLSTATE, message and the fields around them.
#[cfg(not(model))]
pub mod report;

// The shared memory segment and typed references into it.
#[cfg(not(model))]
pub mod shmem;

// Waiting, waking, and cleaning up after a death.
pub mod ipc;

// The server log: its formats, the pipe to the logger, and the logger's files.
#[cfg(not(model))]
pub mod log;

// Prometheus's text format.
#[cfg(not(model))]
pub mod metrics;

// PostgreSQL's frontend/backend protocol and TLS as pure codecs: bytes in, bytes out.
#[cfg(not(model))]
pub mod protocol;

// Settings: their table, their files, and what a session makes of them.
#[cfg(not(model))]
pub mod config;

// Who a client is: pg_hba.conf, pg_ident.conf, passwords, roles.
#[cfg(not(model))]
pub mod auth;

// The write-ahead log: insertion, flushing, segments, reading.
pub mod wal;
// Transactions: heavyweight locks, ids and their states, snapshots, serializability, two-phase commit.
pub mod txn;

// Pages: relations' files and the buffer pool.
pub mod storage;

// Rows on durable pages: changes and their records, redo, the access methods.
#[cfg(not(model))]
pub mod access;

// The system catalogs, and what sessions know of relations by them.
#[cfg(not(model))]
pub mod catalog;

// Statements: parsing, analysis, plans, execution, types, functions, and a session's prepared statements and portals.
#[cfg(not(model))]
pub mod sql;

// A demonstration, until there is a server to start.
#[cfg(not(model))]
pub mod demo;

// What runs in each child.
#[cfg(not(model))]
pub mod process;

// The parent of every process: states, launching, listening, stopping.
#[cfg(not(model))]
pub mod postmaster;

// The command line: running, starting, stopping, looking at and preparing servers, under tuskd's and PostgreSQL's names.
#[cfg(not(model))]
pub mod control;
