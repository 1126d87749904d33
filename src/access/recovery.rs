//! Making everything again that the log says, in order: pages by their resource managers, transactions' ends in the map,
//! and the numbers that were given out.
//!
//! Ids that have no end in the log are rolled back by definition: the map says nothing of them, or names a slot that has
//! nobody in it.

use std::collections::BTreeMap;

use super::checkpoint_record::{CheckPoint, NEXT_OID};
use super::engine::Store;
use super::redo::Redo;
use super::rmgr::{ResourceManagers, TRANSACTION};
use super::shared_log::to_txn;
use crate::report::{Report, Result, SqlState};
use crate::storage::StorageSession;
use crate::sync::Ordering::SeqCst;
use crate::txn::log::RecordKind;
use crate::txn::prepared::PreparedState;
use crate::txn::record::EndRecord;
use crate::txn::xid::State;
use crate::txn::{self, StateMap, Xid};
use crate::wal::{Lsn, Record, RmgrId};

/// Recovery, between two records.
pub struct Recovery<'t, 's> {
    store: &'t Store<'s>,
    redo: Redo<'t, 's>,
    managers: ResourceManagers<'t>,
    next_xid: u64,
    last_end: Option<i64>,
    last_record: Lsn,
    changes: u64,
    prepared: BTreeMap<Xid, PreparedState>,
}

impl<'t, 's> Recovery<'t, 's> {
    /// From what a checkpoint knew. Nobody else uses the store's numbers yet.
    pub fn new(store: &'t Store<'s>, managers: ResourceManagers<'t>, checkpoint: &CheckPoint) -> Self {
        let engine = store.engine;
        let next_xid = checkpoint.next_xid.max(Xid::FIRST.number());
        engine.words.start_at(Xid::new(next_xid).unwrap_or(Xid::FIRST));
        engine.words.set_map_bounds(checkpoint.narrow_below, checkpoint.cut_below);
        engine.checkpoints.set_next_oid(checkpoint.next_oid);
        engine.checkpoints.next_lockers().store(checkpoint.next_lockers, SeqCst);
        engine.checkpoints.oldest_lockers().store(checkpoint.oldest_lockers, SeqCst);
        engine.wal.set_recovering();
        Self {
            store,
            redo: Redo::new(&store.storage, managers),
            managers,
            next_xid,
            last_end: None,
            last_record: checkpoint.redo,
            changes: 0,
            prepared: BTreeMap::new(),
        }
    }

    /// The pages.
    pub fn storage(&self) -> &'t StorageSession<'s> {
        self.redo.storage()
    }

    /// A transaction that a checkpoint knew to be prepared.
    pub fn add_prepared(&mut self, state: PreparedState) {
        self.note_xid(state.xid.number());
        self.prepared.insert(state.xid, state);
    }

    /// Makes what a record says.
    ///
    /// # Errors
    /// XX001 for what makes no sense; whatever reading and writing pages may end with.
    pub fn replay(&mut self, record: &Record<'_>) -> Result<()> {
        self.last_record = record.start;
        self.note_xid(record.xid());
        match record.rmgr() {
            RmgrId::WAL => self.own(record),
            TRANSACTION => self.transaction(record),
            _ => {
                self.changes += 1;
                self.redo.replay(record)
            }
        }
        .map_err(|mut report| {
            let context = format!("WAL redo at {} for {}", record.start, self.name_of(record));
            report.context = Some(match report.context.take() {
                Some(inner) => format!("{inner}\n{context}"),
                None => context,
            });
            report
        })
    }

    fn name_of(&self, record: &Record<'_>) -> String {
        match self.managers.of(record) {
            Ok(manager) => format!("{}/{}", manager.name(), manager.kind(record.info()).unwrap_or("UNKNOWN")),
            Err(_) => format!("resource manager {}", record.rmgr().0),
        }
    }

    fn note_xid(&mut self, xid: u64) {
        self.next_xid = self.next_xid.max(xid + 1);
    }

    fn own(&mut self, record: &Record<'_>) -> Result<()> {
        let checkpoints = self.store.engine.checkpoints;
        if record.info() == NEXT_OID {
            self.changes += 1;
            let oid = record.main().first_chunk().map(|oid| u32::from_le_bytes(*oid));
            let malformed = || Report::error(SqlState::DATA_CORRUPTED, "invalid record of the next OID");
            checkpoints.set_next_oid(oid.ok_or_else(malformed)?);
        } else if let Some(checkpoint) = CheckPoint::of(record)? {
            self.next_xid = self.next_xid.max(checkpoint.next_xid);
            checkpoints.set_next_oid(checkpoint.next_oid);
            checkpoints.next_lockers().fetch_max(checkpoint.next_lockers, SeqCst);
            checkpoints.oldest_lockers().fetch_max(checkpoint.oldest_lockers, SeqCst);
        }
        Ok(())
    }

    fn transaction(&mut self, record: &Record<'_>) -> Result<()> {
        self.changes += 1;
        match RecordKind::from_number(record.info()) {
            Some(RecordKind::Commit | RecordKind::CommitPrepared) => self.end(record, true),
            Some(RecordKind::Abort | RecordKind::AbortPrepared) => self.end(record, false),
            Some(RecordKind::Prepare) => {
                self.add_prepared(PreparedState::decode(record.main())?);
                Ok(())
            }
            Some(RecordKind::Lockers) | None => Err(self.redo.malformed(record)),
        }
    }

    fn end(&mut self, record: &Record<'_>, is_commit: bool) -> Result<()> {
        let EndRecord { xid, time, children, actions } = EndRecord::decode(record.main())?;
        children.iter().chain([&xid]).for_each(|id| self.note_xid(id.number()));
        self.prepared.remove(&xid);
        if time != EndRecord::NO_TIME {
            self.last_end = Some(time);
        }
        let lsn = if is_commit { to_txn(record.end) } else { txn::Lsn::INVALID };
        let state = if is_commit { State::Committed(lsn) } else { State::Aborted };
        let transactions = &self.store.transactions;
        transactions.stamp_children(&children, state, lsn)?;
        transactions.map().store(xid, state, lsn)?;
        self.redo.made().ended(&self.redo, children.into_iter().chain([xid]), is_commit)?;
        self.managers.transaction_ended(&self.redo, &actions, is_commit)
    }

    /// Where the last record that was replayed begins.
    pub fn last_record(&self) -> Lsn {
        self.last_record
    }

    /// Records that were not the log's own: 0 if nothing had happened.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// When the last transaction ended, in microseconds since 2000-01-01.
    pub fn last_end(&self) -> Option<i64> {
        self.last_end
    }

    /// All records are replayed: everybody may go on from here once the log has begun. Those who were prepared are again.
    ///
    /// # Errors
    /// XX001 if pages were missing that nothing explains; what prepared transactions may not have room for.
    pub fn finish(self) -> Result<()> {
        let is_prepared =
            |xid| self.prepared.values().any(|state| state.xid == xid || state.children.contains(&xid));
        self.redo.made().remove_leftovers(&self.redo, is_prepared)?;
        self.redo.missing().check()?;
        let engine = self.store.engine;
        engine.words.start_at(Xid::new(self.next_xid).unwrap_or(Xid::MAX));
        for state in self.prepared.values() {
            // One that has ended has a file that was not removed yet.
            let transactions = &self.store.transactions;
            if matches!(transactions.map().load(state.xid)?, State::Unknown | State::Running(_)) {
                transactions.restore_prepared(&engine.prepared, state)?;
            }
        }
        Ok(())
    }
}
