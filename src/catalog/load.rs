//! Descriptors, made of the catalogs' rows.

use std::collections::HashMap;

use super::acl;
use super::columns::item_value;
use super::cx::{Cx, oid_key};
use super::descriptor::{
    ColumnDescriptor, ConstraintDescriptor, ConstraintKind, ForeignAction, ForeignKeyDescriptor, Identity,
    IndexDescriptor, IndexKey, RelationDescriptor, RelationKind, RelationPersistence, SequenceParameters,
    ToastDescriptor,
};
use super::schema::{self, *};
use super::tables::system_file;
use super::types::storage_of;
use crate::access::row::{ColumnStorage, OwnedDatum};
use crate::report::{Report, Result, SqlState};
use crate::storage::ids::RelFile;

/// The bootstrap superuser.
pub const BOOTSTRAP_ROLE: u32 = 10;

/// Where the files of a relation are.
pub(super) fn file_of(class: &PgClass, database: u32) -> RelFile {
    let tablespace = if class.reltablespace == 0 { RelFile::DEFAULT_TABLESPACE } else { class.reltablespace };
    RelFile { tablespace, database, relation: class.relfilenode }
}

impl Cx<'_, '_, '_> {
    /// Reads a relation; `None`: there is none.
    pub(super) fn load_relation(&mut self, oid: u32) -> Result<Option<RelationDescriptor>> {
        let Some((_, class)) = self.row_of::<PgClass>(PG_CLASS_OID_INDEX, oid)? else { return Ok(None) };
        let Some(kind) = RelationKind::from_letter(class.relkind) else { return Ok(None) };
        let mut relation = self.bare(&class, kind)?;
        if let Some(system) = schema::stored_by_oid(oid) {
            relation.file = system_file(system.is_shared, self.database(), oid);
            relation.is_system = true;
        }
        relation.is_fixed = schema::fixed_by_oid(oid).is_some();
        relation.is_system |= relation.is_fixed;
        relation.columns = self.load_columns(&class)?;
        relation.indexes = self.load_indexes(oid)?;
        if !relation.is_system && class.relkind == b'r' {
            relation.constraints = self.load_constraints(oid)?;
            relation.referenced_by = self.load_references(oid)?;
            relation.toast = self.load_toast(class.reltoastrelid)?;
        }
        match kind {
            RelationKind::View => relation.view = self.load_view(oid)?,
            RelationKind::Sequence => relation.sequence = self.load_sequence(oid)?,
            _ => {}
        }
        Ok(Some(relation))
    }

    fn bare(&mut self, class: &PgClass, kind: RelationKind) -> Result<RelationDescriptor> {
        let options = class.reloptions.iter().flatten();
        let split = |option: &String| {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            (name.to_owned(), value.to_owned())
        };
        Ok(RelationDescriptor {
            oid: class.oid,
            file: file_of(class, self.database()),
            namespace: class.relnamespace,
            namespace_name: self.schema_name(class.relnamespace)?.unwrap_or_default(),
            name: class.relname.clone(),
            kind,
            persistence: RelationPersistence::from_letter(class.relpersistence).unwrap_or_default(),
            owner: class.relowner,
            acl: class.relacl.clone(),
            columns: Vec::new(),
            indexes: Vec::new(),
            constraints: Vec::new(),
            referenced_by: Vec::new(),
            options: options.map(split).collect(),
            view: None,
            sequence: None,
            toast: None,
            row_type: class.reltype,
            statistics: (class.reltuples, class.relpages),
            is_system: false,
            is_fixed: false,
        })
    }

    fn load_columns(&mut self, class: &PgClass) -> Result<Vec<ColumnDescriptor>> {
        let key = [oid_key(class.oid)];
        let mut defaults: HashMap<i16, String> = HashMap::new();
        let rows = self.rows::<PgAttribute>(PG_ATTRIBUTE_RELID_ATTNUM_INDEX, &key)?;
        if rows.iter().any(|(_, row)| row.atthasdef) {
            let rows = self.rows::<PgAttrdef>(PG_ATTRDEF_ADRELID_ADNUM_INDEX, &key)?;
            defaults.extend(rows.into_iter().map(|(_, row)| (row.adnum, row.adbin)));
        }
        let columns = rows.into_iter().filter(|(_, row)| row.attnum > 0);
        Ok(columns.map(|(_, row)| column(row, &mut defaults)).collect())
    }

    fn load_indexes(&mut self, oid: u32) -> Result<Vec<IndexDescriptor>> {
        let rows = self.rows::<PgIndex>(PG_INDEX_INDRELID_INDEX, &[oid_key(oid)])?;
        let mut indexes = Vec::with_capacity(rows.len());
        for (_, row) in rows {
            indexes.extend(self.load_index(&row)?);
        }
        indexes.sort_by_key(|index: &IndexDescriptor| index.oid);
        Ok(indexes)
    }

    fn load_index(&mut self, row: &PgIndex) -> Result<Option<IndexDescriptor>> {
        let Some((_, class)) = self.row_of::<PgClass>(PG_CLASS_OID_INDEX, row.indexrelid)? else {
            return Ok(None);
        };
        let columns =
            self.rows::<PgAttribute>(PG_ATTRIBUTE_RELID_ATTNUM_INDEX, &[oid_key(row.indexrelid)])?;
        let types: Vec<u32> = columns.iter().map(|(_, column)| column.atttypid).collect();
        let file = match schema::stored_by_oid(row.indrelid) {
            Some(system) => system_file(system.is_shared, self.database(), row.indexrelid),
            None => file_of(&class, self.database()),
        };
        let options = class.reloptions.iter().flatten().filter_map(|option| option.split_once('='));
        Ok(Some(IndexDescriptor {
            oid: row.indexrelid,
            name: class.relname.clone(),
            file,
            keys: index_keys(row, &types),
            included: row.indkey.iter().skip(row.indnkeyatts.max(0) as usize).copied().collect(),
            is_unique: row.indisunique,
            nulls_not_distinct: row.indnullsnotdistinct,
            is_primary: row.indisprimary,
            predicate: row.indpred.clone(),
            is_valid: row.indisvalid,
            is_immediate: row.indimmediate,
            options: options.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            constraint: None,
        }))
    }

    fn load_constraints(&mut self, oid: u32) -> Result<Vec<ConstraintDescriptor>> {
        let index = PG_CONSTRAINT_CONRELID_CONTYPID_CONNAME_INDEX;
        let rows = self.rows::<PgConstraint>(index, &[oid_key(oid)])?;
        Ok(rows.into_iter().filter_map(|(_, row)| constraint(row)).collect())
    }

    /// Foreign keys that reference a table: they depend on it, or on its columns.
    fn load_references(&mut self, oid: u32) -> Result<Vec<ConstraintDescriptor>> {
        let key = [oid_key(PG_CLASS), oid_key(oid)];
        let depending = self.rows::<PgDepend>(PG_DEPEND_REFERENCE_INDEX, &key)?;
        let mut oids: Vec<u32> = (depending.into_iter())
            .filter(|(_, row)| row.classid == PG_CONSTRAINT)
            .map(|(_, row)| row.objid)
            .collect();
        oids.sort_unstable();
        oids.dedup();
        let mut found = Vec::new();
        for of in oids {
            let row = self.row_of::<PgConstraint>(PG_CONSTRAINT_OID_INDEX, of)?;
            found.extend(row.map(|(_, row)| row).filter(|row| row.confrelid == oid).and_then(constraint));
        }
        Ok(found)
    }

    fn load_toast(&mut self, oid: u32) -> Result<Option<ToastDescriptor>> {
        if oid == 0 {
            return Ok(None);
        }
        let broken = || Report::error(SqlState::DATA_CORRUPTED, format!("toast table {oid} is not there"));
        let (_, class) = self.row_of::<PgClass>(PG_CLASS_OID_INDEX, oid)?.ok_or_else(broken)?;
        let (_, index) = self.row::<PgIndex>(PG_INDEX_INDRELID_INDEX, &[oid_key(oid)])?.ok_or_else(broken)?;
        let (_, of) = self.row_of::<PgClass>(PG_CLASS_OID_INDEX, index.indexrelid)?.ok_or_else(broken)?;
        let database = self.database();
        Ok(Some(ToastDescriptor {
            oid,
            file: file_of(&class, database),
            index: index.indexrelid,
            index_file: file_of(&of, database),
        }))
    }

    fn load_view(&mut self, oid: u32) -> Result<Option<String>> {
        let row = self.row::<PgRewrite>(PG_REWRITE_REL_RULENAME_INDEX, &[oid_key(oid)])?;
        Ok(row.map(|(_, row)| row.ev_action))
    }

    /// A sequence's parameters.
    pub(super) fn load_sequence(&mut self, oid: u32) -> Result<Option<SequenceParameters>> {
        let row = self.row_of::<PgSequence>(PG_SEQUENCE_SEQRELID_INDEX, oid)?;
        Ok(row.map(|(_, row)| SequenceParameters {
            type_oid: row.seqtypid,
            start: row.seqstart,
            increment: row.seqincrement,
            max: row.seqmax,
            min: row.seqmin,
            cache: row.seqcache,
            cycles: row.seqcycle,
        }))
    }
}

fn column(row: PgAttribute, defaults: &mut HashMap<i16, String>) -> ColumnDescriptor {
    let storage = if row.attisdropped { dropped_storage(&row) } else { storage_of(row.atttypid) };
    let missing = row.attmissingval.filter(|_| row.atthasmissing);
    let missing = missing.and_then(|bytes| {
        let items = super::columns::read_array(&bytes)?;
        item_value(storage, (*items.first()?)?)
    });
    ColumnDescriptor {
        default: defaults.remove(&row.attnum),
        name: row.attname,
        number: row.attnum,
        type_oid: row.atttypid,
        typmod: row.atttypmod,
        collation: row.attcollation,
        not_null: row.attnotnull,
        identity: Identity::from_letter(row.attidentity),
        is_generated: row.attgenerated == b's',
        is_dropped: row.attisdropped,
        missing,
        storage,
        toast_strategy: row.attstorage,
        acl: row.attacl,
    }
}

/// How a column's values are stored whose type nobody remembers: length and alignment tell.
fn dropped_storage(row: &PgAttribute) -> ColumnStorage {
    match (row.attlen, row.attalign) {
        (1, b'b') => ColumnStorage::Bool,
        (2, b's') => ColumnStorage::Int16,
        (4, b'i') => ColumnStorage::Int32,
        (8, b'd') => ColumnStorage::Int64,
        (4, b'f') => ColumnStorage::Float32,
        (8, b'F') => ColumnStorage::Float64,
        (1.., _) => ColumnStorage::Fixed(row.attlen as u16),
        _ => ColumnStorage::Variable,
    }
}

/// What a dropped column's row says of its length and alignment.
pub(super) fn dropped_shape(storage: ColumnStorage) -> (i16, u8) {
    match storage {
        ColumnStorage::Bool => (1, b'b'),
        ColumnStorage::Int16 => (2, b's'),
        ColumnStorage::Int32 => (4, b'i'),
        ColumnStorage::Int64 => (8, b'd'),
        ColumnStorage::Float32 => (4, b'f'),
        ColumnStorage::Float64 => (8, b'F'),
        ColumnStorage::Fixed(length) => (length as i16, b'c'),
        ColumnStorage::Variable => (-1, b'i'),
    }
}

/// Expressions are kept one behind the other, a line feed and a zero byte's picture between them.
pub(super) const EXPRESSION_END: &str = "\u{0}";

fn index_keys(row: &PgIndex, types: &[u32]) -> Vec<IndexKey> {
    let mut expressions = row.indexprs.iter().flat_map(|text| text.split(EXPRESSION_END));
    let count = row.indnkeyatts.max(0) as usize;
    (row.indkey.iter().take(count).enumerate())
        .map(|(place, column)| {
            let option = row.indoption.get(place).copied().unwrap_or(0);
            IndexKey {
                column: *column,
                expression: if *column == 0 { expressions.next().map(str::to_owned) } else { None },
                type_oid: types.get(place).copied().unwrap_or(0),
                operator_class: row.indclass.get(place).copied().unwrap_or(0),
                collation: row.indcollation.get(place).copied().unwrap_or(0),
                is_descending: option & 1 != 0,
                nulls_first: option & 2 != 0,
            }
        })
        .collect()
}

pub(super) fn constraint(row: PgConstraint) -> Option<ConstraintDescriptor> {
    let kind = ConstraintKind::from_letter(row.contype)?;
    let action = |letter| ForeignAction::from_letter(letter).unwrap_or_default();
    let foreign = (kind == ConstraintKind::ForeignKey).then(|| ForeignKeyDescriptor {
        relation: row.confrelid,
        columns: row.confkey.clone().unwrap_or_default(),
        on_delete: action(row.confdeltype),
        on_update: action(row.confupdtype),
        delete_set_columns: row.confdelsetcols.clone().unwrap_or_default(),
        match_full: row.confmatchtype == b'f',
    });
    Some(ConstraintDescriptor {
        oid: row.oid,
        name: row.conname,
        kind,
        relation: row.conrelid,
        columns: row.conkey.unwrap_or_default(),
        index: row.conindid,
        foreign,
        expression: row.conbin,
        is_deferrable: row.condeferrable,
        is_deferred: row.condeferred,
        is_validated: row.convalidated,
        is_local: row.conislocal,
        no_inherit: row.connoinherit,
    })
}

/// What everybody may do with catalogs.
pub(super) fn system_acl(is_secret: bool) -> Vec<super::descriptor::AclItem> {
    let of_everybody = if is_secret { 0 } else { acl::bits::SELECT };
    acl::owner_s(BOOTSTRAP_ROLE, acl::bits::OF_TABLE, of_everybody)
}

/// A value that is not there.
pub(super) const NULL: OwnedDatum = OwnedDatum::Plain(crate::access::row::Datum::Null);
