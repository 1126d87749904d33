//! Grouping: what stands behind it sees keys and aggregates, and no other column.

use crate::report::{Result, SqlState};

use super::Analyzer;
use super::expr::{Column, Expr};
use super::scope::Scope;
use super::tree::{Grouping, Select};

impl Analyzer<'_> {
    /// Rewrites what stands behind the grouping to its columns: keys first, then aggregates.
    pub(super) fn group(&mut self, select: &mut Select, keys: Vec<Expr>, scope: &mut Scope) -> Result<()> {
        let aggregates = std::mem::take(&mut scope.aggregates);
        if keys.is_empty() && aggregates.is_empty() && select.having.is_none() {
            return Ok(());
        }
        let set_call_args = select.set_calls.iter_mut().flat_map(|call| &mut call.args);
        let exprs = select.targets.iter_mut().chain(&mut select.having).chain(set_call_args);
        for expr in exprs {
            self.behind_grouping(expr, &keys, scope)?;
        }
        select.grouping = Some(Grouping { keys, aggregates });
        Ok(())
    }

    fn behind_grouping(&self, expr: &mut Expr, keys: &[Expr], scope: &Scope) -> Result<()> {
        if let Some(index) = keys.iter().position(|key| key.same(expr)) {
            *expr = Expr::Column(Column { level: 0, index, ty: expr.ty(), typmod: -1, at: None });
            return Ok(());
        }
        match expr {
            Expr::Aggregate(index, ty) => {
                *expr = Expr::Column(Column {
                    level: 0,
                    index: keys.len() + *index,
                    ty: *ty,
                    typmod: -1,
                    at: None,
                });
                return Ok(());
            }
            Expr::Column(column) if column.level == 0 => return Err(self.ungrouped(column, scope)),
            Expr::Subquery(subquery) => {
                let mut wrong = None;
                let query = std::sync::Arc::make_mut(&mut subquery.query);
                query.each_column(1, &mut |column| {
                    let key = keys.iter().position(
                        |key| matches!(key, Expr::Column(key) if key.level == 0 && key.index == column.index),
                    );
                    match key {
                        Some(index) => column.index = index,
                        None => wrong = Some(column.clone()),
                    }
                });
                if let Some(column) = wrong {
                    let message = format!(
                        "subquery uses ungrouped column \"{}\" from outer query",
                        scope.name_of(column.index)
                    );
                    return Err(self.error_at(column.at, SqlState::GROUPING_ERROR, message));
                }
            }
            _ => {}
        }
        expr.children_mut().into_iter().try_for_each(|child| self.behind_grouping(child, keys, scope))
    }

    fn ungrouped(&self, column: &Column, scope: &Scope) -> Box<crate::report::Report> {
        let message = format!(
            "column \"{}\" must appear in the GROUP BY clause or be used in an aggregate function",
            scope.name_of(column.index)
        );
        self.error_at(column.at, SqlState::GROUPING_ERROR, message)
    }
}
