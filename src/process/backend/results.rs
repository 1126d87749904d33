//! Where a statement's results go: encoded straight into the connection's send buffer, which is sent when it is full or
//! when the client's next message is awaited.

use std::cell::RefCell;

use super::super::connection::{Connection, Got};
use super::Over;
use super::session::terminated;
use crate::ipc::{Interrupts, Proc, WaitEvent};
use crate::protocol::Format;
use crate::protocol::encode::{Encoder, FieldDescription};
use crate::protocol::frame::{Frame, Next, Phase, next_frame};
use crate::protocol::message::FrontendMessage;
use crate::report::{Report, Result, SqlState};
use crate::sql::session::{CopyInput, FieldInfo, ResultSink};
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

    /// Waits for the client's next bytes; `false`: something else wants to be looked at first.
    fn wait_for_data(&mut self) -> Result<bool> {
        let got = self.line.borrow_mut().exchange(self.me, None, WaitEvent::CLIENT_READ);
        match got {
            Ok(Got::Bytes) => Ok(true),
            Ok(Got::Latch | Got::TimedOut) => Ok(false),
            Ok(Got::Eof) => self.end(Over::Left).map(|()| false),
            Ok(Got::PostmasterDead) => Err(postmaster_dead()),
            Err(broken) => self.end(Over::Lost(broken)).map(|()| false),
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

fn format_of(is_binary: bool) -> Format {
    if is_binary { Format::Binary } else { Format::Text }
}

/// What a message means to a COPY that wants data; `None`: nothing.
fn copy_input(frame: &Frame<'_>, to: &mut Vec<u8>) -> Result<Option<CopyInput>> {
    Ok(match frame.decode(Phase::Session)? {
        FrontendMessage::CopyData(bytes) => {
            to.extend_from_slice(bytes);
            Some(CopyInput::Data)
        }
        FrontendMessage::CopyDone => Some(CopyInput::Done),
        FrontendMessage::CopyFail { message } => Some(CopyInput::Failed(message.to_owned())),
        FrontendMessage::Flush | FrontendMessage::Sync => None,
        _ => {
            let message = "unexpected message type during COPY from stdin";
            return Err(Report::error(SqlState::PROTOCOL_VIOLATION, message));
        }
    })
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

    fn copy_in(&mut self, is_binary: bool, columns: usize) -> Result<()> {
        let format = format_of(is_binary);
        self.put(|encoder| encoder.copy_in_response(format, &vec![format; columns]));
        self.send()
    }

    fn copy_read(&mut self, to: &mut Vec<u8>) -> Result<CopyInput> {
        loop {
            let mut connection = self.line.borrow_mut();
            let (made, length) = match next_frame(&connection.received, Phase::Session)? {
                Next::Frame(frame) => (copy_input(&frame, to)?, frame.length()),
                Next::NeedMore(_) => {
                    drop(connection);
                    match self.wait_for_data()? {
                        true => continue,
                        false => return Ok(CopyInput::Interrupted),
                    }
                }
            };
            connection.received.drain(..length);
            if let Some(made) = made {
                return Ok(made);
            }
        }
    }

    fn copy_out(&mut self, is_binary: bool, columns: usize) -> Result<()> {
        let format = format_of(is_binary);
        self.put(|encoder| encoder.copy_out_response(format, &vec![format; columns]));
        Ok(())
    }

    fn copy_data(&mut self, bytes: &[u8]) -> Result<()> {
        self.put(|encoder| encoder.copy_data(bytes))?;
        let is_full = self.line.borrow().out.len() >= SEND_AT;
        if is_full { self.send() } else { Ok(()) }
    }

    fn copy_end(&mut self) -> Result<()> {
        self.put(|encoder| encoder.copy_done());
        Ok(())
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
