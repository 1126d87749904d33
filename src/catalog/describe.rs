//! What messages call objects: `table t`, `column a of table t`, with their schema where the search path does not show them.

use super::cx::Cx;
use super::descriptor::RelationKind;
use super::requests::ObjectAddress;
use super::schema::*;
use crate::report::Result;

impl Cx<'_, '_, '_> {
    /// A relation's name, with its schema if the search path does not lead to it.
    pub fn shown_relation(&mut self, oid: u32) -> Result<String> {
        let Some((_, row)) = self.row_of::<PgClass>(PG_CLASS_OID_INDEX, oid)? else {
            return Ok(oid.to_string());
        };
        if self.is_visible(row.relnamespace, &row.relname)? {
            return Ok(row.relname);
        }
        let schema = self.schema_name(row.relnamespace)?.unwrap_or_default();
        Ok(format!("{schema}.{}", row.relname))
    }

    /// Whether a name alone leads to a schema's relation of that name.
    pub fn is_visible(&mut self, namespace: u32, name: &str) -> Result<bool> {
        for other in self.catalog.search_path.clone() {
            if other == namespace {
                return Ok(true);
            }
            if self.relation_oid(other, name)?.is_some() {
                return Ok(false);
            }
        }
        Ok(false)
    }

    /// What messages call an object.
    pub fn describe(&mut self, object: ObjectAddress) -> Result<String> {
        Ok(match object.class {
            PG_CLASS => self.describe_relation(object)?,
            PG_NAMESPACE => format!("schema {}", self.schema_name(object.object)?.unwrap_or_default()),
            PG_TYPE => self.describe_type(object.object)?,
            PG_CONSTRAINT => self.describe_constraint(object.object)?,
            PG_ATTRDEF => {
                let row = self.row_of::<PgAttrdef>(PG_ATTRDEF_OID_INDEX, object.object)?;
                match row {
                    Some((_, row)) => {
                        let column = ObjectAddress::column(row.adrelid, row.adnum);
                        format!("default value for {}", self.describe_relation(column)?)
                    }
                    None => format!("default value {}", object.object),
                }
            }
            PG_REWRITE => {
                let row = self.row_of::<PgRewrite>(PG_REWRITE_OID_INDEX, object.object)?;
                match row {
                    Some((_, row)) => {
                        let view = self.describe_relation(ObjectAddress::relation(row.ev_class))?;
                        format!("rule {} on {view}", row.rulename)
                    }
                    None => format!("rule {}", object.object),
                }
            }
            PG_AUTHID => {
                let row = self.row_of::<PgAuthid>(PG_AUTHID_OID_INDEX, object.object)?;
                format!("role {}", row.map_or_else(|| object.object.to_string(), |(_, row)| row.rolname))
            }
            PG_DATABASE => {
                let row = self.row_of::<PgDatabase>(PG_DATABASE_OID_INDEX, object.object)?;
                format!("database {}", row.map_or_else(|| object.object.to_string(), |(_, row)| row.datname))
            }
            class => format!("object {} of catalog {class}", object.object),
        })
    }

    fn describe_relation(&mut self, object: ObjectAddress) -> Result<String> {
        let row = self.row_of::<PgClass>(PG_CLASS_OID_INDEX, object.object)?;
        let kind = row.and_then(|(_, row)| RelationKind::from_letter(row.relkind));
        let noun = kind.map_or("relation", RelationKind::noun);
        let name = self.shown_relation(object.object)?;
        if object.part == 0 {
            return Ok(format!("{noun} {name}"));
        }
        let column = self.attribute(object.object, object.part as i16)?;
        let column = column.map_or_else(|| object.part.to_string(), |(_, row)| row.attname);
        Ok(format!("column {column} of {noun} {name}"))
    }

    fn describe_type(&mut self, oid: u32) -> Result<String> {
        let Some(ty) = self.type_by_oid(oid)? else { return Ok(format!("type {oid}")) };
        let element = if ty.element == 0 { None } else { self.type_by_oid(ty.element)? };
        let (name, suffix) = match &element {
            Some(element) => (element.name.clone(), "[]"),
            None => (ty.name.clone(), ""),
        };
        if self.catalog.search_path.contains(&ty.namespace) {
            return Ok(format!("type {name}{suffix}"));
        }
        let schema = self.schema_name(ty.namespace)?.unwrap_or_default();
        Ok(format!("type {schema}.{name}{suffix}"))
    }

    fn describe_constraint(&mut self, oid: u32) -> Result<String> {
        let Some((_, row)) = self.row_of::<PgConstraint>(PG_CONSTRAINT_OID_INDEX, oid)? else {
            return Ok(format!("constraint {oid}"));
        };
        let table = self.describe_relation(ObjectAddress::relation(row.conrelid))?;
        Ok(format!("constraint {} on {table}", row.conname))
    }
}
