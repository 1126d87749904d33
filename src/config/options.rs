//! Settings on command lines: the server's own, and the `options` of a client's startup packet.

use crate::report::{Report, ReportExt, Result, SqlState};

/// `name=value`, as behind `-c` and `--`; in the name `-` stands for `_`. `option` is how it was written, for the
/// complaint that it has no value.
pub fn parse_assignment(option: &str, text: &str) -> Result<(String, String)> {
    match text.split_once('=') {
        Some((name, value)) => Ok((name.replace('-', "_"), value.to_owned())),
        None => Err(Report::error(SqlState::SYNTAX_ERROR, format!("{option}{text} requires a value"))),
    }
}

/// Splits options at white space, which a backslash keeps, as it does itself.
pub fn split_options(text: &str) -> Vec<String> {
    let mut options = Vec::new();
    let mut option: Option<String> = None;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        if c.is_ascii_whitespace() {
            options.extend(option.take());
            continue;
        }
        let c = if c == '\\' { characters.next() } else { Some(c) };
        option.get_or_insert_default().extend(c);
    }
    options.extend(option);
    options
}

/// Switches of a server process that stand for settings: letter, setting, and its value if it takes none.
const SWITCHES: [(char, &str, Option<&str>); 10] = [
    ('B', "shared_buffers", None),
    ('e', "DateStyle", Some("euro")),
    ('F', "fsync", Some("false")),
    ('h', "listen_addresses", None),
    ('k', "unix_socket_directories", None),
    ('l', "ssl", Some("true")),
    ('N', "max_connections", None),
    ('O', "allow_system_table_mods", Some("true")),
    ('p', "port", None),
    ('S', "work_mem", None),
];

/// The settings that a startup packet's `options` ask for, in order.
pub fn startup_options(text: &str) -> Result<Vec<(String, String)>> {
    let options = split_options(text);
    let mut settings = Vec::new();
    let mut rest = options.iter();
    while let Some(option) = rest.next() {
        let invalid = || {
            Report::fatal(
                SqlState::SYNTAX_ERROR,
                format!("invalid command-line argument for server process: {option}"),
            )
            .with_hint("Try \"tuskd --help\" for more information.")
        };
        if let Some(assignment) = option.strip_prefix("--").filter(|assignment| !assignment.is_empty()) {
            settings.push(parse_assignment("--", assignment)?);
            continue;
        }
        let mut letters = option.strip_prefix('-').ok_or_else(invalid)?.chars();
        let letter = letters.next().ok_or_else(invalid)?;
        let attached = letters.as_str();
        let known = SWITCHES.iter().find(|(known, _, _)| *known == letter);
        match known {
            Some((_, name, Some(value))) if attached.is_empty() => {
                settings.push(((*name).to_owned(), (*value).to_owned()));
                continue;
            }
            Some((_, _, Some(_))) => return Err(invalid()),
            None if letter != 'c' => return Err(invalid()),
            _ => {}
        }
        let argument = match attached {
            "" => rest.next().ok_or_else(invalid)?,
            attached => attached,
        };
        settings.push(match known {
            None => parse_assignment("-c ", argument)?,
            Some((_, name, _)) => ((*name).to_owned(), argument.to_owned()),
        });
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_split_at_white_space() {
        let cases: [(&str, &[&str]); 6] = [
            ("", &[]),
            ("  -c  a=b ", &["-c", "a=b"]),
            ("-c a=b\\ c", &["-c", "a=b c"]),
            ("a\\\\b", &["a\\b"]),
            ("a\\", &["a"]),
            ("\\ ", &[" "]),
        ];
        for (text, expected) in cases {
            assert_eq!(split_options(text), expected, "{text}");
        }
    }

    #[test]
    fn startup_options_name_settings() {
        type Expected = std::result::Result<&'static [(&'static str, &'static str)], &'static str>;
        let cases: [(&str, Expected); 14] = [
            ("", Ok(&[])),
            ("-c work_mem=1MB", Ok(&[("work_mem", "1MB")])),
            ("-cwork-mem=1MB --a.b=c=d", Ok(&[("work_mem", "1MB"), ("a.b", "c=d")])),
            ("-c application_name=a\\ b", Ok(&[("application_name", "a b")])),
            ("-e -S 300", Ok(&[("DateStyle", "euro"), ("work_mem", "300")])),
            ("-c x=", Ok(&[("x", "")])),
            ("-c", Err("invalid command-line argument for server process: -c")),
            ("-c work_mem", Err("-c work_mem requires a value")),
            ("--work_mem", Err("--work_mem requires a value")),
            ("-Z", Err("invalid command-line argument for server process: -Z")),
            ("foo", Err("invalid command-line argument for server process: foo")),
            ("-", Err("invalid command-line argument for server process: -")),
            ("--", Err("invalid command-line argument for server process: --")),
            ("-ex", Err("invalid command-line argument for server process: -ex")),
        ];
        for (text, expected) in cases {
            let expected = expected
                .map(|pairs| {
                    pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect::<Vec<_>>()
                })
                .map_err(str::to_owned);
            assert_eq!(startup_options(text).map_err(|report| report.message), expected, "{text}");
        }
    }
}
