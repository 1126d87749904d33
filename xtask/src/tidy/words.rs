//! Words that must not stand in the code, and statics that would hide state from the session it belongs to.

use super::lexer::{Token, follows};
use super::{File, Problem};

/// Token sequences that are wrong wherever they stand, and why.
const FORBIDDEN: [(&[&str], &str); 5] = [
    (&["todo", "!"], "unfinished code"),
    (&["unimplemented", "!"], "unfinished code"),
    (&["thread_local", "!"], "a session is a value that is handed down, not a thread"),
    (&["static", "mut"], "no access to it can be shown to be sound"),
    (&["#", "[", "ignore", "]"], "say why: #[ignore = \"reason\"]"),
];

/// Files that may hold statics with interior mutability, and why.
const MUTABLE_STATICS: [(&str, &str); 3] = [
    (
        "src/ipc/signals.rs",
        "signal handlers take no argument; they find the current process's slot through a pointer",
    ),
    ("src/os/signal.rs", "its tests' signal handler has no other place for what it saw"),
    ("tests/it/harness/seed.rs", "a test process runs one test, and that draws from one seed"),
];

/// Types, besides `Atomic…`, that can change behind a shared reference.
const INTERIOR_MUTABILITY: [&str; 12] = [
    "Cell",
    "RefCell",
    "UnsafeCell",
    "SyncUnsafeCell",
    "OnceCell",
    "LazyCell",
    "OnceLock",
    "LazyLock",
    "Once",
    "Mutex",
    "RwLock",
    "Condvar",
];

/// Reports forbidden words, and mutable statics outside the table.
pub fn check(files: &[File]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in files {
        let tokens = file.tokens();
        let may_mutate = MUTABLE_STATICS.iter().any(|(path, _)| *path == file.path);
        for at in 0..tokens.len() {
            let here = format!("{}:{}", file.path, tokens[at].line);
            for (words, why) in FORBIDDEN {
                if follows(&tokens, at, words) {
                    problems.push(format!("{here}: `{}`: {why}", words.concat()));
                }
            }
            if !may_mutate && let Some(name) = mutable_static(&tokens[at..]) {
                problems.push(format!(
                    "{here}: static `{name}` can change; if it must, give the reason in xtask/src/tidy/words.rs"
                ));
            }
        }
    }
    problems
}

/// The name of the static that `tokens` begins with, if its type has interior mutability.
fn mutable_static<'a>(tokens: &[Token<'a>]) -> Option<&'a str> {
    if !follows(tokens, 0, &["static"]) || !follows(tokens, 2, &[":"]) {
        return None;
    }
    // The semicolon of an array type ends the search early, but the element type stands before it.
    let mut of_type = tokens[3..].iter().take_while(|token| !matches!(token.text, "=" | ";"));
    of_type
        .any(|token| token.text.starts_with("Atomic") || INTERIOR_MUTABILITY.contains(&token.text))
        .then_some(tokens[1].text)
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    #[test]
    fn harmless_code_is_fine() {
        let text = "// todo!()\n#[ignore = \"slow\"]\nfn f(x: &'static mut u8) {}\nstatic NAMES: [&str; 1] = [\"thread_local!\"];";
        assert_eq!(check(&[file("src/a.rs", text)]), [""; 0]);
    }

    #[test]
    fn forbidden_words_are_reported_with_their_lines() {
        let text = "fn f() { todo!() }\n#[ignore]\nfn g() { unimplemented!(\"x\") }\nstatic mut X: u8 = 0;\nthread_local! {}";
        let problems = check(&[file("src/a.rs", text)]);
        let lines: Vec<_> = problems.iter().map(|problem| &problem[..10]).collect();
        assert_eq!(lines, ["src/a.rs:1", "src/a.rs:2", "src/a.rs:3", "src/a.rs:4", "src/a.rs:5"]);
    }

    #[test]
    fn a_mutable_static_needs_a_place_in_the_table() {
        let text = "static SLOT: AtomicPtr<u8> = AtomicPtr::new(null());";
        assert_eq!(check(&[file("src/ipc/signals.rs", text)]), [""; 0]);
        assert_eq!(check(&[file("src/ipc/latch.rs", text)]).len(), 1);
        let array = "pub static LOCKS: [std::sync::Mutex<u8>; 2] = x;";
        assert_eq!(check(&[file("tests/it/main.rs", array)]).len(), 1);
    }
}
