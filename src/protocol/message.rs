//! What a frontend's messages say. They borrow from the receive buffer; nothing is copied.

mod authentication;
mod values;

pub use values::{Formats, Oids, Values};

use super::Format;
use super::body::{Body, violation};
use super::frame::{MessageKind, Phase};
use crate::report::Result;

/// One message of the frontend.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrontendMessage<'a> {
    /// Statements to run by the simple protocol.
    Query {
        /// Their text.
        sql: &'a str,
    },
    /// Prepare one statement.
    Parse(Parse<'a>),
    /// Make a portal of a prepared statement and its parameters.
    Bind(Bind<'a>),
    /// Say what a statement or portal takes and gives.
    Describe(Target<'a>),
    /// Run a portal.
    Execute {
        /// Its name; empty is the unnamed one.
        portal: &'a str,
        /// Rows after which it is suspended; no limit if zero or less.
        max_rows: i32,
    },
    /// Forget a statement or portal.
    Close(Target<'a>),
    /// Send what there is.
    Flush,
    /// End the implicit transaction and any passing over.
    Sync,
    /// Call a function by its OID.
    FunctionCall(FunctionCall<'a>),
    /// A piece of a COPY's data; its bounds mean nothing.
    CopyData(&'a [u8]),
    /// The COPY's data has ended.
    CopyDone,
    /// The COPY is to fail.
    CopyFail {
        /// Why.
        message: &'a str,
    },
    /// The session is to end.
    Terminate,
    /// A password in clear, not empty.
    Password(&'a [u8]),
    /// The choice of a SASL mechanism.
    SaslInitialResponse {
        /// Its name.
        mechanism: &'a str,
        /// The client's first message, if it sent one.
        response: Option<&'a [u8]>,
    },
    /// The client's next message of the SASL exchange.
    SaslResponse(&'a [u8]),
    /// A GSSAPI or SSPI token.
    GssResponse(&'a [u8]),
}

/// A Parse message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Parse<'a> {
    /// The statement's name; empty is the unnamed one.
    pub statement: &'a str,
    /// Its text.
    pub sql: &'a str,
    /// Types of its first parameters; zero is left to be inferred.
    pub parameter_types: Oids<'a>,
}

/// A Bind message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bind<'a> {
    /// The portal's name; empty is the unnamed one.
    pub portal: &'a str,
    /// The statement's name; empty is the unnamed one.
    pub statement: &'a str,
    /// How the parameters are written.
    pub parameter_formats: Formats<'a>,
    /// The parameters.
    pub parameters: Values<'a>,
    /// How the result's columns are to be written.
    pub result_formats: Formats<'a>,
}

/// A FunctionCall message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FunctionCall<'a> {
    /// The function's OID.
    pub function: u32,
    /// How the arguments are written.
    pub argument_formats: Formats<'a>,
    /// The arguments.
    pub arguments: Values<'a>,
    /// How the result is to be written.
    pub result_format: Format,
}

/// What Describe and Close are about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target<'a> {
    /// A prepared statement; empty is the unnamed one.
    Statement(&'a str),
    /// A portal; empty is the unnamed one.
    Portal(&'a str),
}

/// The message of type `kind` with this body.
pub(super) fn decode(kind: MessageKind, bytes: &[u8], phase: Phase) -> Result<FrontendMessage<'_>> {
    let mut body = Body::new(bytes);
    let message = match kind {
        // PostgreSQL looks into neither.
        MessageKind::Terminate => return Ok(FrontendMessage::Terminate),
        MessageKind::CopyDone => return Ok(FrontendMessage::CopyDone),
        MessageKind::CopyData => return Ok(FrontendMessage::CopyData(bytes)),
        MessageKind::Authentication => return authentication::decode(body, phase),
        MessageKind::Query => FrontendMessage::Query { sql: body.string()? },
        MessageKind::Parse => FrontendMessage::Parse(parse(&mut body)?),
        MessageKind::Bind => FrontendMessage::Bind(bind(&mut body)?),
        MessageKind::Describe => FrontendMessage::Describe(target(&mut body, "DESCRIBE")?),
        MessageKind::Close => FrontendMessage::Close(target(&mut body, "CLOSE")?),
        MessageKind::Execute => FrontendMessage::Execute { portal: body.string()?, max_rows: body.i32()? },
        MessageKind::Flush => FrontendMessage::Flush,
        MessageKind::Sync => FrontendMessage::Sync,
        MessageKind::FunctionCall => FrontendMessage::FunctionCall(function_call(&mut body)?),
        MessageKind::CopyFail => FrontendMessage::CopyFail { message: body.string()? },
    };
    body.end()?;
    Ok(message)
}

fn parse<'a>(body: &mut Body<'a>) -> Result<Parse<'a>> {
    Ok(Parse { statement: body.string()?, sql: body.string()?, parameter_types: Oids::read(body)? })
}

fn bind<'a>(body: &mut Body<'a>) -> Result<Bind<'a>> {
    let (portal, statement) = (body.string()?, body.string()?);
    let parameter_formats = Formats::read(body)?;
    let parameters = Values::read(body, |count| {
        if parameter_formats.fit(count) {
            return Ok(());
        }
        let formats = parameter_formats.len();
        Err(violation(format!("bind message has {formats} parameter formats but {count} parameters")))
    })?;
    Ok(Bind { portal, statement, parameter_formats, parameters, result_formats: Formats::read(body)? })
}

fn function_call<'a>(body: &mut Body<'a>) -> Result<FunctionCall<'a>> {
    let function = body.u32()?;
    let argument_formats = Formats::read(body)?;
    let arguments = Values::read(body, |count| {
        if argument_formats.fit(count) {
            return Ok(());
        }
        let formats = argument_formats.len();
        Err(violation(format!(
            "function call message contains {formats} argument formats but {count} arguments"
        )))
    })?;
    let result_format = Format::from_code(body.i16()?)?;
    Ok(FunctionCall { function, argument_formats, arguments, result_format })
}

fn target<'a>(body: &mut Body<'a>, message: &str) -> Result<Target<'a>> {
    let subtype = body.u8()?;
    let name = body.string()?;
    match subtype {
        b'S' => Ok(Target::Statement(name)),
        b'P' => Ok(Target::Portal(name)),
        _ => Err(violation(format!("invalid {message} message subtype {subtype}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Severity, SqlState};

    fn decoded(kind: MessageKind, body: &[u8]) -> FrontendMessage<'_> {
        decode(kind, body, Phase::Session).unwrap()
    }

    #[test]
    fn bodies_say_what_they_say() {
        use FrontendMessage as M;
        let cases: [(MessageKind, &[u8], M<'_>); 10] = [
            (MessageKind::Query, b"select 1\0", M::Query { sql: "select 1" }),
            (MessageKind::Describe, b"Sname\0", M::Describe(Target::Statement("name"))),
            (MessageKind::Close, b"P\0", M::Close(Target::Portal(""))),
            (MessageKind::Execute, b"p\0\0\0\0\x05", M::Execute { portal: "p", max_rows: 5 }),
            (MessageKind::Flush, b"", M::Flush),
            (MessageKind::Sync, b"", M::Sync),
            (MessageKind::CopyData, b"\0\xff", M::CopyData(b"\0\xff")),
            (MessageKind::CopyDone, b"ignored", M::CopyDone),
            (MessageKind::CopyFail, b"why\0", M::CopyFail { message: "why" }),
            (MessageKind::Terminate, b"ignored", M::Terminate),
        ];
        for (kind, body, message) in cases {
            assert_eq!(decoded(kind, body), message);
        }
    }

    #[test]
    fn parse_bind_and_calls_have_their_lists() {
        let FrontendMessage::Parse(parse) =
            decoded(MessageKind::Parse, b"s\0select $1\0\0\x02\0\0\0\x17\0\0\0\0")
        else {
            panic!("no Parse")
        };
        assert_eq!((parse.statement, parse.sql), ("s", "select $1"));
        assert_eq!(parse.parameter_types.iter().collect::<Vec<_>>(), [23, 0]);

        let body = b"p\0s\0\0\x01\0\x01\0\x02\0\0\0\x02ab\xff\xff\xff\xff\0\0";
        let FrontendMessage::Bind(bind) = decoded(MessageKind::Bind, body) else { panic!("no Bind") };
        assert_eq!((bind.portal, bind.statement), ("p", "s"));
        assert_eq!(bind.parameters.iter().collect::<Vec<_>>(), [Some(&b"ab"[..]), None]);
        assert_eq!(bind.parameter_formats.of(1).unwrap(), Format::Binary);
        assert_eq!(bind.result_formats.of(7).unwrap(), Format::Text);

        let body = b"\0\0\x05\x2c\0\0\0\x01\0\0\0\x01x\0\x01";
        let FrontendMessage::FunctionCall(call) = decoded(MessageKind::FunctionCall, body) else {
            panic!("no call")
        };
        assert_eq!((call.function, call.result_format), (1324, Format::Binary));
        assert_eq!(call.arguments.iter().collect::<Vec<_>>(), [Some(&b"x"[..])]);
    }

    #[test]
    fn malformed_bodies_have_postgresql_s_errors() {
        use MessageKind as K;
        let insufficient = "insufficient data left in message";
        let cases: [(K, &[u8], &str); 17] = [
            (K::Query, b"select 1", "invalid string in message"),
            (K::Query, b"", "invalid string in message"),
            (K::Query, b"select 1\0x", "invalid message format"),
            (K::Sync, b"x", "invalid message format"),
            (K::Flush, b"x", "invalid message format"),
            (K::Describe, b"x\0", "invalid DESCRIBE message subtype 120"),
            (K::Describe, b"S", "invalid string in message"),
            (K::Close, b"", "no data left in message"),
            (K::Close, b"\xff\0", "invalid CLOSE message subtype 255"),
            (K::Execute, b"\0\0\0\0", insufficient),
            (K::Parse, b"\0\0\xff\xff\0\0\0\x17", insufficient),
            (K::Parse, b"\0\0", insufficient),
            (K::Bind, b"\0\0\0\x02\0\0\0\0\0\x01", "bind message has 2 parameter formats but 1 parameters"),
            (K::Bind, b"\0\0\0\0\0\x01\xff\xff\xff\xfe\0\0", insufficient),
            (K::Bind, b"\0\0\0\0\xff\xff\0\0", insufficient),
            (K::Bind, b"\0\0\0\0\0\x01\0\0\0\x05abc", insufficient),
            (
                K::FunctionCall,
                b"\0\0\0\0\0\x02\0\0\0\0\0\x01",
                "function call message contains 2 argument formats but 1 arguments",
            ),
        ];
        for (kind, body, message) in cases {
            let report = decode(kind, body, Phase::Session).unwrap_err();
            assert_eq!(report.message, message, "{kind:?} {body:?}");
            assert_eq!((report.severity, report.sqlstate), (Severity::Error, SqlState::PROTOCOL_VIOLATION));
        }
        let report = decode(K::Query, b"\xff\0", Phase::Session).unwrap_err();
        assert_eq!(report.sqlstate, SqlState::CHARACTER_NOT_IN_REPERTOIRE);
    }
}
