//! Pruning and vacuum.

use super::*;
use crate::access::heap::vacuum::{DeadLines, Indexes, NoIndexes, VacuumOptions, VacuumStats};
use crate::access::heap::visibility_map::Status;

/// One index: all addresses that lead to rows.
#[derive(Default)]
struct Addresses(Vec<Ctid>);

impl Indexes for Addresses {
    fn is_none(&self) -> bool {
        false
    }

    fn delete(&mut self, dead: &DeadLines) -> Result<()> {
        self.0.retain(|ctid| !dead.contains(*ctid));
        Ok(())
    }
}

fn lines(player: &Player, block: u32) -> Vec<ItemState> {
    let tag = player.heap.tag(BlockNumber::new(block).expect("a block"));
    let page = player.session.store.storage.read(tag).expect("a page").lock_shared();
    (1..=page.page().lines()).map(|line| page.page().item(line).expect("a line").state).collect()
}

fn filled(rows: i32) -> (World, Player, Addresses) {
    let world = World::new(128);
    new_heap(&world);
    let mut one = Player::new(&world, 1);
    one.begin(Isolation::ReadCommitted);
    let addresses = Addresses((0..rows).map(|key| one.insert(key, 0, 100)).collect());
    one.commit();
    (world, one, addresses)
}

fn vacuum(player: &Player, indexes: &mut dyn Indexes, freezes_all: bool) -> VacuumStats {
    let options = VacuumOptions { freezes_all, ..VacuumOptions::default() };
    player.heap.vacuum(player.session.store, options, indexes).expect("vacuum")
}

/// One row is updated far more often than versions fit its page: the page is pruned on the way.
#[test]
fn a_hot_row_stays_on_its_page() {
    let (world, mut one, index) = filled(3);
    let (root, mut ctid) = (index.0[1], index.0[1]);
    for value in 1..500 {
        one.begin(Isolation::ReadCommitted);
        // An index leads there, so the page is looked at, and pruned.
        let (view, layout) = (one.view(), one.layout.clone());
        let found = one.heap.fetch(&mut one.session, view, root, |tuple| read(&layout, tuple.row()));
        assert_eq!(found.expect("a page").row(), Some((1, value - 1)));
        let updated = one.update(ctid, 1, value, 100).done().expect("free");
        ctid = updated.ctid;
        one.commit();
        assert!(updated.is_hot, "{value}");
    }
    assert_eq!(one.heap.blocks(one.session.store), Ok(1));
    assert!(matches!(lines(&one, 0)[usize::from(root.line) - 1], ItemState::Redirect(_)));
    check_redo(&world, one.session.store);
}

#[test]
fn what_an_old_snapshot_sees_stays() {
    let (world, mut one, _) = filled(3);
    let mut other = Player::new(&world, 2);
    other.begin(Isolation::RepeatableRead);
    assert_eq!(other.see().len(), 3);
    one.begin(Isolation::ReadCommitted);
    let view = one.view();
    let rows = one.rows(view);
    assert_eq!(one.delete(rows[0].2), Outcome::Done(()));
    assert!(one.update(rows[1].2, 1, 1, 100).done().is_some());
    one.commit();
    let stats = vacuum(&one, &mut NoIndexes, true);
    assert_eq!((stats.removed, stats.remaining, stats.recently_dead), (0, 4, 2));
    assert_eq!(other.see(), [(0, 0), (1, 0), (2, 0)]);
    other.commit();
    let stats = vacuum(&one, &mut NoIndexes, true);
    assert_eq!((stats.removed, stats.remaining, stats.recently_dead), (2, 2, 0));
    assert_eq!((stats.frozen_pages, stats.used_pages), (1, 1));
    one.begin(Isolation::ReadCommitted);
    assert_eq!(one.see(), [(1, 1), (2, 0)]);
    check_redo(&world, one.session.store);
}

#[test]
fn indexes_forget_dead_lines_before_they_are_used_again() {
    let (world, mut one, mut index) = filled(100);
    one.begin(Isolation::ReadCommitted);
    let deleted: Vec<_> = index.0.iter().copied().step_by(2).collect();
    for ctid in &deleted {
        assert_eq!(one.delete(*ctid), Outcome::Done(()));
    }
    one.commit();
    let stats = vacuum(&one, &mut index, false);
    assert_eq!((stats.removed, stats.dead_lines, stats.index_scans, stats.remaining), (50, 50, 1, 50));
    assert_eq!(index.0.len(), 50);
    assert!(deleted.iter().all(|ctid| !index.0.contains(ctid)));
    let blocks = one.heap.blocks(one.session.store).expect("a file");
    one.begin(Isolation::ReadCommitted);
    for key in 200..250 {
        one.insert(key, 0, 100);
    }
    one.commit();
    assert_eq!(one.heap.blocks(one.session.store), Ok(blocks), "there was room");
    one.begin(Isolation::ReadCommitted);
    assert_eq!(one.see().len(), 100);
    check_redo(&world, one.session.store);
}

#[test]
fn the_map_says_what_everybody_sees_until_somebody_writes() {
    let (world, mut one, index) = filled(10);
    let block = BlockNumber::ZERO;
    let status = |player: &Player| player.heap.visibility(player.session.store, block).expect("a map");
    assert_eq!(status(&one), Status::default());
    let stats = vacuum(&one, &mut NoIndexes, false);
    assert_eq!((stats.visible_pages, stats.frozen), (1, 0));
    assert_eq!(status(&one), Status { all_visible: true, all_frozen: false });
    let stats = vacuum(&one, &mut NoIndexes, true);
    assert_eq!((stats.visible_pages, stats.frozen, stats.frozen_pages), (0, 10, 1));
    let next = one.session.store.transactions.words().next_xid().number();
    assert_eq!(stats.oldest_xid, Some(next));
    assert_eq!(status(&one), Status { all_visible: true, all_frozen: true });
    assert_eq!(vacuum(&one, &mut NoIndexes, true).scanned_pages, 0);
    one.begin(Isolation::ReadCommitted);
    let _ =
        one.heap.lock(&mut one.session, index.0[3], super::super::RowLock::Share, &mut Writing::at_once(1));
    assert_eq!(status(&one), Status::default());
    one.commit();
    let stats = vacuum(&one, &mut NoIndexes, true);
    assert_eq!((stats.scanned_pages, stats.visible_pages), (1, 1));
    one.begin(Isolation::ReadCommitted);
    assert_eq!(one.see().len(), 10);
    assert_eq!(one.delete(index.0[0]), Outcome::Done(()));
    one.abort();
    check_redo(&world, one.session.store);
}

/// Updates that were rolled back leave versions that no chain leads to.
#[test]
fn versions_of_rolled_back_updates_go() {
    let (world, mut one, index) = filled(2);
    for _ in 0..20 {
        one.begin(Isolation::ReadCommitted);
        assert!(one.update(index.0[0], 0, 7, 100).done().expect("free").is_hot);
        one.abort();
    }
    let stats = vacuum(&one, &mut NoIndexes, true);
    assert_eq!((stats.removed, stats.remaining), (20, 2));
    assert_eq!(lines(&one, 0), [ItemState::Normal; 2]);
    one.begin(Isolation::ReadCommitted);
    assert_eq!(one.see(), [(0, 0), (1, 0)]);
    check_redo(&world, one.session.store);
}
