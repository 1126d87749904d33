//! What serializable transactions have read: entries by tag in buckets, and by transaction in a list.

use shmem_layout::SerialRead;

use super::{SerialTables, Tables};
use crate::sync::Ordering::Relaxed;
use crate::sync::{AtomicU32, Ordering};

/// Something read: a tuple, a page, or a relation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ReadTag {
    database: u32,
    relation: u32,
    /// Block plus one, 0: all.
    page: u32,
    /// Line pointer, 0: all.
    offset: u32,
}

impl ReadTag {
    /// All of a relation.
    pub const fn of_relation(database: u32, relation: u32) -> Self {
        Self { database, relation, page: 0, offset: 0 }
    }

    /// A page; `block` is never the largest number.
    pub const fn of_page(database: u32, relation: u32, block: u32) -> Self {
        Self { database, relation, page: block.wrapping_add(1), offset: 0 }
    }

    /// A tuple; its offset is not 0.
    pub const fn of_tuple(database: u32, relation: u32, block: u32, offset: u16) -> Self {
        Self { database, relation, page: block.wrapping_add(1), offset: offset as u32 }
    }

    /// The relation that it is or belongs to.
    pub const fn relation(self) -> Self {
        Self { page: 0, offset: 0, ..self }
    }

    /// The page that it is or belongs to.
    pub fn page(self) -> Option<Self> {
        (self.page != 0).then_some(Self { offset: 0, ..self })
    }

    /// Those that cover it, itself included if it is no tuple.
    pub(super) fn coarser(self) -> impl Iterator<Item = Self> {
        let page = self.page().filter(|page| *page != self);
        let relation = Some(self.relation()).filter(|relation| *relation != self);
        relation.into_iter().chain(page)
    }

    /// Whether it covers `other`, and is not the same.
    fn is_coarser_than(self, other: Self) -> bool {
        other.coarser().any(|coarser| coarser == self)
    }

    fn hash(self) -> usize {
        let mut hash = 0_u64;
        for field in [self.database, self.relation, self.page, self.offset] {
            hash = (hash ^ u64::from(field)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            hash ^= hash >> 29;
        }
        hash as usize
    }
}

fn get(word: &AtomicU32) -> u32 {
    word.load(Relaxed)
}

fn set(word: &AtomicU32, value: u32) {
    word.store(value, Ordering::Relaxed);
}

impl SerialTables<'_> {
    fn bucket(&self, tag: ReadTag) -> &AtomicU32 {
        &self.buckets[tag.hash() % self.buckets.len()].first
    }
}

impl Tables<'_, '_> {
    fn entry(&self, number: u32) -> &SerialRead {
        &self.all.reads[number as usize - 1]
    }

    fn tag_of(&self, number: u32) -> ReadTag {
        let read = self.entry(number);
        ReadTag {
            database: get(&read.database),
            relation: get(&read.relation),
            page: get(&read.page),
            offset: get(&read.offset),
        }
    }

    fn first_from(&self, mut number: u32, tag: ReadTag) -> Option<(u32, u32)> {
        while number != 0 && self.tag_of(number) != tag {
            number = get(&self.entry(number).next);
        }
        (number != 0).then(|| (number, get(&self.entry(number).transaction)))
    }

    /// The first entry of a tag, and its transaction.
    pub fn first_reader(&self, tag: ReadTag) -> Option<(u32, u32)> {
        self.first_from(get(self.all.bucket(tag)), tag)
    }

    /// The one behind `read`.
    pub fn next_reader(&self, read: u32, tag: ReadTag) -> Option<(u32, u32)> {
        self.first_from(get(&self.entry(read).next), tag)
    }

    /// Remembers that a transaction read something, instead of what it read of that before. `false`: no room. Within a
    /// critical section.
    pub fn remember(&self, transaction: u32, tag: ReadTag) -> bool {
        let shared = self.all.shared;
        let number = match get(&shared.free_reads) {
            0 if get(&shared.fresh_reads) as usize == self.all.reads.len() => return false,
            0 => {
                set(&shared.fresh_reads, get(&shared.fresh_reads) + 1);
                get(&shared.fresh_reads)
            }
            number => {
                set(&shared.free_reads, get(&self.entry(number).next));
                number
            }
        };
        let (read, owner) = (self.entry(number), self.transaction(transaction));
        set(&read.transaction, transaction);
        set(&read.database, tag.database);
        set(&read.relation, tag.relation);
        set(&read.page, tag.page);
        set(&read.offset, tag.offset);
        set(&read.next, get(self.all.bucket(tag)));
        set(self.all.bucket(tag), number);
        set(&read.next_of_transaction, get(&owner.first_read));
        set(&owner.first_read, number);
        self.forget_reads(transaction, |old| tag.is_coarser_than(old));
        true
    }

    /// Forgets those of a transaction's reads for which `is_gone` holds. Within a critical section.
    pub fn forget_reads(&self, transaction: u32, is_gone: impl Fn(ReadTag) -> bool) {
        let mut link = &self.transaction(transaction).first_read;
        while get(link) != 0 {
            let number = get(link);
            let (read, tag) = (self.entry(number), self.tag_of(number));
            if is_gone(tag) {
                set(link, get(&read.next_of_transaction));
                self.free(number, tag);
            } else {
                link = &read.next_of_transaction;
            }
        }
    }

    fn free(&self, number: u32, tag: ReadTag) {
        let mut link = self.all.bucket(tag);
        while get(link) != number {
            link = &self.entry(get(link)).next;
        }
        let (read, shared) = (self.entry(number), self.all.shared);
        set(link, get(&read.next));
        set(&read.transaction, 0);
        set(&read.next, get(&shared.free_reads));
        set(&shared.free_reads, number);
    }
}
