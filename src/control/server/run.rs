//! `tuskd run`: a server in the foreground, from nothing if need be.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::{Server, serve};
use crate::control::data_directory::{self, State, reason};
use crate::control::getopt::{self, Opt, flag, long_value, short_value, value};
use crate::control::help;
use crate::control::init::{self, InitOptions, shell_word};
use crate::control::program::{Failure, Program, say};
use crate::control::user::drop_to;

const OPTIONS: &[Opt] = &[
    value('D', "pgdata"),
    value('p', "port"),
    short_value('k', "unix_socket_directories"),
    short_value('h', "listen_addresses"),
    short_value('c', "setting"),
    long_value("user"),
    flag('V', "version"),
    flag('?', "help"),
];

/// The command.
pub fn main(program: &Program, args: &[String]) -> ExitCode {
    match prepare(program, args) {
        Ok(Some(server)) => serve(program, &server, true, &as_postgres_takes_them(&server)),
        Ok(None) => ExitCode::SUCCESS,
        Err(failure) => program.finish(Err(failure)),
    }
}

/// The arguments by which `restart` starts the same server again.
fn as_postgres_takes_them(server: &Server) -> Vec<String> {
    let mut args = Vec::new();
    if let Some(data_dir) = &server.data_dir {
        args.extend(["-D".to_owned(), data_dir.display().to_string()]);
    }
    for (name, value) in &server.settings {
        args.extend(["-c".to_owned(), format!("{name}={value}")]);
    }
    args
}

/// Everything before the server itself; `None` if only help was wanted.
fn prepare(program: &Program, args: &[String]) -> Result<Option<Server>, Failure> {
    let parsed = getopt::parse(OPTIONS, true, args).map_err(Failure::getopt)?;
    if parsed.has("help") {
        say(&help::tuskd());
        return Ok(None);
    }
    if parsed.has("version") {
        say(&help::version("tuskd"));
        return Ok(None);
    }
    if let Some(operand) = parsed.operands.first() {
        return Err(Failure::usage(format!("invalid argument: \"{operand}\"")));
    }
    let mut settings = Vec::new();
    for (id, value) in &parsed.options {
        match *id {
            "pgdata" | "user" => {}
            "setting" => settings.push(super::arguments::name_and_value(value, "-c ")?),
            getopt::ANY_LONG => settings.push(super::arguments::name_and_value(value, "--")?),
            name => settings.push((name.to_owned(), value.clone())),
        }
    }
    let data_dir = data_directory::named(parsed.last("pgdata"), Some(data_directory::DEFAULT));
    let data_dir =
        data_directory::absolute(&data_dir.unwrap_or_else(|| PathBuf::from(data_directory::DEFAULT)));
    if let Some(name) = parsed.last("user") {
        drop_to(name, &data_dir)?;
    }
    initialise_if_empty(program, &data_dir)?;
    let (host, port) = data_directory::address(&data_dir, &settings);
    let user = parsed.last("user").map_or_else(String::new, |user| format!(" as user \"{user}\""));
    say(&format!("connect{user} with:  psql -h {} -p {} postgres\n", shell_word(&host), shell_word(&port)));
    Ok(Some(Server { data_dir: Some(data_dir), settings }))
}

fn initialise_if_empty(program: &Program, data_dir: &Path) -> Result<(), Failure> {
    let shown = data_dir.display();
    let state = data_directory::state(data_dir).map_err(|error| {
        Failure::new(format!("could not access directory \"{shown}\": {}", reason(&error)))
    })?;
    match state {
        State::Filled(names) if names.iter().any(|name| name == "PG_VERSION") => Ok(()),
        State::Filled(_) => {
            Err(Failure::new(format!("directory \"{shown}\" is not a database cluster directory")))
        }
        State::Absent | State::Empty => {
            let what = if state == State::Absent { "absent" } else { "empty" };
            say(&format!("the data directory \"{shown}\" is {what} and will be initialised\n"));
            init::create(program, &InitOptions::new(data_dir.to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::program::Style;

    #[test]
    fn wrong_command_lines_leave_nothing_behind() {
        let program = Program::new("tuskd", "tuskd", "tuskd run", Style::Tagged);
        let dir = std::env::temp_dir().join(format!("tuskd-run-{}", std::process::id()));
        let dir = dir.display().to_string();
        for (args, problem) in [
            (vec!["-D", &dir, "-c", "port"], "-c port requires a value"),
            (vec!["-D", &dir, "x"], "invalid argument: \"x\""),
            (vec!["-D", &dir, "-Z"], "invalid option -- 'Z'"),
            (vec!["-D", &dir, "--user", "no such user"], "user \"no such user\" does not exist"),
        ] {
            let args: Vec<String> = args.into_iter().map(str::to_owned).collect();
            assert_eq!(prepare(&program, &args).unwrap_err().message(), problem);
        }
        assert!(!Path::new(&dir).exists());
    }
}
