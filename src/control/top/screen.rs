//! What `tuskd top` shows: pure text from what is in shared memory.

use std::fmt::Write;
use std::time::Duration;

use shmem_layout::{Phase, ProcessSlot};

use super::KindName;
use crate::ipc::WaitEvent;
use crate::ipc::wait_stats::WaitStats;
use crate::os::clock::Monotonic;
use crate::sync::Ordering;

/// Names of the interrupt bits, lowest first.
const INTERRUPTS: [&str; 7] =
    ["cancel", "terminate", "reload", "postmaster-death", "barrier", "timeout", "message"];

/// A process that has a slot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Process {
    slot: usize,
    pid: u32,
    kind: String,
    phase: &'static str,
    wait: String,
    waits_for: Option<Duration>,
    interrupts: String,
    is_critical: bool,
}

/// What is known of the waits for one event.
#[derive(Clone, PartialEq, Debug)]
pub struct Waits {
    class: &'static str,
    name: &'static str,
    count: u64,
    total: Duration,
    p50: Duration,
    p99: Duration,
}

/// The processes in `slots`. They change meanwhile: a line may mix two moments.
pub fn processes(slots: &[ProcessSlot], now: Monotonic, kind_name: KindName) -> Vec<Process> {
    let taken = slots.iter().enumerate().filter(|(_, slot)| slot.phase.load(Ordering::Relaxed) != 0);
    taken.map(|(index, slot)| process(index, slot, now, kind_name)).collect()
}

fn process(index: usize, slot: &ProcessSlot, now: Monotonic, kind_name: KindName) -> Process {
    let kind = slot.kind.load(Ordering::Relaxed);
    let event = slot.wait_event.load(Ordering::Relaxed);
    let started = Monotonic::from_nanos(slot.wait_started_ns.load(Ordering::Relaxed));
    Process {
        slot: index,
        pid: slot.pid.load(Ordering::Relaxed),
        kind: kind_name(kind).map_or_else(|| format!("kind {kind}"), str::to_owned),
        phase: match Phase::from_word(slot.phase.load(Ordering::Relaxed)) {
            Phase::Free => "free",
            Phase::Starting => "starting",
            Phase::Running => "running",
            Phase::Exiting => "exiting",
        },
        wait: match WaitEvent::from_number(event) {
            Some(event) => format!("{}:{}", event.class(), event.name()),
            None if event == 0 => "-".to_owned(),
            None => format!("event {event}"),
        },
        waits_for: (event != 0).then(|| now.saturating_since(started)),
        interrupts: interrupts(slot.interrupts.load(Ordering::Relaxed)),
        is_critical: slot.critical_sections.load(Ordering::Relaxed) != 0,
    }
}

fn interrupts(bits: u32) -> String {
    let known = INTERRUPTS.iter().enumerate().filter(|(bit, _)| bits & (1 << bit) != 0);
    let mut names: Vec<String> = known.map(|(_, name)| (*name).to_owned()).collect();
    let unknown = bits >> INTERRUPTS.len() << INTERRUPTS.len();
    if unknown != 0 {
        names.push(format!("{unknown:#x}"));
    }
    if names.is_empty() { "-".to_owned() } else { names.join(",") }
}

/// Every event that was waited for, the most time first.
pub fn waits(stats: WaitStats<'_>) -> Vec<Waits> {
    let mut waits: Vec<Waits> = WaitEvent::ALL
        .iter()
        .filter_map(|event| {
            let summary = stats.summary(*event);
            let (p50, p99) = (summary.quantile(0.5)?, summary.quantile(0.99)?);
            let (class, name) = (event.class(), event.name());
            Some(Waits { class, name, count: summary.count, total: summary.total, p50, p99 })
        })
        .collect();
    waits.sort_by_key(|waits| std::cmp::Reverse(waits.total));
    waits
}

/// One page.
pub fn render(headline: &str, processes: &[Process], waits: &[Waits]) -> String {
    let mut text = format!("{headline}\n{} processes\n\n", processes.len());
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "{:>5} {:>8} {:<28} {:<9} {:<28} {:>9} interrupts",
        "slot", "pid", "kind", "phase", "waits for", "since"
    );
    for process in processes {
        let since = process.waits_for.map_or_else(|| "-".to_owned(), time);
        let phase = if process.is_critical { "critical" } else { process.phase };
        let _ = writeln!(
            text,
            "{:>5} {:>8} {:<28} {phase:<9} {:<28} {since:>9} {}",
            process.slot, process.pid, process.kind, process.wait, process.interrupts
        );
    }
    let _ = writeln!(text, "\n{:<28} {:>12} {:>9} {:>9} {:>9}", "wait event", "count", "total", "p50", "p99");
    for wait in waits {
        let event = format!("{}:{}", wait.class, wait.name);
        let (total, p50, p99) = (time(wait.total), time(wait.p50), time(wait.p99));
        let _ = writeln!(text, "{event:<28} {:>12} {total:>9} {p50:>9} {p99:>9}", wait.count);
    }
    text
}

/// Three or four figures and a unit.
fn time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        s if s < 1e-3 => format!("{:.1} µs", s * 1e6),
        s if s < 1.0 => format!("{:.1} ms", s * 1e3),
        s if s < 1_000.0 => format!("{s:.1} s"),
        s if s < 100_000.0 => format!("{:.0} min", s / 60.0),
        s if s < 1e7 => format!("{:.1} d", s / 86_400.0),
        // The last bucket of a histogram has no upper end.
        _ => ">2 s".to_owned(),
    }
}

/// The page cut to a screen.
pub fn fit(page: &str, rows: usize, columns: usize, line_end: &str) -> String {
    let lines = page.lines().take(rows.saturating_sub(1));
    let lines: Vec<String> = lines.map(|line| line.chars().take(columns).collect()).collect();
    lines.join(line_end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(phase: u32, wait_event: u32, interrupts: u32) -> ProcessSlot {
        let slot = ProcessSlot::default();
        slot.phase.store(phase, Ordering::Relaxed);
        slot.pid.store(4242, Ordering::Relaxed);
        slot.kind.store(7, Ordering::Relaxed);
        slot.wait_event.store(wait_event, Ordering::Relaxed);
        slot.wait_started_ns.store(1_000_000, Ordering::Relaxed);
        slot.interrupts.store(interrupts, Ordering::Relaxed);
        slot
    }

    #[test]
    fn every_taken_slot_has_a_line() {
        let slots = [
            slot(0, 0, 0),
            slot(2, WaitEvent::CLIENT_READ.number(), 0b11),
            slot(1, 0, 1 << 31),
            slot(9, 127, 0),
        ];
        let names: KindName = |kind| (kind == 7).then_some("client backend");
        let found = processes(&slots, Monotonic::from_nanos(3_500_000), names);
        let page = render("head", &found, &[]);
        let lines: Vec<String> =
            page.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(lines[4], "1 4242 client backend running Client:ClientRead 2.5 ms cancel,terminate");
        assert_eq!(lines[5], "2 4242 client backend starting - - 0x80000000");
        assert_eq!(lines[6], "3 4242 client backend running event 127 2.5 ms -");
        let nameless = processes(&slots[1..2], Monotonic::from_nanos(0), |_| None);
        assert_eq!(nameless[0].kind, "kind 7");
        assert_eq!(nameless[0].waits_for, Some(Duration::ZERO));
    }

    #[test]
    fn interrupts_have_the_runtimes_bits() {
        use crate::ipc::interrupts::Interrupts;
        for (set, name) in [
            (Interrupts::CANCEL, "cancel"),
            (Interrupts::TERMINATE, "terminate"),
            (Interrupts::RELOAD, "reload"),
            (Interrupts::POSTMASTER_DEATH, "postmaster-death"),
            (Interrupts::BARRIER, "barrier"),
            (Interrupts::TIMEOUT, "timeout"),
            (Interrupts::MESSAGE, "message"),
        ] {
            assert_eq!(interrupts(set.bits()), name);
        }
    }

    #[test]
    fn times_are_short() {
        for (nanos, text) in [
            (0, "0.0 µs"),
            (1_500, "1.5 µs"),
            (2_500_000, "2.5 ms"),
            (3_000_000_000, "3.0 s"),
            (7_200_000_000_000, "120 min"),
            (u64::MAX, ">2 s"),
        ] {
            assert_eq!(time(Duration::from_nanos(nanos)), text);
        }
    }

    #[test]
    fn a_page_fits_the_screen() {
        assert_eq!(fit("abcd\nµfgh\nij\n", 3, 3, "|"), "abc|µfg");
        assert_eq!(fit("abcd", 0, 3, "|"), "");
    }
}
