//! What writes rows: `INSERT`, `UPDATE`, `DELETE`.

use std::sync::Arc;

use crate::report::Result;
use crate::sql::analyze::expr::Expr;
use crate::sql::analyze::tree::{self, Change, ChangeKind, Check, From};
use crate::sql::tables::CTID;

use super::columns::{Columns, Places, all_of, conjuncts, note_columns};
use super::from::Made;
use super::planner::Planner;
use super::{ConflictAction, Modify, ModifyKind, OnConflict, Plan};

impl Planner<'_> {
    /// The plan of a statement that changes rows. `is_main`: its rows are those of the tag.
    pub fn change(&mut self, change: &Change, is_main: bool) -> Result<Arc<Plan>> {
        let (kind, input, returning) = match &change.kind {
            ChangeKind::Insert { source, row, on_conflict } => {
                let row = self.exprs(row)?;
                let on_conflict = match on_conflict {
                    Some(conflict) => Some(self.on_conflict(conflict)?),
                    None => None,
                };
                let returning = self.exprs(&change.returning)?;
                (ModifyKind::Insert { row, on_conflict }, self.query(source)?, returning)
            }
            ChangeKind::Update { from, filter, set } => {
                let read: Vec<&Expr> = set.iter().map(|(_, expr)| expr).collect();
                let (made, recheck) = self.rows_to_change(change, from, filter.as_ref(), &read)?;
                let mut placed = Vec::new();
                for (column, expr) in set {
                    placed.push((*column, self.placed(expr, &made.places)?));
                }
                let returning = self.all_placed(&change.returning, &made.places)?;
                let at = made.places.0.first().copied().flatten().unwrap_or(0);
                let changes_keys = changes_keys(change, set);
                (ModifyKind::Update { at, set: placed, recheck, changes_keys }, made.plan, returning)
            }
            ChangeKind::Delete { from, filter } => {
                let (made, recheck) = self.rows_to_change(change, from, filter.as_ref(), &[])?;
                let returning = self.all_placed(&change.returning, &made.places)?;
                let at = made.places.0.first().copied().flatten().unwrap_or(0);
                (ModifyKind::Delete { at, recheck }, made.plan, returning)
            }
        };
        let mut checks = Vec::new();
        for check in &change.checks {
            checks.push(Check { name: check.name.clone(), condition: self.expr(&check.condition)? });
        }
        let mut generated = Vec::new();
        for (column, expr) in &change.generated {
            generated.push((*column, self.expr(expr)?));
        }
        Ok(Arc::new(Plan::Modify(Arc::new(Modify {
            kind,
            relation: change.relation.clone(),
            alias: change.alias.as_str().into(),
            input,
            checks,
            generated,
            returning: (!change.returning.is_empty()).then_some(returning),
            is_main,
        }))))
    }

    fn on_conflict(&mut self, conflict: &tree::OnConflict) -> Result<OnConflict> {
        let action = match &conflict.action {
            tree::ConflictAction::Nothing => ConflictAction::Nothing,
            tree::ConflictAction::Update { set, filter } => {
                let mut finished = Vec::new();
                for (column, expr) in set {
                    finished.push((*column, self.expr(expr)?));
                }
                let filter = filter.as_ref().map(|filter| self.expr(filter)).transpose()?;
                ConflictAction::Update { set: finished, filter }
            }
        };
        Ok(OnConflict { indexes: conflict.indexes.clone(), action })
    }

    fn placed(&mut self, expr: &Expr, places: &Places) -> Result<Expr> {
        let mut expr = expr.clone();
        places.apply(&mut expr);
        self.finish(&mut expr, false)?;
        Ok(expr)
    }

    fn all_placed(&mut self, exprs: &[Expr], places: &Places) -> Result<Vec<Expr>> {
        exprs.iter().map(|expr| self.placed(expr, places)).collect()
    }

    /// The rows to be changed, each with all columns of the table and its address; and what must hold of them still if
    /// somebody else has changed them meanwhile.
    fn rows_to_change(
        &mut self,
        change: &Change,
        from: &From,
        filter: Option<&Expr>,
        read: &[&Expr],
    ) -> Result<(Made, Option<Expr>)> {
        let mut needed: Columns = (0..=change.relation.columns.len() + CTID).collect();
        read.iter().copied().chain(&change.returning).for_each(|expr| note_columns(expr, &mut needed));
        let mut conditions = Vec::new();
        if let Some(filter) = filter {
            note_columns(filter, &mut needed);
            conjuncts(filter.clone(), &mut conditions);
        }
        let recheck = all_of(conditions.clone());
        let made = self.from(from, &needed, conditions)?;
        let recheck = match recheck {
            Some(condition) => Some(self.placed(&condition, &made.places)?),
            None => None,
        };
        Ok((made, recheck))
    }
}

/// Whether a unique index may get new keys.
fn changes_keys(change: &Change, set: &[(usize, Expr)]) -> bool {
    let is_set = |number: i16| {
        let column = (number - 1) as usize;
        number <= 0
            || set.iter().any(|(index, _)| *index == column)
            || change.generated.iter().any(|(index, _)| *index == column)
    };
    let mut unique = change.relation.indexes.iter().filter(|index| index.is_unique);
    unique.any(|index| index.keys.iter().any(|key| is_set(key.column)))
}
