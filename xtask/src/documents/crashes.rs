//! Checks of what happens when something is killed: a backend, an auxiliary process, the postmaster.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tuskd::os::signal::Signal;

use super::Stage;
use crate::versus::client::{Came, Client};
use crate::versus::server::{Server, send_signal, title};

const READY: &str = "LOG:  database system is ready to accept connections";
const DETAIL: &str = "The postmaster has commanded this server process to roll back the current transaction and exit, \
     because another server process exited abnormally and possibly corrupted shared memory.";
const HINT: &str = "In a moment you should be able to reconnect to the database and repeat your command.";

/// The log has these one after the other.
fn expect_in_order(log: &str, lines: &[String]) -> Result<()> {
    let mut rest = log;
    for line in lines {
        let at = rest.find(line.as_str()).with_context(|| format!("no {line:?} at its place in: {log}"))?;
        rest = &rest[at + line.len()..];
    }
    Ok(())
}

fn wait_for_restart(server: &Server) -> Result<()> {
    server.wait_until("the restart", |server| server.log_text().matches(READY).count() > 1)
}

fn pid_of(server: &Server, words: &str) -> Result<i32> {
    server.wait_until(words, |server| server.child(words).is_some())?;
    server.child(words).with_context(|| format!("no {words}"))
}

pub fn backend_log(stage: &Stage) -> Result<()> {
    let server = stage.server(&[])?;
    let client = Client::of(&server)?;
    send_signal(client.pid, Signal::KILL)?;
    wait_for_restart(&server)?;
    let lines = [
        format!("LOG:  server process (PID {}) was terminated by signal 9: Killed", client.pid),
        "LOG:  terminating any other active server processes".to_owned(),
        "LOG:  all server processes terminated; reinitializing".to_owned(),
        READY.to_owned(),
    ];
    expect_in_order(&server.log_text(), &lines)
}

pub fn other_sessions(stage: &Stage) -> Result<()> {
    let server = stage.server(&[])?;
    let (killed, mut other) = (Client::of(&server)?, Client::of(&server)?);
    let checkpointer = pid_of(&server, "checkpointer")?;
    send_signal(killed.pid, Signal::KILL)?;
    ensure!(other.wait()? == Came::Closed, "the other session goes on");
    wait_for_restart(&server)?;
    ensure!(pid_of(&server, "checkpointer")? != checkpointer, "the checkpointer is the same");
    let after = Client::of(&server)?;
    ensure!(after.pid != other.pid, "the same backend");
    Ok(())
}

pub fn warning(stage: &Stage) -> Result<()> {
    let server = stage.server(&[])?;
    let (killed, mut other) = (Client::of(&server)?, Client::of(&server)?);
    send_signal(killed.pid, Signal::KILL)?;
    ensure!(other.wait()? == Came::Closed, "the other session goes on");
    let told = other.told.last().context("the connection was closed without a word")?;
    ensure!(told.severity == "WARNING" && told.sqlstate == "57P02", "{told:?}");
    let message = "terminating connection because of crash of another server process";
    ensure!(told.message == message && told.detail == DETAIL && told.hint == HINT, "{told:?}");
    Ok(())
}

pub fn sigquit(stage: &Stage) -> Result<()> {
    let server = stage.server(&[])?;
    let mut client = Client::of(&server)?;
    send_signal(client.pid, Signal::QUIT)?;
    ensure!(client.wait()? == Came::Closed, "the session goes on");
    wait_for_restart(&server)?;
    let line = format!("LOG:  server process (PID {}) exited with exit code 2", client.pid);
    ensure!(server.log_text().contains(&line), "the log lacks {line:?}");
    let told = client.told.last().context("the client was not warned")?;
    ensure!(told.message == "terminating connection because of unexpected SIGQUIT signal", "{told:?}");
    Ok(())
}

pub fn archiver_line(stage: &Stage) -> Result<()> {
    let server = stage.server(&["archive_mode=on"])?;
    let archiver = pid_of(&server, "archiver")?;
    let client = Client::of(&server)?;
    send_signal(client.pid, Signal::KILL)?;
    wait_for_restart(&server)?;
    let line = format!("archiver process (PID {archiver}) exited with exit code 1");
    ensure!(server.log_text().contains(&line), "the log lacks {line:?}: {}", server.log_text());
    Ok(())
}

pub fn logger_survives(stage: &Stage) -> Result<()> {
    let server = stage.server(&["logging_collector=on"])?;
    let logger = pid_of(&server, "logger")?;
    let client = Client::of(&server)?;
    send_signal(client.pid, Signal::KILL)?;
    wait_for_restart(&server)?;
    ensure!(server.child("logger") == Some(logger), "it is another one");
    Ok(())
}

/// The death of this process ends every session, and it is started again.
fn restarts_all(stage: &Stage, words: &str) -> Result<()> {
    let server = stage.server(&[])?;
    let before = pid_of(&server, words)?;
    let mut client = Client::of(&server)?;
    send_signal(before, Signal::KILL)?;
    ensure!(client.wait()? == Came::Closed, "the session goes on");
    wait_for_restart(&server)?;
    ensure!(pid_of(&server, words)? != before, "it is the same process");
    Ok(())
}

pub fn launcher_killed(stage: &Stage) -> Result<()> {
    restarts_all(stage, "autovacuum launcher")
}

pub fn checkpointer_killed(stage: &Stage) -> Result<()> {
    restarts_all(stage, "checkpointer")
}

pub fn statistics_killed(stage: &Stage) -> Result<()> {
    let server = stage.server(&[])?;
    let before = pid_of(&server, "stats collector")?;
    let mut client = Client::of(&server)?;
    send_signal(before, Signal::KILL)?;
    server.wait_until("another one", |server| {
        server.child("stats collector").is_some_and(|pid| pid != before)
    })?;
    ensure!(client.query("")? == Came::Ready, "a session was ended");
    Ok(())
}

pub fn no_restart(stage: &Stage) -> Result<()> {
    let mut server = stage.server(&["restart_after_crash=off"])?;
    let client = Client::of(&server)?;
    send_signal(client.pid, Signal::KILL)?;
    let code = server.wait()?;
    ensure!(code == Some(1), "exit code {code:?}");
    let line = "shutting down because \"restart_after_crash\" is off";
    ensure!(server.log_text().contains(line), "the log lacks {line:?}");
    Ok(())
}

/// Kills the postmaster of a server with one session and the logger; those two are left.
fn orphan(stage: &Stage) -> Result<(Server, Client)> {
    let mut server = stage.server(&["logging_collector=on"])?;
    let client = Client::of(&server)?;
    let logger = pid_of(&server, "logger")?;
    server.signal(Signal::KILL)?;
    server.wait()?;
    // A second is what the others have to notice.
    sleep(Duration::from_secs(1));
    let mut left = server.holders();
    left.sort_unstable();
    let mut wanted = [client.pid, logger];
    wanted.sort_unstable();
    let titles: Vec<String> = left.iter().map(|pid| title(*pid)).collect();
    ensure!(left == wanted, "left are {titles:?}");
    Ok((server, client))
}

pub fn orphans(stage: &Stage) -> Result<()> {
    let (server, mut client) = orphan(stage)?;
    ensure!(client.query("")? == Came::Ready, "the session does not go on");
    ensure!(server.data_dir.join("postmaster.pid").exists(), "postmaster.pid is gone");
    ensure!(Client::of(&server).is_err(), "a new client is admitted");
    client.terminate()?;
    server.wait_until("the logger to leave", |server| server.holders().is_empty())
}

pub fn start_beside_orphans(stage: &Stage) -> Result<()> {
    let (server, client) = orphan(stage)?;
    let (code, said) = server.start_beside(&stage.workplace, &[])?;
    ensure!(code == Some(1), "exit code {code:?}");
    ensure!(said.contains("pre-existing shared memory block") && said.contains("is still in use"), "{said}");
    ensure!(said.contains(&client.pid.to_string()), "the hint does not name {}: {said}", client.pid);
    Ok(())
}

pub fn start_after_kill(stage: &Stage) -> Result<()> {
    let mut server = stage.server(&[])?;
    server.signal(Signal::KILL)?;
    server.wait()?;
    server.wait_until("the children to leave", |server| server.holders().is_empty())?;
    ensure!(server.data_dir.join("postmaster.pid").exists(), "postmaster.pid is gone");
    server.start_again(&stage.workplace, &[])?;
    let line = "another server might be running; trying to start server anyway";
    ensure!(server.log_text().contains(line), "the log lacks {line:?}");
    Client::of(&server).map(drop)
}
