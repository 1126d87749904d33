//! `FOR UPDATE` and its kin: rows are locked as they go by.

use std::sync::Arc;

use crate::report::{Report, Result, SqlState};
use crate::sql::analyze::tree::RowLocking;
use crate::sql::parse::tree::LockWait;
use crate::sql::plan;
use crate::sql::tables::{WriteConflict, with_tables};
use crate::sql::types::{Datum, Row};

use super::updates::{address, newest, replace};
use super::{BoxNode, Context, Node, eval, start};

/// See the module.
pub struct LockRows {
    plan: Arc<plan::LockRows>,
    input: BoxNode,
}

/// What became of a row.
#[derive(PartialEq, Eq)]
enum Locked {
    Same,
    Changed,
    Skipped,
}

impl LockRows {
    pub fn new(plan: Arc<plan::LockRows>) -> Self {
        let input = start(&plan.input);
        Self { plan, input }
    }

    fn lock(locking: &RowLocking, row: &mut Row, ctx: &mut Context<'_>) -> Result<Locked> {
        let relation = &locking.relation;
        let Some(ctid) = address(row, locking.at + relation.columns.len())? else { return Ok(Locked::Same) };
        let waits = locking.wait == LockWait::Wait;
        let outcome = with_tables(ctx.host, |access| access.lock_row(relation, ctid, locking.lock, waits))?;
        let conflict = match outcome {
            Ok(()) => return Ok(Locked::Same),
            Err(WriteConflict::Locked) => return blocked(locking),
            // This transaction's own command has written it since.
            Err(WriteConflict::SelfModified { .. }) => return Ok(Locked::Skipped),
            Err(conflict) => conflict,
        };
        match newest(relation, conflict, (locking.lock, waits), ctx)? {
            Some((ctid, values)) => {
                replace(row, locking.at, ctid, values);
                Ok(Locked::Changed)
            }
            None => Ok(Locked::Skipped),
        }
    }
}

fn blocked(locking: &RowLocking) -> Result<Locked> {
    if locking.wait == LockWait::SkipLocked {
        return Ok(Locked::Skipped);
    }
    let message = format!("could not obtain lock on row in relation \"{}\"", locking.relation.name);
    Err(Report::error(SqlState::LOCK_NOT_AVAILABLE, message))
}

impl Node for LockRows {
    fn next(&mut self, ctx: &mut Context<'_>) -> Result<Option<Row>> {
        'rows: loop {
            let Some(mut row) = self.input.next(ctx)? else { return Ok(None) };
            let mut is_changed = false;
            for locking in &self.plan.locks {
                match Self::lock(locking, &mut row, ctx)? {
                    Locked::Same => {}
                    Locked::Changed => is_changed = true,
                    Locked::Skipped => continue 'rows,
                }
            }
            if is_changed
                && let Some(recheck) = &self.plan.recheck
                && eval(recheck, &row, ctx)? != Datum::Bool(true)
            {
                continue;
            }
            return Ok(Some(row));
        }
    }
}
