//! Tests of files and of those they include.

use std::path::PathBuf;

use super::*;

/// A folder of its own, gone at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let path = std::env::temp_dir().join(format!("tuskd-config-file-{}-{name}", std::process::id()));
        std::fs::create_dir_all(path.join("conf.d")).unwrap();
        for (name, text) in files {
            std::fs::write(path.join(name), text).unwrap();
        }
        Self(path)
    }

    fn read(&self, name: &str) -> Parsed {
        let mut parsed = Parsed::default();
        parsed.read(&self.0.join(name), Missing::Error);
        parsed
    }

    /// Messages, without the folder's path.
    fn messages(&self, parsed: &Parsed) -> Vec<String> {
        let folder = format!("{}/", self.0.display());
        parsed.reports.iter().map(|report| report.message.replace(&folder, "")).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn pairs(parsed: &Parsed) -> Vec<(&str, &str)> {
    parsed.items.iter().filter_map(|item| item.name.as_deref().zip(item.value.as_deref())).collect()
}

#[test]
fn includes_are_read_in_place() {
    let folder = Folder::new(
        "includes",
        &[
            (
                "a.conf",
                "x = 1\r\ninclude 'b.conf'\ninclude_dir = 'conf.d'\nINCLUDE_IF_EXISTS 'nosuch'\nx = 9",
            ),
            ("b.conf", "y = 2\n"),
            ("conf.d/2.conf", "two = 2"),
            ("conf.d/1.conf", "one = 1\n"),
            ("conf.d/.hidden.conf", "hidden = 1\n"),
            ("conf.d/3.txt", "three = 1\n"),
        ],
    );
    let parsed = folder.read("a.conf");
    assert_eq!(pairs(&parsed), [("x", "1"), ("y", "2"), ("one", "1"), ("two", "2"), ("x", "9")]);
    assert_eq!(parsed.broken, None);
    assert_eq!(folder.messages(&parsed), ["skipping missing configuration file \"nosuch\""]);
    assert_eq!(parsed.items[4].line, 5);
    assert!(parsed.items[1].file.ends_with("b.conf"));
}

#[test]
fn errors_name_file_and_line_and_all_are_told() {
    let folder = Folder::new(
        "errors",
        &[
            (
                "a.conf",
                "x =\ninclude 'b.conf'\ninclude 'nosuch'\ninclude_dir 'none'\ninclude ''\ninclude_dir ''\n",
            ),
            ("b.conf", "z = 1\ny = = 2\ninclude 'b.conf'\n"),
            ("deep.conf", "include 'peed.conf'\n"),
            ("peed.conf", "include 'deep.conf'\n"),
            ("many.conf", &"x = = 1\n".repeat(150)),
        ],
    );
    let parsed = folder.read("a.conf");
    assert!(parsed.broken.as_deref().is_some_and(|file| file.ends_with("/a.conf")));
    assert_eq!(
        folder.messages(&parsed),
        [
            "syntax error in file \"a.conf\" line 1, near end of line",
            "syntax error in file \"b.conf\" line 2, near token \"=\"",
            "configuration file recursion in \"b.conf\"",
            "could not open configuration file \"nosuch\": No such file or directory",
            "could not open configuration directory \"none\": No such file or directory",
            "empty configuration file name: \"\"",
            "empty configuration directory name: \"\"",
        ]
    );
    let errors: Vec<_> = parsed.items.iter().filter_map(|item| item.error.as_deref()).collect();
    assert_eq!(errors[..3], ["syntax error", "syntax error", "configuration file recursion detected"]);
    assert_eq!(pairs(&parsed), [("z", "1")]);

    let deep = folder.messages(&folder.read("deep.conf"));
    assert_eq!(deep, ["could not open configuration file \"peed.conf\": maximum nesting depth exceeded"]);

    let many = folder.messages(&folder.read("many.conf"));
    assert_eq!(many.len(), 101);
    assert_eq!(many[100], "too many syntax errors found, abandoning file \"many.conf\"");
}
