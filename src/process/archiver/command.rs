//! `archive_command`: the line for a file, and what its end means.

use crate::os::pidfd::ExitStatus;
use crate::report::{Report, ReportExt, Result, Severity, SqlState};

/// Exit codes above this one tell of a shell that found no command or was killed, not of a copy that failed.
const LAST_OF_COMMAND: i32 = 125;

/// The command for a file: `%p` is its path, `%f` its name, `%%` a percent sign.
///
/// # Errors
/// 22023 for another letter behind a percent sign, or none.
pub fn line(command: &str, path: &str, name: &str) -> Result<String> {
    let wrong = |detail: String| {
        let message = format!("invalid value for parameter \"archive_command\": \"{command}\"");
        Report::error(SqlState::INVALID_PARAMETER_VALUE, message).with_detail(detail)
    };
    let mut line = String::with_capacity(command.len() + 64);
    let mut characters = command.chars();
    while let Some(character) = characters.next() {
        if character != '%' {
            line.push(character);
            continue;
        }
        match characters.next() {
            Some('%') => line.push('%'),
            Some('p') => line.push_str(path),
            Some('f') => line.push_str(name),
            Some(other) => {
                return Err(wrong(format!("String contains unexpected placeholder \"%{other}\".")));
            }
            None => {
                let detail = "String ends unexpectedly after escape character \"%\".";
                return Err(wrong(detail.to_owned()));
            }
        }
    }
    Ok(line)
}

/// What is said of a command that failed; `None`: it did not. FATAL: the archiver ends by it, since the same would come of
/// every other file.
pub fn complaint(line: &str, status: ExitStatus) -> Option<Report> {
    let is_hopeless = match status {
        ExitStatus::Exited(0) => return None,
        ExitStatus::Exited(code) => code > LAST_OF_COMMAND,
        ExitStatus::Signaled { .. } => true,
    };
    let severity = if is_hopeless { Severity::Fatal } else { Severity::Log };
    let message = match status {
        ExitStatus::Exited(code) => format!("archive command failed with exit code {code}"),
        signaled @ ExitStatus::Signaled { .. } => format!("archive command {signaled}"),
    };
    let sqlstate = if is_hopeless { SqlState::INTERNAL_ERROR } else { SqlState::SUCCESSFUL_COMPLETION };
    let report = Report::new(severity, sqlstate, message);
    Some(report.with_detail(format!("The failed archive command was: {line}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_replaced() {
        for (command, expected) in [
            ("", Ok("")),
            ("cp %p /archive/%f", Ok("cp pg_wal/0001 /archive/0001")),
            ("100%% %f%%f", Ok("100% 0001%f")),
            ("cp %p %r", Err("String contains unexpected placeholder \"%r\".")),
            ("cp %", Err("String ends unexpectedly after escape character \"%\".")),
            ("cp %é", Err("String contains unexpected placeholder \"%é\".")),
        ] {
            let made = line(command, "pg_wal/0001", "0001");
            match (made, expected) {
                (Ok(line), Ok(expected)) => assert_eq!(line, expected),
                (Err(report), Err(detail)) => {
                    assert_eq!(report.detail.as_deref(), Some(detail));
                    let message = format!("invalid value for parameter \"archive_command\": \"{command}\"");
                    assert_eq!(report.message, message);
                }
                (made, _) => panic!("{command}: {made:?}"),
            }
        }
    }

    #[test]
    fn ends_are_worded_as_in_postgresql() {
        let killed = ExitStatus::Signaled { signal: 9, core_dumped: false };
        for (status, expected) in [
            (ExitStatus::Exited(0), None),
            (ExitStatus::Exited(1), Some((Severity::Log, "archive command failed with exit code 1"))),
            (ExitStatus::Exited(125), Some((Severity::Log, "archive command failed with exit code 125"))),
            (ExitStatus::Exited(126), Some((Severity::Fatal, "archive command failed with exit code 126"))),
            (ExitStatus::Exited(255), Some((Severity::Fatal, "archive command failed with exit code 255"))),
            (killed, Some((Severity::Fatal, "archive command was terminated by signal 9: Killed"))),
        ] {
            let report = complaint("cp a b", status);
            let told = report.as_ref().map(|report| (report.severity, report.message.as_str()));
            assert_eq!(told, expected);
            let detail = report.and_then(|report| report.detail);
            let expected = expected.map(|_| "The failed archive command was: cp a b");
            assert_eq!(detail.as_deref(), expected);
        }
    }
}
