//! Names of relations' files and of the pages in them.

use std::fmt;
use std::path::PathBuf;

/// Bytes of a page.
pub const PAGE_SIZE: usize = 8192;

/// A block's number in its relation's fork.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BlockNumber(u32);

impl BlockNumber {
    /// The first block.
    pub const ZERO: Self = Self(0);

    /// Most blocks that a fork can have; the number behind the last stands for none.
    pub const LIMIT: u32 = u32::MAX - 1;

    /// The block of this number; `None` beyond [`Self::LIMIT`].
    pub const fn new(number: u32) -> Option<Self> {
        if number < Self::LIMIT { Some(Self(number)) } else { None }
    }

    /// Its number.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The block that follows by `n`; `None` beyond [`Self::LIMIT`].
    pub fn plus(self, n: u32) -> Option<Self> {
        self.0.checked_add(n).and_then(Self::new)
    }
}

impl fmt::Display for BlockNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One of the files that make up a relation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Fork {
    /// The relation's content.
    Main = 0,
    /// Its free space map.
    FreeSpaceMap = 1,
    /// Its visibility map.
    VisibilityMap = 2,
    /// What an unlogged relation is after a crash.
    Init = 3,
}

impl Fork {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Main, Self::FreeSpaceMap, Self::VisibilityMap, Self::Init];

    /// The fork of a number in shared memory.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// What stands behind the relation's number in the file's name.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Main => "",
            Self::FreeSpaceMap => "_fsm",
            Self::VisibilityMap => "_vm",
            Self::Init => "_init",
        }
    }
}

/// The files of a relation: not its object identifier, since a relation that is rewritten gets new ones.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RelFile {
    /// Tablespace, by object identifier.
    pub tablespace: u32,
    /// Database, by object identifier; 0: shared by all.
    pub database: u32,
    /// Number of the files.
    pub relation: u32,
}

impl RelFile {
    /// The tablespace of the data directory's `base` folder.
    pub const DEFAULT_TABLESPACE: u32 = 1663;
    /// The tablespace of the data directory's `global` folder.
    pub const GLOBAL_TABLESPACE: u32 = 1664;
    /// The folder below a tablespace's own that is this version's.
    pub const VERSION_FOLDER: &'static str = "TUSKD_18_1";

    /// The folder that its files lie in, relative to the data directory.
    pub fn folder(self) -> PathBuf {
        let Self { tablespace, database, .. } = self;
        match tablespace {
            Self::GLOBAL_TABLESPACE => "global".into(),
            Self::DEFAULT_TABLESPACE => format!("base/{database}").into(),
            _ => format!("pg_tblspc/{tablespace}/{}/{database}", Self::VERSION_FOLDER).into(),
        }
    }

    /// Path of a fork's segment, relative to the data directory.
    pub fn path(self, fork: Fork, segment: u32) -> PathBuf {
        let name = format!("{}{}", self.relation, fork.suffix());
        let name = if segment == 0 { name } else { format!("{name}.{segment}") };
        self.folder().join(name)
    }
}

/// A fork of a relation's files.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RelFork {
    /// Whose.
    pub file: RelFile,
    /// Which.
    pub fork: Fork,
}

impl RelFork {
    /// A block of it.
    pub fn block(self, block: BlockNumber) -> BufferTag {
        BufferTag { file: self.file, fork: self.fork, block }
    }
}

/// As messages name it: the path of its first segment.
impl fmt::Display for RelFork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.file.path(self.fork, 0).display().fmt(f)
    }
}

/// Name of a page.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BufferTag {
    /// Whose page.
    pub file: RelFile,
    /// In which fork.
    pub fork: Fork,
    /// Which block there.
    pub block: BlockNumber,
}

impl BufferTag {
    /// The fork it is in.
    pub fn rel_fork(self) -> RelFork {
        RelFork { file: self.file, fork: self.fork }
    }

    /// Its bytes, for checksums.
    pub fn to_bytes(self) -> [u8; 20] {
        let words = [
            self.file.tablespace,
            self.file.database,
            self.file.relation,
            self.fork as u32,
            self.block.get(),
        ];
        let mut bytes = [0; 20];
        for (place, word) in bytes.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// Its three words in a buffer's descriptor.
    pub(super) fn to_words(self) -> (u64, u64, u32) {
        let pair = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
        let RelFile { tablespace, database, relation } = self.file;
        (pair(tablespace, database), pair(relation, self.block.get()), self.fork as u32)
    }

    /// The tag of such words; `None` for words that nobody wrote as a tag.
    pub(super) fn from_words((place, block, fork): (u64, u64, u32)) -> Option<Self> {
        let high = |word: u64| (word >> 32) as u32;
        let file = RelFile { tablespace: high(place), database: place as u32, relation: high(block) };
        let fork = Fork::from_number(u8::try_from(fork).ok()?)?;
        Some(Self { file, fork, block: BlockNumber::new(block as u32)? })
    }

    /// A number in which every bit depends on every bit of the tag.
    #[inline]
    pub(super) fn hash(self) -> u64 {
        let (place, block, fork) = self.to_words();
        // Multiply and fold, as in wyhash: pages of a relation differ in low bits only.
        let fold = |a: u64, b: u64| {
            let product = u128::from(a) * u128::from(b);
            (product >> 64) as u64 ^ product as u64
        };
        let first = fold(block ^ 0x9e37_79b9_7f4a_7c15, 0xa076_1d64_78bd_642f);
        fold(first ^ place, 0xe703_7ed1_a0b4_28db ^ u64::from(fork))
    }
}

#[cfg(all(test, not(model)))]
mod tests {
    use super::*;

    fn file(tablespace: u32) -> RelFile {
        RelFile { tablespace, database: 5, relation: 16384 }
    }

    #[test]
    fn paths_are_postgresqls() {
        let cases = [
            (1663, Fork::Main, 0, "base/5/16384"),
            (1663, Fork::Main, 2, "base/5/16384.2"),
            (1663, Fork::FreeSpaceMap, 0, "base/5/16384_fsm"),
            (1663, Fork::VisibilityMap, 1, "base/5/16384_vm.1"),
            (1664, Fork::Init, 0, "global/16384_init"),
            (16500, Fork::Main, 0, "pg_tblspc/16500/TUSKD_18_1/5/16384"),
        ];
        for (tablespace, fork, segment, path) in cases {
            assert_eq!(file(tablespace).path(fork, segment).to_str(), Some(path));
        }
    }

    #[test]
    fn tags_survive_their_words_and_foreign_words_are_none() {
        for fork in Fork::ALL {
            let tag = BufferTag { file: file(1663), fork, block: BlockNumber(77) };
            assert_eq!(BufferTag::from_words(tag.to_words()), Some(tag));
        }
        for words in [(0, 0, 4), (0, 0, 256), (0, u64::from(u32::MAX), 0), (0, u64::from(u32::MAX) - 1, 0)] {
            assert_eq!(BufferTag::from_words(words), None, "{words:?}");
        }
    }

    #[test]
    fn neighbours_hash_apart() {
        let mut buckets = [0u32; 64];
        for block in 0..6400 {
            let tag = BufferTag { file: file(1663), fork: Fork::Main, block: BlockNumber(block) };
            buckets[(tag.hash() % 64) as usize] += 1;
        }
        assert!(buckets.iter().all(|n| (50..150).contains(n)), "{buckets:?}");
    }
}
