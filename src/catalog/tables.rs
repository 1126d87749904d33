//! Tables and indexes as the storage has them, made from what the catalog says of them.

use super::descriptor::{IndexDescriptor, RelationDescriptor, RelationPersistence, option_number};
use super::schema::SystemTable;
use super::types::{TypeSupport, storage_of};
use crate::access::Store;
use crate::access::btree::{BTree, Comparison, DEFAULT_FILLFACTOR, IndexOptions, KeyOrder, KeyShape};
use crate::access::heap::HeapOptions;
use crate::access::row::{ColumnStorage, RowLayout};
use crate::access::table::{Index, Table, Uniques};
use crate::storage::ids::RelFile;

/// The files of a catalog, or of a catalog's index, in a database.
pub fn system_file(is_shared: bool, database: u32, oid: u32) -> RelFile {
    match is_shared {
        true => RelFile { tablespace: RelFile::GLOBAL_TABLESPACE, database: 0, relation: oid },
        false => RelFile { tablespace: RelFile::DEFAULT_TABLESPACE, database, relation: oid },
    }
}

/// A catalog of a database.
pub fn system_table<'t, 's>(store: &'t Store<'s>, database: u32, of: &SystemTable) -> Table<'t, 's> {
    let database = if of.is_shared { 0 } else { database };
    let storages: Vec<_> = of.columns.iter().map(|column| storage_of(column.type_oid)).collect();
    let index = |index: &super::schema::SystemIndex| {
        let columns = of.index_columns(index);
        let keys: Vec<_> = columns.iter().map(|column| (storages[*column], KeyOrder::ASCENDING)).collect();
        let options = IndexOptions {
            file: system_file(of.is_shared, database, index.oid),
            is_logged: true,
            name: index.name.to_owned(),
            table: of.name.to_owned(),
            shape: KeyShape::new(&keys, &[]),
            fillfactor: DEFAULT_FILLFACTOR,
        };
        let uniques = if index.is_unique { Uniques::NullsDistinct } else { Uniques::Allowed };
        Index::new(BTree::new(store, options), columns, uniques)
    };
    let options = HeapOptions {
        file: system_file(of.is_shared, database, of.oid),
        relation: (database, of.oid),
        is_logged: true,
        fillfactor: 100,
    };
    Table::new(options, RowLayout::of(&storages), of.indexes.iter().map(index).collect())
}

/// How an index sorts and stores its columns.
pub fn index_shape(index: &IndexDescriptor, table: &RelationDescriptor, types: TypeSupport) -> KeyShape {
    let keys: Vec<(ColumnStorage, KeyOrder)> = index
        .keys
        .iter()
        .map(|key| {
            let (is_descending, nulls_first) = (key.is_descending, key.nulls_first);
            let comparison: Comparison = (types.comparison)(key.type_oid);
            (storage_of(key.type_oid), KeyOrder { comparison, is_descending, nulls_first })
        })
        .collect();
    let column = |number: &i16| table.columns[usize::try_from(number - 1).unwrap_or(0)].storage;
    let included: Vec<_> = index.included.iter().map(column).collect();
    KeyShape::new(&keys, &included)
}

/// An index's tree.
pub fn open_index<'t, 's>(
    store: &'t Store<'s>,
    index: &IndexDescriptor,
    table: &RelationDescriptor,
    types: TypeSupport,
) -> BTree<'t, 's> {
    let options = IndexOptions {
        file: index.file,
        is_logged: table.persistence != RelationPersistence::Temporary,
        name: index.name.clone(),
        table: table.name.clone(),
        shape: index_shape(index, table, types),
        fillfactor: option_number(&index.options, "fillfactor").unwrap_or(DEFAULT_FILLFACTOR),
    };
    BTree::new(store, options)
}

/// A table with its valid indexes. Expressions that an index sorts by have their places behind the columns, in the order
/// of the indexes and their keys; whoever writes rows brings their values there.
pub fn open_table<'t, 's>(
    store: &'t Store<'s>,
    descriptor: &RelationDescriptor,
    types: TypeSupport,
) -> Table<'t, 's> {
    let mut behind = descriptor.columns.len();
    let index = |index: &IndexDescriptor| {
        let mut place = |number: i16| {
            usize::try_from(number - 1).unwrap_or_else(|_| {
                behind += 1;
                behind - 1
            })
        };
        let keys = index.keys.iter().map(|key| key.column);
        let columns = keys.chain(index.included.iter().copied()).map(&mut place).collect();
        let uniques = match (index.is_unique, index.nulls_not_distinct) {
            (false, _) => Uniques::Allowed,
            (true, false) => Uniques::NullsDistinct,
            (true, true) => Uniques::NullsNotDistinct,
        };
        Index::new(open_index(store, index, descriptor, types), columns, uniques)
    };
    let indexes = descriptor.indexes.iter().map(index).collect();
    Table::new(heap_options(descriptor), descriptor.layout(), indexes)
}

/// How a relation's heap is kept.
pub fn heap_options(descriptor: &RelationDescriptor) -> HeapOptions {
    HeapOptions {
        file: descriptor.file,
        relation: (descriptor.file.database, descriptor.oid),
        is_logged: descriptor.persistence != RelationPersistence::Temporary,
        fillfactor: descriptor.fillfactor(),
    }
}
