//! Places of columns: which are read, and where they are in the rows that there will be.

use std::collections::BTreeSet;

use crate::sql::analyze::expr::Expr;

/// Columns of an analysed row, by place.
pub type Columns = BTreeSet<usize>;

/// Where each column of the analysed row is, if it is there at all.
#[derive(Clone, Debug, Default)]
pub struct Places(pub Vec<Option<usize>>);

impl Places {
    /// Each where it was.
    pub fn identity(width: usize) -> Self {
        Self((0..width).map(Some).collect())
    }

    /// Rewrites an expression over the analysed row.
    pub fn apply(&self, expr: &mut Expr) {
        expr.each_column(0, &mut |column| {
            if let Some(Some(place)) = self.0.get(column.index) {
                column.index = *place;
            }
        });
    }
}

/// Notes which columns of the row at hand an expression reads.
pub fn note_columns(expr: &Expr, to: &mut Columns) {
    if let Expr::Column(column) = expr {
        if column.level == 0 {
            to.insert(column.index);
        }
        return;
    }
    // The walk hands out columns to be changed.
    expr.clone().each_column(0, &mut |column| {
        to.insert(column.index);
    });
}

/// The columns that an expression reads.
pub fn columns_of(expr: &Expr) -> Columns {
    let mut columns = Columns::new();
    note_columns(expr, &mut columns);
    columns
}

/// The conditions that all must hold for a condition to hold.
pub fn conjuncts(condition: Expr, to: &mut Vec<Expr>) {
    match condition {
        Expr::And(items) => items.into_iter().for_each(|item| conjuncts(item, to)),
        other => to.push(other),
    }
}

/// One condition of several.
pub fn all_of(mut conditions: Vec<Expr>) -> Option<Expr> {
    match conditions.len() {
        0 | 1 => conditions.pop(),
        _ => Some(Expr::And(conditions)),
    }
}

/// Moves an expression that is evaluated one row further in: what it reads of rows around it is one level further up.
pub fn one_further(expr: &mut Expr, depth: usize) {
    for level in (1..=depth).rev() {
        expr.each_column(level, &mut |column| column.level += 1);
    }
}

/// Whether an expression's value may change without its arguments changing, or it does something.
pub fn is_volatile(expr: &Expr) -> bool {
    let mut copy = expr.clone();
    volatile_within(&mut copy)
}

fn volatile_within(expr: &mut Expr) -> bool {
    let here = match expr {
        Expr::Call(call) => {
            matches!(
                call.name,
                "random" | "nextval" | "setval" | "clock_timestamp" | "gen_random_uuid" | "pg_sleep"
            )
        }
        Expr::Subquery(_) => true,
        _ => false,
    };
    here || expr.children_mut().into_iter().any(volatile_within)
}
