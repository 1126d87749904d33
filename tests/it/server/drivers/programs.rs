//! Programs: Python's psycopg, psql, pgbench.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::DriverServer;
use crate::harness::{Skip, Test, tests};

/// The tests of this module.
pub const TESTS: &[Test] = tests![
    psycopg_works: 120,
    psql_works,
    pgbench_connects_for_each_transaction: 120,
];

/// Names a Python that has psycopg 3; `.ci/run` makes one.
const PYTHON: &str = "TUSKD_PSYCOPG_PYTHON";

fn python() -> Result<PathBuf, Skip> {
    let python = match std::env::var_os(PYTHON) {
        Some(python) => PathBuf::from(python),
        None => {
            // Where .ci/run makes it, for who ran that once.
            let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap_or(Path::new(""));
            target.join("psycopg/bin/python")
        }
    };
    let has_it = Command::new(&python).args(["-c", "import psycopg"]).output();
    match has_it {
        Ok(output) if output.status.success() => Ok(python),
        _ => Err(Skip(format!("no Python with psycopg 3 (set {PYTHON}, or run .ci/run once)"))),
    }
}

fn expect_success(output: &Output, server: &DriverServer) {
    let said = [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).join("\n");
    assert!(output.status.success(), "{said}\n{}", server.server.log());
}

fn psycopg_works() -> Result<(), Skip> {
    let python = python()?;
    let server = DriverServer::start();
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/server/drivers/psycopg_program.py");
    let output = Command::new(python).arg(program).args(server.ways()).output().expect("Python runs");
    expect_success(&output, &server);
    let passed = String::from_utf8_lossy(&output.stdout).matches("passed").count();
    assert_eq!(passed, server.ways().len());
    assert!(!server.server.log().contains("reinitializing"), "{}", server.server.log());
    Ok(())
}

fn psql(conninfo: &str, script: &str) -> Output {
    let mut command = Command::new("psql");
    command.args(["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", "-", "-d", conninfo]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut psql = command.spawn().expect("psql is there");
    let mut stdin = psql.stdin.take().expect("a pipe");
    // One that could not connect does not read.
    let _ = stdin.write_all(script.as_bytes());
    drop(stdin);
    psql.wait_with_output().expect("our child")
}

fn psql_works() {
    let server = DriverServer::start();
    let script = "select 1, 'two';\n\
                  prepare p(int4) as select $1 + 1;\n\
                  execute p(41);\n\
                  select 3 as three \\gset\n\
                  \\echo :three\n\
                  begin;\n\
                  rollback;\n\
                  \\conninfo\n";
    for way in server.ways() {
        let output = psql(&way, script);
        expect_success(&output, &server);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.starts_with("1|two\nPREPARE\n42\n3\nBEGIN\nROLLBACK\n"), "{said}");
        let bound = psql(&format!("{way} channel_binding=require"), "select 1");
        assert_eq!(bound.status.success(), way.contains("verify-ca"), "{way}");
    }
    let failed = psql(&server.ways()[0], "\\set VERBOSITY verbose\nselect 1/0;\nselect 2;\n");
    assert_eq!(failed.status.code(), Some(3));
    let told = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert!(told.contains("ERROR:  22012: division by zero\n"), "{told}");
    let wrong = psql(&server.ways()[1].replace("password='", "password='x"), "select 1;");
    assert_eq!(wrong.status.code(), Some(2));
    let told = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(told.contains("FATAL:  password authentication failed for user \"driver\""), "{told}");
}

fn pgbench_connects_for_each_transaction() {
    let server = DriverServer::start();
    let script = server.server.dir.join("script.sql");
    fs::write(&script, "SELECT 1;\n").expect("writable");
    for (way, protocol) in server.ways().iter().zip(["simple", "extended", "prepared"]) {
        let mut command = Command::new("pgbench");
        command.args(["-n", "-C", "-c", "4", "-j", "2", "-t", "25", "-M", protocol, "-f"]).arg(&script);
        let output = command.arg(way).output().expect("pgbench is there");
        expect_success(&output, &server);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("number of transactions actually processed: 100/100"), "{said}");
        assert!(said.contains("number of failed transactions: 0"), "{said}");
    }
    assert!(!server.server.log().contains("reinitializing"), "{}", server.server.log());
}
