//! What each process is doing, for `pg_stat_activity`, for the postmaster's log lines about a crash, and for titles.
//!
//! One record per process slot, written by its owner alone and read by anybody without a lock: a counter is odd while the
//! record is being written, and who reads compares it before and behind (a seqlock; Boehm, "Can seqlocks get along with
//! programming language memory models?", 2012). Text lies in words, so that every access is atomic. A record whose owner
//! died in the middle of writing stays odd and is read as it is.

use shmem_layout::{SlotIndex, shared_layout};

use super::kinds::Kind;
use super::shared_text::{put, text};
use crate::sync::{AtomicU32, AtomicU64, Ordering, fence};

/// Bytes of a statement that are kept (`track_activity_query_size`).
pub const QUERY_BYTES: usize = 1024;
/// Bytes of a name that are kept, as of every PostgreSQL name.
pub const NAME_BYTES: usize = 64;

/// A text of at most `8 * WORDS` bytes.
type Text<const WORDS: usize> = [AtomicU64; WORDS];

/// One process's record.
#[repr(C, align(64))]
pub struct Activity {
    changes: AtomicU32,
    state: AtomicU32,
    database: AtomicU32,
    user: AtomicU32,
    backend_start_us: AtomicU64,
    transaction_start_us: AtomicU64,
    query_start_us: AtomicU64,
    state_change_us: AtomicU64,
    client_port: AtomicU32,
    tls_bits: AtomicU32,
    /// Transactions that were begun there; never set back, so that a number names one.
    transactions: AtomicU64,
    user_name: Text<8>,
    database_name: Text<8>,
    application_name: Text<8>,
    client_address: Text<8>,
    worker_type: Text<16>,
    query: Text<128>,
    tls_version: Text<2>,
    tls_cipher: Text<6>,
    tls_client: Text<8>,
    tls_serial: Text<8>,
    tls_issuer: Text<8>,
}

shared_layout!(Activity, size 1728, align 64, {
    0 => changes: AtomicU32,
    4 => state: AtomicU32,
    8 => database: AtomicU32,
    12 => user: AtomicU32,
    16 => backend_start_us: AtomicU64,
    24 => transaction_start_us: AtomicU64,
    32 => query_start_us: AtomicU64,
    40 => state_change_us: AtomicU64,
    48 => client_port: AtomicU32,
    52 => tls_bits: AtomicU32,
    56 => transactions: AtomicU64,
    64 => user_name: [AtomicU64; 8],
    128 => database_name: [AtomicU64; 8],
    192 => application_name: [AtomicU64; 8],
    256 => client_address: [AtomicU64; 8],
    320 => worker_type: [AtomicU64; 16],
    448 => query: [AtomicU64; 128],
    1472 => tls_version: [AtomicU64; 2],
    1488 => tls_cipher: [AtomicU64; 6],
    1536 => tls_client: [AtomicU64; 8],
    1600 => tls_serial: [AtomicU64; 8],
    1664 => tls_issuer: [AtomicU64; 8],
});

/// What a session is doing, by `pg_stat_activity.state`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum State {
    /// Not said.
    Undefined = 0,
    /// Waits for a client's next command.
    Idle = 1,
    /// Runs one.
    Active = 2,
    /// Idle in a transaction.
    IdleInTransaction = 3,
    /// Idle in a transaction that failed.
    IdleInFailedTransaction = 4,
    /// Authenticates.
    Starting = 5,
}

impl State {
    /// PostgreSQL's word.
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::Undefined => None,
            Self::Idle => Some("idle"),
            Self::Active => Some("active"),
            Self::IdleInTransaction => Some("idle in transaction"),
            Self::IdleInFailedTransaction => Some("idle in transaction (aborted)"),
            Self::Starting => Some("starting"),
        }
    }

    const fn from_number(number: u32) -> Self {
        match number {
            1 => Self::Idle,
            2 => Self::Active,
            3 => Self::IdleInTransaction,
            4 => Self::IdleInFailedTransaction,
            5 => Self::Starting,
            _ => Self::Undefined,
        }
    }
}

/// A record, copied out.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "as in pg_stat_activity")]
pub struct ActivityRow {
    pub state: State,
    pub database: u32,
    pub user: u32,
    pub backend_start_us: u64,
    pub transaction_start_us: u64,
    pub transactions: u64,
    pub query_start_us: u64,
    pub state_change_us: u64,
    pub client_port: u32,
    pub user_name: String,
    pub database_name: String,
    pub application_name: String,
    pub client_address: String,
    pub worker_type: String,
    pub query: String,
    pub tls: Option<TlsRow>,
}

/// A session's TLS, as in `pg_stat_ssl`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[expect(missing_docs, reason = "as in pg_stat_ssl")]
pub struct TlsRow {
    pub version: String,
    pub cipher: String,
    pub bits: u32,
    pub client_dn: String,
    pub client_serial: String,
    pub issuer_dn: String,
}

impl ActivityRow {
    /// `pg_stat_activity.backend_type` of a process of this kind: a background worker says itself what it is.
    pub fn backend_type(&self, kind: Kind) -> &str {
        if kind == Kind::BackgroundWorker && !self.worker_type.is_empty() {
            return &self.worker_type;
        }
        kind.info().backend_type
    }
}

/// All records.
#[derive(Clone, Copy)]
pub struct Activities<'s> {
    records: &'s [Activity],
}

impl<'s> Activities<'s> {
    /// Over one record per process slot.
    pub fn new(records: &'s [Activity]) -> Self {
        Self { records }
    }

    /// The record of a slot, to be written by its owner only.
    pub fn of(self, slot: SlotIndex) -> ActivityWriter<'s> {
        ActivityWriter { record: &self.records[slot.index()] }
    }

    /// Copies a record out.
    pub fn read(self, slot: SlotIndex) -> ActivityRow {
        const TRIES: usize = 1000;
        let record = &self.records[slot.index()];
        for _ in 0..TRIES {
            let before = record.changes.load(Ordering::Acquire);
            let row = record.copy();
            fence(Ordering::Acquire);
            if before.is_multiple_of(2) && record.changes.load(Ordering::Relaxed) == before {
                return row;
            }
            std::hint::spin_loop();
        }
        // Its owner died, or was stopped, in the middle.
        record.copy()
    }

    /// The role in a record.
    pub fn user_of(self, slot: SlotIndex) -> u32 {
        self.records[slot.index()].user.load(Ordering::Acquire)
    }

    /// The database in a record.
    pub fn database_of(self, slot: SlotIndex) -> u32 {
        self.records[slot.index()].database.load(Ordering::Acquire)
    }

    /// Empties a record whose process is gone.
    pub fn clear(self, slot: SlotIndex) {
        let writer = self.of(slot);
        writer.change(|record| {
            record.state.store(0, Ordering::Relaxed);
            record.database.store(0, Ordering::Relaxed);
            record.user.store(0, Ordering::Relaxed);
            record.client_port.store(0, Ordering::Relaxed);
            record.tls_bits.store(0, Ordering::Relaxed);
            let times = [
                &record.backend_start_us,
                &record.transaction_start_us,
                &record.query_start_us,
                &record.state_change_us,
            ];
            times.iter().for_each(|time| time.store(0, Ordering::Relaxed));
            let texts = [
                &record.user_name[..],
                &record.database_name,
                &record.application_name,
                &record.client_address,
                &record.worker_type,
                &record.query,
            ];
            texts.iter().for_each(|text| put(text, ""));
        });
    }
}

impl Activity {
    fn copy(&self) -> ActivityRow {
        let number = |word: &AtomicU64| word.load(Ordering::Relaxed);
        ActivityRow {
            state: State::from_number(self.state.load(Ordering::Relaxed)),
            database: self.database.load(Ordering::Relaxed),
            user: self.user.load(Ordering::Relaxed),
            backend_start_us: number(&self.backend_start_us),
            transaction_start_us: number(&self.transaction_start_us),
            query_start_us: number(&self.query_start_us),
            state_change_us: number(&self.state_change_us),
            transactions: number(&self.transactions),
            client_port: self.client_port.load(Ordering::Relaxed),
            user_name: text(&self.user_name),
            database_name: text(&self.database_name),
            application_name: text(&self.application_name),
            client_address: text(&self.client_address),
            worker_type: text(&self.worker_type),
            query: text(&self.query),
            tls: self.tls(),
        }
    }

    fn tls(&self) -> Option<TlsRow> {
        let bits = self.tls_bits.load(Ordering::Relaxed);
        (bits != 0).then(|| TlsRow {
            version: text(&self.tls_version),
            cipher: text(&self.tls_cipher),
            bits,
            client_dn: text(&self.tls_client),
            client_serial: text(&self.tls_serial),
            issuer_dn: text(&self.tls_issuer),
        })
    }
}

/// Writes one's own record.
#[derive(Clone, Copy)]
pub struct ActivityWriter<'s> {
    record: &'s Activity,
}

impl ActivityWriter<'_> {
    fn change(self, f: impl FnOnce(&Activity)) {
        let changes = &self.record.changes;
        // Made odd whatever it was: the predecessor may have died in the middle.
        let odd = changes.load(Ordering::Relaxed) | 1;
        changes.store(odd, Ordering::Relaxed);
        fence(Ordering::Release);
        f(self.record);
        changes.store(odd.wrapping_add(1), Ordering::Release);
    }

    /// A session begins; everything else is empty.
    pub fn begin(self, now_us: u64, client_address: &str, client_port: u32) {
        self.change(|record| {
            record.state.store(State::Starting as u32, Ordering::Relaxed);
            record.backend_start_us.store(now_us, Ordering::Relaxed);
            record.state_change_us.store(now_us, Ordering::Relaxed);
            record.client_port.store(client_port, Ordering::Relaxed);
            put(&record.client_address, client_address);
        });
    }

    /// Who it is, once that is known.
    pub fn set_identity(self, user: u32, user_name: &str, database: u32, database_name: &str) {
        self.change(|record| {
            record.user.store(user, Ordering::Relaxed);
            record.database.store(database, Ordering::Relaxed);
            put(&record.user_name, user_name);
            put(&record.database_name, database_name);
        });
    }

    /// What a background worker is, as its registration says.
    pub fn set_worker_type(self, name: &str) {
        self.change(|record| put(&record.worker_type, name));
    }

    /// Its connection is encrypted.
    pub fn set_tls(self, tls: &TlsRow) {
        self.change(|record| {
            record.tls_bits.store(tls.bits, Ordering::Relaxed);
            put(&record.tls_version, &tls.version);
            put(&record.tls_cipher, &tls.cipher);
            put(&record.tls_client, &tls.client_dn);
            put(&record.tls_serial, &tls.client_serial);
            put(&record.tls_issuer, &tls.issuer_dn);
        });
    }

    /// `application_name`.
    pub fn set_application_name(self, name: &str) {
        self.change(|record| put(&record.application_name, name));
    }

    /// A statement begins.
    pub fn set_active(self, query: &str, now_us: u64) {
        self.change(|record| {
            record.state.store(State::Active as u32, Ordering::Relaxed);
            record.query_start_us.store(now_us, Ordering::Relaxed);
            record.state_change_us.store(now_us, Ordering::Relaxed);
            put(&record.query, query);
        });
    }

    /// A state without a new statement.
    pub fn set_state(self, state: State, now_us: u64) {
        self.change(|record| {
            record.state.store(state as u32, Ordering::Relaxed);
            record.state_change_us.store(now_us, Ordering::Relaxed);
        });
    }

    /// A transaction begins (or ends, with 0).
    pub fn set_transaction_start(self, us: u64) {
        self.change(|record| {
            if us != 0 {
                record.transactions.fetch_add(1, Ordering::Relaxed);
            }
            record.transaction_start_us.store(us, Ordering::Relaxed);
        });
    }
}
