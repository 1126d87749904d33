//! A plan as `EXPLAIN` prints it.

use crate::access::btree::ScanOp;
use crate::sql::analyze::deparse::Deparser;
use crate::sql::analyze::expr::{AggregateCall, Column, Expr};
use crate::sql::analyze::tree::{FunctionSource, JoinKind, SetOperation, SortKey};
use crate::sql::functions::quote_ident;
use crate::sql::parse::statement::ExplainOptions;
use crate::sql::tables::SYSTEM_COLUMNS;

use super::{IndexTest, ModifyKind, Path, Plan, TableScan};

/// The lines of a plan. Costs are not estimated yet, and so not shown.
pub fn lines(plan: &Plan, options: ExplainOptions) -> Vec<String> {
    let mut lines = Vec::new();
    let mut tables = 0;
    count_tables(plan, &mut tables);
    let mut shown = Shown { is_qualified: tables > 1, outer: Vec::new() };
    node(plan, options, 0, &[], &mut shown, &mut lines);
    lines
}

fn count_tables(plan: &Plan, count: &mut usize) {
    *count += usize::from(matches!(plan, Plan::Table(_) | Plan::View(..) | Plan::Function { .. }));
    children(plan).into_iter().for_each(|child| count_tables(child, count));
}

#[expect(clippy::only_used_in_recursion, reason = "options will choose what each line shows")]
fn node(
    plan: &Plan,
    options: ExplainOptions,
    depth: usize,
    details: &[String],
    shown: &mut Shown,
    lines: &mut Vec<String>,
) {
    // Nodes that PostgreSQL has no line for are shown by what they do to the node below.
    match plan {
        Plan::Project { input, .. } | Plan::Narrow { input, .. } if !matches!(**input, Plan::OneRow) => {
            return node(input, options, depth, details, shown, lines);
        }
        Plan::Filter { input, condition } => {
            let mut details = details.to_vec();
            details.push(format!("Filter: {}", shown.text(condition, &shown.names(input))));
            return node(input, options, depth, &details, shown, lines);
        }
        _ => {}
    }
    let indent = match depth {
        0 => String::new(),
        _ => format!("{}->  ", " ".repeat(depth * 6 - 4)),
    };
    lines.push(format!("{indent}{}", title(plan)));
    let detail_indent = " ".repeat(depth * 6 + 2);
    for detail in details_of(plan, shown).iter().chain(details) {
        lines.push(format!("{detail_indent}{detail}"));
    }
    if let Plan::NestLoop(join) = plan
        && join.lateral
    {
        node(&join.left, options, depth + 1, &[], shown, lines);
        shown.outer.push(shown.names(&join.left));
        node(&join.right, options, depth + 1, &[], shown, lines);
        shown.outer.pop();
        return;
    }
    for child in children(plan) {
        node(child, options, depth + 1, &[], shown, lines);
    }
}

/// What stands below a node's line.
fn details_of(plan: &Plan, shown: &Shown) -> Vec<String> {
    let mut details = Vec::new();
    match plan {
        Plan::Table(scan) => {
            let names = shown.table_names(scan);
            if let Path::Index { index, tests, .. } = &scan.path
                && !tests.is_empty()
            {
                details.push(format!("Index Cond: {}", index_condition(scan, *index, tests, shown)));
            }
            if let Path::Address(value) = &scan.path {
                details.push(format!("TID Cond: (ctid = {})", shown.text(value, &names)));
            }
            if let Some(filter) = &scan.filter {
                details.push(format!("Filter: {}", shown.text(filter, &names)));
            }
        }
        Plan::Sort { input, keys, .. } => {
            let names = shown.names(input);
            let key = |key: &SortKey| {
                let name = names.get(key.column).cloned().flatten();
                let mut text = name.unwrap_or_else(|| format!("column {}", key.column + 1));
                text += if key.descending { " DESC" } else { "" };
                match (key.descending, key.nulls_first) {
                    (true, false) => text += " NULLS LAST",
                    (false, true) => text += " NULLS FIRST",
                    _ => {}
                }
                text
            };
            details.push(format!("Sort Key: {}", keys.iter().map(key).collect::<Vec<_>>().join(", ")));
        }
        Plan::HashJoin(join) => {
            let (left, right) = (shown.names(&join.left), shown.names(&join.right));
            let keys = join.left_keys.iter().zip(&join.right_keys);
            let keys: Vec<String> = keys
                .map(|(a, b)| format!("({} = {})", shown.text(a, &left), shown.text(b, &right)))
                .collect();
            let all = if keys.len() == 1 { keys[0].clone() } else { format!("({})", keys.join(" AND ")) };
            details.push(format!("Hash Cond: {all}"));
            if let Some(on) = &join.on {
                details.push(format!("Join Filter: {}", shown.text(on, &[left, right].concat())));
            }
        }
        Plan::NestLoop(join) => {
            if let Some(on) = &join.on {
                let names = [shown.names(&join.left), shown.names(&join.right)].concat();
                details.push(format!("Join Filter: {}", shown.text(on, &names)));
            }
        }
        Plan::Aggregate { input, keys, .. } if !keys.is_empty() => {
            let names = shown.names(input);
            let keys: Vec<String> = keys.iter().map(|key| shown.text(key, &names)).collect();
            details.push(format!("Group Key: {}", keys.join(", ")));
        }
        _ => {}
    }
    details
}

fn index_condition(scan: &TableScan, index: usize, tests: &[IndexTest], shown: &Shown) -> String {
    let names = shown.table_names(scan);
    let keys = scan.relation.indexes.get(index).map(|index| index.keys.as_slice()).unwrap_or_default();
    let texts: Vec<String> = tests
        .iter()
        .map(|test| {
            let column = keys
                .get(test.column)
                .and_then(|key| scan.relation.columns.get(usize::try_from(key.column - 1).ok()?));
            let column = column.map_or("?", |column| column.name.as_str());
            let op = match test.op {
                ScanOp::Less => "<",
                ScanOp::LessEqual => "<=",
                ScanOp::Equal => "=",
                ScanOp::GreaterEqual => ">=",
                ScanOp::Greater => ">",
                ScanOp::IsNull => return format!("({column} IS NULL)"),
                ScanOp::IsNotNull => return format!("({column} IS NOT NULL)"),
            };
            format!("({column} {op} {})", shown.text(&test.value, &names))
        })
        .collect();
    if texts.len() == 1 { texts[0].clone() } else { format!("({})", texts.join(" AND ")) }
}

/// Names of a node's columns; none: it has no text.
type Names = Vec<Option<String>>;

/// How expressions are shown.
struct Shown {
    /// Tables' names stand before their columns'.
    is_qualified: bool,
    /// Names of the rows around, the innermost last.
    outer: Vec<Names>,
}

impl Shown {
    fn table_names(&self, scan: &TableScan) -> Names {
        let own = scan.relation.columns.len();
        let name = |column: &usize| {
            let name = match scan.relation.columns.get(*column) {
                Some(column) => quote_ident(&column.name),
                None => SYSTEM_COLUMNS.get(*column - own)?.0.to_owned(),
            };
            Some(if self.is_qualified { format!("{}.{name}", quote_ident(&scan.alias)) } else { name })
        };
        scan.columns.iter().map(name).collect()
    }

    /// What a node's columns are called.
    fn names(&self, plan: &Plan) -> Names {
        match plan {
            Plan::Table(scan) => {
                let mut names = self.table_names(scan);
                names.truncate(scan.width);
                names
            }
            Plan::View(view, _) => view.columns().iter().map(|column| Some(column.name.to_owned())).collect(),
            Plan::Project { input, exprs } => {
                let names = self.names(input);
                exprs.iter().map(|expr| self.maybe(expr, &names)).collect()
            }
            Plan::Aggregate { input, keys, aggregates } => {
                let names = self.names(input);
                let of_keys = keys.iter().map(|key| self.maybe(key, &names));
                of_keys.chain(aggregates.iter().map(|call| self.aggregate(call, &names))).collect()
            }
            Plan::HashJoin(join) => [self.names(&join.left), self.names(&join.right)].concat(),
            Plan::NestLoop(join) => [self.names(&join.left), self.names(&join.right)].concat(),
            Plan::Filter { input, .. }
            | Plan::Sort { input, .. }
            | Plan::Unique { input, .. }
            | Plan::Narrow { input, .. }
            | Plan::Limit { input, .. }
            | Plan::Subquery { input, .. } => self.names(input),
            _ => Vec::new(),
        }
    }

    fn aggregate(&self, call: &AggregateCall, names: &Names) -> Option<String> {
        let args: Option<Vec<String>> =
            call.args[..call.arg_count].iter().map(|arg| self.maybe(arg, names)).collect();
        let args = args?;
        let distinct = if call.distinct { "DISTINCT " } else { "" };
        let inner = if args.is_empty() { "*".to_owned() } else { args.join(", ") };
        Some(format!("{}({distinct}{inner})", call.name))
    }

    fn maybe(&self, expr: &Expr, names: &Names) -> Option<String> {
        let column = |column: &Column| match column.level {
            0 => names.get(column.index).cloned().flatten(),
            level => {
                let at = self.outer.len().checked_sub(level)?;
                self.outer[at].get(column.index).cloned().flatten()
            }
        };
        Deparser { column: &column, class: &|oid| Some(format!("'{oid}'::regclass")) }.text(expr)
    }

    /// An expression's text, or what stands for one that has none yet.
    fn text(&self, expr: &Expr, names: &Names) -> String {
        self.maybe(expr, names).unwrap_or_else(|| "(condition)".to_owned())
    }
}

fn title(plan: &Plan) -> String {
    match plan {
        Plan::OneRow | Plan::Project { .. } | Plan::Narrow { .. } | Plan::Filter { .. } => {
            "Result".to_owned()
        }
        Plan::Values(rows) if rows.len() == 1 => "Result".to_owned(),
        Plan::Values(_) => "Values Scan on \"*VALUES*\"".to_owned(),
        Plan::View(view, alias) if **alias == *view.name() => format!("View Scan on {alias}"),
        Plan::View(view, alias) => format!("View Scan on {} {alias}", view.name()),
        Plan::Table(scan) => table_title(scan),
        Plan::Shared { alias, .. } => format!("CTE Scan on {alias}"),
        Plan::With { .. } => "Result".to_owned(),
        Plan::Modify(modify) => {
            let verb = match &modify.kind {
                ModifyKind::Insert { .. } => "Insert",
                ModifyKind::Update { .. } => "Update",
                ModifyKind::Delete { .. } => "Delete",
            };
            format!("{verb} on {}", named(&modify.relation.name, &modify.alias))
        }
        Plan::LockRows(_) => "LockRows".to_owned(),
        Plan::HashJoin(join) => match join.kind {
            JoinKind::Inner => "Hash Join".to_owned(),
            JoinKind::Left => "Hash Left Join".to_owned(),
            JoinKind::Right => "Hash Right Join".to_owned(),
            JoinKind::Full => "Hash Full Join".to_owned(),
        },
        Plan::Function { call, alias, .. } => match &**call {
            FunctionSource::Set(call) if *call.name == **alias => format!("Function Scan on {alias}"),
            FunctionSource::Set(call) => format!("Function Scan on {} {alias}", call.name),
            FunctionSource::Scalar(_) => format!("Function Scan on {alias}"),
        },
        Plan::Subquery { alias, .. } => format!("Subquery Scan on {alias}"),
        Plan::ProjectSet { .. } => "ProjectSet".to_owned(),
        Plan::NestLoop(join) => match join.kind {
            JoinKind::Inner => "Nested Loop".to_owned(),
            JoinKind::Left => "Nested Loop Left Join".to_owned(),
            JoinKind::Right => "Nested Loop Right Join".to_owned(),
            JoinKind::Full => "Nested Loop Full Join".to_owned(),
        },
        Plan::Aggregate { keys, .. } if keys.is_empty() => "Aggregate".to_owned(),
        Plan::Aggregate { .. } => "GroupAggregate".to_owned(),
        Plan::Sort { .. } => "Sort".to_owned(),
        Plan::Unique { keys: None, .. } => "HashAggregate".to_owned(),
        Plan::Unique { .. } => "Unique".to_owned(),
        Plan::Limit { .. } => "Limit".to_owned(),
        Plan::Append(_) => "Append".to_owned(),
        Plan::SetOperation { operation, all, .. } => {
            let name = if *operation == SetOperation::Intersect { "Intersect" } else { "Except" };
            format!("SetOp {name}{}", if *all { " All" } else { "" })
        }
    }
}

/// A relation's name, and what it is called here if that is something else.
fn named(name: &str, alias: &str) -> String {
    if name == alias { name.to_owned() } else { format!("{name} {alias}") }
}

fn table_title(scan: &TableScan) -> String {
    let table = named(&scan.relation.name, &scan.alias);
    match &scan.path {
        Path::Sequential => format!("Seq Scan on {table}"),
        Path::Address(_) => format!("Tid Scan on {table}"),
        Path::Index { index, backward, .. } => {
            let index = scan.relation.indexes.get(*index).map_or("?", |index| &index.name);
            let way = if *backward { " Backward" } else { "" };
            format!("Index Scan{way} using {index} on {table}")
        }
    }
}

fn children(plan: &Plan) -> Vec<&Plan> {
    match plan {
        Plan::OneRow
        | Plan::Values(_)
        | Plan::View(..)
        | Plan::Function { .. }
        | Plan::Table(_)
        | Plan::Shared { .. } => Vec::new(),
        Plan::With { changes, input } => changes.iter().map(|(_, plan)| &**plan).chain([&**input]).collect(),
        Plan::Modify(modify) => vec![&modify.input],
        Plan::LockRows(lock) => vec![&lock.input],
        Plan::HashJoin(join) => vec![&join.left, &join.right],
        Plan::Subquery { input, .. }
        | Plan::Filter { input, .. }
        | Plan::ProjectSet { input, .. }
        | Plan::Aggregate { input, .. }
        | Plan::Sort { input, .. }
        | Plan::Unique { input, .. }
        | Plan::Limit { input, .. } => vec![input],
        Plan::Project { input, .. } | Plan::Narrow { input, .. } => match &**input {
            Plan::OneRow => Vec::new(),
            other => vec![other],
        },
        Plan::NestLoop(join) => vec![&join.left, &join.right],
        Plan::Append(inputs) => inputs.iter().map(|input| &**input).collect(),
        Plan::SetOperation { left, right, .. } => vec![left, right],
    }
}
