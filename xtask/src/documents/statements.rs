//! Checks that need statements: ending and cancelling them, what views and the log show of them.

use std::cell::RefCell;

use anyhow::{Context, Result, ensure};
use tuskd::os::signal::Signal;

use super::Stage;
use super::signals::expect_end;
use crate::versus::client::{Came, Client};
use crate::versus::server::{Server, send_signal, title};

const LONG: &str = "select pg_sleep(60)";

/// A session with a statement under way.
fn busy(server: &Server) -> Result<Client> {
    let mut client = Client::of(server)?;
    client.begin(LONG)?;
    let pid = client.pid;
    server.wait_until("the statement to run", |_| title(pid).trim_end().ends_with("SELECT"))?;
    Ok(client)
}

/// The statement under way ends with this, and the session goes on.
fn expect_error(client: &mut Client, sqlstate: &str, message: &str) -> Result<()> {
    ensure!(client.wait()? == Came::Ready, "the session was ended: {:?}", client.told);
    let told = client.told.last().context("the statement was not ended")?;
    ensure!(told.sqlstate == sqlstate && told.message == message, "the client was told {told:?}");
    ensure!(client.answers("select 1")?, "the session answers no more");
    Ok(())
}

pub fn terminate_backend(stage: &Stage) -> Result<()> {
    let server = stage.server(&[])?;
    let (mut client, mut other) = (Client::of(&server)?, busy(&server)?);
    let rows = client.rows(&format!("select pg_terminate_backend({})", other.pid))?;
    ensure!(rows == ["'t'"], "it answered {rows:?}");
    expect_end(&mut other, "57P01", "terminating connection due to administrator command")
}

pub fn sigint(stage: &Stage) -> Result<()> {
    let server = stage.server(&[])?;
    let mut client = busy(&server)?;
    send_signal(client.pid, Signal::INT)?;
    expect_error(&mut client, "57014", "canceling statement due to user request")
}

pub fn sigfpe(stage: &Stage) -> Result<()> {
    let server = stage.server(&[])?;
    let mut client = busy(&server)?;
    send_signal(client.pid, Signal::FPE)?;
    expect_error(&mut client, "22P01", "floating-point exception")
}

pub fn activity(stage: &Stage) -> Result<()> {
    let server = stage.server(&[])?;
    let (mut client, other) = (Client::of(&server)?, busy(&server)?);
    let of_other = format!(
        "select state, wait_event_type, wait_event, query, datname, backend_type from pg_stat_activity where pid = {}",
        other.pid
    );
    let wanted = format!("'active' 'Timeout' 'PgSleep' '{LONG}' 'postgres' 'client backend'");
    // It is active a moment before it sleeps.
    let looker = RefCell::new(Client::of(&server)?);
    server.wait_until(&wanted, |_| {
        looker.borrow_mut().rows(&of_other).is_ok_and(|rows| rows == [wanted.as_str()])
    })?;
    let kinds = client.rows("select backend_type from pg_stat_activity where datname is null order by 1")?;
    for kind in ["autovacuum launcher", "background writer", "checkpointer", "walwriter"] {
        ensure!(kinds.contains(&format!("'{kind}'")), "no {kind} in {kinds:?}");
    }
    Ok(())
}

pub fn csvlog(stage: &Stage) -> Result<()> {
    let server =
        stage.server(&["logging_collector=on", "log_destination=csvlog", "log_error_verbosity=verbose"])?;
    let mut client = Client::of(&server)?;
    client.query("select 1/0")?;
    let pid = client.pid;
    server.wait_for_log("\"division by zero\"")?;
    let text = server.log_text();
    let line = text.lines().find(|line| line.contains("\"division by zero\"")).context("no line")?;
    for field in [
        format!(",\"postgres\",\"postgres\",{pid},\"[local]\","),
        ",\"SELECT\",".to_owned(),
        ",ERROR,22012,\"division by zero\",".to_owned(),
        ",\"select 1/0\",".to_owned(),
        ",\"client backend\",".to_owned(),
    ] {
        ensure!(line.contains(&field), "{field} is not in {line}");
    }
    ensure!(line.contains(".rs:"), "no location in {line}");
    Ok(())
}
