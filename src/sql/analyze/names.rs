//! Columns by their names.

use crate::report::{Result, SqlState};
use crate::sql::parse::keywords::Keyword;

use super::Analyzer;
use super::expr::{Column, Expr};

impl Analyzer<'_> {
    /// A column by its name, or by its relation's and its own.
    pub(super) fn column(&mut self, names: &[String], at: Option<u32>) -> Result<Expr> {
        match names {
            [name] => self.identifier(name, at),
            _ if names.len() > 4 => {
                let name = names.join(".");
                let message = format!("improper qualified name (too many dotted names): {name}");
                Err(self.error_at(at, SqlState::SYNTAX_ERROR, message))
            }
            _ => self.compound_identifier(names, at),
        }
    }

    /// A bare name: a column, or a relation's row.
    fn identifier(&mut self, column: &str, at: Option<u32>) -> Result<Expr> {
        if let Some(expr) = self.find_column(None, column, at)? {
            return Ok(expr);
        }
        if let Some((level, relation)) = self.find_relation(column) {
            return Ok(self.whole_row(level, relation));
        }
        Err(self.error_at(at, SqlState::UNDEFINED_COLUMN, format!("column \"{column}\" does not exist")))
    }

    /// `relation.column`, with a schema before it perhaps.
    fn compound_identifier(&mut self, names: &[String], at: Option<u32>) -> Result<Expr> {
        let [.., relation, column] = names else {
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
                None => Expr::Column(Column {
                    level: 0,
                    index: column.index,
                    ty: column.ty,
                    typmod: column.typmod,
                    at,
                }),
            };
            expr.each_column(0, &mut |column| (column.level, column.at) = (level, at));
            return Ok(Some(expr));
        }
        Ok(None)
    }

    /// A relation's row as one value; a function's only column stands for itself.
    fn whole_row(&self, level: usize, relation: usize) -> Expr {
        let scope = &self.scopes[self.scopes.len() - 1 - level];
        let columns =
            scope.columns.iter().filter(|column| column.relation == Some(relation) && !column.system);
        Expr::Row(
            columns
                .map(|column| {
                    Expr::Column(Column {
                        level,
                        index: column.index,
                        ty: column.ty,
                        typmod: column.typmod,
                        at: None,
                    })
                })
                .collect(),
        )
    }

    /// `CURRENT_DATE` and its kin.
    pub(super) fn value_function(
        &mut self,
        name: Keyword,
        precision: Option<i32>,
        at: Option<u32>,
    ) -> Result<Expr> {
        let function = match name {
            Keyword::CurrentUser | Keyword::User | Keyword::CurrentRole => "current_user",
            Keyword::SessionUser => "session_user",
            Keyword::SystemUser => "system_user",
            Keyword::CurrentCatalog => "current_database",
            Keyword::CurrentSchema => "current_schema",
            Keyword::CurrentDate => "current_date",
            Keyword::CurrentTimestamp => "now",
            Keyword::Localtime => "localtime",
            Keyword::Localtimestamp => "localtimestamp",
            _ => return self.not_supported(at, "CURRENT_TIME (the type time with time zone)"),
        };
        let value = self.function_call(function, Vec::new(), at, false)?;
        Ok(match precision {
            Some(precision) => {
                let (ty, typmod) = (value.ty(), precision.clamp(0, 6));
                Expr::Typmod { input: Box::new(value), ty, typmod, explicit: false }
            }
            None => value,
        })
    }
}
