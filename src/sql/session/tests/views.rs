//! Views, functions that ask the host, and what no statement may do to the server.

use crate::sql::session::Session;

use super::mock::{MockHost, Transcript, report_lines};

/// What a fresh session answers, without ReadyForQuery.
fn answer(host: &mut MockHost, text: &str) -> Vec<String> {
    let mut transcript = Transcript::default();
    let result = Session::new().simple_query(host, text, &mut transcript);
    let mut lines = transcript.lines;
    lines.extend(result.err().iter().flat_map(|report| report_lines(report)));
    lines
}

fn rows(text: &str) -> Vec<String> {
    let lines = answer(&mut MockHost::new(), text);
    lines.into_iter().filter(|line| !line.starts_with("columns") && !line.starts_with("tag")).collect()
}

#[test]
fn views_have_their_columns_and_the_host_s_rows() {
    for (text, expected) in [
        (
            "select wait_event, count from pg_stat_wait_event order by count desc",
            vec!["row 'WALWrite' '7'", "row 'ClientRead' '3'"],
        ),
        (
            "select w.wait_event_type from pg_catalog.pg_stat_wait_event w where p99_us > 10",
            vec!["row 'Client'"],
        ),
        ("select sum(count), max(total_ms) from pg_stat_wait_event", vec!["row '10' '1.5'"]),
        ("select count(*) from pg_stat_activity a join pg_stat_ssl s using (pid)", vec!["row '0'"]),
        ("select nosuch from pg_stat_activity", vec!["error 42703 column \"nosuch\" does not exist @8"]),
        (
            "select * from other.pg_stat_activity",
            vec!["error 42P01 relation \"other.pg_stat_activity\" does not exist @15"],
        ),
    ] {
        assert_eq!(rows(text), expected, "{text}");
    }
    let lines = answer(&mut MockHost::new(), "select * from pg_stat_ssl");
    assert_eq!(
        lines[0],
        "columns pid:23:-1 ssl:16:-1 version:25:-1 cipher:25:-1 bits:23:-1 client_dn:25:-1 client_serial:1700:-1 \
         issuer_dn:25:-1"
    );
}

#[test]
fn every_view_can_be_read_and_explained() {
    for view in crate::sql::views::SystemView::ALL {
        let lines = answer(&mut MockHost::new(), &format!("select * from {}", view.name()));
        assert!(lines.last().unwrap().starts_with("tag SELECT"), "{lines:?}");
        let lines = rows(&format!("explain select * from {} where true", view.name()));
        assert!(lines.iter().any(|line| line.contains(view.name())), "{lines:?}");
    }
}

#[test]
fn functions_ask_the_host() {
    let mut host = MockHost::new();
    for (text, row) in [
        (
            "select pg_backend_pid(), version(), inet_client_addr(), inet_client_port(), inet_server_addr()",
            "row '4711' 'PostgreSQL 18.0 (tuskd)' '127.0.0.1' '5433' NULL",
        ),
        ("select pg_cancel_backend(4712), pg_cancel_backend(1)", "row 't' 'f'"),
        ("select pg_terminate_backend(4712), pg_terminate_backend(4712, 50)", "row 't' 't'"),
        (
            "select pg_reload_conf(), pg_rotate_logfile(), pg_postmaster_alive(), pg_is_in_recovery()",
            "row 't' 'f' 't' 'f'",
        ),
        (
            "select now() = statement_timestamp(), pg_conf_load_time(), pg_blocking_pids(1)",
            "row 't' '2000-01-01 00:00:00+00' '{}'",
        ),
        ("select pg_sleep(1.5)", "row ''"),
        ("select has_database_privilege('postgres', 'connect'), pg_current_logfile()", "row 't' NULL"),
    ] {
        assert_eq!(answer(&mut host, text)[1], row, "{text}");
    }
    let asked: Vec<&str> = host
        .asked
        .iter()
        .map(String::as_str)
        .filter(|line| line.chars().next().unwrap().is_lowercase())
        .collect();
    assert_eq!(
        asked,
        ["cancel 4712", "cancel 1", "terminate 4712 0", "terminate 4712 50", "sleep until 700000001500000",]
    );
}

#[test]
fn alter_system_and_refusals() {
    let mut host = MockHost::new();
    for (text, line) in [
        ("alter system set work_mem = '8MB'", "tag ALTER SYSTEM"),
        ("alter system set x.y to 1, two", "tag ALTER SYSTEM"),
        ("alter system reset all", "tag ALTER SYSTEM"),
        ("begin; alter system reset x", "error 25001 ALTER SYSTEM cannot run inside a transaction block"),
        ("create table t(a int)", "error 0A000 CREATE TABLE is not supported yet @1"),
        (
            "create or replace function f() returns int as '' language sql",
            "error 0A000 CREATE FUNCTION is not supported yet @1",
        ),
        ("drop materialized view v", "error 0A000 DROP MATERIALIZED VIEW is not supported yet @1"),
        ("alter table t add b int", "error 0A000 ALTER TABLE is not supported yet @1"),
        ("listen x", "error 0A000 LISTEN is not supported yet @1"),
        (
            "declare c cursor for select 1",
            "error 25P01 DECLARE CURSOR can only be used in transaction blocks",
        ),
        ("copy t from stdin", "error 0A000 COPY is not supported yet @1"),
        ("vacuum", "error 0A000 VACUUM is not supported yet @1"),
        ("insert into t values (1)", "error 42P01 relation \"t\" does not exist @13"),
        (
            "with recursive t as (select 1) select * from t",
            "error 0A000 WITH RECURSIVE is not supported yet @1",
        ),
        ("select row_number() over ()", "error 0A000 OVER is not supported yet @8"),
        ("frobnicate", "error 42601 syntax error at or near \"frobnicate\" @1"),
    ] {
        assert_eq!(answer(&mut host, text).last().unwrap(), line, "{text}");
    }
    assert_eq!(
        host.asked.iter().filter(|line| line.contains("Set(\"x.y\", \"\\\"1\\\", two\")")).count(),
        1,
        "{:?}",
        host.asked
    );
}

#[test]
fn names_that_are_cut_are_told_of() {
    let mut host = MockHost::new();
    let long = "x".repeat(70);
    let lines = answer(&mut host, &format!("select 1 as {long}"));
    assert_eq!(lines[0], format!("columns {}:23:-1", "x".repeat(63)));
    let notice = &report_lines(&host.notices[0])[0];
    let said = format!("identifier \"{long}\" will be truncated to \"{}\"", "x".repeat(63));
    assert_eq!(*notice, format!("notice 42622 {said}"));
}

#[test]
fn an_interrupt_stops_what_would_run_forever() {
    let mut host = MockHost::new();
    host.interrupt_after = Some(1000);
    let lines = answer(&mut host, "select count(*) from generate_series(1, 1000000000000) x");
    assert_eq!(lines.last().unwrap(), "error 57014 canceling statement due to user request");
}

/// Statements that are big, deep or broken: each is answered, none brings the process down.
#[test]
fn hostile_statements_get_an_answer() {
    let deep_parens = format!("select {}1{}", "(".repeat(5000), ")".repeat(5000));
    let long_sum = format!("select {}1", "1+".repeat(20_000));
    let long_and = format!("select {}true", "true and ".repeat(5000));
    let deep_not = format!("select {}true", "not ".repeat(5000));
    let deep_select =
        format!("select * from {}(select 1) t{}", "(select * from ".repeat(500), ") t".repeat(500));
    let many_ors = format!("select 1 where {}", vec!["1 = 2"; 3000].join(" or "));
    let long_union = vec!["select 1"; 3000].join(" union all ");
    let long_concat = format!("select {}'x'", "'x' || ".repeat(3000));
    let deep_array = format!("select {}{}", "array[".repeat(1000), "]".repeat(1000));
    let deep_broken = format!("select {}x y z{}", "array[".repeat(1000), "]".repeat(1000));
    let deep_json = format!("select '{}'::jsonb", "[".repeat(100_000));
    for text in [
        &deep_parens,
        &long_sum,
        &long_and,
        &deep_not,
        &deep_select,
        &many_ors,
        &long_union,
        &long_concat,
        &deep_array,
        &deep_broken,
        &deep_json,
    ] {
        let lines = answer(&mut MockHost::new(), text);
        assert!(!lines.is_empty(), "{}", &text[..60]);
    }
    for text in [
        "select '\u{0}'",
        "select \u{1F600}",
        "select 1e999999999",
        "select 'x' || repeat('x', 2000000000)",
        "select 10::numeric ^ 1000000000",
        "select '1e131071'::numeric * '1e131071'::numeric",
        "select factorial(1000000)",
        "select '999999999 years'::interval",
        "select '5874898-01-01'::date",
        "select interval '1 year' * 1e300",
        "select timestamp '294276-12-31' + interval '1 day'",
        "select $99999",
        "select -9223372036854775808 / -1",
        "select (-32768)::int2 / -1::int2",
        "select lpad('x', 2000000000, 'y')",
        "select array[1][999999999999]",
        "select generate_series(1, 9223372036854775807, 9223372036854775807) limit 3",
        "select round(1.5, 2000000000)",
        "select to_char(now(), repeat('YYYY', 100))",
        "select substr('abc', 2147483647, 2147483647)",
        "e'",
        "\"",
        "/*",
        "select U&'\\0000'",
        "select format('%2147483648$s', 1)",
        "select extract(nosuch from now())",
        "select chr(1114112)",
        "select '{1,2'::int[], '[5:1]={}'::int[]",
        "select (array[1,2,3])[-2147483648:2147483647]",
        ";;;;",
        "\\",
    ] {
        assert!(!answer(&mut MockHost::new(), text).is_empty(), "{text}");
    }
}

/// A parser before this one tried several readings at each level, and never ended on thirty nested arrays with an error
/// within. Each of these is answered in time that grows with its length only.
#[test]
fn nothing_nested_takes_long() {
    for (open, middle, close) in [
        ("array[", "1", "]"),
        ("array[", "x y z", "]"),
        ("(", "1", ")"),
        ("(", "1 2", ")"),
        ("((select ", "1", ") + 1)"),
        ("((select ", "1", ") x)"),
        ("case when true then ", "1", " end"),
        ("case when true then ", "1 2", " end"),
        ("cast(", "1", " as int)"),
        ("cast(", "1", " as)"),
        ("not ", "true", ""),
        ("not ", "true true true", ""),
        ("- ", "1", ""),
        ("@ ", "1 1", ""),
        ("coalesce(1, ", "1", ")"),
        ("f(variadic ", "1", ")"),
        ("1 in (", "1", ")"),
        ("1 between 0 and ", "1", ""),
        ("exists (select ", "1", ")"),
        ("greatest(1, ", "1", ")"),
        ("1 = any (", "null", ")"),
        ("x[", "1", "]"),
        ("'x' || ", "'y'", ""),
        ("1 + ", "1 1", ""),
        ("interval '1' ", "day", ""),
    ] {
        for (count, closes) in [(30, 30), (1000, 1000), (1000, 0), (1000, 999), (20_000, 20_000)] {
            let text = format!("select {}{middle}{}", open.repeat(count), close.repeat(closes));
            let start = std::time::Instant::now();
            assert!(!answer(&mut MockHost::new(), &text).is_empty());
            let took = start.elapsed();
            assert!(took.as_secs() < 10, "{open}{middle}{close} {count} times took {took:?}");
        }
    }
}

/// A megabyte of anything is read once.
#[test]
fn big_statements_are_read_in_a_moment() {
    let million = |piece: &str| format!("select {}1", piece.repeat(1_000_000 / piece.len()));
    for piece in [
        "1,", "a.b.c,", "'x' || ", "1 + ", "a and ", "( ", "f(x), ", "* ", "/*", "case ", "$1,", "\"",
        "from ",
    ] {
        let text = million(piece);
        let start = std::time::Instant::now();
        _ = crate::sql::parse::parse(&text);
        let took = start.elapsed();
        assert!(took.as_secs() < 10, "{piece} took {took:?}");
    }
}

/// Every text that can be cut out of these statements is answered, too.
#[test]
fn cut_off_statements_get_an_answer() {
    for text in [
        "select a.x, sum(b) filter (where c) from (values (1, 2)) a(x, b) left join lateral f(1) c on true group by 1",
        "set session characteristics as transaction isolation level read committed, read only",
        "prepare p(int, numeric(5,2)) as select $1::text || 'é' union all select case when $2 > 1 then 'x' end order by 1",
        "explain (analyze, costs off) select interval '1 day' '2' , date '2024-01-01', '{1,2}'::int[] limit 1 offset 2",
    ] {
        for (at, _) in text.char_indices() {
            answer(&mut MockHost::new(), &text[..at]);
            answer(&mut MockHost::new(), &text[at..]);
        }
    }
}
