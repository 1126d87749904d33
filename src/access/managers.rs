//! The resource managers of a server: the one list.

use super::btree::BTreeRecords;
use super::checkpoint_record::{CHECKPOINT_ONLINE, CHECKPOINT_SHUTDOWN, NEXT_OID};
use super::heap::cleanup::CleanupRedo;
use super::heap::lockers::LockersRedo;
use super::heap::redo::HeapRedo;
use super::message::MessageManager;
use super::page_images::PageImagesRedo;
use super::redo::Redo;
use super::relation_files::StorageRedo;
use super::rmgr::{ResourceManager, ResourceManagers, TRANSACTION};
use super::sequence::SequenceRedo;
use crate::report::Result;
use crate::txn::log::RecordKind;
use crate::wal::{Record, RmgrId, own};

/// All of them. Access methods add theirs here.
static MANAGERS: [&dyn ResourceManager; 10] = [
    &LogManager,
    &TransactionManager,
    &MessageManager,
    &StorageRedo,
    &HeapRedo,
    &BTreeRecords,
    &CleanupRedo,
    &LockersRedo,
    &SequenceRedo,
    &PageImagesRedo,
];

/// All of them.
pub fn managers() -> ResourceManagers<'static> {
    ResourceManagers::new(&MANAGERS)
}

/// The log's own records, which change no page: what they say is recovery's business.
struct LogManager;

impl ResourceManager for LogManager {
    fn id(&self) -> RmgrId {
        RmgrId::WAL
    }

    fn name(&self) -> &'static str {
        "XLOG"
    }

    fn kind(&self, info: u8) -> Option<&'static str> {
        match info {
            own::INCARNATION => Some("INCARNATION"),
            own::REDO => Some("CHECKPOINT_REDO"),
            CHECKPOINT_SHUTDOWN => Some("CHECKPOINT_SHUTDOWN"),
            CHECKPOINT_ONLINE => Some("CHECKPOINT_ONLINE"),
            NEXT_OID => Some("NEXTOID"),
            _ => None,
        }
    }

    fn redo(&self, _: &Redo<'_, '_>, _: &Record<'_>) -> Result<()> {
        Ok(())
    }
}

/// Ends of transactions. Their states are stamped by recovery, which has the map.
struct TransactionManager;

impl ResourceManager for TransactionManager {
    fn id(&self) -> RmgrId {
        TRANSACTION
    }

    fn name(&self) -> &'static str {
        "Transaction"
    }

    fn kind(&self, info: u8) -> Option<&'static str> {
        Some(match RecordKind::from_number(info)? {
            RecordKind::Commit => "COMMIT",
            RecordKind::Abort => "ABORT",
            RecordKind::Prepare => "PREPARE",
            RecordKind::CommitPrepared => "COMMIT_PREPARED",
            RecordKind::AbortPrepared => "ABORT_PREPARED",
            RecordKind::Lockers => "LOCKERS",
        })
    }

    fn redo(&self, _: &Redo<'_, '_>, _: &Record<'_>) -> Result<()> {
        Ok(())
    }
}
