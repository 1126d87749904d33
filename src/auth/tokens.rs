//! One line of pg_hba.conf or pg_ident.conf as fields of tokens.
//!
//! Fields are parted by blanks, the tokens of a field by commas; blanks and empty tokens around commas are skipped.
//! Double quotes keep blanks, commas and `#` in a token, two of them are one; a missing closing quote ends with the
//! line. An unquoted `#` begins a comment.

use std::iter::Peekable;
use std::str::Chars;

/// A word of a line, without its quotes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Token {
    /// What stood there.
    pub text: String,
    /// Whether it began with a quote, which takes keywords, `+group` and `@file` their meaning; `/regex` keeps it.
    pub quoted: bool,
}

impl Token {
    /// Whether it is `word` and means the keyword, not a name spelled like it.
    pub fn is_keyword(&self, word: &str) -> bool {
        !self.quoted && self.text == word
    }
}

/// The tokens of one field.
pub type Field = Vec<Token>;

/// What stands between two blanks or commas.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Piece {
    pub token: Token,
    /// Whether a comma follows, so that the next piece belongs to the same field.
    pub comma_follows: bool,
}

impl Piece {
    /// The file that an unquoted `@file` asks for.
    pub fn file(&self) -> Option<&str> {
        self.token.text.strip_prefix('@').filter(|file| !self.token.quoted && !file.is_empty())
    }
}

/// The pieces of `line`, in order.
pub(super) fn pieces(line: &str) -> impl Iterator<Item = Piece> {
    let mut rest = line.chars().peekable();
    std::iter::from_fn(move || next_piece(&mut rest))
}

fn next_piece(rest: &mut Peekable<Chars<'_>>) -> Option<Piece> {
    while rest.next_if(|c| is_blank(*c) || *c == ',').is_some() {}
    let mut text = String::new();
    let (mut inside, mut after_closing, mut quotes) = (false, false, false);
    let mut quoted = false;
    let mut comma_follows = false;
    while let Some(c) = rest.next_if(|c| inside || !is_blank(*c)) {
        match c {
            '#' if !inside => {
                rest.by_ref().for_each(drop);
                break;
            }
            ',' if !inside => {
                comma_follows = true;
                break;
            }
            '"' => {
                // The second of two quotes inside stands for one.
                if after_closing {
                    text.push('"');
                }
                after_closing = inside && !after_closing;
                inside = !inside;
                quotes = true;
                quoted |= text.is_empty();
            }
            _ => {
                after_closing = false;
                text.push(c);
            }
        }
    }
    (quotes || !text.is_empty()).then_some(Piece { token: Token { text, quoted }, comma_follows })
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> Vec<String> {
        pieces(line)
            .map(|piece| {
                let quote = if piece.token.quoted { "'" } else { "" };
                format!("{quote}{}{}", piece.token.text, if piece.comma_follows { "," } else { "" })
            })
            .collect()
    }

    #[test]
    fn lines_become_pieces() {
        for (line, expected) in [
            ("", &[][..]),
            (" \t\r # comment", &[]),
            ("a b\tc", &["a", "b", "c"]),
            ("a, b ,c", &["a,", "b", "c"]),
            (",,a,,b", &["a,", "b"]),
            ("a#b c", &["a"]),
            ("\"a b\" \"c,d\" \"e#f\"", &["'a b", "'c,d", "'e#f"]),
            ("\"a\"\"b\"", &["'a\"b"]),
            ("x\"a b\"y", &["xa by"]),
            ("@\"a b\"", &["@a b"]),
            ("\"\" x", &["'", "x"]),
            ("\"open to the end", &["'open to the end"]),
            ("\"a\"\"", &["'a\""]),
            ("/^(a|b)$ \\1", &["/^(a|b)$", "\\1"]),
            ("ü \"ß \"", &["ü", "'ß "]),
        ] {
            assert_eq!(shown(line), expected, "{line}");
        }
    }

    #[test]
    fn a_quoted_at_sign_is_no_file() {
        let files = |line| pieces(line).map(|piece| piece.file().map(str::to_owned)).collect::<Vec<_>>();
        assert_eq!(files("@a \"@a\" @\"a b\" @"), [Some("a".to_owned()), None, Some("a b".to_owned()), None]);
    }

    proptest::proptest! {
        #[test]
        fn any_line_has_pieces(line in "\\PC*") {
            for piece in pieces(&line) {
                proptest::prop_assert!(piece.token.text.len() <= line.len());
            }
        }
    }
}
