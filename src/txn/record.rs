//! What commit and abort records say: which transaction with which parts, when, and what is to be done because of it.
//!
//! | bytes | what |
//! | --- | --- |
//! | 0..8 | id |
//! | 8..16 | time of the end, in microseconds since 2000-01-01 |
//! | 16..20 | number of parts |
//! | 20..24 | length of the actions |
//! | 24.. | ids of the parts, 8 bytes each, parents before their own parts |
//! | then | actions: what the layers above have to do at the end, in their own words |

use super::xid::Xid;
use crate::report::{Report, Result, SqlState};

/// A commit or abort record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EndRecord {
    /// Which transaction.
    pub xid: Xid,
    /// When it ended, in microseconds since 2000-01-01.
    pub time: i64,
    /// Its parts that end with it.
    pub children: Vec<Xid>,
    /// What the layers above have to do: files to remove, caches to invalidate.
    pub actions: Vec<u8>,
}

const HEADER: usize = 24;

impl EndRecord {
    /// The time of what is no transaction's end: a part's that was rolled back.
    pub const NO_TIME: i64 = 0;

    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER + self.children.len() * 8 + self.actions.len());
        bytes.extend_from_slice(&self.xid.number().to_le_bytes());
        bytes.extend_from_slice(&self.time.to_le_bytes());
        bytes.extend_from_slice(&(self.children.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&(self.actions.len() as u32).to_le_bytes());
        self.children.iter().for_each(|child| bytes.extend_from_slice(&child.number().to_le_bytes()));
        bytes.extend_from_slice(&self.actions);
        bytes
    }

    /// From bytes.
    ///
    /// # Errors
    /// XX001 if they are no such record.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        Self::parse(bytes)
            .ok_or_else(|| Report::error(SqlState::DATA_CORRUPTED, "invalid transaction record in the log"))
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let xid = Xid::new(u64::from_le_bytes(*take(&mut rest)?))?;
        let time = i64::from_le_bytes(*take(&mut rest)?);
        let children = u32::from_le_bytes(*take(&mut rest)?) as usize;
        let actions = u32::from_le_bytes(*take(&mut rest)?) as usize;
        if rest.len() != children.checked_mul(8)?.checked_add(actions)? {
            return None;
        }
        let children: Option<Vec<_>> = (0..children)
            .map(|_| Xid::new(u64::from_le_bytes(*take(&mut rest)?)).filter(|child| *child > xid))
            .collect();
        Some(Self { xid, time, children: children?, actions: rest.to_vec() })
    }
}

/// The first bytes of `rest`, which goes on behind them.
pub(super) fn take<'b, const N: usize>(rest: &mut &'b [u8]) -> Option<&'b [u8; N]> {
    let (first, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn xid(number: u64) -> Xid {
        Xid::new(number).expect("an id")
    }

    #[test]
    fn records_survive_the_log_and_garbage_is_refused() {
        let record =
            EndRecord { xid: xid(7), time: -5, children: vec![xid(8), xid(1 << 40)], actions: vec![1, 2, 3] };
        let bytes = record.encode();
        assert_eq!(EndRecord::decode(&bytes), Ok(record));
        for len in 0..bytes.len() {
            let report = EndRecord::decode(&bytes[..len]).unwrap_err();
            assert_eq!(report.sqlstate.code(), "XX001");
        }
        for (at, value) in [(16, 255), (20, 4), (19, 255), (23, 255), (24, 7), (0, 9)] {
            let mut bytes = bytes.clone();
            bytes[at] = value;
            assert!(EndRecord::decode(&bytes).is_err(), "byte {at}");
        }
    }
}
