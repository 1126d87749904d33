//! `INSERT`, `UPDATE`, `DELETE`: what is written where, and what must hold of it.

use std::sync::Arc;

use crate::catalog::descriptor::{
    ColumnDescriptor, ConstraintKind, Identity, RelationDescriptor, RelationKind,
};
use crate::report::{Report, ReportExt, Result, SqlState};
use crate::sql::parse::tree::{self as ast, ExprKind, QueryBody};
use crate::sql::parse::tree_ddl::IndexKey;
use crate::sql::tables::SYSTEM_COLUMNS;
use crate::sql::types::Type;
use crate::txn::locks::LockMode;

use super::expr::{Column, Expr};
use super::relation::{column_default, column_type, table_columns, table_condition};
use super::scope::Scope;
use super::tree::{
    Body, Change, ChangeKind, Check, ConflictAction, From, OnConflict, OutputColumn, Query, TableSource,
};
use super::{Analyzer, Clause};

/// A column that is assigned to.
type Target = (usize, Type, i32, String);

fn bare(body: Body, columns: Vec<OutputColumn>) -> Query {
    Query { body, order_by: Vec::new(), limit: None, offset: None, columns, locking: Vec::new() }
}

fn target_of(column: &ColumnDescriptor) -> Target {
    (column.index(), column_type(column), column.typmod, column.name.clone())
}

fn column_expr(index: usize, ty: Type, typmod: i32) -> Expr {
    Expr::Column(Column { level: 0, index, ty, typmod, at: None })
}

impl Analyzer<'_> {
    /// A statement that changes rows, as a query that answers what `RETURNING` says.
    pub(super) fn change(&mut self, change: &ast::Change) -> Result<Query> {
        let ctes = self.ctes.len();
        if let Some(with) = &change.with {
            self.with(with)?;
        }
        let result = self.change_itself(change);
        let made = self.ctes.drain(ctes..).collect::<Vec<_>>();
        let query = result?;
        Ok(super::query::with_changes(query, made))
    }

    fn change_itself(&mut self, change: &ast::Change) -> Result<Query> {
        let relation = self.target_relation(change)?;
        let alias = change.alias.as_ref().map_or_else(|| relation.name.clone(), |alias| alias.text.clone());
        match &change.kind {
            ast::ChangeKind::Insert(insert) => self.insert(change, insert, relation, alias),
            ast::ChangeKind::Update { set, from, filter } => {
                self.update(change, (set, from, filter.as_ref()), relation, alias)
            }
            ast::ChangeKind::Delete { using, filter } => {
                self.delete(change, (using, filter.as_ref()), relation, alias)
            }
            ast::ChangeKind::Merge { .. } => self.not_supported(Some(change.target.name.at), "MERGE"),
        }
    }

    fn target_relation(&mut self, change: &ast::Change) -> Result<Arc<RelationDescriptor>> {
        let name = &change.target.name;
        let (schema, last) = self.relation_name(name)?;
        let Some(relation) = self.environment.relation(schema, last, LockMode::RowExclusive)? else {
            return Err(self.missing_relation(name));
        };
        let verb = match &change.kind {
            ast::ChangeKind::Insert(_) => "insert into",
            ast::ChangeKind::Update { .. } => "update",
            ast::ChangeKind::Delete { .. } => "delete from",
            ast::ChangeKind::Merge { .. } => "merge into",
        };
        match relation.kind {
            RelationKind::Table if relation.is_system => {
                let message = format!("permission denied: \"{}\" is a system catalog", relation.name);
                Err(Report::error(SqlState::INSUFFICIENT_PRIVILEGE, message))
            }
            RelationKind::Table => Ok(relation),
            RelationKind::View => self
                .not_supported(Some(name.at), &format!("{verb} view \"{}\"", relation.name))
                .map_err(|mut report: Box<Report>| {
                    report.message = format!(
                        "cannot {verb} view \"{}\": views that can be changed are not supported yet",
                        relation.name
                    );
                    report
                }),
            kind => {
                let message = format!("cannot change {} \"{}\"", kind.noun(), relation.name);
                Err(Report::error(SqlState::WRONG_OBJECT_TYPE, message))
            }
        }
    }

    /// Schema and name.
    pub(super) fn relation_name<'n>(
        &self,
        name: &'n ast::QualifiedName,
    ) -> Result<(Option<&'n str>, &'n str)> {
        match name.parts.as_slice() {
            [name] => Ok((None, name)),
            [schema, name] => Ok((Some(schema.as_str()), name)),
            [_, schema, name] => Ok((Some(schema.as_str()), name)),
            _ => {
                let message = format!("improper qualified name (too many dotted names): {}", name.dotted());
                Err(self.error_at(Some(name.at), SqlState::SYNTAX_ERROR, message))
            }
        }
    }

    fn insert(
        &mut self,
        change: &ast::Change,
        insert: &ast::Insert,
        relation: Arc<RelationDescriptor>,
        alias: String,
    ) -> Result<Query> {
        let targets = self.insert_targets(&relation, &insert.columns)?;
        let (source, given) = match &insert.query {
            None => (bare(Body::Values(vec![Vec::new()]), Vec::new()), Vec::new()),
            Some(query) => self.insert_source(&relation, insert, query, &targets)?,
        };
        let mut row = Vec::with_capacity(relation.columns.len());
        for column in &relation.columns {
            let place = given.iter().position(|index| *index == column.index());
            row.push(match place {
                Some(place) => column_expr(place, column_type(column), column.typmod),
                None if column.is_generated => Expr::null(column_type(column)),
                None => self.default_of(&relation, column)?,
            });
        }
        let mut scope = Scope::default();
        scope.add(&alias, table_columns(&relation));
        self.scopes.push(scope);
        let on_conflict = insert.on_conflict.as_ref().map(|conflict| self.on_conflict(conflict, &relation));
        let on_conflict = on_conflict.transpose();
        let made = on_conflict.and_then(|on_conflict| {
            let returning = self.returning(change)?;
            let kind = ChangeKind::Insert { source: Box::new(source), row, on_conflict };
            self.finish_change(kind, relation, alias, returning)
        });
        self.scopes.pop();
        made
    }

    fn insert_targets(
        &self,
        relation: &RelationDescriptor,
        columns: &[ast::InsertColumn],
    ) -> Result<Vec<Target>> {
        if columns.is_empty() {
            return Ok(relation.live_columns().map(target_of).collect());
        }
        let mut targets: Vec<Target> = Vec::new();
        for column in columns {
            let target = self.assignment_target(relation, column)?;
            if targets.iter().any(|other| other.0 == target.0) {
                let message = format!("column \"{}\" specified more than once", target.3);
                return Err(self.error_at(Some(column.name.at), SqlState::DUPLICATE_COLUMN, message));
            }
            targets.push(target);
        }
        Ok(targets)
    }

    fn assignment_target(&self, relation: &RelationDescriptor, column: &ast::InsertColumn) -> Result<Target> {
        let (name, at) = (&column.name.text, Some(column.name.at));
        if SYSTEM_COLUMNS.iter().any(|(system, _)| system == name) {
            let message = format!("cannot assign to system column \"{name}\"");
            return Err(self.error_at(at, SqlState::FEATURE_NOT_SUPPORTED, message));
        }
        let Some(found) = relation.column(name) else {
            let message = format!("column \"{name}\" of relation \"{}\" does not exist", relation.name);
            return Err(self.error_at(at, SqlState::UNDEFINED_COLUMN, message));
        };
        if !column.path.is_empty() {
            return self.not_supported(at, "an assignment to a part of a column");
        }
        Ok(target_of(found))
    }

    /// Where the rows come from, and the columns that theirs are for.
    fn insert_source(
        &mut self,
        relation: &RelationDescriptor,
        insert: &ast::Insert,
        query: &ast::Query,
        targets: &[Target],
    ) -> Result<(Query, Vec<usize>)> {
        let is_plain = query.with.is_none()
            && query.order_by.is_empty()
            && query.limit.is_none()
            && query.offset.is_none()
            && query.locking.is_empty();
        match &query.body {
            QueryBody::Values(rows) if is_plain => self.insert_values(relation, insert, rows, targets),
            QueryBody::Select(select) if is_plain && select.from.is_empty() => {
                // What is open stays open, so that the column decides.
                let before = std::mem::replace(&mut self.in_set_operation, true);
                let made = self.deeper(|analyzer| analyzer.body(&query.body, &[]));
                self.in_set_operation = before;
                self.insert_query(relation, insert, made?, targets)
            }
            QueryBody::Select(_) if is_plain => {
                let before = std::mem::replace(&mut self.in_set_operation, true);
                let made = self.deeper(|analyzer| analyzer.body(&query.body, &[]));
                self.in_set_operation = before;
                self.insert_query(relation, insert, made?, targets)
            }
            _ => {
                let made = self.query(query)?;
                self.insert_query(relation, insert, made, targets)
            }
        }
    }

    fn count_targets(
        &self,
        insert: &ast::Insert,
        targets: &[Target],
        count: usize,
        extra_at: Option<u32>,
    ) -> Result<()> {
        if count > targets.len() {
            let message = "INSERT has more expressions than target columns";
            return Err(self.error_at(extra_at, SqlState::SYNTAX_ERROR, message));
        }
        if let Some(column) = insert.columns.get(count) {
            let message = "INSERT has more target columns than expressions";
            return Err(self.error_at(Some(column.name.at), SqlState::SYNTAX_ERROR, message));
        }
        Ok(())
    }

    fn insert_values(
        &mut self,
        relation: &RelationDescriptor,
        insert: &ast::Insert,
        rows: &[Vec<ast::Expr>],
        targets: &[Target],
    ) -> Result<(Query, Vec<usize>)> {
        let clause = std::mem::replace(&mut self.clause, Clause::Values);
        self.scopes.push(Scope::default());
        let made = self.value_rows_for(relation, insert, rows, targets);
        self.scopes.pop();
        self.clause = clause;
        let rows = made?;
        let width = rows.first().map_or(0, Vec::len);
        let columns = targets[..width].iter().map(|(_, ty, typmod, name)| OutputColumn {
            name: name.clone(),
            ty: *ty,
            typmod: *typmod,
            at: None,
        });
        let given = targets[..width].iter().map(|target| target.0).collect();
        Ok((bare(Body::Values(rows), columns.collect()), given))
    }

    fn value_rows_for(
        &mut self,
        relation: &RelationDescriptor,
        insert: &ast::Insert,
        rows: &[Vec<ast::Expr>],
        targets: &[Target],
    ) -> Result<Vec<Vec<Expr>>> {
        let width = rows.first().map_or(0, Vec::len);
        let mut made = Vec::with_capacity(rows.len());
        for row in rows {
            if row.len() != width {
                let at = row.first().map(|expr| expr.at);
                let message = "VALUES lists must all be the same length";
                return Err(self.error_at(at, SqlState::SYNTAX_ERROR, message));
            }
            self.count_targets(insert, targets, width, row.get(targets.len()).map(|expr| expr.at))?;
            let mut values = Vec::with_capacity(width);
            for (expr, target) in row.iter().zip(targets) {
                values.push(self.insert_value(relation, insert, expr, target)?);
            }
            made.push(values);
        }
        Ok(made)
    }

    fn insert_value(
        &mut self,
        relation: &RelationDescriptor,
        insert: &ast::Insert,
        expr: &ast::Expr,
        target: &Target,
    ) -> Result<Expr> {
        let column = &relation.columns[target.0];
        if matches!(expr.kind, ExprKind::Default) {
            return self.default_of(relation, column);
        }
        self.refuse_given(column, insert.overriding)?;
        if insert.overriding == Some(ast::Overriding::User) && column.identity.is_some() {
            return self.default_of(relation, column);
        }
        let value = self.expr(expr)?;
        self.assigned(value, (target.1, target.2), &target.3, Some(expr.at))
    }

    /// Columns whose values are not the statement's to choose.
    fn refuse_given(&self, column: &ColumnDescriptor, overriding: Option<ast::Overriding>) -> Result<()> {
        let message = || format!("cannot insert a non-DEFAULT value into column \"{}\"", column.name);
        if column.is_generated {
            return Err(Report::error(SqlState::new("428C9"), message())
                .with_detail(format!("Column \"{}\" is a generated column.", column.name)));
        }
        if column.identity == Some(Identity::Always) && overriding.is_none() {
            return Err(Report::error(SqlState::new("428C9"), message())
                .with_detail(format!(
                    "Column \"{}\" is an identity column defined as GENERATED ALWAYS.",
                    column.name
                ))
                .with_hint("Use OVERRIDING SYSTEM VALUE to override."));
        }
        Ok(())
    }

    /// A query whose columns are converted to those of the table.
    fn insert_query(
        &mut self,
        relation: &RelationDescriptor,
        insert: &ast::Insert,
        mut query: Query,
        targets: &[Target],
    ) -> Result<(Query, Vec<usize>)> {
        let width = query.columns.len();
        self.count_targets(insert, targets, width, query.columns.get(targets.len()).and_then(|c| c.at))?;
        for target in &targets[..width] {
            self.refuse_given(&relation.columns[target.0], insert.overriding)?;
        }
        let is_plain = query.order_by.is_empty() && query.limit.is_none() && query.offset.is_none();
        if let Body::Select(select) = &mut query.body
            && is_plain
            && select.distinct.is_none()
            && select.targets.len() == width
        {
            for ((expr, have), target) in select.targets.iter_mut().zip(&mut query.columns).zip(targets) {
                let value = std::mem::replace(expr, Expr::null(Type::UNKNOWN));
                *expr = self.assigned(value, (target.1, target.2), &target.3, have.at)?;
                (have.ty, have.typmod) = (target.1, target.2);
            }
            return Ok((query, targets[..width].iter().map(|target| target.0).collect()));
        }
        let mut exprs = Vec::with_capacity(width);
        for (index, (have, target)) in query.columns.iter().zip(targets).enumerate() {
            let column = column_expr(index, have.ty, have.typmod);
            exprs.push(self.assigned(column, (target.1, target.2), &target.3, have.at)?);
        }
        let columns = query.columns.clone();
        let from = Some(From::Subquery { query: Box::new(query), alias: "*SELECT*".to_owned() });
        let select = super::tree::Select { from, targets: exprs, ..Default::default() };
        let given = targets[..width].iter().map(|target| target.0).collect();
        Ok((bare(Body::Select(Box::new(select)), columns), given))
    }

    /// What a column has where nothing is said.
    fn default_of(&mut self, relation: &RelationDescriptor, column: &ColumnDescriptor) -> Result<Expr> {
        let ty = column_type(column);
        if column.is_dropped || column.is_generated {
            return Ok(Expr::null(ty));
        }
        Ok(column_default(relation, column, self.environment)?.unwrap_or_else(|| Expr::null(ty)))
    }

    fn on_conflict(
        &mut self,
        conflict: &ast::OnConflict,
        relation: &Arc<RelationDescriptor>,
    ) -> Result<OnConflict> {
        let indexes = self.arbiters(conflict, relation)?;
        let Some((set, filter)) = &conflict.update else {
            return Ok(OnConflict { indexes, action: ConflictAction::Nothing });
        };
        if conflict.target.is_none() {
            let message = "ON CONFLICT DO UPDATE requires inference specification or constraint name";
            return Err(self
                .error_at(Some(conflict.at), SqlState::SYNTAX_ERROR, message)
                .with_hint("For example, ON CONFLICT (column_name)."));
        }
        let scopes = self.scopes.len();
        let mut scope = self.scopes[scopes - 1].clone();
        scope.add("excluded", table_columns(relation));
        self.scopes.push(scope);
        let made = self.assignments(set, relation).and_then(|set| {
            self.clause = Clause::Where;
            let filter = filter.as_ref().map(|filter| self.condition(filter, "WHERE")).transpose();
            self.clause = Clause::Select;
            Ok(ConflictAction::Update { set, filter: filter? })
        });
        self.scopes.truncate(scopes);
        Ok(OnConflict { indexes, action: made? })
    }

    /// Indexes whose duplicates are not errors.
    fn arbiters(&self, conflict: &ast::OnConflict, relation: &RelationDescriptor) -> Result<Vec<usize>> {
        let unique = relation.indexes.iter().enumerate().filter(|(_, index)| index.is_unique);
        match &conflict.target {
            None => Ok(unique.map(|(at, _)| at).collect()),
            Some(ast::ConflictTarget::Constraint(name)) => {
                let found = relation.indexes.iter().position(|index| {
                    index.is_unique && index.constraint.is_some() && index.name == name.text
                });
                found.map(|at| vec![at]).ok_or_else(|| {
                    let message = format!(
                        "constraint \"{}\" for table \"{}\" does not exist",
                        name.text, relation.name
                    );
                    Report::error(SqlState::UNDEFINED_OBJECT, message)
                })
            }
            Some(ast::ConflictTarget::Index(columns, filter)) => {
                if let Some(filter) = filter {
                    return self.not_supported(Some(filter.at), "an index's condition in ON CONFLICT");
                }
                let mut wanted = Vec::new();
                for column in columns {
                    let name = match &column.what {
                        IndexKey::Column(name) => name,
                        IndexKey::Expr(expr) => {
                            return self.not_supported(Some(expr.at), "an expression in ON CONFLICT");
                        }
                    };
                    let Some(found) = relation.column(&name.text) else {
                        let message = format!("column \"{}\" does not exist", name.text);
                        return Err(self.error_at(Some(name.at), SqlState::UNDEFINED_COLUMN, message));
                    };
                    wanted.push(found.number);
                }
                wanted.sort_unstable();
                wanted.dedup();
                let fits = |index: &crate::catalog::descriptor::IndexDescriptor| {
                    let mut keys: Vec<i16> = index.keys.iter().map(|key| key.column).collect();
                    keys.sort_unstable();
                    keys == wanted && index.predicate.is_none()
                };
                let found: Vec<usize> = unique.filter(|(_, index)| fits(index)).map(|(at, _)| at).collect();
                if found.is_empty() {
                    let message =
                        "there is no unique or exclusion constraint matching the ON CONFLICT specification";
                    return Err(Report::error(SqlState::INVALID_COLUMN_REFERENCE, message));
                }
                Ok(found)
            }
        }
    }

    /// What `SET` assigns, in terms of the scope at hand.
    fn assignments(
        &mut self,
        set: &[ast::Assignment],
        relation: &RelationDescriptor,
    ) -> Result<Vec<(usize, Expr)>> {
        let mut made: Vec<(usize, Expr)> = Vec::new();
        for assignment in set {
            for (column, value) in self.assigned_parts(assignment)? {
                let target = self.assignment_target(relation, column)?;
                if made.iter().any(|(index, _)| *index == target.0) {
                    let message = format!("multiple assignments to same column \"{}\"", target.3);
                    return Err(self.error_at(Some(column.name.at), SqlState::SYNTAX_ERROR, message));
                }
                let value = self.update_value(relation, value, &target)?;
                made.push((target.0, value));
            }
        }
        Ok(made)
    }

    /// Columns with their values.
    fn assigned_parts<'n>(
        &self,
        assignment: &'n ast::Assignment,
    ) -> Result<Vec<(&'n ast::InsertColumn, &'n ast::Expr)>> {
        if !assignment.several {
            return Ok(vec![(&assignment.columns[0], &assignment.value)]);
        }
        let at = Some(assignment.value.at);
        let values = match &assignment.value.kind {
            ExprKind::Row(values, _) => values.as_slice(),
            ExprKind::Subquery(_) => return self.not_supported(at, "a query assigned to several columns"),
            _ if assignment.columns.len() == 1 => std::slice::from_ref(&assignment.value),
            _ => {
                let message =
                    "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression";
                return Err(self.error_at(at, SqlState::FEATURE_NOT_SUPPORTED, message));
            }
        };
        if values.len() != assignment.columns.len() {
            let message = "number of columns does not match number of values";
            return Err(self.error_at(at, SqlState::SYNTAX_ERROR, message));
        }
        Ok(assignment.columns.iter().zip(values).collect())
    }

    fn update_value(
        &mut self,
        relation: &RelationDescriptor,
        value: &ast::Expr,
        target: &Target,
    ) -> Result<Expr> {
        let column = &relation.columns[target.0];
        if matches!(value.kind, ExprKind::Default) {
            return self.default_of(relation, column);
        }
        let refused = |detail: String| {
            let message = format!("column \"{}\" can only be updated to DEFAULT", column.name);
            Err(Report::error(SqlState::new("428C9"), message).with_detail(detail))
        };
        if column.is_generated {
            return refused(format!("Column \"{}\" is a generated column.", column.name));
        }
        if column.identity == Some(Identity::Always) {
            return refused(format!(
                "Column \"{}\" is an identity column defined as GENERATED ALWAYS.",
                column.name
            ));
        }
        let expr = self.expr(value)?;
        self.assigned(expr, (target.1, target.2), &target.3, Some(value.at))
    }

    /// The table, then what is joined to it; the scope is on the stack then.
    fn joined_to_target(
        &mut self,
        relation: &Arc<RelationDescriptor>,
        alias: &str,
        others: &[ast::FromItem],
    ) -> Result<From> {
        self.scopes.push(Scope::default());
        let columns = table_columns(relation);
        let width = columns.len();
        self.add_relation(alias.to_owned(), columns)?;
        let table = From::Table(TableSource { relation: relation.clone(), alias: alias.to_owned() });
        let mut from = (table, width);
        for item in others {
            from = self.list_item(item, Some(from))?;
        }
        Ok(from.0)
    }

    fn change_filter(&mut self, filter: Option<&ast::Expr>) -> Result<Option<Expr>> {
        self.clause = Clause::Where;
        let filter = filter.map(|filter| self.condition(filter, "WHERE")).transpose();
        self.clause = Clause::Select;
        filter
    }

    fn update(
        &mut self,
        change: &ast::Change,
        (set, from, filter): (&[ast::Assignment], &[ast::FromItem], Option<&ast::Expr>),
        relation: Arc<RelationDescriptor>,
        alias: String,
    ) -> Result<Query> {
        let scopes = self.scopes.len();
        let made = self.joined_to_target(&relation, &alias, from).and_then(|from| {
            let set = self.assignments(set, &relation)?;
            let filter = self.change_filter(filter)?;
            let returning = self.returning(change)?;
            self.finish_change(ChangeKind::Update { from, filter, set }, relation, alias, returning)
        });
        self.scopes.truncate(scopes);
        made
    }

    fn delete(
        &mut self,
        change: &ast::Change,
        (using, filter): (&[ast::FromItem], Option<&ast::Expr>),
        relation: Arc<RelationDescriptor>,
        alias: String,
    ) -> Result<Query> {
        let scopes = self.scopes.len();
        let made = self.joined_to_target(&relation, &alias, using).and_then(|from| {
            let filter = self.change_filter(filter)?;
            let returning = self.returning(change)?;
            self.finish_change(ChangeKind::Delete { from, filter }, relation, alias, returning)
        });
        self.scopes.truncate(scopes);
        made
    }

    /// What is answered, in terms of the scope at hand.
    fn returning(&mut self, change: &ast::Change) -> Result<(Vec<Expr>, Vec<OutputColumn>)> {
        let Some(returning) = &change.returning else { return Ok((Vec::new(), Vec::new())) };
        if let Some((_, name)) = returning.names.first() {
            return self.not_supported(Some(name.at), "OLD and NEW in RETURNING");
        }
        self.clause = Clause::Returning;
        let targets = self.target_list(&returning.targets);
        self.clause = Clause::Select;
        targets
    }

    fn finish_change(
        &mut self,
        kind: ChangeKind,
        relation: Arc<RelationDescriptor>,
        alias: String,
        (returning, columns): (Vec<Expr>, Vec<OutputColumn>),
    ) -> Result<Query> {
        let (mut checks, mut generated) = (Vec::new(), Vec::new());
        if !matches!(kind, ChangeKind::Delete { .. }) {
            for constraint in relation.constraints.iter().filter(|c| c.kind == ConstraintKind::Check) {
                let text = constraint.expression.as_deref().unwrap_or("true");
                let condition = table_condition(&relation, text, self.environment)?;
                checks.push(Check { name: constraint.name.clone(), condition });
            }
            for column in relation.live_columns().filter(|column| column.is_generated) {
                if let Some(expr) = column_default(&relation, column, self.environment)? {
                    generated.push((column.index(), expr));
                }
            }
        }
        let change = Change { kind, relation, alias, checks, generated, returning };
        Ok(bare(Body::Change(Box::new(change)), columns))
    }
}
