//! Links: what our documents point to in this repository is there.

use super::{File, Problem};

/// Reports every link in `documents` that is no web address and for which `exists` denies the path from the
/// root.
pub fn check(documents: &[File], exists: impl Fn(&str) -> bool) -> Vec<Problem> {
    let mut problems = Vec::new();
    for document in documents {
        for (line, target) in links(&document.text) {
            let path = target.split('#').next().unwrap_or("");
            if path.is_empty() || is_elsewhere(target) {
                continue;
            }
            let found = resolve(&document.path, path).is_some_and(|path| exists(&path));
            if !found {
                problems.push(format!("{}:{line}: the link {target} leads nowhere", document.path));
            }
        }
    }
    problems
}

fn is_elsewhere(target: &str) -> bool {
    ["http://", "https://", "mailto:"].iter().any(|scheme| target.starts_with(scheme))
}

/// The targets of `[text](target)` and `[name]: target`, with their lines; fenced code is left out.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut in_fence = false;
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim_start().starts_with("```") {
            in_fence = !in_fence;
        } else if !in_fence {
            found.extend(inline_links(line).map(|target| (number, target)));
            found.extend(definition(line).map(|target| (number, target)));
        }
    }
    found
}

fn inline_links(line: &str) -> impl Iterator<Item = &str> {
    // What stands between an odd and an even backtick is code; a link's text may be code, its target never
    // is.
    let outside_code = line.split('`').step_by(2);
    outside_code
        .flat_map(|part| part.split("](").skip(1))
        .filter_map(|rest| rest.split(')').next()?.split_whitespace().next())
}

fn definition(line: &str) -> Option<&str> {
    let (_, target) = line.strip_prefix('[')?.split_once("]: ")?;
    target.split_whitespace().next()
}

/// `path` as seen from `document`, as a path from the root; none if it leaves the repository.
fn resolve(document: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = document.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "." | "" => {}
            ".." => {
                parts.pop()?;
            }
            _ => parts.push(part),
        }
    }
    (!path.starts_with('/')).then(|| parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    fn problems(path: &str, text: &str) -> Vec<Problem> {
        check(&[file(path, text)], |path| ["src/ipc/latch.rs", "README.md", "src"].contains(&path))
    }

    #[test]
    fn links_to_files_folders_and_the_web_are_fine() {
        let text = "[`latch`](latch.rs#L1) [top](../../README.md) [a](#a) [b](https://c.d) [s](../../src/)\n[x]: ./latch.rs\n";
        assert_eq!(problems("src/ipc/README.md", text), [""; 0]);
    }

    #[test]
    fn code_is_no_link() {
        assert_eq!(problems("README.md", "`f[0](x)`\n```\na[i](y)\n```\n"), [""; 0]);
    }

    #[test]
    fn links_that_lead_nowhere_or_outside_are_reported() {
        let text = "[a](latch.rs \"title\")\n[x]: gone.md\n[up](../README.md) [abs](/README.md)";
        assert_eq!(
            problems("README.md", text),
            [
                "README.md:1: the link latch.rs leads nowhere",
                "README.md:2: the link gone.md leads nowhere",
                "README.md:3: the link ../README.md leads nowhere",
                "README.md:3: the link /README.md leads nowhere",
            ]
        );
    }
}
