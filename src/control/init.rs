//! `tuskd init`, `initdb`, `pg_ctl init`, and the first step of `tuskd run` in an empty directory: a new data directory.
//!
//! `PG_VERSION` is written last, so that a directory whose making was cut short by a power failure is never taken for a
//! data directory. What fails or is interrupted before that is taken away again.

mod arguments;
mod layout;
mod password;
mod texts;

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::data_directory::{self, State, reason};
use super::program::{Failure, Outcome, Program, say};
use crate::auth::roles::RolesFile;
use crate::os::credentials;

/// What a new data directory is to be like.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InitOptions {
    /// Where.
    pub data_dir: PathBuf,
    /// The first superuser; also the one who may come in over the socket as its namesake of the operating system.
    pub owner: String,
    /// Its password, if it has one.
    pub password: Option<String>,
    /// Who may connect how.
    pub auth: Auth,
    /// Settings to be written into `postgresql.conf`.
    pub settings: Vec<(String, String)>,
    /// Whether everything is on disk before this succeeds.
    pub sync: bool,
    /// Whether the directory's group may read it.
    pub group_access: bool,
    /// Whether a failed attempt is taken away.
    pub clean: bool,
}

/// The methods of `pg_hba.conf`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Auth {
    /// The owner by `peer` on the socket; everybody else, and everybody elsewhere, by password.
    Default,
    /// As asked for: on the socket, and over TCP from this machine.
    Chosen {
        /// On the socket.
        local: String,
        /// Over TCP from this machine.
        host: String,
    },
}

impl Auth {
    /// Whether anybody can pretend to be anybody.
    pub fn has_trust(&self) -> bool {
        matches!(self, Self::Chosen { local, host } if local == "trust" || host == "trust")
    }
}

impl InitOptions {
    /// The defaults, for the effective user.
    pub fn new(data_dir: PathBuf) -> Self {
        Self {
            data_dir,
            owner: credentials::effective_user_name(),
            password: None,
            auth: Auth::Default,
            settings: Vec::new(),
            sync: true,
            group_access: false,
            clean: true,
        }
    }
}

/// The command: reads `args`, makes the directory, says what it does and what comes next.
pub fn main(program: &Program, args: &[String], fallback_dir: Option<&str>) -> Outcome {
    match arguments::read(args, fallback_dir)? {
        arguments::Request::Help => {
            say(&super::help::init(program));
            Ok(0)
        }
        arguments::Request::Version => {
            say(&super::help::version(program.name));
            Ok(0)
        }
        arguments::Request::SyncOnly(data_dir) => {
            let shown = data_dir.display().to_string();
            fs::read_dir(&data_dir).map_err(|error| {
                Failure::new(format!("could not access directory \"{shown}\": {}", reason(&error)))
            })?;
            say("syncing data to disk ... ");
            layout::sync_all(&data_dir)?;
            say("ok\n");
            Ok(0)
        }
        arguments::Request::Init(request) => init(program, *request),
    }
}

fn init(program: &Program, request: arguments::InitRequest) -> Outcome {
    let arguments::InitRequest { mut options, password_from, instructions, md5_asked } = request;
    options.password = match password_from {
        Some(source) => Some(password::read(&source)?),
        None => None,
    };
    if md5_asked {
        program.warn("method \"md5\" is written as \"scram-sha-256\": md5 passwords are not supported");
    }
    if credentials::effective_uid() == 0 {
        program.warn("running as root: the data directory will be root's, and so must be its server");
    }
    say(&texts::introduction(&options.owner));
    create(program, &options)?;
    if !options.sync {
        say("\nSync to disk skipped.\n\
             The data directory might become corrupt if the operating system crashes.\n");
    }
    if options.auth.has_trust() {
        program.warn("enabling \"trust\" authentication for local connections");
        super::program::complain(&format!(
            "{}: hint: You can change this by editing pg_hba.conf or using the option -A, or --auth-local and \
             --auth-host, the next time you run {}.\n",
            program.name, program.command
        ));
    }
    if instructions {
        say(&texts::success(&start_command(program, &options.data_dir)));
    }
    Ok(0)
}

/// What starts a server in the new directory, by the same family of names.
fn start_command(program: &Program, data_dir: &Path) -> String {
    let data_dir = shell_word(&data_dir.display().to_string());
    let folder = Path::new(&program.argv0).parent().filter(|folder| !folder.as_os_str().is_empty());
    let sibling = |name: &str| match folder {
        Some(folder) => shell_word(&folder.join(name).display().to_string()),
        None => name.to_owned(),
    };
    if program.name == "initdb" {
        format!("{} -D {data_dir} -l logfile start", sibling("pg_ctl"))
    } else {
        format!("{} start -D {data_dir} -l logfile", shell_word(&program.argv0))
    }
}

/// A word as a shell takes it.
pub fn shell_word(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,:@%=".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// Makes a data directory, saying each step.
///
/// # Errors
/// If there is something in the directory already, or a step fails or is interrupted; what was made is then gone again,
/// unless `clean` is off.
pub fn create(program: &Program, options: &InitOptions) -> Result<(), Failure> {
    let data_dir = &options.data_dir;
    let shown = data_dir.display();
    let state = data_directory::state(data_dir).map_err(|error| {
        Failure::new(format!("could not access directory \"{shown}\": {}", reason(&error)))
    })?;
    if let State::Filled(names) = &state {
        return Err(not_empty(program, data_dir, names));
    }
    let interruption = layout::Interruption::hold_off();
    let made = layout::make(options, state == State::Absent, &interruption);
    if let Err(failure) = made {
        say("\n");
        if !options.clean {
            super::program::complain(&format!(
                "{}: data directory \"{shown}\" not removed at user's request\n",
                program.name
            ));
        } else {
            layout::take_away(program, data_dir, state == State::Absent);
        }
        return Err(failure);
    }
    Ok(())
}

fn not_empty(program: &Program, data_dir: &Path, names: &[String]) -> Failure {
    let shown = data_dir.display();
    let failure = Failure::new(format!("directory \"{shown}\" exists but is not empty"));
    let mount_point_hint = "Using a mount point directly as the data directory is not recommended.\n\
                            Create a subdirectory under the mount point.";
    if names.iter().any(|name| name == "lost+found") {
        let detail = "It contains a lost+found directory, perhaps due to it being a mount point.";
        return failure.with_detail(detail).with_hint(mount_point_hint);
    }
    if names.iter().all(|name| name.starts_with('.')) {
        let detail = "It contains a dot-prefixed/invisible file, perhaps due to it being a mount point.";
        return failure.with_detail(detail).with_hint(mount_point_hint);
    }
    failure.with_hint(format!(
        "If you want to create a new database system, either remove or empty the directory \"{shown}\" or run {} \
         with an argument other than \"{shown}\".",
        program.command
    ))
}

/// The text of a new `postgresql.conf`: the one place that knows, until the configuration module's sample takes it over.
pub fn config_file_text(settings: &[(String, String)]) -> String {
    texts::config(settings)
}

/// Writes the file of roles: the owner as superuser, with a password if it has one.
///
/// # Errors
/// If the name may not be a role's, or the file can't be written.
pub fn write_roles(data_dir: &Path, owner: &str, password: Option<&str>, _mode: u32) -> Result<(), Failure> {
    let failed = |report: Box<crate::report::Report>| Failure::new(report.message);
    RolesFile::new(owner, password).and_then(|roles| roles.write(data_dir)).map_err(failed)
}

/// Writes a file that is not there yet.
fn write_file(path: &Path, text: &str, mode: u32) -> Result<(), Failure> {
    let mut options = fs::OpenOptions::new();
    let file = options.write(true).create_new(true).mode(mode).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| {
        Failure::new(format!("could not write file \"{}\": {}", path.display(), reason(&error)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::program::Style;

    #[test]
    fn words_are_quoted_where_a_shell_would_split_them() {
        for (word, quoted) in
            [("/a/b-c", "/a/b-c"), ("a b", "'a b'"), ("it's", "'it'\\''s'"), ("", "''"), ("$x", "'$x'")]
        {
            assert_eq!(shell_word(word), quoted);
        }
    }

    #[test]
    fn what_starts_the_server_is_called_as_we_were() {
        let data_dir = Path::new("/d");
        let initdb = Program::new("/bin/initdb", "initdb", "initdb", Style::Tagged);
        assert_eq!(start_command(&initdb, data_dir), "/bin/pg_ctl -D /d -l logfile start");
        let initdb = Program::new("initdb", "initdb", "initdb", Style::Tagged);
        assert_eq!(start_command(&initdb, data_dir), "pg_ctl -D /d -l logfile start");
        let tuskd = Program::new("/bin/tuskd", "tuskd", "tuskd init", Style::Tagged);
        assert_eq!(start_command(&tuskd, data_dir), "/bin/tuskd start -D /d -l logfile");
    }

    #[test]
    fn a_password_never_lies_there_in_clear() {
        let failure = write_roles(Path::new("/nowhere"), "o", Some("secret"), 0o600).unwrap_err();
        assert!(!failure.message().contains("secret"));
    }
}
