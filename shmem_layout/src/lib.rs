//! What lies in tuskd's shared memory: `repr(C)` types, ids, offsets, and the proofs of their layout.
//!
//! Nothing here runs: the algorithms over these words stand in `tuskd::ipc`. Two things are true of every type below:
//! zeroed memory is its initial state, and every bit pattern of it may be read without harm, because other processes,
//! also dying ones, write to it. Ids and offsets cross process boundaries, addresses never do.
//!
//! Architecture invariant: no `std`, no allocation, no system call, no pointer.
#![cfg_attr(not(model), no_std)]
#![deny(unsafe_code)]

#[macro_use]
pub mod reflect;

pub mod atomic;
pub mod control;
pub mod header;
pub mod ids;
pub mod ledger;
pub mod locks;
pub mod prepared;
pub mod primitives;
pub mod process_slot;
pub mod serializable;
pub mod stop_points;
pub mod storage;
pub mod transactions;
pub mod wait_stats;
pub mod wal;
pub mod workers;

pub use control::ControlBlock;
pub use header::{LAYOUT_VERSION, RegionEntry, SegmentHeader};
pub use ids::{Generation, Offset, ProcessId, SlotIndex};
pub use ledger::{EntryState, LedgerEntry, ResourceKind};
pub use locks::{LockBucket, LockEntry, LockHolder, LockOwner, LockPartition, LockShared};
pub use prepared::{PreparedShared, PreparedTransaction};
pub use primitives::{
    BarrierState, ConditionVariableWord, LatchWord, LwLockState, QueueHeader, SemaphoreState,
};
pub use process_slot::{Phase, ProcessSlot};
pub use reflect::{SharedStruct, StructLayout};
pub use serializable::{SerialRead, SerialShared, SerialTransaction};
pub use stop_points::StopPointWord;
pub use storage::{BufferBucket, BufferDescriptor, PaddedLock, StorageCounts, StorageShared, SyncEntry};
pub use transactions::{MapFrame, MapSet, TransactionShared, TransactionSlot};
pub use wait_stats::WaitEventStats;
pub use wal::{WalFlight, WalShared, WalSlot};
pub use workers::{AutovacuumBoard, AutovacuumPlace, WorkerSlot};

/// Every shared struct, in the order of the generated C header (a struct stands behind those it contains).
#[cfg(not(model))]
pub const ALL_STRUCTS: &[StructLayout] = &[
    RegionEntry::LAYOUT,
    SegmentHeader::LAYOUT,
    LatchWord::LAYOUT,
    ConditionVariableWord::LAYOUT,
    LwLockState::LAYOUT,
    SemaphoreState::LAYOUT,
    BarrierState::LAYOUT,
    QueueHeader::LAYOUT,
    ProcessSlot::LAYOUT,
    ControlBlock::LAYOUT,
    WaitEventStats::LAYOUT,
    StopPointWord::LAYOUT,
    WorkerSlot::LAYOUT,
    AutovacuumBoard::LAYOUT,
    AutovacuumPlace::LAYOUT,
    WalFlight::LAYOUT,
    WalShared::LAYOUT,
    WalSlot::LAYOUT,
    LockPartition::LAYOUT,
    LockShared::LAYOUT,
    LockBucket::LAYOUT,
    LockEntry::LAYOUT,
    LockHolder::LAYOUT,
    LockOwner::LAYOUT,
    TransactionShared::LAYOUT,
    TransactionSlot::LAYOUT,
    MapSet::LAYOUT,
    MapFrame::LAYOUT,
    BufferDescriptor::LAYOUT,
    BufferBucket::LAYOUT,
    PaddedLock::LAYOUT,
    StorageShared::LAYOUT,
    SyncEntry::LAYOUT,
    StorageCounts::LAYOUT,
    SerialShared::LAYOUT,
    SerialTransaction::LAYOUT,
    SerialRead::LAYOUT,
    PreparedShared::LAYOUT,
    PreparedTransaction::LAYOUT,
];
