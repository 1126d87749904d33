//! The Rust crate `postgres`.

use std::sync::Arc;
use std::time::Duration;

use postgres::config::{ChannelBinding, SslMode};
use postgres::error::SqlState;
use postgres::{Client, Config, IsolationLevel, NoTls};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{DriverServer, PASSWORD, USER};
use crate::harness::{Test, tests};

/// The tests of this module.
pub const TESTS: &[Test] = tests![
    every_way_in_works,
    a_wrong_password_is_refused,
    statements_are_prepared_and_types_travel,
    errors_have_their_fields,
    transactions_are_rolled_back,
    a_statement_is_cancelled,
];

fn config(server: &DriverServer) -> Config {
    let mut config = Config::new();
    config.port(server.server.port).dbname("postgres").user(USER).connect_timeout(Duration::from_secs(20));
    config
}

fn local(server: &DriverServer) -> Client {
    config(server).host_path("/tmp").connect(NoTls).expect("trust on the socket")
}

fn tls(server: &DriverServer) -> MakeRustlsConnect {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&server.root).expect("PEM")).expect("a certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().expect("TLS 1.3");
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    // Without it TLS from the first byte is refused.
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    MakeRustlsConnect::new(config)
}

fn every_way_in_works() {
    let server = DriverServer::start();
    let mut tcp = config(&server);
    tcp.host("127.0.0.1").password(PASSWORD);
    let plain = tcp.clone().ssl_mode(SslMode::Disable).connect(NoTls).expect("a password over TCP");
    let mut bound = tcp.ssl_mode(SslMode::Require).channel_binding(ChannelBinding::Require).clone();
    let encrypted = bound.connect(tls(&server)).expect("a password over TLS");
    for (mut client, is_encrypted) in [(local(&server), false), (plain, false), (encrypted, true)] {
        let row = client
            .query_one("select current_user::text, ssl from pg_stat_ssl where pid = pg_backend_pid()", &[]);
        let row = row.expect("one row");
        assert_eq!((row.get::<_, &str>(0), row.get::<_, bool>(1)), (USER, is_encrypted));
        client.close().expect("a farewell");
    }
    bound.ssl_negotiation(postgres::config::SslNegotiation::Direct);
    let mut direct = bound.connect(tls(&server)).expect("TLS from the first byte");
    assert_eq!(direct.query_one("select 1", &[]).expect("one row").get::<_, i32>(0), 1);
}

fn a_wrong_password_is_refused() {
    let server = DriverServer::start();
    let mut tcp = config(&server);
    tcp.host("127.0.0.1").ssl_mode(SslMode::Disable).password("wrong");
    let error = tcp.connect(NoTls).err().expect("refused");
    assert_eq!(error.code(), Some(&SqlState::INVALID_PASSWORD), "{error}");
}

fn statements_are_prepared_and_types_travel() {
    let server = DriverServer::start();
    let mut client = local(&server);
    let statement =
        client.prepare("select $1::int4 + 1, $2::text || '!', $3::bool, $4::float8").expect("prepared");
    assert_eq!((statement.params().len(), statement.columns().len()), (4, 4));
    for n in 0..50_i32 {
        let row = client.query_one(&statement, &[&n, &"a", &(n % 2 == 0), &f64::from(n)]).expect("one row");
        assert_eq!((row.get::<_, i32>(0), row.get::<_, &str>(1)), (n + 1, "a!"));
        assert_eq!((row.get::<_, bool>(2), row.get::<_, f64>(3)), (n % 2 == 0, f64::from(n)));
    }
    let none: Option<i32> = None;
    let row = client
        .query_one("select $1::int4, $2::bytea, $3::int8[]", &[&none, &&b"\0\xff"[..], &vec![1_i64, 2]]);
    let row = row.expect("one row");
    assert_eq!(row.get::<_, Option<i32>>(0), None);
    assert_eq!(row.get::<_, &[u8]>(1), b"\0\xff");
    assert_eq!(row.get::<_, Vec<i64>>(2), [1, 2]);
    let rows = client.query("select n from generate_series(1, 5000) as n", &[]).expect("rows");
    assert!((1..=5000_i32).eq(rows.iter().map(|row| row.get::<_, i32>(0))));
    let messages = client.simple_query("select 1; select 2").expect("both");
    let rows = messages.iter().filter(|m| matches!(m, postgres::SimpleQueryMessage::Row(_)));
    assert_eq!(rows.count(), 2);
}

fn errors_have_their_fields() {
    let server = DriverServer::start();
    let mut client = local(&server);
    for (sql, code, position) in [
        ("select 1/0", SqlState::DIVISION_BY_ZERO, None),
        ("selec 1", SqlState::SYNTAX_ERROR, Some(1)),
        ("select frob", SqlState::UNDEFINED_COLUMN, Some(8)),
        ("select frob(1)", SqlState::UNDEFINED_FUNCTION, Some(8)),
        ("select * from nowhere", SqlState::UNDEFINED_TABLE, Some(15)),
        ("show frob", SqlState::UNDEFINED_OBJECT, None),
    ] {
        let error = client.query(sql, &[]).expect_err("an error");
        let told = error.as_db_error().unwrap_or_else(|| panic!("{sql}: {error}"));
        assert_eq!((told.code(), told.severity()), (&code, "ERROR"), "{sql}: {told}");
        let found = told.position().map(|position| match position {
            postgres::error::ErrorPosition::Original(at) => *at,
            postgres::error::ErrorPosition::Internal { .. } => 0,
        });
        assert_eq!(found, position, "{sql}");
    }
    assert_eq!(client.query_one("select 1", &[]).expect("it goes on").get::<_, i32>(0), 1);
}

fn transactions_are_rolled_back() {
    let server = DriverServer::start();
    let mut client = local(&server);
    let level = IsolationLevel::RepeatableRead;
    let mut transaction = client.build_transaction().isolation_level(level).start().expect("begun");
    let row = transaction.query_one("show transaction_isolation", &[]).expect("one row");
    assert_eq!(row.get::<_, &str>(0), "repeatable read");
    transaction.batch_execute("set work_mem = '99kB'").expect("set");
    let mut inner = transaction.savepoint("s").expect("a savepoint");
    assert!(inner.batch_execute("select 1/0").is_err());
    inner.rollback().expect("back to the savepoint");
    assert_eq!(transaction.query_one("show work_mem", &[]).expect("one row").get::<_, &str>(0), "99kB");
    transaction.rollback().expect("rolled back");
    assert_eq!(client.query_one("show work_mem", &[]).expect("one row").get::<_, &str>(0), "4MB");
}

fn a_statement_is_cancelled() {
    let server = DriverServer::start();
    let mut client = local(&server);
    let token = client.cancel_token();
    let (over, wait) = std::sync::mpsc::channel::<()>();
    // A cancel request for a statement that has not begun does nothing, so it is sent again until the answer is there.
    let canceller = std::thread::spawn(move || {
        while wait.recv_timeout(Duration::from_millis(50)) == Err(std::sync::mpsc::RecvTimeoutError::Timeout)
        {
            token.cancel_query(NoTls).expect("a connection for the request");
        }
    });
    let error = client.batch_execute("select pg_sleep(60)").expect_err("cancelled");
    drop(over);
    canceller.join().expect("it ends");
    assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED), "{error}");
    assert!(client.batch_execute("select 1").is_ok(), "the session goes on");
}
