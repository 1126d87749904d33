//! Running the server in this process: `tuskd run`, and `postgres` with that program's options.

mod arguments;
mod run;

use std::io;
use std::path::Path;
use std::process::ExitCode;

use super::data_directory::{self, reason};
use super::help;
use super::program::{Failure, Program, say};
use crate::postmaster::{self, Options};

pub use arguments::{Request, Server};
pub use run::main as run;

/// `postgres`.
pub fn main(program: &Program, args: &[String]) -> ExitCode {
    let request = match arguments::read(args) {
        Ok(request) => request,
        Err(failure) => return program.finish(Err(failure)),
    };
    match request {
        Request::Help => program.finish({
            say(&help::postgres(program));
            Ok(0)
        }),
        Request::Version => program.finish({
            say(&help::version("postgres"));
            Ok(0)
        }),
        Request::Print { server, name } => program.finish(print_setting(&server, &name)),
        Request::Serve(server) => serve(program, &server, false, args),
    }
}

/// Starts the server in a data directory that must be there.
fn serve(program: &Program, server: &Server, foreground_messages: bool, args: &[String]) -> ExitCode {
    let data_dir = match server.data_dir.as_deref() {
        Some(data_dir) => data_directory::absolute(data_dir),
        None => return program.finish(Err(no_data_directory(program))),
    };
    if let Err(failure) = check(&data_dir) {
        return program.finish(Err(failure));
    }
    if crate::os::credentials::effective_uid() == 0 {
        program.warn(
            "running as root: whoever breaks into the server has the machine; --user NAME drops to a user",
        );
    }
    postmaster::run(Options {
        data_dir,
        settings: server.settings.clone(),
        foreground_messages,
        program: program.argv0.clone(),
        arguments: args.to_vec(),
        ..Options::default()
    })
}

fn no_data_directory(program: &Program) -> Failure {
    let name = program.name;
    Failure::bare(format!(
        "{name} does not know where to find the server configuration file.\n\
         You must specify the --config-file or -D invocation option or set the PGDATA environment variable."
    ))
    .with_code(2)
}

/// Whether a server can be started there; in the words and with the code of PostgreSQL's.
fn check(data_dir: &Path) -> Result<(), Failure> {
    let shown = data_dir.display();
    if let Err(error) = std::fs::metadata(data_dir) {
        let message = format!("could not access directory \"{shown}\": {}", reason(&error));
        let failure = Failure::new(message).with_code(2);
        return Err(if error.kind() == io::ErrorKind::NotFound {
            failure.with_hint("Run initdb or pg_basebackup to initialize a PostgreSQL data directory.")
        } else {
            failure
        });
    }
    let config = data_dir.join("postgresql.conf");
    std::fs::metadata(&config).map(|_| ()).map_err(|error| {
        let config = config.display();
        let message =
            format!("could not access the server configuration file \"{config}\": {}", reason(&error));
        Failure::new(message).with_code(2)
    })
}

/// `-C NAME`: the one place that knows, until the configuration module answers for every setting.
fn print_setting(server: &Server, name: &str) -> super::program::Outcome {
    let data_dir = match server.data_dir.as_deref() {
        Some(data_dir) => data_directory::absolute(data_dir),
        None => return Err(Failure::new("-C needs a data directory (-D)").with_code(2)),
    };
    check(&data_dir)?;
    let value = match name.to_ascii_lowercase().as_str() {
        "data_directory" => Some(data_dir.display().to_string()),
        "server_version" => Some(help::SERVER_VERSION.to_owned()),
        "config_file" => Some(data_dir.join("postgresql.conf").display().to_string()),
        "hba_file" => Some(data_dir.join("pg_hba.conf").display().to_string()),
        "ident_file" => Some(data_dir.join("pg_ident.conf").display().to_string()),
        lower => data_directory::peek_setting(&data_dir, &server.settings, lower).or(match lower {
            "port" => Some("5432".to_owned()),
            "unix_socket_directories" => Some("/tmp".to_owned()),
            "listen_addresses" => Some("localhost".to_owned()),
            _ => None,
        }),
    };
    let value =
        value.ok_or_else(|| Failure::new(format!("unrecognized configuration parameter \"{name}\"")))?;
    say(&format!("{value}\n"));
    Ok(0)
}
