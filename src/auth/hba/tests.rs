//! The grammar, the view's rows and the choice of records. Expectations are what PostgreSQL 18.4 answered.

use std::path::PathBuf;

use super::*;
use crate::auth::roles::RolesFile;
use crate::auth::scratch::Scratch;
use crate::auth::system::SystemFiles;

/// A row without file and line: columns with bars between them, nothing for null, arrays in braces.
fn shown(row: &RuleRow) -> String {
    let list = |list: &Option<Vec<String>>| list.as_ref().map(|list| format!("{{{}}}", list.join(",")));
    [
        row.rule_number.map(|number| number.to_string()),
        row.kind.map(str::to_owned),
        list(&row.database),
        list(&row.user_name),
        row.address.clone(),
        row.netmask.clone(),
        row.auth_method.map(str::to_owned),
        list(&row.options),
        row.error.clone(),
    ]
    .map(Option::unwrap_or_default)
    .join("|")
}

/// Each line alone in a file, and its row.
fn check_lines(name: &str, ssl: bool, lines: &[(&str, &str)]) {
    let scratch = Scratch::new(name);
    for (line, expected) in lines {
        let rows = rules(&scratch.file("f", line), ssl).unwrap();
        assert_eq!(rows.iter().map(shown).collect::<Vec<_>>(), [*expected], "{line}");
    }
}

#[test]
fn fields_are_read_or_complained_of() {
    check_lines(
        "hba_fields",
        true,
        &[
            ("local all all trust", "1|local|{all}|{all}|||trust||"),
            ("\"local\" all all \"trust\"", "1|local|{all}|{all}|||trust||"),
            (
                r#"local db1,"db 2",sameuser,"sameuser",/^x.*$,"/q,r" u1,+grp,"+grp",/reg,all md5"#,
                "1|local|{db1,db 2,sameuser,sameuser,/^x.*$,/q,r}|{u1,+grp,+grp,/reg,all}|||md5||",
            ),
            ("foo all all trust", "||||||||invalid connection type \"foo\""),
            ("include", "||||||||invalid connection type \"include\""),
            ("local,host all all trust", "||||||||multiple values specified for connection type"),
            ("local", "||||||||end-of-line before database specification"),
            ("local all", "||||||||end-of-line before role specification"),
            ("local all all", "||||||||end-of-line before authentication method"),
            ("local all all trust,reject", "||||||||multiple values specified for authentication type"),
            ("local all all trustx", "||||||||invalid authentication method \"trustx\""),
            ("local /( all trust", "||||||||invalid regular expression \"(\": parentheses () not balanced"),
            ("local all /( trust", "||||||||invalid regular expression \"(\": parentheses () not balanced"),
            ("local \"unterminated all trust", "||||||||end-of-line before role specification"),
            ("local \"@nofile\" all trust", "1|local|{@nofile}|{all}|||trust||"),
        ],
    );
}

#[test]
fn addresses_are_read_or_complained_of() {
    check_lines(
        "hba_addresses",
        true,
        &[
            ("host all all", "||||||||end-of-line before IP address specification"),
            ("host all all 127.0.0.1", "||||||||end-of-line before netmask specification"),
            ("host all all 127.0.0.1 trust", "||||||||invalid IP mask \"trust\": Name or service not known"),
            ("host all all 127.0.0.1 255.255.255.255", "||||||||end-of-line before authentication method"),
            ("host all all 127.0.0.1 255.0.255.0 trust", "1|host|{all}|{all}|127.0.0.1|255.0.255.0|trust||"),
            ("host all all 127.0.0.1 ::1 trust", "||||||||IP address and mask do not match"),
            ("host all all 127.0.0.1/33 trust", "||||||||invalid CIDR mask in address \"127.0.0.1/33\""),
            ("host all all 127.0.0.1/ trust", "||||||||invalid CIDR mask in address \"127.0.0.1/\""),
            ("host all all 1.2.3.4/-1 trust", "||||||||invalid CIDR mask in address \"1.2.3.4/-1\""),
            ("host all all ::1/129 trust", "||||||||invalid CIDR mask in address \"::1/129\""),
            ("host all all ::1/64 trust", "1|host|{all}|{all}|::1|ffff:ffff:ffff:ffff::|trust||"),
            ("host all all 1.2.3.4/0 trust", "1|host|{all}|{all}|1.2.3.4|0.0.0.0|trust||"),
            ("host all all 1.2.3.4/+32 trust", "1|host|{all}|{all}|1.2.3.4|255.255.255.255|trust||"),
            ("host all all 10.1/16 trust", "1|host|{all}|{all}|10.0.0.1|255.255.0.0|trust||"),
            (
                "host all all foo.example/32 trust",
                "||||||||specifying both host name and CIDR mask is invalid: \"foo.example/32\"",
            ),
            ("host all all foo.example trust", "1|host|{all}|{all}|foo.example||trust||"),
            ("host all all .example trust", "1|host|{all}|{all}|.example||trust||"),
            ("host all all samehost trust", "1|host|{all}|{all}|samehost||trust||"),
            ("host all all samenet trust", "1|host|{all}|{all}|samenet||trust||"),
            ("host all all \"all\" trust", "1|host|{all}|{all}|all||trust||"),
            ("host all all 1.2.3.4,2.3.4.5 trust", "||||||||multiple values specified for host address"),
            ("host all all 10.1 255.255.0.0,1.1.1.1 trust", "||||||||multiple values specified for netmask"),
        ],
    );
}

#[test]
fn methods_and_options_are_read_or_complained_of() {
    let only = |option: &str, methods: &str| {
        format!(
            "||||||||authentication option \"{option}\" is only valid for authentication methods {methods}"
        )
    };
    check_lines(
        "hba_options",
        true,
        &[
            (
                "local all all gss",
                "||||||||invalid authentication method \"gss\": not supported by this build",
            ),
            (
                "host all all all ident",
                "||||||||invalid authentication method \"ident\": not supported by this build",
            ),
            ("local all all ident map=m", "1|local|{all}|{all}|||peer|{map=m}|"),
            ("local all all peer \"map=my map\"", "1|local|{all}|{all}|||peer|{map=my map}|"),
            ("local all all peer map=", "1|local|{all}|{all}|||peer|{map=}|"),
            ("host all all all peer", "||||||||peer authentication is only supported on local sockets"),
            ("host all all all cert", "||||||||cert authentication is only supported on hostssl connections"),
            ("hostssl all all all cert", "1|hostssl|{all}|{all}|all||cert|{clientcert=verify-full}|"),
            (
                "hostssl all all all cert map=x clientcert=verify-full",
                "1|hostssl|{all}|{all}|all||cert|{map=x,clientcert=verify-full}|",
            ),
            (
                "hostssl all all all cert clientcert=verify-ca",
                "||||||||clientcert can only be set to \"verify-full\" when using \"cert\" authentication",
            ),
            (
                "hostssl all all all trust clientcert=verify-ca clientname=DN",
                "1|hostssl|{all}|{all}|all||trust|{clientcert=verify-ca}|",
            ),
            ("hostssl all all all trust clientcert=1", "||||||||invalid value for clientcert: \"1\""),
            ("hostssl all all all trust clientname=XX", "||||||||invalid value for clientname: \"XX\""),
            (
                "host all all all trust clientcert=verify-ca",
                "||||||||clientcert can only be configured for \"hostssl\" rows",
            ),
            (
                "host all all all trust clientname=DN",
                "||||||||clientname can only be configured for \"hostssl\" rows",
            ),
            ("local all all trust map=x", &only("map", "ident, peer, gssapi, sspi, cert, and oauth")),
            ("local all all trust ldapserver=x", &only("ldapserver", "ldap")),
            ("local all all trust krb_realm=x", &only("krb_realm", "gssapi and sspi")),
            ("local all all trust issuer=x", &only("issuer", "oauth")),
            ("local all all trust foo", "||||||||authentication option not in name=value format: foo"),
            ("local all all trust foo=x", "||||||||unrecognized authentication option name: \"foo\""),
        ],
    );
}

#[test]
fn records_that_never_match_are_told_and_kept() {
    let warned = "|hostssl|{all}|{all}|all||trust||hostssl record cannot match because SSL is disabled";
    check_lines("hba_ssl_off", false, &[("hostssl all all all trust", warned)]);
    check_lines("hba_ssl_on", true, &[("hostssl all all all trust", "1|hostssl|{all}|{all}|all||trust||")]);
    let scratch = Scratch::new("hba_warnings");
    let path = scratch.file("f", "hostssl all all all trust\nhostgssenc all all all trust\n");
    let loaded = load(&path, false);
    assert_eq!(loaded.contents.unwrap().records().len(), 2);
    assert_eq!(loaded.log[0].hint.as_deref(), Some("Set \"ssl = on\" in postgresql.conf."));
    assert_eq!(
        loaded.log[1].message,
        "hostgssenc record cannot match because GSSAPI is not supported by this build"
    );
}

#[test]
fn a_bad_line_makes_the_file_bad_and_every_one_is_told() {
    let scratch = Scratch::new("hba_bad");
    let path = scratch.file("f", "local all all trust\nlocal\nlocal a,b c md6\ninclude none\n");
    let loaded = load(&path, true);
    assert!(loaded.contents.is_none());
    let told: Vec<(&str, &str)> = loaded
        .log
        .iter()
        .map(|report| (report.message.as_str(), report.context.as_deref().unwrap()))
        .collect();
    let line = |number: u32| format!("line {number} of configuration file \"{}\"", path.display());
    assert_eq!(told.len(), 3);
    assert_eq!(told[1], ("end-of-line before database specification", &*line(2)));
    assert_eq!(told[2], ("invalid authentication method \"md6\"", &*line(3)));
    assert!(loaded.log.iter().all(|report| report.severity == Severity::Log));
    let rows: Vec<Option<i32>> = rules(&path, true).unwrap().iter().map(|row| row.rule_number).collect();
    assert_eq!(rows, [Some(1), None, None, None]);
    assert_eq!(could_not_load(&path).message, format!("could not load {}", path.display()));
    assert_eq!(not_reloaded(&path).message, format!("{} was not reloaded", path.display()));
}

#[test]
fn a_file_without_records_is_bad() {
    let scratch = Scratch::new("hba_none");
    let path = scratch.file("f", "# nothing\n");
    let loaded = load(&path, true);
    assert!(loaded.contents.is_none());
    assert_eq!(
        loaded.log[0].message,
        format!("configuration file \"{}\" contains no entries", path.display())
    );
    let missing = load(&scratch.path().join("none"), true);
    assert!(missing.contents.is_none());
    assert_eq!(missing.log[0].severity, Severity::Log);
    assert_eq!(rules(&scratch.path().join("none"), true).unwrap_err().severity, Severity::Error);
}

/// Which line of `text` the connection gets: `client` is an address or `local`, `tls/` in front of it means TLS.
fn matched(text: &str, connection: &str) -> Option<u32> {
    let scratch = Scratch::new("hba_match");
    let loaded = load(&scratch.file("f", text), true);
    let hba = loaded.contents.unwrap_or_else(|| panic!("{:?}", loaded.log));
    let words: Vec<&str> = connection.split(' ').collect();
    let [client, user, database, rest @ ..] = &words[..] else { panic!("{connection}") };
    let (tls, client) = match client.strip_prefix("tls/") {
        Some(client) => (true, client),
        None => (false, *client),
    };
    let request = Request {
        client: (client != "local").then(|| client.parse().unwrap()),
        tls,
        user,
        database,
        physical_replication: rest == ["replication"],
    };
    let system = SystemFiles {
        hosts: scratch.file("hosts", "10.9.9.9 db.example alias\n10.9.9.8 other.example\n"),
        fib_trie: scratch
            .file("fib_trie", "  |-- 172.16.0.0\n /16 link UNICAST\n |-- 172.16.0.7\n /32 host LOCAL\n"),
        if_inet6: PathBuf::from("/nonexistent"),
        ..SystemFiles::default()
    };
    hba.find(&request, &RolesFile::sample(), &system).record.map(|record| record.line)
}

#[test]
fn the_first_record_that_matches_counts() {
    let table = "\
local replication all peer
local all alice peer
local sameuser all peer
local company,staff +staff peer
hostssl all all 10.0.0.0/8 scram-sha-256
hostnossl all bob 10.0.0.0/8 reject
host all all db.example trust
host all all .example trust
host all all samehost trust
hostgssenc all all all trust
host all \"all\" 0.0.0.0/0 trust
hostnogssenc /^db\\d+$ all ::/0 trust
host x all samenet trust
";
    for (connection, line) in [
        ("local alice x", Some(2)),
        ("local alice alice", Some(2)),
        ("local bob bob", Some(3)),
        ("local bob x", None),
        ("local bob replication", None),
        ("local bob x replication", Some(1)),
        ("local staff company", Some(4)),
        ("tls/10.1.1.1 alice x", Some(5)),
        ("10.1.1.1 alice x", None),
        ("10.1.1.1 bob x", Some(6)),
        ("10.9.9.9 alice x", Some(7)),
        ("10.9.9.8 alice x", Some(8)),
        ("10.9.9.7 alice x", None),
        ("172.16.0.7 alice y", Some(9)),
        ("172.16.0.8 alice x", Some(13)),
        ("172.17.0.8 alice x", None),
        ("1.1.1.1 all y", Some(11)),
        ("::1 all y", None),
        ("::1 alice db1", Some(12)),
        ("tls/::1 alice db1", Some(12)),
        ("1.1.1.1 alice db1", None),
        ("::1 alice db1x", None),
        ("::1 alice db1 replication", None),
    ] {
        assert_eq!(matched(table, connection), line, "{connection}");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(256))]

    /// Words of the grammar in any order, and any bytes between them.
    #[test]
    fn no_file_makes_the_parser_panic(
        words in proptest::collection::vec(
            proptest::sample::select(vec![
                "local", "host", "hostssl", "all", "sameuser", "/", "/(", "/a|b", "+", "@", "@f", "\"", "\"\"", ",",
                " ", "\t", "\n", "\\\n", "#", "1.2.3.4", "1.2.3.4/8", "::1/64", "/32", "samenet", ".x", "255.0.0.0",
                "trust", "cert", "peer", "map=", "clientcert=verify-full", "=", "include f", "include_dir .", "é", "\0",
            ]),
            0..40,
        ),
        bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..20),
        ssl in proptest::bool::ANY,
    ) {
        let scratch = Scratch::new("hba_any");
        let text = [words.concat().as_bytes(), &bytes].concat();
        let path = scratch.file("f", text);
        let loaded = load(&path, ssl);
        let rows = rules(&path, ssl).unwrap();
        // The two readings agree: a file is good if no line is wrong and there is one at all.
        let wrong = rows.iter().any(|row| row.kind.is_none());
        proptest::prop_assert_eq!(loaded.contents.is_some(), !wrong && !rows.is_empty());
    }
}
