//! A session that waits for others, who go on in the middle of its wait: at its `deadlock_timeout`.

use super::*;
use crate::access::heap::{Conflict, RowLock};

/// Ends the transaction of one session each time that the wait has lasted for a while.
struct Meanwhile {
    ends: Vec<(Player, bool)>,
}

impl Watcher for Meanwhile {
    fn interrupted(&mut self, _: &Proc<'_>) -> bool {
        true
    }

    fn still_waiting(&mut self) {
        // The first first: that is whom it waits for.
        if !self.ends.is_empty() {
            match self.ends.remove(0) {
                (mut player, true) => player.commit(),
                (mut player, false) => player.abort(),
            }
        }
    }

    fn is_running(&self, _: u64) -> bool {
        true
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum What {
    Update,
    Delete,
    Lock(RowLock),
}

/// Does it to the row, with others' transactions ending while it waits.
fn write(player: &mut Player, ctid: Ctid, what: What, ends: Vec<(Player, bool)>) -> Outcome<()> {
    let row = player.encode(1, 99, 3);
    player.command += 1;
    let mut watcher = Meanwhile { ends };
    let mut waiting = Wait {
        lock_timeout: Some(Duration::from_secs(20)),
        deadlock_timeout: Duration::from_millis(2),
        watcher: &mut watcher,
    };
    let mut writing = Writing { command: player.command, wait: Some(&mut waiting) };
    let Player { session, heap, layout, .. } = player;
    let indexed = Indexed { layout, columns: &[0], key: &[0] };
    let outcome = match what {
        What::Update => match heap.update(session, ctid, &row, &indexed, &mut writing).expect("update") {
            Outcome::Done(_) => Outcome::Done(()),
            Outcome::Conflict(conflict) => Outcome::Conflict(conflict),
        },
        What::Delete => heap.delete(session, ctid, &mut writing).expect("delete"),
        What::Lock(lock) => heap.lock(session, ctid, lock, &mut writing).expect("lock"),
    };
    assert!(watcher.ends.is_empty(), "it waited for all of them");
    assert_eq!(player.session.locks.held().count(), 0, "it has left the queue");
    outcome
}

fn word(outcome: &Outcome<()>) -> &'static str {
    match outcome {
        Outcome::Done(()) => "done",
        Outcome::Conflict(Conflict::Updated { .. }) => "updated",
        Outcome::Conflict(Conflict::Deleted { .. }) => "deleted",
        Outcome::Conflict(_) => "another conflict",
    }
}

#[test]
fn who_waits_goes_on_as_the_others_end() {
    use What::{Delete, Lock, Update};
    let cases = [
        (&[Update][..], true, Update, "updated"),
        (&[Update], false, Update, "done"),
        (&[Delete], true, Update, "deleted"),
        (&[Delete], false, Delete, "done"),
        (&[Delete], false, Lock(RowLock::KeyShare), "done"),
        (&[Update], true, Lock(RowLock::Share), "updated"),
        (&[Update], false, Lock(RowLock::Update), "done"),
        (&[Delete], true, Lock(RowLock::Share), "deleted"),
        (&[Lock(RowLock::Update)], true, Update, "done"),
        (&[Lock(RowLock::Share)], true, Delete, "done"),
        (&[Lock(RowLock::KeyShare), Lock(RowLock::KeyShare)], true, Delete, "done"),
        (&[Lock(RowLock::Share), Lock(RowLock::Share), Lock(RowLock::KeyShare)], false, Delete, "done"),
        (&[Lock(RowLock::KeyShare), Update], true, Delete, "updated"),
        (&[Lock(RowLock::KeyShare), Update], false, Delete, "done"),
    ];
    for (held, is_kept, wanted, expected) in cases {
        let world = World::new(128);
        new_heap(&world);
        let mut one = Player::new(&world, 0);
        one.begin(Isolation::ReadCommitted);
        let ctid = one.insert(1, 10, 3);
        one.commit();
        let mut ends = Vec::new();
        for (index, what) in (1..).zip(held) {
            let mut holder = Player::new(&world, index);
            holder.begin(Isolation::ReadCommitted);
            assert_eq!(word(&write(&mut holder, ctid, *what, Vec::new())), "done");
            ends.push((holder, is_kept));
        }
        one.begin(Isolation::ReadCommitted);
        let outcome = write(&mut one, ctid, wanted, ends);
        assert_eq!(word(&outcome), expected, "{held:?} {is_kept} {wanted:?}");
        if expected == "updated" {
            assert_eq!(one.see(), [(1, 99)], "what it met is seen by its next command");
        }
        one.commit();
        check_redo(&world, one.session.store);
    }
}
