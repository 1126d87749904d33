//! Columns and constraints of tables.

use crate::report::{Result, SqlState};

use super::keywords::Keyword as K;
use super::lexer::Kind;
use super::parser::Parser;
use super::tree::{Expr, Name};
use super::tree_ddl::*;

impl Parser<'_> {
    /// A column, a constraint, or `LIKE`. In a table of a type, columns have no types.
    pub fn table_element(&mut self, typed: bool) -> Result<TableElement> {
        match self.keyword() {
            Some(K::Constraint | K::Check | K::Unique | K::Primary | K::Foreign) => {
                self.table_constraint().map(TableElement::Constraint)
            }
            Some(K::Not) if self.is_at(1, K::Null) => self.table_constraint().map(TableElement::Constraint),
            Some(K::Exclude) if self.kind_at(1) == Kind::LParen || self.is_at(1, K::Using) => {
                self.table_constraint().map(TableElement::Constraint)
            }
            Some(K::Like) if !typed => {
                self.advance();
                let table = self.qualified_name()?;
                let mut options = Vec::new();
                while let Some(word @ (K::Including | K::Excluding)) = self.keyword() {
                    self.advance();
                    options.push((word == K::Including, self.label()?));
                }
                Ok(TableElement::Like { table, options })
            }
            _ => self.column_definition(typed).map(TableElement::Column),
        }
    }

    /// `name type constraints`; with `OPTIONS` instead of a type in a table of a type.
    pub fn column_definition(&mut self, typed: bool) -> Result<ColumnDefinition> {
        let name = self.name()?;
        let mut ty = None;
        if typed {
            if self.take_keyword(K::With) {
                self.expect_keyword(K::Options)?;
            }
        } else {
            ty = Some(self.type_name()?);
        }
        let mut column = ColumnDefinition {
            name,
            ty,
            storage: None,
            compression: None,
            collation: None,
            constraints: Vec::new(),
        };
        if self.take_keyword(K::Storage) {
            column.storage = Some(self.label()?);
        }
        if self.take_keyword(K::Compression) {
            column.compression = Some(self.label()?);
        }
        self.column_constraints(&mut column)?;
        Ok(column)
    }

    fn column_constraints(&mut self, column: &mut ColumnDefinition) -> Result<()> {
        loop {
            if self.take_keyword(K::Collate) {
                let at = self.here();
                if column.collation.is_some() {
                    return Err(self.error(
                        at,
                        SqlState::SYNTAX_ERROR,
                        "multiple COLLATE clauses not allowed",
                    ));
                }
                column.collation = Some(self.any_name()?);
                continue;
            }
            let at = self.here();
            let name = if self.take_keyword(K::Constraint) { Some(self.name()?) } else { None };
            let Some(kind) = self.column_constraint()? else {
                if name.is_some() {
                    return Err(self.unexpected());
                }
                return Ok(());
            };
            let mut constraint = Constraint { name, kind, attributes: Vec::new(), at };
            constraint.attributes = self.constraint_attributes(false)?;
            column.constraints.push(constraint);
        }
    }

    fn column_constraint(&mut self) -> Result<Option<ConstraintKind>> {
        Ok(Some(match self.keyword() {
            Some(K::Null) => {
                self.advance();
                ConstraintKind::Null
            }
            Some(K::Not) if self.is_at(1, K::Null) => {
                self.advance();
                self.advance();
                ConstraintKind::NotNull(None)
            }
            Some(K::Unique) => {
                self.advance();
                let nulls_not_distinct = self.nulls_not_distinct()?;
                let index = self.index_storage(false)?;
                ConstraintKind::Unique(UniqueKey { nulls_not_distinct, index, ..UniqueKey::default() })
            }
            Some(K::Primary) => {
                self.advance();
                self.expect_keyword(K::Key)?;
                let index = self.index_storage(false)?;
                ConstraintKind::PrimaryKey(UniqueKey { index, ..UniqueKey::default() })
            }
            Some(K::Check) => {
                self.advance();
                ConstraintKind::Check(self.in_parens(Self::expr)?)
            }
            Some(K::Default) => {
                self.advance();
                ConstraintKind::Default(self.plain_expr()?)
            }
            Some(K::Generated) => self.generated()?,
            Some(K::References) => ConstraintKind::ForeignKey(self.references(Vec::new(), false)?),
            Some(K::Deferrable | K::Initially | K::Enforced) => ConstraintKind::Attributes,
            Some(K::Not) => {
                if !matches!(self.keyword_at(1), Some(K::Deferrable | K::Enforced)) {
                    self.advance();
                    return Err(self.unexpected());
                }
                ConstraintKind::Attributes
            }
            _ => return Ok(None),
        }))
    }

    fn nulls_not_distinct(&mut self) -> Result<bool> {
        if !self.take_keyword(K::Nulls) {
            return Ok(false);
        }
        let not = self.take_keyword(K::Not);
        self.expect_keyword(K::Distinct)?;
        Ok(not)
    }

    /// `[INCLUDE (…)] [WITH (…)] [USING INDEX TABLESPACE …]`.
    fn index_storage(&mut self, include: bool) -> Result<IndexStorage> {
        let mut storage = IndexStorage::default();
        if include && self.take_keyword(K::Include) {
            storage.include = self.index_columns()?;
        }
        if self.is(K::With) && self.kind_at(1) == Kind::LParen {
            self.advance();
            storage.options = self.options()?;
        }
        if self.take_keywords(&[K::Using, K::Index]) {
            self.expect_keyword(K::Tablespace)?;
            storage.tablespace = Some(self.name()?);
        }
        Ok(storage)
    }

    /// `GENERATED ALWAYS AS (…) STORED` and `GENERATED … AS IDENTITY`.
    fn generated(&mut self) -> Result<ConstraintKind> {
        let (always, at) = self.generated_when()?;
        self.expect_keyword(K::As)?;
        if self.take_keyword(K::Identity) {
            return Ok(ConstraintKind::Identity(always, self.sequence_options_in_parens()?));
        }
        let expr = self.in_parens(Self::expr)?;
        let stored = self.take_keyword(K::Stored);
        if !stored {
            self.take_keyword(K::Virtual);
        }
        if !always {
            let message = "for a generated column, GENERATED ALWAYS must be specified";
            return Err(self.error(at, SqlState::SYNTAX_ERROR, message));
        }
        Ok(ConstraintKind::Generated(expr, stored))
    }

    /// `GENERATED ALWAYS`, the flag, or `GENERATED BY DEFAULT`.
    pub fn generated_when(&mut self) -> Result<(bool, u32)> {
        self.expect_keyword(K::Generated)?;
        let at = self.here();
        let always = self.take_keyword(K::Always);
        if !always {
            self.expect_keywords(&[K::By, K::Default])?;
        }
        Ok((always, at))
    }

    /// The sequence behind an identity column.
    pub fn sequence_options_in_parens(&mut self) -> Result<Vec<SequenceOption>> {
        if self.kind() != Kind::LParen {
            return Ok(Vec::new());
        }
        self.in_parens(|parser| {
            let options = parser.sequence_options()?;
            if options.is_empty() { Err(parser.unexpected()) } else { Ok(options) }
        })
    }

    fn references(&mut self, columns: Vec<Name>, period: bool) -> Result<ForeignKey> {
        self.expect_keyword(K::References)?;
        let table = self.qualified_name()?;
        let referenced = match self.kind() {
            Kind::LParen => self.key_columns(K::Period)?.0,
            _ => Vec::new(),
        };
        let mut key = ForeignKey {
            columns,
            table,
            referenced,
            period,
            matching: None,
            on_delete: None,
            on_update: None,
        };
        if self.take_keyword(K::Match) {
            key.matching = Some(match self.keyword() {
                Some(K::Full) => "FULL",
                Some(K::Partial) => return self.not_supported(self.here(), "MATCH PARTIAL"),
                Some(K::Simple) => "SIMPLE",
                _ => return Err(self.unexpected()),
            });
            self.advance();
        }
        while self.take_keyword(K::On) {
            let on_delete = self.take_keyword(K::Delete);
            if !on_delete {
                self.expect_keyword(K::Update)?;
            }
            let action = Some(self.referential_action()?);
            let slot = if on_delete { &mut key.on_delete } else { &mut key.on_update };
            if slot.is_some() {
                return Err(self.unexpected());
            }
            *slot = action;
        }
        Ok(key)
    }

    fn referential_action(&mut self) -> Result<(ReferentialAction, Vec<Name>)> {
        let plain: [(&[K], ReferentialAction); 3] = [
            (&[K::No, K::Action], ReferentialAction::NoAction),
            (&[K::Restrict], ReferentialAction::Restrict),
            (&[K::Cascade], ReferentialAction::Cascade),
        ];
        if let Some((_, action)) = plain.into_iter().find(|(words, _)| self.take_keywords(words)) {
            return Ok((action, Vec::new()));
        }
        self.expect_keyword(K::Set)?;
        let action = if self.take_keyword(K::Null) {
            ReferentialAction::SetNull
        } else {
            self.expect_keyword(K::Default)?;
            ReferentialAction::SetDefault
        };
        Ok((action, self.names_in_parens()?))
    }

    /// `(a, b)`, the last with a word before it perhaps.
    fn key_columns(&mut self, special: K) -> Result<(Vec<Name>, bool)> {
        self.in_parens(|parser| {
            let mut found = false;
            let names = parser.list(|parser| {
                found = parser.is(special) && parser.is_column_name(1);
                if found {
                    parser.advance();
                }
                parser.name()
            })?;
            Ok((names, found))
        })
    }

    /// A constraint that stands apart from the columns.
    pub fn table_constraint(&mut self) -> Result<Constraint> {
        let at = self.here();
        let name = if self.take_keyword(K::Constraint) { Some(self.name()?) } else { None };
        let kind = match self.keyword() {
            Some(K::Check) => {
                self.advance();
                ConstraintKind::Check(self.in_parens(Self::expr)?)
            }
            Some(K::Not) => {
                self.advance();
                self.expect_keyword(K::Null)?;
                ConstraintKind::NotNull(Some(self.name()?))
            }
            Some(K::Unique) => {
                self.advance();
                ConstraintKind::Unique(self.unique_key(true)?)
            }
            Some(K::Primary) => {
                self.advance();
                self.expect_keyword(K::Key)?;
                ConstraintKind::PrimaryKey(self.unique_key(false)?)
            }
            Some(K::Foreign) => {
                self.advance();
                self.expect_keyword(K::Key)?;
                let (columns, period) = self.key_columns(K::Period)?;
                ConstraintKind::ForeignKey(self.references(columns, period)?)
            }
            Some(K::Exclude) => self.exclude()?,
            _ => return Err(self.unexpected()),
        };
        let attributes = self.constraint_attributes(true)?;
        Ok(Constraint { name, kind, attributes, at })
    }

    fn unique_key(&mut self, nulls: bool) -> Result<UniqueKey> {
        if self.take_keywords(&[K::Using, K::Index]) {
            return Ok(UniqueKey { using_index: Some(self.name()?), ..UniqueKey::default() });
        }
        let nulls_not_distinct = nulls && self.nulls_not_distinct()?;
        let mut key = UniqueKey { nulls_not_distinct, ..UniqueKey::default() };
        self.expect(Kind::LParen)?;
        key.columns = self.names()?;
        key.without_overlaps = self.take_keywords(&[K::Without, K::Overlaps]);
        self.expect(Kind::RParen)?;
        key.index = self.index_storage(true)?;
        Ok(key)
    }

    fn exclude(&mut self) -> Result<ConstraintKind> {
        self.advance();
        let method = if self.take_keyword(K::Using) { Some(self.name()?) } else { None };
        let elements = self.in_parens(|parser| {
            parser.list(|parser| {
                let column = parser.index_column()?;
                parser.expect_keyword(K::With)?;
                let operator = parser.operator_or_call()?;
                Ok((column, operator))
            })
        })?;
        let index = self.index_storage(true)?;
        let filter: Option<Expr> = match self.take_keyword(K::Where) {
            true => Some(self.in_parens(Self::expr)?),
            false => None,
        };
        Ok(ConstraintKind::Exclude { method, elements, index, filter })
    }

    fn operator_or_call(&mut self) -> Result<ExcludeOperator> {
        if self.is(K::Operator) {
            let op = self.operator()?;
            return Ok(ExcludeOperator { schema: op.schema, name: op.name });
        }
        let (schema, name) = self.operator_parts()?;
        Ok(ExcludeOperator { schema, name })
    }

    /// `DEFERRABLE`, `INITIALLY DEFERRED`, `NOT VALID` and their kin.
    pub fn constraint_attributes(&mut self, of_table: bool) -> Result<Vec<ConstraintAttribute>> {
        use ConstraintAttribute as A;
        let known: [(&[K], A); 8] = [
            (&[K::Not, K::Deferrable], A::Deferrable(false)),
            (&[K::Deferrable], A::Deferrable(true)),
            (&[K::Initially, K::Deferred], A::Deferred(true)),
            (&[K::Initially, K::Immediate], A::Deferred(false)),
            (&[K::Not, K::Enforced], A::Enforced(false)),
            (&[K::Enforced], A::Enforced(true)),
            (&[K::Not, K::Valid], A::NotValid),
            (&[K::No, K::Inherit], A::NoInherit),
        ];
        let mut attributes = Vec::new();
        // A column's constraint holds for the rows that are there.
        let fits = |attribute: &A| of_table || *attribute != A::NotValid;
        let known = known.iter().filter(|(_, attribute)| fits(attribute));
        while let Some((_, attribute)) = known.clone().find(|(words, _)| self.take_keywords(words)) {
            attributes.push(*attribute);
        }
        Ok(attributes)
    }
}
