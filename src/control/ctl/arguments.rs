//! The options of `pg_ctl`, and those of `tuskd`'s own commands, where `-p`, `-k` and `-c` mean what they mean to the server.

use std::path::PathBuf;
use std::time::Duration;

use crate::control::data_directory;
use crate::control::getopt::{self, Opt, Parsed, flag, long_flag, long_value, short_value, value};
use crate::control::program::{Failure, say};
use crate::os::process::Pid;
use crate::os::signal::Signal;

/// Whose options these are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Spelling {
    /// `pg_ctl`'s: `-p` is a path, `-c` allows core files.
    PgCtl,
    /// `tuskd`'s: `-p` is the port, `-k` the socket directory, `-c` a setting.
    Tuskd,
}

const COMMON: [Opt; 11] = [
    value('D', "pgdata"),
    value('l', "log"),
    value('m', "mode"),
    value('o', "options"),
    flag('s', "silent"),
    value('t', "timeout"),
    flag('V', "version"),
    flag('w', "wait"),
    flag('W', "no-wait"),
    flag('?', "help"),
    long_flag("end-orphans"),
];
const OF_PG_CTL: [Opt; 2] = [short_value('p', "path"), flag('c', "core-files")];
const OF_TUSKD: [Opt; 5] = [
    long_value("user"),
    value('p', "port"),
    short_value('k', "unix_socket_directories"),
    short_value('h', "listen_addresses"),
    short_value('c', "setting"),
];

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// What can be done to a server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    Start,
    Stop,
    Restart,
    Reload,
    Status,
    Promote,
    LogRotate,
}

/// How a server is to end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ShutdownMode {
    Smart,
    Fast,
    Immediate,
}

/// Everything an operation may want to know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CtlOptions {
    /// The data directory, as it was given.
    pub data_dir: PathBuf,
    /// Where the server's output goes; `None`: where ours goes.
    pub log: Option<PathBuf>,
    /// How to stop.
    pub mode: ShutdownMode,
    /// Options for the server, behind `-D`.
    pub server_args: Vec<String>,
    /// Errors only.
    pub silent: bool,
    /// Whether to wait until it is done.
    pub wait: bool,
    /// For how long.
    pub timeout: Duration,
    /// Whether the server may write core files.
    pub core_files: bool,
    /// Whose the server is to be, if it is not the caller's.
    pub user: Option<String>,
    /// Whether sessions that outlived their postmaster are ended first.
    pub end_orphans: bool,
}

impl CtlOptions {
    /// Says something unless silence was asked for.
    pub fn say(&self, text: &str) {
        if !self.silent {
            say(text);
        }
    }
}

/// What is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Request {
    Help,
    Version,
    Kill {
        signal: Signal,
        pid: Pid,
    },
    /// `init`, with arguments as initdb takes them.
    Init {
        args: Vec<String>,
    },
    Control(Operation, CtlOptions),
}

/// Reads a command line.
pub fn read(args: &[String], spelling: Spelling) -> Result<Request, Failure> {
    match args.first().map(String::as_str) {
        Some("--help" | "-?") => return Ok(Request::Help),
        Some("--version" | "-V") => return Ok(Request::Version),
        _ => {}
    }
    let mut table = COMMON.to_vec();
    match spelling {
        Spelling::PgCtl => table.extend(OF_PG_CTL),
        Spelling::Tuskd => table.extend(OF_TUSKD),
    }
    let parsed = getopt::parse(&table, false, args).map_err(Failure::getopt)?;
    if parsed.has("help") {
        return Ok(Request::Help);
    }
    if parsed.has("version") {
        return Ok(Request::Version);
    }
    let mode = shutdown_mode(parsed.last("mode"))?;
    let mut operands = parsed.operands.iter().map(String::as_str);
    let name = operands.next().ok_or_else(|| Failure::usage("no operation specified"))?;
    let operation = match name {
        "init" | "initdb" if spelling == Spelling::PgCtl => None,
        "kill" => return kill(operands),
        _ => Some(operation(name)?),
    };
    if let Some(extra) = operands.next() {
        return Err(Failure::usage(format!("too many command-line arguments (first is \"{extra}\")")));
    }
    match operation {
        Some(operation) => Ok(Request::Control(operation, options(&parsed, spelling, mode)?)),
        None => Ok(Request::Init { args: init_args(&parsed)? }),
    }
}

fn operation(name: &str) -> Result<Operation, Failure> {
    Ok(match name {
        "start" => Operation::Start,
        "stop" => Operation::Stop,
        "restart" => Operation::Restart,
        "reload" => Operation::Reload,
        "status" => Operation::Status,
        "promote" => Operation::Promote,
        "logrotate" => Operation::LogRotate,
        _ => return Err(Failure::usage(format!("unrecognized operation mode \"{name}\""))),
    })
}

fn shutdown_mode(mode: Option<&str>) -> Result<ShutdownMode, Failure> {
    Ok(match mode {
        Some("s" | "smart") => ShutdownMode::Smart,
        None | Some("f" | "fast") => ShutdownMode::Fast,
        Some("i" | "immediate") => ShutdownMode::Immediate,
        Some(other) => return Err(Failure::usage(format!("unrecognized shutdown mode \"{other}\""))),
    })
}

fn kill<'a>(mut operands: impl Iterator<Item = &'a str>) -> Result<Request, Failure> {
    let (Some(name), Some(pid)) = (operands.next(), operands.next()) else {
        return Err(Failure::usage("missing arguments for kill mode"));
    };
    if let Some(extra) = operands.next() {
        return Err(Failure::usage(format!("too many command-line arguments (first is \"{extra}\")")));
    }
    let signal = match name {
        "ABRT" => Signal::ABORT,
        "HUP" => Signal::HUP,
        "INT" => Signal::INT,
        "KILL" => Signal::KILL,
        "QUIT" => Signal::QUIT,
        "TERM" => Signal::TERM,
        "USR1" => Signal::USR1,
        "USR2" => Signal::USR2,
        _ => return Err(Failure::usage(format!("unrecognized signal name \"{name}\""))),
    };
    // PostgreSQL takes what is no number for 0, its own process group. That is nobody's wish.
    let number: Option<i32> = pid.parse().ok().filter(|pid| *pid > 0);
    let pid = number
        .and_then(Pid::from_raw)
        .ok_or_else(|| Failure::usage(format!("invalid process ID \"{pid}\"")))?;
    Ok(Request::Kill { signal, pid })
}

fn options(parsed: &Parsed, spelling: Spelling, mode: ShutdownMode) -> Result<CtlOptions, Failure> {
    let fallback = (spelling == Spelling::Tuskd).then_some(data_directory::DEFAULT);
    let no_directory = "no database directory specified and environment variable PGDATA unset";
    let data_dir = data_directory::named(parsed.last("pgdata"), fallback);
    let data_dir = data_dir.ok_or_else(|| Failure::usage(no_directory))?;
    let waits = parsed.options.iter().rev().find(|(id, _)| matches!(*id, "wait" | "no-wait"));
    Ok(CtlOptions {
        data_dir,
        log: parsed.last("log").map(PathBuf::from),
        mode,
        server_args: server_args(parsed)?,
        silent: parsed.has("silent"),
        wait: waits.is_none_or(|(id, _)| *id == "wait"),
        timeout: timeout(parsed.last("timeout"))?,
        core_files: parsed.has("core-files"),
        user: parsed.last("user").map(str::to_owned),
        end_orphans: parsed.has("end-orphans"),
    })
}

fn timeout(option: Option<&str>) -> Result<Duration, Failure> {
    let from_environment = std::env::var("PGCTLTIMEOUT").ok();
    match option.or(from_environment.as_deref()) {
        None => Ok(DEFAULT_TIMEOUT),
        Some(text) => {
            let seconds: Result<u32, _> = text.trim().parse();
            let wrong = |_| Failure::usage(format!("invalid timeout \"{text}\""));
            Ok(Duration::from_secs(seconds.map_err(wrong)?.into()))
        }
    }
}

/// What the server is handed, in the order of the command line.
fn server_args(parsed: &Parsed) -> Result<Vec<String>, Failure> {
    let mut args = Vec::new();
    for (id, value) in &parsed.options {
        match *id {
            "options" => args.extend(shell_words(value)?),
            "setting" => args.extend(["-c".to_owned(), value.clone()]),
            "port" | "unix_socket_directories" | "listen_addresses" => {
                args.extend(["-c".to_owned(), format!("{id}={value}")]);
            }
            _ => {}
        }
    }
    Ok(args)
}

fn init_args(parsed: &Parsed) -> Result<Vec<String>, Failure> {
    let mut args = Vec::new();
    if let Some(data_dir) = parsed.last("pgdata") {
        args.extend(["-D".to_owned(), data_dir.to_owned()]);
    }
    for options in parsed.all("options") {
        args.extend(shell_words(options)?);
    }
    Ok(args)
}

/// Splits as a shell does, quotes and backslashes included; nothing is substituted.
fn shell_words(text: &str) -> Result<Vec<String>, Failure> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None | Some('"'), '\\') => word.get_or_insert_default().extend(chars.next()),
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err(Failure::usage("unterminated quoted string in option -o"));
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_words(words: &[&str], spelling: Spelling) -> Result<Request, Failure> {
        read(&words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>(), spelling)
    }

    #[test]
    fn words_are_split_as_a_shell_splits_them() {
        for (text, expected) in [
            ("-p 5433  -k /tmp", vec!["-p", "5433", "-k", "/tmp"]),
            ("-c 'a=b c' -c \"x=\\\"y\\\"\"", vec!["-c", "a=b c", "-c", "x=\"y\""]),
            ("a\\ b '' 'it'\\''s'", vec!["a b", "", "it's"]),
            ("", vec![]),
        ] {
            assert_eq!(shell_words(text).unwrap(), expected, "{text}");
        }
        assert!(shell_words("'open").is_err());
    }

    #[test]
    fn the_two_spellings_differ() {
        let Ok(Request::Control(Operation::Start, options)) =
            read_words(&["start", "-D", "/d", "-p", "/bin/postgres", "-c", "-o", "-F -p 1"], Spelling::PgCtl)
        else {
            panic!()
        };
        assert!(options.core_files && options.wait);
        assert_eq!(options.server_args, ["-F", "-p", "1"]);
        let Ok(Request::Control(Operation::Start, options)) = read_words(
            &["start", "-D", "/d", "-p", "5433", "-c", "fsync=off", "-k", "/s", "-W", "--end-orphans"],
            Spelling::Tuskd,
        ) else {
            panic!()
        };
        assert!(!options.wait && options.end_orphans && !options.core_files);
        let expected = ["-c", "port=5433", "-c", "fsync=off", "-c", "unix_socket_directories=/s"];
        assert_eq!(options.server_args, expected);
    }

    #[test]
    fn what_is_wrong_is_said_as_pg_ctl_says_it() {
        for (words, problem) in [
            (&["kill", "FOO", "12"][..], "unrecognized signal name \"FOO\""),
            (&["kill", "TERM"], "missing arguments for kill mode"),
            (&["kill", "TERM", "x"], "invalid process ID \"x\""),
            (&["kill", "TERM", "-1"], "invalid option -- '1'"),
            (&["bogus"], "unrecognized operation mode \"bogus\""),
            (&["-s"], "no operation specified"),
            (&["stop", "-m", "foo", "-D", "/d"], "unrecognized shutdown mode \"foo\""),
            (&["start", "stop"], "too many command-line arguments (first is \"stop\")"),
            (&["stop", "-D", "/d", "-t", "x"], "invalid timeout \"x\""),
            (&["--foo"], "unrecognized option '--foo'"),
        ] {
            assert_eq!(read_words(words, Spelling::PgCtl).unwrap_err().message(), problem);
        }
    }

    #[test]
    fn init_is_handed_on() {
        let words = ["init", "-D", "/d", "-o", "-A trust -N"];
        let args = ["-D", "/d", "-A", "trust", "-N"].map(str::to_owned).to_vec();
        assert_eq!(read_words(&words, Spelling::PgCtl), Ok(Request::Init { args }));
    }
}
