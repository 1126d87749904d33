//! Ids and offsets: private newtypes, so that one is never taken for another.

use bytemuck::{Pod, Zeroable};

/// Index of a process slot. At most [`SlotIndex::MAX_SLOTS`] slots, because locks keep an index plus one in 16 bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(transparent)]
pub struct SlotIndex(u16);

impl SlotIndex {
    /// Largest number of process slots in a segment.
    pub const MAX_SLOTS: usize = 65_535;

    /// The slot of this index, `None` beyond [`Self::MAX_SLOTS`].
    pub const fn new(index: usize) -> Option<Self> {
        if index < Self::MAX_SLOTS { Some(Self(index as u16)) } else { None }
    }

    /// Position in the slot array.
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// Index plus one, for words in which zero means nobody.
    pub const fn tag(self) -> u16 {
        self.0 + 1
    }

    /// The slot of a tag, `None` for nobody.
    pub const fn from_tag(tag: u16) -> Option<Self> {
        if tag == 0 { None } else { Some(Self(tag - 1)) }
    }
}

/// How often a slot was given out; a process is slot plus generation, so that a reused slot (or pid) is never mistaken
/// for its predecessor. Zero: never.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Pod, Zeroable)]
#[repr(transparent)]
pub struct Generation(pub u32);

/// A process for the time of its life: slot and generation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ProcessId {
    slot: SlotIndex,
    generation: Generation,
}

impl ProcessId {
    /// The process that has `slot` in its `generation`.
    pub const fn new(slot: SlotIndex, generation: Generation) -> Self {
        Self { slot, generation }
    }

    /// Its slot.
    pub const fn slot(self) -> SlotIndex {
        self.slot
    }

    /// The slot's generation while it lives.
    pub const fn generation(self) -> Generation {
        self.generation
    }

    /// One word for shared memory: generation above, slot tag below; never zero.
    pub const fn to_word(self) -> u64 {
        (self.generation.0 as u64) << 16 | self.slot.tag() as u64
    }

    /// The process of such a word, `None` for zero.
    pub const fn from_word(word: u64) -> Option<Self> {
        match SlotIndex::from_tag(word as u16) {
            Some(slot) => Some(Self { slot, generation: Generation((word >> 16) as u32) }),
            None => None,
        }
    }
}

/// Byte offset from the start of the segment; 48 bits. Zero is the header, so it can mean nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(transparent)]
pub struct Offset(u64);

impl Offset {
    /// Largest offset.
    pub const MAX: u64 = (1 << 48) - 1;

    /// The offset `bytes` into the segment.
    pub const fn new(bytes: u64) -> Self {
        assert!(bytes <= Self::MAX);
        Self(bytes)
    }

    /// Bytes from the start of the segment.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}
