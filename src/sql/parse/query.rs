//! Queries: `WITH`, `SELECT`, `VALUES`, `TABLE`, set operations, and what stands behind them.

use crate::report::{ReportExt, Result, SqlState};

use super::keywords::Keyword as K;
use super::lexer::Kind;
use super::parser::Parser;
use super::primary::Parens;
use super::tree::*;

impl Parser<'_> {
    /// Whether a query begins here without parentheses.
    pub fn begins_query(&self) -> bool {
        matches!(self.keyword(), Some(K::Select | K::Values | K::With | K::Table))
    }

    /// Whether what stands here can only go on with a query.
    pub fn continues_query(&self) -> bool {
        matches!(
            self.keyword(),
            Some(K::Union | K::Intersect | K::Except | K::Order | K::Limit | K::Offset | K::Fetch | K::For)
        )
    }

    /// A query that stands in parentheses, one pair or more.
    pub fn query_in_parens(&mut self) -> Result<Query> {
        let at = self.here();
        let mut ahead = 0;
        while self.kind_at(ahead) == Kind::LParen {
            ahead += 1;
        }
        if !matches!(self.keyword_at(ahead), Some(K::Select | K::Values | K::With | K::Table)) || ahead == 0 {
            (0..ahead).for_each(|_| self.advance());
            return Err(self.unexpected());
        }
        match self.parens()? {
            Parens::Query(query) => Ok(query),
            Parens::Exprs(_) => Err(self.error(at, SqlState::SYNTAX_ERROR, "syntax error at or near \"(\"")),
        }
    }

    /// A query with all its parts.
    pub fn query(&mut self) -> Result<Query> {
        self.nested(|parser| {
            let with = parser.with()?;
            parser.query_with(with)
        })
    }

    /// The query behind its `WITH`.
    pub fn query_with(&mut self, with: Option<With>) -> Result<Query> {
        let first = self.set_operand()?;
        let mut query = self.query_behind(first)?;
        if let Some(with) = with {
            if query.with.is_some() {
                return Err(self.error(with.at, SqlState::SYNTAX_ERROR, "multiple WITH clauses not allowed"));
            }
            query.at = with.at;
            query.with = Some(with);
        }
        Ok(query)
    }

    /// The query whose first operand was read.
    pub fn query_behind(&mut self, first: Query) -> Result<Query> {
        let mut query = self.set_operations(first, 1)?;
        self.query_tail(&mut query)?;
        Ok(query)
    }

    /// `INTERSECT` binds stronger than the others.
    fn set_operations(&mut self, mut left: Query, least: u8) -> Result<Query> {
        loop {
            let (op, level) = match self.keyword() {
                Some(op @ (K::Union | K::Except)) => (op, 1),
                Some(op @ K::Intersect) => (op, 2),
                _ => return Ok(left),
            };
            if level < least {
                return Ok(left);
            }
            self.advance();
            self.taller()?;
            let all = self.take_keyword(K::All);
            if !all {
                self.take_keyword(K::Distinct);
            }
            let right = self.nested(|parser| {
                let first = parser.set_operand()?;
                parser.set_operations(first, level + 1)
            })?;
            let at = left.at;
            let body = QueryBody::Set(Box::new(SetOperation { op, all, left, right }));
            left = Query::bare(body, at);
        }
    }

    fn set_operand(&mut self) -> Result<Query> {
        let at = self.here();
        match self.keyword() {
            Some(K::Select) => {
                let select = self.select()?;
                Ok(Query::bare(QueryBody::Select(Box::new(select)), at))
            }
            Some(K::Values) => {
                self.advance();
                let rows = self.list(|parser| parser.in_parens(Self::exprs))?;
                Ok(Query::bare(QueryBody::Values(rows), at))
            }
            Some(K::Table) => {
                self.advance();
                let relation = self.relation()?;
                let (from_at, kind) = (relation.name.at, FromKind::Table { relation, sample: None });
                let star = Expr { kind: ExprKind::Star(Vec::new()), at };
                let select = Select {
                    targets: vec![Target { expr: star, name: None }],
                    from: vec![FromItem { kind, alias: None, at: from_at }],
                    ..Select::default()
                };
                Ok(Query::bare(QueryBody::Select(Box::new(select)), at))
            }
            _ if self.kind() == Kind::LParen => self.nested(|parser| {
                parser.advance();
                if parser.kind() != Kind::LParen && !parser.begins_query() {
                    return Err(parser.unexpected());
                }
                parser.closed(Self::query)
            }),
            _ => Err(self.unexpected()),
        }
    }

    /// `ORDER BY`, `LIMIT`, `OFFSET`, `FETCH` and `FOR …`.
    fn query_tail(&mut self, query: &mut Query) -> Result<()> {
        let multiple = |parser: &Self, at: u32, what: &str| {
            Err(parser.error(at, SqlState::SYNTAX_ERROR, format!("multiple {what} clauses not allowed")))
        };
        let order_by = self.order_by()?;
        if let Some(first) = order_by.first() {
            if !query.order_by.is_empty() {
                return multiple(self, first.expr.at, "ORDER BY");
            }
            query.order_by = order_by;
        }
        let (mut has_limit, mut has_offset) = (false, false);
        loop {
            let at = self.here();
            match self.keyword() {
                Some(K::For) => {
                    let locking = self.locking()?;
                    query.locking.extend(locking);
                }
                Some(K::Limit | K::Fetch) if !has_limit => {
                    has_limit = true;
                    let (limit, with_ties) = self.limit(at)?;
                    if query.limit.is_some() {
                        return multiple(self, at, "LIMIT");
                    }
                    self.check_ties(query, with_ties)?;
                    (query.limit, query.with_ties) = (limit, with_ties.is_some());
                }
                Some(K::Offset) if !has_offset => {
                    has_offset = true;
                    self.advance();
                    let offset = self.expr()?;
                    if !self.take_keyword(K::Row) {
                        self.take_keyword(K::Rows);
                    }
                    if query.offset.is_some() {
                        return multiple(self, at, "OFFSET");
                    }
                    query.offset = Some(offset);
                }
                _ => return Ok(()),
            }
        }
    }

    fn check_ties(&self, query: &Query, with_ties: Option<u32>) -> Result<()> {
        let Some(at) = with_ties else {
            return Ok(());
        };
        let message = if query.order_by.is_empty() {
            "WITH TIES cannot be specified without ORDER BY clause"
        } else if query.locking.iter().any(|locking| locking.wait == LockWait::SkipLocked) {
            "SKIP LOCKED and WITH TIES options cannot be used together"
        } else {
            return Ok(());
        };
        Err(self.error(at, SqlState::SYNTAX_ERROR, message))
    }

    /// `LIMIT n`, or `FETCH FIRST n ROWS`, and where `WITH TIES` stands.
    fn limit(&mut self, at: u32) -> Result<(Option<Expr>, Option<u32>)> {
        if self.take_keyword(K::Limit) {
            if self.take_keyword(K::All) {
                return Ok((None, None));
            }
            let limit = self.expr()?;
            if self.kind() == Kind::Comma {
                self.advance();
                self.expr()?;
                let report = self.error(at, SqlState::SYNTAX_ERROR, "LIMIT #,# syntax is not supported");
                return Err(report.with_hint("Use separate LIMIT and OFFSET clauses."));
            }
            return Ok((Some(limit), None));
        }
        self.advance();
        if !self.take_keyword(K::First) {
            self.expect_keyword(K::Next)?;
        }
        let count = match self.keyword() {
            Some(K::Row | K::Rows) => Expr { kind: ExprKind::Number("1".to_owned()), at: self.here() },
            _ if matches!(self.kind(), Kind::Plus | Kind::Minus) => {
                let (at, sign) = (self.here(), self.take_text());
                if !matches!(self.kind(), Kind::Integer | Kind::Number) {
                    return Err(self.unexpected());
                }
                let digits = self.take_text();
                let digits = if sign == "-" { format!("-{digits}") } else { digits.to_owned() };
                Expr { kind: ExprKind::Number(digits), at }
            }
            _ => self.primary()?,
        };
        if !self.take_keyword(K::Row) {
            self.expect_keyword(K::Rows)?;
        }
        if self.take_keyword(K::Only) {
            return Ok((Some(count), None));
        }
        let ties_at = self.here();
        self.expect_keywords(&[K::With, K::Ties])?;
        Ok((Some(count), Some(ties_at)))
    }

    /// `FOR UPDATE` and its kin; `FOR READ ONLY` asks for nothing.
    fn locking(&mut self) -> Result<Option<Locking>> {
        let at = self.here();
        self.expect_keyword(K::For)?;
        if self.take_keyword(K::Read) {
            self.expect_keyword(K::Only)?;
            return Ok(None);
        }
        let strength = match self.keyword() {
            Some(K::Update) => "FOR UPDATE",
            Some(K::Share) => "FOR SHARE",
            Some(K::No) => {
                self.advance();
                self.expect_keyword(K::Key)?;
                "FOR NO KEY UPDATE"
            }
            Some(K::Key) => {
                self.advance();
                "FOR KEY SHARE"
            }
            _ => return Err(self.unexpected()),
        };
        let last = if strength.ends_with("UPDATE") { K::Update } else { K::Share };
        self.expect_keyword(last)?;
        let mut tables = Vec::new();
        if self.take_keyword(K::Of) {
            tables = self.list(Self::qualified_name)?;
        }
        let wait = if self.take_keyword(K::Nowait) {
            LockWait::NoWait
        } else if self.take_keywords(&[K::Skip, K::Locked]) {
            LockWait::SkipLocked
        } else {
            LockWait::Wait
        };
        Ok(Some(Locking { strength, tables, wait, at }))
    }

    /// `ORDER BY …`, if it is there.
    pub fn order_by(&mut self) -> Result<Vec<SortBy>> {
        if !self.take_keyword(K::Order) {
            return Ok(Vec::new());
        }
        self.expect_keyword(K::By)?;
        self.list(Self::sort_item)
    }

    fn sort_item(&mut self) -> Result<SortBy> {
        let expr = self.expr()?;
        let mut using = None;
        let mut descending = false;
        if self.take_keyword(K::Using) {
            using = Some(self.operator()?);
        } else {
            descending = self.take_keyword(K::Desc);
            if !descending {
                self.take_keyword(K::Asc);
            }
        }
        Ok(SortBy { expr, descending, nulls_first: self.nulls_first()?, using })
    }

    /// `NULLS FIRST|LAST`, if it is there.
    pub fn nulls_first(&mut self) -> Result<Option<bool>> {
        if self.take_keywords(&[K::Nulls, K::First]) {
            return Ok(Some(true));
        }
        Ok(self.take_keywords(&[K::Nulls, K::Last]).then_some(false))
    }

    fn select(&mut self) -> Result<Select> {
        self.advance();
        let mut select = Select::default();
        if self.take_keyword(K::Distinct) {
            select.distinct = Some(match self.take_keyword(K::On) {
                true => self.in_parens(Self::exprs)?,
                false => Vec::new(),
            });
            select.targets = self.targets()?;
        } else {
            self.take_keyword(K::All);
            if !self.ends_targets() {
                select.targets = self.targets()?;
            }
        }
        if self.take_keyword(K::Into) {
            select.into = Some(self.new_table()?);
        }
        if self.take_keyword(K::From) {
            select.from = self.list(Self::table_item)?;
        }
        if self.take_keyword(K::Where) {
            select.filter = Some(self.expr()?);
        }
        if self.take_keyword(K::Group) {
            self.expect_keyword(K::By)?;
            select.group_distinct = self.take_keyword(K::Distinct);
            if !select.group_distinct {
                self.take_keyword(K::All);
            }
            select.group_by = self.list(Self::group)?;
        }
        if self.take_keyword(K::Having) {
            select.having = Some(self.expr()?);
        }
        if self.take_keyword(K::Window) {
            select.windows = self.list(|parser| {
                let name = parser.name()?;
                parser.expect_keyword(K::As)?;
                Ok((name, parser.window_in_parens()?))
            })?;
        }
        Ok(select)
    }

    /// Whether a `SELECT` without columns goes on here.
    fn ends_targets(&self) -> bool {
        self.at_end()
            || self.kind() == Kind::RParen
            || self.continues_query()
            || matches!(self.keyword(), Some(K::From | K::Into | K::Where | K::Group | K::Having | K::Window))
    }

    /// What is to be answered: expressions, names for them, and stars.
    pub fn targets(&mut self) -> Result<Vec<Target>> {
        self.list(Self::target)
    }

    fn target(&mut self) -> Result<Target> {
        let at = self.here();
        if self.take(Kind::Star) {
            return Ok(Target { expr: Expr { kind: ExprKind::Star(Vec::new()), at }, name: None });
        }
        let expr = self.expr()?;
        let name = if self.take_keyword(K::As) || self.is_bare_label() { Some(self.label()?) } else { None };
        Ok(Target { expr, name })
    }

    /// `[TEMPORARY|UNLOGGED] [TABLE] name`.
    fn new_table(&mut self) -> Result<IntoTable> {
        let mut persistence = Persistence::Permanent;
        if self.take_keyword(K::Unlogged) {
            persistence = Persistence::Unlogged;
        } else {
            if !self.take_keyword(K::Local) {
                self.take_keyword(K::Global);
            }
            if self.take_keyword(K::Temporary) || self.take_keyword(K::Temp) {
                persistence = Persistence::Temporary;
            }
        }
        self.take_keyword(K::Table);
        Ok(IntoTable { persistence, name: self.qualified_name()? })
    }

    fn group(&mut self) -> Result<Group> {
        let at = self.here();
        let parenthesis = self.kind_at(1) == Kind::LParen;
        match self.keyword() {
            Some(K::Rollup) if parenthesis => {
                self.advance();
                Ok(Group::Rollup(self.in_parens(Self::exprs)?, at))
            }
            Some(K::Cube) if parenthesis => {
                self.advance();
                Ok(Group::Cube(self.in_parens(Self::exprs)?, at))
            }
            Some(K::Grouping) if self.is_at(1, K::Sets) => self.nested(|parser| {
                parser.advance();
                parser.advance();
                Ok(Group::Sets(parser.in_parens(|parser| parser.list(Self::group))?, at))
            }),
            _ if self.kind() == Kind::LParen && self.kind_at(1) == Kind::RParen => {
                self.advance();
                self.advance();
                Ok(Group::Empty(at))
            }
            _ => self.expr().map(Group::Expr),
        }
    }

    /// `WITH …`, if it is there.
    pub fn with(&mut self) -> Result<Option<With>> {
        let at = self.here();
        if !self.take_keyword(K::With) {
            return Ok(None);
        }
        let recursive = self.take_keyword(K::Recursive);
        let queries = self.list(Self::cte)?;
        Ok(Some(With { recursive, queries, at }))
    }

    fn cte(&mut self) -> Result<Cte> {
        let name = self.name()?;
        let columns = self.names_in_parens()?;
        self.expect_keyword(K::As)?;
        let materialized = if self.take_keywords(&[K::Not, K::Materialized]) {
            Some(false)
        } else {
            self.take_keyword(K::Materialized).then_some(true)
        };
        let body = self.in_parens(|parser| parser.nested(Self::cte_body))?;
        let search = if self.is(K::Search) { Some(self.search()?) } else { None };
        let cycle = if self.is(K::Cycle) { Some(Box::new(self.cycle()?)) } else { None };
        Ok(Cte { name, columns, materialized, body, search, cycle })
    }

    fn cte_body(&mut self) -> Result<CteBody> {
        let with = self.with()?;
        match self.keyword() {
            Some(K::Insert | K::Update | K::Delete | K::Merge) => {
                Ok(CteBody::Change(Box::new(self.change(with)?)))
            }
            _ => self.query_with(with).map(CteBody::Query),
        }
    }

    fn search(&mut self) -> Result<Search> {
        let at = self.here();
        self.advance();
        let breadth_first = self.take_keyword(K::Breadth);
        if !breadth_first {
            self.expect_keyword(K::Depth)?;
        }
        self.expect_keywords(&[K::First, K::By])?;
        let columns = self.names()?;
        self.expect_keyword(K::Set)?;
        Ok(Search { breadth_first, columns, into: self.name()?, at })
    }

    fn cycle(&mut self) -> Result<Cycle> {
        let at = self.here();
        self.advance();
        let columns = self.names()?;
        self.expect_keyword(K::Set)?;
        let mark = self.name()?;
        let mut values = None;
        if self.take_keyword(K::To) {
            let value = self.primary()?;
            self.expect_keyword(K::Default)?;
            values = Some((value, self.primary()?));
        }
        self.expect_keyword(K::Using)?;
        Ok(Cycle { columns, mark, values, path: self.name()?, at })
    }
}

impl Query {
    /// A query without anything around its body.
    pub fn bare(body: QueryBody, at: u32) -> Self {
        Self {
            with: None,
            body,
            order_by: Vec::new(),
            limit: None,
            offset: None,
            with_ties: false,
            locking: Vec::new(),
            at,
        }
    }
}
