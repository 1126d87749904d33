//! Order, bounds, long keys, duplicates, redo, pages that are broken.

use super::*;
use crate::access::btree::range::ScanOp::{
    self, Equal, Greater, GreaterEqual, IsNotNull, IsNull, Less, LessEqual,
};
use crate::report::SqlState;
use Direction::{Backward, Forward};

fn key(op: ScanOp, value: i64) -> ScanKey<'static> {
    ScanKey::new(0, op, Datum::Int64(value))
}

#[test]
fn an_empty_index_has_nothing() {
    let world = World::new(64);
    let store = world.store(0);
    let tree = new_tree(&store, int8());
    assert_eq!(scan(&tree, &[], Forward), []);
    assert_eq!(scan(&tree, &[key(Equal, 7)], Backward), []);
    check(&tree, &[]);
    replay(&world, &store);
}

/// Entries come in order, against it, and mixed; the tree has three levels.
#[test]
fn entries_stand_in_order_however_they_came() {
    const COUNT: u32 = 160_000;
    let shuffled = |i: u32| (u64::from(i) * 7_919 % u64::from(COUNT)) as u32;
    let orders: [&dyn Fn(u32) -> u32; 3] = [&|i| i, &|i| COUNT - 1 - i, &shuffled];
    for (which, order) in orders.iter().enumerate() {
        let world = World::new(2048);
        let store = world.store(0);
        let tree = new_tree(&store, int8());
        for number in (0..COUNT).map(order) {
            tree.insert(&[Datum::Int64(number.into())], ctid(number)).expect("room");
        }
        let all: Vec<_> = (0..COUNT).map(ctid).collect();
        let checked = check(&tree, &all);
        assert_eq!(checked.height, 2, "order {which}");
        assert_eq!(checked.incomplete_splits, 0);
        if which == 0 {
            let full = COUNT / 360;
            assert!(checked.leaves < full + full / 8, "{} leaves, pages fill up", checked.leaves);
        }
        assert!(scan(&tree, &[], Forward) == all);
        let mut backward = scan(&tree, &[], Backward);
        backward.reverse();
        assert!(backward == all);
        for number in [0, 1, 77_777, COUNT - 1] {
            let keys = [key(Equal, number.into())];
            assert_eq!(scan(&tree, &keys, Forward), [ctid(number)]);
            assert_eq!(scan(&tree, &keys, Backward), [ctid(number)]);
        }
        assert_eq!(scan(&tree, &[key(Equal, COUNT.into())], Forward), []);
        replay(&world, &store);
    }
}

#[test]
fn bounds_are_met_exactly() {
    let world = World::new(512);
    let store = world.store(0);
    let tree = new_tree(&store, int8());
    const COUNT: i64 = 3000;
    // Only even numbers, so that bounds lie on entries and between them.
    for number in 0..COUNT {
        tree.insert(&[Datum::Int64(number * 2)], ctid(number as u32)).expect("room");
    }
    type Meets = fn(i64, i64) -> bool;
    let ops: [(ScanOp, Meets); 5] = [
        (Less, |a, b| a < b),
        (LessEqual, |a, b| a <= b),
        (Equal, |a, b| a == b),
        (GreaterEqual, |a, b| a >= b),
        (Greater, |a, b| a > b),
    ];
    let bounds = [-1, 0, 1, 2, 731, 732, 733, 734, 735, 736, 2999, 3000, 3001, COUNT * 2 - 2, COUNT * 2];
    for (op, meets) in ops {
        for bound in bounds {
            for (other, other_meets) in ops {
                let keys = [key(op, bound), key(other, 3000)];
                let expected: Vec<_> = (0..COUNT)
                    .filter(|n| meets(n * 2, bound) && other_meets(n * 2, 3000))
                    .map(|n| ctid(n as u32))
                    .collect();
                assert!(scan(&tree, &keys, Forward) == expected, "{keys:?}");
                let mut backward = scan(&tree, &keys, Backward);
                backward.reverse();
                assert!(backward == expected, "{keys:?}, backward");
            }
        }
    }
    let null = ScanKey::new(0, Equal, Datum::Null);
    assert_eq!(scan(&tree, &[null], Forward), []);
}

/// Two columns in each combination of orders, with nulls, and conditions on either.
#[test]
fn columns_orders_and_nulls() {
    for (first, second) in [(false, false), (false, true), (true, false), (true, true)] {
        for nulls_first in [false, true] {
            let order = |is_descending| KeyOrder { is_descending, nulls_first, ..KeyOrder::ASCENDING };
            let keys = [(ColumnStorage::Int32, order(first)), (ColumnStorage::Int16, order(second))];
            let shape = KeyShape::new(&keys, &[ColumnStorage::Variable]);
            let world = World::new(256);
            let store = world.store(0);
            let tree = new_tree(&store, shape.clone());
            let number = |n: u32, modulus: u32| Some(n % modulus).filter(|n| *n != 0);
            let values = |n: u32| {
                let a = number(n / 7, 6).map_or(Datum::Null, |n| Datum::Int32(n as i32));
                let b = number(n, 7).map_or(Datum::Null, |n| Datum::Int16(n as i16));
                [a, b]
            };
            for n in (0..420).rev() {
                let [a, b] = values(n);
                tree.insert(&[a, b, Datum::Bytes(b"included")], ctid(n)).expect("room");
            }
            let conditions = [
                vec![],
                vec![ScanKey::new(0, Equal, Datum::Int32(3))],
                vec![ScanKey::new(0, IsNull, Datum::Null)],
                vec![ScanKey::new(0, IsNotNull, Datum::Null)],
                vec![ScanKey::new(0, Greater, Datum::Int32(2)), ScanKey::new(1, Less, Datum::Int16(4))],
                vec![ScanKey::new(0, Equal, Datum::Int32(2)), ScanKey::new(1, LessEqual, Datum::Int16(4))],
                vec![ScanKey::new(0, IsNull, Datum::Null), ScanKey::new(1, GreaterEqual, Datum::Int16(4))],
                vec![ScanKey::new(1, IsNull, Datum::Null), ScanKey::new(0, LessEqual, Datum::Int32(3))],
                vec![ScanKey::new(1, Equal, Datum::Int16(2))],
                vec![ScanKey::new(0, Equal, Datum::Int32(2)), ScanKey::new(0, Equal, Datum::Int32(3))],
            ];
            let meets = |key: &ScanKey<'_>, value: Datum<'_>| match (key.op, value.is_null()) {
                (IsNull, is_null) => is_null,
                (IsNotNull, is_null) => !is_null,
                (_, true) => false,
                (op, false) => {
                    let ordering = KeyOrder::ASCENDING.compare(value, key.value);
                    match op {
                        Less => ordering.is_lt(),
                        LessEqual => ordering.is_le(),
                        Equal => ordering.is_eq(),
                        GreaterEqual => ordering.is_ge(),
                        _ => ordering.is_gt(),
                    }
                }
            };
            let mut all: Vec<_> =
                (0..420).map(|n| (values(n).map(|value| value.to_owned()).to_vec(), ctid(n))).collect();
            all.sort_by(|a, b| compare(&shape, a, b));
            for keys in conditions {
                let expected: Vec<_> = all
                    .iter()
                    .filter(|(values, _)| keys.iter().all(|key| meets(key, values[key.column].as_datum())))
                    .map(|(_, ctid)| *ctid)
                    .collect();
                assert!(scan(&tree, &keys, Forward) == expected, "{keys:?} {first} {second} {nulls_first}");
                let mut backward = scan(&tree, &keys, Backward);
                backward.reverse();
                assert!(backward == expected, "{keys:?} {first} {second} {nulls_first}, backward");
            }
            check(&tree, &all.iter().map(|(_, ctid)| *ctid).collect::<Vec<_>>());
        }
    }
}

/// All entries have the same key: pages are told apart by rows' addresses.
#[test]
fn many_duplicates() {
    let world = World::new(512);
    let store = world.store(0);
    let tree = new_tree(&store, int8());
    const COUNT: u32 = 20_000;
    for i in 0..COUNT {
        let number = (u64::from(i) * 7_919 % u64::from(COUNT)) as u32;
        tree.insert(&[Datum::Int64(5)], ctid(number)).expect("room");
        if number.is_multiple_of(1000) {
            tree.insert(&[Datum::Int64(i64::from(number % 3) + 4)], ctid(COUNT + number)).expect("room");
        }
    }
    let keys = [key(Equal, 5)];
    let found = scan(&tree, &keys, Forward);
    let others = (0..COUNT).filter(|n| n.is_multiple_of(1000) && n % 3 == 1).map(|n| ctid(COUNT + n));
    let mut expected: Vec<_> = (0..COUNT).map(ctid).chain(others).collect();
    expected.sort_unstable();
    assert!(found == expected);
    let mut backward = scan(&tree, &keys, Backward);
    backward.reverse();
    assert!(backward == expected);
    tree.check(|_, _| ()).expect("a good tree");
    let again = tree.insert(&[Datum::Int64(5)], ctid(17)).expect_err("it is there");
    assert_eq!(again.sqlstate, SqlState::INDEX_CORRUPTED);
    replay(&world, &store);
}

/// A page has room for three of the longest entries, whatever they are between.
#[test]
fn the_longest_entries_fit_and_longer_ones_are_refused() {
    let world = World::new(1024);
    let store = world.store(0);
    let tree = new_tree(&store, bytes());
    // Address, row header, length of the value.
    let longest = 2704 - 6 - 2 - 4;
    let value = |n: u32| {
        let mut value = vec![b'x'; longest];
        value[longest - 4..].copy_from_slice(&(n * 7_919 % 211).to_be_bytes());
        value
    };
    let mut expected = Vec::new();
    for n in 0..422 {
        let value = value(n);
        tree.insert(&[Datum::Bytes(&value)], ctid(n)).expect("room");
        if n % 3 == 0 {
            tree.insert(&[Datum::Bytes(&value[longest - 2..])], ctid(1000 + n)).expect("room");
            expected.push((value[longest - 2..].to_vec(), ctid(1000 + n)));
        }
        expected.push((value, ctid(n)));
    }
    expected.sort_unstable();
    let expected: Vec<_> = expected.into_iter().map(|(_, ctid)| ctid).collect();
    assert!(check(&tree, &expected).height >= 2);
    let report = tree.insert(&[Datum::Bytes(&vec![b'x'; longest + 1])], ctid(7)).expect_err("too long");
    assert_eq!(report.sqlstate, SqlState::PROGRAM_LIMIT_EXCEEDED);
    assert_eq!(
        report.message,
        "index row size 2712 exceeds btree version 4 maximum 2704 for index \"t_pkey\""
    );
    assert_eq!(report.detail.as_deref(), Some("Index row references tuple (0,8) in relation \"t\"."));
    replay(&world, &store);
}

/// A cursor goes back and forth, over ends and pages.
#[test]
fn a_scan_turns_anywhere() {
    let world = World::new(256);
    let store = world.store(0);
    let tree = new_tree(&store, int8());
    const COUNT: u32 = 2000;
    (0..COUNT).for_each(|n| tree.insert(&[Datum::Int64(n.into())], ctid(n)).expect("room"));
    let keys = [key(GreaterEqual, 100), key(Less, 1900)];
    let mut scan = tree.scan(&keys, ScanOptions { with_rows: true, keeps_pin: true });
    let (mut at, mut seed) = (99_i64, 1_u64);
    for _ in 0..400 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let direction = if seed >> 63 == 0 { Forward } else { Backward };
        for _ in 0..(seed >> 50) % 700 {
            at = match direction {
                Forward => (at + 1).min(1900),
                Backward => (at - 1).max(99),
            };
            let found = scan.next(direction).expect("a good tree");
            let expected = (100..1900).contains(&at).then(|| ctid(at as u32));
            assert_eq!(found, expected, "at {at}, {direction:?}");
            let row = scan.row().map(|row| i64::from_le_bytes(*row[2..].first_chunk().expect("a number")));
            assert_eq!(row, expected.is_some().then_some(at));
        }
    }
    drop(scan);
    assert_eq!(store.storage.pinned(), 0);
}

/// Nothing that stands on a page is believed: zeroes, wrong levels, circles and children that are not there are errors.
#[test]
fn broken_pages_are_errors() {
    type Break = dyn Fn(&mut crate::storage::PageMut<'_>);
    let break_it: [(&str, &Break); 7] = [
        ("zeroes", &|page| page.bytes_mut().fill(0)),
        ("level", &|page| page.put_u16(8192 - 24 + 8, 3)),
        ("flags", &|page| page.put_u16(8192 - 24 + 10, 0xff)),
        ("magic", &|page| page.put_u16(8192 - 24 + 14, 0)),
        ("links", &|page| page.put_u32(8192 - 24 + 4, 3)),
        ("lines", &|page| page.bytes_mut()[32..200].fill(0xee)),
        ("items", &|page| page.bytes_mut()[2000..8100].fill(0xee)),
    ];
    for (what, change) in break_it {
        for block in [0_u32, 1, 2, 3, 5] {
            let world = World::new(256);
            let store = world.store(0);
            let tree = new_tree(&store, int8());
            for n in 0..3000 {
                tree.insert(&[Datum::Int64(n)], ctid(n as u32)).expect("room");
            }
            let pin = store.storage.read(FORK.block(BlockNumber::new(block).expect("small")));
            let mut page = pin.expect("it is there").lock_exclusive();
            page.mark_dirty();
            change(&mut page.page_mut());
            drop(page);
            let tree = BTree::new(&store, options(int8()));
            let mut failed = 0;
            let mut note = |result: crate::report::Result<()>| {
                if let Err(report) = result {
                    let is_named = report.message.contains("\"t_pkey\"");
                    assert!(is_named && report.sqlstate == SqlState::INDEX_CORRUPTED, "{what}: {report:?}");
                    failed += 1;
                }
            };
            note(tree.check(|_, _| ()).map(drop));
            for n in [-1, 5, 400, 1500, 2999, 4000] {
                for direction in [Forward, Backward] {
                    let mut scan = tree.scan(&[key(GreaterEqual, n)], ScanOptions::default());
                    while let Some(end) = scan.next(direction).transpose() {
                        if let Err(report) = end {
                            note(Err(report));
                            break;
                        }
                    }
                }
                note(tree.insert(&[Datum::Int64(n)], ctid(5000 + n.unsigned_abs() as u32)));
            }
            // A root's own links and the first block's do not lead anywhere.
            assert!(
                failed > 0 || (block == 0 && matches!(what, "level" | "links" | "items")),
                "{what} of block {block}"
            );
        }
    }
}
