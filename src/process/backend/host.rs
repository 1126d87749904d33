//! The backend as the executor sees it: interrupts, sleep, signals, settings and notices. The views are in `views`.

use std::os::fd::AsFd;
use std::time::Duration;

use shmem_layout::SlotIndex;

use super::super::context::ProcessContext;
use super::super::server::signals;
use super::super::settings::severity;
use super::results::Line;
use super::session::terminated;
use super::startup::{Client, Peer};
use super::statement_log;
use super::tcp::{self, TcpOptions};
use super::work::Work;
use crate::config::{self, AlterSystem as ConfigAlterSystem, Scope as ConfigScope};
use crate::ipc::{Interrupts, WaitEvent};
use crate::os::pidfd::PidFd;
use crate::os::process::{self, Pid};
use crate::protocol::encode::Encoder;
use crate::report::{self, Report, ReportExt, Severity, SqlState};
use crate::sql::host::{
    AlterSystem, Host, Scope, SessionFacts, SettingRow, StatementClass, TransactionEvent,
};
use crate::sql::types::Row;
use crate::sql::views::SystemView;
use crate::sync::{Monotonic, Ordering};

/// Microseconds from 1970 to 2000.
pub const EPOCH_2000_US: i64 = 946_684_800_000_000;
/// Checks for interrupts between two looks at the clock, which costs more than they do.
const CHECKS_PER_CLOCK: u32 = 64;

/// What outlives a statement.
pub struct HostState<'s> {
    /// Who and where from.
    pub facts: SessionFacts,
    /// What the transaction has of the store.
    pub work: Work<'s>,
    /// When `statement_timeout` ends the statement.
    pub statement_deadline: Option<Monotonic>,
    /// When `transaction_timeout` ends the session.
    pub transaction_deadline: Option<Monotonic>,
    /// Whether `log_transaction_sample_rate` chose the transaction.
    pub transaction_is_sampled: bool,
    /// Whether `log_statement` has shown the statement that runs.
    pub was_logged: bool,
    /// Levels of settings, one for each transaction and savepoint under way.
    levels: Vec<u32>,
    /// When the configuration was read last.
    pub loaded_at: i64,
    /// What the socket was asked for.
    pub tcp: TcpOptions,
    /// When the client is looked for next, while a statement runs.
    check_client_at: Option<Monotonic>,
    checks: u32,
}

impl HostState<'_> {
    /// Of a session that begins, in this database, as this role.
    pub fn new(facts: SessionFacts, database: u32, role: u32) -> Self {
        Self {
            facts,
            work: Work::new(database, role),
            statement_deadline: None,
            transaction_deadline: None,
            transaction_is_sampled: false,
            was_logged: false,
            levels: Vec::new(),
            loaded_at: now(),
            tcp: TcpOptions::default(),
            check_client_at: None,
            checks: 0,
        }
    }
}

/// The process while a statement runs.
pub struct Backend<'h, 'l, 's> {
    /// The process.
    pub ctx: &'h mut ProcessContext<'s>,
    /// What outlives the statement.
    pub state: &'h mut HostState<'s>,
    /// Where notices go.
    pub line: &'h Line<'l, 's>,
}

/// What a session is.
pub fn facts(ctx: &ProcessContext<'_>, client: &Client) -> SessionFacts {
    SessionFacts {
        pid: process::pid().as_raw_nonzero().get(),
        user: client.parameters.user.clone(),
        session_user: client.parameters.user.clone(),
        superuser: client.role.superuser,
        system_user: client.identity.system_user(),
        database: client.parameters.database.clone(),
        client: match &client.peer {
            Peer::Unix { .. } => None,
            Peer::Tcp { address, port } => Some((address.to_string(), i32::from(*port))),
        },
        server: match &client.peer {
            Peer::Unix { .. } => None,
            Peer::Tcp { .. } => {
                let address = ctx.speaker.as_ref().map(|speaker| speaker.local_host.clone());
                address.map(|address| (address, ctx.settings.get(config::PORT) as i32))
            }
        },
        version: format!("{} on x86_64-linux, compiled by rustc", report::VERSION),
        postmaster_start: ctx.server.started.as_microsecond() - EPOCH_2000_US,
    }
}

impl Backend<'_, '_, '_> {
    pub(super) fn pid_slot(&self, pid: i32) -> Option<SlotIndex> {
        let slots = self.ctx.server.ipc.slots().iter().enumerate();
        let mut of_pid = slots.filter(|(_, slot)| slot.pid.load(Ordering::Acquire) == pid as u32);
        of_pid.next().and_then(|(index, _)| SlotIndex::new(index))
    }

    /// The slot of a session that may be signalled; a warning if there is none.
    fn signalled(&mut self, pid: i32) -> Option<SlotIndex> {
        let slot = self.pid_slot(pid);
        if slot.is_none() {
            let text = format!("PID {pid} is not a PostgreSQL backend process");
            self.notice(Report::warning(SqlState::WARNING, text));
        }
        slot
    }
}

pub fn now() -> i64 {
    jiff::Timestamp::now().as_microsecond() - EPOCH_2000_US
}

impl Backend<'_, '_, '_> {
    fn interrupted(&mut self, pending: Interrupts) -> report::Result<()> {
        if pending.contains(Interrupts::TERMINATE) {
            return Err(terminated());
        }
        if self.ctx.me.take_interrupts(Interrupts::CANCEL) == Interrupts::CANCEL {
            return Err(Report::error(SqlState::QUERY_CANCELED, "canceling statement due to user request"));
        }
        if self.ctx.me.take_interrupts(Interrupts::FLOATING_POINT) == Interrupts::FLOATING_POINT {
            return Err(floating_point_exception());
        }
        Ok(())
    }

    /// Settings may have changed that the kernel is to know.
    fn apply_settings(&mut self) {
        self.state.tcp.apply(self.ctx, self.line.borrow().socket());
    }

    /// A long statement looks whether anybody waits for its result (`client_connection_check_interval`).
    fn check_client(&mut self) -> report::Result<()> {
        let interval = self.ctx.settings.millis(config::CLIENT_CONNECTION_CHECK_INTERVAL);
        if interval <= 0 {
            self.state.check_client_at = None;
            return Ok(());
        }
        let now = Monotonic::now();
        if self.state.check_client_at.is_none_or(|at| now >= at) {
            self.state.check_client_at = Some(now.saturating_add(Duration::from_millis(interval as u64)));
            if tcp::is_closed(self.line.borrow().socket()) {
                return Err(Report::fatal(SqlState::CONNECTION_FAILURE, "connection to client lost"));
            }
        }
        Ok(())
    }

    pub(super) fn check_deadlines(&mut self) -> report::Result<()> {
        self.check_client()?;
        let state = &mut *self.state;
        if state.statement_deadline.is_none() && state.transaction_deadline.is_none() {
            return Ok(());
        }
        let now = Monotonic::now();
        if state.transaction_deadline.is_some_and(|deadline| now >= deadline) {
            return Err(transaction_timed_out());
        }
        if state.statement_deadline.is_some_and(|deadline| now >= deadline) {
            // What follows, say the rollback, has all the time it takes.
            state.statement_deadline = None;
            return Err(Report::error(
                SqlState::QUERY_CANCELED,
                "canceling statement due to statement timeout",
            ));
        }
        Ok(())
    }

    /// A transaction, not a savepoint, begins or ends.
    fn note_transaction(&mut self, begins: bool) {
        let settings = &self.ctx.settings;
        let timeout = settings.millis(config::TRANSACTION_TIMEOUT);
        let ends_at = || Monotonic::now().saturating_add(Duration::from_millis(timeout as u64));
        self.state.transaction_deadline = (begins && timeout > 0).then(ends_at);
        let rate = settings.get(config::LOG_TRANSACTION_SAMPLE_RATE);
        self.state.transaction_is_sampled = begins && statement_log::chance(rate);
        let since = if begins { (now() + EPOCH_2000_US) as u64 } else { 0 };
        self.ctx.server.activities.of(self.ctx.id.slot()).set_transaction_start(since);
    }
}

/// What SIGFPE says.
pub fn floating_point_exception() -> Box<Report> {
    Report::error(SqlState::FLOATING_POINT_EXCEPTION, "floating-point exception").with_detail(
        "An invalid floating-point operation was signaled. This probably means an out-of-range result or an invalid \
         operation, such as division by zero.",
    )
}

/// What `transaction_timeout` says.
pub fn transaction_timed_out() -> Box<Report> {
    Report::fatal(SqlState::TRANSACTION_TIMEOUT, "terminating connection due to transaction timeout")
}

/// Whether a client with this `client_min_messages` is told.
fn is_for_client(severity: Severity, threshold: Severity) -> bool {
    // LOG is finer than NOTICE to clients; INFO is always for them.
    match (severity, threshold) {
        (Severity::Info, _) => true,
        (Severity::Log, threshold) => threshold <= Severity::Debug1 || threshold == Severity::Log,
        (_, Severity::Log) => severity >= Severity::Info,
        _ => severity >= threshold,
    }
}

impl Host for Backend<'_, '_, '_> {
    fn facts(&self) -> &SessionFacts {
        &self.state.facts
    }

    fn now(&self) -> i64 {
        now()
    }

    fn random(&mut self) -> u64 {
        let mut bytes = [0; 8];
        let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
        u64::from_ne_bytes(bytes)
    }

    fn check_interrupts(&mut self) -> report::Result<()> {
        let pending = self.ctx.me.pending_interrupts();
        if !pending.is_empty() {
            self.interrupted(pending)?;
        }
        self.state.checks = self.state.checks.wrapping_add(1);
        if self.state.checks.is_multiple_of(CHECKS_PER_CLOCK) { self.check_deadlines() } else { Ok(()) }
    }

    fn sleep_until(&mut self, deadline: i64) -> report::Result<()> {
        let micros = u64::try_from(deadline.saturating_sub(now())).unwrap_or(0);
        let end = Monotonic::now().saturating_add(Duration::from_micros(micros));
        loop {
            self.check_interrupts()?;
            self.check_deadlines()?;
            let state = &self.state;
            let deadlines = [state.statement_deadline, state.transaction_deadline, state.check_client_at];
            let until = deadlines.into_iter().flatten().fold(end, Ord::min);
            if Monotonic::now() >= end {
                return Ok(());
            }
            // At the end of the time or at an interrupt: the loop looks which it is.
            let _ = self.ctx.me.latch().wait(self.ctx.me, Some(until), WaitEvent::PG_SLEEP);
            self.ctx.me.latch().reset();
        }
    }

    fn cancel_backend(&mut self, pid: i32) -> report::Result<bool> {
        let Some(slot) = self.signalled(pid) else { return Ok(false) };
        self.ctx.me.interrupt(slot, Interrupts::CANCEL);
        Ok(true)
    }

    fn terminate_backend(&mut self, pid: i32, timeout_ms: i64) -> report::Result<bool> {
        let Some(slot) = self.signalled(pid) else { return Ok(false) };
        let pidfd = Pid::from_raw(pid).and_then(|pid| PidFd::open(pid).ok());
        self.ctx.me.interrupt(slot, Interrupts::TERMINATE);
        if timeout_ms <= 0 {
            return Ok(true);
        }
        let Some(pidfd) = pidfd else { return Ok(true) };
        let mut fds = [rustix::event::PollFd::from_borrowed_fd(pidfd.as_fd(), rustix::event::PollFlags::IN)];
        let timeout =
            rustix::time::Timespec { tv_sec: timeout_ms / 1000, tv_nsec: timeout_ms % 1000 * 1_000_000 };
        if rustix::event::poll(&mut fds, Some(&timeout)) == Ok(1) {
            return Ok(true);
        }
        self.check_interrupts()?;
        let text = format!("backend with PID {pid} did not terminate within {timeout_ms} milliseconds");
        self.notice(Report::warning(SqlState::WARNING, text));
        Ok(false)
    }

    fn reload_conf(&mut self) -> report::Result<bool> {
        self.ctx.server.signal_postmaster(signals::RELOAD);
        Ok(true)
    }

    fn rotate_logfile(&mut self) -> report::Result<bool> {
        if !self.ctx.settings.get(config::LOGGING_COLLECTOR) {
            let text = "rotation not possible because log collection not active";
            self.notice(Report::warning(SqlState::WARNING, text));
            return Ok(false);
        }
        self.ctx.server.signal_postmaster(signals::ROTATE_LOG);
        Ok(true)
    }

    fn conf_load_time(&self) -> i64 {
        self.state.loaded_at
    }

    fn postmaster_alive(&self) -> bool {
        process::parent_pid().is_some_and(|parent| {
            let pid = self.ctx.server.ipc.control().postmaster_pid.load(Ordering::Relaxed);
            parent.as_raw_nonzero().get() as u32 == pid
        })
    }

    fn is_in_recovery(&self) -> bool {
        false
    }

    fn current_logfile(&self, format: Option<&str>) -> Option<String> {
        let text = std::fs::read_to_string(self.ctx.server.data_dir.join("current_logfiles")).ok()?;
        let mut lines = text.lines().filter_map(|line| line.split_once(' '));
        lines.find(|(form, _)| format.is_none_or(|wanted| wanted == *form)).map(|(_, path)| path.to_string())
    }

    fn show(&self, name: &str) -> report::Result<Option<String>> {
        self.ctx.settings.current_setting(name, true, self.state.facts.superuser)
    }

    fn settings(&self) -> Vec<SettingRow> {
        let all = self.ctx.settings.show_all(self.state.facts.superuser).into_iter();
        all.map(|(name, setting, description)| SettingRow {
            name: name.to_string(),
            setting,
            description: description.to_string(),
        })
        .collect()
    }

    fn set(&mut self, name: &str, value: Option<&str>, scope: Scope) -> report::Result<()> {
        let scope = match scope {
            Scope::Session => ConfigScope::Session,
            Scope::Local => ConfigScope::Local,
        };
        let superuser = self.state.facts.superuser;
        match value {
            Some(value) => self.ctx.settings.set(name, value, scope, superuser)?,
            None => self.ctx.settings.reset(name, scope, superuser)?,
        }
        self.apply_settings();
        Ok(())
    }

    fn reset_all(&mut self) -> report::Result<()> {
        self.ctx.settings.reset_all();
        self.apply_settings();
        Ok(())
    }

    fn alter_system(&mut self, change: AlterSystem) -> report::Result<()> {
        let superuser = self.state.facts.superuser;
        let settings = &self.ctx.settings;
        match &change {
            AlterSystem::Set(name, value) => {
                settings.alter_system(ConfigAlterSystem::Set(name, value), superuser)
            }
            AlterSystem::Reset(name) => settings.alter_system(ConfigAlterSystem::Reset(name), superuser),
            AlterSystem::ResetAll => settings.alter_system(ConfigAlterSystem::ResetAll, superuser),
        }
    }

    fn settings_version(&self) -> u64 {
        self.ctx.settings.generation()
    }

    fn transaction(&mut self, event: TransactionEvent) {
        if matches!(event, TransactionEvent::Begin | TransactionEvent::Commit | TransactionEvent::Abort) {
            self.note_transaction(event == TransactionEvent::Begin);
        }
        self.tell_store(event);
        match event {
            TransactionEvent::Begin | TransactionEvent::BeginNested => {
                let level = self.ctx.settings.enter();
                self.state.levels.push(level);
            }
            TransactionEvent::Commit | TransactionEvent::CommitNested => self.leave(true),
            TransactionEvent::Abort | TransactionEvent::AbortNested => self.leave(false),
        }
    }

    fn query_begins(&mut self, text: &str, class: StatementClass) {
        self.state.was_logged = statement_log::is_asked_for(self.ctx, class);
        if self.state.was_logged {
            statement_log::statement(self.ctx, "statement", text, String::new());
        }
    }

    fn statement_begins(&mut self, tag: &str, _text: &str) {
        self.ctx.title.set_activity(tag);
    }

    fn rows(&mut self, view: SystemView) -> report::Result<Vec<Row>> {
        self.view_rows(view)
    }

    fn notice(&mut self, report: Report) {
        self.ctx.log(&report);
        let threshold = severity(self.ctx.settings.get(config::CLIENT_MIN_MESSAGES));
        if is_for_client(report.severity, threshold) {
            Encoder::new(&mut self.line.borrow_mut().out).report(&report);
        }
    }
}

impl Backend<'_, '_, '_> {
    fn leave(&mut self, keep: bool) {
        if let Some(level) = self.state.levels.pop() {
            self.ctx.settings.leave(level, keep);
            self.apply_settings();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Severity::{Debug1, Debug5, Error, Info, Log, Notice, Warning};

    /// As the table of client_min_messages in PostgreSQL's documentation orders them.
    #[test]
    fn clients_are_told_what_they_ask_for() {
        for (severity, threshold, told) in [
            (Notice, Notice, true),
            (Notice, Warning, false),
            (Warning, Notice, true),
            (Info, Error, true),
            (Log, Notice, false),
            (Log, Log, true),
            (Log, Debug1, true),
            (Notice, Log, true),
            (Debug1, Log, false),
            (Debug5, Debug5, true),
            (Debug1, Notice, false),
        ] {
            assert_eq!(is_for_client(severity, threshold), told, "{severity:?} {threshold:?}");
        }
    }
}
