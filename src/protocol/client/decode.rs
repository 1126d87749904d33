//! Reading a backend's messages.

use crate::protocol::body::{Body, violation};
use crate::protocol::message::{Oids, Values};
use crate::report::Result;

/// A type byte and a length word.
const HEADER: usize = 5;

/// One message of the backend.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "named as in PostgreSQL's documentation")]
pub enum BackendMessage<'a> {
    AuthenticationOk,
    AuthenticationCleartextPassword,
    AuthenticationSasl {
        mechanisms: Vec<&'a str>,
    },
    AuthenticationSaslContinue(&'a [u8]),
    AuthenticationSaslFinal(&'a [u8]),
    /// A request for what is not spoken here.
    AuthenticationOther(i32),
    BackendKeyData {
        pid: i32,
        secret: &'a [u8],
    },
    NegotiateProtocolVersion {
        version: u32,
        options: Vec<&'a str>,
    },
    ParameterStatus {
        name: &'a str,
        value: &'a str,
    },
    /// With the byte `I`, `T` or `E`.
    ReadyForQuery(u8),
    RowDescription(Vec<Column<'a>>),
    DataRow(Values<'a>),
    CommandComplete {
        tag: &'a str,
    },
    EmptyQueryResponse,
    ParseComplete,
    BindComplete,
    CloseComplete,
    PortalSuspended,
    NoData,
    ParameterDescription(Oids<'a>),
    NotificationResponse {
        pid: i32,
        channel: &'a str,
        payload: &'a str,
    },
    FunctionCallResponse(Option<&'a [u8]>),
    /// COPY FROM STDIN: the format, and that of each column.
    CopyInResponse {
        format: u8,
        columns: Vec<i16>,
    },
    CopyOutResponse {
        format: u8,
        columns: Vec<i16>,
    },
    CopyBothResponse {
        format: u8,
        columns: Vec<i16>,
    },
    CopyData(&'a [u8]),
    CopyDone,
    ErrorResponse(Fields<'a>),
    NoticeResponse(Fields<'a>),
}

/// One column of a RowDescription.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "as in encode::FieldDescription")]
pub struct Column<'a> {
    pub name: &'a str,
    pub table_oid: u32,
    pub column: i16,
    pub type_oid: u32,
    pub type_size: i16,
    pub type_modifier: i32,
    pub format: i16,
}

/// The fields of an error or notice, in their order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fields<'a>(pub Vec<(u8, &'a str)>);

impl<'a> Fields<'a> {
    /// The field of a code, such as `M`.
    pub fn get(&self, code: u8) -> Option<&'a str> {
        self.0.iter().find(|(field, _)| *field == code).map(|(_, text)| *text)
    }

    /// Its SQLSTATE.
    pub fn sqlstate(&self) -> &'a str {
        self.get(b'C').unwrap_or_default()
    }

    /// Its message.
    pub fn message(&self) -> &'a str {
        self.get(b'M').unwrap_or_default()
    }

    /// Its severity, not translated.
    pub fn severity(&self) -> &'a str {
        self.get(b'V').unwrap_or_default()
    }
}

/// The message at the front of `received` and the bytes it takes; `None` if it is not all there.
///
/// # Errors
///
/// 08P01 if it is malformed.
pub fn next_message(received: &[u8]) -> Result<Option<(BackendMessage<'_>, usize)>> {
    let Some((&[kind, a, b, c, d], rest)) = received.split_first_chunk::<HEADER>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    let length = length.checked_sub(4).ok_or_else(|| violation("invalid message length"))?;
    let Some(bytes) = rest.get(..length) else {
        return Ok(None);
    };
    let mut body = Body::new(bytes);
    let message = decode(kind, &mut body)?;
    body.end()?;
    Ok(Some((message, HEADER + length)))
}

fn decode<'a>(kind: u8, body: &mut Body<'a>) -> Result<BackendMessage<'a>> {
    use BackendMessage as M;
    Ok(match kind {
        b'R' => authentication(body)?,
        b'K' => M::BackendKeyData { pid: body.i32()?, secret: body.take_rest() },
        b'v' => M::NegotiateProtocolVersion { version: body.u32()?, options: counted_strings(body)? },
        b'S' => M::ParameterStatus { name: body.string()?, value: body.string()? },
        b'Z' => M::ReadyForQuery(body.u8()?),
        b'T' => M::RowDescription(columns(body)?),
        b'D' => M::DataRow(Values::read(body, |_| Ok(()))?),
        b'C' => M::CommandComplete { tag: body.string()? },
        b'I' => M::EmptyQueryResponse,
        b'1' => M::ParseComplete,
        b'2' => M::BindComplete,
        b'3' => M::CloseComplete,
        b's' => M::PortalSuspended,
        b'n' => M::NoData,
        b't' => M::ParameterDescription(Oids::read(body)?),
        b'A' => {
            M::NotificationResponse { pid: body.i32()?, channel: body.string()?, payload: body.string()? }
        }
        b'V' => M::FunctionCallResponse(body.value()?),
        b'G' => M::CopyInResponse { format: body.u8()?, columns: formats(body)? },
        b'H' => M::CopyOutResponse { format: body.u8()?, columns: formats(body)? },
        b'W' => M::CopyBothResponse { format: body.u8()?, columns: formats(body)? },
        b'd' => M::CopyData(body.take_rest()),
        b'c' => M::CopyDone,
        b'E' => M::ErrorResponse(fields(body)?),
        b'N' => M::NoticeResponse(fields(body)?),
        _ => return Err(violation(format!("invalid backend message type {kind}"))),
    })
}

fn authentication<'a>(body: &mut Body<'a>) -> Result<BackendMessage<'a>> {
    use BackendMessage as M;
    Ok(match body.i32()? {
        0 => M::AuthenticationOk,
        3 => M::AuthenticationCleartextPassword,
        10 => {
            let mut mechanisms = Vec::new();
            loop {
                match body.string()? {
                    "" => break M::AuthenticationSasl { mechanisms },
                    mechanism => mechanisms.push(mechanism),
                }
            }
        }
        11 => M::AuthenticationSaslContinue(body.take_rest()),
        12 => M::AuthenticationSaslFinal(body.take_rest()),
        other => {
            body.take_rest();
            M::AuthenticationOther(other)
        }
    })
}

/// Each string takes a byte at least, so a false count ends with the body.
fn counted_strings<'a>(body: &mut Body<'a>) -> Result<Vec<&'a str>> {
    let mut strings = Vec::new();
    for _ in 0..body.u32()? {
        strings.push(body.string()?);
    }
    Ok(strings)
}

fn formats(body: &mut Body<'_>) -> Result<Vec<i16>> {
    let codes = body.counted(2)?.chunks_exact(2);
    Ok(codes.map(|code| i16::from_be_bytes([code[0], code[1]])).collect())
}

fn columns<'a>(body: &mut Body<'a>) -> Result<Vec<Column<'a>>> {
    let mut columns = Vec::new();
    for _ in 0..body.u16()? {
        columns.push(Column {
            name: body.string()?,
            table_oid: body.u32()?,
            column: body.i16()?,
            type_oid: body.u32()?,
            type_size: body.i16()?,
            type_modifier: body.i32()?,
            format: body.i16()?,
        });
    }
    Ok(columns)
}

fn fields<'a>(body: &mut Body<'a>) -> Result<Fields<'a>> {
    let mut fields = Vec::new();
    loop {
        match body.u8()? {
            0 => return Ok(Fields(fields)),
            code => fields.push((code, body.string()?)),
        }
    }
}
