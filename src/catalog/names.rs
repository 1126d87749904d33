//! Finding schemas, relations and types by name and OID.

use std::sync::Arc;

use super::columns::Name;
use super::cx::{Cx, key, oid_key};
use super::descriptor::{RelationDescriptor, TypeDescriptor};
use super::schema::{
    PG_CLASS_RELNAME_NSP_INDEX, PG_NAMESPACE_NSPNAME_INDEX, PG_NAMESPACE_OID_INDEX, PG_TYPE_OID_INDEX,
    PG_TYPE_TYPNAME_NSP_INDEX, PgClass, PgNamespace, PgType,
};
use crate::report::Result;
use crate::txn::locks::LockMode;

/// The schema of the catalogs.
pub const PG_CATALOG: u32 = 11;
/// The schema of tables of oversized values.
pub const PG_TOAST: u32 = 99;
/// The schema `public`.
pub const PUBLIC_SCHEMA: u32 = 2200;

impl Cx<'_, '_, '_> {
    /// The OID of a schema.
    pub fn schema_oid(&mut self, name: &str) -> Result<Option<u32>> {
        if name == "pg_temp" {
            return Ok(self.catalog.temporary_schema());
        }
        if let Some(oid) = self.catalog.schema(name) {
            return Ok(Some(oid));
        }
        let found = self.row::<PgNamespace>(PG_NAMESPACE_NSPNAME_INDEX, &[key::<Name>(&name.to_owned())])?;
        let Some((_, row)) = found else { return Ok(None) };
        self.catalog.keep_schema(name, row.oid);
        Ok(Some(row.oid))
    }

    /// The name of a schema.
    pub fn schema_name(&mut self, oid: u32) -> Result<Option<String>> {
        Ok(match oid {
            PG_CATALOG => Some("pg_catalog".to_owned()),
            _ => self.row_of::<PgNamespace>(PG_NAMESPACE_OID_INDEX, oid)?.map(|(_, row)| row.nspname),
        })
    }

    /// The OID of a relation of a schema.
    pub fn relation_oid(&mut self, namespace: u32, name: &str) -> Result<Option<u32>> {
        if let Some(oid) = self.catalog.named(namespace, name) {
            return Ok(Some(oid));
        }
        let keys = [key::<Name>(&name.to_owned()), oid_key(namespace)];
        let Some((_, row)) = self.row::<PgClass>(PG_CLASS_RELNAME_NSP_INDEX, &keys)? else { return Ok(None) };
        self.catalog.keep_name(namespace, name, row.oid);
        Ok(Some(row.oid))
    }

    /// A relation.
    pub fn relation_by_oid(&mut self, oid: u32) -> Result<Option<Arc<RelationDescriptor>>> {
        if let Some(relation) = self.catalog.relation(oid) {
            return Ok(Some(relation));
        }
        let Some(relation) = self.load_relation(oid)?.map(Arc::new) else { return Ok(None) };
        self.catalog.keep_relation(&relation);
        Ok(Some(relation))
    }

    /// The first relation of a name: in the schema, or in those of the path that are there, in their order.
    pub fn oid_by_name(
        &mut self,
        schema: Option<&str>,
        name: &str,
        search_path: &[String],
    ) -> Result<Option<u32>> {
        if let Some(schema) = schema {
            let Some(namespace) = self.schema_oid(schema)? else { return Ok(None) };
            return self.relation_oid(namespace, name);
        }
        for schema in search_path {
            let Some(namespace) = self.schema_oid(schema)? else { continue };
            if let Some(oid) = self.relation_oid(namespace, name)? {
                return Ok(Some(oid));
            }
        }
        Ok(None)
    }

    /// The same, as it is now; nothing keeps it so.
    pub fn relation_by_name(
        &mut self,
        schema: Option<&str>,
        name: &str,
        search_path: &[String],
    ) -> Result<Option<Arc<RelationDescriptor>>> {
        let Some(oid) = self.oid_by_name(schema, name, search_path)? else { return Ok(None) };
        self.relation_by_oid(oid)
    }

    /// The same, locked until the transaction's end. The name is looked up again when the lock was got, since it may mean
    /// another relation by then, or none; a lock on what it meant before is kept all the same.
    pub fn open_relation(
        &mut self,
        schema: Option<&str>,
        name: &str,
        search_path: &[String],
        mode: LockMode,
    ) -> Result<Option<Arc<RelationDescriptor>>> {
        let mut locked = None;
        loop {
            let Some(oid) = self.oid_by_name(schema, name, search_path)? else { return Ok(None) };
            if locked == Some(oid) {
                return self.relation_by_oid(oid);
            }
            let generation = self.catalog.generation();
            self.lock_relation(oid, mode)?;
            if generation == self.catalog.generation() {
                return self.relation_by_oid(oid);
            }
            locked = Some(oid);
        }
    }

    /// A type.
    pub fn type_by_oid(&mut self, oid: u32) -> Result<Option<Arc<TypeDescriptor>>> {
        if let Some(ty) = self.catalog.type_of(oid) {
            return Ok(Some(ty));
        }
        let Some((_, row)) = self.row_of::<PgType>(PG_TYPE_OID_INDEX, oid)? else { return Ok(None) };
        let ty = Arc::new(descriptor(row));
        self.catalog.keep_type(&ty);
        Ok(Some(ty))
    }

    /// The type of a name in a schema.
    pub fn type_by_name(&mut self, namespace: u32, name: &str) -> Result<Option<Arc<TypeDescriptor>>> {
        let keys = [key::<Name>(&name.to_owned()), oid_key(namespace)];
        let found = self.row::<PgType>(PG_TYPE_TYPNAME_NSP_INDEX, &keys)?;
        Ok(found.map(|(_, row)| Arc::new(descriptor(row))))
    }
}

fn descriptor(row: PgType) -> TypeDescriptor {
    TypeDescriptor {
        oid: row.oid,
        name: row.typname,
        namespace: row.typnamespace,
        owner: row.typowner,
        kind: row.typtype,
        relation: row.typrelid,
        element: row.typelem,
        array: row.typarray,
    }
}
