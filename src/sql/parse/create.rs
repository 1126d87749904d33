//! `CREATE` of tables, indexes, views, sequences, schemas, roles and databases.

use crate::report::Result;

use super::keywords::Keyword as K;
use super::lexer::Kind;
use super::parser::Parser;
use super::tree::{Expr, Persistence};
use super::tree_ddl::*;

/// The words before what is created.
#[derive(Default)]
struct Prefix {
    replace: bool,
    persistence: Option<Persistence>,
    unique: bool,
    recursive: bool,
}

impl Parser<'_> {
    /// What `CREATE` creates; none if it is not there yet.
    pub fn create(&mut self) -> Result<Option<Definition>> {
        let what = self.created_kind();
        let mapping = self.is_at(1, K::User) && self.is_at(2, K::Mapping);
        if mapping
            || !matches!(
                what,
                Some(
                    K::Table
                        | K::Index
                        | K::Schema
                        | K::Sequence
                        | K::View
                        | K::Materialized
                        | K::Role
                        | K::User
                        | K::Group
                        | K::Database
                )
            )
        {
            return Ok(None);
        }
        self.advance();
        let prefix = self.create_prefix()?;
        let kind = self.keyword();
        self.advance();
        let persistence = prefix.persistence.unwrap_or(Persistence::Permanent);
        Ok(Some(match kind {
            Some(K::Table) => self.create_table(persistence)?,
            Some(K::Index) => self.create_index(prefix.unique)?,
            Some(K::Schema) => self.create_schema()?,
            Some(K::Sequence) => {
                let if_not_exists = self.if_not_exists()?;
                let name = self.qualified_name()?;
                let options = self.sequence_options()?;
                Definition::CreateSequence { name, persistence, if_not_exists, options }
            }
            Some(K::View) => self.create_view(&prefix)?,
            Some(K::Materialized) => {
                self.expect_keyword(K::View)?;
                self.create_materialized(persistence)?
            }
            Some(K::Role) => self.create_role(RoleKind::Role)?,
            Some(K::User) => self.create_role(RoleKind::User)?,
            Some(K::Group) => self.create_role(RoleKind::Group)?,
            _ => {
                let name = self.name()?;
                self.take_keyword(K::With);
                Definition::CreateDatabase { name, options: self.database_options()? }
            }
        }))
    }

    /// The word behind those that may stand between `CREATE` and it.
    fn created_kind(&self) -> Option<K> {
        let mut ahead = 1;
        if self.is_at(1, K::Or) && self.is_at(2, K::Replace) {
            ahead = 3;
        }
        while let Some(
            K::Temp | K::Temporary | K::Unlogged | K::Local | K::Global | K::Unique | K::Recursive,
        ) = self.keyword_at(ahead)
        {
            ahead += 1;
        }
        self.keyword_at(ahead)
    }

    fn create_prefix(&mut self) -> Result<Prefix> {
        let mut prefix = Prefix { replace: self.take_keywords(&[K::Or, K::Replace]), ..Prefix::default() };
        loop {
            match self.keyword() {
                Some(K::Local | K::Global) if matches!(self.keyword_at(1), Some(K::Temp | K::Temporary)) => {}
                Some(K::Temp | K::Temporary) => prefix.persistence = Some(Persistence::Temporary),
                Some(K::Unlogged) => prefix.persistence = Some(Persistence::Unlogged),
                Some(K::Unique) => prefix.unique = true,
                Some(K::Recursive) => prefix.recursive = true,
                _ => break,
            }
            self.advance();
        }
        let fits = match self.keyword() {
            Some(K::Table) => !prefix.replace && !prefix.unique && !prefix.recursive,
            Some(K::Sequence) => !prefix.replace && !prefix.unique && !prefix.recursive,
            Some(K::Index) => !prefix.replace && prefix.persistence.is_none() && !prefix.recursive,
            Some(K::View) => !prefix.unique,
            Some(K::Materialized) => {
                !prefix.replace && !prefix.unique && prefix.persistence != Some(Persistence::Temporary)
            }
            _ => !prefix.replace && !prefix.unique && !prefix.recursive && prefix.persistence.is_none(),
        };
        if fits { Ok(prefix) } else { Err(self.unexpected()) }
    }

    /// `IF NOT EXISTS`, if it is there.
    pub fn if_not_exists(&mut self) -> Result<bool> {
        let found = self.take_keyword(K::If);
        if found {
            self.expect_keywords(&[K::Not, K::Exists])?;
        }
        Ok(found)
    }

    /// `IF EXISTS`, if it is there.
    pub fn if_exists(&mut self) -> Result<bool> {
        let found = self.take_keyword(K::If);
        if found {
            self.expect_keyword(K::Exists)?;
        }
        Ok(found)
    }

    fn create_table(&mut self, persistence: Persistence) -> Result<Definition> {
        let if_not_exists = self.if_not_exists()?;
        let name = self.qualified_name()?;
        let mut table = CreateTable {
            name,
            persistence,
            if_not_exists,
            elements: Vec::new(),
            inherits: Vec::new(),
            of_type: None,
            partition_of: None,
            partition_by: None,
            storage: TableStorage::default(),
        };
        if self.take_keyword(K::Of) {
            table.of_type = Some(self.any_name()?);
            table.elements = self.typed_elements()?;
        } else if self.take_keywords(&[K::Partition, K::Of]) {
            let parent = self.qualified_name()?;
            table.elements = self.typed_elements()?;
            table.partition_of = Some((parent, self.partition_bound()?));
        } else if self.kind() == Kind::LParen && !self.begins_names_of_table_as() {
            self.expect(Kind::LParen)?;
            if self.kind() != Kind::RParen {
                table.elements = self.list(|parser| parser.table_element(false))?;
            }
            self.expect(Kind::RParen)?;
            if self.take_keyword(K::Inherits) {
                table.inherits = self.in_parens(|parser| parser.list(Self::qualified_name))?;
            }
        } else {
            return self.create_table_as(table);
        }
        if self.take_keywords(&[K::Partition, K::By]) {
            let strategy = self.name()?;
            table.partition_by = Some(PartitionBy { strategy, columns: self.index_columns()? });
        }
        table.storage = self.table_storage()?;
        Ok(Definition::CreateTable(table))
    }

    /// `(a, b)` before `AS` names columns; a column has a type behind its name.
    fn begins_names_of_table_as(&self) -> bool {
        self.is_column_name(1) && matches!(self.kind_at(2), Kind::Comma | Kind::RParen)
    }

    fn typed_elements(&mut self) -> Result<Vec<TableElement>> {
        if self.kind() != Kind::LParen {
            return Ok(Vec::new());
        }
        self.in_parens(|parser| parser.list(|parser| parser.table_element(true)))
    }

    /// `DEFAULT`, or `FOR VALUES …`.
    pub fn partition_bound(&mut self) -> Result<PartitionBound> {
        if self.take_keyword(K::Default) {
            return Ok(PartitionBound::Default);
        }
        self.expect_keywords(&[K::For, K::Values])?;
        if self.take_keyword(K::In) {
            return self.in_parens(Self::exprs).map(PartitionBound::In);
        }
        if self.take_keyword(K::From) {
            let from = self.in_parens(Self::exprs)?;
            self.expect_keyword(K::To)?;
            return Ok(PartitionBound::Range(from, self.in_parens(Self::exprs)?));
        }
        self.expect_keyword(K::With)?;
        let parts = self.in_parens(|parser| {
            parser.list(|parser| {
                let name = parser.non_reserved()?;
                Ok((name, parser.integer()?))
            })
        })?;
        Ok(PartitionBound::Hash(parts))
    }

    fn table_storage(&mut self) -> Result<TableStorage> {
        let mut storage = TableStorage::default();
        if self.take_keyword(K::Using) {
            storage.method = Some(self.name()?);
        }
        if self.take_keyword(K::With) {
            storage.options = self.options()?;
        } else if self.is(K::Without) && self.is_at(1, K::Oids) {
            self.advance();
            self.advance();
        }
        if self.take_keywords(&[K::On, K::Commit]) {
            let actions: [(&[K], &str); 3] = [
                (&[K::Drop], "DROP"),
                (&[K::Delete, K::Rows], "DELETE ROWS"),
                (&[K::Preserve, K::Rows], "PRESERVE ROWS"),
            ];
            let found = actions.into_iter().find(|(words, _)| self.take_keywords(words));
            storage.on_commit = Some(found.ok_or_else(|| self.unexpected())?.1);
        }
        if self.take_keyword(K::Tablespace) {
            storage.tablespace = Some(self.name()?);
        }
        Ok(storage)
    }

    fn create_table_as(&mut self, table: CreateTable) -> Result<Definition> {
        let columns = self.names_in_parens()?;
        let storage = self.table_storage()?;
        self.expect_keyword(K::As)?;
        let source = if self.take_keyword(K::Execute) {
            let name = self.name()?.text;
            let args: Vec<Expr> = match self.kind() {
                Kind::LParen => self.in_parens(Self::exprs)?,
                _ => Vec::new(),
            };
            TableSource::Execute(name, args)
        } else {
            TableSource::Planned(self.inner_query()?)
        };
        Ok(Definition::CreateTableAs(CreateTableAs {
            name: table.name,
            persistence: table.persistence,
            materialized_view: false,
            if_not_exists: table.if_not_exists,
            columns,
            storage,
            source,
            with_data: self.with_data()?,
        }))
    }

    fn create_materialized(&mut self, persistence: Persistence) -> Result<Definition> {
        let if_not_exists = self.if_not_exists()?;
        let name = self.qualified_name()?;
        let columns = self.names_in_parens()?;
        let storage = self.table_storage()?;
        self.expect_keyword(K::As)?;
        let source = TableSource::Planned(self.inner_query()?);
        let with_data = self.with_data()?;
        Ok(Definition::CreateTableAs(CreateTableAs {
            name,
            persistence,
            materialized_view: true,
            if_not_exists,
            columns,
            storage,
            source,
            with_data,
        }))
    }

    fn with_data(&mut self) -> Result<bool> {
        if self.take_keywords(&[K::With, K::No]) {
            self.expect_keyword(K::Data)?;
            return Ok(false);
        }
        if self.take_keyword(K::With) {
            self.expect_keyword(K::Data)?;
        }
        Ok(true)
    }

    fn create_index(&mut self, unique: bool) -> Result<Definition> {
        let concurrently = self.take_keyword(K::Concurrently);
        let if_not_exists = self.if_not_exists()?;
        let name = if self.is(K::On) && !if_not_exists { None } else { Some(self.name()?) };
        self.expect_keyword(K::On)?;
        let table = self.relation()?;
        let method = if self.take_keyword(K::Using) { Some(self.name()?) } else { None };
        let columns = self.index_columns()?;
        let mut index = IndexStorage::default();
        if self.take_keyword(K::Include) {
            index.include = self.index_columns()?;
        }
        let nulls_not_distinct = self.take_keywords(&[K::Nulls, K::Not, K::Distinct]);
        if !nulls_not_distinct {
            self.take_keywords(&[K::Nulls, K::Distinct]);
        }
        if self.take_keyword(K::With) {
            index.options = self.options()?;
        }
        if self.take_keyword(K::Tablespace) {
            index.tablespace = Some(self.name()?);
        }
        let filter = self.filter()?;
        Ok(Definition::CreateIndex(CreateIndex {
            name,
            table,
            unique,
            concurrently,
            if_not_exists,
            method,
            columns,
            nulls_not_distinct,
            index,
            filter,
        }))
    }

    fn create_schema(&mut self) -> Result<Definition> {
        let if_not_exists = self.if_not_exists()?;
        let mut name = None;
        if !self.is(K::Authorization) {
            name = Some(self.name()?);
        }
        let owner = if self.take_keyword(K::Authorization) { Some(self.role()?) } else { None };
        let mut elements = Vec::new();
        while !self.at_end() {
            let element = match self.keyword() {
                Some(K::Create) => self.create()?,
                Some(K::Grant) => Some(self.grant()?),
                _ => None,
            };
            elements.push(element.ok_or_else(|| self.unexpected())?);
        }
        Ok(Definition::CreateSchema { name, owner, if_not_exists, elements })
    }

    fn create_view(&mut self, prefix: &Prefix) -> Result<Definition> {
        let name = self.qualified_name()?;
        let columns = self.names_in_parens()?;
        if prefix.recursive && columns.is_empty() {
            return Err(self.unexpected());
        }
        let options = if self.take_keyword(K::With) { self.options()? } else { Vec::new() };
        self.expect_keyword(K::As)?;
        let query = self.query()?;
        let mut check_option = None;
        if self.take_keyword(K::With) {
            check_option = Some(if self.take_keyword(K::Local) {
                "LOCAL"
            } else {
                self.take_keyword(K::Cascaded);
                "CASCADED"
            });
            self.expect_keywords(&[K::Check, K::Option])?;
        }
        Ok(Definition::CreateView(CreateView {
            name,
            replace: prefix.replace,
            recursive: prefix.recursive,
            temporary: prefix.persistence.is_some(),
            columns,
            options,
            query,
            check_option,
        }))
    }

    fn create_role(&mut self, kind: RoleKind) -> Result<Definition> {
        let name = self.role()?;
        self.take_keyword(K::With);
        Ok(Definition::CreateRole { kind, name, options: self.role_options()? })
    }
}
