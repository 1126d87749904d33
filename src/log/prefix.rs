//! `log_line_prefix`: the escapes that begin each line of text.

use std::fmt::Display;
use std::iter::repeat_n;
use std::str::Chars;

use super::config::Destination;
use super::context::{Client, session_id};
use super::message::Message;

/// More than this is an accident, and would cost every line its weight.
const MAX_WIDTH: usize = 1000;

/// A width to pad to.
#[derive(Clone, Copy, Default)]
struct Padding {
    width: usize,
    is_left_aligned: bool,
}

/// Writes the prefix of one line, and counts the line.
pub(super) fn append(message: &Message<'_>, out: &mut String) {
    let line = message.context.lines.next(Destination::Stderr);
    let mut rest = message.config.log_line_prefix.chars();
    while let Some(next) = rest.next() {
        if next != '%' {
            out.push(next);
            continue;
        }
        if rest.as_str().starts_with('%') {
            out.push('%');
            rest.next();
            continue;
        }
        let padding = padding(&mut rest);
        match rest.next() {
            None => return,
            Some('%') => {}
            Some('q') if message.context.client.is_none() => return,
            Some(escape) => append_padded(&value(escape, message, line), padding, out),
        }
    }
}

/// Takes the sign and digits behind a percent sign.
fn padding(rest: &mut Chars<'_>) -> Padding {
    let mut padding = Padding::default();
    if let Some(behind) = rest.as_str().strip_prefix('-') {
        padding.is_left_aligned = true;
        *rest = behind.chars();
    }
    while let Some(digit) = rest.as_str().chars().next().and_then(|digit| digit.to_digit(10)) {
        padding.width = (padding.width * 10 + digit as usize).min(MAX_WIDTH);
        rest.next();
    }
    padding
}

/// Pads by bytes, as C's `printf` does.
fn append_padded(value: &str, padding: Padding, out: &mut String) {
    let blanks = padding.width.saturating_sub(value.len());
    if !padding.is_left_aligned {
        out.extend(repeat_n(' ', blanks));
    }
    out.push_str(value);
    if padding.is_left_aligned {
        out.extend(repeat_n(' ', blanks));
    }
}

/// What one escape stands for; nothing if there is no such escape.
fn value(escape: char, message: &Message<'_>, line: u64) -> String {
    let context = message.context;
    match escape {
        'a' | 'u' | 'd' | 'r' | 'h' | 'i' => of_client(escape, message).unwrap_or_default(),
        'L' => context.client.as_ref().and_then(|client| client.local_host).unwrap_or("[none]").to_owned(),
        'b' => context.backend_type.to_owned(),
        'p' => context.pid.to_string(),
        'P' => shown(context.leader_pid),
        't' => super::stamp::with_seconds(message.now, &message.config.log_timezone),
        'm' => message.time(),
        'n' => {
            let millis = message.now.as_millisecond();
            format!("{}.{:03}", millis.div_euclid(1000), millis.rem_euclid(1000))
        }
        's' => message.start_time(),
        'v' => shown(context.virtual_xid.map(|(slot, local)| format!("{slot}/{local}"))),
        'x' => context.xid.to_string(),
        'c' => session_id(context.session_start, context.pid),
        'l' => line.to_string(),
        'e' => message.report.sqlstate.code().to_owned(),
        'Q' => context.query_id.to_string(),
        _ => String::new(),
    }
}

/// What the escapes stand for that only sessions have.
fn of_client(escape: char, message: &Message<'_>) -> Option<String> {
    let context = message.context;
    let client = context.client.as_ref()?;
    let known = |text: Option<&str>| text.filter(|text| !text.is_empty()).unwrap_or("[unknown]").to_owned();
    match escape {
        'a' => Some(known(Some(context.application_name))),
        'u' => Some(known(client.user)),
        'd' => Some(known(client.database)),
        'r' => remote(client),
        'h' => client.remote_host.map(str::to_owned),
        _ => Some(context.activity.to_owned()),
    }
}

/// `host(port)`, or the host alone.
fn remote(client: &Client<'_>) -> Option<String> {
    let host = client.remote_host?;
    Some(client.remote_port.map_or_else(|| host.to_owned(), |port| format!("{host}({port})")))
}

fn shown(value: Option<impl Display>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}
