//! What `initdb` takes on its command line.

use std::path::PathBuf;

use super::password::Source;
use super::{Auth, InitOptions};
use crate::control::data_directory;
use crate::control::getopt::{self, Opt, Parsed, flag, long_flag, long_value, short_value, value};
use crate::control::program::Failure;
use crate::control::user::drop_to;

const OPTIONS: &[Opt] = &[
    value('D', "pgdata"),
    value('U', "username"),
    value('A', "auth"),
    long_value("auth-local"),
    long_value("auth-host"),
    flag('W', "pwprompt"),
    long_value("pwfile"),
    value('E', "encoding"),
    long_value("locale"),
    long_flag("no-locale"),
    long_value("lc-collate"),
    long_value("lc-ctype"),
    long_value("lc-messages"),
    long_value("lc-monetary"),
    long_value("lc-numeric"),
    long_value("lc-time"),
    long_value("locale-provider"),
    long_value("builtin-locale"),
    long_value("icu-locale"),
    long_value("icu-rules"),
    flag('k', "data-checksums"),
    long_flag("no-data-checksums"),
    flag('g', "allow-group-access"),
    value('T', "text-search-config"),
    value('X', "waldir"),
    long_value("wal-segsize"),
    value('c', "set"),
    flag('d', "debug"),
    short_value('L', "input-directory"),
    flag('n', "no-clean"),
    flag('N', "no-sync"),
    long_flag("no-sync-data-files"),
    long_value("sync-method"),
    long_flag("no-instructions"),
    flag('s', "show"),
    flag('S', "sync-only"),
    flag('V', "version"),
    flag('?', "help"),
];

/// Methods that `pg_hba.conf` may name for the socket, and over TCP.
const LOCAL_METHODS: [&str; 5] = ["trust", "reject", "scram-sha-256", "password", "peer"];
const HOST_METHODS: [&str; 4] = ["trust", "reject", "scram-sha-256", "password"];

/// What is asked for.
#[derive(Debug)]
pub enum Request {
    Help,
    Version,
    SyncOnly(PathBuf),
    Init(Box<InitRequest>),
}

/// A new data directory.
#[derive(Debug)]
pub struct InitRequest {
    pub options: InitOptions,
    pub password_from: Option<Source>,
    pub instructions: bool,
    pub md5_asked: bool,
}

/// Reads a command line.
pub fn read(args: &[String], fallback_dir: Option<&str>) -> Result<Request, Failure> {
    match args.first().map(String::as_str) {
        Some("--help" | "-?") => return Ok(Request::Help),
        Some("--version" | "-V") => return Ok(Request::Version),
        _ => {}
    }
    // Of `tuskd init` alone: to initdb `--user` is the beginning of `--username`.
    let own = [long_value("user")];
    let own = if fallback_dir.is_some() { &own[..] } else { &[] };
    let table = [OPTIONS, own].concat();
    let parsed = getopt::parse(&table, false, args).map_err(Failure::getopt)?;
    if parsed.has("help") {
        return Ok(Request::Help);
    }
    if parsed.has("version") {
        return Ok(Request::Version);
    }
    let data_dir = data_dir(&parsed, fallback_dir)?;
    if parsed.has("sync-only") {
        return Ok(Request::SyncOnly(data_dir));
    }
    refuse_what_is_missing(&parsed)?;
    check_locale_and_encoding(&parsed)?;
    let password_from = password_source(&parsed)?;
    let (auth, md5_asked) = auth(&parsed)?;
    check_password(&auth, password_from.is_some())?;
    if let Some(name) = parsed.last("user") {
        drop_to(name, &data_directory::absolute(&data_dir))?;
    }
    let mut options = InitOptions::new(data_directory::absolute(&data_dir));
    options.auth = auth;
    if let Some(owner) = parsed.last("username") {
        options.owner = owner.to_owned();
    }
    check_owner(&options.owner)?;
    options.settings = settings(&parsed)?;
    options.sync = !parsed.has("no-sync");
    options.group_access = parsed.has("allow-group-access");
    options.clean = !parsed.has("no-clean");
    let instructions = !parsed.has("no-instructions");
    Ok(Request::Init(Box::new(InitRequest { options, password_from, instructions, md5_asked })))
}

fn data_dir(parsed: &Parsed, fallback: Option<&str>) -> Result<PathBuf, Failure> {
    let mut operands = parsed.operands.iter();
    let option = parsed.last("pgdata").or_else(|| operands.next().map(String::as_str));
    if let Some(extra) = operands.next() {
        let message = format!("too many command-line arguments (first is \"{extra}\")");
        return Err(Failure::usage(message));
    }
    data_directory::named(option, fallback).ok_or_else(|| {
        Failure::new("no data directory specified").with_hint(
            "You must identify the directory where the data for this database system will reside.  Do this with \
             either the invocation option -D or the environment variable PGDATA.",
        )
    })
}

/// Options whose meaning cannot be had here.
fn refuse_what_is_missing(parsed: &Parsed) -> Result<(), Failure> {
    for (id, why) in [
        ("waldir", "a log directory outside the data directory is not supported"),
        ("icu-locale", "ICU is not supported in this build"),
        ("icu-rules", "ICU is not supported in this build"),
        ("no-data-checksums", "data page checksums cannot be turned off"),
        ("show", "option -s is not supported"),
    ] {
        if parsed.has(id) {
            return Err(Failure::new(why));
        }
    }
    match parsed.last("wal-segsize") {
        None | Some("16") => {}
        Some(size) if size.parse().is_ok_and(|size: u32| size.is_power_of_two() && size <= 1024) => {
            return Err(Failure::new("WAL segments of another size than 16 MB are not supported"));
        }
        Some(_) => {
            return Err(Failure::new("argument of --wal-segsize must be a power of two between 1 and 1024"));
        }
    }
    match parsed.last("sync-method") {
        None | Some("fsync") => Ok(()),
        Some(other) => Err(Failure::new(format!("unrecognized sync method: {other}"))),
    }
}

fn check_locale_and_encoding(parsed: &Parsed) -> Result<(), Failure> {
    if let Some(encoding) = parsed.last("encoding") {
        let plain: String = encoding.chars().filter(char::is_ascii_alphanumeric).collect();
        if !plain.eq_ignore_ascii_case("utf8") && !plain.eq_ignore_ascii_case("unicode") {
            return Err(Failure::new(format!("encoding \"{encoding}\" is not supported"))
                .with_hint("The only encoding is UTF8."));
        }
    }
    let provider = parsed.last("locale-provider");
    if let Some(provider) = provider.filter(|name| !["libc", "builtin"].contains(name)) {
        let message = if provider == "icu" {
            "ICU is not supported in this build".to_owned()
        } else {
            format!("unrecognized locale provider: {provider}")
        };
        return Err(Failure::new(message));
    }
    let options = [
        "locale",
        "lc-collate",
        "lc-ctype",
        "lc-messages",
        "lc-monetary",
        "lc-numeric",
        "lc-time",
        "builtin-locale",
    ];
    for locale in options.iter().filter_map(|option| parsed.last(option)) {
        if locale != "C" && locale != "POSIX" {
            let message = format!("locale \"{locale}\" is not supported");
            return Err(Failure::new(message).with_hint("The only locale is C; leave the option out."));
        }
    }
    Ok(())
}

fn password_source(parsed: &Parsed) -> Result<Option<Source>, Failure> {
    match (parsed.has("pwprompt"), parsed.last("pwfile")) {
        (true, Some(_)) => {
            Err(Failure::new("password prompt and password file cannot be specified together"))
        }
        (true, None) => Ok(Some(Source::Prompt)),
        (false, Some(path)) => Ok(Some(Source::File(PathBuf::from(path)))),
        (false, None) => Ok(None),
    }
}

/// The methods, and whether md5 was among those asked for.
fn auth(parsed: &Parsed) -> Result<(Auth, bool), Failure> {
    let both = parsed.last("auth");
    let (local, host) = (parsed.last("auth-local").or(both), parsed.last("auth-host").or(both));
    if local.is_none() && host.is_none() {
        return Ok((Auth::Default, false));
    }
    let (local, host) = (local.unwrap_or("peer"), host.unwrap_or("scram-sha-256"));
    let md5_asked = local == "md5" || host == "md5";
    let local = match local {
        "md5" => "scram-sha-256",
        // As in PostgreSQL: over the socket the identity of the client is its user.
        "ident" if parsed.last("auth-local").is_none() => "peer",
        other => other,
    };
    let host = match host {
        "md5" => "scram-sha-256",
        // -A speaks of both, and there is no peer over TCP.
        "peer" | "ident" if parsed.last("auth-host").is_none() => "scram-sha-256",
        other => other,
    };
    check_method(local, &LOCAL_METHODS, "local")?;
    check_method(host, &HOST_METHODS, "host")?;
    Ok((Auth::Chosen { local: local.to_owned(), host: host.to_owned() }, md5_asked))
}

fn check_method(method: &str, known: &[&str], kind: &str) -> Result<(), Failure> {
    if known.contains(&method) {
        return Ok(());
    }
    Err(Failure::new(format!("invalid authentication method \"{method}\" for \"{kind}\" connections")))
}

/// Nobody could come in if every way asked for a password and there was none.
fn check_password(auth: &Auth, has_password: bool) -> Result<(), Failure> {
    let wants_password = |method: &str| matches!(method, "scram-sha-256" | "password");
    match auth {
        Auth::Chosen { local, host } if !has_password && wants_password(local) && wants_password(host) => {
            Err(Failure::new("must specify a password for the superuser to enable password authentication"))
        }
        _ => Ok(()),
    }
}

fn check_owner(owner: &str) -> Result<(), Failure> {
    if owner.starts_with("pg_") {
        return Err(Failure::new(format!(
            "superuser name \"{owner}\" is disallowed; role names cannot begin with \"pg_\""
        )));
    }
    let is_bad = |c: char| c == '"' || c.is_control();
    if owner.is_empty() || owner.len() > 63 || owner.contains(is_bad) {
        return Err(Failure::new(format!("superuser name \"{}\" is disallowed", owner.escape_debug())));
    }
    Ok(())
}

fn settings(parsed: &Parsed) -> Result<Vec<(String, String)>, Failure> {
    let mut settings = Vec::new();
    if let Some(name) = parsed.last("text-search-config") {
        settings.push(("default_text_search_config".to_owned(), format!("pg_catalog.{name}")));
    }
    for setting in parsed.all("set") {
        let (name, value) = setting
            .split_once('=')
            .ok_or_else(|| Failure::usage(format!("-c {setting} requires a value")))?;
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.' || c == '-';
        if name.is_empty() || !name.chars().all(is_name) || value.contains(['\n', '\r', '\0']) {
            return Err(Failure::usage(format!("invalid setting \"{}\"", setting.escape_debug())));
        }
        settings.push((name.replace('-', "_"), value.to_owned()));
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_words(words: &str) -> Result<Request, Failure> {
        let args: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
        read(&args, None)
    }

    fn init(words: &str) -> InitRequest {
        match read_words(words) {
            Ok(Request::Init(request)) => *request,
            other => panic!("{words}: {other:?}"),
        }
    }

    #[test]
    fn methods_are_turned_as_postgresql_does() {
        let chosen = |local: &str, host: &str| Auth::Chosen { local: local.into(), host: host.into() };
        for (words, expected) in [
            ("/d", Auth::Default),
            ("-D /d -A trust", chosen("trust", "trust")),
            ("-D /d -A peer", chosen("peer", "scram-sha-256")),
            ("-D /d -A ident", chosen("peer", "scram-sha-256")),
            ("-D /d --auth-local=trust", chosen("trust", "scram-sha-256")),
            ("-D /d -A trust --auth-host=reject", chosen("trust", "reject")),
            ("-D /d -A md5 --pwfile=x", chosen("scram-sha-256", "scram-sha-256")),
        ] {
            assert_eq!(init(words).options.auth, expected, "{words}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (words, problem) in [
            ("-D /d -A foo", "invalid authentication method \"foo\" for \"local\" connections"),
            ("-D /d --auth-host=peer", "invalid authentication method \"peer\" for \"host\" connections"),
            (
                "-D /d -A scram-sha-256",
                "must specify a password for the superuser to enable password authentication",
            ),
            ("-D /d -U pg_x", "superuser name \"pg_x\" is disallowed; role names cannot begin with \"pg_\""),
            ("-D /d -U \"", "superuser name \"\\\"\" is disallowed"),
            ("-D /d -E LATIN1", "encoding \"LATIN1\" is not supported"),
            ("-D /d --locale=de_DE.UTF-8", "locale \"de_DE.UTF-8\" is not supported"),
            ("-D /d --locale-provider=icu", "ICU is not supported in this build"),
            ("-D /d --no-data-checksums", "data page checksums cannot be turned off"),
            ("-D /d -W --pwfile=x", "password prompt and password file cannot be specified together"),
            ("-D /d a", "too many command-line arguments (first is \"a\")"),
            ("-D /d --wal-segsize=3", "argument of --wal-segsize must be a power of two between 1 and 1024"),
            ("-D /d -c port", "-c port requires a value"),
            ("-D /d --bogus", "unrecognized option '--bogus'"),
        ] {
            let is_operand_taken = words == "-D /d a";
            match read_words(words) {
                Err(failure) => assert_eq!(failure.message(), problem, "{words}"),
                Ok(_) if is_operand_taken => {}
                Ok(request) => panic!("{words}: {request:?}"),
            }
        }
    }

    #[test]
    fn harmless_options_are_taken() {
        let request = init(
            "/d -U me -E utf-8 --no-locale --lc-time=C -k -N -g -n -d --wal-segsize=16 -T german -c work-mem=1MB",
        );
        let options = request.options;
        assert_eq!((options.owner.as_str(), options.sync, options.clean), ("me", false, false));
        assert!(options.group_access && request.instructions);
        let expected = [("default_text_search_config", "pg_catalog.german"), ("work_mem", "1MB")];
        let settings: Vec<_> = options.settings.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(settings, expected);
    }
}
