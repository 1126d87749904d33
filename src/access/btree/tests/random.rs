//! Random work of several sessions, played one after the other, beside a plain list.

use std::collections::BTreeMap;

use super::*;
use crate::access::btree::range::ScanOp;
use crate::access::btree::{Uniqueness, Verdict};
use crate::txn::Xid;

/// Numbers that look random.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) * n) >> 31
    }
}

fn value(dice: &mut Dice, storage: ColumnStorage) -> OwnedDatum {
    if dice.below(8) == 0 {
        return OwnedDatum::Plain(Datum::Null);
    }
    let small = dice.below(40);
    match storage {
        ColumnStorage::Int32 => OwnedDatum::Plain(Datum::Int32(small as i32 - 20)),
        ColumnStorage::Int64 => OwnedDatum::Plain(Datum::Int64(dice.below(5000) as i64)),
        ColumnStorage::Float64 => OwnedDatum::Plain(Datum::Float64(small as f64 / 4.0)),
        _ => {
            let length = if dice.below(20) == 0 { 900 } else { dice.below(12) };
            let byte = b'a' + dice.below(3) as u8;
            OwnedDatum::Bytes(vec![byte; length as usize].into())
        }
    }
}

/// Three sessions put entries of any shape in and look; what they find is what a sorted list has.
#[test]
fn sessions_see_what_a_sorted_list_has() {
    let shapes: [&[(ColumnStorage, KeyOrder)]; 4] = [
        &[(ColumnStorage::Int64, KeyOrder::ASCENDING)],
        &[(ColumnStorage::Variable, KeyOrder::DESCENDING), (ColumnStorage::Int32, KeyOrder::ASCENDING)],
        &[(ColumnStorage::Int32, KeyOrder::ASCENDING), (ColumnStorage::Variable, KeyOrder::ASCENDING)],
        &[(ColumnStorage::Float64, KeyOrder::DESCENDING), (ColumnStorage::Variable, KeyOrder::DESCENDING)],
    ];
    for (seed, columns) in shapes.iter().enumerate() {
        let mut dice = Dice(seed as u64);
        let shape = KeyShape::new(columns, &[]);
        let world = World::new(1024);
        let stores = [world.store(0), world.store(1), world.store(2)];
        new_tree(&stores[0], shape.clone());
        let trees: Vec<_> = stores.iter().map(|store| BTree::new(store, options(shape.clone()))).collect();
        let mut model: Vec<(Vec<OwnedDatum>, Ctid)> = Vec::new();
        for number in 0..6000 {
            let values: Vec<_> = columns.iter().map(|(storage, _)| value(&mut dice, *storage)).collect();
            let entry = (values, ctid(number));
            let tree = &trees[dice.below(3) as usize];
            tree.insert(&datums(&entry.0), entry.1).expect("room");
            let at = model.partition_point(|other| compare(&shape, other, &entry).is_lt());
            model.insert(at, entry);
            if dice.below(50) > 0 {
                continue;
            }
            let wanted = value(&mut dice, columns[0].0);
            let op = [ScanOp::Less, ScanOp::Equal, ScanOp::GreaterEqual][dice.below(3) as usize];
            let keys = [ScanKey::new(0, op, wanted.as_datum())];
            let natural = KeyOrder::ASCENDING;
            let expected: Vec<_> = model
                .iter()
                .filter(|(values, _)| {
                    let (found, wanted) = (values[0].as_datum(), wanted.as_datum());
                    let ordering = natural.compare(found, wanted);
                    let is_met = match op {
                        ScanOp::Less => ordering.is_lt(),
                        ScanOp::Equal => ordering.is_eq(),
                        _ => ordering.is_ge(),
                    };
                    is_met && !found.is_null() && !wanted.is_null()
                })
                .map(|(_, ctid)| *ctid)
                .collect();
            let tree = &trees[dice.below(3) as usize];
            assert!(scan(tree, &keys, Direction::Forward) == expected, "{keys:?}");
            let mut backward = scan(tree, &keys, Direction::Backward);
            backward.reverse();
            assert!(backward == expected, "{keys:?} backward");
        }
        let all: Vec<_> = model.iter().map(|(_, ctid)| *ctid).collect();
        assert!(check(&trees[1], &all).height >= 1);
        assert_eq!(stores.iter().map(|store| store.storage.pinned()).sum::<u32>(), 0);
        replay(&world, &stores[0]);
    }
}

/// Keys come again when the row that had them is gone; what is in the way is told, and dead entries make room.
#[test]
fn a_unique_index_has_each_key_once() {
    let world = World::new(512);
    let stores = [world.store(0), world.store(1)];
    new_tree(&stores[0], int8());
    let trees = stores.each_ref().map(|store| BTree::new(store, options(int8())));
    let mut dice = Dice(1);
    // What has become of each row, and who has each key.
    let mut rows: Vec<Verdict> = Vec::new();
    let mut owners: BTreeMap<i64, Vec<u32>> = BTreeMap::new();
    let xid = Xid::FIRST;
    for number in 0..30_000_u32 {
        let key = if dice.below(2) == 0 { dice.below(700) as i64 } else { i64::from(number) };
        let tree = &trees[dice.below(2) as usize];
        let is_null = dice.below(50) == 0;
        let datum = if is_null { Datum::Null } else { Datum::Int64(key) };
        let check = |ctid: Ctid| Ok(rows[(ctid.block.get() * 100 + u32::from(ctid.line) - 1) as usize]);
        let result = tree.insert_unique(&[datum], ctid(number), true, check).expect("a good tree");
        let others = owners.entry(key).or_default();
        let conflict = others.iter().find_map(|row| match rows[*row as usize] {
            Verdict::Live => Some(Uniqueness::NotUnique(ctid(*row))),
            Verdict::InProgress(xid) => Some(Uniqueness::MustWait(ctid(*row), xid)),
            Verdict::Gone | Verdict::DeadToAll => None,
        });
        let expected = if is_null { None } else { conflict };
        assert_eq!(result, expected.unwrap_or(Uniqueness::Inserted), "key {key}");
        let verdicts = [Verdict::Live, Verdict::Gone, Verdict::DeadToAll, Verdict::InProgress(xid)];
        rows.push(verdicts[dice.below(4) as usize]);
        if result == Uniqueness::Inserted && !is_null {
            others.push(number);
        }
        // Transactions end, rows are deleted, and the deleted ones are forgotten.
        if let Some(row) = others.first() {
            rows[*row as usize] = match rows[*row as usize] {
                Verdict::InProgress(_) => Verdict::Live,
                Verdict::Live if dice.below(2) == 0 => Verdict::Gone,
                Verdict::Gone => Verdict::DeadToAll,
                other => other,
            };
        }
    }
    let checked = trees[0].check(|_, _| ()).expect("a good tree");
    assert!(checked.dead > 0, "{checked:?}");
    replay(&world, &stores[0]);
}

/// Nulls are like other keys if they are said not to be distinct.
#[test]
fn nulls_that_are_not_distinct() {
    let world = World::new(64);
    let store = world.store(0);
    let tree = new_tree(&store, int8());
    let insert = |number, is_distinct| {
        let live = |_| Ok(Verdict::Live);
        tree.insert_unique(&[Datum::Null], ctid(number), is_distinct, live).expect("a good tree")
    };
    assert_eq!(insert(1, false), Uniqueness::Inserted);
    assert_eq!(insert(2, false), Uniqueness::NotUnique(ctid(1)));
    assert_eq!(insert(3, true), Uniqueness::Inserted);
    let conflict = tree.find_conflict(&[Datum::Null], |_| Ok(Verdict::Live)).expect("a good tree");
    assert_eq!(conflict, Some(Uniqueness::NotUnique(ctid(1))));
    let none = tree.find_conflict(&[Datum::Int64(1)], |_| Ok(Verdict::Live)).expect("a good tree");
    assert_eq!(none, None);
}
