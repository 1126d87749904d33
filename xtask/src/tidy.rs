//! `cargo xtask tidy`: rules of this code base that neither rustc nor clippy knows.
//!
//! It reads every `.rs` file under `src`, `shmem_layout`, `xtask`, `tests` and `benches`, and checks exactly
//! this:
//!
//! - *layers*: a file under `src/<layer>` names, in paths that begin with `crate::`, only its own layer and
//!   those below it; every file of `src` but `lib.rs` belongs to a layer; `shmem_layout` does not depend on
//!   `tuskd` (`tidy/layers.rs`);
//! - *unsafe homes*: the word `unsafe` as code, or an attribute that allows `unsafe_code`, occurs only in
//!   files listed in ARCHITECTURE.md; every listed file has one of the two; the module comment of each such
//!   file has a `# Safety` heading (`tidy/unsafe_homes.rs`);
//! - *dead files*: each file is reached from a Cargo target by `mod` declarations (`tidy/dead_files.rs`);
//! - *links*: in README.md, ARCHITECTURE.md and `src/*/README.md`, links that are no web addresses lead to
//!   something in the repository (`tidy/links.rs`);
//! - *words*: no `todo!`, `unimplemented!`, `thread_local!` or `static mut`; no `#[ignore]` without a reason;
//!   statics whose type names an atomic, a cell or a lock only in the files of a table that gives the reason
//!   (`tidy/words.rs`);
//! - *shape*: a file begins with a module comment, `//!`, and has at most 700 lines (`tidy/shape.rs`).
//!
//! Comments and string literals never count as code. A path through `super`, or through a macro, is not
//! followed.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::workspace;

mod dead_files;
mod layers;
mod lexer;
mod links;
mod shape;
mod unsafe_homes;
mod words;

const FOLDERS: [&str; 5] = ["src", "shmem_layout", "xtask", "tests", "benches"];

/// One file of the repository, by its path from the root.
struct File {
    path: String,
    text: String,
}

impl File {
    fn tokens(&self) -> Vec<lexer::Token<'_>> {
        lexer::tokens(&self.text)
    }
}

/// What is wrong, as `path:line: what` or `path: what`.
type Problem = String;

/// Runs all checks, prints every problem, and fails if there is one.
pub fn run() -> Result<()> {
    let root = workspace::root();
    let mut files = Vec::new();
    for folder in FOLDERS {
        collect(&root, &root.join(folder), "rs", &mut files)?;
    }
    let problems = check(&root, &files)?;
    for problem in &problems {
        println!("{problem}");
    }
    if !problems.is_empty() {
        bail!("tidy found {} problems", problems.len());
    }
    println!("tidy: {} files", files.len());
    Ok(())
}

fn check(root: &Path, files: &[File]) -> Result<Vec<Problem>> {
    let architecture = read_optional(root, "ARCHITECTURE.md");
    let layout_manifest =
        fs::read_to_string(root.join("shmem_layout/Cargo.toml")).context("shmem_layout/Cargo.toml")?;
    let documents = documents(root)?;
    let mut problems = layers::check(files);
    problems.extend(layers::check_layout_manifest(&layout_manifest));
    problems.extend(unsafe_homes::check(files, &architecture));
    problems.extend(dead_files::check(files, &dead_files::cargo_targets(root, &workspace::metadata()?)));
    problems.extend(links::check(&documents, |path| root.join(path).exists()));
    problems.extend(words::check(files));
    problems.extend(shape::check(files));
    Ok(problems)
}

/// The documents whose links are checked.
fn documents(root: &Path) -> Result<Vec<File>> {
    let mut documents = Vec::new();
    collect(root, &root.join("src"), "md", &mut documents)?;
    documents.retain(|file| file.path.ends_with("/README.md") && file.path.matches('/').count() == 2);
    for path in ["README.md", "ARCHITECTURE.md"] {
        documents.push(File { path: path.to_owned(), text: read_optional(root, path) });
    }
    Ok(documents)
}

/// A document that is not there has nothing in it; what it should have said is then reported as missing.
fn read_optional(root: &Path, path: &str) -> String {
    fs::read_to_string(root.join(path)).unwrap_or_default()
}

/// Adds the files below `folder` whose names end in `.{extension}`, in a stable order.
fn collect(root: &Path, folder: &Path, extension: &str, files: &mut Vec<File>) -> Result<()> {
    let mut entries: Vec<_> = fs::read_dir(folder)
        .with_context(|| format!("reading {}", folder.display()))?
        .collect::<Result<_, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            // A crate's own target folder, should somebody have built it alone.
            if entry.file_name() != "target" {
                collect(root, &path, extension, files)?;
            }
        } else if path.extension().is_some_and(|found| found == extension) {
            let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
            let path = path.strip_prefix(root)?.to_string_lossy().into_owned();
            files.push(File { path, text });
        }
    }
    Ok(())
}

#[cfg(test)]
fn file(path: &str, text: &str) -> File {
    File { path: path.to_owned(), text: text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collects_this_file_by_its_path_from_the_root() {
        let root = workspace::root();
        let mut files = Vec::new();
        collect(&root, &root.join("xtask"), "rs", &mut files).unwrap();
        assert!(files.iter().any(|file| file.path == "xtask/src/tidy.rs"));
    }
}
