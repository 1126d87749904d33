//! Scenarios in which a client's session asks a whole server: only its backend's calls are of interest.

use anyhow::{Result, ensure};
use tuskd::protocol::client::FrontendEncoder;

use super::world::play;
use crate::versus::client::{Came, Client};
use crate::versus::server::{Programs, Server, Workplace};

/// By the simple protocol.
pub fn constant_select(count: u64) -> Result<()> {
    ask(count, |client| client.query("select 1"))
}

/// By the extended protocol, as drivers with prepared statements do.
pub fn prepared_select(count: u64) -> Result<()> {
    let mut messages = Vec::new();
    let mut out = FrontendEncoder::new(&mut messages);
    out.bind("", "one", &[], &[], &[]);
    out.execute("", 0);
    out.sync();
    ask(count, |client| client.exchange(&messages))
}

fn ask(count: u64, mut statement: impl FnMut(&mut Client) -> Result<Came>) -> Result<()> {
    play("client");
    let workplace = Workplace::new("syscalls")?;
    let programs = Programs::built_tuskd(&workplace, true)?;
    let server = Server::start(&workplace, &programs, "server", &[])?;
    let mut client = Client::of(&server)?;
    println!("role backend {}", client.pid);
    client.query("prepare one as select 1")?;
    for _ in 0..count {
        ensure!(statement(&mut client)? == Came::Ready && client.told.is_empty(), "{:?}", client.told);
    }
    client.terminate()
}

/// A transaction that writes and commits: what a small change costs beside what the statement does.
pub fn commit(count: u64) -> Result<()> {
    ask(count, |client| client.query("select pg_logical_emit_message(true, 'commit', 'x')"))
}

/// The same without waiting for the disk.
pub fn commit_asynchronously(count: u64) -> Result<()> {
    let mut is_set = false;
    ask(count, |client| {
        if !std::mem::replace(&mut is_set, true) {
            client.query("set synchronous_commit = off")?;
        }
        client.query("select pg_logical_emit_message(true, 'commit', 'x')")
    })
}
