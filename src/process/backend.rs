//! The backend: serves one client's session.
//!
//! Forked by the postmaster for a connection, or a spare that accepted one. It ends with 0 when the client leaves, with 1
//! after it told the client why it must (`FATAL`); SIGTERM ends the session, SIGINT the running statement, SIGQUIT the
//! process at once with 2. Its crash is a crash restart. When the postmaster dies it goes on or ends as
//! `postmaster_death_sessions` says.
//!
//! `startup` takes it from the first byte to an admitted client, `session` from there to the end.

mod advisory;
mod host;
mod limits;
mod results;
mod session;
mod startup;
mod statement_log;
mod store;
mod store_views;
mod tcp;
mod twophase;
mod views;
mod waiting;
mod work;

use std::os::fd::{AsFd, OwnedFd};

use super::connection::{Broken, Connection, Got};
use super::context::ProcessContext;
use crate::ipc::WaitSet;
use crate::ipc::wait_set::Socket;
use crate::os::socket::send_now;
use crate::protocol::encode::{Encoder, encode_prebuilt};
use crate::report::{Report, Severity, SqlState};
use crate::sync::Monotonic;

/// How long the last words to a client may take.
const LAST_WORDS: std::time::Duration = std::time::Duration::from_secs(5);

/// Why a session is over.
pub(super) enum Over {
    /// The client left.
    Left,
    /// The network or TLS failed; for the log.
    Lost(Broken),
    /// The client is told this and the session ends.
    Told(Box<Report>),
    /// For the log only; the connection is closed without a word.
    Silent(Box<Report>),
    /// Nothing is said to anybody.
    Quiet,
}

impl From<Broken> for Over {
    fn from(broken: Broken) -> Self {
        Self::Lost(broken)
    }
}

/// The rest of a child's life that was forked for a connection.
pub fn serve_accepted(mut ctx: ProcessContext<'_>, socket: OwnedFd) -> ! {
    let set = ctx.try_wait_set().unwrap_or_else(|report| {
        ctx.log(&report);
        // Without waiting, as there is nothing to wait with.
        let _ = send_now(socket.as_fd(), &encode_prebuilt(&report));
        ctx.exit(1)
    });
    ctx.set_running();
    let mut served = serve(&mut ctx, set, socket, Vec::new());
    served.connection.leave();
    ctx.exit(served.code)
}

/// A session that is over.
pub struct Served<'s> {
    /// The exit code that this asks for.
    pub code: i32,
    /// A client was let in, and left.
    pub is_clean: bool,
    /// Its connection, still open.
    pub connection: Connection<'s>,
}

/// Serves a client. `listeners` are sockets of `set` that the process keeps for its next one.
pub fn serve<'s>(
    ctx: &mut ProcessContext<'s>,
    set: WaitSet<'s>,
    socket: OwnedFd,
    listeners: Vec<Socket>,
) -> Served<'s> {
    let mut connection = match Connection::new(set, socket, listeners, ctx.last_words) {
        Ok(connection) => connection,
        Err(error) => ctx.die(&format!("could not use a connection: {error}")),
    };
    let admitted = startup::admit(ctx, &mut connection);
    let was_admitted = admitted.is_ok();
    let over = match admitted {
        Ok(client) => session::run(ctx, &mut connection, client),
        Err(over) => over,
    };
    let is_clean = was_admitted && matches!(over, Over::Left);
    let code = end(ctx, &mut connection, over);
    ctx.server.cancel_keys.clear(ctx.id.slot());
    ctx.server.connections.give_back(ctx.id);
    Served { code, is_clean, connection }
}

/// Says what there is to be said; the exit code.
fn end(ctx: &ProcessContext<'_>, connection: &mut Connection<'_>, over: Over) -> i32 {
    match over {
        Over::Left | Over::Quiet => 0,
        Over::Lost(broken) => {
            let text = match broken {
                Broken::Io(error) => format!("could not receive data from client: {error}"),
                Broken::Tls(report) => report.message,
            };
            ctx.log(&Report::log(text));
            0
        }
        Over::Silent(report) => {
            ctx.log(&report);
            // Clients of before protocol 3 are told in their own way.
            let deadline = Monotonic::now().saturating_add(LAST_WORDS);
            while let Ok(Got::Latch) = connection.flush(ctx.me, Some(deadline)) {}
            0
        }
        Over::Told(report) => {
            // A PANIC ends the process where it is logged: everybody starts over, from what is on disk. The client hears first.
            let is_panic = report.severity == Severity::Panic;
            if !is_panic {
                ctx.log(&report);
            }
            Encoder::new(&mut connection.out).report(&report);
            let deadline = Monotonic::now().saturating_add(LAST_WORDS);
            // Nothing interrupts last words.
            while let Ok(Got::Latch) = connection.flush(ctx.me, Some(deadline)) {}
            if is_panic {
                ctx.log(&report);
            }
            1
        }
    }
}

/// What SIGQUIT says to a client, by `QuitReason`.
pub fn quit_messages() -> [Vec<u8>; 3] {
    let warning = |sqlstate, text: &str| Report::new(Severity::Warning, sqlstate, text);
    let crash = warning(
        SqlState::CRASH_SHUTDOWN,
        "terminating connection because of crash of another server process",
    )
    .with_detail(
        "The postmaster has commanded this server process to roll back the current transaction and exit, because another \
         server process exited abnormally and possibly corrupted shared memory.",
    )
    .with_hint("In a moment you should be able to reconnect to the database and repeat your command.");
    let unknown =
        warning(SqlState::ADMIN_SHUTDOWN, "terminating connection because of unexpected SIGQUIT signal");
    let immediate =
        warning(SqlState::ADMIN_SHUTDOWN, "terminating connection due to immediate shutdown command");
    [encode_prebuilt(&unknown), encode_prebuilt(&crash), encode_prebuilt(&immediate)]
}
