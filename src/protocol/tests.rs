//! Properties of the whole codec: both sides understand each other however the stream is cut, and garbage only ever makes
//! errors.

mod backend;
mod frontend;
mod garbage;
