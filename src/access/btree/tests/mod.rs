//! Indexes of all kinds beside plain lists: insertion, searches, scans both ways, redo, broken pages.

mod basics;
mod build;
mod random;
mod vacuum;

use std::cmp::Ordering;

use super::key::{KeyOrder, KeyShape};
use super::scan::{Direction, ScanOptions};
use super::tree::DEFAULT_FILLFACTOR;
use super::{BTree, BTreeRecords, IndexOptions, ScanKey};
use crate::access::ctid::Ctid;
use crate::access::engine::Store;
use crate::access::rmgr::{ResourceManager, ResourceManagers};
use crate::access::row::{ColumnStorage, Datum, OwnedDatum};
use crate::access::tests::{RELATION, World};
use crate::storage::ids::{BlockNumber, Fork, RelFork};

/// The fork of the index of a test.
pub const FORK: RelFork = RelFork { file: RELATION, fork: Fork::Main };

/// A small number of a row's address.
pub fn ctid(number: u32) -> Ctid {
    Ctid::new(BlockNumber::new(number / 100).expect("small"), (number % 100 + 1) as u16)
}

/// What an index of this shape is.
pub fn options(shape: KeyShape) -> IndexOptions {
    IndexOptions {
        file: RELATION,
        is_logged: true,
        name: "t_pkey".into(),
        table: "t".into(),
        shape,
        fillfactor: DEFAULT_FILLFACTOR,
    }
}

/// One column of `bigint`.
pub fn int8() -> KeyShape {
    KeyShape::new(&[(ColumnStorage::Int64, KeyOrder::ASCENDING)], &[])
}

/// One column of bytes.
pub fn bytes() -> KeyShape {
    KeyShape::new(&[(ColumnStorage::Variable, KeyOrder::ASCENDING)], &[])
}

/// A new, empty index.
pub fn new_tree<'t>(store: &'t Store<'static>, shape: KeyShape) -> BTree<'t, 'static> {
    store.storage.files().create(FORK, false).expect("a new file");
    let tree = BTree::new(store, options(shape));
    tree.create().expect("room");
    tree
}

/// All rows that a scan finds this way.
pub fn scan(tree: &BTree<'_, '_>, keys: &[ScanKey<'_>], direction: Direction) -> Vec<Ctid> {
    let mut scan = tree.scan(keys, ScanOptions::default());
    std::iter::from_fn(|| scan.next(direction).unwrap_or_else(|e| panic!("{}", e.message))).collect()
}

/// Checks the tree, and that it has exactly these entries, in order.
pub fn check(tree: &BTree<'_, '_>, expected: &[Ctid]) -> super::check::Checked {
    let mut found = Vec::new();
    let checked = tree.check(|ctid, _| found.push(ctid)).unwrap_or_else(|e| panic!("{}", e.message));
    assert!(found == expected, "{} entries, {} expected", found.len(), expected.len());
    checked
}

/// The pages of the index without what may differ after redo: checksums and hints.
pub fn contents(store: &Store<'_>) -> Vec<Vec<u8>> {
    let blocks = store.storage.files().blocks(FORK).expect("it is there");
    let page = |block| {
        let tag = FORK.block(BlockNumber::new(block).expect("small"));
        let page = store.storage.read(tag).expect("it is there").lock_shared();
        let mut copy = crate::storage::page::PageBuf::zeroed();
        page.page().copy_to(&mut copy);
        let is_dead = |line: &u16| {
            page.page().item(*line).is_ok_and(|item| item.state == crate::storage::page::ItemState::Dead)
        };
        for line in (1..=page.page().lines()).filter(is_dead) {
            let (offset, bits) = super::node::dead_hint(line);
            let word = copy.view().u16_at(offset);
            copy.view_mut().put_u16(offset, word & !bits);
        }
        copy.view_mut().put_u32(8, 0);
        let (offset, _) = super::node::PAGE_HAS_DEAD;
        if !copy.view().is_new() {
            copy.view_mut().put_u16(offset, 0);
        }
        copy.0.to_vec()
    };
    (0..blocks).map(page).collect()
}

/// Everything in the log happens again in another world, which then has the same pages; that world.
pub fn replay(world: &World, store: &Store<'_>) -> World {
    let managers: [&dyn ResourceManager; 1] = [&BTreeRecords];
    let again = world.replayed(ResourceManagers::new(&managers));
    let (ours, theirs) = (contents(store), contents(&again.store(1)));
    assert_eq!(ours.len(), theirs.len(), "as many blocks");
    for (block, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
        let differs = ours.iter().zip(theirs).position(|(a, b)| a != b);
        assert_eq!(differs, None, "block {block} differs from its redo");
    }
    again
}

/// The order of whole entries.
pub fn compare(shape: &KeyShape, a: &(Vec<OwnedDatum>, Ctid), b: &(Vec<OwnedDatum>, Ctid)) -> Ordering {
    let columns = (0..shape.key_columns()).map(|i| {
        let (a, b) = (a.0[i].as_datum(), b.0[i].as_datum());
        shape.order(i).compare(a, b)
    });
    columns.fold(Ordering::Equal, Ordering::then).then(a.1.cmp(&b.1))
}

/// Values as the index takes them.
pub fn datums(values: &[OwnedDatum]) -> Vec<Datum<'_>> {
    values.iter().map(OwnedDatum::as_datum).collect()
}
