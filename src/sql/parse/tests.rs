//! What the grammar says of statements, beside what PostgreSQL 18 says.

use crate::report::Report;

use super::tree::{Expr, ExprKind, InList, QueryBody};
use super::{Planned, Statement, parse};

fn said(report: &Report) -> String {
    let position = report.position.map_or(String::new(), |at| format!(" @{at}"));
    let hint = report.hint.as_ref().map_or(String::new(), |hint| format!("\n  hint {hint}"));
    format!("  {} {}{position}{hint}", report.sqlstate, report.message)
}

/// The files hold statements behind `> ` and what a PostgreSQL 18.4 said of them to Parse: `ok` also where something
/// behind the grammar refused them.
fn check(file: &str) {
    let mut wrong = String::new();
    for block in file.split("\n> ").skip(1) {
        let (text, expected) = block.split_once('\n').unwrap();
        let expected = expected.split("\n#").next().unwrap().trim_end();
        let made = match parse(&text.replace("\\n", "\n")) {
            Ok(_) => "  ok".to_owned(),
            Err(report) => said(&report),
        };
        if made != expected {
            wrong.push_str(&format!("> {text}\n{expected}\n  --- but was:\n{made}\n"));
        }
    }
    assert!(wrong.is_empty(), "differs from PostgreSQL:\n{wrong}");
}

#[test]
fn queries_and_changes_are_read_as_postgresql_reads_them() {
    check(include_str!("tests/queries.out"));
}

#[test]
fn queries_of_people_and_tools_are_read_as_postgresql_reads_them() {
    check(include_str!("tests/more_queries.out"));
}

#[test]
fn definitions_and_the_rest_are_read_as_postgresql_reads_them() {
    check(include_str!("tests/definitions.out"));
}

/// An expression with parentheses around each operation.
fn shape(expr: &Expr) -> String {
    let list = |items: &[Expr], word: &str| items.iter().map(shape).collect::<Vec<_>>().join(word);
    match &expr.kind {
        ExprKind::Number(text) => text.clone(),
        ExprKind::Column(names) => names.join("."),
        ExprKind::Unary(parts) => format!("({} {})", parts.0.name, shape(&parts.1)),
        ExprKind::Binary(parts) => format!("({} {} {})", shape(&parts.1), parts.0.name, shape(&parts.2)),
        ExprKind::And(items) => format!("({})", list(items, " and ")),
        ExprKind::Or(items) => format!("({})", list(items, " or ")),
        ExprKind::Not(input) => format!("(not {})", shape(input)),
        ExprKind::Cast(cast) => format!("({}::{})", shape(&cast.input), cast.ty.names.join(".")),
        ExprKind::Function(call) => {
            let args: Vec<String> = call.args.iter().map(|arg| shape(&arg.value)).collect();
            format!("{}({})", call.names[call.names.len() - 1], args.join(", "))
        }
        ExprKind::Row(items, _) => format!("row({})", list(items, ", ")),
        ExprKind::In(test) => match &test.list {
            InList::Exprs(items) => format!("({} in ({}))", shape(&test.input), list(items, ", ")),
            InList::Query(_) => format!("({} in query)", shape(&test.input)),
        },
        ExprKind::Between(test) => {
            format!("({} between {} and {})", shape(&test.input), shape(&test.low), shape(&test.high))
        }
        ExprKind::Like(like) => {
            let escape =
                like.escape.as_ref().map_or(String::new(), |escape| format!(" escape {}", shape(escape)));
            format!("({} like {}{escape})", shape(&like.input), shape(&like.pattern))
        }
        ExprKind::Is(input, test, negated) => format!("({} is {negated} {test:?})", shape(input)),
        ExprKind::Distinct(parts) => format!("({} distinct {})", shape(&parts.left), shape(&parts.right)),
        ExprKind::Quantified(parts) => format!("({} {} any)", shape(&parts.left), parts.op.name),
        ExprKind::Indirection(input, path) => format!("({}[{}])", shape(input), path.len()),
        ExprKind::Collate(input, name) => format!("({} collate {})", shape(input), name.dotted()),
        ExprKind::Subquery(_) => "query".to_owned(),
        other => format!("{other:?}"),
    }
}

/// The only column of a `SELECT` without more.
fn expression(text: &str) -> Expr {
    let mut parsed = parse(&format!("select {text}")).unwrap_or_else(|report| panic!("{text}: {report:?}"));
    let statement = std::mem::replace(&mut parsed[0].statement, Statement::Utility(super::Utility::Unlisten));
    match statement {
        Statement::Planned(planned) => match *planned {
            Planned::Query(query) => match query.body {
                QueryBody::Select(mut select) => select.targets.remove(0).expr,
                other => panic!("{other:?}"),
            },
            Planned::Change(change) => panic!("{change:?}"),
        },
        Statement::Utility(utility) => panic!("{utility:?}"),
    }
}

/// The manual's table of precedence, from the strongest operator to the weakest.
#[test]
fn operators_bind_as_the_manual_says() {
    for (text, expected) in [
        ("a.b::int::text", "((a.b::int4)::text)"),
        ("- a::int", "(- (a::int4))"),
        ("a[1]::int", "((a[1])::int4)"),
        ("- a ^ b", "((- a) ^ b)"),
        ("- 2 ^ 2", "(-2 ^ 2)"),
        ("- a collate x", "((- a) collate x)"),
        ("- a at time zone b", "timezone(b, (- a))"),
        ("a || b collate x", "(a || (b collate x))"),
        ("a at time zone b collate x", "timezone((b collate x), a)"),
        ("a + b at time zone c", "(a + timezone(c, b))"),
        ("a ^ b at time zone c", "(a ^ timezone(c, b))"),
        ("a ^ b ^ c", "((a ^ b) ^ c)"),
        ("a * b ^ c / d", "((a * (b ^ c)) / d)"),
        ("a - b - c * d", "((a - b) - (c * d))"),
        ("a || b + c", "(a || (b + c))"),
        ("a || b @ c", "((a || b) @ c)"),
        ("@ a + b", "(@ (a + b))"),
        ("@ a @ b", "((@ a) @ b)"),
        ("a * @ b + c", "(a * (@ (b + c)))"),
        ("a < b || c", "(a < (b || c))"),
        ("a = b like c", "(a = (b like c))"),
        ("a like b = c", "((a like b) = c)"),
        ("a like b || c escape d", "(a like (b || c) escape d)"),
        ("a in (1) = b", "((a in (1)) = b)"),
        ("a = b in (1)", "(a = (b in (1)))"),
        ("a between b and c and d", "((a between b and c) and d)"),
        ("a between b = c and d", "(a between (b = c) and d)"),
        ("a between b and c = d", "((a between b and c) = d)"),
        ("a = b is null", "((a = b) is false Null)"),
        ("a is null = b", "((a is false Null) = b)"),
        ("a is distinct from b = c", "(a distinct (b = c))"),
        ("not a is null", "(not (a is false Null))"),
        ("not a = b", "(not (a = b))"),
        ("a = not b = c", "(a = (not (b = c)))"),
        ("not a and b or c and not d", "(((not a) and b) or (c and (not d)))"),
        ("a or b and c or d", "(a or (b and c) or d)"),
        ("a or (b or c)", "(a or (b or c))"),
        ("a + b = any (c) and d", "(((a + b) = any) and d)"),
        ("(a, b) = (c, d)", "(row(a, b) = row(c, d))"),
        ("((a)), 1", "a"),
        ("((select 1) + 1) * 2", "((query + 1) * 2)"),
        ("a operator(x.*) b + c", "(a * (b + c))"),
    ] {
        assert_eq!(shape(&expression(text)), expected, "{text}");
    }
}

/// Places are those that PostgreSQL's reports point to: an expression's leftmost part, an operator itself.
#[test]
fn places_are_of_the_leftmost_part() {
    for (text, at) in [
        ("1 + 2", 7),
        ("(1 + 2) * 3", 8),
        ("  a.b", 9),
        ("not a", 7),
        ("(select 1)", 7),
        ("((select 1))", 7),
        ("cast(1 as int)", 7),
        ("(1)::int", 8),
        ("a at time zone b", 7),
        ("- 1", 7),
    ] {
        assert_eq!(expression(text).at, at, "{text}");
    }
    let ExprKind::Binary(parts) = expression("1 + 2").kind else { panic!() };
    assert_eq!(parts.0.at, 9);
}

#[test]
fn long_names_are_cut_and_said() {
    let parsed = parse(&format!("select 1 as {}", "é".repeat(40))).unwrap();
    let notice = &parsed[0].notices[0];
    assert_eq!((notice.sqlstate.to_string().as_str(), notice.severity.name()), ("42622", "NOTICE"));
    let (long, short) = ("é".repeat(40), "é".repeat(31));
    assert_eq!(notice.message, format!("identifier \"{long}\" will be truncated to \"{short}\""));
}

proptest::proptest! {
    /// Any soup of tokens is answered: parsed or refused, never with a panic.
    #[test]
    fn token_soups_end(
        picks in proptest::collection::vec((0usize..PIECES.len(), proptest::bool::ANY), 0..60),
        first in 0usize..FIRST.len(),
    ) {
        let mut text = FIRST[first].to_owned();
        for (pick, space) in picks {
            text.push_str(if space { " " } else { "" });
            text.push_str(PIECES[pick]);
        }
        _ = parse(&text);
    }

    /// So is any text.
    #[test]
    fn any_text_ends(text in "\\PC*") {
        _ = parse(&text);
    }
}

const FIRST: &[&str] = &[
    "select ",
    "insert into t ",
    "update t set ",
    "with a as (",
    "create table t (",
    "alter table t ",
    "grant ",
    "copy ",
    "merge into t using s on ",
    "values (",
    "explain ",
    "set ",
    "create ",
    "drop ",
    "select * from ",
    "",
];

const PIECES: &[&str] = &[
    "select",
    "from",
    "where",
    "(",
    ")",
    "[",
    "]",
    ",",
    ";",
    ".",
    "..",
    ":",
    "::",
    ":=",
    "=>",
    "*",
    "+",
    "-",
    "<",
    "=",
    "<>",
    "@",
    "||",
    "1",
    "1.5",
    "1e",
    "0x",
    "$1",
    "$",
    "'a'",
    "'a",
    "e'\\n'",
    "e'\\u00'",
    "U&'\\0061'",
    "uescape",
    "x'1'",
    "b'1'",
    "$$a$$",
    "\"q\"",
    "\"",
    "a",
    "é",
    "\\",
    "--",
    "/*",
    "*/",
    "\n",
    "not",
    "and",
    "or",
    "is",
    "null",
    "between",
    "symmetric",
    "in",
    "like",
    "escape",
    "any",
    "all",
    "case",
    "when",
    "then",
    "else",
    "end",
    "cast",
    "as",
    "int",
    "array",
    "row",
    "exists",
    "interval",
    "year",
    "to",
    "month",
    "timestamp",
    "with",
    "time",
    "zone",
    "at",
    "local",
    "double",
    "precision",
    "extract",
    "trim",
    "both",
    "substring",
    "for",
    "position",
    "over",
    "partition",
    "by",
    "order",
    "rows",
    "range",
    "unbounded",
    "preceding",
    "filter",
    "within",
    "group",
    "union",
    "intersect",
    "limit",
    "offset",
    "fetch",
    "first",
    "only",
    "ties",
    "update",
    "of",
    "nowait",
    "lateral",
    "join",
    "left",
    "natural",
    "cross",
    "on",
    "using",
    "tablesample",
    "ordinality",
    "values",
    "table",
    "default",
    "returning",
    "conflict",
    "do",
    "nothing",
    "matched",
    "primary",
    "key",
    "references",
    "check",
    "constraint",
    "collate",
    "operator",
    "grouping",
    "sets",
    "rollup",
    "recursive",
    "materialized",
    "variadic",
    "distinct",
    "json",
    "unique",
    "keys",
    "view",
    "index",
    "schema",
    "sequence",
    "role",
];
