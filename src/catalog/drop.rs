//! Dropping single objects: their rows, and files when the transaction commits. What needs them went before.

use super::columns::Int2;
use super::cx::{Cx, key, oid_key};
use super::load::{dropped_shape, file_of};
use super::requests::ObjectAddress;
use super::schema::*;
use super::types::storage_of;
use crate::access::Ctid;
use crate::report::{Report, Result, SqlState};
use crate::txn::locks::LockMode;

impl Cx<'_, '_, '_> {
    /// Drops an object that nothing needs any more.
    pub(super) fn drop_one(&mut self, object: ObjectAddress) -> Result<()> {
        match object.class {
            PG_CLASS if object.part != 0 => self.drop_column_row(object.object, object.part as i16)?,
            PG_CLASS => self.drop_relation_rows(object.object)?,
            PG_ATTRDEF => self.drop_default_row(object.object)?,
            PG_CONSTRAINT => self.drop_constraint_row(object.object)?,
            PG_TYPE => {
                self.delete_all::<PgType>(PG_TYPE_OID_INDEX, &[oid_key(object.object)])?;
                self.changed(object.object);
            }
            PG_NAMESPACE => {
                self.delete_all::<PgNamespace>(PG_NAMESPACE_OID_INDEX, &[oid_key(object.object)])?;
                self.changed(object.object);
            }
            PG_REWRITE => {
                if let Some((ctid, row)) = self.row_of::<PgRewrite>(PG_REWRITE_OID_INDEX, object.object)? {
                    self.delete::<PgRewrite>(ctid)?;
                    self.changed(row.ev_class);
                }
            }
            class => {
                let message = format!("dropping objects of catalog {class} is not supported");
                return Err(Report::error(SqlState::FEATURE_NOT_SUPPORTED, message));
            }
        }
        self.forget_dependencies(object)?;
        self.forget_comments(object)
    }

    /// A relation's column, dropped or not.
    pub(super) fn attribute(&mut self, relation: u32, number: i16) -> Result<Option<(Ctid, PgAttribute)>> {
        let keys = [oid_key(relation), key::<Int2>(&number)];
        self.row::<PgAttribute>(PG_ATTRIBUTE_RELID_ATTNUM_INDEX, &keys)
    }

    fn drop_relation_rows(&mut self, oid: u32) -> Result<()> {
        self.lock_relation(oid, LockMode::AccessExclusive)?;
        let Some((ctid, row)) = self.row_of::<PgClass>(PG_CLASS_OID_INDEX, oid)? else { return Ok(()) };
        if row.relfilenode != 0 {
            self.files.drop_at_commit(self.session, file_of(&row, self.database()));
        }
        let of = [oid_key(oid)];
        match row.relkind {
            b'i' => {
                if let Some((ctid, index)) = self.row_of::<PgIndex>(PG_INDEX_INDEXRELID_INDEX, oid)? {
                    self.delete::<PgIndex>(ctid)?;
                    self.changed(index.indrelid);
                }
            }
            b'S' => self.delete_all::<PgSequence>(PG_SEQUENCE_SEQRELID_INDEX, &of)?,
            _ => {
                self.delete_all::<PgStatistic>(PG_STATISTIC_RELID_ATT_INH_INDEX, &of)?;
                self.delete_all::<PgInherits>(PG_INHERITS_RELID_SEQNO_INDEX, &of)?;
            }
        }
        self.delete_all::<PgAttribute>(PG_ATTRIBUTE_RELID_ATTNUM_INDEX, &of)?;
        self.delete::<PgClass>(ctid)?;
        self.changed(oid);
        Ok(())
    }

    /// Rows keep a dropped column's values; how long they are must be known still.
    fn drop_column_row(&mut self, relation: u32, number: i16) -> Result<()> {
        self.lock_relation(relation, LockMode::AccessExclusive)?;
        let Some((ctid, mut row)) = self.attribute(relation, number)? else { return Ok(()) };
        let (len, align) = dropped_shape(storage_of(row.atttypid));
        row.attname = format!("........pg.dropped.{number}........");
        (row.attlen, row.attalign, row.atttypid) = (len, align, 0);
        (row.attnotnull, row.atthasdef, row.atthasmissing) = (false, false, false);
        (row.attidentity, row.attgenerated, row.attisdropped) = (0, 0, true);
        (row.attmissingval, row.attacl, row.attoptions) = (None, None, None);
        self.update(ctid, &row)?;
        let keys = [oid_key(relation), key::<Int2>(&number)];
        self.delete_all::<PgStatistic>(PG_STATISTIC_RELID_ATT_INH_INDEX, &keys)?;
        self.changed(relation);
        Ok(())
    }

    fn drop_default_row(&mut self, oid: u32) -> Result<()> {
        let Some((ctid, row)) = self.row_of::<PgAttrdef>(PG_ATTRDEF_OID_INDEX, oid)? else { return Ok(()) };
        self.delete::<PgAttrdef>(ctid)?;
        if let Some((ctid, mut column)) = self.attribute(row.adrelid, row.adnum)?
            && column.atthasdef
        {
            (column.atthasdef, column.attgenerated) = (false, 0);
            self.update(ctid, &column)?;
        }
        self.changed(row.adrelid);
        Ok(())
    }

    fn drop_constraint_row(&mut self, oid: u32) -> Result<()> {
        let Some((ctid, row)) = self.row_of::<PgConstraint>(PG_CONSTRAINT_OID_INDEX, oid)? else {
            return Ok(());
        };
        self.lock_relation(row.conrelid, LockMode::AccessExclusive)?;
        self.delete::<PgConstraint>(ctid)?;
        match row.contype {
            b'c' => self.count_checks(row.conrelid, -1)?,
            b'n' => {
                for number in row.conkey.iter().flatten() {
                    if let Some((ctid, mut column)) = self.attribute(row.conrelid, *number)? {
                        column.attnotnull = false;
                        self.update(ctid, &column)?;
                    }
                }
            }
            _ => {}
        }
        self.changed(row.conrelid);
        if row.confrelid != 0 {
            self.changed(row.confrelid);
        }
        Ok(())
    }
}
