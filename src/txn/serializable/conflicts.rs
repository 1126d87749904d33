//! Who depends on whom, and whether that may end well.
//!
//! `reader → writer`: the reader must come before the writer in any serial order. Dangerous is first → pivot → last with
//! the last one decided before the other two (first and last may be the same). If the first only reads, it matters only
//! if it could see what the last wrote.

use shmem_layout::SerialTransaction;
use shmem_layout::serializable::SERIAL_WORDS;

use super::{Danger, ReadTag, Tables};
use crate::sync::AtomicU64;
use crate::sync::Ordering::Relaxed;
use crate::txn::lsn::Lsn;
use crate::txn::xid::Xid;

const DOOMED: u32 = SerialTransaction::DOOMED;

fn state(transaction: &SerialTransaction) -> u32 {
    transaction.state.load(Relaxed)
}

fn has(transaction: &SerialTransaction, flag: u32) -> bool {
    transaction.flags.load(Relaxed) & flag != 0
}

fn is_read_only(transaction: &SerialTransaction) -> bool {
    has(transaction, SerialTransaction::READ_ONLY)
}

/// Whether it was decided that it commits, or it has.
fn is_decided(transaction: &SerialTransaction) -> bool {
    state(transaction) >= SerialTransaction::PREPARED
}

fn is_committed(transaction: &SerialTransaction) -> bool {
    state(transaction) == SerialTransaction::COMMITTED
}

/// Whether its commit may come behind a decision of this number: it is not over, or it was over later.
fn may_end_behind(transaction: &SerialTransaction, decision: u64) -> bool {
    !is_committed(transaction) || transaction.committed.load(Relaxed) >= decision
}

/// Whether a transaction's snapshot shows another one.
fn sees(transaction: &SerialTransaction, other: &SerialTransaction) -> bool {
    let commit = other.commit_lsn.load(Relaxed);
    commit != 0 && commit <= transaction.snapshot.load(Relaxed)
}

fn add(set: &[AtomicU64; SERIAL_WORDS], number: u32) {
    let word = &set[(number as usize - 1) / 64];
    word.store(word.load(Relaxed) | 1 << ((number - 1) % 64), Relaxed);
}

fn remove(set: &[AtomicU64; SERIAL_WORDS], number: u32) {
    let word = &set[(number as usize - 1) / 64];
    word.store(word.load(Relaxed) & !(1 << ((number - 1) % 64)), Relaxed);
}

/// The numbers in a set.
fn members(set: &[AtomicU64; SERIAL_WORDS]) -> impl Iterator<Item = u32> {
    set.iter().enumerate().flat_map(|(i, word)| {
        let word = word.load(Relaxed);
        (0..64).filter(move |bit| word >> bit & 1 != 0).map(move |bit| i as u32 * 64 + bit + 1)
    })
}

impl Tables<'_, '_> {
    pub fn transaction(&self, number: u32) -> &SerialTransaction {
        &self.all.transactions[number as usize - 1]
    }

    pub fn is_doomed(&self, number: u32) -> bool {
        has(self.transaction(number), DOOMED)
    }

    /// The transaction that has an id.
    pub fn by_xid(&self, xid: Xid) -> Option<u32> {
        let is_it = |t: &SerialTransaction| {
            state(t) != SerialTransaction::FREE && t.xid.load(Relaxed) == xid.number()
        };
        self.all.transactions.iter().position(is_it).map(|index| index as u32 + 1)
    }

    /// Whether neither sees the other, as far as `own` can tell.
    pub fn are_concurrent(&self, own: u32, other: u32) -> bool {
        !sees(self.transaction(own), self.transaction(other))
    }

    /// `reader` depends on `writer` from now on, one of which is `own`. Within a critical section.
    pub fn depend(&self, reader: u32, writer: u32, own: u32) -> Result<(), Danger> {
        let (first, last) = (self.transaction(reader), self.transaction(writer));
        if has(first, DOOMED) || has(last, DOOMED) {
            // It will not commit, so it is in nobody's way.
            return Ok(());
        }
        add(&first.writers, writer);
        add(&last.readers, reader);
        if !self.writer_is_pivot(first, last) && !self.reader_is_pivot(first, last) {
            return Ok(());
        }
        if own == writer {
            return Err(Danger::Writing);
        }
        if is_decided(last) {
            return Err(Danger::Reading(last.xid.load(Relaxed) as u32));
        }
        last.flags.fetch_or(DOOMED, Relaxed);
        Ok(())
    }

    /// Those who have read `tag` and are concurrent with `writer` depend on it from now on. Within a critical section.
    pub fn depend_readers(&self, tag: ReadTag, writer: u32) -> Result<(), Danger> {
        let mut next = self.first_reader(tag);
        while let Some((read, reader)) = next {
            if reader != writer && self.are_concurrent(writer, reader) {
                self.depend(reader, writer, writer)?;
            }
            next = self.next_reader(read, tag);
        }
        Ok(())
    }

    /// first → writer → somebody who was decided before both.
    fn writer_is_pivot(&self, first: &SerialTransaction, writer: &SerialTransaction) -> bool {
        let is_first_to_end =
            |decision: u64| may_end_behind(first, decision) && may_end_behind(writer, decision);
        let forgotten = writer.earliest_out.load(Relaxed);
        // Who is forgotten committed before every snapshot there is, so a reader sees it.
        let by_forgotten = forgotten != 0 && is_first_to_end(forgotten);
        by_forgotten
            || members(&writer.writers).map(|number| self.transaction(number)).any(|last| {
                let could_see = !is_read_only(first) || sees(first, last);
                is_decided(last) && is_first_to_end(last.prepared.load(Relaxed)) && could_see
            })
    }

    /// Somebody → reader → last, which was decided before both.
    fn reader_is_pivot(&self, reader: &SerialTransaction, last: &SerialTransaction) -> bool {
        let decision = last.prepared.load(Relaxed);
        let is_dangerous = |first: &SerialTransaction| {
            !has(first, DOOMED)
                && may_end_behind(first, decision)
                && (!is_read_only(first) || sees(first, last))
        };
        is_decided(last)
            && !is_read_only(reader)
            && members(&reader.readers).any(|number| is_dangerous(self.transaction(number)))
    }

    /// Lets a transaction commit, if it is in no danger, and dooms those that its commit makes the pivot of an anomaly.
    /// Within a critical section.
    pub fn decide(&self, number: u32) -> Result<(), Danger> {
        let own = self.transaction(number);
        if has(own, DOOMED) {
            return Err(Danger::DoomedCommitting);
        }
        // This one is the last of first → pivot → last, and the first of them to commit.
        for pivot in members(&own.readers).map(|pivot| self.transaction(pivot)) {
            if is_committed(pivot) || has(pivot, DOOMED) {
                continue;
            }
            let is_first = |first: u32| {
                let t = self.transaction(first);
                first == number || !is_committed(t) && !is_read_only(t) && !has(t, DOOMED)
            };
            if members(&pivot.readers).any(is_first) {
                if is_decided(pivot) {
                    return Err(Danger::Committing);
                }
                pivot.flags.fetch_or(DOOMED, Relaxed);
            }
        }
        own.prepared.store(self.next_sequence(), Relaxed);
        own.state.store(SerialTransaction::PREPARED, Relaxed);
        Ok(())
    }

    fn next_sequence(&self) -> u64 {
        self.all.shared.sequence.fetch_add(1, Relaxed) + 1
    }

    /// A transaction has committed. Within a critical section.
    pub fn finish(&self, number: u32, lsn: Lsn) {
        let own = self.transaction(number);
        own.commit_lsn.store(lsn.bytes().max(1), Relaxed);
        own.committed.store(self.next_sequence(), Relaxed);
        own.state.store(SerialTransaction::COMMITTED, Relaxed);
    }

    /// A transaction is no part of any danger any more: it was rolled back, or it committed before every running one
    /// began. Within a critical section.
    pub fn forget(&self, number: u32, is_aborted: bool) {
        let own = self.transaction(number);
        let decision = own.prepared.load(Relaxed);
        for reader in members(&own.readers).map(|reader| self.transaction(reader)) {
            remove(&reader.writers, number);
            let earliest = reader.earliest_out.load(Relaxed);
            if !is_aborted && (earliest == 0 || decision < earliest) {
                reader.earliest_out.store(decision, Relaxed);
            }
        }
        for writer in members(&own.writers).map(|writer| self.transaction(writer)) {
            remove(&writer.readers, number);
        }
        own.readers.iter().chain(&own.writers).for_each(|word| word.store(0, Relaxed));
        self.forget_reads(number, |_| true);
        own.state.store(SerialTransaction::FREE, Relaxed);
    }

    /// Forgets those committed that every running one sees. Within a critical section.
    pub fn forget_old(&self) {
        let open = self
            .all
            .transactions
            .iter()
            .filter(|t| matches!(state(t), SerialTransaction::ACTIVE | SerialTransaction::PREPARED));
        let oldest = open.map(|t| t.snapshot.load(Relaxed)).min().unwrap_or(u64::MAX);
        for (index, transaction) in self.all.transactions.iter().enumerate() {
            if is_committed(transaction) && transaction.commit_lsn.load(Relaxed) <= oldest {
                self.forget(index as u32 + 1, false);
            }
        }
    }
}
