//! Columns of a definition.

use crate::catalog::descriptor::{ColumnDescriptor, Identity, RelationDescriptor};
use crate::catalog::requests::{NewSequence, ObjectAddress};
use crate::report::{Result, SqlState};
use crate::sql::analyze::relation::{Defined, DefinedOver, column_data_type, column_type, define};
use crate::sql::functions::quote_ident;
use crate::sql::parse::tree::{Expr, TypeName};
use crate::sql::parse::tree_ddl::{ColumnDefinition, Constraint, ConstraintKind, SequenceOption};
use crate::sql::tables::with_tables;
use crate::sql::types::Type;

use super::Defining;
use super::sequence::default_parameters;

/// A column as a statement defines it.
pub(super) struct NewColumn<'d> {
    pub descriptor: ColumnDescriptor,
    /// `serial`, or an identity and its options: a sequence goes with it.
    pub sequence: Option<&'d [SequenceOption]>,
    pub is_serial: bool,
    pub default: Option<&'d Expr>,
    pub generated: Option<&'d Expr>,
    /// Its other constraints.
    pub constraints: Vec<&'d Constraint>,
    /// What names its constraint against nulls, if anything does.
    pub not_null_name: Option<String>,
}

/// The integer type of a `serial`.
fn serial_type(ty: &TypeName) -> Option<Type> {
    let [name] = ty.names.as_slice() else { return None };
    Some(match name.as_str() {
        "serial" | "serial4" => Type::INT4,
        "bigserial" | "serial8" => Type::INT8,
        "smallserial" | "serial2" => Type::INT2,
        _ => return None,
    })
}

impl Defining<'_> {
    /// What a column's definition says.
    pub(super) fn column<'d>(
        &mut self,
        definition: &'d ColumnDefinition,
        number: i16,
    ) -> Result<NewColumn<'d>> {
        let at = definition.name.at;
        let Some(ty) = &definition.ty else { return self.not_yet(Some(at), "a column without a type") };
        if let Some(part) = definition.storage.as_ref().or(definition.compression.as_ref()) {
            return self.not_yet(Some(part.at), "STORAGE or COMPRESSION of a column");
        }
        let serial = serial_type(ty);
        let (of, typmod) = match serial {
            Some(of) => (of, -1),
            None => {
                let environment = self.session.environment(self.host);
                column_data_type(ty, self.source, &environment)?
            }
        };
        if of.category() == b'P' || of == Type::UNKNOWN {
            let message = format!("column \"{}\" has pseudo-type {of}", definition.name.text);
            return Err(self.error_at(at, SqlState::INVALID_TABLE_DEFINITION, message));
        }
        let mut column = NewColumn {
            descriptor: ColumnDescriptor::new(&definition.name.text, number, of.oid(), typmod),
            sequence: serial.map(|_| [].as_slice()),
            is_serial: serial.is_some(),
            default: None,
            generated: None,
            constraints: Vec::new(),
            not_null_name: None,
        };
        column.descriptor.not_null = serial.is_some();
        for constraint in &definition.constraints {
            self.column_constraint(&mut column, constraint)?;
        }
        if let Some(collation) = &definition.collation
            && !matches!(collation.last(), "C" | "default" | "POSIX" | "ucs_basic")
        {
            let message =
                format!("collation \"{}\" for encoding \"UTF8\" does not exist", collation.dotted());
            return Err(self.error_at(collation.at, SqlState::UNDEFINED_OBJECT, message));
        }
        Ok(column)
    }

    fn column_constraint<'d>(
        &mut self,
        column: &mut NewColumn<'d>,
        constraint: &'d Constraint,
    ) -> Result<()> {
        let name = column.descriptor.name.clone();
        let twice = |defining: &Self, what: &str| {
            let message = format!("{what} specified for column \"{name}\"");
            Err(defining.error_at(constraint.at, SqlState::SYNTAX_ERROR, message))
        };
        match &constraint.kind {
            ConstraintKind::Null => {
                if column.descriptor.not_null {
                    return twice(self, "conflicting NULL/NOT NULL declarations");
                }
            }
            ConstraintKind::NotNull(_) => {
                column.descriptor.not_null = true;
                column.not_null_name = constraint.name.as_ref().map(|name| name.text.clone());
            }
            ConstraintKind::Default(expr) => {
                if column.default.replace(expr).is_some() || column.sequence.is_some() {
                    return twice(self, "multiple default values");
                }
            }
            ConstraintKind::Identity(always, options) => {
                if column.sequence.replace(options).is_some() {
                    return twice(self, "multiple identity specifications");
                }
                column.descriptor.identity =
                    Some(if *always { Identity::Always } else { Identity::ByDefault });
                column.descriptor.not_null = true;
            }
            ConstraintKind::Generated(expr, true) => {
                column.generated = Some(expr);
                column.descriptor.is_generated = true;
            }
            ConstraintKind::Generated(_, false) => {
                return self.not_yet(Some(constraint.at), "a virtual generated column");
            }
            ConstraintKind::PrimaryKey(_) => {
                column.descriptor.not_null = true;
                column.constraints.push(constraint);
            }
            ConstraintKind::Attributes => {
                return self.not_yet(Some(constraint.at), "a constraint's attributes by themselves");
            }
            _ => column.constraints.push(constraint),
        }
        Ok(())
    }

    /// An expression over a table's columns, or over none, as it is stored.
    pub(super) fn defined(
        &mut self,
        expr: &Expr,
        over: Option<(&str, &[ColumnDescriptor])>,
        into: Option<(&str, Type, i32)>,
        what: &str,
    ) -> Result<Defined> {
        let columns: Vec<(String, Type, i32)> = over
            .iter()
            .flat_map(|(_, columns)| columns.iter())
            .map(|column| (column.name.clone(), column_type(column), column.typmod))
            .collect();
        let table = over.map_or("", |(table, _)| table).to_owned();
        // Names of relations are asked for after the analysis has let go of the host, so they are looked up before.
        let names = std::cell::RefCell::new(Vec::<(u32, String)>::new());
        let lookup =
            |oid: u32| names.borrow().iter().find(|(of, _)| *of == oid).map(|(_, name)| name.clone());
        let first = {
            let environment = self.session.environment(self.host);
            let over =
                DefinedOver { table: &table, columns: &columns, class_name: &|oid| Some(oid.to_string()) };
            define(expr, &over, into, what, (self.source, &environment))?
        };
        if first.relations.is_empty() {
            return Ok(first);
        }
        for oid in &first.relations {
            let name = with_tables(self.host, |access| access.cx.shown_relation(*oid))?;
            names.borrow_mut().push((*oid, crate::sql::analyze::deparse::quoted(&name) + "::regclass"));
        }
        let environment = self.session.environment(self.host);
        let over = DefinedOver { table: &table, columns: &columns, class_name: &lookup };
        define(expr, &over, into, what, (self.source, &environment))
    }

    /// A column's default; what it depends on.
    pub(super) fn column_default(
        &mut self,
        column: &ColumnDescriptor,
        expr: &Expr,
    ) -> Result<(String, Vec<ObjectAddress>)> {
        let into = (column.name.as_str(), column_type(column), column.typmod);
        let defined = self.defined(expr, None, Some(into), "DEFAULT")?;
        Ok((defined.text, defined.relations.into_iter().map(ObjectAddress::relation).collect()))
    }

    /// The sequence of a `serial` or identity column, and the default that goes with it.
    pub(super) fn column_sequence(
        &mut self,
        relation: &RelationDescriptor,
        column: &NewColumn<'_>,
    ) -> Result<()> {
        let Some(options) = column.sequence else { return Ok(()) };
        let number = column.descriptor.number;
        let name =
            self.choose_name(relation.namespace, (&relation.name, &column.descriptor.name, "seq"), &[])?;
        let parameters =
            self.sequence_parameters(default_parameters(column_type(&column.descriptor)), options)?;
        let oid = with_tables(self.host, |access| {
            let new = NewSequence {
                namespace: relation.namespace,
                name: &name,
                persistence: relation.persistence,
                owner: access.cx.role,
                parameters,
                owned_by: Some((relation.oid, number, !column.is_serial)),
            };
            access.cx.create_sequence(&new)
        })?;
        if !column.is_serial {
            return Ok(());
        }
        with_tables(self.host, |access| {
            access.cx.next_command();
            let shown = access.cx.shown_relation(oid)?;
            let text = format!("nextval({}::regclass)", crate::sql::analyze::deparse::quoted(&shown));
            access.cx.set_default(relation.oid, number, Some(&text), &[ObjectAddress::relation(oid)])
        })
    }

    /// Numbers of columns by their names.
    pub(super) fn numbers(
        &self,
        columns: &[ColumnDescriptor],
        names: &[crate::sql::parse::tree::Name],
    ) -> Result<Vec<i16>> {
        let mut numbers = Vec::new();
        for name in names {
            let found = columns.iter().find(|column| column.name == name.text && !column.is_dropped);
            let Some(column) = found else {
                let message = format!("column \"{}\" named in key does not exist", name.text);
                return Err(self.error_at(name.at, SqlState::UNDEFINED_COLUMN, message));
            };
            if numbers.contains(&column.number) {
                let message = format!("column \"{}\" appears twice in key constraint", name.text);
                return Err(self.error_at(name.at, SqlState::DUPLICATE_COLUMN, message));
            }
            numbers.push(column.number);
        }
        Ok(numbers)
    }
}

/// Columns' names with commas between them.
pub(super) fn names_of(relation: &RelationDescriptor, numbers: &[i16]) -> String {
    let of = |number: &i16| relation.columns.get((*number - 1) as usize);
    numbers.iter().filter_map(of).map(|column| quote_ident(&column.name)).collect::<Vec<_>>().join(", ")
}
