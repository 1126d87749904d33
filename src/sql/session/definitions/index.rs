//! `CREATE INDEX`, and the indexes of keys.

use std::sync::Arc;

use crate::access::OwnedDatum;
use crate::catalog::descriptor::{IndexKey as Key, RelationDescriptor, RelationKind};
use crate::catalog::fixed::default_operator_class;
use crate::catalog::make_index::NewlyBuilt;
use crate::catalog::requests::NewIndex;
use crate::report::{Report, ReportExt, Result, SqlState};
use crate::sql::execute::constraints::key_text;
use crate::sql::parse::tree_ddl::{CreateIndex, DefinitionOption, IndexColumn, IndexKey, IndexStorage};
use crate::sql::tables::with_tables;
use crate::sql::types::stored::{Codec, comparison, decode};
use crate::sql::types::{Datum, Type};
use crate::txn::locks::LockMode;

use super::Defining;
use super::table::option_text;

/// The index of a key.
pub(super) struct KeyIndex<'k> {
    pub relation: &'k Arc<RelationDescriptor>,
    pub name: &'k str,
    pub columns: &'k [i16],
    pub is_primary: bool,
    pub nulls_not_distinct: bool,
    pub storage: &'k IndexStorage,
}

impl Defining<'_> {
    fn key(&self, relation: &RelationDescriptor, number: i16, at: Option<u32>) -> Result<Key> {
        let column = &relation.columns[(number - 1) as usize];
        let ty = Type::from_oid(column.type_oid).filter(|ty| comparison(*ty).is_some());
        let Some((ty, operator_class)) = ty.and_then(|ty| Some((ty, default_operator_class(ty.oid())?)))
        else {
            let ty = Type::from_oid(column.type_oid).map_or_else(|| "???".to_owned(), Type::sql_name);
            let message = format!("data type {ty} has no default operator class for access method \"btree\"");
            let report = Report::error(SqlState::UNDEFINED_OBJECT, message).with_hint(
                "You must specify an operator class for the index or define a default operator class for the data type.",
            );
            let _ = at;
            return Err(report);
        };
        Ok(Key {
            column: number,
            expression: None,
            type_oid: ty.oid(),
            operator_class,
            collation: column.collation,
            is_descending: false,
            nulls_first: false,
        })
    }

    fn index_options(&self, options: &[DefinitionOption]) -> Result<Vec<(String, String)>> {
        let mut kept = Vec::new();
        for option in options {
            let (name, at) = (&option.name.text, option.name.at);
            let value = option_text(option.value.as_ref());
            if name != "fillfactor" {
                let message = format!("unrecognized parameter \"{name}\"");
                return Err(self.error_at(at, SqlState::INVALID_PARAMETER_VALUE, message));
            }
            self.check_fillfactor(&value, 10, at)?;
            kept.push((name.clone(), value));
        }
        Ok(kept)
    }

    fn included(&self, relation: &RelationDescriptor, include: &[IndexColumn]) -> Result<Vec<i16>> {
        let mut included = Vec::new();
        for column in include {
            let IndexKey::Column(name) = &column.what else {
                return self.not_yet(None, "an expression in INCLUDE");
            };
            included.push(self.index_column(relation, &name.text, name.at)?);
        }
        Ok(included)
    }

    fn index_column(&self, relation: &RelationDescriptor, name: &str, at: u32) -> Result<i16> {
        match relation.column(name) {
            Some(column) => Ok(column.number),
            None => {
                let message = format!("column \"{name}\" does not exist");
                let _ = at;
                Err(Report::error(SqlState::UNDEFINED_COLUMN, message))
            }
        }
    }

    /// Makes the index of a primary key or unique constraint; its OID.
    pub(super) fn key_index(&mut self, key: &KeyIndex<'_>) -> Result<u32> {
        let relation = key.relation;
        let keys: Vec<Key> =
            key.columns.iter().map(|number| self.key(relation, *number, None)).collect::<Result<_>>()?;
        let (included, options) =
            (self.included(relation, &key.storage.include)?, self.index_options(&key.storage.options)?);
        self.build_index(
            relation,
            &NewIndex {
                relation: relation.oid,
                name: key.name,
                keys: &keys,
                included: &included,
                is_unique: true,
                nulls_not_distinct: key.nulls_not_distinct,
                is_primary: key.is_primary,
                is_immediate: true,
                predicate: None,
                options: &options,
                depends_on: &[],
            },
        )
    }

    fn build_index(&mut self, relation: &Arc<RelationDescriptor>, new: &NewIndex<'_>) -> Result<u32> {
        let built = with_tables(self.host, |access| access.cx.create_index(new, None))?;
        match built {
            NewlyBuilt::Done { oid, .. } => Ok(oid),
            NewlyBuilt::Duplicate(values) => {
                let columns: Vec<i16> = new.keys.iter().map(|key| key.column).collect();
                let codecs =
                    new.keys.iter().map(|key| Type::from_oid(key.type_oid).map_or(Codec::Text, Codec::of));
                let shown: Vec<Datum> = values
                    .iter()
                    .map(OwnedDatum::as_datum)
                    .zip(codecs)
                    .map(|(value, codec)| decode(value, codec))
                    .collect::<Result<_>>()?;
                let message = format!("could not create unique index \"{}\"", new.name);
                let key = key_text(relation, &columns, &shown, &self.session.formats);
                Err(Report::error(SqlState::new("23505"), message)
                    .with_detail(format!("{key} is duplicated.")))
            }
        }
    }

    /// `CREATE INDEX`.
    pub(super) fn create_index(&mut self, index: &CreateIndex) -> Result<bool> {
        if index.concurrently {
            self.session.transaction.prevent_in_block("CREATE INDEX CONCURRENTLY")?;
            return self.not_yet(None, "CREATE INDEX CONCURRENTLY");
        }
        if let Some(method) = &index.method
            && method.text != "btree"
        {
            let message = format!("access method \"{}\" does not exist", method.text);
            return Err(Report::error(SqlState::UNDEFINED_OBJECT, message));
        }
        if let Some(filter) = &index.filter {
            return self.not_yet(Some(filter.at), "a partial index");
        }
        let relation = self.relation(&index.table.name, LockMode::Share)?;
        if relation.kind != RelationKind::Table {
            let message = format!("cannot create index on relation \"{}\"", relation.name);
            return Err(Report::error(SqlState::WRONG_OBJECT_TYPE, message));
        }
        let mut keys = Vec::new();
        for column in &index.columns {
            keys.push(self.index_key(&relation, column)?);
        }
        let names: Vec<&str> =
            keys.iter().map(|key| relation.columns[(key.column - 1) as usize].name.as_str()).collect();
        let name = match &index.name {
            Some(name) => name.text.clone(),
            None => {
                let parts = (relation.name.as_str(), names.join("_"));
                self.choose_name(relation.namespace, (parts.0, &parts.1, "idx"), &[])?
            }
        };
        if index.if_not_exists && self.is_taken(relation.namespace, &name)? {
            let message = format!("relation \"{name}\" already exists, skipping");
            self.notice(SqlState::DUPLICATE_TABLE, message);
            return Ok(true);
        }
        let included = self.included(&relation, &index.index.include)?;
        let options = self.index_options(&index.index.options)?;
        self.build_index(
            &relation,
            &NewIndex {
                relation: relation.oid,
                name: &name,
                keys: &keys,
                included: &included,
                is_unique: index.unique,
                nulls_not_distinct: index.nulls_not_distinct,
                is_primary: false,
                is_immediate: true,
                predicate: None,
                options: &options,
                depends_on: &[],
            },
        )?;
        Ok(true)
    }

    fn index_key(&self, relation: &RelationDescriptor, column: &IndexColumn) -> Result<Key> {
        let name = match &column.what {
            IndexKey::Column(name) => name,
            IndexKey::Expr(expr) => return self.not_yet(Some(expr.at), "an index of an expression"),
        };
        if let Some(class) = &column.operator_class {
            return self.not_yet(Some(class.at), "an operator class");
        }
        let number = self.index_column(relation, &name.text, name.at)?;
        let mut key = self.key(relation, number, Some(name.at))?;
        key.is_descending = column.descending;
        key.nulls_first = column.nulls_first.unwrap_or(column.descending);
        Ok(key)
    }
}
