//! What the archiver has done: `pg_stat_archiver`.
//!
//! Written by the archiver alone and read by anybody without a lock, as [`activity`](crate::process::activity) explains.

use shmem_layout::shared_layout;

use super::super::shared_text::{put, text};
use crate::sync::{AtomicU32, AtomicU64, Ordering, fence};

/// Words of a file's name: 40 characters and a NUL.
const NAME_WORDS: usize = 6;

/// The shared record.
#[repr(C, align(64))]
pub struct ArchiverRecord {
    changes: AtomicU32,
    reserved: [u8; 4],
    archived: AtomicU64,
    failed: AtomicU64,
    archived_at_us: AtomicU64,
    failed_at_us: AtomicU64,
    reset_at_us: AtomicU64,
    last_archived: [AtomicU64; NAME_WORDS],
    last_failed: [AtomicU64; NAME_WORDS],
    tail: [u8; 48],
}

shared_layout!(ArchiverRecord, size 192, align 64, {
    0 => changes: AtomicU32,
    4 => reserved: [u8; 4],
    8 => archived: AtomicU64,
    16 => failed: AtomicU64,
    24 => archived_at_us: AtomicU64,
    32 => failed_at_us: AtomicU64,
    40 => reset_at_us: AtomicU64,
    48 => last_archived: [AtomicU64; NAME_WORDS],
    96 => last_failed: [AtomicU64; NAME_WORDS],
    144 => tail: [u8; 48],
});

/// The record, copied out. Times are microseconds since 1970.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[expect(missing_docs, reason = "as in pg_stat_archiver")]
pub struct ArchiverRow {
    pub archived_count: u64,
    /// Name and time.
    pub last_archived: Option<(String, i64)>,
    pub failed_count: u64,
    /// Name and time.
    pub last_failed: Option<(String, i64)>,
    pub reset_at_us: i64,
}

/// See the module.
#[derive(Clone, Copy)]
pub struct ArchiverStatistics<'s> {
    record: &'s ArchiverRecord,
}

impl<'s> ArchiverStatistics<'s> {
    /// Over the record. What has not begun to count begins now.
    pub fn new(record: &'s ArchiverRecord) -> Self {
        let now = jiff::Timestamp::now().as_microsecond() as u64;
        let _ = record.reset_at_us.compare_exchange(0, now, Ordering::AcqRel, Ordering::Relaxed);
        Self { record }
    }

    /// The archiver tried to archive a file.
    pub fn count(self, name: &str, succeeded: bool, now_us: i64) {
        let ArchiverRecord { archived, archived_at_us, last_archived, .. } = self.record;
        let ArchiverRecord { failed, failed_at_us, last_failed, .. } = self.record;
        let (count, at, last) = match succeeded {
            true => (archived, archived_at_us, last_archived),
            false => (failed, failed_at_us, last_failed),
        };
        // Made odd whatever it was: the predecessor may have died in the middle.
        let odd = self.record.changes.load(Ordering::Relaxed) | 1;
        self.record.changes.store(odd, Ordering::Relaxed);
        fence(Ordering::Release);
        count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        at.store(now_us as u64, Ordering::Relaxed);
        put(last, name);
        self.record.changes.store(odd.wrapping_add(1), Ordering::Release);
    }

    /// Copies the record out.
    pub fn read(self) -> ArchiverRow {
        const TRIES: usize = 1000;
        for _ in 0..TRIES {
            let before = self.record.changes.load(Ordering::Acquire);
            let row = self.copy();
            fence(Ordering::Acquire);
            if before.is_multiple_of(2) && self.record.changes.load(Ordering::Relaxed) == before {
                return row;
            }
            std::hint::spin_loop();
        }
        // The archiver died in the middle.
        self.copy()
    }

    fn copy(self) -> ArchiverRow {
        let record = self.record;
        let last = |name: &[AtomicU64], at: &AtomicU64| {
            let at = at.load(Ordering::Relaxed) as i64;
            (at != 0).then(|| (text(name), at))
        };
        ArchiverRow {
            archived_count: record.archived.load(Ordering::Relaxed),
            last_archived: last(&record.last_archived, &record.archived_at_us),
            failed_count: record.failed.load(Ordering::Relaxed),
            last_failed: last(&record.last_failed, &record.failed_at_us),
            reset_at_us: record.reset_at_us.load(Ordering::Relaxed) as i64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_read() {
        let zero = || AtomicU64::new(0);
        let record = ArchiverRecord {
            changes: AtomicU32::new(7),
            reserved: [0; 4],
            archived: zero(),
            failed: zero(),
            archived_at_us: zero(),
            failed_at_us: zero(),
            reset_at_us: zero(),
            last_archived: Default::default(),
            last_failed: Default::default(),
            tail: [0; 48],
        };
        let statistics = ArchiverStatistics::new(&record);
        let reset_at_us = statistics.read().reset_at_us;
        assert_eq!(statistics.read(), ArchiverRow { reset_at_us, ..ArchiverRow::default() });
        let name = "0000000100000000000000AB.00000028.backup";
        for (name, succeeded, at) in [("1", true, 11), ("2", false, 12), (name, true, 13)] {
            statistics.count(name, succeeded, at);
        }
        let expected = ArchiverRow {
            archived_count: 2,
            last_archived: Some((name.to_owned(), 13)),
            failed_count: 1,
            last_failed: Some(("2".to_owned(), 12)),
            reset_at_us,
        };
        assert_eq!(statistics.read(), expected);
        assert!(reset_at_us > 1_700_000_000_000_000);
    }
}
