//! What all processes share of the store, and what each has of its own.
//!
//! An [`Engine`] is made once from the segment and inherited; it has no state of a process. A [`Store`] is a process's way
//! to log, pages and transactions' states; what it gives out borrows from it. A [`StoreSession`] is who runs transactions
//! through a store, one at a time.

use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;

use super::checkpoints::{Checkpoints, NoCheckpointer, Request};
use super::invalidations::Invalidations;
use super::map_files::MapFiles;
use super::shared_log::SharedLog;
use super::wal_writer::WalWriterBell;
use crate::ipc::Proc;
use crate::os::file::Files;
use crate::os::uring::Ring;
use crate::shmem::{RegionSpec, Segment, SegmentError};
use crate::storage::StorageSession;
use crate::storage::buffer::BufferPool;
use crate::storage::files::FileSettings;
use crate::txn::locks::regions::LockTableSize;
use crate::txn::locks::{LockSession, Locks, OwnerIndex};
use crate::txn::map::{MapFrames, PagedMap};
use crate::txn::prepared::PreparedTransactions;
use crate::txn::regions::TransactionsSize;
use crate::txn::serializable::{Granularity, SerialTables};
use crate::txn::session::TransactionSession;
use crate::txn::{TransactionWords, Transactions};
use crate::wal::{FileSink, FlushSettings, SyncMethod, Wal, WalSession};

/// Folder of the log, in the data directory.
pub const LOG_FOLDER: &str = "pg_wal";

/// How large the shared parts are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EngineSize {
    /// Process slots.
    pub processes: usize,
    /// `max_prepared_transactions`.
    pub prepared: usize,
    /// `shared_buffers`, in pages.
    pub buffers: usize,
    /// `wal_buffers`, in bytes.
    pub wal_buffers: usize,
    /// `transaction_buffers`, in pages.
    pub map_pages: usize,
    /// `max_locks_per_transaction`.
    pub locks_per_transaction: usize,
    /// `max_pred_locks_per_transaction`.
    pub reads_per_transaction: usize,
}

/// The shared parts.
pub struct Engine<'s> {
    /// The log.
    pub wal: Wal<'s>,
    /// The pages.
    pub pool: BufferPool<'s>,
    /// The transactions' words.
    pub words: TransactionWords<'s>,
    /// The transaction map's frames.
    pub frames: MapFrames<'s>,
    /// The lock table.
    pub locks: Locks<'s>,
    /// Serializable transactions.
    pub serial: SerialTables<'s>,
    /// Prepared transactions.
    pub prepared: PreparedTransactions<'s>,
    /// Checkpoints asked for and done, and the numbers that they keep.
    pub checkpoints: Checkpoints<'s>,
    /// The WAL writer, to be woken.
    pub wal_writer: WalWriterBell<'s>,
    /// What sessions are told of changed definitions.
    pub invalidations: Invalidations<'s>,
    data_directory: PathBuf,
    files: Files,
}

impl<'s> Engine<'s> {
    /// What the plan of a segment must hold.
    pub fn region_specs(size: EngineSize) -> Vec<RegionSpec> {
        let EngineSize { processes, prepared, locks_per_transaction, .. } = size;
        let owners = processes + prepared;
        let parts = [
            Wal::region_specs(processes, size.wal_buffers),
            BufferPool::region_specs(size.buffers, processes),
            TransactionWords::region_specs(TransactionsSize { owners, map_pages: size.map_pages }),
            Locks::region_specs(LockTableSize { processes, prepared, locks_per_transaction }),
            SerialTables::region_specs(owners, size.reads_per_transaction),
            PreparedTransactions::region_specs(prepared),
            Checkpoints::region_specs(),
            WalWriterBell::region_specs(),
            Invalidations::region_specs(),
        ];
        parts.into_iter().flatten().collect()
    }

    /// Finds the regions of a segment that was planned with [`Self::region_specs`]. `data_directory` may be empty: the
    /// working directory.
    pub fn open(segment: &'s Segment, data_directory: PathBuf, files: Files) -> Result<Self, SegmentError> {
        let (words, frames) = TransactionWords::open(segment)?;
        let locks = Locks::open(segment)?;
        Ok(Self {
            wal: Wal::open(segment, &data_directory.join(LOG_FOLDER), files.clone())?,
            pool: BufferPool::open(segment)?,
            words,
            frames,
            locks,
            serial: SerialTables::open(segment)?,
            prepared: PreparedTransactions::open(segment, locks)?,
            checkpoints: Checkpoints::open(segment)?,
            wal_writer: WalWriterBell::open(segment)?,
            invalidations: Invalidations::open(segment)?,
            data_directory,
            files,
        })
    }

    /// The way to files: watched in tests.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// The data directory; empty: the working directory.
    pub fn data_directory(&self) -> &std::path::Path {
        &self.data_directory
    }
}

/// How a process uses the store.
#[derive(Clone)]
pub struct StoreSettings {
    /// How it makes the log durable.
    pub sync_method: SyncMethod,
    /// When it does.
    pub flush: FlushSettings,
    /// The way to files: watched in tests.
    pub files: Files,
    /// Descriptors that it may keep open for relations' files.
    pub max_open: usize,
    /// Blocks of a file's segment; other than the default in tests only.
    pub segment_blocks: u32,
}

/// The map, as a process has it.
pub type Map<'s> = PagedMap<'s, 's, MapFiles<'s>>;

/// One process's way to log, pages and transactions' states.
pub struct Store<'s> {
    /// The shared parts.
    pub engine: &'s Engine<'s>,
    /// The process.
    pub me: &'s Proc<'s>,
    /// The log.
    pub log: SharedLog<'s>,
    /// The pages.
    pub storage: StorageSession<'s>,
    /// The transactions' states.
    pub transactions: Transactions<'s, 's, Map<'s>>,
    missed_checkpoint: Rc<Cell<bool>>,
}

/// Who makes the log longer asks for a checkpoint when it has become long.
fn asks_for_checkpoints<'s>(
    engine: &'s Engine<'s>,
    me: &'s Proc<'s>,
    missed: Rc<Cell<bool>>,
) -> impl Fn() + 's {
    move || {
        let (wal, checkpoints) = (&engine.wal, engine.checkpoints);
        if checkpoints.is_running() && checkpoints.is_wal_volume_reached(wal.inserted(), wal.redo()) {
            missed.set(checkpoints.ask(me, Request::CAUSE_WAL).is_err());
        }
    }
}

impl<'s> Store<'s> {
    /// The way of the process `me`.
    pub fn new(engine: &'s Engine<'s>, me: &'s Proc<'s>, settings: &StoreSettings) -> Self {
        Self::with_ring(engine, me, settings, None)
    }

    /// The same; the log is flushed by a ring that has the process's lifeline among its fixed files.
    pub fn with_ring(
        engine: &'s Engine<'s>,
        me: &'s Proc<'s>,
        settings: &StoreSettings,
        ring: Option<Ring>,
    ) -> Self {
        let sink = Box::new(FileSink::new(settings.sync_method, ring));
        let mut session = WalSession::new(&engine.wal, me, sink, settings.flush);
        let missed = Rc::new(Cell::new(false));
        session.on_segment(asks_for_checkpoints(engine, me, missed.clone()));
        let log = SharedLog::new(me, session).with_bell(engine.wal_writer).with_transactions(engine.words);
        let file_settings = FileSettings {
            data_directory: engine.data_directory.clone(),
            files: settings.files.clone(),
            max_open: settings.max_open,
            segment_blocks: settings.segment_blocks,
        };
        let storage = StorageSession::new(&engine.pool, me, Box::new(log.clone()), file_settings);
        let map_files = MapFiles::new(&engine.data_directory, settings.files.clone(), log.clone());
        let map = PagedMap::new(me, engine.words, engine.frames, map_files);
        let transactions = Transactions::new(me, engine.words, map);
        Self { engine, me, log, storage, transactions, missed_checkpoint: missed }
    }

    /// Whether a checkpoint was due, because of the log's length, and there was nobody to be asked for it, since this was
    /// asked last: the session logs that with its statement.
    pub fn take_missed_checkpoint(&self) -> Option<NoCheckpointer> {
        self.missed_checkpoint.replace(false).then_some(NoCheckpointer)
    }

    /// Makes durable what was committed without waiting: a session does so before it ends, as there may be no WAL writer.
    ///
    /// # Errors
    /// PANIC if the log is broken.
    pub fn flush_commits(&self) -> crate::report::Result<()> {
        let acknowledged = self.engine.words.visible(&self.log);
        self.log.make_durable(super::shared_log::to_wal(acknowledged))
    }
}

/// Who runs transactions through a store.
pub struct StoreSession<'t, 's> {
    /// Its way to pages.
    pub store: &'t Store<'s>,
    /// Its transaction.
    pub transaction: TransactionSession<'t, 's, 's, Map<'s>, SharedLog<'s>>,
    /// Its locks.
    pub locks: LockSession<'s>,
}

impl<'t, 's> StoreSession<'t, 's> {
    /// In this database.
    pub fn new(store: &'t Store<'s>, database: u32, granularity: Granularity) -> Self {
        let serial = (store.engine.serial, granularity);
        Self {
            store,
            transaction: TransactionSession::new(&store.transactions, store.log.clone(), serial),
            locks: LockSession::new(store.engine.locks, store.me, database),
        }
    }

    /// Whose locks and transactions these are.
    pub fn owner(&self) -> OwnerIndex {
        self.locks.owner()
    }
}
