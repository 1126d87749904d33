//! From a connection's first byte to an admitted client: encryption, the startup packet, cancel requests, refusal or
//! authentication, a connection slot.

use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use shmem_layout::SlotIndex;

use super::super::connection::{Connection, Got};
use super::super::connections::Taken;
use super::super::context::{ProcessContext, Speaker};
use super::super::kinds::Kind;
use super::{Over, limits};
use crate::auth::authenticator::{
    AuthRequest, Authenticator, Facts, Identity, Next, Origin, Replication, Rules, TlsCertificate, TlsFacts,
};
use crate::auth::databases;
use crate::auth::roles::Role;
use crate::auth::{login, password::PasswordSettings, system::SystemFiles};
use crate::config;
use crate::ipc::{Interrupts, WaitEvent};
use crate::protocol::cancel_key::CancelKey;
use crate::protocol::encode::{Encoder, old_error};
use crate::protocol::frame::{Next as Frames, Phase, next_frame};
use crate::protocol::startup::{StartupDecoder, StartupPacket, StartupParameters, Step as Decoded};
use crate::protocol::tls::{TlsConfig, TlsSession};
use crate::report::{Report, SqlState};
use crate::sync::{Monotonic, Ordering};

/// A client that was let in.
pub struct Client {
    /// What it asked for.
    pub parameters: StartupParameters,
    /// Its role.
    pub role: Role,
    /// Its database's number.
    pub database: u32,
    /// How it proved who it is; what SQL's `SYSTEM_USER` will say.
    pub identity: Identity,
    /// Where it came from.
    pub peer: Peer,
}

/// The other end.
#[derive(Clone, Debug)]
pub enum Peer {
    /// A Unix socket.
    Unix {
        /// The user of the process there.
        uid: Option<u32>,
    },
    /// TCP.
    Tcp {
        /// Its address.
        address: IpAddr,
        /// Its port.
        port: u16,
    },
}

impl Peer {
    /// `[local]`, or `HOST(PORT)` as titles and logs have it.
    pub fn shown(&self) -> String {
        match self {
            Self::Unix { .. } => "[local]".to_string(),
            Self::Tcp { address, port } => format!("{address}({port})"),
        }
    }
}

/// Lets a client in, or says why not.
pub fn admit(ctx: &mut ProcessContext<'_>, connection: &mut Connection<'_>) -> Result<Client, Over> {
    let timeout = Duration::from_millis(ctx.settings.millis(config::AUTHENTICATION_TIMEOUT) as u64);
    let deadline = Monotonic::now().saturating_add(timeout);
    let peer = peer_of(connection.socket());
    ctx.speaker = Some(speaker(&peer, connection.socket()));
    ctx.title.set_fixed(&peer.shown());
    ctx.title.set_activity("initializing");
    let now_us = jiff::Timestamp::now().as_microsecond() as u64;
    let (address, port) = match &peer {
        Peer::Unix { .. } => (String::new(), 0),
        Peer::Tcp { address, port } => (address.to_string(), u32::from(*port)),
    };
    ctx.server.activities.of(ctx.id.slot()).begin(now_us, &address, port);
    if ctx.logs_connections() {
        ctx.log(&Report::log(format!("connection received: host={}", peer_words(&peer))));
    }
    let parameters = startup_packet(ctx, connection, &peer, deadline)?;
    ctx.title.set_fixed(&format!("{} {} {}", parameters.user, parameters.database, peer.shown()));
    ctx.title.set_activity("authentication");
    if let Some(speaker) = &mut ctx.speaker {
        speaker.names = Some((parameters.user.clone(), parameters.database.clone()));
    }
    if ctx.server.ipc.control().postmaster_state.load(Ordering::SeqCst) != 1 || ctx.kind == Kind::DeadEnd {
        return Err(Over::Told(refusal(ctx)));
    }
    if parameters.needs_negotiation() {
        Encoder::new(&mut connection.out).negotiate_protocol_version(&parameters);
    }
    if parameters.replication != crate::protocol::startup::Replication::Off {
        return Err(Over::Told(Report::fatal(
            SqlState::FEATURE_NOT_SUPPORTED,
            "replication connections are not supported yet",
        )));
    }
    let (identity, role, may_use_reserved) = authenticate(ctx, connection, &parameters, &peer, deadline)?;
    ctx.title.set_activity("startup");
    limits::check_role(ctx, &role)?;
    take_slot(ctx, &role, may_use_reserved)?;
    let roles = ctx.access.roles.current(&ctx.server.data_dir).map_err(Over::Told)?;
    let database = databases::connect(roles.databases(), &parameters.database).map_err(Over::Told)?;
    limits::check_database(ctx, &role, database)?;
    Ok(Client { parameters, role, database: database.oid, identity, peer })
}

/// The other end as the log names it.
fn speaker(peer: &Peer, socket: BorrowedFd<'_>) -> Speaker {
    let local = || {
        let name = rustix::net::getsockname(socket).ok()?;
        Some(std::net::SocketAddr::try_from(name).ok()?.ip().to_canonical().to_string())
    };
    let words = || "[local]".to_string();
    let (remote_host, remote_port, local_host) = match peer {
        Peer::Unix { .. } => (words(), None, words()),
        Peer::Tcp { address, port } => (address.to_string(), Some(*port), local().unwrap_or_default()),
    };
    Speaker { names: None, remote_host, remote_port, local_host, query: None }
}

fn peer_words(peer: &Peer) -> String {
    match peer {
        Peer::Unix { .. } => "[local]".to_string(),
        Peer::Tcp { address, port } => format!("{address} port={port}"),
    }
}

fn peer_of(socket: BorrowedFd<'_>) -> Peer {
    let name = rustix::net::getpeername(socket).ok().flatten();
    match name.and_then(|any| std::net::SocketAddr::try_from(any).ok()) {
        Some(address) => {
            // An answer goes out when it is there; without this it might wait for the acknowledgement of the one before.
            let _ = rustix::net::sockopt::set_tcp_nodelay(socket, true);
            Peer::Tcp { address: address.ip().to_canonical(), port: address.port() }
        }
        None => {
            let credentials = rustix::net::sockopt::socket_peercred(socket.as_fd()).ok();
            Peer::Unix { uid: credentials.map(|c| c.uid.as_raw()) }
        }
    }
}

/// What the state says to newcomers.
fn refusal(ctx: &ProcessContext<'_>) -> Box<Report> {
    let state = match ctx.kind {
        Kind::DeadEnd => ctx.forked_in,
        _ => ctx.server.ipc.control().postmaster_state.load(Ordering::SeqCst),
    };
    if state == 1 {
        return Report::fatal(SqlState::TOO_MANY_CONNECTIONS, "sorry, too many clients already");
    }
    let text = match (state >> 8) & 0xff {
        1 => "the database system is starting up",
        2 => "the database system is shutting down",
        3 => "the database system is in recovery mode",
        _ => "the database system is not yet accepting connections",
    };
    Report::fatal(SqlState::CANNOT_CONNECT_NOW, text)
}

/// Waits for bytes while nothing but the end can interrupt.
fn more(ctx: &ProcessContext<'_>, connection: &mut Connection<'_>, deadline: Monotonic) -> Result<(), Over> {
    loop {
        match connection.exchange(ctx.me, Some(deadline), WaitEvent::CLIENT_READ)? {
            Got::Bytes => return Ok(()),
            Got::Eof => return Err(Over::Left),
            Got::TimedOut => {
                let text = "canceling authentication due to timeout";
                return Err(Over::Told(Report::fatal(SqlState::QUERY_CANCELED, text)));
            }
            Got::PostmasterDead => return Err(Over::Quiet),
            Got::Latch => {
                if ctx.me.pending_interrupts().contains(Interrupts::TERMINATE) {
                    return Err(Over::Told(super::session::terminated()));
                }
                ctx.me.take_interrupts(Interrupts::CANCEL | Interrupts::MESSAGE);
            }
        }
    }
}

fn startup_packet(
    ctx: &mut ProcessContext<'_>,
    connection: &mut Connection<'_>,
    peer: &Peer,
    deadline: Monotonic,
) -> Result<StartupParameters, Over> {
    let mut decoder = StartupDecoder::default();
    loop {
        let decoded = decoder.next(&connection.received).map_err(|report| {
            if decoder.wants_old_errors() {
                old_error(&mut connection.out, &report);
                Over::Silent(report)
            } else if report.severity == crate::report::Severity::Fatal {
                Over::Told(report)
            } else {
                Over::Silent(report)
            }
        })?;
        let (packet, consumed) = match decoded {
            Decoded::NeedMore(_) => {
                if let Err(over) = more(ctx, connection, deadline) {
                    let incomplete = StartupDecoder::ended(&connection.received);
                    return Err(match (over, incomplete) {
                        // Who has not said a word of the protocol is not answered in it.
                        (Over::Told(_), _) => Over::Quiet,
                        (Over::Left, Some(report)) => Over::Silent(report),
                        (over, _) => over,
                    });
                }
                continue;
            }
            Decoded::Packet { packet, consumed } => (packet, consumed),
        };
        connection.received.drain(..consumed);
        match packet {
            StartupPacket::Startup(parameters) => return Ok(parameters),
            StartupPacket::Cancel { pid, secret } => {
                cancel(ctx, pid, &secret);
                return Err(Over::Quiet);
            }
            StartupPacket::Ssl => {
                let config = ctx.access.tls.clone().filter(|_| matches!(peer, Peer::Tcp { .. }));
                connection.out.push(if config.is_some() { b'S' } else { b'N' });
                decoder.ssl_answered(config.is_some(), &connection.received).map_err(Over::Told)?;
                if let Some(config) = config {
                    connection.flush(ctx.me, Some(deadline))?;
                    begin_tls(ctx, connection, &config, deadline)?;
                }
            }
            StartupPacket::Gss => {
                connection.out.push(b'N');
                decoder.gss_refused(&connection.received).map_err(Over::Told)?;
            }
            StartupPacket::DirectTls => {
                let Some(config) = ctx.access.tls.clone().filter(|_| matches!(peer, Peer::Tcp { .. })) else {
                    return Err(Over::Quiet);
                };
                decoder.direct_tls_accepted();
                begin_tls(ctx, connection, &config, deadline)?;
                let offered = connection.tls().map(TlsSession::require_alpn);
                if let Some(Err(report)) = offered {
                    return Err(Over::Silent(report));
                }
            }
        }
    }
}

/// The handshake.
fn begin_tls(
    ctx: &ProcessContext<'_>,
    connection: &mut Connection<'_>,
    config: &TlsConfig,
    deadline: Monotonic,
) -> Result<(), Over> {
    let session = TlsSession::new(config).map_err(Over::Silent)?;
    connection.begin_tls(session)?;
    while connection.tls().is_some_and(TlsSession::is_handshaking) {
        // Bytes of the handshake count too: they may be all that comes before an answer is due.
        match connection.handshake(ctx.me, deadline)? {
            Got::Bytes => {}
            Got::Eof | Got::PostmasterDead | Got::TimedOut => return Err(Over::Quiet),
            Got::Latch => {
                if ctx.me.pending_interrupts().contains(Interrupts::TERMINATE) {
                    return Err(Over::Quiet);
                }
                ctx.me.take_interrupts(Interrupts::CANCEL | Interrupts::MESSAGE);
            }
        }
    }
    Ok(())
}

/// What authentication wants to know of the channel.
fn tls_facts(ctx: &ProcessContext<'_>, connection: &Connection<'_>) -> Result<Option<TlsFacts>, Over> {
    let Some(tls) = connection.tls() else { return Ok(None) };
    let certificate = tls.client_certificate().map_err(Over::Told)?;
    Ok(Some(TlsFacts {
        server_end_point: tls.server_end_point().map(<[u8]>::to_vec),
        has_authorities: !ctx.settings.get(config::SSL_CA_FILE).is_empty(),
        client_certificate: certificate.map(|certificate| TlsCertificate {
            common_name: certificate.common_name,
            distinguished_name: Some(certificate.subject_rfc2253),
        }),
    }))
}

/// Cancels another session's statement if the secret is its own. Nobody is told whether it was.
fn cancel(ctx: &ProcessContext<'_>, pid: i32, secret: &[u8]) {
    for (index, slot) in ctx.server.ipc.slots().iter().enumerate() {
        let Some(index) = SlotIndex::new(index) else { return };
        if slot.pid.load(Ordering::Acquire) != pid as u32 {
            continue;
        }
        if ctx.server.cancel_keys.matches(index, secret) {
            ctx.me.interrupt(index, Interrupts::CANCEL);
        } else {
            ctx.log(&Report::log(format!("wrong key in cancel request for process {pid}")));
        }
        return;
    }
    ctx.log(&Report::log(format!("PID {pid} in cancel request did not match any process")));
}

fn authenticate(
    ctx: &mut ProcessContext<'_>,
    connection: &mut Connection<'_>,
    parameters: &StartupParameters,
    peer: &Peer,
    deadline: Monotonic,
) -> Result<(Identity, Role, bool), Over> {
    let told = |report: Box<Report>| Over::Told(report);
    let roles = ctx.access.roles.current(&ctx.server.data_dir).map_err(told)?;
    let ctx = &*ctx;
    let access = &*ctx.access;
    let system = SystemFiles::default();
    let rules = Rules {
        hba: &access.hba,
        ident: &access.ident,
        roles: &*roles,
        system: &system,
        passwords: PasswordSettings::default(),
    };
    let facts = Facts {
        origin: match peer {
            Peer::Unix { uid } => Origin::Unix { uid: *uid },
            Peer::Tcp { address, .. } => Origin::Tcp(*address),
        },
        tls: tls_facts(ctx, connection)?,
        user: &parameters.user,
        database: &parameters.database,
        replication: Replication::None,
        now_us: jiff::Timestamp::now().as_microsecond(),
    };
    let mut authenticator = Authenticator::new(facts, rules);
    let mut step = authenticator.start();
    let mut asked = Phase::Password;
    loop {
        step.log.iter().for_each(|report| ctx.log(report));
        if let Some(report) = step.authenticated.filter(|_| ctx.logs_connections()) {
            ctx.log(&report);
        }
        for request in &step.send {
            asked = send(connection, request).unwrap_or(asked);
        }
        match step.next {
            Next::Done(identity) => {
                let role = login::role(&parameters.user, &*roles).map_err(told)?;
                let may_use_reserved = roles.has_privileges_of(&role, "pg_use_reserved_connections");
                return Ok((identity, role, may_use_reserved));
            }
            Next::Failed(report) => return Err(told(report)),
            Next::Feed { max_length } => {
                let body = answer(ctx, connection, asked, max_length, deadline)?;
                step = authenticator.feed(b'p', &body);
            }
        }
    }
}

/// Puts a request into the send buffer; which kind of answer it asks for.
fn send(connection: &mut Connection<'_>, request: &AuthRequest) -> Option<Phase> {
    let mut encoder = Encoder::new(&mut connection.out);
    match request {
        // Sent with what follows it.
        AuthRequest::Ok => {
            encoder.authentication_ok();
            None
        }
        AuthRequest::Cleartext => {
            encoder.authentication_cleartext_password();
            Some(Phase::Password)
        }
        AuthRequest::Md5(_) => None,
        AuthRequest::Sasl(mechanisms) => {
            encoder.authentication_sasl(mechanisms);
            Some(Phase::SaslInitial)
        }
        AuthRequest::SaslContinue(data) => {
            encoder.authentication_sasl_continue(data);
            Some(Phase::Sasl)
        }
        AuthRequest::SaslFinal(data) => {
            encoder.authentication_sasl_final(data);
            None
        }
    }
}

/// The body of the client's answer.
fn answer(
    ctx: &ProcessContext<'_>,
    connection: &mut Connection<'_>,
    phase: Phase,
    max_length: usize,
    deadline: Monotonic,
) -> Result<Vec<u8>, Over> {
    loop {
        if let Frames::Frame(frame) = next_frame(&connection.received, phase).map_err(Over::Told)? {
            if frame.body.len() > max_length {
                let text = "invalid message length";
                return Err(Over::Told(Report::fatal(SqlState::PROTOCOL_VIOLATION, text)));
            }
            let (body, length) = (frame.body.to_vec(), frame.length());
            connection.received.drain(..length);
            return Ok(body);
        }
        more(ctx, connection, deadline)?;
    }
}

/// Takes a connection slot; the last ones are for some only.
fn take_slot(ctx: &ProcessContext<'_>, role: &Role, may_use_reserved: bool) -> Result<(), Over> {
    let told = |text: &str| Err(Over::Told(Report::fatal(SqlState::TOO_MANY_CONNECTIONS, text)));
    let connections = ctx.server.connections;
    let for_superusers = ctx.settings.get(config::SUPERUSER_RESERVED_CONNECTIONS) as usize;
    let reserved = for_superusers + ctx.settings.get(config::RESERVED_CONNECTIONS) as usize;
    let kept = match (role.superuser, may_use_reserved) {
        (true, _) => 0,
        (false, true) => for_superusers,
        (false, false) => reserved,
    };
    match connections.take(ctx.id, kept) {
        Taken::Place => Ok(()),
        Taken::Full => told("sorry, too many clients already"),
        Taken::Reserved if connections.free() <= for_superusers || reserved == for_superusers => {
            told("remaining connection slots are reserved for roles with the SUPERUSER attribute")
        }
        Taken::Reserved => told(
            "remaining connection slots are reserved for roles with privileges of the \"pg_use_reserved_connections\" role",
        ),
    }
}

/// A fresh cancel key, known to the others from here on.
pub fn publish_cancel_key(ctx: &ProcessContext<'_>, minor: u16) -> Result<CancelKey, Over> {
    let key = CancelKey::random(minor).map_err(Over::Told)?;
    ctx.server.cancel_keys.set(ctx.id.slot(), key.as_bytes());
    Ok(key)
}
