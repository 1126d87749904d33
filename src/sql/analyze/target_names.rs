//! What columns without an alias are called.

use crate::sql::parse::tree::{Expr, ExprKind, Indirection, QueryBody};

/// The name of a column without an alias, `None` where nothing names it.
pub fn column_name(expr: &Expr) -> Option<String> {
    strong_name(expr).or_else(|| weak_name(expr))
}

/// A name that an expression has of itself: a column's, a function's.
fn strong_name(expr: &Expr) -> Option<String> {
    use ExprKind as E;
    let fixed = |name: &str| Some(name.to_owned());
    match &expr.kind {
        E::Column(names) => names.last().cloned(),
        E::Function(function) => function.names.last().cloned(),
        E::Collate(input, _) => strong_name(input),
        E::Cast(cast) => strong_name(&cast.input),
        E::Case(case) => case.otherwise.as_ref().and_then(strong_name),
        E::Array(_) | E::ArrayQuery(_) => fixed("array"),
        E::Row(..) => fixed("row"),
        E::Exists(_) => fixed("exists"),
        E::Coalesce(_) => fixed("coalesce"),
        E::MinMax(true, _) => fixed("greatest"),
        E::MinMax(false, _) => fixed("least"),
        E::NullIf(_) => fixed("nullif"),
        E::Grouping(_) => fixed("grouping"),
        E::Value(keyword, _) => fixed(keyword.word()),
        E::Indirection(root, path) => {
            let field = path.iter().rev().find_map(|step| match step {
                Indirection::Field(name) => Some(name.text.clone()),
                _ => None,
            });
            field.or_else(|| column_name(root))
        }
        E::Subquery(query) => match leftmost(&query.body) {
            QueryBody::Select(select) => {
                let target = select.targets.first()?;
                match &target.name {
                    Some(name) => Some(name.text.clone()),
                    None => column_name(&target.expr),
                }
            }
            QueryBody::Values(_) => fixed("column1"),
            QueryBody::Set(_) => None,
        },
        _ => None,
    }
}

/// The arm of set operations that names their columns.
fn leftmost(mut body: &QueryBody) -> &QueryBody {
    while let QueryBody::Set(set) = body {
        body = &set.left.body;
    }
    body
}

/// A name for want of a better one: of a cast its type's, the outermost's.
fn weak_name(expr: &Expr) -> Option<String> {
    match &expr.kind {
        ExprKind::Collate(input, _) => weak_name(input),
        ExprKind::Cast(cast) => cast.ty.names.last().cloned(),
        ExprKind::Case(_) => Some("case".to_owned()),
        _ => None,
    }
}
