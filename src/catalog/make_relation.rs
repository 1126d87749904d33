//! Making schemas, tables, views and composite types.

use super::columns::Name;
use super::cx::{Cx, key, oid_key};
use super::dependencies::DependencyKind;
use super::descriptor::{ColumnDescriptor, RelationKind, RelationPersistence};
use super::load::BOOTSTRAP_ROLE;
use super::names::PG_TOAST;
use super::relation_rows::{array_type, attribute, class, row_type};
use super::requests::{NewRelation, ObjectAddress};
use super::schema::*;
use super::system_rows::{BTREE, HEAP};
use super::types::oids;
use crate::access::btree::{BTree, DEFAULT_FILLFACTOR, IndexOptions};
use crate::access::heap::toast_index::chunk_shape;
use crate::access::row::ColumnStorage;
use crate::report::{Report, ReportExt, Result, SqlState};
use crate::storage::ids::RelFile;

/// Most columns that a table can have.
pub const MAX_HEAP_COLUMNS: usize = 1600;

pub(super) fn relation_exists(name: &str) -> Box<Report> {
    Report::error(SqlState::DUPLICATE_TABLE, format!("relation \"{name}\" already exists"))
}

fn type_exists(name: &str) -> Box<Report> {
    Report::error(SqlState::DUPLICATE_OBJECT, format!("type \"{name}\" already exists")).with_hint(
        "A relation has an associated type of the same name, so you must use a name that doesn't conflict with any \
         existing type.",
    )
}

impl Cx<'_, '_, '_> {
    /// `CREATE SCHEMA`.
    ///
    /// # Errors
    /// 42P06 if there is one, 42939 if its name is a system schema's.
    pub fn create_namespace(&mut self, name: &str, owner: u32) -> Result<u32> {
        if name.starts_with("pg_") {
            let message = format!("unacceptable schema name \"{name}\"");
            return Err(Report::error(SqlState::RESERVED_NAME, message)
                .with_detail("The prefix \"pg_\" is reserved for system schemas."));
        }
        self.make_namespace(name, owner)
    }

    /// The same, whatever its name.
    pub(super) fn make_namespace(&mut self, name: &str, owner: u32) -> Result<u32> {
        let exists =
            || Report::error(SqlState::DUPLICATE_SCHEMA, format!("schema \"{name}\" already exists"));
        if self.schema_oid(name)?.is_some() {
            return Err(exists());
        }
        let oid = self.new_oid::<PgNamespace>(PG_NAMESPACE_OID_INDEX)?;
        let row = PgNamespace { oid, nspname: name.to_owned(), nspowner: owner, nspacl: None };
        if !self.try_insert(&row)? {
            return Err(exists());
        }
        self.depend_on_owner(ObjectAddress::of(PG_NAMESPACE, oid), owner)?;
        self.changed(oid);
        Ok(oid)
    }

    /// The schema of the session's temporary relations, made if there is none yet. `number` is one that no other session
    /// has.
    ///
    /// # Errors
    /// As [`Self::create_namespace`].
    pub fn make_temporary_schema(&mut self, number: u32) -> Result<u32> {
        if let Some(oid) = self.catalog.temporary_schema() {
            return Ok(oid);
        }
        let name = format!("pg_temp_{number}");
        let oid = match self.schema_oid(&name)? {
            Some(oid) => oid,
            None => self.make_namespace(&name, BOOTSTRAP_ROLE)?,
        };
        self.catalog.temporary_schema = oid;
        Ok(oid)
    }

    /// `CREATE TABLE`, `CREATE VIEW`, `CREATE TYPE … AS (…)`, without indexes and constraints: rows, file, the type of its
    /// rows, and a place for oversized values if it may have such.
    ///
    /// # Errors
    /// 42P07 if there is a relation of that name, 42710 if there is such a type, 54011 beyond 1600 columns.
    pub fn create_relation(&mut self, new: &NewRelation<'_>) -> Result<u32> {
        if new.columns.len() > MAX_HEAP_COLUMNS {
            let message = format!("tables can have at most {MAX_HEAP_COLUMNS} columns");
            return Err(Report::error(SqlState::TOO_MANY_COLUMNS, message));
        }
        check_columns(new.columns)?;
        self.check_new_name(new.namespace, new.name)?;
        let type_key = [key::<Name>(&new.name.to_owned()), oid_key(new.namespace)];
        if self.row::<PgType>(PG_TYPE_TYPNAME_NSP_INDEX, &type_key)?.is_some() {
            return Err(type_exists(new.name));
        }
        let oid = self.new_oid::<PgClass>(PG_CLASS_OID_INDEX)?;
        let row_type = self.new_oid::<PgType>(PG_TYPE_OID_INDEX)?;
        let mut row = class(oid, new.name, new.namespace, new.kind);
        row.relowner = new.owner;
        row.relpersistence = new.persistence.letter();
        row.relnatts = new.columns.len() as i16;
        row.reltype = row_type;
        row.reloptions = stored_options(new.options);
        if new.kind == RelationKind::Table {
            row.relam = HEAP;
        }
        if new.kind.has_storage() {
            row.relfilenode = self.make_file(oid)?;
        }
        let has_toast = new.kind == RelationKind::Table && may_be_oversized(new.columns);
        if has_toast {
            row.reltoastrelid = self.make_toast(oid, new.owner, new.persistence)?;
        }
        if !self.try_insert(&row)? {
            return Err(relation_exists(new.name));
        }
        self.write_row_type(new, oid, row_type)?;
        self.write_columns(oid, new.columns)?;
        self.write_dependencies(new, oid, row_type)?;
        if has_toast {
            let toast = ObjectAddress::relation(row.reltoastrelid);
            self.depend(toast, ObjectAddress::relation(oid), DependencyKind::Internal)?;
        }
        self.changed(oid);
        Ok(oid)
    }

    /// That no relation of a schema has a name.
    pub(super) fn check_new_name(&mut self, namespace: u32, name: &str) -> Result<()> {
        match self.relation_oid(namespace, name)? {
            Some(_) => Err(relation_exists(name)),
            None => Ok(()),
        }
    }

    fn write_row_type(&mut self, new: &NewRelation<'_>, relation: u32, oid: u32) -> Result<()> {
        let array = self.new_oid::<PgType>(PG_TYPE_OID_INDEX)?;
        let row = row_type((oid, new.name, new.namespace), relation, new.owner, array);
        if !self.try_insert(&row)? {
            return Err(type_exists(new.name));
        }
        let array_name = self.free_array_name(new.namespace, new.name)?;
        self.insert(&array_type(&row, array_name))?;
        let (ty, array) = (ObjectAddress::of(PG_TYPE, oid), ObjectAddress::of(PG_TYPE, array));
        self.depend(array, ty, DependencyKind::Internal)?;
        self.depend(ty, ObjectAddress::relation(relation), DependencyKind::Internal)
    }

    /// `_name`, or with more underscores if a type has that name.
    fn free_array_name(&mut self, namespace: u32, name: &str) -> Result<String> {
        let mut candidate = format!("_{name}");
        loop {
            let mut end = candidate.len().min(63);
            while !candidate.is_char_boundary(end) {
                end -= 1;
            }
            candidate.truncate(end);
            if self.type_by_name(namespace, &candidate)?.is_none() {
                return Ok(candidate);
            }
            candidate.insert(0, '_');
        }
    }

    fn write_columns(&mut self, relation: u32, columns: &[ColumnDescriptor]) -> Result<()> {
        for column in columns {
            self.insert(&attribute(relation, column))?;
            if let Some(default) = &column.default {
                self.write_default(relation, column.number, default, &[])?;
            }
        }
        Ok(())
    }

    /// A column's default, as an object of its own.
    pub(super) fn write_default(
        &mut self,
        relation: u32,
        number: i16,
        text: &str,
        depends_on: &[ObjectAddress],
    ) -> Result<u32> {
        let oid = self.new_oid::<PgAttrdef>(PG_ATTRDEF_OID_INDEX)?;
        self.insert(&PgAttrdef { oid, adrelid: relation, adnum: number, adbin: text.to_owned() })?;
        let object = ObjectAddress::of(PG_ATTRDEF, oid);
        self.depend(object, ObjectAddress::column(relation, number), DependencyKind::Auto)?;
        for on in depends_on {
            self.depend(object, *on, DependencyKind::Normal)?;
        }
        Ok(oid)
    }

    fn write_dependencies(&mut self, new: &NewRelation<'_>, oid: u32, row_type: u32) -> Result<()> {
        let relation = ObjectAddress::relation(oid);
        self.depend(relation, ObjectAddress::of(PG_NAMESPACE, new.namespace), DependencyKind::Normal)?;
        self.depend_on_owner(relation, new.owner)?;
        for column in new.columns {
            let ty = ObjectAddress::of(PG_TYPE, column.type_oid);
            self.depend(ObjectAddress::column(oid, column.number), ty, DependencyKind::Normal)?;
        }
        let Some(view) = new.view else {
            return new
                .depends_on
                .iter()
                .try_for_each(|on| self.depend(relation, *on, DependencyKind::Normal));
        };
        debug_assert!(row_type != 0, "a view has a type of its rows");
        self.write_view(oid, view, new.depends_on)
    }

    /// A view's query, which replaces the one it has.
    ///
    /// # Errors
    /// What writing rows may end with.
    pub fn write_view(&mut self, view: u32, query: &str, depends_on: &[ObjectAddress]) -> Result<()> {
        if let Some((ctid, row)) = self.row::<PgRewrite>(PG_REWRITE_REL_RULENAME_INDEX, &[oid_key(view)])? {
            self.forget_dependencies(ObjectAddress::of(PG_REWRITE, row.oid))?;
            self.delete::<PgRewrite>(ctid)?;
        }
        let oid = self.new_oid::<PgRewrite>(PG_REWRITE_OID_INDEX)?;
        self.insert(&PgRewrite {
            oid,
            rulename: "_RETURN".to_owned(),
            ev_class: view,
            ev_type: b'1',
            ev_enabled: b'O',
            is_instead: true,
            ev_qual: "<>".to_owned(),
            ev_action: query.to_owned(),
        })?;
        let rule = ObjectAddress::of(PG_REWRITE, oid);
        self.depend(rule, ObjectAddress::relation(view), DependencyKind::Internal)?;
        for on in depends_on {
            self.depend(rule, *on, DependencyKind::Normal)?;
        }
        self.changed(view);
        Ok(())
    }

    /// A new file of the database; the number of it. `wanted` is taken if no file has it.
    pub(super) fn make_file(&mut self, wanted: u32) -> Result<u32> {
        let mut number = wanted;
        loop {
            let file = RelFile {
                tablespace: RelFile::DEFAULT_TABLESPACE,
                database: self.database(),
                relation: number,
            };
            match self.files.create(self.session, file) {
                Ok(()) => return Ok(number),
                // One that was dropped and is not gone yet, or was left by a crash.
                Err(report) if report.sqlstate == SqlState::DUPLICATE_FILE => {
                    let store = self.session.store;
                    number = store.engine.checkpoints.new_oid(&store.log)?;
                }
                Err(report) => return Err(report),
            }
        }
    }

    /// A place for a table's oversized values.
    fn make_toast(&mut self, table: u32, owner: u32, persistence: RelationPersistence) -> Result<u32> {
        let toast = self.new_oid::<PgClass>(PG_CLASS_OID_INDEX)?;
        let index = self.new_oid::<PgClass>(PG_CLASS_OID_INDEX)?;
        let (name, index_name) = (format!("pg_toast_{table}"), format!("pg_toast_{table}_index"));
        let mut row = class(toast, &name, PG_TOAST, RelationKind::Toast);
        (row.relowner, row.relam, row.relhasindex) = (owner, HEAP, true);
        (row.relpersistence, row.relnatts) = (persistence.letter(), 3);
        row.relfilenode = self.make_file(toast)?;
        let mut of_index = class(index, &index_name, PG_TOAST, RelationKind::Index);
        (of_index.relowner, of_index.relam) = (owner, BTREE);
        (of_index.relpersistence, of_index.relnatts) = (persistence.letter(), 2);
        of_index.relfilenode = self.make_file(index)?;
        self.make_toast_tree(of_index.relfilenode, &index_name, &name, persistence)?;
        let columns = [("chunk_id", oids::INT8), ("chunk_seq", oids::INT4), ("chunk_data", 17)];
        for (number, (column, ty)) in (1..).zip(columns) {
            let described = ColumnDescriptor::new(column, number, ty, -1);
            self.insert(&attribute(toast, &described))?;
            if number < 3 {
                self.insert(&attribute(index, &described))?;
            }
        }
        self.insert(&row)?;
        self.insert(&of_index)?;
        self.insert(&toast_index_row(index, toast))?;
        self.depend(
            ObjectAddress::relation(index),
            ObjectAddress::relation(toast),
            DependencyKind::Internal,
        )?;
        Ok(toast)
    }

    pub(super) fn make_toast_tree(
        &mut self,
        number: u32,
        name: &str,
        table: &str,
        persistence: RelationPersistence,
    ) -> Result<()> {
        let file =
            RelFile { tablespace: RelFile::DEFAULT_TABLESPACE, database: self.database(), relation: number };
        let options = IndexOptions {
            file,
            is_logged: persistence != RelationPersistence::Temporary,
            name: name.to_owned(),
            table: table.to_owned(),
            shape: chunk_shape(),
            fillfactor: DEFAULT_FILLFACTOR,
        };
        BTree::new(self.session.store, options).create()
    }
}

fn toast_index_row(index: u32, toast: u32) -> PgIndex {
    PgIndex {
        indexrelid: index,
        indrelid: toast,
        indnatts: 2,
        indnkeyatts: 2,
        // Dead pieces of a value's number stand beside living ones.
        indisunique: true,
        indnullsnotdistinct: false,
        indisprimary: true,
        indisexclusion: false,
        indimmediate: true,
        indisclustered: false,
        indisvalid: true,
        indcheckxmin: false,
        indisready: true,
        indislive: true,
        indisreplident: false,
        indkey: vec![1, 2],
        indcollation: vec![0, 0],
        indclass: vec![3124, 1978],
        indoption: vec![0, 0],
        indexprs: None,
        indpred: None,
    }
}

/// `name=value`, as `reloptions` has them.
pub(super) fn stored_options(options: &[(String, String)]) -> Option<Vec<String>> {
    let stored: Vec<String> = options.iter().map(|(name, value)| format!("{name}={value}")).collect();
    Some(stored).filter(|stored| !stored.is_empty())
}

/// Whether a row of these columns may be too long for a page.
fn may_be_oversized(columns: &[ColumnDescriptor]) -> bool {
    columns.iter().any(|column| {
        column.storage == ColumnStorage::Variable && column.toast_strategy != b'p' && !is_short(column)
    })
}

/// `varchar(n)` and its like, whose longest values are short; four bytes a character.
fn is_short(column: &ColumnDescriptor) -> bool {
    let is_text = matches!(column.type_oid, oids::VARCHAR | oids::BPCHAR);
    is_text && column.typmod >= 4 && (column.typmod - 4) * 4 < 300
}

/// Columns of tables must have names of their own that are no system column's.
fn check_columns(columns: &[ColumnDescriptor]) -> Result<()> {
    for (place, column) in columns.iter().enumerate() {
        check_column_name(&column.name)?;
        if columns[..place].iter().any(|other| other.name == column.name) {
            let message = format!("column \"{}\" specified more than once", column.name);
            return Err(Report::error(SqlState::DUPLICATE_COLUMN, message));
        }
    }
    Ok(())
}

/// That a name is no system column's.
pub(super) fn check_column_name(name: &str) -> Result<()> {
    if matches!(name, "tableoid" | "xmin" | "xmax" | "cmin" | "cmax" | "ctid") {
        let message = format!("column name \"{name}\" conflicts with a system column name");
        return Err(Report::error(SqlState::DUPLICATE_COLUMN, message));
    }
    Ok(())
}
