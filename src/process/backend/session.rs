//! A session's main loop: one message after the other until the client leaves or the session is ended.

use std::cell::RefCell;
use std::convert::Infallible;
use std::time::Duration;

use super::super::activity::{State as Activity, TlsRow};
use super::super::connection::{Connection, Got};
use super::super::context::ProcessContext;
use super::Over;
use super::host::{self, Backend, HostState, facts, floating_point_exception, transaction_timed_out};
use super::results::{Line, Results, describe, postmaster_dead};
use super::startup::{Client, Peer, publish_cancel_key};
use super::statement_log::{self, Timed};
use crate::config;
use crate::ipc::{Interrupts, WaitEvent};
use crate::os::process;
use crate::protocol::encode::{Encoder, TransactionStatus};
use crate::protocol::frame::{Frame, MessageKind, Next, Phase, next_frame};
use crate::protocol::message::{self, FrontendMessage, Target};
use crate::protocol::sync::{AfterError, ExtendedSync};
use crate::protocol::tls::{TlsInfo, TlsSession};
use crate::report::{self, Report, Severity, SqlState};
use crate::sql::session::{Bind, Session as SqlSession};
use crate::sync::Monotonic;

/// What SIGTERM says.
pub fn terminated() -> Box<Report> {
    Report::fatal(SqlState::ADMIN_SHUTDOWN, "terminating connection due to administrator command")
}

/// Serves an admitted client; why it ended.
pub fn run<'s>(ctx: &mut ProcessContext<'s>, connection: &mut Connection<'s>, client: Client) -> Over {
    let began = Monotonic::now();
    let said = disconnection(&client);
    let over = serve(ctx, connection, client);
    if ctx.settings.get(config::LOG_DISCONNECTIONS) {
        let took = Monotonic::now().saturating_since(began);
        let seconds = took.as_secs();
        let time = format!(
            "{}:{:02}:{:02}.{:03}",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60,
            took.subsec_millis()
        );
        ctx.log(&Report::log(format!("disconnection: session time: {time} {said}")));
    }
    over
}

/// Who it was, as `log_disconnections` has it.
fn disconnection(client: &Client) -> String {
    let host = match &client.peer {
        Peer::Unix { .. } => "host=[local]".to_string(),
        Peer::Tcp { address, port } => format!("host={address} port={port}"),
    };
    format!("user={} database={} {host}", client.parameters.user, client.parameters.database)
}

fn serve<'s>(ctx: &mut ProcessContext<'s>, connection: &mut Connection<'s>, client: Client) -> Over {
    let continues = ctx.settings.get(config::POSTMASTER_DEATH_SESSIONS) == "continue";
    if continues {
        connection.forget_postmaster();
    }
    connection.answer_quit();
    let state = HostState::new(facts(ctx, &client), client.database, client.role.oid);
    let mut session = Session {
        ctx,
        line: RefCell::new(connection),
        client,
        sql: SqlSession::new(),
        state,
        sync: ExtendedSync::default(),
        wants_ready: true,
        message: Vec::new(),
    };
    let over = match session.begin().and_then(|()| session.serve()) {
        Ok(never) => match never {},
        Err(over) => over,
    };
    // Behind a PANIC nothing is known of the log: nobody is to write to it any more.
    if !matches!(&over, Over::Told(report) if report.severity == Severity::Panic) {
        session.state.work.end(session.ctx, host::now());
    }
    over
}

struct Session<'a, 's> {
    ctx: &'a mut ProcessContext<'s>,
    line: Line<'a, 's>,
    client: Client,
    sql: SqlSession,
    state: HostState<'s>,
    sync: ExtendedSync,
    wants_ready: bool,
    /// The message that is handled, kept for its room.
    message: Vec<u8>,
}

impl<'a, 's> Session<'a, 's> {
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
        let is_tcp = matches!(self.client.peer, Peer::Tcp { .. });
        self.state.tcp.begin(self.ctx, self.line.borrow().socket(), is_tcp);
        activity.set_application_name(self.ctx.settings.get(config::APPLICATION_NAME));
        let key = publish_cancel_key(self.ctx, parameters.minor)?;
        let pid = process::pid().as_raw_nonzero().get();
        let mut connection = self.line.borrow_mut();
        for (name, value) in self.ctx.settings.take_report_changes() {
            Encoder::new(&mut connection.out).parameter_status(name, &value);
        }
        Encoder::new(&mut connection.out).backend_key_data(pid, &key);
        let tls = connection.tls().and_then(tls_row);
        drop(connection);
        if let Some(tls) = &tls {
            activity.set_tls(tls);
        }
        if self.ctx.logs_connections() {
            let mut text = format!(
                "connection authorized: user={} database={}",
                self.client.parameters.user, self.client.parameters.database
            );
            if let Some(TlsRow { version, cipher, bits, .. }) = tls {
                text += &format!(" SSL enabled (protocol={version}, cipher={cipher}, bits={bits})");
            }
            self.ctx.log(&Report::log(text));
        }
        Ok(())
    }

    fn serve(&mut self) -> Result<Infallible, Over> {
        loop {
            if std::mem::take(&mut self.wants_ready) {
                self.ready();
            }
            let mut connection = self.line.borrow_mut();
            match next_frame(&connection.received, Phase::Session).map_err(Over::Told)? {
                Next::NeedMore(_) => {
                    drop(connection);
                    self.wait_for_client()?;
                }
                Next::Frame(frame) => {
                    let (kind, length) = (frame.kind, frame.length());
                    self.message.clear();
                    self.message.extend(connection.received.drain(..length));
                    drop(connection);
                    if self.sync.admit(kind) {
                        let message = std::mem::take(&mut self.message);
                        let handled = self.handle(kind, &message);
                        self.message = message;
                        handled?;
                    }
                }
            }
        }
    }

    /// The statement, or the messages up to Sync, are over.
    fn ready(&mut self) {
        for (name, value) in self.ctx.settings.take_report_changes() {
            if name == "application_name" {
                self.ctx.server.activities.of(self.ctx.id.slot()).set_application_name(&value);
            }
            Encoder::new(&mut self.line.borrow_mut().out).parameter_status(name, &value);
        }
        let (status, state, title) = match self.sql.status() {
            b'T' => (TransactionStatus::InTransaction, Activity::IdleInTransaction, "idle in transaction"),
            b'E' => (
                TransactionStatus::Failed,
                Activity::IdleInFailedTransaction,
                "idle in transaction (aborted)",
            ),
            _ => (TransactionStatus::Idle, Activity::Idle, "idle"),
        };
        self.state.statement_deadline = None;
        self.state.was_logged = false;
        if let Some(speaker) = &mut self.ctx.speaker {
            speaker.query = None;
        }
        if self.ctx.settings.get(config::TRACK_ACTIVITIES) {
            self.ctx.server.activities.of(self.ctx.id.slot()).set_state(state, now_us());
        }
        self.ctx.title.set_activity(title);
        Encoder::new(&mut self.line.borrow_mut().out).ready_for_query(status);
    }

    fn wait_for_client(&mut self) -> Result<(), Over> {
        let (deadline, timed_out) = self.idle_deadline();
        loop {
            if !self.ctx.me.pending_interrupts().is_empty() {
                self.interrupts_while_idle()?;
            }
            let got = self.line.borrow_mut().exchange(self.ctx.me, deadline, WaitEvent::CLIENT_READ)?;
            if let Some(error) = self.line.borrow_mut().take_no_ring() {
                let text = format!("session goes on without io_uring: {error}");
                self.ctx.log(&Report::new(Severity::Debug1, SqlState::SUCCESSFUL_COMPLETION, text));
            }
            match got {
                Got::Bytes => return Ok(()),
                Got::Eof => return Err(Over::Left),
                Got::TimedOut => return Err(Over::Told(timed_out())),
                Got::PostmasterDead => return Err(Over::Told(postmaster_dead())),
                Got::Latch => {}
            }
        }
    }

    /// Until when the client may stay silent, and what it is told then.
    fn idle_deadline(&self) -> (Option<Monotonic>, fn() -> Box<Report>) {
        let (key, timed_out): (_, fn() -> Box<Report>) = match self.sql.status() {
            b'I' => (config::IDLE_SESSION_TIMEOUT, idle_session_timed_out),
            _ => (config::IDLE_IN_TRANSACTION_SESSION_TIMEOUT, idle_transaction_timed_out),
        };
        let timeout = self.ctx.settings.millis(key);
        let idle =
            (timeout > 0).then(|| Monotonic::now().saturating_add(Duration::from_millis(timeout as u64)));
        match (idle, self.state.transaction_deadline) {
            (idle, Some(end)) if idle.is_none_or(|idle| end < idle) => (Some(end), transaction_timed_out),
            (idle, _) => (idle, timed_out),
        }
    }

    /// Between statements a cancel request means nothing.
    fn interrupts_while_idle(&mut self) -> Result<(), Over> {
        let taken = self.ctx.me.take_interrupts(Interrupts::ALL);
        if taken.contains(Interrupts::TERMINATE) {
            return Err(Over::Told(terminated()));
        }
        if taken.contains(Interrupts::FLOATING_POINT) {
            // Nobody waits for an answer that this could be.
            self.ctx.log(&floating_point_exception());
        }
        if taken.contains(Interrupts::RELOAD) {
            self.ctx.reload();
            self.state.tcp.apply(self.ctx, self.line.borrow().socket());
            self.state.loaded_at = host::now();
            for (name, value) in self.ctx.settings.take_report_changes() {
                Encoder::new(&mut self.line.borrow_mut().out).parameter_status(name, &value);
            }
        }
        Ok(())
    }

    /// One message; an ERROR is told and the session goes on.
    fn handle(&mut self, kind: MessageKind, bytes: &[u8]) -> Result<(), Over> {
        let Ok(Next::Frame(frame)) = next_frame(bytes, Phase::Session) else { return Ok(()) };
        match self.perform(&frame) {
            Ok(()) => Ok(()),
            Err(Over::Told(report)) if report.severity == Severity::Error => {
                self.ctx.log(&report);
                Encoder::new(&mut self.line.borrow_mut().out).report(&report);
                let after = self.sync.failed();
                self.wants_ready = after == AfterError::ReadyForQuery || kind == MessageKind::Sync;
                Ok(())
            }
            Err(over) => Err(over),
        }
    }

    fn perform(&mut self, frame: &Frame<'_>) -> Result<(), Over> {
        let message = frame.decode(Phase::Session).map_err(Over::Told)?;
        match message {
            FrontendMessage::Terminate => Err(Over::Left),
            FrontendMessage::Sync => {
                self.wants_ready = true;
                self.with_host(|sql, host, _| sql.sync(host))
            }
            FrontendMessage::Flush => self.with_host(|_, _, results| results.send()),
            FrontendMessage::Query { sql } => {
                self.wants_ready = true;
                self.query(sql)
            }
            FrontendMessage::Parse(message) => self.parse(&message),
            FrontendMessage::Bind(message) => self.bind(&message),
            FrontendMessage::Describe(target) => self.describe(target),
            FrontendMessage::Execute { portal, max_rows } => self.execute(portal, max_rows),
            FrontendMessage::Close(target) => {
                match target {
                    Target::Statement(name) => self.sql.close_statement(name),
                    Target::Portal(name) => self.sql.close_portal(name),
                }
                self.put(|encoder| encoder.close_complete());
                Ok(())
            }
            FrontendMessage::FunctionCall(_) => {
                self.wants_ready = true;
                Err(Over::Told(Report::not_supported("function calls by OID are not supported yet")))
            }
            // What a failed COPY leaves in the stream, and what comes only before a session begins.
            FrontendMessage::CopyData(_)
            | FrontendMessage::CopyDone
            | FrontendMessage::CopyFail { .. }
            | FrontendMessage::Password(_)
            | FrontendMessage::SaslInitialResponse { .. }
            | FrontendMessage::SaslResponse(_)
            | FrontendMessage::GssResponse(_) => Ok(()),
        }
    }

    fn put(&mut self, write: impl FnOnce(&mut Encoder<'_>)) {
        write(&mut Encoder::new(&mut self.line.borrow_mut().out));
    }

    /// Runs a part of a statement.
    fn with_host<R>(
        &mut self,
        work: impl FnOnce(
            &mut SqlSession,
            &mut Backend<'_, 'a, 's>,
            &mut Results<'_, 'a, 's>,
        ) -> report::Result<R>,
    ) -> Result<R, Over> {
        let mut results = Results::new(&self.line, self.ctx.me);
        let mut host = Backend { ctx: self.ctx, state: &mut self.state, line: &self.line };
        let result = work(&mut self.sql, &mut host, &mut results);
        match results.over.take() {
            Some(over) => Err(over),
            None => result.map_err(Over::Told),
        }
    }

    /// A message begins that runs a statement, or prepares to: what watches the session sees its text.
    fn begin_work(&mut self, text: &str, title: Option<&str>) -> Timed {
        let settings = &self.ctx.settings;
        let timeout = settings.millis(config::STATEMENT_TIMEOUT);
        if timeout > 0 && self.state.statement_deadline.is_none() {
            let deadline = Monotonic::now().saturating_add(Duration::from_millis(timeout as u64));
            self.state.statement_deadline = Some(deadline);
        }
        if settings.get(config::TRACK_ACTIVITIES) {
            self.ctx.server.activities.of(self.ctx.id.slot()).set_active(text, now_us());
        }
        if let Some(title) = title {
            self.ctx.title.set_activity(title);
        }
        if let Some(speaker) = &mut self.ctx.speaker {
            speaker.query = Some(text.into());
        }
        let is_sampled = self.state.transaction_is_sampled;
        let began = statement_log::times_anything(self.ctx, is_sampled).then(Monotonic::now);
        Timed { began, was_logged: false, is_sampled }
    }

    fn query(&mut self, text: &str) -> Result<(), Over> {
        let mut timed = self.begin_work(text, None);
        self.state.was_logged = false;
        self.with_host(|sql, host, results| sql.simple_query(host, text, results))?;
        timed.was_logged = self.state.was_logged;
        timed.end(self.ctx, || (format!("statement: {text}"), String::new()));
        Ok(())
    }

    fn parse(&mut self, message: &message::Parse<'_>) -> Result<(), Over> {
        let timed = self.begin_work(message.sql, Some("PARSE"));
        let types: Vec<u32> = message.parameter_types.iter().collect();
        self.with_host(|sql, host, _| sql.parse(host, message.statement, message.sql, &types))?;
        self.put(|encoder| encoder.parse_complete());
        let name = named(message.statement, "");
        timed.end(self.ctx, || (format!("parse {name}: {}", message.sql), String::new()));
        Ok(())
    }

    fn bind(&mut self, message: &message::Bind<'_>) -> Result<(), Over> {
        let text = self.sql.statement_text(message.statement).unwrap_or_default();
        let timed = self.begin_work(&text, Some("BIND"));
        let param_formats: Vec<i16> = message.parameter_formats.codes().collect();
        let params: Vec<Option<&[u8]>> = message.parameters.iter().collect();
        let result_formats: Vec<i16> = message.result_formats.codes().collect();
        let bind = Bind {
            portal: message.portal,
            statement: message.statement,
            param_formats: &param_formats,
            params: &params,
            result_formats: &result_formats,
        };
        self.with_host(|sql, host, _| sql.bind(host, &bind))?;
        self.put(|encoder| encoder.bind_complete());
        let what = || {
            let name = named(message.statement, message.portal);
            (format!("bind {name}: {text}"), self.parameters(message.portal))
        };
        timed.end(self.ctx, what);
        Ok(())
    }

    /// A portal's parameters as the log shows them.
    fn parameters(&self, portal: &str) -> String {
        let most = statement_log::shown_of_parameters(self.ctx);
        most.map(|most| self.sql.portal_parameters(portal, most)).unwrap_or_default()
    }

    fn describe(&mut self, target: Target<'_>) -> Result<(), Over> {
        let fields = match target {
            Target::Statement(name) => {
                let description = self.with_host(|sql, host, _| sql.describe_statement(host, name))?;
                let types: Vec<u32> = description.params.iter().map(|ty| ty.oid()).collect();
                self.put(|encoder| encoder.parameter_description(&types));
                description.fields
            }
            Target::Portal(name) => self.with_host(|sql, host, _| sql.describe_portal(host, name))?,
        };
        self.put(|encoder| match &fields {
            Some(fields) => describe(encoder, fields),
            None => encoder.no_data(),
        });
        Ok(())
    }

    fn execute(&mut self, portal: &str, max_rows: i32) -> Result<(), Over> {
        let Some(source) = self.sql.portal_source(portal) else {
            return self.with_host(|sql, host, results| sql.execute(host, portal, 0, results));
        };
        let mut timed = self.begin_work(&source.text, None);
        let name = named(&source.statement, portal);
        let what = if source.is_begun { "execute fetch from" } else { "execute" };
        timed.was_logged = statement_log::is_asked_for(self.ctx, source.class);
        // The portal may be gone when it is done.
        let parameters = match timed.was_logged || timed.began.is_some() {
            true => self.parameters(portal),
            false => String::new(),
        };
        if timed.was_logged {
            statement_log::statement(self.ctx, &format!("{what} {name}"), &source.text, parameters.clone());
        }
        let max_rows = u32::try_from(max_rows).unwrap_or(0);
        self.with_host(|sql, host, results| sql.execute(host, portal, max_rows, results))?;
        timed.end(self.ctx, || (format!("{what} {name}: {}", source.text), parameters));
        Ok(())
    }
}

/// `STATEMENT/PORTAL` as the log has them.
fn named(statement: &str, portal: &str) -> String {
    let statement = if statement.is_empty() { "<unnamed>" } else { statement };
    if portal.is_empty() { statement.to_string() } else { format!("{statement}/{portal}") }
}

/// What `pg_stat_ssl` shows of a connection.
fn tls_row(tls: &TlsSession) -> Option<TlsRow> {
    let TlsInfo { version, cipher, bits } = tls.info()?;
    // Authentication has read the certificate already and refused what cannot be read.
    let certificate = tls.client_certificate().ok().flatten();
    let (client_dn, client_serial, issuer_dn) = certificate
        .map(|certificate| (certificate.subject, certificate.serial, certificate.issuer))
        .unwrap_or_default();
    Some(TlsRow { version: version.into(), cipher: cipher.into(), bits, client_dn, client_serial, issuer_dn })
}

fn idle_session_timed_out() -> Box<Report> {
    Report::fatal(SqlState::IDLE_SESSION_TIMEOUT, "terminating connection due to idle-session timeout")
}

fn idle_transaction_timed_out() -> Box<Report> {
    let text = "terminating connection due to idle-in-transaction timeout";
    Report::fatal(SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT, text)
}

fn now_us() -> u64 {
    jiff::Timestamp::now().as_microsecond() as u64
}
