//! Resource managers: who understands which records.

use super::redo::Redo;
use crate::report::{Report, Result, SqlState};
use crate::wal::{Record, RmgrId};

/// Commits, aborts and prepared states; [`RecordKind`](crate::txn::log::RecordKind) is the info byte.
pub const TRANSACTION: RmgrId = RmgrId(1);
/// Relations' files: made, cut off.
pub const STORAGE: RmgrId = RmgrId(2);
/// Rows of heaps.
pub const HEAP: RmgrId = RmgrId(3);
/// What cleaning does to heaps' pages, and their maps.
pub const HEAP_CLEANUP: RmgrId = RmgrId(4);
/// B-trees.
pub const BTREE: RmgrId = RmgrId(5);
/// Rows' multi-locker ids.
pub const LOCKERS: RmgrId = RmgrId(6);
/// Whole pages, of whatever kind.
pub const PAGES: RmgrId = RmgrId(7);
/// Sequences. 8 is that of messages.
pub const SEQUENCE: RmgrId = RmgrId(9);
/// Copied pages.
pub const PAGE_IMAGES: RmgrId = RmgrId(10);

/// Makes records' changes again, and says what they are.
pub trait ResourceManager: Sync {
    /// Its number.
    fn id(&self) -> RmgrId;

    /// Its name, as `tuskd waldump` prints it.
    fn name(&self) -> &'static str;

    /// What a kind of record is called; `None`: there is no such kind.
    fn kind(&self, info: u8) -> Option<&'static str>;

    /// Makes the record's change again.
    ///
    /// # Errors
    /// XX001 for a record that makes no sense; whatever reading and writing pages may end with.
    fn redo(&self, redo: &Redo<'_, '_>, record: &Record<'_>) -> Result<()>;

    /// A transaction ended whose record asks for something: does the manager's part of it again. What is in `actions` is
    /// theirs who wrote it (`CommitOptions::actions`).
    ///
    /// # Errors
    /// The same.
    fn transaction_ended(&self, redo: &Redo<'_, '_>, actions: &[u8], is_commit: bool) -> Result<()> {
        let _ = (redo, actions, is_commit);
        Ok(())
    }
}

/// The managers that a server has.
#[derive(Clone, Copy)]
pub struct ResourceManagers<'m>(&'m [&'m dyn ResourceManager]);

impl<'m> ResourceManagers<'m> {
    /// These.
    ///
    /// # Panics
    /// If two have the same number.
    pub fn new(managers: &'m [&'m dyn ResourceManager]) -> Self {
        for (i, manager) in managers.iter().enumerate() {
            let is_twice = managers[..i].iter().any(|other| other.id() == manager.id());
            assert!(!is_twice, "two resource managers have the number {}", manager.id().0);
        }
        Self(managers)
    }

    /// Tells all of them that a transaction ended.
    ///
    /// # Errors
    /// As [`ResourceManager::transaction_ended`].
    pub fn transaction_ended(self, redo: &Redo<'_, '_>, actions: &[u8], is_commit: bool) -> Result<()> {
        if actions.is_empty() {
            return Ok(());
        }
        self.0.iter().try_for_each(|manager| manager.transaction_ended(redo, actions, is_commit))
    }

    /// All of them.
    pub fn iter(self) -> impl Iterator<Item = &'m dyn ResourceManager> {
        self.0.iter().copied()
    }

    /// The one whose record it is.
    ///
    /// # Errors
    /// XX001 if nobody knows it.
    pub fn of(self, record: &Record<'_>) -> Result<&'m dyn ResourceManager> {
        self.0.iter().copied().find(|manager| manager.id() == record.rmgr()).ok_or_else(|| {
            let message =
                format!("record at {} has unknown resource manager {}", record.start, record.rmgr().0);
            Report::error(SqlState::DATA_CORRUPTED, message)
        })
    }
}
