//! Files read again, ALTER SYSTEM, and `pg_file_settings`.

use super::*;

#[test]
fn reload_tells_what_changed() {
    // What the file says in turn, what the log says, and work_mem then.
    let cases: [(&str, &[&str], &str); 10] = [
        ("work_mem = 5MB\n", &["LOG: parameter \"work_mem\" changed to \"5MB\""], "5MB"),
        ("work_mem = 5120kB\n", &[], "5MB"),
        (
            "work_mem = 6MB\nport = 4\nmax_connections=xx\n",
            &[
                "LOG: parameter \"work_mem\" changed to \"6MB\"",
                "LOG: parameter \"port\" cannot be changed without restarting the server",
                "LOG: invalid value for parameter \"max_connections\": \"xx\"",
                "LOG: configuration file \"postgresql.conf\" contains errors; unaffected changes were applied",
            ],
            "6MB",
        ),
        (
            "work_mem = 7MB\nnosuch = 4\nwork_mem=8MB\n",
            &[
                "LOG: unrecognized configuration parameter \"nosuch\" in file \"postgresql.conf\" line 2",
                "LOG: configuration file \"postgresql.conf\" contains errors; no changes were applied",
            ],
            "6MB",
        ),
        (
            "work_mem = 7MB\nfoo = = 4\nbar = \"\n",
            &[
                "LOG: syntax error in file \"postgresql.conf\" line 2, near token \"=\"",
                "LOG: syntax error in file \"postgresql.conf\" line 3, near token \"\"\"",
                "LOG: configuration file \"postgresql.conf\" contains errors; no changes were applied",
            ],
            "6MB",
        ),
        (
            "work_mem = xx\nmaintenance_work_mem=3MB\n",
            &[
                "LOG: invalid value for parameter \"work_mem\": \"xx\"",
                "LOG: parameter \"maintenance_work_mem\" changed to \"3MB\"",
                "LOG: configuration file \"postgresql.conf\" contains errors; unaffected changes were applied",
            ],
            "6MB",
        ),
        (
            "server_version = 3\n",
            &[
                "LOG: parameter \"maintenance_work_mem\" removed from configuration file, reset to default",
                "LOG: parameter \"work_mem\" removed from configuration file, reset to default",
                "LOG: parameter \"server_version\" cannot be changed",
                "LOG: configuration file \"postgresql.conf\" contains errors; unaffected changes were applied",
            ],
            "4MB",
        ),
        (
            "work_mem = 1MB\nwork_mem = xx\nwork_mem = 2MB\na.b = 3\nlog_connections = all\n",
            &[
                "LOG: parameter \"work_mem\" changed to \"2MB\"",
                "LOG: parameter \"a.b\" changed to \"3\"",
                "LOG: parameter \"log_connections\" changed to \"all\"",
            ],
            "2MB",
        ),
        (
            "include 'nosuch'",
            &[
                "LOG: could not open configuration file \"nosuch\": No such file or directory",
                "LOG: configuration file \"postgresql.conf\" contains errors; no changes were applied",
            ],
            "2MB",
        ),
        (
            "client_encoding = sql_ascii",
            &[
                "LOG: parameter \"log_connections\" removed from configuration file, reset to default",
                "LOG: parameter \"work_mem\" removed from configuration file, reset to default",
                "LOG: parameter \"a.b\" removed from configuration file, reset to default",
                "LOG: parameter \"client_encoding\" changed to \"sql_ascii\"",
            ],
            "4MB",
        ),
    ];
    let data = Data::new("reload", "");
    let mut settings = data.start();
    for (conf, expected, work_mem) in cases {
        data.write("postgresql.conf", conf);
        let mut told = data.told(&settings.reload(Reader::Postmaster));
        let mut expected: Vec<_> = expected.iter().map(|line| (*line).to_owned()).collect();
        if conf.starts_with("server_version") || conf.starts_with("client") {
            // Settings are removed in the table's order.
            told.sort();
            expected.sort();
        }
        assert_eq!(told, expected, "{conf}");
        assert_eq!(shown(&settings, "work_mem"), work_mem, "{conf}");
    }
    // What had been computed comes back when the file no longer says otherwise.
    data.write("postgresql.conf", "");
    settings.reload(Reader::Postmaster);
    assert_eq!(shown(&settings, "client_encoding"), "UTF8");
}

#[test]
fn a_restart_is_pending_while_the_file_asks_for_one() {
    let data = Data::new("pending", "shared_buffers = 1MB\nport = 5555\n");
    let (mut settings, _) = data.start_with(&[("port", "6666")]).unwrap();
    let pending = |settings: &Settings| -> Vec<String> {
        settings.rows(true).into_iter().filter(|row| row.pending_restart).map(|row| row.name).collect()
    };
    data.write("postgresql.conf", "shared_buffers = 2MB\nport = 5555\n");
    let expected = [
        "LOG: parameter \"shared_buffers\" cannot be changed without restarting the server",
        "LOG: configuration file \"postgresql.conf\" contains errors; unaffected changes were applied",
    ];
    assert_eq!(data.told(&settings.reload(Reader::Postmaster)), expected);
    assert_eq!(pending(&settings), ["shared_buffers"]);
    assert_eq!((shown(&settings, "shared_buffers"), shown(&settings, "port")), ("1MB".into(), "6666".into()));
    data.write("postgresql.conf", "port = 5555\n");
    assert_eq!(data.told(&settings.reload(Reader::Child)), expected);
    data.write("postgresql.conf", "shared_buffers = 1MB\nport = 5555\n");
    assert_eq!(data.told(&settings.reload(Reader::Postmaster)), [""; 0]);
    assert_eq!(pending(&settings), [""; 0]);
}

#[test]
fn sessions_keep_what_they_set_and_what_only_new_ones_take() {
    let data = Data::new("session", "work_mem = 1MB\nlog_disconnections = off\n");
    let mut settings = data.start();
    settings.enter();
    set(&mut settings, "work_mem", "2MB");
    settings.set("statement_timeout", "5", Scope::Local, false).unwrap();
    data.write("postgresql.conf", "work_mem = 3MB\nlog_disconnections = on\nstatement_timeout = 7\n");
    settings.reload(Reader::Child);
    assert_eq!(shown(&settings, "work_mem"), "2MB");
    assert!(!settings.get(LOG_DISCONNECTIONS));
    settings.leave(1, false);
    assert_eq!(
        (shown(&settings, "work_mem"), shown(&settings, "statement_timeout")),
        ("3MB".into(), "7ms".into())
    );
    set(&mut settings, "work_mem", "2MB");
    data.write("postgresql.conf", "");
    settings.reload(Reader::Child);
    assert_eq!(shown(&settings, "work_mem"), "2MB");
    settings.reset("work_mem", Scope::Session, false).unwrap();
    assert_eq!(shown(&settings, "work_mem"), "4MB");
    let mut postmaster = data.start();
    data.write("postgresql.conf", "log_disconnections = on\n");
    postmaster.reload(Reader::Postmaster);
    assert!(postmaster.get(LOG_DISCONNECTIONS));
}

#[test]
fn file_settings_are_listed_without_being_applied() {
    let data = Data::new("listed", "work_mem = 1MB\n");
    let settings = data.start();
    data.write("postgresql.conf", "work_mem = 2MB\nwork_mem = xx\n\na.b = 'c'\n");
    let rows = settings.file_setting_rows();
    let line = |row: &FileSettingRow| {
        format!(
            "{} {} {} {} {} {}",
            row.sourceline,
            row.seqno,
            row.name.as_deref().unwrap_or("-"),
            row.setting.as_deref().unwrap_or("-"),
            row.applied,
            row.error.as_deref().unwrap_or("-")
        )
    };
    let expected = [
        "1 1 work_mem 2MB false -",
        "2 2 work_mem xx false setting could not be applied",
        "4 3 a.b c true -",
    ];
    assert_eq!(rows.iter().map(line).collect::<Vec<_>>(), expected);
    assert!(rows[0].sourcefile.as_deref().is_some_and(|file| file.ends_with("/postgresql.conf")));
    assert_eq!(shown(&settings, "work_mem"), "1MB");
    data.write("postgresql.conf", "work_mem = 2MB\nnosuch = 1\nx = = 1\n");
    let expected = ["1 1 work_mem 2MB false -", "2 2 nosuch 1 false -", "3 3 - - false syntax error"];
    assert_eq!(settings.file_setting_rows().iter().map(line).collect::<Vec<_>>(), expected);
}

#[test]
fn alter_system_writes_the_auto_file() {
    use AlterSystem::*;
    const HEADER: &str =
        "# Do not edit this file manually!\n# It will be overwritten by the ALTER SYSTEM command.\n";
    let data = Data::new("alter", "work_mem = 1MB\n");
    let mut settings = data.start();
    let steps = [
        (Set("work_mem", "2MB"), "work_mem = '2MB'\n"),
        (Set("cluster_name", "it's \\"), "work_mem = '2MB'\ncluster_name = 'it''s \\\\'\n"),
        (Set("WORK_MEM", "3MB"), "cluster_name = 'it''s \\\\'\nWORK_MEM = '3MB'\n"),
        (Set("sort_mem", "4MB"), "cluster_name = 'it''s \\\\'\nsort_mem = '4MB'\n"),
        (Set("a.b", "1"), "cluster_name = 'it''s \\\\'\nsort_mem = '4MB'\na.b = '1'\n"),
        (Reset("cluster_name"), "sort_mem = '4MB'\na.b = '1'\n"),
        (Reset("fsync"), "sort_mem = '4MB'\na.b = '1'\n"),
    ];
    for (step, text) in steps {
        settings.alter_system(step, true).unwrap();
        assert_eq!(data.read("postgresql.auto.conf"), format!("{HEADER}{text}"), "{step:?}");
    }
    assert!(!data.0.join("postgresql.auto.conf.tmp").exists());
    settings.reload(Reader::Postmaster);
    assert_eq!((shown(&settings, "work_mem"), shown(&settings, "a.b")), ("4MB".into(), "1".into()));
    settings.alter_system(ResetAll, true).unwrap();
    assert_eq!(data.read("postgresql.auto.conf"), HEADER);
}

#[test]
fn alter_system_refuses_with_postgres_words() {
    use AlterSystem::*;
    let data = Data::new("refuse", "");
    let mut settings = data.start();
    let cases = [
        (Set("work_mem", "1MB"), false, "42501 permission denied to set parameter \"work_mem\""),
        (ResetAll, false, "42501 permission denied to perform ALTER SYSTEM RESET ALL"),
        (Set("nosuch", "1"), true, "42704 unrecognized configuration parameter \"nosuch\""),
        (Set("bad name", "1"), true, "42704 unrecognized configuration parameter \"bad name\""),
        (
            Set("a.b c", "1"),
            true,
            "42602 invalid configuration parameter name \"a.b c\" DETAIL Custom parameter names must be two or more simple identifiers separated by dots.",
        ),
        (Set("data_directory", "x"), true, "55P02 parameter \"data_directory\" cannot be changed"),
        (Reset("block_size"), true, "55P02 parameter \"block_size\" cannot be changed"),
        (
            Set("cluster_name", "a\nb"),
            true,
            "22023 parameter value for ALTER SYSTEM must not contain a newline",
        ),
        (Set("enable_seqscan", "x"), true, "22023 parameter \"enable_seqscan\" requires a Boolean value"),
        (
            Set("crash_containment", "on"),
            true,
            "0A000 \"crash_containment\" is not supported yet HINT A crash restarts all server processes; leave it off.",
        ),
    ];
    for (what, is_superuser, expected) in cases {
        assert_eq!(said(&settings.alter_system(what, is_superuser).unwrap_err()), expected);
    }
    data.write("postgresql.auto.conf", "x = = 1\n");
    let error = settings.alter_system(Set("work_mem", "1MB"), true).unwrap_err();
    assert_eq!(data.told(&[*error]), ["ERROR: could not parse contents of file \"postgresql.auto.conf\""]);
    settings.set_internal(ALLOW_ALTER_SYSTEM, "off").unwrap();
    let error = settings.alter_system(ResetAll, true).unwrap_err();
    assert_eq!(said(&error), "22023 ALTER SYSTEM is not allowed in this environment");
}
