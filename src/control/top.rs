//! `tuskd top`: a live view of a server's processes, read from its shared memory without asking the server anything. So it
//! answers when no connection is to be had, and when the postmaster is stopped or dead.

mod attach;
mod screen;
mod terminal;

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::data_directory;
use super::getopt::{self, Opt, flag, short_value, value};
use super::help;
use super::program::{Failure, Outcome, say};
use crate::os::clock::Monotonic;
use attach::Server;
use terminal::Terminal;

pub use attach::segment_len;

const OPTIONS: &[Opt] =
    &[value('D', "pgdata"), short_value('d', "seconds"), short_value('n', "count"), flag('?', "help")];

/// How a process kind's number is called.
pub type KindName = fn(u32) -> Option<&'static str>;

const CLEAR: &str = "\x1b[H\x1b[2J";

#[derive(Debug)]
struct Options {
    data_dir: PathBuf,
    interval: Duration,
    /// `None`: until the user has seen enough.
    count: Option<u64>,
}

/// The command.
pub fn main(args: &[String], kind_name: KindName) -> Outcome {
    let parsed = getopt::parse(OPTIONS, false, args).map_err(Failure::getopt)?;
    if parsed.has("help") {
        say(&help::tuskd());
        return Ok(0);
    }
    if let Some(operand) = parsed.operands.first() {
        return Err(Failure::usage(format!("too many command-line arguments (first is \"{operand}\")")));
    }
    let options = Options {
        data_dir: data_directory::named(parsed.last("pgdata"), Some(data_directory::DEFAULT))
            .unwrap_or_else(|| PathBuf::from(data_directory::DEFAULT)),
        interval: interval(parsed.last("seconds").unwrap_or("1"))?,
        count: parsed.last("count").map(count).transpose()?,
    };
    data_directory::check_is_cluster(&options.data_dir)?;
    watch(&options, kind_name)
}

fn interval(text: &str) -> Result<Duration, Failure> {
    let seconds = text.parse().ok().filter(|seconds| (0.05..=86_400.0).contains(seconds));
    let wrong = || Failure::usage(format!("invalid interval \"{text}\": it is 0.05 to 86400 seconds"));
    seconds.map(Duration::from_secs_f64).ok_or_else(wrong)
}

fn count(text: &str) -> Result<u64, Failure> {
    let wrong = || Failure::usage(format!("invalid count \"{text}\""));
    text.parse().ok().filter(|count| *count > 0).ok_or_else(wrong)
}

/// Shows the server again and again. Without a terminal it is plain text, one page behind the other.
fn watch(options: &Options, kind_name: KindName) -> Outcome {
    let terminal = Terminal::enter()?;
    let mut server = Server::attach(&options.data_dir)?;
    let mut shown = 0;
    loop {
        let (rows, columns) = terminal.size();
        let page = page(&server, kind_name)?;
        say(&match terminal.is_interactive() {
            true => format!("{CLEAR}{}", screen::fit(&page, rows, columns, "\r\n")),
            false => page,
        });
        shown += 1;
        if options.count.is_some_and(|count| shown >= count) {
            return Ok(0);
        }
        let next = Monotonic::now().saturating_add(options.interval);
        if terminal.quit_before(next) {
            return Ok(0);
        }
        if server.is_replaced(&options.data_dir) {
            server = again(&options.data_dir)?;
        }
    }
}

/// A crash restart makes new memory; the file may be between two states just then.
fn again(data_dir: &Path) -> Result<Server, Failure> {
    Server::attach(data_dir).map_err(|failure| {
        Failure::new(format!("the server's shared memory is gone ({})", failure.message()))
    })
}

fn page(server: &Server, kind_name: KindName) -> Result<String, Failure> {
    let ipc = server.ipc()?;
    let processes = screen::processes(ipc.slots(), Monotonic::now(), kind_name);
    let waits = screen::waits(ipc.wait_stats());
    Ok(screen::render(&server.headline(&ipc), &processes, &waits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_and_counts_have_bounds() {
        assert_eq!(interval("0.5").unwrap(), Duration::from_millis(500));
        for text in ["0", "-1", "x", "1e9", "NaN", "inf"] {
            assert!(interval(text).is_err(), "{text}");
        }
        assert_eq!(count("3").unwrap(), 3);
        assert!(count("0").is_err() && count("-1").is_err());
    }
}
