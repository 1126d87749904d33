//! `cargo xtask versus redo`: how fast each recovers from the death of all its processes.
//!
//! pgbench's simple update (one row replaced, one inserted) over two million accounts. PostgreSQL gets it from pgbench, with
//! `synchronous_commit` off; tuskd from `benches/redo.rs`, through the storage API. Both lose everything they have in
//! memory. Each then recovers copies of what is left, by turns. The time is each one's own: PostgreSQL's from its log,
//! tuskd's around redo and what belongs to it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tuskd::os::signal::Signal;

use super::client::Client;
use super::server::{Programs, Server, USER, Workplace, send_signal};
use crate::workspace;

/// Two million accounts.
const SCALE: &str = "20";
const ROWS: &str = "2000000";
const CLIENTS: u64 = 4;
/// As many buffers as the bench has, and no checkpoint on the way.
const SETTINGS: [&str; 5] = [
    "shared_buffers=512MB",
    "max_wal_size=50GB",
    "checkpoint_timeout=1d",
    "synchronous_commit=off",
    "autovacuum=off",
];
/// The issue's.
const LEAST_RATIO: f64 = 2.0;
const LEAST_RATE: f64 = 450_000.0;

/// Measures and prints.
pub fn run(transactions: u64, rounds: usize) -> Result<()> {
    let workplace = Workplace::new("versus-redo")?;
    let postgres = Programs::postgres(&workplace)?;
    let per_client = transactions.div_ceil(CLIENTS);
    let transactions = per_client * CLIENTS;
    eprintln!("versus: tuskd makes {transactions} transactions");
    let ours = workplace.dir().join("tuskd");
    let argument = |name: &str, value: &str| format!("--{name}={value}");
    let count = argument("transactions", &transactions.to_string());
    bench(&[argument("make", path(&ours)?), argument("rows", ROWS), count.clone()])?;
    eprintln!("versus: PostgreSQL makes as many");
    let mut server = crashed_postgres(&workplace, &postgres, per_client)?;
    let theirs = workplace.dir().join("crashed");
    fs::rename(&server.data_dir, &theirs)?;
    let mut seconds = [Vec::new(), Vec::new()];
    for round in 1..=rounds {
        eprintln!("versus: round {round} of {rounds}");
        copy(&theirs, &server.data_dir)?;
        seconds[0].push(redo_of_postgres(&workplace, &mut server)?);
        fs::remove_dir_all(&server.data_dir)?;
        let again = workplace.dir().join("tuskd-again");
        copy(&ours, &again)?;
        seconds[1].push(redo_of_tuskd(&again, &count)?);
        fs::remove_dir_all(&again)?;
    }
    print(transactions, &mut seconds);
    Ok(())
}

fn path(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is not UTF-8")
}

/// Runs the bench; what it printed.
fn bench(arguments: &[String]) -> Result<String> {
    let mut command = workspace::cargo();
    command.args(["bench", "--quiet", "--package", "tuskd", "--bench", "redo", "--"]).args(arguments);
    let output = command.output().context("cargo bench")?;
    ensure!(output.status.success(), "the bench failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A copy with the same owners; in the kernel's page cache, as what the dead wrote is.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status()?;
    ensure!(status.success(), "cp {} {}", from.display(), to.display());
    Ok(())
}

/// A PostgreSQL all of whose processes were killed when it had made its transactions.
fn crashed_postgres(workplace: &Workplace, programs: &Programs, per_client: u64) -> Result<Server> {
    let mut server = Server::start(workplace, programs, "pg", &SETTINGS)?;
    pgbench(&server, &["-i", "-q", "-s", SCALE])?;
    Client::of(&server)?.rows("checkpoint")?;
    let (clients, each) = (CLIENTS.to_string(), per_client.to_string());
    pgbench(&server, &["-n", "-N", "-M", "prepared", "-c", &clients, "-j", "2", "-t", &each])?;
    // A commit that is waited for: everything before it is in the log's files, too.
    Client::of(&server)?.rows("set synchronous_commit = on; create table last ()")?;
    kill(&mut server)?;
    Ok(server)
}

fn pgbench(server: &Server, arguments: &[&str]) -> Result<()> {
    let output = Command::new("pgbench")
        .args(arguments)
        .args(["-U", USER, "-p", &server.port.to_string(), "-h"])
        .arg(&server.socket_dir)
        .arg("postgres")
        .output()
        .context("pgbench (Debian: apt-get install postgresql-contrib)")?;
    ensure!(output.status.success(), "pgbench: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}

/// Kills all processes of a server.
fn kill(server: &mut Server) -> Result<()> {
    let children = server.children();
    server.signal(Signal::KILL)?;
    for (pid, _) in &children {
        // It may have followed its postmaster already.
        let _ = send_signal(*pid, Signal::KILL);
    }
    server.wait()?;
    server.wait_until("the end of all processes", |_| {
        children.iter().all(|(pid, _)| !PathBuf::from(format!("/proc/{pid}")).exists())
    })
}

/// Seconds of redo, as PostgreSQL's log has them.
fn redo_of_postgres(workplace: &Workplace, server: &mut Server) -> Result<f64> {
    server.start_again(workplace, &SETTINGS)?;
    kill(server)?;
    let log = server.log_text();
    let line = log.lines().rfind(|line| line.contains("redo done at"));
    line.and_then(elapsed).with_context(|| format!("no time of redo; {}", server.log_tail()))
}

/// `… elapsed: 1.23 s`.
fn elapsed(line: &str) -> Option<f64> {
    line.rsplit_once("elapsed: ")?.1.trim().strip_suffix(" s")?.parse().ok()
}

fn redo_of_tuskd(folder: &Path, count: &str) -> Result<f64> {
    let printed = bench(&[format!("--recover={}", path(folder)?), count.to_owned()])?;
    redone(&printed).with_context(|| format!("the bench printed no time: {printed}"))
}

/// `redone … in 0.512 s, …`.
fn redone(printed: &str) -> Option<f64> {
    let line = printed.lines().find(|line| line.starts_with("redone "))?;
    line.split_once(" in ")?.1.split_once(" s,")?.0.parse().ok()
}

fn print(transactions: u64, seconds: &mut [Vec<f64>; 2]) {
    let rates = seconds.each_mut().map(|seconds| {
        seconds.sort_by(f64::total_cmp);
        transactions as f64 / seconds[seconds.len() / 2]
    });
    let [theirs, ours] = rates;
    let verdict = |is_reached| if is_reached { "ok" } else { "missed" };
    println!("Redo of {transactions} simple updates of {ROWS} accounts, medians:\n");
    println!("{:<12}{:>12}{:>14}", "", "ratio", "per second");
    println!("{:<12}{:>12.2}{:>14.0}", "tuskd", ours / theirs, ours);
    println!("{:<12}{:>12}{:>14.0}", "PostgreSQL", "", theirs);
    println!("\n{:<8}at least {LEAST_RATIO} times as fast", verdict(ours / theirs >= LEAST_RATIO));
    println!("{:<8}at least {LEAST_RATE} per second", verdict(ours >= LEAST_RATE));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_off_what_each_prints() {
        let line =
            "LOG:  redo done at 0/28A0C0E8 system usage: CPU: user: 2.66 s, system: 0.74 s, elapsed: 3.42 s";
        assert_eq!(elapsed(line), Some(3.42));
        assert_eq!(elapsed("redo is not required"), None);
        let printed = "x\nredone 300000 transactions (900000 records) in 0.512 s, 585938/s, CPU 0.500 s\n";
        assert_eq!(redone(printed), Some(0.512));
        assert_eq!(redone("nothing"), None);
    }
}
