//! From a connection's first byte to its last: startup packets, authentication, limits, ends.

pub mod client;
pub mod differ;
pub mod ends;
pub mod limits;
pub mod moments;
pub mod packets;
pub mod reuse;
pub mod statements;
pub mod tcp;
