//! What the workers do: they move money between accounts and write down each transfer, in one transaction. So whatever
//! happens, each account is what the transfers that are there say, and all that were acknowledged are there.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tuskd::access::btree::{BTree, IndexOptions, KeyOrder, KeyShape, ScanKey, ScanOp};
use tuskd::access::heap::vacuum::VacuumOptions;
use tuskd::access::heap::{HeapOptions, Writing};
use tuskd::access::relation_files::TransactionFiles;
use tuskd::access::row::{ColumnStorage, Datum, RowLayout, RowReader};
use tuskd::access::table::{Index, Table, Toast, ToastOptions, Uniques, Written};
use tuskd::access::visibility::ReadView;
use tuskd::access::{Store, StoreSession};
use tuskd::ipc::Proc;
use tuskd::report::{Result, Severity};
use tuskd::storage::ids::RelFile;
use tuskd::txn::locks::{Wait, Watcher};
use tuskd::txn::session::{CommitOptions, Isolation};

use crate::harness::Rng;

pub const ACCOUNTS: i64 = 40;
pub const START: i64 = 1000;

/// Of one session: the tables, and its transactions.
pub struct Bank {
    pub store: &'static Store<'static>,
    pub session: StoreSession<'static, 'static>,
    accounts: Table<'static, 'static>,
    transfers: Table<'static, 'static>,
    row: Vec<u8>,
    command: u32,
}

/// A transfer, by who made it and as its how manieth.
pub type TransferKey = (i64, i64);

struct Running(&'static Store<'static>);

impl Watcher for Running {
    fn interrupted(&mut self, _: &Proc<'_>) -> bool {
        false
    }

    fn is_running(&self, xid: u64) -> bool {
        self.0.transactions.is_running(xid)
    }
}

/// A table with an index that has each key once, and perhaps another.
pub fn table(
    store: &'static Store<'static>,
    number: u32,
    storages: &[ColumnStorage],
    keys: &[usize],
    plain: Option<usize>,
) -> Table<'static, 'static> {
    let file = |relation| RelFile { tablespace: RelFile::DEFAULT_TABLESPACE, database: 5, relation };
    let index = |offset: u32, columns: &[usize], uniques| {
        let shape: Vec<_> = columns.iter().map(|column| (storages[*column], KeyOrder::ASCENDING)).collect();
        let options = IndexOptions {
            file: file(number + offset),
            is_logged: true,
            name: format!("index_{}", number + offset),
            table: format!("table_{number}"),
            shape: KeyShape::new(&shape, &[]),
            fillfactor: 90,
        };
        Index::new(BTree::new(store, options), columns.to_vec(), uniques)
    };
    let mut indexes = vec![index(1, keys, Uniques::NullsDistinct)];
    indexes.extend(plain.map(|column| index(2, &[column], Uniques::Allowed)));
    let heap =
        |number| HeapOptions { file: file(number), relation: (5, number), is_logged: true, fillfactor: 90 };
    let toast = ToastOptions {
        heap: heap(number + 3),
        index: file(number + 4),
        name: format!("pg_toast_{number}"),
        strategies: Vec::new(),
    };
    Table::new(heap(number), RowLayout::of(storages), indexes).with_toast(Some(Toast::new(store, toast)))
}

/// A text that says itself what it has to be: so many bytes made from its first four. Some are too long for a page.
fn text(rng: &mut Rng) -> Vec<u8> {
    let length = match rng.below(8) {
        0 => 1500 + rng.below(20_000),
        _ => rng.below(200),
    };
    made_from(rng.next_u64() as u32, length as usize)
}

pub fn made_from(seed: u32, length: usize) -> Vec<u8> {
    let mut random = seed;
    let mut next = || {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 24) as u8
    };
    seed.to_le_bytes().into_iter().chain(std::iter::from_fn(|| Some(next()))).take(length.max(4)).collect()
}

fn is_whole(text: &[u8]) -> bool {
    let seed = text.first_chunk().map(|seed| u32::from_le_bytes(*seed));
    seed.is_some_and(|seed| made_from(seed, text.len()) == text)
}

impl Bank {
    pub fn new(store: &'static Store<'static>, session: StoreSession<'static, 'static>) -> Self {
        use ColumnStorage::{Int64, Variable};
        Self {
            store,
            session,
            accounts: table(store, 1000, &[Int64, Int64, Variable], &[0], None),
            // Who, how manieth, from, to, how much; some text.
            transfers: table(store, 2000, &[Int64, Int64, Int64, Int64, Int64, Variable], &[0, 1], Some(2)),
            row: Vec::new(),
            command: 0,
        }
    }

    /// Makes tables and accounts.
    pub fn open_for_business(&mut self) {
        self.begin();
        let mut files = TransactionFiles::default();
        for table in [&self.accounts, &self.transfers] {
            table.create(&mut self.session, &mut files).unwrap_or_else(|e| panic!("{e}"));
        }
        let text = made_from(1, 60);
        for account in 0..ACCOUNTS {
            let values = [Datum::Int64(account), Datum::Int64(START), Datum::Bytes(&text)];
            let mut writing = Writing::at_once(self.command);
            let Self { accounts, session, row, .. } = self;
            let written = accounts.insert(session, &values, row, &mut writing);
            assert!(matches!(written, Ok(Written::Done(_))), "{written:?}");
        }
        self.commit().unwrap_or_else(|e| panic!("{e}"));
    }

    /// Begins a transaction.
    pub fn begin(&mut self) {
        self.session.transaction.begin(Isolation::ReadCommitted, false);
        self.command = 1;
    }

    /// Commits it, and waits for the disk.
    pub fn commit(&mut self) -> Result<()> {
        let options = CommitOptions { synchronous: true, ..CommitOptions::default() };
        self.session.transaction.commit(options)?;
        self.session.locks.release_transaction(self.store.me);
        Ok(())
    }

    /// Rolls it back.
    pub fn abort(&mut self) -> Result<()> {
        let aborted = self.session.transaction.abort(0);
        self.session.locks.release_transaction(self.store.me);
        aborted
    }

    /// What the next statement sees.
    pub fn view(&mut self) -> Result<ReadView> {
        self.command += 1;
        let snapshot = self.session.transaction.statement_snapshot()?;
        Ok(ReadView { snapshot, command: self.command })
    }

    /// What an account has, as a view shows it.
    pub fn balance(&mut self, account: i64, view: ReadView) -> i64 {
        let keys = [ScanKey::new(0, ScanOp::Equal, Datum::Int64(account))];
        let Self { accounts, session, .. } = self;
        let layout = accounts.layout().clone();
        let found = accounts.lookup(session, 0, &keys, view, |row| int(&layout, row, 1));
        found.unwrap_or_else(|e| panic!("{e}")).expect("no account ever goes").1
    }

    /// Changes an account, and its text if there is a new one; `false` if somebody else was first.
    pub fn add(&mut self, account: i64, amount: i64, new_text: Option<&[u8]>) -> Result<bool> {
        let view = self.view()?;
        let keys = [ScanKey::new(0, ScanOp::Equal, Datum::Int64(account))];
        let Self { accounts, session, row, command, store, .. } = self;
        let layout = accounts.layout().clone();
        let found = accounts.lookup(session, 0, &keys, view, <[u8]>::to_vec)?;
        let (ctid, before) = found.unwrap_or_else(|| panic!("account {account} is gone"));
        let stored = RowReader::new(&layout, &before)?.get(2)?;
        let text = new_text.map_or(stored, Datum::Bytes);
        let values = [Datum::Int64(account), Datum::Int64(int(&layout, &before, 1) + amount), text];
        let mut watcher = Running(store);
        let mut wait = Wait {
            lock_timeout: Some(Duration::from_millis(50)),
            deadlock_timeout: Duration::from_millis(10),
            watcher: &mut watcher,
        };
        let mut writing = Writing { command: *command, wait: Some(&mut wait) };
        let written = accounts.update(session, ctid, &values, row, &mut writing)?;
        // Not before: once nobody's snapshot shows the version, its line may be another's. Given back behind the lookup, one
        // transfer in some hundred thousand was lost; states of power failures told it, as they audit most often.
        session.transaction.drop_snapshot(view.snapshot);
        Ok(matches!(written, Written::Done(_)))
    }

    /// Writes a transfer down.
    pub fn note(
        &mut self,
        (who, number): TransferKey,
        from: i64,
        to: i64,
        amount: i64,
        text: &[u8],
    ) -> Result<()> {
        let view = self.view()?;
        let numbers = [who, number, from, to, amount].map(Datum::Int64);
        let values: Vec<_> = numbers.into_iter().chain([Datum::Bytes(text)]).collect();
        let mut writing = Writing::at_once(self.command);
        let Self { transfers, session, row, .. } = self;
        let written = transfers.insert(session, &values, row, &mut writing)?;
        session.transaction.drop_snapshot(view.snapshot);
        assert!(matches!(written, Written::Done(_)), "{written:?}");
        Ok(())
    }

    /// Tries one transfer; whether it is committed.
    pub fn transfer(&mut self, key: TransferKey, rng: &mut Rng) -> bool {
        self.try_transfer(key, rng).unwrap_or_else(|e| panic!("{e}"))
    }

    /// The same on a disk that fails: an error rolls the transaction back, unless it is one that ends the process.
    pub fn try_transfer(&mut self, key: TransferKey, rng: &mut Rng) -> Result<bool> {
        self.begin();
        let done = self.work_and_commit(key, rng);
        match done {
            Err(report) if report.severity < Severity::Panic => {
                self.abort()?;
                Err(report)
            }
            done => done,
        }
    }

    fn work_and_commit(&mut self, key: TransferKey, rng: &mut Rng) -> Result<bool> {
        let from = rng.below(ACCOUNTS as u64) as i64;
        let to = (from + 1 + rng.below(ACCOUNTS as u64 - 1) as i64) % ACCOUNTS;
        let amount = rng.below(50) as i64;
        if rng.below(4) == 0 {
            // A part that is rolled back must leave nothing. Once it did: that it was rolled back stood in memory only, a
            // checkpoint had written that it belongs to the transaction, and a start found it committed.
            self.session.transaction.savepoint();
            self.note((key.0, -key.1), from, to, 9999, &text(rng))?;
            let _ = self.add(to, 9999, Some(&text(rng)))?;
            self.session.transaction.abort_savepoint()?;
        }
        // The other keeps what it has, as it is stored.
        let done = self.add(from, -amount, Some(&text(rng)))? && self.add(to, amount, None)?;
        if done {
            self.note(key, from, to, amount, &text(rng))?;
        }
        if !done || rng.below(10) == 0 {
            self.abort()?;
            return Ok(false);
        }
        self.commit()?;
        Ok(true)
    }

    /// Uses up ids, so that pages of the transaction map become old.
    pub fn spend_ids(&mut self, count: u64) {
        for _ in 0..count {
            self.begin();
            self.session.transaction.xid().unwrap_or_else(|e| panic!("{e}"));
            self.abort().unwrap_or_else(|e| panic!("{e}"));
        }
    }

    /// Cleans both tables.
    pub fn vacuum(&mut self) {
        self.try_vacuum().unwrap_or_else(|e| panic!("{e}"));
    }

    /// The same on a disk that fails.
    pub fn try_vacuum(&mut self) -> Result<()> {
        for table in [&self.accounts, &self.transfers] {
            table.vacuum(self.store, VacuumOptions::default())?;
        }
        Ok(())
    }

    /// Checks everything against what was acknowledged; the transfers that are there.
    pub fn audit(&mut self, acknowledged: &HashMap<i64, Vec<i64>>) -> Vec<TransferKey> {
        self.try_audit(acknowledged).unwrap_or_else(|e| panic!("{e} {:?}", e.detail))
    }

    /// The same where what cannot be read is an error, and what is wrong a panic.
    pub fn try_audit(&mut self, acknowledged: &HashMap<i64, Vec<i64>>) -> Result<Vec<TransferKey>> {
        self.begin();
        let audited = self.audit_within(acknowledged);
        match audited {
            Err(report) => {
                self.abort()?;
                Err(report)
            }
            Ok(found) => self.abort().map(|()| found),
        }
    }

    fn audit_within(&mut self, acknowledged: &HashMap<i64, Vec<i64>>) -> Result<Vec<TransferKey>> {
        let view = self.view()?;
        let Self { accounts, transfers, session, .. } = self;
        for table in [&*accounts, &*transfers] {
            table.check(session, view)?;
        }
        let mut expected: BTreeMap<i64, i64> = (0..ACCOUNTS).map(|account| (account, START)).collect();
        let mut found = Vec::new();
        let mut scan = transfers.scan(session, view, None)?;
        while let Some(row) = scan.next(session)? {
            let layout = transfers.layout();
            let numbers: Vec<i64> = (0..5).map(|column| int(layout, row.bytes, column)).collect();
            found.push((numbers[0], numbers[1]));
            *expected.get_mut(&numbers[2]).expect("an account") -= numbers[4];
            *expected.get_mut(&numbers[3]).expect("an account") += numbers[4];
        }
        let mut balances = BTreeMap::new();
        let mut scan = accounts.scan(session, view, None)?;
        while let Some(row) = scan.next(session)? {
            let layout = accounts.layout();
            let twice = balances.insert(int(layout, row.bytes, 0), int(layout, row.bytes, 1));
            assert_eq!(twice, None, "an account is there twice");
        }
        assert_eq!(balances, expected, "an account is not what the transfers say");
        found.sort_unstable();
        assert!(found.iter().all(|(_, number)| *number > 0), "what was rolled back is there");
        for (who, numbers) in acknowledged {
            for number in numbers {
                assert!(found.binary_search(&(*who, *number)).is_ok(), "transfer {number} of {who} is lost");
            }
        }
        for (table, column) in [(&*accounts, 2), (&*transfers, 5)] {
            let mut scan = table.scan(session, view, None)?;
            while let Some(row) = scan.next(session)? {
                let stored = RowReader::new(table.layout(), row.bytes)?.get(column)?;
                assert!(is_whole(&table.value(session, stored)?), "a text is not as it was written");
            }
        }
        Ok(found)
    }
}

/// A number of a row.
pub fn int(layout: &RowLayout, row: &[u8], column: usize) -> i64 {
    let value = RowReader::new(layout, row).and_then(|mut reader| reader.get(column));
    match value.unwrap_or_else(|e| panic!("{e}")) {
        Datum::Int64(value) => value,
        other => panic!("{other:?}"),
    }
}
