//! Rows written: `INSERT`, `UPDATE`, `DELETE`.

use std::sync::Arc;

use crate::access::Ctid;
use crate::access::heap::RowLock;
use crate::report::{Report, ReportExt, Result, SqlState};
use crate::sql::analyze::expr::Expr;
use crate::sql::plan::{self, ConflictAction, ModifyKind, OnConflict};
use crate::sql::tables::{CTID, RowBatch, SYSTEM_COLUMNS, TABLEOID, WriteConflict, tid, with_tables};
use crate::sql::types::{Datum, Row};
use crate::txn::Xid;

use super::constraints::{complete, duplicate};
use super::references::{self, note_delete, note_insert, note_update};
use super::updates::{address, newest, replace};
use super::{BoxNode, Context, Node, eval, start};

/// See the module.
pub struct Modify {
    plan: Arc<plan::Modify>,
    input: BoxNode,
    is_over: bool,
}

impl Modify {
    pub fn new(plan: Arc<plan::Modify>) -> Self {
        let input = start(&plan.input);
        Self { plan, input, is_over: false }
    }

    /// The same, of rows from elsewhere.
    pub fn with_input(plan: Arc<plan::Modify>, input: BoxNode) -> Self {
        Self { plan, input, is_over: false }
    }

    /// Writes what one row of the input asks for; the row that `RETURNING` sees, `None`: nothing was written.
    fn write(&self, row: Row, ctx: &mut Context<'_>) -> Result<Option<Row>> {
        match &self.plan.kind {
            ModifyKind::Insert { row: values, on_conflict } => {
                let mut made = Vec::with_capacity(values.len() + SYSTEM_COLUMNS.len());
                for value in values {
                    made.push(eval(value, &row, ctx)?);
                }
                self.insert(made, on_conflict.as_ref(), ctx)
            }
            ModifyKind::Update { at, set, recheck, changes_keys } => {
                self.update(row, (*at, set, *changes_keys), recheck.as_ref(), ctx)
            }
            ModifyKind::Delete { at, recheck } => self.delete(row, *at, recheck.as_ref(), ctx),
        }
    }

    fn insert(
        &self,
        mut row: Row,
        on_conflict: Option<&OnConflict>,
        ctx: &mut Context<'_>,
    ) -> Result<Option<Row>> {
        let plan = &self.plan;
        complete(&plan.relation, &mut row, &plan.generated, &plan.checks, ctx)?;
        loop {
            ctx.host.check_interrupts()?;
            if let Some(conflict) = on_conflict
                && let Some(other) = self.other_row(conflict, &row, ctx)?
            {
                match self.resolve(conflict, other, &row, ctx)? {
                    Resolved::Done(row) => return Ok(row),
                    Resolved::Gone => continue,
                }
            }
            let outcome = with_tables(ctx.host, |access| access.insert(&plan.relation, &row))?;
            match outcome {
                Ok(ctid) => {
                    note_insert(&plan.relation, &row, ctx);
                    return Ok(Some(self.with_system(row, ctid)));
                }
                Err(WriteConflict::Duplicate { index, .. }) => {
                    let is_arbiter = on_conflict.is_some_and(|conflict| conflict.indexes.contains(&index));
                    if !is_arbiter {
                        return Err(duplicate(&plan.relation, index, &row, &ctx.formats));
                    }
                }
                Err(conflict) => return Err(unexpected(&conflict)),
            }
        }
    }

    fn with_system(&self, mut row: Row, ctid: Ctid) -> Row {
        let own = self.plan.relation.columns.len();
        row.resize(own + SYSTEM_COLUMNS.len(), Datum::Null);
        row[own + CTID] = tid(ctid);
        row[own + TABLEOID] = Datum::Oid(self.plan.relation.oid);
        row
    }

    /// The row that has one of the arbiters' keys.
    fn other_row(&self, conflict: &OnConflict, row: &Row, ctx: &mut Context<'_>) -> Result<Option<Ctid>> {
        for index in &conflict.indexes {
            let found =
                with_tables(ctx.host, |access| access.find_duplicate(&self.plan.relation, *index, row))?;
            match found {
                Ok(None) => {}
                Ok(Some(other)) => return Ok(Some(other)),
                Err(conflict) => return Err(unexpected(&conflict)),
            }
        }
        Ok(None)
    }

    /// What happens instead of an insertion.
    fn resolve(
        &self,
        conflict: &OnConflict,
        mut other: Ctid,
        row: &Row,
        ctx: &mut Context<'_>,
    ) -> Result<Resolved> {
        let ConflictAction::Update { set, filter } = &conflict.action else {
            return Ok(Resolved::Done(None));
        };
        let relation = &self.plan.relation;
        let mut batch = RowBatch::default();
        let found = with_tables(ctx.host, |access| {
            let mut locked = access.lock_row(relation, other, RowLock::Update, true)?;
            access.fetch_version(relation, other, &mut batch)?;
            let shape = access.table(relation)?.shape.clone();
            let row = batch.next_row();
            // What this command has inserted it does not see. It was taken for a row that is gone, and looked for for ever.
            if let (Err(WriteConflict::Deleted), Some(row)) = (&locked, &row)
                && Xid::new(row.system.xmin).is_some_and(|xid| access.cx.session.transaction.is_own(xid))
            {
                locked = Err(WriteConflict::SelfModified { command: row.system.cmin });
            }
            let values = row.map(|row| row.values(&shape)).transpose()?;
            Ok((locked, values))
        })?;
        let old = match found {
            (Ok(()), Some(values)) => values,
            (Err(WriteConflict::SelfModified { .. }), _) => return Err(twice()),
            (Err(WriteConflict::Updated { next, by }), _) => {
                let lock = (RowLock::Update, true);
                match newest(relation, WriteConflict::Updated { next, by }, lock, ctx)? {
                    Some((ctid, values)) => {
                        other = ctid;
                        values
                    }
                    None => return Ok(Resolved::Gone),
                }
            }
            _ => return Ok(Resolved::Gone),
        };
        // The row that is there, then the one that was to be.
        let mut both = self.with_system(old.clone(), other);
        both.extend(self.with_system(row.clone(), other));
        if let Some(filter) = filter
            && eval(filter, &both, ctx)? != Datum::Bool(true)
        {
            return Ok(Resolved::Done(None));
        }
        let new = self.assigned(&old, set, &both, ctx)?;
        match with_tables(ctx.host, |access| access.update(relation, other, &new, true))? {
            Ok(ctid) => {
                note_update(relation, &old, &new, ctx);
                Ok(Resolved::Done(Some(self.with_system(new, ctid))))
            }
            Err(WriteConflict::Duplicate { index, .. }) => {
                Err(duplicate(relation, index, &new, &ctx.formats))
            }
            Err(WriteConflict::SelfModified { .. }) => Err(twice()),
            Err(conflict) => Err(unexpected(&conflict)),
        }
    }

    /// A row's new values, checked.
    fn assigned(
        &self,
        old: &[Datum],
        set: &[(usize, Expr)],
        row: &[Datum],
        ctx: &mut Context<'_>,
    ) -> Result<Row> {
        let mut new = old.to_vec();
        for (column, expr) in set {
            new[*column] = eval(expr, row, ctx)?;
        }
        let plan = &self.plan;
        complete(&plan.relation, &mut new, &plan.generated, &plan.checks, ctx)?;
        Ok(new)
    }

    fn update(
        &self,
        mut row: Row,
        (at, set, changes_keys): (usize, &[(usize, Expr)], bool),
        recheck: Option<&Expr>,
        ctx: &mut Context<'_>,
    ) -> Result<Option<Row>> {
        let relation = &self.plan.relation;
        let width = relation.columns.len();
        loop {
            ctx.host.check_interrupts()?;
            let Some(ctid) = address(&row, at + width)? else { return Ok(None) };
            let new = self.assigned(&row[at..at + width], set, &row, ctx)?;
            let outcome = with_tables(ctx.host, |access| access.update(relation, ctid, &new, changes_keys))?;
            let conflict = match outcome {
                Ok(ctid) => {
                    note_update(relation, &row[at..at + width], &new, ctx);
                    replace(&mut row, at, ctid, new);
                    return Ok(Some(row));
                }
                Err(WriteConflict::Duplicate { index, .. }) => {
                    return Err(duplicate(relation, index, &new, &ctx.formats));
                }
                // The statement has come to this row before.
                Err(WriteConflict::SelfModified { .. }) => return Ok(None),
                Err(conflict) => conflict,
            };
            let lock = if changes_keys { RowLock::Update } else { RowLock::NoKeyUpdate };
            if !follow(&mut row, at, relation, conflict, lock, recheck, ctx)? {
                return Ok(None);
            }
        }
    }

    fn delete(
        &self,
        mut row: Row,
        at: usize,
        recheck: Option<&Expr>,
        ctx: &mut Context<'_>,
    ) -> Result<Option<Row>> {
        let relation = &self.plan.relation;
        let width = relation.columns.len();
        loop {
            ctx.host.check_interrupts()?;
            let Some(ctid) = address(&row, at + width)? else { return Ok(None) };
            let outcome = with_tables(ctx.host, |access| access.delete(relation, ctid))?;
            let conflict = match outcome {
                Ok(()) => {
                    note_delete(relation, &row[at..at + width], ctx);
                    return Ok(Some(row));
                }
                Err(WriteConflict::SelfModified { .. }) => return Ok(None),
                Err(conflict) => conflict,
            };
            if !follow(&mut row, at, relation, conflict, RowLock::Update, recheck, ctx)? {
                return Ok(None);
            }
        }
    }
}

/// Goes on with what a row has become; `false`: it is none of the statement's any more.
fn follow(
    row: &mut Row,
    at: usize,
    relation: &Arc<crate::catalog::descriptor::RelationDescriptor>,
    conflict: WriteConflict,
    lock: RowLock,
    recheck: Option<&Expr>,
    ctx: &mut Context<'_>,
) -> Result<bool> {
    let Some((ctid, values)) = newest(relation, conflict, (lock, true), ctx)? else { return Ok(false) };
    replace(row, at, ctid, values);
    match recheck {
        Some(recheck) => Ok(eval(recheck, row, ctx)? == Datum::Bool(true)),
        None => Ok(true),
    }
}

enum Resolved {
    Done(Option<Row>),
    /// The other row is gone: the insertion is tried again.
    Gone,
}

fn twice() -> Box<Report> {
    let message = "ON CONFLICT DO UPDATE command cannot affect row a second time";
    Report::error(SqlState::new("21000"), message).with_hint(
        "Ensure that no rows proposed for insertion within the same command have duplicate constrained values.",
    )
}

fn unexpected(conflict: &WriteConflict) -> Box<Report> {
    Report::error(SqlState::INTERNAL_ERROR, format!("unexpected conflict of a row's writing: {conflict:?}"))
}

impl Node for Modify {
    fn next(&mut self, ctx: &mut Context<'_>) -> Result<Option<Row>> {
        if self.is_over {
            return Ok(None);
        }
        ctx.view()?;
        while let Some(row) = self.input.next(ctx)? {
            ctx.host.check_interrupts()?;
            let Some(row) = self.write(row, ctx)? else { continue };
            ctx.written += u64::from(self.plan.is_main);
            if let Some(returning) = &self.plan.returning {
                let row = returning.iter().map(|expr| eval(expr, &row, ctx)).collect::<Result<_>>()?;
                return Ok(Some(row));
            }
        }
        self.is_over = true;
        references::check(ctx)?;
        Ok(None)
    }
}
