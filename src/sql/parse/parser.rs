//! A place in the tokens, and the steps from it that all statements share.
//!
//! The grammar is read top down, each token once: what a token begins is known from it and a few tokens behind it.
//! Nothing is tried and taken back, so the time is linear in the text's length.

use crate::report::{Report, ReportExt, Result, Severity, SqlState};

use super::keywords::{Class, Keyword};
use super::lexer::{Kind, Lexed, MAX_NAME, Token};
use super::strings;
use super::tree::{Name, QualifiedName};

/// How deep trees may be: they are analysed, copied and dropped by recursion.
const MAX_DEPTH: u32 = 5000;
/// What one level of parsing may need of the stack, and how much is added when that is not left.
const STACK_RED_ZONE: usize = 128 * 1024;
const STACK_GROWTH: usize = 2 * 1024 * 1024;

/// Reads trees from tokens. Positions in its reports are bytes, counted from 0.
pub struct Parser<'t> {
    /// The whole query string.
    pub text: &'t str,
    lexed: &'t Lexed,
    at: usize,
    depth: u32,
    height: u32,
    /// What is to be said of names that were cut.
    pub notices: Vec<Report>,
}

/// PostgreSQL's refusal of what nests too deep.
fn too_deep() -> Box<Report> {
    Report::error(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded")
        .with_hint("Simplify the expression or split it into several statements.")
}

impl<'t> Parser<'t> {
    /// Begins at the first token.
    pub fn new(text: &'t str, lexed: &'t Lexed) -> Self {
        Self { text, lexed, at: 0, depth: 0, height: 0, notices: Vec::new() }
    }

    /// The token some places ahead; behind the last one there are more of its kind.
    fn token_at(&self, ahead: usize) -> &'t Token {
        let tokens = &self.lexed.tokens;
        &tokens[(self.at + ahead).min(tokens.len() - 1)]
    }

    pub fn kind(&self) -> Kind {
        self.token_at(0).kind
    }

    pub fn kind_at(&self, ahead: usize) -> Kind {
        self.token_at(ahead).kind
    }

    pub fn keyword(&self) -> Option<Keyword> {
        self.token_at(0).keyword
    }

    pub fn keyword_at(&self, ahead: usize) -> Option<Keyword> {
        self.token_at(ahead).keyword
    }

    /// Where the next token begins.
    pub fn here(&self) -> u32 {
        self.token_at(0).at
    }

    pub fn advance(&mut self) {
        self.at = (self.at + 1).min(self.lexed.tokens.len() - 1);
    }

    /// The next token's text, which is gone over.
    pub fn take_text(&mut self) -> &'t str {
        let text = self.token_text(0);
        self.advance();
        text
    }

    pub fn token_text(&self, ahead: usize) -> &'t str {
        let token = self.token_at(ahead);
        &self.text[token.at as usize..token.end as usize]
    }

    pub fn take(&mut self, kind: Kind) -> bool {
        let found = self.kind() == kind;
        if found {
            self.advance();
        }
        found
    }

    pub fn expect(&mut self, kind: Kind) -> Result<()> {
        if self.take(kind) { Ok(()) } else { Err(self.unexpected()) }
    }

    pub fn is(&self, keyword: Keyword) -> bool {
        self.keyword() == Some(keyword)
    }

    pub fn is_at(&self, ahead: usize, keyword: Keyword) -> bool {
        self.keyword_at(ahead) == Some(keyword)
    }

    pub fn take_keyword(&mut self, keyword: Keyword) -> bool {
        let found = self.is(keyword);
        if found {
            self.advance();
        }
        found
    }

    /// Goes over several key words if they all come next.
    pub fn take_keywords(&mut self, keywords: &[Keyword]) -> bool {
        let found = keywords.iter().enumerate().all(|(ahead, &keyword)| self.is_at(ahead, keyword));
        if found {
            self.at += keywords.len();
        }
        found
    }

    pub fn expect_keyword(&mut self, keyword: Keyword) -> Result<()> {
        if self.take_keyword(keyword) { Ok(()) } else { Err(self.unexpected()) }
    }

    pub fn expect_keywords(&mut self, keywords: &[Keyword]) -> Result<()> {
        keywords.iter().try_for_each(|&keyword| self.expect_keyword(keyword))
    }

    /// Whether the statement ends here.
    pub fn at_end(&self) -> bool {
        matches!(self.kind(), Kind::End | Kind::Semicolon)
    }

    /// A syntax error at the next token.
    #[track_caller]
    pub fn unexpected(&self) -> Box<Report> {
        let token = self.token_at(0);
        match (token.kind, &self.lexed.error) {
            (Kind::Error, Some(error)) => error.clone(),
            (Kind::End, _) => self.error(token.at, SqlState::SYNTAX_ERROR, "syntax error at end of input"),
            _ => {
                let message = format!("syntax error at or near \"{}\"", self.token_text(0));
                self.error(token.at, SqlState::SYNTAX_ERROR, message)
            }
        }
    }

    /// Which token comes next.
    pub fn index(&self) -> usize {
        self.at
    }

    /// A syntax error at a token that was gone over.
    pub fn unexpected_at(&mut self, index: usize) -> Box<Report> {
        self.at = index;
        self.unexpected()
    }

    #[track_caller]
    pub fn error(&self, at: u32, state: SqlState, message: impl Into<String>) -> Box<Report> {
        Report::error(state, message).at(at)
    }

    #[track_caller]
    pub fn not_supported<T>(&self, at: u32, what: &str) -> Result<T> {
        Err(self.error(at, SqlState::FEATURE_NOT_SUPPORTED, format!("{what} is not supported yet")))
    }

    /// Goes one level down. Behind it, [`Self::height`] is that of the highest tree made so far at this level.
    pub fn nested<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= MAX_DEPTH {
            return Err(too_deep());
        }
        self.depth += 1;
        let outer = std::mem::replace(&mut self.height, 0);
        let result = stacker::maybe_grow(STACK_RED_ZONE, STACK_GROWTH, || work(self));
        self.depth -= 1;
        self.height = outer.max(self.height + 1);
        result
    }

    /// Notes that what was read so far at this level becomes a part of a bigger tree, without having gone down for it.
    pub fn taller(&mut self) -> Result<()> {
        self.height += 1;
        if self.height + self.depth > MAX_DEPTH { Err(too_deep()) } else { Ok(()) }
    }

    /// Whether a token some places ahead is a name of one of these classes, or no key word.
    fn is_name_at(&self, ahead: usize, classes: &[Class]) -> bool {
        let token = self.token_at(ahead);
        match token.kind {
            Kind::Quoted | Kind::QuotedUnicode => true,
            Kind::Word => token.keyword.is_none_or(|keyword| classes.contains(&keyword.class())),
            _ => false,
        }
    }

    /// Whether the token names a column or table.
    pub fn is_column_name(&self, ahead: usize) -> bool {
        self.is_name_at(ahead, &[Class::Unreserved, Class::ColName])
    }

    /// Whether the token names a function or type.
    pub fn is_function_name(&self, ahead: usize) -> bool {
        self.is_name_at(ahead, &[Class::Unreserved, Class::TypeFuncName])
    }

    /// Whether the token is any word.
    pub fn is_label(&self, ahead: usize) -> bool {
        matches!(self.kind_at(ahead), Kind::Word | Kind::Quoted | Kind::QuotedUnicode)
    }

    /// Whether the token may name a column without `AS`.
    pub fn is_bare_label(&self) -> bool {
        self.is_label(0) && self.keyword().is_none_or(Keyword::is_bare_label)
    }

    /// PostgreSQL's `ColId`: names columns, tables and most other things.
    pub fn name(&mut self) -> Result<Name> {
        if self.is_column_name(0) { self.label() } else { Err(self.unexpected()) }
    }

    /// Names a function or type.
    pub fn function_name(&mut self) -> Result<Name> {
        if self.is_function_name(0) { self.label() } else { Err(self.unexpected()) }
    }

    /// PostgreSQL's `NonReservedWord`.
    pub fn non_reserved(&mut self) -> Result<Name> {
        let classes = [Class::Unreserved, Class::ColName, Class::TypeFuncName];
        if self.is_name_at(0, &classes) { self.label() } else { Err(self.unexpected()) }
    }

    /// Any word, as behind `AS` or a dot.
    pub fn label(&mut self) -> Result<Name> {
        let token = self.token_at(0);
        let (from, to) = (token.at as usize, token.end as usize);
        let text = match token.kind {
            Kind::Word => self.text[from..to].to_ascii_lowercase(),
            Kind::Quoted => strings::quoted(self.text, from, to).into_owned(),
            Kind::QuotedUnicode => strings::unicode_token(self.text, from, to)?,
            _ => return Err(self.unexpected()),
        };
        self.advance();
        Ok(Name { text: self.cut(text), at: token.at })
    }

    /// Cuts a name that is too long, and says so.
    fn cut(&mut self, mut name: String) -> String {
        if name.len() > MAX_NAME {
            let short = crate::sql::types::input::truncate_name(&name).to_owned();
            let message = format!("identifier \"{name}\" will be truncated to \"{short}\"");
            self.notices.push(Report::new(Severity::Notice, SqlState::NAME_TOO_LONG, message));
            name = short;
        }
        name
    }

    /// `name` or `schema.name`.
    pub fn qualified_name(&mut self) -> Result<QualifiedName> {
        let first = self.name()?;
        self.name_parts(first)
    }

    /// The parts behind a name's first one.
    pub fn name_parts(&mut self, first: Name) -> Result<QualifiedName> {
        let mut parts = vec![first.text];
        while self.take(Kind::Dot) {
            parts.push(self.label()?.text);
        }
        Ok(QualifiedName { parts, at: first.at })
    }

    /// Names with commas between them.
    pub fn names(&mut self) -> Result<Vec<Name>> {
        self.list(Self::name)
    }

    /// `(a, b, c)`, if there are parentheses.
    pub fn names_in_parens(&mut self) -> Result<Vec<Name>> {
        if self.take(Kind::LParen) { self.closed(Self::names) } else { Ok(Vec::new()) }
    }

    /// One or more, with commas between them.
    pub fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.take(Kind::Comma) {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// What stands before a closing parenthesis.
    pub fn closed<T>(&mut self, item: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let item = item(self)?;
        self.expect(Kind::RParen)?;
        Ok(item)
    }

    /// What stands in parentheses.
    pub fn in_parens<T>(&mut self, item: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.expect(Kind::LParen)?;
        self.closed(item)
    }

    /// Whether the token is a text in quotes.
    pub fn is_string_at(&self, ahead: usize) -> bool {
        matches!(self.kind_at(ahead), Kind::String | Kind::Escaped | Kind::Unicode | Kind::Dollar)
    }

    /// A quoted text's value, if there is one.
    pub fn take_string(&mut self) -> Result<Option<String>> {
        let token = self.token_at(0);
        let (from, to) = (token.at as usize, token.end as usize);
        let value = match token.kind {
            Kind::String => strings::plain(self.text, from, to),
            Kind::Escaped => strings::escaped(self.text, from, to)?,
            Kind::Unicode => strings::unicode_token(self.text, from, to)?,
            Kind::Dollar => strings::dollar(&self.text[from..to]).to_owned(),
            _ => return Ok(None),
        };
        self.advance();
        Ok(Some(value))
    }

    /// A quoted text's value.
    pub fn string(&mut self) -> Result<String> {
        self.take_string()?.ok_or_else(|| self.unexpected())
    }

    /// A whole number that fits 32 bits.
    pub fn integer(&mut self) -> Result<i32> {
        let value = crate::sql::types::lexical::integer(self.token_text(0)).ok();
        match value.and_then(|value| i32::try_from(value).ok()).filter(|_| self.kind() == Kind::Integer) {
            Some(value) => {
                self.advance();
                Ok(value)
            }
            None => Err(self.unexpected()),
        }
    }
}
