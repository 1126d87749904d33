//! What a session's transaction has of the store: nothing, until it needs an id or a lock.
//!
//! Most transactions only read views and settings. So nothing is made for a session before its first statement that needs
//! the store, and a transaction begins there only then, with the savepoints that are open by that time. What is made stays
//! for the session's life.

use super::super::context::ProcessContext;
use super::super::store::{flush_settings, sync_method};
use super::waiting::StatementWaiter;
use crate::access::StoreSession;
use crate::access::relation_files::TransactionFiles;
use crate::catalog::requests::{DropBehavior, ObjectAddress};
use crate::catalog::schema::PG_NAMESPACE;
use crate::catalog::{Catalog, Cx, Waiter};
use crate::config;
use crate::report::{Report, Result, Severity, SqlState};
use crate::sql::host::TransactionEvent;
use crate::sql::tables::{Access, OpenTables, StoreWork, TYPE_SUPPORT};
use crate::sync::Monotonic;
use crate::txn::prepared::Finisher;
use crate::txn::serializable::Granularity;
use crate::txn::session::{CommitOptions, Isolation};
use crate::wal::{FileSink, Lsn, SyncMethod};

/// See the module.
pub struct Work<'s> {
    database: u32,
    role: u32,
    store: Option<Box<StoreWork<'s, 's>>>,
    /// The store's transaction has begun.
    has_begun: bool,
    /// Levels of the transaction: 0 outside, 1 within, more with savepoints.
    depth: u32,
    /// Where commits that nobody waited for end.
    unflushed: Option<Lsn>,
    /// Of the settings that the store was last told of, and how they have it flush.
    told: Option<(u64, SyncMethod)>,
}

impl<'s> Work<'s> {
    /// Of a session in this database, as this role.
    pub fn new(database: u32, role: u32) -> Self {
        Self { database, role, store: None, has_begun: false, depth: 0, unflushed: None, told: None }
    }

    /// Depth of the innermost level, for the locks taken there.
    pub fn depth(&self) -> u32 {
        self.depth
    }

    /// The database.
    pub fn database(&self) -> u32 {
        self.database
    }

    /// The store's session, if this one has needed it.
    pub fn session(&mut self) -> Option<&mut StoreSession<'s, 's>> {
        self.store.as_deref_mut().map(|store| &mut *store.session)
    }

    /// The store's session, if its transaction has begun.
    pub fn begun(&mut self) -> Option<&mut StoreSession<'s, 's>> {
        let has_begun = self.has_begun;
        self.session().filter(|_| has_begun)
    }

    /// Does something to tables and catalog, in a transaction that is begun if need be.
    pub fn with_tables(
        &mut self,
        ctx: &mut ProcessContext<'s>,
        (statement, transaction): (Option<Monotonic>, Option<Monotonic>),
        work: &mut dyn FnMut(&mut Access<'_, '_, '_>) -> Result<()>,
    ) -> Result<()> {
        self.begin(ctx);
        let role = self.role;
        let Some(store) = self.store.as_deref_mut() else { return Ok(()) };
        let mut waiter = StatementWaiter::new(ctx, statement, transaction);
        let waiter: &mut dyn Waiter = &mut waiter;
        let StoreWork { session, files, catalog, command, open } = store;
        work(&mut Access { cx: Cx { session, files, catalog, command, waiter, role }, open })
    }

    /// Settings may have changed since the store was made.
    fn tell_settings(&mut self, ctx: &ProcessContext<'s>) {
        let generation = ctx.settings.generation();
        if self.told.is_some_and(|(told, _)| told == generation) {
            return;
        }
        let method = sync_method(ctx.settings, ctx.server.fastest_sync);
        ctx.kept_store().log.with(|log| {
            log.set_settings(flush_settings(ctx.settings));
            if self.told.is_some_and(|(_, told)| told != method) {
                if method == SyncMethod::IoUringDsync {
                    let text = "no ring for flushing the write-ahead log in a session that began without one, open_datasync is used";
                    ctx.log(&Report::new(Severity::Debug1, SqlState::SUCCESSFUL_COMPLETION, text));
                }
                log.set_sink(Box::new(FileSink::new(method, None)));
            }
        });
        self.told = Some((generation, method));
    }

    /// The store's session with its transaction begun.
    pub fn begin(&mut self, ctx: &ProcessContext<'s>) -> &mut StoreSession<'s, 's> {
        self.tell_settings(ctx);
        let database = self.database;
        let store = self.store.get_or_insert_with(|| {
            let store = ctx.kept_store();
            let session = Box::new(StoreSession::new(store, database, granularity(ctx)));
            let catalog = Catalog::new(database, TYPE_SUPPORT, store.engine.invalidations);
            let (files, open) = (TransactionFiles::default(), OpenTables::default());
            Box::new(StoreWork { session, files, catalog, command: 0, open })
        });
        let session = &mut *store.session;
        if !std::mem::replace(&mut self.has_begun, true) {
            let read_only = ctx.settings.get(config::TRANSACTION_READ_ONLY);
            session.transaction.begin(isolation(ctx), read_only);
            store.command = 0;
            for _ in 1..self.depth {
                session.transaction.savepoint();
            }
        }
        session
    }

    /// Commits what the store knows of the transaction.
    ///
    /// # Errors
    /// It is to be rolled back; but for a PANIC, behind which nothing is known.
    pub fn commit(&mut self, ctx: &ProcessContext<'s>, now: i64) -> Result<()> {
        let Some(store) = self.store.as_deref_mut().filter(|_| self.has_begun) else { return Ok(()) };
        let StoreWork { session, files, catalog, .. } = store;
        let mut actions = Vec::new();
        files.add_to(&mut actions);
        // Without standbys everything but `off` means the own disk; files must not go before their transaction is durable.
        let synchronous = ctx.settings.get(config::SYNCHRONOUS_COMMIT) != "off" || !actions.is_empty();
        let options = CommitOptions { synchronous, time: now, actions };
        let commit = session.transaction.commit(options)?;
        self.has_begun = false;
        let removed = files.committed(session.store);
        log_leftovers(ctx, Ok(catalog.committed(session.store)));
        log_leftovers(ctx, removed);
        session.locks.release_transaction(ctx.me);
        if let (Some(end), false) = (commit, synchronous) {
            self.unflushed = Some(Lsn::new(end.bytes()));
        }
        Ok(())
    }

    /// Prepares the transaction under a name; the session has none behind this.
    ///
    /// # Errors
    /// It is to be rolled back.
    pub fn prepare(&mut self, ctx: &ProcessContext<'s>, gid: &str, by: Finisher, now: i64) -> Result<()> {
        // Others would have to hear of them when it is committed, by whoever does that.
        if self.store.as_deref().is_some_and(|store| store.catalog.has_changes()) {
            return Err(Report::not_supported(
                "PREPARE TRANSACTION behind changes of definitions is not supported",
            ));
        }
        // Even one that has done nothing has an id then.
        self.begin(ctx);
        let Some(store) = self.store.as_deref_mut() else { return Ok(()) };
        let session = &mut *store.session;
        let prepared = session.store.engine.prepared;
        session.transaction.prepare(&prepared, &mut session.locks, (gid, by, now), Vec::new())?;
        self.has_begun = false;
        Ok(())
    }

    /// The transaction or a savepoint begins or ends; commits were made before this. What a rollback complains of.
    pub fn event(&mut self, ctx: &ProcessContext<'s>, event: TransactionEvent, now: i64) -> Result<()> {
        let depth = self.depth;
        match event {
            TransactionEvent::Begin => self.depth = 1,
            TransactionEvent::BeginNested => self.depth += 1,
            TransactionEvent::CommitNested | TransactionEvent::AbortNested => self.depth -= 1,
            TransactionEvent::Commit | TransactionEvent::Abort => self.depth = 0,
        }
        let Some(store) = self.store.as_deref_mut().filter(|_| self.has_begun) else { return Ok(()) };
        let StoreWork { session, files, catalog, .. } = store;
        match event {
            TransactionEvent::Begin => {}
            TransactionEvent::BeginNested => drop(session.transaction.savepoint()),
            TransactionEvent::CommitNested => {
                session.transaction.release_savepoint();
                files.savepoint_released(depth);
                session.locks.commit_level(depth);
            }
            TransactionEvent::AbortNested => {
                let aborted = session.transaction.abort_savepoint();
                log_leftovers(ctx, files.savepoint_aborted(session.store, depth));
                catalog.savepoint_aborted();
                session.locks.abort_level(ctx.me, depth);
                return aborted;
            }
            TransactionEvent::Commit | TransactionEvent::Abort => {
                self.has_begun = false;
                let aborted = session.transaction.abort(now);
                log_leftovers(ctx, files.aborted(session.store));
                catalog.aborted();
                session.locks.release_transaction(ctx.me);
                return aborted;
            }
        }
        Ok(())
    }

    /// Drops the session's temporary tables.
    fn drop_temporary(&mut self, ctx: &mut ProcessContext<'s>, now: i64) -> Result<()> {
        let Some(schema) = self.store.as_deref().and_then(|store| store.catalog.temporary_schema()) else {
            return Ok(());
        };
        self.with_tables(ctx, (None, None), &mut |access| {
            // It may have been rolled back.
            if access.cx.schema_name(schema)?.is_some() {
                let schema = ObjectAddress::of(PG_NAMESPACE, schema);
                access.cx.drop_objects(&[schema], DropBehavior::Cascade)?;
            }
            Ok(())
        })?;
        self.commit(ctx, now)
    }

    /// The session is over: what is open is rolled back, every lock given back, and what was committed made durable.
    pub fn end(&mut self, ctx: &mut ProcessContext<'s>, now: i64) {
        let ended = self.event(ctx, TransactionEvent::Abort, now);
        let dropped = self.drop_temporary(ctx, now).inspect_err(|_| {
            let _ = self.event(ctx, TransactionEvent::Abort, now);
        });
        let Some(mut store) = self.store.take() else { return };
        store.session.locks.release_all(ctx.me);
        let flushed = self.unflushed.map_or(Ok(()), |end| store.session.store.log.make_durable(end));
        for report in [ended, dropped, flushed].into_iter().filter_map(std::result::Result::err) {
            ctx.log(&report);
        }
    }
}

/// Files that could not be removed take room, and nothing else.
fn log_leftovers(ctx: &ProcessContext<'_>, removed: Result<Vec<Report>>) {
    match removed {
        Ok(warnings) => warnings.iter().for_each(|warning| ctx.log(warning)),
        Err(report) => ctx.log(&Report { severity: Severity::Warning, ..*report }),
    }
}

/// A rollback that could not be written down is one all the same. A PANIC stays one: it is not known what is on disk.
pub fn log_rollback(ctx: &ProcessContext<'_>, result: Result<()>) {
    if let Err(mut report) = result {
        if report.severity < Severity::Panic {
            report.severity = Severity::Warning;
        }
        ctx.log(&report);
    }
}

fn isolation(ctx: &ProcessContext<'_>) -> Isolation {
    match ctx.settings.get(config::TRANSACTION_ISOLATION) {
        "serializable" => Isolation::Serializable,
        "repeatable read" => Isolation::RepeatableRead,
        _ => Isolation::ReadCommitted,
    }
}

/// When single reads of serializable transactions are remembered as reads of more.
fn granularity(ctx: &ProcessContext<'_>) -> Granularity {
    let per_relation = ctx.settings.get(config::MAX_PRED_LOCKS_PER_RELATION);
    let per_transaction = ctx.settings.get(config::MAX_PRED_LOCKS_PER_TRANSACTION);
    // Negative: the transaction's divided by that.
    let reads = if per_relation < 0 { per_transaction / -per_relation - 1 } else { per_relation };
    Granularity {
        tuples_per_page: ctx.settings.get(config::MAX_PRED_LOCKS_PER_PAGE) as u32,
        reads_per_relation: reads.max(0) as u32,
    }
}
