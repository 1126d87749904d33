//! Messages in the log (`pg_logical_emit_message`): they change nothing, and are there for who reads the log.
//!
//! | bytes | what |
//! | --- | --- |
//! | 0 | 1: part of its transaction |
//! | 1..5 | length of the prefix |
//! | 5.. | prefix, then content |

use super::redo::Redo;
use super::rmgr::ResourceManager;
use crate::report::{Report, Result, SqlState};
use crate::wal::{Record, RmgrId};

/// The manager of messages.
pub const RMGR: RmgrId = RmgrId(8);

/// The one kind there is.
pub const MESSAGE: u8 = 0x00;

const HEADER: usize = 5;

/// A message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Message<'m> {
    /// Whether it counts only if its transaction commits.
    pub is_transactional: bool,
    /// Whose it is.
    pub prefix: &'m str,
    /// What it says.
    pub content: &'m [u8],
}

impl<'m> Message<'m> {
    /// As main data of its record.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER + self.prefix.len() + self.content.len());
        bytes.push(self.is_transactional.into());
        bytes.extend_from_slice(&(self.prefix.len() as u32).to_le_bytes());
        bytes.extend_from_slice(self.prefix.as_bytes());
        bytes.extend_from_slice(self.content);
        bytes
    }

    /// From main data; `None` if it is no message's.
    pub fn decode(main: &'m [u8]) -> Option<Self> {
        let (header, rest) = main.split_at_checked(HEADER)?;
        let is_transactional = match header[0] {
            0 => false,
            1 => true,
            _ => return None,
        };
        let len = u32::from_le_bytes(header[1..].try_into().ok()?) as usize;
        let (prefix, content) = rest.split_at_checked(len)?;
        Some(Self { is_transactional, prefix: std::str::from_utf8(prefix).ok()?, content })
    }
}

/// Redo of messages: they must make sense, and that is all.
pub(super) struct MessageManager;

impl ResourceManager for MessageManager {
    fn id(&self) -> RmgrId {
        RMGR
    }

    fn name(&self) -> &'static str {
        "LogicalMessage"
    }

    fn kind(&self, info: u8) -> Option<&'static str> {
        (info == MESSAGE).then_some("MESSAGE")
    }

    fn redo(&self, _: &Redo<'_, '_>, record: &Record<'_>) -> Result<()> {
        match Message::decode(record.main()) {
            Some(_) => Ok(()),
            None => {
                let text = format!("invalid message record at {}", record.start);
                Err(Report::error(SqlState::DATA_CORRUPTED, text))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_the_log_and_garbage_is_none() {
        let message = Message { is_transactional: false, prefix: "pré", content: &[0, 255] };
        let bytes = message.encode();
        assert_eq!(Message::decode(&bytes), Some(message));
        assert_eq!(Message::decode(&bytes[..bytes.len() - 3]), None);
        for (at, value) in [(0, 2), (1, 200), (4, 1), (6, 255)] {
            let mut bytes = bytes.clone();
            bytes[at] = value;
            assert_eq!(Message::decode(&bytes), None, "byte {at}");
        }
    }
}
