//! Checks of the process tree: who runs, whose child it is, what `ps` shows.

use std::fs;

use anyhow::{Context, Result, ensure};

use super::Stage;
use crate::versus::client::Client;
use crate::versus::server::{Server, USER, title};

/// A process without a title of its own by which sessions are told apart from spares.
fn session_title(server: &Server, client: &Client) -> Result<String> {
    ensure!(client.pid != 0, "the server named no backend");
    let wanted = client.pid;
    server.wait_until("the session's title", |_| title(wanted).contains(USER))?;
    Ok(title(wanted))
}

fn expect_title(server: &Server, wanted: &str) -> Result<()> {
    let shown = || server.children().into_iter().map(|(_, title)| title).collect::<Vec<_>>();
    server
        .wait_until(wanted, |server| server.children().iter().any(|(_, title)| title.trim_end() == wanted))
        .map_err(|_| anyhow::anyhow!("no process is titled {wanted:?}: {:?}", shown()))
}

const ALWAYS: [&str; 3] =
    ["postgres: checkpointer process", "postgres: writer process", "postgres: stats collector process"];

pub fn always_running(stage: &Stage) -> Result<()> {
    let server = stage.server(&["autovacuum=off"])?;
    ALWAYS.iter().try_for_each(|wanted| expect_title(&server, wanted))
}

pub fn wal_writer(stage: &Stage) -> Result<()> {
    expect_title(&stage.server(&[])?, "postgres: wal writer process")
}

pub fn autovacuum_launcher(stage: &Stage) -> Result<()> {
    expect_title(&stage.server(&[])?, "postgres: autovacuum launcher process")?;
    let without = stage.server(&["autovacuum=off"])?;
    ALWAYS.iter().try_for_each(|wanted| expect_title(&without, wanted))?;
    ensure!(without.child("autovacuum").is_none(), "it runs with autovacuum = off too");
    Ok(())
}

pub fn logger(stage: &Stage) -> Result<()> {
    expect_title(&stage.server(&["logging_collector=on"])?, "postgres: logger process")?;
    let without = stage.server(&[])?;
    ensure!(without.child("logger").is_none(), "it runs with logging_collector = off too");
    Ok(())
}

pub fn archiver(stage: &Stage) -> Result<()> {
    expect_title(&stage.server(&["archive_mode=on"])?, "postgres: archiver process")?;
    let without = stage.server(&[])?;
    ensure!(without.child("archiver").is_none(), "it runs with archive_mode = off too");
    Ok(())
}

pub fn local_session(stage: &Stage) -> Result<()> {
    let server = stage.server(&[])?;
    let client = Client::of(&server)?;
    session_title(&server, &client)?;
    expect_title(&server, "postgres: postgres postgres [local] idle")?;
    let pid = client.pid;
    client.terminate()?;
    server.wait_until("the session's process to end", |server| {
        server.children().iter().all(|(child, _)| *child != pid)
    })
}

pub fn remote_session(stage: &Stage) -> Result<()> {
    let server = stage.server(&["listen_addresses=127.0.0.1"])?;
    let mut client = Client::open_tcp(server.port)?;
    client.greet(USER)?;
    let shown = session_title(&server, &client)?;
    ensure!(shown.starts_with("postgres: postgres postgres 127.0.0.1("), "{shown:?}");
    ensure!(shown.trim_end().ends_with(") idle"), "{shown:?}");
    Ok(())
}

pub fn frozen_title(stage: &Stage) -> Result<()> {
    let server = stage.server(&["update_process_title=off"])?;
    let mut client = Client::of(&server)?;
    client.query("")?;
    let shown = title(client.pid);
    ensure!(!shown.contains("idle"), "{shown:?}");
    Ok(())
}

pub fn postmaster_title(stage: &Stage) -> Result<()> {
    let server = stage.server(&["cluster_name=cluster1"])?;
    let shown = title(server.pid());
    ensure!(shown.contains(&format!("-D {}", server.data_dir.display())), "{shown:?}");
    ensure!(!shown.contains("postgres: "), "{shown:?}");
    Ok(())
}

pub fn cluster_name(stage: &Stage) -> Result<()> {
    let server = stage.server(&["cluster_name=cluster1"])?;
    for wanted in ["checkpointer process", "writer process", "wal writer process"] {
        expect_title(&server, &format!("postgres: cluster1: {wanted}"))?;
    }
    let client = Client::of(&server)?;
    let shown = session_title(&server, &client)?;
    ensure!(shown.starts_with("postgres: cluster1: postgres postgres [local]"), "{shown:?}");
    // A child that was just forked still has its parent's.
    let own = |title: &str| title.starts_with("postgres: ") && !title.starts_with("postgres: cluster1: ");
    let without = server.children().into_iter().find(|(_, title)| own(title));
    ensure!(without.is_none(), "{without:?}");
    Ok(())
}

pub fn cluster_name_ascii(stage: &Stage) -> Result<()> {
    let server = stage.server(&["cluster_name=a\u{e9}b"])?;
    expect_title(&server, "postgres: a??b: checkpointer process")
}

/// The parent and the command name, by `/proc/PID/status`.
fn status_of(pid: i32, field: &str) -> Result<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    Ok(line.context("no such line in /proc/PID/status")?.trim().to_owned())
}

pub fn no_grandchildren(stage: &Stage) -> Result<()> {
    let server = stage.server(&["logging_collector=on", "archive_mode=on"])?;
    let _client = Client::of(&server)?;
    for pid in server.holders() {
        let parent = status_of(pid, "PPid")?;
        ensure!(
            pid == server.pid() || parent == server.pid().to_string(),
            "{:?} ({pid}) is a child of {parent}",
            title(pid)
        );
    }
    ensure!(server.children().len() > 5, "hardly any children: {:?}", server.children());
    Ok(())
}

pub fn comm(stage: &Stage) -> Result<()> {
    let server = stage.server(&["logging_collector=on"])?;
    // A child that was just forked still has its parent's title and name.
    let named = |server: &Server| server.children().iter().all(|(_, title)| title.starts_with("postgres: "));
    server.wait_until("titles", named)?;
    for (pid, title) in server.children().into_iter().filter(|(_, title)| title.starts_with("postgres: ")) {
        let name = status_of(pid, "Name")?;
        ensure!(name == "postgres", "comm of {title:?} is {name:?}");
    }
    Ok(())
}

pub fn shared_memory(stage: &Stage) -> Result<()> {
    let server = stage.server(&[])?;
    let postmaster = memfds(server.pid())?;
    ensure!(!postmaster.is_empty(), "the postmaster maps no memfd");
    for (pid, title) in server.children() {
        let child = memfds(pid)?;
        ensure!(
            postmaster.iter().any(|inode| child.contains(inode)),
            "{title:?} does not map the shared memory"
        );
    }
    Ok(())
}

/// Inodes of the memfds a process has mapped.
fn memfds(pid: i32) -> Result<Vec<String>> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let lines = maps.lines().filter(|line| line.contains("/memfd:"));
    Ok(lines.filter_map(|line| line.split_whitespace().nth(4)).map(str::to_owned).collect())
}

pub fn ready_after_startup(stage: &Stage) -> Result<()> {
    let server = stage.server(&[])?;
    ensure!(server.child("startup").is_none(), "the startup process still runs");
    Ok(())
}

pub fn own_process_per_session(stage: &Stage) -> Result<()> {
    let server = stage.server(&[])?;
    let clients = [Client::of(&server)?, Client::of(&server)?, Client::of(&server)?];
    let mut pids: Vec<i32> = clients.iter().map(|client| client.pid).collect();
    pids.sort_unstable();
    pids.dedup();
    ensure!(pids.len() == clients.len() && !pids.contains(&server.pid()), "{pids:?}");
    Ok(())
}

pub fn silent_client(stage: &Stage) -> Result<()> {
    let server = stage.server(&["min_spare_backends=0"])?;
    let _silent = Client::open(&server.socket())?;
    Client::of(&server).map(drop)
}
