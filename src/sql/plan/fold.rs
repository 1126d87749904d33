//! Constants computed while planning, once instead of for every row, and their errors before the first row.

use crate::report::Result;
use crate::sql::analyze::expr::Expr;
use crate::sql::types::{Datum, Type};

/// Computes an expression without columns and parameters.
pub type Evaluate<'e> = &'e mut dyn FnMut(&Expr) -> Result<Datum>;

/// Replaces an expression whose parts are known by its value. Where it may never be asked for (`lazy`), an error is left
/// for the time when it is.
pub fn fold(expr: &mut Expr, lazy: bool, evaluate: Evaluate<'_>) -> Result<()> {
    if !foldable(expr) {
        return Ok(());
    }
    let ty = expr.ty();
    match evaluate(expr) {
        Ok(value) => *expr = Expr::Const(value, ty),
        Err(_) if lazy => {}
        Err(report) => return Err(report),
    }
    Ok(())
}

fn foldable(expr: &mut Expr) -> bool {
    let known = match expr {
        Expr::Call(call) => call.immutable,
        // Casts of numbers and texts; those of times depend on settings.
        Expr::Convert { input, to, .. } => [input.ty(), *to].iter().all(|ty| plain(*ty)),
        Expr::Typmod { .. } => true,
        _ => false,
    };
    known && expr.children_mut().iter().all(|child| matches!(child, Expr::Const(..)))
}

fn plain(ty: Type) -> bool {
    let element = ty.element().unwrap_or(ty);
    matches!(element.category(), b'N' | b'S' | b'B')
}

/// Whether an expression's parts may go unasked: all but the first, or all.
pub fn lazy_parts(expr: &Expr) -> bool {
    matches!(expr, Expr::And(_) | Expr::Or(_) | Expr::Case { .. } | Expr::Coalesce(..))
}
