//! A registered background worker.
//!
//! Forked by the postmaster in the state that its registration asks for, it runs the registration's function. Exit code 0
//! ends it for good, 1 until its restart interval is over; anything else is a crash and so a crash restart. SIGTERM ends it
//! with 1 after a FATAL in the log (unless its function handles that itself), SIGHUP has it read the settings again,
//! SIGQUIT ends it at once. It notices the postmaster's death as every child does.
//!
//! Any child may register more of them, ask what became of them, wait, and end them: the methods at the end.

use super::context::{NextWait, ProcessContext, Wake};
use super::server::signals;
use super::workers::{BackgroundWorker, WorkerHandle, WorkerStatus};
use crate::auth::roles::RolesFile;
use crate::auth::{databases, login};
use crate::config;
use crate::ipc::proc::WaitEnd;
use crate::ipc::{Interrupts, WaitEvent};
use crate::report::{Report, Result, SqlState};

/// A worker: its process and what it was registered with.
pub struct Worker<'s> {
    /// The process.
    pub ctx: ProcessContext<'s>,
    /// Its registration.
    pub registration: BackgroundWorker,
}

/// Its life.
pub fn main(mut ctx: ProcessContext<'_>) -> ! {
    let Some(registration) = ctx.worker.take() else { ctx.die("unable to find bgworker entry") };
    let as_in_18 = ctx.settings.get(config::PROCESS_TITLE_STYLE) == "postgres18";
    let name = &registration.name;
    ctx.title.set_fixed(&if as_in_18 { format!("{name} ") } else { format!("bgworker: {name}") });
    ctx.server.activities.of(ctx.id.slot()).set_worker_type(registration.type_name());
    ctx.worker_type = Some(registration.type_name().to_owned());
    let function = ctx.server.worker_functions.iter().find(|known| known.name == registration.function);
    let Some(function) = function else {
        let text = format!("internal function \"{}\" not found", registration.function);
        ctx.log(&Report::error(SqlState::INTERNAL_ERROR, text));
        ctx.exit(1)
    };
    (function.main)(Worker { ctx, registration })
}

impl Worker<'_> {
    /// The loop that all auxiliary processes share, but SIGTERM is a FATAL and an end with 1, as PostgreSQL's workers end.
    pub fn run(self, event: WaitEvent, mut step: impl FnMut(&mut ProcessContext<'_>, Wake) -> NextWait) -> ! {
        let Self { ctx, registration } = self;
        ctx.run(event, Interrupts::TERMINATE, move |ctx, wake| {
            if wake.interrupts.contains(Interrupts::TERMINATE) {
                let kind = registration.type_name();
                let text = format!("terminating background worker \"{kind}\" due to administrator command");
                ctx.log(&Report::fatal(SqlState::ADMIN_SHUTDOWN, text));
                return NextWait::Exit(1);
            }
            step(ctx, wake)
        })
    }

    /// Connects to a database as a role, without a password; the registration must have said so.
    ///
    /// # Errors
    /// FATAL, in the words that a client would get.
    pub fn connect(&self, database: &str, role: &str) -> Result<()> {
        if !self.registration.wants_database {
            let text = "database connection requirement not indicated during registration";
            return Err(Report::fatal(SqlState::PROGRAM_LIMIT_EXCEEDED, text));
        }
        let roles = RolesFile::read(&self.ctx.server.data_dir)?;
        let role = login::role(role, &roles)?;
        let database = databases::connect(roles.databases(), database)?;
        let activity = self.ctx.server.activities.of(self.ctx.id.slot());
        activity.set_identity(role.oid, &role.name, database.oid, &database.name);
        Ok(())
    }
}

impl ProcessContext<'_> {
    /// Registers a worker, of which this process is told whenever it starts or ends. `None`: every slot is taken.
    ///
    /// # Errors
    /// If the registration asks for what cannot be.
    pub fn register_worker(&self, worker: BackgroundWorker) -> Result<Option<WorkerHandle>> {
        let worker = BackgroundWorker { notify: Some(self.id), ..worker };
        let handle = self.server.workers.register(&worker, self.id)?;
        if handle.is_some() {
            self.server.signal_postmaster(signals::BACKGROUND_WORKER_CHANGE);
        }
        Ok(handle)
    }

    /// What became of a worker.
    pub fn worker_status(&self, handle: WorkerHandle) -> WorkerStatus {
        match self.server.workers.status(handle) {
            WorkerStatus::NotYetStarted if !self.knows_living_postmaster() => WorkerStatus::PostmasterDied,
            status => status,
        }
    }

    /// Waits until the postmaster has started it, or will not.
    ///
    /// # Errors
    /// If a cancel request or an end of this process comes first.
    pub fn wait_for_worker_start(&self, handle: WorkerHandle) -> std::result::Result<WorkerStatus, WaitEnd> {
        let event = WaitEvent::BACKGROUND_WORKER_STARTUP;
        self.wait_for_worker(event, || match self.worker_status(handle) {
            WorkerStatus::NotYetStarted => None,
            status => Some(status),
        })
    }

    /// Waits until it has stopped.
    ///
    /// # Errors
    /// If a cancel request or an end of this process comes first.
    pub fn wait_for_worker_end(&self, handle: WorkerHandle) -> std::result::Result<WorkerStatus, WaitEnd> {
        let event = WaitEvent::BACKGROUND_WORKER_SHUTDOWN;
        self.wait_for_worker(event, || match self.worker_status(handle) {
            WorkerStatus::NotYetStarted => None,
            WorkerStatus::Running(_) if self.knows_living_postmaster() => None,
            // The worker may still run, but who would tell?
            WorkerStatus::Running(_) => Some(WorkerStatus::PostmasterDied),
            status => Some(status),
        })
    }

    /// Has the postmaster end it, for good. Nothing is waited for.
    pub fn end_worker(&self, handle: WorkerHandle) {
        if self.server.workers.request_end(handle) {
            self.server.signal_postmaster(signals::BACKGROUND_WORKER_CHANGE);
        }
    }

    /// The kernel sends the signal of a parent's death a moment before its pidfd says so; who looked only there, between the
    /// two, slept for ever (found by a release build).
    fn knows_living_postmaster(&self) -> bool {
        !self.me.pending_interrupts().contains(Interrupts::POSTMASTER_DEATH) && self.server.postmaster_lives()
    }

    /// The postmaster tells of a change by SIGUSR1, and the kernel of the postmaster's death, both by way of the latch.
    fn wait_for_worker(
        &self,
        event: WaitEvent,
        found: impl Fn() -> Option<WorkerStatus>,
    ) -> std::result::Result<WorkerStatus, WaitEnd> {
        let ends = Interrupts::CANCEL | Interrupts::TERMINATE;
        let latch = self.me.latch();
        loop {
            latch.reset();
            let end = match found() {
                Some(status) => Some(Ok(status)),
                None if !self.me.pending_interrupts().intersection(ends).is_empty() => {
                    Some(Err(WaitEnd::Interrupted))
                }
                None => None,
            };
            if let Some(end) = end {
                // Whoever set the latch may have meant something else than this wait.
                self.me.set_latch(self.id.slot());
                return end;
            }
            // No deadline, so there is one way only for it to end.
            let _ = latch.wait(self.me, None, event);
        }
    }
}
