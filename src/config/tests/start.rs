//! A server's start: where its files are, which of them are wrong, and the sample that a new one gets.

use super::*;

#[test]
fn a_bad_file_is_fatal_and_names_file_and_line() {
    let cases: [(&str, &[&str]); 6] = [
        (
            "port = \n",
            &[
                "LOG: syntax error in file \"postgresql.conf\" line 1, near end of line",
                "FATAL: configuration file \"postgresql.conf\" contains errors",
            ],
        ),
        (
            "work_mem = 1.5MB\nx y z\n",
            &[
                "LOG: syntax error in file \"postgresql.conf\" line 1, near token \"MB\"",
                "LOG: syntax error in file \"postgresql.conf\" line 2, near token \"z\"",
                "FATAL: configuration file \"postgresql.conf\" contains errors",
            ],
        ),
        (
            "nosuch = 3\nwork_mem = xx\n",
            &[
                "LOG: unrecognized configuration parameter \"nosuch\" in file \"postgresql.conf\" line 1",
                "FATAL: configuration file \"postgresql.conf\" contains errors",
            ],
        ),
        (
            "work_mem = xx\n",
            &[
                "LOG: invalid value for parameter \"work_mem\": \"xx\"",
                "FATAL: configuration file \"postgresql.conf\" contains errors",
            ],
        ),
        (
            "max_connections = 5\nreserved_connections = 2\n",
            &[
                "FATAL: \"superuser_reserved_connections\" (3) plus \"reserved_connections\" (2) must be less than \"max_connections\" (5)",
            ],
        ),
        (
            "wal_level = minimal\nmax_wal_senders = 0\narchive_mode = on\n",
            &["FATAL: WAL archival cannot be enabled when \"wal_level\" is \"minimal\""],
        ),
    ];
    let data = Data::new("bad", "");
    for (conf, expected) in cases {
        data.write("postgresql.conf", conf);
        let reports = data.start_with(&[]).unwrap_err();
        assert_eq!(data.told(&reports), expected, "{conf}");
    }
    data.write("postgresql.conf", "\n\nwork_mem = xx\n");
    let reports = data.start_with(&[]).unwrap_err();
    assert_eq!(
        reports[0].context.as_deref().map(|text| text.ends_with("postgresql.conf\" line 3")),
        Some(true)
    );
    assert_eq!(reports[1].sqlstate.code(), "F0000");
}

#[test]
fn the_command_line_is_stronger_than_the_files_and_they_than_the_environment() {
    let data = Data::new("sources", "port = 1111\nwork_mem = 1MB\n");
    data.write("postgresql.auto.conf", "work_mem = '2MB'\n");
    let environment =
        [("PGPORT".to_owned(), "2222".to_owned()), ("PGDATESTYLE".to_owned(), "sql".to_owned())];
    let options = [("fsync".to_owned(), "off".to_owned()), ("my.own".to_owned(), "1".to_owned())];
    let start = Start { data_directory: Some(&data.0), options: &options, environment: &environment };
    let (settings, reports) = Settings::start(&start).unwrap();
    assert_eq!(reports, []);
    let rows = settings.rows(true);
    let row = |name: &str| rows.iter().find(|row| row.name == name).unwrap();
    let what = |name: &str| (row(name).setting.as_str(), row(name).source);
    assert_eq!(what("port"), ("1111", "configuration file"));
    assert_eq!(what("work_mem"), ("2048", "configuration file"));
    assert_eq!(what("DateStyle"), ("SQL, MDY", "environment variable"));
    assert_eq!(what("fsync"), ("off", "command line"));
    assert_eq!(what("hba_file").1, "override");
    assert_eq!(settings.data_directory(), data.0);
    assert_eq!(settings.get(HBA_FILE), data.0.join("pg_hba.conf").to_string_lossy());
    assert_eq!(row("port").sourceline, Some(1));
    assert!(row("work_mem").sourcefile.as_deref().is_some_and(|file| file.ends_with("postgresql.auto.conf")));
    assert_eq!(shown(&settings, "my.own"), "1");
    assert_eq!(shown(&settings, "client_encoding"), "UTF8");
}

#[test]
fn files_may_be_elsewhere() {
    let data = Data::new("data", "work_mem = 9MB\n");
    let etc = Data::new("etc", &format!("data_directory = '{}'\nhba_file = '/x/hba'\n", data.0.display()));
    let config_file = etc.0.join("postgresql.conf").to_string_lossy().into_owned();
    let options = [("config_file".to_owned(), config_file.clone())];
    let (mut settings, _) = Settings::start(&Start { options: &options, ..Start::default() }).unwrap();
    assert_eq!(settings.data_directory(), data.0);
    assert_eq!(settings.get(CONFIG_FILE), config_file);
    assert_eq!(settings.get(HBA_FILE), "/x/hba");
    assert_eq!(settings.get(IDENT_FILE), etc.0.join("pg_ident.conf").to_string_lossy());
    assert_eq!(etc.told(&settings.reload(Reader::Postmaster)), [""; 0]);
}

#[test]
fn what_cannot_be_found_is_said() {
    let data = Data::new("lost", "");
    let fails = |directory: Option<&std::path::Path>, options: &[(&str, &str)]| {
        let options: Vec<_> = options.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let start = Start { data_directory: directory, options: &options, environment: &[] };
        let reports = Settings::start(&start).unwrap_err();
        data.told(&reports).join("; ")
    };
    assert_eq!(fails(None, &[]), "FATAL: tuskd does not know where to find the server configuration file");
    assert_eq!(
        fails(Some("/nosuch".as_ref()), &[]),
        "FATAL: could not access directory \"/nosuch\": No such file or directory"
    );
    assert_eq!(
        fails(Some(&data.0), &[("config_file", "/nosuch")]),
        "FATAL: could not access the server configuration file \"/nosuch\": No such file or directory"
    );
    assert_eq!(
        fails(Some(&data.0), &[("nosuch", "1")]),
        "FATAL: unrecognized configuration parameter \"nosuch\""
    );
    assert_eq!(
        fails(Some(&data.0), &[("work_mem", "xx")]),
        "FATAL: invalid value for parameter \"work_mem\": \"xx\""
    );
    let config_file = data.0.join("postgresql.conf").to_string_lossy().into_owned();
    assert_eq!(
        fails(None, &[("config_file", &config_file)]),
        "FATAL: tuskd does not know where to find the database system data"
    );
}

#[test]
fn the_sample_changes_nothing_but_what_was_chosen() {
    let data = Data::new("sample", &sample(&[]));
    let plain = data.start();
    let changed: Vec<_> =
        plain.rows(true).into_iter().filter(|row| row.source == "configuration file").collect();
    assert_eq!(changed, []);

    // Each line that is a comment says the default, in words that the file would be read by.
    let uncommented: String = sample(&[])
        .lines()
        .filter(|line| !line.starts_with("#include") && !line.starts_with("#data_directory"))
        .filter_map(|line| {
            line.strip_prefix('#').filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()))
        })
        .map(|line| format!("{line}\n"))
        .collect();
    data.write("postgresql.conf", &uncommented);
    let (full, reports) = data.start_with(&[]).unwrap();
    assert_eq!(reports, []);
    let mut read = 0;
    for (before, after) in plain.rows(true).iter().zip(full.rows(true)) {
        assert_eq!(before.setting, after.setting, "{}", before.name);
        read += usize::from(after.source == "configuration file");
    }
    assert!(read > 100, "{read}");

    let chosen = [
        ("port", "5433"),
        ("TimeZone", "Asia/Shanghai"),
        ("cluster_name", "it's"),
        ("fsync", "off"),
        ("jit", "off"),
    ];
    data.write("postgresql.conf", &sample(&chosen));
    let settings = data.start();
    for (name, value) in chosen {
        assert_eq!(shown(&settings, name), value);
    }
    assert!(data.read("postgresql.conf").contains("\nport = 5433                             # (restart)\n"));
}
