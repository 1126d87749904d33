//! Values that are compressed, or stored elsewhere.

use std::collections::BTreeMap;

use super::*;
use crate::access::btree::{BTree, IndexOptions};
use crate::access::heap::toast::{
    ChunkIndex, ChunkStore, HeapChunks, Numbers, Strategy, TARGET, encode_row, remove_values, value_bytes,
};
use crate::access::heap::toast_index::chunk_shape;
use crate::storage::ids::RelFile;

/// An index in memory.
#[derive(Default)]
struct InMemory(BTreeMap<(u64, u32), Ctid>);

impl ChunkIndex for &mut InMemory {
    fn insert(&mut self, _: &mut StoreSession<'_, '_>, key: (u64, u32), ctid: Ctid) -> Result<()> {
        self.0.insert(key, ctid);
        Ok(())
    }

    fn find(&mut self, _: &mut StoreSession<'_, '_>, key: (u64, u32)) -> Result<Option<Ctid>> {
        Ok(self.0.get(&key).copied())
    }

    fn last(&mut self, _: &mut StoreSession<'_, '_>, (from, to): (u64, u64)) -> Result<Option<u64>> {
        Ok(self.0.range((from, 0)..(to, 0)).next_back().map(|((value, _), _)| *value))
    }
}

/// Bytes that do not get shorter.
fn noise(length: usize, seed: u32) -> Vec<u8> {
    let mut random = seed;
    let mut next = || {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}

fn text() -> RowLayout {
    RowLayout::of(&[ColumnStorage::Int32, ColumnStorage::Variable, ColumnStorage::Variable])
}

#[test]
fn long_values_come_back_whole_and_go_with_their_row() {
    let world = World::new(256);
    new_heap(&world);
    let mut one = Player::new(&world, 1);
    come_and_go(&mut one, &mut InMemory::default());
}

#[test]
fn a_tree_finds_their_pieces() {
    let world = World::new(256);
    new_heap(&world);
    let mut one = Player::new(&world, 1);
    let file = RelFile { relation: RELATION.relation + 1, ..RELATION };
    let options = IndexOptions {
        file,
        is_logged: true,
        name: "pg_toast_1000_index".into(),
        table: "pg_toast_1000".into(),
        shape: chunk_shape(),
        fillfactor: 90,
    };
    one.session.store.storage.files().create(RelFork { file, fork: Fork::Main }, false).expect("a file");
    let tree = BTree::new(one.session.store, options);
    tree.create().expect("room");
    come_and_go(&mut one, &tree);
}

fn come_and_go(one: &mut Player, index: impl ChunkIndex) {
    let layout = text();
    one.begin(Isolation::ReadCommitted);
    let view = one.view();
    let Player { session, heap, .. } = &mut *one;
    let numbers = Numbers::default();
    let mut chunks = HeapChunks::new(heap, index, &numbers, 1);
    for (length, seed) in [(10, 1), (TARGET, 2), (5000, 3), (100_000, 4), (1_000_000, 5)] {
        for bytes in
            [noise(length, seed), vec![7; length], [noise(length / 2, seed), vec![0; length / 2]].concat()]
        {
            let values = [Datum::Int32(1), Datum::Bytes(&bytes), Datum::Bytes(b"short")];
            let row = encode_row(&layout, &values, &[], session, Some(&mut chunks)).expect("a row");
            assert!(row.len() <= TARGET, "{length}: {}", row.len());
            let mut reader = RowReader::new(&layout, &row).expect("a row");
            let stored = reader.get(1).expect("a value");
            let read = value_bytes(stored, session, Some(&mut chunks)).expect("a value");
            assert!(read == bytes, "{length}");
            assert_eq!(reader.get(2).expect("a value"), Datum::Bytes(b"short"));
            remove_values(&layout, &row, Some(&row), session, &mut chunks).expect("nothing goes");
            assert!(value_bytes(stored, session, Some(&mut chunks)).expect("a value") == bytes);
            remove_values(&layout, &row, None, session, &mut chunks).expect("it goes");
        }
    }
    session.transaction.drop_snapshot(view.snapshot);
    one.commit();
    one.begin(Isolation::ReadCommitted);
    let view = one.view();
    let mut scan = one.heap.scan(&one.session, view, None).expect("a scan");
    assert!(scan.next(&mut one.session).expect("a page").is_none(), "no piece is left");
}

#[test]
fn strategies_are_kept_to_and_without_a_place_rows_are_refused() {
    let world = World::new(256);
    new_heap(&world);
    let mut one = Player::new(&world, 1);
    let (layout, mut index) = (text(), InMemory::default());
    one.begin(Isolation::ReadCommitted);
    let Player { session, heap, .. } = &mut one;
    let (even, random) = (vec![7; 6000], noise(6000, 9));
    let numbers = Numbers::default();
    let mut stored = |bytes: &[u8], strategy| {
        let mut chunks = HeapChunks::new(heap, &mut index, &numbers, 1);
        let values = [Datum::Int32(1), Datum::Bytes(bytes)];
        let row = encode_row(&layout, &values, &[Strategy::Plain, strategy], session, Some(&mut chunks))
            .expect("a row");
        match RowReader::new(&layout, &row).expect("a row").get(1).expect("a value") {
            Datum::Bytes(_) => "plain",
            Datum::Compressed(_) => "compressed",
            Datum::External(_) => "external",
            _ => "lost",
        }
    };
    let cases = [
        (Strategy::Plain, "plain", "plain"),
        (Strategy::External, "external", "external"),
        (Strategy::Extended, "compressed", "external"),
        (Strategy::Main, "compressed", "plain"),
    ];
    for (strategy, of_even, of_random) in cases {
        assert_eq!(
            (stored(&even, strategy), stored(&random, strategy)),
            (of_even, of_random),
            "{strategy:?}"
        );
    }
    let long = noise(9000, 1);
    let values = [Datum::Int32(1), Datum::Bytes(&long)];
    let report = encode_row(&layout, &values, &[], session, None).expect_err("no place for it");
    assert_eq!(
        (report.sqlstate.code(), &*report.message),
        ("54000", "row is too big: size 9040, maximum size 8152")
    );
}

#[test]
fn damaged_values_are_errors() {
    let world = World::new(128);
    new_heap(&world);
    let mut one = Player::new(&world, 1);
    let mut index = InMemory::default();
    one.begin(Isolation::ReadCommitted);
    let Player { session, heap, .. } = &mut one;
    let numbers = Numbers::default();
    let mut chunks = HeapChunks::new(heap, &mut index, &numbers, 1);
    let pointer = |value: u8, length: u8, flag: u8| [value, 0, 0, 0, 0, 0, 0, 0, length, 0, 0, 0, flag];
    let cases = [
        (Datum::Compressed(&[]), "compressed data is corrupt"),
        (Datum::Compressed(&[255, 255, 255, 255, 1, 2]), "compressed data is corrupt"),
        (Datum::Compressed(&[9, 0, 0, 0, 0x10, 7]), "compressed data is corrupt"),
        (Datum::External(&[1, 2, 3]), "invalid pointer to a value stored out of line"),
        (Datum::External(&pointer(7, 9, 2)), "invalid pointer to a value stored out of line"),
        (Datum::External(&pointer(7, 9, 0)), "missing chunk number 0 for toast value 7"),
    ];
    for (datum, message) in cases {
        let report = value_bytes(datum, session, Some(&mut chunks)).expect_err("damaged");
        assert_eq!((report.sqlstate.code(), &*report.message), ("XX001", message));
    }
}

#[test]
fn a_transaction_has_more_values_than_an_id_has_numbers() {
    let world = World::new(128);
    new_heap(&world);
    let mut one = Player::new(&world, 1);
    let (mut index, numbers) = (InMemory::default(), Numbers::default());
    one.begin(Isolation::ReadCommitted);
    let Player { session, heap, .. } = &mut one;
    let first = {
        let mut chunks = HeapChunks::new(heap, &mut index, &numbers, 1);
        let first = chunks.new_value(session).expect("a number");
        chunks.put(session, first, 0, b"first").expect("room");
        assert_eq!(chunks.new_value(session).expect("a number"), first + 1, "the next one");
        first
    };
    // As if all but the last were used.
    let ctid = index.0[&(first, 0)];
    index.0.insert((first + (1 << 20) - 2, 0), ctid);
    let mut made = Vec::new();
    for _ in 0..3 {
        let mut chunks = HeapChunks::new(heap, &mut index, &numbers, 1);
        let number = chunks.new_value(session).expect("a number");
        chunks.put(session, number, 0, b"more").expect("room");
        made.push(number);
    }
    let next_id = first + (1 << 20);
    assert_eq!(made, [next_id - 1, next_id, next_id + 1], "of the id behind its own");
}
