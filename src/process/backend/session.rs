//! A session's main loop: one message after the other until the client leaves or the session is ended.

use std::time::Duration;

use super::super::activity::State as Activity;
use super::super::connection::{Connection, Got};
use super::super::context::ProcessContext;
use super::Over;
use super::startup::{Client, publish_cancel_key};
use crate::config;
use crate::ipc::{Interrupts, WaitEvent};
use crate::os::process;
use crate::protocol::encode::{Encoder, TransactionStatus};
use crate::protocol::frame::{Frame, MessageKind, Next, Phase, next_frame};
use crate::protocol::message::FrontendMessage;
use crate::protocol::sync::{AfterError, ExtendedSync};
use crate::report::{Report, Severity, SqlState};
use crate::sync::Monotonic;

/// What SIGTERM says.
pub fn terminated() -> Box<Report> {
    Report::fatal(SqlState::ADMIN_SHUTDOWN, "terminating connection due to administrator command")
}

/// Serves an admitted client; why it ended.
pub fn run<'s>(ctx: &mut ProcessContext<'s>, connection: &mut Connection<'s>, client: Client) -> Over {
    let continues = ctx.settings.get(config::POSTMASTER_DEATH_SESSIONS) == "continue";
    if continues {
        connection.forget_postmaster();
    }
    let mut session = Session { ctx, connection, client, sync: ExtendedSync::default(), wants_ready: true };
    match session.begin().and_then(|()| session.serve()) {
        Ok(never) => match never {},
        Err(over) => over,
    }
}

struct Session<'a, 's> {
    ctx: &'a mut ProcessContext<'s>,
    connection: &'a mut Connection<'s>,
    client: Client,
    sync: ExtendedSync,
    wants_ready: bool,
}

impl Session<'_, '_> {
    /// Tells the client what it must know before its first statement.
    fn begin(&mut self) -> Result<(), Over> {
        let Client { parameters, role, database, .. } = &self.client;
        let slot = self.ctx.id.slot();
        let activity = self.ctx.server.activities.of(slot);
        activity.set_identity(role.oid, &parameters.user, *database, &parameters.database);
        for (name, value) in &parameters.settings {
            let set = self.ctx.settings.set_for_client(name, value, role.superuser);
            set.map_err(|mut report| {
                report.severity = Severity::Fatal;
                Over::Told(report)
            })?;
        }
        activity.set_application_name(self.ctx.settings.get(config::APPLICATION_NAME));
        let key = publish_cancel_key(self.ctx, parameters.minor)?;
        let pid = process::pid().as_raw_nonzero().get();
        let changes = self.ctx.settings.take_report_changes();
        let mut encoder = Encoder::new(&mut self.connection.out);
        for (name, value) in changes {
            encoder.parameter_status(name, &value);
        }
        encoder.backend_key_data(pid, &key);
        if self.ctx.logs_connections() {
            let text = format!(
                "connection authorized: user={} database={}",
                self.client.parameters.user, self.client.parameters.database
            );
            self.ctx.log(&Report::log(text));
        }
        Ok(())
    }

    fn serve(&mut self) -> Result<std::convert::Infallible, Over> {
        loop {
            if std::mem::take(&mut self.wants_ready) {
                self.ready();
            }
            match next_frame(&self.connection.received, Phase::Session).map_err(Over::Told)? {
                Next::NeedMore(_) => self.wait_for_client()?,
                Next::Frame(frame) => {
                    let (kind, length) = (frame.kind, frame.length());
                    let bytes: Vec<u8> = self.connection.received.drain(..length).collect();
                    if self.sync.admit(kind) {
                        self.handle(kind, &bytes)?;
                    }
                }
            }
        }
    }

    fn ready(&mut self) {
        let slot = self.ctx.id.slot();
        self.ctx.server.activities.of(slot).set_state(Activity::Idle, now_us());
        self.ctx.title.set_activity("idle");
        Encoder::new(&mut self.connection.out).ready_for_query(TransactionStatus::Idle);
    }

    fn wait_for_client(&mut self) -> Result<(), Over> {
        let timeout = self.ctx.settings.millis(config::IDLE_SESSION_TIMEOUT);
        let deadline =
            (timeout > 0).then(|| Monotonic::now().saturating_add(Duration::from_millis(timeout as u64)));
        loop {
            match self.connection.exchange(self.ctx.me, deadline, WaitEvent::CLIENT_READ)? {
                Got::Bytes => return Ok(()),
                Got::Eof => return Err(Over::Left),
                Got::TimedOut => {
                    let text = "terminating connection due to idle-session timeout";
                    return Err(Over::Told(Report::fatal(SqlState::IDLE_SESSION_TIMEOUT, text)));
                }
                Got::PostmasterDead => {
                    let text = "terminating connection due to unexpected postmaster exit";
                    return Err(Over::Told(Report::fatal(SqlState::ADMIN_SHUTDOWN, text)));
                }
                Got::Latch => self.interrupts_while_idle()?,
            }
        }
    }

    /// Between statements a cancel request means nothing.
    fn interrupts_while_idle(&mut self) -> Result<(), Over> {
        let taken = self.ctx.me.take_interrupts(Interrupts::ALL);
        if taken.contains(Interrupts::TERMINATE) {
            return Err(Over::Told(terminated()));
        }
        if taken.contains(Interrupts::RELOAD) {
            self.ctx.reload();
            for (name, value) in self.ctx.settings.take_report_changes() {
                Encoder::new(&mut self.connection.out).parameter_status(name, &value);
            }
        }
        Ok(())
    }

    /// One message; an ERROR is told and the session goes on.
    fn handle(&mut self, kind: MessageKind, bytes: &[u8]) -> Result<(), Over> {
        let Ok(Next::Frame(frame)) = next_frame(bytes, Phase::Session) else { return Ok(()) };
        match self.perform(kind, &frame) {
            Ok(()) => Ok(()),
            Err(Over::Told(report)) if report.severity == Severity::Error => {
                self.ctx.log(&report);
                Encoder::new(&mut self.connection.out).report(&report);
                self.wants_ready = self.sync.failed() == AfterError::ReadyForQuery;
                Ok(())
            }
            Err(over) => Err(over),
        }
    }

    fn perform(&mut self, kind: MessageKind, frame: &Frame<'_>) -> Result<(), Over> {
        let message = frame.decode(Phase::Session).map_err(Over::Told)?;
        match message {
            FrontendMessage::Terminate => Err(Over::Left),
            FrontendMessage::Sync => {
                self.wants_ready = true;
                Ok(())
            }
            FrontendMessage::Flush => {
                self.connection.flush(self.ctx.me, None)?;
                Ok(())
            }
            // What a failed COPY leaves in the stream.
            FrontendMessage::CopyData(_) | FrontendMessage::CopyDone | FrontendMessage::CopyFail { .. } => {
                Ok(())
            }
            FrontendMessage::Query { sql } => {
                self.wants_ready = true;
                self.query(sql)
            }
            _ => {
                let text = format!("{kind:?} messages are not supported yet");
                Err(Over::Told(Report::not_supported(text)))
            }
        }
    }

    fn query(&mut self, sql: &str) -> Result<(), Over> {
        let slot = self.ctx.id.slot();
        self.ctx.server.activities.of(slot).set_active(sql, now_us());
        if sql.trim().trim_matches(';').trim().is_empty() {
            Encoder::new(&mut self.connection.out).empty_query_response();
            return Ok(());
        }
        Err(Over::Told(Report::not_supported("statements are not supported yet")))
    }
}

fn now_us() -> u64 {
    jiff::Timestamp::now().as_microsecond() as u64
}
