//! The other side of the protocol, for tests, fuzzers and pg_isready: writing a frontend's messages and reading a
//! backend's.

mod decode;
mod encode;
pub mod transcript;

pub use decode::{BackendMessage, Column, Fields, next_message};
pub use encode::FrontendEncoder;
