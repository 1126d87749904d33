//! Making indexes, and building them of the rows that are there.

use super::cx::Cx;
use super::dependencies::DependencyKind;
use super::descriptor::{ColumnDescriptor, IndexDescriptor, IndexKey, RelationDescriptor, RelationKind};
use super::load::EXPRESSION_END;
use super::make_relation::{relation_exists, stored_options};
use super::relation_rows::{attribute, class};
use super::requests::{NewIndex, ObjectAddress};
use super::schema::*;
use super::system_rows::BTREE;
use super::tables::{heap_options, open_index};
use crate::access::btree::key::MAX_KEY_COLUMNS;
use crate::access::btree::{BuildOptions, Built};
use crate::access::heap::Heap;
use crate::access::heap::toast::value_bytes;
use crate::access::row::{Datum, OwnedDatum, RowReader};
use crate::access::visibility::Dirty;
use crate::report::{Report, Result, SqlState};
use crate::storage::ids::RelFile;

/// Computes an index's values of a row: all keys, then what is stored beside them; `false`: the row is not in the index.
pub type IndexValues<'v> = dyn FnMut(&[u8], &mut Vec<OwnedDatum>) -> Result<bool> + 'v;

/// How an index came to be.
#[derive(Clone, PartialEq, Debug)]
#[must_use = "it may not have been made"]
pub enum NewlyBuilt {
    /// With so many entries.
    Done {
        /// The index.
        oid: u32,
        /// Its entries.
        entries: u64,
    },
    /// Two rows have these keys; the statement fails, and whoever knows how values are shown says so.
    Duplicate(Vec<OwnedDatum>),
}

impl Cx<'_, '_, '_> {
    /// `CREATE INDEX`: rows, file, and an entry for every row. The caller has a share lock on the table. `values` computes
    /// the entries if the index has expressions or a predicate.
    ///
    /// # Errors
    /// 42P07 if there is a relation of that name, 54011 beyond 32 columns; whatever computing values ends with.
    pub fn create_index(
        &mut self,
        new: &NewIndex<'_>,
        values: Option<&mut IndexValues<'_>>,
    ) -> Result<NewlyBuilt> {
        if new.keys.len() + new.included.len() > MAX_KEY_COLUMNS {
            let message = format!("cannot use more than {MAX_KEY_COLUMNS} columns in an index");
            return Err(Report::error(SqlState::TOO_MANY_COLUMNS, message));
        }
        let table = self.table_of(new.relation)?;
        self.check_new_name(table.namespace, new.name)?;
        let oid = self.new_oid::<PgClass>(PG_CLASS_OID_INDEX)?;
        let number = self.make_file(oid)?;
        let mut row = class(oid, new.name, table.namespace, RelationKind::Index);
        (row.relowner, row.relam) = (table.owner, BTREE);
        row.relpersistence = table.persistence.letter();
        row.relnatts = (new.keys.len() + new.included.len()) as i16;
        (row.relfilenode, row.reloptions) = (number, stored_options(new.options));
        if !self.try_insert(&row)? {
            return Err(relation_exists(new.name));
        }
        self.write_index_columns(oid, new, &table)?;
        self.insert(&index_row(oid, new))?;
        self.mark_indexed(new.relation)?;
        self.write_index_dependencies(oid, new)?;
        self.changed(new.relation);
        let file = RelFile { relation: number, ..table.file };
        let index = described(oid, file, new);
        self.build(&index, &table, values)
    }

    pub(super) fn table_of(&mut self, oid: u32) -> Result<std::sync::Arc<RelationDescriptor>> {
        self.relation_by_oid(oid)?.ok_or_else(|| {
            let message = format!("could not open relation with OID {oid}");
            Report::error(SqlState::UNDEFINED_TABLE, message)
        })
    }

    fn write_index_columns(
        &mut self,
        oid: u32,
        new: &NewIndex<'_>,
        table: &RelationDescriptor,
    ) -> Result<()> {
        let of = |number: i16| &table.columns[usize::try_from(number - 1).unwrap_or(0)];
        let mut names: Vec<String> = Vec::new();
        let included =
            new.included.iter().map(|number| (*number, of(*number).type_oid, of(*number).collation));
        let keys = new.keys.iter().map(|key| (key.column, key.type_oid, key.collation));
        for (place, (column, type_oid, collation)) in (1..).zip(keys.chain(included)) {
            let base = if column == 0 { "expr" } else { &of(column).name };
            let name = free_name(base, &names);
            let typmod = if column == 0 { -1 } else { of(column).typmod };
            let described =
                ColumnDescriptor { collation, ..ColumnDescriptor::new(&name, place, type_oid, typmod) };
            self.insert(&attribute(oid, &described))?;
            names.push(name);
        }
        Ok(())
    }

    /// The table has indexes from now on.
    fn mark_indexed(&mut self, relation: u32) -> Result<()> {
        let Some((ctid, mut row)) = self.row_of::<PgClass>(PG_CLASS_OID_INDEX, relation)? else {
            return Ok(());
        };
        if row.relhasindex {
            return Ok(());
        }
        row.relhasindex = true;
        self.update(ctid, &row)
    }

    fn write_index_dependencies(&mut self, oid: u32, new: &NewIndex<'_>) -> Result<()> {
        let index = ObjectAddress::relation(oid);
        let columns = new.keys.iter().map(|key| key.column).chain(new.included.iter().copied());
        let mut has_any = false;
        for column in columns.filter(|column| *column > 0) {
            has_any = true;
            self.depend(index, ObjectAddress::column(new.relation, column), DependencyKind::Auto)?;
        }
        for on in new.depends_on {
            let is_own = on.class == PG_CLASS && on.object == new.relation;
            let how = if is_own { DependencyKind::Auto } else { DependencyKind::Normal };
            self.depend(index, *on, how)?;
        }
        if has_any {
            return Ok(());
        }
        // An index of expressions alone goes with its table.
        self.depend(index, ObjectAddress::relation(new.relation), DependencyKind::Auto)
    }

    /// Fills an index whose file is there, empty, with an entry for every row.
    ///
    /// # Errors
    /// Whatever reading, sorting and logging may end with.
    pub fn build(
        &mut self,
        index: &IndexDescriptor,
        table: &RelationDescriptor,
        values: Option<&mut IndexValues<'_>>,
    ) -> Result<NewlyBuilt> {
        let store = self.session.store;
        let tree = open_index(store, index, table, self.catalog.types);
        let folder = store.engine.data_directory().join("base");
        let options = BuildOptions { memory: self.catalog.build_memory, folder: &folder };
        let mut build = tree.build(options);
        let heap = Heap::new(heap_options(table));
        let layout = table.layout();
        let columns: Vec<usize> = (index.keys.iter().map(|key| key.column))
            .chain(index.included.iter().copied())
            .map(|number| usize::try_from(number - 1).unwrap_or(0))
            .collect();
        let mut plain = |row: &[u8], to: &mut Vec<OwnedDatum>| {
            let mut reader = RowReader::new(&layout, row)?;
            for column in &columns {
                to.push(reader.get(*column)?.to_owned());
            }
            Ok(true)
        };
        let values: &mut IndexValues<'_> = match values {
            Some(values) => values,
            None => &mut plain,
        };
        let mut entry = Vec::new();
        heap.for_each_row(self.session, |session, ctid, row| {
            entry.clear();
            if !values(row, &mut entry)? {
                return Ok(());
            }
            for value in &mut entry {
                if let OwnedDatum::Compressed(_) = value {
                    *value = OwnedDatum::Bytes(value_bytes(value.as_datum(), session, None)?.as_ref().into());
                }
            }
            let entry: Vec<Datum<'_>> = entry.iter().map(OwnedDatum::as_datum).collect();
            build.add(&entry, ctid)
        })?;
        let session = &mut *self.session;
        let built = build.finish(index.is_unique, !index.nulls_not_distinct, |ctid| {
            Ok(heap.fetch_dirty(session, ctid)?.1 != Dirty::Dead)
        })?;
        Ok(match built {
            Built::Done(entries) => NewlyBuilt::Done { oid: index.oid, entries },
            Built::Duplicate(values) => NewlyBuilt::Duplicate(values),
        })
    }
}

fn free_name(base: &str, taken: &[String]) -> String {
    let mut name = base.to_owned();
    let mut number = 0;
    while taken.contains(&name) {
        number += 1;
        name = format!("{base}{number}");
    }
    name
}

fn described(oid: u32, file: RelFile, new: &NewIndex<'_>) -> IndexDescriptor {
    IndexDescriptor {
        oid,
        name: new.name.to_owned(),
        file,
        keys: new.keys.to_vec(),
        included: new.included.to_vec(),
        is_unique: new.is_unique,
        nulls_not_distinct: new.nulls_not_distinct,
        is_primary: new.is_primary,
        predicate: new.predicate.map(str::to_owned),
        is_valid: true,
        is_immediate: new.is_immediate,
        options: new.options.to_vec(),
        constraint: None,
    }
}

fn index_row(oid: u32, new: &NewIndex<'_>) -> PgIndex {
    let expressions: Vec<&str> = new.keys.iter().filter_map(|key| key.expression.as_deref()).collect();
    let option = |key: &IndexKey| i16::from(key.is_descending) | i16::from(key.nulls_first) << 1;
    PgIndex {
        indexrelid: oid,
        indrelid: new.relation,
        indnatts: (new.keys.len() + new.included.len()) as i16,
        indnkeyatts: new.keys.len() as i16,
        indisunique: new.is_unique,
        indnullsnotdistinct: new.nulls_not_distinct,
        indisprimary: new.is_primary,
        indisexclusion: false,
        indimmediate: new.is_immediate,
        indisclustered: false,
        indisvalid: true,
        indcheckxmin: false,
        indisready: true,
        indislive: true,
        indisreplident: false,
        indkey: new.keys.iter().map(|key| key.column).chain(new.included.iter().copied()).collect(),
        indcollation: new.keys.iter().map(|key| key.collation).collect(),
        indclass: new.keys.iter().map(|key| key.operator_class).collect(),
        indoption: new.keys.iter().map(option).collect(),
        indexprs: Some(expressions.join(EXPRESSION_END)).filter(|_| !expressions.is_empty()),
        indpred: new.predicate.map(str::to_owned),
    }
}
