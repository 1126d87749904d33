//! Command lines as PostgreSQL's programs take them: short options in clusters, long ones that may be cut short, operands
//! anywhere between them, and getopt's own words for what is wrong.
//!
//! A library would word its errors in its own way and exit with its own codes; scripts look at both.

/// One option that a program knows.
#[derive(Clone, Copy, Debug)]
pub struct Opt {
    /// What the program calls it.
    pub id: &'static str,
    short: Option<char>,
    long: Option<&'static str>,
    has_value: bool,
}

/// `-s` and `--long`, without a value. The long name is the id.
pub const fn flag(short: char, long: &'static str) -> Opt {
    Opt { id: long, short: Some(short), long: Some(long), has_value: false }
}

/// `-s VALUE` and `--long=VALUE`. The long name is the id.
pub const fn value(short: char, long: &'static str) -> Opt {
    Opt { id: long, short: Some(short), long: Some(long), has_value: true }
}

/// `--long`, without a value.
pub const fn long_flag(long: &'static str) -> Opt {
    Opt { id: long, short: None, long: Some(long), has_value: false }
}

/// `--long=VALUE`.
pub const fn long_value(long: &'static str) -> Opt {
    Opt { id: long, short: None, long: Some(long), has_value: true }
}

/// `-s`, without a value.
pub const fn short_flag(short: char, id: &'static str) -> Opt {
    Opt { id, short: Some(short), long: None, has_value: false }
}

/// `-s VALUE`.
pub const fn short_value(short: char, id: &'static str) -> Opt {
    Opt { id, short: Some(short), long: None, has_value: true }
}

/// Id of a long option that the table does not have, where any is taken; its value is `NAME=VALUE` or `NAME`.
pub const ANY_LONG: &str = "--";

/// A command line, taken apart.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Parsed {
    /// Options by id, in order; the value is empty for those that take none.
    pub options: Vec<(&'static str, String)>,
    /// What is no option.
    pub operands: Vec<String>,
}

impl Parsed {
    /// The value of the last option of this id.
    pub fn last(&self, id: &str) -> Option<&str> {
        self.options.iter().rev().find(|(found, _)| *found == id).map(|(_, value)| value.as_str())
    }

    /// Whether the option was given.
    pub fn has(&self, id: &str) -> bool {
        self.last(id).is_some()
    }

    /// The values of every option of this id.
    pub fn all<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a str> {
        self.options.iter().filter(move |(found, _)| *found == id).map(|(_, value)| value.as_str())
    }
}

/// Takes `args` apart by `table`. With `any_long`, long options outside the table are handed over as they are.
///
/// # Errors
/// What is wrong, in getopt's words, without the program's name.
pub fn parse(table: &[Opt], any_long: bool, args: &[String]) -> Result<Parsed, String> {
    let mut parsed = Parsed::default();
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        if arg == "--" {
            parsed.operands.extend(rest.by_ref().cloned());
        } else if let Some(body) = arg.strip_prefix("--") {
            long_option(table, any_long, body, &mut rest, &mut parsed)?;
        } else if let Some(cluster) = arg.strip_prefix('-').filter(|cluster| !cluster.is_empty()) {
            short_options(table, cluster, &mut rest, &mut parsed)?;
        } else {
            parsed.operands.push(arg.clone());
        }
    }
    Ok(parsed)
}

fn long_option<'a>(
    table: &[Opt],
    any_long: bool,
    body: &str,
    rest: &mut impl Iterator<Item = &'a String>,
    parsed: &mut Parsed,
) -> Result<(), String> {
    let (name, given) = match body.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (body, None),
    };
    let opt = match find_long(table, name, any_long) {
        Ok(opt) => opt,
        Err(_) if any_long => {
            parsed.options.push((ANY_LONG, body.to_owned()));
            return Ok(());
        }
        Err(problem) => return Err(problem),
    };
    let name = opt.long.unwrap_or(name);
    let value = match (opt.has_value, given) {
        (false, None) => String::new(),
        (false, Some(_)) => return Err(format!("option '--{name}' doesn't allow an argument")),
        (true, Some(value)) => value,
        (true, None) => {
            rest.next().cloned().ok_or_else(|| format!("option '--{name}' requires an argument"))?
        }
    };
    parsed.options.push((opt.id, value));
    Ok(())
}

/// The option of a name, or of an unambiguous beginning of one unless `exactly`.
fn find_long(table: &[Opt], name: &str, exactly: bool) -> Result<Opt, String> {
    if let Some(opt) = table.iter().find(|opt| opt.long == Some(name)) {
        return Ok(*opt);
    }
    let begins = |opt: &&Opt| !exactly && opt.long.is_some_and(|long| long.starts_with(name));
    let mut candidates = table.iter().filter(begins);
    match (candidates.next(), candidates.next()) {
        (Some(opt), None) => Ok(*opt),
        (None, _) => Err(format!("unrecognized option '--{name}'")),
        (Some(_), Some(_)) => {
            let all: Vec<_> =
                table.iter().filter(begins).map(|opt| format!("'--{}'", opt.long.unwrap_or(""))).collect();
            Err(format!("option '--{name}' is ambiguous; possibilities: {}", all.join(" ")))
        }
    }
}

fn short_options<'a>(
    table: &[Opt],
    cluster: &str,
    rest: &mut impl Iterator<Item = &'a String>,
    parsed: &mut Parsed,
) -> Result<(), String> {
    for (at, letter) in cluster.char_indices() {
        let opt = table.iter().find(|opt| opt.short == Some(letter));
        let opt = opt.ok_or_else(|| format!("invalid option -- '{letter}'"))?;
        if !opt.has_value {
            parsed.options.push((opt.id, String::new()));
            continue;
        }
        let attached = &cluster[at + letter.len_utf8()..];
        let value = if attached.is_empty() { rest.next().cloned() } else { Some(attached.to_owned()) };
        let value = value.ok_or_else(|| format!("option requires an argument -- '{letter}'"))?;
        parsed.options.push((opt.id, value));
        return Ok(());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[Opt] = &[
        value('D', "pgdata"),
        flag('s', "silent"),
        flag('W', "no-wait"),
        long_flag("no-clean"),
        short_value('c', "setting"),
        flag('V', "version"),
    ];

    fn parsed(args: &[&str], any_long: bool) -> Result<Parsed, String> {
        let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        parse(TABLE, any_long, &args)
    }

    #[test]
    fn options_and_operands_mix() {
        let found = parsed(&["start", "-sD", "dir", "--pgdata=x", "-cq=1", "--", "-s"], false).unwrap();
        let expected = [("silent", ""), ("pgdata", "dir"), ("pgdata", "x"), ("setting", "q=1")];
        let options: Vec<_> = found.options.iter().map(|(id, value)| (*id, value.as_str())).collect();
        assert_eq!(options, expected);
        assert_eq!(found.operands, ["start", "-s"]);
        assert_eq!(found.last("pgdata"), Some("x"));
        assert_eq!(found.all("pgdata").count(), 2);
        assert!(!found.has("version"));
    }

    #[test]
    fn long_names_may_be_cut_short() {
        assert!(parsed(&["--sil"], false).unwrap().has("silent"));
        assert_eq!(parsed(&["--pgd", "y"], false).unwrap().last("pgdata"), Some("y"));
    }

    #[test]
    fn any_long_option_is_handed_over() {
        let found = parsed(&["--work_mem=3", "--sil", "--silent"], true).unwrap();
        assert_eq!(found.all(ANY_LONG).collect::<Vec<_>>(), ["work_mem=3", "sil"]);
        assert!(found.has("silent"));
    }

    #[test]
    fn what_is_wrong_is_said_as_getopt_says_it() {
        for (args, problem) in [
            (&["--foo"][..], "unrecognized option '--foo'"),
            (&["-sZ"], "invalid option -- 'Z'"),
            (&["-D"], "option requires an argument -- 'D'"),
            (&["--pgdata"], "option '--pgdata' requires an argument"),
            (&["--silent=3"], "option '--silent' doesn't allow an argument"),
            (&["--no"], "option '--no' is ambiguous; possibilities: '--no-wait' '--no-clean'"),
            (&["-ü"], "invalid option -- 'ü'"),
        ] {
            assert_eq!(parsed(args, false), Err(problem.to_owned()));
        }
    }
}
