//! A statement's place in the query string, so that errors can say where.

use std::sync::Arc;

use sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan};

/// A statement's tokens, without spaces and comments, and the text they come from.
#[derive(Debug, Clone)]
pub struct Source {
    /// The whole query string.
    pub text: Arc<str>,
    /// The statement's tokens.
    pub tokens: Vec<TokenWithSpan>,
    /// The semicolon behind it.
    pub end: Option<TokenWithSpan>,
}

impl Source {
    /// Keeps the tokens that mean something.
    pub fn new(text: &str, mut tokens: Vec<TokenWithSpan>, end: Option<TokenWithSpan>) -> Self {
        tokens.retain(|token| !matches!(token.token, Token::Whitespace(_) | Token::EOF));
        Self { text: text.into(), tokens, end }
    }

    /// The character of the text, from 1, that a location names.
    pub fn position(&self, location: Location) -> u32 {
        position(&self.text, location)
    }

    /// Where a span begins; none if the parser did not keep it.
    pub fn start(&self, span: Span) -> Option<u32> {
        (span.start.line > 0).then(|| self.position(span.start))
    }

    /// Where the statement's text lies in the query string, in bytes.
    pub fn statement_text(&self) -> &str {
        let (Some(first), Some(last)) = (self.tokens.first(), self.tokens.last()) else {
            return "";
        };
        let from = byte_at(&self.text, first.span.start);
        let to = self.end.as_ref().map_or(self.text.len(), |end| byte_at(&self.text, end.span.start));
        let to = to.max(byte_at(&self.text, last.span.start));
        self.text.get(from..to).unwrap_or("").trim_end()
    }

    /// A token's text as it was written.
    pub fn token_text(&self, token: &TokenWithSpan) -> &str {
        let (from, to) = (byte_at(&self.text, token.span.start), byte_at(&self.text, token.span.end));
        self.text.get(from..to.max(from)).unwrap_or("")
    }

    /// The operator in front of an operand: the last token before it that is no parenthesis.
    pub fn operator_before(&self, operand: Span) -> Option<u32> {
        let before = self.tokens.iter().rev().skip_while(|token| token.span.start >= operand.start);
        let quantifier = |token: &Token| match token {
            Token::LParen => true,
            Token::Word(word) => {
                ["any", "all", "some"].iter().any(|name| word.value.eq_ignore_ascii_case(name))
            }
            _ => false,
        };
        let mut operators = before.skip_while(|token| quantifier(&token.token));
        operators.next().map(|token| self.position(token.span.start))
    }
}

/// The character, from 1, that a location (line and column from 1) names.
pub fn position(text: &str, location: Location) -> u32 {
    let lines = text.split_inclusive('\n').take((location.line.max(1) - 1) as usize);
    let before: usize = lines.map(|line| line.chars().count()).sum();
    before as u32 + location.column.max(1) as u32
}

/// The byte offset of a location.
pub fn byte_at(text: &str, location: Location) -> usize {
    let at = position(text, location) as usize - 1;
    text.char_indices().nth(at).map_or(text.len(), |(byte, _)| byte)
}
