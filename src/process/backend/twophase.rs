//! The backend as it ends prepared transactions, and shows them.

use super::host::{Backend, now};
use crate::access::{relation_files, twophase};
use crate::auth::roles::RolesFile;
use crate::report::{Report, Result, SqlState};
use crate::sql::types::{Datum, Row};
use crate::txn::Xid;
use crate::txn::locks::OwnerIndex;
use crate::txn::prepared::{Finish, Finisher, PreparedState};

impl Backend<'_, '_, '_> {
    /// This session, as those see it who may end a transaction.
    ///
    /// # Errors
    /// 42704 if its role was dropped.
    pub(super) fn finisher(&self) -> Result<Finisher> {
        let facts = &self.state.facts;
        let roles = self.roles()?;
        let role = roles.iter().find(|role| role.name == facts.user).ok_or_else(|| {
            Report::error(SqlState::UNDEFINED_OBJECT, format!("role \"{}\" does not exist", facts.user))
        })?;
        Ok(Finisher { role: role.oid, is_superuser: facts.superuser, database: self.state.work.database() })
    }

    /// Ends a prepared transaction, durably.
    pub(super) fn end_prepared(&mut self, gid: &str, is_commit: bool) -> Result<()> {
        let (finisher, me, engine) = (self.finisher()?, self.ctx.me, &self.ctx.server.engine);
        let worker = OwnerIndex::of_process(me.id().slot());
        let xid = engine.prepared.claim(me, worker, gid, finisher)?;
        let state = self.state_of(worker, xid).inspect_err(|_| engine.prepared.give_up(me, worker, xid))?;
        let store = self.ctx.kept_store();
        let how = if is_commit { Finish::Commit } else { Finish::Rollback };
        let mut log = store.log.clone();
        store.transactions.finish_prepared(&mut log, &engine.prepared, &state, how, now())?;
        // It has ended whatever comes of this: a file that is left takes room only.
        for report in relation_files::finish_prepared(store, &state.actions, is_commit)? {
            self.ctx.log(&report);
        }
        Ok(())
    }

    fn state_of(&self, worker: OwnerIndex, xid: Xid) -> Result<PreparedState> {
        let engine = &self.ctx.server.engine;
        let record = engine.prepared.record_of(self.ctx.me, worker, xid)?;
        twophase::read(engine, xid, record.map(crate::access::shared_log::to_wal))
    }

    /// `pg_prepared_xacts`.
    pub(super) fn prepared_rows(&self) -> Result<Vec<Row>> {
        let prepared = self.ctx.server.engine.prepared.rows(self.ctx.me);
        if prepared.is_empty() {
            return Ok(Vec::new());
        }
        let file = RolesFile::read(&self.ctx.server.data_dir)?;
        let role = |oid| {
            file.roles().iter().find(|role| role.oid == oid).map(|role| Datum::text(role.name.as_str()))
        };
        let database = |oid| {
            let named = file.databases().iter().find(|database| database.oid == oid);
            named.map(|database| Datum::text(&*database.name))
        };
        let row = |row: crate::txn::prepared::PreparedRow| {
            vec![
                Datum::Oid(row.xid.number() as u32),
                Datum::text(row.gid),
                Datum::Timestamptz(row.prepared),
                role(row.role).unwrap_or(Datum::Null),
                database(row.database).unwrap_or(Datum::Null),
            ]
        };
        Ok(prepared.into_iter().map(row).collect())
    }
}
