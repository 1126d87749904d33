//! `DROP`, `TRUNCATE`, `COMMENT`, `COPY`, cursors, notifications, locks, and the upkeep of tables.

use crate::report::{Result, SqlState};

use super::keywords::Keyword as K;
use super::lexer::Kind;
use super::parser::Parser;
use super::statement::Planned;
use super::tree::Name;
use super::tree_ddl::*;

impl Parser<'_> {
    /// A definition or its like; none if it is not there yet, or no such statement.
    pub fn definition(&mut self) -> Result<Option<Definition>> {
        let at_two_phase = match (self.keyword(), self.keyword_at(1)) {
            (Some(K::Prepare), Some(K::Transaction)) => Some("PREPARE TRANSACTION"),
            (Some(K::Commit), Some(K::Prepared)) => Some("COMMIT PREPARED"),
            (Some(K::Rollback), Some(K::Prepared)) => Some("ROLLBACK PREPARED"),
            _ => None,
        };
        if let Some(what) = at_two_phase {
            self.advance();
            self.advance();
            return Ok(Some(Definition::TwoPhase { what, gid: self.string()? }));
        }
        Ok(Some(match self.keyword() {
            Some(K::Create) => return self.create(),
            Some(K::Alter) => return self.alter(),
            Some(K::Drop) => return self.drop_objects(),
            Some(K::Grant | K::Revoke) => self.grant()?,
            Some(K::Truncate) => self.truncate()?,
            Some(K::Comment) => return self.comment(),
            Some(K::Copy) => self.copy()?,
            Some(K::Declare) => self.declare()?,
            Some(K::Fetch | K::Move) => self.fetch()?,
            Some(K::Listen) => {
                self.advance();
                Definition::Listen(self.name()?)
            }
            Some(K::Notify) => {
                self.advance();
                let channel = self.name()?;
                let payload = if self.take(Kind::Comma) { Some(self.string()?) } else { None };
                Definition::Notify { channel, payload }
            }
            Some(K::Lock) => self.lock()?,
            Some(K::Vacuum | K::Analyze | K::Analyse) => self.vacuum()?,
            Some(K::Reindex) => self.reindex()?,
            Some(K::Cluster) => self.cluster()?,
            Some(K::Checkpoint) => {
                self.advance();
                let options = if self.kind() == Kind::LParen { self.upkeep_options()? } else { Vec::new() };
                Definition::Checkpoint(options)
            }
            _ => return Ok(None),
        }))
    }

    fn drop_objects(&mut self) -> Result<Option<Definition>> {
        let (object, words) = match (self.keyword_at(1), self.keyword_at(2)) {
            (Some(K::Table), _) => ("TABLE", 2),
            (Some(K::Index), _) => ("INDEX", 2),
            (Some(K::Sequence), _) => ("SEQUENCE", 2),
            (Some(K::View), _) => ("VIEW", 2),
            (Some(K::Materialized), Some(K::View)) => ("MATERIALIZED VIEW", 3),
            (Some(K::Schema), _) => ("SCHEMA", 2),
            (Some(K::User), Some(K::Mapping)) => return Ok(None),
            (Some(K::Role | K::User | K::Group), _) => return self.drop_role().map(Some),
            (Some(K::Database), _) => return self.drop_database().map(Some),
            _ => return Ok(None),
        };
        (0..words).for_each(|_| self.advance());
        let concurrently = object == "INDEX" && self.take_keyword(K::Concurrently);
        let if_exists = self.if_exists()?;
        let names = self.list(Self::any_name)?;
        let cascade = self.drop_behavior();
        let object = Object(object);
        Ok(Some(Definition::Drop(Drop { object, names, if_exists, concurrently, cascade })))
    }

    fn drop_role(&mut self) -> Result<Definition> {
        self.advance();
        self.advance();
        let if_exists = self.if_exists()?;
        Ok(Definition::DropRole { names: self.list(Self::role)?, if_exists })
    }

    fn drop_database(&mut self) -> Result<Definition> {
        self.advance();
        self.advance();
        let if_exists = self.if_exists()?;
        let name = self.name()?;
        let mut force = false;
        self.take_keyword(K::With);
        if self.kind() == Kind::LParen {
            self.in_parens(|parser| parser.list(|parser| parser.expect_keyword(K::Force)))?;
            force = true;
        }
        Ok(Definition::DropDatabase { name, if_exists, force })
    }

    fn truncate(&mut self) -> Result<Definition> {
        self.advance();
        self.take_keyword(K::Table);
        let tables = self.list(Self::relation)?;
        let restart_identity = self.take_keywords(&[K::Restart, K::Identity]);
        if !restart_identity {
            self.take_keywords(&[K::Continue, K::Identity]);
        }
        Ok(Definition::Truncate { tables, restart_identity, cascade: self.drop_behavior() })
    }

    fn comment(&mut self) -> Result<Option<Definition>> {
        let object = match (self.keyword_at(2), self.keyword_at(3)) {
            (Some(K::Table), _) => "TABLE",
            (Some(K::Column), _) => "COLUMN",
            (Some(K::Constraint), _) => "CONSTRAINT",
            (Some(K::Database), _) => "DATABASE",
            (Some(K::Index), _) => "INDEX",
            (Some(K::Role), _) => "ROLE",
            (Some(K::Schema), _) => "SCHEMA",
            (Some(K::Sequence), _) => "SEQUENCE",
            (Some(K::View), _) => "VIEW",
            (Some(K::Tablespace), _) => "TABLESPACE",
            (Some(K::Materialized), Some(K::View)) => "MATERIALIZED VIEW",
            _ if self.is_at(1, K::On) && self.keyword_at(2).is_some() => return Ok(None),
            _ => "",
        };
        self.advance();
        self.expect_keyword(K::On)?;
        if object.is_empty() {
            return Err(self.unexpected());
        }
        (0..object.split(' ').count()).for_each(|_| self.advance());
        let name = self.any_name()?;
        let mut column_of = None;
        if object == "CONSTRAINT" {
            self.expect_keyword(K::On)?;
            column_of = Some(self.any_name()?);
        }
        self.expect_keyword(K::Is)?;
        let text = if self.take_keyword(K::Null) { None } else { Some(self.string()?) };
        Ok(Some(Definition::Comment { object: Object(object), name, column_of, text }))
    }

    fn copy(&mut self) -> Result<Definition> {
        self.advance();
        let mut options = Vec::new();
        let source = if self.kind() == Kind::LParen {
            CopySource::Query(self.in_parens(Self::inner_planned)?)
        } else {
            if self.is(K::Binary) && self.is_column_name(1) && !self.is_at(1, K::From) {
                options.push(plain_option("format", Some("binary"), self.here()));
                self.advance();
            }
            CopySource::Table(self.qualified_name()?, self.names_in_parens()?)
        };
        let is_query = matches!(source, CopySource::Query(_));
        let from = !is_query && self.take_keyword(K::From);
        if !from {
            self.expect_keyword(K::To)?;
        }
        let file = self.copy_file()?;
        if !self.take_keyword(K::With) && self.take_keyword(K::Using) {
            // An old way to say with which delimiters.
            options.push(self.delimiters()?);
        } else if self.is(K::Delimiters) {
            options.push(self.delimiters()?);
            self.take_keyword(K::With);
        }
        if self.kind() == Kind::LParen {
            options = self.in_parens(|parser| parser.list(Self::copy_option))?;
        } else {
            while let Some(option) = self.old_copy_option()? {
                options.push(option);
            }
        }
        let at = self.here();
        let filter = self.filter()?;
        if filter.is_some() && !from {
            let message = "WHERE clause not allowed with COPY TO";
            return Err(self.error(at, SqlState::SYNTAX_ERROR, message));
        }
        Ok(Definition::Copy(Copy { source, from, file, options, filter }))
    }

    fn copy_file(&mut self) -> Result<CopyFile> {
        if self.take_keyword(K::Stdin) {
            return Ok(CopyFile::Stdin);
        }
        if self.take_keyword(K::Stdout) {
            return Ok(CopyFile::Stdout);
        }
        if self.take_keyword(K::Program) {
            return self.string().map(CopyFile::Program);
        }
        self.string().map(CopyFile::File)
    }

    fn delimiters(&mut self) -> Result<DefinitionOption> {
        let at = self.here();
        self.expect_keyword(K::Delimiters)?;
        let value = self.string()?;
        Ok(plain_option("delimiter", Some(&value), at))
    }

    fn copy_option(&mut self) -> Result<DefinitionOption> {
        let name = self.label()?;
        let value = match self.kind() {
            Kind::Comma | Kind::RParen => None,
            Kind::Star => {
                self.advance();
                Some(OptionValue::Star)
            }
            Kind::LParen => {
                let list = self
                    .in_parens(|parser| parser.list(|parser| parser.option_value().map(OptionValue::Word)))?;
                Some(OptionValue::List(list))
            }
            _ if self.take_keyword(K::Default) => Some(OptionValue::Word("default".to_owned())),
            _ => Some(OptionValue::Word(self.option_value()?)),
        };
        Ok(DefinitionOption { namespace: None, name, value })
    }

    /// Options as they were before there were parentheses around them.
    fn old_copy_option(&mut self) -> Result<Option<DefinitionOption>> {
        let at = self.here();
        let word = self.keyword();
        let name = match word {
            Some(K::Binary | K::Freeze | K::Header | K::Csv) => {
                self.advance();
                let option = match word {
                    Some(K::Binary) => plain_option("format", Some("binary"), at),
                    Some(K::Csv) => plain_option("format", Some("csv"), at),
                    Some(K::Freeze) => plain_option("freeze", None, at),
                    _ => plain_option("header", None, at),
                };
                return Ok(Some(option));
            }
            Some(K::Delimiter) => "delimiter",
            Some(K::Null) => "null",
            Some(K::Quote) => "quote",
            Some(K::Escape) => "escape",
            Some(K::Encoding) => "encoding",
            Some(K::Force) => return self.old_force_option(at).map(Some),
            _ => return Ok(None),
        };
        self.advance();
        if name != "encoding" {
            self.take_keyword(K::As);
        }
        let value = self.string()?;
        Ok(Some(plain_option(name, Some(&value), at)))
    }

    fn old_force_option(&mut self, at: u32) -> Result<DefinitionOption> {
        self.advance();
        let name = if self.take_keyword(K::Quote) {
            "force_quote"
        } else if self.take_keyword(K::Not) {
            self.expect_keyword(K::Null)?;
            "force_not_null"
        } else {
            self.expect_keyword(K::Null)?;
            "force_null"
        };
        let value = match self.take(Kind::Star) {
            true => OptionValue::Star,
            false => {
                let names = self.names()?;
                OptionValue::List(names.into_iter().map(|name| OptionValue::Word(name.text)).collect())
            }
        };
        Ok(DefinitionOption { value: Some(value), ..plain_option(name, None, at) })
    }

    fn declare(&mut self) -> Result<Definition> {
        self.advance();
        let name = self.name()?;
        let mut options = Vec::new();
        let known: [(&[K], &str); 5] = [
            (&[K::No, K::Scroll], "NO SCROLL"),
            (&[K::Scroll], "SCROLL"),
            (&[K::Binary], "BINARY"),
            (&[K::Asensitive], "ASENSITIVE"),
            (&[K::Insensitive], "INSENSITIVE"),
        ];
        while let Some((_, option)) = known.iter().find(|(words, _)| self.take_keywords(words)) {
            options.push(*option);
        }
        self.expect_keyword(K::Cursor)?;
        if self.take_keywords(&[K::With, K::Hold]) {
            options.push("WITH HOLD");
        } else {
            self.take_keywords(&[K::Without, K::Hold]);
        }
        self.expect_keyword(K::For)?;
        Ok(Definition::Declare { name, options, query: self.query()? })
    }

    fn fetch(&mut self) -> Result<Definition> {
        let is_move = self.is(K::Move);
        self.advance();
        let direction = self.direction()?;
        if !self.take_keyword(K::From) {
            self.take_keyword(K::In);
        }
        Ok(Definition::Fetch { name: self.name()?, direction, is_move })
    }

    fn direction(&mut self) -> Result<Direction> {
        let signed = matches!(self.kind(), Kind::Integer | Kind::Plus | Kind::Minus);
        // These words may also be a cursor's name, which then is all there is.
        if !signed && matches!(self.kind_at(1), Kind::End | Kind::Semicolon) {
            return Ok(Direction::Forward(Some(1)));
        }
        if signed {
            return Ok(Direction::Forward(Some(self.signed()?)));
        }
        let word = self.keyword();
        let fixed = match word {
            Some(K::Next) => Some(Direction::Forward(Some(1))),
            Some(K::Prior) => Some(Direction::Backward(Some(1))),
            Some(K::First) => Some(Direction::Absolute(1)),
            Some(K::Last) => Some(Direction::Absolute(-1)),
            Some(K::All) => Some(Direction::Forward(None)),
            Some(K::Absolute | K::Relative | K::Forward | K::Backward) => None,
            _ => return Ok(Direction::Forward(Some(1))),
        };
        self.advance();
        if let Some(direction) = fixed {
            return Ok(direction);
        }
        if matches!(word, Some(K::Absolute | K::Relative)) {
            let count = self.signed()?;
            return Ok(match word {
                Some(K::Absolute) => Direction::Absolute(count),
                _ => Direction::Relative(count),
            });
        }
        let count = if self.take_keyword(K::All) {
            None
        } else if matches!(self.kind(), Kind::Integer | Kind::Plus | Kind::Minus) {
            Some(self.signed()?)
        } else {
            Some(1)
        };
        Ok(if word == Some(K::Forward) { Direction::Forward(count) } else { Direction::Backward(count) })
    }

    fn signed(&mut self) -> Result<i64> {
        let negative = self.take(Kind::Minus);
        if !negative {
            self.take(Kind::Plus);
        }
        let number = i64::from(self.integer()?);
        Ok(if negative { -number } else { number })
    }

    fn lock(&mut self) -> Result<Definition> {
        self.advance();
        self.take_keyword(K::Table);
        let tables = self.list(Self::relation)?;
        let mut mode = "ACCESS EXCLUSIVE".to_owned();
        if self.take_keyword(K::In) {
            let modes: [(&[K], &str); 8] = [
                (&[K::Access, K::Share], "ACCESS SHARE"),
                (&[K::Row, K::Share], "ROW SHARE"),
                (&[K::Row, K::Exclusive], "ROW EXCLUSIVE"),
                (&[K::Share, K::Update, K::Exclusive], "SHARE UPDATE EXCLUSIVE"),
                (&[K::Share, K::Row, K::Exclusive], "SHARE ROW EXCLUSIVE"),
                (&[K::Share], "SHARE"),
                (&[K::Exclusive], "EXCLUSIVE"),
                (&[K::Access, K::Exclusive], "ACCESS EXCLUSIVE"),
            ];
            let found = modes.into_iter().find(|(words, _)| self.take_keywords(words));
            mode = found.ok_or_else(|| self.unexpected())?.1.to_owned();
            self.expect_keyword(K::Mode)?;
        }
        Ok(Definition::Lock { tables, mode, nowait: self.take_keyword(K::Nowait) })
    }

    /// `(verbose, parallel 2)`.
    fn upkeep_options(&mut self) -> Result<Vec<DefinitionOption>> {
        self.in_parens(|parser| {
            parser.list(|parser| {
                let at = parser.here();
                let text = parser.non_reserved_or_analyze()?;
                let value = match parser.kind() {
                    Kind::Comma | Kind::RParen => None,
                    _ => Some(OptionValue::Word(parser.option_value()?)),
                };
                Ok(DefinitionOption { namespace: None, name: Name { text, at }, value })
            })
        })
    }

    fn vacuum(&mut self) -> Result<Definition> {
        let is_analyze = !self.is(K::Vacuum);
        self.advance();
        let mut options = Vec::new();
        if self.kind() == Kind::LParen {
            options = self.upkeep_options()?;
        } else {
            let words: &[K] =
                if is_analyze { &[K::Verbose] } else { &[K::Full, K::Freeze, K::Verbose, K::Analyze] };
            for word in words {
                let at = self.here();
                if self.take_keyword(*word) || (*word == K::Analyze && self.take_keyword(K::Analyse)) {
                    options.push(plain_option(word.word(), None, at));
                }
            }
        }
        let mut tables = Vec::new();
        if !self.at_end() {
            tables = self.list(|parser| Ok((parser.relation()?, parser.names_in_parens()?)))?;
        }
        Ok(Definition::Vacuum { is_analyze, options, tables })
    }

    fn reindex(&mut self) -> Result<Definition> {
        self.advance();
        let mut options = if self.kind() == Kind::LParen { self.upkeep_options()? } else { Vec::new() };
        let kind = match self.keyword() {
            Some(K::Index) => "INDEX",
            Some(K::Table) => "TABLE",
            Some(K::Schema) => "SCHEMA",
            Some(K::System) => "SYSTEM",
            Some(K::Database) => "DATABASE",
            _ => return Err(self.unexpected()),
        };
        self.advance();
        let at = self.here();
        if self.take_keyword(K::Concurrently) {
            options.push(plain_option("concurrently", None, at));
        }
        let may_be_without = matches!(kind, "SYSTEM" | "DATABASE") && self.at_end();
        let name = if may_be_without { None } else { Some(self.qualified_name()?) };
        Ok(Definition::Reindex { kind, name, options })
    }

    fn cluster(&mut self) -> Result<Definition> {
        self.advance();
        let mut options = Vec::new();
        let at = self.here();
        if self.kind() == Kind::LParen {
            options = self.upkeep_options()?;
        } else if self.take_keyword(K::Verbose) {
            options.push(plain_option("verbose", None, at));
        }
        let (mut table, mut index) = (None, None);
        if !self.at_end() {
            table = Some(self.qualified_name()?);
            if self.take_keyword(K::Using) {
                index = Some(self.name()?);
            } else if self.take_keyword(K::On) {
                // The old order: the index first.
                let first = table.replace(self.qualified_name()?);
                index = first.map(|name| Name { text: name.last().to_owned(), at: name.at });
            }
        }
        Ok(Definition::Cluster { table, index, options })
    }

    /// A query that is a table's new rows.
    pub fn inner_query(&mut self) -> Result<Box<Planned>> {
        Ok(Box::new(Planned::Query(self.query()?)))
    }
}

fn plain_option(name: &str, value: Option<&str>, at: u32) -> DefinitionOption {
    DefinitionOption {
        namespace: None,
        name: Name { text: name.to_owned(), at },
        value: value.map(|value| OptionValue::String(value.to_owned())),
    }
}
