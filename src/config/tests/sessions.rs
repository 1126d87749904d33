//! SET and RESET in transactions, permissions, and what clients are told.

use super::*;

#[test]
fn transactions_undo_what_they_set() {
    use Step::*;
    enum Step {
        Enter,
        Keep,
        Undo,
        Set(&'static str),
        Local(&'static str),
        Reset,
        ResetAll,
    }
    // Steps, and the value after each.
    let cases: [&[(Step, &str)]; 13] = [
        &[(Set("1MB"), "1MB"), (Reset, "4MB")],
        &[(Enter, "4MB"), (Set("1MB"), "1MB"), (Keep, "1MB")],
        &[(Enter, "4MB"), (Set("1MB"), "1MB"), (Undo, "4MB")],
        &[(Enter, "4MB"), (Local("1MB"), "1MB"), (Keep, "4MB")],
        &[(Enter, "4MB"), (Set("1MB"), "1MB"), (Local("2MB"), "2MB"), (Keep, "1MB")],
        &[(Enter, "4MB"), (Local("2MB"), "2MB"), (Set("1MB"), "1MB"), (Keep, "1MB")],
        &[(Enter, "4MB"), (Set("1MB"), "1MB"), (Local("2MB"), "2MB"), (Undo, "4MB")],
        &[(Enter, "4MB"), (Enter, "4MB"), (Set("1MB"), "1MB"), (Undo, "4MB"), (Keep, "4MB")],
        &[(Enter, "4MB"), (Enter, "4MB"), (Set("1MB"), "1MB"), (Keep, "1MB"), (Undo, "4MB")],
        &[
            (Enter, "4MB"),
            (Set("1MB"), "1MB"),
            (Enter, "1MB"),
            (Local("2MB"), "2MB"),
            (Keep, "2MB"),
            (Keep, "1MB"),
        ],
        &[
            (Enter, "4MB"),
            (Local("1MB"), "1MB"),
            (Enter, "1MB"),
            (Set("2MB"), "2MB"),
            (Keep, "2MB"),
            (Keep, "2MB"),
        ],
        &[
            (Enter, "4MB"),
            (Local("1MB"), "1MB"),
            (Enter, "1MB"),
            (Enter, "1MB"),
            (Set("2MB"), "2MB"),
            (Local("3MB"), "3MB"),
            (Keep, "3MB"),
            (Keep, "3MB"),
            (Keep, "2MB"),
        ],
        &[(Set("1MB"), "1MB"), (Enter, "1MB"), (ResetAll, "4MB"), (Undo, "1MB")],
    ];
    for (number, steps) in cases.iter().enumerate() {
        let mut settings = Settings::default();
        for (at, (step, expected)) in steps.iter().enumerate() {
            let level = settings.level();
            match step {
                Enter => assert_eq!(settings.enter(), level + 1),
                Keep => settings.leave(level, true),
                Undo => settings.leave(level, false),
                Set(value) => settings.set("work_mem", value, Scope::Session, false).unwrap(),
                Local(value) => settings.set("work_mem", value, Scope::Local, false).unwrap(),
                Reset => settings.reset("work_mem", Scope::Session, false).unwrap(),
                ResetAll => settings.reset_all(),
            }
            assert_eq!(shown(&settings, "work_mem"), *expected, "case {number}, step {at}");
        }
        assert!(settings.saved.is_empty(), "case {number}");
    }
}

#[test]
fn a_transactions_end_ends_its_savepoints() {
    let mut settings = Settings::default();
    let transaction = settings.enter();
    set(&mut settings, "work_mem", "1MB");
    settings.enter();
    settings.enter();
    set(&mut settings, "work_mem", "2MB");
    settings.leave(transaction, true);
    assert_eq!((settings.level(), shown(&settings, "work_mem")), (0, "2MB".to_owned()));
}

#[test]
fn transactions_begin_with_their_defaults() {
    let mut settings = Settings::default();
    set(&mut settings, "default_transaction_isolation", "serializable");
    assert_eq!(shown(&settings, "transaction_isolation"), "read committed");
    let level = settings.enter();
    assert_eq!(shown(&settings, "transaction_isolation"), "serializable");
    set(&mut settings, "transaction_isolation", "repeatable read");
    assert_eq!(shown(&settings, "transaction_isolation"), "repeatable read");
    settings.leave(level, true);
    settings.enter();
    assert_eq!(shown(&settings, "transaction_isolation"), "serializable");
    let error = settings.reset("transaction_isolation", Scope::Session, true).unwrap_err();
    assert_eq!(said(&error), "0A000 parameter \"transaction_isolation\" cannot be reset");
}

#[test]
fn contexts_decide_who_may_set() {
    let ordinary = |name: &str| Settings::default().set(name, "1", Scope::Session, false);
    let superuser = |name: &str| Settings::default().set(name, "1", Scope::Session, true);
    let client = |name: &str| Settings::default().set_for_client(name, "1", false);
    type How<'a> = &'a dyn Fn(&str) -> crate::report::Result<()>;
    let cases: [(How<'_>, &str, &str); 15] = [
        (
            &ordinary,
            "work_mem",
            "22023 1 kB is outside the valid range for parameter \"work_mem\" (64 kB .. 2147483647 kB)",
        ),
        (&ordinary, "zero_damaged_pages", "42501 permission denied to set parameter \"zero_damaged_pages\""),
        (&superuser, "zero_damaged_pages", ""),
        (&superuser, "port", "55P02 parameter \"port\" cannot be changed without restarting the server"),
        (&superuser, "fsync", "55P02 parameter \"fsync\" cannot be changed now"),
        (&superuser, "block_size", "55P02 parameter \"block_size\" cannot be changed"),
        (
            &superuser,
            "log_disconnections",
            "55P02 parameter \"log_disconnections\" cannot be set after connection start",
        ),
        (
            &superuser,
            "ignore_system_indexes",
            "55P02 parameter \"ignore_system_indexes\" cannot be set after connection start",
        ),
        (&client, "ignore_system_indexes", ""),
        (&client, "log_disconnections", "42501 permission denied to set parameter \"log_disconnections\""),
        (&client, "port", "55P02 parameter \"port\" cannot be changed without restarting the server"),
        (&client, "fsync", "55P02 parameter \"fsync\" cannot be changed now"),
        (&client, "nosuch", "42704 unrecognized configuration parameter \"nosuch\""),
        (&client, "my.own", ""),
        (
            &ordinary,
            "session_authorization",
            "0A000 invalid value for parameter \"session_authorization\": \"1\" DETAIL Roles cannot be changed by a setting yet.",
        ),
    ];
    for (how, name, expected) in cases {
        let answer = how(name).map_or_else(|report| said(&report), |()| String::new());
        assert_eq!(answer, expected, "{name}");
    }
    let settings = Settings::default();
    assert_eq!(
        said(&settings.show("hba_file", false).unwrap_err()),
        "42501 permission denied to examine \"hba_file\" DETAIL Only roles with privileges of the \
         \"pg_read_all_settings\" role may examine this parameter."
    );
}

#[test]
fn names_of_two_parts_are_kept_for_whoever_asks() {
    let mut settings = Settings::default();
    assert_eq!(settings.current_setting("myapp.user_id", true, false), Ok(None));
    let error = settings.show("myapp.user_id", false).unwrap_err();
    assert_eq!(said(&error), "42704 unrecognized configuration parameter \"myapp.user_id\"");
    settings.enter();
    settings.set("myApp.User_Id", "7", Scope::Local, false).unwrap();
    assert_eq!(settings.show("myapp.user_id", false), Ok(("myApp.User_Id", "7".to_owned())));
    settings.leave(1, true);
    assert_eq!(settings.current_setting("myapp.user_id", false, false), Ok(Some(String::new())));
    assert!(settings.rows(true).iter().all(|row| row.name != "myApp.User_Id"));
    settings.reset("a.b", Scope::Session, false).unwrap();
    assert_eq!(shown(&settings, "a.b"), "");
}

#[test]
fn stronger_sources_hold_and_reset_goes_back_to_them() {
    let mut settings = Settings::default();
    settings.set_stored("work_mem", "2MB", Source::User).unwrap();
    settings.set_stored("work_mem", "1MB", Source::Database).unwrap();
    assert_eq!(shown(&settings, "work_mem"), "2MB");
    settings.set_for_client("work_mem", "3MB", false).unwrap();
    set(&mut settings, "work_mem", "5MB");
    settings.reset("work_mem", Scope::Session, false).unwrap();
    assert_eq!(shown(&settings, "work_mem"), "3MB");
    let row = settings.rows(true).into_iter().find(|row| row.name == "work_mem").unwrap();
    assert_eq!((row.source, row.reset_val.as_deref()), ("client", Some("3072")));
}

#[test]
fn clients_are_told_of_changes_once() {
    let mut settings = Settings::default();
    let names: Vec<_> = settings.take_report_changes().into_iter().map(|(name, _)| name).collect();
    let mut expected = [
        "application_name",
        "client_encoding",
        "DateStyle",
        "default_transaction_read_only",
        "in_hot_standby",
        "integer_datetimes",
        "IntervalStyle",
        "is_superuser",
        "scram_iterations",
        "search_path",
        "server_encoding",
        "server_version",
        "session_authorization",
        "standard_conforming_strings",
        "TimeZone",
    ];
    let mut sorted = names.clone();
    sorted.sort_unstable();
    expected.sort_unstable();
    assert_eq!(sorted, expected);
    assert_eq!(settings.take_report_changes(), []);
    set(&mut settings, "work_mem", "1MB");
    set(&mut settings, "datestyle", "sql");
    settings.enter();
    set(&mut settings, "timezone", "utc");
    assert_eq!(
        settings.take_report_changes(),
        [("DateStyle", "SQL, MDY".to_owned()), ("TimeZone", "UTC".to_owned())]
    );
    settings.leave(1, false);
    assert_eq!(settings.take_report_changes(), [("TimeZone", "GMT".to_owned())]);
    // Changed and changed back: nothing to tell.
    set(&mut settings, "timezone", "utc");
    set(&mut settings, "timezone", "GMT");
    assert_eq!(settings.take_report_changes(), []);
    settings.set_internal(IS_SUPERUSER, "on").unwrap();
    settings.set_internal(SESSION_AUTHORIZATION, "none").unwrap();
    assert_eq!(settings.take_report_changes().len(), 2);
    settings.forget_reports();
    assert_eq!(settings.take_report_changes().len(), 15);
}

#[test]
fn arguments_are_joined_as_their_setting_wants() {
    let settings = Settings::default();
    let join = |name: &str, arguments: &[&str]| settings.join_arguments(name, arguments);
    assert_eq!(
        join("search_path", &["Foo", "bar baz", "a", "select"]).unwrap(),
        "\"Foo\", \"bar baz\", a, \"select\""
    );
    assert_eq!(join("search_path", &[""]).unwrap(), "\"\"");
    assert_eq!(join("datestyle", &["ISO", "DMY"]).unwrap(), "ISO, DMY");
    assert_eq!(join("work_mem", &["1 MB"]).unwrap(), "1 MB");
    assert_eq!(
        said(&join("log_statement", &["a", "b"]).unwrap_err()),
        "22023 SET log_statement takes only one argument"
    );
}
