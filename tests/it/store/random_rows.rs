//! Random operations of several processes on one table and its indexes, beside a model of each: rows put in, changed, moved to
//! another key and deleted, in transactions and savepoints that are rolled back as often as not, while others vacuum and
//! checkpoint. Each has keys of its own, so that it knows what is there; pages it has none of its own.

use std::collections::BTreeMap;

use tuskd::access::btree::{ScanKey, ScanOp};
use tuskd::access::heap::Writing;
use tuskd::access::heap::vacuum::VacuumOptions;
use tuskd::access::relation_files::TransactionFiles;
use tuskd::access::row::{ColumnStorage, Datum};
use tuskd::access::table::{Table, Written};
use tuskd::access::visibility::ReadView;
use tuskd::access::{Store, StoreSession};
use tuskd::os::file::Files;
use tuskd::sync::Ordering;
use tuskd::txn::session::{CommitOptions, Isolation};
use tuskd::wal::SyncMethod;

use super::bank::{int, table};
use super::store_world::{DataDirectory, StoreWorld, Style, Worker};
use crate::harness::{Rng, Seed, Test, tests};

/// The tests of this module.
pub const TESTS: &[Test] = tests![rows_and_indexes_do_as_the_model: 300];

const WORKERS: i64 = 5;
const KEYS: i64 = 80;
const TRANSACTIONS: u64 = 600;

/// Bytes of a row's text at most; some versions find room on their page, some do not.
const TEXT: u64 = 700;

/// Word that says that it is over; those before it count what the workers have done.
const IS_OVER: usize = 40;

type Model = BTreeMap<i64, i64>;

/// One process at work.
struct Player {
    store: &'static Store<'static>,
    session: StoreSession<'static, 'static>,
    table: Table<'static, 'static>,
    row: Vec<u8>,
    command: u32,
    /// The keys from here on are its own.
    first: i64,
}

impl Player {
    fn new(world: StoreWorld, store: &'static Store<'static>, who: i64) -> Self {
        use ColumnStorage::{Int64, Variable};
        Self {
            store,
            session: world.session(store),
            table: table(store, 3000, &[Int64, Int64, Variable], &[0], Some(1)),
            row: Vec::new(),
            command: 0,
            first: who * 1_000_000,
        }
    }

    fn begin(&mut self) {
        self.session.transaction.begin(Isolation::ReadCommitted, false);
        self.command = 0;
    }

    fn end(&mut self, commits: bool) {
        let options = CommitOptions { synchronous: false, ..CommitOptions::default() };
        let transaction = &mut self.session.transaction;
        let ended = if commits { transaction.commit(options).map(drop) } else { transaction.abort(0) };
        ended.unwrap_or_else(|e| panic!("{e}"));
        self.session.locks.release_transaction(self.store.me);
    }

    fn view(&mut self) -> ReadView {
        self.command += 1;
        let snapshot = self.session.transaction.statement_snapshot().unwrap_or_else(|e| panic!("{e}"));
        ReadView { snapshot, command: self.command }
    }

    /// Puts a row in; `false`: its key is there.
    fn insert(&mut self, key: i64, value: i64, text: u64) -> bool {
        let text = vec![b't'; text as usize];
        let values = [Datum::Int64(key), Datum::Int64(value), Datum::Bytes(&text)];
        let Self { table, session, row, command, .. } = self;
        let written = table.insert(session, &values, row, &mut Writing::at_once(*command));
        match written.unwrap_or_else(|e| panic!("{e}")) {
            Written::Done(_) => true,
            Written::Duplicate { index: 0, .. } => false,
            other => panic!("{other:?}"),
        }
    }

    /// Gives a row that is there another key and value, or deletes it.
    fn change(&mut self, key: i64, to: Option<(i64, i64, u64)>) {
        let view = self.view();
        let keys = [ScanKey::new(0, ScanOp::Equal, Datum::Int64(key))];
        let Self { table, session, row, command, .. } = self;
        let found = table.lookup(session, 0, &keys, view, |_| ()).unwrap_or_else(|e| panic!("{e}"));
        let (ctid, ()) = found.unwrap_or_else(|| panic!("key {key} is gone"));
        let mut writing = Writing::at_once(*command);
        let is_done = match to {
            Some((key, value, text)) => {
                let text = vec![b'u'; text as usize];
                let values = [Datum::Int64(key), Datum::Int64(value), Datum::Bytes(&text)];
                let written = table.update(session, ctid, &values, row, &mut writing);
                matches!(written.unwrap_or_else(|e| panic!("{e}")), Written::Done(_))
            }
            None => {
                let deleted = table.delete(session, ctid, &mut writing);
                format!("{:?}", deleted.unwrap_or_else(|e| panic!("{e}"))).starts_with("Done")
            }
        };
        assert!(is_done, "nobody else changes key {key}");
        session.transaction.drop_snapshot(view.snapshot);
    }

    /// What is there of the own keys, by the index or by going through all rows.
    fn rows(&mut self, by_index: bool) -> Model {
        let view = self.view();
        let (first, last) = (self.first, self.first + KEYS);
        let Self { table, session, .. } = self;
        let layout = table.layout().clone();
        let mut rows = Model::new();
        let mut note = |row: &[u8]| {
            let (key, value) = (int(&layout, row, 0), int(&layout, row, 1));
            if (first..last).contains(&key) {
                assert_eq!(rows.insert(key, value), None, "key {key} is there twice");
            }
        };
        if by_index {
            let keys = [
                ScanKey::new(0, ScanOp::GreaterEqual, Datum::Int64(first)),
                ScanKey::new(0, ScanOp::Less, Datum::Int64(last)),
            ];
            let mut scan = table.index_scan(session, 0, &keys, view);
            let forward = tuskd::access::btree::Direction::Forward;
            while let Some(row) = scan.next(session, forward).unwrap_or_else(|e| panic!("{e}")) {
                note(row.bytes);
            }
        } else {
            let mut scan = table.scan(session, view, None).unwrap_or_else(|e| panic!("{e}"));
            while let Some(row) = scan.next(session).unwrap_or_else(|e| panic!("{e}")) {
                note(row.bytes);
            }
        }
        session.transaction.drop_snapshot(view.snapshot);
        rows
    }

    /// One operation, in the model too.
    fn operate(&mut self, model: &mut Model, rng: &mut Rng) {
        let key = self.first + rng.below(KEYS as u64) as i64;
        let (other, value) = (self.first + rng.below(KEYS as u64) as i64, rng.below(1000) as i64);
        match (rng.below(10), model.contains_key(&key)) {
            (0, _) => assert_eq!(self.rows(rng.below(2) == 0), *model),
            (_, false) => {
                self.view();
                assert!(self.insert(key, value, rng.below(TEXT)), "key {key} is not there");
                model.insert(key, value);
            }
            (1, true) => {
                self.view();
                assert!(!self.insert(key, value, 10), "key {key} is there already");
            }
            (2..4, true) => {
                self.change(key, None);
                model.remove(&key);
            }
            (4..6, true) if !model.contains_key(&other) => {
                self.change(key, Some((other, value, rng.below(TEXT))));
                model.remove(&key);
                model.insert(other, value);
            }
            (_, true) => {
                self.change(key, Some((key, value, rng.below(TEXT))));
                model.insert(key, value);
            }
        }
    }

    /// One transaction with savepoints; the model as it is behind it.
    fn transact(&mut self, committed: &mut Model, rng: &mut Rng) {
        self.begin();
        let mut levels = vec![committed.clone()];
        for _ in 0..1 + rng.below(8) {
            match rng.below(6) {
                0 if levels.len() < 4 => {
                    self.session.transaction.savepoint();
                    levels.push(levels.last().expect("the transaction").clone());
                }
                1 if levels.len() > 1 => {
                    self.session.transaction.abort_savepoint().unwrap_or_else(|e| panic!("{e}"));
                    levels.pop();
                }
                2 if levels.len() > 1 => {
                    self.session.transaction.release_savepoint();
                    let released = levels.pop().expect("a savepoint");
                    *levels.last_mut().expect("the level above") = released;
                }
                _ => self.operate(levels.last_mut().expect("the transaction"), rng),
            }
        }
        let commits = rng.below(3) > 0;
        self.end(commits);
        if commits {
            *committed = levels.pop().expect("the transaction");
        }
    }
}

fn rows_and_indexes_do_as_the_model() {
    let mut rng = Seed::current().rng();
    let directory = DataDirectory::new("random");
    let style = Style { method: SyncMethod::OpenDatasync, buffers: 64 };
    let world = StoreWorld::new(&directory.0, style, Files::new());
    let store = world.store(world.join());
    world.recover(store);
    let mut own = Player::new(world, store, 0);
    own.begin();
    own.table.create(&mut own.session, &mut TransactionFiles::default()).unwrap_or_else(|e| panic!("{e}"));
    own.end(true);
    let workers: Vec<_> = (0..WORKERS).map(|who| start(world, &directory, who, rng.next_u64())).collect();
    let others = start_others(world);
    workers.into_iter().for_each(|worker| world.reap(worker));
    world.words[IS_OVER].store(1, Ordering::SeqCst);
    others.into_iter().for_each(|worker| world.reap(worker));
    store.flush_commits().unwrap_or_else(|e| panic!("{e}"));
    let rows = check(world, store, &directory);
    // And what the log makes of it, behind a crash.
    let world = StoreWorld::new(&directory.0, style, Files::new());
    let store = world.store(world.join());
    world.recover(store);
    assert_eq!(check(world, store, &directory), rows);
    println!("{rows} rows");
    assert!(rows > 0);
}

fn start(world: StoreWorld, directory: &DataDirectory, who: i64, seed: u64) -> Worker {
    let path = directory.0.join(format!("model{who}"));
    world.fork(move |store| {
        let (mut player, mut rng) = (Player::new(world, store, who), Seed(seed).rng());
        let mut model = Model::new();
        for _ in 0..TRANSACTIONS {
            player.transact(&mut model, &mut rng);
            if rng.below(10) == 0 {
                player.begin();
                assert_eq!(player.rows(true), model, "worker {who} by its index");
                assert_eq!(player.rows(false), model, "worker {who} row by row");
                player.end(false);
            }
        }
        let lines: String = model.iter().map(|(key, value)| format!("{key} {value}\n")).collect();
        std::fs::write(&path, lines).expect("the disk has room");
    })
}

fn start_others(world: StoreWorld) -> [Worker; 2] {
    let is_over = move || world.words[IS_OVER].load(Ordering::SeqCst) != 0;
    let vacuum = world.fork(move |store| {
        let player = Player::new(world, store, 0);
        for round in 0_u64.. {
            let options = VacuumOptions { freezes_all: round % 3 == 0, ..VacuumOptions::default() };
            player.table.vacuum(store, options).unwrap_or_else(|e| panic!("{e}"));
            if is_over() {
                break;
            }
        }
    });
    let checkpointer = world.fork(move |store| {
        while !is_over() {
            world.checkpoint(store);
        }
    });
    [vacuum, checkpointer]
}

/// Heap and indexes agree, and have what the models have; how many rows.
fn check(world: StoreWorld, store: &'static Store<'static>, directory: &DataDirectory) -> u64 {
    let mut total = 0;
    for who in 0..WORKERS {
        let mut player = Player::new(world, store, who);
        player.begin();
        let view = player.view();
        let Player { table, session, .. } = &mut player;
        total = table.check(session, view).unwrap_or_else(|e| panic!("{e} {:?}", e.detail));
        let text = std::fs::read_to_string(directory.0.join(format!("model{who}"))).expect("it was written");
        let model: Model = text
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(key, value)| (key.parse().expect("a number"), value.parse().expect("a number")))
            .collect();
        assert_eq!(player.rows(true), model, "worker {who} by its index");
        assert_eq!(player.rows(false), model, "worker {who} row by row");
        player.end(false);
    }
    total
}
