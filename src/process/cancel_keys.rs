//! Cancel keys of the sessions, in shared memory, for whoever gets a CancelRequest.

use shmem_layout::{SlotIndex, shared_layout};

use crate::sync::{AtomicU64, Ordering};

/// Words of a key: 32 bytes.
const WORDS: usize = 4;

/// One session's key.
#[repr(C, align(64))]
pub struct CancelKeyRecord {
    /// Bytes of the key, 0: nobody can be cancelled here.
    len: AtomicU64,
    bytes: [AtomicU64; WORDS],
    reserved: [u8; 24],
}

shared_layout!(CancelKeyRecord, size 64, align 64, {
    0 => len: AtomicU64,
    8 => bytes: [AtomicU64; WORDS],
    40 => reserved: [u8; 24],
});

/// All keys, by process slot.
#[derive(Clone, Copy)]
pub struct CancelKeys<'s> {
    records: &'s [CancelKeyRecord],
}

impl<'s> CancelKeys<'s> {
    /// Over one record per slot.
    pub fn new(records: &'s [CancelKeyRecord]) -> Self {
        Self { records }
    }

    /// Sets the key of one's own slot.
    pub fn set(self, slot: SlotIndex, key: &[u8]) {
        let record = &self.records[slot.index()];
        record.len.store(0, Ordering::Release);
        for (word, part) in record.bytes.iter().zip(key.chunks(8)) {
            let mut value = [0; 8];
            value[..part.len()].copy_from_slice(part);
            word.store(u64::from_le_bytes(value), Ordering::Relaxed);
        }
        record.len.store(key.len().min(WORDS * 8) as u64, Ordering::Release);
    }

    /// Nobody can be cancelled in this slot any more.
    pub fn clear(self, slot: SlotIndex) {
        self.records[slot.index()].len.store(0, Ordering::Release);
    }

    /// Whether `offered` is the key of a slot; takes the same time wherever they differ.
    pub fn matches(self, slot: SlotIndex, offered: &[u8]) -> bool {
        let record = &self.records[slot.index()];
        let len = record.len.load(Ordering::Acquire) as usize;
        let mut key = [0; WORDS * 8];
        for (part, word) in key.chunks_mut(8).zip(&record.bytes) {
            part.copy_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
        }
        let mut difference = usize::from(len == 0) | (len ^ offered.len());
        for (a, b) in key[..len.min(WORDS * 8)].iter().zip(offered) {
            difference |= usize::from(a ^ b);
        }
        difference == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_key_matches() {
        let records =
            [CancelKeyRecord { len: AtomicU64::new(0), bytes: Default::default(), reserved: [0; 24] }];
        let (keys, slot) = (CancelKeys::new(&records), SlotIndex::new(0).unwrap());
        assert!(!keys.matches(slot, b""));
        let key: Vec<u8> = (0..32).collect();
        keys.set(slot, &key);
        assert!(keys.matches(slot, &key));
        assert!(!keys.matches(slot, &key[..31]) && !keys.matches(slot, &[0; 32]) && !keys.matches(slot, b""));
        keys.set(slot, b"abcd");
        assert!(keys.matches(slot, b"abcd") && !keys.matches(slot, &key));
        keys.clear(slot);
        assert!(!keys.matches(slot, b"abcd"));
    }
}
