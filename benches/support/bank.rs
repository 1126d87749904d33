//! pgbench's tables over the storage API: what looks rows up, and what makes transactions to recover.
use tuskd::access::btree::{BTree, IndexOptions, KeyOrder, KeyShape, ScanKey, ScanOp};
use tuskd::access::heap::{HeapOptions, Writing};
use tuskd::access::relation_files::TransactionFiles;
use tuskd::access::table::{Index, Table, Uniques, Written};
use tuskd::access::visibility::ReadView;
use tuskd::access::{ColumnStorage, Datum, RowLayout, RowReader, Store, StoreSession};
use tuskd::storage::RelFile;
use tuskd::txn::session::{CommitOptions, Isolation};

use super::store::session;

/// pgbench's accounts and history, but for the types of times and the filler's padding.
pub struct Bank {
    /// Whose tables these are.
    pub session: StoreSession<'static, 'static>,
    /// Accounts by their number.
    pub accounts: Table<'static, 'static>,
    history: Table<'static, 'static>,
    /// A buffer for a row.
    pub row: Vec<u8>,
    rows: i32,
    at: i32,
}

fn file(relation: u32) -> RelFile {
    RelFile { tablespace: RelFile::DEFAULT_TABLESPACE, database: 5, relation }
}

fn heap(relation: u32) -> HeapOptions {
    HeapOptions { file: file(relation), relation: (5, relation), is_logged: true, fillfactor: 100 }
}

impl Bank {
    /// Tables that are to be made, with so many accounts.
    pub fn new(store: &'static Store<'static>, rows: i32) -> Self {
        use ColumnStorage::{Int32, Int64, Variable};
        let options = IndexOptions {
            file: file(1001),
            is_logged: true,
            name: "accounts_pkey".into(),
            table: "accounts".into(),
            shape: KeyShape::new(&[(Int32, KeyOrder::ASCENDING)], &[]),
            fillfactor: 90,
        };
        let index = Index::new(BTree::new(store, options), vec![0], Uniques::NullsDistinct);
        Self {
            session: session(store),
            accounts: Table::new(heap(1000), RowLayout::of(&[Int32, Int32, Int32, Variable]), vec![index]),
            history: Table::new(heap(2000), RowLayout::of(&[Int32, Int32, Int32, Int32, Int64]), vec![]),
            row: Vec::new(),
            rows,
            at: 0,
        }
    }

    /// Makes the tables and the accounts.
    pub fn fill(&mut self) {
        self.session.transaction.begin(Isolation::ReadCommitted, false);
        let mut files = TransactionFiles::default();
        for table in [&self.accounts, &self.history] {
            table.create(&mut self.session, &mut files).expect("new files");
        }
        for account in 0..self.rows {
            let values = [Datum::Int32(account), Datum::Int32(1), Datum::Int32(0), Datum::Bytes(&[b' '; 84])];
            let mut writing = Writing::at_once(1);
            let Self { accounts, session, row, .. } = self;
            let written = accounts.insert(session, &values, row, &mut writing).expect("room");
            assert!(matches!(written, Written::Done(_)));
        }
        self.session
            .transaction
            .commit(CommitOptions { synchronous: true, ..CommitOptions::default() })
            .expect("commit");
    }

    /// What a statement sees now.
    pub fn view(&mut self) -> ReadView {
        ReadView { snapshot: self.session.transaction.statement_snapshot().expect("a snapshot"), command: 1 }
    }

    fn next_account(&mut self) -> i32 {
        self.at = (self.at + 7919) % self.rows;
        self.at
    }

    /// Goes on at a place that no stride leads to, as random accounts do.
    pub fn jump(&mut self, random: u64) {
        self.at = (random % self.rows as u64) as i32;
    }

    /// The next account, and its balance.
    pub fn lookup(&mut self, view: ReadView) -> (tuskd::access::Ctid, i32) {
        let keys = [ScanKey::new(0, ScanOp::Equal, Datum::Int32(self.next_account()))];
        let Self { accounts, session, .. } = self;
        let layout = accounts.layout();
        let balance = |row: &[u8]| match RowReader::new(layout, row).and_then(|mut row| row.get(2)) {
            Ok(Datum::Int32(balance)) => balance,
            other => panic!("{other:?}"),
        };
        accounts.lookup(session, 0, &keys, view, balance).expect("a look").expect("it is there")
    }

    /// One transaction, whose commit nobody waits for.
    pub fn simple_update(&mut self) {
        self.session.transaction.begin(Isolation::ReadCommitted, false);
        let view = self.view();
        let (ctid, balance) = self.lookup(view);
        let account = self.at;
        let values =
            [Datum::Int32(account), Datum::Int32(1), Datum::Int32(balance + 1), Datum::Bytes(&[b' '; 84])];
        let mut writing = Writing::at_once(1);
        let Self { accounts, history, session, row, .. } = self;
        let written = accounts.update(session, ctid, &values, row, &mut writing).expect("room");
        assert!(matches!(written, Written::Done(_)));
        let values =
            [Datum::Int32(1), Datum::Int32(1), Datum::Int32(account), Datum::Int32(1), Datum::Int64(0)];
        let written = history.insert(session, &values, row, &mut writing).expect("room");
        assert!(matches!(written, Written::Done(_)));
        session.transaction.commit(CommitOptions::default()).expect("commit");
    }
}
