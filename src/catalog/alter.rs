//! Changing relations: columns, names, owners, options, files. That a change is allowed, and that rows are as it wants them,
//! is checked by whoever asks; the caller has the relation's lock.

use super::columns::Name;
use super::cx::{Cx, oid_key};
use super::dependencies::DependencyKind;
use super::descriptor::{AclItem, ColumnDescriptor, Identity, RelationKind};
use super::load::file_of;
use super::make_relation::{check_column_name, relation_exists, stored_options};
use super::relation_rows::attribute;
use super::requests::{DropBehavior, ObjectAddress};
use super::schema::*;
use super::tables::open_index;
use crate::access::Ctid;
use crate::report::{Report, Result, SqlState};
use crate::storage::ids::RelFile;

impl Cx<'_, '_, '_> {
    fn class_of(&mut self, relation: u32) -> Result<(Ctid, PgClass)> {
        self.row_of::<PgClass>(PG_CLASS_OID_INDEX, relation)?.ok_or_else(|| {
            let message = format!("could not open relation with OID {relation}");
            Report::error(SqlState::UNDEFINED_TABLE, message)
        })
    }

    fn column_of(&mut self, relation: u32, number: i16) -> Result<(Ctid, PgAttribute)> {
        self.attribute(relation, number)?.ok_or_else(|| {
            let message = format!("column number {number} of relation {relation} does not exist");
            Report::error(SqlState::UNDEFINED_COLUMN, message)
        })
    }

    /// Changes a relation's row.
    fn change_class(&mut self, relation: u32, change: impl FnOnce(&mut PgClass)) -> Result<()> {
        let (ctid, mut row) = self.class_of(relation)?;
        change(&mut row);
        self.update(ctid, &row)?;
        self.changed(relation);
        Ok(())
    }

    /// Changes a column's row.
    fn change_column(
        &mut self,
        relation: u32,
        number: i16,
        change: impl FnOnce(&mut PgAttribute),
    ) -> Result<()> {
        let (ctid, mut row) = self.column_of(relation, number)?;
        change(&mut row);
        self.update(ctid, &row)?;
        self.changed(relation);
        Ok(())
    }

    fn check_new_column(&mut self, relation: u32, name: &str) -> Result<()> {
        check_column_name(name)?;
        let table = self.table_of(relation)?;
        if table.column(name).is_some() {
            let message = format!("column \"{name}\" of relation \"{}\" already exists", table.name);
            return Err(Report::error(SqlState::DUPLICATE_COLUMN, message));
        }
        Ok(())
    }

    /// `ADD COLUMN`. Its number is the next; older rows have [`ColumnDescriptor::missing`]. The number.
    ///
    /// # Errors
    /// 42701 if there is a column of that name, 54011 beyond 1600 columns.
    pub fn add_column(
        &mut self,
        relation: u32,
        column: &ColumnDescriptor,
        depends_on: &[ObjectAddress],
    ) -> Result<i16> {
        self.check_new_column(relation, &column.name)?;
        let (ctid, mut row) = self.class_of(relation)?;
        if usize::from(row.relnatts.unsigned_abs()) >= super::make_relation::MAX_HEAP_COLUMNS {
            let message =
                format!("tables can have at most {} columns", super::make_relation::MAX_HEAP_COLUMNS);
            return Err(Report::error(SqlState::TOO_MANY_COLUMNS, message));
        }
        row.relnatts += 1;
        let column = ColumnDescriptor { number: row.relnatts, ..column.clone() };
        self.update(ctid, &row)?;
        self.insert(&attribute(relation, &column))?;
        if let Some(default) = &column.default {
            self.write_default(relation, column.number, default, depends_on)?;
        }
        let ty = ObjectAddress::of(PG_TYPE, column.type_oid);
        self.depend(ObjectAddress::column(relation, column.number), ty, DependencyKind::Normal)?;
        self.changed(relation);
        Ok(column.number)
    }

    /// `DROP COLUMN`; notices.
    ///
    /// # Errors
    /// 42703 if there is none, 2BP01 if something needs it.
    pub fn drop_column(&mut self, relation: u32, name: &str, behavior: DropBehavior) -> Result<Vec<Report>> {
        let table = self.table_of(relation)?;
        let Some(column) = table.column(name) else {
            let message = format!("column \"{name}\" of relation \"{}\" does not exist", table.name);
            return Err(Report::error(SqlState::UNDEFINED_COLUMN, message));
        };
        self.drop_objects(&[ObjectAddress::column(relation, column.number)], behavior)
    }

    /// `RENAME COLUMN`, in the table and in indexes whose columns are named after it.
    ///
    /// # Errors
    /// 42703 if there is none, 42701 if there is one of the new name.
    pub fn rename_column(&mut self, relation: u32, name: &str, new_name: &str) -> Result<()> {
        let table = self.table_of(relation)?;
        let Some(column) = table.column(name) else {
            let message = format!("column \"{name}\" does not exist");
            return Err(Report::error(SqlState::UNDEFINED_COLUMN, message));
        };
        self.check_new_column(relation, new_name)?;
        self.change_column(relation, column.number, |row| row.attname = new_name.to_owned())?;
        for index in &table.indexes {
            let columns = index.keys.iter().map(|key| key.column).chain(index.included.iter().copied());
            for (place, _) in (1..).zip(columns).filter(|(_, of)| *of == column.number) {
                if self.column_of(index.oid, place)?.1.attname == name {
                    self.change_column(index.oid, place, |row| row.attname = new_name.to_owned())?;
                }
            }
        }
        Ok(())
    }

    /// `SET DEFAULT` and `DROP DEFAULT`; `is_generated`: what the column is generated from.
    ///
    /// # Errors
    /// What writing rows may end with.
    pub fn set_default(
        &mut self,
        relation: u32,
        number: i16,
        text: Option<&str>,
        depends_on: &[ObjectAddress],
    ) -> Result<()> {
        let keys = [oid_key(relation), super::cx::key::<super::columns::Int2>(&number)];
        if let Some((_, old)) = self.row::<PgAttrdef>(PG_ATTRDEF_ADRELID_ADNUM_INDEX, &keys)? {
            self.drop_one(ObjectAddress::of(PG_ATTRDEF, old.oid))?;
        }
        if let Some(text) = text {
            self.write_default(relation, number, text, depends_on)?;
        }
        self.change_column(relation, number, |row| row.atthasdef = text.is_some())
    }

    /// Whether a column refuses nulls.
    ///
    /// # Errors
    /// What writing rows may end with.
    pub fn set_not_null(&mut self, relation: u32, number: i16, not_null: bool) -> Result<()> {
        self.change_column(relation, number, |row| row.attnotnull = not_null)
    }

    /// Whether a column is an identity.
    ///
    /// # Errors
    /// What writing rows may end with.
    pub fn set_identity(&mut self, relation: u32, number: i16, identity: Option<Identity>) -> Result<()> {
        let letter = identity.map_or(0, Identity::letter);
        self.change_column(relation, number, |row| row.attidentity = letter)
    }

    /// What may be done to a column's long values: `p`, `e`, `m`, `x`.
    ///
    /// # Errors
    /// What writing rows may end with.
    pub fn set_storage(&mut self, relation: u32, number: i16, strategy: u8) -> Result<()> {
        self.change_column(relation, number, |row| row.attstorage = strategy)
    }

    /// How many values of a column `ANALYZE` looks at; `None`: as many as of others.
    ///
    /// # Errors
    /// What writing rows may end with.
    pub fn set_statistics_target(&mut self, relation: u32, number: i16, target: Option<i16>) -> Result<()> {
        self.change_column(relation, number, |row| row.attstattarget = target)
    }

    /// A column's type, in the catalog alone: rows are rewritten by the caller, to a new file.
    ///
    /// # Errors
    /// What writing rows may end with.
    pub fn set_column_type(
        &mut self,
        relation: u32,
        number: i16,
        (type_oid, typmod, collation): (u32, i32, u32),
    ) -> Result<()> {
        let (ctid, row) = self.column_of(relation, number)?;
        let described =
            ColumnDescriptor { collation, ..ColumnDescriptor::new(&row.attname, number, type_oid, typmod) };
        let new = attribute(relation, &described);
        self.update(
            ctid,
            &PgAttribute {
                atttypid: new.atttypid,
                attlen: new.attlen,
                atttypmod: new.atttypmod,
                attndims: new.attndims,
                attbyval: new.attbyval,
                attalign: new.attalign,
                attstorage: new.attstorage,
                attcollation: new.attcollation,
                atthasmissing: false,
                attmissingval: None,
                ..row
            },
        )?;
        let keys = [oid_key(relation), super::cx::key::<super::columns::Int2>(&number)];
        self.delete_all::<PgStatistic>(PG_STATISTIC_RELID_ATT_INH_INDEX, &keys)?;
        self.changed(relation);
        Ok(())
    }

    /// No column has a value for older rows any more: they were rewritten.
    ///
    /// # Errors
    /// What writing rows may end with.
    pub fn clear_missing(&mut self, relation: u32) -> Result<()> {
        let rows = self.rows::<PgAttribute>(PG_ATTRIBUTE_RELID_ATTNUM_INDEX, &[oid_key(relation)])?;
        for (ctid, mut row) in rows {
            if row.atthasmissing {
                (row.atthasmissing, row.attmissingval) = (false, None);
                self.update(ctid, &row)?;
            }
        }
        self.changed(relation);
        Ok(())
    }

    /// `DROP CONSTRAINT`; notices.
    ///
    /// # Errors
    /// 42704 if there is none, 2BP01 if something needs it.
    pub fn drop_constraint(
        &mut self,
        relation: u32,
        name: &str,
        behavior: DropBehavior,
    ) -> Result<Vec<Report>> {
        let Some((_, row)) = self.constraint_of(relation, name)? else {
            let table = self.table_of(relation)?;
            let message = format!("constraint \"{name}\" of relation \"{}\" does not exist", table.name);
            return Err(Report::error(SqlState::UNDEFINED_OBJECT, message));
        };
        self.drop_objects(&[ObjectAddress::of(PG_CONSTRAINT, row.oid)], behavior)
    }

    /// All rows meet a constraint.
    ///
    /// # Errors
    /// What writing rows may end with.
    pub fn validate_constraint(&mut self, constraint: u32) -> Result<()> {
        let Some((ctid, mut row)) = self.row_of::<PgConstraint>(PG_CONSTRAINT_OID_INDEX, constraint)? else {
            return Ok(());
        };
        row.convalidated = true;
        self.update(ctid, &row)?;
        self.changed(row.conrelid);
        Ok(())
    }

    /// `RENAME CONSTRAINT`; a key's index is renamed with it.
    ///
    /// # Errors
    /// 42704 if there is none, 42710 if there is one of the new name.
    pub fn rename_constraint(&mut self, relation: u32, name: &str, new_name: &str) -> Result<()> {
        let table = self.table_of(relation)?;
        let Some((ctid, mut row)) = self.constraint_of(relation, name)? else {
            let message = format!("constraint \"{name}\" for table \"{}\" does not exist", table.name);
            return Err(Report::error(SqlState::UNDEFINED_OBJECT, message));
        };
        if self.constraint_of(relation, new_name)?.is_some() {
            let message = format!("constraint \"{new_name}\" for relation \"{}\" already exists", table.name);
            return Err(Report::error(SqlState::DUPLICATE_OBJECT, message));
        }
        if matches!(row.contype, b'p' | b'u') {
            return self.rename_relation(row.conindid, new_name);
        }
        row.conname = new_name.to_owned();
        self.update(ctid, &row)?;
        self.changed(relation);
        Ok(())
    }

    /// `RENAME TO`, of whatever kind; the type of its rows, and a key's constraint with its index, are renamed with it.
    ///
    /// # Errors
    /// 42P07 if there is a relation of that name.
    pub fn rename_relation(&mut self, relation: u32, new_name: &str) -> Result<()> {
        let (ctid, mut row) = self.class_of(relation)?;
        self.check_new_name(row.relnamespace, new_name)?;
        row.relname = new_name.to_owned();
        self.update(ctid, &row).map_err(|report| named_twice(report, new_name))?;
        self.changed(relation);
        if let Some((ctid, mut ty)) = self.row_of::<PgType>(PG_TYPE_OID_INDEX, row.reltype)? {
            ty.typname = new_name.to_owned();
            self.update(ctid, &ty)?;
            self.changed(ty.oid);
        }
        if let Some((ctid, mut constraint)) = self.constraint_of_index(relation)? {
            constraint.conname = new_name.to_owned();
            self.update(ctid, &constraint)?;
        }
        if let Some((_, index)) = self.row_of::<PgIndex>(PG_INDEX_INDEXRELID_INDEX, relation)? {
            self.changed(index.indrelid);
        }
        Ok(())
    }

    /// The constraint that an index is the key of.
    fn constraint_of_index(&mut self, index: u32) -> Result<Option<(Ctid, PgConstraint)>> {
        let keys = [oid_key(PG_CLASS), oid_key(index)];
        let rows = self.rows::<PgDepend>(PG_DEPEND_DEPENDER_INDEX, &keys)?;
        match rows.into_iter().find(|(_, row)| row.refclassid == PG_CONSTRAINT && row.deptype == b'i') {
            Some((_, row)) => self.row_of::<PgConstraint>(PG_CONSTRAINT_OID_INDEX, row.refobjid),
            None => Ok(None),
        }
    }

    /// `SET SCHEMA`, with indexes, constraints, the type of its rows and the sequences that go with its columns.
    ///
    /// # Errors
    /// 42P07 if there is a relation of that name.
    pub fn set_relation_schema(&mut self, relation: u32, namespace: u32) -> Result<()> {
        let table = self.table_of(relation)?;
        if table.namespace == namespace {
            return Ok(());
        }
        if self.relation_oid(namespace, &table.name)?.is_some() {
            let schema = self.schema_name(namespace)?.unwrap_or_default();
            let message = format!("relation \"{}\" already exists in schema \"{schema}\"", table.name);
            return Err(Report::error(SqlState::DUPLICATE_TABLE, message));
        }
        self.move_relation(relation, namespace, true)?;
        for index in &table.indexes {
            self.move_relation(index.oid, namespace, false)?;
        }
        for constraint in &table.constraints {
            let found = self.row_of::<PgConstraint>(PG_CONSTRAINT_OID_INDEX, constraint.oid)?;
            if let Some((ctid, mut row)) = found {
                row.connamespace = namespace;
                self.update(ctid, &row)?;
            }
        }
        for column in table.live_columns() {
            if let Some(sequence) = self.sequence_of_column(relation, column.number)? {
                self.move_relation(sequence, namespace, true)?;
            }
        }
        Ok(())
    }

    fn move_relation(&mut self, relation: u32, namespace: u32, has_dependency: bool) -> Result<()> {
        let (ctid, mut row) = self.class_of(relation)?;
        row.relnamespace = namespace;
        self.update(ctid, &row).map_err(|report| named_twice(report, &row.relname))?;
        self.changed(relation);
        for ty in [row.reltype] {
            let Some((ctid, mut ty)) = self.row_of::<PgType>(PG_TYPE_OID_INDEX, ty)? else { continue };
            ty.typnamespace = namespace;
            self.update(ctid, &ty)?;
            self.changed(ty.oid);
            if let Some((ctid, mut array)) = self.row_of::<PgType>(PG_TYPE_OID_INDEX, ty.typarray)? {
                array.typnamespace = namespace;
                self.update(ctid, &array)?;
                self.changed(array.oid);
            }
        }
        if has_dependency {
            let object = ObjectAddress::relation(relation);
            self.forget_dependencies_on(object, PG_NAMESPACE)?;
            self.depend(object, ObjectAddress::of(PG_NAMESPACE, namespace), DependencyKind::Normal)?;
        }
        Ok(())
    }

    /// `OWNER TO`, with indexes, oversized values' place, the type of its rows and the sequences that go with its columns.
    ///
    /// # Errors
    /// What writing rows may end with.
    pub fn set_relation_owner(&mut self, relation: u32, owner: u32) -> Result<()> {
        let table = self.table_of(relation)?;
        self.change_class(relation, |row| row.relowner = owner)?;
        if let Some((ctid, mut ty)) = self.row_of::<PgType>(PG_TYPE_OID_INDEX, table.row_type)? {
            ty.typowner = owner;
            self.update(ctid, &ty)?;
        }
        self.change_owner(ObjectAddress::relation(relation), owner)?;
        let toast = table.toast.map(|toast| [toast.oid, toast.index]).into_iter().flatten();
        for part in table.indexes.iter().map(|index| index.oid).chain(toast) {
            self.change_class(part, |row| row.relowner = owner)?;
        }
        for column in table.live_columns() {
            if let Some(sequence) = self.sequence_of_column(relation, column.number)? {
                self.change_class(sequence, |row| row.relowner = owner)?;
                self.change_owner(ObjectAddress::relation(sequence), owner)?;
            }
        }
        Ok(())
    }

    /// `SET (…)` and `RESET (…)`: all options from now on.
    ///
    /// # Errors
    /// What writing rows may end with.
    pub fn set_relation_options(&mut self, relation: u32, options: &[(String, String)]) -> Result<()> {
        self.change_class(relation, |row| row.reloptions = stored_options(options))?;
        self.tell_table_of_index(relation)
    }

    fn tell_table_of_index(&mut self, relation: u32) -> Result<()> {
        if let Some((_, index)) = self.row_of::<PgIndex>(PG_INDEX_INDEXRELID_INDEX, relation)? {
            self.changed(index.indrelid);
        }
        Ok(())
    }

    /// `GRANT` and `REVOKE` on a relation: its privileges from now on.
    ///
    /// # Errors
    /// What writing rows may end with.
    pub fn set_relation_acl(&mut self, relation: u32, acl: Option<Vec<AclItem>>) -> Result<()> {
        self.change_class(relation, |row| row.relacl = acl)
    }

    /// The same on a column.
    ///
    /// # Errors
    /// What writing rows may end with.
    pub fn set_column_acl(&mut self, relation: u32, number: i16, acl: Option<Vec<AclItem>>) -> Result<()> {
        self.change_column(relation, number, |row| row.attacl = acl)
    }

    /// The same on a schema.
    ///
    /// # Errors
    /// What writing rows may end with.
    pub fn set_schema_acl(&mut self, namespace: u32, acl: Option<Vec<AclItem>>) -> Result<()> {
        let found = self.row_of::<PgNamespace>(PG_NAMESPACE_OID_INDEX, namespace)?;
        let Some((ctid, mut row)) = found else { return Ok(()) };
        row.nspacl = acl;
        self.update(ctid, &row)
    }

    /// `ALTER SCHEMA … RENAME TO`.
    ///
    /// # Errors
    /// 3F000 if there is none, 42P06 if there is one of the new name.
    pub fn rename_schema(&mut self, name: &str, new_name: &str) -> Result<()> {
        let found =
            self.row::<PgNamespace>(PG_NAMESPACE_NSPNAME_INDEX, &[super::cx::key::<Name>(&name.to_owned())])?;
        let Some((ctid, mut row)) = found else {
            return Err(Report::error(
                SqlState::INVALID_SCHEMA_NAME,
                format!("schema \"{name}\" does not exist"),
            ));
        };
        if self.schema_oid(new_name)?.is_some() {
            let message = format!("schema \"{new_name}\" already exists");
            return Err(Report::error(SqlState::DUPLICATE_SCHEMA, message));
        }
        row.nspname = new_name.to_owned();
        self.update(ctid, &row)?;
        // Descriptors have schemas' names.
        self.changed_everything();
        Ok(())
    }

    /// `ALTER SCHEMA … OWNER TO`.
    ///
    /// # Errors
    /// What writing rows may end with.
    pub fn set_schema_owner(&mut self, namespace: u32, owner: u32) -> Result<()> {
        let found = self.row_of::<PgNamespace>(PG_NAMESPACE_OID_INDEX, namespace)?;
        let Some((ctid, mut row)) = found else { return Ok(()) };
        row.nspowner = owner;
        self.update(ctid, &row)?;
        self.change_owner(ObjectAddress::of(PG_NAMESPACE, namespace), owner)
    }

    /// What `ANALYZE` or a bulk load found out of a relation's size.
    ///
    /// # Errors
    /// What writing rows may end with.
    pub fn set_size(&mut self, relation: u32, pages: i32, rows: f32) -> Result<()> {
        self.change_class(relation, |row| (row.relpages, row.reltuples) = (pages, rows))
    }

    /// New, empty files for a table, its indexes and its oversized values; the old ones go when the transaction commits.
    /// What `TRUNCATE` does, and what a rewrite begins with.
    ///
    /// # Errors
    /// As making files.
    pub fn replace_files(&mut self, relation: u32) -> Result<()> {
        let table = self.table_of(relation)?;
        self.replace_file(relation)?;
        if let Some(toast) = table.toast {
            self.replace_file(toast.oid)?;
            let number = self.replace_file(toast.index)?;
            let name = format!("pg_toast_{relation}");
            self.make_toast_tree(number, &format!("{name}_index"), &name, table.persistence)?;
        }
        for index in &table.indexes {
            let number = self.replace_file(index.oid)?;
            let mut new = index.clone();
            new.file = RelFile { relation: number, ..index.file };
            open_index(self.session.store, &new, &table, self.catalog.types).create()?;
        }
        self.changed(relation);
        Ok(())
    }

    /// A new, empty file for one relation.
    fn replace_file(&mut self, relation: u32) -> Result<u32> {
        let (ctid, mut row) = self.class_of(relation)?;
        let wanted = self.new_oid::<PgClass>(PG_CLASS_OID_INDEX)?;
        let number = self.make_file(wanted)?;
        self.files.drop_at_commit(self.session, file_of(&row, self.database()));
        (row.relfilenode, row.relpages, row.relallvisible, row.relallfrozen) = (number, 0, 0, 0);
        row.reltuples = if row.relkind == RelationKind::Index.letter() { 0.0 } else { -1.0 };
        self.update(ctid, &row)?;
        self.changed(relation);
        Ok(number)
    }
}

/// Another's relation has taken the name meanwhile.
fn named_twice(report: Box<Report>, name: &str) -> Box<Report> {
    if report.sqlstate == SqlState::UNIQUE_VIOLATION { relation_exists(name) } else { report }
}
