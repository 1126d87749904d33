//! Addresses of rows: a block and a line on its page.

use std::fmt;

use crate::storage::ids::BlockNumber;

/// Where a version of a row is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ctid {
    /// Block of the heap.
    pub block: BlockNumber,
    /// Line on its page, from 1.
    pub line: u16,
}

impl Ctid {
    /// Bytes of one as it is stored.
    pub const SIZE: usize = 6;

    /// The address of a line of a block.
    pub const fn new(block: BlockNumber, line: u16) -> Self {
        Self { block, line }
    }

    /// As it is stored.
    pub fn to_bytes(self) -> [u8; Self::SIZE] {
        let ([a, b, c, d], [e, f]) = (self.block.get().to_le_bytes(), self.line.to_le_bytes());
        [a, b, c, d, e, f]
    }

    /// From what is stored; `None` if it leads nowhere.
    pub fn from_bytes([a, b, c, d, e, f]: [u8; Self::SIZE]) -> Option<Self> {
        let block = BlockNumber::new(u32::from_le_bytes([a, b, c, d]))?;
        let line = u16::from_le_bytes([e, f]);
        (line != 0).then_some(Self { block, line })
    }
}

/// As `ctid` is shown.
impl fmt::Display for Ctid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({},{})", self.block, self.line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_their_bytes_and_others_are_none() {
        let ctid = Ctid::new(BlockNumber::new(70_000).expect("a block"), 300);
        assert_eq!(Ctid::from_bytes(ctid.to_bytes()), Some(ctid));
        assert_eq!(ctid.to_string(), "(70000,300)");
        assert_eq!(Ctid::from_bytes([1, 0, 0, 0, 0, 0]), None);
        assert_eq!(Ctid::from_bytes([0xff; 6]), None);
    }
}
