//! Pages on disk and in memory: relations' files, and the buffer pool that all processes share.
//!
//! It knows nothing of what pages are for: tables, indexes and maps are built above. The log stands beside it, and is known
//! here as a [`LogBarrier`] only: no page is written before the log is durable up to the page's LSN. `README.md` beside this
//! file has the definitions, the invariants and the order of locks.

pub mod buffer;
#[cfg(not(model))]
pub(crate) mod errors;
#[cfg(not(model))]
pub mod files;
pub mod ids;
#[cfg(not(model))]
pub mod page;
#[cfg(not(model))]
mod session;

#[cfg(not(model))]
pub use self::{
    buffer::{BufferPool, BufferRing, ExclusivePage, PinnedBuffer, ReadOptions, RingKind, SharedPage},
    files::{FileSettings, RelationFiles},
    ids::{BlockNumber, BufferTag, Fork, PAGE_SIZE, RelFile, RelFork},
    page::{PageBuf, PageError, PageMut, PageRef},
    session::{BufferUsage, LogBarrier, NoLog, StorageSession},
};
