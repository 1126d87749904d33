//! The metrics process: serves Prometheus's text to whoever asks on `metrics_port`.
//!
//! Started by the postmaster when `metrics_port` is set; leaves with the sessions. Its crash means that it is started again,
//! and nothing else. It reads shared memory only, so a monitor sees the server without taking a connection slot, also when
//! none is left. One client at a time, each with a second to ask and a second to read.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::time::Duration;

use shmem_layout::Phase;

use super::context::ProcessContext;
use super::kinds::{KINDS, Kind};
use crate::config;
use crate::ipc::wait_set::{Readiness, Socket};
use crate::ipc::{Interrupts, WaitEvent};
use crate::metrics::{CONTENT_TYPE, MetricsText};
use crate::report::Report;
use crate::sync::Ordering;

/// How long a client may take to ask, and again to read.
const CLIENT_PATIENCE: Duration = Duration::from_secs(1);
/// Bytes of a request that are looked at.
const REQUEST_BYTES: usize = 4096;

/// Its life.
pub fn main(mut ctx: ProcessContext<'_>) -> ! {
    let port = ctx.settings.get(config::METRICS_PORT) as u16;
    let hosts = config::words(ctx.settings.get(config::METRICS_LISTEN_ADDRESSES)).unwrap_or_default();
    let mut set = ctx.wait_set();
    let mut listeners: Vec<(TcpListener, Socket)> = Vec::new();
    for host in hosts.iter().filter_map(|host| host.parse::<IpAddr>().ok()) {
        let opened = TcpListener::bind((host, port)).and_then(|listener| {
            listener.set_nonblocking(true)?;
            let socket = set.add(listener.try_clone()?)?;
            Ok((listener, socket))
        });
        match opened {
            Ok(opened) => listeners.push(opened),
            Err(e) => {
                ctx.log(&Report::log(format!("could not serve metrics on \"{host}\", port {port}: {e}")))
            }
        }
    }
    ctx.set_running();
    loop {
        let wanted: Vec<(&Socket, Readiness)> =
            listeners.iter().map(|(_, socket)| (socket, Readiness::READABLE)).collect();
        let woken = match set.wait(ctx.me, &wanted, None, WaitEvent::METRICS_MAIN) {
            Ok(woken) => woken,
            Err(e) => ctx.die(&format!("could not wait: {e}")),
        };
        ctx.me.latch().reset();
        let taken = ctx.me.take_interrupts(Interrupts::ALL);
        if woken.postmaster_dead || taken.contains(Interrupts::TERMINATE) {
            break;
        }
        for (listener, socket) in &listeners {
            if woken.readable.contains(socket) {
                while let Ok((client, _)) = listener.accept() {
                    // A client that goes away early is its own business.
                    let _ = serve(&ctx, client);
                }
            }
        }
    }
    drop(set);
    ctx.exit(0)
}

fn serve(ctx: &ProcessContext<'_>, mut client: TcpStream) -> std::io::Result<()> {
    client.set_nonblocking(false)?;
    client.set_read_timeout(Some(CLIENT_PATIENCE))?;
    client.set_write_timeout(Some(CLIENT_PATIENCE))?;
    let path = request_path(&mut client)?;
    let (status, kind, body) = match path.as_deref() {
        Some("/metrics" | "/") => ("200 OK", CONTENT_TYPE, text(ctx)),
        Some(_) => ("404 Not Found", "text/plain", "only /metrics is served here\n".to_string()),
        None => ("400 Bad Request", "text/plain", "GET /metrics is understood here\n".to_string()),
    };
    let length = body.len();
    write!(
        client,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

/// The path of a GET request, `None` for anything else.
fn request_path(client: &mut TcpStream) -> std::io::Result<Option<String>> {
    let mut request = Vec::new();
    let mut part = [0; 512];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") && request.len() < REQUEST_BYTES {
        match client.read(&mut part) {
            Ok(0) => break,
            Ok(n) => request.extend_from_slice(&part[..n]),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    let line = request.split(|b| *b == b'\r').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let mut words = line.split(' ');
    Ok(match (words.next(), words.next()) {
        (Some("GET"), Some(path)) => Some(path.split('?').next().unwrap_or(path).to_string()),
        _ => None,
    })
}

/// What there is to be told.
fn text(ctx: &ProcessContext<'_>) -> String {
    let server = ctx.server;
    let mut metrics = MetricsText::new();
    let mut processes = vec![0_u64; KINDS.len()];
    for slot in server.ipc.slots() {
        if Phase::from_word(slot.phase.load(Ordering::Acquire)) == Phase::Free {
            continue;
        }
        if let Some(kind) = Kind::from_number(slot.kind.load(Ordering::Acquire)) {
            processes[kind.number() as usize - 1] += 1;
        }
    }
    let mut gauge = metrics.gauge("tuskd_processes", "Processes by kind.");
    for (info, count) in KINDS.iter().zip(&processes) {
        gauge.sample(&[("kind", info.backend_type)], *count as f64);
    }
    let most = ctx.settings.get(config::MAX_CONNECTIONS) as f64;
    metrics
        .gauge("tuskd_sessions", "Sessions that have a connection slot.")
        .sample(&[], server.connections.count() as f64);
    metrics.gauge("tuskd_max_connections", "Connection slots.").sample(&[], most);
    let start = server.started.as_millisecond() as f64 / 1e3;
    metrics.gauge("tuskd_start_time_seconds", "Start of the postmaster, since 1970.").sample(&[], start);
    waits(ctx, &mut metrics);
    let longest = longest_wait_ns(ctx);
    metrics
        .gauge("tuskd_longest_lock_wait_seconds", "The longest wait for an LWLock that goes on now.")
        .sample(&[], longest as f64 / 1e9);
    metrics.finish()
}

fn waits(ctx: &ProcessContext<'_>, metrics: &mut MetricsText) {
    let stats = ctx.server.ipc.wait_stats();
    let summaries: Vec<_> = WaitEvent::ALL
        .iter()
        .map(|event| (event, stats.summary(*event)))
        .filter(|(_, s)| s.count > 0)
        .collect();
    let mut counter = metrics.counter("tuskd_waits_total", "Waits that ended, by event.");
    for (event, summary) in &summaries {
        counter.sample(&[("type", event.class()), ("event", event.name())], summary.count as f64);
    }
    let mut counter = metrics.counter("tuskd_wait_seconds_total", "Time spent in them.");
    for (event, summary) in &summaries {
        counter.sample(&[("type", event.class()), ("event", event.name())], summary.total.as_secs_f64());
    }
}

/// Somebody who waits long for a lock is what a monitor should see first.
fn longest_wait_ns(ctx: &ProcessContext<'_>) -> u64 {
    let now = crate::sync::Monotonic::now().as_nanos();
    let slots = ctx.server.ipc.slots().iter();
    let waiting = slots.filter(|slot| slot.wait_event.load(Ordering::Relaxed) == WaitEvent::LWLOCK.number());
    let since = waiting.map(|slot| slot.wait_started_ns.load(Ordering::Relaxed));
    since.map(|started| now.saturating_sub(started)).max().unwrap_or(0)
}
