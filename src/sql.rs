//! Statements: from a query string to rows, for the session that a process holds.
//!
//! A statement goes down these steps, each of which knows only the one before it:
//! [`parse`](self) reads it, `analyze` finds out what its names and types mean, `plan` lays out nodes, `execute` pulls
//! rows through them, and [`session`] drives all four as the protocol's messages ask. What lies outside the session
//! (signals, settings, clocks, shared memory) is asked of a [`host::Host`].
//!
//! Absent on purpose: the wire's bytes (`protocol` makes them from rows and [`types::encode`]), and processes.

mod analyze;
mod execute;
mod functions;
pub mod host;
mod parse;
mod plan;
pub mod session;
pub mod store;
pub mod tables;
pub mod types;
pub mod views;

/// Does once what a process's first statement would do once, so that processes forked later inherit it: the parser learns
/// where the stack ends, which it reads from /proc.
pub fn warm_up() {
    let _ = parse::parse("SELECT 1");
}
