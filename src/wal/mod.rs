//! The write-ahead log: insertion by any number of processes at once, flushes that overlap or gather, segments, reading.
//!
//! It knows nothing of what its records mean: resource managers are numbers, contents are bytes, blocks are names.
//! `README.md` beside this file has the definitions, the invariants and what is assumed of the disk.

mod flights;
pub mod lsn;
mod reserve;

#[cfg(not(model))]
pub mod archive_status;
#[cfg(not(model))]
pub mod block;
#[cfg(not(model))]
pub mod decode;
#[cfg(not(model))]
pub mod dump;
#[cfg(not(model))]
pub mod flush;
#[cfg(not(model))]
mod log;
#[cfg(not(model))]
pub mod own;
#[cfg(not(model))]
pub mod probe;
#[cfg(not(model))]
mod queue;
#[cfg(not(model))]
pub mod reader;
#[cfg(not(model))]
pub mod record;
#[cfg(not(model))]
pub mod segments;
#[cfg(not(model))]
mod session;
#[cfg(not(model))]
pub mod sink;
#[cfg(not(model))]
mod sink_io;
#[cfg(not(model))]
pub mod statistics;

#[cfg(not(model))]
pub use archive_status::ArchiveStatus;
#[cfg(not(model))]
pub use block::Incarnation;
#[cfg(not(model))]
pub use decode::Record;
pub use flights::Failure;
#[cfg(not(model))]
pub use flush::FlushSettings;
#[cfg(not(model))]
pub use log::{Beginning, MIN_RING, Wal};
pub use lsn::{Lsn, SegmentNumber, Timeline};
#[cfg(not(model))]
pub use queue::RecordQueue;
#[cfg(not(model))]
pub use reader::{BadBlock, Stop, StopReason, WalReader};
#[cfg(not(model))]
pub use record::{BlockFlags, BlockTag, Image, RecordBuilder, RmgrId};
pub use reserve::Epoch;
#[cfg(not(model))]
pub use session::{Inserted, Place, Room, WalSession};
#[cfg(not(model))]
pub use sink::{FileSink, Sink, SyncMethod};
#[cfg(not(model))]
pub use statistics::WalStatistics;

#[cfg(all(test, not(model)))]
mod tests;
