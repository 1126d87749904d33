//! Reading values by key, and how they are shown.

use super::*;

#[test]
fn defaults_are_shown_as_postgres_shows_them() {
    let settings = Settings::default();
    let cases = [
        ("wal_segment_size", "16MB"),
        ("block_size", "8192"),
        ("data_directory_mode", "0700"),
        ("log_file_mode", "0600"),
        ("unix_socket_permissions", "0777"),
        ("bgwriter_delay", "200ms"),
        ("checkpoint_timeout", "5min"),
        ("min_wal_size", "80MB"),
        ("archive_command", "(disabled)"),
        ("in_hot_standby", "off"),
        ("transaction_isolation", "read committed"),
        ("log_rotation_age", "1d"),
        ("track_activity_query_size", "1kB"),
        ("segment_size", "1GB"),
        ("wal_keep_size", "0"),
        ("log_rotation_size", "10MB"),
        ("autovacuum_vacuum_cost_delay", "2ms"),
        ("hash_mem_multiplier", "2"),
        ("temp_file_limit", "-1"),
        ("wal_summary_keep_time", "10d"),
        ("log_connections", ""),
        ("checkpoint_completion_target", "0.9"),
        ("shared_buffers", "128MB"),
        ("server_version", "18.4"),
        ("server_version_num", "180004"),
        ("io_method", "auto"),
        ("process_title_style", "documents"),
        ("crash_containment", "off"),
        ("seed", "unavailable"),
        ("role", "none"),
        ("autoanalyze_scale_factor", "0.1"),
    ];
    for (name, value) in cases {
        assert_eq!(shown(&settings, name), value, "{name}");
    }
}

#[test]
fn keys_give_values_in_base_units() {
    let mut settings = Settings::default();
    set(&mut settings, "statement_timeout", "2s");
    set(&mut settings, "work_mem", "2MB");
    assert_eq!(settings.get(MAX_CONNECTIONS), 100);
    assert_eq!(settings.get(STATEMENT_TIMEOUT), 2000);
    assert_eq!(settings.millis(STATEMENT_TIMEOUT), 2000);
    assert_eq!(settings.millis(AUTHENTICATION_TIMEOUT), 60_000);
    assert_eq!(settings.millis(LOG_ROTATION_AGE), 86_400_000);
    assert_eq!(settings.millis(LOG_MIN_DURATION_STATEMENT), -1);
    assert_eq!(settings.bytes(WORK_MEM), 2 << 20);
    assert_eq!(settings.bytes(SHARED_BUFFERS), 128 << 20);
    assert_eq!(settings.bytes(MAX_WAL_SIZE), 1 << 30);
    assert_eq!(settings.bytes(WAL_BUFFERS), -1);
    assert!(settings.get(AUTOVACUUM));
    assert_eq!(settings.get(LOG_STATEMENT), "none");
    assert_eq!(settings.get(LISTEN_ADDRESSES), "localhost");
    assert!((settings.get(SEQ_PAGE_COST) - 1.0).abs() < f64::EPSILON);
}

#[test]
fn what_is_not_there_is_refused_clearly() {
    let data = Data::new("missing", "");
    let cases = [
        (
            "threaded_execution",
            "on",
            "0A000 \"threaded_execution\" is not supported yet HINT Sessions are processes; leave it off.",
        ),
        (
            "crash_containment",
            "yes",
            "0A000 \"crash_containment\" is not supported yet HINT A crash restarts all server processes; leave it off.",
        ),
        (
            "shared_preload_libraries",
            "x",
            "0A000 invalid value for parameter \"shared_preload_libraries\": \"x\" DETAIL tuskd does not load libraries.",
        ),
        (
            "archive_library",
            "x",
            "0A000 invalid value for parameter \"archive_library\": \"x\" DETAIL tuskd does not load libraries.",
        ),
        (
            "log_destination",
            "stderr,syslog",
            "22023 invalid value for parameter \"log_destination\": \"stderr,syslog\" DETAIL tuskd does not log to syslog.",
        ),
        ("bonjour", "on", "22023 Bonjour is not supported by this build"),
        (
            "password_encryption",
            "md5",
            "0A000 invalid value for parameter \"password_encryption\": \"md5\" DETAIL tuskd keeps SCRAM-SHA-256 verifiers only.",
        ),
        ("listen_addresses", "a,,b", "22023 invalid list syntax in parameter \"listen_addresses\""),
        (
            "recovery_target",
            "x",
            "22023 invalid value for parameter \"recovery_target\": \"x\" DETAIL The only allowed value is \"immediate\".",
        ),
        (
            "log_connections",
            "on,all",
            "22023 invalid value for parameter \"log_connections\": \"on,all\" DETAIL Cannot specify log_connections option \"on\" in a list with other options.",
        ),
        (
            "log_connections",
            "foo",
            "22023 invalid value for parameter \"log_connections\": \"foo\" DETAIL Invalid option \"foo\".",
        ),
        (
            "log_connections",
            "t",
            "22023 invalid value for parameter \"log_connections\": \"t\" DETAIL Invalid option \"t\".",
        ),
        ("log_file_mode", "0999", "22023 invalid value for parameter \"log_file_mode\": \"0999\""),
        (
            "unix_socket_permissions",
            "700",
            "22023 700 is outside the valid range for parameter \"unix_socket_permissions\" (0 .. 511)",
        ),
    ];
    for (name, value, expected) in cases {
        let reports = data.start_with(&[(name, value)]).unwrap_err();
        assert_eq!(reports.len(), 1);
        assert_eq!(said(&reports[0]), expected);
    }
    for (name, value, shown_as) in [
        ("threaded_execution", "off", "off"),
        ("crash_containment", "false", "off"),
        ("io_method", "worker", "auto"),
        ("wal_level", "logical", "logical"),
        ("wal_level", "hot_standby", "replica"),
        ("log_connections", "receipt, Authorization", "receipt, Authorization"),
        ("log_destination", "csvlog, jsonlog", "csvlog, jsonlog"),
        ("huge_pages", "1", "on"),
        ("wal_buffers", "1kB", "32kB"),
        ("autovacuum_work_mem", "5", "64kB"),
        ("log_file_mode", "0666", "0666"),
        ("cluster_name", "bücher", "b??cher"),
    ] {
        let (settings, _) = data.start_with(&[(name, value)]).unwrap();
        assert_eq!(shown(&settings, name), shown_as, "{name}");
    }
}

#[test]
fn rows_have_the_columns_of_pg_settings() {
    let mut settings = Settings::default();
    set(&mut settings, "work_mem", "8MB");
    let rows = settings.rows(true);
    let row = |name: &str| rows.iter().find(|row| row.name == name).unwrap();
    let work_mem = row("work_mem");
    assert_eq!((work_mem.setting.as_str(), work_mem.unit, work_mem.source), ("8192", Some("kB"), "session"));
    assert_eq!((work_mem.min_val.as_deref(), work_mem.max_val.as_deref()), (Some("64"), Some("2147483647")));
    assert_eq!((work_mem.boot_val.as_deref(), work_mem.reset_val.as_deref()), (Some("4096"), Some("4096")));
    assert_eq!((work_mem.context, work_mem.vartype), ("user", "integer"));
    assert_eq!(work_mem.category, "Resource Usage / Memory");
    assert_eq!(row("seq_page_cost").max_val.as_deref(), Some("1.79769e+308"));
    assert_eq!(row("log_file_mode").setting, "0600");
    assert_eq!(row("log_file_mode").boot_val.as_deref(), Some("384"));
    assert_eq!(row("external_pid_file").boot_val, None);
    assert_eq!(row("application_name").boot_val.as_deref(), Some(""));
    assert_eq!(row("xmlbinary").enumvals, Some(["base64", "hex"].as_slice()));
    assert!(rows.windows(2).all(|pair| pair[0].name.to_lowercase() < pair[1].name.to_lowercase()));
    assert!(!rows.iter().any(|row| row.name == "is_superuser"));
    assert_eq!(settings.rows(false).len() + 23, rows.len());
    assert_eq!(settings.show_all(true).len(), rows.len());
    let flags = |name: &str| settings.flag_names(name);
    assert_eq!(flags("work_mem"), Some(vec!["EXPLAIN"]));
    assert_eq!(flags("transaction_read_only"), Some(vec!["NO_RESET", "NO_RESET_ALL", "NOT_IN_SAMPLE"]));
    assert_eq!(flags("role"), Some(vec!["NO_RESET_ALL", "NO_SHOW_ALL", "NOT_IN_SAMPLE"]));
    assert_eq!(flags("wal_segment_size"), Some(vec!["NOT_IN_SAMPLE", "RUNTIME_COMPUTED"]));
    assert_eq!(flags("nosuch"), None);
}
