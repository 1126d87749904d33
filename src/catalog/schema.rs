//! The catalogs: their names, OIDs, columns and indexes, one declaration each.
//!
//! Those that DDL changes are declared by `catalogs!`, which makes a struct of typed columns for their rows. They are
//! ordinary tables, whose files have their OIDs as numbers. The others have columns only ([`FIXED`]).

mod fixed_list;
mod objects;
mod relations;
mod shared;

use crate::access::row::{OwnedDatum, RowReader};
use crate::report::Result;

pub use fixed_list::FIXED;
pub use objects::*;
pub use relations::*;
pub use shared::*;

/// A catalog that is stored.
#[derive(Debug)]
pub struct SystemTable {
    /// Its OID.
    pub oid: u32,
    /// Its name.
    pub name: &'static str,
    /// Whether all databases have it together.
    pub is_shared: bool,
    /// The type of its rows.
    pub row_type: u32,
    /// Its columns.
    pub columns: &'static [SystemColumn],
    /// Its indexes, in the order of `CatalogRow::INDEXES`.
    pub indexes: &'static [SystemIndex],
}

/// A column of a catalog.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SystemColumn {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub type_oid: u32,
    /// Whether nulls are refused.
    pub not_null: bool,
}

/// An index of a catalog.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SystemIndex {
    /// Its OID.
    pub oid: u32,
    /// Its name.
    pub name: &'static str,
    /// Whether no two rows may have the same keys.
    pub is_unique: bool,
    /// Whether it is the primary key's.
    pub is_primary: bool,
    /// Names of its columns.
    pub columns: &'static [&'static str],
}

impl SystemTable {
    /// The place of a column, from 0.
    pub fn column(&self, name: &str) -> usize {
        self.columns.iter().position(|column| column.name == name).unwrap_or(0)
    }

    /// Places of an index's columns.
    pub fn index_columns(&self, index: &SystemIndex) -> Vec<usize> {
        index.columns.iter().map(|name| self.column(name)).collect()
    }
}

/// A catalog whose rows the program makes.
#[derive(Debug)]
pub struct FixedTable {
    /// Its OID.
    pub oid: u32,
    /// Its name.
    pub name: &'static str,
    /// Whether all databases have it together.
    pub is_shared: bool,
    /// The type of its rows.
    pub row_type: u32,
    /// Names and types of its columns; `?` stands behind those that may be null.
    columns: &'static str,
}

impl FixedTable {
    /// Its columns.
    pub fn columns(&self) -> Vec<SystemColumn> {
        let column = |text: &'static str| {
            let (name, ty) = text.trim().split_once(' ').unwrap_or((text, "text"));
            let not_null = !ty.ends_with('?');
            let type_oid = super::types::builtin_by_name(ty.trim_end_matches('?')).map_or(0, |ty| ty.oid);
            SystemColumn { name, type_oid, not_null }
        };
        self.columns.split(',').map(column).collect()
    }
}

/// A row of a catalog that is stored.
pub trait CatalogRow: Sized {
    /// The catalog.
    const TABLE: &'static SystemTable;

    /// From what is stored.
    ///
    /// # Errors
    /// XX001 if that is damaged.
    fn read<'a>(row: &mut RowReader<'a, 'a>) -> Result<Self>;

    /// As it is stored.
    fn write(&self) -> Vec<OwnedDatum>;
}

/// See the module.
macro_rules! catalogs {
    ($(
        $(#[doc = $doc:literal])*
        $row:ident $table:ident = $oid:literal $name:literal $place:ident type $row_type:literal {
            $($column:ident: $kind:ty,)*
        }
        indexes { $($index:ident = $index_oid:literal $index_name:literal $how:ident ($($key:ident),*),)* }
    )*) => {
        #[allow(unused_imports, reason = "each file uses some")]
        use $crate::catalog::columns::*;
        use $crate::access::row::{OwnedDatum, RowReader};
        use $crate::catalog::schema::{CatalogRow, SystemColumn, SystemIndex, SystemTable};
        use $crate::report::Result;
        $(
            #[doc = concat!("OID of `", $name, "`.")]
            pub const $table: u32 = $oid;
            $(#[doc = concat!("OID of `", $index_name, "`.")] pub const $index: u32 = $index_oid;)*

            $(#[doc = $doc])*
            #[derive(Clone, PartialEq, Debug)]
            #[allow(missing_docs, reason = "PostgreSQL's documentation of its catalogs has them")]
            pub struct $row { $(pub $column: <$kind as Kind>::Value,)* }

            impl CatalogRow for $row {
                const TABLE: &'static SystemTable = &SystemTable {
                    oid: $oid,
                    name: $name,
                    is_shared: $crate::catalog::schema::is_shared(stringify!($place)),
                    row_type: $row_type,
                    columns: &[$(SystemColumn {
                        name: stringify!($column),
                        type_oid: <$kind as Kind>::TYPE,
                        not_null: <$kind as Kind>::NOT_NULL,
                    },)*],
                    indexes: &[$(SystemIndex {
                        oid: $index_oid,
                        name: $index_name,
                        is_unique: !$crate::catalog::schema::is_plain(stringify!($how)),
                        is_primary: $crate::catalog::schema::is_primary(stringify!($how)),
                        columns: &[$(stringify!($key)),*],
                    },)*],
                };

                fn read<'a>(row: &mut RowReader<'a, 'a>) -> Result<Self> {
                    let mut column = 0..;
                    Ok(Self { $($column: {
                        let datum = row.get(column.next().unwrap_or(0))?;
                        <$kind as Kind>::read(datum).ok_or_else(|| damaged($name, stringify!($column)))?
                    },)* })
                }

                fn write(&self) -> Vec<OwnedDatum> {
                    vec![$(<$kind as Kind>::write(&self.$column),)*]
                }
            }
        )*

        /// Those of this file.
        pub(super) const TABLES: &[&SystemTable] = &[$(<$row as CatalogRow>::TABLE,)*];
    };
}

use catalogs;

/// See the module.
macro_rules! fixed_tables {
    ($($oid:literal $name:literal $place:ident type $row_type:literal $columns:literal;)*) => {
        /// The catalogs whose rows the program makes.
        pub static FIXED: &[FixedTable] = &[$(FixedTable {
            oid: $oid,
            name: $name,
            is_shared: super::is_shared(stringify!($place)),
            row_type: $row_type,
            columns: $columns,
        },)*];
    };
}

use fixed_tables;

/// The catalogs that are stored.
pub fn stored() -> impl Iterator<Item = &'static SystemTable> {
    [relations::TABLES, objects::TABLES, shared::TABLES].into_iter().flatten().copied()
}

/// The stored catalog of an OID.
pub fn stored_by_oid(oid: u32) -> Option<&'static SystemTable> {
    stored().find(|table| table.oid == oid)
}

/// The fixed catalog of an OID.
pub fn fixed_by_oid(oid: u32) -> Option<&'static FixedTable> {
    FIXED.iter().find(|table| table.oid == oid)
}

/// Words are told apart by their first letter where a constant is made of them.
const fn is_shared(word: &str) -> bool {
    word.as_bytes()[0] == b's'
}

const fn is_plain(word: &str) -> bool {
    word.len() == 5
}

const fn is_primary(word: &str) -> bool {
    word.len() == 7
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_a_column_and_every_oid_is_one_table_s() {
        let mut oids = Vec::new();
        for table in stored() {
            oids.push(table.oid);
            for index in table.indexes {
                oids.push(index.oid);
                for column in index.columns {
                    assert!(table.columns.iter().any(|c| c.name == *column), "{column} of {}", index.name);
                }
            }
        }
        oids.extend(FIXED.iter().map(|table| table.oid));
        let count = oids.len();
        oids.sort_unstable();
        oids.dedup();
        assert_eq!(oids.len(), count, "an OID is given twice");
        for table in FIXED {
            for column in table.columns() {
                assert!(column.type_oid != 0, "type of {}.{}", table.name, column.name);
            }
        }
        let how: Vec<_> = PgClass::TABLE.indexes.iter().map(|i| (i.is_unique, i.is_primary)).collect();
        assert_eq!(how, [(true, true), (true, false), (false, false)]);
        assert!(PgDatabase::TABLE.is_shared && !PgClass::TABLE.is_shared);
    }
}
