//! `SET`, `SHOW` and `RESET`, in all their spellings.

use crate::report::{Report, Result, SqlState};
use crate::sql::host::Scope;

use super::keywords::Keyword as K;
use super::lexer::Kind;
use super::parser::Parser;
use super::statement::{SetTarget, Utility};

impl Parser<'_> {
    /// `a.b`, in lower case unless quoted.
    pub fn setting_name(&mut self) -> Result<String> {
        let mut name = self.name()?.text;
        while self.take(Kind::Dot) {
            name = format!("{name}.{}", self.name()?.text);
        }
        Ok(name)
    }

    /// The settings behind the names that the grammar has words of its own for.
    fn special_name(&mut self) -> Option<&'static str> {
        let names: [(&[K], &str); 3] = [
            (&[K::Time, K::Zone], "timezone"),
            (&[K::Transaction, K::Isolation, K::Level], "transaction_isolation"),
            (&[K::Session, K::Authorization], "session_authorization"),
        ];
        names.into_iter().find(|(words, _)| self.take_keywords(words)).map(|(_, name)| name)
    }

    /// A setting's name, in words of its own perhaps; none for `ALL`.
    pub fn all_or_setting(&mut self) -> Result<Option<String>> {
        if self.take_keyword(K::All) {
            return Ok(None);
        }
        match self.special_name() {
            Some(name) => Ok(Some(name.to_owned())),
            None => self.setting_name().map(Some),
        }
    }

    pub fn show(&mut self) -> Result<Utility> {
        self.all_or_setting().map(Utility::Show)
    }

    pub fn reset(&mut self) -> Result<Utility> {
        self.all_or_setting().map(Utility::Reset)
    }

    pub fn set(&mut self) -> Result<Utility> {
        if self.take_keywords(&[K::Session, K::Characteristics, K::As, K::Transaction]) {
            let target = SetTarget::SessionCharacteristics(self.modes()?);
            return Ok(Utility::Set(Scope::Session, target));
        }
        let mut scope = Scope::Session;
        if self.take_keyword(K::Local) {
            scope = Scope::Local;
        } else if self.is(K::Session)
            && !self.is_at(1, K::Authorization)
            && self.is_label(1)
            && !self.is_at(1, K::To)
        {
            self.advance();
        }
        if self.is(K::Transaction)
            && !matches!(self.kind_at(1), Kind::Equals | Kind::Dot)
            && !self.is_at(1, K::To)
        {
            let at = self.here();
            self.advance();
            if self.is(K::Snapshot) {
                return self.not_supported(at, "SET TRANSACTION SNAPSHOT");
            }
            return Ok(Utility::Set(scope, SetTarget::Transaction(self.modes()?)));
        }
        let (name, value) = self.assignment()?;
        Ok(Utility::Set(scope, SetTarget::Setting(name, value)))
    }

    pub fn assignment(&mut self) -> Result<(String, Option<String>)> {
        if self.take_keywords(&[K::Time, K::Zone]) {
            return Ok(("timezone".to_owned(), self.zone()?));
        }
        if self.take_keywords(&[K::Session, K::Authorization]) {
            let value = if self.take_keyword(K::Default) { None } else { Some(self.word_or_value()?) };
            return Ok(("session_authorization".to_owned(), value));
        }
        let plain = matches!(self.kind_at(1), Kind::Equals | Kind::Dot) || self.is_at(1, K::To);
        if !plain && self.take_keyword(K::Names) {
            let none = self.at_end() || self.take_keyword(K::Default);
            let value = if none { None } else { Some(self.string()?) };
            return Ok(("client_encoding".to_owned(), value));
        }
        // These have a form without `TO`.
        let short = [(K::Role, "role"), (K::Schema, "search_path"), (K::Catalog, "database")];
        for (word, name) in short {
            if !plain && self.take_keyword(word) {
                let value = if word == K::Role { self.word_or_value()? } else { self.string()? };
                return Ok((name.to_owned(), Some(value)));
            }
        }
        let name = self.setting_name()?;
        if self.take_keywords(&[K::From, K::Current]) {
            return self.not_supported(self.here(), "SET … FROM CURRENT");
        }
        Ok((name, self.assigned()?))
    }

    /// What stands behind `TO` or `=`: a list of values, or `DEFAULT`.
    pub fn assigned(&mut self) -> Result<Option<String>> {
        if !self.take(Kind::Equals) && !self.take_keyword(K::To) {
            return Err(self.unexpected());
        }
        if self.take_keyword(K::Default) {
            return Ok(None);
        }
        let values = self.list(Self::option_value)?;
        if let [one] = values.as_slice() {
            return Ok(Some(one.clone()));
        }
        let quoted: Vec<String> =
            values.iter().map(|value| crate::sql::functions::quote_ident(value)).collect();
        Ok(Some(quoted.join(", ")))
    }

    /// A word that is not reserved, a text, or a number.
    pub fn word_or_value(&mut self) -> Result<String> {
        if let Some(text) = self.take_string()? {
            return Ok(text);
        }
        let sign = match self.kind() {
            Kind::Minus => "-",
            Kind::Plus => "",
            Kind::Integer | Kind::Number => return Ok(self.take_text().to_owned()),
            _ => return self.non_reserved().map(|name| name.text),
        };
        self.advance();
        match self.kind() {
            Kind::Integer | Kind::Number => Ok(format!("{sign}{}", self.take_text())),
            _ => Err(self.unexpected()),
        }
    }

    /// `LOCAL`, `DEFAULT`, a name, a number of hours, or an interval.
    fn zone(&mut self) -> Result<Option<String>> {
        if self.take_keyword(K::Local) || self.take_keyword(K::Default) {
            return Ok(None);
        }
        if self.take_keyword(K::Interval) {
            if self.take(Kind::LParen) {
                self.integer()?;
                self.expect(Kind::RParen)?;
            }
            let text = self.string()?;
            if self.take_keyword(K::Hour) && self.take_keyword(K::To) {
                self.expect_keyword(K::Minute)?;
            }
            return offset_zone(&text).map(Some);
        }
        self.word_or_value().map(Some)
    }
}

/// The zone that is an interval ahead of UTC.
fn offset_zone(text: &str) -> Result<String> {
    let interval = crate::sql::types::interval::parse(text).map_err(|_| {
        let message = format!("invalid input syntax for type interval: \"{text}\"");
        Report::error(SqlState::INVALID_DATETIME_FORMAT, message)
    })?;
    let seconds = interval.micros / 1_000_000;
    let (sign, other) = if seconds < 0 { ('-', '+') } else { ('+', '-') };
    let (hours, minutes) = (seconds.abs() / 3600, seconds.abs() / 60 % 60);
    Ok(format!("<{sign}{hours:02}:{minutes:02}>{other}{hours:02}:{minutes:02}"))
}
