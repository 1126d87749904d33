//! Rows of the views about the store: the log, checkpoints, archiving, locks.

use std::time::Duration;

use shmem_layout::SlotIndex;

use super::host::{Backend, now};
use super::views::time;
use crate::access::checkpoints::Count;
use crate::sql::types::{Datum, Numeric, Row};
use crate::txn::locks::rows::LockRow;
use crate::txn::locks::{LockMode, LockTag, OwnerIndex};

fn count(number: u64) -> Datum {
    Datum::Int8(i64::try_from(number).unwrap_or(i64::MAX))
}

fn bytes(number: u64) -> Datum {
    Datum::numeric(Numeric::from_int(number))
}

fn millis(time: Duration) -> Datum {
    Datum::Float8(time.as_secs_f64() * 1000.0)
}

impl Backend<'_, '_, '_> {
    /// Counts begin with shared memory, which is as old as the server or its last crash.
    fn counted_since(&self) -> Datum {
        time(self.ctx.server.archiver.read().reset_at_us as u64)
    }

    /// The id that a process's transaction has, as clients know it.
    pub(super) fn xid_of(&self, slot: SlotIndex) -> Datum {
        let xid = self.ctx.server.engine.words.xid_of(OwnerIndex::of_process(slot));
        xid.map_or(Datum::Null, |xid| Datum::Oid(xid.number() as u32))
    }

    pub(super) fn wal_row(&self) -> Row {
        let counts = self.ctx.server.engine.wal.statistics();
        vec![
            count(counts.records),
            count(counts.full_images),
            bytes(counts.bytes),
            count(counts.buffers_full),
            self.counted_since(),
            count(counts.writes),
            count(counts.syncs),
            millis(counts.write_time),
            millis(counts.sync_time),
            bytes(counts.bytes_written),
            count(counts.most_flights),
        ]
    }

    pub(super) fn bgwriter_row(&self) -> Row {
        let engine = &self.ctx.server.engine;
        let of = |which| count(engine.checkpoints.count(which));
        let pool = engine.pool.totals();
        // A page gets a buffer when it is read, or made.
        let allocated = pool.reads + pool.extends;
        vec![of(Count::Cleaned), of(Count::CleaningStopped), count(allocated), self.counted_since()]
    }

    pub(super) fn checkpointer_row(&self) -> Row {
        let checkpoints = &self.ctx.server.engine.checkpoints;
        let of = |which| count(checkpoints.count(which));
        let took = |which| millis(Duration::from_micros(checkpoints.count(which)));
        vec![
            of(Count::Timed),
            of(Count::Requested),
            of(Count::Done),
            count(0),
            count(0),
            count(0),
            took(Count::WriteUs),
            took(Count::SyncUs),
            of(Count::Written),
            of(Count::MapWritten),
            self.counted_since(),
        ]
    }

    pub(super) fn archiver_row(&self) -> Row {
        let row = self.ctx.server.archiver.read();
        let last = |last: Option<(String, i64)>| match last {
            Some((name, at)) => [Datum::text(name), time(at as u64)],
            None => [Datum::Null, Datum::Null],
        };
        let [archived, archived_at] = last(row.last_archived);
        let [failed, failed_at] = last(row.last_failed);
        let reset = time(row.reset_at_us as u64);
        vec![
            count(row.archived_count),
            archived,
            archived_at,
            count(row.failed_count),
            failed,
            failed_at,
            reset,
        ]
    }

    pub(super) fn lock_rows(&self) -> Vec<Row> {
        let (me, engine) = (self.ctx.me, &self.ctx.server.engine);
        let prepared = engine.prepared.rows(me);
        let virtual_of = |owner: OwnerIndex| match prepared.iter().find(|row| row.owner == owner) {
            // It has none any more; PostgreSQL has its id there.
            Some(row) => format!("-1/{}", row.xid.number() as u32),
            None => self.virtual_transaction(owner),
        };
        let mut rows: Vec<Row> =
            engine.locks.rows(me).into_iter().map(|lock| lock_row(lock, &virtual_of)).collect();
        for row in &prepared {
            let xid = Datum::Oid(row.xid.number() as u32);
            rows.push(transaction_row(Held::Id(xid), virtual_of(row.owner), None));
        }
        for (slot, _, pid) in self.living() {
            let owner = OwnerIndex::of_process(slot);
            if self.ctx.server.activities.read(slot).transaction_start_us != 0 {
                rows.push(transaction_row(Held::Virtual, virtual_of(owner), Some(pid)));
            }
            let xid = self.xid_of(slot);
            if !xid.is_null() {
                rows.push(transaction_row(Held::Id(xid), virtual_of(owner), Some(pid)));
            }
        }
        rows
    }

    /// The slot of a process, and how manieth of its transactions.
    fn virtual_transaction(&self, owner: OwnerIndex) -> String {
        let slot = SlotIndex::new(owner.index());
        let transactions = slot.map_or(0, |slot| self.ctx.server.activities.read(slot).transactions);
        format!("{}/{transactions}", owner.index())
    }
}

/// What a transaction holds of itself until its end.
enum Held {
    Virtual,
    Id(Datum),
}

fn transaction_row(held: Held, virtual_transaction: String, pid: Option<i32>) -> Row {
    let mut row = vec![Datum::Null; 16];
    row[14] = Datum::Bool(matches!(held, Held::Virtual));
    match held {
        Held::Virtual => {
            row[0] = Datum::text("virtualxid");
            row[5] = Datum::text(virtual_transaction.as_str());
        }
        Held::Id(xid) => {
            row[0] = Datum::text("transactionid");
            row[6] = xid;
        }
    }
    row[10] = Datum::text(virtual_transaction);
    // A prepared transaction has no process.
    row[11] = pid.map_or(Datum::Null, Datum::Int4);
    row[12] = Datum::text(LockMode::Exclusive.name());
    row[13] = Datum::Bool(true);
    row
}

fn lock_row(lock: LockRow, virtual_of: &impl Fn(OwnerIndex) -> String) -> Row {
    let mut row = vec![Datum::Null; 16];
    let [_, database, second, third, fourth] = lock.tag.to_numbers();
    row[0] = Datum::text(lock.tag.class_name());
    row[1] = Datum::Oid(database);
    match lock.tag {
        LockTag::Relation { relation, .. } | LockTag::Extend { relation, .. } => {
            row[2] = Datum::Oid(relation);
        }
        LockTag::Page { relation, block, .. } => {
            row[2] = Datum::Oid(relation);
            row[3] = Datum::Int4(block as i32);
        }
        LockTag::Tuple { relation, block, offset, .. } => {
            row[2] = Datum::Oid(relation);
            row[3] = Datum::Int4(block as i32);
            row[4] = Datum::Int2(offset as i16);
        }
        LockTag::Object { .. }
        | LockTag::User { .. }
        | LockTag::Advisory { .. }
        | LockTag::AdvisoryPair { .. } => {
            row[7] = Datum::Oid(second);
            row[8] = Datum::Oid(third);
            row[9] = Datum::Int2(fourth as i16);
        }
    }
    row[10] = Datum::text(virtual_of(lock.owner));
    // A prepared transaction has no process.
    row[11] = if lock.pid == 0 { Datum::Null } else { Datum::Int4(lock.pid as i32) };
    row[12] = Datum::text(lock.mode.name());
    row[13] = Datum::Bool(lock.granted);
    row[14] = Datum::Bool(lock.fast_path);
    if let Some(waited) = lock.waited {
        row[15] = Datum::Timestamptz(now() - waited.as_micros() as i64);
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::views::SystemView;

    #[test]
    fn locks_are_shown_as_postgresql_shows_them() {
        let row = |tag, granted, waited| LockRow {
            tag,
            owner: OwnerIndex::new(3),
            pid: 77,
            mode: LockMode::Exclusive,
            granted,
            fast_path: false,
            waited,
        };
        let width = SystemView::Locks.columns().len();
        let virtual_of = |owner: OwnerIndex| format!("{}/8", owner.index());
        let one =
            lock_row(row(LockTag::Advisory { database: 5, key: (7 << 32) | 9 }, true, None), &virtual_of);
        assert_eq!(one.len(), width);
        assert_eq!(one[1..3], [Datum::Oid(5), Datum::Null]);
        assert_eq!(one[7..10], [Datum::Oid(7), Datum::Oid(9), Datum::Int2(1)]);
        assert_eq!(
            one[11..16],
            [
                Datum::Int4(77),
                Datum::text("ExclusiveLock"),
                Datum::Bool(true),
                Datum::Bool(false),
                Datum::Null
            ]
        );
        let pair = LockTag::AdvisoryPair { database: 5, first: -1, second: 2 };
        let two = lock_row(row(pair, false, Some(Duration::from_secs(1))), &virtual_of);
        assert_eq!(two[7..10], [Datum::Oid(u32::MAX), Datum::Oid(2), Datum::Int2(2)]);
        assert!(two[13] == Datum::Bool(false) && !two[15].is_null());
        let relation =
            lock_row(row(LockTag::Relation { database: 5, relation: 16384 }, true, None), &virtual_of);
        assert_eq!((&relation[2], &relation[8]), (&Datum::Oid(16384), &Datum::Null));
        let with_id = transaction_row(Held::Id(Datum::Oid(9)), "3/8".into(), Some(77));
        assert_eq!((with_id.len(), &with_id[6], &with_id[10]), (width, &Datum::Oid(9), &Datum::text("3/8")));
        let without = transaction_row(Held::Virtual, "3/8".into(), Some(77));
        assert_eq!(
            (&without[5], &without[6], &without[14]),
            (&Datum::text("3/8"), &Datum::Null, &Datum::Bool(true))
        );
    }
}
