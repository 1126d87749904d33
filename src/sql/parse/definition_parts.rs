//! What several definitions have in common: columns of indexes, and options.

use crate::report::Result;

use super::keywords::Keyword as K;
use super::lexer::Kind;
use super::parser::Parser;
use super::tree::ExprKind;
use super::tree_ddl::*;

impl Parser<'_> {
    /// `(a, lower(b), (c + d) DESC)`.
    pub fn index_columns(&mut self) -> Result<Vec<IndexColumn>> {
        self.in_parens(|parser| parser.list(Self::index_column))
    }

    pub fn index_column(&mut self) -> Result<IndexColumn> {
        let what = if self.kind() == Kind::LParen {
            IndexKey::Expr(self.in_parens(Self::expr)?)
        } else if self.is_column_name(0) && !matches!(self.kind_at(1), Kind::LParen | Kind::Dot) {
            IndexKey::Column(self.name()?)
        } else {
            let at = self.here();
            let call = self.primary()?;
            if matches!(call.kind, ExprKind::Column(_) | ExprKind::Number(_) | ExprKind::String(_)) {
                return Err(self.error(at, crate::report::SqlState::SYNTAX_ERROR, "syntax error"));
            }
            IndexKey::Expr(call)
        };
        let collation = if self.take_keyword(K::Collate) { Some(self.any_name()?) } else { None };
        let (mut operator_class, mut options) = (None, Vec::new());
        if self.is_column_name(0) && !self.is(K::Nulls) {
            operator_class = Some(self.any_name()?);
            if self.kind() == Kind::LParen {
                options = self.options()?;
            }
        }
        let descending = self.take_keyword(K::Desc);
        if !descending {
            self.take_keyword(K::Asc);
        }
        let nulls_first = self.nulls_first()?;
        Ok(IndexColumn { what, collation, operator_class, options, descending, nulls_first })
    }

    /// `(name = value, …)`, as behind `WITH`.
    pub fn options(&mut self) -> Result<Vec<DefinitionOption>> {
        self.in_parens(|parser| parser.list(Self::option))
    }

    fn option(&mut self) -> Result<DefinitionOption> {
        let mut name = self.label()?;
        let mut namespace = None;
        if self.take(Kind::Dot) {
            namespace = Some(std::mem::replace(&mut name, self.label()?).text);
        }
        let value = if self.take(Kind::Equals) { Some(self.definition_value()?) } else { None };
        Ok(DefinitionOption { namespace, name, value })
    }

    /// A word, a text, or a number.
    pub fn definition_value(&mut self) -> Result<OptionValue> {
        if let Some(text) = self.take_string()? {
            return Ok(OptionValue::String(text));
        }
        if self.is_label(0) {
            return self.label().map(|name| OptionValue::Word(name.text));
        }
        self.word_or_value().map(OptionValue::Number)
    }
}
