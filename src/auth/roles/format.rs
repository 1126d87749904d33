//! The file's text.
//!
//! ```text
//! tuskd roles 1
//! mock_nonce q83v…=
//! next_oid 16385
//! role "alice" 16384 inherit login limit=-1 password="SCRAM-SHA-256$…"
//! member 3374 3373
//! database "postgres" 5 connect limit=-1
//! end 4
//! ```
//!
//! Names and passwords are quoted, with backslashes before quotes, backslashes and (as `\n`) line ends. The last line
//! counts those between it and the first, so that a cut file is noticed.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::auth::base64;
use crate::auth::databases::Database;
use crate::auth::lines::{errno_text, file_sqlstate};
use crate::report::{Report, ReportExt, Result, SqlState};

use super::{Role, RolesFile};

const FIRST_LINE: &str = "tuskd roles 1";

pub(super) fn read(path: &Path) -> Result<RolesFile> {
    let text = fs::read(path).map_err(|error| failed("read", path, &error))?;
    let parsed = match std::str::from_utf8(&text) {
        Ok(text) => parse(text),
        Err(_) => Err((1, "it is not UTF-8".to_owned())),
    };
    parsed.map_err(|(line, why)| {
        let path = path.display();
        Report::error(SqlState::CONFIG_FILE_ERROR, format!("invalid role file \"{path}\": {why}"))
            .with_context(format!("line {line} of file \"{path}\""))
    })
}

pub(super) fn write(roles: &RolesFile, path: &Path) -> Result<()> {
    let temporary = path.with_extension("tmp");
    replace(&temporary, path, print(roles).as_bytes()).map_err(|error| failed("write", path, &error))
}

fn replace(temporary: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(temporary, path)?;
    // The name, too, must survive a crash.
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

fn failed(what: &str, path: &Path, error: &io::Error) -> Box<Report> {
    let message = format!("could not {what} file \"{}\": {}", path.display(), errno_text(error));
    Report::error(file_sqlstate(error), message)
}

fn print(roles: &RolesFile) -> String {
    let mut lines = vec![
        format!("mock_nonce {}", base64::encode(&roles.mock_nonce)),
        format!("next_oid {}", roles.next_oid),
    ];
    lines.extend(roles.roles.iter().map(print_role));
    lines.extend(roles.memberships.iter().map(|(group, member)| format!("member {group} {member}")));
    lines.extend(roles.databases.iter().map(print_database));
    format!("{FIRST_LINE}\n{}\nend {}\n", lines.join("\n"), lines.len())
}

/// The attributes that are there or not, by their words in the file.
fn flags(role: &mut Role) -> [(&'static str, &mut bool); 7] {
    [
        ("superuser", &mut role.superuser),
        ("inherit", &mut role.inherit),
        ("createrole", &mut role.create_role),
        ("createdb", &mut role.create_db),
        ("login", &mut role.login),
        ("replication", &mut role.replication),
        ("bypassrls", &mut role.bypass_rls),
    ]
}

fn print_role(role: &Role) -> String {
    let mut line = format!("role {} {}", quote(&role.name), role.oid);
    for (word, is_set) in flags(&mut role.clone()) {
        if *is_set {
            line = line + " " + word;
        }
    }
    // Writing to a string does not fail.
    let _ = write!(line, " limit={}", role.connection_limit);
    if let Some(end) = role.valid_until {
        let _ = write!(line, " valid_until_us={end}");
    }
    if let Some(password) = &role.password {
        let _ = write!(line, " password={}", quote(password));
    }
    line
}

fn print_database(database: &Database) -> String {
    let mut line = format!("database {} {}", quote(&database.name), database.oid);
    for (word, is_set) in [("template", database.is_template), ("connect", database.allows_connections)] {
        if is_set {
            line = line + " " + word;
        }
    }
    format!("{line} limit={}", database.connection_limit)
}

fn parse_database(text: &str) -> std::result::Result<Database, String> {
    let (name, rest) = unquote(text)?;
    let mut rest = rest.strip_prefix(' ').ok_or("expected a number behind the name")?;
    let oid = number(next_word(&mut rest))?;
    let mut database = Database {
        oid,
        name: name.into(),
        is_template: false,
        allows_connections: false,
        connection_limit: -1,
    };
    while !rest.is_empty() {
        match next_word(&mut rest) {
            "template" => database.is_template = true,
            "connect" => database.allows_connections = true,
            word => match word.strip_prefix("limit=") {
                Some(limit) => database.connection_limit = number(limit)?,
                None => return Err(format!("unknown attribute \"{word}\"")),
            },
        }
    }
    Ok(database)
}

fn quote(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{escaped}\"")
}

/// Which line is wrong, and why.
type Wrong = (usize, String);

fn parse(text: &str) -> std::result::Result<RolesFile, Wrong> {
    let lines: Vec<&str> = text.lines().collect();
    let [FIRST_LINE, inner @ .., last] = &lines[..] else {
        return Err((1, format!("expected \"{FIRST_LINE}\" as its first line")));
    };
    if *last != format!("end {}", inner.len()) || !text.ends_with('\n') {
        return Err((lines.len(), "it is cut off".to_owned()));
    }
    let mut file = Parts::default();
    for (number, line) in (2..).zip(inner) {
        file.take(line).map_err(|why| (number, why))?;
    }
    file.finish().map_err(|why| (lines.len(), why))
}

#[derive(Default)]
struct Parts {
    mock_nonce: Option<[u8; 32]>,
    next_oid: Option<u32>,
    roles: Vec<Role>,
    memberships: BTreeSet<(u32, u32)>,
    databases: Vec<Database>,
}

impl Parts {
    fn take(&mut self, line: &str) -> std::result::Result<(), String> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "mock_nonce" => {
                let nonce = base64::decode(rest.as_bytes()).and_then(|bytes| bytes.try_into().ok());
                self.mock_nonce = Some(nonce.ok_or("bad mock_nonce")?);
            }
            "next_oid" => self.next_oid = Some(number(rest)?),
            "role" => {
                let role = parse_role(rest)?;
                if self.roles.iter().any(|other| other.oid == role.oid || other.name == role.name) {
                    return Err(format!("second role {} \"{}\"", role.oid, role.name));
                }
                self.roles.push(role);
            }
            "member" => {
                let (group, member) = rest.split_once(' ').ok_or("expected two numbers")?;
                self.memberships.insert((number(group)?, number(member)?));
            }
            "database" => self.databases.push(parse_database(rest)?),
            _ => return Err(format!("unknown word \"{word}\"")),
        }
        Ok(())
    }

    fn finish(mut self) -> std::result::Result<RolesFile, String> {
        self.roles.sort_by_key(|role| role.oid);
        Ok(RolesFile {
            mock_nonce: self.mock_nonce.ok_or("no mock_nonce")?,
            next_oid: self.next_oid.ok_or("no next_oid")?,
            roles: self.roles,
            memberships: self.memberships,
            databases: self.databases,
        })
    }
}

fn parse_role(text: &str) -> std::result::Result<Role, String> {
    let (name, rest) = unquote(text)?;
    let mut rest = rest.strip_prefix(' ').ok_or("expected a number behind the name")?;
    let mut role = Role { inherit: false, ..Role::new(number(next_word(&mut rest))?, &name) };
    while !rest.is_empty() {
        if let Some(quoted) = rest.strip_prefix("password=") {
            let (password, more) = unquote(quoted)?;
            role.password = Some(password);
            rest = more.strip_prefix(' ').unwrap_or(more);
            continue;
        }
        let word = next_word(&mut rest);
        match word.split_once('=') {
            Some(("limit", limit)) => role.connection_limit = number(limit)?,
            Some(("valid_until_us", end)) => role.valid_until = Some(number(end)?),
            _ => match flags(&mut role).into_iter().find(|(name, _)| *name == word) {
                Some((_, flag)) => *flag = true,
                None => return Err(format!("unknown attribute \"{word}\"")),
            },
        }
    }
    Ok(role)
}

fn next_word<'a>(rest: &mut &'a str) -> &'a str {
    let (word, more) = rest.split_once(' ').unwrap_or((rest, ""));
    *rest = more;
    word
}

fn number<T: std::str::FromStr>(text: &str) -> std::result::Result<T, String> {
    text.parse().map_err(|_| format!("bad number \"{text}\""))
}

/// The quoted text that `text` begins with, and what follows it.
fn unquote(text: &str) -> std::result::Result<(String, &str), String> {
    let mut rest = text.strip_prefix('"').ok_or("expected a quote")?.chars();
    let mut plain = String::new();
    loop {
        match rest.next().ok_or("missing closing quote")? {
            '"' => return Ok((plain, rest.as_str())),
            '\\' => match rest.next() {
                Some('n') => plain.push('\n'),
                Some(c @ ('"' | '\\')) => plain.push(c),
                _ => return Err("unknown escape".to_owned()),
            },
            c => plain.push(c),
        }
    }
}
