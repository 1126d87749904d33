//! Tables that a session has opened, kept for as long as their descriptor is the same.

use std::rc::Rc;
use std::sync::Arc;

use super::{ByOid, TYPE_SUPPORT};
use crate::access::Store;
use crate::access::row::RowLayout;
use crate::access::table::Table;
use crate::catalog::descriptor::{IndexDescriptor, RelationDescriptor};
use crate::catalog::open_table;
use crate::catalog::types::storage_of;
use crate::report::{Report, Result};
use crate::sql::types::Type;
use crate::sql::types::stored::{Codec, Scratch};

/// Most tables that a session keeps open.
const MOST_OPEN: usize = 256;

/// How a table's rows are read and written.
#[derive(Debug)]
pub struct TableShape {
    /// Its columns, as they are stored.
    pub layout: RowLayout,
    /// How their values are read and written.
    pub codecs: Box<[Codec]>,
    /// Its OID.
    pub oid: u32,
}

/// A table, ready to be read and written.
pub struct OpenTable<'t, 's> {
    /// What it is.
    pub relation: Arc<RelationDescriptor>,
    /// Heap and indexes.
    pub table: Table<'t, 's>,
    /// How its rows are read and written.
    pub shape: Rc<TableShape>,
    /// How the rows of its indexes are laid out, and read.
    pub keys: Box<[(RowLayout, Box<[Codec]>)]>,
}

impl<'t, 's> OpenTable<'t, 's> {
    fn new(store: &'t Store<'s>, relation: &Arc<RelationDescriptor>) -> Result<Self> {
        let special = |index: &&IndexDescriptor| {
            index.predicate.is_some() || index.keys.iter().any(|key| key.expression.is_some())
        };
        if let Some(index) = relation.indexes.iter().find(special) {
            let what =
                format!("a table with the index \"{}\", which is partial or of expressions,", index.name);
            return Err(Report::not_supported(format!("{what} is not supported yet")));
        }
        let codecs = relation.columns.iter().map(|column| codec_of(column.type_oid)).collect();
        let shape = TableShape { layout: relation.layout(), codecs, oid: relation.oid };
        Ok(Self {
            relation: relation.clone(),
            table: open_table(store, relation, TYPE_SUPPORT),
            shape: Rc::new(shape),
            keys: relation.indexes.iter().map(|index| key_layout(relation, index)).collect(),
        })
    }
}

/// How values of a type are stored; those of a dropped column are never looked at.
pub fn codec_of(type_oid: u32) -> Codec {
    Type::from_oid(type_oid).map_or(Codec::Text, Codec::of)
}

fn key_layout(relation: &RelationDescriptor, index: &IndexDescriptor) -> (RowLayout, Box<[Codec]>) {
    let included = index
        .included
        .iter()
        .filter_map(|number| relation.columns.get((*number - 1) as usize).map(|column| column.type_oid));
    let types: Vec<u32> = index.keys.iter().map(|key| key.type_oid).chain(included).collect();
    let storages: Vec<_> = types.iter().map(|ty| storage_of(*ty)).collect();
    (RowLayout::of(&storages), types.into_iter().map(codec_of).collect())
}

/// Tables that a session has opened, and room for what it writes.
#[derive(Default)]
pub struct OpenTables<'t, 's> {
    tables: ByOid<'t, 's>,
    pub(super) scratch: Scratch,
    pub(super) row: Vec<u8>,
}

impl<'t, 's> OpenTables<'t, 's> {
    /// A relation, opened if it is not yet.
    pub fn get(
        &mut self,
        store: &'t Store<'s>,
        relation: &Arc<RelationDescriptor>,
    ) -> Result<Rc<OpenTable<'t, 's>>> {
        if let Some(open) = self.tables.get(&relation.oid)
            && Arc::ptr_eq(&open.relation, relation)
        {
            return Ok(open.clone());
        }
        if self.tables.len() >= MOST_OPEN {
            self.tables.clear();
        }
        let open = Rc::new(OpenTable::new(store, relation)?);
        self.tables.insert(relation.oid, open.clone());
        Ok(open)
    }

    /// Forgets what was opened: files may have been cut off or replaced.
    pub fn forget(&mut self) {
        self.tables.clear();
    }
}
