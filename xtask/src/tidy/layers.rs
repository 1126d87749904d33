//! Layering: dependencies between the modules of `src` point one way.

use super::lexer::{Token, follows};
use super::{File, Problem};

/// The layers, lowest first. Those of one row stand beside each other and may not use one another; each may
/// use everything in the rows above its own. `lib.rs`, the list of modules, is no layer.
const LAYERS: [&[&str]; 16] = [
    &["os"],
    &["sync"],
    &["report"],
    &["shmem"],
    &["ipc", "config", "log", "metrics"],
    &["auth"],
    &["wal", "storage"],
    &["txn"],
    &["access"],
    &["catalog"],
    &["sql"],
    &["protocol"],
    &["process"],
    &["postmaster", "demo"],
    &["control"],
    &["main"],
];

/// Reports every path `crate::<layer>` that does not point downward, and every file of `src` outside the
/// table.
pub fn check(files: &[File]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in files {
        let Some(layer) = layer_of(&file.path) else {
            continue;
        };
        let Some(rank) = rank(layer) else {
            problems.push(format!(
                "{}: `{layer}` is not in the table of layers in xtask/src/tidy/layers.rs",
                file.path
            ));
            continue;
        };
        for used in crate_paths(&file.tokens()) {
            if let Some(complaint) = complaint(layer, rank, used.text) {
                problems.push(format!("{}:{}: {complaint}", file.path, used.line));
            }
        }
    }
    problems
}

/// Reports a dependency of the layout crate on the server.
pub fn check_layout_manifest(manifest: &str) -> Vec<Problem> {
    let mut in_dependencies = false;
    let mut problems = Vec::new();
    for (number, line) in (1..).zip(manifest.lines()) {
        let line = line.split('#').next().unwrap_or("");
        if line.starts_with('[') {
            in_dependencies = line.contains("dependencies");
        }
        if in_dependencies && line.contains("tuskd") {
            problems.push(format!(
                "shmem_layout/Cargo.toml:{number}: shmem_layout lies below tuskd and must not depend on it"
            ));
        }
    }
    problems
}

fn complaint(layer: &str, rank_of_user: usize, used: &str) -> Option<String> {
    match rank(used) {
        _ if used == layer => None,
        Some(rank) if rank < rank_of_user => None,
        Some(rank) if rank == rank_of_user => Some(format!("`{layer}` and `{used}` stand beside each other")),
        Some(_) => Some(format!("`{layer}` lies below `{used}` and must not use it")),
        None => Some(format!("`crate::{used}` is no layer; name it by the path of its layer")),
    }
}

fn rank(layer: &str) -> Option<usize> {
    LAYERS.iter().position(|row| row.contains(&layer))
}

fn layer_of(path: &str) -> Option<&str> {
    let inner = path.strip_prefix("src/")?;
    let layer = match inner.split_once('/') {
        Some((folder, _)) => folder,
        None => inner.strip_suffix(".rs")?,
    };
    (layer != "lib").then_some(layer)
}

/// The first name behind each `crate::`; all of them behind `crate::{…}`.
fn crate_paths<'a>(tokens: &[Token<'a>]) -> Vec<Token<'a>> {
    let mut names = Vec::new();
    for at in 0..tokens.len() {
        if !follows(tokens, at, &["crate", "::"]) {
            continue;
        }
        if follows(tokens, at + 2, &["{"]) {
            names.extend(group(&tokens[at + 2..]));
        } else {
            names.extend(tokens.get(at + 2));
        }
    }
    names
}

/// The first name of each entry of the group whose brace `tokens` begins with.
fn group<'a>(tokens: &[Token<'a>]) -> Vec<Token<'a>> {
    let mut names = Vec::new();
    let mut depth = 0;
    let mut entry_begins = false;
    for token in tokens {
        match token.text {
            "{" => depth += 1,
            "}" => depth -= 1,
            "self" => {}
            _ if entry_begins && token.text != "," => names.push(*token),
            _ => {}
        }
        if depth == 0 {
            break;
        }
        entry_begins = depth == 1 && matches!(token.text, "{" | ",");
    }
    names
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    #[test]
    fn lower_layers_and_the_own_one_may_be_used() {
        let text =
            "use crate::os::futex;\nuse crate::{ipc::{latch, sql}, shmem};\nfn f() { crate::wal::x() }";
        assert_eq!(check(&[file("src/wal/insert.rs", text)]), [""; 0]);
    }

    #[test]
    fn higher_layers_neighbours_and_unknown_names_may_not() {
        let text = "use crate::{self, os, sql::parse};\nuse crate::storage;\ncrate::stop_point!(x);";
        assert_eq!(
            check(&[file("src/wal/mod.rs", text)]),
            [
                "src/wal/mod.rs:1: `wal` lies below `sql` and must not use it",
                "src/wal/mod.rs:2: `wal` and `storage` stand beside each other",
                "src/wal/mod.rs:3: `crate::stop_point` is no layer; name it by the path of its layer",
            ]
        );
    }

    #[test]
    fn every_file_of_src_belongs_to_a_layer() {
        let files = [
            file("src/sync.rs", "use crate::os;"),
            file("src/lib.rs", "pub use crate::sql;"),
            file("src/util.rs", ""),
        ];
        assert_eq!(
            check(&files),
            ["src/util.rs: `util` is not in the table of layers in xtask/src/tidy/layers.rs"]
        );
    }

    #[test]
    fn the_layout_crate_stands_alone() {
        let alone = "description = \"tuskd's\"\n[dependencies]\nlibc = \"1\" # not tuskd\n";
        assert_eq!(check_layout_manifest(alone), [""; 0]);
        assert_eq!(check_layout_manifest("[dev-dependencies]\ntuskd.workspace = true").len(), 1);
        assert_eq!(check_layout_manifest("[dependencies.tuskd]\npath = \"..\"").len(), 1);
    }
}
