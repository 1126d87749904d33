//! Maps, and the file's rows. Expectations are what PostgreSQL 18.4 answered.

use super::super::roles::RolesFile;
use super::super::scratch::Scratch;
use super::*;

const GOOD: &str = r#"
m root alice
m /^(.*)@x$ \1
m /(o+)t$ \1
m both all
m quoted "all"
m grp +staff
m /^qgrp$ "+staff"
m re /^al
m /^capture-(.*)$ x\1y\1
m /^group-(.*)$ +staff
m /^all-(.*)$ \1
bad /^none$ x\1
bad none bob
n n n extra words
"#;

#[test]
fn users_are_mapped() {
    let scratch = Scratch::new("ident");
    let ident = load(&scratch.file("pg_ident.conf", GOOD)).contents.unwrap();
    let roles = RolesFile::sample();
    for (map, system_user, role, expected) in [
        ("m", "root", "alice", true),
        ("m", "root", "bob", false),
        ("m", "Root", "alice", false),
        ("m", "bob@x", "bob", true),
        ("m", "bob@x", "alice", false),
        ("m", "bob@y", "bob", false),
        ("m", "root", "oo", true),
        ("m", "both", "anybody", true),
        ("m", "quoted", "anybody", false),
        ("m", "quoted", "all", true),
        ("m", "grp", "alice", true),
        ("m", "grp", "bob", false),
        ("m", "qgrp", "alice", false),
        ("m", "qgrp", "+staff", true),
        ("m", "re", "alice", true),
        ("m", "re", "bob", false),
        // Only the first is replaced.
        ("m", "capture-z", "xzy\\1", true),
        ("m", "group-z", "alice", true),
        // What was captured means itself.
        ("m", "all-all", "bob", false),
        ("m", "all-all", "all", true),
        ("m", "all-+staff", "alice", false),
        ("n", "n", "n", true),
        ("other", "root", "alice", false),
        ("M", "root", "alice", false),
    ] {
        let mut log = Vec::new();
        let found = ident.allows(Some(map), system_user, role, &roles, &mut log);
        assert_eq!(found, expected, "{map} {system_user} {role}");
        let told: Vec<&str> = log.iter().map(|report| report.message.as_str()).collect();
        let message =
            format!("no match in usermap \"{map}\" for user \"{role}\" authenticated as \"{system_user}\"");
        assert_eq!(told, if expected { vec![] } else { vec![message.as_str()] });
    }
}

#[test]
fn without_a_map_names_must_be_equal() {
    let (ident, roles, mut log) = (Ident::default(), RolesFile::sample(), Vec::new());
    assert!(ident.allows(None, "a", "a", &roles, &mut log));
    assert!(ident.allows(Some(""), "a", "a", &roles, &mut log));
    assert!(log.is_empty());
    assert!(!ident.allows(None, "root", "a", &roles, &mut log));
    assert_eq!(log[0].message, "provided user name (a) and authenticated user name (root) do not match");
}

#[test]
fn a_capture_that_is_not_there_ends_the_search() {
    let scratch = Scratch::new("ident_capture");
    let ident = load(&scratch.file("f", GOOD)).contents.unwrap();
    let mut log = Vec::new();
    assert!(!ident.allows(Some("bad"), "none", "bob", &RolesFile::sample(), &mut log));
    assert_eq!(log.len(), 1);
    assert_eq!(
        log[0].message,
        "regular expression \"^none$\" has no subexpressions as requested by backreference in \"x\\1\""
    );
    assert_eq!(log[0].sqlstate, SqlState::INVALID_REGULAR_EXPRESSION);
}

#[test]
fn rows_show_good_and_bad_lines() {
    let scratch = Scratch::new("ident_rows");
    let text = "m a b\nm a\nm\nm /( x\nm,n a b\nm a,b c\nm a b,c\n\"m m\" \"a b\" \"all\"\ninclude none\n";
    let path = scratch.file("f", text);
    let rows: Vec<(Option<i32>, i32, Option<String>)> = mappings(&path)
        .unwrap()
        .into_iter()
        .map(|row| {
            let text = row.error.or_else(|| Some([row.map_name?, row.sys_name?, row.pg_username?].join("|")));
            (row.map_number, row.line_number, text)
        })
        .collect();
    let missing = format!(
        "could not open file \"{}\": No such file or directory",
        scratch.path().join("none").display()
    );
    let expected = [
        (Some(1), 1, "m|a|b"),
        (None, 2, "missing entry at end of line"),
        (None, 3, "missing entry at end of line"),
        (None, 4, "invalid regular expression \"(\": parentheses () not balanced"),
        (None, 5, "multiple values in ident field"),
        (None, 6, "multiple values in ident field"),
        (None, 7, "multiple values in ident field"),
        (Some(2), 8, "m m|a b|all"),
        (None, 9, &missing),
    ];
    assert_eq!(rows, expected.map(|(number, line, text)| (number, line, Some(text.to_owned()))));
    let loaded = load(&path);
    assert!(loaded.contents.is_none());
    assert_eq!(loaded.log.len(), 7);
    assert!(loaded.log.iter().all(|report| report.severity == Severity::Log && report.context.is_some()));
    assert_eq!(mappings(Path::new("/nonexistent")).unwrap_err().severity, Severity::Error);
}

#[test]
fn an_empty_file_is_good_and_a_missing_one_is_told() {
    let scratch = Scratch::new("ident_empty");
    assert!(load(&scratch.file("f", "# nothing\n")).contents.is_some());
    let missing = load(&scratch.path().join("none"));
    assert!(missing.contents.is_none());
    assert_eq!(missing.log.len(), 1);
}
