//! From a connection's first byte to its last: startup packets, authentication, limits, ends.

mod client;
pub mod ends;
pub mod limits;
pub mod packets;
pub mod reuse;
