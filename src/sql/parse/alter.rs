//! `ALTER` of relations, roles and databases.

use crate::report::Result;

use super::keywords::Keyword as K;
use super::lexer::Kind;
use super::parser::Parser;
use super::tree::Relation;
use super::tree_ddl::*;

impl Parser<'_> {
    /// What `ALTER` changes; none if it is not there yet.
    pub fn alter(&mut self) -> Result<Option<Definition>> {
        let (object, words) = match (self.keyword_at(1), self.keyword_at(2)) {
            (Some(K::Table), _) => ("TABLE", 2),
            (Some(K::Index), _) => ("INDEX", 2),
            (Some(K::Sequence), _) => ("SEQUENCE", 2),
            (Some(K::View), _) => ("VIEW", 2),
            (Some(K::Materialized), Some(K::View)) => ("MATERIALIZED VIEW", 3),
            (Some(K::Schema), _) => ("SCHEMA", 2),
            (Some(K::Role | K::User), other) if other != Some(K::Mapping) => {
                return self.alter_role().map(Some);
            }
            (Some(K::Database), _) => return self.alter_database().map(Some),
            _ => return Ok(None),
        };
        (0..words).for_each(|_| self.advance());
        if self.is(K::All) && self.is_at(1, K::In) {
            return self.not_supported(self.here(), "ALTER … ALL IN TABLESPACE").map(Some);
        }
        let if_exists = self.if_exists()?;
        let relation = match object {
            "TABLE" => self.relation()?,
            _ => Relation { name: self.qualified_name()?, only: false },
        };
        let actions = match object {
            "SEQUENCE" => self.alter_sequence()?,
            _ => self.alter_actions()?,
        };
        Ok(Some(Definition::Alter(Alter { object: Object(object), relation, if_exists, actions })))
    }

    fn alter_sequence(&mut self) -> Result<Vec<AlterAction>> {
        let options = self.sequence_options()?;
        if options.is_empty() {
            return self.alter_actions();
        }
        Ok(vec![AlterAction::SequenceOptions(options)])
    }

    fn alter_actions(&mut self) -> Result<Vec<AlterAction>> {
        if self.take_keyword(K::Rename) {
            return self.rename().map(|action| vec![action]);
        }
        if self.take_keywords(&[K::Set, K::Schema]) {
            return Ok(vec![AlterAction::SetSchema(self.name()?)]);
        }
        if self.take_keywords(&[K::Attach, K::Partition]) {
            let name = self.qualified_name()?;
            let bound = if self.at_end() { None } else { Some(self.partition_bound()?) };
            return Ok(vec![AlterAction::AttachPartition(name, bound)]);
        }
        if self.take_keywords(&[K::Detach, K::Partition]) {
            let name = self.qualified_name()?;
            let concurrently = self.take_keyword(K::Concurrently);
            let finalize = !concurrently && self.take_keyword(K::Finalize);
            return Ok(vec![AlterAction::DetachPartition { name, concurrently, finalize }]);
        }
        self.list(Self::alter_action)
    }

    fn rename(&mut self) -> Result<AlterAction> {
        if self.take_keyword(K::To) {
            return Ok(AlterAction::Rename(self.name()?));
        }
        if self.take_keyword(K::Constraint) {
            let name = self.name()?;
            self.expect_keyword(K::To)?;
            return Ok(AlterAction::RenameConstraint(name, self.name()?));
        }
        self.take_keyword(K::Column);
        let name = self.name()?;
        self.expect_keyword(K::To)?;
        Ok(AlterAction::RenameColumn(name, self.name()?))
    }

    fn alter_action(&mut self) -> Result<AlterAction> {
        let (word, start) = (self.keyword(), self.index());
        self.advance();
        Ok(match word {
            Some(K::Add) => return self.alter_add(),
            Some(K::Drop) => return self.alter_drop(),
            Some(K::Alter) => return self.alter_column(),
            Some(K::Validate) => {
                self.expect_keyword(K::Constraint)?;
                AlterAction::ValidateConstraint(self.name()?)
            }
            Some(K::Set) => return self.alter_set(),
            Some(K::Reset) => AlterAction::ResetOptions(self.options()?),
            Some(K::Owner) => {
                self.expect_keyword(K::To)?;
                AlterAction::Owner(self.role()?)
            }
            Some(K::Inherit) => AlterAction::Inherit(self.qualified_name()?, true),
            Some(K::Of) => AlterAction::OfType(Some(self.any_name()?)),
            Some(K::Not) => {
                self.expect_keyword(K::Of)?;
                AlterAction::OfType(None)
            }
            Some(K::Replica) => {
                self.expect_keyword(K::Identity)?;
                if self.take_keyword(K::Using) {
                    self.expect_keyword(K::Index)?;
                    AlterAction::ReplicaIdentity("index".to_owned(), Some(self.name()?))
                } else {
                    match self.keyword() {
                        Some(K::Nothing | K::Full | K::Default) => {}
                        _ => return Err(self.unexpected()),
                    }
                    AlterAction::ReplicaIdentity(self.label()?.text, None)
                }
            }
            Some(K::Cluster) => {
                self.expect_keyword(K::On)?;
                AlterAction::ClusterOn(Some(self.name()?))
            }
            Some(K::Force) => self.row_security("FORCE")?,
            Some(K::No) if self.is(K::Force) => {
                self.advance();
                self.row_security("NO FORCE")?
            }
            Some(K::No) => {
                self.expect_keyword(K::Inherit)?;
                AlterAction::Inherit(self.qualified_name()?, false)
            }
            Some(K::Enable) if self.is(K::Row) => self.row_security("ENABLE")?,
            Some(K::Disable) if self.is(K::Row) => self.row_security("DISABLE")?,
            Some(K::Enable | K::Disable) => return self.alter_trigger(word == Some(K::Enable)),
            _ => return Err(self.unexpected_at(start)),
        })
    }

    fn row_security(&mut self, what: &'static str) -> Result<AlterAction> {
        self.expect_keywords(&[K::Row, K::Level, K::Security])?;
        Ok(AlterAction::RowSecurity(what))
    }

    fn alter_trigger(&mut self, enable: bool) -> Result<AlterAction> {
        let mut words = if enable { "enable" } else { "disable" }.to_owned();
        if enable && matches!(self.keyword(), Some(K::Always | K::Replica)) {
            words = format!("{words} {}", self.label()?.text);
        }
        match self.keyword() {
            Some(K::Trigger | K::Rule) => words = format!("{words} {}", self.label()?.text),
            _ => return Err(self.unexpected()),
        }
        let all = matches!(self.keyword(), Some(K::All | K::User));
        if all {
            words = format!("{words} {}", self.label()?.text);
        }
        Ok(AlterAction::Trigger(words, if all { None } else { Some(self.name()?) }))
    }

    fn alter_add(&mut self) -> Result<AlterAction> {
        let is_constraint =
            matches!(
                self.keyword(),
                Some(K::Constraint | K::Check | K::Unique | K::Primary | K::Foreign | K::Exclude | K::Not)
            ) && !(self.is(K::Exclude) && self.kind_at(1) != Kind::LParen && !self.is_at(1, K::Using));
        if is_constraint {
            return self.table_constraint().map(AlterAction::AddConstraint);
        }
        self.take_keyword(K::Column);
        let if_not_exists = self.if_not_exists()?;
        Ok(AlterAction::AddColumn { column: self.column_definition(false)?, if_not_exists })
    }

    fn alter_drop(&mut self) -> Result<AlterAction> {
        let constraint = self.take_keyword(K::Constraint);
        if !constraint {
            self.take_keyword(K::Column);
        }
        let if_exists = self.if_exists()?;
        let name = self.name()?;
        let cascade = self.drop_behavior();
        Ok(match constraint {
            true => AlterAction::DropConstraint { name, if_exists, cascade },
            false => AlterAction::DropColumn { name, if_exists, cascade },
        })
    }

    fn alter_set(&mut self) -> Result<AlterAction> {
        Ok(match self.keyword() {
            Some(K::Tablespace) => {
                self.advance();
                AlterAction::SetTablespace(self.name()?)
            }
            Some(K::Logged | K::Unlogged) => {
                let logged = self.is(K::Logged);
                self.advance();
                AlterAction::SetLogged(logged)
            }
            Some(K::Without) => {
                self.advance();
                if self.take_keyword(K::Cluster) {
                    return Ok(AlterAction::ClusterOn(None));
                }
                self.expect_keyword(K::Oids)?;
                AlterAction::SetOptions(Vec::new())
            }
            Some(K::Access) => {
                self.advance();
                self.expect_keyword(K::Method)?;
                let method = if self.take_keyword(K::Default) { None } else { Some(self.name()?) };
                AlterAction::SetMethod(method)
            }
            _ => AlterAction::SetOptions(self.options()?),
        })
    }

    /// `ALTER COLUMN` and `ALTER CONSTRAINT`.
    fn alter_column(&mut self) -> Result<AlterAction> {
        if self.take_keyword(K::Constraint) {
            let name = self.name()?;
            let mut inherit = None;
            if self.take_keyword(K::Inherit) {
                inherit = Some(true);
            }
            let attributes = self.constraint_attributes(true)?;
            return Ok(AlterAction::AlterConstraint { name, attributes, inherit });
        }
        self.take_keyword(K::Column);
        let name = match self.kind() {
            // An index's columns are known by number.
            Kind::Integer => {
                let at = self.here();
                super::tree::Name { text: self.integer()?.to_string(), at }
            }
            _ => self.name()?,
        };
        let change = self.column_change()?;
        Ok(AlterAction::AlterColumn { name, change })
    }

    fn column_change(&mut self) -> Result<ColumnChange> {
        let (word, start) = (self.keyword(), self.index());
        self.advance();
        match word {
            Some(K::Set) => self.column_set(),
            Some(K::Drop) => {
                if self.take_keyword(K::Default) {
                    return Ok(ColumnChange::DropDefault);
                }
                if self.take_keywords(&[K::Not, K::Null]) {
                    return Ok(ColumnChange::DropNotNull);
                }
                let identity = self.take_keyword(K::Identity);
                if !identity {
                    self.expect_keyword(K::Expression)?;
                }
                let if_exists = self.if_exists()?;
                Ok(match identity {
                    true => ColumnChange::DropIdentity { if_exists },
                    false => ColumnChange::DropExpression { if_exists },
                })
            }
            Some(K::Type) => self.column_type_change(),
            Some(K::Reset) => self.options().map(ColumnChange::ResetOptions),
            Some(K::Restart) => self.identity_changes(true),
            Some(K::Add) => {
                let (always, _) = self.generated_when()?;
                self.expect_keywords(&[K::As, K::Identity])?;
                Ok(ColumnChange::AddIdentity(always, self.sequence_options_in_parens()?))
            }
            _ => Err(self.unexpected_at(start)),
        }
    }

    fn column_type_change(&mut self) -> Result<ColumnChange> {
        let ty = self.type_name()?;
        let collation = if self.take_keyword(K::Collate) { Some(self.any_name()?) } else { None };
        let using = if self.take_keyword(K::Using) { Some(self.expr()?) } else { None };
        Ok(ColumnChange::Type { ty, collation, using })
    }

    fn column_set(&mut self) -> Result<ColumnChange> {
        Ok(match self.keyword() {
            Some(K::Default) => {
                self.advance();
                ColumnChange::SetDefault(self.expr()?)
            }
            Some(K::Not) => {
                self.advance();
                self.expect_keyword(K::Null)?;
                ColumnChange::SetNotNull
            }
            Some(K::Expression) => {
                self.advance();
                self.expect_keyword(K::As)?;
                ColumnChange::SetExpression(self.in_parens(Self::expr)?)
            }
            Some(K::Statistics) => {
                self.advance();
                let negative = self.take(Kind::Minus);
                if self.take_keyword(K::Default) {
                    return Ok(ColumnChange::SetStatistics(-1));
                }
                let number = self.integer()?;
                ColumnChange::SetStatistics(if negative { -number } else { number })
            }
            Some(K::Storage) => {
                self.advance();
                ColumnChange::SetStorage(self.label()?)
            }
            Some(K::Compression) => {
                self.advance();
                ColumnChange::SetCompression(self.label()?)
            }
            Some(K::Data) => {
                self.advance();
                self.expect_keyword(K::Type)?;
                return self.column_type_change();
            }
            Some(K::Generated) => {
                let (always, _) = self.generated_when()?;
                ColumnChange::SetIdentity(Vec::new(), Some(always))
            }
            _ if self.kind() == Kind::LParen => ColumnChange::SetOptions(self.options()?),
            _ => return self.identity_changes(false),
        })
    }

    /// `SET INCREMENT BY 2 RESTART` of an identity column; the first word is over.
    fn identity_changes(&mut self, restart: bool) -> Result<ColumnChange> {
        let mut options = Vec::new();
        if restart {
            let given = self.take_keyword(K::With) || self.kind() == Kind::Integer;
            let value = if given { Some(self.word_or_value()?) } else { None };
            options.push(SequenceOption::Restart(value));
        } else {
            let found = self.sequence_options()?;
            if found.is_empty() {
                return Err(self.unexpected());
            }
            options.extend(found);
        }
        while self.take_keyword(K::Set) {
            options.extend(self.sequence_options()?);
        }
        Ok(ColumnChange::SetIdentity(options, None))
    }

    fn alter_role(&mut self) -> Result<Definition> {
        self.advance();
        self.advance();
        let all = self.take_keyword(K::All);
        let name = if all { None } else { Some(self.role()?) };
        if all || matches!(self.keyword(), Some(K::In | K::Set | K::Reset)) {
            let mut database = None;
            if self.take_keywords(&[K::In, K::Database]) {
                database = Some(self.name()?);
            }
            return self.alter_setting(name.or_else(|| Some("all".to_owned())), database);
        }
        let name = name.unwrap_or_default();
        if self.take_keywords(&[K::Rename, K::To]) {
            let new = self.name()?;
            let relation =
                Relation { name: super::tree::QualifiedName { parts: vec![name], at: new.at }, only: false };
            let actions = vec![AlterAction::Rename(new)];
            return Ok(Definition::Alter(Alter {
                object: Object("ROLE"),
                relation,
                if_exists: false,
                actions,
            }));
        }
        self.take_keyword(K::With);
        Ok(Definition::AlterRole { name, options: self.role_options()? })
    }

    /// `SET x TO y` or `RESET x` for a role's or database's sessions.
    fn alter_setting(
        &mut self,
        role: Option<String>,
        database: Option<super::tree::Name>,
    ) -> Result<Definition> {
        if self.take_keyword(K::Reset) {
            let name = self.all_or_setting()?;
            return Ok(Definition::AlterSetting { role, database, name, value: None });
        }
        self.expect_keyword(K::Set)?;
        let (name, value) = self.assignment()?;
        Ok(Definition::AlterSetting { role, database, name: Some(name), value })
    }

    fn alter_database(&mut self) -> Result<Definition> {
        self.advance();
        self.advance();
        let name = self.name()?;
        if matches!(self.keyword(), Some(K::Reset)) || (self.is(K::Set) && !self.is_at(1, K::Tablespace)) {
            return self.alter_setting(None, Some(name));
        }
        if matches!(self.keyword(), Some(K::Rename | K::Owner | K::Set)) {
            let relation = Relation {
                name: super::tree::QualifiedName { parts: vec![name.text], at: name.at },
                only: false,
            };
            let actions = self.alter_actions()?;
            return Ok(Definition::Alter(Alter {
                object: Object("DATABASE"),
                relation,
                if_exists: false,
                actions,
            }));
        }
        self.take_keyword(K::With);
        Ok(Definition::AlterDatabase { name, options: self.database_options()? })
    }
}
