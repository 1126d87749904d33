//! `INSERT`, `UPDATE`, `DELETE` and `MERGE`.

use crate::report::Result;

use super::keywords::Keyword as K;
use super::lexer::Kind;
use super::parser::Parser;
use super::tree::*;

impl Parser<'_> {
    /// A statement that changes rows, behind its `WITH`.
    pub fn change(&mut self, with: Option<With>) -> Result<Change> {
        match self.keyword() {
            Some(K::Insert) => self.insert(with),
            Some(K::Update) => self.update(with),
            Some(K::Delete) => self.delete(with),
            Some(K::Merge) => self.merge(with),
            _ => Err(self.unexpected()),
        }
    }

    fn insert(&mut self, with: Option<With>) -> Result<Change> {
        self.advance();
        self.expect_keyword(K::Into)?;
        let target = Relation { name: self.qualified_name()?, only: false };
        let alias = if self.take_keyword(K::As) { Some(self.name()?) } else { None };
        let mut insert = Insert { columns: Vec::new(), query: None, overriding: None, on_conflict: None };
        if !self.take_keywords(&[K::Default, K::Values]) {
            let begins_query = matches!(self.keyword_at(1), Some(K::Select | K::Values | K::With | K::Table));
            if self.kind() == Kind::LParen && !begins_query && self.kind_at(1) != Kind::LParen {
                insert.columns = self.in_parens(|parser| parser.list(Self::insert_column))?;
            }
            insert.overriding = self.overriding()?;
            insert.query = Some(Box::new(self.query()?));
        }
        if self.is(K::On) {
            insert.on_conflict = Some(self.on_conflict()?);
        }
        let returning = self.returning()?;
        Ok(Change { with, kind: ChangeKind::Insert(insert), target, alias, returning })
    }

    fn insert_column(&mut self) -> Result<InsertColumn> {
        let name = self.name()?;
        Ok(InsertColumn { name, path: self.indirection()? })
    }

    fn overriding(&mut self) -> Result<Option<Overriding>> {
        if !self.take_keyword(K::Overriding) {
            return Ok(None);
        }
        let which = if self.take_keyword(K::User) {
            Overriding::User
        } else {
            self.expect_keyword(K::System)?;
            Overriding::System
        };
        self.expect_keyword(K::Value)?;
        Ok(Some(which))
    }

    fn on_conflict(&mut self) -> Result<OnConflict> {
        let at = self.here();
        self.advance();
        self.expect_keyword(K::Conflict)?;
        let mut target = None;
        if self.kind() == Kind::LParen {
            let columns = self.index_columns()?;
            let filter = self.filter()?;
            target = Some(ConflictTarget::Index(columns, filter));
        } else if self.take_keywords(&[K::On, K::Constraint]) {
            target = Some(ConflictTarget::Constraint(self.name()?));
        }
        self.expect_keyword(K::Do)?;
        let mut update = None;
        if !self.take_keyword(K::Nothing) {
            self.expect_keywords(&[K::Update, K::Set])?;
            let set = self.assignments()?;
            update = Some((set, self.filter()?));
        }
        Ok(OnConflict { target, update, at })
    }

    /// `WHERE …`, if it is there.
    pub fn filter(&mut self) -> Result<Option<Expr>> {
        if self.take_keyword(K::Where) { self.expr().map(Some) } else { Ok(None) }
    }

    /// The same, or `WHERE CURRENT OF cursor`.
    fn filter_or_cursor(&mut self) -> Result<Option<Expr>> {
        let at = self.here();
        if self.is(K::Where) && self.is_at(1, K::Current) && self.is_at(2, K::Of) {
            (0..3).for_each(|_| self.advance());
            let cursor = self.name()?.text;
            return Ok(Some(Expr { kind: ExprKind::CurrentOf(cursor), at }));
        }
        self.filter()
    }

    fn assignments(&mut self) -> Result<Vec<Assignment>> {
        self.list(|parser| {
            let several = parser.kind() == Kind::LParen;
            let columns = match several {
                true => parser.in_parens(|parser| parser.list(Self::insert_column))?,
                false => vec![parser.insert_column()?],
            };
            parser.expect(Kind::Equals)?;
            Ok(Assignment { columns, several, value: parser.expr()? })
        })
    }

    fn returning(&mut self) -> Result<Option<Returning>> {
        if !self.take_keyword(K::Returning) {
            return Ok(None);
        }
        let mut names = Vec::new();
        if self.is(K::With) && self.kind_at(1) == Kind::LParen {
            self.advance();
            names = self.in_parens(|parser| {
                parser.list(|parser| {
                    let new = parser.take_keyword(K::New);
                    if !new {
                        parser.expect_keyword(K::Old)?;
                    }
                    parser.expect_keyword(K::As)?;
                    Ok((new, parser.name()?))
                })
            })?;
        }
        Ok(Some(Returning { names, targets: self.targets()? }))
    }

    /// The table to be changed, with a name for it perhaps.
    fn target_table(&mut self) -> Result<(Relation, Option<Name>)> {
        let relation = self.relation()?;
        let named = self.take_keyword(K::As) || (self.is_column_name(0) && !self.is(K::Set));
        Ok((relation, if named { Some(self.name()?) } else { None }))
    }

    fn update(&mut self, with: Option<With>) -> Result<Change> {
        self.advance();
        let (target, alias) = self.target_table()?;
        self.expect_keyword(K::Set)?;
        let set = self.assignments()?;
        let from = if self.take_keyword(K::From) { self.list(Self::table_item)? } else { Vec::new() };
        let filter = self.filter_or_cursor()?;
        let returning = self.returning()?;
        Ok(Change { with, kind: ChangeKind::Update { set, from, filter }, target, alias, returning })
    }

    fn delete(&mut self, with: Option<With>) -> Result<Change> {
        self.advance();
        self.expect_keyword(K::From)?;
        let (target, alias) = self.target_table()?;
        let using = if self.take_keyword(K::Using) { self.list(Self::table_item)? } else { Vec::new() };
        let filter = self.filter_or_cursor()?;
        let returning = self.returning()?;
        Ok(Change { with, kind: ChangeKind::Delete { using, filter }, target, alias, returning })
    }

    fn merge(&mut self, with: Option<With>) -> Result<Change> {
        self.advance();
        self.expect_keyword(K::Into)?;
        let (target, alias) = self.target_table()?;
        self.expect_keyword(K::Using)?;
        let source = self.table_item()?;
        self.expect_keyword(K::On)?;
        let condition = self.expr()?;
        let mut arms = Vec::new();
        while self.take_keyword(K::When) {
            arms.push(self.merge_arm()?);
        }
        if arms.is_empty() {
            return Err(self.unexpected());
        }
        let returning = self.returning()?;
        Ok(Change { with, kind: ChangeKind::Merge { source, condition, arms }, target, alias, returning })
    }

    fn merge_arm(&mut self) -> Result<MergeArm> {
        let when = if self.take_keyword(K::Matched) {
            MergeWhen::Matched
        } else {
            self.expect_keywords(&[K::Not, K::Matched])?;
            match self.take_keyword(K::By) {
                true if self.take_keyword(K::Source) => MergeWhen::NotMatchedBySource,
                true => {
                    self.expect_keyword(K::Target)?;
                    MergeWhen::NotMatchedByTarget
                }
                false => MergeWhen::NotMatchedByTarget,
            }
        };
        let condition = if self.take_keyword(K::And) { Some(self.expr()?) } else { None };
        self.expect_keyword(K::Then)?;
        Ok(MergeArm { when, condition, action: self.merge_action(when)? })
    }

    fn merge_action(&mut self, when: MergeWhen) -> Result<MergeAction> {
        if self.take_keywords(&[K::Do, K::Nothing]) {
            return Ok(MergeAction::Nothing);
        }
        if when != MergeWhen::NotMatchedByTarget {
            if self.take_keyword(K::Delete) {
                return Ok(MergeAction::Delete);
            }
            self.expect_keywords(&[K::Update, K::Set])?;
            return self.assignments().map(MergeAction::Update);
        }
        self.expect_keyword(K::Insert)?;
        let mut columns = Vec::new();
        if self.take(Kind::LParen) {
            columns = self.closed(|parser| parser.list(Self::insert_column))?;
        }
        let overriding = self.overriding()?;
        let values = if self.take_keywords(&[K::Default, K::Values]) {
            None
        } else {
            self.expect_keyword(K::Values)?;
            Some(self.in_parens(Self::exprs)?)
        };
        Ok(MergeAction::Insert { columns, overriding, values })
    }
}
