//! `SELECT`.

use crate::report::{Result, SqlState};
use crate::sql::parse::tree::{self as ast, ExprKind, Group};

use super::expr::{Column, Expr};
use super::scope::Scope;
use super::target_names::column_name;
use super::tree::{Body, Distinct, OutputColumn, Query, Select};
use super::{Analyzer, Clause};

/// The columns made so far, and what their expressions were.
#[derive(Default)]
struct Targets {
    exprs: Vec<Expr>,
    columns: Vec<OutputColumn>,
}

impl Analyzer<'_> {
    pub(super) fn select(&mut self, select: &ast::Select, order_by: &[ast::SortBy]) -> Result<Query> {
        self.refuse_extras(select)?;
        self.scopes.push(Scope::default());
        let before =
            (std::mem::replace(&mut self.clause, Clause::Select), std::mem::take(&mut self.in_aggregate));
        let result = self.select_parts(select, order_by);
        (self.clause, self.in_aggregate) = before;
        self.scopes.pop();
        result
    }

    fn refuse_extras(&self, select: &ast::Select) -> Result<()> {
        if let Some(into) = &select.into {
            return self.not_supported(Some(into.name.at), "SELECT INTO");
        }
        match select.windows.first() {
            Some((name, _)) => self.not_supported(Some(name.at), "WINDOW"),
            None => Ok(()),
        }
    }

    fn select_parts(&mut self, ast: &ast::Select, order_by: &[ast::SortBy]) -> Result<Query> {
        let mut select = Select { from: self.list_of_from(&ast.from)?, ..Select::default() };
        let mut targets = Targets::default();
        for item in &ast.targets {
            self.select_item(item, &mut targets)?;
        }
        if let Some(filter) = &ast.filter {
            self.clause = Clause::Where;
            select.filter = Some(self.condition(filter, "WHERE")?);
        }
        if let Some(having) = &ast.having {
            self.clause = Clause::Having;
            select.having = Some(self.condition(having, "HAVING")?);
        }
        self.clause = Clause::OrderBy;
        let width = targets.columns.len();
        let mut keys = Vec::new();
        for item in order_by {
            let column = self.sort_column(&item.expr, &mut targets, width, "ORDER BY")?;
            keys.push(self.sort_key(column, item)?);
        }
        let beyond = keys.iter().position(|key| key.column >= width);
        let beyond_at = beyond.and_then(|index| order_by.get(index)).map(|item| item.expr.at);
        select.distinct = self.distinct(ast.distinct.as_deref(), &mut targets, width, &keys, beyond_at)?;
        self.clause = Clause::GroupBy;
        let group_keys = self.group_keys(&ast.group_by, &targets, width)?;
        select.targets = targets.exprs;
        let mut scope = std::mem::take(self.scope());
        select.set_calls = std::mem::take(&mut scope.set_calls);
        self.group(&mut select, group_keys, &mut scope)?;
        let columns = targets.columns;
        let body = Body::Select(Box::new(select));
        Ok(Query { body, order_by: keys, limit: None, offset: None, columns, locking: Vec::new() })
    }

    /// A list of what is answered, in terms of the scope at hand.
    pub(super) fn target_list(&mut self, items: &[ast::Target]) -> Result<(Vec<Expr>, Vec<OutputColumn>)> {
        let mut targets = Targets::default();
        for item in items {
            self.select_item(item, &mut targets)?;
        }
        Ok((targets.exprs, targets.columns))
    }

    fn select_item(&mut self, item: &ast::Target, targets: &mut Targets) -> Result<()> {
        let at = Some(item.expr.at);
        match &item.expr.kind {
            ExprKind::Star(parts) => match parts.last() {
                None if self.scope().relations.is_empty() => {
                    let message = "SELECT * with no tables specified is not valid";
                    Err(self.error_at(at, SqlState::SYNTAX_ERROR, message))
                }
                None => {
                    self.star(None, targets);
                    Ok(())
                }
                Some(relation) => match self.scope().relation(relation) {
                    Some(index) => {
                        self.star(Some(index), targets);
                        Ok(())
                    }
                    None => Err(self.missing_from(relation, at)),
                },
            },
            ExprKind::Indirection(_, path) if matches!(path.last(), Some(ast::Indirection::Star)) => {
                self.not_supported(at, "the fields of a value")
            }
            _ => {
                let name = match &item.name {
                    Some(name) => name.text.clone(),
                    None => column_name(&item.expr).unwrap_or_else(|| "?column?".to_owned()),
                };
                self.target(&item.expr, name, targets)
            }
        }
    }

    fn target(&mut self, expr: &ast::Expr, name: String, targets: &mut Targets) -> Result<()> {
        let at = self.literal_at(expr);
        let mut analysed = self.expr(expr)?;
        // In an arm of UNION the other arm may say what a literal is.
        if !self.in_set_operation {
            analysed = self.settle_unknown(analysed, at)?;
        }
        let at = Some(expr.at);
        targets.columns.push(OutputColumn { name, ty: analysed.ty(), typmod: analysed.typmod(), at });
        targets.exprs.push(analysed);
        Ok(())
    }

    fn star(&mut self, relation: Option<usize>, targets: &mut Targets) {
        for column in &self.scope().columns {
            let shown = match relation {
                Some(_) => column.relation == relation,
                None => !column.hidden,
            } && !column.system;
            if !shown {
                continue;
            }
            let plain = Expr::Column(Column {
                level: 0,
                index: column.index,
                ty: column.ty,
                typmod: column.typmod,
                at: None,
            });
            targets.exprs.push(column.merged.clone().unwrap_or(plain));
            targets.columns.push(OutputColumn {
                name: column.name.clone(),
                ty: column.ty,
                typmod: column.typmod,
                at: None,
            });
        }
    }

    /// What is sorted by: a column by its name or place, or an expression, which becomes a column behind the others.
    fn sort_column(
        &mut self,
        expr: &ast::Expr,
        targets: &mut Targets,
        width: usize,
        what: &str,
    ) -> Result<usize> {
        match &expr.kind {
            ExprKind::Column(names) if names.len() == 1 => {
                let (at, name) = (Some(expr.at), &names[0]);
                let mut found = (0..width).filter(|&index| targets.columns[index].name == *name);
                if let Some(first) = found.next() {
                    if found.any(|other| !targets.exprs[other].same(&targets.exprs[first])) {
                        let message = format!("{what} \"{name}\" is ambiguous");
                        return Err(self.error_at(at, SqlState::AMBIGUOUS_COLUMN, message));
                    }
                    return Ok(first);
                }
            }
            _ => {
                if let Some(place) = self.output_place(expr, width, what)? {
                    return Ok(place);
                }
            }
        }
        let at = self.literal_at(expr);
        let analysed = self.expr(expr)?;
        let analysed = self.settle_unknown(analysed, at)?;
        if let Some(same) = targets.exprs.iter().position(|target| target.same(&analysed)) {
            return Ok(same);
        }
        targets.exprs.push(analysed);
        Ok(targets.exprs.len() - 1)
    }

    fn distinct(
        &mut self,
        distinct: Option<&[ast::Expr]>,
        targets: &mut Targets,
        width: usize,
        keys: &[super::tree::SortKey],
        beyond_at: Option<u32>,
    ) -> Result<Option<Distinct>> {
        match distinct {
            None => Ok(None),
            Some([]) => {
                if keys.iter().any(|key| key.column >= width) {
                    let message = "for SELECT DISTINCT, ORDER BY expressions must appear in select list";
                    return Err(self.error_at(beyond_at, SqlState::INVALID_COLUMN_REFERENCE, message));
                }
                Ok(Some(Distinct::All))
            }
            Some(exprs) => {
                let mut columns = Vec::new();
                for expr in exprs {
                    columns.push(self.sort_column(expr, targets, width, "DISTINCT ON")?);
                }
                let leading = keys.iter().take(columns.len());
                if !leading.clone().all(|key| columns.contains(&key.column)) {
                    let message = "SELECT DISTINCT ON expressions must match initial ORDER BY expressions";
                    return Err(self.error_at(None, SqlState::INVALID_COLUMN_REFERENCE, message));
                }
                Ok(Some(Distinct::On(columns)))
            }
        }
    }

    fn group_keys(&mut self, group_by: &[Group], targets: &Targets, width: usize) -> Result<Vec<Expr>> {
        let mut keys: Vec<Expr> = Vec::new();
        for group in group_by {
            let expr = match group {
                Group::Expr(expr) => expr,
                Group::Empty(at) | Group::Rollup(_, at) | Group::Cube(_, at) | Group::Sets(_, at) => {
                    return self.not_supported(Some(*at), "GROUPING SETS");
                }
            };
            let key = self.group_key(expr, targets, width)?;
            if let Expr::Aggregate(..) = key {
                let at = Some(expr.at);
                let message = "aggregate functions are not allowed in GROUP BY";
                return Err(self.error_at(at, SqlState::GROUPING_ERROR, message));
            }
            if !keys.iter().any(|other| other.same(&key)) {
                keys.push(key);
            }
        }
        Ok(keys)
    }

    /// An input column goes before an output column of the same name.
    fn group_key(&mut self, expr: &ast::Expr, targets: &Targets, width: usize) -> Result<Expr> {
        match &expr.kind {
            ExprKind::Column(names) if names.len() == 1 => {
                let name = &names[0];
                if self.scope().find(None, name).next().is_none()
                    && let Some(at) = (0..width).find(|&index| targets.columns[index].name == *name)
                {
                    return Ok(targets.exprs[at].clone());
                }
            }
            _ => {
                if let Some(place) = self.output_place(expr, width, "GROUP BY")? {
                    return Ok(targets.exprs[place].clone());
                }
            }
        }
        let at = self.literal_at(expr);
        let analysed = self.expr(expr)?;
        self.settle_unknown(analysed, at)
    }
}
