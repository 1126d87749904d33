//! What can be locked: a class and up to four numbers.

use std::fmt;

use crate::ipc::WaitEvent;

/// What is locked. Databases are 0 for what all databases share.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum LockTag {
    /// A relation.
    Relation {
        /// Database.
        database: u32,
        /// Relation.
        relation: u32,
    },
    /// The right to extend a relation.
    Extend {
        /// Database.
        database: u32,
        /// Relation.
        relation: u32,
    },
    /// A page of a relation.
    Page {
        /// Database.
        database: u32,
        /// Relation.
        relation: u32,
        /// Block.
        block: u32,
    },
    /// A tuple's queue.
    Tuple {
        /// Database.
        database: u32,
        /// Relation.
        relation: u32,
        /// Block.
        block: u32,
        /// Line pointer.
        offset: u16,
    },
    /// An object that is no relation.
    Object {
        /// Database.
        database: u32,
        /// Catalog.
        class: u32,
        /// Object.
        object: u32,
        /// Part of it, 0: all.
        part: u16,
    },
    /// A lock of an old contrib module's users.
    User {
        /// Database.
        database: u32,
        /// First key.
        first: u32,
        /// Second key.
        second: u32,
    },
    /// An advisory lock with one key.
    Advisory {
        /// Database.
        database: u32,
        /// Key.
        key: i64,
    },
    /// An advisory lock with two keys, of which no one-key lock is the same.
    AdvisoryPair {
        /// Database.
        database: u32,
        /// First key.
        first: i32,
        /// Second key.
        second: i32,
    },
}

/// A tag as it stands in shared memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct RawTag {
    pub class: u32,
    pub fields: [u32; 4],
}

/// Numbers that a tag is made of.
pub const NUMBERS: usize = 5;

impl LockTag {
    /// Its numbers, for records.
    pub fn to_numbers(self) -> [u32; NUMBERS] {
        let RawTag { class, fields: [a, b, c, d] } = self.to_raw();
        [class, a, b, c, d]
    }

    /// The tag of such numbers; `None` if there is none.
    pub fn from_numbers([class, a, b, c, d]: [u32; NUMBERS]) -> Option<Self> {
        Self::from_raw(RawTag { class, fields: [a, b, c, d] })
    }

    pub(super) fn to_raw(self) -> RawTag {
        let (class, fields) = match self {
            Self::Relation { database, relation } => (1, [database, relation, 0, 0]),
            Self::Extend { database, relation } => (2, [database, relation, 0, 0]),
            Self::Page { database, relation, block } => (3, [database, relation, block, 0]),
            Self::Tuple { database, relation, block, offset } => {
                (4, [database, relation, block, offset.into()])
            }
            Self::Object { database, class, object, part } => (5, [database, class, object, part.into()]),
            Self::User { database, first, second } => (6, [database, first, second, 0]),
            Self::Advisory { database, key } => (7, [database, (key >> 32) as u32, key as u32, 1]),
            Self::AdvisoryPair { database, first, second } => (7, [database, first as u32, second as u32, 2]),
        };
        RawTag { class, fields }
    }

    /// The tag of such numbers; `None` for a free entry's.
    pub(super) fn from_raw(raw: RawTag) -> Option<Self> {
        let [database, second, third, fourth] = raw.fields;
        let (relation, block, part) = (second, third, fourth as u16);
        Some(match (raw.class, fourth) {
            (1, _) => Self::Relation { database, relation },
            (2, _) => Self::Extend { database, relation },
            (3, _) => Self::Page { database, relation, block },
            (4, _) => Self::Tuple { database, relation, block, offset: part },
            (5, _) => Self::Object { database, class: second, object: third, part },
            (6, _) => Self::User { database, first: second, second: third },
            (7, 1) => Self::Advisory { database, key: (u64::from(second) << 32 | u64::from(third)) as i64 },
            (7, _) => Self::AdvisoryPair { database, first: second as i32, second: third as i32 },
            _ => return None,
        })
    }

    /// `locktype` of `pg_locks`.
    pub fn class_name(self) -> &'static str {
        match self {
            Self::Relation { .. } => "relation",
            Self::Extend { .. } => "extend",
            Self::Page { .. } => "page",
            Self::Tuple { .. } => "tuple",
            Self::Object { .. } => "object",
            Self::User { .. } => "userlock",
            Self::Advisory { .. } | Self::AdvisoryPair { .. } => "advisory",
        }
    }

    /// What a wait for it shows as.
    pub fn wait_event(self) -> WaitEvent {
        match self {
            Self::Relation { .. } => WaitEvent::LOCK_RELATION,
            Self::Extend { .. } => WaitEvent::LOCK_EXTEND,
            Self::Page { .. } => WaitEvent::LOCK_PAGE,
            Self::Tuple { .. } => WaitEvent::LOCK_TUPLE,
            Self::Object { .. } => WaitEvent::LOCK_OBJECT,
            Self::User { .. } => WaitEvent::LOCK_USER,
            Self::Advisory { .. } | Self::AdvisoryPair { .. } => WaitEvent::LOCK_ADVISORY,
        }
    }

    /// The relation whose fast path it may use, and the database of that.
    pub(super) fn as_local_relation(self) -> Option<(u32, u32)> {
        match self {
            Self::Relation { database, relation } if database != 0 => Some((database, relation)),
            _ => None,
        }
    }
}

impl RawTag {
    /// Spreads tags over buckets; Fibonacci hashing, folded.
    pub fn hash(self) -> u32 {
        let mut hash = u64::from(self.class);
        for field in self.fields {
            hash = (hash ^ u64::from(field)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            hash ^= hash >> 29;
        }
        (hash ^ hash >> 32) as u32
    }
}

/// As the detail of a deadlock names it.
impl fmt::Display for LockTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Relation { database, relation } => write!(f, "relation {relation} of database {database}"),
            Self::Extend { database, relation } => {
                write!(f, "extension of relation {relation} of database {database}")
            }
            Self::Page { database, relation, block } => {
                write!(f, "page {block} of relation {relation} of database {database}")
            }
            Self::Tuple { database, relation, block, offset } => {
                write!(f, "tuple ({block},{offset}) of relation {relation} of database {database}")
            }
            Self::Object { database, class, object, .. } => {
                write!(f, "object {object} of class {class} of database {database}")
            }
            Self::User { database, first, second } => write!(f, "user lock [{database},{first},{second}]"),
            Self::Advisory { .. } | Self::AdvisoryPair { .. } => {
                let [a, b, c, d] = self.to_raw().fields;
                write!(f, "advisory lock [{a},{b},{c},{d}]")
            }
        }
    }
}

#[cfg(all(test, not(model)))]
mod tests {
    use super::*;

    #[test]
    fn tags_survive_shared_memory_and_read_as_postgresqls() {
        let cases = [
            (LockTag::Relation { database: 5, relation: 16384 }, "relation 16384 of database 5"),
            (LockTag::Extend { database: 5, relation: 7 }, "extension of relation 7 of database 5"),
            (LockTag::Page { database: 5, relation: 7, block: 9 }, "page 9 of relation 7 of database 5"),
            (
                LockTag::Tuple { database: 5, relation: 7, block: 9, offset: 65535 },
                "tuple (9,65535) of relation 7 of database 5",
            ),
            (
                LockTag::Object { database: 0, class: 1260, object: 10, part: 3 },
                "object 10 of class 1260 of database 0",
            ),
            (LockTag::User { database: 5, first: 1, second: 2 }, "user lock [5,1,2]"),
            (LockTag::Advisory { database: 5, key: -1 }, "advisory lock [5,4294967295,4294967295,1]"),
            (LockTag::Advisory { database: 5, key: 1 << 32 }, "advisory lock [5,1,0,1]"),
            (LockTag::AdvisoryPair { database: 5, first: 1, second: 0 }, "advisory lock [5,1,0,2]"),
            (LockTag::AdvisoryPair { database: 5, first: -1, second: 1 }, "advisory lock [5,4294967295,1,2]"),
        ];
        for (tag, text) in cases {
            assert_eq!(LockTag::from_raw(tag.to_raw()), Some(tag));
            assert_eq!(tag.to_string(), text);
        }
        assert_eq!(LockTag::from_raw(RawTag { class: 0, fields: [0; 4] }), None);
    }
}
