//! Unsafe homes: unsafe code lives only where ARCHITECTURE.md says so, and each home explains its safety.

use super::lexer::{Token, follows};
use super::{File, Problem};

const BEGIN: &str = "<!-- unsafe-homes:begin -->";
const END: &str = "<!-- unsafe-homes:end -->";

/// Compares the files that have unsafe code, or allow it, with the list in `architecture`.
pub fn check(files: &[File], architecture: &str) -> Vec<Problem> {
    let Some(homes) = listed_homes(architecture) else {
        return vec![format!("ARCHITECTURE.md: no list between {BEGIN} and {END}")];
    };
    let mut problems = Vec::new();
    for file in files {
        let is_listed = homes.contains(&file.path.as_str());
        match (first_unsafe(&file.tokens()), is_listed) {
            (Some(token), false) => problems.push(format!(
                "{}:{}: unsafe code outside the files that ARCHITECTURE.md lists",
                file.path, token.line
            )),
            (Some(_), true) if !has_safety_heading(&file.text) => {
                problems.push(format!("{}: the module comment has no `# Safety` heading", file.path))
            }
            (None, true) => {
                problems.push(format!("ARCHITECTURE.md: {} has no unsafe code any more", file.path))
            }
            (Some(_), true) | (None, false) => {}
        }
    }
    for home in homes {
        if !files.iter().any(|file| file.path == home) {
            problems.push(format!("ARCHITECTURE.md: there is no {home}"));
        }
    }
    problems
}

/// The first backticked word of each bullet between the markers.
fn listed_homes(architecture: &str) -> Option<Vec<&str>> {
    let (_, list) = architecture.split_once(BEGIN)?;
    let (list, _) = list.split_once(END)?;
    let homes = list
        .lines()
        .filter_map(|line| line.strip_prefix("- ").or_else(|| line.strip_prefix("* "))?.split('`').nth(1));
    Some(homes.collect())
}

/// The first `unsafe`, or the first `unsafe_code` in an attribute that permits it.
fn first_unsafe<'a>(tokens: &[Token<'a>]) -> Option<Token<'a>> {
    let found = tokens.iter().enumerate().find(|(at, token)| {
        token.text == "unsafe" || (token.text == "unsafe_code" && is_permitted(&tokens[..*at]))
    });
    found.map(|(_, token)| *token)
}

/// Whether the lint list that `before` ends in belongs to `allow`, `expect` or `warn`.
fn is_permitted(before: &[Token<'_>]) -> bool {
    let opening = before.iter().rposition(|token| token.text == "(");
    opening
        .and_then(|at| at.checked_sub(1))
        .is_some_and(|at| ["allow", "expect", "warn"].iter().any(|level| follows(before, at, &[level])))
}

fn has_safety_heading(text: &str) -> bool {
    text.lines().map_while(|line| line.strip_prefix("//!")).any(|line| line.trim() == "# Safety")
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    const LIST: &str = "x\n<!-- unsafe-homes:begin -->\n- `src/os/mmap.rs`: maps memory, not `y`\n<!-- unsafe-homes:end -->\n- `z`\n";
    const HOME: &str = "//! Maps.\n//!\n//! # Safety\n#![allow(unsafe_code)]\n";

    #[test]
    fn a_listed_file_with_a_safety_heading_is_fine() {
        let files = [file("src/os/mmap.rs", HOME), file("src/lib.rs", "#![deny(unsafe_code)]\n// unsafe {")];
        assert_eq!(check(&files, LIST), [""; 0]);
    }

    #[test]
    fn the_heading_must_stand_in_the_module_comment() {
        let files = [file("src/os/mmap.rs", "//! Maps.\nunsafe impl X for Y {}\n/// # Safety\nfn f() {}")];
        assert_eq!(check(&files, LIST), ["src/os/mmap.rs: the module comment has no `# Safety` heading"]);
    }

    #[test]
    fn unlisted_homes_are_reported_tests_included() {
        let files = [
            file("src/os/mmap.rs", HOME),
            file("tests/it/a.rs", "\nfn f() { unsafe { g() } }"),
            file("src/b.rs", "#![allow(dead_code, unsafe_code)]"),
        ];
        assert_eq!(
            check(&files, LIST),
            [
                "tests/it/a.rs:2: unsafe code outside the files that ARCHITECTURE.md lists",
                "src/b.rs:1: unsafe code outside the files that ARCHITECTURE.md lists",
            ]
        );
    }

    #[test]
    fn stale_entries_are_reported() {
        let tame = [file("src/os/mmap.rs", "//! unsafe")];
        assert_eq!(check(&tame, LIST), ["ARCHITECTURE.md: src/os/mmap.rs has no unsafe code any more"]);
        assert_eq!(check(&[], LIST), ["ARCHITECTURE.md: there is no src/os/mmap.rs"]);
        assert_eq!(check(&[], "no list").len(), 1);
    }
}
