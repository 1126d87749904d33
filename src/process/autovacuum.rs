//! The autovacuum launcher and its workers.
//!
//! The launcher is started by the postmaster in normal running when `autovacuum` is on, and leaves when that is turned off
//! or at shutdown. It never forks: it leaves a request on the board in shared memory, sets its PMSIGNAL flag, and the
//! postmaster forks the worker, or tells the launcher that it could not. With N databases one worker starts every
//! `autovacuum_naptime / N`; when all are busy, the next database follows as one ends. A crash of either is a crash restart.
//!
//! A worker takes the request, shows its database, does what its tables need and leaves with 0, waking the launcher. There
//! are no tables yet, so it finds nothing to do.

pub mod board;

use std::time::Duration;

use shmem_layout::ProcessId;

use super::context::{NextWait, ProcessContext, Wake};
use super::server::signals;
use crate::auth::databases::{DATABASES, Database};
use crate::config::{self, Settings};
use crate::ipc::stop_points::StopPoint;
use crate::ipc::{Interrupts, WaitEvent};
use crate::report::{Report, Severity, SqlState};
use crate::sync::Monotonic;

/// The shortest time between two workers.
const MIN_SLEEP: Duration = Duration::from_millis(100);
/// The longest time that a worker may take to start.
const MAX_START: Duration = Duration::from_secs(60);
/// How long the launcher waits before it asks again for a worker that could not be forked.
const AFTER_FORK_FAILURE: Duration = Duration::from_secs(1);

/// The launcher's life.
pub fn launcher_main(ctx: ProcessContext<'_>) -> ! {
    ctx.log(&Report::log("autovacuum launcher started"));
    check_limits(&ctx);
    ctx.server.autovacuum.set_launcher(ctx.id);
    let mut launcher = Launcher::new(ctx.settings, Monotonic::now());
    ctx.run(WaitEvent::AUTOVACUUM_MAIN, Interrupts::TERMINATE, move |ctx, wake| launcher.step(ctx, wake))
}

/// A worker's life.
pub fn worker_main(mut ctx: ProcessContext<'_>) -> ! {
    let set = ctx.wait_set();
    ctx.set_running();
    let board = ctx.server.autovacuum;
    let Some(place) = board.take_request(ctx.id) else {
        // The launcher took it back.
        let text = "autovacuum worker started without a worker entry";
        ctx.log(&Report::warning(SqlState::WARNING, text));
        drop(set);
        ctx.exit(0)
    };
    wake(&ctx, board.launcher());
    let oid = board.database_of(place);
    if let Some(database) = DATABASES.into_iter().find(|database| database.oid == oid) {
        let activity = ctx.server.activities.of(ctx.id.slot());
        activity.set_identity(0, "", database.oid, &database.name);
        // Two spaces more, as the source documents have it.
        ctx.title.set_activity(&format!("  {}", database.name));
        let text = format!("autovacuum: processing database \"{}\"", database.name);
        ctx.log(&Report::new(Severity::Debug1, SqlState::SUCCESSFUL_COMPLETION, text));
        ctx.me.stop_point(StopPoint::AutovacuumWorkerStarted);
    }
    board.free(place);
    wake(&ctx, board.launcher());
    drop(set);
    ctx.exit(0)
}

fn wake(ctx: &ProcessContext<'_>, whom: Option<ProcessId>) {
    if let Some(process) = whom.filter(|process| ctx.server.ipc.is_current(*process)) {
        ctx.me.set_latch(process.slot());
    }
}

fn check_limits(ctx: &ProcessContext<'_>) {
    let slots = ctx.settings.get(config::AUTOVACUUM_WORKER_SLOTS);
    let workers = ctx.settings.get(config::AUTOVACUUM_MAX_WORKERS);
    if workers > slots {
        let text = format!(
            "\"autovacuum_max_workers\" ({workers}) should be less than or equal to \"autovacuum_worker_slots\" ({slots})"
        );
        let detail = format!(
            "The server will only start up to \"autovacuum_worker_slots\" ({slots}) autovacuum workers at a given time."
        );
        ctx.log(&Report::warning(SqlState::INVALID_PARAMETER_VALUE, text).with_detail(detail));
    }
}

/// Databases that sessions can be in, which are those that change.
fn databases() -> impl Iterator<Item = Database> {
    DATABASES.into_iter().filter(|database| database.allows_connections)
}

struct Launcher {
    /// Whose turn is next, counted through the databases.
    turn: usize,
    next_start: Monotonic,
    /// When a worker that could not be forked is asked for again.
    ask_again_at: Option<Monotonic>,
}

impl Launcher {
    fn new(settings: &Settings, now: Monotonic) -> Self {
        Self { turn: 0, next_start: now.saturating_add(interval(settings)), ask_again_at: None }
    }

    fn step(&mut self, ctx: &mut ProcessContext<'_>, wake: Wake) -> NextWait {
        let is_off = !ctx.settings.get(config::AUTOVACUUM);
        if wake.interrupts.contains(Interrupts::TERMINATE) || (wake.reloaded && is_off) {
            ctx.log(&Report::log("autovacuum launcher shutting down"));
            return NextWait::Exit(0);
        }
        let now = Monotonic::now();
        if wake.reloaded {
            check_limits(ctx);
            self.next_start = self.next_start.min(now.saturating_add(interval(ctx.settings)));
        }
        self.launch_what_is_due(ctx, now)
    }

    fn launch_what_is_due(&mut self, ctx: &ProcessContext<'_>, now: Monotonic) -> NextWait {
        let board = ctx.server.autovacuum;
        if board.take_fork_failure() {
            self.ask_again_at = Some(now.saturating_add(AFTER_FORK_FAILURE));
        }
        if let Some(at) = self.ask_again_at {
            if now < at {
                return NextWait::Until(Some(at));
            }
            self.ask_again_at = None;
            board.ask_again(now);
            ctx.server.signal_postmaster(signals::START_AUTOVACUUM_WORKER);
        }
        if let Some(asked_at) = board.asked_at() {
            let limit = naptime(ctx.settings).min(MAX_START);
            let until = asked_at.saturating_add(limit);
            if now < until {
                // The worker wakes us when it is there.
                return NextWait::Until(Some(until));
            }
            if board.cancel_request() {
                let text = "autovacuum worker took too long to start; canceled";
                ctx.log(&Report::warning(SqlState::WARNING, text));
            }
        }
        if now < self.next_start {
            return NextWait::Until(Some(self.next_start));
        }
        let most = ctx.settings.get(config::AUTOVACUUM_MAX_WORKERS) as usize;
        let Some(database) = databases().nth(self.turn % databases().count().max(1)) else {
            return NextWait::Until(None);
        };
        if !board.ask(database.oid, most, now) {
            // All are busy: one that ends wakes us.
            return NextWait::Until(None);
        }
        ctx.server.signal_postmaster(signals::START_AUTOVACUUM_WORKER);
        self.turn = self.turn.wrapping_add(1);
        self.next_start = now.saturating_add(interval(ctx.settings));
        NextWait::Until(Some(now.saturating_add(naptime(ctx.settings).min(MAX_START))))
    }
}

fn naptime(settings: &Settings) -> Duration {
    Duration::from_millis(settings.millis(config::AUTOVACUUM_NAPTIME) as u64)
}

/// Between two workers.
fn interval(settings: &Settings) -> Duration {
    (naptime(settings) / databases().count().max(1) as u32).max(MIN_SLEEP)
}
