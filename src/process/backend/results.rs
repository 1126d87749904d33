//! Where a statement's results go: encoded straight into the connection's send buffer, which is sent when it is full or
//! when the client's next message is awaited.

use std::cell::RefCell;

use super::super::connection::{Connection, Got};
use super::Over;
use super::session::terminated;
use crate::ipc::{Interrupts, Proc};
use crate::protocol::Format;
use crate::protocol::encode::{Encoder, FieldDescription};
use crate::report::{Report, Result, SqlState};
use crate::sql::session::{FieldInfo, ResultSink};
use crate::sql::types::{Datum, Formats, Wire, encode};

/// Bytes at which the buffer is sent while a statement still makes rows; PostgreSQL's buffer is of 8 kB, and four of them
/// cost a quarter of the system calls.
const SEND_AT: usize = 32 * 1024;

/// The connection, shared by what makes rows and what gives notices while one statement runs.
pub type Line<'a, 's> = RefCell<&'a mut Connection<'s>>;

/// See the module.
pub struct Results<'l, 'a, 's> {
    line: &'l Line<'a, 's>,
    me: &'l Proc<'s>,
    /// Why the connection is of no use any more, if it is not.
    pub over: Option<Over>,
}

impl<'l, 'a, 's> Results<'l, 'a, 's> {
    /// For one statement.
    pub fn new(line: &'l Line<'a, 's>, me: &'l Proc<'s>) -> Self {
        Self { line, me, over: None }
    }

    /// Writes messages.
    fn put<R>(&self, write: impl FnOnce(&mut Encoder<'_>) -> R) -> R {
        let mut connection = self.line.borrow_mut();
        write(&mut Encoder::new(&mut connection.out))
    }

    /// Sends what there is. A client that does not read holds its session up; only the session's end gets through then.
    pub fn send(&mut self) -> Result<()> {
        loop {
            let got = self.line.borrow_mut().flush(self.me, None);
            match got {
                Ok(Got::Latch) if self.me.pending_interrupts().contains(Interrupts::TERMINATE) => {
                    return Err(terminated());
                }
                Ok(Got::Latch | Got::TimedOut) => {}
                Ok(Got::Bytes) => return Ok(()),
                Ok(Got::Eof) => return self.end(Over::Left),
                Ok(Got::PostmasterDead) => return Err(postmaster_dead()),
                Err(broken) => return self.end(Over::Lost(broken)),
            }
        }
    }

    /// Ends the statement; `over` says the rest to who called it.
    fn end(&mut self, over: Over) -> Result<()> {
        self.over = Some(over);
        Err(Report::fatal(SqlState::CONNECTION_FAILURE, "connection to client lost"))
    }
}

/// What a session says that ends with the postmaster.
pub fn postmaster_dead() -> Box<Report> {
    Report::fatal(SqlState::ADMIN_SHUTDOWN, "terminating connection due to unexpected postmaster exit")
}

/// Writes what a result's columns are.
pub fn describe(encoder: &mut Encoder<'_>, fields: &[FieldInfo]) {
    encoder.row_description(fields.iter().map(|field| FieldDescription {
        name: &field.name,
        table_oid: 0,
        column: 0,
        type_oid: field.ty.oid(),
        type_size: field.ty.len(),
        type_modifier: field.typmod,
        format: match field.wire {
            Wire::Text => Format::Text,
            Wire::Binary => Format::Binary,
        },
    }));
}

impl ResultSink for Results<'_, '_, '_> {
    fn describe(&mut self, fields: &[FieldInfo]) -> Result<()> {
        self.put(|encoder| describe(encoder, fields));
        Ok(())
    }

    fn row(&mut self, row: &[Datum], fields: &[FieldInfo], formats: &Formats) -> Result<()> {
        let mut connection = self.line.borrow_mut();
        let mut encoder = Encoder::new(&mut connection.out);
        let mut message = encoder.begin_row();
        for (datum, field) in row.iter().zip(fields) {
            match datum {
                Datum::Null => message.null(),
                datum => encode(datum, field.ty, field.wire, formats, message.begin_field())?,
            }
        }
        message.finish()?;
        let is_full = connection.out.len() >= SEND_AT;
        drop(connection);
        if is_full { self.send() } else { Ok(()) }
    }

    fn complete(&mut self, tag: &str) -> Result<()> {
        self.put(|encoder| encoder.command_complete(tag));
        Ok(())
    }

    fn empty(&mut self) -> Result<()> {
        self.put(|encoder| encoder.empty_query_response());
        Ok(())
    }

    fn suspended(&mut self) -> Result<()> {
        self.put(|encoder| encoder.portal_suspended());
        Ok(())
    }
}
