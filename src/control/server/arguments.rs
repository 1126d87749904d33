//! The server's own options, as `postgres` has them: each but a few is another way to write a setting.

use std::path::PathBuf;

use crate::control::data_directory;
use crate::control::getopt::{self, ANY_LONG, Opt, short_flag, short_value};
use crate::control::program::Failure;

/// Options that stand for a setting; the id is the setting, or names a rule of [`settings_of`].
const OPTIONS: &[Opt] = &[
    short_value('B', "shared_buffers"),
    short_value('c', "-c"),
    short_value('C', "-C"),
    short_value('d', "-d"),
    short_value('D', "-D"),
    short_flag('e', "-e"),
    short_flag('E', "-E"),
    short_value('f', "-f"),
    short_flag('F', "-F"),
    short_value('h', "listen_addresses"),
    short_flag('i', "-i"),
    short_flag('j', "-j"),
    short_value('k', "unix_socket_directories"),
    short_flag('l', "-l"),
    short_value('N', "max_connections"),
    short_flag('O', "-O"),
    short_value('p', "port"),
    short_flag('P', "-P"),
    short_value('r', "-r"),
    short_flag('s', "-s"),
    short_value('S', "work_mem"),
    short_value('t', "-t"),
    short_flag('T', "-T"),
    short_value('v', "-v"),
    short_value('W', "post_auth_delay"),
];

/// A server to be run.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Server {
    /// `-D` or `PGDATA`.
    pub data_dir: Option<PathBuf>,
    /// Settings of the command line, in order.
    pub settings: Vec<(String, String)>,
}

/// What is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Request {
    /// `--help`.
    Help,
    /// `--version`.
    Version,
    /// `-C NAME`.
    Print {
        /// With which directory and settings.
        server: Server,
        /// Name of the setting.
        name: String,
    },
    /// Anything else.
    Serve(Server),
}

/// Reads `postgres`'s command line.
pub fn read(args: &[String]) -> Result<Request, Failure> {
    match args.first().map(String::as_str) {
        Some("--help" | "-?") => return Ok(Request::Help),
        Some("--version" | "-V") => return Ok(Request::Version),
        Some("--single") => return Err(Failure::new("single-user mode is not supported")),
        Some("--boot" | "--check") => return Err(Failure::new("bootstrapping mode is not supported")),
        Some("--describe-config") => return Err(Failure::new("--describe-config is not supported")),
        _ => {}
    }
    let parsed = getopt::parse(OPTIONS, true, args).map_err(Failure::getopt)?;
    if let Some(operand) = parsed.operands.first() {
        return Err(Failure::usage(format!("invalid argument: \"{operand}\"")));
    }
    let mut server = Server::default();
    let mut print = None;
    for (id, value) in &parsed.options {
        match *id {
            "-D" => server.data_dir = Some(PathBuf::from(value)),
            "-C" => print = Some(value.clone()),
            id => settings_of(id, value, &mut server.settings)?,
        }
    }
    let given = server.data_dir.as_ref().map(|dir| dir.to_string_lossy().into_owned());
    server.data_dir = data_directory::named(given.as_deref(), None);
    Ok(match print {
        Some(name) => Request::Print { server, name },
        None => Request::Serve(server),
    })
}

/// Adds what one option sets.
fn settings_of(id: &str, value: &str, settings: &mut Vec<(String, String)>) -> Result<(), Failure> {
    let mut set = |name: &str, value: &str| settings.push((name.to_owned(), value.to_owned()));
    match id {
        "-c" => settings.push(name_and_value(value, "-c ")?),
        ANY_LONG => settings.push(name_and_value(value, "--")?),
        "-d" => debug(value, settings)?,
        "-e" => set("datestyle", "euro"),
        "-f" => set(plan_switch(value)?, "false"),
        "-F" => set("fsync", "false"),
        "-i" => set("listen_addresses", "*"),
        "-l" => set("ssl", "true"),
        "-O" => set("allow_system_table_mods", "true"),
        "-P" => set("ignore_system_indexes", "true"),
        "-s" => set("log_statement_stats", "true"),
        "-t" => set(timing_switch(value)?, "true"),
        "-T" => set("send_abort_for_crash", "true"),
        "-E" | "-j" | "-r" | "-v" => {
            return Err(Failure::usage(format!(
                "option {id} belongs to single-user mode, which is not supported"
            )));
        }
        name => set(name, value),
    }
    Ok(())
}

/// `NAME=VALUE`; dashes in the name stand for underscores.
pub fn name_and_value(text: &str, prefix: &str) -> Result<(String, String), Failure> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.replace('-', "_"), value.to_owned())),
        _ => Err(Failure::new(format!("{prefix}{text} requires a value"))),
    }
}

/// Each level has what those below it have.
fn debug(level: &str, settings: &mut Vec<(String, String)>) -> Result<(), Failure> {
    let wrong = || Failure::usage(format!("invalid debugging level \"{level}\": it is 0 to 5"));
    let number: usize = level.parse().ok().filter(|number| *number <= 5).ok_or_else(wrong)?;
    let messages = if number == 0 { "notice".to_owned() } else { format!("debug{number}") };
    let steps: [&[(&str, &str)]; 5] = [
        &[("log_connections", "all"), ("log_disconnections", "true")],
        &[("log_statement", "all")],
        &[("debug_print_parse", "true")],
        &[("debug_print_plan", "true")],
        &[("debug_print_rewritten", "true")],
    ];
    settings.push(("log_min_messages".to_owned(), messages));
    let steps = steps[..number].iter().copied().flatten();
    settings.extend(steps.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    Ok(())
}

fn plan_switch(letter: &str) -> Result<&'static str, Failure> {
    Ok(match letter {
        "s" => "enable_seqscan",
        "i" => "enable_indexscan",
        "o" => "enable_indexonlyscan",
        "b" => "enable_bitmapscan",
        "t" => "enable_tidscan",
        "n" => "enable_nestloop",
        "m" => "enable_mergejoin",
        "h" => "enable_hashjoin",
        _ => return Err(Failure::usage(format!("invalid argument for option -f: \"{letter}\""))),
    })
}

fn timing_switch(letters: &str) -> Result<&'static str, Failure> {
    Ok(match letters {
        "pa" => "log_parser_stats",
        "pl" => "log_planner_stats",
        "ex" | "e" => "log_executor_stats",
        _ => return Err(Failure::usage(format!("invalid argument for option -t: \"{letters}\""))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_words(words: &str) -> Result<Request, Failure> {
        read(&words.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn options_are_settings() {
        let words =
            "-D /d -p 5433 -k /s -h * -N7 -B 64 -Fi -c work_mem=1MB --log-statement=all -f h -t pl -d 2 -S 9";
        let Ok(Request::Serve(server)) = read_words(words) else { panic!("{words}") };
        assert_eq!(server.data_dir, Some(PathBuf::from("/d")));
        let found: Vec<_> = server.settings.iter().map(|(n, v)| format!("{n}={v}")).collect();
        let expected = "port=5433 unix_socket_directories=/s listen_addresses=* max_connections=7 shared_buffers=64 \
                        fsync=false listen_addresses=* work_mem=1MB log_statement=all enable_hashjoin=false \
                        log_planner_stats=true log_min_messages=debug2 log_connections=all \
                        log_disconnections=true log_statement=all work_mem=9";
        assert_eq!(found.join(" "), expected);
    }

    #[test]
    fn a_setting_can_be_asked_for() {
        let Ok(Request::Print { server, name }) = read_words("-D /d -C port -p 7") else { panic!() };
        assert_eq!((name.as_str(), server.settings.len()), ("port", 1));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (words, problem) in [
            ("-Z", "invalid option -- 'Z'"),
            ("-D", "option requires an argument -- 'D'"),
            ("-D /d extra", "invalid argument: \"extra\""),
            ("-c foo -D /d", "-c foo requires a value"),
            ("-D /d --bogus-option", "--bogus-option requires a value"),
            ("--single -D /d", "single-user mode is not supported"),
            ("-D /d -d 9", "invalid debugging level \"9\": it is 0 to 5"),
            ("-D /d -f x", "invalid argument for option -f: \"x\""),
            ("-D /d -j", "option -j belongs to single-user mode, which is not supported"),
        ] {
            assert_eq!(read_words(words).unwrap_err().message(), problem, "{words}");
        }
    }
}
