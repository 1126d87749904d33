//! Client processes that do one thing over and over, and how many of them are started and counted.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::client::Client;
use super::server::{Server, USER};

/// What a client process repeats.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Operation {
    /// Connect, wait until the server is ready, one empty query, leave.
    Connect,
    /// One empty query in a session that stays.
    RoundTrip,
}

/// A client process: prints how many operations it made, and in how many seconds.
pub fn run(socket: &Path, operation: Operation, seconds: u64) -> Result<()> {
    let start = Instant::now();
    let end = start + Duration::from_secs(seconds);
    let mut operations = 0_u64;
    match operation {
        Operation::Connect => {
            while Instant::now() < end {
                let mut client = Client::connect(socket)?;
                client.query("")?;
                client.terminate()?;
                operations += 1;
            }
        }
        Operation::RoundTrip => {
            let mut client = Client::connect(socket)?;
            while Instant::now() < end {
                client.query("")?;
                operations += 1;
            }
        }
    }
    println!("{operations} {}", start.elapsed().as_secs_f64());
    Ok(())
}

/// Operations per second of so many client processes together.
pub fn measure(server: &Server, operation: Operation, clients: usize, seconds: u64) -> Result<f64> {
    let program = std::env::current_exe()?;
    let word = match operation {
        Operation::Connect => "connect",
        Operation::RoundTrip => "round-trip",
    };
    let start = || {
        let mut command = Command::new(&program);
        command.args(["versus", "load"]).arg(server.socket()).args([word, &seconds.to_string()]);
        command.stdout(Stdio::piped()).spawn().context("starting a client process")
    };
    let children = (0..clients).map(|_| start()).collect::<Result<Vec<_>>>()?;
    let mut rate = 0.0;
    for child in children {
        let output = child.wait_with_output()?;
        ensure!(output.status.success(), "a client process failed; the log: {}", server.log_text().trim());
        rate += rate_of(&String::from_utf8_lossy(&output.stdout)).context("a client printed no rate")?;
    }
    Ok(rate)
}

fn rate_of(printed: &str) -> Option<f64> {
    let (operations, seconds) = printed.trim().split_once(' ')?;
    Some(operations.parse::<f64>().ok()? / seconds.parse::<f64>().ok()?)
}

/// New connections with a `select 1` per second, by pgbench.
pub fn pgbench(server: &Server, script_dir: &Path, clients: usize, seconds: u64) -> Result<f64> {
    let script = script_dir.join("select1.sql");
    fs::write(&script, "select 1;\n")?;
    let output = Command::new("pgbench")
        .args(["-C", "-n", "-f"])
        .arg(&script)
        .args(["-c", &clients.to_string(), "-j", &clients.to_string(), "-T", &seconds.to_string()])
        .args(["-U", USER, "-p", &server.port.to_string(), "-h"])
        .arg(&server.socket_dir)
        .arg("postgres")
        .output()
        .context("pgbench (Debian: apt-get install postgresql-contrib)")?;
    let printed = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "pgbench: {}", String::from_utf8_lossy(&output.stderr).trim());
    tps(&printed).with_context(|| format!("pgbench printed no tps: {printed}"))
}

fn tps(printed: &str) -> Option<f64> {
    let line = printed.lines().find_map(|line| line.strip_prefix("tps = "))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_off_what_the_clients_print() {
        assert_eq!(rate_of("300 2\n"), Some(150.0));
        assert_eq!(rate_of("300"), None);
        assert_eq!(tps("latency = 1 ms\ntps = 12.5 (including reconnection times)\n"), Some(12.5));
        assert_eq!(tps("none"), None);
    }
}
