//! A place in a statement's tokens.

use sqlparser::tokenizer::{Location, Token, TokenWithSpan};

use crate::report::{Report, Result};

use super::errors;
use super::source::Source;
use crate::sql::types::input::truncate_name;

/// Reads tokens one by one.
pub struct Cursor<'a> {
    /// The statement.
    pub source: &'a Source,
    /// Index of the next token.
    pub at: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(source: &'a Source) -> Self {
        Self { source, at: 0 }
    }

    pub fn peek(&self) -> Option<&'a Token> {
        self.source.tokens.get(self.at).map(|token| &token.token)
    }

    pub fn next(&mut self) -> Option<&'a TokenWithSpan> {
        let token = self.source.tokens.get(self.at);
        self.at += usize::from(token.is_some());
        token
    }

    /// Whether the next token is this unquoted word.
    pub fn is_word(&self, word: &str) -> bool {
        self.word_at(0).is_some_and(|found| found.eq_ignore_ascii_case(word))
    }

    /// The unquoted word some tokens ahead.
    pub fn word_at(&self, ahead: usize) -> Option<&'a str> {
        match self.source.tokens.get(self.at + ahead).map(|token| &token.token) {
            Some(Token::Word(word)) if word.quote_style.is_none() => Some(&word.value),
            _ => None,
        }
    }

    /// Goes over a word if it is the next token.
    pub fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.at += usize::from(found);
        found
    }

    /// Goes over several words if they are the next tokens.
    pub fn take_words(&mut self, words: &[&str]) -> bool {
        let matches = |(ahead, word): (usize, &&str)| {
            self.word_at(ahead).is_some_and(|found| found.eq_ignore_ascii_case(word))
        };
        let found = words.iter().enumerate().all(matches);
        self.at += if found { words.len() } else { 0 };
        found
    }

    pub fn expect_word(&mut self, word: &str) -> Result<()> {
        if self.take_word(word) { Ok(()) } else { Err(self.unexpected()) }
    }

    pub fn take(&mut self, token: &Token) -> bool {
        let found = self.peek() == Some(token);
        self.at += usize::from(found);
        found
    }

    pub fn expect(&mut self, token: &Token) -> Result<()> {
        if self.take(token) { Ok(()) } else { Err(self.unexpected()) }
    }

    /// A name: as written in quotes, else in lower case.
    pub fn name(&mut self) -> Result<String> {
        match self.peek() {
            Some(Token::Word(word)) => {
                self.at += 1;
                let name = match word.quote_style {
                    Some(_) => word.value.clone(),
                    None => word.value.to_lowercase(),
                };
                Ok(truncate_name(&name).to_owned())
            }
            _ => Err(self.unexpected()),
        }
    }

    /// A quoted string's value.
    pub fn string(&mut self) -> Option<String> {
        let text = match self.peek()? {
            Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text) => text.clone(),
            Token::DollarQuotedString(text) => text.value.clone(),
            _ => return None,
        };
        self.at += 1;
        Some(text)
    }

    pub fn at_end(&self) -> bool {
        self.at >= self.source.tokens.len()
    }

    pub fn expect_end(&self) -> Result<()> {
        if self.at_end() { Ok(()) } else { Err(self.unexpected()) }
    }

    /// Where the next token stands, from 1.
    pub fn position(&self) -> Option<u32> {
        let token = self.source.tokens.get(self.at)?;
        Some(self.source.position(token.span.start))
    }

    /// A syntax error at the next token.
    pub fn unexpected(&self) -> Box<Report> {
        let nowhere = Location { line: 0, column: 0 };
        let location = self.source.tokens.get(self.at).map_or(nowhere, |token| token.span.start);
        errors::near(self.source, location)
    }
}
