//! The state of a prepared transaction as bytes: the record in the log, and the file that a checkpoint makes of it.

use super::super::locks::{LockMode, LockTag, tag};
use super::super::record::take;
use super::super::xid::Xid;
use crate::report::{Report, Result, SqlState};

/// Everything that a prepared transaction needs to be ended by another session, or after a start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PreparedState {
    /// Its id.
    pub xid: Xid,
    /// Its name.
    pub gid: String,
    /// Role that prepared it.
    pub role: u32,
    /// Database it belongs to.
    pub database: u32,
    /// When it was prepared, in microseconds since 2000-01-01.
    pub time: i64,
    /// Its parts.
    pub children: Vec<Xid>,
    /// Its locks.
    pub locks: Vec<(LockTag, LockMode)>,
    /// What the layers above have to do at its end.
    pub actions: Vec<u8>,
}

impl PreparedState {
    /// As bytes: numbers in little-endian order, each list behind its length.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&self.xid.number().to_le_bytes());
        bytes.extend_from_slice(&self.time.to_le_bytes());
        let lengths = [self.gid.len(), self.children.len(), self.locks.len(), self.actions.len()];
        let numbers = [self.role, self.database].into_iter().chain(lengths.map(|len| len as u32));
        numbers.for_each(|number| bytes.extend_from_slice(&number.to_le_bytes()));
        bytes.extend_from_slice(self.gid.as_bytes());
        self.children.iter().for_each(|child| bytes.extend_from_slice(&child.number().to_le_bytes()));
        for (tag, mode) in &self.locks {
            tag.to_numbers().into_iter().chain([mode.number()]).for_each(|number| {
                bytes.extend_from_slice(&number.to_le_bytes());
            });
        }
        bytes.extend_from_slice(&self.actions);
        bytes
    }

    /// From bytes.
    ///
    /// # Errors
    /// XX001 if they are no such state.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        Self::parse(bytes)
            .ok_or_else(|| Report::error(SqlState::DATA_CORRUPTED, "invalid state of a prepared transaction"))
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let xid = Xid::new(u64::from_le_bytes(*take(&mut rest)?))?;
        let time = i64::from_le_bytes(*take(&mut rest)?);
        let mut number = || Some(u32::from_le_bytes(*take(&mut rest)?));
        let (role, database) = (number()?, number()?);
        let lengths = [number()? as usize, number()? as usize, number()? as usize, number()? as usize];
        let [gid, children, locks, actions] = lengths;
        let expected = [gid, children.checked_mul(8)?, locks.checked_mul(tag::NUMBERS * 4 + 4)?, actions];
        if expected.into_iter().try_fold(0_usize, usize::checked_add)? != rest.len() {
            return None;
        }
        let (gid, mut rest) = rest.split_at(gid);
        let gid = String::from_utf8(gid.to_vec()).ok()?;
        let children: Option<Vec<_>> =
            (0..children).map(|_| Xid::new(u64::from_le_bytes(*take(&mut rest)?))).collect();
        let locks: Option<Vec<_>> = (0..locks).map(|_| lock(&mut rest)).collect();
        let (children, locks) = (children?, locks?);
        Some(Self { xid, gid, role, database, time, children, locks, actions: rest.to_vec() })
    }
}

fn lock(rest: &mut &[u8]) -> Option<(LockTag, LockMode)> {
    let mut numbers = [0; tag::NUMBERS];
    for number in &mut numbers {
        *number = u32::from_le_bytes(*take(rest)?);
    }
    let mode = LockMode::from_number(u32::from_le_bytes(*take(rest)?))?;
    Some((LockTag::from_numbers(numbers)?, mode))
}
