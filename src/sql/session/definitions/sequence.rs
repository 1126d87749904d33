//! `CREATE SEQUENCE`, and what its options say.

use crate::catalog::descriptor::SequenceParameters;
use crate::catalog::requests::NewSequence;
use crate::report::{Report, Result, SqlState};
use crate::sql::analyze::relation::column_data_type;
use crate::sql::parse::tree::{Persistence, QualifiedName};
use crate::sql::parse::tree_ddl::SequenceOption;
use crate::sql::tables::with_tables;
use crate::sql::types::Type;
use crate::txn::locks::LockMode;

use super::Defining;
use super::names::persistence_of;

fn bounds_of(ty: Type) -> (i64, i64) {
    match ty {
        Type::INT2 => (i16::MIN.into(), i16::MAX.into()),
        Type::INT4 => (i32::MIN.into(), i32::MAX.into()),
        _ => (i64::MIN, i64::MAX),
    }
}

/// A sequence that counts from 1.
pub(super) fn default_parameters(ty: Type) -> SequenceParameters {
    let max = bounds_of(ty).1;
    SequenceParameters { type_oid: ty.oid(), start: 1, increment: 1, max, min: 1, cache: 1, cycles: false }
}

fn invalid(message: String) -> Box<Report> {
    Report::error(SqlState::INVALID_PARAMETER_VALUE, message)
}

impl Defining<'_> {
    /// The parameters that options make of those that there are.
    pub(super) fn sequence_parameters(
        &mut self,
        mut parameters: SequenceParameters,
        options: &[SequenceOption],
    ) -> Result<SequenceParameters> {
        let number = |text: &str| -> Result<i64> {
            text.parse().map_err(|_| {
                let message = format!("value \"{text}\" is out of range for type bigint");
                Report::error(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message)
            })
        };
        for option in options {
            if let SequenceOption::As(ty) = option {
                let (ty, _) = column_data_type(ty, self.source, &self.session.environment(self.host))?;
                if !matches!(ty, Type::INT2 | Type::INT4 | Type::INT8) {
                    return Err(invalid("sequence type must be smallint, integer, or bigint".to_owned()));
                }
                parameters = default_parameters(ty);
            }
            if let SequenceOption::Increment(text) = option {
                parameters.increment = number(text)?;
            }
        }
        if parameters.increment == 0 {
            return Err(invalid("INCREMENT must not be zero".to_owned()));
        }
        let (least, most) = bounds_of(Type::from_oid(parameters.type_oid).unwrap_or(Type::INT8));
        let rises = parameters.increment > 0;
        let is_new_direction = rises != (parameters.max > 0 && parameters.min > least || parameters.min == 1);
        if is_new_direction && !rises {
            (parameters.min, parameters.max) = (least, -1);
            parameters.start = -1;
        }
        let mut start = None;
        for option in options {
            match option {
                SequenceOption::Max(Some(text)) => parameters.max = number(text)?,
                SequenceOption::Max(None) => parameters.max = if rises { most } else { -1 },
                SequenceOption::Min(Some(text)) => parameters.min = number(text)?,
                SequenceOption::Min(None) => parameters.min = if rises { 1 } else { least },
                SequenceOption::Cache(text) => parameters.cache = number(text)?,
                SequenceOption::Cycle(cycles) => parameters.cycles = *cycles,
                SequenceOption::Start(text) => start = Some(number(text)?),
                _ => {}
            }
        }
        let SequenceParameters { min, max, cache, .. } = parameters;
        if min >= max {
            return Err(invalid(format!("MINVALUE ({min}) must be less than MAXVALUE ({max})")));
        }
        if cache < 1 {
            return Err(invalid(format!("CACHE ({cache}) must be greater than zero")));
        }
        let has_bounds = options.iter().any(|o| matches!(o, SequenceOption::Min(_) | SequenceOption::Max(_)));
        parameters.start = match start {
            Some(start) => start,
            None if has_bounds => {
                if rises {
                    min
                } else {
                    max
                }
            }
            None => parameters.start,
        };
        if parameters.start < min {
            return Err(invalid(format!(
                "START value ({}) cannot be less than MINVALUE ({min})",
                parameters.start
            )));
        }
        if parameters.start > max {
            return Err(invalid(format!(
                "START value ({}) cannot be greater than MAXVALUE ({max})",
                parameters.start
            )));
        }
        Ok(parameters)
    }

    /// The column that a sequence goes with, and goes when that does.
    pub(super) fn owning_column(&mut self, options: &[SequenceOption]) -> Result<Option<Option<(u32, i16)>>> {
        let owner = options.iter().find_map(|option| match option {
            SequenceOption::OwnedBy(name) => Some(name),
            _ => None,
        });
        let Some(name) = owner else { return Ok(None) };
        if name.parts.len() == 1 && name.last() == "none" {
            return Ok(Some(None));
        }
        let Some((column, table)) = name.parts.split_last().filter(|(_, table)| !table.is_empty()) else {
            return Err(crate::report::ReportExt::with_hint(
                Report::error(SqlState::SYNTAX_ERROR, "invalid OWNED BY option"),
                "Specify OWNED BY table.column or OWNED BY NONE.",
            ));
        };
        let table = QualifiedName { parts: table.to_vec(), at: name.at };
        let relation = self.relation(&table, LockMode::ShareRowExclusive)?;
        match relation.column(column) {
            Some(column) => Ok(Some(Some((relation.oid, column.number)))),
            None => {
                let message = format!("column \"{column}\" of relation \"{}\" does not exist", relation.name);
                Err(Report::error(SqlState::UNDEFINED_COLUMN, message))
            }
        }
    }

    /// `CREATE SEQUENCE`.
    pub(super) fn create_sequence(
        &mut self,
        name: &QualifiedName,
        persistence: Persistence,
        if_not_exists: bool,
        options: &[SequenceOption],
    ) -> Result<bool> {
        let namespace = self.creation_schema(name, persistence)?;
        if if_not_exists && self.is_taken(namespace, name.last())? {
            let message = format!("relation \"{}\" already exists, skipping", name.last());
            self.notice(SqlState::DUPLICATE_TABLE, message);
            return Ok(true);
        }
        let parameters = self.sequence_parameters(default_parameters(Type::INT8), options)?;
        let owned_by = self.owning_column(options)?.flatten();
        with_tables(self.host, |access| {
            access.cx.create_sequence(&NewSequence {
                namespace,
                name: name.last(),
                persistence: persistence_of(persistence),
                owner: access.cx.role,
                parameters,
                owned_by: owned_by.map(|(relation, column)| (relation, column, false)),
            })
        })?;
        Ok(true)
    }
}
