//! Dead files: a source file that no Cargo target reaches is compiled by nobody, and rots.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::{File, Problem};

/// The source files of the workspace's Cargo targets, by their paths from `root`.
pub fn cargo_targets(root: &Path, metadata: &Value) -> Vec<String> {
    let packages = metadata["packages"].as_array().into_iter().flatten();
    packages
        .flat_map(|package| package["targets"].as_array().into_iter().flatten())
        .filter_map(|target| Path::new(target["src_path"].as_str()?).strip_prefix(root).ok())
        .map(|path| path.to_string_lossy().into_owned())
        .collect()
}

/// Reports every file that `mod` declarations do not lead to from one of the `targets`.
pub fn check(files: &[File], targets: &[String]) -> Vec<Problem> {
    let mut reached = BTreeSet::new();
    let mut waiting: Vec<(String, bool)> = targets.iter().map(|path| (path.clone(), true)).collect();
    while let Some((path, owns_folder)) = waiting.pop() {
        let Some(file) = files.iter().find(|file| file.path == path) else {
            continue;
        };
        if reached.insert(path) {
            waiting.extend(declared(file, owns_folder));
        }
    }
    files
        .iter()
        .filter(|file| !reached.contains(&file.path))
        .map(|file| format!("{}: no Cargo target reaches this file", file.path))
        .collect()
}

/// Every path at which a module that `file` declares may lie, and whether that file's own children lie beside
/// it.
fn declared(file: &File, owns_folder: bool) -> Vec<(String, bool)> {
    let (parent, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
    let mut inside = vec![parent];
    if !owns_folder {
        inside.push(name.trim_end_matches(".rs"));
    }
    // For each open brace, whether an inline module began with it.
    let mut braces = Vec::new();
    let mut found = Vec::new();
    let tokens = file.tokens();
    for (at, token) in tokens.iter().enumerate() {
        let next = |n: usize| tokens.get(at + n).map_or("", |token| token.text);
        match (token.text, next(2)) {
            ("mod", ";") => {
                let folder = inside.join("/");
                found.push((format!("{folder}/{}.rs", next(1)), false));
                found.push((format!("{folder}/{}/mod.rs", next(1)), true));
            }
            ("path", literal) if next(1) == "=" && literal.starts_with('"') => {
                found.push((format!("{parent}/{}", literal.trim_matches('"')), true));
            }
            ("{", _) => {
                let is_module = at >= 2 && tokens[at - 2].text == "mod";
                if is_module {
                    inside.push(tokens[at - 1].text);
                }
                braces.push(is_module);
            }
            ("}", _) if braces.pop() == Some(true) => {
                inside.pop();
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    fn dead(files: &[File]) -> Vec<Problem> {
        check(files, &["src/lib.rs".to_owned()])
    }

    #[test]
    fn declarations_are_followed_through_folders_inline_modules_and_paths() {
        let files = [
            file(
                "src/lib.rs",
                "mod os;\n#[path = \"other/x.rs\"]\nmod x;\nmod a { fn f() {} mod b; }\nmod sync;",
            ),
            file("src/os/mod.rs", "pub(crate) mod futex;"),
            file("src/os/futex.rs", ""),
            file("src/other/x.rs", ""),
            file("src/a/b.rs", ""),
            file("src/sync.rs", "mod real;"),
            file("src/sync/real.rs", ""),
        ];
        assert_eq!(dead(&files), [""; 0]);
    }

    #[test]
    fn files_nobody_declares_are_dead() {
        let files = [
            file("src/lib.rs", "// mod old;\nmod sync;"),
            file("src/sync.rs", ""),
            file("src/old.rs", "mod older;"),
            file("src/old/older.rs", ""),
        ];
        assert_eq!(
            dead(&files),
            [
                "src/old.rs: no Cargo target reaches this file",
                "src/old/older.rs: no Cargo target reaches this file",
            ]
        );
    }

    #[test]
    fn targets_come_from_cargo() {
        let metadata = serde_json::json!({
            "packages": [{ "targets": [{ "src_path": "/r/src/lib.rs" }, { "src_path": "/r/benches/a.rs" }] }]
        });
        assert_eq!(cargo_targets(Path::new("/r"), &metadata), ["src/lib.rs", "benches/a.rs"]);
    }
}
