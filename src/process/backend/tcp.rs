//! What the kernel is asked for of a TCP session's connection: keepalives and the time for unacknowledged data.
//!
//! The kernel cannot be asked whether it would take a value, so a setting is taken as it is, the socket is changed behind
//! it, and a refusal is only logged. `SHOW` tells what the kernel has, and 0 where there is no TCP.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::net::sockopt;

use super::super::context::ProcessContext;
use crate::config::{self, Key, Settings};
use crate::report::Report;

/// One of the four options.
struct TcpOption {
    setting: Key<i64>,
    name: &'static str,
    get: fn(BorrowedFd<'_>) -> rustix::io::Result<u32>,
    set: fn(BorrowedFd<'_>, u32) -> rustix::io::Result<()>,
}

const OPTIONS: [TcpOption; 4] = [
    TcpOption {
        setting: config::TCP_KEEPALIVES_IDLE,
        name: "TCP_KEEPIDLE",
        get: |socket| sockopt::tcp_keepidle(socket).map(|time| time.as_secs() as u32),
        set: |socket, seconds| sockopt::set_tcp_keepidle(socket, Duration::from_secs(seconds.into())),
    },
    TcpOption {
        setting: config::TCP_KEEPALIVES_INTERVAL,
        name: "TCP_KEEPINTVL",
        get: |socket| sockopt::tcp_keepintvl(socket).map(|time| time.as_secs() as u32),
        set: |socket, seconds| sockopt::set_tcp_keepintvl(socket, Duration::from_secs(seconds.into())),
    },
    TcpOption {
        setting: config::TCP_KEEPALIVES_COUNT,
        name: "TCP_KEEPCNT",
        get: |socket| sockopt::tcp_keepcnt(socket),
        set: |socket, count| sockopt::set_tcp_keepcnt(socket, count),
    },
    TcpOption {
        setting: config::TCP_USER_TIMEOUT,
        name: "TCP_USER_TIMEOUT",
        get: |socket| sockopt::tcp_user_timeout(socket),
        set: |socket, millis| sockopt::set_tcp_user_timeout(socket, millis),
    },
];

/// What a session's socket was asked for.
#[derive(Default)]
pub struct TcpOptions {
    /// The kernel's own values; `None`: no TCP.
    defaults: Option<[u32; OPTIONS.len()]>,
    asked: [i64; OPTIONS.len()],
}

impl TcpOptions {
    /// A session begins.
    pub fn begin(&mut self, ctx: &mut ProcessContext<'_>, socket: BorrowedFd<'_>, is_tcp: bool) {
        *self = Self::default();
        for option in &OPTIONS {
            ctx.settings.show_instead(option.setting, None);
        }
        if !is_tcp {
            return;
        }
        if let Err(error) = sockopt::set_socket_keepalive(socket, true) {
            log_failure(ctx, "SO_KEEPALIVE", error);
        }
        // Where the kernel has no answer it has no such option, and 0 is what it does.
        self.defaults = Some(OPTIONS.map(|option| (option.get)(socket).unwrap_or(0)));
        self.apply(ctx, socket);
        for option in &OPTIONS {
            show(ctx.settings, option, socket);
        }
    }

    /// Settings may have changed.
    pub fn apply(&mut self, ctx: &mut ProcessContext<'_>, socket: BorrowedFd<'_>) {
        let Some(defaults) = self.defaults else { return };
        for (i, option) in OPTIONS.iter().enumerate() {
            let wanted = ctx.settings.get(option.setting);
            if std::mem::replace(&mut self.asked[i], wanted) == wanted {
                continue;
            }
            let value = if wanted == 0 { defaults[i] } else { wanted as u32 };
            if let Err(error) = (option.set)(socket, value) {
                log_failure(ctx, option.name, error);
            }
            show(ctx.settings, option, socket);
        }
    }
}

fn show(settings: &mut Settings, option: &TcpOption, socket: BorrowedFd<'_>) {
    let shown = (option.get)(socket).ok().map(|value| value.to_string());
    settings.show_instead(option.setting, shown);
}

fn log_failure(ctx: &ProcessContext<'_>, name: &str, error: rustix::io::Errno) {
    let error = std::io::Error::from(error).to_string();
    let words = error.rfind(" (os error ").map_or(error.as_str(), |at| &error[..at]);
    ctx.log(&Report::log(format!("setsockopt({name}) failed: {words}")));
}

/// Whether the client has closed its end, whatever of it is not read yet.
pub fn is_closed(socket: BorrowedFd<'_>) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let mut fds = [PollFd::from_borrowed_fd(socket, PollFlags::RDHUP)];
    rustix::io::retry_on_intr(|| poll(&mut fds, Some(&now))).is_ok_and(|ready| ready > 0)
}
