//! Checks of orderly life: signals, stops, `postmaster.pid`, limits on connections, refused starts.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tuskd::os::signal::Signal;

use super::Stage;
use crate::versus::client::{Came, Client};
use crate::versus::server::{Server, USER, send_signal};

fn expect_exit(server: &mut Server, wanted: i32) -> Result<()> {
    let code = server.wait()?;
    ensure!(code == Some(wanted), "the postmaster's exit code is {code:?}, not {wanted}");
    Ok(())
}

/// The client is told this as its last words.
pub fn expect_end(client: &mut Client, sqlstate: &str, message: &str) -> Result<()> {
    let came = client.wait()?;
    ensure!(came == Came::Closed, "the session goes on");
    let told = client.told.last().context("the connection was closed without a word")?;
    ensure!(told.sqlstate == sqlstate && told.message == message, "the client was told {told:?}");
    Ok(())
}

/// A new client is refused with this.
pub fn expect_refusal(server: &Server, sqlstate: &str, message: &str) -> Result<()> {
    let mut client = Client::open(&server.socket())?;
    let came = client.greet(USER)?;
    ensure!(came == Came::Closed, "a new client is admitted");
    let told = client.told.last().context("refused without a word")?;
    ensure!(told.sqlstate == sqlstate && told.message == message, "the client was told {told:?}");
    Ok(())
}

pub fn pid_file(stage: &Stage) -> Result<()> {
    let mut server = stage.server(&[])?;
    let path = server.data_dir.join("postmaster.pid");
    let text = fs::read_to_string(&path)?;
    let lines: Vec<&str> = text.lines().collect();
    ensure!(lines.len() == 8, "{} lines: {text:?}", lines.len());
    ensure!(lines[0] == server.pid().to_string(), "line 1 is {:?}", lines[0]);
    ensure!(lines[1] == server.data_dir.display().to_string(), "line 2 is {:?}", lines[1]);
    ensure!(lines[2].parse::<u64>().is_ok(), "line 3 is {:?}", lines[2]);
    ensure!(lines[3] == server.port.to_string(), "line 4 is {:?}", lines[3]);
    ensure!(lines[4] == server.socket_dir.display().to_string(), "line 5 is {:?}", lines[4]);
    ensure!(lines[7] == "ready   ", "line 8 is {:?}", lines[7]);
    server.signal(Signal::INT)?;
    server.wait()?;
    ensure!(!path.exists(), "it is still there after the stop");
    Ok(())
}

pub fn reload(stage: &Stage) -> Result<()> {
    let server = stage.server(&[])?;
    server.wait_until("the launcher", |server| server.child("autovacuum launcher").is_some())?;
    let file = server.data_dir.join("postgresql.conf");
    let changed = fs::read_to_string(&file)? + "\nautovacuum = off\n";
    fs::write(&file, changed)?;
    server.signal(Signal::HUP)?;
    server.wait_for_log("LOG:  received SIGHUP, reloading configuration files")?;
    server.wait_until("the launcher to leave", |server| server.child("autovacuum launcher").is_none())
}

pub fn fast(stage: &Stage) -> Result<()> {
    let mut server = stage.server(&[])?;
    let mut client = Client::of(&server)?;
    server.signal(Signal::INT)?;
    expect_end(&mut client, "57P01", "terminating connection due to administrator command")?;
    expect_exit(&mut server, 0)?;
    for line in [
        "received fast shutdown request",
        "aborting any active transactions",
        "shutting down",
        "database system is shut down",
    ] {
        ensure!(server.log_text().contains(&format!("LOG:  {line}\n")), "the log lacks {line:?}");
    }
    Ok(())
}

pub fn smart(stage: &Stage) -> Result<()> {
    let mut server = stage.server(&[])?;
    let mut client = Client::of(&server)?;
    server.signal(Signal::TERM)?;
    server.wait_for_log("LOG:  received smart shutdown request")?;
    expect_refusal(&server, "57P03", "the database system is shutting down")?;
    ensure!(client.query("")? == Came::Ready, "the old session was ended");
    client.terminate()?;
    expect_exit(&mut server, 0)
}

pub fn immediate(stage: &Stage) -> Result<()> {
    let mut server = stage.server(&[])?;
    let mut client = Client::of(&server)?;
    server.signal(Signal::QUIT)?;
    server.wait_for_log("LOG:  received immediate shutdown request")?;
    server.wait()?;
    expect_end(&mut client, "57P01", "terminating connection due to immediate shutdown command")
}

pub fn ignored_by_postmaster(stage: &Stage) -> Result<()> {
    let server = stage.server(&[])?;
    let mut client = Client::of(&server)?;
    for number in ["ALRM", "PIPE", "TTIN", "TTOU", "XFSZ", "USR2", "USR1"] {
        let pid = server.pid().to_string();
        let status = std::process::Command::new("kill").args(["-s", number, &pid]).status()?;
        ensure!(status.success(), "kill -s {number} failed");
        sleep(Duration::from_millis(20));
        Client::of(&server).with_context(|| format!("after SIG{number}"))?;
    }
    ensure!(client.query("")? == Came::Ready, "a session was ended");
    Ok(())
}

pub fn terminate_one(stage: &Stage) -> Result<()> {
    let server = stage.server(&[])?;
    let (mut client, mut other) = (Client::of(&server)?, Client::of(&server)?);
    send_signal(client.pid, Signal::TERM)?;
    expect_end(&mut client, "57P01", "terminating connection due to administrator command")?;
    ensure!(other.query("")? == Came::Ready, "another session was ended too");
    Ok(())
}

pub fn backend_ignores(stage: &Stage) -> Result<()> {
    let server = stage.server(&[])?;
    let mut client = Client::of(&server)?;
    for name in ["INT", "HUP", "USR1", "USR2", "PIPE", "ALRM", "CHLD"] {
        let status =
            std::process::Command::new("kill").args(["-s", name, &client.pid.to_string()]).status()?;
        ensure!(status.success(), "kill -s {name} failed");
        sleep(Duration::from_millis(20));
        ensure!(client.query("")? == Came::Ready, "SIG{name} ended an idle session: {:?}", client.told);
    }
    Ok(())
}

pub fn too_many(stage: &Stage) -> Result<()> {
    let server = stage.server(&["max_connections=5", "superuser_reserved_connections=1"])?;
    let clients = (0..5).map(|_| Client::of(&server)).collect::<Result<Vec<_>>>()?;
    expect_refusal(&server, "53300", "sorry, too many clients already")?;
    ensure!(server.log_text().contains("FATAL:  sorry, too many clients already"), "it is not in the log");
    drop(clients);
    // A slot is free when its process has ended.
    server.wait_until("a free slot", |server| Client::of(server).is_ok())
}

pub fn second_start(stage: &Stage) -> Result<()> {
    let server = stage.server(&[])?;
    let (code, said) = server.start_beside(&stage.workplace, &[])?;
    let (pid, dir) = (server.pid(), server.data_dir.display());
    ensure!(code == Some(1), "exit code {code:?}");
    ensure!(said.contains("FATAL:  lock file \"postmaster.pid\" already exists"), "{said}");
    let hint = format!("HINT:  Is another postmaster (PID {pid}) running in data directory \"{dir}\"?");
    ensure!(said.contains(&hint), "{said}");
    Client::of(&server).map(drop)
}

pub fn threads_refused(stage: &Stage) -> Result<()> {
    let mut server = stage.server(&[])?;
    server.signal(Signal::INT)?;
    server.wait()?;
    let (code, said) = server.start_beside(&stage.workplace, &["threaded_execution=on"])?;
    ensure!(code == Some(1), "exit code {code:?}: {said}");
    ensure!(said.contains("threaded_execution"), "{said}");
    Ok(())
}

pub fn stops_quickly(stage: &Stage) -> Result<()> {
    let mut server = stage.server(&[])?;
    let start = Instant::now();
    server.signal(Signal::INT)?;
    server.wait()?;
    let took = start.elapsed();
    ensure!(took < Duration::from_secs(1), "the stop took {took:?}");
    Ok(())
}
