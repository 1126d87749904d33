//! Statements by their first words; transactions, prepared statements, and what is refused.

use crate::report::{Report, Result, SqlState};
use crate::sql::host::AlterSystem;

use super::keywords::Keyword as K;
use super::lexer::Kind;
use super::parser::Parser;
use super::statement::{ExplainOptions, Modes, Planned, Statement, Utility};

impl Parser<'_> {
    /// A statement.
    pub fn statement(&mut self) -> Result<Statement> {
        if self.begins_planned() {
            return self.planned().map(|planned| Statement::Planned(Box::new(planned)));
        }
        let Some(first) = self.keyword() else {
            return Err(self.unexpected());
        };
        if let Some(definition) = self.nested(Self::definition)? {
            return Ok(Statement::Utility(Utility::Definition(Box::new(definition))));
        }
        if let Some(refused) = self.refused(first)? {
            return Ok(Statement::Utility(refused));
        }
        self.utility(first).map(Statement::Utility)
    }

    fn begins_planned(&self) -> bool {
        self.begins_query()
            || self.kind() == Kind::LParen
            || matches!(self.keyword(), Some(K::Insert | K::Update | K::Delete | K::Merge))
    }

    /// A statement that there are plans for.
    fn planned(&mut self) -> Result<Planned> {
        self.nested(|parser| {
            let with = parser.with()?;
            match parser.keyword() {
                Some(K::Insert | K::Update | K::Delete | K::Merge) => {
                    parser.change(with).map(Planned::Change)
                }
                _ => parser.query_with(with).map(Planned::Query),
            }
        })
    }

    pub fn inner_planned(&mut self) -> Result<Box<Planned>> {
        if self.begins_planned() { self.planned().map(Box::new) } else { Err(self.unexpected()) }
    }

    fn utility(&mut self, first: K) -> Result<Utility> {
        let known = matches!(
            first,
            K::Show
                | K::Set
                | K::Reset
                | K::Begin
                | K::Start
                | K::Commit
                | K::End
                | K::Rollback
                | K::Abort
                | K::Savepoint
                | K::Release
                | K::Prepare
                | K::Execute
                | K::Deallocate
                | K::Discard
                | K::Explain
                | K::Close
                | K::Unlisten
                | K::Alter
        );
        if !known {
            return Err(self.unexpected());
        }
        self.advance();
        Ok(match first {
            K::Show => self.show()?,
            K::Set => self.set()?,
            K::Reset => self.reset()?,
            K::Begin => {
                self.skip_work();
                self.modes_to_end().map(|modes| Utility::Begin(modes, false))?
            }
            K::Start => {
                self.expect_keyword(K::Transaction)?;
                self.modes_to_end().map(|modes| Utility::Begin(modes, true))?
            }
            K::Commit | K::End => self.transaction_end(Utility::Commit)?,
            K::Rollback | K::Abort => self.rollback(first)?,
            K::Savepoint => Utility::Savepoint(self.name()?.text),
            K::Release => {
                self.take_keyword(K::Savepoint);
                Utility::Release(self.name()?.text)
            }
            K::Prepare => self.prepare()?,
            K::Execute => self.execute()?,
            K::Deallocate => {
                self.take_keyword(K::Prepare);
                Utility::Deallocate(self.all_or_name()?)
            }
            K::Discard => self.discard()?,
            K::Explain => self.explain()?,
            K::Close => Utility::Close(self.all_or_name()?),
            K::Unlisten => {
                if !self.take(Kind::Star) {
                    self.name()?;
                }
                Utility::Unlisten
            }
            _ => self.alter_system()?,
        })
    }

    fn all_or_name(&mut self) -> Result<Option<String>> {
        if self.take_keyword(K::All) { Ok(None) } else { self.name().map(|name| Some(name.text)) }
    }

    /// Statements that PostgreSQL has and tuskd does not: named by their first words.
    fn refused(&mut self, first: K) -> Result<Option<Utility>> {
        let second = self.keyword_at(1);
        let upper = first.word().to_uppercase();
        let name = match first {
            K::Create | K::Drop | K::Alter if (first, second) != (K::Alter, Some(K::System)) => {
                self.advance();
                if first == K::Create && self.take_keyword(K::Or) {
                    self.expect_keyword(K::Replace)?;
                }
                format!("{upper} {}", self.object_kind(first == K::Alter)?)
            }
            K::Comment | K::Security | K::Call | K::Do | K::Load | K::Reassign | K::Refresh | K::Import => {
                upper
            }
            _ => return Ok(None),
        };
        while !self.at_end() && self.kind() != Kind::Error {
            self.advance();
        }
        Ok(Some(Utility::Refused(name)))
    }

    /// What else PostgreSQL creates, alters and drops: `MATERIALIZED VIEW`, `USER MAPPING` and the like.
    fn object_kind(&mut self, alter: bool) -> Result<String> {
        self.take_keyword(K::Trusted);
        let first = self.keyword().ok_or_else(|| self.unexpected())?;
        let second = match first {
            K::Access => Some(&[K::Method][..]),
            K::Constraint | K::Event => Some(&[K::Trigger][..]),
            K::Default if alter => Some(&[K::Privileges][..]),
            K::Default => Some(&[K::Conversion][..]),
            K::Foreign => Some(&[K::Data, K::Table][..]),
            K::Large => Some(&[K::Object][..]),
            K::Text => Some(&[K::Search][..]),
            K::User => Some(&[K::Mapping][..]),
            K::Aggregate
            | K::Cast
            | K::Collation
            | K::Conversion
            | K::Domain
            | K::Extension
            | K::Function
            | K::Group
            | K::Language
            | K::Operator
            | K::Owned
            | K::Policy
            | K::Procedural
            | K::Procedure
            | K::Publication
            | K::Routine
            | K::Rule
            | K::Server
            | K::Statistics
            | K::Subscription
            | K::Tablespace
            | K::Transform
            | K::Trigger
            | K::Type => None,
            _ => return Err(self.unexpected()),
        };
        self.advance();
        let first = first.word().to_uppercase();
        let Some(second) = second else {
            return if self.at_end() { Err(self.unexpected()) } else { Ok(first) };
        };
        let word = self.keyword().filter(|word| second.contains(word)).ok_or_else(|| self.unexpected())?;
        Ok(format!("{first} {}", word.word().to_uppercase()))
    }

    /// `WORK` and `TRANSACTION` say nothing.
    fn skip_work(&mut self) {
        if !self.take_keyword(K::Work) {
            self.take_keyword(K::Transaction);
        }
    }

    fn modes_to_end(&mut self) -> Result<Modes> {
        if self.at_end() { Ok(Modes::default()) } else { self.modes() }
    }

    /// At least one mode, with or without commas between them.
    pub fn modes(&mut self) -> Result<Modes> {
        let mut modes = Modes::default();
        loop {
            if self.take_keywords(&[K::Isolation, K::Level]) {
                modes.isolation = Some(self.isolation()?);
            } else if self.take_keywords(&[K::Read, K::Only]) {
                modes.read_only = Some(true);
            } else if self.take_keywords(&[K::Read, K::Write]) {
                modes.read_only = Some(false);
            } else if self.take_keywords(&[K::Not, K::Deferrable]) {
                modes.deferrable = Some(false);
            } else if self.take_keyword(K::Deferrable) {
                modes.deferrable = Some(true);
            } else {
                return Err(self.unexpected_word());
            }
            if !self.take(Kind::Comma) && self.at_end() {
                return Ok(modes);
            }
        }
    }

    /// A syntax error at the first word that does not go on as one of the modes does.
    fn unexpected_word(&mut self) -> Box<Report> {
        if matches!(self.keyword(), Some(K::Isolation | K::Read | K::Not)) {
            self.advance();
        }
        self.unexpected()
    }

    fn isolation(&mut self) -> Result<&'static str> {
        let levels: [(&[K], &str); 4] = [
            (&[K::Read, K::Uncommitted], "read uncommitted"),
            (&[K::Read, K::Committed], "read committed"),
            (&[K::Repeatable, K::Read], "repeatable read"),
            (&[K::Serializable], "serializable"),
        ];
        let level = levels.into_iter().find(|(words, _)| self.take_keywords(words));
        level.map(|(_, name)| name).ok_or_else(|| self.unexpected())
    }

    /// `[WORK|TRANSACTION] [AND [NO] CHAIN]`.
    fn transaction_end(&mut self, make: fn(bool) -> Utility) -> Result<Utility> {
        self.skip_work();
        self.and_chain(make)
    }

    fn and_chain(&mut self, make: fn(bool) -> Utility) -> Result<Utility> {
        let mut chain = false;
        if self.take_keyword(K::And) {
            chain = !self.take_keyword(K::No);
            self.expect_keyword(K::Chain)?;
        }
        Ok(make(chain))
    }

    fn rollback(&mut self, first: K) -> Result<Utility> {
        self.skip_work();
        if first == K::Rollback && self.take_keyword(K::To) {
            self.take_keyword(K::Savepoint);
            return self.name().map(|name| Utility::RollbackTo(name.text));
        }
        self.and_chain(Utility::Rollback)
    }

    fn prepare(&mut self) -> Result<Utility> {
        let name = self.name()?.text;
        let mut types = Vec::new();
        if self.kind() == Kind::LParen {
            types = self.in_parens(|parser| parser.list(Self::type_name))?;
        }
        self.expect_keyword(K::As)?;
        Ok(Utility::Prepare(name, types, self.inner_planned()?))
    }

    fn execute(&mut self) -> Result<Utility> {
        let name = self.name()?.text;
        let arguments = if self.kind() == Kind::LParen { self.in_parens(Self::exprs)? } else { Vec::new() };
        Ok(Utility::Execute(name, arguments))
    }

    fn discard(&mut self) -> Result<Utility> {
        let tag = match self.keyword() {
            Some(K::All) => "DISCARD ALL",
            Some(K::Plans) => "DISCARD PLANS",
            Some(K::Sequences) => "DISCARD SEQUENCES",
            Some(K::Temp | K::Temporary) => "DISCARD TEMP",
            _ => return Err(self.unexpected()),
        };
        self.advance();
        Ok(Utility::Discard(tag))
    }

    fn explain(&mut self) -> Result<Utility> {
        let mut options = ExplainOptions { costs: true, format: "TEXT", ..ExplainOptions::default() };
        let mut ahead = 0;
        while self.kind_at(ahead) == Kind::LParen {
            ahead += 1;
        }
        let parens_of_query =
            matches!(self.keyword_at(ahead), Some(K::Select | K::Values | K::With | K::Table));
        if ahead > 0 && !parens_of_query {
            self.in_parens(|parser| parser.list(|parser| parser.explain_option(&mut options)))?;
        } else if ahead == 0 {
            options.analyze = self.take_keyword(K::Analyze) || self.take_keyword(K::Analyse);
            options.verbose = self.take_keyword(K::Verbose);
        }
        Ok(Utility::Explain(options, self.inner_planned()?))
    }

    fn explain_option(&mut self, options: &mut ExplainOptions) -> Result<()> {
        let at = self.here();
        let name = self.non_reserved_or_analyze()?;
        let mut on = true;
        if !matches!(self.kind(), Kind::Comma | Kind::RParen) {
            let value = self.option_value()?;
            if name == "format" {
                return self.explain_format(&value, at).map(|format| options.format = format);
            }
            on = crate::sql::types::input::boolean(&value).unwrap_or(false);
        }
        match name.as_str() {
            "analyze" | "analyse" => options.analyze = on,
            "costs" => options.costs = on,
            "verbose" => options.verbose = on,
            _ => {}
        }
        Ok(())
    }

    fn explain_format(&self, value: &str, at: u32) -> Result<&'static str> {
        let formats = ["TEXT", "XML", "JSON", "YAML"];
        formats.into_iter().find(|format| value.eq_ignore_ascii_case(format)).ok_or_else(|| {
            let message = format!("unrecognized value for EXPLAIN option \"format\": \"{value}\"");
            self.error(at, SqlState::INVALID_PARAMETER_VALUE, message)
        })
    }

    pub fn non_reserved_or_analyze(&mut self) -> Result<String> {
        if matches!(self.keyword(), Some(K::Analyze | K::Analyse)) {
            self.advance();
            return Ok("analyze".to_owned());
        }
        self.non_reserved().map(|name| name.text)
    }

    /// An option's value: `TRUE`, `FALSE`, `ON`, a word, a text or a number.
    pub fn option_value(&mut self) -> Result<String> {
        match self.keyword() {
            Some(word @ (K::True | K::False | K::On)) => {
                self.advance();
                Ok(word.word().to_owned())
            }
            _ => self.word_or_value(),
        }
    }

    fn alter_system(&mut self) -> Result<Utility> {
        self.expect_keyword(K::System)?;
        if self.take_keyword(K::Reset) {
            let change = match self.take_keyword(K::All) {
                true => AlterSystem::ResetAll,
                false => AlterSystem::Reset(self.setting_name()?),
            };
            return Ok(Utility::AlterSystem(change));
        }
        self.expect_keyword(K::Set)?;
        let name = self.setting_name()?;
        let value = self.assigned()?;
        Ok(Utility::AlterSystem(match value {
            Some(value) => AlterSystem::Set(name, value),
            None => AlterSystem::Reset(name),
        }))
    }
}
