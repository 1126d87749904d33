//! What reads a table: all of it, or by an index those rows that conditions leave.

use crate::access::btree::ScanOp;
use crate::catalog::descriptor::{IndexDescriptor, RelationDescriptor};
use crate::sql::analyze::expr::{CallExpr, Expr};
use crate::sql::tables::CTID;
use crate::sql::types::Type;
use crate::sql::types::stored::Codec;

use super::columns::{columns_of, is_volatile};
use super::{IndexTest, Path};

/// Rows of a table that nobody has counted.
const UNKNOWN_ROWS: f64 = 10_000.0;

/// A way to read a table.
#[derive(Debug)]
pub struct Choice {
    /// How.
    pub path: Path,
    /// Which conditions it meets already, by number.
    pub used: Vec<usize>,
    /// Rows that it finds.
    pub rows: f64,
    /// Whether at most one row has these keys.
    pub is_unique: bool,
}

/// How many rows a table has, as far as is known.
pub fn row_count(relation: &RelationDescriptor) -> f64 {
    let (rows, _) = relation.statistics;
    if rows < 0.0 { UNKNOWN_ROWS } else { f64::from(rows).max(1.0) }
}

/// A comparison of a column with a value that does not depend on the table's row.
struct Test<'e> {
    number: usize,
    column: usize,
    op: ScanOp,
    value: &'e Expr,
}

fn scan_op(name: &str, is_flipped: bool) -> Option<ScanOp> {
    Some(match (name, is_flipped) {
        ("=", _) => ScanOp::Equal,
        ("<", false) | (">", true) => ScanOp::Less,
        ("<=", false) | (">=", true) => ScanOp::LessEqual,
        (">", false) | ("<", true) => ScanOp::Greater,
        (">=", false) | ("<=", true) => ScanOp::GreaterEqual,
        _ => return None,
    })
}

/// The column of the table, from `at` on in the row, that an expression is, a change of nothing but its type aside.
fn column_of(expr: &Expr, (at, width): (usize, usize)) -> Option<(usize, Type)> {
    match expr {
        Expr::Column(column) if column.level == 0 && (at..at + width).contains(&column.index) => {
            Some((column.index - at, column.ty))
        }
        Expr::Convert { input, to: Type::TEXT | Type::VARCHAR, .. } => {
            let (column, ty) = column_of(input, (at, width))?;
            matches!(ty, Type::VARCHAR | Type::TEXT | Type::NAME).then_some((column, ty))
        }
        _ => None,
    }
}

fn is_integer(ty: Type) -> bool {
    matches!(ty, Type::INT2 | Type::INT4 | Type::INT8)
}

/// Whether values of a type can be looked for among those of a column.
fn comparable(column: Type, value: Type) -> bool {
    column == value
        || is_integer(column) && is_integer(value)
        || Codec::of(column) == Codec::Text
            && Codec::of(value) == Codec::Text
            && column != Type::BPCHAR
            && value != Type::BPCHAR
        || Codec::of(column) == Codec::Oid && Codec::of(value) == Codec::Oid
}

fn test_of<'e>(
    number: usize,
    condition: &'e Expr,
    table: (usize, usize),
    is_known: &dyn Fn(&Expr) -> bool,
) -> Option<Test<'e>> {
    match condition {
        Expr::Call(call) => comparison(number, call, table, is_known),
        Expr::IsNull { input, negated: false } => {
            let (column, _) = column_of(input, table)?;
            Some(Test { number, column, op: ScanOp::IsNull, value: input })
        }
        _ => None,
    }
}

fn comparison<'e>(
    number: usize,
    call: &'e CallExpr,
    table: (usize, usize),
    is_known: &dyn Fn(&Expr) -> bool,
) -> Option<Test<'e>> {
    let [left, right] = call.args.as_slice() else { return None };
    for (column, value, is_flipped) in [(left, right, false), (right, left, true)] {
        if let Some((found, ty)) = column_of(column, table)
            && comparable(ty, value.ty())
            && is_known(value)
            && !is_volatile(value)
            && let Some(op) = scan_op(call.name, is_flipped)
        {
            return Some(Test { number, column: found, op, value });
        }
    }
    None
}

/// The best way to read a table whose columns begin at `at`, under these conditions. `is_known`: whether an expression's
/// value is there before the table is read.
pub fn choose(
    relation: &RelationDescriptor,
    at: usize,
    width: usize,
    conditions: &[Expr],
    is_known: &dyn Fn(&Expr) -> bool,
) -> Choice {
    let all = row_count(relation);
    let tests: Vec<Test<'_>> = conditions
        .iter()
        .enumerate()
        .filter_map(|(number, condition)| test_of(number, condition, (at, width), is_known))
        .collect();
    let columns = relation.columns.len();
    if let Some(test) = tests.iter().find(|test| test.column == columns + CTID && test.op == ScanOp::Equal) {
        let path = Path::Address(test.value.clone());
        return Choice { path, used: vec![test.number], rows: 1.0, is_unique: true };
    }
    let left = conditions.iter().fold(1.0, |left, condition| left * selectivity(condition));
    let mut best =
        Choice { path: Path::Sequential, used: Vec::new(), rows: (all * left).max(1.0), is_unique: false };
    let mut best_score = 0.0;
    for (number, index) in relation.indexes.iter().enumerate().filter(|(_, index)| index.is_valid) {
        let Some((choice, score)) = by_index(relation, (number, index), &tests, all) else { continue };
        if score > best_score {
            (best, best_score) = (choice, score);
        }
    }
    best
}

/// What part of the rows a condition leaves, for want of statistics.
pub fn selectivity(condition: &Expr) -> f64 {
    match condition {
        Expr::Call(call) => match call.name {
            "=" => 0.005,
            "<>" => 0.995,
            "<" | "<=" | ">" | ">=" => 1.0 / 3.0,
            _ => 0.1,
        },
        Expr::IsNull { negated, .. } => {
            if *negated {
                0.99
            } else {
                0.01
            }
        }
        Expr::Or(items) => items.iter().map(selectivity).sum::<f64>().min(1.0),
        Expr::And(items) => items.iter().map(selectivity).product(),
        _ => 0.5,
    }
}

fn by_index(
    relation: &RelationDescriptor,
    (number, index): (usize, &IndexDescriptor),
    tests: &[Test<'_>],
    all: f64,
) -> Option<(Choice, f64)> {
    let (mut chosen, mut used, mut rows, mut score) = (Vec::new(), Vec::new(), all, 0.0);
    let mut equal = 0;
    for (column, key) in index.keys.iter().enumerate() {
        let of_column: Vec<&Test<'_>> =
            tests.iter().filter(|test| key.column > 0 && test.column + 1 == key.column as usize).collect();
        let ty = Type::from_oid(key.type_oid)?;
        let mut take = |test: &Test<'_>| {
            chosen.push(IndexTest { column, op: test.op, ty, value: test.value.clone() });
            used.push(test.number);
        };
        let equality = of_column.iter().find(|test| matches!(test.op, ScanOp::Equal | ScanOp::IsNull));
        if let Some(test) = equality {
            take(test);
            equal += 1;
            rows *= 0.01;
            score += 10.0;
            continue;
        }
        for test in &of_column {
            take(test);
            rows /= 3.0;
            score += 1.0;
        }
        break;
    }
    if chosen.is_empty() {
        return None;
    }
    let is_unique =
        index.is_unique && equal == index.keys.len() && !chosen.iter().any(|test| test.op == ScanOp::IsNull);
    if is_unique {
        (rows, score) = (1.0, score + 1000.0);
    }
    // Small tables are read at once, as PostgreSQL does; where nobody has counted, the index is taken.
    if !is_unique && relation.statistics.0 >= 0.0 && all < 50.0 {
        return None;
    }
    let path = Path::Index { index: number, tests: chosen, backward: false };
    Some((Choice { path, used, rows: rows.max(1.0), is_unique }, score))
}

/// An index whose order is that of these columns (place in the table, descending, nulls first), its leading ones bound by
/// equality perhaps, and whether it is read backward.
pub fn ordered_by(
    relation: &RelationDescriptor,
    path: &Path,
    keys: &[(usize, bool, bool)],
) -> Option<(usize, bool)> {
    let (candidates, bound): (Vec<usize>, usize) = match path {
        Path::Sequential => ((0..relation.indexes.len()).collect(), 0),
        Path::Index { index, tests, .. } => {
            (vec![*index], tests.iter().filter(|test| test.op == ScanOp::Equal).count())
        }
        Path::Address(_) => return None,
    };
    for number in candidates {
        let index = &relation.indexes[number];
        if !index.is_valid {
            continue;
        }
        for skipped in 0..=bound {
            for backward in [false, true] {
                let fits = keys.len() + skipped <= index.keys.len()
                    && keys.iter().zip(&index.keys[skipped..]).all(
                        |((column, descending, nulls_first), key)| {
                            key.column as usize == column + 1
                                && (key.is_descending != backward) == *descending
                                && (key.nulls_first != backward) == *nulls_first
                        },
                    );
                if fits && !keys.is_empty() {
                    return Some((number, backward));
                }
            }
        }
    }
    None
}

/// Whether an expression reads no column of these places.
pub fn reads_none(expr: &Expr, (at, width): (usize, usize)) -> bool {
    columns_of(expr).range(at..at + width).next().is_none()
}
