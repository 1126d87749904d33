//! A plan as `EXPLAIN` prints it.

use crate::sql::analyze::tree::{FunctionSource, JoinKind, SetOperation};
use crate::sql::parse::statement::ExplainOptions;

use super::{ModifyKind, Path, Plan, TableScan};

/// The lines of a plan. Costs are not estimated yet, and so not shown.
pub fn lines(plan: &Plan, options: ExplainOptions) -> Vec<String> {
    let mut lines = Vec::new();
    node(plan, options, 0, &[], &mut lines);
    lines
}

#[expect(clippy::only_used_in_recursion, reason = "options will choose what each line shows")]
fn node(plan: &Plan, options: ExplainOptions, depth: usize, details: &[String], lines: &mut Vec<String>) {
    // Nodes that PostgreSQL has no line for are shown by what they do to the node below.
    match plan {
        Plan::Project { input, .. } | Plan::Narrow { input, .. } if !matches!(**input, Plan::OneRow) => {
            return node(input, options, depth, details, lines);
        }
        Plan::Filter { input, .. } => {
            let mut details = details.to_vec();
            details.push("Filter".to_owned());
            return node(input, options, depth, &details, lines);
        }
        _ => {}
    }
    let indent = match depth {
        0 => String::new(),
        _ => format!("{}->  ", " ".repeat(depth * 6 - 4)),
    };
    lines.push(format!("{indent}{}", title(plan)));
    let detail_indent = " ".repeat(depth * 6 + 2);
    for detail in details {
        lines.push(format!("{detail_indent}{detail}: (condition)"));
    }
    if let Plan::Table(scan) = plan {
        if let Path::Index { tests, .. } = &scan.path
            && !tests.is_empty()
        {
            lines.push(format!("{detail_indent}Index Cond: (condition)"));
        }
        if scan.filter.is_some() {
            lines.push(format!("{detail_indent}Filter: (condition)"));
        }
    }
    if let Plan::Sort { keys, .. } = plan {
        let keys: Vec<String> = keys
            .iter()
            .map(|key| format!("column {}{}", key.column + 1, if key.descending { " DESC" } else { "" }))
            .collect();
        lines.push(format!("{detail_indent}Sort Key: {}", keys.join(", ")));
    }
    for child in children(plan) {
        node(child, options, depth + 1, &[], lines);
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
