//! Sessions against a host that is none.

mod extended;
mod golden;
mod mock;
mod views;
