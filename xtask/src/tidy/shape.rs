//! Shape: what a reader may expect of every file before opening it.

use super::{File, Problem};

/// Longer files have two subjects, or soon will.
const MAX_LINES: usize = 700;

/// Reports files without a module comment and files that are too long.
pub fn check(files: &[File]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in files {
        if !file.text.starts_with("//!") {
            problems.push(format!("{}:1: no module comment (`//!`) at the top", file.path));
        }
        let lines = file.text.lines().count();
        if lines > MAX_LINES {
            problems.push(format!("{}: {lines} lines, more than {MAX_LINES}", file.path));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    #[test]
    fn a_commented_file_of_full_length_is_fine() {
        let text = "//! x\n".repeat(MAX_LINES);
        assert_eq!(check(&[file("src/a.rs", &text)]), [""; 0]);
    }

    #[test]
    fn long_files_and_bare_files_are_reported() {
        let text = "\n".repeat(MAX_LINES + 1);
        assert_eq!(
            check(&[file("src/a.rs", &text)]),
            ["src/a.rs:1: no module comment (`//!`) at the top", "src/a.rs: 701 lines, more than 700",]
        );
    }
}
