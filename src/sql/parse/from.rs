//! Items of `FROM` and their joins.

use crate::report::{Result, SqlState};

use super::keywords::Keyword as K;
use super::lexer::Kind;
use super::parser::Parser;
use super::tree::*;

/// What parentheses in `FROM` hold.
enum Parens {
    Query(Query),
    Item(FromItem),
}

impl Parser<'_> {
    /// An item with its joins.
    pub fn table_item(&mut self) -> Result<FromItem> {
        self.nested(|parser| {
            let left = parser.table_primary()?;
            parser.joins(left)
        })
    }

    /// The joins behind an item.
    fn joins(&mut self, mut left: FromItem) -> Result<FromItem> {
        while let Some((kind, natural, cross)) = self.join_kind()? {
            self.taller()?;
            // A condition follows the right side, whose own joins stand before it.
            let right = if natural || cross { self.nested(Self::table_primary)? } else { self.table_item()? };
            let condition = if natural {
                JoinCondition::Natural
            } else if cross {
                JoinCondition::None
            } else {
                self.join_condition()?
            };
            let at = left.at;
            let join = Join { kind, left, right, condition };
            left = FromItem { kind: FromKind::Join(Box::new(join)), alias: None, at };
        }
        Ok(left)
    }

    /// The words of a join; the flags for `NATURAL` and `CROSS`.
    fn join_kind(&mut self) -> Result<Option<(JoinKind, bool, bool)>> {
        if self.take_keyword(K::Cross) {
            self.expect_keyword(K::Join)?;
            return Ok(Some((JoinKind::Inner, false, true)));
        }
        let natural = self.take_keyword(K::Natural);
        let kind = match self.keyword() {
            Some(K::Join) => JoinKind::Inner,
            Some(K::Inner) => {
                self.advance();
                JoinKind::Inner
            }
            Some(outer @ (K::Left | K::Right | K::Full)) => {
                self.advance();
                self.take_keyword(K::Outer);
                match outer {
                    K::Left => JoinKind::Left,
                    K::Right => JoinKind::Right,
                    _ => JoinKind::Full,
                }
            }
            _ if natural => return Err(self.unexpected()),
            _ => return Ok(None),
        };
        self.expect_keyword(K::Join)?;
        Ok(Some((kind, natural, false)))
    }

    fn join_condition(&mut self) -> Result<JoinCondition> {
        if self.take_keyword(K::Using) {
            let names = self.in_parens(Self::names)?;
            let alias = if self.take_keyword(K::As) { Some(self.name()?) } else { None };
            return Ok(JoinCondition::Using(names, alias));
        }
        self.expect_keyword(K::On)?;
        self.expr().map(JoinCondition::On)
    }

    fn table_primary(&mut self) -> Result<FromItem> {
        let at = self.here();
        let lateral = self.take_keyword(K::Lateral);
        if self.kind() == Kind::LParen {
            return match self.joined_in_parens()? {
                Parens::Query(query) => self.derived(query, lateral, at),
                Parens::Item(_) if lateral => Err(self.unexpected()),
                Parens::Item(item) => self.aliased_join(item),
            };
        }
        if self.is(K::Rows) && self.is_at(1, K::From) && self.kind_at(2) == Kind::LParen {
            return self.rows_from(lateral, at);
        }
        if self.is_document_table() {
            return self.not_supported(at, &self.token_text(0).to_uppercase());
        }
        if lateral || self.begins_from_function() {
            let function = self.table_call()?;
            return self.table_function(vec![(function, Vec::new())], false, lateral, at);
        }
        self.table_or_function(at)
    }

    /// A query as a table.
    fn derived(&mut self, query: Query, lateral: bool, at: u32) -> Result<FromItem> {
        let alias = self.alias()?;
        Ok(FromItem { kind: FromKind::Query { query: Box::new(query), lateral }, alias, at })
    }

    /// A join in parentheses may have a name.
    fn aliased_join(&mut self, mut item: FromItem) -> Result<FromItem> {
        if self.is(K::As) || self.is_column_name(0) {
            if !matches!(item.kind, FromKind::Join(_)) || item.alias.is_some() {
                return Err(self.unexpected());
            }
            item.alias = self.alias()?;
        }
        Ok(item)
    }

    /// Parentheses with a query, or with a join. As with expressions, the inner pair's end says what `((` begins.
    fn joined_in_parens(&mut self) -> Result<Parens> {
        self.nested(|parser| {
            parser.expect(Kind::LParen)?;
            let at = parser.here();
            if parser.begins_query() {
                return parser.closed(Self::query).map(Parens::Query);
            }
            if parser.kind() != Kind::LParen {
                let item = parser.table_item()?;
                return parser.closed_join(item);
            }
            let item = match parser.joined_in_parens()? {
                Parens::Query(query) if parser.continues_query() || parser.kind() == Kind::RParen => {
                    let query = parser.query_behind(query)?;
                    parser.expect(Kind::RParen)?;
                    return Ok(Parens::Query(query));
                }
                Parens::Query(query) => parser.derived(query, false, at)?,
                Parens::Item(item) => parser.aliased_join(item)?,
            };
            let item = parser.joins(item)?;
            parser.closed_join(item)
        })
    }

    fn closed_join(&mut self, item: FromItem) -> Result<Parens> {
        // `(t)` is no table: parentheses are for joins.
        if !matches!(item.kind, FromKind::Join(_)) {
            return Err(self.unexpected());
        }
        self.expect(Kind::RParen)?;
        Ok(Parens::Item(item))
    }

    /// `[AS] name [(columns)]`, if it is there.
    fn alias(&mut self) -> Result<Option<Alias>> {
        if !self.take_keyword(K::As) && !self.is_column_name(0) {
            return Ok(None);
        }
        let name = self.name()?;
        Ok(Some(Alias { name, columns: self.names_in_parens()? }))
    }

    /// A table's name: `ONLY name`, `ONLY (name)`, `name *`.
    pub fn relation(&mut self) -> Result<Relation> {
        if self.take_keyword(K::Only) {
            let name = match self.kind() {
                Kind::LParen => self.in_parens(Self::qualified_name)?,
                _ => self.qualified_name()?,
            };
            return Ok(Relation { name, only: true });
        }
        let name = self.qualified_name()?;
        self.take(Kind::Star);
        Ok(Relation { name, only: false })
    }

    fn table_or_function(&mut self, at: u32) -> Result<FromItem> {
        if self.is(K::Only) {
            let relation = self.relation()?;
            return self.table(relation, at);
        }
        if self.is_function_name(0) && !self.is_column_name(0) {
            // Words that name functions only.
            let first = self.label()?.text;
            let function = self.table_call_of(vec![first], at)?;
            return self.table_function(vec![(function, Vec::new())], false, false, at);
        }
        let callable = self.is_function_name(0) || self.kind_at(1) == Kind::Dot;
        let name = self.qualified_name()?;
        if self.kind() == Kind::LParen && callable {
            let function = self.table_call_of(name.parts, at)?;
            return self.table_function(vec![(function, Vec::new())], false, false, at);
        }
        self.take(Kind::Star);
        self.table(Relation { name, only: false }, at)
    }

    fn table(&mut self, relation: Relation, at: u32) -> Result<FromItem> {
        let alias = self.alias()?;
        let mut sample = None;
        if self.take_keyword(K::Tablesample) {
            let first = self.label()?;
            let method = self.name_parts(first)?;
            let args = self.in_parens(Self::exprs)?;
            let repeatable = match self.take_keyword(K::Repeatable) {
                true => Some(self.in_parens(Self::expr)?),
                false => None,
            };
            sample = Some(Box::new(Sample { method, args, repeatable }));
        }
        Ok(FromItem { kind: FromKind::Table { relation, sample }, alias, at })
    }

    fn is_document_table(&self) -> bool {
        matches!(self.keyword(), Some(K::Xmltable | K::JsonTable)) && self.kind_at(1) == Kind::LParen
    }

    /// Whether a function with a grammar of its own begins here.
    fn begins_from_function(&self) -> bool {
        let called = self.kind_at(1) == Kind::LParen;
        match self.keyword() {
            Some(
                K::CurrentTime
                | K::CurrentTimestamp
                | K::Localtime
                | K::Localtimestamp
                | K::CurrentDate
                | K::CurrentRole
                | K::CurrentUser
                | K::SessionUser
                | K::SystemUser
                | K::User
                | K::CurrentCatalog
                | K::CurrentSchema
                | K::Cast,
            ) => true,
            Some(
                K::Coalesce
                | K::Greatest
                | K::Least
                | K::Nullif
                | K::Extract
                | K::Position
                | K::Substring
                | K::Overlay
                | K::Trim
                | K::Normalize
                | K::Treat,
            ) => called,
            _ => false,
        }
    }

    /// A call without a window and the like.
    fn table_call(&mut self) -> Result<Expr> {
        let at = self.here();
        if self.begins_from_function() {
            return self.primary();
        }
        let callable = self.is_function_name(0) || (self.is_column_name(0) && self.kind_at(1) == Kind::Dot);
        if !callable {
            return Err(self.unexpected());
        }
        let first = self.label()?;
        let name = self.name_parts(first)?;
        self.table_call_of(name.parts, at)
    }

    fn table_call_of(&mut self, names: Vec<String>, at: u32) -> Result<Expr> {
        if self.kind() != Kind::LParen {
            return Err(self.unexpected());
        }
        let call = self.call(names, at)?;
        match &call.kind {
            ExprKind::Function(function)
                if function.over.is_none() && function.filter.is_none() && !function.within_group =>
            {
                Ok(call)
            }
            _ => Err(self.error(at, SqlState::SYNTAX_ERROR, "syntax error")),
        }
    }

    /// `ROWS FROM (f() [AS (…)], …)`.
    fn rows_from(&mut self, lateral: bool, at: u32) -> Result<FromItem> {
        self.advance();
        self.advance();
        let functions = self.in_parens(|parser| {
            parser.list(|parser| {
                let function = parser.table_call()?;
                let columns = match parser.take_keyword(K::As) {
                    true => parser.in_parens(|parser| parser.list(Self::column_type))?,
                    false => Vec::new(),
                };
                Ok((function, columns))
            })
        })?;
        self.table_function(functions, true, lateral, at)
    }

    fn table_function(
        &mut self,
        functions: Vec<(Expr, Vec<ColumnType>)>,
        rows_from: bool,
        lateral: bool,
        at: u32,
    ) -> Result<FromItem> {
        let ordinality = self.take_keywords(&[K::With, K::Ordinality]);
        let (alias, columns) = self.function_alias()?;
        let function = FromFunction { functions, rows_from, ordinality, lateral, columns };
        Ok(FromItem { kind: FromKind::Function(Box::new(function)), alias, at })
    }

    /// A function's alias may define its columns, and then have no name.
    fn function_alias(&mut self) -> Result<(Option<Alias>, Vec<ColumnType>)> {
        let with_word = self.take_keyword(K::As);
        if with_word && self.kind() == Kind::LParen {
            return Ok((None, self.in_parens(|parser| parser.list(Self::column_type))?));
        }
        if !with_word && !self.is_column_name(0) {
            return Ok((None, Vec::new()));
        }
        let name = self.name()?;
        // Names alone, or names with types.
        if self.kind() == Kind::LParen && !matches!(self.kind_at(2), Kind::Comma | Kind::RParen) {
            let columns = self.in_parens(|parser| parser.list(Self::column_type))?;
            return Ok((Some(Alias { name, columns: Vec::new() }), columns));
        }
        Ok((Some(Alias { name, columns: self.names_in_parens()? }), Vec::new()))
    }

    fn column_type(&mut self) -> Result<ColumnType> {
        let name = self.name()?;
        let ty = self.type_name()?;
        let collation = if self.take_keyword(K::Collate) { Some(self.any_name()?) } else { None };
        Ok(ColumnType { name, ty, collation })
    }

    /// PostgreSQL's `any_name`.
    pub fn any_name(&mut self) -> Result<QualifiedName> {
        self.qualified_name()
    }
}
