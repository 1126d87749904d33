//! Splits Rust source into tokens, just well enough that comments, strings and lifetimes are never taken for
//! code.

/// A word, a literal, a lifetime, `::` or one punctuation character, and the line it begins on.
#[derive(Clone, Copy, Debug)]
pub struct Token<'a> {
    /// As written; a string literal keeps its quotes and prefix.
    pub text: &'a str,
    /// Counted from 1.
    pub line: usize,
}

/// The tokens of `source`, without comments and white space.
pub fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let (mut at, mut line) = (0, 1);
    while let Some(first) = source[at..].chars().next() {
        let rest = &source[at..];
        let (length, is_code) = piece(rest, first);
        let text = &rest[..length];
        if is_code {
            found.push(Token { text, line });
        }
        line += text.matches('\n').count();
        at += length;
    }
    found
}

/// Whether the tokens from `at` on are exactly `words`.
pub fn follows(tokens: &[Token<'_>], at: usize, words: &[&str]) -> bool {
    words.iter().enumerate().all(|(i, word)| tokens.get(at + i).is_some_and(|token| token.text == *word))
}

/// Length of the piece that `rest` begins with, and whether it is code.
fn piece(rest: &str, first: char) -> (usize, bool) {
    if first.is_whitespace() {
        (first.len_utf8(), false)
    } else if rest.starts_with("//") {
        (rest.find('\n').unwrap_or(rest.len()), false)
    } else if rest.starts_with("/*") {
        (block_comment(rest), false)
    } else if let Some(length) = string(rest) {
        (length, true)
    } else if first == '\'' {
        (character_or_lifetime(rest), true)
    } else if is_word(first) {
        (word(rest), true)
    } else if rest.starts_with("::") {
        (2, true)
    } else {
        (first.len_utf8(), true)
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn word(rest: &str) -> usize {
    rest.find(|c| !is_word(c)).unwrap_or(rest.len())
}

/// Block comments nest in Rust.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        let here = &rest[at..];
        if here.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += here.chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// Length of the string literal, of any prefix, that `rest` begins with.
fn string(rest: &str) -> Option<usize> {
    for prefix in ["br", "cr", "r", "b", "c", ""] {
        let Some(body) = rest.strip_prefix(prefix) else {
            continue;
        };
        let hashes = if prefix.ends_with('r') { body.len() - body.trim_start_matches('#').len() } else { 0 };
        let Some(body) = body[hashes..].strip_prefix('"') else {
            continue;
        };
        let opening = rest.len() - body.len();
        let length = if prefix.ends_with('r') {
            let closing = format!("\"{}", "#".repeat(hashes));
            body.find(&closing).map(|at| at + closing.len())
        } else {
            end_of_quoted(body, '"')
        };
        return Some(opening + length.unwrap_or(body.len()));
    }
    None
}

/// Length up to and with the first `quote` that no backslash escapes.
fn end_of_quoted(body: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in body.char_indices() {
        if c == quote && !escaped {
            return Some(at + 1);
        }
        escaped = c == '\\' && !escaped;
    }
    None
}

/// `'x'` and `'\n'` are literals; any other `'` begins a lifetime.
fn character_or_lifetime(rest: &str) -> usize {
    let body = &rest[1..];
    let mut characters = body.chars();
    let (first, second) = (characters.next(), characters.next());
    if first == Some('\\') || second == Some('\'') {
        1 + end_of_quoted(body, '\'').unwrap_or(body.len())
    } else {
        1 + word(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(source: &str) -> Vec<&str> {
        tokens(source).iter().map(|token| token.text).collect()
    }

    #[test]
    fn comments_are_no_code() {
        assert_eq!(texts("a // unsafe\n/* x /* unsafe */ y */ b"), ["a", "b"]);
    }

    #[test]
    fn strings_are_one_token() {
        assert_eq!(texts(r#"f("a \" {", b"{")"#), ["f", "(", r#""a \" {""#, ",", "b\"{\"", ")"]);
        assert_eq!(texts("r##\"a\"# {\"## x"), ["r##\"a\"# {\"##", "x"]);
    }

    #[test]
    fn lifetimes_are_no_keywords_and_no_characters() {
        assert_eq!(texts("&'static mut T"), ["&", "'static", "mut", "T"]);
        assert_eq!(texts("<'a,'b>"), ["<", "'a", ",", "'b", ">"]);
        assert_eq!(texts(r"'{' '\'' b'}' x"), ["'{'", r"'\''", "b", "'}'", "x"]);
    }

    #[test]
    fn lines_count_from_one() {
        let found = tokens("a\n\"x\ny\" b::c");
        let lines: Vec<_> = found.iter().map(|token| (token.text, token.line)).collect();
        assert_eq!(lines, [("a", 1), ("\"x\ny\"", 2), ("b", 3), ("::", 3), ("c", 3)]);
    }
}
