//! `cargo xtask versus connect`: what a new connection, an idle session and a round trip cost.

use std::collections::HashSet;
use std::fs;

use anyhow::{Context, Result, ensure};

use super::client::Client;
use super::load::{self, Operation};
use super::server::{Programs, Server, Workplace};

const IDLE_SESSIONS: usize = 1000;
const CLIENTS: [usize; 2] = [1, 4];
/// Both servers run with these.
const SETTINGS: [&str; 3] = ["max_connections=1100", "shared_buffers=128MB", "logging_collector=off"];
/// tuskd beside PostgreSQL: what each variant is called, and what it sets.
const VARIANTS: [(&str, &str); 3] = [
    ("session_reuse off", "session_reuse=off"),
    ("session_reuse on", "session_reuse=on"),
    ("min_spare_backends 0", "min_spare_backends=0"),
];
/// The issue's, of connections with session_reuse off and on.
const LEAST_RATIO: [f64; 2] = [6.0, 9.0];
const MOST_KB: f64 = 500.0;

/// The servers of a run: PostgreSQL, then tuskd's variants.
struct Bench {
    workplace: Workplace,
    servers: Vec<Server>,
    uses_pgbench: bool,
    seconds: u64,
}

/// What one round measured: per server, connections for each number of clients; round trips for the first two.
#[derive(Default)]
struct Samples {
    connections: Vec<[Vec<f64>; 2]>,
    round_trips: [Vec<f64>; 2],
}

/// Measures and prints.
pub fn run(seconds: u64, rounds: usize) -> Result<()> {
    let bench = start(seconds)?;
    let mut samples =
        Samples { connections: vec![Default::default(); bench.servers.len()], ..Default::default() };
    for round in 1..=rounds {
        eprintln!("versus: round {round} of {rounds}");
        bench.measure(&mut samples)?;
    }
    // Printed first: what follows may fail, and these took long to measure.
    let ratios = print_rates(&bench, &mut samples);
    print_rate_targets(&ratios);
    if !reuses_processes(&bench.servers[2])? {
        println!("session_reuse = on has no effect yet: no two sessions had the same process.");
    }
    let memory = [idle_session_kb(&bench.servers[0])?, idle_session_kb(&bench.servers[1])?];
    print_memory(memory);
    Ok(())
}

fn start(seconds: u64) -> Result<Bench> {
    let workplace = Workplace::new("versus")?;
    let postgres = Programs::postgres(&workplace)?;
    let tuskd = Programs::tuskd(&workplace, true)?;
    let mut servers = vec![Server::start(&workplace, &postgres, "pg", &SETTINGS)?];
    for (i, (_, setting)) in VARIANTS.iter().enumerate() {
        let settings: Vec<&str> = SETTINGS.iter().copied().chain([*setting]).collect();
        servers.push(Server::start(&workplace, &tuskd, &format!("t{i}"), &settings)?);
    }
    let uses_pgbench = Client::of(&servers[1])?.answers("select 1")?;
    Ok(Bench { workplace, servers, uses_pgbench, seconds })
}

impl Bench {
    /// One round: all servers by turns, one measurement each.
    fn measure(&self, samples: &mut Samples) -> Result<()> {
        for (i, clients) in CLIENTS.into_iter().enumerate() {
            for (server, measured) in self.servers.iter().zip(&mut samples.connections) {
                measured[i].push(self.connections(server, clients)?);
            }
        }
        for (server, measured) in self.servers.iter().zip(&mut samples.round_trips) {
            measured.push(load::measure(server, Operation::RoundTrip, 1, self.seconds)?);
        }
        Ok(())
    }

    fn connections(&self, server: &Server, clients: usize) -> Result<f64> {
        if self.uses_pgbench {
            load::pgbench(server, self.workplace.dir(), clients, self.seconds)
        } else {
            load::measure(server, Operation::Connect, clients, self.seconds)
        }
    }
}

/// Proportional set size of an idle session, the mean of many held at once.
fn idle_session_kb(server: &Server) -> Result<f64> {
    tuskd::os::process::raise_descriptor_limit();
    let mut clients = (0..IDLE_SESSIONS).map(|_| Client::of(server)).collect::<Result<Vec<_>>>()?;
    for client in &mut clients {
        client.query("select 1")?;
    }
    let sizes = clients.iter().map(|client| pss_kb(client.pid)).collect::<Result<Vec<_>>>()?;
    for client in clients {
        client.terminate()?;
    }
    Ok(sizes.iter().sum::<f64>() / sizes.len() as f64)
}

fn pss_kb(pid: i32) -> Result<f64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))
        .with_context(|| format!("memory of process {pid}"))?;
    pss_in(&rollup).context("smaps_rollup has no Pss")
}

fn pss_in(rollup: &str) -> Option<f64> {
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// Whether sessions one after the other are ever served by the same process: if not, `session_reuse` does nothing.
fn reuses_processes(server: &Server) -> Result<bool> {
    const SESSIONS: usize = 50;
    let mut pids = HashSet::new();
    for _ in 0..SESSIONS {
        let client = Client::of(server)?;
        ensure!(client.pid != 0, "the server named no backend");
        pids.insert(client.pid);
        client.terminate()?;
    }
    Ok(pids.len() < SESSIONS)
}

fn median(samples: &mut [f64]) -> f64 {
    samples.sort_by(f64::total_cmp);
    let middle = samples.len() / 2;
    if samples.len() % 2 == 1 { samples[middle] } else { f64::midpoint(samples[middle - 1], samples[middle]) }
}

/// Prints what the rounds have measured; the ratios of new connections, by variant and number of clients.
fn print_rates(bench: &Bench, samples: &mut Samples) -> Vec<[f64; 2]> {
    let how = if bench.uses_pgbench { "pgbench -C, select 1" } else { "own connector, empty query" };
    println!("New connections per second ({how}), medians:\n");
    println!("{:<24}{:>8}{:>10}{:>14}{:>14}", "tuskd with", "clients", "ratio", "tuskd", "PostgreSQL");
    let mut ratios = vec![[0.0; 2]; VARIANTS.len()];
    for (i, clients) in CLIENTS.into_iter().enumerate() {
        let postgres = median(&mut samples.connections[0][i]);
        for (variant, (name, _)) in VARIANTS.iter().enumerate() {
            let tuskd = median(&mut samples.connections[variant + 1][i]);
            ratios[variant][i] = tuskd / postgres;
            println!("{name:<24}{clients:>8}{:>9.2}x{tuskd:>14.0}{postgres:>14.0}", tuskd / postgres);
        }
    }
    let [postgres, tuskd] = &mut samples.round_trips;
    let (postgres, tuskd) = (median(postgres), median(tuskd));
    println!("\n{:<32}{:>9.2}x{tuskd:>14.0}{postgres:>14.0}\n", "round trips per second", tuskd / postgres);
    ratios
}

fn print_memory([postgres, tuskd]: [f64; 2]) {
    let name = format!("kB PSS per session of {IDLE_SESSIONS}");
    println!("\n{name:<32}{:>9.2}x{tuskd:>14.0}{postgres:>14.0}", tuskd / postgres);
    println!("{:<8}{tuskd:.0} of at most {MOST_KB} kB PSS per idle session", verdict(tuskd <= MOST_KB));
}

fn verdict(is_reached: bool) -> &'static str {
    if is_reached { "ok" } else { "MISSED" }
}

fn print_rate_targets(ratios: &[[f64; 2]]) {
    for (variant, least) in LEAST_RATIO.into_iter().enumerate() {
        for (i, clients) in CLIENTS.into_iter().enumerate() {
            let (name, ratio) = (VARIANTS[variant].0, ratios[variant][i]);
            println!(
                "{:<8}{ratio:.2} of {least} x connections, {clients} clients, {name}",
                verdict(ratio >= least)
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_stand_in_the_middle() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), 2.5);
    }

    #[test]
    fn the_proportional_size_is_read() {
        assert_eq!(pss_in("Rss: 9 kB\nPss:     412 kB\nPss_Dirty: 1 kB\n"), Some(412.0));
        assert_eq!(pss_in("Rss: 9 kB\n"), None);
    }
}
