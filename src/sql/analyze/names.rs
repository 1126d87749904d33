//! Columns by their names.

use sqlparser::ast;

use crate::report::{Result, SqlState};

use super::expr::{Column, Expr};
use super::{Analyzer, ident};

impl Analyzer<'_> {
    /// A bare name: a column, or one of the words that are functions without parentheses.
    pub(super) fn identifier(&mut self, name: &ast::Ident) -> Result<Expr> {
        let at = self.place_of(name.span);
        let column = ident(name);
        if let Some(expr) = self.find_column(None, &column, at)? {
            return Ok(expr);
        }
        if name.quote_style.is_none()
            && let Some(expr) = self.keyword_function(&column, at)?
        {
            return Ok(expr);
        }
        if let Some((level, relation)) = self.find_relation(&column) {
            return Ok(self.whole_row(level, relation));
        }
        Err(self.error_at(at, SqlState::UNDEFINED_COLUMN, format!("column \"{column}\" does not exist")))
    }

    /// `relation.column`, with a schema before it perhaps.
    pub(super) fn compound_identifier(&mut self, parts: &[ast::Ident]) -> Result<Expr> {
        let at = parts.first().and_then(|part| self.place_of(part.span));
        let names: Vec<String> = parts.iter().map(ident).collect();
        let [.., relation, column] = names.as_slice() else {
            return Err(self.error_at(at, SqlState::SYNTAX_ERROR, "improper qualified name"));
        };
        if let Some(expr) = self.find_column(Some(relation), column, at)? {
            return Ok(expr);
        }
        if self.find_relation(relation).is_some() {
            let message = format!("column {relation}.{column} does not exist");
            return Err(self.error_at(at, SqlState::UNDEFINED_COLUMN, message));
        }
        Err(self.missing_from(relation, at))
    }

    pub(super) fn missing_from(&self, relation: &str, at: Option<u32>) -> Box<crate::report::Report> {
        let message = format!("missing FROM-clause entry for table \"{relation}\"");
        self.error_at(at, SqlState::UNDEFINED_TABLE, message)
    }

    /// The nearest scope that has a relation of this name.
    fn find_relation(&self, name: &str) -> Option<(usize, usize)> {
        let mut scopes = self.scopes.iter().rev().enumerate();
        scopes.find_map(|(level, scope)| scope.relation(name).map(|relation| (level, relation)))
    }

    fn find_column(&self, relation: Option<&str>, name: &str, at: Option<u32>) -> Result<Option<Expr>> {
        for (level, scope) in self.scopes.iter().rev().enumerate() {
            let relation = match relation {
                Some(relation) => match scope.relation(relation) {
                    Some(relation) => Some(relation),
                    None => continue,
                },
                None => None,
            };
            let mut found = scope.find(relation, name);
            let Some(column) = found.next() else {
                if relation.is_some() {
                    return Ok(None);
                }
                continue;
            };
            if found.next().is_some() {
                let message = format!("column reference \"{name}\" is ambiguous");
                return Err(self.error_at(at, SqlState::AMBIGUOUS_COLUMN, message));
            }
            let mut expr = match &column.merged {
                Some(merged) => merged.clone(),
                None => Expr::Column(Column { level: 0, index: column.index, ty: column.ty, at }),
            };
            expr.each_column(0, &mut |column| (column.level, column.at) = (level, at));
            return Ok(Some(expr));
        }
        Ok(None)
    }

    /// A relation's row as one value; a function's only column stands for itself.
    fn whole_row(&self, level: usize, relation: usize) -> Expr {
        let scope = &self.scopes[self.scopes.len() - 1 - level];
        let columns = scope.columns.iter().filter(|column| column.relation == Some(relation));
        Expr::Row(
            columns
                .map(|column| Expr::Column(Column { level, index: column.index, ty: column.ty, at: None }))
                .collect(),
        )
    }

    /// `CURRENT_DATE` and its kin.
    pub(super) fn keyword_function(&mut self, name: &str, at: Option<u32>) -> Result<Option<Expr>> {
        let function = match name {
            "current_user" | "user" | "current_role" => "current_user",
            "session_user" => "session_user",
            "system_user" => "system_user",
            "current_catalog" => "current_database",
            "current_schema" => "current_schema",
            "current_date" => "current_date",
            "current_timestamp" => "now",
            "current_time" | "localtime" => "localtime",
            "localtimestamp" => "localtimestamp",
            _ => return Ok(None),
        };
        if name == "current_time" {
            return self.not_supported(at, "CURRENT_TIME (the type time with time zone)");
        }
        self.function_call(function, Vec::new(), at, false).map(Some)
    }
}
