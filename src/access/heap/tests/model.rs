//! Random operations of several sessions beside a plain model: what is committed, and what each transaction changed.

use std::collections::BTreeMap;

use super::*;
use crate::access::heap::vacuum::{DeadLines, Indexes, VacuumOptions};
use crate::access::heap::{Conflict, RowLock};
use crate::txn::locks::LockError;

const SESSIONS: usize = 4;
const KEYS: i32 = 24;

/// What one transaction has changed, and locked, with how many savepoints around it.
#[derive(Clone, Default)]
struct Changes {
    rows: BTreeMap<i32, Option<i32>>,
    locks: Vec<(i32, RowLock)>,
}

/// A session: its transaction as the model has it.
struct Modelled {
    player: Player,
    isolation: Isolation,
    /// What its snapshot shows, if it has one for the transaction.
    base: Option<BTreeMap<i32, i32>>,
    /// By savepoint, the transaction first.
    levels: Vec<Changes>,
}

struct Game {
    sessions: Vec<Modelled>,
    committed: BTreeMap<i32, i32>,
    index: Vec<(i32, Ctid)>,
    random: u64,
    next_value: i32,
    /// How often each outcome came, so that none is left out.
    outcomes: BTreeMap<&'static str, u32>,
}

impl Indexes for Vec<(i32, Ctid)> {
    fn is_none(&self) -> bool {
        false
    }

    fn delete(&mut self, dead: &DeadLines) -> Result<()> {
        self.retain(|(_, ctid)| !dead.contains(*ctid));
        Ok(())
    }
}

impl Modelled {
    fn changes(&self) -> &Changes {
        self.levels.last().expect("in a transaction")
    }

    fn view(&self, committed: &BTreeMap<i32, i32>) -> BTreeMap<i32, i32> {
        let mut rows = self.base.as_ref().unwrap_or(committed).clone();
        for (key, change) in &self.changes().rows {
            match change {
                Some(value) => rows.insert(*key, *value),
                None => rows.remove(key),
            };
        }
        rows
    }
}

impl Game {
    fn random(&mut self, below: usize) -> usize {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) as usize % below
    }

    fn count(&mut self, what: &'static str) {
        *self.outcomes.entry(what).or_default() += 1;
    }

    fn step(&mut self) {
        let who = self.random(SESSIONS);
        if self.sessions[who].levels.is_empty() {
            return self.begin(who);
        }
        match self.random(100) {
            0..25 => self.insert(who),
            25..50 => self.write(who, Some(RowLock::NoKeyUpdate), false),
            50..60 => self.write(who, None, true),
            60..70 => {
                let lock = RowLock::ALL[self.random(4)];
                self.write(who, Some(lock), true);
            }
            70..77 => self.savepoint(who),
            77..82 => self.end_savepoint(who),
            82..92 => self.end(who),
            92..96 => self.vacuum(who),
            _ => self.check(who),
        }
    }

    fn begin(&mut self, who: usize) {
        let isolation = [Isolation::ReadCommitted, Isolation::RepeatableRead][self.random(2)];
        let committed = self.committed.clone();
        let session = &mut self.sessions[who];
        session.player.begin(isolation);
        session.isolation = isolation;
        session.levels.push(Changes::default());
        session.base = None;
        if isolation == Isolation::RepeatableRead {
            let expected: Vec<_> = committed.iter().map(|(key, value)| (*key, *value)).collect();
            assert_eq!(session.player.see(), expected);
            session.base = Some(committed);
        }
    }

    fn insert(&mut self, who: usize) {
        let (key, padding) = (self.random(KEYS as usize) as i32, self.random(900));
        let is_taken = self.committed.contains_key(&key)
            || self.sessions.iter().any(|session| {
                let base = session.base.as_ref().is_some_and(|base| base.contains_key(&key));
                base || session.levels.iter().any(|level| level.rows.contains_key(&key))
            });
        if is_taken {
            return;
        }
        self.next_value += 1;
        let value = self.next_value;
        let session = &mut self.sessions[who];
        let ctid = session.player.insert(key, value, padding);
        session.levels.last_mut().expect("a level").rows.insert(key, Some(value));
        self.index.push((key, ctid));
        self.count("insert");
    }

    /// What the model expects of writing or locking a row that the session sees.
    fn expected(&self, who: usize, key: i32, lock: RowLock) -> &'static str {
        let is_in_the_way = |other: &Modelled| {
            other.levels.last().is_some_and(|changes| {
                let is_locked = changes.locks.iter().any(|(of, held)| *of == key && held.excludes(lock));
                // Who replaced the row holds it as one who leaves the key as it is.
                let of_change =
                    |change: &Option<i32>| change.map_or(RowLock::Update, |_| RowLock::NoKeyUpdate);
                is_locked || changes.rows.get(&key).is_some_and(|change| of_change(change).excludes(lock))
            })
        };
        let session = &self.sessions[who];
        // Its own version, which nobody else can know, or only by a lock that was carried on.
        let is_own = session.changes().rows.contains_key(&key);
        let is_current =
            is_own || session.base.as_ref().is_none_or(|base| base.get(&key) == self.committed.get(&key));
        let others = self.sessions.iter().enumerate().filter(|(index, _)| *index != who);
        match (others.map(|(_, other)| other).any(is_in_the_way), is_current) {
            (_, false) => "gone",
            (true, true) => "would block",
            (false, true) => "done",
        }
    }

    /// Replaces (`false`), deletes (no lock), or locks a row that the session sees.
    fn write(&mut self, who: usize, lock: Option<RowLock>, is_no_update: bool) {
        let rows: Vec<_> = self.sessions[who].view(&self.committed).into_iter().collect();
        if rows.is_empty() {
            return;
        }
        let (key, value) = rows[self.random(rows.len())];
        let padding = self.random(900);
        let expected = self.expected(who, key, lock.unwrap_or(RowLock::Update));
        self.next_value += 1;
        let new_value = self.next_value;
        let session = &mut self.sessions[who];
        let player = &mut session.player;
        let view = player.view();
        let found = player.rows(view).into_iter().find(|row| row.0 == key).expect("the model's row");
        player.session.transaction.drop_snapshot(view.snapshot);
        assert_eq!(found.1, value);
        let (outcome, new, what) = match (lock, is_no_update) {
            (None, _) => (player.delete(found.2), Some(None), "delete"),
            (Some(lock), true) => {
                player.command += 1;
                let mut writing = Writing::at_once(player.command);
                let locked = player.heap.lock(&mut player.session, found.2, lock, &mut writing);
                (locked.expect("lock"), None, "lock")
            }
            (Some(_), false) => match player.update(found.2, key, new_value, padding) {
                Outcome::Done(updated) => {
                    if !updated.is_hot {
                        self.index.push((key, updated.ctid));
                    }
                    (Outcome::Done(()), Some(Some(new_value)), if updated.is_hot { "hot" } else { "update" })
                }
                Outcome::Conflict(conflict) => (Outcome::Conflict(conflict), None, "update"),
            },
        };
        let came = match &outcome {
            Outcome::Done(()) => "done",
            Outcome::Conflict(Conflict::NotWaited(LockError::WouldBlock)) => "would block",
            Outcome::Conflict(Conflict::Updated { .. } | Conflict::Deleted { .. }) => "gone",
            Outcome::Conflict(_) => "another conflict",
        };
        // One that is gone for this snapshot may be held by somebody besides.
        let is_fine = came == expected || (expected == "gone" && came == "would block");
        assert!(is_fine, "{what} of {key} by {who}: {outcome:?}, expected {expected}");
        if came == "done" {
            let level = session.levels.last_mut().expect("a level");
            level.locks.extend(lock.map(|lock| (key, lock)));
            level.rows.extend(new.map(|new| (key, new)));
        }
        self.count(if came == "done" { what } else { came });
    }

    fn savepoint(&mut self, who: usize) {
        let session = &mut self.sessions[who];
        session.player.session.transaction.savepoint();
        session.levels.push(session.changes().clone());
    }

    fn end_savepoint(&mut self, who: usize) {
        let is_kept = self.random(2) == 0;
        let session = &mut self.sessions[who];
        if session.levels.len() == 1 {
            return;
        }
        let inner = session.levels.pop().expect("a savepoint");
        if is_kept {
            session.player.session.transaction.release_savepoint();
            *session.levels.last_mut().expect("a level") = inner;
        } else {
            session.player.session.transaction.abort_savepoint().expect("abort");
        }
        self.count(if is_kept { "release" } else { "rollback to" });
    }

    fn end(&mut self, who: usize) {
        let (is_kept, synchronous) = (self.random(4) > 0, self.random(2) == 0);
        let session = &mut self.sessions[who];
        let changes = session.levels.pop().expect("a transaction");
        session.levels.clear();
        session.base = None;
        if !is_kept {
            return session.player.abort();
        }
        let options = CommitOptions { synchronous, ..CommitOptions::default() };
        session.player.session.transaction.commit(options).expect("commit");
        for (key, change) in changes.rows {
            match change {
                Some(value) => self.committed.insert(key, value),
                None => self.committed.remove(&key),
            };
        }
    }

    fn vacuum(&mut self, who: usize) {
        let options = VacuumOptions { freezes_all: self.random(2) == 0, ..VacuumOptions::default() };
        let player = &self.sessions[who].player;
        let stats = player.heap.vacuum(player.session.store, options, &mut self.index).expect("vacuum");
        if stats.removed > 0 {
            self.count("vacuumed");
        }
    }

    /// A scan and the index both show what the model says.
    fn check(&mut self, who: usize) {
        let expected: Vec<_> = self.sessions[who].view(&self.committed).into_iter().collect();
        let player = &mut self.sessions[who].player;
        assert_eq!(player.see(), expected);
        let (view, layout) = (player.view(), player.layout.clone());
        let mut found = Vec::new();
        for (key, ctid) in &self.index {
            let fetched =
                player.heap.fetch(&mut player.session, view, *ctid, |tuple| read(&layout, tuple.row()));
            if let Some(row) = fetched.expect("a page").row() {
                assert_eq!(row.0, *key, "the index leads to its own rows");
                found.push(row);
            }
        }
        player.session.transaction.drop_snapshot(view.snapshot);
        found.sort_unstable();
        assert_eq!(found, expected);
        assert_eq!(player.session.store.storage.pinned(), 0);
    }
}

fn play(seed: u64, steps: usize, outcomes: &mut BTreeMap<&'static str, u32>) {
    let world = World::new(128);
    new_heap(&world);
    let session = |index| Modelled {
        player: Player::new(&world, index),
        isolation: Isolation::ReadCommitted,
        base: None,
        levels: Vec::new(),
    };
    let mut game = Game {
        sessions: (1..=SESSIONS).map(session).collect(),
        committed: BTreeMap::new(),
        index: Vec::new(),
        random: seed,
        next_value: 0,
        outcomes: std::mem::take(outcomes),
    };
    (0..steps).for_each(|_| game.step());
    for who in 0..SESSIONS {
        if !game.sessions[who].levels.is_empty() {
            game.check(who);
            game.end(who);
        }
    }
    check_redo(&world, game.sessions[0].player.session.store);
    *outcomes = game.outcomes;
}

#[test]
fn random_sessions_see_what_the_model_says() {
    let mut outcomes = BTreeMap::new();
    for seed in 0..16 {
        play(seed * 77 + 1, 500, &mut outcomes);
    }
    let all = [
        "delete",
        "gone",
        "hot",
        "insert",
        "lock",
        "release",
        "rollback to",
        "update",
        "vacuumed",
        "would block",
    ];
    assert_eq!(outcomes.keys().copied().collect::<Vec<_>>(), all, "{outcomes:?}");
}
