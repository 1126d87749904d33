//! `SELECT`.

use sqlparser::ast::{self, GroupByExpr, SelectItem, SelectItemQualifiedWildcardKind};

use crate::report::{Result, SqlState};

use super::expr::{Column, Expr};
use super::expression::unnest;
use super::scope::Scope;
use super::set_operation::sort_key;
use super::tree::{Body, Distinct, OutputColumn, Query, Select};
use super::{Analyzer, Clause, ident, object_name};

/// The columns made so far, and what their expressions were.
#[derive(Default)]
struct Targets {
    exprs: Vec<Expr>,
    columns: Vec<OutputColumn>,
}

impl Analyzer<'_> {
    pub(super) fn select(&mut self, select: &ast::Select, order_by: &[ast::OrderByExpr]) -> Result<Query> {
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
        let extras = [
            (select.into.is_some(), "SELECT INTO"),
            (!select.named_window.is_empty(), "WINDOW"),
            (select.qualify.is_some(), "QUALIFY"),
            (select.top.is_some(), "TOP"),
            (!select.lateral_views.is_empty(), "LATERAL VIEW"),
            (select.prewhere.is_some(), "PREWHERE"),
            (!select.connect_by.is_empty(), "CONNECT BY"),
            (!select.cluster_by.is_empty() || !select.sort_by.is_empty(), "SORT BY"),
        ];
        match extras.into_iter().find(|(there, _)| *there) {
            Some((_, what)) => self.not_supported(None, what),
            None => Ok(()),
        }
    }

    fn select_parts(&mut self, ast: &ast::Select, order_by: &[ast::OrderByExpr]) -> Result<Query> {
        let mut select = Select { from: self.list_of_from(&ast.from)?, ..Select::default() };
        let mut targets = Targets::default();
        for item in &ast.projection {
            self.select_item(item, &mut targets)?;
        }
        if let Some(filter) = &ast.selection {
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
            keys.push(sort_key(column, &item.options));
        }
        let beyond = keys.iter().position(|key| key.column >= width);
        let beyond_at = beyond.and_then(|index| order_by.get(index)).and_then(|item| self.place(&item.expr));
        select.distinct = self.distinct(ast.distinct.as_ref(), &mut targets, width, &keys, beyond_at)?;
        self.clause = Clause::GroupBy;
        let group_keys = self.group_keys(&ast.group_by, &targets, width)?;
        select.targets = targets.exprs;
        let mut scope = std::mem::take(self.scope());
        select.set_calls = std::mem::take(&mut scope.set_calls);
        self.group(&mut select, group_keys, &mut scope)?;
        let columns = targets.columns;
        Ok(Query { body: Body::Select(Box::new(select)), order_by: keys, limit: None, offset: None, columns })
    }

    fn select_item(&mut self, item: &SelectItem, targets: &mut Targets) -> Result<()> {
        match item {
            SelectItem::UnnamedExpr(expr) => {
                let name = column_name(expr).unwrap_or_else(|| "?column?".to_owned());
                self.target(expr, name, targets)
            }
            SelectItem::ExprWithAlias { expr, alias } => self.target(expr, ident(alias), targets),
            SelectItem::Wildcard(options) => {
                let at = self.place_of(options.wildcard_token.0.span);
                if self.scope().relations.is_empty() {
                    let message = "SELECT * with no tables specified is not valid";
                    return Err(self.error_at(at, SqlState::SYNTAX_ERROR, message));
                }
                self.star(None, targets);
                Ok(())
            }
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                let at =
                    name.0.first().and_then(|part| part.as_ident()).and_then(|part| self.place_of(part.span));
                let relation = object_name(name).pop().unwrap_or_default();
                match self.scope().relation(&relation) {
                    Some(index) => {
                        self.star(Some(index), targets);
                        Ok(())
                    }
                    None => Err(self.missing_from(&relation, at)),
                }
            }
            _ => self.not_supported(None, "this kind of column"),
        }
    }

    fn target(&mut self, expr: &ast::Expr, name: String, targets: &mut Targets) -> Result<()> {
        let at = self.literal_at(expr);
        let mut analysed = self.expr(expr)?;
        // In an arm of UNION the other arm may say what a literal is.
        if !self.in_set_operation {
            analysed = self.settle_unknown(analysed, at)?;
        }
        let at = self.place(expr);
        targets.columns.push(OutputColumn { name, ty: analysed.ty(), typmod: analysed.typmod(), at });
        targets.exprs.push(analysed);
        Ok(())
    }

    fn star(&mut self, relation: Option<usize>, targets: &mut Targets) {
        for column in &self.scope().columns {
            let shown = match relation {
                Some(_) => column.relation == relation,
                None => !column.hidden,
            };
            if !shown {
                continue;
            }
            let plain = Expr::Column(Column { level: 0, index: column.index, ty: column.ty, at: None });
            targets.exprs.push(column.merged.clone().unwrap_or(plain));
            targets.columns.push(OutputColumn {
                name: column.name.clone(),
                ty: column.ty,
                typmod: -1,
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
        match unnest(expr) {
            ast::Expr::Identifier(name) => {
                let (at, name) = (self.place_of(name.span), ident(name));
                let mut found = (0..width).filter(|&index| targets.columns[index].name == name);
                if let Some(first) = found.next() {
                    if found.any(|other| !targets.exprs[other].same(&targets.exprs[first])) {
                        let message = format!("{what} \"{name}\" is ambiguous");
                        return Err(self.error_at(at, SqlState::AMBIGUOUS_COLUMN, message));
                    }
                    return Ok(first);
                }
            }
            ast::Expr::Value(value) => {
                if let Some(place) = self.output_place(value, width, what)? {
                    return Ok(place);
                }
            }
            _ => {}
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
        distinct: Option<&ast::Distinct>,
        targets: &mut Targets,
        width: usize,
        keys: &[super::tree::SortKey],
        beyond_at: Option<u32>,
    ) -> Result<Option<Distinct>> {
        match distinct {
            None | Some(ast::Distinct::All) => Ok(None),
            Some(ast::Distinct::Distinct) => {
                if keys.iter().any(|key| key.column >= width) {
                    let message = "for SELECT DISTINCT, ORDER BY expressions must appear in select list";
                    return Err(self.error_at(beyond_at, SqlState::INVALID_COLUMN_REFERENCE, message));
                }
                Ok(Some(Distinct::All))
            }
            Some(ast::Distinct::On(exprs)) => {
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

    fn group_keys(&mut self, group_by: &GroupByExpr, targets: &Targets, width: usize) -> Result<Vec<Expr>> {
        let exprs = match group_by {
            GroupByExpr::Expressions(exprs, modifiers) if modifiers.is_empty() => exprs,
            _ => return self.not_supported(None, "this kind of GROUP BY"),
        };
        let mut keys: Vec<Expr> = Vec::new();
        for expr in exprs {
            let key = self.group_key(expr, targets, width)?;
            if let Expr::Aggregate(..) = key {
                let at = self.place(expr);
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
        match unnest(expr) {
            ast::Expr::Identifier(name) => {
                let name = ident(name);
                if self.scope().find(None, &name).next().is_none()
                    && let Some(at) = (0..width).find(|&index| targets.columns[index].name == name)
                {
                    return Ok(targets.exprs[at].clone());
                }
            }
            ast::Expr::Value(value) => {
                if let Some(place) = self.output_place(value, width, "GROUP BY")? {
                    return Ok(targets.exprs[place].clone());
                }
            }
            ast::Expr::GroupingSets(_) | ast::Expr::Cube(_) | ast::Expr::Rollup(_) => {
                return self.not_supported(self.place(expr), "GROUPING SETS");
            }
            _ => {}
        }
        let at = self.literal_at(expr);
        let analysed = self.expr(expr)?;
        self.settle_unknown(analysed, at)
    }
}

/// The name of a column without an alias, `None` where nothing names it.
fn column_name(expr: &ast::Expr) -> Option<String> {
    strong_name(expr).or_else(|| weak_name(expr))
}

/// A name that an expression has of itself: a column's, a function's.
fn strong_name(expr: &ast::Expr) -> Option<String> {
    use ast::Expr as E;
    let fixed = |name: &str| Some(name.to_owned());
    match expr {
        E::Identifier(name) => Some(ident(name)),
        E::CompoundIdentifier(parts) => parts.last().map(ident),
        E::Nested(inner) | E::Collate { expr: inner, .. } | E::Cast { expr: inner, .. } => strong_name(inner),
        E::Function(function) => object_name(&function.name).pop(),
        E::Case { else_result, .. } => else_result.as_deref().and_then(strong_name),
        E::Array(_) => fixed("array"),
        E::Tuple(_) => fixed("row"),
        E::Exists { negated: false, .. } => fixed("exists"),
        E::Extract { .. } => fixed("extract"),
        E::Position { .. } => fixed("position"),
        E::Substring { shorthand, .. } => fixed(if *shorthand { "substr" } else { "substring" }),
        E::Overlay { .. } => fixed("overlay"),
        E::Ceil { .. } => fixed("ceil"),
        E::Floor { .. } => fixed("floor"),
        E::AtTimeZone { .. } => fixed("timezone"),
        E::Trim { trim_where, .. } => fixed(match trim_where {
            Some(ast::TrimWhereField::Leading) => "ltrim",
            Some(ast::TrimWhereField::Trailing) => "rtrim",
            _ => "btrim",
        }),
        E::CompoundFieldAccess { root, .. } => column_name(root),
        E::Subquery(query) => match &*query.body {
            ast::SetExpr::Select(select) => match select.projection.first()? {
                SelectItem::UnnamedExpr(expr) => column_name(expr),
                SelectItem::ExprWithAlias { alias, .. } => Some(ident(alias)),
                _ => None,
            },
            ast::SetExpr::Values(_) => fixed("column1"),
            _ => None,
        },
        _ => None,
    }
}

/// A name for want of a better one: of a cast its type's, the outermost's.
fn weak_name(expr: &ast::Expr) -> Option<String> {
    use ast::Expr as E;
    match expr {
        E::Nested(inner) | E::Collate { expr: inner, .. } => weak_name(inner),
        E::Cast { data_type, .. } => type_name(data_type),
        E::TypedString(typed) => type_name(&typed.data_type),
        E::Interval(_) => Some("interval".to_owned()),
        E::Case { .. } => Some("case".to_owned()),
        _ => None,
    }
}

/// `typname` of a type as written.
fn type_name(ty: &ast::DataType) -> Option<String> {
    use ast::DataType as D;
    if let D::Array(ast::ArrayElemTypeDef::SquareBracket(element, _)) = ty {
        return type_name(element);
    }
    let name = match ty {
        D::Numeric(_) | D::Decimal(_) | D::Dec(_) => "numeric".to_owned(),
        D::Varchar(_) | D::CharacterVarying(_) | D::CharVarying(_) => "varchar".to_owned(),
        D::Char(_) | D::Character(_) => "bpchar".to_owned(),
        D::Timestamp(_, ast::TimezoneInfo::None | ast::TimezoneInfo::WithoutTimeZone) => {
            "timestamp".to_owned()
        }
        D::Timestamp(..) => "timestamptz".to_owned(),
        D::Time(..) => "time".to_owned(),
        D::Interval { .. } => "interval".to_owned(),
        D::Float(_) | D::Double(_) => "float8".to_owned(),
        D::Custom(name, _) => {
            let quoted =
                name.0.last().and_then(|part| part.as_ident()).is_some_and(|part| part.quote_style.is_some());
            let last = object_name(name).pop()?;
            if quoted {
                return Some(last);
            }
            last
        }
        other => other.to_string().to_lowercase(),
    };
    Some(crate::sql::types::names::by_sql_name(&name).map_or(name, |ty| ty.name()))
}
